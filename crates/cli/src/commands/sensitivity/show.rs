//! Scores, coresets and fits as files, table and JSON.
use samplewise_sensitivity::{Coreset, Ending, Regression, Route, Scores, Status};
use serde_json::{Value, json};

use super::args::Arguments;
use super::read::Data;
use crate::commands::map;
use crate::failure::Failure;
use crate::output::{self, line};
use crate::session::{Answer, Session};

/// What the answer is made of.
pub(super) struct Outcome {
    pub data: Data,
    pub scores: Scores,
    /// Rows of the coreset that was asked for.
    pub size: usize,
    pub sample: Coreset,
    pub regression: Option<Regression>,
}

impl Outcome {
    /// The files of `--scores` and `--out`.
    pub fn write(&self, a: &Arguments) -> Result<(), Failure> {
        let Data { table, x, .. } = &self.data;
        if let Some(path) = &a.scores {
            let s = &self.scores;
            output::write(path, |w| {
                writeln!(w, "{}", line(path, &["row", "score", "lower", "upper"])?)?;
                (0..x.rows()).try_for_each(|i| {
                    let cells =
                        [i.to_string(), s.values[i].to_string(), s.lower[i].to_string(), s.upper[i].to_string()];
                    writeln!(w, "{}", line(path, &cells)?)
                })
            })?;
        }
        let Some(path) = &a.out else { return Ok(()) };
        let rows = self.sample.rows.iter().zip(&self.sample.weights);
        let cells = |i: usize| table.rows[i].iter().map(String::as_str);
        write_coreset(path, &table.header, rows.map(|(&i, &w)| (i as u64, w, cells(i))))
    }

    /// Says what falls short.
    pub fn warn(&self, session: &Session) {
        if let Some(r) = &self.regression {
            say(session, r);
        }
        if !self.scores.converged() {
            session.warn("the scores did not converge: their bounds hold, the sample may be worse than its size");
        }
    }

    pub fn answer(&self, a: &Arguments, session: &Session) -> Answer {
        let (word, ending) = match &self.regression {
            Some(r) => (status(r), r.report.ending),
            None if session.interrupted() => ("interrupted", Ending::Interrupted),
            None if self.scores.converged() => ("converged", Ending::Finished),
            None => ("limit", Ending::Limit),
        };
        let mut parameters = serde_json::to_value(a).unwrap_or(Value::Null);
        parameters["size"] = json!(self.size);
        Answer {
            parameters,
            result: self.result(a, word),
            report: map(self.report(a, ending, session)),
            table: self.table(a, word, ending),
        }
    }

    fn result(&self, a: &Arguments, word: &str) -> Value {
        let (Data { x, .. }, s) = (&self.data, &self.scores);
        let (least, most) = s.total_sensitivity();
        let mut result = json!({
            "status": word, "rows": x.rows(), "columns": x.columns(), "rank": s.rank, "total": s.total,
            "size": self.sample.rows.len(), "total_sensitivity": {"lower": least, "upper": most},
        });
        if let Some(r) = &self.regression {
            result["regression"] = json!({
                "coefficients": coefficients(r, &self.names(a)), "status": status(r), "objective": r.objective,
                "lower_bound": r.lower_bound, "gap": r.gap(), "rows_scored": r.report.rows_scored,
                "rows_used": r.report.rows_used, "rank": r.report.rank,
            });
        }
        result
    }

    fn report(&self, a: &Arguments, ending: Ending, session: &Session) -> Value {
        let s = &self.scores;
        json!({
            "path": a.method, "ending": ending.name(), "condition": s.condition, "score_steps": s.report.iterations,
            "lewis_residual": s.report.residual, "converged": s.converged(), "interrupted": session.interrupted(),
            "expected_size": self.sample.expected_size, "solver": self.regression.as_ref().map(solver),
        })
    }

    fn table(&self, a: &Arguments, word: &str, ending: Ending) -> String {
        let (Data { x, .. }, s) = (&self.data, &self.scores);
        let (least, most) = s.total_sensitivity();
        let mut text = format!(
            "rows {} columns {} rank {}\ntotal score {:.4}; the sensitivities sum to {least:.4} at least, {most:.4} at \
             most\ncoreset {} rows\n",
            x.rows(),
            x.columns(),
            s.rank,
            s.total,
            self.sample.rows.len()
        );
        if !s.converged() {
            text += "the scores did not converge: their bounds hold, the sample may be worse than its size\n";
        }
        if let Some(r) = &self.regression {
            text += &describe(r, &self.names(a));
        }
        text + &format!("status {word}, {}\n", ending.name())
    }

    fn names(&self, a: &Arguments) -> Vec<&str> {
        names(&self.data.table.header, &self.data.features, a.intercept)
    }
}

/// Names of the coefficients of a fit.
pub(super) fn names<'h>(header: &'h [String], features: &[usize], intercept: bool) -> Vec<&'h str> {
    features.iter().map(|&j| header[j].as_str()).chain(intercept.then_some("(intercept)")).collect()
}

/// Coefficients with their names.
pub(super) fn coefficients(r: &Regression, names: &[&str]) -> Vec<Value> {
    names.iter().zip(&r.coefficients).map(|(n, v)| json!({"name": n, "value": v})).collect()
}

/// `row,weight` and the original columns.
pub(super) fn write_coreset<'a, C: Iterator<Item = &'a str>>(
    path: &std::path::Path,
    header: &[String],
    rows: impl Iterator<Item = (u64, f64, C)>,
) -> Result<(), Failure> {
    output::write(path, |w| {
        let names: Vec<&str> = ["row", "weight"].into_iter().chain(header.iter().map(String::as_str)).collect();
        writeln!(w, "{}", line(path, &names)?)?;
        for (i, weight, cells) in rows {
            let all: Vec<String> =
                [i.to_string(), weight.to_string()].into_iter().chain(cells.map(str::to_owned)).collect();
            writeln!(w, "{}", line(path, &all)?)?;
        }
        Ok(())
    })
}

/// How a regression ended.
pub(super) fn solver(r: &Regression) -> Value {
    let path = match r.report.route {
        Route::InteriorPoint => json!("interior point"),
        Route::Preprocessed { rows, repaired } => json!({"reduced to rows": rows, "rows put back": repaired}),
        Route::Newton => json!("newton"),
        Route::LeastSquares => json!("least squares"),
        Route::Edges => json!("edges"),
        Route::Passes => json!("passes"),
    };
    json!({"iterations": r.report.iterations, "converged": r.converged(), "status": status(r), "path": path,
        "no_bound": r.no_bound.map(|why| why.to_string())})
}

/// Says of a regression that did not converge, or has no bound, what it is.
pub(super) fn say(session: &Session, r: &Regression) {
    match status(r) {
        "limit" => session.warn("the regression did not converge: its gap says how far off it may be"),
        "interrupted" => session.warn("interrupted: the coefficients are the best by then"),
        _ => {}
    }
    if let Some(why) = r.no_bound {
        session.warn(format!("there is no lower bound: {why}"));
    }
}

/// Claim and ending in one word.
pub(super) fn status(r: &Regression) -> &'static str {
    match (r.status, r.report.ending) {
        (Status::Converged, _) => "converged",
        (Status::NotConverged, Ending::Interrupted) => "interrupted",
        (Status::NotConverged, _) => "limit",
    }
}

/// `at least so much is unavoidable`, or why that cannot be said.
pub(super) fn bound(r: &Regression) -> String {
    match (r.lower_bound, r.no_bound) {
        (Some(bound), _) => format!("at least {bound:.6} is unavoidable"),
        (None, Some(why)) => format!("no lower bound ({why})"),
        (None, None) => "no lower bound".to_owned(),
    }
}

fn describe(r: &Regression, names: &[&str]) -> String {
    let scored =
        if r.report.rows_scored > 0 { format!(" of {} scored for it", r.report.rows_scored) } else { String::new() };
    let mut text =
        format!("objective {:.6} on all rows, {} ({} rows used{scored})\n", r.objective, bound(r), r.report.rows_used);
    for (n, v) in names.iter().zip(&r.coefficients) {
        text += &format!("{n:>16} {v:+.6}\n");
    }
    text
}
