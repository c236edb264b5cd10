//! Many rows, few columns: the Gram matrix of all columns, the homotopy on it, and cross-validation that forms no other.
//!
//! Floor: `n·p²/2` multiplications for the Gram matrix; the path on it costs about a tenth of that. Moments of a fold are
//! subtracted from those of all rows, and the error of a fold is a quadratic form in its own moments, so that
//! cross-validation reads the table twice, whatever the number of folds and of λ. Correlations come from the Gram matrix,
//! so certificates are as exact as its entries: about 1e-15 of the null objective.
use rayon::prelude::*;
use samplewise_linalg::observe::{Progress, Watch};
use samplewise_linalg::{rows_times_rows, sums};

use crate::answer::{Outcome, Route};
use crate::certificate::Certificate;
use crate::kernel::{BATCH, multiply};
use crate::lars::walk::{End, Source, Workspace};
use crate::problem::dense::Dense;
use crate::problem::{Kind, Problem};
use crate::working_set::lambda_path::Fit;

/// Columns up to which the Gram matrix of all is formed.
const MOST_COLUMNS: usize = 5_000;

/// Whether a problem is of this kind: dense, more rows than columns, Lasso with sign constraints at most.
pub(crate) fn suits(problem: &Problem<'_>) -> bool {
    matches!(problem.columns, Kind::Dense(_))
        && problem.plain
        && problem.free.is_empty()
        && problem.absolute.iter().all(|a| *a > 0.0)
        && problem.p <= MOST_COLUMNS
}

/// Numbers of a stretch of rows of all columns: 16 MB.
const STRETCH: usize = 1 << 21;

/// The Gram matrix of columns that are not stored as they are read: stretch after stretch of their rows, cut where the product
/// of whole columns is cut too, so that the bits are the same.
fn gram_in_stretches(x: &Dense<'_>, (p, n): (usize, usize), gram: &mut [f64], watch: &mut Watch<'_>) -> Option<()> {
    let length = (STRETCH / p).max(1).next_multiple_of(rows_times_rows::PIECE).min(n);
    let mut stretch = vec![0.0; p * length];
    for from in (0..n).step_by(length) {
        if watch.stopped() {
            return None;
        }
        let mut look = |share: f64| {
            let value = Some((from as f64 + share * length.min(n - from) as f64) / n as f64);
            watch.ticks(|| Progress { stage: "Gram matrix", step: p, total: Some(p), value });
        };
        let here = length.min(n - from);
        let rows = &mut stretch[..p * here];
        rows.par_chunks_mut(here).enumerate().for_each(|(j, out)| x.copy_part(j, from, out));
        rows_times_rows::add_rows_gram_watched(rows, here, gram, p, from == 0, &mut look).ok()?;
    }
    rows_times_rows::mirror(gram, p, 0, p);
    Some(())
}

/// Second moments of some rows: `Σ z zᵀ`, `Σ z t`, `Σ t²`, `Σ q z`, `Σ q t`, `Σ q²`, of columns scaled by one factor each.
#[derive(Clone)]
pub(crate) struct Moments {
    pub p: usize,
    gram: Vec<f64>,
    right: Vec<f64>,
    square: f64,
    sums: Vec<f64>,
    sum: f64,
    pub weight: f64,
}

impl Moments {
    /// Of rows `rows` (all without a list) of a dense problem; none when the observer stops it.
    pub fn new(problem: &Problem<'_>, rows: Option<&[usize]>, watch: &mut Watch<'_>) -> Option<Self> {
        let Kind::Dense(x) = &problem.columns else { return None };
        let p = problem.p;
        let picked;
        let (x, t, q): (&Dense<'_>, Vec<f64>, Vec<f64>) = match rows {
            None => (x, problem.target.clone(), problem.roots()),
            Some(rows) => {
                picked = x.select_rows(p, rows);
                let (roots, pick) = (problem.roots(), |v: &[f64]| rows.iter().map(|&i| v[i]).collect::<Vec<f64>>());
                (&picked, pick(&problem.target), pick(&roots))
            }
        };
        let n = t.len();
        if n == 0 {
            return None;
        }
        let mut gram = vec![0.0; p * p];
        if let Some(table) = x.as_stored() {
            let mut look = |share: f64| {
                watch.ticks(|| Progress { stage: "Gram matrix", step: p, total: Some(p), value: Some(share) });
            };
            rows_times_rows::rows_gram_watched(table, n, &mut gram, p, &mut look).ok()?;
        } else {
            gram_in_stretches(x, (p, n), &mut gram, watch)?;
        }
        if watch.stopped() {
            return None;
        }
        let scale = &problem.inverse;
        for (i, row) in gram.chunks_exact_mut(p).enumerate() {
            row.iter_mut().zip(scale).for_each(|(g, s)| *g *= scale[i] * s);
        }
        let with = |v: &[f64]| (0..p).map(|j| x.dot(j, v) * scale[j]).collect::<Vec<f64>>();
        Some(Self {
            p,
            gram,
            right: with(&t),
            square: sums::dot(&t, &t),
            sums: with(&q),
            sum: sums::dot(&q, &t),
            weight: sums::dot(&q, &q),
        })
    }

    /// Adds those of other rows.
    pub fn add(&mut self, other: &Moments) {
        sums::axpy(1.0, &other.gram, &mut self.gram);
        sums::axpy(1.0, &other.right, &mut self.right);
        sums::axpy(1.0, &other.sums, &mut self.sums);
        self.square += other.square;
        self.sum += other.sum;
        self.weight += other.weight;
    }

    /// Of the rows that are not in `part`.
    pub fn without(&self, part: &Moments) -> Self {
        let minus = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<f64>>();
        Self {
            p: self.p,
            gram: minus(&self.gram, &part.gram),
            right: minus(&self.right, &part.right),
            square: self.square - part.square,
            sums: minus(&self.sums, &part.sums),
            sum: self.sum - part.sum,
            weight: self.weight - part.weight,
        }
    }

    /// `Σ (t − zᵀw − b q)²` and `Σ q²`.
    pub fn squared_error(&self, w: &[(usize, f64)], intercept: f64) -> (f64, f64) {
        let mut quadratic = 0.0;
        for &(i, a) in w {
            let row = &self.gram[i * self.p..(i + 1) * self.p];
            quadratic += a * w.iter().map(|&(j, b)| row[j] * b).sum::<f64>();
        }
        let linear: f64 = w.iter().map(|&(j, w)| w * (self.right[j] - intercept * self.sums[j])).sum();
        let error =
            self.square - 2.0 * linear + quadratic - 2.0 * intercept * self.sum + intercept * intercept * self.weight;
        (if error.is_nan() { f64::INFINITY } else { error.max(0.0) }, self.weight)
    }

    /// The problem of these rows: `G/n`, `c`, `tᵀt/n`, centred anew and scaled to a diagonal of one.
    pub fn normalise(mut self, centred: bool) -> Normal {
        let (p, n) = (self.p, self.weight);
        let means: Vec<f64> = self.sums.iter().map(|s| if centred { s / n } else { 0.0 }).collect();
        let mean = if centred { self.sum / n } else { 0.0 };
        let mut factor = vec![0.0; p];
        for j in 0..p {
            let whole = self.gram[j * p + j] / n;
            let v = whole - means[j] * means[j];
            factor[j] = if v > 1e-14 * whole { 1.0 / v.sqrt() } else { 0.0 };
        }
        for (i, row) in self.gram.chunks_exact_mut(p).enumerate() {
            for ((g, m), f) in row.iter_mut().zip(&means).zip(&factor) {
                *g = (*g / n - means[i] * m) * factor[i] * f;
            }
        }
        let c = (0..p).map(|j| (self.right[j] / n - means[j] * mean) * factor[j]).collect();
        Normal { p, gram: self.gram, c, square: self.square / n - mean * mean, factor, means, mean }
    }
}

/// See [`Moments::normalise`].
pub(crate) struct Normal {
    p: usize,
    gram: Vec<f64>,
    c: Vec<f64>,
    square: f64,
    /// Coefficients times this are those of the columns the moments were of.
    pub factor: Vec<f64>,
    means: Vec<f64>,
    mean: f64,
}

impl Source for Normal {
    fn len(&self) -> usize {
        self.p
    }

    fn gram(&self, i: usize, j: usize) -> f64 {
        self.gram[i * self.p + j]
    }

    fn respond(&self, active: &[usize], d: &[f64], _: &mut Vec<f64>, out: &mut [f64]) {
        samplewise_linalg::dispatch::widest(
            #[inline(always)]
            || {
                out.fill(0.0);
                let row = |i: usize| &self.gram[active[i] * self.p..][..self.p];
                let whole = active.len() - active.len() % 4;
                for i in (0..whole).step_by(4) {
                    let rows = row(i).iter().zip(row(i + 1)).zip(row(i + 2)).zip(row(i + 3));
                    for (o, (((a, b), c), e)) in out.iter_mut().zip(rows) {
                        *o += (d[i] * a + d[i + 1] * b) + (d[i + 2] * c + d[i + 3] * e);
                    }
                }
                for i in whole..active.len() {
                    out.iter_mut().zip(row(i)).for_each(|(o, g)| *o += d[i] * g);
                }
            },
        );
    }
}

impl Normal {
    /// Intercept that goes with coefficients in the moments' columns.
    pub fn intercept(&self, w: &[(usize, f64)]) -> f64 {
        self.mean - w.iter().map(|&(j, w)| w * self.means[j]).sum::<f64>()
    }

    /// Coefficients (scaled to this problem) at each λ of the descending grid; `None` when the path got lost, or the observer ended
    /// it.
    ///
    /// Row LAS-5 of `paper-refs.md`.
    pub fn path(
        &self,
        problem: &Problem<'_>,
        lambdas: &[f64],
        standardized: bool,
        workspace: &mut Workspace,
        watch: &mut Watch<'_>,
    ) -> Option<Vec<Vec<(usize, f64)>>> {
        // A column's limit in this problem's scale; standardised, it is the same in every scale.
        let limit = |j: usize| {
            let f = self.factor[j];
            (f > 0.0 && problem.inverse[j] > 0.0).then(|| {
                (
                    problem.absolute[j] * if standardized { 1.0 } else { f },
                    problem.upper[j] > 0.0,
                    problem.lower[j] < 0.0,
                )
            })
        };
        workspace.start(self.c.iter().copied(), &limit);
        let mut out: Vec<Vec<(usize, f64)>> = Vec::with_capacity(lambdas.len());
        while out.len() < lambdas.len() && lambdas[out.len()] >= workspace.lambda {
            out.push(Vec::new());
        }
        let Some(&end) = lambdas.last().filter(|_| out.len() < lambdas.len()) else { return Some(out) };
        let ended = workspace.walk(self, end, &limit, |low, state| {
            while out.len() < lambdas.len() && lambdas[out.len()] >= low {
                out.push(state.at(lambdas[out.len()]).filter(|e| e.1 != 0.0).collect());
            }
            let (step, total) = (out.len(), Some(lambdas.len()));
            watch.ticks(|| Progress { stage: "exact path", step, total, value: Some(low) })
        });
        // Rounding of the last step may leave the last λ a hair below the segment.
        if ended == End::Reached && out.len() + 1 == lambdas.len() {
            out.push(workspace.at(workspace.lambda).filter(|e| e.1 != 0.0).collect());
        }
        (ended == End::Reached && out.len() == lambdas.len()).then_some(out)
    }

    /// Fits with certificates, for the moments of the problem's own rows.
    pub fn fits(
        &self,
        problem: &Problem<'_>,
        lambdas: &[f64],
        tolerance: f64,
        watch: &mut Watch<'_>,
    ) -> Option<Vec<Fit>> {
        let mut workspace = Workspace::new();
        // The problem's own scale is the one its penalty factors are for.
        let paths = self.path(problem, lambdas, false, &mut workspace, watch)?;
        let steps = workspace.steps.div_ceil(lambdas.len());
        let mut fits = Vec::with_capacity(lambdas.len());
        for (lambdas, paths) in lambdas.chunks(BATCH).zip(paths.chunks(BATCH)) {
            let weights: Vec<Vec<f64>> = paths
                .iter()
                .map(|w| {
                    let mut full = vec![0.0; self.p];
                    w.iter().for_each(|&(j, w)| full[j] = w);
                    full
                })
                .collect();
            let products = multiply(&self.gram, self.p, &weights);
            for (k, (&lambda, w)) in lambdas.iter().zip(paths).enumerate() {
                let c: Vec<f64> = products.iter().zip(&self.c).map(|(g, c)| c - g[k]).collect();
                let over: Vec<(usize, f64)> = (0..self.p)
                    .filter(|&j| self.factor[j] > 0.0)
                    .map(|j| (j, c[j] / self.factor[j]))
                    .filter(|&(j, c)| problem.reach(j, c) > lambda * problem.absolute[j])
                    .collect();
                let with = |c: &[f64]| w.iter().map(|&(j, w)| w * c[j]).sum::<f64>();
                let along = self.square - with(&self.c);
                let squares = (along - with(&c)).max(0.0);
                let w: Vec<(usize, f64)> = w.iter().map(|&(j, w)| (j, w * self.factor[j])).collect();
                let certificate = Certificate::new(problem, lambda, w.iter().copied(), (squares, along), &over);
                let status = if certificate.gap() <= tolerance { Outcome::Converged } else { Outcome::Limit };
                fits.push(Fit {
                    lambda,
                    w,
                    residual: Vec::new(),
                    certificate,
                    iterations: steps,
                    working_set: self.p,
                    columns_checked: self.p,
                    route: Route::Homotopy,
                    status,
                });
            }
        }
        Some(fits)
    }
}
