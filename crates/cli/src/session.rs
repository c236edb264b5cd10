//! What all subcommands share: threads, progress, interruption, the result envelope, exit codes.
use std::io::{IsTerminal, Write};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use samplewise_linalg::Ending;
use samplewise_linalg::observe::{Observer, Progress};
use serde_json::{Map, Value, json};

use crate::Common;
use crate::failure::{Failure, bad, usage};

/// More threads than any machine has: asking for them is a mistake.
const MAX_THREADS: usize = 4096;

/// How long a read of standard input may go on after Ctrl-C.
const WAIT: Duration = Duration::from_millis(200);

/// A path for JSON, which has no bytes: what is no text is replaced.
pub fn shown(path: &std::path::Path) -> String {
    path.to_string_lossy().into_owned()
}

/// As [`shown`], of an option.
pub fn shown_option(path: Option<&std::path::PathBuf>) -> Option<String> {
    path.map(|p| shown(p))
}

/// A path among parameters: its text, what is no Unicode replaced.
pub fn lossy<S: serde::Serializer>(path: &std::path::Path, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&shown(path))
}

/// A path that may be missing among parameters.
#[allow(clippy::ref_option)]
pub fn lossy_option<S: serde::Serializer>(path: &Option<std::path::PathBuf>, to: S) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&shown_option(path.as_ref()), to)
}

/// A finished command.
pub struct Answer {
    pub parameters: Value,
    pub result: Value,
    pub report: Map<String, Value>,
    /// What is printed without `--json`.
    pub table: String,
}

pub struct Session {
    name: &'static str,
    common: Common,
    start: Instant,
    stages: Mutex<Map<String, Value>>,
    interrupted: Arc<AtomicBool>,
    bar: Option<indicatif::ProgressBar>,
    /// Whether a warning said that the answer is of an interrupted run.
    said: AtomicBool,
}

impl Session {
    pub fn new(name: &'static str, common: &Common) -> Self {
        let interrupted = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&interrupted);
        // A second Ctrl-C does not wait for the next step of the loop, nor does the first while standard input is waited for,
        // which may never come.
        let handler = move || {
            if flag.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
            std::thread::sleep(WAIT);
            if crate::input::WAITING.load(Ordering::SeqCst) {
                eprintln!("samplewise {name}: interrupted while waiting for standard input");
                std::process::exit(130);
            }
        };
        if let Err(e) = ctrlc::set_handler(handler) {
            eprintln!("samplewise {name}: warning: Ctrl-C cannot be caught: {e}");
        }
        let bar = (!common.quiet && std::io::stderr().is_terminal()).then(indicatif::ProgressBar::new_spinner);
        let stages = Mutex::new(Map::new());
        Self {
            name,
            common: common.clone(),
            start: Instant::now(),
            stages,
            interrupted,
            bar,
            said: AtomicBool::new(false),
        }
    }

    pub fn seed(&self) -> u64 {
        self.common.seed
    }

    pub fn pool(&self) -> Result<rayon::ThreadPool, Failure> {
        match self.common.threads {
            Some(n) if n == 0 || n > MAX_THREADS => {
                Err(usage(format!("--threads is {n}, allowed is 1 to {MAX_THREADS}")))
            }
            n => rayon::ThreadPoolBuilder::new().num_threads(n.unwrap_or(0)).build().map_err(bad),
        }
    }

    /// Runs a stage and notes its seconds.
    pub fn stage<T>(&self, name: &str, f: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
        let start = Instant::now();
        let out = f();
        let mut stages = self.stages.lock().expect("no stage panicked");
        let before = stages.get(name).and_then(Value::as_f64).unwrap_or(0.0);
        stages.insert(name.to_owned(), json!(before + start.elapsed().as_secs_f64()));
        out
    }

    /// One line on standard error.
    pub fn warn(&self, what: impl std::fmt::Display) {
        let what = what.to_string();
        self.said.fetch_or(what.contains("interrupted"), Ordering::SeqCst);
        if let Some(bar) = &self.bar {
            bar.suspend(|| eprintln!("samplewise {}: warning: {what}", self.name));
        } else {
            eprintln!("samplewise {}: warning: {what}", self.name);
        }
    }

    pub fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }

    pub fn finish(&self, answer: Answer) -> i32 {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let mut report = answer.report;
        let ending = if self.interrupted() { Ending::Interrupted } else { Ending::Finished };
        let ending = report.entry("ending").or_insert_with(|| json!(ending.name())).clone();
        // Ctrl-C after the last step changes nothing of the answer.
        let interrupted = ending == json!(Ending::Interrupted.name());
        if interrupted && !self.said.load(Ordering::SeqCst) {
            self.warn("interrupted: the answer is that of what was done by then");
        }
        report.insert("seconds".into(), json!(self.start.elapsed().as_secs_f64()));
        report.insert("stages".into(), Value::Object(self.stages.lock().expect("no stage panicked").clone()));
        let text = if self.common.json {
            let threads = self.common.threads.unwrap_or_else(rayon::current_num_threads);
            let object = json!({
                "command": self.name, "version": env!("CARGO_PKG_VERSION"), "seed": self.common.seed,
                "threads": threads, "parameters": answer.parameters, "result": answer.result, "report": report,
            });
            format!("{object}\n")
        } else {
            answer.table
        };
        let written = if crate::output::STANDARD_OUTPUT_TAKEN.load(Ordering::SeqCst) {
            std::io::stderr().lock().write_all(text.as_bytes())
        } else {
            std::io::stdout().lock().write_all(text.as_bytes())
        };
        match written {
            _ if interrupted => 130,
            // A closed pipe is the reader's choice.
            Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => self.fail(&bad(format!("standard output: {e}"))),
            _ => 0,
        }
    }

    pub fn fail(&self, failure: &Failure) -> i32 {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        eprintln!("samplewise {}: {}", self.name, failure.message.replace('\n', " "));
        if self.interrupted() { 130 } else { failure.code }
    }
}

/// Shows progress and passes Ctrl-C on.
impl Observer for &Session {
    fn step(&mut self, p: Progress) -> ControlFlow<()> {
        if let Some(bar) = &self.bar {
            let value = p.value.map_or(String::new(), |v| format!(" {v:.3e}"));
            bar.set_message(format!("{} {}{value}", p.stage, p.step));
            bar.tick();
        }
        if self.interrupted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
