//! Sparse Walsh–Hadamard transforms.
use numpy::{IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use samplewise_wht::any::{AnyPlan, AnyRecovery, AnySpectrum, Queries};
use samplewise_wht::{Decoder, Errors, Noise, Options, PlanSpec, Sparsity, Status, Support, dense};

use crate::errors::OrRaise;
use crate::run::{Call, run};

/// A number, or nothing for exact values; a negative number stands for noise of unknown size.
pub fn noise_of(std: Option<f64>) -> Noise {
    match std {
        None => Noise::None,
        Some(std) if std < 0.0 => Noise::Unknown,
        Some(std) => Noise::Std(std),
    }
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Settings {
    noise: Option<f64>,
    max_degree: Option<usize>,
    hereditary: bool,
    support: Option<Vec<Vec<usize>>>,
    decoder: String,
    n_samples: Option<usize>,
    n_verification: usize,
    delta: f64,
    sandwich: bool,
    seed: u64,
}

const DECODERS: [(&str, Decoder); 9] = [
    ("auto", Decoder::Auto),
    ("dense", Decoder::Dense),
    ("sign_bits", Decoder::SignBits),
    ("spright", Decoder::Spright),
    ("joint_list", Decoder::JointList),
    ("exhaustive_lists", Decoder::ExhaustiveLists),
    ("bch_lists", Decoder::BchLists),
    ("heredity", Decoder::Heredity),
    ("surrogate", Decoder::Surrogate),
];

impl Settings {
    fn options(self) -> PyResult<Options> {
        let support = match (self.support, self.max_degree, self.hereditary) {
            (Some(sets), ..) => Support::Within(sets),
            (None, Some(max_degree), true) => Support::Hereditary { max_degree },
            (None, Some(most), false) => Support::MaxDegree(most),
            (None, None, false) => Support::Any,
            (None, None, true) => {
                return Err(PyValueError::new_err("hereditary is True, allowed is that with a max_degree"));
            }
        };
        let decoder = DECODERS.iter().find(|d| d.0 == self.decoder).map(|d| d.1).ok_or_else(|| {
            let all: Vec<&str> = DECODERS.iter().map(|d| d.0).collect();
            PyValueError::new_err(format!("decoder is {:?}, allowed is {}", self.decoder, all.join(", ")))
        })?;
        Ok(Options {
            seed: self.seed,
            noise: noise_of(self.noise),
            support,
            decoder,
            samples: self.n_samples,
            verification: self.n_verification,
            delta: self.delta,
            errors: if self.sandwich { Errors::Sandwich } else { Errors::Model },
        })
    }
}

fn rows<'py>(
    py: Python<'py>,
    queries: &Queries<'_>,
    (start, stop): (usize, usize),
) -> PyResult<Bound<'py, PyArray2<u8>>> {
    let stop = stop.min(queries.len());
    let start = start.min(stop);
    let n = queries.variables();
    let mut out = vec![0; (stop - start) * n];
    queries.write_rows(start..stop, &mut out).or_raise()?;
    out.into_pyarray(py).reshape([stop - start, n])
}

/// Queries that are known before anything is asked.
#[pyclass(frozen, module = "samplewise._core")]
pub struct Plan(AnyPlan);

#[pymethods]
impl Plan {
    #[new]
    fn new(call: Call<'_>, py: Python<'_>, variables: usize, sparsity: usize, settings: Settings) -> PyResult<Self> {
        let options = settings.options()?;
        let made = run(py, &call, |observer| {
            let plan = AnyPlan::new(variables, sparsity, &options)?;
            plan.queries_observed(observer)?;
            Ok::<_, samplewise_wht::Error>(plan)
        })?;
        made.map(Self).or_raise()
    }

    fn to_json(&self) -> String {
        serde_json::to_string(self.0.spec()).expect("numbers and words")
    }

    #[staticmethod]
    fn from_json(text: &str) -> PyResult<Self> {
        let spec: PlanSpec =
            serde_json::from_str(text).map_err(|e| PyValueError::new_err(format!("text is no plan: {e}")))?;
        AnyPlan::from_spec(spec).map(Self).or_raise()
    }

    fn __len__(&self) -> usize {
        self.0.queries().len()
    }

    #[getter]
    fn n_variables(&self) -> usize {
        self.0.spec().variables
    }

    #[getter]
    fn n_verification(&self) -> usize {
        self.0.verification()
    }

    #[getter]
    fn decoder(&self) -> &'static str {
        let own = self.0.spec().decoder;
        DECODERS.iter().find(|d| d.1 == own).map_or("auto", |d| d.0)
    }

    fn ask<'py>(&self, py: Python<'py>, start: usize, stop: usize) -> PyResult<Bound<'py, PyArray2<u8>>> {
        rows(py, &self.0.queries(), (start, stop))
    }

    fn tell(&self, call: Call<'_>, py: Python<'_>, answers: PyReadonlyArray1<'_, f64>) -> PyResult<Spectrum> {
        let answers = answers.as_slice()?;
        run(py, &call, |observer| self.0.decode_observed(answers, observer))?.map(Spectrum).or_raise()
    }
}

/// Queries that follow from the answers so far.
#[pyclass(module = "samplewise._core")]
pub struct Recovery(AnyRecovery);

#[pymethods]
impl Recovery {
    #[new]
    fn new(variables: usize, max_sparsity: usize, settings: Settings) -> PyResult<Self> {
        let sparsity = Sparsity::Unknown { max: max_sparsity };
        AnyRecovery::new(variables, sparsity, &settings.options()?).map(Self).or_raise()
    }

    fn ask<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<u8>>> {
        rows(py, &self.0.ask(), (0, usize::MAX))
    }

    fn tell(&mut self, call: Call<'_>, py: Python<'_>, answers: PyReadonlyArray1<'_, f64>) -> PyResult<()> {
        let answers = answers.as_slice()?;
        // A signal that stops it leaves it as it was.
        let mut next = self.0.clone();
        run(py, &call, |observer| next.tell_observed(answers, observer))?.or_raise()?;
        self.0 = next;
        Ok(())
    }

    #[getter]
    fn n_samples(&self) -> usize {
        self.0.samples()
    }

    fn spectrum(&self) -> Option<Spectrum> {
        self.0.spectrum().map(Spectrum)
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.to_bytes())
    }

    #[staticmethod]
    fn from_bytes(bytes: &[u8]) -> PyResult<Self> {
        AnyRecovery::from_bytes(bytes).map(Self).or_raise()
    }
}

/// The coefficients that were found, and the evidence.
#[pyclass(frozen, module = "samplewise._core")]
pub struct Spectrum(AnySpectrum);

#[pymethods]
impl Spectrum {
    #[getter]
    fn n_variables(&self) -> usize {
        self.0.variables()
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }

    fn sets(&self) -> Vec<Vec<usize>> {
        self.0.sets()
    }

    fn values<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f64>> {
        self.0.values().into_pyarray(py)
    }

    fn std_errors<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyArray1<f64>>> {
        self.0.std_errors().map(|e| e.into_pyarray(py))
    }

    fn shapley<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f64>> {
        self.0.shapley().into_pyarray(py)
    }

    fn banzhaf<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f64>> {
        self.0.banzhaf().into_pyarray(py)
    }

    fn sobol<'py>(&self, py: Python<'py>) -> (Bound<'py, PyArray1<f64>>, Bound<'py, PyArray1<f64>>) {
        let (first, total) = self.0.sobol();
        (first.into_pyarray(py), total.into_pyarray(py))
    }

    fn energy_by_degree<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f64>> {
        self.0.energy_by_degree().into_pyarray(py)
    }

    fn moebius(&self) -> PyResult<Vec<(Vec<usize>, f64)>> {
        self.0.to_moebius().or_raise()
    }

    fn predict<'py>(
        &self,
        call: Call<'_>,
        py: Python<'py>,
        points: PyReadonlyArray2<'_, u8>,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let points = points.as_slice()?;
        Ok(run(py, &call, |_| self.0.predict(points))?.or_raise()?.into_pyarray(py))
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.to_bytes())
    }

    #[staticmethod]
    fn from_bytes(bytes: &[u8]) -> PyResult<Self> {
        AnySpectrum::from_bytes(bytes).map(Self).or_raise()
    }

    fn report<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let d = PyDict::new(py);
        let (r, status) = (self.0.report(), self.0.status());
        let (word, r2_at_least, delta) = match status {
            Status::Exact { delta } => ("exact", None, Some(delta)),
            Status::Verified { r2_at_least, delta, .. } => ("verified", Some(r2_at_least), Some(delta)),
            Status::Constant { delta, .. } => ("constant", None, Some(delta)),
            Status::Stalled { .. } => ("stalled", None, None),
            Status::BudgetSpent => ("budget_spent", None, None),
            Status::Unverified => ("unverified", None, None),
        };
        d.set_item("status", word)?;
        d.set_item("ending", r.ending.name())?;
        d.set_item("r2_at_least", r2_at_least)?;
        d.set_item("delta", delta)?;
        d.set_item("decoder", DECODERS.iter().find(|d| d.1 == r.route).map_or("auto", |d| d.0))?;
        d.set_item("n_samples", r.samples)?;
        d.set_item("n_verification", r.verification)?;
        d.set_item("r2", r.r2)?;
        d.set_item("residual_std", r.residual_std)?;
        d.set_item("noise_std", r.noise_std)?;
        d.set_item("detection_limit", r.detection_limit)?;
        d.set_item("differs_at_most", r.differs_at_most)?;
        d.set_item("stages", r.stages.clone())?;
        d.set_item("seconds", r.seconds.0)?;
        Ok(d)
    }
}

/// The dense transform of 2^n values, divided by their number.
#[pyfunction]
pub fn fwht<'py>(
    call: Call<'_>,
    py: Python<'py>,
    values: PyReadonlyArray1<'_, f64>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let values = values.as_slice()?;
    Ok(run(py, &call, |_| dense::spectrum(values))?.or_raise()?.into_pyarray(py))
}
