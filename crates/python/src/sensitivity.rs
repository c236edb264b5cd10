//! Row scores, coresets and certified regression.
use numpy::{IntoPyArray, PyArray1, PyArray2, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use samplewise_linalg::Summary;
use samplewise_sensitivity::{
    self as sensitivity, Block, Coreset, CoresetOptions, DistortionOptions, Loss, Method, Options, Regression, Report,
    SampleOptions, Sampler, ScoreOptions, Status, StreamOptions, StreamingCoreset, distortion_observed,
    regress_observed, regress_on_coreset_observed, scores_observed,
};

use crate::errors::{OrRaise, linalg};
use crate::run::{Call, run};
use crate::table::{Table, array, view, whole};

pub fn method(name: &str) -> PyResult<Method> {
    Ok(match name {
        "uniform" => Method::Uniform,
        "leverage" => Method::Leverage,
        "root_leverage" => Method::RootLeverage,
        "lewis" => Method::Lewis,
        "sensitivity" => Method::Sensitivity,
        "sensitivity_plus_leverage" => Method::SensitivityPlusLeverage,
        other => {
            let allowed = "\"lewis\", \"leverage\", \"root_leverage\", \"uniform\", \"sensitivity\" or \
                           \"sensitivity_plus_leverage\"";
            return Err(PyValueError::new_err(format!("method is {other:?}, allowed is {allowed}")));
        }
    })
}

fn sampler(name: &str) -> PyResult<Sampler> {
    Ok(match name {
        "bernoulli" => Sampler::Bernoulli,
        "priority" => Sampler::Priority,
        "tree" => Sampler::Tree,
        other => {
            let text = format!("sampler is {other:?}, allowed is \"bernoulli\", \"priority\" or \"tree\"");
            return Err(PyValueError::new_err(text));
        }
    })
}

/// The loss: a quantile, or the power of absolute errors.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct LossOf {
    quantile: Option<f64>,
    p: f64,
}

impl LossOf {
    fn loss(&self) -> Loss {
        self.quantile.map_or(Loss::Lp(self.p), Loss::Quantile)
    }
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Scoring {
    method: String,
    tol: f64,
    max_iter: usize,
    gap: f64,
}

#[pyfunction]
pub fn row_scores<'py>(
    call: Call<'_>,
    py: Python<'py>,
    x: Table<'_>,
    p: f64,
    how: Scoring,
) -> PyResult<Bound<'py, PyDict>> {
    let options =
        ScoreOptions { method: method(&how.method)?, tolerance: how.tol, max_iterations: how.max_iter, gap: how.gap };
    let rows = x.rows()?;
    let s = run(py, &call, |observer| scores_observed(rows, p, &options, observer))?.or_raise()?;
    let d = PyDict::new(py);
    d.set_item("total_sensitivity", s.total_sensitivity())?;
    d.set_item("total", s.total)?;
    d.set_item("rank", s.rank)?;
    d.set_item("condition", s.condition)?;
    d.set_item("residual", s.report.residual)?;
    d.set_item("n_iter", s.report.iterations)?;
    d.set_item("ending", s.report.ending.name())?;
    d.set_item("seconds", s.report.seconds.0)?;
    d.set_item("converged", s.converged())?;
    d.set_item("values", s.values.into_pyarray(py))?;
    d.set_item("lower", s.lower.into_pyarray(py))?;
    d.set_item("upper", s.upper.into_pyarray(py))?;
    Ok(d)
}

type Drawn<'py> = (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<f64>>, f64);

fn drawn(py: Python<'_>, c: Coreset) -> Drawn<'_> {
    (whole(py, &c.rows), c.weights.into_pyarray(py), c.expected_size)
}

#[pyfunction]
pub fn coreset<'py>(
    call: Call<'_>,
    py: Python<'py>,
    x: Table<'_>,
    scores: PyReadonlyArray1<'_, f64>,
    wanted: (f64, usize, String, u64),
) -> PyResult<Drawn<'py>> {
    let (p, size, how, seed) = wanted;
    let options = SampleOptions { sampler: sampler(&how)?, seed };
    let (rows, scores) = (x.rows()?, scores.as_slice()?);
    let found = run(py, &call, |o| Coreset::sample_observed(rows, scores, p, size, &options, o))?.or_raise()?;
    Ok(drawn(py, found))
}

#[pyfunction]
pub fn planned_size(epsilon: f64, p: f64, rank: usize) -> PyResult<usize> {
    sensitivity::planned_size(epsilon, p, rank).or_raise()
}

#[pyfunction]
pub fn distortion<'py>(
    call: Call<'_>,
    py: Python<'py>,
    x: Table<'_>,
    chosen: (Vec<usize>, Vec<f64>, f64),
    wanted: (f64, usize, u64),
) -> PyResult<Bound<'py, PyDict>> {
    let (p, random_starts, seed) = wanted;
    let (rows, weights, expected_size) = chosen;
    let coreset = Coreset { rows, weights, expected_size };
    let options = DistortionOptions { random_starts, seed, ..DistortionOptions::default() };
    let table = x.rows()?;
    let found = run(py, &call, |o| distortion_observed(table, &coreset, p, &options, o))?.or_raise()?;
    let d = PyDict::new(py);
    d.set_item("at_least", found.at_least)?;
    d.set_item("ratio", found.ratio)?;
    d.set_item("direction", found.direction.into_pyarray(py))?;
    d.set_item("ending", found.report.ending.name())?;
    Ok(d)
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Fitting<'py> {
    tol: f64,
    fit_intercept: bool,
    sample_weight: Option<PyReadonlyArray1<'py, f64>>,
}

impl Fitting<'_> {
    fn options(&self) -> PyResult<Options> {
        let weights = self.sample_weight.as_ref().map(|w| w.as_slice().map(<[f64]>::to_vec)).transpose()?;
        Ok(Options {
            tolerance: self.tol,
            intercept: self.fit_intercept,
            sample_weights: weights,
            ..Options::default()
        })
    }
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Sampling {
    size: usize,
    method: String,
    sampler: String,
    seed: u64,
}

pub fn word(status: Status) -> &'static str {
    match status {
        Status::Converged => "converged",
        Status::NotConverged => "not_converged",
    }
}

fn said(d: &Bound<'_, PyDict>, r: &Report) -> PyResult<()> {
    d.set_item("ending", r.ending.name())?;
    d.set_item("route", r.route.name())?;
    d.set_item("n_iter", r.iterations)?;
    d.set_item("rank", r.rank)?;
    d.set_item("n_rows_used", r.rows_used)?;
    d.set_item("seconds", r.seconds.0)
}

fn answer(py: Python<'_>, r: Regression) -> PyResult<Bound<'_, PyDict>> {
    let d = PyDict::new(py);
    said(&d, &r.report)?;
    d.set_item("status", word(r.status))?;
    d.set_item("objective", r.objective)?;
    d.set_item("lower_bound", r.lower_bound)?;
    d.set_item("intercept", r.intercept)?;
    d.set_item("coef", r.coefficients.into_pyarray(py))?;
    Ok(d)
}

#[pyfunction]
pub fn regress<'py>(
    call: Call<'_>,
    py: Python<'py>,
    x: Table<'_>,
    y: PyReadonlyArray1<'_, f64>,
    wanted: (LossOf, Fitting<'_>),
) -> PyResult<Bound<'py, PyDict>> {
    let (loss, how) = wanted;
    let (rows, y, options) = (x.rows()?, y.as_slice()?, how.options()?);
    let loss = loss.loss();
    answer(py, run(py, &call, |observer| regress_observed(rows, y, loss, &options, observer))?.or_raise()?)
}

fn coreset_options(how: &Fitting<'_>, sampling: &Sampling) -> PyResult<CoresetOptions> {
    Ok(CoresetOptions {
        fit: how.options()?,
        method: method(&sampling.method)?,
        sampler: sampler(&sampling.sampler)?,
        seed: sampling.seed,
        ..CoresetOptions::default()
    })
}

#[pyfunction]
pub fn regress_on_coreset<'py>(
    call: Call<'_>,
    py: Python<'py>,
    x: Table<'_>,
    y: PyReadonlyArray1<'_, f64>,
    wanted: (LossOf, Fitting<'_>, Sampling),
) -> PyResult<Bound<'py, PyDict>> {
    let (loss, how, sampling) = wanted;
    let (rows, y, options) = (x.rows()?, y.as_slice()?, coreset_options(&how, &sampling)?);
    let (loss, size) = (loss.loss(), sampling.size);
    let found = run(py, &call, |o| regress_on_coreset_observed(rows, y, loss, size, &options, o))?.or_raise()?;
    answer(py, found)
}

/// A regression whose labels are asked for.
#[pyclass(module = "samplewise._core")]
pub struct LabelPlan(sensitivity::LabelPlan);

#[pymethods]
impl LabelPlan {
    #[new]
    fn new(call: Call<'_>, py: Python<'_>, x: Table<'_>, wanted: (LossOf, Fitting<'_>, Sampling)) -> PyResult<Self> {
        let (loss, how, sampling) = wanted;
        let (rows, options) = (x.rows()?, coreset_options(&how, &sampling)?);
        let (loss, size) = (loss.loss(), sampling.size);
        let made = run(py, &call, |o| sensitivity::LabelPlan::new_observed(rows, loss, size, &options, o))?;
        made.map(Self).or_raise()
    }

    fn ask<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        whole(py, self.0.ask())
    }

    fn weights<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f64>> {
        self.0.coreset().weights.clone().into_pyarray(py)
    }

    fn tell(&mut self, labels: PyReadonlyArray1<'_, f64>) -> PyResult<()> {
        self.0.tell(labels.as_slice()?).or_raise()
    }

    fn finish<'py>(&self, call: Call<'_>, py: Python<'py>, x: Table<'_>) -> PyResult<Bound<'py, PyDict>> {
        let rows = x.rows()?;
        let found = run(py, &call, |observer| self.0.finish_observed(rows, observer))?.or_raise()?;
        let d = PyDict::new(py);
        said(&d, &found.report)?;
        d.set_item("status", word(found.status))?;
        d.set_item("estimated_objective", found.estimated_objective)?;
        d.set_item("coef", found.coefficients.into_pyarray(py))?;
        Ok(d)
    }

    fn to_json(&self) -> PyResult<String> {
        serde_json::to_string(&self.0).map_err(|e| PyValueError::new_err(format!("the plan cannot be written: {e}")))
    }

    #[staticmethod]
    fn from_json(text: &str) -> PyResult<Self> {
        serde_json::from_str(text).map(Self).map_err(|e| PyValueError::new_err(format!("not a plan of labels: {e}")))
    }
}

/// A coreset of rows that come in blocks.
#[pyclass(module = "samplewise._core")]
pub struct CoresetStream(StreamingCoreset);

#[pymethods]
impl CoresetStream {
    #[new]
    fn new(columns: usize, wanted: (usize, f64, String, u64)) -> PyResult<Self> {
        let (size, p, how, seed) = wanted;
        let options = StreamOptions { method: method(&how)?, p, seed, size };
        StreamingCoreset::new(columns, &options).map(Self).or_raise()
    }

    fn update(&mut self, call: Call<'_>, py: Python<'_>, first: u64, x: PyReadonlyArray2<'_, f64>) -> PyResult<()> {
        let rows = view(&x)?;
        // A signal or an error leaves it as it was.
        let mut next = self.0.clone();
        run(py, &call, |_| next.update(Block { first, rows }))?.map_err(|e| linalg(&e))?;
        self.0 = next;
        Ok(())
    }

    fn merge(&mut self, call: Call<'_>, py: Python<'_>, other: PyRef<'_, Self>) -> PyResult<()> {
        let (mut next, other) = (self.0.clone(), other.0.clone());
        run(py, &call, |_| next.merge(other))?.map_err(|e| linalg(&e))?;
        self.0 = next;
        Ok(())
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.to_bytes())
    }

    #[staticmethod]
    fn from_bytes(bytes: &[u8]) -> PyResult<Self> {
        StreamingCoreset::from_bytes(bytes).map(Self).map_err(|e| linalg(&e))
    }

    /// Rows, their numbers and weights, and what is known of them.
    fn result<'py>(
        &self,
        call: Call<'_>,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyArray2<f64>>, Bound<'py, PyArray1<u64>>, Bound<'py, PyArray1<f64>>, Bound<'py, PyDict>)>
    {
        let state = self.0.clone();
        let found = run(py, &call, |_| state.finish())?.map_err(|e| linalg(&e))?;
        let d = PyDict::new(py);
        d.set_item("n_rows_seen", found.seen)?;
        d.set_item("rank", found.rank)?;
        d.set_item("rank_lost", found.rank_lost)?;
        d.set_item("condition", found.condition)?;
        d.set_item("levels", found.levels)?;
        d.set_item("total", found.total)?;
        Ok((array(py, found.data)?, found.rows.into_pyarray(py), found.weights.into_pyarray(py), d))
    }
}
