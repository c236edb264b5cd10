//! Questions to a program: lines to its standard input, numbers from its standard output.
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use samplewise_wht::any::{AnyPlan, AnyRecovery, AnySpectrum, Queries};
use samplewise_wht::{Error, Options, Sparsity};
use serde_json::{Value, json};

use super::prior::failure;
use super::show::digits;
use crate::failure::{Failure, bad, usage};
use crate::session::Session;

pub struct Program<'a> {
    command: &'a [String],
    variables: usize,
    /// Starts in a row that may end without an answer.
    patience: usize,
    log: Option<(std::fs::File, &'a Path)>,
    known: HashMap<String, f64>,
    from_log: usize,
    starts: usize,
    session: &'a Session,
}

/// The answers in the text of a log, and the bytes of its whole lines.
pub fn answers_of(text: &str, name: &str, variables: usize) -> Result<(HashMap<String, f64>, usize), Failure> {
    let mut known = HashMap::new();
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    for (at, line) in text[..whole].lines().enumerate() {
        let wrong = |why: &str| bad(format!("{name}:{}: {line:?} {why}", at + 1));
        let nonsense = || wrong("is not a query and its answer");
        let (query, value) = line.split_once(' ').ok_or_else(nonsense)?;
        let value: f64 = value.trim().parse().map_err(|_| nonsense())?;
        if query.len() != variables || query.bytes().any(|b| b != b'0' && b != b'1') || !value.is_finite() {
            return Err(nonsense());
        }
        if known.insert(query.to_owned(), value).is_some_and(|before| before != value) {
            return Err(wrong("answers a query for the second time, and otherwise"));
        }
    }
    // What a crash left of a line is dropped; anything else at the end is not ours.
    let rest = &text[whole..];
    let query_part = rest.split(' ').next().unwrap_or("");
    if query_part.len() > variables || query_part.bytes().any(|b| b != b'0' && b != b'1') {
        return Err(bad(format!("{name}: {rest:?} at its end is no part of an answer")));
    }
    Ok((known, whole))
}

impl<'a> Program<'a> {
    /// Opens the log and takes what it holds; a line that was cut off by a crash at the end of the file is dropped.
    pub fn new(
        command: &'a [String],
        variables: usize,
        patience: usize,
        log: Option<&'a Path>,
        session: &'a Session,
    ) -> Result<Self, Failure> {
        let mut known = HashMap::new();
        let mut file = None;
        if let Some(path) = log {
            let fail = |e: std::io::Error| bad(format!("{}: {e}", path.display()));
            let opened = std::fs::OpenOptions::new().create(true).read(true).append(true).open(path).map_err(fail)?;
            opened.try_lock().map_err(|_| bad(format!("{}: another call is writing to it", path.display())))?;
            let text = std::io::read_to_string(&opened).map_err(fail)?;
            let (answers, whole) = answers_of(&text, &path.display().to_string(), variables)?;
            opened.set_len(whole as u64).map_err(fail)?;
            known = answers;
            file = Some((opened, path));
        }
        let from_log = known.len();
        Ok(Self { command, variables, patience, log: file, known, from_log, starts: 0, session })
    }

    pub fn report(&self) -> Value {
        json!({"asked": self.known.len() - self.from_log, "from_log": self.from_log, "starts": self.starts})
    }

    /// Answers to all queries, in their order. Answers that came before the program died are kept, and it is started
    /// again for the others.
    pub fn ask(&mut self, queries: Queries<'_>) -> Result<Vec<f64>, Failure> {
        let lines: Vec<String> = queries.to_rows().chunks_exact(self.variables).map(digits).collect();
        let mut idle = 0;
        loop {
            let open: Vec<&str> = lines.iter().map(String::as_str).filter(|l| !self.known.contains_key(*l)).collect();
            if open.is_empty() {
                return Ok(lines.iter().map(|l| self.known[l.as_str()]).collect());
            }
            let before = self.known.len();
            let ended = self.run(&open)?;
            let given = self.known.len() - before;
            if given >= open.len() {
                continue;
            }
            idle = if given == 0 { idle + 1 } else { 0 };
            let name = &self.command[0];
            if idle > self.patience || self.session.interrupted() {
                let kept = self.known.len();
                let saved =
                    self.log.as_ref().map_or(String::new(), |l| format!("; {kept} answers are in {}", l.1.display()));
                let why = if self.session.interrupted() { "interrupted".to_owned() } else { ended };
                return Err(bad(format!("{name}: gave {given} answers to {} queries and {why}{saved}", open.len())));
            }
            eprintln!(
                "samplewise wht: warning: {name} {ended} with {} queries open; starting it again",
                open.len() - given
            );
        }
    }

    /// Starts the program once. Queries are written from a thread of their own, so that neither pipe can fill and block.
    fn run(&mut self, open: &[&str]) -> Result<String, Failure> {
        let name = &self.command[0];
        let fail = |e: std::io::Error| bad(format!("{name}: {e}"));
        let mut child = Command::new(name)
            .args(&self.command[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(fail)?;
        self.starts += 1;
        let mut stdin = child.stdin.take().expect("piped");
        let stdout = child.stdout.take().expect("piped");
        let outcome = std::thread::scope(|scope| {
            scope.spawn(move || {
                let mut buffer = std::io::BufWriter::new(&mut stdin);
                // A program that stops reading is reported by its missing answers.
                let _ = open.iter().try_for_each(|q| writeln!(buffer, "{q}"));
                let _ = buffer.flush();
            });
            let mut lines = BufReader::new(stdout);
            let mut outcome = Ok(());
            let mut half = None;
            let mut line = String::new();
            for (i, query) in open.iter().enumerate() {
                line.clear();
                let noted = match lines.read_line(&mut line).map_err(fail) {
                    Ok(0) => break,
                    // Without its end of line it may be half a number; whether it is tells how the program ends.
                    Ok(_) if !line.ends_with('\n') => {
                        half = Some(i);
                        break;
                    }
                    Ok(_) => self.note(i, query, &line),
                    Err(e) => Err(e),
                };
                if noted.is_err() || self.session.interrupted() {
                    outcome = noted;
                    // Otherwise the writer would wait for a program that no longer reads.
                    let _ = child.kill();
                    break;
                }
            }
            if outcome.is_ok() && !self.session.interrupted() && half.is_none() {
                line.clear();
                // What cannot be read is more than was asked for, too.
                if lines.read_line(&mut line).map_or(true, |read| read > 0 && !line.trim().is_empty()) {
                    let _ = child.kill();
                    outcome = Err(bad(format!(
                        "{name}: gave more lines than the {} queries, the next is {line:?}; all its answers may be shifted",
                        open.len()
                    )));
                }
            }
            let status = child.wait().map_err(fail)?;
            if outcome.is_ok()
                && status.success()
                && let Some(i) = half
            {
                outcome = self.note(i, open[i], &line);
            }
            outcome.map(|()| status)
        });
        let status = outcome?;
        if !status.success() && open.iter().all(|q| self.known.contains_key(*q)) {
            eprintln!("samplewise wht: warning: {name} answered everything and ended with {status}");
        }
        Ok(format!("ended with {status}"))
    }

    /// Takes answer `i` and writes it to the log.
    fn note(&mut self, i: usize, query: &str, line: &str) -> Result<(), Failure> {
        let name = &self.command[0];
        let value = match line.trim().parse::<f64>() {
            Ok(v) if v.is_finite() => v,
            _ => {
                let line = line.trim_end();
                return Err(bad(format!("{name}: answer {} to {query}: {line:?} is not a finite number", i + 1)));
            }
        };
        self.known.insert(query.to_owned(), value);
        if let Some((file, path)) = &mut self.log {
            file.write_all(format!("{query} {value}\n").as_bytes())
                .map_err(|e| bad(format!("{}: {e}", path.display())))?;
        }
        Ok(())
    }
}

/// Asks what a recovery wants to know until it is satisfied, or has asked for as much as is allowed.
pub fn recover(
    (variables, most): (usize, usize),
    sparsity: Sparsity,
    options: &Options,
    program: &mut Program<'_>,
    session: &Session,
) -> Result<AnySpectrum, Failure> {
    if let Sparsity::Known(_) = sparsity {
        let plan = AnyPlan::new(variables, sparsity, options).map_err(failure)?;
        let wanted = plan.queries().len();
        if wanted > most {
            return Err(usage(format!("--max-queries is {most}, and a plan for this sparsity asks {wanted}")));
        }
        let values = session.stage("query", || program.ask(plan.queries()))?;
        return session.stage("compute", || plan.decode_observed(&values, &mut &*session).map_err(bad));
    }
    let mut recovery = match AnyRecovery::new(variables, sparsity, options) {
        Err(Error::Budget { needed, .. }) => {
            return Err(usage(format!("--max-queries is {most}, and the first questions are {needed}")));
        }
        other => other.map_err(failure)?,
    };
    while !recovery.ask().is_empty() {
        if session.interrupted() {
            recovery.interrupt();
            break;
        }
        let values = session.stage("query", || program.ask(recovery.ask()));
        match values {
            Ok(values) => session.stage("compute", || recovery.tell_observed(&values, &mut &*session).map_err(bad))?,
            // The answer of the stage before is worth more than nothing.
            Err(_) if session.interrupted() && recovery.spectrum().is_some() => recovery.interrupt(),
            Err(e) => return Err(e),
        }
    }
    recovery.finish().map_err(|_| bad("interrupted"))
}
