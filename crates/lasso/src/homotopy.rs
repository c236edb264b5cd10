//! The exact piecewise linear path (homotopy, LARS with drops): from one change of the support to the next.
//!
//! Between two events the coefficients move along `d = G_SS⁻¹(a∘σ)` and every correlation along `q = G d`; the next event
//! is the first column that meets its limit `λ a_j` or the first coefficient that meets zero. The Cholesky factor of `G_SS`
//! gains a row by one triangular solve and loses one by rotations. Cost per event: `s²` multiplications and one response
//! `q`, which is `M·K` for the small problems of [`Homotopy`] and `p·s` on a Gram matrix.
//!
//! [`Homotopy`] is for many problems that share a small table, as the relevance of `M` tasks in `K` dimensions does: the
//! table is prepared once, and a [`Workspace`] is used again and again without allocating.
use samplewise_linalg::scale::{extreme_exponent_of, ldexp};
use samplewise_linalg::{Matrix, chunk};

use crate::LassoError;

/// Pivots below this share of the diagonal are lost to rounding: the column depends on the active ones.
const LOST: f64 = 1e-12;
/// Columns that are tried for the next event together.
const GROUP: usize = 16;
/// Steps after which a path ends without an answer, per column.
const STEPS: usize = 20;

/// What a path asks of a table; columns are scaled to a diagonal of one.
pub(crate) trait Source {
    /// Number of columns.
    fn len(&self) -> usize;
    /// `G_ij`.
    fn gram(&self, i: usize, j: usize) -> f64;
    /// `out_j = Σ_i G_{j, active_i} d_i`.
    fn respond(&self, active: &[usize], d: &[f64], scratch: &mut Vec<f64>, out: &mut [f64]);
}

/// Where a column may go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Out,
    In,
    /// Depends on the active columns: waits until one leaves.
    Waits,
    /// Takes no part.
    Never,
}

/// State of one path; buffers are kept from call to call.
#[derive(Clone, Debug, Default)]
pub struct Workspace {
    pub(crate) lambda: f64,
    pub(crate) active: Vec<usize>,
    pub(crate) w: Vec<f64>,
    pub(crate) c: Vec<f64>,
    sign: Vec<f64>,
    place: Vec<Place>,
    /// `a_j` where the column may join with a positive sign, with a negative one; infinite where it may not.
    up: Vec<f64>,
    down: Vec<f64>,
    /// Row-major lower factor of `G_SS`.
    factor: Vec<f64>,
    stride: usize,
    d: Vec<f64>,
    q: Vec<f64>,
    scratch: Vec<f64>,
    pub(crate) steps: usize,
}

/// How a path ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Reached,
    /// Rounding or ties led in a circle.
    Lost,
}

impl Workspace {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts at the null model with correlations `c`; `limit(j)` is `a_j` with the sides that are allowed
    /// `(positive, negative)`, or `None` for a column that takes no part.
    pub(crate) fn start(&mut self, c: impl Iterator<Item = f64>, limit: &impl Fn(usize) -> Option<(f64, bool, bool)>) {
        self.c.clear();
        self.c.extend(c);
        let m = self.c.len();
        self.place.clear();
        self.place.extend((0..m).map(|j| if limit(j).is_some() { Place::Out } else { Place::Never }));
        self.up.clear();
        self.up.extend((0..m).map(|j| limit(j).filter(|l| l.1).map_or(f64::INFINITY, |l| l.0)));
        self.down.clear();
        self.down.extend((0..m).map(|j| limit(j).filter(|l| l.2).map_or(f64::INFINITY, |l| l.0)));
        [&mut self.w, &mut self.sign, &mut self.d].into_iter().for_each(Vec::clear);
        self.active.clear();
        self.q.clear();
        self.q.resize(m, 0.0);
        self.steps = 0;
        self.lambda = (0..m)
            .filter_map(|j| {
                let (a, up, down) = limit(j)?;
                let c = self.c[j];
                ((c > 0.0 && up) || (c < 0.0 && down)).then_some(c.abs() / a)
            })
            .fold(0.0, f64::max);
    }

    /// Follows the path down to `end ≥ 0`; `visit(λ_high, λ_low, state)` sees every segment before it is walked.
    pub(crate) fn walk<S: Source>(
        &mut self,
        source: &S,
        end: f64,
        limit: &impl Fn(usize) -> Option<(f64, bool, bool)>,
        mut visit: impl FnMut(f64, &Workspace),
    ) -> End {
        let most = STEPS * (source.len() + 10);
        let mut dropped: Option<(usize, f64)> = None;
        let mut joining: Option<(usize, f64)> = None;
        if self.active.is_empty() {
            joining = self.first(limit);
        }
        loop {
            if let Some((j, sign)) = joining.take() {
                self.join(source, j, sign);
            }
            if self.lambda <= end {
                return End::Reached;
            }
            if self.steps >= most {
                return End::Lost;
            }
            self.steps += 1;
            // Direction, and what it does to every correlation.
            self.d.clear();
            self.d.extend(self.active.iter().zip(&self.sign).map(|(&j, s)| s * limit(j).map_or(0.0, |l| l.0)));
            self.solve();
            source.respond(&self.active, &self.d, &mut self.scratch, &mut self.q);
            let lambda = self.lambda;
            // Towards zero all correlations vanish together: what seems to happen in the last moment is rounding.
            let mut step = if end > 0.0 { lambda - end } else { lambda * (1.0 - 1e-9) };
            let mut event: Option<(usize, f64)> = None;
            if let Some((t, j, sign)) = self.next_to_join(step, dropped) {
                (step, event) = (t, Some((j, sign)));
            }
            let mut leaving = None;
            for (i, (w, d)) in self.w.iter().zip(&self.d).enumerate() {
                if w * d < 0.0 || (*w == 0.0 && d * self.sign[i] < 0.0) {
                    let t = (-w / d).max(0.0);
                    if t < step {
                        (step, leaving) = (t, Some(i));
                    }
                }
            }
            if event.is_none() && leaving.is_none() {
                step = lambda - end;
            }
            visit(lambda - step, self);
            self.w.iter_mut().zip(&self.d).for_each(|(w, d)| *w += step * d);
            self.c.iter_mut().zip(&self.q).for_each(|(c, q)| *c -= step * q);
            self.lambda = if event.is_none() && leaving.is_none() { end } else { lambda - step };
            for (&j, s) in self.active.iter().zip(&self.sign) {
                self.c[j] = s * self.lambda * limit(j).map_or(0.0, |l| l.0);
            }
            dropped = None;
            if let Some(i) = leaving {
                dropped = Some((self.active[i], self.sign[i]));
                self.leave(i);
            } else if event.is_some() {
                joining = event;
            }
        }
    }

    /// The first column to meet its limit within `step`: `(step, column, sign)`. The one just dropped may not come back on
    /// the same side.
    fn next_to_join(&self, mut step: f64, dropped: Option<(usize, f64)>) -> Option<(f64, usize, f64)> {
        let lambda = self.lambda;
        let mut found = None;
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                for first in (0..self.c.len()).step_by(GROUP) {
                    let group = first..(first + GROUP).min(self.c.len());
                    let (c, q) = (&self.c[group.clone()], &self.q[group.clone()]);
                    let (up, down) = (&self.up[group.clone()], &self.down[group.clone()]);
                    // `(λa − c) / (a − q) < step` without the division, for both signs; infinite limits fail it.
                    let mut any = false;
                    for (((c, q), up), down) in c.iter().zip(q).zip(up).zip(down) {
                        any |= lambda * up - c < step * (up - q);
                        any |= lambda * down + c < step * (down + q);
                    }
                    if !any {
                        continue;
                    }
                    for j in group.filter(|&j| self.place[j] == Place::Out) {
                        let just = dropped.filter(|d| d.0 == j).map_or(0.0, |d| d.1);
                        let (up, down, c, q) = (self.up[j], self.down[j], self.c[j], self.q[j]);
                        // Rounding may have carried a correlation past its limit by a hair: then it joins now.
                        if just <= 0.0 && up - q > 1e-12 * up {
                            let t = ((lambda * up - c) / (up - q)).max(0.0);
                            if t < step {
                                (step, found) = (t, Some((t, j, 1.0)));
                            }
                        }
                        if just >= 0.0 && down + q > 1e-12 * down {
                            let t = ((lambda * down + c) / (down + q)).max(0.0);
                            if t < step {
                                (step, found) = (t, Some((t, j, -1.0)));
                            }
                        }
                    }
                }
            },
        );
        found
    }

    /// The column that attains the largest λ.
    fn first(&self, limit: &impl Fn(usize) -> Option<(f64, bool, bool)>) -> Option<(usize, f64)> {
        (0..self.c.len()).find_map(|j| {
            let (a, up, down) = limit(j)?;
            let c = self.c[j];
            let allowed = (c > 0.0 && up) || (c < 0.0 && down);
            (allowed && c.abs() / a >= self.lambda && self.lambda > 0.0).then(|| (j, c.signum()))
        })
    }

    fn join<S: Source>(&mut self, source: &S, j: usize, sign: f64) {
        let s = self.active.len();
        if s == self.stride {
            self.grow();
        }
        let stride = self.stride;
        let (known, row) = self.factor.split_at_mut(s * stride);
        for i in 0..s {
            let l = &known[i * stride..][..=i];
            row[i] = (source.gram(j, self.active[i]) - chunk::dot(&l[..i], &row[..i])) / l[i];
        }
        let diagonal = source.gram(j, j);
        let pivot = diagonal - chunk::dot(&row[..s], &row[..s]);
        if pivot <= LOST * diagonal {
            self.place[j] = Place::Waits;
            return;
        }
        row[s] = pivot.sqrt();
        self.active.push(j);
        self.sign.push(sign);
        self.w.push(0.0);
        self.place[j] = Place::In;
    }

    fn leave(&mut self, i: usize) {
        let s = self.active.len();
        let stride = self.stride;
        self.place[self.active[i]] = Place::Out;
        self.place.iter_mut().filter(|p| **p == Place::Waits).for_each(|p| *p = Place::Out);
        self.active.remove(i);
        self.sign.remove(i);
        self.w.remove(i);
        self.factor.copy_within((i + 1) * stride..s * stride, i * stride);
        // Rows from i on have one entry right of the diagonal: rotate it away, column pair by column pair.
        for k in i..s - 1 {
            let (a, b) = (self.factor[k * stride + k], self.factor[k * stride + k + 1]);
            let r = a.hypot(b);
            let (cos, sin) = (a / r, b / r);
            for row in self.factor[k * stride..(s - 1) * stride].chunks_exact_mut(stride) {
                let (x, y) = (row[k], row[k + 1]);
                row[k] = cos * x + sin * y;
                row[k + 1] = cos * y - sin * x;
            }
        }
    }

    /// `d ← G_SS⁻¹ d`.
    pub(crate) fn solve(&mut self) {
        let (stride, d) = (self.stride, &mut self.d);
        for i in 0..d.len() {
            let row = &self.factor[i * stride..][..=i];
            d[i] = (d[i] - chunk::dot(&row[..i], &d[..i])) / row[i];
        }
        for i in (0..d.len()).rev() {
            let row = &self.factor[i * stride..][..=i];
            let x = d[i] / row[i];
            d[i] = x;
            chunk::axpy(-x, &row[..i], &mut d[..i]);
        }
    }

    fn grow(&mut self) {
        let (old, stride) = (self.stride, (2 * self.stride).max(16));
        let mut factor = vec![0.0; stride * stride];
        for (new, row) in factor.chunks_exact_mut(stride).zip(self.factor.chunks_exact(old.max(1))) {
            new[..old].copy_from_slice(row);
        }
        self.factor = factor;
        self.stride = stride;
    }

    /// Coefficients at `lambda` inside the segment that starts at the state's λ.
    pub(crate) fn at(&self, lambda: f64) -> impl Iterator<Item = (usize, f64)> + '_ {
        let step = self.lambda - lambda;
        self.active.iter().zip(&self.w).zip(&self.d).map(move |((&j, w), d)| (j, w + step * d))
    }
}

/// A small table prepared for many problems: `K` rows, `M` columns.
#[derive(Clone, Debug)]
pub struct Homotopy {
    rows: usize,
    columns: usize,
    /// Scaled columns, one after the other.
    by_column: Vec<f64>,
    /// Scaled rows, one after the other.
    by_row: Vec<f64>,
    /// Norms of the columns.
    norms: Vec<f64>,
}

/// Answer to one small problem.
#[derive(Clone, Debug, PartialEq)]
pub struct SmallSolution {
    /// Nonzero coefficients, column ascending.
    pub coefficients: Vec<(usize, f64)>,
    /// Objective; for [`Homotopy::least_l1`] the ℓ1 norm.
    pub primal: f64,
    /// A value that no coefficients undercut.
    pub dual: f64,
    /// The dual point: `dual = uᵀy − K‖u‖²/2` with `|x_jᵀu| ≤ λ`, for [`Homotopy::least_l1`] `dual = uᵀy` with `|x_jᵀu| ≤ 1`.
    pub dual_point: Vec<f64>,
    /// `‖X w − y‖`.
    pub residual_norm: f64,
    /// Events of the path.
    pub steps: usize,
}

/// `v · 2^e`.
fn scaled(v: &[f64], e: i32) -> Vec<f64> {
    v.iter().map(|v| ldexp(*v, e)).collect()
}

impl SmallSolution {
    /// The solution for a target that is `2^e` times as large, whose objective is `2^objective` times as large.
    fn multiply_target(&mut self, e: i32, objective: i32) {
        self.coefficients.iter_mut().for_each(|c| c.1 = ldexp(c.1, e));
        self.dual_point.iter_mut().for_each(|v| *v = ldexp(*v, e));
        self.residual_norm = ldexp(self.residual_norm, e);
        self.primal = ldexp(self.primal, objective);
        self.dual = ldexp(self.dual, objective);
    }

    /// `primal − dual`.
    pub fn gap(&self) -> f64 {
        crate::certificate::gap(self.primal, self.dual, 1e-9 * self.primal.abs())
    }
}

impl Source for Homotopy {
    fn len(&self) -> usize {
        self.columns
    }

    fn gram(&self, i: usize, j: usize) -> f64 {
        chunk::dot(self.column(i), self.column(j))
    }

    fn respond(&self, active: &[usize], d: &[f64], scratch: &mut Vec<f64>, out: &mut [f64]) {
        scratch.clear();
        scratch.resize(self.rows, 0.0);
        for (&j, d) in active.iter().zip(d) {
            chunk::axpy(*d, self.column(j), scratch);
        }
        self.correlations(scratch, out);
    }
}

impl Homotopy {
    /// Copies a `K × M` table in both storage orders. Memory `16·K·M` bytes.
    ///
    /// # Errors
    /// [`LassoError::Table`] for entries that are not finite; [`LassoError::Empty`].
    pub fn new(x: &Matrix) -> Result<Self, LassoError> {
        let (rows, columns) = (x.rows(), x.columns());
        if rows == 0 || columns == 0 {
            return Err(LassoError::Empty { rows, columns });
        }
        x.check_finite("x")?;
        let mut by_column = x.transpose().into_vec();
        let norms: Vec<f64> = by_column.chunks_exact(rows).map(chunk::norm).collect();
        let factors: Vec<f64> = norms.iter().map(|n| if *n > 0.0 { 1.0 / n } else { 1.0 }).collect();
        if let Some(position) = (0..columns).find(|&j| !(factors[j].is_normal() && norms[j].is_finite())) {
            let (argument, allowed) = ("norm of a column", "zero, or 1e-307 to 1e307");
            return Err(LassoError::Entry { argument, position, value: norms[position], allowed });
        }
        for (column, f) in by_column.chunks_exact_mut(rows).zip(&factors) {
            column.iter_mut().for_each(|v| *v *= f);
        }
        let mut by_row = x.as_slice().to_vec();
        for row in by_row.chunks_exact_mut(columns) {
            row.iter_mut().zip(&factors).for_each(|(v, f)| *v *= f);
        }
        Ok(Self { rows, columns, by_column, by_row, norms })
    }

    fn column(&self, j: usize) -> &[f64] {
        &self.by_column[j * self.rows..(j + 1) * self.rows]
    }

    /// `out = X̃ᵀ v`.
    fn correlations(&self, v: &[f64], out: &mut [f64]) {
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                let m = self.columns;
                let whole = self.rows - self.rows % 4;
                out.fill(0.0);
                for k in (0..whole).step_by(4) {
                    let row = |i: usize| &self.by_row[(k + i) * m..(k + i + 1) * m];
                    let rows = row(0).iter().zip(row(1)).zip(row(2)).zip(row(3));
                    for (o, (((a, b), c), d)) in out.iter_mut().zip(rows) {
                        *o += (v[k] * a + v[k + 1] * b) + (v[k + 2] * c + v[k + 3] * d);
                    }
                }
                for k in whole..self.rows {
                    out.iter_mut().zip(&self.by_row[k * m..(k + 1) * m]).for_each(|(o, x)| *o += v[k] * x);
                }
            },
        );
    }

    /// Limits in the scaled problem: `|x̃_jᵀr| ≤ λ / ‖x_j‖`.
    fn limit(&self, j: usize) -> Option<(f64, bool, bool)> {
        (self.norms[j] > 0.0).then(|| (1.0 / self.norms[j], true, true))
    }

    fn check(&self, y: &[f64]) -> Result<(), LassoError> {
        if y.len() != self.rows {
            return Err(LassoError::Length { argument: "y", given: y.len(), expected: self.rows });
        }
        match y.iter().position(|v| !v.is_finite()) {
            Some(position) => Err(LassoError::Entry { argument: "y", position, value: y[position], allowed: "finite" }),
            None => Ok(()),
        }
    }

    /// The smallest λ at which all coefficients are zero.
    ///
    /// # Errors
    /// [`LassoError::Length`], [`LassoError::Entry`].
    pub fn largest_lambda(&self, y: &[f64]) -> Result<f64, LassoError> {
        self.check(y)?;
        let e = extreme_exponent_of(y);
        if e != 0 {
            return Ok(ldexp(self.largest_lambda(&scaled(y, -e))?, e));
        }
        let mut c = vec![0.0; self.columns];
        self.correlations(y, &mut c);
        Ok(c.iter().zip(&self.norms).map(|(c, n)| c.abs() * n).fold(0.0, f64::max) / self.rows as f64)
    }

    /// `min_w (1/2K)‖y − X w‖² + λ‖w‖₁`, exactly up to rounding (row LAS-5).
    ///
    /// # Errors
    /// [`LassoError::Length`], [`LassoError::Entry`], [`LassoError::OptionOutOfRange`]; [`LassoError::Degenerate`] when
    /// ties lead the path in a circle ([`crate::solve()`] has no such case).
    pub fn solve(&self, y: &[f64], lambda: f64, workspace: &mut Workspace) -> Result<SmallSolution, LassoError> {
        crate::problem::check_lambda(lambda)?;
        let e = extreme_exponent_of(y);
        if e != 0 {
            self.check(y)?;
            let moderate = ldexp(lambda, -e).clamp(f64::MIN_POSITIVE, f64::MAX);
            let mut found = self.solve(&scaled(y, -e), moderate, workspace)?;
            found.multiply_target(e, 2 * e);
            return Ok(found);
        }
        // In the path λ is K times as large: correlations are not divided by K.
        let n = self.rows as f64;
        self.follow(y, lambda * n, workspace)?;
        let (coefficients, r) = self.finish(y, lambda * n, workspace);
        let l1: f64 = coefficients.iter().map(|c| c.1.abs()).sum();
        let squares = chunk::dot(&r, &r);
        self.correlations(&r, &mut workspace.q);
        let worst = workspace.q.iter().zip(&self.norms).map(|(q, n)| q.abs() * n).fold(0.0, f64::max);
        let scale = if worst > lambda * n { lambda * n / worst } else { 1.0 };
        let dual = (scale * chunk::dot(&r, y) - 0.5 * scale * scale * squares) / n;
        Ok(SmallSolution {
            coefficients,
            primal: 0.5 * squares / n + lambda * l1,
            dual,
            dual_point: r.iter().map(|r| scale * r / n).collect(),
            residual_norm: squares.sqrt(),
            steps: workspace.steps,
        })
    }

    /// `min ‖w‖₁` subject to `X w = y` (basis pursuit), exactly up to rounding (row LAS-5): the path followed to λ = 0.
    /// Where `y` is not in the span of the columns, among the least squares solutions; see
    /// [`SmallSolution::residual_norm`].
    ///
    /// # Errors
    /// As [`Homotopy::solve`].
    pub fn least_l1(&self, y: &[f64], workspace: &mut Workspace) -> Result<SmallSolution, LassoError> {
        let e = extreme_exponent_of(y);
        if e != 0 {
            self.check(y)?;
            let point = self.least_l1(&scaled(y, -e), workspace)?;
            let mut found = SmallSolution { dual_point: Vec::new(), ..point.clone() };
            found.multiply_target(e, e);
            return Ok(SmallSolution { dual_point: point.dual_point, ..found });
        }
        self.follow(y, 0.0, workspace)?;
        let (coefficients, r) = self.finish(y, 0.0, workspace);
        // u = X_S G⁻¹(σ a): x_jᵀu = σ_j on the support, at most one in absolute value elsewhere.
        let mut point = vec![0.0; self.rows];
        workspace.d.clear();
        workspace.d.extend(workspace.active.iter().zip(&workspace.sign).map(|(&j, s)| s / self.norms[j]));
        workspace.solve();
        for (&j, d) in workspace.active.iter().zip(&workspace.d) {
            chunk::axpy(*d, self.column(j), &mut point);
        }
        self.correlations(&point, &mut workspace.q);
        let worst = workspace.q.iter().zip(&self.norms).map(|(q, n)| q.abs() * n).fold(0.0, f64::max);
        if worst > 1.0 {
            point.iter_mut().for_each(|v| *v /= worst);
        }
        // Part of y outside the span meets no column.
        let inside: Vec<f64> = y.iter().zip(&r).map(|(y, r)| y - r).collect();
        Ok(SmallSolution {
            primal: coefficients.iter().map(|c| c.1.abs()).sum(),
            dual: chunk::dot(&point, &inside),
            coefficients,
            dual_point: point,
            residual_norm: chunk::norm(&r),
            steps: workspace.steps,
        })
    }

    fn follow(&self, y: &[f64], end: f64, workspace: &mut Workspace) -> Result<(), LassoError> {
        self.check(y)?;
        let mut c = std::mem::take(&mut workspace.scratch);
        c.clear();
        c.resize(self.columns, 0.0);
        self.correlations(y, &mut c);
        let limit = |j: usize| self.limit(j);
        workspace.start(c.iter().copied(), &limit);
        workspace.scratch = c;
        // Correlations of rounding only: the target has nothing in common with any column.
        let floor = 1e-14 * chunk::norm(y);
        if workspace.lambda <= end || workspace.c.iter().all(|c| c.abs() <= floor) {
            return Ok(());
        }
        match workspace.walk(self, end, &limit, |_, _| ()) {
            End::Reached => Ok(()),
            End::Lost => Err(LassoError::Degenerate { steps: workspace.steps }),
        }
    }

    /// Coefficients of the support found, solved once more from the data and refined: what the path gathered in rounding
    /// is gone.
    fn finish(&self, y: &[f64], lambda: f64, workspace: &mut Workspace) -> (Vec<(usize, f64)>, Vec<f64>) {
        let mut r = y.to_vec();
        workspace.w.fill(0.0);
        for _ in 0..2 {
            workspace.d.clear();
            for (&j, s) in workspace.active.iter().zip(&workspace.sign) {
                workspace.d.push(chunk::dot(self.column(j), &r) - s * lambda / self.norms[j]);
            }
            workspace.solve();
            for ((&j, d), w) in workspace.active.iter().zip(&workspace.d).zip(&mut workspace.w) {
                *w += d;
                chunk::axpy(-d, self.column(j), &mut r);
            }
        }
        let mut coefficients: Vec<(usize, f64)> =
            workspace.active.iter().zip(&workspace.w).map(|(&j, w)| (j, w / self.norms[j])).collect();
        coefficients.retain(|c| c.1 != 0.0);
        coefficients.sort_unstable_by_key(|c| c.0);
        (coefficients, r)
    }
}
