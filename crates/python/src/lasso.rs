//! Sparse linear models with duality gaps.
use numpy::{IntoPyArray, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use samplewise_lasso::group::{self, GroupOptions, GroupSolution};
use samplewise_lasso::{
    self as lasso, CrossValidation, CrossValidationOptions, Folds, Grid, Options, Report, Solution, Status,
    cross_validate_observed, largest_lambda_observed, path_observed,
};

use samplewise_linalg::{MatrixView, Observer, Progress};

use crate::errors::OrRaise;
use crate::run::{Call, run};
use crate::table::{Table, array, csr_parts, view};

/// Entries of a table that is copied on the calling thread.
const SMALL: usize = 1 << 14;

/// Entries that are copied between two looks for a signal.
const LOOK: usize = 1 << 21;

/// A copy of a table, column after column, with looks between some of them.
fn columns(x: MatrixView<'_>, observer: &mut dyn Observer) -> Result<lasso::Design, lasso::Error> {
    let (rows, count) = (x.rows(), x.columns());
    let together = (LOOK / rows.max(1)).max(1);
    let mut values = Vec::with_capacity(rows * count);
    for first in (0..count).step_by(together) {
        let some = x.transpose().select_range(first..(first + together).min(count));
        some.for_each_row(|_, column| values.extend_from_slice(column));
        let progress = Progress { stage: "columns", step: first, total: Some(count), value: None };
        if observer.step(progress).is_break() {
            return Err(lasso::Error::Interrupted);
        }
    }
    lasso::Design::dense_columns(values, rows, count)
}

/// The columns of a table, made once for several fits.
#[pyclass(frozen, module = "samplewise._core")]
pub struct Design(lasso::Design);

#[pymethods]
impl Design {
    #[new]
    fn new(call: Call<'_>, py: Python<'_>, x: Table<'_>) -> PyResult<Self> {
        let made = match &x {
            Table::Dense(x) => {
                let x = view(x)?;
                // The copy of a small table takes less than to wake a thread.
                if x.rows().saturating_mul(x.columns()) <= SMALL {
                    lasso::Design::dense(x)
                } else {
                    run(py, &call, |observer| columns(x, observer))?
                }
            }
            Table::Sparse(x) => {
                let x = x.view()?;
                run(py, &call, |_| lasso::Design::sparse(x))?
            }
        };
        made.map(Self).or_raise()
    }

    #[getter]
    fn shape(&self) -> (usize, usize) {
        (self.0.rows(), self.0.columns())
    }
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Settings<'py> {
    tol: f64,
    l1_ratio: f64,
    fit_intercept: bool,
    positive: bool,
    max_iter: usize,
    sample_weight: Option<PyReadonlyArray1<'py, f64>>,
    penalty_weights: Option<PyReadonlyArray1<'py, f64>>,
    lower: Option<PyReadonlyArray1<'py, f64>>,
    upper: Option<PyReadonlyArray1<'py, f64>>,
}

fn taken(values: Option<&PyReadonlyArray1<'_, f64>>) -> PyResult<Option<Vec<f64>>> {
    Ok(values.map(|v| v.as_slice().map(<[f64]>::to_vec)).transpose()?)
}

impl Settings<'_> {
    pub fn options(&self) -> PyResult<Options> {
        Ok(Options {
            tolerance: self.tol,
            mix: self.l1_ratio,
            intercept: self.fit_intercept,
            positive: self.positive,
            max_iterations: self.max_iter,
            sample_weights: taken(self.sample_weight.as_ref())?,
            penalty_factors: taken(self.penalty_weights.as_ref())?,
            lower: taken(self.lower.as_ref())?,
            upper: taken(self.upper.as_ref())?,
            ..Options::default()
        })
    }

    fn group_options(&self) -> PyResult<GroupOptions> {
        Ok(GroupOptions {
            tolerance: self.tol,
            intercept: self.fit_intercept,
            max_iterations: self.max_iter,
            sample_weights: taken(self.sample_weight.as_ref())?,
            penalty_factors: taken(self.penalty_weights.as_ref())?,
        })
    }
}

/// The values of the penalty: given, or a number of them down to a share of the largest.
#[derive(FromPyObject)]
pub enum Alphas<'py> {
    #[pyo3(transparent)]
    Values(PyReadonlyArray1<'py, f64>),
    Count(usize, f64),
}

impl Alphas<'_> {
    pub fn grid(&self) -> PyResult<Grid> {
        Ok(match self {
            Self::Values(values) => Grid::Values(values.as_slice()?.to_vec()),
            Self::Count(count, eps) => Grid::Geometric { count: *count, min_ratio: *eps },
        })
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Converged => "converged",
        Status::NotConverged => "not_converged",
        Status::CertificateFailed => "certificate_failed",
    }
}

/// What solutions of both kinds say of themselves.
struct Said<'a> {
    lambda: f64,
    objective: f64,
    gap: f64,
    lower_bound: Option<f64>,
    status: Status,
    report: &'a Report,
}

fn evidence<'py>(py: Python<'py>, all: &[Said<'_>]) -> PyResult<Bound<'py, PyDict>> {
    let d = PyDict::new(py);
    let part = |f: &dyn Fn(&Said<'_>) -> f64| all.iter().map(f).collect::<Vec<f64>>().into_pyarray(py);
    d.set_item("alphas", part(&|s| s.lambda))?;
    d.set_item("objectives", part(&|s| s.objective))?;
    d.set_item("dual_gaps", part(&|s| s.gap))?;
    d.set_item("lower_bounds", part(&|s| s.lower_bound.unwrap_or(f64::NAN)))?;
    d.set_item("null_objective", all.first().map_or(f64::NAN, |s| s.report.null_objective))?;
    d.set_item("n_iter", all.iter().map(|s| s.report.iterations as i64).collect::<Vec<_>>().into_pyarray(py))?;
    d.set_item("status", all.iter().map(|s| word(s.status)).collect::<Vec<_>>())?;
    let ending = all.iter().map(|s| s.report.ending).reduce(samplewise_linalg::Ending::and);
    d.set_item("ending", ending.map_or("finished", samplewise_linalg::Ending::name))?;
    d.set_item("seconds", all.iter().map(|s| s.report.seconds.0).sum::<f64>())?;
    Ok(d)
}

pub fn path_of<'py>(py: Python<'py>, all: &[Solution]) -> PyResult<Bound<'py, PyDict>> {
    let said = |s: &'_ Solution| -> (f64, f64, f64, Option<f64>, Status) {
        (s.lambda, s.objective, s.gap(), s.lower_bound, s.status)
    };
    let said: Vec<Said<'_>> = all
        .iter()
        .map(|s| {
            let (lambda, objective, gap, lower_bound, status) = said(s);
            Said { lambda, objective, gap, lower_bound, status, report: &s.report }
        })
        .collect();
    let d = evidence(py, &said)?;
    d.set_item("coefs", csr_parts(py, all.iter().map(|s| s.coefficients.as_slice())))?;
    d.set_item("intercepts", all.iter().map(|s| s.intercept).collect::<Vec<_>>().into_pyarray(py))?;
    Ok(d)
}

#[pyfunction]
pub fn lasso_path<'py>(
    call: Call<'_>,
    py: Python<'py>,
    design: &Bound<'_, Design>,
    y: PyReadonlyArray1<'_, f64>,
    alphas: Alphas<'_>,
    settings: Settings<'_>,
) -> PyResult<Bound<'py, PyDict>> {
    let (design, y, grid, options) = (&design.get().0, y.as_slice()?, alphas.grid()?, settings.options()?);
    let all = run(py, &call, |observer| path_observed(design, y, &grid, &options, observer))?.or_raise()?;
    path_of(py, &all)
}

#[pyfunction]
pub fn alpha_max(
    call: Call<'_>,
    py: Python<'_>,
    design: &Bound<'_, Design>,
    y: PyReadonlyArray1<'_, f64>,
    settings: Settings<'_>,
) -> PyResult<f64> {
    let (design, y, options) = (&design.get().0, y.as_slice()?, settings.options()?);
    run(py, &call, |observer| largest_lambda_observed(design, y, &options, observer))?.or_raise()
}

/// Folds: a number of contiguous ones, a number and a seed of shuffled ones, or the held-out rows of each.
#[derive(FromPyObject)]
pub enum Cv {
    #[pyo3(transparent)]
    Contiguous(usize),
    Shuffled(usize, u64),
    #[pyo3(transparent)]
    Given(Vec<Vec<usize>>),
}

#[pyfunction]
pub fn lasso_cv<'py>(
    call: Call<'_>,
    py: Python<'py>,
    design: &Bound<'_, Design>,
    y: PyReadonlyArray1<'_, f64>,
    grid: (Cv, Alphas<'_>),
    settings: Settings<'_>,
) -> PyResult<Bound<'py, PyDict>> {
    let (cv, alphas) = grid;
    let (folds, seed) = match cv {
        Cv::Contiguous(count) => (Folds::Contiguous(count), 0),
        Cv::Shuffled(count, seed) => (Folds::Shuffled(count), seed),
        Cv::Given(rows) => (Folds::Given(rows), 0),
    };
    let options = CrossValidationOptions { folds, seed, grid: alphas.grid()?, fit: settings.options()? };
    let (design, y) = (&design.get().0, y.as_slice()?);
    let found = run(py, &call, |observer| cross_validate_observed(design, y, &options, observer))?.or_raise()?;
    cross_validated(py, found)
}

/// A path with the errors of its folds.
pub fn cross_validated(py: Python<'_>, found: CrossValidation) -> PyResult<Bound<'_, PyDict>> {
    let d = path_of(py, &found.path)?;
    d.set_item("one_standard_error", found.one_standard_error())?;
    d.set_item("cv_alphas", found.lambdas.into_pyarray(py))?;
    d.set_item("mse", found.mean_squared_error.into_pyarray(py))?;
    d.set_item("mse_std_error", found.standard_error.into_pyarray(py))?;
    d.set_item("best", found.best)?;
    d.set_item("ending", found.report.ending.name())?;
    Ok(d)
}

/// Targets as columns of one array, and the groups of the columns of the table.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Grouped<'py> {
    targets: PyReadonlyArray2<'py, f64>,
    groups: Option<Vec<Vec<usize>>>,
}

impl Grouped<'_> {
    fn read(&self, design: &lasso::Design) -> PyResult<(samplewise_linalg::Matrix, Vec<Vec<usize>>)> {
        let groups = self.groups.clone().unwrap_or_else(|| group::single_columns(design));
        Ok((view(&self.targets)?.copy_to_matrix(), groups))
    }
}

#[pyfunction]
pub fn lasso_group_path<'py>(
    call: Call<'_>,
    py: Python<'py>,
    design: &Bound<'_, Design>,
    data: Grouped<'_>,
    alphas: Alphas<'_>,
    settings: Settings<'_>,
) -> PyResult<Bound<'py, PyDict>> {
    let design = &design.get().0;
    let ((targets, groups), grid, options) = (data.read(design)?, alphas.grid()?, settings.group_options()?);
    let all = run(py, &call, |o| group::path_observed(design, &targets, &groups, &grid, &options, o))?.or_raise()?;
    let said: Vec<Said<'_>> = all
        .iter()
        .map(|s: &GroupSolution| Said {
            lambda: s.lambda,
            objective: s.objective,
            gap: s.gap(),
            lower_bound: s.lower_bound,
            status: s.status,
            report: &s.report,
        })
        .collect();
    let d = evidence(py, &said)?;
    let (p, q) = (design.columns(), targets.columns());
    let mut coefs = Vec::with_capacity(all.len());
    let mut intercepts = Vec::with_capacity(all.len());
    for s in &all {
        let mut dense = samplewise_linalg::Matrix::zeros(q, p);
        for (column, values) in &s.coefficients {
            values.iter().enumerate().for_each(|(t, &v)| dense.row_mut(t)[*column] = v);
        }
        coefs.push(array(py, dense)?);
        intercepts.push(s.intercepts.clone().into_pyarray(py));
    }
    d.set_item("coefs", coefs)?;
    d.set_item("intercepts", intercepts)?;
    d.set_item("groups", all.iter().map(|s| s.groups.clone()).collect::<Vec<_>>())?;
    Ok(d)
}

#[pyfunction]
pub fn group_alpha_max(
    call: Call<'_>,
    py: Python<'_>,
    design: &Bound<'_, Design>,
    data: Grouped<'_>,
    settings: Settings<'_>,
) -> PyResult<f64> {
    let design = &design.get().0;
    let ((targets, groups), options) = (data.read(design)?, settings.group_options()?);
    run(py, &call, |_| group::largest_lambda(design, &targets, &groups, &options))?.or_raise()
}
