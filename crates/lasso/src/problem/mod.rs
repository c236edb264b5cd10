//! The problem that all solvers see: columns centred, weighted and scaled to `‖z_j‖² = n`.
//!
//! `min_w (1/2n)‖t − Z w‖² + λ Σ_j (a_j|w_j| + b_j w_j²/2)`, `l_j ≤ w_j ≤ u_j`, with `z_j = q∘(x_j − μ_j)/σ_j`, `q_i = √s_i`.
//! A Lasso on `X` is one on `Z` with penalty factors divided by `σ_j`; standardisation only changes these factors.
pub(crate) mod check;
mod columns;
pub(crate) mod dense;

use std::borrow::Cow;

use samplewise_linalg::factor::solve_upper_in_place;
use samplewise_linalg::observe::Watch;
use samplewise_linalg::scale::{self, extreme_exponent_of, ldexp};
use samplewise_linalg::spmm::sparse_dot;
use samplewise_linalg::{CsrMatrix, Matrix, sums};

use crate::problem::check::{check, check_vector};
use crate::problem::columns::{Seen, Weighing, columns_between_looks, in_parts};
use crate::problem::dense::MOST_COPIED;
use crate::{Design, Error, Options};

pub(crate) use columns::Kind;

/// A column whose ridge factor is above this takes no part: what it could take from the objective is below rounding.
const LARGEST_RIDGE: f64 = 1e200;

/// Square roots of weights whose sum is their number.
fn roots(weights: &[f64]) -> Result<Vec<f64>, Error> {
    let mut w = weights.to_vec();
    let e = extreme_exponent_of(&w);
    scale::scale(&mut w, -e);
    let (total, n) = (sums::sum(&w), w.len() as f64);
    if total.is_nan() || total <= 0.0 {
        return Err(Error::argument("sample_weights", total, "a positive sum"));
    }
    w.iter_mut().for_each(|w| *w = (*w * n / total).sqrt());
    Ok(w)
}

/// The target freed of its weighted mean, weighted, and divided by a power of two; and that power. As of the columns, what
/// rounding left of the mean is taken away; a target that is constant but for that is zero.
fn target(y: &[f64], intercept: bool, squares: &[f64], root: Option<&[f64]>) -> (Vec<f64>, i32) {
    let (n, exponent) = (y.len(), extreme_exponent_of(y));
    let y: Cow<'_, [f64]> =
        if exponent == 0 { y.into() } else { y.iter().map(|y| ldexp(*y, -exponent)).collect::<Vec<f64>>().into() };
    let mean = if intercept { sums::dot(&y, squares) / n as f64 } else { 0.0 };
    let left = sums::sum_by(n, |i| squares[i] * (y[i] - mean)) / n as f64;
    let left = if intercept { left } else { 0.0 };
    let mut target: Vec<f64> = y.iter().map(|y| (y - mean) - left).collect();
    if intercept && scale::largest(&target) <= 16.0 * f64::EPSILON * f64::EPSILON * scale::largest(&y) {
        target.fill(0.0);
    }
    if let Some(q) = root {
        target.iter_mut().zip(q).for_each(|(t, q)| *t *= q);
    }
    (target, exponent)
}

/// A problem with its columns centred, weighted and scaled.
pub(crate) struct Problem<'a> {
    pub n: usize,
    pub p: usize,
    pub columns: Kind<'a>,
    /// `q`, when it is not all ones.
    root: Option<Vec<f64>>,
    pub centred: bool,
    /// Means of the weighted columns that are not stored centred; empty when all are zero.
    means: Vec<f64>,
    /// `1/σ_j`; zero for columns that are constant, which take no part.
    pub inverse: Vec<f64>,
    /// Means of the weighted columns over their deviations, whether they are stored centred or not: how many digits of a
    /// column its centring costs.
    offset: Vec<f64>,
    /// `t`, divided by `2^target_exponent`.
    pub target: Vec<f64>,
    /// All that is in units of the target is divided by this power of two, λ and the coefficients too; objectives by its
    /// square. Zero for targets of moderate size.
    pub target_exponent: i32,
    /// Exponents of the columns, see [`Design`].
    column_exponents: Vec<i32>,
    /// `a_j` and `b_j` at `λ = 1`.
    pub absolute: Vec<f64>,
    pub quadratic: Vec<f64>,
    pub lower: Vec<f64>,
    pub upper: Vec<f64>,
    /// Columns without penalty and bounds, independent of each other, and the factor of their Gram matrix.
    pub free: Vec<usize>,
    /// Orthonormal basis of these columns and the triangle that makes them from it.
    free_basis: Vec<Vec<f64>>,
    free_triangle: Matrix,
    /// Every `b_j` is zero and every bound infinite or zero.
    pub plain: bool,
}

impl<'a> Problem<'a> {
    /// Checks everything and builds the problem. Dense columns that must be centred or weighted are copied, except large
    /// tables, see [`dense`].
    ///
    /// # Errors
    /// For what does not fit; [`Error::Interrupted`] when the observer stops it.
    pub fn new(design: &'a Design, y: &[f64], o: &Options, watch: &mut Watch<'_>) -> Result<Self, Error> {
        Self::with_copies(design, y, o, MOST_COPIED, watch)
    }

    /// [`Problem::new`] that copies dense tables of so many entries at most.
    pub fn with_copies(
        design: &'a Design,
        y: &[f64],
        o: &Options,
        copied: usize,
        watch: &mut Watch<'_>,
    ) -> Result<Self, Error> {
        let (n, p) = (design.rows, design.columns);
        check(design, y, o)?;
        let root = o.sample_weights.as_ref().map(|w| roots(w)).transpose()?;
        let squares: Vec<f64> = root.as_ref().map_or_else(|| vec![1.0; n], |q| q.iter().map(|q| q * q).collect());
        let mut means = vec![0.0; p];
        if o.intercept {
            in_parts(&mut means, n, watch, |j| design.dot_column(j, &squares) / n as f64);
            if watch.stopped() {
                return Err(Error::Interrupted);
            }
        }
        let (target, target_exponent) = target(y, o.intercept, &squares, root.as_deref());
        let weighing = Weighing { means: &means, squares: &squares, root: root.as_deref(), intercept: o.intercept };
        let seen = weighing.columns(design, copied, watch)?;
        Self::build(design, seen, (root, means, target, target_exponent), o)
    }

    fn build(
        design: &'a Design,
        Seen { columns, centred, second, rounding }: Seen<'a>,
        (root, mut means, target, target_exponent): (Option<Vec<f64>>, Vec<f64>, Vec<f64>, i32),
        o: &Options,
    ) -> Result<Self, Error> {
        let (n, p) = (design.rows, design.columns);
        if !sums::dot(&target, &target).is_finite() {
            let (argument, allowed) = ("y", "values whose weighted sum of squares is finite");
            return Err(Error::Entry { argument, position: 0, value: target[0], allowed });
        }
        if let Some(position) = second.iter().position(|s| !s.is_finite()) {
            let allowed = "columns whose sum of squares is finite";
            let (argument, value) = ("sum of squares of a column", second[position]);
            return Err(Error::Entry { argument, position, value, allowed });
        }
        let deviation = |j: usize| {
            let variance = second[j] / n as f64;
            // A column that is constant beside an intercept cannot be told from it.
            if variance > rounding * means[j] * means[j] && variance > 0.0 { variance.sqrt() } else { 0.0 }
        };
        let deviations: Vec<f64> = (0..p).map(deviation).collect();
        let factor = |j: usize| o.penalty_factors.as_ref().map_or(1.0, |f| f[j]);
        let exponent = |j: usize| design.exponent(j);
        // Deviation of the column as given is `unit · 2^power`.
        let unit = |j: usize| if o.standardize || deviations[j] == 0.0 { 1.0 } else { deviations[j] };
        let power = |j: usize| if o.standardize || deviations[j] == 0.0 { 0 } else { exponent(j) };
        let quadratic: Vec<f64> = (0..p)
            .map(|j| ldexp((1.0 - o.mix) * factor(j) / (unit(j) * unit(j)), target_exponent - 2 * power(j)))
            .collect();
        let takes_part = |j: usize| deviations[j] > 0.0 && quadratic[j] <= LARGEST_RIDGE;
        let inverse: Vec<f64> = (0..p).map(|j| if takes_part(j) { 1.0 / deviations[j] } else { 0.0 }).collect();
        let scaled = |bounds: &Option<Vec<f64>>, none: f64| -> Vec<f64> {
            let bound = |b: f64, j: usize| {
                if b == 0.0 || b.is_infinite() { b } else { ldexp(b * deviations[j], exponent(j) - target_exponent) }
            };
            (0..p).map(|j| bounds.as_ref().map_or(none, |b| bound(b[j], j))).collect()
        };
        let mut lower = scaled(&o.lower, f64::NEG_INFINITY);
        if o.positive {
            lower.fill(0.0);
        }
        let upper = scaled(&o.upper, f64::INFINITY);
        let open = |v: f64| v == 0.0 || v.is_infinite();
        let stored_centred = !matches!(columns, Kind::Sparse(_) | Kind::Custom(_));
        let mut problem = Self {
            n,
            p,
            columns,
            root,
            centred: o.intercept,
            offset: means.iter().zip(&inverse).map(|(m, i)| m.abs() * i).collect(),
            means: if stored_centred || !o.intercept {
                Vec::new()
            } else {
                centred.iter().for_each(|&j| means[j] = 0.0);
                means
            },
            inverse,
            target,
            target_exponent,
            column_exponents: if design.stored_as_given() { Vec::new() } else { (0..p).map(exponent).collect() },
            absolute: (0..p).map(|j| ldexp(o.mix * factor(j) / unit(j), -power(j))).collect(),
            quadratic: quadratic.into_iter().map(|b| b.min(LARGEST_RIDGE)).collect(),
            plain: o.mix == 1.0 && lower.iter().chain(&upper).all(|v| open(*v)),
            lower,
            upper,
            free: Vec::new(),
            free_basis: Vec::new(),
            free_triangle: Matrix::zeros(0, 0),
        };
        problem.find_free(o)?;
        Ok(problem)
    }

    /// Unpenalised columns: the independent ones are solved for exactly, the others stay at zero.
    fn find_free(&mut self, o: &Options) -> Result<(), Error> {
        let Some(factors) = &o.penalty_factors else { return Ok(()) };
        for j in (0..self.p).filter(|&j| factors[j] == 0.0 && self.inverse[j] > 0.0) {
            let (l, u) = (self.lower[j], self.upper[j]);
            if l.is_finite() && u.is_finite() {
                continue; // its dual term is finite: a column like others
            }
            if l.is_finite() || u.is_finite() {
                let allowed = "positive for a column that is bounded on one side";
                return Err(Error::Entry { argument: "penalty_factors", position: j, value: 0.0, allowed });
            }
            self.free.push(j);
        }
        let mut kept: Vec<usize> = Vec::new();
        let mut basis: Vec<Vec<f64>> = Vec::new();
        let mut triangle: Vec<Vec<f64>> = Vec::new();
        for &j in &self.free {
            let mut v = self.copy_column(j);
            let mut along = vec![0.0; basis.len()];
            for _ in 0..2 {
                for (b, along) in basis.iter().zip(&mut along) {
                    let a = sums::dot(b, &v);
                    sums::axpy(-a, b, &mut v);
                    *along += a;
                }
            }
            let norm = sums::norm(&v);
            // What is left of a column that depends on the others is rounding.
            if norm > 1e-12 * (self.n as f64).sqrt() {
                v.iter_mut().for_each(|x| *x /= norm);
                basis.push(v);
                along.push(norm);
                triangle.push(along);
                kept.push(j);
            } else {
                self.inverse[j] = 0.0;
            }
        }
        let k = kept.len();
        self.free_triangle = Matrix::from_fn(k, k, |i, j| triangle[j].get(i).copied().unwrap_or(0.0));
        self.free_basis = basis;
        self.free = kept;
        Ok(())
    }

    /// Normal form of a vector that is to be multiplied by columns: orthogonal to `q` when there is an intercept, and for
    /// the user's own columns times `q`.
    pub fn seen<'v>(&self, r: &'v [f64]) -> Cow<'v, [f64]> {
        match (&self.columns, &self.root) {
            (Kind::Custom(_), Some(q)) => Cow::Owned(r.iter().zip(q).map(|(r, q)| r * q).collect()),
            _ => Cow::Borrowed(r),
        }
    }

    /// `(1/n) z_jᵀ r` for an `r` orthogonal to `q` that went through [`Problem::seen`].
    #[inline]
    pub fn correlation(&self, j: usize, seen: &[f64]) -> f64 {
        let raw = match &self.columns {
            Kind::Dense(c) => c.dot(j, seen),
            Kind::Sparse(c) => {
                let (at, x) = c.row(j);
                sparse_dot(at, x, seen)
            }
            Kind::Custom(c) if self.inverse[j] > 0.0 => c.dot(j, seen),
            Kind::Custom(_) => 0.0,
        };
        raw * self.inverse[j] / self.n as f64
    }

    /// Entries of column `j` that a product with it reads.
    #[inline]
    pub fn entries(&self, j: usize) -> usize {
        match &self.columns {
            Kind::Sparse(c) => c.row(j).0.len(),
            Kind::Dense(_) | Kind::Custom(_) => self.n,
        }
    }

    /// Columns whose products with so many vectors take about a hundredth of a second.
    pub fn columns_between_looks(&self, vectors: usize) -> usize {
        columns_between_looks(self.n, vectors)
    }

    /// All correlations; parallel over columns. The observer is asked on the way.
    pub fn correlations(&self, r: &[f64], watch: &mut Watch<'_>) -> Vec<f64> {
        let seen = self.seen(r);
        let mut out = vec![0.0; self.p];
        in_parts(&mut out, self.n, watch, |j| self.correlation(j, &seen));
        out
    }

    /// `z_j` as a vector.
    pub fn copy_column(&self, j: usize) -> Vec<f64> {
        let mut out = vec![0.0; self.n];
        self.subtract([(j, -1.0)].into_iter(), &mut out);
        out
    }

    /// `r −= Σ w_j z_j`, then freed of rounding along `q`.
    pub fn subtract(&self, terms: impl Iterator<Item = (usize, f64)>, r: &mut [f64]) {
        let custom = matches!(self.columns, Kind::Custom(_));
        let mut sum = if custom && self.root.is_some() { vec![0.0; self.n] } else { Vec::new() };
        let mut shift = 0.0;
        for (j, w) in terms.filter(|t| t.1 != 0.0) {
            let a = w * self.inverse[j];
            if let Some(m) = self.means.get(j) {
                shift += a * m;
            }
            match &self.columns {
                Kind::Dense(c) => c.add(j, -a, r),
                Kind::Sparse(c) => {
                    let (at, x) = c.row(j);
                    at.iter().zip(x).for_each(|(&i, &x)| r[i as usize] -= a * x);
                }
                Kind::Custom(c) if sum.is_empty() => c.add(j, -a, r),
                Kind::Custom(c) => c.add(j, -a, &mut sum),
            }
        }
        if let (false, Some(q)) = (sum.is_empty(), &self.root) {
            r.iter_mut().zip(&sum).zip(q).for_each(|((r, s), q)| *r += s * q);
        }
        if shift != 0.0 {
            match &self.root {
                None => r.iter_mut().for_each(|r| *r += shift),
                Some(q) => sums::axpy(shift, q, r),
            }
        }
        self.centre(r);
    }

    /// Frees `r` of what it has along `q`, which is rounding.
    pub fn centre(&self, r: &mut [f64]) {
        if !self.centred {
            return;
        }
        match &self.root {
            None => {
                let mean = sums::sum(r) / self.n as f64;
                r.iter_mut().for_each(|r| *r -= mean);
            }
            Some(q) => {
                let along = sums::dot(r, q) / self.n as f64;
                sums::axpy(-along, q, r);
            }
        }
    }

    /// Moves the unpenalised columns to where `r` is orthogonal to them; returns their changes.
    pub fn settle_free(&self, r: &mut [f64]) -> Vec<(usize, f64)> {
        let mut total = vec![0.0; self.free.len()];
        for _ in 0..2 {
            let mut change: Vec<f64> = self.free_basis.iter().map(|b| sums::dot(b, r)).collect();
            self.free_basis.iter().zip(&change).for_each(|(b, a)| sums::axpy(-a, b, r));
            solve_upper_in_place(&self.free_triangle, &mut change);
            sums::axpy(1.0, &change, &mut total);
        }
        self.free.iter().copied().zip(total).collect()
    }

    /// Takes the scale of the columns back: they are centred and weighted only.
    pub fn unscale(&mut self) {
        self.inverse.iter_mut().filter(|v| **v > 0.0).for_each(|v| *v = 1.0);
    }

    /// A further target in the form of this problem's.
    ///
    /// # Errors
    /// [`Error::Entry`].
    pub fn prepare_target(&self, y: &[f64]) -> Result<Vec<f64>, Error> {
        check_vector("y", y, self.n, f64::is_finite, "finite")?;
        let mut t: Vec<f64> = match &self.root {
            None => y.to_vec(),
            Some(q) => y.iter().zip(q).map(|(y, q)| y * q).collect(),
        };
        self.centre(&mut t);
        if !sums::dot(&t, &t).is_finite() {
            let (argument, allowed) = ("y", "values whose weighted sum of squares is finite");
            return Err(Error::Entry { argument, position: 0, value: y[0], allowed });
        }
        Ok(t)
    }

    /// Roots `q` of the weights of the rows.
    pub fn roots(&self) -> Vec<f64> {
        self.root.clone().unwrap_or_else(|| vec![1.0; self.n])
    }

    /// λ in units of the scaled target.
    pub fn scaled_lambda(&self, lambda: f64) -> f64 {
        // Beyond either end the answer is that at the end: no coefficient, or hardly a penalty.
        ldexp(lambda, -self.target_exponent).clamp(f64::MIN_POSITIVE, f64::MAX)
    }

    /// A value in units of the scaled target, as given: λ, or a product of a column and a coefficient.
    pub fn as_given(&self, value: f64) -> f64 {
        ldexp(value, self.target_exponent)
    }

    /// An objective in units of the squared scaled target, as given.
    pub fn objective_as_given(&self, value: f64) -> f64 {
        ldexp(value, 2 * self.target_exponent)
    }

    /// Coefficient of column `j` as given, from the scaled one.
    pub fn coefficient(&self, j: usize, w: f64) -> f64 {
        let e = self.column_exponents.get(j).copied().unwrap_or(0);
        ldexp(w * self.inverse[j], self.target_exponent - e)
    }

    /// The scaled coefficient of column `j`, from the one as given.
    pub fn scaled_coefficient(&self, j: usize, w: f64) -> f64 {
        let e = self.column_exponents.get(j).copied().unwrap_or(0);
        ldexp(w, e - self.target_exponent) / self.inverse[j]
    }

    /// What rounding of the products with columns can add to or take from a dual value at a residual of mean square
    /// `squares` and coefficients near `w`: a column that is not stored centred loses as many digits as its mean is larger
    /// than its deviation.
    pub fn dual_rounding(&self, squares: f64, w: impl Iterator<Item = (usize, f64)>) -> f64 {
        let lost = |j: usize| 1.0 + self.mean(j).abs();
        let reach: f64 = w.map(|(j, w)| w.abs() * lost(j)).sum();
        4.0 * f64::EPSILON * (self.null_objective() + squares.sqrt() * reach)
    }

    /// How far rounding of coefficients and intercept can move the root mean square of the residual that they stand for.
    pub fn residual_rounding(&self, mean: f64, w: impl Iterator<Item = (usize, f64)>) -> f64 {
        let size: f64 = w.map(|(j, w)| w.abs() * (1.0 + self.offset[j])).sum();
        2.0 * f64::EPSILON * (mean.abs() + size)
    }

    /// Objective `(1/2n) ‖t‖²` of the model without coefficients.
    pub fn null_objective(&self) -> f64 {
        0.5 * sums::dot(&self.target, &self.target) / self.n as f64
    }

    /// `λ Σ (a|w| + b w²/2)` over the nonzeros given.
    pub fn penalty(&self, lambda: f64, w: impl Iterator<Item = (usize, f64)>) -> f64 {
        lambda * w.map(|(j, w)| self.absolute[j] * w.abs() + 0.5 * self.quadratic[j] * w * w).sum::<f64>()
    }

    /// How far column `j` is from its constraint: `|c_j|`, one-sided where a bound is zero.
    #[inline]
    pub fn reach(&self, j: usize, c: f64) -> f64 {
        if c > 0.0 {
            if self.upper[j] > 0.0 { c } else { 0.0 }
        } else if self.lower[j] < 0.0 {
            -c
        } else {
            0.0
        }
    }

    /// Smallest λ with all penalised coefficients at zero, from the correlations at the null model.
    pub fn largest_lambda(&self, c: &[f64]) -> f64 {
        (0..self.p)
            .filter(|&j| self.inverse[j] > 0.0 && self.absolute[j] > 0.0)
            .map(|j| self.reach(j, c[j]) / self.absolute[j])
            .fold(0.0, f64::max)
    }

    /// Rows of the table that a range of `stored` values of column `j` touches, for sparse Gram products.
    pub fn sparse(&self) -> Option<&CsrMatrix> {
        match &self.columns {
            Kind::Sparse(c) => Some(c),
            _ => None,
        }
    }

    /// Mean of the weighted column times `1/σ_j` that is still to be subtracted along `q`.
    pub fn mean(&self, j: usize) -> f64 {
        self.means.get(j).map_or(0.0, |m| m * self.inverse[j])
    }
}
