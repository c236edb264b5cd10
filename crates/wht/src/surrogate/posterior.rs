//! A surrogate of a function of two-level variables.
use std::marker::PhantomData;

use samplewise_linalg::{Ending, Matrix, Observer};

use super::answer::{Energy, Estimate, Report, Sobol, Status};
use super::fit::fit as fit_table;
use super::functionals::{Coefficients, Moebius, PairIndex, Pairs, Shapley};
use super::mixture::Mixture;
use super::options::Options;
use super::pursuit::of_bits;
use super::sets::Set;
use crate::Error;
use crate::field::bits::Bits;

/// What was learned of a function: means and deviations of its values and of everything that is linear in them.
///
/// Every mean and deviation is that of a mixture of Gaussian posteriors, exactly (row GP-3 of `paper-refs.md`); intervals are
/// scaled so that they hold what was held out (row GP-11). Nothing is promised for points unlike those told.
#[derive(Clone, Debug)]
pub struct Posterior<I: Bits = u64> {
    /// What can be said of it.
    pub status: Status,
    /// The evidence.
    pub report: Report,
    pub(super) mixture: Mixture,
    pub(super) of: PhantomData<I>,
}

/// The largest coefficients of a posterior mean.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Top<I = u64> {
    /// `(index, estimate)`, the largest magnitude first; bit `i` of an index is variable `i`.
    pub coefficients: Vec<(I, Estimate)>,
    /// No other coefficient of the posterior mean is larger (row GP-4).
    pub missed_at_most: f64,
}

/// Learns a function of `variables` two-level variables from its values at any points, and says how sure it is.
///
/// - **Shapes**: one value for each point, at least three; bit `i` of a point is variable `i`. Points may repeat: their spread
///   measures the noise.
/// - **Guarantees**: rows GP-1 to GP-16 of `paper-refs.md`. Where a few interactions explain every value they are returned
///   alone ([`Status::Explained`]).
/// - **Complexity**: `O(b²n + b³)` for each of some hundred steps on `b ≤ 400` points, and a few of all.
/// - **Randomness**: which points are held out together, from `options.seed`; the same bits for every number of threads.
///
/// ```
/// use samplewise_wht::surrogate::{Options, fit};
/// // Two variables that interact, one that does not, and small effects of seven others.
/// let f = |m: u64| {
///     let x = |i: u64| (m >> i & 1) as f64;
///     3.0 * x(0) * x(1) - 2.0 * x(2) + (0..10).map(|i| 0.1 * x(i) * x((i + 3) % 10)).sum::<f64>()
/// };
/// let points: Vec<u64> = (0..80).map(|j| (j * 2_654_435_761_u64 >> 7) % 1024).collect();
/// let values: Vec<f64> = points.iter().map(|&m| f(m)).collect();
/// let model = fit(&points, &values, 10, &Options::default())?;
/// assert!(model.report.held_out_r2.is_none_or(|r2| r2 > 0.9));
/// let new = model.predict(0b11)?;
/// assert!((new.mean - f(0b11)).abs() < 0.5);
/// let shapley = model.shapley();
/// assert!(shapley[0].mean > 1.0 && shapley[2].mean < -1.5);
/// # Ok::<(), samplewise_wht::Error>(())
/// ```
///
/// # Errors
/// [`Error::Argument`] for fewer than three points, options out of range, a point with a variable that does not exist;
/// [`Error::AnswersMismatch`], [`Error::AnswerNotFinite`]; [`Error::TooLarge`] beyond `options.max_points` distinct points.
pub fn fit<I: Bits>(points: &[I], values: &[f64], variables: usize, options: &Options) -> Result<Posterior<I>, Error> {
    fit_observed(points, values, variables, options, &mut ())
}

/// [`fit`] with progress; when stopped, the best answer by then ([`Status::Unjudged`] where nothing was held out yet).
///
/// # Errors
/// As [`fit`]; [`Error::Interrupted`] when the observer stops it before anything was learned.
pub fn fit_observed<I: Bits>(
    points: &[I],
    values: &[f64],
    variables: usize,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Posterior<I>, Error> {
    if variables == 0 || variables > I::WIDTH {
        return Err(Error::count("variables", variables, format!("1 to {}", I::WIDTH)));
    }
    if points.len() != values.len() {
        return Err(Error::AnswersMismatch { asked: points.len(), given: values.len() });
    }
    let codes = codes_of(points, variables)?;
    let mixture = fit_table(&vec![2; variables], &codes, values, options, 0.0, observer)?;
    Ok(Posterior::of(mixture))
}

/// A row of levels for each point.
pub(super) fn codes_of<I: Bits>(points: &[I], variables: usize) -> Result<Vec<u8>, Error> {
    let mut out = vec![0; points.len() * variables];
    for (row, &m) in out.chunks_exact_mut(variables).zip(points) {
        check_inside(m, variables, "points")?;
        m.for_each_one(|i| row[i] = 1);
    }
    Ok(out)
}

fn check_inside<I: Bits>(m: I, variables: usize, name: &'static str) -> Result<(), Error> {
    match m.positions().last() {
        Some(&i) if i >= variables => {
            let allowed = format!("bits 0 to {}, one for each variable", variables - 1);
            Err(samplewise_linalg::ArgumentError::new(name, format!("{m:?} with bit {i}"), allowed).into())
        }
        _ => Ok(()),
    }
}

impl<I: Bits> Posterior<I> {
    pub(super) fn of(mixture: Mixture) -> Self {
        Self { status: mixture.status, report: mixture.report.clone(), mixture, of: PhantomData }
    }

    /// Number of variables.
    pub fn variables(&self) -> usize {
        self.mixture.layout.positions()
    }

    /// Whether the call came to its end and held-out values judged the answer.
    pub fn converged(&self) -> bool {
        self.report.ending == Ending::Finished && self.status != Status::Unjudged
    }

    /// A new value at a point, its noise included. Cost `b² + b·n` for each expert, and `b·J` more for one of heavy tails with
    /// `J` candidates.
    ///
    /// # Errors
    /// [`Error::Argument`] for a point with a variable that does not exist.
    pub fn predict(&self, point: I) -> Result<Estimate, Error> {
        Ok(self.predict_all(&[point])?[0])
    }

    /// [`Posterior::predict`] at many points, in parallel.
    ///
    /// # Errors
    /// As [`Posterior::predict`].
    pub fn predict_all(&self, points: &[I]) -> Result<Vec<Estimate>, Error> {
        Ok(self.mixture.predict(&codes_of(points, self.variables())?))
    }

    /// The means of [`Posterior::predict_all`] alone, which cost `b·n` for each point and expert.
    ///
    /// # Errors
    /// As [`Posterior::predict`].
    pub fn means(&self, points: &[I]) -> Result<Vec<f64>, Error> {
        Ok(self.mixture.means_in_units(&codes_of(points, self.variables())?))
    }

    fn sets(&self, sets: &[I]) -> Result<Vec<Set>, Error> {
        sets.iter().map(|&s| check_inside(s, self.variables(), "set").map(|()| of_bits(s))).collect()
    }

    /// The coefficient `X[set]` of `x[m] = Σ_k (−1)^⟨m,k⟩ X[k]`.
    ///
    /// # Errors
    /// [`Error::Argument`] for a set with a variable that does not exist.
    pub fn coefficient(&self, set: I) -> Result<Estimate, Error> {
        Ok(self.coefficients(&[set])?[0])
    }

    /// Some coefficients; see [`Posterior::coefficient`].
    ///
    /// # Errors
    /// As [`Posterior::coefficient`].
    pub fn coefficients(&self, sets: &[I]) -> Result<Vec<Estimate>, Error> {
        let sets = self.sets(sets)?;
        Ok(sets.chunks(512).flat_map(|part| self.mixture.estimate(&Coefficients(part))).collect())
    }

    /// The `k` largest coefficients of the posterior mean, of any degree: all others are looked at or excluded by a bound.
    ///
    /// Row GP-4 of `paper-refs.md`.
    pub fn top(&self, k: usize) -> Top<I> {
        let (found, missed_at_most) = self.mixture.top(k, &mut || ());
        let index = |set: &Set| I::from_positions(set.iter().map(|&i| usize::from(i)));
        Top { coefficients: found.iter().map(|(set, e)| (index(set), *e)).collect(), missed_at_most }
    }

    /// Shapley values of the variables. Their sum is the value at all ones less that at all zeros. Cost `b·n²/2 + b²n` for
    /// each expert.
    pub fn shapley(&self) -> Vec<Estimate> {
        self.mixture.estimate(&Shapley { positions: self.variables() })
    }

    /// Covariance of the Shapley values, in the square of the units of the values.
    pub fn shapley_covariance(&self) -> Matrix {
        self.mixture.shapley_covariance()
    }

    /// Banzhaf values of the variables: `−2 X[{i}]`.
    pub fn banzhaf(&self) -> Vec<Estimate> {
        let singles: Vec<Set> = (0..self.variables() as u16).map(|i| vec![i]).collect();
        self.mixture.estimate(&Coefficients(&singles)).into_iter().map(|e| times(e, -2.0)).collect()
    }

    /// The coefficient `μ(set)` of `x[m] = Σ_{S⊆m} μ(S)`.
    ///
    /// # Errors
    /// [`Error::Argument`] for a set with a variable that does not exist.
    pub fn moebius(&self, set: I) -> Result<Estimate, Error> {
        let sets = self.sets(&[set])?;
        Ok(self.mixture.estimate(&Moebius(&sets))[0])
    }

    /// The interaction of two variables.
    ///
    /// # Errors
    /// [`Error::Argument`] for a variable that does not exist, or twice the same.
    pub fn pair(&self, first: usize, second: usize, index: PairIndex) -> Result<Estimate, Error> {
        let n = self.variables();
        if let Some(bad) = [first, second].into_iter().find(|&i| i >= n) {
            return Err(Error::count("variable", bad, format!("0 to {}", n - 1)));
        }
        if first == second {
            return Err(Error::count("second", second, "another variable than the first"));
        }
        Ok(self.mixture.estimate(&Pairs { index, pairs: &[(first, second)] })[0])
    }

    /// The interactions of all pairs `(i, l, estimate)`, `i < l`. Cost `b·n²` for each of up to 25 nodes and `b²` for each pair
    /// and expert: minutes for a thousand variables.
    pub fn pairs(&self, index: PairIndex) -> Vec<(usize, usize, Estimate)> {
        let n = self.variables();
        let pairs: Vec<(usize, usize)> = (0..n).flat_map(|i| (i + 1..n).map(move |l| (i, l))).collect();
        let estimates = pairs.chunks(512).flat_map(|part| self.mixture.estimate(&Pairs { index, pairs: part }));
        let estimates: Vec<Estimate> = estimates.collect();
        pairs.into_iter().zip(estimates).map(|((i, l), e)| (i, l, e)).collect()
    }

    /// Sobol indices of the posterior mean.
    pub fn sobol(&self) -> Sobol {
        self.mixture.sobol()
    }

    /// Variances by number of variables: entry `d ≤ degrees` for interactions of `d`, the last for all larger ones; that of
    /// the constant is 0. Cost `b²·n·degrees` multiplications for each pair of experts, and an inverse for each expert.
    pub fn energy_by_degree(&self, degrees: usize) -> Vec<Energy> {
        self.mixture.energy_by_degree(degrees.min(self.variables()))
    }

    /// How much each variable matters to the kernels, `Σ_k share_k·p_i` with `p_i` in `[0, ½)`: the probability with which a
    /// random interaction of the prior takes the variable.
    pub fn relevances(&self) -> Vec<f64> {
        let mut out = vec![0.0; self.variables()];
        for (share, process) in self.mixture.processes() {
            let shares = process.kernel.shares(&self.mixture.layout.levels);
            out.iter_mut().zip(shares).for_each(|(o, p)| *o += share * p);
        }
        out
    }
}

/// An estimate of a multiple.
fn times(e: Estimate, factor: f64) -> Estimate {
    let factor = |v: f64| (factor * v).clamp(-f64::MAX, f64::MAX);
    let (one, other) = (factor(e.low), factor(e.high));
    Estimate { mean: factor(e.mean), deviation: factor(e.deviation).abs(), low: one.min(other), high: one.max(other) }
}
