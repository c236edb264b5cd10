//! numpy arrays as the facade's tables, read in place.
use numpy::{Element, IntoPyArray};
use numpy::{PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use samplewise_linalg::{CsrView, Matrix, MatrixView, Rows};

use crate::errors::OrRaise;

/// A table as the package hands it over: a contiguous float64 array, or the parts of a CSR matrix
/// `(indptr uint64, indices uint32, data float64, shape)`.
pub enum Table<'py> {
    Dense(PyReadonlyArray2<'py, f64>),
    Sparse(Sparse<'py>),
}

#[derive(FromPyObject)]
pub struct Sparse<'py>(
    PyReadonlyArray1<'py, usize>,
    PyReadonlyArray1<'py, u32>,
    PyReadonlyArray1<'py, f64>,
    (usize, usize),
);

impl Sparse<'_> {
    pub fn view(&self) -> PyResult<CsrView<'_>> {
        let (rows, columns) = self.3;
        CsrView::from_parts(rows, columns, self.0.as_slice()?, self.1.as_slice()?, self.2.as_slice()?).or_raise()
    }
}

impl<'a, 'py> FromPyObject<'a, 'py> for Table<'py> {
    type Error = PyErr;

    fn extract(x: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        if let Ok(sparse) = x.extract::<Sparse<'py>>() {
            return Ok(Self::Sparse(sparse));
        }
        match x.extract::<PyReadonlyArray2<'py, f64>>() {
            Ok(dense) => Ok(Self::Dense(dense)),
            Err(_) => Err(PyTypeError::new_err("X is no float64 array of two dimensions")),
        }
    }
}

impl Table<'_> {
    pub fn rows(&self) -> PyResult<Rows<'_>> {
        Ok(match self {
            Self::Dense(x) => view(x)?.into(),
            Self::Sparse(x) => x.view()?.into(),
        })
    }
}

/// A contiguous array of either order as a view.
pub fn view<'a, T: Element + samplewise_linalg::Real>(x: &'a PyReadonlyArray2<'_, T>) -> PyResult<MatrixView<'a, T>> {
    let (rows, columns) = (x.shape()[0], x.shape()[1]);
    let all = x.as_slice()?;
    if x.is_c_contiguous() {
        MatrixView::from_row_major(all, rows, columns).or_raise()
    } else {
        MatrixView::from_column_major(all, rows, columns).or_raise()
    }
}

/// A matrix as an array in C order.
pub fn array(py: Python<'_>, m: Matrix) -> PyResult<Bound<'_, PyArray2<f64>>> {
    let shape = [m.rows(), m.columns()];
    m.into_vec().into_pyarray(py).reshape(shape)
}

/// Whole numbers as an int64 array.
pub fn whole<'py>(py: Python<'py>, values: &[usize]) -> Bound<'py, PyArray1<i64>> {
    values.iter().map(|&v| v as i64).collect::<Vec<_>>().into_pyarray(py)
}

/// Sparse columns of numbers as the parts of a CSR matrix: `indptr`, `indices`, `data`.
pub type Parts<'py> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<f64>>);

pub fn csr_parts<'py, 'a>(py: Python<'py>, rows: impl Iterator<Item = &'a [(usize, f64)]>) -> Parts<'py> {
    let (mut indptr, mut indices, mut data) = (vec![0_i64], Vec::new(), Vec::new());
    for row in rows {
        for &(j, v) in row {
            indices.push(j as i64);
            data.push(v);
        }
        indptr.push(indices.len() as i64);
    }
    (indptr.into_pyarray(py), indices.into_pyarray(py), data.into_pyarray(py))
}
