//! `faer::MatRef`.
use crate::{LinalgError, Matrix, MatrixView, Real};

/// Without a copy.
///
/// ```
/// use samplewise_linalg::Matrix;
/// let a = Matrix::from_vec(2, 2, vec![1.0, 2.0, 3.0, 4.0])?;
/// let theirs = faer::MatRef::from(&a);
/// assert_eq!(theirs[(1, 0)], 3.0);
/// assert_eq!(Matrix::from(theirs), a);
/// # Ok::<(), samplewise_linalg::LinalgError>(())
/// ```
impl<'a, T: Real> From<&'a Matrix<T>> for faer::MatRef<'a, T> {
    fn from(a: &'a Matrix<T>) -> Self {
        faer::MatRef::from_row_major_slice(a.as_slice(), a.rows(), a.columns())
    }
}

/// Without a copy, for rows or columns that are contiguous; other strides are refused.
///
/// ```
/// use samplewise_linalg::MatrixView;
/// let by_column = [1.0, 3.0, 2.0, 4.0];
/// let view = MatrixView::from_column_major(&by_column, 2, 2)?;
/// assert_eq!(faer::MatRef::try_from(view)?[(0, 1)], 2.0);
/// # Ok::<(), samplewise_linalg::LinalgError>(())
/// ```
impl<'a, T: Real> TryFrom<MatrixView<'a, T>> for faer::MatRef<'a, T> {
    type Error = LinalgError;

    fn try_from(a: MatrixView<'a, T>) -> Result<Self, LinalgError> {
        let (rows, columns) = (a.rows(), a.columns());
        let (data, row_stride, column_stride) = a.parts();
        if rows == 0 || columns == 0 {
            return Ok(faer::MatRef::from_row_major_slice(&data[..0], rows, columns));
        }
        if column_stride == 1 && row_stride >= columns {
            let needed = (rows - 1) * row_stride + columns;
            return Ok(faer::MatRef::from_row_major_slice_with_stride(&data[..needed], rows, columns, row_stride));
        }
        if row_stride == 1 && column_stride >= rows {
            let needed = (columns - 1) * column_stride + rows;
            return Ok(faer::MatRef::from_column_major_slice_with_stride(
                &data[..needed],
                rows,
                columns,
                column_stride,
            ));
        }
        Err(LinalgError::OutOfRange {
            argument: "stride",
            value: row_stride.min(column_stride) as f64,
            allowed: "1 along rows or along columns",
        })
    }
}

/// A row-major copy.
impl<T: Real> From<faer::MatRef<'_, T>> for Matrix<T> {
    fn from(a: faer::MatRef<'_, T>) -> Self {
        Matrix::from_fn(a.nrows(), a.ncols(), |i, j| a[(i, j)])
    }
}
