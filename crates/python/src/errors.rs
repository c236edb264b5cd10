//! Errors of the crates as Python's exceptions, in the words of the Python call.
use pyo3::exceptions::{PyMemoryError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use samplewise_linalg::{ArgumentError, LinalgError};

/// Arguments that have another name in Python.
const NAMES: [(&str, &str); 28] = [
    ("lambda", "alpha"),
    ("lambdas", "alphas"),
    ("mix", "l1_ratio"),
    ("tolerance", "tol"),
    ("max_iterations", "max_iter"),
    ("penalty_factors", "penalty_weights"),
    ("sample_weights", "sample_weight"),
    ("intercept", "fit_intercept"),
    ("seed", "random_state"),
    ("min_ratio", "eps"),
    ("count", "alphas"),
    ("folds", "cv"),
    ("variables", "n_variables"),
    ("noise", "noise_std"),
    ("max_degree", "max_degree"),
    ("samples", "n_samples"),
    ("verification", "verification"),
    ("dimension", "dimension"),
    ("rounds", "n_rounds"),
    ("exact_recovery", "tol"),
    ("a", "X"),
    ("b", "y"),
    ("labels", "y"),
    ("values.len()", "len(y)"),
    ("groups.len()", "len(groups)"),
    ("levels.len()", "the number of columns of X"),
    ("rows of a", "rows of X"),
    ("labels told", "labels"),
];

/// The name that a Python caller wrote.
fn python_name(name: &str) -> &str {
    NAMES.iter().find(|n| n.0 == name).map_or(name, |n| n.1)
}

pub fn argument(e: &ArgumentError) -> PyErr {
    PyValueError::new_err(format!(
        "{} is {}, allowed is {}",
        python_name(e.name),
        e.given,
        e.allowed.replace("lambda", "alpha")
    ))
}

pub fn linalg(e: &LinalgError) -> PyErr {
    match e {
        LinalgError::TooLarge { .. } => PyMemoryError::new_err(e.to_string()),
        LinalgError::NoConvergence { .. } | LinalgError::Interrupted => PyRuntimeError::new_err(e.to_string()),
        LinalgError::NotFinite { argument, row, column, value } => PyValueError::new_err(format!(
            "{} holds {value} at row {row}, column {column}, allowed are finite numbers",
            python_name(argument)
        )),
        LinalgError::Empty { argument } => PyValueError::new_err(format!("{} is empty", python_name(argument))),
        LinalgError::Length { argument, given, expected } => {
            PyValueError::new_err(format!("{} has length {given}, expected is {expected}", python_name(argument)))
        }
        LinalgError::OutOfRange { argument, value, allowed } => {
            PyValueError::new_err(format!("{} is {value}, allowed is {allowed}", python_name(argument)))
        }
        LinalgError::IndexOutOfRange { argument, index, bound } => PyValueError::new_err(format!(
            "{} holds the index {index}, allowed is below {bound}",
            python_name(argument)
        )),
        _ => PyValueError::new_err(e.to_string()),
    }
}

/// Raises the errors of a crate.
pub trait OrRaise<T> {
    fn or_raise(self) -> PyResult<T>;
}

impl<T> OrRaise<T> for Result<T, LinalgError> {
    fn or_raise(self) -> PyResult<T> {
        self.map_err(|e| linalg(&e))
    }
}

impl<T> OrRaise<T> for Result<T, ArgumentError> {
    fn or_raise(self) -> PyResult<T> {
        self.map_err(|e| argument(&e))
    }
}

macro_rules! raise {
    ($($krate:ident: $($special:pat => $with:expr),* ;)*) => {$(
        impl<T> OrRaise<T> for Result<T, $krate::Error> {
            fn or_raise(self) -> PyResult<T> {
                use $krate::Error;
                self.map_err(|e| match &e {
                    Error::Argument(e) => argument(e),
                    Error::Data(e) => linalg(e),
                    $($special => $with(e.to_string()),)*
                    _ => PyValueError::new_err(e.to_string()),
                })
            }
        }
    )*};
}
raise! {
    samplewise_completion: ;
    samplewise_sensitivity: Error::Interrupted => PyRuntimeError::new_err;
    samplewise_lasso: Error::Interrupted => PyRuntimeError::new_err;
    samplewise_mtrl: ;
    samplewise_wht: Error::Interrupted => PyRuntimeError::new_err, Error::TooLarge { .. } => PyMemoryError::new_err;
}

impl<T> OrRaise<T> for Result<T, samplewise_hamming::Error> {
    fn or_raise(self) -> PyResult<T> {
        use samplewise_hamming::Error;
        self.map_err(|e| match &e {
            Error::Argument(e) => argument(e),
            Error::SpectraTooLarge { .. } => PyMemoryError::new_err(e.to_string()),
            _ => PyValueError::new_err(e.to_string()),
        })
    }
}
