//! Draws as files, table and JSON.
use samplewise_completion::{Ending, Matrix, Posterior};
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
    pub found: Posterior,
    /// What became of the pairs to predict, when they were written.
    pub counted: Option<Counted>,
}

impl Outcome {
    /// The files of `--out` and `--factors`.
    pub fn write(&mut self, a: &Arguments) -> Result<(), Failure> {
        if let (Some((pairs, positions)), Some(out)) = (&self.data.pairs, &a.out) {
            // A posterior says of every entry how much is known: none is undetermined.
            let mut count = Counted::default();
            output::write(out, |w| {
                writeln!(w, "{}", line(out, &["row", "column", "prediction", "deviation"])?)?;
                for (pair, at) in pairs.iter().zip(positions) {
                    let (mean, deviation) = if let Some((i, j)) = at {
                        let p = self.found.predict(*i, *j);
                        count.determined += 1;
                        (p.mean.to_string(), p.deviation.to_string())
                    } else {
                        count.unknown += 1;
                        (String::new(), String::new())
                    };
                    writeln!(w, "{}", line(out, &[&pair[0], &pair[1], &mean, &deviation])?)?;
                }
                Ok(())
            })?;
            self.counted = Some(count);
        }
        match &a.factors {
            Some(path) => write_draws(path, &self.found, &self.data.rows, &self.data.columns),
            None => Ok(()),
        }
    }

    /// Says what falls short.
    pub fn warn(&self, session: &Session) {
        if ending_of(self.found.report.ending, session) == Ending::Limit {
            session.warn("the limit of time was reached: these are the draws so far");
        }
    }

    pub fn answer(&self, a: &Arguments, session: &Session) -> Answer {
        let ending = ending_of(self.found.report.ending, session);
        let status = match ending {
            Ending::Interrupted => "interrupted",
            Ending::Limit => "limit",
            Ending::Finished => "fitted",
        };
        Answer {
            parameters: a.parameters(),
            result: self.result(status),
            report: map(self.report(ending)),
            table: self.table(status, ending),
        }
    }

    fn rank(&self) -> usize {
        self.found.models.models()[0].rank()
    }

    fn result(&self, status: &str) -> Value {
        let (r, (rows, columns, observed)) = (&self.found.report, self.data.shape());
        json!({
            "status": status, "rows": rows, "columns": columns, "observed": observed, "undetermined_rows": null,
            "undetermined_columns": null, "rank": self.rank(), "train_rmse": r.train_rmse, "test_rmse": r.test_rmse,
            "baseline_test_rmse": r.baseline_test_rmse, "predictions": self.counted.as_ref().map(Counted::json),
        })
    }

    fn report(&self, ending: Ending) -> Value {
        let r = &self.found.report;
        json!({
            "path": "posterior draws", "ending": ending.name(),
            "draws": self.found.models.models().len(), "noise": r.noise, "noise_trace": r.trace,
            "test_coverage_of_nine_tenths": r.test_coverage, "fitted_entries": r.fitted_entries,
            "verification_entries": r.verification_entries,
        })
    }

    fn table(&self, status: &str, ending: Ending) -> String {
        let r = &self.found.report;
        let errors = [Some(r.train_rmse), r.test_rmse, r.baseline_test_rmse];
        answer_table((status, ending), self.data.shape(), self.rank(), errors)
            + &format!("noise         {:.5}, mean of {} draws\n", r.noise, self.found.models.models().len())
    }
}

/// As for one fit, with the draws as first axis, and the noise.
fn write_draws(path: &std::path::Path, found: &Posterior, rows: &Ids, columns: &Ids) -> Result<(), Failure> {
    let models = found.models.models();
    let draws = models.len() as u64;
    let all = |part: &dyn Fn(&samplewise_completion::Model) -> &[f64]| -> Vec<f64> {
        models.iter().flat_map(|m| part(m).iter().copied()).collect()
    };
    let shape = |m: &Matrix| vec![draws, m.rows() as u64, m.columns() as u64];
    let (u, v) = models[0].factors();
    let (row_ids, column_ids) = (rows.in_order(), columns.in_order());
    let (row_biases, column_biases) = (all(&|m| &m.row_biases), all(&|m| &m.column_biases));
    let (left, right) = (all(&|m| m.row_factors.as_slice()), all(&|m| m.column_factors.as_slice()));
    let numbers = |shape, values| Array::Numbers { shape, values };
    output::write_npz(
        path,
        &[
            ("mean", numbers(Vec::new(), &[models[0].mean])),
            ("noise", numbers(vec![draws], &found.noise)),
            ("row_biases", numbers(vec![draws, u.rows() as u64], &row_biases)),
            ("column_biases", numbers(vec![draws, v.rows() as u64], &column_biases)),
            ("row_factors", numbers(shape(u), &left)),
            ("column_factors", numbers(shape(v), &right)),
            ("row_ids", Array::Names(&row_ids)),
            ("column_ids", Array::Names(&column_ids)),
        ],
    )
}
