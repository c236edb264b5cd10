//! The problem of groups of columns and several targets: blocks of coefficients, descended one by one, with the gap.
use std::borrow::Cow;

use rayon::prelude::*;
use samplewise_linalg::factor::symmetric_eigen;
use samplewise_linalg::observe::{Progress, Watch};
use samplewise_linalg::scale::ldexp;
use samplewise_linalg::{Matrix, Seconds, sums};

use super::{CHECK, GroupOptions, GroupSolution};
use crate::answer::{Outcome, Report, Route, bound};
use crate::options::Options;
use crate::problem::Problem;
use crate::verdict::{SHARE, check_coefficient, exact_residual};
use crate::working_set::anderson::{self, MEMORY};
use crate::{Design, Error};

pub(super) struct Blocks<'a> {
    pub problem: Problem<'a>,
    /// Centred, weighted targets, one after the other.
    pub targets: Vec<Vec<f64>>,
    pub groups: &'a [Vec<usize>],
    pub factors: Vec<f64>,
    /// Largest eigenvalue of each group's Gram matrix over `n`.
    pub curvature: Vec<f64>,
}

/// A fit of the scaled problem, whose coefficients are in the state.
pub(super) struct GroupFit {
    pub lambda: f64,
    pub primal: f64,
    pub dual: f64,
    /// Scale of the dual point.
    pub scale: f64,
    pub null: f64,
    pub iterations: usize,
    pub outcome: Outcome,
}

impl GroupFit {
    pub fn gap(&self) -> f64 {
        crate::certificate::gap(self.primal, self.dual, 1e-12 * self.null)
    }
}

pub(super) struct State {
    /// Coefficients of a group, column after column, `T` each.
    pub b: Vec<Vec<f64>>,
    pub residuals: Vec<Vec<f64>>,
}

impl State {
    pub fn new(blocks: &Blocks<'_>) -> Self {
        let size = |g: &Vec<usize>| vec![0.0; g.len() * blocks.targets.len()];
        Self { b: blocks.groups.iter().map(size).collect(), residuals: blocks.targets.clone() }
    }
}

impl<'a> Blocks<'a> {
    pub fn new(design: &'a Design, y: &Matrix, groups: &'a [Vec<usize>], o: &GroupOptions) -> Result<Self, Error> {
        let (n, tasks) = (design.rows(), y.columns());
        if y.rows() != n || tasks == 0 {
            return Err(Error::Length { argument: "y", given: y.rows() * tasks.min(1), expected: n });
        }
        let mut taken = vec![false; design.columns()];
        for (group, columns) in groups.iter().enumerate() {
            let reason = match columns.iter().find(|&&j| j >= taken.len() || taken[j]) {
                Some(&column) if column >= taken.len() => Some(format!("column {column} is not there")),
                Some(column) => Some(format!("column {column} is in an earlier group as well")),
                None if columns.is_empty() => Some("it has no columns".to_owned()),
                None => None,
            };
            if let Some(reason) = reason {
                return Err(Error::Group { group, reason });
            }
            for &j in columns {
                if taken[j] {
                    return Err(Error::Group { group, reason: format!("column {j} is listed twice") });
                }
                taken[j] = true;
            }
        }
        let factors = match &o.penalty_factors {
            None => groups.iter().map(|g| (g.len() as f64).sqrt()).collect(),
            Some(f) if f.len() != groups.len() => {
                let (argument, given, expected) = ("penalty_factors", f.len(), groups.len());
                return Err(Error::Length { argument, given, expected });
            }
            Some(f) => match f.iter().position(|f| !(f.is_finite() && *f > 0.0)) {
                Some(position) => {
                    let (argument, value, allowed) = ("penalty_factors", f[position], "finite and positive");
                    return Err(Error::Entry { argument, position, value, allowed });
                }
                None => f.clone(),
            },
        };
        let plain = Options {
            tolerance: o.tolerance,
            intercept: o.intercept,
            sample_weights: o.sample_weights.clone(),
            max_iterations: o.max_iterations,
            ..Options::default()
        };
        if !design.stored_as_given() {
            let position = (0..design.columns()).find(|&j| design.exponent(j) != 0).unwrap_or(0);
            let (argument, allowed) = ("largest value of a column", "2^-200 to 2^200 where columns are grouped");
            let value = ldexp(1.0, design.exponent(position));
            return Err(Error::Entry { argument, position, value, allowed });
        }
        let mut problem = Problem::new(design, &y.copy_column(0), &plain, &mut Watch::new(&mut ()))?;
        problem.unscale();
        let targets: Vec<Vec<f64>> =
            (0..tasks).map(|t| problem.prepare_target(&y.copy_column(t))).collect::<Result<_, _>>()?;
        let curvature = groups.par_iter().map(|g| curvature(&problem, g)).collect::<Result<_, _>>()?;
        Ok(Self { problem, targets, groups, factors, curvature })
    }

    /// `C_g = Z_gᵀR/n`, column after column.
    fn correlation(&self, g: usize, seen: &[Cow<'_, [f64]>]) -> Vec<f64> {
        self.groups[g].iter().flat_map(|&j| seen.iter().map(move |r| self.problem.correlation(j, r))).collect()
    }

    fn seen<'r>(&self, residuals: &'r [Vec<f64>]) -> Vec<Cow<'r, [f64]>> {
        residuals.iter().map(|r| self.problem.seen(r)).collect()
    }

    /// `‖C_g‖_F` of all groups.
    pub fn correlation_norms(&self, residuals: &[Vec<f64>]) -> Vec<f64> {
        let seen = self.seen(residuals);
        (0..self.groups.len())
            .into_par_iter()
            .with_min_len(16)
            .map(|g| sums::norm(&self.correlation(g, &seen)))
            .collect()
    }

    fn null_objective(&self) -> f64 {
        0.5 * self.targets.iter().map(|t| sums::dot(t, t)).sum::<f64>() / self.problem.n as f64
    }

    /// Primal, dual and its scale, with the norms of the groups listed (all others are taken to be feasible).
    fn certificate(&self, lambda: f64, state: &State, norms: impl Iterator<Item = (usize, f64)>) -> (f64, f64, f64) {
        let n = self.problem.n as f64;
        let squares: f64 = state.residuals.iter().map(|r| sums::dot(r, r)).sum::<f64>() / n;
        let along: f64 = state.residuals.iter().zip(&self.targets).map(|(r, t)| sums::dot(r, t)).sum::<f64>() / n;
        let penalty: f64 = state.b.iter().zip(&self.factors).map(|(b, f)| f * sums::norm(b)).sum();
        let limit = norms.map(|(g, c)| if c > 0.0 { lambda * self.factors[g] / c } else { 1.0 }).fold(1.0, f64::min);
        let scale = if squares > 0.0 { (along / squares).clamp(0.0, limit) } else { 0.0 };
        (0.5 * squares + lambda * penalty, scale * along - 0.5 * scale * scale * squares, scale)
    }

    pub fn minimise(&self, lambda: f64, o: &GroupOptions, state: &mut State, watch: &mut Watch<'_>) -> GroupFit {
        let null = self.null_objective();
        let (mut iterations, mut size) = (0, 0);
        let mut stuck = false;
        loop {
            self.rebuild_residuals(state);
            let norms = self.correlation_norms(&state.residuals);
            let (primal, dual, scale) = self.certificate(lambda, state, norms.iter().copied().enumerate());
            let gap = crate::certificate::gap(primal, dual, 1e-12 * null);
            let progress = Progress { stage: "block descent", step: iterations, total: None, value: Some(gap) };
            let outcome = match gap <= o.tolerance * null {
                true => Some(Outcome::Converged),
                false if watch.stops(progress) => Some(Outcome::Interrupted),
                // Nothing moves any more with all groups in the set: rounding.
                false if iterations >= o.max_iterations || stuck => Some(Outcome::Limit),
                false => None,
            };
            if let Some(outcome) = outcome {
                return GroupFit { lambda, primal, dual, scale, null, iterations, outcome };
            }
            let support = state.b.iter().filter(|b| b.iter().any(|v| *v != 0.0)).count();
            size = (2 * support).max(16).max(size + size / 2).min(self.groups.len());
            // Distance of each group from its constraint: the support first, then the closest.
            let slack = |g: usize| {
                let active = state.b[g].iter().any(|v| *v != 0.0);
                if active { f64::NEG_INFINITY } else { lambda * self.factors[g] - norms[g] }
            };
            let mut order: Vec<(f64, usize)> = (0..self.groups.len()).map(|g| (slack(g), g)).collect();
            order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let mut set: Vec<usize> = order[..size].iter().map(|o| o.1).collect();
            set.sort_unstable();
            let target = (0.1 * gap).max(0.3 * o.tolerance * null);
            let (swept, moved) = self.sweeps(lambda, target, o.max_iterations - iterations, &set, state);
            iterations += swept;
            stuck = !moved && size == self.groups.len();
        }
    }

    /// `Y − Z B` from scratch: what updates gathered in rounding is gone.
    fn rebuild_residuals(&self, state: &mut State) {
        let tasks = self.targets.len();
        for (t, (r, target)) in state.residuals.iter_mut().zip(&self.targets).enumerate() {
            r.copy_from_slice(target);
            let groups = self.groups.iter().zip(&state.b);
            self.problem
                .subtract(groups.flat_map(|(g, b)| g.iter().enumerate().map(move |(i, &j)| (j, b[i * tasks + t]))), r);
        }
    }

    /// Sweeps over the groups of `set` until the gap of the problem that has only these is at most `target`; how many, and
    /// whether the last one moved anything.
    fn sweeps(&self, lambda: f64, target: f64, limit: usize, set: &[usize], state: &mut State) -> (usize, bool) {
        let mut history: Vec<Vec<f64>> = vec![flat(set, &state.b)];
        for sweep in 1..=limit {
            let mut moved = false;
            for &g in set {
                moved |= self.step(lambda, g, state);
            }
            if !moved {
                return (sweep, false);
            }
            history.push(flat(set, &state.b));
            if history.len() == MEMORY + 2 {
                self.extrapolate(lambda, set, state, &history);
                history = vec![flat(set, &state.b)];
            }
            if sweep % CHECK == 0 {
                let seen = self.seen(&state.residuals);
                let norms = set.iter().map(|&g| (g, sums::norm(&self.correlation(g, &seen))));
                let (primal, dual, _) = self.certificate(lambda, state, norms);
                if primal - dual <= target {
                    return (sweep, true);
                }
            }
        }
        (limit, true)
    }

    /// One proximal step of a group; whether it moved.
    fn step(&self, lambda: f64, g: usize, state: &mut State) -> bool {
        let curvature = self.curvature[g];
        if curvature <= 0.0 {
            return false;
        }
        let seen = self.seen(&state.residuals);
        let mut new = self.correlation(g, &seen);
        new.iter_mut().zip(&state.b[g]).for_each(|(c, b)| *c = b + *c / curvature);
        let norm = sums::norm(&new);
        let threshold = lambda * self.factors[g] / curvature;
        let shrink = if norm > threshold { 1.0 - threshold / norm } else { 0.0 };
        new.iter_mut().for_each(|v| *v *= shrink);
        if new == state.b[g] {
            return false;
        }
        let tasks = self.targets.len();
        for (t, r) in state.residuals.iter_mut().enumerate() {
            let changes = self.groups[g].iter().enumerate().map(|(i, &j)| {
                let at = i * tasks + t;
                (j, new[at] - state.b[g][at])
            });
            self.problem.subtract(changes, r);
        }
        state.b[g] = new;
        true
    }

    /// The combination of the last iterates whose differences cancel best, kept where it lowers the objective.
    fn extrapolate(&self, lambda: f64, set: &[usize], state: &mut State, history: &[Vec<f64>]) {
        let Some(candidate) = anderson::extrapolate(history) else { return };
        let tasks = self.targets.len();
        let mut then = State { b: state.b.clone(), residuals: state.residuals.clone() };
        let mut at = 0;
        for &g in set {
            let new = candidate[at..at + then.b[g].len()].to_vec();
            at += new.len();
            for (t, r) in then.residuals.iter_mut().enumerate() {
                let changes = self.groups[g].iter().enumerate();
                self.problem.subtract(changes.map(|(i, &j)| (j, new[i * tasks + t] - state.b[g][i * tasks + t])), r);
            }
            then.b[g] = new;
        }
        let objective = |s: &State| self.certificate(lambda, s, std::iter::empty()).0;
        if objective(&then) < objective(state) {
            *state = then;
        }
    }

    /// The fit in terms of the columns as given, judged on the numbers that are returned.
    pub fn as_given(
        &self,
        design: &Design,
        y: &Matrix,
        o: &GroupOptions,
        mut fit: GroupFit,
        state: &State,
    ) -> Result<GroupSolution, Error> {
        let tasks = self.targets.len();
        let (mut groups, mut coefficients) = (Vec::new(), Vec::new());
        for (g, b) in state.b.iter().enumerate().filter(|b| b.1.iter().any(|v| *v != 0.0)) {
            groups.push(g);
            coefficients.extend(self.groups[g].iter().zip(b.chunks_exact(tasks)).map(|(&j, row)| (j, row.to_vec())));
        }
        coefficients.sort_unstable_by_key(|c| c.0);
        coefficients.iter().try_for_each(|(j, row)| row.iter().try_for_each(|w| check_coefficient(*j, *w)))?;
        let weight = |i: usize| o.sample_weights.as_ref().map_or(1.0, |w| w[i]);
        let total = sums::sum_by(y.rows(), weight);
        let terms = |t: usize| -> Vec<(usize, f64)> { coefficients.iter().map(|(j, row)| (*j, row[t])).collect() };
        let intercepts = (0..tasks).map(|t| {
            let fitted = design.products(&terms(t), 0.0);
            let sum = sums::sum_by(y.rows(), |i| weight(i) * (y[(i, t)] - fitted[i]));
            if o.intercept { sum / total } else { 0.0 }
        });
        let mut intercepts: Vec<f64> = intercepts.collect();
        // The objective is that of the numbers returned: where their rounding could matter, it is computed from them.
        let n = self.problem.n as f64;
        let squares: f64 = state.residuals.iter().map(|r| sums::dot(r, r)).sum::<f64>() / n;
        let size = |j: usize| (design.squares[j] / n).sqrt();
        let moved =
            (0..tasks).map(|t| intercepts[t].abs() + terms(t).iter().map(|(j, w)| w.abs() * size(*j)).sum::<f64>());
        let moved = 2.0 * f64::EPSILON * moved.sum::<f64>();
        let allowed = o.tolerance * fit.null;
        if squares.sqrt() * moved + moved * moved > SHARE * allowed || !moved.is_finite() {
            let (q, mut exact) = (self.problem.roots(), 0.0);
            for (t, intercept) in intercepts.iter_mut().enumerate() {
                let (found, residual) = exact_residual(design, &y.copy_column(t), (0, &q, o.intercept), &terms(t));
                *intercept = found;
                exact += sums::dot(&residual, &residual) / n;
            }
            fit.primal += 0.5 * (exact - squares);
            if fit.outcome == Outcome::Converged && fit.gap() > allowed {
                fit.outcome = Outcome::Limit;
            }
        }
        if fit.gap() == f64::INFINITY && fit.outcome != Outcome::Interrupted {
            fit.outcome = Outcome::CertificateFailed;
        }
        let (status, ending) = fit.outcome.parts();
        let (lower_bound, no_bound) = bound(fit.primal, fit.dual, fit.gap(), ending);
        let report = Report {
            ending,
            route: Route::BlockDescent,
            iterations: fit.iterations,
            seconds: Seconds::default(),
            null_objective: fit.null,
            dual_scale: fit.scale,
            working_set: groups.len(),
            columns_checked: design.columns(),
        };
        let (columns, objective, lambda) = (design.columns(), fit.primal, fit.lambda);
        Ok(GroupSolution {
            lambda,
            intercepts,
            coefficients,
            groups,
            columns,
            objective,
            lower_bound,
            no_bound,
            status,
            report,
        })
    }
}

pub(super) fn flat(set: &[usize], b: &[Vec<f64>]) -> Vec<f64> {
    set.iter().flat_map(|&g| b[g].iter().copied()).collect()
}

/// Largest eigenvalue of `Z_gᵀZ_g / n`, a hair above for rounding.
pub(super) fn curvature(problem: &Problem<'_>, columns: &[usize]) -> Result<f64, Error> {
    let z: Vec<Vec<f64>> = columns.iter().map(|&j| problem.copy_column(j)).collect();
    let gram = Matrix::from_fn(z.len(), z.len(), |i, j| sums::dot(&z[i], &z[j]) / problem.n as f64);
    if z.len() == 1 {
        return Ok(gram[(0, 0)]);
    }
    let (values, _) = symmetric_eigen(&gram)?;
    Ok(values.iter().fold(0.0_f64, |m, v| m.max(*v)) * (1.0 + 1e-12))
}
