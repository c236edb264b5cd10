//! From one λ to the next, and the certificates of what was found.
//!
//! At each λ the working set takes in the columns that the last correlations point to, is minimised, and the residual
//! shows which of the likely columns violate their constraint. Certificates come later, for up to eight λ in one pass over
//! the table. A column whose last exact correlation was `c_j` and since when the residual moved at most `δ` satisfies
//! `|z_jᵀr|/n ≤ |c_j| + δ/√n`: when that is within `λa_j` the column is feasible and is not read at all (row LAS-4). A λ
//! whose gap is too wide is solved again with the violators in the set.
use samplewise_linalg::observe::{Progress, Watch};
use samplewise_linalg::sums;

use crate::answer::{Outcome, Route};
use crate::certificate::Certificate;
use crate::kernel::{BATCH, correlate};
use crate::options::Solver;
use crate::problem::Problem;
use crate::working_set::descent::{Limits, descend};
use crate::working_set::descent_budget::DescentBudget;
use crate::working_set::set::{Target, Working};

/// Columns with this share of their limit by the last exact correlation are looked at after every solve.
const LIKELY: f64 = 0.85;
/// And those that the move of the residual since their last exact correlation could carry there if this share of it went
/// their way; dense, sparse (where a look costs more beside a step).
const DRIFT: [f64; 2] = [0.1, 0.05];
/// Columns join ahead of a step when they are this close to the λ before it.
const ADMIT: f64 = 0.95;
/// Share of the first violation at which the columns outside are looked at again.
const SHARE: f64 = 0.5;
/// Largest step of λ without a solve in between: dense, sparse, and where there are many more rows than columns, so that
/// a look at the residual costs more than a step.
const STRIDES: [f64; 3] = [0.7, 0.6, 0.3];
/// Violation, relative to `λ a_j`, and gap, relative to the null objective, that are good enough for these.
const LOOSE: f64 = 0.3;
const LOOSE_GAP: f64 = 3e-4;
/// Rounds of solving and looking at one λ.
const ROUNDS: usize = 50;
/// Members beyond which the Gram matrix and its factor cost more than passes over the columns.
/// (320 MB for the matrix).
const LARGEST_SET: usize = 5_000;

/// A fit in scaled coefficients.
pub(crate) struct Fit {
    pub lambda: f64,
    pub w: Vec<(usize, f64)>,
    pub residual: Vec<f64>,
    pub certificate: Certificate,
    pub iterations: usize,
    pub working_set: usize,
    pub columns_checked: usize,
    pub route: Route,
    pub status: Outcome,
}

/// The certificate of coefficients with their residual, from the correlations of all columns.
pub(crate) fn certificate_of(problem: &Problem<'_>, lambda: f64, w: &[(usize, f64)], residual: &[f64]) -> Certificate {
    let n = problem.n as f64;
    let mut r = residual.to_vec();
    // The dual point must be orthogonal to the constant and to the unpenalised columns; the objective is that of the residual
    // as it is.
    problem.centre(&mut r);
    problem.settle_free(&mut r);
    let c = problem.correlations(&r, &mut Watch::new(&mut ()));
    let violates = |j: usize| {
        problem.inverse[j] > 0.0
            && problem.reach(j, c[j]) > lambda * problem.absolute[j]
            && problem.free.binary_search(&j).is_err()
    };
    let over: Vec<(usize, f64)> = (0..problem.p).filter(|&j| violates(j)).map(|j| (j, c[j])).collect();
    let products = (sums::dot(&r, &r) / n, sums::dot(&r, &problem.target) / n);
    let own = 0.5 * sums::dot(residual, residual) / n + problem.penalty(lambda, w.iter().copied());
    Certificate { primal: own, ..Certificate::new(problem, lambda, w.iter().copied(), products, &over) }
}

/// Rows LAS-3 and LAS-4 of `paper-refs.md`.
pub(crate) struct Engine<'a, 'p> {
    problem: &'a Problem<'p>,
    working: Working,
    /// Sparse columns, as long as descent has not cost more than the Gram matrix would have.
    budget: Option<DescentBudget>,
    /// Last exact correlations, and how far the residual had moved then.
    c: Vec<f64>,
    seen_at: Vec<f64>,
    moved: f64,
    residual: Vec<f64>,
    /// Coefficients and residual of the null model.
    null: (Vec<(usize, f64)>, Vec<f64>),
    /// Those of the last λ that is done.
    previous: Option<(Vec<(usize, f64)>, Vec<f64>)>,
    /// λ of the state.
    at: f64,
    /// Absolute gap that is enough.
    tolerance: f64,
    accuracy: f64,
    stride: f64,
    limit: usize,
    /// What rounding can add to a correlation.
    rounding: f64,
}

impl<'a, 'p> Engine<'a, 'p> {
    /// At the null model; returns also the largest λ.
    pub fn new(
        problem: &'a Problem<'p>,
        solver: Solver,
        tolerance: f64,
        limit: usize,
        watch: &mut Watch<'_>,
    ) -> (Self, f64) {
        let mut working = Working::new(problem);
        let mut residual = problem.target.clone();
        let start = problem.settle_free(&mut residual);
        let c = problem.correlations(&residual, watch);
        let mut budget = problem.sparse().filter(|_| solver == Solver::Auto).map(DescentBudget::new);
        if solver == Solver::CoordinateDescent || budget.is_some() {
            working.without_gram();
        }
        if let (Some(budget), Some(x)) = (&mut budget, problem.sparse()) {
            budget.join(x, &problem.free);
        }
        working.add(problem, &problem.free, &c, watch);
        working.shift(&start);
        let largest = problem.largest_lambda(&c);
        let scale = sums::norm(&problem.target) / (problem.n as f64).sqrt();
        let stride = match problem.sparse() {
            Some(_) => STRIDES[1],
            None if problem.n / 4 >= problem.p => STRIDES[2],
            None => STRIDES[0],
        };
        let engine = Self {
            stride,
            problem,
            working,
            budget,
            seen_at: vec![0.0; problem.p],
            moved: 0.0,
            c,
            null: (start, residual.clone()),
            previous: None,
            residual,
            at: largest,
            tolerance: tolerance * problem.null_objective(),
            accuracy: (0.05 * tolerance).clamp(1e-13, 1e-3),
            limit,
            // Columns that are not stored centred lose as many digits as their mean is larger than their deviation.
            rounding: 1e-13 * scale * (1.0 + (0..problem.p).map(|j| problem.mean(j).abs()).fold(0.0, f64::max)),
        };
        (engine, largest)
    }

    /// Solves for the values of λ in their order. Stops when the observer says so, with the fits so far.
    pub fn run(&mut self, lambdas: &[f64], watch: &mut Watch<'_>) -> Vec<Fit> {
        let mut done: Vec<Fit> = Vec::with_capacity(lambdas.len());
        let mut batch: Vec<Fit> = Vec::new();
        for (k, &lambda) in lambdas.iter().enumerate() {
            let mut iterations = 0;
            while lambda < self.stride * self.at * (1.0 - 1e-9) {
                let progress =
                    Progress { stage: "towards lambda", step: iterations, total: None, value: Some(self.at) };
                if watch.stops(progress) {
                    break;
                }
                // In logarithms, as the ratio may underflow.
                let fall = lambda.ln() - self.at.ln();
                let steps = (fall / self.stride.ln()).ceil();
                iterations += self.advance(self.at * (fall / steps).exp(), LOOSE, watch).0;
            }
            let fit = self.fit(lambda, iterations, watch);
            batch.push(fit);
            let progress = Progress { stage: "path", step: k + 1, total: Some(lambdas.len()), value: None };
            if watch.stops(progress) || batch.len() == BATCH || k + 1 == lambdas.len() {
                self.certify(&mut batch, watch);
                done.append(&mut batch);
            }
            if watch.stopped() {
                let open = done.iter_mut().filter(|f| f.status == Outcome::Limit && f.iterations < self.limit);
                open.for_each(|f| f.status = Outcome::Interrupted);
                if let Some(last) = done.last_mut() {
                    last.status = Outcome::Interrupted;
                }
                break;
            }
        }
        done
    }

    fn fit(&mut self, lambda: f64, before: usize, watch: &mut Watch<'_>) -> Fit {
        let (iterations, route) = self.advance(lambda, self.accuracy, watch);
        Fit {
            lambda,
            w: self.working.nonzeros().collect(),
            residual: self.residual.clone(),
            certificate: Certificate::unknown(),
            iterations: before + iterations,
            working_set: self.working.len(),
            columns_checked: 0,
            route,
            status: Outcome::Limit,
        }
    }

    /// Moves the state to `lambda`; `accuracy` is the violation allowed relative to `λ a_j`. Stopped, the coefficients stay
    /// where they are.
    fn advance(&mut self, lambda: f64, accuracy: f64, watch: &mut Watch<'_>) -> (usize, Route) {
        let problem = self.problem;
        if watch.stopped() {
            self.at = lambda;
            return (0, Route::WorkingSet);
        }
        let loose = accuracy >= LOOSE;
        // The strong rule: a correlation changes at most as fast as λ, nearly always.
        let strong = (2.0 * lambda - self.at).max(ADMIT * self.at).min(0.999 * lambda.max(ADMIT * self.at));
        let candidates = self.outside(|j, c| problem.reach(j, c) >= strong * problem.absolute[j]);
        self.join(&candidates, watch);
        self.working.set_correlations(problem, lambda, &self.c);
        self.at = lambda;
        let null = self.problem.null_objective();
        let enough = if loose { LOOSE_GAP * null } else { 0.3 * self.tolerance };
        let mut total = 0;
        let mut used = Route::WorkingSet;
        let mut share = SHARE;
        for _ in 0..ROUNDS {
            let (iterations, solver, met) = self.minimise(lambda, accuracy, enough, share, watch);
            total += iterations;
            used = solver;
            self.look(lambda, watch);
            if loose || watch.stopped() {
                break; // violators join on the way to the next λ
            }
            // A violation `v` of a column outside adds about `v Σ λa|w|` to the gap.
            let l1 = problem.penalty(lambda, self.working.nonzeros());
            let allowed = if problem.plain && l1 > 0.0 { accuracy.max(0.3 * enough / l1) } else { accuracy };
            let violators = self.outside(|j, c| problem.reach(j, c) > lambda * problem.absolute[j] * (1.0 + allowed));
            if (violators.is_empty() && met) || total >= self.limit {
                break;
            }
            share = if violators.is_empty() { 0.0 } else { SHARE };
            self.join(&violators, watch);
            self.working.set_correlations(problem, lambda, &self.c);
        }
        (total, used)
    }

    fn minimise(
        &mut self,
        lambda: f64,
        accuracy: f64,
        enough: f64,
        share: f64,
        watch: &mut Watch<'_>,
    ) -> (usize, Route, bool) {
        let problem = self.problem;
        let squares = sums::dot(&self.residual, &self.residual) / problem.n as f64;
        let target = Target { accuracy, gap: enough, squares };
        if !self.working.has_gram() {
            let support = self.working.nonzeros().count();
            let budget = self.budget.as_mut();
            let (entries, outlook) =
                budget.map_or((usize::MAX, usize::MAX), |r| r.entries(self.working.len(), support));
            let limits = Limits { sweeps: self.limit, entries, outlook, share };
            let done = descend(problem, lambda, target, limits, (&mut self.working, &self.residual), watch);
            if let Some(budget) = &mut self.budget {
                budget.spend(done.entries);
            }
            if self.budget.is_some() && done.dear {
                self.working.with_gram(problem, watch);
                self.budget = None;
            }
            return (done.sweeps, Route::CoordinateDescent, done.met);
        }
        let (steps, met) = self.working.minimise(problem, lambda, target, (share, self.limit), watch);
        (steps, Route::WorkingSet, met)
    }

    /// Columns outside the set that `wanted` holds of, by their last exact correlations; the largest first, at most as
    /// many as the set has, but 200 in any case.
    fn outside(&self, wanted: impl Fn(usize, f64) -> bool) -> Vec<usize> {
        let problem = self.problem;
        let takes_part = |j: usize| problem.inverse[j] > 0.0 && !self.working.contains(j);
        let mut list: Vec<usize> = (0..problem.p).filter(|&j| takes_part(j) && wanted(j, self.c[j])).collect();
        let most = self.working.len().max(200);
        if list.len() > most {
            let key = |j: usize| {
                let a = problem.absolute[j];
                if a > 0.0 { problem.reach(j, self.c[j]) / a } else { f64::INFINITY }
            };
            list.sort_by(|&a, &b| key(b).total_cmp(&key(a)).then(a.cmp(&b)));
            list.truncate(most);
            list.sort_unstable();
        }
        list
    }

    fn join(&mut self, fresh: &[usize], watch: &mut Watch<'_>) {
        if !fresh.is_empty() {
            if self.working.len() + fresh.len() > LARGEST_SET {
                self.working.without_gram();
                self.budget = None;
            }
            if let (Some(budget), Some(x)) = (&mut self.budget, self.problem.sparse()) {
                budget.join(x, fresh);
            }
            self.working.add(self.problem, fresh, &self.c, watch);
        }
    }

    /// Residual from scratch, and exact correlations of members and likely columns.
    fn look(&mut self, lambda: f64, watch: &mut Watch<'_>) {
        let problem = self.problem;
        let mut residual = self.working.residual(problem);
        if !sums::dot(&residual, &residual).is_finite() {
            // Coefficients that ran away: back to where everything is known.
            self.working.set(&self.null.0);
            residual.clone_from(&self.null.1);
        }
        let changes = problem.settle_free(&mut residual);
        self.working.shift(&changes);
        self.move_to(residual);
        let share = DRIFT[usize::from(problem.sparse().is_some())] / (problem.n as f64).sqrt();
        let likely = |j: &usize| {
            let (limit, reach) = (lambda * problem.absolute[*j], problem.reach(*j, self.c[*j]));
            let drift = share * (self.moved - self.seen_at[*j]);
            problem.inverse[*j] > 0.0
                && (self.working.contains(*j) || reach >= LIKELY * limit || exceeds(reach + drift, limit))
        };
        let columns: Vec<usize> = (0..problem.p).filter(likely).collect();
        let seen = std::mem::take(&mut self.residual);
        self.read(&columns, std::slice::from_ref(&seen), watch);
        self.residual = seen;
        self.working.set_correlations(problem, lambda, &self.c);
    }

    fn move_to(&mut self, residual: Vec<f64>) {
        let square: f64 = sums::sum_by(residual.len(), |i| (residual[i] - self.residual[i]).powi(2));
        self.moved += square.sqrt();
        if !self.moved.is_finite() {
            // How far it is from where the columns were read is not known: each must be read again.
            self.moved = 0.0;
            self.seen_at.fill(f64::NEG_INFINITY);
        }
        self.residual = residual;
    }

    /// Exact correlations with the last of the residuals, which is the state's; returns those with all.
    fn read(&mut self, columns: &[usize], residuals: &[Vec<f64>], watch: &mut Watch<'_>) -> Vec<[f64; BATCH]> {
        let found = correlate(self.problem, columns, residuals, watch);
        for (&j, c) in columns.iter().zip(&found) {
            self.c[j] = c[residuals.len() - 1];
            self.seen_at[j] = self.moved;
        }
        found
    }

    /// Certificates of a batch; what is not good enough is solved again with its violators in the set.
    fn certify(&mut self, batch: &mut [Fit], watch: &mut Watch<'_>) {
        let accuracy = self.accuracy;
        self.refine(batch, watch);
        self.accuracy = accuracy; // one hard λ does not make the others dearer
        for k in 0..batch.len() {
            let (before, rest) = batch.split_at_mut(k);
            let fit = &mut rest[0];
            if fit.status != Outcome::Converged {
                let previous = before.last().map(|f| (&f.w, &f.residual));
                let previous = previous.or(self.previous.as_ref().map(|p| (&p.0, &p.1)));
                self.take_best(fit, previous);
            }
        }
        self.previous = batch.last().map(|f| (f.w.clone(), f.residual.clone()));
    }

    /// Of the end of a fit that did not converge, the null model and the fit before it (its start), the one with the least
    /// objective, with a certificate of its own over all columns.
    fn take_best(&self, fit: &mut Fit, previous: Option<(&Vec<(usize, f64)>, &Vec<f64>)>) {
        let problem = self.problem;
        if fit.residual.len() != problem.n {
            // The run was stopped while the residual was with the certificates.
            let mut residual = problem.target.clone();
            problem.subtract(fit.w.iter().copied(), &mut residual);
            fit.residual = residual;
        }
        let objective = |w: &[(usize, f64)], r: &[f64]| {
            let value = 0.5 * sums::dot(r, r) / problem.n as f64 + problem.penalty(fit.lambda, w.iter().copied());
            if value.is_nan() { f64::INFINITY } else { value }
        };
        let own = objective(&fit.w, &fit.residual);
        let starts = [Some((&self.null.0, &self.null.1)), previous];
        let best = starts.into_iter().flatten().filter(|s| s.1.len() == problem.n);
        let best = best.map(|s| (objective(s.0, s.1), s)).min_by(|a, b| a.0.total_cmp(&b.0));
        if let Some((value, (w, r))) = best
            && value < own
        {
            fit.w.clone_from(w);
            fit.residual.clone_from(r);
        } else if fit.certificate.primal.is_finite() {
            return;
        }
        fit.certificate = certificate_of(problem, fit.lambda, &fit.w, &fit.residual);
        fit.columns_checked += problem.p;
        if fit.certificate.gap() <= self.tolerance {
            fit.status = Outcome::Converged;
        }
    }

    fn refine(&mut self, batch: &mut [Fit], watch: &mut Watch<'_>) {
        let problem = self.problem;
        let (mut from, mut tried) = (0, 0);
        for round in 1.. {
            let part = &mut batch[from..];
            let residuals: Vec<Vec<f64>> = part.iter_mut().map(|f| std::mem::take(&mut f.residual)).collect();
            let over = self.violations(part, &residuals, watch);
            for ((fit, r), over) in part.iter_mut().zip(residuals).zip(&over) {
                let (n, w) = (problem.n as f64, fit.w.iter().copied());
                let products = (sums::dot(&r, &r) / n, sums::dot(&r, &problem.target) / n);
                let certificate = Certificate::new(problem, fit.lambda, w, products, over);
                fit.certificate = certificate;
                fit.residual = r;
                if certificate.gap() <= self.tolerance {
                    fit.status = Outcome::Converged;
                }
            }
            let Some(bad) = part.iter().position(|f| f.status != Outcome::Converged) else { break };
            if round >= ROUNDS {
                break;
            }
            let violators = self.worst(&part[bad..], &over[bad..]);
            tried = if bad == 0 { tried + 1 } else { 1 };
            from += bad;
            let worst = batch[from].certificate.gap();
            let progress = Progress { stage: "certificates", step: from, total: None, value: Some(worst) };
            if watch.stops(progress) {
                break;
            }
            if violators.is_empty() && (tried > 3 || batch[from].iterations >= self.limit) {
                // Rounding, or the limit of steps: nothing more to be had.
                (from, tried) = (from + 1, 0);
                if from == batch.len() {
                    break;
                }
            } else if violators.is_empty() {
                self.accuracy = (self.accuracy * 0.1).max(1e-13);
            }
            self.join(&violators, watch);
            // Back to where the first bad one was, and on from there.
            self.working.set(&batch[from].w);
            let residual = std::mem::take(&mut batch[from].residual);
            self.move_to(residual);
            for fit in &mut batch[from..] {
                self.look(fit.lambda, watch);
                let fresh = self.fit(fit.lambda, fit.iterations, watch);
                if watch.stopped() {
                    return; // those before have their certificates
                }
                *fit = Fit { columns_checked: fit.columns_checked, ..fresh };
            }
        }
    }

    /// The columns outside the set that violate their constraint most, at most twice as many as the set has.
    fn worst(&self, part: &[Fit], over: &[Vec<(usize, f64)>]) -> Vec<usize> {
        let problem = self.problem;
        let excess = |lambda: f64, (j, c): (usize, f64)| problem.reach(j, c) / (lambda * problem.absolute[j]);
        let mut all: Vec<(usize, f64)> = part
            .iter()
            .zip(over)
            .flat_map(|(fit, over)| over.iter().map(|&e| (e.0, excess(fit.lambda, e))))
            .filter(|e| !self.working.contains(e.0))
            .collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let mut taken = std::collections::HashSet::new();
        all.retain(|e| taken.insert(e.0));
        all.truncate((2 * self.working.len()).max(200));
        let mut columns: Vec<usize> = all.into_iter().map(|e| e.0).collect();
        columns.sort_unstable();
        columns
    }

    /// For each fit the columns beyond their constraint, with their correlations. The state is that of the last fit.
    fn violations(
        &mut self,
        part: &mut [Fit],
        residuals: &[Vec<f64>],
        watch: &mut Watch<'_>,
    ) -> Vec<Vec<(usize, f64)>> {
        let problem = self.problem;
        let root = (problem.n as f64).sqrt();
        // How far each residual of the batch is from the last one.
        let last = residuals.last().expect("a batch has a fit");
        let apart: Vec<f64> =
            residuals.iter().map(|r| sums::sum_by(r.len(), |i| (r[i] - last[i]).powi(2)).sqrt()).collect();
        let lambdas: Vec<f64> = part.iter().map(|f| f.lambda).collect();
        // Members have their exact values of the last residual; the others must be read unless known to be feasible.
        let unknown = |j: &usize| {
            let j = *j;
            if problem.inverse[j] == 0.0 {
                return false;
            }
            let reach = problem.reach(j, self.c[j]);
            let drift = self.moved - self.seen_at[j];
            lambdas.iter().zip(&apart).any(|(lambda, apart)| {
                exceeds(reach + (drift + apart) / root + self.rounding, lambda * problem.absolute[j])
            })
        };
        let columns: Vec<usize> = (0..problem.p).filter(unknown).collect();
        let found = self.read(&columns, residuals, watch);
        let mut out: Vec<Vec<(usize, f64)>> = vec![Vec::new(); part.len()];
        for (&j, c) in columns.iter().zip(&found) {
            for (k, out) in out.iter_mut().enumerate() {
                if exceeds(problem.reach(j, c[k]), lambdas[k] * problem.absolute[j])
                    && problem.free.binary_search(&j).is_err()
                {
                    out.push((j, c[k]));
                }
            }
        }
        part.iter_mut().for_each(|f| f.columns_checked += columns.len());
        out
    }
}

/// Whether `value` is above `limit`, or unknown.
fn exceeds(value: f64, limit: f64) -> bool {
    value > limit || value.is_nan() || limit.is_nan()
}
