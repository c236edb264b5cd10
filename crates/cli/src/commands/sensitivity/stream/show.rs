//! A coreset of a stream, and what was fitted to it, as files, table and JSON.
use samplewise_linalg::Ending;
use samplewise_sensitivity::Regression;
use serde_json::{Value, json};

use super::read::Columns;
use super::run::Pass;
use crate::choices;
use crate::commands::map;
use crate::commands::sensitivity::args::Arguments;
use crate::commands::sensitivity::show;
use crate::failure::Failure;
use crate::session::{Answer, Session};

/// What the answer is made of.
pub(super) struct Outcome {
    pub columns: Columns,
    /// Rows of the coreset that was asked for.
    pub size: usize,
    pub pass: Pass,
    /// The regression on the coreset, and its loss on all rows where they could be read again.
    pub fit: Option<(Regression, Option<f64>)>,
}

impl Outcome {
    /// The file of `--out`.
    pub fn write(&self, a: &Arguments) -> Result<(), Failure> {
        let (Some(path), Pass { coreset, cells, .. }) = (&a.out, &self.pass) else { return Ok(()) };
        let rows = coreset.rows.iter().zip(&coreset.weights).map(|(row, w)| (*row, *w, cells[row].iter()));
        show::write_coreset(path, &self.columns.header, rows)
    }

    /// Says what falls short.
    pub fn warn(&self, session: &Session) {
        let out = &self.pass.coreset;
        if out.rank_lost > 0 {
            session.warn(format!(
                "the coreset lost {} of {} directions: columns that few rows know are not in it; \
                 --method leverage or lewis keeps them",
                out.rank_lost, out.rank
            ));
        }
        if let Some((r, _)) = &self.fit {
            show::say(session, r);
        }
    }

    pub fn answer(&self, a: &Arguments, session: &Session) -> Answer {
        let interrupted = session.interrupted();
        let (word, ending) = match &self.fit {
            _ if interrupted => ("interrupted", Ending::Interrupted),
            Some((r, _)) => (show::status(r), r.report.ending),
            None => ("converged", Ending::Finished),
        };
        let mut parameters = serde_json::to_value(a).unwrap_or(Value::Null);
        parameters["size"] = json!(self.size);
        let report = json!({
            "path": format!("{}, streamed", choices::word(&a.method)), "ending": ending.name(),
            "condition": self.pass.coreset.condition, "levels": self.pass.coreset.levels,
            "most_rows_held": self.pass.most_held, "interrupted": interrupted,
            "solver": self.fit.as_ref().map(|f| show::solver(&f.0)),
        });
        Answer {
            parameters,
            result: self.result(a, word),
            report: map(report),
            table: self.table(a, interrupted) + &format!("status {word}, {}\n", ending.name()),
        }
    }

    fn names(&self, a: &Arguments) -> Vec<&str> {
        show::names(&self.columns.header, &self.columns.features, a.intercept)
    }

    fn result(&self, a: &Arguments, word: &str) -> Value {
        let (out, columns) = (&self.pass.coreset, &self.columns);
        let mut result = json!({
            "status": word, "rank_lost": out.rank_lost, "rows": out.seen, "columns": columns.given(),
            "scored_columns": columns.scored(), "rank": out.rank, "total": out.total, "size": out.rows.len(),
        });
        if let Some((r, all)) = &self.fit {
            result["regression"] = json!({
                "coefficients": show::coefficients(r, &self.names(a)), "status": show::status(r),
                "coreset_objective": r.objective, "coreset_lower_bound": r.lower_bound, "objective": all,
                "rank": r.report.rank,
            });
        }
        result
    }

    fn table(&self, a: &Arguments, interrupted: bool) -> String {
        let (out, columns) = (&self.pass.coreset, &self.columns);
        let whole = if out.levels == 0 {
            "the same as of all rows at once".to_owned()
        } else {
            format!("by {} levels of merging and reducing", out.levels)
        };
        // The rank is that of what was scored.
        let with_target = if columns.target.is_some() { " with the target" } else { "" };
        let mut text = format!(
            "rows {} columns {} rank {}{with_target}\ncoreset {} rows, {whole}; at most {} rows were held\n",
            out.seen,
            columns.given(),
            out.rank,
            out.rows.len(),
            self.pass.most_held
        );
        if interrupted {
            text += "interrupted: of the rows read so far\n";
        }
        if let Some((r, all)) = &self.fit {
            text += &format!("objective {:.6} on the coreset, {} there\n", r.objective, show::bound(r));
            if let Some(all) = all {
                text += &format!("objective {all:.6} on all rows, by a second pass\n");
            }
            for (n, v) in self.names(a).iter().zip(&r.coefficients) {
                text += &format!("{n:>16} {v:+.6}\n");
            }
        }
        text
    }
}
