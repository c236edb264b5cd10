//! Matrix completion.
use numpy::{IntoPyArray, PyArray1, PyArray2, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use samplewise_completion::{
    self as completion, Loss, Options, PosteriorOptions, Rank, Verification, complete_observed,
    sample_posterior_observed,
};

use crate::errors::OrRaise;
use crate::run::{Call, run};
use crate::table::{Sparse, array, view, whole};

/// Observed entries, made once for several calls.
#[pyclass(frozen, module = "samplewise._core")]
pub struct Entries(completion::Entries);

#[pymethods]
impl Entries {
    #[staticmethod]
    fn from_triplets(
        call: Call<'_>,
        py: Python<'_>,
        parts: (PyReadonlyArray1<'_, usize>, PyReadonlyArray1<'_, usize>, PyReadonlyArray1<'_, f64>),
        shape: (usize, usize),
        weights: Option<PyReadonlyArray1<'_, f64>>,
    ) -> PyResult<Self> {
        let parts = (parts.0.as_slice()?, parts.1.as_slice()?, parts.2.as_slice()?);
        let weights = weights.as_ref().map(|w| w.as_slice()).transpose()?;
        let made = run(py, &call, |_| completion::Entries::from_triplets(shape.0, shape.1, parts, weights))?;
        made.map(Self).or_raise()
    }

    #[staticmethod]
    fn from_csr(
        call: Call<'_>,
        py: Python<'_>,
        x: Sparse<'_>,
        weights: Option<PyReadonlyArray1<'_, f64>>,
    ) -> PyResult<Self> {
        let x = x.view()?;
        let weights = weights.as_ref().map(|w| w.as_slice()).transpose()?;
        let made = run(py, &call, |_| completion::Entries::from_csr(x.copy_to_matrix(), weights))?;
        made.map(Self).or_raise()
    }

    #[staticmethod]
    fn from_dense(call: Call<'_>, py: Python<'_>, x: PyReadonlyArray2<'_, f64>) -> PyResult<Self> {
        let x = view(&x)?;
        run(py, &call, |_| completion::Entries::from_dense(x))?.map(Self).or_raise()
    }

    #[getter]
    fn shape(&self) -> (usize, usize) {
        (self.0.rows(), self.0.columns())
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    /// Rows, columns, values and weights of all entries.
    fn parts<'py>(
        &self,
        py: Python<'py>,
    ) -> (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<f64>>, Bound<'py, PyArray1<f64>>)
    {
        let all: Vec<_> = self.0.iter().collect();
        (
            whole(py, &all.iter().map(|e| e.0).collect::<Vec<_>>()),
            whole(py, &all.iter().map(|e| e.1).collect::<Vec<_>>()),
            all.iter().map(|e| e.2).collect::<Vec<_>>().into_pyarray(py),
            all.iter().map(|e| e.3).collect::<Vec<_>>().into_pyarray(py),
        )
    }
}

#[pyclass(frozen, module = "samplewise._core")]
pub struct Model(completion::Model);

#[pymethods]
impl Model {
    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.to_bytes())
    }

    #[staticmethod]
    fn from_bytes(bytes: &[u8]) -> PyResult<Self> {
        completion::Model::from_bytes(bytes).map(Self).or_raise()
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))> {
        Ok((slf.get_type().getattr("from_bytes")?, (slf.get().to_bytes(slf.py()),)))
    }

    #[getter]
    fn shape(&self) -> (usize, usize) {
        (self.0.rows(), self.0.columns())
    }

    #[getter]
    fn rank(&self) -> usize {
        self.0.rank()
    }

    #[getter]
    fn mean(&self) -> f64 {
        self.0.mean
    }

    fn factors<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyArray2<f64>>, Bound<'py, PyArray2<f64>>)> {
        Ok((array(py, self.0.row_factors.clone())?, array(py, self.0.column_factors.clone())?))
    }

    fn biases<'py>(&self, py: Python<'py>) -> (Bound<'py, PyArray1<f64>>, Bound<'py, PyArray1<f64>>) {
        (self.0.row_biases.clone().into_pyarray(py), self.0.column_biases.clone().into_pyarray(py))
    }

    fn predict<'py>(
        &self,
        call: Call<'_>,
        py: Python<'py>,
        rows: PyReadonlyArray1<'_, usize>,
        columns: PyReadonlyArray1<'_, usize>,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let (rows, columns) = (rows.as_slice()?, columns.as_slice()?);
        let mut out = vec![0.0; rows.len()];
        run(py, &call, |_| self.0.predict_into(rows, columns, &mut out))?.or_raise()?;
        Ok(out.into_pyarray(py))
    }

    /// Factors and biases of the rows of a CSR matrix of new entries.
    fn fold_in<'py>(
        &self,
        call: Call<'_>,
        py: Python<'py>,
        x: Sparse<'_>,
        ridge: f64,
    ) -> PyResult<(Bound<'py, PyArray2<f64>>, Bound<'py, PyArray1<f64>>)> {
        let x = x.view()?;
        let (factors, biases) = run(py, &call, |_| self.0.fold_in_many(x, ridge))?.or_raise()?;
        Ok((array(py, factors)?, biases.into_pyarray(py)))
    }

    fn top<'py>(
        &self,
        py: Python<'py>,
        row: usize,
        count: usize,
        exclude: Vec<usize>,
    ) -> PyResult<(Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<f64>>)> {
        let (at, values): (Vec<usize>, Vec<f64>) = self.0.top(row, count, &exclude).or_raise()?.into_iter().unzip();
        Ok((whole(py, &at), values.into_pyarray(py)))
    }
}

fn rank_of(rank: Option<usize>, max_rank: usize) -> Rank {
    rank.map_or(Rank::Auto { max: max_rank }, Rank::Fixed)
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Settings<'py> {
    alpha: Option<f64>,
    biases: bool,
    tol: Option<f64>,
    loss: String,
    threshold: f64,
    non_negative: bool,
    max_iter: usize,
    tuning: f64,
    verification: f64,
    start: Option<Bound<'py, Model>>,
    seed: u64,
}

#[pyfunction]
pub fn complete<'py>(
    call: Call<'_>,
    py: Python<'py>,
    entries: &Bound<'_, Entries>,
    rank: Option<usize>,
    max_rank: usize,
    settings: Settings<'_>,
) -> PyResult<(Model, Bound<'py, PyDict>)> {
    let loss = match settings.loss.as_str() {
        "squared" => Loss::Squared,
        "huber" => Loss::Huber { threshold: settings.threshold },
        "trimmed" => Loss::Trimmed,
        other => {
            let text = format!("loss is {other:?}, allowed is \"squared\", \"huber\" or \"trimmed\"");
            return Err(PyValueError::new_err(text));
        }
    };
    let options = Options {
        lambda: settings.alpha,
        biases: settings.biases,
        exact_recovery: settings.tol,
        loss,
        non_negative: settings.non_negative,
        max_iterations: settings.max_iter,
        tuning: settings.tuning,
        verification: Verification::Share(settings.verification),
        start: settings.start.map(|m| m.get().0.clone()),
        seed: settings.seed,
        ..Options::default()
    };
    let (entries, rank) = (&entries.get().0, rank_of(rank, max_rank));
    let found = run(py, &call, |observer| complete_observed(entries, rank, &options, observer))?.or_raise()?;
    let (r, d) = (&found.report, PyDict::new(py));
    d.set_item("status", found.status.name())?;
    d.set_item("ending", r.ending.name())?;
    d.set_item("route", r.route.name())?;
    d.set_item("rank", r.rank)?;
    d.set_item("alpha", r.lambda)?;
    d.set_item("n_iter", r.iterations)?;
    d.set_item("oversampling", r.oversampling)?;
    d.set_item("spread", r.spread)?;
    d.set_item("train_rmse", r.train_rmse)?;
    d.set_item("test_rmse", r.test_rmse)?;
    d.set_item("baseline_test_rmse", r.baseline_test_rmse)?;
    d.set_item("relative_test_error", r.relative_test_error)?;
    d.set_item("n_fitted", r.fitted_entries)?;
    d.set_item("n_tuning", r.tuning_entries)?;
    d.set_item("n_verification", r.verification_entries)?;
    d.set_item("undetermined_rows", whole(py, &r.undetermined_rows))?;
    d.set_item("undetermined_columns", whole(py, &r.undetermined_columns))?;
    d.set_item("undetermined_share", r.determination.undetermined_share)?;
    d.set_item("outliers", r.outliers.clone())?;
    d.set_item("ranks_tried", r.ranks_tried.clone())?;
    d.set_item("seconds", r.seconds.0)?;
    Ok((Model(found.model), d))
}

#[pyclass(frozen, module = "samplewise._core")]
pub struct Posterior(completion::Posterior);

#[pymethods]
impl Posterior {
    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.to_bytes())
    }

    #[staticmethod]
    fn from_bytes(bytes: &[u8]) -> PyResult<Self> {
        completion::Posterior::from_bytes(bytes).map(Self).or_raise()
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))> {
        Ok((slf.get_type().getattr("from_bytes")?, (slf.get().to_bytes(slf.py()),)))
    }

    /// Means, deviations of a new measurement, and deviations of the mean.
    fn predict<'py>(
        &self,
        call: Call<'_>,
        py: Python<'py>,
        rows: PyReadonlyArray1<'_, usize>,
        columns: PyReadonlyArray1<'_, usize>,
    ) -> PyResult<[Bound<'py, PyArray1<f64>>; 3]> {
        let (rows, columns) = (rows.as_slice()?, columns.as_slice()?);
        let positions: Vec<(usize, usize)> = rows.iter().copied().zip(columns.iter().copied()).collect();
        let all = run(py, &call, |_| self.0.predict_many(&positions))?.or_raise()?;
        let part = |f: fn(&completion::Prediction) -> f64| all.iter().map(f).collect::<Vec<_>>().into_pyarray(py);
        Ok([part(|p| p.mean), part(|p| p.deviation), part(|p| p.uncertainty)])
    }

    fn models(&self) -> Vec<Model> {
        self.0.models.models().iter().cloned().map(Model).collect()
    }

    #[getter]
    fn noise<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f64>> {
        self.0.noise.clone().into_pyarray(py)
    }
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct DrawSettings {
    n_draws: usize,
    burn_in: usize,
    biases: bool,
    implicit: bool,
    verification: f64,
    seed: u64,
}

#[pyfunction]
pub fn sample_posterior<'py>(
    call: Call<'_>,
    py: Python<'py>,
    entries: &Bound<'_, Entries>,
    rank: Option<usize>,
    max_rank: usize,
    settings: DrawSettings,
) -> PyResult<(Posterior, Bound<'py, PyDict>)> {
    let options = PosteriorOptions {
        samples: settings.n_draws,
        burn_in: settings.burn_in,
        biases: settings.biases,
        implicit: settings.implicit,
        verification: Verification::Share(settings.verification),
        seed: settings.seed,
    };
    let (entries, rank) = (&entries.get().0, rank_of(rank, max_rank));
    let found = run(py, &call, |observer| sample_posterior_observed(entries, rank, &options, observer))?.or_raise()?;
    let (r, d) = (&found.report, PyDict::new(py));
    d.set_item("ending", r.ending.name())?;
    d.set_item("noise", r.noise)?;
    d.set_item("train_rmse", r.train_rmse)?;
    d.set_item("test_rmse", r.test_rmse)?;
    d.set_item("test_coverage", r.test_coverage)?;
    d.set_item("baseline_test_rmse", r.baseline_test_rmse)?;
    d.set_item("n_fitted", r.fitted_entries)?;
    d.set_item("n_verification", r.verification_entries)?;
    d.set_item("trace", r.trace.clone())?;
    d.set_item("seconds", r.seconds.0)?;
    d.set_item("rank", found.models.models().first().map_or(0, completion::Model::rank))?;
    Ok((Posterior(found), d))
}
