//! `ndarray` views and arrays.
use ndarray::{Array2, ArrayView2};

use crate::{LinalgError, Matrix, MatrixView, Real};

/// Without a copy, for arrays whose memory has no holes, in either order.
///
/// ```
/// use ndarray::{Array2, ArrayView2, array};
/// use samplewise_linalg::{Matrix, MatrixView};
/// let theirs = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
/// let transposed = theirs.t();
/// let view = MatrixView::try_from(&transposed)?;
/// assert_eq!((view.rows(), view.get(2, 1)), (3, 6.0));
/// let ours = Matrix::from(theirs.clone());
/// assert_eq!(ArrayView2::from(&ours), theirs.view());
/// assert_eq!(Array2::from(ours), theirs);
/// # Ok::<(), samplewise_linalg::LinalgError>(())
/// ```
impl<'a, T: Real> TryFrom<&'a ArrayView2<'a, T>> for MatrixView<'a, T> {
    type Error = LinalgError;

    fn try_from(a: &'a ArrayView2<'a, T>) -> Result<Self, LinalgError> {
        let (rows, columns) = a.dim();
        let strides = a.strides();
        let refused = |value: isize| LinalgError::OutOfRange {
            argument: "stride",
            value: value as f64,
            allowed: "positive, without holes between rows or columns",
        };
        let data = a.as_slice_memory_order().ok_or_else(|| refused(strides[0].max(strides[1])))?;
        match (usize::try_from(strides[0]), usize::try_from(strides[1])) {
            (Ok(row), Ok(column)) => MatrixView::from_strided(data, rows, columns, row, column),
            _ => Err(refused(strides[0].min(strides[1]))),
        }
    }
}

/// Without a copy.
impl<'a, T: Real> From<&'a Matrix<T>> for ArrayView2<'a, T> {
    fn from(a: &'a Matrix<T>) -> Self {
        ArrayView2::from_shape((a.rows(), a.columns()), a.as_slice()).expect("a matrix holds all its entries")
    }
}

/// Without a copy.
impl<T: Real> From<Matrix<T>> for Array2<T> {
    fn from(a: Matrix<T>) -> Self {
        let shape = (a.rows(), a.columns());
        Array2::from_shape_vec(shape, a.into_vec()).expect("a matrix holds all its entries")
    }
}

/// Without a copy in standard layout.
impl<T: Real> From<Array2<T>> for Matrix<T> {
    fn from(a: Array2<T>) -> Self {
        let (rows, columns) = a.dim();
        if a.is_standard_layout() {
            let (data, offset) = a.into_raw_vec_and_offset();
            if offset.unwrap_or(0) == 0 && data.len() == rows * columns {
                return Matrix::from_vec(rows, columns, data).expect("as many entries as the shape says");
            }
            let from = offset.unwrap_or(0);
            return Matrix::from_vec(rows, columns, data[from..from + rows * columns].to_vec())
                .expect("a standard layout is one range");
        }
        Matrix::from_fn(rows, columns, |i, j| a[(i, j)])
    }
}
