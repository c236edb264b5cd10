//! A dense problem whose columns have about the same size, without a second copy of the table.
use std::borrow::Cow;

use rayon::prelude::*;

use crate::dense::ROW_BLOCK;
use crate::gram::{self, Gram};
use crate::operator::LinearOperator;
use crate::sketch::Sketch;
use crate::{LinalgError, Matrix, Observer, Rows, leverage, sums, tsqr};

/// `min ‖A S⁻¹ x − b / β‖` with powers of two in the diagonal `S`: every product, Gram matrix, sketch and triangular factor
/// is scaled instead of the table, which gives the same digits.
pub(super) struct Problem<'a> {
    /// Copied and scaled itself where squares of its entries would leave the range of numbers.
    a: Cow<'a, Matrix>,
    /// What is left to divide the columns by.
    scales: Vec<f64>,
    /// What the caller's columns are divided by in all.
    pub(super) given_scales: Vec<f64>,
    /// `b / β`.
    pub(super) b: Vec<f64>,
    pub(super) b_scale: f64,
    /// `‖A S⁻¹‖_F`.
    pub(super) norm: f64,
}

/// Columns whose largest entry is inside these bounds are scaled afterwards.
const MODERATE: std::ops::Range<f64> = 1e-100..1e100;
/// Columns of ones have a root mean square of one, give or take the rounding of a sum: kept away from the step of the scale.
const OFF: f64 = 0.7;
/// Entries that are looked at together, however short the rows.
const TOGETHER: usize = 64;

impl<'a> Problem<'a> {
    /// # Errors
    /// [`LinalgError::NotFinite`].
    pub(super) fn new(a: &'a Matrix, b: &[f64]) -> Result<Self, LinalgError> {
        let Columns { largest, squares } = Columns::of(a);
        if squares.iter().any(|q| !q.is_finite()) {
            a.check_finite("a")?;
        }
        if largest.iter().all(|m| *m == 0.0 || MODERATE.contains(m)) {
            return Ok(Self::from_squares(Cow::Borrowed(a), &squares, None, super::scale_target(b)));
        }
        let first: Vec<f64> = largest.iter().map(|&m| sums::power_of_two_scale(m)).collect();
        let scaled = leverage::scale_columns(a, &first);
        let squares = Columns::of(&scaled).squares;
        Ok(Self::from_squares(Cow::Owned(scaled), &squares, Some(&first), super::scale_target(b)))
    }

    /// With the Gram matrix and the right-hand side: where these can be formed of the table as it is, their diagonal says
    /// all that the look at the columns would.
    ///
    /// # Errors
    /// [`LinalgError::NotFinite`].
    pub(super) fn with_gram(
        a: &'a Matrix,
        b: &[f64],
        observer: &mut dyn Observer,
    ) -> Result<(Self, Gram), LinalgError> {
        let (target, b_scale) = super::scale_target(b);
        let mut gram = gram::unchecked(a.into(), None, Some(&target), observer)?;
        let squares: Vec<f64> = (0..a.columns()).map(|j| gram.matrix[(j, j)]).collect();
        // An entry that is not finite makes a diagonal entry so.
        let problem = if squares.iter().all(|q| MODERATE.contains(&q.sqrt())) {
            Self::from_squares(Cow::Borrowed(a), &squares, None, (target, b_scale))
        } else {
            let problem = Self::new(a, b)?;
            if matches!(problem.a, Cow::Owned(_)) {
                gram = gram::unchecked((&*problem.a).into(), None, Some(&problem.b), observer)?;
            }
            problem
        };
        for (i, s) in problem.scales.iter().enumerate() {
            gram.matrix.row_mut(i).iter_mut().zip(&problem.scales).for_each(|(v, t)| *v /= s * t);
            gram.right[i] /= s;
        }
        Ok((problem, gram))
    }

    /// From the sums of squares of the columns of `a`, which were divided by `before` already.
    fn from_squares(a: Cow<'a, Matrix>, squares: &[f64], before: Option<&[f64]>, target: (Vec<f64>, f64)) -> Self {
        let scales: Vec<f64> = squares.iter().map(|q| column_scale(*q, a.rows())).collect();
        let norm = squares.iter().zip(&scales).map(|(q, s)| q / (s * s)).sum::<f64>().sqrt();
        let given_scales = match before {
            Some(before) => scales.iter().zip(before).map(|(s, t)| s * t).collect(),
            None => scales.clone(),
        };
        Self { a, scales, given_scales, b: target.0, b_scale: target.1, norm }
    }

    /// The Gram matrix of `A S⁻¹ T`.
    pub(super) fn gram_of_product(
        &self,
        transform: &Matrix,
        observer: &mut dyn Observer,
    ) -> Result<Matrix, LinalgError> {
        let mut transform = transform.clone();
        for (i, s) in self.scales.iter().enumerate() {
            transform.row_mut(i).iter_mut().for_each(|v| *v /= s);
        }
        leverage::gram_of_product((&*self.a).into(), None, &transform, observer)
    }

    /// Sketches of `A S⁻¹` and `b / β`.
    pub(super) fn sketch(&self, sketch: &Sketch) -> Result<(Matrix, Matrix), LinalgError> {
        let target = Matrix::from_vec(self.b.len(), 1, self.b.clone())?;
        Ok((leverage::scale_columns(&sketch.apply(&self.a)?, &self.scales), sketch.apply(&target)?))
    }

    /// The triangular factor of `[A S⁻¹, b / β]`.
    pub(super) fn triangular(&self) -> Matrix {
        let r = tsqr::tsqr_of_rows(Rows::Joined(self.a.view(), &self.b)).r;
        let scales: Vec<f64> = self.scales.iter().copied().chain([1.0]).collect();
        leverage::scale_columns(&r, &scales)
    }

    /// `A S⁻¹` itself.
    pub(super) fn table(&self) -> Cow<'_, Matrix> {
        if self.scales.iter().all(|s| *s == 1.0) {
            return Cow::Borrowed(&self.a);
        }
        Cow::Owned(leverage::scale_columns(&self.a, &self.scales))
    }

    /// The gradient `(A S⁻¹)ᵀ r` of the residual `r` at `x`, and the norm of `r`.
    pub(super) fn residual_and_gradient(&self, x: &[f64], gradient: &mut [f64]) -> f64 {
        let norm = self.a.residual_and_gradient(&self.unscaled(x), &self.b, gradient);
        gradient.iter_mut().zip(&self.scales).for_each(|(g, s)| *g /= s);
        norm
    }

    fn unscaled(&self, x: &[f64]) -> Vec<f64> {
        x.iter().zip(&self.scales).map(|(x, s)| x / s).collect()
    }
}

/// Power of two that brings a column with this sum of squares to a root mean square of 0.7 to 1.4.
pub(super) fn column_scale(squares: f64, rows: usize) -> f64 {
    sums::power_of_two_scale(OFF * (squares / rows as f64).sqrt())
}

impl LinearOperator for Problem<'_> {
    fn shape(&self) -> (usize, usize) {
        self.a.shape()
    }
    fn apply_into(&self, x: &[f64], y: &mut [f64]) {
        self.a.apply_into(&self.unscaled(x), y);
    }
    fn apply_transpose_into(&self, x: &[f64], y: &mut [f64]) {
        self.a.apply_transpose_into(x, y);
        y.iter_mut().zip(&self.scales).for_each(|(y, s)| *y /= s);
    }
}

/// The size of every column, in one pass.
struct Columns {
    /// Largest absolute entry, of those that are not NaN.
    largest: Vec<f64>,
    /// Sum of squares: not finite where an entry is not, or where it is too large to be squared.
    squares: Vec<f64>,
}

impl Columns {
    fn of(a: &Matrix) -> Self {
        let d = a.columns();
        // Rows side by side, so that short ones fill the lanes too.
        let group = d * TOGETHER.div_ceil(d.max(1));
        let parts: Vec<Self> = a
            .as_slice()
            .par_chunks((16 * ROW_BLOCK * group).max(1))
            .map(|rows| {
                let mut part = Self { largest: vec![0.0; group], squares: vec![0.0; group] };
                rows.chunks(group).for_each(|entries| part.add(entries));
                part
            })
            .collect();
        let mut all = Self { largest: vec![0.0; d], squares: vec![0.0; d] };
        for part in parts {
            for (m, q) in part.largest.chunks_exact(d).zip(part.squares.chunks_exact(d)) {
                all.largest.iter_mut().zip(m).for_each(|(all, m)| *all = all.max(*m));
                sums::axpy(1.0, q, &mut all.squares);
            }
        }
        all
    }

    #[inline]
    fn add(&mut self, entries: &[f64]) {
        for ((m, q), v) in self.largest.iter_mut().zip(&mut self.squares).zip(entries) {
            // A comparison instead of `max`, which the vectoriser takes apart for the sake of NaN.
            *m = if v.abs() > *m { v.abs() } else { *m };
            *q += v * v;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaling_afterwards_gives_the_digits_of_scaling_first() {
        let scales = [1.0, 1e-60, 3e70, 1e9, 1e-9];
        let a = Matrix::from_fn(700, 5, |i, j| ((i * 7 + j * 13) % 31) as f64 / 17.0 * scales[j] - scales[j] * 0.3);
        let b: Vec<f64> = (0..700).map(|i| f64::from(i % 19) * 1e5).collect();
        let own = Problem::new(&a, &b).unwrap();
        assert!(matches!(own.a, Cow::Borrowed(_)));
        let (from_gram, gram) = Problem::with_gram(&a, &b, &mut ()).unwrap();
        assert_eq!(from_gram.scales, own.scales);
        let table = own.table().into_owned();
        assert!(table.as_slice().iter().all(|v| v.abs() <= 4.0));
        assert_eq!(gram, gram::gram(&table, None, Some(&own.b)).unwrap());
        let other = Problem::new(&table, &b).unwrap();
        assert!(other.scales.iter().all(|s| *s == 1.0));
        assert_eq!(own.triangular(), other.triangular());
        assert!((own.norm / other.norm - 1.0).abs() < 1e-14 && (own.norm / table.norm() - 1.0).abs() < 1e-14);
        let (mut left, mut right) = (vec![0.0; 5], vec![0.0; 5]);
        let x = [0.3, -2.0, 1.5, 7.0, 1e-3];
        assert_eq!(own.residual_and_gradient(&x, &mut left), other.residual_and_gradient(&x, &mut right));
        assert_eq!(left, right);
    }

    #[test]
    fn what_is_not_finite_is_named_and_what_is_huge_is_scaled_first() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut a = Matrix::from_fn(300, 3, |i, j| (i + j) as f64);
            a[(271, 1)] = value;
            let ways = [Problem::new(&a, &[0.0; 300]).err(), Problem::with_gram(&a, &[0.0; 300], &mut ()).err()];
            for error in ways {
                assert!(matches!(error, Some(LinalgError::NotFinite { row: 271, column: 1, .. })), "{error:?}");
            }
        }
        for size in [1e200, 1e-200, 1e300] {
            let a = Matrix::from_fn(40, 2, |i, j| if j == 0 { 1.0 } else { i as f64 / 40.0 * size });
            let (problem, gram) = Problem::with_gram(&a, &[1.0; 40], &mut ()).unwrap();
            assert!(gram.matrix.as_slice().iter().all(|v| v.is_finite()) && gram.matrix[(1, 1)] > 1.0);
            assert!(matches!(problem.a, Cow::Owned(_)));
            assert!(problem.norm.is_finite() && problem.norm > 1.0);
        }
    }
}
