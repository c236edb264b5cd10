//! Many exact problems over one small table, as the relevance of `M` tasks in `K` dimensions is: the table is prepared once,
//! and a [`Workspace`] is used again and again.
use samplewise_linalg::scale::{extreme_exponent_of, ldexp};
use samplewise_linalg::{Matrix, sums};

use crate::Error;
use crate::lars::walk::{End, Source, Workspace};

/// A small table prepared for many problems: `K` rows, `M` columns.
///
/// Row LAS-5 of `paper-refs.md`.
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
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct SmallSolution {
    /// Nonzero coefficients, column ascending.
    pub coefficients: Vec<(usize, f64)>,
    /// Objective; for [`Homotopy::least_l1`] the ℓ1 norm.
    pub objective: f64,
    /// A value that no coefficients undercut.
    pub lower_bound: f64,
    /// The dual point `u`: the lower bound is `uᵀy − K‖u‖²/2` with `|x_jᵀu| ≤ λ`, for [`Homotopy::least_l1`] `uᵀy` with
    /// `|x_jᵀu| ≤ 1`.
    pub dual_point: Vec<f64>,
    /// `‖X w − y‖`.
    pub residual_norm: f64,
    /// Number of events of the path: columns that joined or left the support.
    pub iterations: usize,
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
        self.objective = ldexp(self.objective, objective);
        self.lower_bound = ldexp(self.lower_bound, objective);
    }

    /// `objective − lower_bound`: how far the objective can be from its minimum; infinite where the two contradict each
    /// other.
    pub fn gap(&self) -> f64 {
        crate::certificate::gap(self.objective, self.lower_bound, 1e-9 * self.objective.abs())
    }
}

impl Source for Homotopy {
    fn len(&self) -> usize {
        self.columns
    }

    fn gram(&self, i: usize, j: usize) -> f64 {
        sums::dot(self.column(i), self.column(j))
    }

    fn respond(&self, active: &[usize], d: &[f64], scratch: &mut Vec<f64>, out: &mut [f64]) {
        scratch.clear();
        scratch.resize(self.rows, 0.0);
        for (&j, d) in active.iter().zip(d) {
            sums::axpy(*d, self.column(j), scratch);
        }
        self.correlations(scratch, out);
    }
}

impl Homotopy {
    /// Copies a `K × M` table in both storage orders. Memory `16·K·M` bytes.
    ///
    /// # Errors
    /// [`Error::Data`] for entries that are not finite; [`Error::Empty`].
    pub fn new(x: &Matrix) -> Result<Self, Error> {
        let (rows, columns) = (x.rows(), x.columns());
        if rows == 0 || columns == 0 {
            return Err(Error::Empty { rows, columns });
        }
        x.check_finite("x")?;
        let mut by_column = x.transpose().into_vec();
        let norms: Vec<f64> = by_column.chunks_exact(rows).map(sums::norm).collect();
        let factors: Vec<f64> = norms.iter().map(|n| if *n > 0.0 { 1.0 / n } else { 1.0 }).collect();
        if let Some(position) = (0..columns).find(|&j| !(factors[j].is_normal() && norms[j].is_finite())) {
            let (argument, allowed) = ("norm of a column", "zero, or 1e-307 to 1e307");
            return Err(Error::Entry { argument, position, value: norms[position], allowed });
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
        samplewise_linalg::dispatch::widest(
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

    fn check(&self, y: &[f64]) -> Result<(), Error> {
        if y.len() != self.rows {
            return Err(Error::Length { argument: "y", given: y.len(), expected: self.rows });
        }
        match y.iter().position(|v| !v.is_finite()) {
            Some(position) => Err(Error::Entry { argument: "y", position, value: y[position], allowed: "finite" }),
            None => Ok(()),
        }
    }

    /// The smallest λ at which all coefficients are zero.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::Entry`].
    pub fn largest_lambda(&self, y: &[f64]) -> Result<f64, Error> {
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
    /// [`Error::Length`], [`Error::Entry`], [`Error::Argument`]; [`Error::Degenerate`] when
    /// ties lead the path in a circle ([`crate::solve()`] has no such case).
    pub fn solve(&self, y: &[f64], lambda: f64, workspace: &mut Workspace) -> Result<SmallSolution, Error> {
        crate::problem::check::check_lambda(lambda)?;
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
        let squares = sums::dot(&r, &r);
        self.correlations(&r, &mut workspace.q);
        let worst = workspace.q.iter().zip(&self.norms).map(|(q, n)| q.abs() * n).fold(0.0, f64::max);
        let scale = if worst > lambda * n { lambda * n / worst } else { 1.0 };
        let dual = (scale * sums::dot(&r, y) - 0.5 * scale * scale * squares) / n;
        Ok(SmallSolution {
            coefficients,
            objective: 0.5 * squares / n + lambda * l1,
            lower_bound: dual,
            dual_point: r.iter().map(|r| scale * r / n).collect(),
            residual_norm: squares.sqrt(),
            iterations: workspace.steps,
        })
    }

    /// `min ‖w‖₁` subject to `X w = y` (basis pursuit), exactly up to rounding (row LAS-5): the path followed to λ = 0.
    /// Where `y` is not in the span of the columns, among the least squares solutions; see
    /// [`SmallSolution::residual_norm`].
    ///
    /// # Errors
    /// As [`Homotopy::solve`].
    pub fn least_l1(&self, y: &[f64], workspace: &mut Workspace) -> Result<SmallSolution, Error> {
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
            sums::axpy(*d, self.column(j), &mut point);
        }
        self.correlations(&point, &mut workspace.q);
        let worst = workspace.q.iter().zip(&self.norms).map(|(q, n)| q.abs() * n).fold(0.0, f64::max);
        if worst > 1.0 {
            point.iter_mut().for_each(|v| *v /= worst);
        }
        // Part of y outside the span meets no column.
        let inside: Vec<f64> = y.iter().zip(&r).map(|(y, r)| y - r).collect();
        Ok(SmallSolution {
            objective: coefficients.iter().map(|c| c.1.abs()).sum(),
            lower_bound: sums::dot(&point, &inside),
            coefficients,
            dual_point: point,
            residual_norm: sums::norm(&r),
            iterations: workspace.steps,
        })
    }

    fn follow(&self, y: &[f64], end: f64, workspace: &mut Workspace) -> Result<(), Error> {
        self.check(y)?;
        let mut c = std::mem::take(&mut workspace.scratch);
        c.clear();
        c.resize(self.columns, 0.0);
        self.correlations(y, &mut c);
        let limit = |j: usize| self.limit(j);
        workspace.start(c.iter().copied(), &limit);
        workspace.scratch = c;
        // Correlations of rounding only: the target has nothing in common with any column.
        let floor = 1e-14 * sums::norm(y);
        if workspace.lambda <= end || workspace.c.iter().all(|c| c.abs() <= floor) {
            return Ok(());
        }
        match workspace.walk(self, end, &limit, |_, _| false) {
            End::Reached => Ok(()),
            End::Lost | End::Stopped => Err(Error::Degenerate { steps: workspace.steps }),
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
                workspace.d.push(sums::dot(self.column(j), &r) - s * lambda / self.norms[j]);
            }
            workspace.solve();
            for ((&j, d), w) in workspace.active.iter().zip(&workspace.d).zip(&mut workspace.w) {
                *w += d;
                sums::axpy(-d, self.column(j), &mut r);
            }
        }
        let mut coefficients: Vec<(usize, f64)> =
            workspace.active.iter().zip(&workspace.w).map(|(&j, w)| (j, w / self.norms[j])).collect();
        coefficients.retain(|c| c.1 != 0.0);
        coefficients.sort_unstable_by_key(|c| c.0);
        (coefficients, r)
    }
}
