//! How a call runs: in a pool of its number of threads, without the interpreter's lock, while the calling thread looks for
//! signals and hands progress to the caller's callback.
use std::any::Any;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use samplewise_linalg::{Observer, Progress};

/// Time between two looks for signals.
const SIGNALS: Duration = Duration::from_millis(10);
/// Time between two calls of the callback.
const CALLBACK: Duration = Duration::from_millis(50);

/// Pools by process and number of threads: after a fork the threads of the parent's pools are not there.
static POOLS: Mutex<Option<HashMap<(u32, usize), Arc<ThreadPool>>>> = Mutex::new(None);

/// What a call needs beside its arguments.
#[derive(FromPyObject)]
pub struct Call<'py> {
    /// Number of threads, at least 1.
    #[pyo3(item("threads"))]
    threads: usize,
    /// Called with stage, step, total and value; a true answer stops the work.
    #[pyo3(item("callback"))]
    callback: Option<Bound<'py, PyAny>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// Nobody waits for the answer any more: a signal or an exception of the callback is raised in its place.
    abandoned: AtomicBool,
    latest: Mutex<Option<Progress>>,
}

struct Watcher<'a> {
    shared: &'a Shared,
    record: bool,
    /// Whether an answer that nobody waits for may be left as it stands.
    leaves: bool,
}

/// What unwinds the work whose answer nobody waits for.
struct Abandoned;

impl Observer for Watcher<'_> {
    fn step(&mut self, progress: Progress) -> ControlFlow<()> {
        if self.record {
            *self.shared.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(progress);
        }
        if self.leaves && self.shared.abandoned.load(Ordering::Relaxed) {
            // Faster than to end it well: what a stopped call says of what it has is not wanted.
            std::panic::resume_unwind(Box::new(Abandoned));
        }
        if self.shared.stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

fn pool(threads: usize) -> PyResult<Arc<ThreadPool>> {
    if threads == 0 {
        return Err(PyValueError::new_err("n_jobs leads to 0 threads, allowed is at least 1"));
    }
    let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    let all = pools.get_or_insert_with(HashMap::new);
    if let Some(pool) = all.get(&(std::process::id(), threads)) {
        return Ok(Arc::clone(pool));
    }
    let pool = ThreadPoolBuilder::new().num_threads(threads).thread_name(|i| format!("samplewise-{i}")).build();
    let pool = Arc::new(pool.map_err(|e| PyRuntimeError::new_err(format!("no threads: {e}")))?);
    all.insert((std::process::id(), threads), Arc::clone(&pool));
    Ok(pool)
}

/// Runs `f` in a pool. A signal, an exception of the callback or a true answer of it stops the work at its next look; the
/// first two are raised then, and the work is left as it stands, so that `f` must change nothing that stays. The last returns
/// what the work has.
pub fn run<T: Send>(py: Python<'_>, call: &Call<'_>, f: impl FnOnce(&mut dyn Observer) -> T + Send) -> PyResult<T> {
    run_either(py, call, true, f)
}

/// [`run`] of an `f` that changes an object: where it is stopped it comes to its own end, with the object as its call promises.
pub fn run_changing<T: Send>(
    py: Python<'_>,
    call: &Call<'_>,
    f: impl FnOnce(&mut dyn Observer) -> T + Send,
) -> PyResult<T> {
    run_either(py, call, false, f)
}

fn run_either<T: Send>(
    py: Python<'_>,
    call: &Call<'_>,
    leaves: bool,
    f: impl FnOnce(&mut dyn Observer) -> T + Send,
) -> PyResult<T> {
    let pool = pool(call.threads)?;
    let shared = Shared::default();
    let callback = call.callback.as_ref().map(|c| c.clone().unbind());
    let record = callback.is_some();
    let (outcome, failure) = py.detach(|| {
        let (sender, receiver) = sync_channel(1);
        let mut outcome = None;
        let mut failure: Option<PyErr> = None;
        pool.in_place_scope(|scope| {
            let shared = &shared;
            scope.spawn(move |_| {
                let mut watcher = Watcher { shared, record, leaves };
                let _ = sender.send(catch_unwind(AssertUnwindSafe(|| f(&mut watcher))));
            });
            let mut told = Instant::now();
            loop {
                match receiver.recv_timeout(SIGNALS) {
                    Ok(result) => {
                        outcome = Some(result);
                        break;
                    }
                    Err(RecvTimeoutError::Disconnected) => break,
                    Err(RecvTimeoutError::Timeout) if failure.is_some() => {}
                    Err(RecvTimeoutError::Timeout) => {
                        let due = record && told.elapsed() >= CALLBACK;
                        let answer = Python::attach(|py| {
                            py.check_signals()?;
                            if due { tell(py, callback.as_ref(), shared) } else { Ok(false) }
                        });
                        if due {
                            told = Instant::now();
                        }
                        match answer {
                            Ok(false) => {}
                            Ok(true) => shared.stop.store(true, Ordering::Relaxed),
                            Err(e) => {
                                shared.stop.store(true, Ordering::Relaxed);
                                shared.abandoned.store(true, Ordering::Relaxed);
                                failure = Some(e);
                            }
                        }
                    }
                }
            }
        });
        (outcome, failure)
    });
    if let Some(e) = failure {
        return Err(e);
    }
    // The last progress, so that a bar ends where the work ended.
    tell(py, callback.as_ref(), &shared)?;
    match outcome {
        Some(Ok(value)) => Ok(value),
        Some(Err(panic)) => Err(bug(&*panic)),
        None => Err(PyRuntimeError::new_err("the worker of the call is gone")),
    }
}

/// A panic is a broken promise of ours; pyo3's own exception for it is none that `except Exception` would see.
fn bug(panic: &(dyn Any + Send)) -> PyErr {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    PyRuntimeError::new_err(format!("a bug in samplewise, please report it: {text}"))
}

fn tell(py: Python<'_>, callback: Option<&Py<PyAny>>, shared: &Shared) -> PyResult<bool> {
    let latest = shared.latest.lock().unwrap_or_else(PoisonError::into_inner).take();
    let (Some(callback), Some(p)) = (callback, latest) else { return Ok(false) };
    let answer = callback.call1(py, (p.stage, p.step, p.total, p.value))?;
    answer.is_truthy(py)
}
