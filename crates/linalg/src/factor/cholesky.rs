//! Cholesky factors of symmetric positive definite matrices: solving, inverting, growing.
use std::ops::ControlFlow;

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt;
use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::linalg::{triangular_inverse, triangular_solve};
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use super::check_square;
use crate::{LinalgError, Matrix, sums};

/// `A = L Lᵀ` of a symmetric positive definite matrix.
#[derive(Clone, Debug)]
pub struct Cholesky {
    lower: Matrix,
}

impl Cholesky {
    /// Factors `a + ridge·I`; only the lower triangle of `a` is read. Cost `d³/3` flops,
    /// twice that where it fails.
    ///
    /// # Errors
    /// [`LinalgError::NotPositiveDefinite`] at the first pivot that is not positive (or is NaN); [`LinalgError::Shape`] for a
    /// matrix that is not square.
    pub fn new(a: &Matrix, ridge: f64) -> Result<Self, LinalgError> {
        let n = a.rows();
        check_square(a)?;
        if n >= BLOCKED
            && let Some(lower) = blocked_cholesky(a, ridge)
        {
            return Ok(Self { lower });
        }
        let mut l = Matrix::zeros(n, n);
        for i in 0..n {
            for j in 0..=i {
                let own = if i == j { a[(i, i)] + ridge } else { a[(i, j)] };
                let value = own - sums::dot(&l.row(i)[..j], &l.row(j)[..j]);
                if i == j {
                    if value.is_nan() || value <= 0.0 {
                        return Err(LinalgError::NotPositiveDefinite { pivot: i, value });
                    }
                    l[(i, i)] = value.sqrt();
                } else {
                    l[(i, j)] = value / l[(j, j)];
                }
            }
        }
        Ok(Self { lower: l })
    }

    /// [`Cholesky::new`] for those who need not know the pivot, which costs nothing more then.
    pub(crate) fn attempt(a: &Matrix, ridge: f64) -> Option<Self> {
        if a.rows() >= BLOCKED {
            return blocked_cholesky(a, ridge).map(|lower| Self { lower });
        }
        Self::new(a, ridge).ok()
    }

    /// Takes a lower triangular factor; what stands above its diagonal must be zero.
    ///
    /// # Errors
    /// [`LinalgError::Shape`] for a matrix that is not square; [`LinalgError::NotPositiveDefinite`] for a diagonal entry that
    /// is not positive.
    pub fn from_lower(lower: Matrix) -> Result<Self, LinalgError> {
        check_square(&lower)?;
        let bad = |&i: &usize| lower[(i, i)].is_nan() || lower[(i, i)] <= 0.0;
        match (0..lower.rows()).find(bad) {
            Some(pivot) => Err(LinalgError::NotPositiveDefinite { pivot, value: lower[(pivot, pivot)] }),
            None => Ok(Self { lower }),
        }
    }

    /// [`Cholesky::new`] in place of the matrix, by panels of which each takes some hundredths of a second: `look` is told the
    /// share that is done, and may break; then there is no factor. All threads take part, and the bits do not depend on their
    /// number; they are not those of [`Cholesky::new`] from 128 unknowns on.
    ///
    /// Row LA-19 of `paper-refs.md`.
    ///
    /// # Errors
    /// As [`Cholesky::new`].
    pub fn new_watched(
        mut a: Matrix,
        look: &mut dyn FnMut(f64) -> ControlFlow<()>,
    ) -> Result<Option<Self>, LinalgError> {
        check_square(&a)?;
        let n = a.rows();
        if n < WATCHED {
            return Self::new(&a, 0.0).map(Some);
        }
        for first in (0..n).step_by(PANEL) {
            let last = (first + PANEL).min(n);
            let below = &mut a.as_mut_slice()[first * n..];
            let (panel, below) = below.split_at_mut((last - first) * n);
            // Rows of the panel: what earlier columns explain of its own block, then its factor.
            subtract(panel, panel_of(panel, n, first).as_ref(), (n, first, last));
            let own = Matrix::from_fn(last - first, last - first, |i, j| panel[i * n + first + j]);
            let factor = Self::new(&own, 0.0).map_err(|e| match e {
                LinalgError::NotPositiveDefinite { pivot, value } => {
                    LinalgError::NotPositiveDefinite { pivot: first + pivot, value }
                }
                other => other,
            })?;
            for i in 0..last - first {
                panel[i * n + first..i * n + last].copy_from_slice(factor.lower.row(i));
                panel[i * n + last..(i + 1) * n].fill(0.0);
            }
            // Rows below it, chunks of a fixed number of them.
            let explained = panel_of(panel, n, first);
            below.par_chunks_mut(PANEL * n).for_each(|rows| {
                subtract(rows, explained.as_ref(), (n, first, last));
                let count = rows.len() / n;
                let part = &mut rows[first..];
                let sides = MatMut::from_column_major_slice_with_stride_mut(part, last - first, count, n);
                triangular_solve::solve_lower_triangular_in_place(factor.faer_lower(), sides, Par::Seq);
            });
            if look((last as f64 / n as f64).powi(2)).is_break() && last < n {
                return Ok(None);
            }
        }
        match (0..n).find(|&i| a[(i, i)].is_nan() || a[(i, i)] <= 0.0) {
            Some(pivot) => Err(LinalgError::NotPositiveDefinite { pivot, value: a[(pivot, pivot)] }),
            None => Ok(Some(Self { lower: a })),
        }
    }

    /// The lower triangular factor.
    pub fn lower(&self) -> &Matrix {
        &self.lower
    }

    /// Gives the lower triangular factor back.
    pub fn into_lower(self) -> Matrix {
        self.lower
    }

    /// Solves `L y = b` in place.
    pub fn solve_lower_in_place(&self, b: &mut [f64]) {
        for i in 0..b.len() {
            let row = &self.lower.row(i)[..i];
            b[i] = (b[i] - sums::dot(row, &b[..i])) / self.lower[(i, i)];
        }
    }

    /// Solves `A x = b` in place. Cost `2d²` flops.
    pub fn solve_in_place(&self, b: &mut [f64]) {
        self.solve_lower_in_place(b);
        for i in (0..b.len()).rev() {
            let x = b[i] / self.lower[(i, i)];
            b[i] = x;
            let (head, _) = b.split_at_mut(i);
            sums::axpy(-x, &self.lower.row(i)[..i], head);
        }
    }

    /// `‖x‖² / min pivot²`-style bound: the ratio of the largest to the smallest diagonal entry, squared. A lower
    /// bound of the 2-norm condition number of `A`.
    pub fn condition_at_least(&self) -> f64 {
        let n = self.lower.rows();
        let (mut low, mut high) = (f64::INFINITY, 0.0_f64);
        for i in 0..n {
            low = low.min(self.lower[(i, i)]);
            high = high.max(self.lower[(i, i)]);
        }
        if n == 0 { 1.0 } else { (high / low).powi(2) }
    }

    /// Solves `L y = b` for every row `b` of a matrix, in place. Cost `d²` flops for each row.
    ///
    /// # Errors
    /// [`LinalgError::Shape`] when the rows are not as long as the factor.
    pub fn solve_lower_rows_in_place(&self, rows: &mut Matrix) -> Result<(), LinalgError> {
        let (d, count) = (self.lower.rows(), rows.rows());
        if rows.columns() != d {
            let expected = format!("rows of {d} numbers");
            return Err(LinalgError::Shape { argument: "rows", rows: count, columns: rows.columns(), expected });
        }
        if d == 0 || count == 0 {
            return Ok(());
        }
        // Rows one after the other are columns one after the other, which faer wants.
        let sides = MatMut::from_column_major_slice_mut(rows.as_mut_slice(), d, count);
        triangular_solve::solve_lower_triangular_in_place(self.faer_lower(), sides, Par::Seq);
        Ok(())
    }

    /// Writes `L⁻¹` (lower triangular, zeros above). Cost `d³/3` flops.
    ///
    /// # Errors
    /// [`LinalgError::Shape`] when `out` is not of the factor's shape.
    pub fn lower_inverse_into(&self, out: &mut Matrix) -> Result<(), LinalgError> {
        let d = self.check_target(out)?;
        out.as_mut_slice().fill(0.0);
        // `L` row after row is `Lᵀ` column after column.
        let upper = MatRef::from_column_major_slice(self.lower.as_slice(), d, d);
        let target = MatMut::from_column_major_slice_mut(out.as_mut_slice(), d, d);
        triangular_inverse::invert_upper_triangular(target, upper, Par::Seq);
        Ok(())
    }

    /// Writes `A⁻¹`, both triangles; they are equal to the last bit. Cost `d³` flops.
    ///
    /// Row LA-17 of `paper-refs.md`.
    ///
    /// ```
    /// use samplewise_linalg::{Matrix, factor::Cholesky};
    /// let a = Matrix::from_vec(2, 2, vec![2.0, 1.0, 1.0, 2.0])?;
    /// let mut inverse = Matrix::zeros(2, 2);
    /// Cholesky::new(&a, 0.0)?.inverse_into(&mut inverse)?;
    /// assert!((inverse[(0, 0)] - 2.0 / 3.0).abs() < 1e-15 && (inverse[(0, 1)] + 1.0 / 3.0).abs() < 1e-15);
    /// # Ok::<(), samplewise_linalg::LinalgError>(())
    /// ```
    ///
    /// # Errors
    /// [`LinalgError::Shape`] when `out` is not of the factor's shape.
    pub fn inverse_into(&self, out: &mut Matrix) -> Result<(), LinalgError> {
        let d = self.check_target(out)?;
        let mut half = Matrix::zeros(d, d);
        self.lower_inverse_into(&mut half)?;
        Self::inverse_from_half(&half, out)
    }

    /// `A⁻¹ = L⁻ᵀL⁻¹` from the `L⁻¹` that [`Cholesky::lower_inverse_into`] wrote. Cost `2d³/3` flops.
    ///
    /// # Errors
    /// [`LinalgError::Shape`] when the shapes differ or are not square.
    pub fn inverse_from_half(half: &Matrix, out: &mut Matrix) -> Result<(), LinalgError> {
        check_square(half)?;
        let d = half.rows();
        if out.rows() != d || out.columns() != d {
            return Err(target_shape(out, d));
        }
        if d == 0 {
            return Ok(());
        }
        let upper = MatRef::from_column_major_slice(half.as_slice(), d, d);
        matmul(
            MatMut::from_column_major_slice_mut(out.as_mut_slice(), d, d),
            BlockStructure::TriangularUpper,
            Accum::Replace,
            upper,
            BlockStructure::TriangularUpper,
            upper.transpose(),
            BlockStructure::TriangularLower,
            1.0,
            Par::Seq,
        );
        // The upper triangle, column after column, is the lower one, row after row.
        crate::rows_times_rows::mirror(out.as_mut_slice(), d, 0, d);
        Ok(())
    }

    /// The factor of a matrix that has grown by rows and columns at its end: row `i` of `rows` is row `d + i` of the grown
    /// matrix, up to its diagonal at least. Cost `d²c + dc²` flops for `c` new rows; what was factored is not touched.
    ///
    /// Row LA-18 of `paper-refs.md`.
    ///
    /// # Errors
    /// [`LinalgError::Shape`] when the rows are not as long as the grown matrix; [`LinalgError::NotPositiveDefinite`] with
    /// the position in the grown matrix. The factor is then as it was.
    pub fn append(&mut self, rows: &Matrix) -> Result<(), LinalgError> {
        let (d, count) = (self.lower.rows(), rows.rows());
        let size = d + count;
        if rows.columns() != size {
            let expected = format!("rows of {size} numbers: {d} factored and {count} new");
            return Err(LinalgError::Shape { argument: "rows", rows: count, columns: rows.columns(), expected });
        }
        let mut old = Matrix::from_fn(count, d, |i, j| rows[(i, j)]);
        self.solve_lower_rows_in_place(&mut old)?;
        let left = |i: usize, j: usize| rows[(i, d + j)] - sums::dot(old.row(i), old.row(j));
        let corner = Matrix::from_fn(count, count, |i, j| if j <= i { left(i, j) } else { 0.0 });
        let corner = Self::new(&corner, 0.0).map_err(|e| match e {
            LinalgError::NotPositiveDefinite { pivot, value } => {
                LinalgError::NotPositiveDefinite { pivot: d + pivot, value }
            }
            other => other,
        })?;
        let mut lower = Matrix::zeros(size, size);
        for i in 0..size {
            let row = lower.row_mut(i);
            if i < d {
                row[..d].copy_from_slice(self.lower.row(i));
            } else {
                row[..d].copy_from_slice(old.row(i - d));
                row[d..].copy_from_slice(corner.lower.row(i - d));
            }
        }
        self.lower = lower;
        Ok(())
    }

    /// The factor as faer sees it.
    fn faer_lower(&self) -> MatRef<'_, f64> {
        MatRef::from_row_major_slice(self.lower.as_slice(), self.lower.rows(), self.lower.rows())
    }

    fn check_target(&self, out: &Matrix) -> Result<usize, LinalgError> {
        let d = self.lower.rows();
        if out.rows() == d && out.columns() == d { Ok(d) } else { Err(target_shape(out, d)) }
    }
}

fn target_shape(out: &Matrix, d: usize) -> LinalgError {
    let (rows, columns) = (out.rows(), out.columns());
    LinalgError::Shape { argument: "out", rows, columns, expected: format!("{d} × {d}, as the factor") }
}

/// Unknowns from which faer's blocks are faster (measured: `cargo bench --bench linalg -- cholesky`).
const BLOCKED: usize = 64;

/// Unknowns from which [`Cholesky::new_watched`] goes by panels, and rows of a panel.
const WATCHED: usize = 128;
const PANEL: usize = 64;

/// The known columns of a panel's rows, apart from them.
fn panel_of(panel: &[f64], n: usize, first: usize) -> faer::Mat<f64> {
    let count = panel.len() / n;
    faer::Mat::from_fn(count, first, |i, j| panel[i * n + j])
}

/// Subtracts from columns `first..last` of some rows the products of their known columns with those of the panel.
fn subtract(rows: &mut [f64], panel: MatRef<'_, f64>, (n, first, last): (usize, usize, usize)) {
    if first == 0 {
        return;
    }
    let count = rows.len() / n;
    let known = faer::Mat::from_fn(count, first, |i, j| rows[i * n + j]);
    let part = &mut rows[first..];
    // Rows are columns of the transpose; faer 0.24 mixes up the strides of row-major slices.
    let target = MatMut::from_column_major_slice_with_stride_mut(part, last - first, count, n).transpose_mut();
    faer::linalg::matmul::matmul(target, Accum::Add, known.as_ref(), panel.transpose(), -1.0, Par::Seq);
}

/// By faer; none where it meets a pivot that is not positive, which it does not name the value of.
fn blocked_cholesky(a: &Matrix, ridge: f64) -> Option<Matrix> {
    let n = a.rows();
    // Rows of the transpose are columns, which faer wants; it leaves the other triangle alone.
    let mut columns = a.transpose();
    (0..n).for_each(|j| columns[(j, j)] += ridge);
    let params = faer::Spec::default();
    let mut memory = MemBuffer::new(llt::factor::cholesky_in_place_scratch::<f64>(n, faer::Par::Seq, params));
    let stack = MemStack::new(&mut memory);
    let lower = faer::MatMut::from_column_major_slice_mut(columns.as_mut_slice(), n, n);
    llt::factor::cholesky_in_place(lower, llt::factor::LltRegularization::default(), faer::Par::Seq, stack, params)
        .ok()?;
    let mut out = columns.transpose();
    (0..n).for_each(|i| out.row_mut(i)[i + 1..].fill(0.0));
    (0..n).all(|i| out[(i, i)] > 0.0).then_some(out)
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow::{Break, Continue};

    use super::*;
    use crate::random::{Streams, normal};

    /// A well-conditioned matrix with entries of all signs.
    fn positive(n: usize) -> Matrix {
        let mut rng = Streams::new(n as u64).stream(0);
        let b = Matrix::from_fn(n, n, |_, _| normal(&mut rng));
        Matrix::from_fn(n, n, |i, j| sums::dot(b.row(i), b.row(j)) / n as f64 + if i == j { 0.1 } else { 0.0 })
    }

    /// Blocks and the definition give the same factor on both sides of the crossover, read one triangle, and name the pivot.
    #[test]
    fn blocks_equal_the_definition() {
        for n in [BLOCKED - 1, BLOCKED, BLOCKED + 1, 130] {
            let value = |i: usize, j: usize| 1.0 / (1.0 + i.abs_diff(j) as f64) + if i == j { 1.0 } else { 0.0 };
            let a = Matrix::from_fn(n, n, |i, j| if j <= i { value(i, j) } else { f64::NAN });
            let factor = Cholesky::new(&a, 0.5).unwrap();
            let l = factor.lower();
            for i in 0..n {
                assert!(l.row(i)[i + 1..].iter().all(|v| *v == 0.0));
                for j in 0..=i {
                    let product = sums::dot(&l.row(i)[..=j], &l.row(j)[..=j]);
                    let wanted = value(i, j) + if i == j { 0.5 } else { 0.0 };
                    assert!((product - wanted).abs() < 1e-14 * n as f64, "{n}: {i} {j} {product} {wanted}");
                }
            }
            let mut indefinite = a.clone();
            indefinite[(n - 3, n - 3)] = -1.0;
            let error = Cholesky::new(&indefinite, 0.0).unwrap_err();
            assert!(
                matches!(error, LinalgError::NotPositiveDefinite { pivot, value } if pivot == n - 3 && value < -1.0)
            );
            assert!(Cholesky::attempt(&indefinite, 0.0).is_none());
        }
    }

    /// LA-17: `‖A A⁻¹ − I‖` is rounding times the condition number, both triangles are equal, and `L⁻¹` is the inverse of `L`.
    #[test]
    fn inverses_are_inverses() {
        for n in [0, 1, 2, 63, 64, 65, 150, 301] {
            let a = positive(n);
            let factor = Cholesky::new(&a, 0.0).unwrap();
            let (mut inverse, mut half) = (Matrix::zeros(n, n), Matrix::zeros(n, n));
            factor.inverse_into(&mut inverse).unwrap();
            factor.lower_inverse_into(&mut half).unwrap();
            let size = (0..n).map(|i| inverse[(i, i)]).fold(1.0, f64::max);
            let allowed = 8.0 * n as f64 * f64::EPSILON * size * 10.0;
            for i in 0..n {
                for j in 0..n {
                    assert_eq!(inverse[(i, j)].to_bits(), inverse[(j, i)].to_bits());
                    let unit = if i == j { 1.0 } else { 0.0 };
                    assert!((sums::dot(a.row(i), inverse.row(j)) - unit).abs() <= allowed, "{n}: {i} {j}");
                    let product: f64 = (0..n).map(|k| factor.lower()[(i, k)] * half[(k, j)]).sum();
                    assert!((product - unit).abs() <= allowed, "{n}: {i} {j} {product}");
                }
            }
            assert!(factor.inverse_into(&mut Matrix::zeros(n + 1, n)).is_err());
        }
    }

    /// LA-18: what has grown is the factor of the whole, many right sides are solved as each one, and a matrix that is not
    /// positive definite leaves the factor as it was.
    #[test]
    fn grown_factors_are_factors_of_the_whole() {
        for (d, count) in [(0, 3), (1, 1), (40, 7), (64, 64), (150, 20)] {
            let a = positive(d + count);
            let whole = Cholesky::new(&a, 0.0).unwrap();
            let mut grown = Cholesky::new(&Matrix::from_fn(d, d, |i, j| a[(i, j)]), 0.0).unwrap();
            let rows = Matrix::from_fn(count, d + count, |i, j| a[(d + i, j)]);
            let mut bad = rows.clone();
            bad[(count - 1, d + count - 1)] = -1.0;
            let before = grown.lower().clone();
            let refused = grown.append(&bad).unwrap_err();
            assert!(matches!(refused, LinalgError::NotPositiveDefinite { pivot, .. } if pivot == d + count - 1));
            assert!(grown.lower() == &before && grown.append(&Matrix::zeros(count, d)).is_err());
            grown.append(&rows).unwrap();
            let far = whole.lower().as_slice().iter().zip(grown.lower().as_slice());
            assert!(far.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) < 1e-12);
            let mut sides = a.clone();
            whole.solve_lower_rows_in_place(&mut sides).unwrap();
            for i in 0..d + count {
                let mut one = a.row(i).to_vec();
                whole.solve_lower_in_place(&mut one);
                assert!(one.iter().zip(sides.row(i)).all(|(x, y)| (x - y).abs() < 1e-12));
            }
        }
    }

    /// LA-19: panels give the factor of the definition, with the same bits for every number of threads, and name the pivot.
    #[test]
    fn panels_equal_the_definition() {
        for n in [WATCHED - 1, WATCHED, WATCHED + 77] {
            let a = positive(n);
            let whole = Cholesky::new(&a, 0.0).unwrap();
            let mut looks = Vec::new();
            let panels = Cholesky::new_watched(a.clone(), &mut |share| {
                looks.push(share);
                Continue(())
            });
            let panels = panels.unwrap().unwrap();
            let far = whole.lower().as_slice().iter().zip(panels.lower().as_slice());
            assert!(far.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) < 1e-11);
            assert!(n < WATCHED || looks.len() == n.div_ceil(PANEL) && looks.last() == Some(&1.0));
            for threads in [1, 3] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let again = pool.install(|| Cholesky::new_watched(a.clone(), &mut |_| Continue(())).unwrap().unwrap());
                assert!(again.lower() == panels.lower());
            }
            let broken = Cholesky::new_watched(a.clone(), &mut |_| Break(())).unwrap();
            assert_eq!(broken.is_none(), n >= WATCHED);
            let mut indefinite = a;
            indefinite[(n - 3, n - 3)] = -1.0;
            let error = Cholesky::new_watched(indefinite, &mut |_| Continue(())).unwrap_err();
            assert!(matches!(error, LinalgError::NotPositiveDefinite { pivot, .. } if pivot == n - 3));
        }
    }
}
