//! Fits as files, table and JSON.
use samplewise_lasso::group::GroupSolution;
use serde_json::{Value, json};

use crate::commands::lasso::args::Arguments;
use crate::commands::lasso::read::Data;
use crate::commands::lasso::show::{say, status};
use crate::commands::map;
use crate::failure::Failure;
use crate::output::{self, line};
use crate::session::{Answer, Session};

/// What the answer is made of.
pub(super) struct Outcome {
    pub data: Data,
    /// Number of groups.
    pub groups: usize,
    pub group_names: Vec<String>,
    pub fits: Vec<GroupSolution>,
}

impl Outcome {
    /// The file of `--out`.
    pub fn write(&self, a: &Arguments) -> Result<(), Failure> {
        let Some(file) = &a.out else { return Ok(()) };
        let Data { names, titles, .. } = &self.data;
        output::write(file, |to| {
            writeln!(to, "{}", line(file, &["lambda", "column", "target", "coefficient"])?)?;
            for fit in &self.fits {
                let lambda = fit.lambda.to_string();
                for (t, title) in titles.iter().enumerate() {
                    let intercept = fit.intercepts[t].to_string();
                    writeln!(to, "{}", line(file, &[&lambda, "(intercept)", title, &intercept])?)?;
                    for (j, values) in &fit.coefficients {
                        writeln!(to, "{}", line(file, &[&lambda, &names[*j], title, &values[t].to_string()])?)?;
                    }
                }
            }
            Ok(())
        })
    }

    /// Says what falls short.
    pub fn warn(&self, session: &Session) {
        say(session, &self.fits.iter().map(|f| (f.status, f.report.ending)).collect::<Vec<_>>());
    }

    pub fn answer(&self, a: &Arguments) -> Answer {
        let parameters = serde_json::to_value(a).unwrap_or(Value::Null);
        let mut result = self.result(self.best());
        if a.path.is_some() {
            result["path"] = self.fits.iter().map(|s| self.result(s)).collect();
        }
        Answer { parameters, result, report: map(self.report()), table: self.table() }
    }

    fn best(&self) -> &GroupSolution {
        self.fits.last().expect("one λ, one answer")
    }

    fn result(&self, s: &GroupSolution) -> Value {
        let Data { names, titles, .. } = &self.data;
        let list: Vec<_> = s.coefficients.iter().map(|(j, v)| json!({"name": names[*j], "values": v})).collect();
        let chosen: Vec<_> = s.groups.iter().map(|&g| &self.group_names[g]).collect();
        json!({
            "lambda": s.lambda, "targets": titles, "intercepts": s.intercepts, "groups": chosen, "coefficients": list,
            "status": status(s.status, s.report.ending), "objective": s.objective, "duality_gap": s.gap(),
            "dual_scale": s.report.dual_scale,
        })
    }

    fn report(&self) -> Value {
        let best = self.best();
        json!({
            "path": best.report.route.name(), "status": status(best.status, best.report.ending),
            "ending": best.report.ending.name(),
            "iterations": self.fits.iter().map(|f| f.report.iterations).sum::<usize>(),
            "null_objective": best.report.null_objective,
        })
    }

    fn table(&self) -> String {
        let (best, Data { names, titles, .. }) = (self.best(), &self.data);
        let row = |values: &[f64]| {
            let cells: Vec<String> = values.iter().map(|v| format!("{v:+.6}")).collect();
            format!(" {}\n", cells.join(" "))
        };
        let mut table = format!(
            "lambda {:.6e}\nobjective {:.6e}, duality gap {:.1e}\nstatus {}, {}\n{} of {} groups\n{:>16} {}\n{:>16}",
            best.lambda,
            best.objective,
            best.gap(),
            status(best.status, best.report.ending),
            best.report.ending.name(),
            best.groups.len(),
            self.groups,
            "",
            titles.join(" "),
            "(intercept)"
        );
        table += &row(&best.intercepts);
        for (j, values) in &best.coefficients {
            table += &format!("{:>16}{}", names[*j], row(values));
        }
        table
    }
}
