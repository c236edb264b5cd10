//! Summaries of parts of a table: fed by whatever engine holds the rows, merged as bytes in any order.
use numpy::{IntoPyArray, PyArray1, PyArray2, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use samplewise_lasso::{cross_validate_moments_observed, path_of_moments_observed};
use samplewise_linalg::envelope::{self, Kind};
use samplewise_linalg::gram::{FoldedMoments, Moments};
use samplewise_linalg::{LinalgError, Summary as _, keys};
use samplewise_sensitivity::{
    KeyedCoreset, KeyedRows, Loss, PassOptions, QuantileDriver, QuantilePass, Question, StreamOptions,
};

use crate::errors::{OrRaise, linalg};
use crate::lasso::{Alphas, Settings, cross_validated, path_of};
use crate::run::{Call, run};
use crate::sensitivity::{method, word};
use crate::table::{array, view};

#[derive(Clone)]
enum Kept {
    Coreset(KeyedCoreset),
    Folds(FoldedMoments),
    Pass(QuantilePass),
}

/// The summary of some rows.
#[pyclass(module = "samplewise._core")]
pub struct Summary(Kept);

#[pymethods]
impl Summary {
    /// Of rows with keys, for a coreset of a table with so many columns.
    #[staticmethod]
    fn coreset(columns: usize, wanted: (usize, f64, String, u64)) -> PyResult<Self> {
        let (size, p, how, seed) = wanted;
        let options = StreamOptions { method: method(&how)?, p, seed, size };
        KeyedCoreset::new(columns, &options).map(|c| Self(Kept::Coreset(c))).or_raise()
    }

    /// Of the second pass of a coreset, after these sums: it keeps the rows of the coreset only.
    fn then_coreset(&self, wanted: (usize, f64, String, u64)) -> PyResult<Self> {
        let (size, p, how, seed) = wanted;
        let options = StreamOptions { method: method(&how)?, p, seed, size };
        match &self.0 {
            Kept::Folds(sums) => KeyedCoreset::after(sums, &options).map(|c| Self(Kept::Coreset(c))).or_raise(),
            _ => Err(PyValueError::new_err("a coreset follows after sums")),
        }
    }

    /// Sums of products, for each fold of the rows, less an origin.
    #[staticmethod]
    fn folds(origin: PyReadonlyArray1<'_, f64>, folds: usize, seed: u64) -> PyResult<Self> {
        FoldedMoments::about(origin.as_slice()?, folds, seed).map(|f| Self(Kept::Folds(f))).or_raise()
    }

    /// The answer to a question of a regression.
    #[staticmethod]
    fn of_question(question: &[u8]) -> PyResult<Self> {
        let question = Question::from_bytes(question).map_err(|e| linalg(&e))?;
        QuantilePass::new(&question).map(|p| Self(Kept::Pass(p))).or_raise()
    }

    /// Adds rows with their keys; a signal or an error leaves it as it was.
    fn update(
        &mut self,
        call: Call<'_>,
        py: Python<'_>,
        keys: PyReadonlyArray1<'_, u64>,
        x: PyReadonlyArray2<'_, f64>,
    ) -> PyResult<()> {
        let (keys, rows) = (keys.as_slice()?, view(&x)?);
        let own = &mut self.0;
        // Each of them adds all or nothing; a signal is seen between batches.
        run(py, &call, |_| match own {
            Kept::Coreset(c) => c.update(KeyedRows { keys, rows }),
            Kept::Folds(f) => f.update((keys, rows, None)),
            Kept::Pass(p) => p.update(KeyedRows { keys, rows }),
        })?
        .map_err(|e| linalg(&e))
    }

    fn merge(&mut self, call: Call<'_>, py: Python<'_>, other: PyRef<'_, Self>) -> PyResult<()> {
        let (own, other) = (&mut self.0, other.0.clone());
        run(py, &call, |_| match (own, other) {
            (Kept::Coreset(own), Kept::Coreset(other)) => own.merge(other),
            (Kept::Folds(own), Kept::Folds(other)) => own.merge(other),
            (Kept::Pass(own), Kept::Pass(other)) => own.merge(other),
            _ => Err(LinalgError::Bytes { kind: "summary", reason: "summaries of different kinds cannot be merged" }),
        })?
        .map_err(|e| linalg(&e))
    }

    /// Gives up the rows that are ruled out already, so that bytes are few.
    fn compact(&mut self) -> PyResult<()> {
        if let Kept::Coreset(c) = &mut self.0 {
            c.compact().map_err(|e| linalg(&e))?;
        }
        Ok(())
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let bytes = match &self.0 {
            Kept::Coreset(c) => c.to_bytes(),
            Kept::Folds(f) => f.to_bytes(),
            Kept::Pass(p) => p.to_bytes(),
        };
        PyBytes::new(py, &bytes)
    }

    #[staticmethod]
    fn from_bytes(bytes: &[u8]) -> PyResult<Self> {
        let is = |kind: Kind| envelope::kind_of(bytes) == Some(kind as u16);
        let read = if is(Kind::KeyedCoreset) {
            KeyedCoreset::from_bytes(bytes).map(Kept::Coreset)
        } else if is(Kind::FoldedMoments) {
            FoldedMoments::from_bytes(bytes).map(Kept::Folds)
        } else if is(Kind::QuantilePass) {
            QuantilePass::from_bytes(bytes).map(Kept::Pass)
        } else {
            return Err(PyValueError::new_err("these bytes are no summary of samplewise, or one of a newer version"));
        };
        read.map(Self).map_err(|e| linalg(&e))
    }

    /// Rows seen, the checksum of their keys, and rows held.
    fn seen(&self) -> (u64, u64, usize) {
        match &self.0 {
            Kept::Coreset(c) => (c.seen(), c.checksum(), c.held()),
            Kept::Folds(f) => (f.rows(), f.checksum(), 0),
            Kept::Pass(p) => (p.rows(), p.checksum(), p.held()),
        }
    }

    #[getter]
    fn kind(&self) -> &'static str {
        match &self.0 {
            Kept::Coreset(_) => "coreset",
            Kept::Folds(_) => "moments",
            Kept::Pass(_) => "pass",
        }
    }

    /// Rows of the coreset, their keys and weights, and what is known of it.
    fn finish_coreset<'py>(
        &self,
        call: Call<'_>,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyArray2<f64>>, Bound<'py, PyArray1<u64>>, Bound<'py, PyArray1<f64>>, Bound<'py, PyDict>)>
    {
        let Kept::Coreset(state) = self.0.clone() else {
            return Err(PyValueError::new_err("the summary is no coreset"));
        };
        let found = run(py, &call, |_| state.finish())?.map_err(|e| linalg(&e))?;
        let d = PyDict::new(py);
        d.set_item("rank", found.rank)?;
        d.set_item("rank_lost", found.rank_lost)?;
        d.set_item("condition", found.condition)?;
        d.set_item("total", found.total)?;
        Ok((array(py, found.data)?, found.rows.into_pyarray(py), found.weights.into_pyarray(py), d))
    }

    /// Means of the columns, and their variances, of all folds together.
    fn means<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyArray1<f64>>, Bound<'py, PyArray1<f64>>)> {
        let totals = self.all()?.finish().map_err(|e| linalg(&e))?;
        let (centred, weight) = (totals.centred(), totals.weight.max(f64::MIN_POSITIVE));
        let variances: Vec<f64> = (0..centred.rows()).map(|j| centred[(j, j)].max(0.0) / weight).collect();
        Ok((totals.means().into_pyarray(py), variances.into_pyarray(py)))
    }

    /// Fits along a path from the sums; the target is one of the columns.
    fn lasso_path<'py>(
        &self,
        call: Call<'_>,
        py: Python<'py>,
        target: usize,
        alphas: Alphas<'_>,
        settings: Settings<'_>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let (totals, options, grid) =
            (self.all()?.finish().map_err(|e| linalg(&e))?, settings.options()?, alphas.grid()?);
        let fits = run(py, &call, |o| path_of_moments_observed(&totals, target, &grid, &options, o))?.or_raise()?;
        path_of(py, &fits)
    }

    /// The path, and the errors of the folds.
    fn lasso_cv<'py>(
        &self,
        call: Call<'_>,
        py: Python<'py>,
        target: usize,
        alphas: Alphas<'_>,
        settings: Settings<'_>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let (folds, options, grid) = (self.each()?, settings.options()?, alphas.grid()?);
        let found =
            run(py, &call, |o| cross_validate_moments_observed(&folds, target, &grid, &options, o))?.or_raise()?;
        cross_validated(py, found)
    }
}

impl Summary {
    fn each(&self) -> PyResult<Vec<Moments>> {
        match self.0.clone() {
            Kept::Folds(folds) => folds.finish().map_err(|e| linalg(&e)),
            _ => Err(PyValueError::new_err("the summary has no sums of products")),
        }
    }

    fn all(&self) -> PyResult<Moments> {
        match &self.0 {
            Kept::Folds(folds) => folds.all().map_err(|e| linalg(&e)),
            _ => Err(PyValueError::new_err("the summary has no sums of products")),
        }
    }
}

/// Asks for passes over a table.
#[pyclass(module = "samplewise._core")]
pub struct QuantilePasses(QuantileDriver);

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct PassSettings {
    fit_intercept: bool,
    tol: f64,
    sample_rows: usize,
    most_rows: usize,
    max_passes: usize,
    random_state: u64,
}

#[pymethods]
impl QuantilePasses {
    #[new]
    fn new(features: usize, quantile: f64, settings: PassSettings) -> PyResult<Self> {
        let options = PassOptions {
            intercept: settings.fit_intercept,
            tolerance: settings.tol,
            sample_rows: settings.sample_rows,
            most_rows: settings.most_rows,
            max_passes: settings.max_passes,
            seed: settings.random_state,
        };
        QuantileDriver::new(features, Loss::Quantile(quantile), &options).map(Self).or_raise()
    }

    /// The next question and its kind; none when there is nothing left to ask.
    fn ask<'py>(&self, py: Python<'py>) -> Option<(Bound<'py, PyBytes>, &'static str)> {
        self.0.ask().map(|q| (PyBytes::new(py, &q.to_bytes()), q.stage()))
    }

    /// Takes the merged answer of all rows.
    fn tell(&mut self, call: Call<'_>, py: Python<'_>, answer: PyRef<'_, Summary>) -> PyResult<()> {
        let Kept::Pass(pass) = answer.0.clone() else {
            return Err(PyValueError::new_err("the summary answers no question"));
        };
        let mut next = self.0.clone();
        run(py, &call, |o| next.tell_observed(pass, o))?.or_raise()?;
        self.0 = next;
        Ok(())
    }

    /// Stage, loss, open rows, rows sent and rows on the wrong side of each pass.
    #[allow(clippy::type_complexity)]
    fn passes(&self) -> Vec<(&'static str, Option<f64>, u64, usize, u64)> {
        self.0.passes().iter().map(|p| (p.stage.name(), p.objective, p.open, p.sent, p.wrong)).collect()
    }

    fn finish<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let found = self.0.clone().finish().or_raise()?;
        let (fit, d) = (&found.fit, PyDict::new(py));
        d.set_item("coef", fit.coefficients.clone().into_pyarray(py))?;
        d.set_item("intercept", fit.intercept)?;
        d.set_item("objective", fit.objective)?;
        d.set_item("lower_bound", fit.lower_bound)?;
        d.set_item("no_bound", fit.no_bound.map(|why| why.to_string()))?;
        d.set_item("status", word(fit.status))?;
        d.set_item("ending", fit.report.ending.name())?;
        d.set_item("rank", fit.report.rank)?;
        d.set_item("n_rows", found.rows)?;
        d.set_item("checksum", found.checksum)?;
        d.set_item("ranges", found.ranges)?;
        Ok(d)
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.to_bytes())
    }

    #[staticmethod]
    fn from_bytes(bytes: &[u8]) -> PyResult<Self> {
        QuantileDriver::from_bytes(bytes).map(Self).map_err(|e| linalg(&e))
    }
}

/// Keys of texts: `data` from one of the `offsets` to the next.
#[pyfunction]
pub fn keys_of_texts<'py>(
    py: Python<'py>,
    offsets: PyReadonlyArray1<'_, i64>,
    data: PyReadonlyArray1<'_, u8>,
) -> PyResult<Bound<'py, PyArray1<u64>>> {
    let (offsets, data) = (offsets.as_slice()?, data.as_slice()?);
    let key = |w: &[i64]| {
        let text = usize::try_from(w[0]).ok().zip(usize::try_from(w[1]).ok()).and_then(|(a, b)| data.get(a..b));
        let text = text.and_then(|t| std::str::from_utf8(t).ok());
        text.map(keys::of_text).ok_or_else(|| PyValueError::new_err("a text of a key is no UTF-8"))
    };
    Ok(offsets.windows(2).map(key).collect::<PyResult<Vec<u64>>>()?.into_pyarray(py))
}

/// Keys of numbers; NaN is none.
#[pyfunction]
pub fn keys_of_numbers<'py>(py: Python<'py>, values: PyReadonlyArray1<'_, f64>) -> PyResult<Bound<'py, PyArray1<u64>>> {
    let key = |v: &f64| keys::of_f64(*v).ok_or_else(|| PyValueError::new_err("a key is NaN"));
    Ok(values.as_slice()?.iter().map(key).collect::<PyResult<Vec<u64>>>()?.into_pyarray(py))
}

/// One key of several for each row; the columns of `parts` are the keys.
#[pyfunction]
pub fn keys_of_parts<'py>(py: Python<'py>, parts: PyReadonlyArray2<'_, u64>) -> Bound<'py, PyArray1<u64>> {
    let rows = parts.as_array();
    rows.rows().into_iter().map(|row| keys::of_parts(&row.to_vec())).collect::<Vec<u64>>().into_pyarray(py)
}
