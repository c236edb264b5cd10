//! Which tasks to sample for a target with few labels.
use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1, PyReadonlyArray2};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use samplewise_linalg::Summary;
use samplewise_mtrl::{self as mtrl, Budget, CostModel, Options, Strategy};

use crate::errors::{OrRaise, linalg};
use crate::run::{Call, run, run_changing};
use crate::table::{array, view, whole};

/// What is known of the samples of one task.
#[pyclass(module = "samplewise._core")]
pub struct TaskData(mtrl::TaskData);

#[pymethods]
impl TaskData {
    #[new]
    fn new(x: PyReadonlyArray2<'_, f64>, y: PyReadonlyArray1<'_, f64>) -> PyResult<Self> {
        mtrl::TaskData::new(view(&x)?, y.as_slice()?).map(Self).map_err(|e| linalg(&e))
    }

    fn update(&mut self, x: PyReadonlyArray2<'_, f64>, y: PyReadonlyArray1<'_, f64>) -> PyResult<()> {
        self.0.update((view(&x)?, y.as_slice()?)).map_err(|e| linalg(&e))
    }

    fn merge(&mut self, other: PyRef<'_, Self>) -> PyResult<()> {
        self.0.merge(other.0.clone()).map_err(|e| linalg(&e))
    }

    #[getter]
    fn n_samples(&self) -> usize {
        self.0.samples()
    }

    #[getter]
    fn n_features(&self) -> usize {
        self.0.features()
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.to_bytes())
    }

    #[staticmethod]
    fn from_bytes(bytes: &[u8]) -> PyResult<Self> {
        mtrl::TaskData::from_bytes(bytes).map(Self).map_err(|e| linalg(&e))
    }
}

#[derive(FromPyObject)]
pub enum Cost {
    #[pyo3(transparent)]
    Unit(f64),
    Fee(f64, f64),
    #[pyo3(transparent)]
    Tiers(Vec<(usize, f64)>),
}

impl Cost {
    fn model(self) -> CostModel {
        match self {
            Self::Unit(unit) => CostModel::Linear(unit),
            Self::Fee(fee, unit) => CostModel::FeePlusLinear { fee, unit },
            Self::Tiers(tiers) => CostModel::Tiered(tiers),
        }
    }
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Settings {
    dimension: Option<usize>,
    strategy: String,
    top_k: usize,
    rounds: usize,
    exploration: f64,
    floor: usize,
    ridge: f64,
    source_ridge: f64,
    seed: u64,
}

impl Settings {
    fn options(&self) -> PyResult<Options> {
        let strategy = match self.strategy.as_str() {
            "guarded" => Strategy::Guarded,
            "l1" => Strategy::L1,
            "l2" => Strategy::L2,
            "least_l1" => Strategy::LeastL1,
            "uniform" => Strategy::Uniform,
            "top_k" => Strategy::TopK(self.top_k),
            other => {
                let allowed = "\"guarded\", \"l1\", \"l2\", \"least_l1\", \"uniform\" or (\"top_k\", k)";
                return Err(PyValueError::new_err(format!("strategy is {other:?}, allowed is {allowed}")));
            }
        };
        Ok(Options {
            dimension: self.dimension,
            strategy,
            rounds: self.rounds,
            exploration: self.exploration,
            floor: self.floor,
            ridge: self.ridge,
            source_ridge: self.source_ridge,
            lambda: None,
            seed: self.seed,
        })
    }
}

#[pyclass(module = "samplewise._core")]
pub struct Planner(mtrl::Planner);

#[pymethods]
impl Planner {
    #[new]
    fn new(
        n_tasks: usize,
        targets: Vec<(PyReadonlyArray2<'_, f64>, PyReadonlyArray1<'_, f64>)>,
        budget: (String, f64, usize),
        costs: Option<Vec<Cost>>,
        settings: Settings,
    ) -> PyResult<Self> {
        let budget = match budget.0.as_str() {
            "samples" => Budget::Samples(budget.2),
            "cost" => Budget::Cost(budget.1),
            _ => Budget::Risk { target: budget.1, most: budget.2 },
        };
        let data = |(x, y): &(PyReadonlyArray2<'_, f64>, PyReadonlyArray1<'_, f64>)| {
            mtrl::TaskData::new(view(x)?, y.as_slice()?).map_err(|e| linalg(&e))
        };
        let targets = targets.iter().map(data).collect::<PyResult<Vec<_>>>()?;
        let planner = mtrl::Planner::new(n_tasks, targets, budget, &settings.options()?).or_raise()?;
        match costs {
            Some(costs) => planner.with_costs(costs.into_iter().map(Cost::model).collect()).map(Self).or_raise(),
            None => Ok(Self(planner)),
        }
    }

    fn ask(&mut self, call: Call<'_>, py: Python<'_>) -> PyResult<Vec<(usize, usize)>> {
        // A stopped call leaves the planner where the next one goes on; a copy of all its data would take longer than most rounds.
        run_changing(py, &call, |observer| self.0.ask_observed(observer))?.or_raise()
    }

    fn tell(&mut self, task: usize, x: PyReadonlyArray2<'_, f64>, y: PyReadonlyArray1<'_, f64>) -> PyResult<()> {
        self.0.tell(task, view(&x)?, y.as_slice()?).or_raise()
    }

    fn tell_summary(&mut self, task: usize, data: PyRef<'_, TaskData>) -> PyResult<()> {
        self.0.tell_summary(task, data.0.clone()).or_raise()
    }

    fn limit(&mut self, task: usize, available: usize) -> PyResult<()> {
        self.0.limit(task, available).or_raise()
    }

    fn samples<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<i64>> {
        whole(py, &self.0.samples())
    }

    #[getter]
    fn cost(&self) -> f64 {
        self.0.cost()
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(PyBytes::new(py, &self.0.to_bytes().or_raise()?))
    }

    #[staticmethod]
    fn from_bytes(bytes: &[u8]) -> PyResult<Self> {
        mtrl::Planner::from_bytes(bytes).map(Self).or_raise()
    }

    /// The answer so far; the planner stays as it is.
    fn result<'py>(&self, call: Call<'_>, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let planner = self.0.clone();
        let found = run(py, &call, |observer| planner.finish_observed(observer))?.or_raise()?;
        let d = PyDict::new(py);
        let (last, r) = (found.last().clone(), &found.report);
        d.set_item("relevance", found.relevance().to_vec().into_pyarray(py))?;
        d.set_item("predicted_risk", last.predicted_risk)?;
        d.set_item("efficiency", last.efficiency)?;
        d.set_item("noise", last.noise)?;
        d.set_item("cost", found.cost)?;
        d.set_item("followed", r.rounds.iter().map(|r| r.followed.name()).collect::<Vec<_>>())?;
        d.set_item("samples", whole(py, &found.samples))?;
        d.set_item("ending", r.ending.name())?;
        d.set_item("n_iter", r.iterations)?;
        d.set_item("seconds", r.seconds.0)?;
        d.set_item("converged", found.converged())?;
        d.set_item("basis", array(py, found.representation.basis.clone())?)?;
        d.set_item("weights", array(py, found.representation.weights.clone())?)?;
        let targets: Vec<Bound<'_, PyArray1<f64>>> = found.targets.into_iter().map(|t| t.into_pyarray(py)).collect();
        d.set_item("targets", targets)?;
        Ok(d)
    }
}
