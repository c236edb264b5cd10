//! `nalgebra::DMatrix` and the matrices of nalgebra-sparse.
use nalgebra_sparse::na::{DMatrix, Scalar};
use nalgebra_sparse::{CooMatrix, CscMatrix, CsrMatrix as TheirCsr};

use crate::{CooBuilder, CsrMatrix, Duplicates, LinalgError, Matrix, MatrixView, Real};

/// Without a copy.
///
/// ```
/// use nalgebra_sparse::na::DMatrix;
/// use samplewise_linalg::{Matrix, MatrixView};
/// let theirs = DMatrix::from_row_slice(2, 3, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
/// let view = MatrixView::from(&theirs);
/// assert_eq!(view.get(0, 2), 3.0);
/// let ours: Matrix = view.copy_to_matrix();
/// assert_eq!(DMatrix::from(&ours), theirs);
/// ```
impl<'a, T: Real + Scalar> From<&'a DMatrix<T>> for MatrixView<'a, T> {
    fn from(a: &'a DMatrix<T>) -> Self {
        MatrixView::from_column_major(a.as_slice(), a.nrows(), a.ncols()).expect("a DMatrix holds all its entries")
    }
}

/// A column-major copy.
impl<T: Real + Scalar> From<&Matrix<T>> for DMatrix<T> {
    fn from(a: &Matrix<T>) -> Self {
        DMatrix::from_row_iterator(a.rows(), a.columns(), a.as_slice().iter().copied())
    }
}

/// Indices below `count`, which has to fit 32 bits.
fn narrow(argument: &'static str, count: usize, indices: &[usize]) -> Result<Vec<u32>, LinalgError> {
    let bound = u32::MAX as usize;
    if count > bound {
        return Err(LinalgError::IndexOutOfRange { argument, index: count, bound });
    }
    Ok(indices.iter().map(|&i| i as u32).collect())
}

/// Duplicates are added, as nalgebra-sparse does.
///
/// ```
/// use nalgebra_sparse::{CooMatrix, CscMatrix, CsrMatrix as Theirs};
/// use samplewise_linalg::CsrMatrix;
/// let mut coo = CooMatrix::new(2, 3);
/// coo.push(1, 2, 5.0);
/// coo.push(0, 0, 1.0);
/// let ours = CsrMatrix::try_from(&coo)?;
/// assert_eq!(ours.row(1), (&[2][..], &[5.0][..]));
/// assert_eq!(CsrMatrix::try_from(&Theirs::from(&ours))?, ours);
/// assert_eq!(CsrMatrix::try_from(&CscMatrix::from(&ours))?, ours);
/// # Ok::<(), samplewise_linalg::LinalgError>(())
/// ```
impl<T: Real> TryFrom<&CooMatrix<T>> for CsrMatrix<T> {
    type Error = LinalgError;

    fn try_from(a: &CooMatrix<T>) -> Result<Self, LinalgError> {
        let mut builder = CooBuilder::new(a.nrows(), a.ncols());
        for (i, j, &v) in a.triplet_iter() {
            builder.push(i, j, v)?;
        }
        builder.build(Duplicates::Sum)
    }
}

impl<T: Real> TryFrom<&TheirCsr<T>> for CsrMatrix<T> {
    type Error = LinalgError;

    fn try_from(a: &TheirCsr<T>) -> Result<Self, LinalgError> {
        let indices = narrow("columns", a.ncols(), a.col_indices())?;
        CsrMatrix::from_parts(a.nrows(), a.ncols(), a.row_offsets().to_vec(), indices, a.values().to_vec())
    }
}

impl<T: Real> TryFrom<&CscMatrix<T>> for CsrMatrix<T> {
    type Error = LinalgError;

    fn try_from(a: &CscMatrix<T>) -> Result<Self, LinalgError> {
        let indices = narrow("rows", a.nrows(), a.row_indices())?;
        let by_column =
            CsrMatrix::from_parts(a.ncols(), a.nrows(), a.col_offsets().to_vec(), indices, a.values().to_vec())?;
        Ok(by_column.transpose())
    }
}

impl<T: Real> From<&CsrMatrix<T>> for TheirCsr<T> {
    fn from(a: &CsrMatrix<T>) -> Self {
        let indices = a.indices().iter().map(|&j| j as usize).collect();
        TheirCsr::try_from_csr_data(a.rows(), a.columns(), a.offsets().to_vec(), indices, a.values().to_vec())
            .expect("checked at construction, with the same rules")
    }
}

impl<T: Real> From<&CsrMatrix<T>> for CscMatrix<T> {
    fn from(a: &CsrMatrix<T>) -> Self {
        let t = a.transpose();
        let indices = t.indices().iter().map(|&i| i as usize).collect();
        CscMatrix::try_from_csc_data(a.rows(), a.columns(), t.offsets().to_vec(), indices, t.values().to_vec())
            .expect("checked at construction, with the same rules")
    }
}
