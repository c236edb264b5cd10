//! A fit as files, table and JSON.
use std::path::Path;

use samplewise_completion::{Check, Completion, Ending, Matrix, Model, Route, Stage, Status};
use serde_json::{Value, json};

use crate::commands::complete::args::Arguments;
use crate::commands::complete::read::Data;
use crate::commands::complete::run::ending_of;
use crate::commands::complete::show::{Counted, answer_table};
use crate::commands::complete::triplets::Ids;
use crate::commands::map;
use crate::failure::Failure;
use crate::output::{self, Array, line};
use crate::session::{Answer, Session};

/// What the answer is made of.
pub(super) struct Outcome {
    pub data: Data,
    pub done: Completion,
    /// What became of the pairs to predict, when they were written.
    pub counted: Option<Counted>,
}

impl Outcome {
    /// The files of `--out` and `--factors`.
    pub fn write(&mut self, a: &Arguments) -> Result<(), Failure> {
        if let (Some((pairs, positions)), Some(out)) = (&self.data.pairs, &a.out) {
            let mut count = Counted::default();
            output::write(out, |w| {
                writeln!(w, "{}", line(out, &["row", "column", "prediction"])?)?;
                for (pair, at) in pairs.iter().zip(positions) {
                    // Nothing is predicted where nothing is known.
                    let value = match at.map(|(i, j)| self.done.predict(i, j)) {
                        Some(Some(value)) => {
                            count.determined += 1;
                            value.to_string()
                        }
                        other => {
                            *(if other.is_some() { &mut count.undetermined } else { &mut count.unknown }) += 1;
                            String::new()
                        }
                    };
                    writeln!(w, "{}", line(out, &[&pair[0], &pair[1], &value])?)?;
                }
                Ok(())
            })?;
            self.counted = Some(count);
        }
        match &a.factors {
            Some(path) => write_factors(path, &self.done.model, &self.data.rows, &self.data.columns),
            None => Ok(()),
        }
    }

    /// Says what falls short.
    pub fn warn(&self, session: &Session) {
        if let Some(count) = self.counted.as_ref().filter(|c| c.undetermined > 0) {
            let (open, all) = (count.undetermined, count.determined + count.undetermined + count.unknown);
            session.warn(format!("{open} of {all} pairs are not determined by the triplets and have no prediction"));
        }
        let r = &self.done.report;
        match self.done.status {
            Status::NotRecovered => {
                session.warn("not recovered: the held-out or the given entries disagree with the model");
            }
            Status::NotConverged if ending_of(r.ending, session) == Ending::Limit => {
                session.warn("a limit of iterations or time was reached: this is the best model so far");
            }
            _ => {}
        }
        let (groups, share) = (r.determination.groups(), r.determination.undetermined_share);
        if groups > 1 {
            session.warn(format!(
                "rows and columns fall into {groups} groups that nothing ties together: {:.1} % of the matrix is not \
                 determined",
                100.0 * share
            ));
        }
    }

    pub fn answer(&self, a: &Arguments, session: &Session) -> Answer {
        let ending = ending_of(self.done.report.ending, session);
        let status = self.status(ending);
        Answer {
            parameters: a.parameters(),
            result: self.result(status),
            report: map(self.report(ending)),
            table: self.table(status, ending),
        }
    }

    fn status(&self, ending: Ending) -> &'static str {
        match self.done.status {
            Status::Verified => "verified",
            Status::VerifiedInParts => "verified_in_parts",
            Status::Fitted => "fitted",
            Status::NotRecovered => "not_recovered",
            Status::NotConverged if ending == Ending::Limit => "limit",
            Status::NotConverged => "interrupted",
        }
    }

    fn result(&self, status: &str) -> Value {
        let r = &self.done.report;
        let (rows, columns, observed) = self.data.shape();
        json!({
            "status": status, "rows": rows, "columns": columns, "observed": observed,
            "components": r.determination.groups(), "undetermined_share": r.determination.undetermined_share,
            "undetermined_rows": r.undetermined_rows.len(), "undetermined_columns": r.undetermined_columns.len(),
            "rank": r.rank, "train_rmse": r.train_rmse, "test_rmse": r.test_rmse,
            "baseline_test_rmse": r.baseline_test_rmse, "predictions": self.counted.as_ref().map(Counted::json),
        })
    }

    fn report(&self, ending: Ending) -> Value {
        let r = &self.done.report;
        let path = match r.route {
            Route::Annealing { decay, pairs } => format!("annealing by {decay}, {pairs} pairs per ridge"),
            other => other.name().to_owned(),
        };
        let cost = |s: &Stage| json!({"stage": s.name, "steps": s.steps, "floors": s.floors, "seconds": s.seconds.0});
        json!({
            "path": path, "ending": ending.name(), "rank_checked": r.determination.check != Check::Components,
            "oversampling": r.oversampling, "outliers": r.outliers.len(),
            "costs": r.stages.iter().map(cost).collect::<Vec<_>>(), "verification_fitted": r.verification_fitted,
            "lambda": r.lambda, "iterations": r.iterations, "tuning_entries": r.tuning_entries,
            "verification_entries": r.verification_entries, "relative_test_error": r.relative_test_error,
            "spread": r.spread,
            "certificate": {
                "share": r.certificate.map(|c| c.exceeding_share(0.05)),
                "error_above": r.certificate.map(|c| c.largest_error),
                "confidence": 0.95,
            },
            "ranks_tried": r.ranks_tried,
        })
    }

    fn table(&self, status: &str, ending: Ending) -> String {
        let r = &self.done.report;
        let errors = [Some(r.train_rmse), r.test_rmse, r.baseline_test_rmse];
        let mut table = answer_table((status, ending), self.data.shape(), r.rank, errors);
        let (groups, share) = (r.determination.groups(), r.determination.undetermined_share);
        if groups > 1 {
            table += &format!("components    {groups}, {:.1} % of the matrix is not determined\n", 100.0 * share);
        }
        if let Some(c) = &self.counted {
            let (determined, open, unknown) = (c.determined, c.undetermined, c.unknown);
            table += &format!("predictions   {determined}, {open} not determined, {unknown} of unknown ids\n");
        }
        table
    }
}

fn write_factors(path: &Path, model: &Model, rows: &Ids, columns: &Ids) -> Result<(), Failure> {
    let (u, v) = model.factors();
    let (row_ids, column_ids) = (rows.in_order(), columns.in_order());
    let matrix = |m: &Matrix| vec![m.rows() as u64, m.columns() as u64];
    let line = |values| Array::Numbers { shape: vec![<[f64]>::len(values) as u64], values };
    output::write_npz(
        path,
        &[
            ("mean", Array::Numbers { shape: Vec::new(), values: &[model.mean] }),
            ("row_biases", line(&model.row_biases)),
            ("column_biases", line(&model.column_biases)),
            ("row_factors", Array::Numbers { shape: matrix(u), values: u.as_slice() }),
            ("column_factors", Array::Numbers { shape: matrix(v), values: v.as_slice() }),
            ("row_ids", Array::Names(&row_ids)),
            ("column_ids", Array::Names(&column_ids)),
        ],
    )
}
