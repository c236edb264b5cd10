//! Who asks for passes and makes a regression of their answers.
use std::time::Instant;

use samplewise_linalg::argument::ArgumentError;
use samplewise_linalg::gram::MomentTotals;
use samplewise_linalg::leverage::factor_gram;
use samplewise_linalg::observe::{Observer, Watch};
use samplewise_linalg::{Ending, LinalgError, Matrix, MatrixView, NoBound, Seconds, Summary};

use super::PassOptions;
use super::band::{LOSS, ROUNDING, Sums};
use super::judge::{Judged, Verdict, judge, ranges};
use super::kept::Kept;
use super::pass::{Answered, QuantilePass};
use super::question::{Band, Fit, MOST_FEATURES, Question, Tied, What};
use super::reduced::{Solved, balance, band_of, decided_columns, fit_of, solve, whiten_sums, whitened};
use crate::answer::{Outcome, Regression, Report, Route};
use crate::options::Options;
use crate::regress::regress_observed;
use crate::{Error, KeyedRows, Loss};

/// Share of a band that the next is: this times `√(d/m)` for a fit of `m` rows.
const NARROWER: f64 = 4.0;
/// Rows of a sample for each column: fewer leave bands that hardly become narrower.
const LEAST_PER_COLUMN: usize = 64;
/// Rows of a sample that are expected beyond the quantile, for each column: with fewer the problem may have no minimum.
const LEAST_BEYOND: usize = 16;
/// Times that rows are put back into one band before it is widened.
const REPAIRS: usize = 8;
/// Share by which a band that has as many rows as the one before may differ.
const SAME: f64 = 0.1;
/// Passes over tied rows at most.
const MOST_BALANCES: usize = 10;
/// Squared norm of a column about the origin beside that about its mean, beyond which sums are asked for about the mean.
const FAR: f64 = 1e6;
/// Spread of a column beside its mean below which it is constant: a few hundred units of its last digit.
const CONSTANT: f64 = 1e-13;

/// The kind of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum PassStage {
    /// Sums of the features and of their products.
    Sums,
    /// A sample of all rows.
    Sample,
    /// Rows near the fit.
    Band,
    /// What multipliers of the rows that are tied with the fit prove, made of sums over these.
    Ties,
    /// Loss and sides of all rows.
    Verification,
}

impl PassStage {
    /// The word for tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sums => "sums",
            Self::Sample => "sample",
            Self::Band => "band",
            Self::Ties => "ties",
            Self::Verification => "verification",
        }
    }
}

/// What one pass brought.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PassRecord {
    /// The kind of pass.
    pub stage: PassStage,
    /// Loss of the fit that was judged; none in a pass of sums.
    pub objective: Option<f64>,
    /// Rows near the fit.
    pub open: u64,
    /// Rows that came to the driver.
    pub sent: usize,
    /// Rows that the fit judged finds on the other side than was decided.
    pub wrong: u64,
}

/// A regression of rows that lie elsewhere.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RegressionByPasses {
    /// Coefficients, objective over all rows and lower bound.
    pub fit: Regression,
    /// For each coefficient, and behind them for the intercept where there is one, a range in which every value belongs to some
    /// fit whose loss is within the tolerance (1e-9 at least) of the optimum. Where it is wide, the table does not determine
    /// the coefficient: solvers that agree in all digits of the objective may differ so much. It is found along the edges of
    /// the vertex; other fits that are as good may lie beyond. Infinite where a column depends on others; the coefficient
    /// alone where nothing is proven.
    #[cfg_attr(feature = "serde", serde(with = "ranges_as_pairs"))]
    pub ranges: Vec<[f64; 2]>,
    /// The passes, one after another.
    pub passes: Vec<PassRecord>,
    /// Rows of the table.
    pub rows: u64,
    /// Sum of the hashed keys of the rows.
    pub checksum: u64,
}

#[cfg(feature = "serde")]
mod ranges_as_pairs {
    use serde::{Deserializer, Serializer};

    pub fn serialize<S: Serializer>(ranges: &[[f64; 2]], to: S) -> Result<S::Ok, S::Error> {
        samplewise_linalg::extended::list::serialize(&ranges.concat(), to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<[f64; 2]>, D::Error> {
        Ok(samplewise_linalg::extended::list::deserialize(from)?.as_chunks().0.to_vec())
    }
}

/// Asks for passes over rows that lie elsewhere until the `ℓ1` or quantile regression of them is solved and proven.
///
/// [`QuantileDriver::ask`] says what the next pass is asked; [`QuantileDriver::tell`] takes its answer. The number of passes is
/// four to seven for up to `10¹¹` rows; each but the first brings at most [`PassOptions::most_rows`] rows. Coefficients have the
/// same bits for every partition and order of the rows. Like every way by sums of products it cannot tell columns apart that
/// depend on each other to five digits ([`Error::NearlyDependent`]). Where more rows than [`PassOptions::most_rows`] lie exactly on
/// the fit, such as zeros of most rows, two to ten passes more prove it from sums over these; where they do not, the answer says so
/// ([`crate::Status::NotConverged`]).
///
/// Row SEN-33 of `paper-refs.md`.
///
/// ```
/// use samplewise_sensitivity::{KeyedRows, Loss, Matrix, PassOptions, QuantileDriver, QuantilePass, Summary};
/// // Two features and the target; in parts of a thousand rows.
/// let rows = Matrix::from_fn(20_000, 3, |i, j| match j {
///     0 => ((i * 7) % 101) as f64,
///     1 => ((i * 13) % 89) as f64,
///     _ => 3.0 * ((i * 7) % 101) as f64 - ((i * 13) % 89) as f64 + ((i * 31) % 997) as f64,
/// });
/// let options = PassOptions { intercept: true, ..PassOptions::default() };
/// let mut driver = QuantileDriver::new(2, Loss::Quantile(0.9), &options)?;
/// while let Some(question) = driver.ask() {
///     let mut pass = QuantilePass::new(question)?;
///     for first in (0..20_000).step_by(1_000) {
///         let keys: Vec<u64> = (first..first + 1_000).collect();
///         let part = rows.select_rows(&keys.iter().map(|k| *k as usize).collect::<Vec<_>>());
///         pass.update(KeyedRows { keys: &keys, rows: part.view() })?;
///     }
///     driver.tell(pass)?;
/// }
/// let answer = driver.finish()?;
/// assert!(answer.fit.converged());
/// assert!((answer.fit.intercept - 897.0).abs() < 3.0 && (answer.fit.coefficients[0] - 3.0).abs() < 0.1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct QuantileDriver {
    pub(super) loss: Loss,
    pub(super) tau: f64,
    pub(super) features: usize,
    pub(super) options: PassOptions,
    pub(super) start: Instant,
    pub(super) asked: Option<Question>,
    /// Rows and checksum of the first pass.
    pub(super) known: Option<(u64, u64)>,
    /// Sums about the means were asked for.
    pub(super) moved: bool,
    pub(super) rank: usize,
    /// Origin of the features.
    pub(super) origin: Vec<f64>,
    /// Whitened coefficients of the fit at which sides are decided.
    pub(super) near: Option<Vec<f64>>,
    pub(super) settled: Option<Settled>,
    /// The best fit that a pass has judged, with its loss.
    pub(super) best: Option<(Fit, f64)>,
    /// The verdict, and the ranges where a vertex gave them.
    pub(super) verdict: Option<(Verdict, Vec<[f64; 2]>)>,
    /// The fit of rows that were all here.
    pub(super) in_memory: Option<Regression>,
    /// Rows near the fit in the sampled pass before.
    pub(super) last_open: f64,
    /// Problems that had no minimum.
    pub(super) unbounded: u32,
    /// Passes over tied rows.
    pub(super) balances: usize,
    pub(super) records: Vec<PassRecord>,
    pub(super) iterations: usize,
    pub(super) rows_used: usize,
    pub(super) ending: Ending,
}

/// A solved problem of open rows that waits for its verification.
#[derive(Clone, Debug)]
pub(super) struct Settled {
    /// The band at whose fit the sides were decided.
    pub(super) band: Band,
    /// Open rows by key, those put back behind them.
    pub(super) rows: Kept,
    pub(super) back: Kept,
    pub(super) x: Vec<f64>,
    pub(super) dual: Vec<f64>,
    pub(super) basis: Vec<usize>,
    pub(super) repairs: usize,
}

impl QuantileDriver {
    /// For rows of so many features and a target; `loss` is a quantile or `ℓ1`.
    ///
    /// # Errors
    /// [`Error::Argument`] for other losses and options out of range; [`Error::Data`] without features.
    pub fn new(features: usize, loss: Loss, options: &PassOptions) -> Result<Self, Error> {
        let tau = match loss {
            Loss::Quantile(tau) if tau > 0.0 && tau < 1.0 => tau,
            Loss::Quantile(tau) => return Err(Error::argument("quantile", tau, "above 0 and below 1")),
            Loss::Lp(1.0) => 0.5,
            Loss::Lp(p) => return Err(Error::argument("p", p, "1 by passes")),
        };
        if features == 0 {
            return Err(LinalgError::Empty { argument: "features" }.into());
        }
        if features > MOST_FEATURES {
            return Err(Error::count("features", features, format!("1 to {MOST_FEATURES} by passes")));
        }
        let o = options;
        if !(o.tolerance > 0.0 && o.tolerance.is_finite()) {
            return Err(Error::argument("tolerance", o.tolerance, "finite and above 0"));
        }
        let counts = [
            ("sample_rows", o.sample_rows, 64, 10_000_000),
            ("most_rows", o.most_rows, 64, 100_000_000),
            ("max_passes", o.max_passes, 1, usize::MAX),
        ];
        for (name, value, least, most) in counts {
            if value < least || value > most {
                let allowed =
                    if most == usize::MAX { format!("at least {least}") } else { format!("{least} to {most}") };
                return Err(ArgumentError::new(name, value, allowed).into());
            }
        }
        Ok(Self {
            loss,
            tau,
            features,
            options: options.clone(),
            start: Instant::now(),
            asked: Some(Question { features, what: What::Sums(vec![0.0; features]) }),
            known: None,
            moved: false,
            rank: 0,
            origin: Vec::new(),
            near: None,
            settled: None,
            best: None,
            verdict: None,
            in_memory: None,
            last_open: f64::INFINITY,
            unbounded: 0,
            balances: 0,
            records: Vec::new(),
            iterations: 0,
            rows_used: 0,
            ending: Ending::Limit,
        })
    }

    /// What the next pass over the table is asked; `None` when there is nothing left to ask.
    pub fn ask(&self) -> Option<&Question> {
        self.asked.as_ref()
    }

    /// The passes so far.
    pub fn passes(&self) -> &[PassRecord] {
        &self.records
    }

    /// Takes the merged answer of all rows to the question.
    ///
    /// # Errors
    /// [`Error::Data`] for an answer to another question, no rows, rows that are not those of the passes before, and values
    /// beyond range; [`Error::NearlyDependent`]. The driver is as before then.
    pub fn tell(&mut self, pass: QuantilePass) -> Result<(), Error> {
        self.tell_observed(pass, &mut ())
    }

    /// [`QuantileDriver::tell`] with progress and cancellation of the problem that is solved.
    ///
    /// # Errors
    /// As [`QuantileDriver::tell`]; [`Error::Interrupted`], after which the same pass may be told again.
    pub fn tell_observed(&mut self, pass: QuantilePass, observer: &mut dyn Observer) -> Result<(), Error> {
        let mut next = self.clone();
        next.take(pass, &mut Watch::new(observer))?;
        *self = next;
        Ok(())
    }

    fn take(&mut self, pass: QuantilePass, watch: &mut Watch<'_>) -> Result<(), Error> {
        let bad = |reason| Error::Data(LinalgError::Bytes { kind: "pass", reason });
        if self.asked.as_ref() != Some(&pass.question) {
            return Err(bad("it answers another question than was asked last"));
        }
        if pass.rows == 0 {
            return Err(LinalgError::Empty { argument: "rows of the table" }.into());
        }
        let seen = (pass.rows, pass.checksum);
        if *self.known.get_or_insert(seen) != seen {
            return Err(bad(
                "its rows are not those of the passes before: the table changed, or part of it is made anew each time it is read",
            ));
        }
        let sent = pass.held();
        match (pass.question.what, pass.sums) {
            (What::Sums(_), Answered::Sums(moments)) => {
                self.record(PassStage::Sums, None, None, 0);
                self.take_sums(&moments.finish()?)?;
            }
            (What::Band(band), Answered::Band(sums)) => {
                let stage = match &band.sides_at {
                    None => PassStage::Sample,
                    Some(_) if band.tied != Tied::Kept => PassStage::Ties,
                    Some(fit) if *fit == band.judged_at => PassStage::Band,
                    Some(_) => PassStage::Verification,
                };
                self.record(stage, Some(self.in_units(sums.scalar(LOSS))), Some(&sums), sent);
                self.take_band(*band, &sums, watch)?;
            }
            _ => return Err(bad("it answers another question than was asked last")),
        }
        if self.asked.is_some() && self.records.len() >= self.options.max_passes {
            self.asked = None;
        }
        Ok(())
    }

    /// The loss that was asked for, from that of the quantile.
    fn in_units(&self, loss: f64) -> f64 {
        if self.loss == Loss::Lp(1.0) { 2.0 * loss } else { loss }
    }

    fn record(&mut self, stage: PassStage, objective: Option<f64>, sums: Option<&Sums>, sent: usize) {
        let (open, wrong) = sums.map_or((0, 0), |s| (s.open, s.wrong));
        self.records.push(PassRecord { stage, objective, open, sent, wrong });
    }

    fn ask_band(&mut self, band: Band) {
        self.asked = Some(Question { features: self.features, what: What::Band(Box::new(band)) });
    }

    /// Coordinates from the sums; the first question about all rows.
    fn take_sums(&mut self, totals: &MomentTotals) -> Result<(), Error> {
        let (d, n) = (self.features, totals.rows as f64);
        let mut gram = if self.options.intercept { totals.centred() } else { totals.products.clone() };
        let means = totals.means();
        let far = |j: usize| totals.products[(j, j)] > FAR * gram[(j, j)];
        if self.options.intercept && !self.moved && (0..d).any(far) {
            // What rounding leaves of the sums would hide the spread of these columns.
            self.moved = true;
            self.asked = Some(Question { features: d, what: What::Sums(means) });
            return Ok(());
        }
        // Below, a column is its mean, but for rounding.
        let least: Vec<f64> = means.iter().map(|m| n * (CONSTANT * m).powi(2)).collect();
        let norms = (0..d).map(|j| gram[(j, j)].max(least[j])).collect();
        let still: Vec<usize> = (0..d).filter(|&j| self.options.intercept && gram[(j, j)] <= least[j]).collect();
        for j in still {
            for k in 0..d {
                (gram[(j, k)], gram[(k, j)]) = (0.0, 0.0);
            }
        }
        let factor = factor_gram(&gram)?;
        let transform = factor.whitening.transform;
        let combination = |j: usize| {
            let own: Vec<f64> = (0..d).map(|k| if factor.kept.contains(&k) { gram[(k, j)] } else { 0.0 }).collect();
            let mut half = vec![0.0; transform.columns()];
            transform.multiply_transpose_vector_into(&own, &mut half);
            let mut out = vec![0.0; d];
            transform.multiply_vector_into(&half, &mut out);
            (j, out)
        };
        let dependent = (0..d).filter(|j| !factor.kept.contains(j)).map(combination).collect();
        let constant = if self.options.intercept { 1.0 / n.sqrt() } else { 0.0 };
        self.rank = transform.columns() + usize::from(self.options.intercept);
        let nothing = self.rank == 0;
        self.origin = if self.options.intercept { means } else { vec![0.0; d] };
        let band = Band {
            tau: self.tau,
            seed: self.options.seed,
            rows: totals.rows,
            origin: self.origin.clone(),
            norms,
            transform,
            constant,
            dependent,
            // Without a column that counts there is nothing to find: every side is that of the target.
            sides_at: nothing.then(|| Fit::zero(d)),
            judged_at: Fit::zero(d),
            thresholds: [if nothing { -1.0 } else { f64::MAX }; 2],
            rate: (self.sample() as f64 / n).min(1.0),
            most: self.most(),
            tied: Tied::Kept,
        };
        if nothing {
            let (rows, back) = (Kept::default(), Kept::default());
            let band = band.clone();
            self.settled = Some(Settled { band, rows, back, x: vec![], dual: vec![], basis: vec![], repairs: 0 });
        }
        self.ask_band(band);
        Ok(())
    }

    /// Rows of a sample: more after problems without a minimum, up to those that may be held.
    fn sample(&self) -> usize {
        let least = self.least();
        least.saturating_mul(1 << self.unbounded.min(20)).min(self.options.most_rows).max(least)
    }

    fn least(&self) -> usize {
        let columns = self.features + 1;
        let beyond = (LEAST_BEYOND * columns) as f64 / self.tau.min(1.0 - self.tau);
        self.options.sample_rows.max(LEAST_PER_COLUMN * columns).max(beyond as usize)
    }

    fn most(&self) -> usize {
        self.options.most_rows.max(2 * self.least())
    }

    fn take_band(&mut self, band: Band, sums: &Sums, watch: &mut Watch<'_>) -> Result<(), Error> {
        let exact = band.rate >= 1.0 && sums.kept.halvings == 0;
        let all_here = exact && band.sides_at.is_none();
        if let Some(k) = sums.outside.iter().position(|count| *count > 0) {
            if all_here {
                return self.solve_in_memory(&sums.kept.clone().sorted(), watch);
            }
            return Err(Error::NearlyDependent { column: band.dependent[k].0 });
        }
        let loss = sums.scalar(LOSS);
        if !loss.is_finite() {
            return Err(Error::argument("loss on all rows", loss, "a finite sum: scale the target down"));
        }
        if self.best.as_ref().is_none_or(|b| loss < b.1) {
            self.best = Some((band.judged_at.clone(), loss));
        }
        let rounding = sums.scalar(ROUNDING);
        if loss <= 4.0 * rounding {
            // Nothing is below zero, and this is no more than rounding makes of it.
            self.verdict = Some((Verdict { objective: loss, bound: 0.0, rounding }, Vec::new()));
            self.best = Some((band.judged_at, loss));
            (self.ending, self.asked) = (Ending::Finished, None);
            return Ok(());
        }
        if let Tied::Multipliers(before) = &band.tied {
            let none = Kept::default();
            let verdict = judge(&Judged { band: &band, sums, rows: &none, dual: &[], back: &none }, watch)?;
            let better = self.verdict.as_ref().is_none_or(|v| verdict.bound > v.0.bound);
            if better {
                self.verdict = Some((verdict, Vec::new()));
            }
            self.balances += 1;
            self.asked = None;
            if self.is_proven() {
                self.ending = Ending::Finished;
                return Ok(());
            }
            // So few rows could have been held: something else kept the band from becoming narrower.
            let many = sums.open > self.most() as u64 / 2;
            match balance(&band, before, sums).filter(|_| many && self.balances < MOST_BALANCES) {
                Some(fit) => self.ask_band(Band { tied: Tied::Multipliers(fit), ..band }),
                None => self.begin_anew(band),
            }
            return Ok(());
        }
        if let Some(settled) = self.settled.take() {
            return self.verify(settled, &band, sums, watch);
        }
        let rows = sums.kept.clone().sorted();
        let (z, target) = whitened(&band, &rows, watch)?;
        let probability = |i: usize| band.probability(rows.spreads[i], rows.halvings);
        let weights = (!exact).then(|| (0..rows.len()).map(|i| 1.0 / probability(i)).collect::<Vec<f64>>());
        let none = Kept::default();
        let linear = whiten_sums(&band, &decided_columns(&band, sums, &none));
        let problem = (&z, &target[..], weights.as_deref());
        let vertex = match solve(problem, &linear, self.tau, self.near.as_deref(), watch)? {
            Solved::Vertex(vertex) => vertex,
            Solved::Open if self.tied(&band, sums) => {
                let fit = band.judged_at.clone();
                self.ask_ties(band, fit, rounding);
                return Ok(());
            }
            Solved::Open if all_here => return self.solve_in_memory(&rows, watch),
            Solved::Open => {
                self.widen(band, sums.open);
                return Ok(());
            }
        };
        self.iterations += vertex.pivots;
        self.rows_used = rows.len();
        if exact {
            let (x, dual, basis) = (vertex.x, vertex.dual, vertex.basis);
            let settled = Settled { band, rows, back: none, x, dual, basis, repairs: 0 };
            self.ask_verification(settled, sums.open, watch)?;
            if all_here && !self.is_proven() {
                // What the coordinates lack, all rows together have.
                return self.solve_in_memory(&sums.kept.clone().sorted(), watch);
            }
            return Ok(());
        }
        // A narrower band around the better fit.
        let fit = fit_of(&band, &vertex.x);
        let mut residual = vec![0.0; target.len()];
        z.multiply_vector_into(&vertex.x, &mut residual);
        // As many rows on each side: at a quantile near an end those beyond it are few and far.
        let share = (NARROWER * (self.rank as f64 / rows.len() as f64).sqrt()).min(0.5);
        let wanted = share * sums.open as f64;
        // Rows that are tied with the fit are in the band, whatever rounding makes of them.
        let tied = tied_within(&band, rounding);
        let side = |sign: f64| {
            let ratio = |i: usize| sign * (target[i] - residual[i]) / rows.spreads[i];
            let weight = |i: usize| weights.as_ref().map_or(1.0, |w| w[i]);
            let ratios = (0..target.len()).map(|i| (ratio(i), weight(i))).filter(|e| e.0 >= 0.0).collect();
            band_of(ratios, 0.5 * wanted).max(tied)
        };
        let thresholds = [side(-1.0), side(1.0)];
        if self.tied(&band, sums) {
            self.ask_ties(band, fit, rounding);
            return Ok(());
        }
        self.last_open = sums.open as f64;
        self.near = Some(vertex.x);
        self.ask_around(band, fit, thresholds, wanted);
        Ok(())
    }

    /// Whether a band that was to be narrower, or wider, than the one before has as many rows: those that are tied with the fit.
    fn tied(&self, band: &Band, sums: &Sums) -> bool {
        band.sides_at.is_some() && (sums.open as f64 / self.last_open - 1.0).abs() < SAME
    }

    /// Asks whether the rows that are tied with a fit balance all others.
    fn ask_ties(&mut self, band: Band, fit: Fit, rounding: f64) {
        let thresholds = [tied_within(&band, rounding); 2];
        let tied = Tied::Multipliers(Fit::zero(self.features));
        let (sides_at, judged_at) = (Some(fit.clone()), fit);
        self.ask_band(Band { sides_at, judged_at, thresholds, rate: f64::MIN_POSITIVE, tied, ..band });
    }

    /// Asks for a larger sample of all rows, if there can be one.
    fn begin_anew(&mut self, band: Band) {
        let before = self.sample();
        self.unbounded += 2;
        let sample = self.sample();
        if sample == before {
            self.ending = Ending::Finished;
            return;
        }
        (self.near, self.verdict, self.balances, self.last_open) = (None, None, 0, f64::INFINITY);
        let (rate, thresholds) = ((sample as f64 / band.rows as f64).min(1.0), [f64::MAX; 2]);
        self.ask_band(Band { sides_at: None, rate, thresholds, tied: Tied::Kept, ..band });
    }

    /// The regression of rows that are all here, where coordinates from sums are too coarse for them.
    fn solve_in_memory(&mut self, rows: &Kept, watch: &mut Watch<'_>) -> Result<(), Error> {
        let (n, d) = (rows.len(), self.features);
        let a = MatrixView::from_strided(&rows.data, n, d, d + 1, 1)?;
        let target: Vec<f64> = (0..n).map(|i| rows.row(i)[d]).collect();
        let (intercept, tolerance) = (self.options.intercept, self.options.tolerance);
        let options = Options { tolerance, intercept, ..Options::default() };
        let fit = regress_observed(a, &target, self.loss, &options, watch)?;
        if fit.report.ending == Ending::Interrupted {
            return Err(Error::Interrupted);
        }
        self.in_memory = Some(fit);
        self.asked = None;
        Ok(())
    }

    /// Asks for the rows within a threshold of a fit, of which about so many are expected.
    fn ask_around(&mut self, band: Band, fit: Fit, thresholds: [f64; 2], expected: f64) {
        // The expectation may be off by a fifth; where there are more rows than are wanted, they are sampled.
        let all = 1.2 * expected <= self.most() as f64;
        let rate = if all { 1.0 } else { (self.sample() as f64 / expected).min(1.0) };
        self.ask_band(Band { sides_at: Some(fit.clone()), judged_at: fit, thresholds, rate, ..band });
    }

    /// Asks for more open rows: the problem of these has no minimum.
    fn widen(&mut self, band: Band, open: u64) {
        self.unbounded += 1;
        self.last_open = open as f64;
        match &band.sides_at {
            None if band.rate >= 1.0 => self.asked = None,
            None => {
                let rate = (4.0 * band.rate).min(1.0);
                self.ask_band(Band { rate, ..band });
            }
            Some(_) if open >= band.rows => self.asked = None,
            Some(fit) => {
                let (fit, thresholds) = (fit.clone(), wider(&band));
                self.ask_around(band, fit, thresholds, 2.0 * open as f64);
            }
        }
    }

    /// Asks for loss and sides of all rows at a fit; where all rows are here, nobody needs to be asked.
    fn ask_verification(&mut self, settled: Settled, open: u64, watch: &mut Watch<'_>) -> Result<(), Error> {
        let judged_at = fit_of(&settled.band, &settled.x);
        // Rows near the fit are here already.
        let band = Band { judged_at, rate: f64::MIN_POSITIVE, ..settled.band.clone() };
        if open < band.rows {
            self.settled = Some(settled);
            self.ask_band(band);
            return Ok(());
        }
        let question = Question { features: self.features, what: What::Band(Box::new(band.clone())) };
        let mut pass = QuantilePass::new(&question)?;
        let rows = Matrix::from_vec(settled.rows.len(), self.features + 1, settled.rows.data.clone())?;
        pass.update(KeyedRows { keys: &settled.rows.keys, rows: rows.view() })?;
        let Answered::Band(sums) = pass.sums else { unreachable!("a band was asked for") };
        let loss = sums.scalar(LOSS);
        if self.best.as_ref().is_none_or(|b| loss < b.1) {
            self.best = Some((band.judged_at.clone(), loss));
        }
        self.verify(settled, &band, &sums, watch)
    }

    /// Takes loss and sides of all rows: proves the fit, or puts rows back.
    fn verify(&mut self, mut settled: Settled, band: &Band, sums: &Sums, watch: &mut Watch<'_>) -> Result<(), Error> {
        let too_many = sums.wrong as usize > sums.against.len();
        let wrong = sums.against.clone().sorted().without(&settled.back);
        if !too_many && wrong.len() == 0 {
            return self.prove(&settled, band, sums, watch);
        }
        let fit = band.judged_at.clone();
        let few = (settled.rows.len() / 2).max(self.sample());
        if too_many || wrong.len() > few || settled.repairs >= REPAIRS {
            self.near = Some(settled.x);
            let thresholds = wider(&settled.band);
            self.ask_around(settled.band, fit, thresholds, 2.0 * sums.open as f64);
            return Ok(());
        }
        settled.repairs += 1;
        settled.rows.extend(wrong.clone());
        settled.back.extend(wrong);
        settled.back = settled.back.sorted();
        let linear = whiten_sums(band, &decided_columns(band, sums, &settled.back));
        let (z, target) = whitened(band, &settled.rows, watch)?;
        match solve((&z, &target, None), &linear, self.tau, Some(&settled.x), watch)? {
            Solved::Vertex(vertex) => {
                self.iterations += vertex.pivots;
                self.rows_used = settled.rows.len();
                (settled.x, settled.dual, settled.basis) = (vertex.x, vertex.dual, vertex.basis);
                self.ask_verification(settled, sums.open, watch)
            }
            Solved::Open => {
                self.near = Some(settled.x);
                let thresholds = wider(&settled.band);
                self.ask_around(settled.band, fit, thresholds, 2.0 * sums.open as f64);
                Ok(())
            }
        }
    }

    /// The fit contradicts no side: it is that of all rows.
    fn prove(&mut self, settled: &Settled, band: &Band, sums: &Sums, watch: &mut Watch<'_>) -> Result<(), Error> {
        let Settled { rows, dual, back, basis, .. } = settled;
        let verdict = judge(&Judged { band, sums, rows, dual, back }, watch)?;
        let excess = self.options.tolerance.max(SMALLEST_GAP) * verdict.objective;
        let (coefficients, intercept) = self.as_given(&band.judged_at);
        let mut all = coefficients;
        all.extend(intercept);
        let decided_at = if sums.open < band.rows { self.near.as_deref().unwrap_or(&[]) } else { &settled.x };
        let found = ranges((decided_at, band), (rows, dual, basis), (&settled.x, &all), excess, watch)?;
        self.best = Some((band.judged_at.clone(), verdict.objective));
        self.verdict = Some((verdict, found));
        self.ending = Ending::Finished;
        self.asked = None;
        Ok(())
    }

    /// Ranges of coefficients that are only known themselves.
    fn points(&self, fit: &Fit) -> Vec<[f64; 2]> {
        let (coefficients, intercept) = self.as_given(fit);
        coefficients.iter().chain(&intercept).map(|c| [*c, *c]).collect()
    }

    /// Coefficients of the features as they are, and the intercept where there is one.
    fn as_given(&self, fit: &Fit) -> (Vec<f64>, Option<f64>) {
        let moved: f64 = fit.slopes.iter().zip(&self.origin).map(|(s, o)| s * o).sum();
        (fit.slopes.clone(), self.options.intercept.then_some(fit.level - moved))
    }

    /// What no coefficients undercut, or why that is not known.
    fn bound(&self, objective: f64) -> Result<f64, NoBound> {
        let Some((verdict, _)) = &self.verdict else {
            let failed = NoBound::Failed { objective, bound: f64::NAN };
            return Err(if self.asked.is_some() { NoBound::Interrupted } else { failed });
        };
        let (value, rounding) = (self.in_units(verdict.bound), self.in_units(verdict.rounding));
        if value.is_nan() || value > objective + 4.0 * rounding + 1e-12 * objective {
            return Err(NoBound::Failed { objective, bound: value });
        }
        Ok(value.min(objective))
    }

    /// Whether the gap of the best fit is within the tolerance.
    fn is_proven(&self) -> bool {
        let (Some((_, loss)), Some((verdict, _))) = (&self.best, &self.verdict) else { return false };
        let tolerance = self.options.tolerance.max(SMALLEST_GAP);
        let objective = self.in_units(*loss);
        let allowed = tolerance * objective + 4.0 * self.in_units(verdict.rounding);
        self.bound(objective).is_ok_and(|bound| objective - bound <= allowed)
    }

    /// The regression: proven where nothing was left to ask, else the best fit that a pass has judged.
    ///
    /// # Errors
    /// [`Error::Interrupted`] when no pass has judged a fit yet.
    pub fn finish(self) -> Result<RegressionByPasses, Error> {
        let Some((rows, checksum)) = self.known else { return Err(Error::Interrupted) };
        if let Some(mut fit) = self.in_memory {
            (fit.report.route, fit.report.seconds) = (Route::Passes, Seconds::since(self.start));
            let all = fit.coefficients.iter().copied().chain(self.options.intercept.then_some(fit.intercept));
            let ranges = all.map(|c| [c, c]).collect();
            return Ok(RegressionByPasses { fit, ranges, passes: self.records, rows, checksum });
        }
        let Some((fit, loss)) = &self.best else { return Err(Error::Interrupted) };
        let (coefficients, intercept) = self.as_given(fit);
        let objective = self.in_units(*loss);
        let (bound, proven) = (self.bound(objective), self.is_proven());
        let outcome = match (self.ending, self.asked.is_some()) {
            _ if proven => Outcome::Converged,
            (Ending::Finished, _) | (_, false) => Outcome::Limit,
            _ => Outcome::Interrupted,
        };
        let (status, ending) = outcome.parts();
        // Without a vertex, or a proof, others that are as good are not known.
        let known = self.verdict.as_ref().filter(|v| proven && !v.1.is_empty());
        let ranges = known.map_or_else(|| self.points(fit), |v| v.1.clone());
        let fit = Regression {
            coefficients,
            intercept: intercept.unwrap_or(0.0),
            objective,
            lower_bound: bound.as_ref().ok().copied(),
            no_bound: bound.err(),
            status,
            report: Report {
                ending,
                route: Route::Passes,
                iterations: self.iterations,
                seconds: Seconds::since(self.start),
                rows_used: self.rows_used,
                rows_scored: 0,
                rank: self.rank,
            },
        };
        Ok(RegressionByPasses { fit, ranges, passes: self.records, rows, checksum })
    }
}

/// Residual, in units of the spread, that is no more than rounding may make of zero.
fn tied_within(band: &Band, rounding: f64) -> f64 {
    16.0 * rounding / band.rows as f64 / band.floor()
}

/// Thresholds of a band twice as wide.
fn wider(band: &Band) -> [f64; 2] {
    band.thresholds.map(|t| if t < 0.5 * f64::MAX { 2.0 * t } else { t })
}

/// Gap, relative to the objective, that counts as converged whatever smaller tolerance was asked for.
const SMALLEST_GAP: f64 = 1e-9;
