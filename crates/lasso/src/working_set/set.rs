//! The working set: some columns, their Gram matrix, and Newton steps on it.
//!
//! The Gram matrix grows by blocks of columns (floor: `m²n/2` multiplications for `m` columns, one product of matrices per
//! block). A Newton step solves for the coefficients that are free to move with their signs held; the Cholesky factor of
//! these follows joins and leaves (`linalg::growing_cholesky`). What crosses zero or a bound is stopped there, and the step along the
//! stopped direction is exact, so that the objective never rises. Sweeps of coordinate descent between Newton steps bring
//! in the columns that want to join.
use rayon::prelude::*;
use samplewise_linalg::growing_cholesky::ActiveCholesky;
use samplewise_linalg::observe::{Progress, Watch};
use samplewise_linalg::sparse_columns::SparseGram;
use samplewise_linalg::{rows_times_rows, sums};

use crate::problem::Problem;

const NOWHERE: u32 = u32::MAX;
/// Sweeps of coordinate descent between Newton steps.
const SWEEPS: usize = 4;
/// Correlation of an unpenalised member, over λ, that is rounding.
const AT_REST: f64 = 1e-10;
/// Columns of a new block that are computed together, and the steps by which the store grows.
const GROWTH: usize = 64;

/// Columns of the working set, scaled.
enum Panel {
    /// Row `i` is column `ids[i]`.
    Dense(Vec<f64>),
    Sparse(SparseGram),
    /// Coordinate descent does without.
    None,
}

/// See the module. Local numbers are positions in `ids`.
///
/// Row LAS-2 of `paper-refs.md`.
pub(crate) struct Working {
    pub ids: Vec<usize>,
    place: Vec<u32>,
    panel: Panel,
    /// Gram matrix over `n`, diagonal one, both triangles.
    gram: Vec<f64>,
    stride: usize,
    /// Coefficients of the members in units of the scaled columns.
    pub w: Vec<f64>,
    /// `c_j − λ b_j w_j`.
    pub g: Vec<f64>,
    factor: ActiveCholesky,
    /// Local numbers of the members of the factor.
    members: Vec<usize>,
    /// Position in the factor.
    position: Vec<u32>,
    /// The λ whose ridge part is in the factor.
    factored_at: f64,
}

/// When [`Working::minimise`] may stop: either is enough.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    /// Largest violation relative to `λ a_j`.
    pub accuracy: f64,
    /// Gap of the problem of the members, for a Lasso without finite bounds.
    pub gap: f64,
    /// Mean square `rᵀr/n` of the residual, from the Gram matrix and so up to its rounding.
    pub squares: f64,
}

/// Where a coefficient may go from here.
#[derive(Clone, Copy, PartialEq)]
enum Move {
    /// At zero or a bound, and no reason to leave.
    Stays,
    /// With the sign held; zero for a column without penalty.
    Free(f64),
}

/// A coefficient that reaches its end during a Newton step.
#[derive(Clone, Copy)]
struct Stop {
    time: f64,
    term: usize,
    end: f64,
}

impl Working {
    pub fn new(problem: &Problem<'_>) -> Self {
        let panel = match problem.sparse() {
            Some(_) => Panel::Sparse(SparseGram::new(problem.n)),
            None => Panel::Dense(Vec::new()),
        };
        Self {
            ids: Vec::new(),
            place: vec![NOWHERE; problem.p],
            panel,
            gram: Vec::new(),
            stride: 0,
            w: Vec::new(),
            g: Vec::new(),
            factor: ActiveCholesky::new(),
            members: Vec::new(),
            position: Vec::new(),
            factored_at: f64::NAN,
        }
    }

    /// Gives the Gram matrix up; [`Working::minimise`] needs it.
    pub fn without_gram(&mut self) {
        self.panel = Panel::None;
        self.gram = Vec::new();
        self.stride = 0;
        self.forget_factor();
    }

    /// Takes the Gram matrix up.
    pub fn with_gram(&mut self, problem: &Problem<'_>, watch: &mut Watch<'_>) {
        self.panel = Self::new(problem).panel;
        self.reserve(self.len());
        let all = self.ids.clone();
        self.grow_gram(problem, 0, &all, watch);
    }

    /// Whether there is a Gram matrix.
    pub fn has_gram(&self) -> bool {
        !matches!(self.panel, Panel::None)
    }

    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn contains(&self, j: usize) -> bool {
        self.place[j] != NOWHERE
    }

    /// Nonzero coefficients `(column, value)`.
    pub fn nonzeros(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.ids.iter().copied().zip(self.w.iter().copied()).filter(|e| e.1 != 0.0)
    }

    /// Sets all coefficients; those listed are members.
    pub fn set(&mut self, w: &[(usize, f64)]) {
        self.w.fill(0.0);
        for &(j, value) in w {
            self.w[self.place[j] as usize] = value;
        }
    }

    /// Adds changes to coefficients of members.
    pub fn shift(&mut self, changes: &[(usize, f64)]) {
        for &(j, change) in changes {
            self.w[self.place[j] as usize] += change;
        }
    }

    /// `t − Z w` from scratch.
    pub fn residual(&self, problem: &Problem<'_>) -> Vec<f64> {
        let mut r = problem.target.clone();
        match &self.panel {
            Panel::Dense(rows) => {
                for (row, w) in rows.chunks_exact(problem.n).zip(&self.w).filter(|e| *e.1 != 0.0) {
                    sums::axpy(-w, row, &mut r);
                }
                problem.centre(&mut r);
            }
            Panel::Sparse(_) | Panel::None => problem.subtract(self.nonzeros(), &mut r),
        }
        r
    }

    /// Takes over exact correlations of the members.
    pub fn set_correlations(&mut self, problem: &Problem<'_>, lambda: f64, c: &[f64]) {
        for (i, &j) in self.ids.iter().enumerate() {
            self.g[i] = c[j] - lambda * problem.quadratic[j] * self.w[i];
        }
    }

    /// Adds columns that are not members, at coefficient zero, with their correlations.
    pub fn add(&mut self, problem: &Problem<'_>, fresh: &[usize], c: &[f64], watch: &mut Watch<'_>) {
        if fresh.is_empty() {
            return;
        }
        let old = self.len();
        if self.has_gram() {
            self.reserve(old + fresh.len());
        }
        for (i, &j) in fresh.iter().enumerate() {
            self.place[j] = (old + i) as u32;
            self.ids.push(j);
            self.w.push(0.0);
            self.g.push(c[j]);
            self.position.push(NOWHERE);
        }
        self.grow_gram(problem, old, fresh, watch);
    }

    /// Rows of the Gram matrix of the last members, `fresh`, of which there were `old` before.
    fn grow_gram(&mut self, problem: &Problem<'_>, old: usize, fresh: &[usize], watch: &mut Watch<'_>) {
        let (n, size) = (problem.n, old + fresh.len());
        let stride = self.stride;
        match &mut self.panel {
            Panel::None => {}
            Panel::Dense(rows) => {
                rows.resize(size * n, 0.0);
                let (known, new) = rows.split_at_mut(old * n);
                new.par_chunks_mut(n).zip(fresh).for_each(|(row, &j)| problem.subtract([(j, -1.0)].into_iter(), row));
                let out = &mut self.gram[old * stride..];
                let mut look = |share: f64| {
                    let value = Some(share);
                    watch.ticks(|| Progress { stage: "Gram matrix", step: size, total: None, value });
                };
                rows_times_rows::rows_times_rows_watched(new, known, n, out, stride, &mut look).expect("whole rows");
                rows_times_rows::rows_gram_watched(new, n, &mut out[old..], stride, &mut look).expect("whole rows");
                let scale = 1.0 / n as f64;
                out.chunks_mut(stride).take(fresh.len()).for_each(|r| r[..size].iter_mut().for_each(|v| *v *= scale));
            }
            Panel::Sparse(rows) => {
                let x = problem.sparse().expect("the panel is sparse when the table is");
                for (i, &j) in fresh.iter().enumerate() {
                    let (at, values) = x.row(j);
                    let out = &mut self.gram[(old + i) * stride..][..size];
                    rows.append(at, values, problem.inverse[j], out);
                    let mean = problem.mean(j);
                    for (l, out) in out[..=old + i].iter_mut().enumerate() {
                        *out = *out / n as f64 - mean * problem.mean(self.ids[l]);
                    }
                }
            }
        }
        if !self.has_gram() {
            return;
        }
        // The other triangle.
        (old..size).for_each(|i| self.gram[i * stride + i] = 1.0);
        rows_times_rows::mirror(&mut self.gram, stride, old, size);
    }

    fn reserve(&mut self, size: usize) {
        if size <= self.stride {
            return;
        }
        let stride = (size + size / 4 + GROWTH).next_multiple_of(8);
        let mut gram = vec![0.0; stride * stride];
        for (new, old) in gram.chunks_exact_mut(stride).zip(self.gram.chunks_exact(self.stride.max(1))).take(self.len())
        {
            new[..self.ids.len()].copy_from_slice(&old[..self.ids.len()]);
        }
        self.gram = gram;
        self.stride = stride;
    }

    fn step_of(&self, problem: &Problem<'_>, lambda: f64, i: usize) -> Move {
        let (j, w, g) = (self.ids[i], self.w[i], self.g[i]);
        if problem.inverse[j] == 0.0 {
            return Move::Stays;
        }
        let a = lambda * problem.absolute[j];
        let (lower, upper) = (problem.lower[j], problem.upper[j]);
        if w == 0.0 && a > 0.0 {
            // A column that wants to join does so by a sweep: many at once would make the Newton system singular.
            return Move::Stays;
        }
        let sign = if a == 0.0 { 0.0 } else { w.signum() };
        let slope = g - a * sign;
        let held = (w >= upper && slope >= 0.0) || (w <= lower && slope <= 0.0);
        if held { Move::Stays } else { Move::Free(sign) }
    }

    /// Largest violation of the optimality conditions among members, relative to `λ a_j`.
    fn violation(&self, problem: &Problem<'_>, lambda: f64, typical: f64) -> f64 {
        let mut worst = 0.0_f64;
        for i in 0..self.len() {
            let j = self.ids[i];
            let (w, g, a) = (self.w[i], self.g[i], lambda * problem.absolute[j]);
            if problem.inverse[j] == 0.0 {
                continue;
            }
            let off = if w == 0.0 {
                (problem.reach(j, g) - a).max(0.0)
            } else {
                let d = g - a * w.signum();
                let held = (w >= problem.upper[j] && d > 0.0) || (w <= problem.lower[j] && d < 0.0);
                if held { 0.0 } else { d.abs() }
            };
            worst = worst.max(off / if a > 0.0 { a } else { typical });
        }
        worst
    }

    /// Gap of the problem that has only the members: `(1−s)²·rᵀr/2n + Σ (λa|w| − s w c)` at the largest feasible `s ≤ 1`;
    /// infinite while an unpenalised member is not at rest.
    pub fn gap(&self, problem: &Problem<'_>, lambda: f64, squares: f64) -> f64 {
        let (mut worst, mut l1, mut along) = (1.0_f64, 0.0, 0.0);
        for ((&j, w), g) in self.ids.iter().zip(&self.w).zip(&self.g) {
            let a = lambda * problem.absolute[j];
            if a > 0.0 {
                worst = worst.max(problem.reach(j, *g) / a);
            } else if problem.inverse[j] > 0.0 && g.abs() > AT_REST * lambda {
                return f64::INFINITY;
            }
            l1 += a * w.abs();
            along += w * g;
        }
        let s = 1.0 / worst;
        0.5 * (1.0 - s) * (1.0 - s) * squares + l1 - s * along
    }

    /// Minimises over the members until the target is met, or `limit` Newton steps are spent; returns how many, and whether
    /// the target is met. With a `share` above zero a violation of that share of the first one is enough for now.
    pub fn minimise(
        &mut self,
        problem: &Problem<'_>,
        lambda: f64,
        target: Target,
        (share, limit): (f64, usize),
        watch: &mut Watch<'_>,
    ) -> (usize, bool) {
        let ridge = problem.quadratic.iter().any(|b| *b > 0.0);
        if ridge && self.factored_at.to_bits() != lambda.to_bits() {
            self.forget_factor();
        }
        self.factored_at = lambda;
        let mut enough = 0.0;
        for iteration in 1..=limit {
            self.newton(problem, lambda);
            let near = problem.plain && self.gap(problem, lambda, target.squares) <= target.gap;
            let violation = self.violation(problem, lambda, lambda);
            if near || violation <= target.accuracy {
                return (iteration, true);
            }
            let progress = Progress { stage: "Newton steps", step: iteration, total: None, value: Some(violation) };
            if violation <= enough || watch.stops(progress) {
                return (iteration, false);
            }
            if iteration == 1 {
                enough = share * violation;
            }
            for _ in 0..SWEEPS {
                self.sweep(problem, lambda);
            }
        }
        (limit, false)
    }

    fn forget_factor(&mut self) {
        self.factor.clear();
        self.members.drain(..).for_each(|i| self.position[i] = NOWHERE);
    }

    /// Brings the factor to the members that move.
    fn sync(&mut self, problem: &Problem<'_>, lambda: f64, moves: &[Move]) {
        let moving = |i: usize| moves[i] != Move::Stays;
        let free: Vec<usize> = (0..self.len()).filter(|&i| moving(i)).collect();
        let idle = self.members.iter().filter(|&&i| !moving(i)).count();
        // A factorisation anew is s³/6 multiplications as products of matrices; carrying idle members costs more.
        if idle > (free.len() / 8).max(24) || (self.factor.lost() > 0 && idle > 0) {
            self.forget_factor();
        }
        let joining: Vec<usize> = free.into_iter().filter(|&i| self.position[i] == NOWHERE).collect();
        let back: Vec<usize> = self.factor.removed().iter().copied().filter(|&p| moving(self.members[p])).collect();
        if !back.is_empty() {
            self.factor.restore(&back);
        }
        let (gram, stride, ids, members) = (&self.gram, self.stride, &self.ids, &self.members);
        let old = members.len();
        self.factor.append(joining.len(), |i, l| {
            let (a, b) = (joining[i], if l < old { members[l] } else { joining[l - old] });
            gram[a * stride + b] + if a == b { lambda * problem.quadratic[ids[a]] } else { 0.0 }
        });
        for &i in &joining {
            self.position[i] = self.members.len() as u32;
            self.members.push(i);
        }
        let leaving: Vec<usize> = (0..self.members.len()).filter(|&p| !moving(self.members[p])).collect();
        self.factor.remove(&leaving);
    }

    /// One Newton step on the support.
    fn newton(&mut self, problem: &Problem<'_>, lambda: f64) {
        let moves: Vec<Move> = (0..self.len()).map(|i| self.step_of(problem, lambda, i)).collect();
        self.sync(problem, lambda, &moves);
        let ids = &self.ids;
        let signed = |i: usize| match moves[i] {
            Move::Free(sign) => sign * lambda * problem.absolute[ids[i]],
            Move::Stays => 0.0,
        };
        let mut d: Vec<f64> =
            self.members.iter().map(|&i| if moves[i] == Move::Stays { 0.0 } else { self.g[i] - signed(i) }).collect();
        self.factor.solve(&mut d);
        // When each meets zero or its bound.
        let mut terms: Vec<(usize, f64)> = Vec::with_capacity(d.len());
        let mut stops: Vec<Stop> = Vec::new();
        for (&i, &d) in self.members.iter().zip(&d) {
            let Move::Free(sign) = moves[i] else { continue };
            if d == 0.0 {
                continue;
            }
            let j = self.ids[i];
            let toward = if sign * d < 0.0 {
                0.0
            } else if d > 0.0 {
                problem.upper[j]
            } else {
                problem.lower[j]
            };
            let time = ((toward - self.w[i]) / d).max(0.0);
            if time < 1.0 {
                stops.push(Stop { time, term: terms.len(), end: toward });
            }
            terms.push((i, d));
        }
        stops.sort_unstable_by(|a, b| a.time.total_cmp(&b.time).then(a.term.cmp(&b.term)));
        let mut change = self.product(problem, lambda, terms.iter().copied());
        let (mut t, mut stops) = (0.0, stops.into_iter().peekable());
        loop {
            let (mut slope, mut curvature) = (0.0, 0.0);
            for &(i, d) in &terms {
                slope += (self.g[i] - signed(i)) * d;
                curvature += d * change[i];
            }
            if slope.is_nan() || slope <= 0.0 {
                break;
            }
            let until = stops.peek().map_or(1.0, |s| s.time);
            let best = if curvature > 0.0 { t + slope / curvature } else { 1.0 };
            // Between almost the whole step and the whole, ends must be met exactly: a zero is a zero.
            let last = best < until * (1.0 - 1e-9);
            let step = if last { best } else { until } - t;
            terms.iter().for_each(|&(i, d)| self.w[i] += step * d);
            self.g.iter_mut().zip(&change).for_each(|(g, c)| *g -= step * c);
            t = if last { best } else { until };
            let Some(stop) = stops.next_if(|_| !last) else { break };
            let (i, d) = terms[stop.term];
            terms[stop.term].1 = 0.0;
            self.w[i] = stop.end;
            let row = &self.gram[i * self.stride..][..self.ids.len()];
            change.iter_mut().zip(row).for_each(|(c, g)| *c -= d * g);
            change[i] -= lambda * problem.quadratic[self.ids[i]] * d;
        }
        // Those that stop at the very time the step ended are at their ends up to rounding. Stops after it were not reached.
        while let Some(stop) = stops.next_if(|s| s.time <= t && t > 0.0) {
            self.w[terms[stop.term].0] = stop.end;
        }
        for &(i, _) in &terms {
            let j = self.ids[i];
            let (low, high) = match moves[i] {
                Move::Free(sign) if sign > 0.0 => (0.0, problem.upper[j]),
                Move::Free(sign) if sign < 0.0 => (problem.lower[j], 0.0),
                Move::Free(_) | Move::Stays => (problem.lower[j], problem.upper[j]),
            };
            self.w[i] = self.w[i].clamp(low, high);
        }
    }

    /// `(G + λ diag b) e` for all members.
    fn product(&self, problem: &Problem<'_>, lambda: f64, e: impl Iterator<Item = (usize, f64)>) -> Vec<f64> {
        let size = self.len();
        let mut out = vec![0.0; size];
        let terms: Vec<(usize, f64)> = e.collect();
        samplewise_linalg::dispatch::widest(
            #[inline(always)]
            || {
                let mut pairs = terms.chunks_exact(4);
                for group in &mut pairs {
                    let row = |k: usize| &self.gram[group[k].0 * self.stride..][..size];
                    let (a, b, c, d) = (row(0), row(1), row(2), row(3));
                    let e = [group[0].1, group[1].1, group[2].1, group[3].1];
                    for ((((out, a), b), c), d) in out.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                        *out += (e[0] * a + e[1] * b) + (e[2] * c + e[3] * d);
                    }
                }
                for &(i, e) in pairs.remainder() {
                    out.iter_mut().zip(&self.gram[i * self.stride..][..size]).for_each(|(o, g)| *o += e * g);
                }
            },
        );
        terms.iter().for_each(|&(i, e)| out[i] += lambda * problem.quadratic[self.ids[i]] * e);
        out
    }

    /// One sweep of coordinate descent over all members.
    fn sweep(&mut self, problem: &Problem<'_>, lambda: f64) {
        let size = self.len();
        samplewise_linalg::dispatch::widest(
            #[inline(always)]
            || {
                for i in 0..size {
                    let j = self.ids[i];
                    if problem.inverse[j] == 0.0 {
                        continue;
                    }
                    let (a, b) = (lambda * problem.absolute[j], lambda * problem.quadratic[j]);
                    let z = self.g[i] + (1.0 + b) * self.w[i];
                    let shrunk = (z.abs() - a).max(0.0).copysign(z) / (1.0 + b);
                    let new = shrunk.clamp(problem.lower[j], problem.upper[j]);
                    let change = new - self.w[i];
                    if change != 0.0 {
                        self.w[i] = new;
                        let row = &self.gram[i * self.stride..][..size];
                        self.g.iter_mut().zip(row).for_each(|(g, r)| *g -= change * r);
                        self.g[i] -= change * b;
                    }
                }
            },
        );
    }
}
