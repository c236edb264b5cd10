//! Hits as a file, and the answer as table and JSON.
use samplewise_hamming::Symbol;
use samplewise_linalg::Ending;
use serde_json::{Value, json};

use super::args::Arguments;
use super::sums::{Found, Sums};
use crate::commands::map;
use crate::failure::Failure;
use crate::input;
use crate::output::{self, line};
use crate::session::{Answer, Session};

/// What the answer is made of.
pub(super) struct Outcome<'a, S: Symbol> {
    pub a: &'a Arguments,
    pub patterns: &'a [(String, Vec<S>)],
    pub sums: &'a Sums,
    /// The whole text was read.
    pub complete: bool,
}

impl<S: Symbol> Outcome<'_, S> {
    /// The file of `--out` where hits are wanted.
    pub fn write(&self) -> Result<(), Failure> {
        let Some(out) = self.a.out.as_deref().filter(|_| self.a.wants_hits()) else { return Ok(()) };
        let kind = input::kind(out);
        output::write(out, |w| {
            for f in &self.sums.hits {
                let (record, (name, pattern)) = (self.record(f), &self.patterns[f.pattern]);
                let (p, d, strand) = (f.position, f.distance, strand(f));
                match kind.as_str() {
                    "json" | "jsonl" => {
                        let object = json!({"record": record, "position": p, "strand": strand, "distance": d,
                            "pattern": name});
                        writeln!(w, "{object}")?;
                    }
                    "bed" => writeln!(w, "{record}\t{p}\t{}\t{name}\t{d}\t{strand}", p + pattern.len())?,
                    "csv" => writeln!(w, "{}", line(out, &[record, &p.to_string(), strand, &d.to_string(), name])?)?,
                    _ => writeln!(w, "{record}\t{p}\t{strand}\t{d}\t{name}")?,
                }
            }
            Ok(())
        })
    }

    /// Says what falls short.
    pub fn warn(&self, session: &Session) {
        if !self.complete {
            session.warn("interrupted: the answer is that of the text read so far");
        }
    }

    /// `show` makes the alignments of some hits, with their records, readable.
    pub fn answer(&self, show: impl FnOnce(&[(String, Vec<S>)], &[(String, Found)]) -> String) -> Answer {
        let status = match (self.complete, self.a.epsilon) {
            (false, _) => "interrupted",
            (true, Some(_)) => "approximate",
            (true, None) => "exact",
        };
        let minimum = self.minimum();
        let hits = if self.a.wants_hits() { &self.sums.hits[..] } else { &[] };
        let to_show: Vec<(String, Found)> = hits.iter().map(|f| (self.record(f).to_owned(), f.clone())).collect();
        let table = self.table(status, minimum.as_ref()) + &show(self.patterns, &to_show);
        let result = json!({
            "status": status, "alignments": self.sums.alignments, "minimum": minimum,
            "hits": self.a.wants_hits().then(|| self.sums.hits.iter().map(|f| self.object(f)).collect::<Vec<Value>>()),
            "histogram": self.sums.histogram,
        });
        let parameters = serde_json::to_value(self.a).unwrap_or(Value::Null);
        Answer { parameters, result, report: map(self.report()), table }
    }

    fn record(&self, f: &Found) -> &str {
        &self.sums.records[f.record].0
    }

    fn ending(&self) -> &'static str {
        if self.complete { Ending::Finished.name() } else { Ending::Interrupted.name() }
    }

    fn object(&self, f: &Found) -> Value {
        let mut object = json!({"record": self.record(f), "position": f.position, "strand": strand(f),
            "distance": f.distance, "pattern": self.patterns[f.pattern].0});
        if let Some(valid) = f.valid {
            object["valid"] = json!(valid);
        }
        object
    }

    fn minimum(&self) -> Option<Value> {
        let mut minimum = self.sums.minimum.as_ref().map(|f| self.object(f));
        if let (Some(minimum), Some(least)) = (&mut minimum, self.sums.least) {
            minimum["distance"] = json!(least);
        }
        minimum
    }

    fn report(&self) -> Value {
        let sums = self.sums;
        let mut report = json!({
            "path": sums.path, "ending": self.ending(), "engines": sums.engines, "complete": self.complete,
            "records_shorter_than_pattern": sums.short,
        });
        if self.a.epsilon.is_some() {
            report["approximation"] = json!(sums.approximations);
        }
        report
    }

    fn table(&self, status: &str, minimum: Option<&Value>) -> String {
        let mut table = format!("alignments {}\nstatus {status}, {}\n", self.sums.alignments, self.ending());
        if let Some(m) = minimum {
            let text = |key: &str| m[key].as_str().unwrap_or_default().to_owned();
            let (d, p) = (&m["distance"], &m["position"]);
            table +=
                &format!("minimum {d} of {} at {}:{p} strand {}\n", text("pattern"), text("record"), text("strand"));
        }
        if self.a.wants_hits() && self.a.out.is_none() {
            for f in &self.sums.hits {
                let (record, name) = (self.record(f), &self.patterns[f.pattern].0);
                table += &format!("{record}\t{}\t{}\t{}\t{name}\n", f.position, strand(f), f.distance);
            }
        }
        table
    }
}

fn strand(f: &Found) -> &'static str {
    if f.reverse { "-" } else { "+" }
}
