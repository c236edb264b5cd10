//! Heredity pursuit: spectra in which an interaction has a parent, from few evaluations at random points (row WHT-11).
//!
//! Orthogonal matching pursuit over a set of candidates that grows: the constant and single variables at first, and when
//! `k` enters, all `k` with one variable more. It replaces the 174,437 interactions of up to 5 of 30 variables by some
//! hundreds. How many terms to keep, and how much to shrink them, is decided on samples held out from the pursuit; then
//! everything is fitted to all samples.
//!
//! Floor: every step looks at every candidate at every sample, `candidates·M/8` table look-ups.
use std::collections::HashSet;

use foldhash::fast::FixedState;
use samplewise_linalg::observe::Watch;
use samplewise_linalg::{Observer, Progress};

use crate::decode::lists::{count_up_to_degree, for_each_up_to_degree};
use crate::field::bits::Bits;
use crate::verdict::refit::{self, Errors};

/// Settings of a pursuit.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Number of variables.
    pub variables: usize,
    /// Most variables of an interaction.
    pub max_degree: usize,
    /// Number of coefficients at most.
    pub most: usize,
    /// Standard deviation of rounding of one sample: a residual below it is zero.
    pub rounding: f64,
}

/// What the pursuit found.
#[derive(Clone, Debug, PartialEq)]
pub struct Pursued<I = u64> {
    /// `(index, value)`, index ascending.
    pub coefficients: Vec<(I, f64)>,
    /// Standard errors, in the same order.
    pub std_errors: Vec<f64>,
    /// Residual variance per sample.
    pub variance: f64,
    /// Ridge of the last fit, as a multiple of the number of samples.
    pub ridge: f64,
    /// Interactions that were candidates.
    pub candidates: usize,
    /// False when the held-out samples called for all interactions of low degree instead of those with parents.
    pub hereditary: bool,
    /// The observer ended it.
    pub stopped: bool,
}

/// Share of the samples held out. *Measured* in the design: worth a tenth of R² when the terms are not far fewer than the
/// samples.
const HELD_OUT: f64 = 0.15;
/// Below this many samples nothing is held out.
const LEAST_TO_HOLD_OUT: usize = 40;
/// Most candidates when heredity is given up.
const MOST_WITHOUT_PARENTS: u128 = 20_000;
/// Held-out R² below which heredity is doubted.
const DOUBTFUL: f64 = 0.9;
/// Ridges tried, as multiples of the number of samples; less is kept in the last fit, which has more samples.
const RIDGES: [f64; 5] = [0.0, 0.01, 0.03, 0.1, 0.3];
pub(crate) const RIDGE_KEPT: f64 = 0.8;

/// Finds the coefficients of `values` at `points`.
///
/// Row WHT-11 of `paper-refs.md`.
pub fn pursue<I: Bits>(points: &[I], values: &[f64], setting: Setting, observer: &mut dyn Observer) -> Pursued<I> {
    let watch = &mut Watch::new(observer);
    let held = if points.len() < LEAST_TO_HOLD_OUT { 0 } else { (HELD_OUT * points.len() as f64).round() as usize };
    let training = points.len() - held;
    let data = Data { points, values, training };
    let seeds: Vec<I> = std::iter::once(I::zero()).chain((0..setting.variables).map(I::unit)).collect();
    let mut hereditary = true;
    let mut best = Path::follow(&data, seeds.clone(), true, setting, watch);
    if held > 0 && !best.stopped && best.held_out_r2 < DOUBTFUL {
        let degree = (1..=setting.max_degree)
            .rev()
            .find(|&d| count_up_to_degree(setting.variables, d) <= MOST_WITHOUT_PARENTS)
            .unwrap_or(1);
        let mut all: Vec<I> = Vec::new();
        let nothing = vec![(0, 0); setting.variables];
        for_each_up_to_degree(&nothing, setting.variables, degree, |k, _, _| all.push(k));
        let other = Path::follow(&data, all, false, setting, watch);
        // Twice as many chances to be lucky: the challenger has to win clearly.
        if 1.0 - other.held_out_r2 < 0.8 * (1.0 - best.held_out_r2) {
            hereditary = false;
            best = other;
        }
    }
    let (mut support, ridge) = best.choose(&data, watch);
    if best.inexact && !watch.stopped() {
        // Something will be left whatever is kept: then the samples that were held out may choose terms as well.
        let all = Data { points, values, training: points.len() };
        let most = ((support.len() as f64 * points.len() as f64 / training as f64) as usize).min(setting.most);
        let again = Setting { most, ..setting };
        let seeds = if hereditary { seeds } else { best.entered };
        let again = Path::follow(&all, seeds, hereditary, again, watch);
        // Stopped half-way it is worth less than what was there before.
        if !again.stopped {
            support = again.entered;
        }
    }
    let total = ridge * points.len() as f64 * RIDGE_KEPT;
    // The terms entered in order of worth: where all of them cannot be fitted, or not before the call has to end, the first
    // half may.
    let fit = loop {
        match refit::least_squares(points, values, &support, total, Errors::Model, watch) {
            None if support.len() > 1 => support.truncate(support.len() / 2),
            fit => break fit,
        }
    };
    let variance = fit.as_ref().map_or(0.0, |fit| fit.variance);
    let mut found: Vec<((I, f64), f64)> =
        fit.map_or_else(Vec::new, |fit| support.iter().copied().zip(fit.values).zip(fit.std_errors).collect());
    found.retain(|f| f.0.1.abs() > setting.rounding);
    found.sort_by_key(|f| f.0.0);
    let (coefficients, std_errors) = found.into_iter().unzip();
    let stopped = watch.stopped();
    Pursued { coefficients, std_errors, variance, ridge, candidates: best.candidates, hereditary, stopped }
}

struct Data<'a, I> {
    points: &'a [I],
    values: &'a [f64],
    /// The first so many are for training, the others are held out.
    training: usize,
}

/// The order in which terms entered, and how well the first few of them predict what was held out.
struct Path<I> {
    entered: Vec<I>,
    /// Held-out mean square after each entry; training mean square when nothing is held out.
    errors: Vec<f64>,
    held_out_r2: f64,
    candidates: usize,
    /// The training samples are not explained to the last digit.
    inexact: bool,
    stopped: bool,
}

struct Candidates<I> {
    indices: Vec<I>,
    columns: Vec<u64>,
    words: usize,
    known: HashSet<I, FixedState>,
    taken: Vec<bool>,
}

impl<I: Bits> Candidates<I> {
    fn add(&mut self, k: I, column: impl Iterator<Item = u64>) {
        if self.known.insert(k) {
            self.indices.push(k);
            self.columns.extend(column);
            self.taken.push(false);
        }
    }

    fn column(&self, at: usize) -> &[u64] {
        &self.columns[at * self.words..(at + 1) * self.words]
    }
}

/// An interaction of more variables must explain more: *taken* from the design's measurements.
fn preference(degree: usize) -> f64 {
    if degree <= 2 { 1.0 } else { (1.0 - 0.04 * (degree - 2) as f64).max(0.7) }
}

impl<I: Bits> Path<I> {
    fn follow(data: &Data<'_, I>, seeds: Vec<I>, grow: bool, setting: Setting, observer: &mut dyn Observer) -> Self {
        let rows = data.points.len();
        let (training, held) = (data.training, rows - data.training);
        let words = training.div_ceil(64);
        let train_points = &data.points[..training];
        let mut pool = Candidates {
            indices: Vec::new(),
            columns: Vec::new(),
            words,
            known: HashSet::default(),
            taken: Vec::new(),
        };
        let by_variable = refit::Columns::new(train_points, setting.variables);
        for k in seeds {
            pool.add(k, by_variable.of(k).into_iter());
        }
        let singles: Vec<Vec<u64>> = (0..setting.variables).map(|i| by_variable.of(I::unit(i))).collect();
        let mean = data.values.iter().sum::<f64>() / rows as f64;
        let spread = |part: &[f64]| part.iter().map(|v| (v - mean).powi(2)).sum::<f64>().max(f64::MIN_POSITIVE);
        let most = setting.most.min((0.6 * training as f64) as usize).max(1);
        let mut residual = data.values.to_vec();
        // Orthonormal on the training part, continued to the held-out part.
        let mut basis: Vec<Vec<f64>> = Vec::new();
        let mut out = Self {
            entered: Vec::new(),
            errors: Vec::new(),
            held_out_r2: 0.0,
            candidates: 0,
            inexact: true,
            stopped: false,
        };
        let (mut best, mut best_at) = (f64::INFINITY, 0);
        let zero = setting.rounding * setting.rounding * training as f64;
        while out.entered.len() < most {
            let squares: f64 = residual[..training].iter().map(|r| r * r).sum();
            if squares <= zero {
                out.inexact = false;
                break;
            }
            if out.entered.len() > 2 * best_at + 20 {
                break;
            }
            let step = out.entered.len();
            let value = Some((squares / training as f64).sqrt());
            if observer.step(Progress { stage: "heredity pursuit", step, total: Some(most), value }).is_break() {
                out.stopped = true;
                break;
            }
            let Some(at) = pool.strongest(&residual[..training]) else { break };
            pool.taken[at] = true;
            let k = pool.indices[at];
            let mut q: Vec<f64> = data.points.iter().map(|m| if m.parity(k) { -1.0 } else { 1.0 }).collect();
            for _ in 0..2 {
                for b in &basis {
                    let share = dot(&q[..training], &b[..training]);
                    q.iter_mut().zip(b).for_each(|(q, b)| *q -= share * b);
                }
            }
            let norm = dot(&q[..training], &q[..training]).sqrt();
            if norm < 1e-3 * (training as f64).sqrt() {
                continue;
            }
            q.iter_mut().for_each(|q| *q /= norm);
            let share = dot(&q[..training], &residual[..training]);
            residual.iter_mut().zip(&q).for_each(|(r, q)| *r -= share * q);
            basis.push(q);
            out.entered.push(k);
            let part = if held > 0 { &residual[training..] } else { &residual[..] };
            let error = part.iter().map(|r| r * r).sum::<f64>() / part.len() as f64;
            out.errors.push(error);
            if error < best * 0.999 {
                (best, best_at) = (error, out.errors.len());
            }
            if grow && k.weight() < setting.max_degree {
                let column = pool.column(at).to_vec();
                for (i, single) in singles.iter().enumerate().filter(|s| !k.bit(s.0)) {
                    pool.add(k | I::unit(i), column.iter().zip(single).map(|(a, b)| a ^ b));
                }
            }
        }
        if held > 0 {
            out.held_out_r2 = 1.0 - best.min(f64::MAX) * held as f64 / spread(&data.values[training..]);
        }
        out.candidates = pool.indices.len();
        out
    }

    /// The support and the ridge that predict best what was held out.
    fn choose(&self, data: &Data<'_, I>, watch: &mut Watch<'_>) -> (Vec<I>, f64) {
        let Some(first) = self.errors.iter().copied().reduce(f64::min) else { return (Vec::new(), 0.0) };
        // The shortest path that is as good as the best up to a thousandth.
        let size = 1 + self.errors.iter().position(|&e| e <= first * 1.001).unwrap_or(0);
        let mut chosen = (self.errors[size - 1], size, 0.0);
        if data.training < data.points.len() && first > 0.0 {
            let (train, train_values) = (&data.points[..data.training], &data.values[..data.training]);
            let total: f64 = data.values[data.training..].iter().map(|v| v * v).sum();
            let held = (data.points.len() - data.training) as f64;
            // Shrinking pays where noise or many small terms are left.
            if self.errors[size - 1] * held > 1e-12 * total {
                let mut sizes = vec![size, size * 3 / 2, 2 * size, self.entered.len()];
                sizes.retain(|&s| s <= self.entered.len());
                sizes.dedup();
                for s in sizes {
                    for ridge in RIDGES {
                        let support = &self.entered[..s];
                        let progress = Progress { stage: "size and ridge", step: s, total: None, value: None };
                        if watch.stops(progress) {
                            return (self.entered[..chosen.1].to_vec(), chosen.2);
                        }
                        let strength = ridge * data.training as f64;
                        let fit = refit::least_squares(train, train_values, support, strength, Errors::Model, watch);
                        let Some(fit) = fit else {
                            continue;
                        };
                        let spectrum: Vec<(I, f64)> = support.iter().copied().zip(fit.values).collect();
                        let error = data.points[data.training..]
                            .iter()
                            .zip(&data.values[data.training..])
                            .map(|(&m, v)| (v - crate::dense::evaluate(&spectrum, m)).powi(2))
                            .sum::<f64>()
                            / held;
                        if error < 0.99 * chosen.0 {
                            chosen = (error, s, ridge);
                        }
                    }
                }
            }
        }
        (self.entered[..chosen.1].to_vec(), chosen.2)
    }
}

impl<I: Bits> Candidates<I> {
    /// The candidate outside the support that explains most of the residual; ties go to the one that came first.
    fn strongest(&self, residual: &[f64]) -> Option<usize> {
        let sums = Sums::new(residual);
        let mut best: Option<(f32, usize)> = None;
        for at in (0..self.indices.len()).filter(|&at| !self.taken[at]) {
            let score = sums.product(self.column(at)).abs() * preference(self.indices[at].weight()) as f32;
            if best.is_none_or(|b| score > b.0) {
                best = Some((score, at));
            }
        }
        best.map(|b| b.1)
    }
}

/// Products of bit columns with one vector, in `f32`: they choose, they are not results.
struct Sums {
    tables: Vec<[f32; 256]>,
    total: f32,
}

impl Sums {
    fn new(values: &[f64]) -> Self {
        // In units of the largest, so that a small residual does not vanish.
        let scale = values.iter().fold(f64::MIN_POSITIVE, |m, v| m.max(v.abs()));
        let table = |part: &[f64]| {
            let mut table = [0.0; 256];
            for (bit, v) in part.iter().enumerate() {
                let (known, new) = table.split_at_mut(1 << bit);
                new.iter_mut().zip(known).for_each(|(n, k)| *n = *k + (v / scale) as f32);
            }
            table
        };
        Self {
            tables: values.chunks(8).map(table).collect(),
            total: values.iter().map(|v| v / scale).sum::<f64>() as f32,
        }
    }

    #[inline]
    fn product(&self, column: &[u64]) -> f32 {
        let mut sums = [0.0; 8];
        for (&word, tables) in column.iter().zip(self.tables.chunks(8)) {
            if let [a, b, c, d, e, f, g, h] = tables {
                for (i, table) in [a, b, c, d, e, f, g, h].into_iter().enumerate() {
                    sums[i] += table[(word >> (8 * i) & 255) as usize];
                }
            } else {
                for (i, table) in tables.iter().enumerate() {
                    sums[i] += table[(word >> (8 * i) & 255) as usize];
                }
            }
        }
        let [a, b, c, d, e, f, g, h] = sums;
        self.total - 2.0 * (((a + b) + (c + d)) + ((e + f) + (g + h)))
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    samplewise_linalg::sums::dot(a, b)
}
