//! Hamming distances of patterns and texts.
use std::sync::Arc;

use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1, PyReadwriteArray1};
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyDict};
use samplewise_hamming::{
    self as hamming, Alphabet, Answer, ApproximateOptions, Engine, Method, Options, Plan, Query, Report, SymbolOptions,
    TextN, WildcardMeaning,
};
use samplewise_linalg::{Observer, Progress};

use crate::errors::OrRaise;
use crate::run::{Call, run};
use crate::table::whole;

/// A text as the package hands it over: bytes, or an array of symbols.
#[derive(FromPyObject)]
pub enum Text<'py> {
    Bytes(PyBackedBytes),
    U8(PyReadonlyArray1<'py, u8>),
    U32(PyReadonlyArray1<'py, u32>),
    U64(PyReadonlyArray1<'py, u64>),
}

/// A pattern of wider symbols cannot be compared with bytes, nor the other way round.
fn mixed() -> PyErr {
    PyTypeError::new_err("pattern and text have symbols of different types")
}

impl Text<'_> {
    fn bytes(&self) -> PyResult<&[u8]> {
        match self {
            Self::Bytes(b) => Ok(b),
            Self::U8(a) => Ok(a.as_slice()?),
            _ => Err(mixed()),
        }
    }

    fn u32(&self) -> PyResult<&[u32]> {
        if let Self::U32(a) = self { Ok(a.as_slice()?) } else { Err(mixed()) }
    }

    fn u64(&self) -> PyResult<&[u64]> {
        if let Self::U64(a) = self { Ok(a.as_slice()?) } else { Err(mixed()) }
    }
}

#[derive(FromPyObject, Clone)]
#[pyo3(from_item_all)]
pub struct Settings {
    alphabet: String,
    wildcard: Option<u64>,
    wildcard_meaning: String,
    text_n: String,
    engine: String,
}

fn word<T: Copy>(argument: &str, given: &str, words: &[(&str, T)]) -> PyResult<T> {
    words.iter().find(|w| w.0 == given).map(|w| w.1).ok_or_else(|| {
        let all: Vec<String> = words.iter().map(|w| format!("{:?}", w.0)).collect();
        PyValueError::new_err(format!("{argument} is {given:?}, allowed is {}", all.join(", ")))
    })
}

impl Settings {
    fn engine(&self) -> PyResult<Engine> {
        let all: Vec<(&str, Engine)> = Engine::ALL.iter().map(|e| (e.name(), *e)).collect();
        word("engine", &self.engine, &all)
    }

    fn meaning(&self) -> PyResult<WildcardMeaning> {
        let words = [
            ("match", WildcardMeaning::Match),
            ("mismatch", WildcardMeaning::Mismatch),
            ("excluded", WildcardMeaning::Excluded),
        ];
        word("wildcard_meaning", &self.wildcard_meaning, &words)
    }

    fn of_bytes(&self) -> PyResult<Options> {
        let alphabets = [("bytes", Alphabet::Bytes), ("dna", Alphabet::Dna), ("iupac", Alphabet::Iupac)];
        let wildcard = self.wildcard.map(|w| {
            u8::try_from(w).map_err(|_| PyValueError::new_err(format!("wildcard is {w}, allowed is one byte")))
        });
        Ok(Options {
            alphabet: word("alphabet", &self.alphabet, &alphabets)?,
            wildcard: wildcard.transpose()?,
            wildcard_meaning: self.meaning()?,
            engine: self.engine()?,
            text_n: word("text_n", &self.text_n, &[("match", TextN::Match), ("mismatch", TextN::Mismatch)])?,
        })
    }

    fn of_symbols<S: TryFrom<u64>>(&self) -> PyResult<SymbolOptions<S>> {
        if self.alphabet != "bytes" {
            let text = format!("alphabet is {:?}, allowed for symbols that are no letters is \"bytes\"", self.alphabet);
            return Err(PyValueError::new_err(text));
        }
        let fits = |w: u64| {
            S::try_from(w)
                .map_err(|_| PyValueError::new_err(format!("wildcard is {w}, which no symbol of the pattern can be")))
        };
        Ok(SymbolOptions {
            wildcard: self.wildcard.map(fits).transpose()?,
            wildcard_meaning: self.meaning()?,
            engine: self.engine()?,
        })
    }
}

fn report<'py>(py: Python<'py>, r: &Report) -> PyResult<Bound<'py, PyDict>> {
    let d = PyDict::new(py);
    d.set_item("ending", r.ending.name())?;
    d.set_item("route", r.route.name())?;
    d.set_item("engine", r.engine_names())?;
    d.set_item("seconds", r.seconds.0)?;
    d.set_item("largest_residual", r.certificate.as_ref().map(|c| c.largest_residual))?;
    Ok(d)
}

enum Plans {
    U8(Plan<u8>),
    U32(Plan<u32>),
    U64(Plan<u64>),
}

/// The same code for every type of symbol.
macro_rules! each {
    ($plan:expr, $text:expr, $p:ident, $t:ident => $body:expr) => {
        match $plan {
            Plans::U8($p) => {
                let $t = $text.bytes()?;
                $body
            }
            Plans::U32($p) => {
                let $t = $text.u32()?;
                $body
            }
            Plans::U64($p) => {
                let $t = $text.u64()?;
                $body
            }
        }
    };
}

/// A pattern that was prepared.
#[pyclass(frozen, module = "samplewise._core")]
pub struct Pattern(Plans);

type Distances<'py> = (Bound<'py, PyArray1<u32>>, Option<Bound<'py, PyArray1<u32>>>, Bound<'py, PyDict>);

#[pymethods]
impl Pattern {
    #[new]
    fn new(pattern: Text<'_>, settings: Settings) -> PyResult<Self> {
        Ok(Self(match &pattern {
            Text::U32(_) => Plans::U32(Plan::of_symbols(pattern.u32()?, &settings.of_symbols()?).or_raise()?),
            Text::U64(_) => Plans::U64(Plan::of_symbols(pattern.u64()?, &settings.of_symbols()?).or_raise()?),
            _ => Plans::U8(Plan::new(pattern.bytes()?, &settings.of_bytes()?).or_raise()?),
        }))
    }

    fn __len__(&self) -> usize {
        match &self.0 {
            Plans::U8(p) => p.pattern_len(),
            Plans::U32(p) => p.pattern_len(),
            Plans::U64(p) => p.pattern_len(),
        }
    }

    /// Distances, pairs counted where wildcards are excluded, report.
    fn distances<'py>(&self, call: Call<'_>, py: Python<'py>, text: Text<'_>) -> PyResult<Distances<'py>> {
        let answer: Answer =
            each!(&self.0, text, p, t => run(py, &call, |o| p.distances_observed(t, o))?).or_raise()?;
        let report = report(py, &answer.report)?;
        Ok((answer.distances.into_pyarray(py), answer.valid.map(|v| v.into_pyarray(py)), report))
    }

    /// The same into an array that is there.
    fn distances_into<'py>(
        &self,
        call: Call<'_>,
        py: Python<'py>,
        text: Text<'_>,
        mut out: PyReadwriteArray1<'_, u32>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let out = out.as_slice_mut()?;
        let r = each!(&self.0, text, p, t => run(py, &call, |o| p.distances_into_observed(t, out, o))?).or_raise()?;
        report(py, &r)
    }

    fn approximate<'py>(
        &self,
        call: Call<'_>,
        py: Python<'py>,
        text: Text<'_>,
        wanted: (f64, f64, String, u64),
    ) -> PyResult<(Bound<'py, PyArray1<f64>>, Bound<'py, PyDict>)> {
        let (epsilon, delta, method, seed) = wanted;
        let methods = [("sampling", Method::Sampling), ("one_sided", Method::OneSided)];
        let method = word("method", &method, &methods)?;
        let options = ApproximateOptions { epsilon, delta, method, seed, ..ApproximateOptions::default() };
        let found =
            each!(&self.0, text, p, t => run(py, &call, |o| p.approximate_observed(t, &options, o))?).or_raise()?;
        let d = report(py, &found.report)?;
        d.set_item("samples", found.samples)?;
        d.set_item("repetitions", found.repetitions)?;
        d.set_item("refined", found.refined)?;
        Ok((found.distances.into_pyarray(py), d))
    }

    fn mismatches<'py>(&self, py: Python<'py>, text: Text<'_>, position: usize) -> PyResult<Bound<'py, PyArray1<i64>>> {
        let found = each!(&self.0, text, p, t => p.mismatch_positions(t, position)).or_raise()?;
        Ok(whole(py, &found))
    }
}

/// Many patterns of bytes.
#[pyclass(frozen, module = "samplewise._core")]
pub struct Batch(hamming::Batch<u8>);

#[pymethods]
impl Batch {
    #[new]
    fn new(patterns: Vec<PyBackedBytes>, settings: Settings) -> PyResult<Self> {
        hamming::Batch::new(&patterns, &settings.of_bytes()?).map(Self).or_raise()
    }

    fn distances<'py>(&self, call: Call<'_>, py: Python<'py>, text: Text<'_>) -> PyResult<Vec<Distances<'py>>> {
        let t = text.bytes()?;
        let all = run(py, &call, |o| self.0.distances_observed(t, o))?.or_raise()?;
        all.into_iter()
            .map(|a| {
                let report = report(py, &a.report)?;
                Ok((a.distances.into_pyarray(py), a.valid.map(|v| v.into_pyarray(py)), report))
            })
            .collect()
    }
}

/// Patterns of bytes to be found with few mismatches.
#[pyclass(frozen, module = "samplewise._core")]
pub struct Search(Arc<hamming::Search<u8>>);

type Hits<'py> =
    (Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<i64>>, Bound<'py, PyArray1<bool>>, Bound<'py, PyArray1<u32>>);

fn hits<'py>(py: Python<'py>, all: &[hamming::Hit]) -> Hits<'py> {
    (
        all.iter().map(|h| h.position as i64).collect::<Vec<_>>().into_pyarray(py),
        all.iter().map(|h| h.query as i64).collect::<Vec<_>>().into_pyarray(py),
        all.iter().map(|h| h.reverse).collect::<Vec<_>>().into_pyarray(py),
        all.iter().map(|h| h.distance).collect::<Vec<_>>().into_pyarray(py),
    )
}

#[pymethods]
impl Search {
    #[new]
    fn new(
        patterns: Vec<PyBackedBytes>,
        max_distances: Vec<u32>,
        required: Option<(usize, usize)>,
        both_strands: bool,
        settings: Settings,
    ) -> PyResult<Self> {
        let options = settings.of_bytes()?;
        let queries: Vec<Query<'_, u8>> = patterns
            .iter()
            .zip(&max_distances)
            .map(|(p, &k)| {
                let one = Query::new(p, k);
                if let Some((start, stop)) = required { one.requiring(start..stop) } else { one }
            })
            .collect();
        let made = if both_strands {
            hamming::Search::both_strands(&queries, &options)
        } else {
            hamming::Search::new(&queries, &options)
        };
        made.map(|s| Self(Arc::new(s))).or_raise()
    }

    fn find<'py>(
        &self,
        call: Call<'_>,
        py: Python<'py>,
        text: Text<'_>,
    ) -> PyResult<(Hits<'py>, usize, Bound<'py, PyDict>)> {
        let t = text.bytes()?;
        let found = run(py, &call, |o| self.0.find_observed(t, o))?;
        Ok((hits(py, &found.hits), found.searched, report(py, &found.report)?))
    }
}

/// Hits of a text that comes in pieces.
#[pyclass(module = "samplewise._core")]
pub struct SearchStream {
    search: Arc<hamming::Search<u8>>,
    stream: Option<hamming::SearchStream<Arc<hamming::Search<u8>>, u8>>,
}

/// Symbols that are pushed between two looks.
const PART: usize = 1 << 20;

/// Pushes a piece by parts, and looks whether a signal has come between them.
fn by_parts(piece: &[u8], observer: &mut dyn Observer, mut push: impl FnMut(&[u8])) -> PyResult<()> {
    let total = Some(piece.len().div_ceil(PART));
    for (step, part) in piece.chunks(PART).enumerate() {
        if observer.step(Progress { stage: "text", step, total, value: None }).is_break() {
            return Err(PyRuntimeError::new_err("the piece was not pushed: the callback stopped it"));
        }
        push(part);
    }
    Ok(())
}

fn finished() -> PyErr {
    PyValueError::new_err("the stream is finished")
}

#[pymethods]
impl SearchStream {
    #[new]
    fn new(search: &Bound<'_, Search>) -> Self {
        Self::resume(search, Some((0, Vec::new())))
    }

    fn push<'py>(&mut self, call: Call<'_>, py: Python<'py>, piece: Text<'_>) -> PyResult<Hits<'py>> {
        let (stream, t) = (self.stream.as_mut().ok_or_else(finished)?, piece.bytes()?);
        let (done, pending) = stream.state();
        let (before, mut out) = ((done, pending.to_vec()), Vec::new());
        let pushed = run(py, &call, |observer| by_parts(t, observer, |part| stream.push(part, |hit| out.push(hit))));
        if let Err(e) = pushed.flatten() {
            // A signal leaves it as it was: the piece may be pushed again.
            *stream = hamming::SearchStream::resume(Arc::clone(&self.search), before.0, before.1);
            return Err(e);
        }
        Ok(hits(py, &out))
    }

    fn finish<'py>(&mut self, call: Call<'_>, py: Python<'py>) -> PyResult<Hits<'py>> {
        let (done, pending) = self.stream.as_ref().ok_or_else(finished)?.state();
        let stream = hamming::SearchStream::resume(Arc::clone(&self.search), done, pending.to_vec());
        let mut out = Vec::new();
        run(py, &call, |_| stream.finish(|hit| out.push(hit)))?;
        self.stream = None;
        Ok(hits(py, &out))
    }

    /// Positions that were searched and the text from there on; none when it is finished.
    fn state<'py>(&self, py: Python<'py>) -> Option<(usize, Bound<'py, PyBytes>)> {
        self.stream.as_ref().map(|s| (s.state().0, PyBytes::new(py, s.state().1)))
    }

    #[staticmethod]
    fn resume(search: &Bound<'_, Search>, state: Option<(usize, Vec<u8>)>) -> Self {
        let search = Arc::clone(&search.get().0);
        let stream = state.map(|(done, pending)| hamming::SearchStream::resume(Arc::clone(&search), done, pending));
        Self { search, stream }
    }
}

/// Distances at the positions of a text that comes in pieces.
#[pyclass(module = "samplewise._core")]
pub struct DistanceStream {
    plan: Arc<Plan<u8>>,
    stream: Option<hamming::Stream<Arc<Plan<u8>>, u8>>,
}

#[pymethods]
impl DistanceStream {
    #[new]
    fn new(pattern: Text<'_>, settings: Settings) -> PyResult<Self> {
        Self::resume(pattern, settings, Some((0, Vec::new())))
    }

    /// Positions that were counted and the text from there on; none when it is finished.
    fn state<'py>(&self, py: Python<'py>) -> Option<(usize, Bound<'py, PyBytes>)> {
        self.stream.as_ref().map(|s| (s.state().0, PyBytes::new(py, s.state().1)))
    }

    #[staticmethod]
    fn resume(pattern: Text<'_>, settings: Settings, state: Option<(usize, Vec<u8>)>) -> PyResult<Self> {
        let plan = Arc::new(Plan::new(pattern.bytes()?, &settings.of_bytes()?).or_raise()?);
        let stream = state.map(|(done, pending)| hamming::Stream::resume(Arc::clone(&plan), done, pending));
        Ok(Self { plan, stream })
    }

    fn push<'py>(&mut self, call: Call<'_>, py: Python<'py>, piece: Text<'_>) -> PyResult<Bound<'py, PyArray1<u32>>> {
        let (stream, t) = (self.stream.as_mut().ok_or_else(finished)?, piece.bytes()?);
        let (done, pending) = stream.state();
        let (before, mut out) = ((done, pending.to_vec()), Vec::new());
        let mut take = |part: &[u8]| stream.push(part, |block| out.extend_from_slice(block.distances));
        let pushed = run(py, &call, |observer| by_parts(t, observer, &mut take));
        if let Err(e) = pushed.flatten() {
            // A signal leaves it as it was: the piece may be pushed again.
            *stream = hamming::Stream::resume(Arc::clone(&self.plan), before.0, before.1);
            return Err(e);
        }
        Ok(out.into_pyarray(py))
    }

    fn finish<'py>(&mut self, call: Call<'_>, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<u32>>> {
        let (done, pending) = self.stream.as_ref().ok_or_else(finished)?.state();
        let stream = hamming::Stream::resume(Arc::clone(&self.plan), done, pending.to_vec());
        let mut out = Vec::new();
        run(py, &call, |_| stream.finish(|block| out.extend_from_slice(block.distances)))?;
        self.stream = None;
        Ok(out.into_pyarray(py))
    }
}
