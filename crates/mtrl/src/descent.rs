//! How the loss of a representation is made small: a quasi-Newton method on `B` with the weights eliminated, and exchanges
//! of directions where it comes to rest.
//!
//! One evaluation forms `X_mᵀX_m B` once per task; from it come all weights exactly, the loss, and the gradient in `B`,
//! `2 Σ_m (X_mᵀX_m B w_m − X_mᵀy_m) w_mᵀ`. Floor: one pass over the data per evaluation. The L-BFGS directions start from
//! the gradient times `(Σ_m n_m w_m w_mᵀ)⁻¹`, the inverse of the Hessian when features are uncorrelated.
//!
//! The loss has other minima than the least, and valleys near bases of lower rank in which a descent comes to rest early.
//! Such an end is told by an exchange: one direction of the fit is given up for the leading direction of the moments
//! `X_mᵀ(y_m − X_m B w_m)` of what is left of the labels, the one of least weight first, and the descent goes on from
//! there. An exchange that returns to the end it came from is abandoned as soon as its slope promises less than what it
//! still lies above that end. In noise this costs a third more evaluations, without noise hardly any.
use rayon::prelude::*;
use samplewise_linalg::factor::{Cholesky, DenseSvd, dense_svd};
use samplewise_linalg::observe::{Observer, Progress};
use samplewise_linalg::{Ending, LinalgError, Matrix, sums};

use crate::Error;
use crate::options::FitOptions;
use crate::task::TaskData;

/// Pairs of the quasi-Newton method.
const MEMORY: usize = 8;
/// Tasks whose sums are added in order before they join the total.
const BLOCK: usize = 16;
/// Share of the squares of the labels below which a loss, a difference of sums, is rounding.
const ROUNDING: f64 = 1e-13;
/// Share of the loss by which an exchange must lower it, so that rounding is no reason for another.
const GAIN: f64 = 1e-6;
/// A rest is none where the moments of the features promise more than so many times the tolerance.
const MORE: f64 = 100.0;
/// Share of the loss that a step must promise so that its failure to lower it is no rest.
const STUCK: f64 = 1e-3;
/// Rows for each feature that the moments of tasks with fewer rows than features are taken of.
const SAMPLED: usize = 4;
/// Features up to which a rest is looked at in the metric of their moments, which are as many squared numbers.
const MOST_FEATURES: usize = 2_048;
/// An exchange that begins with more than so many times the loss it should lower is not followed: the direction given up
/// was needed. With 30 in its place two more of 600 fits with few rows end lower, and fits in noise take twice the time
/// (the test `fits_end_at_the_least_loss` with `SAMPLEWISE_TRUST_CASES=600` prints both).
const HOPELESS: f64 = 5.0;

/// The fit of tasks in common units.
pub(crate) struct Descent<'a> {
    tasks: &'a [TaskData],
    options: &'a FitOptions,
    observer: &'a mut dyn Observer,
    evaluations: usize,
    /// The least loss so far at which a descent came to rest.
    rested_at: Option<f64>,
    /// Moments of the features of all tasks, once they are needed.
    moments: Option<Moments>,
}

/// `Σ_m X_mᵀX_m` over the number of rows, as a metric of the features.
struct Moments {
    factor: Cholesky,
    /// Whether descents take it.
    used: bool,
}

impl<'a> Descent<'a> {
    pub(crate) fn new(tasks: &'a [TaskData], options: &'a FitOptions, observer: &'a mut dyn Observer) -> Self {
        Self { tasks, options, observer, evaluations: 0, rested_at: None, moments: None }
    }

    /// Evaluations of the loss so far.
    pub(crate) fn evaluations(&self) -> usize {
        self.evaluations
    }

    /// From a basis, whose vectors are rows, to rest, and on by exchanges while these lower the loss and evaluations are
    /// left. What an exchange cannot finish does not make the rest that was reached before it less than one.
    pub(crate) fn least_loss(&mut self, basis: Matrix) -> Result<(Evaluation, Ending), Error> {
        let start = self.evaluate(basis)?;
        let (mut best, mut ending) = self.descend(start)?;
        while ending == Ending::Finished && self.worth_more(&best) {
            // The same directions, orthonormal: the quasi-Newton metric is of use again where they had grown together.
            let turned = self.evaluate(directions_by_weight(&best)?)?;
            let (again, end) = self.descend(turned)?;
            let lower = |at: &Evaluation| at.loss < (1.0 - GAIN) * best.loss;
            let next =
                if lower(&again) || end != Ending::Finished { Some((again, end)) } else { self.exchange(&best)? };
            let Some((next, end)) = next else { break };
            // Evaluations that ran out on the way to nothing lower do not make less of the rest before.
            ending = if end == Ending::Limit && !lower(&next) { Ending::Finished } else { end };
            if next.loss < best.loss {
                best = next;
            }
        }
        Ok((best, ending))
    }

    fn evaluate(&mut self, basis: Matrix) -> Result<Evaluation, Error> {
        self.evaluations += 1;
        Ok(Evaluation::at(self.tasks, basis, self.options.ridge)?)
    }

    /// Whether there is a loss that is not rounding, and evaluations to lower it.
    fn worth_more(&self, at: &Evaluation) -> bool {
        at.loss > ROUNDING * self.square() && self.evaluations < self.options.max_iterations
    }

    /// Squares of all labels.
    fn square(&self) -> f64 {
        self.tasks.iter().map(TaskData::own_square).sum()
    }

    fn metric(&self) -> Option<&Cholesky> {
        self.moments.as_ref().filter(|m| m.used).map(|m| &m.factor)
    }

    /// Whether a rest in the metric of uncorrelated features is one in that of their moments too; if not, descents go on in
    /// the latter. Features with large means, or that go together otherwise, come to rest early in the first.
    fn is_at_rest(&mut self, at: &Evaluation) -> Result<bool, Error> {
        if self.moments.as_ref().is_some_and(|m| m.used) || at.loss <= ROUNDING * self.square() {
            return Ok(true);
        }
        if self.moments.is_none() {
            self.moments = Moments::of(self.tasks)?;
        }
        let Some(moments) = &mut self.moments else { return Ok(true) };
        let direction = at.direction(&[], Some(&moments.factor))?;
        let promised = -sums::dot(&direction, &at.gradient);
        moments.used = promised > MORE * self.options.tolerance * at.loss;
        Ok(!moments.used)
    }

    /// The first rest with a lower loss that an exchange of one direction leads to, or where it was interrupted.
    fn exchange(&mut self, from: &Evaluation) -> Result<Option<(Evaluation, Ending)>, Error> {
        self.rested_at = Some(from.loss);
        let directions = directions_by_weight(from)?;
        let Some(wanted) = self.leading_of_what_is_left(from)? else { return Ok(None) };
        for given_up in (0..directions.rows()).rev() {
            let mut basis = directions.clone();
            basis.row_mut(given_up).copy_from_slice(&wanted);
            let start = self.evaluate(basis)?;
            if start.loss > HOPELESS * from.loss {
                break; // those before it carry more
            }
            let (end, ending) = self.descend(start)?;
            if ending == Ending::Interrupted || end.loss < (1.0 - GAIN) * from.loss {
                return Ok(Some((end, ending)));
            }
            if self.evaluations >= self.options.max_iterations {
                break;
            }
        }
        Ok(None)
    }

    /// Leading left singular vector of the moments of what is left of the labels; none where nothing is.
    fn leading_of_what_is_left(&self, at: &Evaluation) -> Result<Option<Vec<f64>>, Error> {
        let d = at.basis.columns();
        let moments: Vec<Vec<f64>> = (0..self.tasks.len())
            .into_par_iter()
            .map(|m| {
                let task = &self.tasks[m];
                let mut fitted = Matrix::zeros(1, d);
                let mut coefficients = Matrix::zeros(1, d);
                for i in 0..at.basis.rows() {
                    sums::axpy(at.weights[(i, m)], at.basis.row(i), coefficients.as_mut_slice());
                }
                task.apply(&coefficients, &mut fitted);
                task.own_right().iter().zip(fitted.as_slice()).map(|(right, fitted)| right - fitted).collect()
            })
            .collect();
        let svd = dense_svd(&Matrix::from_fn(d, self.tasks.len(), |i, m| moments[m][i]))?;
        let leads = svd.s.first().is_some_and(|s| *s > 0.0);
        Ok(leads.then(|| (0..d).map(|i| svd.u[(i, 0)]).collect()))
    }

    /// L-BFGS with a line search from `now`, to rest or to the limit of evaluations.
    fn descend(&mut self, mut now: Evaluation) -> Result<(Evaluation, Ending), Error> {
        let options = self.options;
        let mut pairs: Vec<(Vec<f64>, Vec<f64>)> = Vec::new();
        while self.evaluations < options.max_iterations {
            let direction = now.direction(&pairs, self.metric())?;
            let slope = sums::dot(&direction, &now.gradient);
            // An exchange on its way back to where it came from.
            let returns = |rested: f64| now.loss - rested < rested && -slope <= now.loss - rested;
            if self.rested_at.is_some_and(returns) {
                return Ok((now, Ending::Finished));
            }
            if slope.is_nan() || -slope <= options.tolerance * now.loss {
                if pairs.is_empty() {
                    if self.is_at_rest(&now)? {
                        return Ok((now, Ending::Finished));
                    }
                    continue;
                }
                pairs.clear(); // not a descent direction, or too small: ask the plain one before giving up
                continue;
            }
            let Some(next) = self.step(&now, &direction, slope)? else {
                if self.evaluations >= options.max_iterations {
                    return Ok((now, Ending::Limit));
                }
                if now.loss <= ROUNDING * self.square() {
                    return Ok((now, Ending::Finished));
                }
                if !pairs.is_empty() || !self.is_at_rest(&now)? {
                    pairs.clear();
                    continue;
                }
                // No step lowers the loss by more than its rounding. Where much was promised this is no rest.
                let kept = -slope <= STUCK * now.loss;
                return Ok((now, if kept { Ending::Finished } else { Ending::Limit }));
            };
            let minus = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<f64>>();
            let s = minus(next.basis.as_slice(), now.basis.as_slice());
            let y = minus(&next.gradient, &now.gradient);
            if sums::dot(&s, &y) > 1e-12 * sums::norm(&s) * sums::norm(&y) {
                pairs.push((s, y));
                if pairs.len() > MEMORY {
                    pairs.remove(0);
                }
            }
            now = next;
            let value = self.rested_at.map_or(now.loss, |rested| rested.min(now.loss));
            let (step, total) = (self.evaluations, Some(options.max_iterations));
            let progress = Progress { stage: "representation", step, total, value: Some(value) };
            if self.observer.step(progress).is_break() {
                return Ok((now, Ending::Interrupted));
            }
        }
        Ok((now, Ending::Limit))
    }

    /// The first point along a direction that lowers the loss by enough of what its slope promises.
    fn step(&mut self, now: &Evaluation, direction: &[f64], slope: f64) -> Result<Option<Evaluation>, Error> {
        let mut step = 1.0;
        loop {
            let mut moved = now.basis.clone();
            sums::axpy(step, direction, moved.as_mut_slice());
            let tried = match self.evaluate(moved) {
                Ok(tried) => Some(tried),
                // Too far for the numbers there are.
                Err(Error::Data(LinalgError::NotPositiveDefinite { .. })) => None,
                Err(other) => return Err(other),
            };
            let loss = tried.as_ref().map_or(f64::INFINITY, |tried| tried.loss);
            if let Some(tried) = tried.filter(|_| loss <= now.loss + 1e-4 * step * slope) {
                return Ok(Some(tried));
            }
            if step < 1e-4 || self.evaluations >= self.options.max_iterations {
                return Ok(None);
            }
            // The minimum of the parabola through both losses and the slope.
            let share = -slope * step / (2.0 * (loss - now.loss - step * slope));
            step *= if share.is_nan() { 0.5 } else { share.clamp(0.1, 0.5) };
        }
    }
}

impl Moments {
    /// None where there are no moments to speak of, or more of them than should be stored.
    fn of(tasks: &[TaskData]) -> Result<Option<Self>, LinalgError> {
        let d = tasks.first().map_or(0, TaskData::features);
        if d > MOST_FEATURES {
            return Ok(None);
        }
        let by_rows: usize = tasks.iter().filter(|t| t.keeps_rows()).map(TaskData::samples).sum();
        let stride = (by_rows / (SAMPLED * d).max(1)).max(1);
        let mut sum = Matrix::zeros(d, d);
        for task in tasks {
            task.add_moments(stride, &mut sum)?;
        }
        let samples: usize = tasks.iter().map(TaskData::samples).sum();
        sum.as_mut_slice().iter_mut().for_each(|v| *v /= samples.max(1) as f64);
        let trace: f64 = (0..d).map(|j| sum[(j, j)]).sum();
        if trace <= 0.0 {
            return Ok(None);
        }
        // Features that hardly vary have the least moment that rounding lets the others have.
        let factor = [1e-13, 1e-11, 1e-9].into_iter().find_map(|share| Cholesky::new(&sum, share * trace).ok());
        Ok(factor.map(|factor| Self { factor, used: false }))
    }
}

/// Orthonormal directions (rows) of a fit: left singular vectors of `B W`, the one that carries most first.
fn directions_by_weight(at: &Evaluation) -> Result<Matrix, LinalgError> {
    let DenseSvd { u, s, v } = dense_svd(&at.basis.transpose())?;
    let (d, k, tasks) = (u.rows(), u.columns(), at.weights.columns());
    let inner = Matrix::from_fn(k, tasks, |i, m| s[i] * (0..k).map(|j| v[(j, i)] * at.weights[(j, m)]).sum::<f64>());
    let turn = dense_svd(&inner)?.u;
    Ok(Matrix::from_fn(k, d, |i, feature| (0..k).map(|j| u[(feature, j)] * turn[(j, i)]).sum()))
}

/// Loss, weights and gradient at a basis, whose vectors are rows here.
pub(crate) struct Evaluation {
    pub(crate) basis: Matrix,
    pub(crate) weights: Matrix,
    pub(crate) loss: f64,
    gradient: Vec<f64>,
    /// `Σ_m n_m w_m w_mᵀ`.
    scale: Matrix,
}

impl Evaluation {
    pub(crate) fn at(tasks: &[TaskData], basis: Matrix, ridge: f64) -> Result<Self, LinalgError> {
        let (k, d) = (basis.rows(), basis.columns());
        type Part = (Vec<Vec<f64>>, f64, Vec<f64>, Matrix);
        let part = |tasks: &[TaskData]| -> Result<Part, LinalgError> {
            let (mut all, mut loss) = (Vec::with_capacity(tasks.len()), 0.0);
            let (mut gradient, mut scale) = (vec![0.0; k * d], Matrix::zeros(k, k));
            let (mut product, mut off) = (Matrix::zeros(k, d), vec![0.0; d]);
            for task in tasks {
                task.apply(&basis, &mut product);
                let penalty = ridge * task.samples() as f64;
                sums::axpy(penalty, basis.as_slice(), product.as_mut_slice());
                let (w, lost) = task.fit(&basis, &product, 0.0)?;
                loss += lost;
                off.iter_mut().zip(task.own_right()).for_each(|(o, r)| *o = -2.0 * r);
                for (i, w) in w.iter().enumerate() {
                    sums::axpy(2.0 * w, product.row(i), &mut off);
                }
                for (i, v) in w.iter().enumerate() {
                    sums::axpy(*v, &off, &mut gradient[i * d..(i + 1) * d]);
                    sums::axpy(task.samples() as f64 * v, &w, scale.row_mut(i));
                }
                all.push(w);
            }
            Ok((all, loss, gradient, scale))
        };
        let parts: Vec<Part> = tasks.par_chunks(BLOCK).map(part).collect::<Result<_, _>>()?;
        let mut weights = Matrix::zeros(k, tasks.len());
        let (mut loss, mut gradient, mut scale) = (0.0, vec![0.0; k * d], Matrix::zeros(k, k));
        for (b, (w, l, g, s)) in parts.iter().enumerate() {
            loss += l;
            sums::axpy(1.0, g, &mut gradient);
            sums::axpy(1.0, s.as_slice(), scale.as_mut_slice());
            for (m, w) in w.iter().enumerate() {
                w.iter().enumerate().for_each(|(i, v)| weights[(i, b * BLOCK + m)] = *v);
            }
        }
        Ok(Self { basis, weights, loss, gradient, scale })
    }

    /// `−H g` by the two loops over the pairs, in the metric of the moments of the features if they are given.
    fn direction(&self, pairs: &[(Vec<f64>, Vec<f64>)], moments: Option<&Cholesky>) -> Result<Vec<f64>, LinalgError> {
        let (k, d) = (self.basis.rows(), self.basis.columns());
        let mut q = self.gradient.clone();
        let mut alphas = Vec::with_capacity(pairs.len());
        for (s, y) in pairs.iter().rev() {
            let alpha = sums::dot(s, &q) / sums::dot(s, y);
            sums::axpy(-alpha, y, &mut q);
            alphas.push(alpha);
        }
        let trace: f64 = (0..k).map(|i| self.scale[(i, i)]).sum();
        let factor = Cholesky::new(&self.scale, 1e-6 * trace + f64::MIN_POSITIVE)?;
        let mut column = vec![0.0; k];
        for i in 0..d {
            column.iter_mut().enumerate().for_each(|(a, c)| *c = 0.5 * q[a * d + i]);
            factor.solve_in_place(&mut column);
            column.iter().enumerate().for_each(|(a, c)| q[a * d + i] = *c);
        }
        if let Some(moments) = moments {
            q.chunks_exact_mut(d).for_each(|row| moments.solve_in_place(row));
        }
        for ((s, y), alpha) in pairs.iter().zip(alphas.iter().rev()) {
            let beta = sums::dot(y, &q) / sums::dot(s, y);
            sums::axpy(alpha - beta, s, &mut q);
        }
        q.iter_mut().for_each(|v| *v = -*v);
        Ok(q)
    }
}
