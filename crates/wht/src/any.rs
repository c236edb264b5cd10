//! The transform for a number of variables that is known at run time: one type for up to 1,024 of them.
//!
//! Queries and indices are rows of 0 and 1, one byte for each variable, variable 0 first; sets of variables are lists of their
//! numbers. Inside, vectors have 64, 256 or 1,024 bits, and everything is compiled once for each.
//!
//! ```
//! use samplewise_wht::any::AnyPlan;
//! use samplewise_wht::{Options, Support};
//! // Two interactions of 100 variables.
//! let x = |row: &[u8]| 4.0 - 2.0 * f64::from(1 - 2 * i8::try_from(row[17] ^ row[81]).expect("a bit"));
//! let options = Options { support: Support::MaxDegree(2), ..Options::default() };
//! let plan = AnyPlan::new(100, 2, &options)?;
//! let answers: Vec<f64> = plan.queries().to_rows().chunks(100).map(x).collect();
//! let found = plan.decode(&answers)?;
//! assert_eq!((found.sets(), found.values()), (vec![vec![], vec![17, 81]], vec![4.0, -2.0]));
//! # Ok::<(), samplewise_wht::Error>(())
//! ```
use std::ops::Range;

use samplewise_linalg::envelope::Kind;
use samplewise_linalg::observe::Observer;

use crate::bytes::stored_width;
use crate::{Bits, Coefficient, Error, Options, Plan, PlanSpec, Recovery, Report, Sparsity, Spectrum, Status, Wide};

/// Something for each width.
#[derive(Clone, Debug, PartialEq)]
enum OfWidth<A, B, C> {
    One(A),
    Four(B),
    Sixteen(C),
}

/// An expression for whichever width there is.
macro_rules! each {
    ($of:expr, $x:ident => $value:expr) => {
        match $of {
            OfWidth::One($x) => $value,
            OfWidth::Four($x) => $value,
            OfWidth::Sixteen($x) => $value,
        }
    };
}

/// The same kind of thing for the width that a number of variables takes.
macro_rules! make {
    ($variables:expr, $kind:ident::<_>::$call:ident($($argument:expr),*)) => {
        match $variables {
            0..=64 => OfWidth::One($kind::<u64>::$call($($argument),*)?),
            65..=256 => OfWidth::Four($kind::<Wide<4>>::$call($($argument),*)?),
            _ => OfWidth::Sixteen($kind::<Wide<16>>::$call($($argument),*)?),
        }
    };
}

/// Points of a plan or a recovery.
#[derive(Clone, Copy, Debug)]
pub struct Queries<'a> {
    variables: usize,
    points: Points<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Points<'a> {
    One(&'a [u64]),
    Four(&'a [Wide<4>]),
    Sixteen(&'a [Wide<16>]),
}

impl Queries<'_> {
    /// Number of points.
    pub fn len(&self) -> usize {
        match self.points {
            Points::One(p) => p.len(),
            Points::Four(p) => p.len(),
            Points::Sixteen(p) => p.len(),
        }
    }

    /// True when nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of variables, the length of a row.
    pub fn variables(&self) -> usize {
        self.variables
    }

    /// Writes the rows of some points one after the other, `variables` bytes of 0 or 1 each, variable 0 first.
    ///
    /// # Errors
    /// [`Error::Argument`] for points that there are not, or memory of another length.
    pub fn write_rows(&self, points: Range<usize>, out: &mut [u8]) -> Result<(), Error> {
        if points.start > points.end || points.end > self.len() {
            let given = format!("{}..{}", points.start, points.end);
            let allowed = format!("within 0..{}", self.len());
            return Err(samplewise_linalg::ArgumentError::new("points", given, allowed).into());
        }
        let wanted = points.len() * self.variables;
        if out.len() != wanted {
            return Err(Error::count(
                "out.len()",
                out.len(),
                format!("{wanted}, a byte for each variable of each point"),
            ));
        }
        match self.points {
            Points::One(p) => write(&p[points], self.variables, out),
            Points::Four(p) => write(&p[points], self.variables, out),
            Points::Sixteen(p) => write(&p[points], self.variables, out),
        }
        Ok(())
    }

    /// All rows; see [`Queries::write_rows`].
    pub fn to_rows(&self) -> Vec<u8> {
        let mut out = vec![0; self.len() * self.variables];
        self.write_rows(0..self.len(), &mut out).expect("all points, and room for them");
        out
    }
}

fn write<I: Bits>(points: &[I], variables: usize, out: &mut [u8]) {
    out.fill(0);
    for (row, &m) in out.chunks_exact_mut(variables).zip(points) {
        m.for_each_one(|i| row[i] = 1);
    }
}

macro_rules! queries {
    ($of:expr, $variables:expr, $x:ident => $points:expr) => {
        Queries {
            variables: $variables,
            points: match $of {
                OfWidth::One($x) => Points::One($points),
                OfWidth::Four($x) => Points::Four($points),
                OfWidth::Sixteen($x) => Points::Sixteen($points),
            },
        }
    };
}

/// [`Plan`] for any number of variables up to 1,024.
#[derive(Clone, Debug)]
pub struct AnyPlan(OfWidth<Plan<u64>, Plan<Wide<4>>, Plan<Wide<16>>>);

impl AnyPlan {
    /// As [`Plan::new`].
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn new(variables: usize, sparsity: impl Into<Sparsity>, options: &Options) -> Result<Self, Error> {
        let sparsity = sparsity.into();
        Ok(Self(make!(variables, Plan::<_>::for_bits(variables, sparsity, options))))
    }

    /// As [`Plan::from_spec`].
    ///
    /// # Errors
    /// As [`Plan::from_spec`].
    pub fn from_spec(spec: PlanSpec) -> Result<Self, Error> {
        Ok(Self(make!(spec.variables, Plan::<_>::for_bits_from_spec(spec))))
    }

    /// What the plan was made from.
    pub fn spec(&self) -> &PlanSpec {
        each!(&self.0, p => p.spec())
    }

    /// As [`Plan::queries`].
    pub fn queries(&self) -> Queries<'_> {
        queries!(&self.0, self.spec().variables, p => p.queries())
    }

    /// As [`Plan::queries_observed`].
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn queries_observed(&self, observer: &mut dyn Observer) -> Result<Queries<'_>, Error> {
        each!(&self.0, p => p.queries_observed(observer).map(drop))?;
        Ok(self.queries())
    }

    /// The last so many queries are fresh samples, kept from the decoder.
    pub fn verification(&self) -> usize {
        each!(&self.0, p => p.verification())
    }

    /// As [`Plan::decode`].
    ///
    /// # Errors
    /// As [`Plan::decode`].
    pub fn decode(&self, answers: &[f64]) -> Result<AnySpectrum, Error> {
        self.decode_observed(answers, &mut ())
    }

    /// As [`Plan::decode_observed`].
    ///
    /// # Errors
    /// As [`Plan::decode`].
    pub fn decode_observed(&self, answers: &[f64], observer: &mut dyn Observer) -> Result<AnySpectrum, Error> {
        Ok(AnySpectrum(match &self.0 {
            OfWidth::One(p) => OfWidth::One(p.decode_observed(answers, observer)?),
            OfWidth::Four(p) => OfWidth::Four(p.decode_observed(answers, observer)?),
            OfWidth::Sixteen(p) => OfWidth::Sixteen(p.decode_observed(answers, observer)?),
        }))
    }
}

/// [`Recovery`] for any number of variables up to 1,024.
#[derive(Clone, Debug)]
pub struct AnyRecovery {
    variables: usize,
    of: OfWidth<Recovery<u64>, Recovery<Wide<4>>, Recovery<Wide<16>>>,
}

impl AnyRecovery {
    /// As [`Recovery::new`].
    ///
    /// # Errors
    /// As [`Recovery::new`].
    pub fn new(variables: usize, sparsity: impl Into<Sparsity>, options: &Options) -> Result<Self, Error> {
        let sparsity = sparsity.into();
        Ok(Self { variables, of: make!(variables, Recovery::<_>::for_bits(variables, sparsity, options)) })
    }

    /// As [`Recovery::ask`].
    pub fn ask(&self) -> Queries<'_> {
        queries!(&self.of, self.variables, r => r.ask())
    }

    /// As [`Recovery::tell`].
    ///
    /// # Errors
    /// As [`Recovery::tell`].
    pub fn tell(&mut self, answers: &[f64]) -> Result<(), Error> {
        self.tell_observed(answers, &mut ())
    }

    /// As [`Recovery::tell_observed`].
    ///
    /// # Errors
    /// As [`Recovery::tell`].
    pub fn tell_observed(&mut self, answers: &[f64], observer: &mut dyn Observer) -> Result<(), Error> {
        each!(&mut self.of, r => r.tell_observed(answers, observer))
    }

    /// As [`Recovery::interrupt`].
    pub fn interrupt(&mut self) {
        each!(&mut self.of, r => r.interrupt());
    }

    /// The answer so far; `None` before the first answers.
    pub fn spectrum(&self) -> Option<AnySpectrum> {
        Some(AnySpectrum(match &self.of {
            OfWidth::One(r) => OfWidth::One(r.spectrum()?.clone()),
            OfWidth::Four(r) => OfWidth::Four(r.spectrum()?.clone()),
            OfWidth::Sixteen(r) => OfWidth::Sixteen(r.spectrum()?.clone()),
        }))
    }

    /// Values told so far.
    pub fn samples(&self) -> usize {
        each!(&self.of, r => r.samples())
    }

    /// As [`Recovery::finish`].
    ///
    /// # Errors
    /// As [`Recovery::finish`].
    pub fn finish(self) -> Result<AnySpectrum, Error> {
        Ok(AnySpectrum(match self.of {
            OfWidth::One(r) => OfWidth::One(r.finish()?),
            OfWidth::Four(r) => OfWidth::Four(r.finish()?),
            OfWidth::Sixteen(r) => OfWidth::Sixteen(r.finish()?),
        }))
    }

    /// As [`Recovery::to_bytes`].
    pub fn to_bytes(&self) -> Vec<u8> {
        each!(&self.of, r => r.to_bytes())
    }

    /// As [`Recovery::from_bytes`].
    ///
    /// # Errors
    /// As [`Recovery::from_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let of = make!(stored_width(Kind::Recovery, bytes)?, Recovery::<_>::from_bytes(bytes));
        let variables = each!(&of, r => r.variables());
        Ok(Self { variables, of })
    }
}

/// Asks `sample` for rows of 0 and 1, one byte for each variable, as [`crate::recover`] does.
///
/// # Errors
/// As [`crate::recover`].
pub fn recover(
    sample: impl FnMut(&[u8]) -> f64,
    variables: usize,
    sparsity: impl Into<Sparsity>,
    options: &Options,
) -> Result<AnySpectrum, Error> {
    recover_observed(sample, variables, sparsity, options, &mut ())
}

/// [`recover()`] with progress; when stopped, the best answer by then.
///
/// # Errors
/// As [`crate::recover_observed`].
pub fn recover_observed(
    mut sample: impl FnMut(&[u8]) -> f64,
    variables: usize,
    sparsity: impl Into<Sparsity>,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<AnySpectrum, Error> {
    fn run<I: Bits>(
        sample: &mut impl FnMut(&[u8]) -> f64,
        variables: usize,
        sparsity: Sparsity,
        options: &Options,
        observer: &mut dyn Observer,
    ) -> Result<Spectrum<I>, Error> {
        let mut row = vec![0; variables];
        let at = |m: I| {
            write(&[m], variables, &mut row);
            sample(&row)
        };
        crate::recover_observed(at, variables, sparsity, options, observer)
    }
    let sparsity = sparsity.into();
    Ok(AnySpectrum(match variables {
        0..=64 => OfWidth::One(run(&mut sample, variables, sparsity, options, observer)?),
        65..=256 => OfWidth::Four(run(&mut sample, variables, sparsity, options, observer)?),
        _ => OfWidth::Sixteen(run(&mut sample, variables, sparsity, options, observer)?),
    }))
}

/// [`Spectrum`] for any number of variables up to 1,024.
#[derive(Clone, Debug, PartialEq)]
pub struct AnySpectrum(OfWidth<Spectrum<u64>, Spectrum<Wide<4>>, Spectrum<Wide<16>>>);

impl From<Spectrum<u64>> for AnySpectrum {
    fn from(spectrum: Spectrum<u64>) -> Self {
        Self(OfWidth::One(spectrum))
    }
}

impl AnySpectrum {
    /// Number of variables.
    pub fn variables(&self) -> usize {
        each!(&self.0, s => s.variables)
    }

    /// Number of coefficients.
    pub fn len(&self) -> usize {
        each!(&self.0, s => s.coefficients.len())
    }

    /// True without coefficients.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sets of variables of the coefficients, in the order of their indices as numbers.
    pub fn sets(&self) -> Vec<Vec<usize>> {
        each!(&self.0, s => s.coefficients.iter().map(Coefficient::variables).collect())
    }

    /// The values of the coefficients, in the order of their indices.
    pub fn values(&self) -> Vec<f64> {
        each!(&self.0, s => s.coefficients.iter().map(|c| c.value).collect())
    }

    /// Their standard errors; none without noise.
    pub fn std_errors(&self) -> Option<Vec<f64>> {
        each!(&self.0, s => s.coefficients.iter().map(|c| c.std_error).collect())
    }

    /// What can be said of them.
    pub fn status(&self) -> Status {
        each!(&self.0, s => s.status)
    }

    /// The evidence: how the call went, and what its claims rest on.
    pub fn report(&self) -> &Report {
        each!(&self.0, s => &s.report)
    }

    /// As [`Spectrum::converged`].
    pub fn converged(&self) -> bool {
        each!(&self.0, s => s.converged())
    }

    /// Numbers of the `k` coefficients of largest magnitude, largest first, ties by index.
    pub fn top(&self, k: usize) -> Vec<usize> {
        let values = self.values();
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|&a, &b| values[b].abs().total_cmp(&values[a].abs()).then(a.cmp(&b)));
        order.truncate(k);
        order
    }

    /// `x̂` at many points: rows of `variables` bytes, where zero is 0 and anything else is 1.
    ///
    /// # Errors
    /// [`Error::Argument`] for bytes that are no whole rows.
    pub fn predict(&self, rows: &[u8]) -> Result<Vec<f64>, Error> {
        fn points<I: Bits>(rows: &[u8], n: usize) -> Vec<I> {
            let ones = |row: &[u8]| I::from_positions(row.iter().enumerate().filter(|(_, b)| **b != 0).map(|(i, _)| i));
            rows.chunks_exact(n).map(ones).collect()
        }
        let n = self.variables();
        if !rows.len().is_multiple_of(n) {
            return Err(Error::count("rows.len()", rows.len(), format!("a multiple of {n}, the number of variables")));
        }
        Ok(each!(&self.0, s => s.predict(&points(rows, n))))
    }

    /// As [`Spectrum::to_moebius`], by sets of variables.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn to_moebius(&self) -> Result<Vec<(Vec<usize>, f64)>, Error> {
        each!(&self.0, s => Ok(s.to_moebius()?.into_iter().map(|(k, v)| (k.positions(), v)).collect()))
    }

    /// As [`Spectrum::shapley`].
    pub fn shapley(&self) -> Vec<f64> {
        each!(&self.0, s => s.shapley())
    }

    /// As [`Spectrum::banzhaf`].
    pub fn banzhaf(&self) -> Vec<f64> {
        each!(&self.0, s => s.banzhaf())
    }

    /// As [`Spectrum::banzhaf_interaction`], of a set of variables.
    ///
    /// # Errors
    /// [`Error::Argument`] for a variable that does not exist.
    pub fn banzhaf_interaction(&self, set: &[usize]) -> Result<f64, Error> {
        let n = self.variables();
        if let Some(&variable) = set.iter().find(|&&i| i >= n) {
            return Err(Error::count("set", variable, format!("variables from 0 to {}", n - 1)));
        }
        Ok(each!(&self.0, s => s.banzhaf_interaction(Bits::from_positions(set.iter().copied()))))
    }

    /// As [`Spectrum::variance`].
    pub fn variance(&self) -> f64 {
        each!(&self.0, s => s.variance())
    }

    /// As [`Spectrum::sobol`].
    pub fn sobol(&self) -> (Vec<f64>, Vec<f64>) {
        each!(&self.0, s => s.sobol())
    }

    /// As [`Spectrum::energy_by_degree`].
    pub fn energy_by_degree(&self) -> Vec<f64> {
        each!(&self.0, s => s.energy_by_degree())
    }

    /// As [`Spectrum::to_bytes`].
    pub fn to_bytes(&self) -> Vec<u8> {
        each!(&self.0, s => s.to_bytes())
    }

    /// As [`Spectrum::from_bytes`].
    ///
    /// # Errors
    /// As [`Spectrum::from_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        Ok(Self(make!(stored_width(Kind::Spectrum, bytes)?, Spectrum::<_>::from_bytes(bytes))))
    }
}
