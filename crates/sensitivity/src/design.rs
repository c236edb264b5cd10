//! Rows in coordinates in which their columns are orthonormal.
use samplewise_linalg::leverage::{Whitening, row_norms_squared_observed};
use samplewise_linalg::observe::Observer;
use samplewise_linalg::scale::extreme_exponent_of;
use samplewise_linalg::{LinalgError, Matrix, Rows, gram, sums};

/// Condition number up to which the transform is applied on the side of the coefficients; beyond, all rows are multiplied
/// by it once.
const ON_COEFFICIENTS: f64 = 1e4;

/// `A T` with orthonormal columns, by `A` and `T` wherever that loses no digits.
pub struct Design<'a> {
    source: Source<'a>,
    /// From whitened coefficients to those of the source.
    transform: Option<Matrix>,
    rank: usize,
}

enum Source<'a> {
    Given(Rows<'a>),
    Own(Matrix),
}

impl<'a> Design<'a> {
    pub(crate) fn new(rows: Rows<'a>, base: &Whitening, observer: &mut dyn Observer) -> Result<Self, LinalgError> {
        let rank = base.rank;
        // Products with rows of extreme size would overflow or vanish before the transform makes them moderate.
        let moderate = extreme_exponent_of(base.transform.as_slice()) == 0;
        Ok(if base.condition <= ON_COEFFICIENTS && moderate {
            Self { source: Source::Given(rows), transform: Some(base.transform.clone()), rank }
        } else {
            Self { source: Source::Own(rows.multiply_observed(&base.transform, observer)?), transform: None, rank }
        })
    }

    /// Columns that are orthonormal, or nearly, as they are.
    pub(crate) fn whitened(a: Matrix) -> Design<'static> {
        Design { rank: a.columns(), source: Source::Own(a), transform: None }
    }

    /// The rows that passes go over, in the coordinates of the source.
    pub(crate) fn rows(&self) -> Rows<'_> {
        match &self.source {
            Source::Given(rows) => *rows,
            Source::Own(a) => a.into(),
        }
    }

    /// Columns after whitening.
    pub(crate) fn rank(&self) -> usize {
        self.rank
    }

    /// `y ← A T x`.
    pub(crate) fn multiply_into(&self, x: &[f64], y: &mut [f64]) {
        match &self.transform {
            None => self.rows().multiply_vector_into(x, y),
            Some(t) => {
                let mut inner = vec![0.0; t.rows()];
                t.multiply_vector_into(x, &mut inner);
                self.rows().multiply_vector_into(&inner, y);
            }
        }
    }

    /// `Tᵀ Aᵀ u`.
    pub(crate) fn multiply_transpose(&self, u: &[f64]) -> Vec<f64> {
        let mut inner = vec![0.0; self.rows().columns()];
        self.rows().multiply_transpose_vector_into(u, &mut inner);
        self.transform_transpose(&inner)
    }

    /// `Tᵀ x`.
    pub(crate) fn transform_transpose(&self, x: &[f64]) -> Vec<f64> {
        match &self.transform {
            None => x.to_vec(),
            Some(t) => {
                let mut out = vec![0.0; self.rank];
                t.multiply_transpose_vector_into(x, &mut out);
                out
            }
        }
    }

    /// `X T` of rows in the coordinates of the source.
    pub(crate) fn transform(&self, rows: Matrix, observer: &mut dyn Observer) -> Result<Matrix, LinalgError> {
        match &self.transform {
            None => Ok(rows),
            Some(t) => rows.view().multiply_observed(t, observer),
        }
    }

    /// `Tᵀ AᵀDA T`.
    pub(crate) fn gram(&self, weights: &[f64], observer: &mut dyn Observer) -> Result<Matrix, LinalgError> {
        let g = gram::gram_observed(self.rows(), Some(weights), None, observer)?.matrix;
        match &self.transform {
            None => Ok(g),
            Some(t) => t.transpose().multiply(&g.multiply(t)?),
        }
    }

    /// The largest squared norm of a row of `A T`.
    pub(crate) fn largest_leverage(&self, observer: &mut dyn Observer) -> Result<f64, LinalgError> {
        let rows = self.rows();
        match (&self.transform, &self.source) {
            (Some(t), _) => Ok(row_norms_squared_observed(rows, t, observer)?.into_iter().fold(0.0, f64::max)),
            (None, Source::Own(a)) => {
                Ok(a.as_slice().chunks_exact(a.columns().max(1)).map(|row| sums::dot(row, row)).fold(0.0, f64::max))
            }
            (None, Source::Given(_)) => unreachable!("rows that are given have a transform"),
        }
    }

    /// All rows of `A T`.
    pub(crate) fn whole(&self, observer: &mut dyn Observer) -> Result<Matrix, LinalgError> {
        match (self.rows(), &self.transform) {
            (Rows::View(rows), Some(t)) => rows.multiply_observed(t, observer),
            // Sparse rows, and those with a column apart, are multiplied as dense ones.
            (rows, _) => self.transform(rows.copy_to_dense()?, observer),
        }
    }

    /// Some rows of `A T`.
    pub(crate) fn select(&self, rows: &[usize], observer: &mut dyn Observer) -> Result<Matrix, LinalgError> {
        self.transform(self.rows().select_rows(rows), observer)
    }
}
