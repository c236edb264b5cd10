//! The driver: checks and units, the pursuit that may explain everything, else a mixture of experts.
use std::sync::Arc;
use std::time::Instant;

use samplewise_linalg::observe::Watch;
use samplewise_linalg::random::Streams;
use samplewise_linalg::scale::ldexp;
use samplewise_linalg::{Ending, Observer, Seconds};

use super::answer::{Kind, Status};
use super::evidence::NoiseVariance;
use super::expert::Terms;
use super::mixture::Mixture;
use super::options::{Options, check};
use super::pursuit::{self, Pursued};
use super::table::{Layout, Table, count_distinct};
use crate::Error;
use crate::options::Noise;
use crate::verdict::units::{Units, check_finite, range_of};

/// What is fitted: points as rows of codes, and their values in moderate units.
pub(super) struct Task<'a> {
    pub layout: Arc<Layout>,
    pub codes: &'a [u8],
    pub values: &'a [f64],
    pub options: &'a Options,
    pub rounding: f64,
    pub spread: f64,
    pub noise: NoiseSetting,
}

/// The noise as told, in moderate units.
#[derive(Clone, Copy, Debug)]
pub(super) enum NoiseSetting {
    Free,
    Std(f64),
}

/// Standard deviation of the noise in units of the spread of the values, at most: more says no more than that they are noise.
const MOST_NOISE: f64 = 1e6;
/// Name of the streams of the pursuit; that of the folds is 0.
const PURSUIT: u64 = 1;

/// Fits a mixture. Codes are within their levels; values that were freed of a constant before are less exact than their size
/// says: by `least_rounding`, else 0.
///
/// Rows GP-8 and GP-10 of `paper-refs.md`.
pub(crate) fn fit(
    levels: &[usize],
    codes: &[u8],
    values: &[f64],
    options: &Options,
    least_rounding: f64,
    observer: &mut dyn Observer,
) -> Result<Mixture, Error> {
    let start = Instant::now();
    let n = levels.len();
    check(options, values.len())?;
    check_finite(values)?;
    if values.len() < 3 {
        return Err(Error::count("values.len()", values.len(), "at least 3"));
    }
    let units = Units::of(values);
    let moderate = units.apply(values);
    let (low, high) = range_of(&moderate);
    let noise = match options.noise {
        Noise::None => NoiseSetting::Std(0.0),
        Noise::Std(std) => NoiseSetting::Std(ldexp(std, -units.exponent())),
        Noise::Unknown => NoiseSetting::Free,
    };
    let layout = Arc::new(Layout::new(levels));
    let spread = high - low;
    let rounding = units.rounding.max(ldexp(least_rounding, -units.exponent()));
    let task = Task { layout: Arc::clone(&layout), codes, values: &moderate, options, rounding, spread, noise };
    let distinct = task.distinct();
    if distinct > options.max_points {
        let (count, most) = (distinct as u128, options.max_points as u128);
        return Err(Error::TooLarge { what: "distinct points", count, most });
    }
    let mut watch = Watch::new(observer);
    let mut mixture = if spread <= 2.0 * rounding {
        let terms = Terms::constant(0.5 * low + 0.5 * high, 0.0);
        Mixture::of_terms(&task, terms, Kind::Constant, Status::Constant)
    } else {
        task.run(&mut watch)?
    };
    mixture.exponent = units.exponent();
    mixture.shift = units.shift();
    mixture.report.merged = values.len() - distinct;
    let first = &codes[..n];
    let varies = |i: usize| codes.chunks_exact(n).any(|p| p[i] != first[i]);
    mixture.report.constant_variables = (0..n).filter(|&i| !varies(i)).collect();
    mixture.report.noise_std = ldexp(mixture.report.noise_std, units.exponent()).min(f64::MAX);
    if let Noise::Std(told) = options.noise {
        mixture.report.noise_std = told;
    }
    if watch.stopped() {
        mixture.report.ending = Ending::Interrupted;
    }
    mixture.report.seconds = Seconds::since(start);
    Ok(mixture)
}

impl<'a> Task<'a> {
    /// Of two levels everywhere, for values that were divided by this power of two already; the noise of the options was not.
    pub(super) fn of_bits(n: usize, codes: &'a [u8], values: &'a [f64], exponent: i32, options: &'a Options) -> Self {
        let (low, high) = range_of(values);
        let rounding = f64::EPSILON * low.abs().max(high.abs());
        let noise = match options.noise {
            Noise::None => NoiseSetting::Std(0.0),
            Noise::Std(std) => NoiseSetting::Std(ldexp(std, -exponent)),
            Noise::Unknown => NoiseSetting::Free,
        };
        let layout = Arc::new(Layout::new(&vec![2; n]));
        Self { layout, codes, values, options, rounding, spread: high - low, noise }
    }
}

impl Task<'_> {
    pub(super) fn positions(&self) -> usize {
        self.layout.positions()
    }

    pub(super) fn two_levels(&self) -> bool {
        self.layout.levels.iter().all(|&a| a <= 2)
    }

    pub(super) fn distinct(&self) -> usize {
        count_distinct(self.codes, self.positions())
    }

    pub(super) fn select(&self, rows: &[usize]) -> (Vec<u8>, Vec<f64>) {
        let n = self.positions();
        let codes = rows.iter().flat_map(|&j| &self.codes[j * n..(j + 1) * n]).copied().collect();
        (codes, rows.iter().map(|&j| self.values[j]).collect())
    }

    pub(super) fn table(&self, rows: &[usize]) -> Arc<Table> {
        let (codes, values) = self.select(rows);
        Arc::new(Table::new(&self.layout, &codes, &values))
    }

    /// [`Task::table`] in units that are given.
    pub(super) fn table_in(&self, rows: &[usize], units: (f64, f64)) -> Arc<Table> {
        let (codes, values) = self.select(rows);
        Arc::new(Table::in_units(&self.layout, &codes, &values, units))
    }

    pub(super) fn noise_of(&self, table: &Table) -> NoiseVariance {
        match self.noise {
            NoiseSetting::Free => NoiseVariance::Free,
            NoiseSetting::Std(std) => NoiseVariance::Fixed((std / table.scale).min(MOST_NOISE).powi(2)),
        }
    }

    /// Distinct points of some rows with the means of their values, in the order of their first appearance.
    pub(super) fn merged(&self, codes: &[u8], values: &[f64]) -> (Vec<u8>, Vec<f64>) {
        let table = Table::in_units(&self.layout, codes, values, (0.0, 1.0));
        (table.codes, table.values)
    }

    pub(super) fn pursue(&self, codes: &[u8], values: &[f64], stream: u64, watch: &mut Watch<'_>) -> Option<Pursued> {
        let mut rng = Streams::new(self.options.seed).child(PURSUIT).stream(stream);
        // A point that was told several times is one point: its repeats are no evidence of their own.
        let (codes, values) = &self.merged(codes, values);
        pursuit::pursue((codes, self.positions()), values, 1e-12 * self.spread + self.rounding, &mut rng, watch)
    }

    fn run(&self, watch: &mut Watch<'_>) -> Result<Mixture, Error> {
        let mut pursued = None;
        if self.options.pursuit && self.two_levels() {
            pursued = self.pursue(self.codes, self.values, 0, watch);
            if let Some(found) = pursued.as_ref().filter(|found| self.explains(found)) {
                return Ok(self.explained(found.terms.clone()));
            }
        }
        let fitted = if watch.stopped() {
            None
        } else if self.distinct() <= self.options.evidence_points + self.options.evidence_points / 4 {
            self.all_in_folds(pursued.as_ref(), watch)
        } else {
            self.beyond_the_evidence(pursued.as_ref(), watch)
        };
        match (fitted, pursued) {
            (Some(mixture), _) => Ok(mixture),
            // Stopped before a process was there: the pursuit is what is left.
            (None, Some(found)) => Ok(Mixture::of_terms(self, found.terms, Kind::Pursuit, Status::Unjudged)),
            (None, None) => Err(Error::Interrupted),
        }
    }

    /// Whether the pursuit explains every value, repeats included.
    fn explains(&self, found: &Pursued) -> bool {
        let near = pursuit::AGREES * self.spread + 4.0 * self.rounding;
        let predicted = found.terms.predict(self.codes, self.positions()).0;
        let (codes, values) = self.merged(self.codes, self.values);
        predicted.iter().zip(self.values).all(|(p, v)| (p - v).abs() <= near)
            && pursuit::explains(found, (&codes, self.positions()), &values, self.spread, self.rounding)
    }

    pub(super) fn explained(&self, mut terms: Terms) -> Mixture {
        // What is left is rounding.
        let left = terms.predict(self.codes, self.positions()).0.into_iter().zip(self.values);
        let largest = left.map(|(p, v)| (p - v).abs()).fold(self.rounding, f64::max);
        terms.residual = largest * largest;
        let status = Status::Explained { terms: terms.sets.len() };
        Mixture::of_terms(self, terms, Kind::Pursuit, status)
    }

    /// Whether a pursuit without some values explains them all the same: then it is the answer, fitted to all values.
    pub(super) fn snaps(
        &self,
        found: &Pursued,
        (codes, values): (&[u8], &[f64]),
        watch: &mut Watch<'_>,
    ) -> Option<Terms> {
        let n = self.positions();
        let predicted = found.terms.predict(codes, n).0;
        let near = pursuit::AGREES * self.spread + 4.0 * self.rounding;
        let (low, high) = range_of(values);
        let agree = predicted.iter().zip(values).all(|(p, v)| (p - v).abs() <= near);
        if !agree || high - low <= near || 2 * found.terms.sets.len() > self.values.len() {
            return None;
        }
        let terms = pursuit::refit(&found.terms.sets, (self.codes, n), self.values, watch)?;
        let again = Pursued { terms, candidates: found.candidates };
        self.explains(&again).then_some(again.terms)
    }
}
