//! Functions that are not sparse: Gaussian processes of the Walsh–Hadamard spectrum.
use std::sync::OnceLock;

use numpy::{
    IntoPyArray, PyArray1, PyArray2, PyArrayMethods, PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use samplewise_wht::surrogate::{
    self as surrogate, AskOptions, Estimate, Kind, Letters, Options, PairIndex, Surrogate, Target, fit_letters_observed,
};
use samplewise_wht::{Bits, Error, Wide};

use crate::errors::OrRaise;
use crate::run::{Call, run};
use crate::table::{array, whole};
use crate::wht::noise_of;

/// Means, deviations, lower and upper ends.
type Estimates<'py> = [Bound<'py, PyArray1<f64>>; 4];

fn estimates<'py>(py: Python<'py>, all: &[Estimate]) -> Estimates<'py> {
    let part = |f: fn(&Estimate) -> f64| all.iter().map(f).collect::<Vec<_>>().into_pyarray(py);
    [part(|e| e.mean), part(|e| e.deviation), part(|e| e.low), part(|e| e.high)]
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct Settings {
    noise: Option<f64>,
    level: f64,
    spreads: Vec<f64>,
    tails: Vec<f64>,
    pursuit: bool,
    folds: usize,
    max_points: usize,
    groups: Option<Vec<usize>>,
    seed: u64,
}

impl Settings {
    fn options(self) -> Options {
        Options {
            seed: self.seed,
            noise: noise_of(self.noise),
            level: self.level,
            spreads: self.spreads,
            tails: self.tails,
            pursuit: self.pursuit,
            folds: self.folds,
            max_points: self.max_points,
            groups: self.groups,
            ..Options::default()
        }
    }
}

fn letters(levels: &[usize], rows: &PyReadonlyArray2<'_, u8>) -> PyResult<Letters> {
    let columns = rows.shape()[1];
    if columns != levels.len() {
        return Err(PyValueError::new_err(format!("X has {columns} columns, expected is {}", levels.len())));
    }
    Letters::new(levels.to_vec(), rows.as_slice()?.to_vec()).or_raise()
}

/// The same surrogate for functions of two levels, which have more functionals.
enum OfBits {
    Narrow(surrogate::Posterior<u64>),
    Wide(surrogate::Posterior<Wide<16>>),
}

/// The same code for both widths.
macro_rules! each {
    ($value:expr, $kind:ident, $p:ident => $body:expr) => {
        match $value {
            $kind::Narrow($p) => $body,
            $kind::Wide($p) => $body,
        }
    };
}

fn index<I: Bits>(set: &[usize]) -> I {
    I::from_positions(set.iter().copied())
}

/// What was learned.
#[pyclass(frozen, module = "samplewise._core")]
pub struct LetterPosterior {
    of_letters: surrogate::LetterPosterior,
    of_bits: OnceLock<OfBits>,
}

impl LetterPosterior {
    fn new(of_letters: surrogate::LetterPosterior) -> Self {
        Self { of_letters, of_bits: OnceLock::new() }
    }

    fn bits(&self, call: &Call<'_>, py: Python<'_>) -> PyResult<&OfBits> {
        let n = self.of_letters.levels().len();
        if self.of_letters.levels().iter().any(|&a| a != 2) {
            return Err(PyValueError::new_err("X has a column of more or fewer than two levels, allowed here are two"));
        }
        if self.of_bits.get().is_none() {
            let bytes = self.of_letters.to_bytes();
            let made = run(py, call, |_| {
                Ok::<_, Error>(if n <= 64 {
                    OfBits::Narrow(surrogate::Posterior::from_bytes(&bytes)?)
                } else {
                    OfBits::Wide(surrogate::Posterior::from_bytes(&bytes)?)
                })
            })?;
            let _ = self.of_bits.set(made.or_raise()?);
        }
        Ok(self.of_bits.get().expect("set above"))
    }

    fn check_sets(&self, sets: &[Vec<usize>]) -> PyResult<()> {
        let n = self.of_letters.levels().len();
        match sets.iter().flatten().find(|&&i| i >= n) {
            Some(i) => Err(PyValueError::new_err(format!("sets holds the variable {i}, allowed is below {n}"))),
            None => Ok(()),
        }
    }
}

#[pymethods]
impl LetterPosterior {
    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.of_letters.to_bytes())
    }

    #[staticmethod]
    fn from_bytes(call: Call<'_>, py: Python<'_>, bytes: &[u8]) -> PyResult<Self> {
        let read = run(py, &call, |_| surrogate::LetterPosterior::from_bytes(bytes))?;
        read.map(Self::new).or_raise()
    }

    #[getter]
    fn levels(&self) -> Vec<usize> {
        self.of_letters.levels().to_vec()
    }

    #[getter]
    fn level(&self) -> f64 {
        self.of_letters.level()
    }

    fn report<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (d, r) = (PyDict::new(py), &self.of_letters.report);
        let expert = |kind: Kind| match kind {
            Kind::Process { spread } => format!("process of spread {spread}"),
            Kind::HeavyTails { freedom } => format!("heavy tails of {freedom} degrees of freedom"),
            Kind::Pursuit => "pursuit".to_owned(),
            Kind::Constant => "constant".to_owned(),
        };
        d.set_item("status", self.of_letters.status.name())?;
        d.set_item("ending", r.ending.name())?;
        d.set_item("held_out_r2", r.held_out_r2)?;
        d.set_item("n_held_out", r.held_out)?;
        d.set_item("noise_std", r.noise_std)?;
        d.set_item("constant_share", r.constant_share)?;
        d.set_item("interval_scale", r.interval_scale)?;
        d.set_item("n_merged", r.merged)?;
        d.set_item("constant_variables", r.constant_variables.clone())?;
        d.set_item("n_iter", r.iterations)?;
        d.set_item("largest_gradient", r.largest_gradient)?;
        d.set_item("seconds", r.seconds.0)?;
        let experts: Vec<_> = r.experts.iter().map(|e| (expert(e.kind), e.share, e.held_out_r2)).collect();
        d.set_item("experts", experts)?;
        Ok(d)
    }

    fn predict<'py>(&self, call: Call<'_>, py: Python<'py>, x: PyReadonlyArray2<'_, u8>) -> PyResult<Estimates<'py>> {
        let rows = letters(self.of_letters.levels(), &x)?;
        Ok(estimates(py, &run(py, &call, |_| self.of_letters.predict(&rows))?.or_raise()?))
    }

    fn means<'py>(
        &self,
        call: Call<'_>,
        py: Python<'py>,
        x: PyReadonlyArray2<'_, u8>,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        let rows = letters(self.of_letters.levels(), &x)?;
        Ok(run(py, &call, |_| self.of_letters.means(&rows))?.or_raise()?.into_pyarray(py))
    }

    fn effects<'py>(&self, call: Call<'_>, py: Python<'py>, position: usize) -> PyResult<Estimates<'py>> {
        Ok(estimates(py, &run(py, &call, |_| self.of_letters.effects(position))?.or_raise()?))
    }

    /// Positions, letters, shares of the variance and estimates of the largest interactions.
    fn largest_interactions<'py>(
        &self,
        call: Call<'_>,
        py: Python<'py>,
        count: usize,
    ) -> PyResult<(Vec<Vec<usize>>, Vec<Vec<usize>>, Bound<'py, PyArray1<f64>>, Estimates<'py>)> {
        let all = run(py, &call, |_| self.of_letters.largest_interactions(count))?;
        let places = all.iter().map(|i| i.positions.clone()).collect();
        let which = all.iter().map(|i| i.letters.iter().map(|&a| usize::from(a)).collect()).collect();
        let shares = all.iter().map(|i| i.share).collect::<Vec<_>>().into_pyarray(py);
        let said: Vec<Estimate> = all.iter().map(|i| i.estimate).collect();
        Ok((places, which, shares, estimates(py, &said)))
    }

    /// First and total indices, and the variance.
    fn sobol<'py>(
        &self,
        call: Call<'_>,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyArray1<f64>>, Bound<'py, PyArray1<f64>>, f64)> {
        let s = run(py, &call, |_| self.of_letters.sobol())?;
        Ok((s.first.into_pyarray(py), s.total.into_pyarray(py), s.variance))
    }

    /// Of the mean, its share, and expected; by number of variables.
    fn energy_by_degree<'py>(
        &self,
        call: Call<'_>,
        py: Python<'py>,
        most: usize,
    ) -> PyResult<[Bound<'py, PyArray1<f64>>; 3]> {
        let all = run(py, &call, |_| self.of_letters.energy_by_degree(most))?;
        let part = |f: fn(&surrogate::Energy) -> f64| all.iter().map(f).collect::<Vec<_>>().into_pyarray(py);
        Ok([part(|e| e.of_mean), part(|e| e.share), part(|e| e.expected)])
    }

    fn shapley<'py>(&self, call: Call<'_>, py: Python<'py>) -> PyResult<Estimates<'py>> {
        let of_bits = self.bits(&call, py)?;
        Ok(estimates(py, &run(py, &call, |_| each!(of_bits, OfBits, p => p.shapley()))?))
    }

    fn shapley_covariance<'py>(&self, call: Call<'_>, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<f64>>> {
        let of_bits = self.bits(&call, py)?;
        array(py, run(py, &call, |_| each!(of_bits, OfBits, p => p.shapley_covariance()))?)
    }

    fn banzhaf<'py>(&self, call: Call<'_>, py: Python<'py>) -> PyResult<Estimates<'py>> {
        let of_bits = self.bits(&call, py)?;
        Ok(estimates(py, &run(py, &call, |_| each!(of_bits, OfBits, p => p.banzhaf()))?))
    }

    fn coefficients<'py>(&self, call: Call<'_>, py: Python<'py>, sets: Vec<Vec<usize>>) -> PyResult<Estimates<'py>> {
        self.check_sets(&sets)?;
        let of_bits = self.bits(&call, py)?;
        let found = run(
            py,
            &call,
            |_| each!(of_bits, OfBits, p => p.coefficients(&sets.iter().map(|s| index(s)).collect::<Vec<_>>())),
        )?;
        Ok(estimates(py, &found.or_raise()?))
    }

    fn moebius<'py>(&self, call: Call<'_>, py: Python<'py>, sets: Vec<Vec<usize>>) -> PyResult<Estimates<'py>> {
        self.check_sets(&sets)?;
        let of_bits = self.bits(&call, py)?;
        let found = run(
            py,
            &call,
            |_| each!(of_bits, OfBits, p => sets.iter().map(|s| p.moebius(index(s))).collect::<Result<Vec<_>, _>>()),
        )?;
        Ok(estimates(py, &found.or_raise()?))
    }

    fn pairs<'py>(
        &self,
        call: Call<'_>,
        py: Python<'py>,
        kind: &str,
    ) -> PyResult<(Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<i64>>, Estimates<'py>)> {
        let kind = match kind {
            "SII" => PairIndex::Shapley,
            "STII" => PairIndex::Taylor,
            "FSII" => PairIndex::Faith,
            "BII" => PairIndex::Banzhaf,
            other => {
                let text = format!("index is {other:?}, allowed is \"SII\", \"STII\", \"FSII\" or \"BII\"");
                return Err(PyValueError::new_err(text));
            }
        };
        let of_bits = self.bits(&call, py)?;
        let all = run(py, &call, |_| each!(of_bits, OfBits, p => p.pairs(kind)))?;
        let said: Vec<Estimate> = all.iter().map(|p| p.2).collect();
        let first = whole(py, &all.iter().map(|p| p.0).collect::<Vec<_>>());
        Ok((first, whole(py, &all.iter().map(|p| p.1).collect::<Vec<_>>()), estimates(py, &said)))
    }

    /// Sets and estimates of the largest coefficients, and what the others are at most.
    fn top<'py>(
        &self,
        call: Call<'_>,
        py: Python<'py>,
        count: usize,
    ) -> PyResult<(Vec<Vec<usize>>, Estimates<'py>, f64)> {
        let of_bits = self.bits(&call, py)?;
        let (sets, said, missed): (Vec<Vec<usize>>, Vec<Estimate>, f64) = run(py, &call, |_| {
            each!(of_bits, OfBits, p => {
                let top = p.top(count);
                let sets = top.coefficients.iter().map(|c| c.0.positions()).collect();
                (sets, top.coefficients.iter().map(|c| c.1).collect(), top.missed_at_most)
            })
        })?;
        Ok((sets, estimates(py, &said), missed))
    }

    /// Variants that were not told: the most informative, the most promising, or those of the largest means.
    fn next<'py>(
        &self,
        call: Call<'_>,
        py: Python<'py>,
        told: (PyReadonlyArray2<'_, u8>, PyReadonlyArray1<'_, f64>),
        wanted: (String, usize, u64),
    ) -> PyResult<Bound<'py, PyArray2<u8>>> {
        let (kind, count, seed) = wanted;
        let rows = letters(self.of_letters.levels(), &told.0)?;
        let (model, values) = (&self.of_letters, told.1.as_slice()?);
        let found = run(py, &call, |observer| match kind.as_str() {
            "values" => model.most_informative(&rows, count, seed),
            "maximum" => model.most_promising_observed(&rows, values, count, seed, observer),
            _ => model.highest_observed(&rows, values, count, seed, observer),
        })?
        .or_raise()?;
        let all: Vec<u8> = (0..found.len()).flat_map(|j| found.row(j)).copied().collect();
        all.into_pyarray(py).reshape([found.len(), model.levels().len()])
    }
}

#[pyfunction]
pub fn fit_letters(
    call: Call<'_>,
    py: Python<'_>,
    levels: Vec<usize>,
    data: (PyReadonlyArray2<'_, u8>, PyReadonlyArray1<'_, f64>),
    settings: Settings,
) -> PyResult<LetterPosterior> {
    let rows = letters(&levels, &data.0)?;
    let (values, options) = (data.1.as_slice()?, settings.options());
    let found = run(py, &call, |observer| fit_letters_observed(&rows, values, &options, observer))?;
    found.map(LetterPosterior::new).or_raise()
}

#[derive(Clone)]
enum Searches {
    Narrow(Surrogate<u64>),
    Wide(Surrogate<Wide<16>>),
}

/// A surrogate that asks for points.
#[pyclass(module = "samplewise._core")]
pub struct SurrogateSearch(Searches);

fn rows_of<'py, I: Bits>(py: Python<'py>, points: &[I], n: usize) -> PyResult<Bound<'py, PyArray2<u8>>> {
    let mut out = vec![0_u8; points.len() * n];
    for (row, point) in out.chunks_exact_mut(n).zip(points) {
        point.positions().into_iter().for_each(|i| row[i] = 1);
    }
    out.into_pyarray(py).reshape([points.len(), n])
}

#[pymethods]
impl SurrogateSearch {
    #[new]
    fn new(variables: usize, target: &str, wanted: (usize, Option<usize>, f64), settings: Settings) -> PyResult<Self> {
        let (budget, batch, enough) = wanted;
        let target = match target {
            "values" => Target::Values,
            "shapley" => Target::Shapley,
            "maximum" => Target::Maximum,
            other => {
                let text = format!("target is {other:?}, allowed is \"values\", \"shapley\" or \"maximum\"");
                return Err(PyValueError::new_err(text));
            }
        };
        if !(2..=1_024).contains(&variables) {
            return Err(PyValueError::new_err(format!("n_variables is {variables}, allowed is 2 to 1024")));
        }
        let options = AskOptions { fit: settings.options(), budget, batch, enough };
        Ok(Self(if variables <= 64 {
            Searches::Narrow(Surrogate::for_bits(variables, target, &options).or_raise()?)
        } else {
            Searches::Wide(Surrogate::for_bits(variables, target, &options).or_raise()?)
        }))
    }

    #[getter]
    fn n_variables(&self) -> usize {
        each!(&self.0, Searches, s => s.variables())
    }

    fn ask<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<u8>>> {
        each!(&self.0, Searches, s => rows_of(py, s.ask(), s.variables()))
    }

    fn points<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<u8>>> {
        each!(&self.0, Searches, s => rows_of(py, s.points(), s.variables()))
    }

    fn values<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f64>> {
        each!(&self.0, Searches, s => s.values().to_vec().into_pyarray(py))
    }

    fn tell(&mut self, call: Call<'_>, py: Python<'_>, answers: PyReadonlyArray1<'_, f64>) -> PyResult<()> {
        let answers = answers.as_slice()?;
        // A signal that stops it leaves it as it was.
        let mut next = self.0.clone();
        run(py, &call, |observer| each!(&mut next, Searches, s => s.tell_observed(answers, observer)))?.or_raise()?;
        self.0 = next;
        Ok(())
    }

    /// What was learned so far; the search stays as it is.
    fn result(&self, call: Call<'_>, py: Python<'_>) -> PyResult<LetterPosterior> {
        let search = self.0.clone();
        let found = run(py, &call, |observer| {
            let bytes = each!(search, Searches, s => s.finish_observed(observer)?.to_bytes());
            surrogate::LetterPosterior::from_bytes(&bytes)
        })?;
        found.map(LetterPosterior::new).or_raise()
    }

    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &each!(&self.0, Searches, s => s.to_bytes()))
    }

    #[staticmethod]
    fn from_bytes(bytes: &[u8]) -> PyResult<Self> {
        match Surrogate::<u64>::from_bytes(bytes) {
            Ok(narrow) => Ok(Self(Searches::Narrow(narrow))),
            Err(e) => Surrogate::from_bytes(bytes).map(|s| Self(Searches::Wide(s))).map_err(|_| e).or_raise(),
        }
    }
}
