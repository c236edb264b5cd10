//! Fits as files, table and JSON.
use samplewise_lasso::{Ending, Solution, Status};
use serde_json::{Value, json};

use super::args::Arguments;
use crate::commands::map;
use crate::failure::Failure;
use crate::output::{self, line};
use crate::session::{Answer, Session};

/// What the answer is made of.
pub(super) struct Outcome {
    pub fits: Vec<Solution>,
    /// Which of the fits is the answer.
    pub chosen: usize,
    /// What cross-validation says, or null.
    pub cv: Value,
    pub names: Vec<String>,
}

impl Outcome {
    /// The file of `--out`.
    pub fn write(&self, a: &Arguments) -> Result<(), Failure> {
        let Some(file) = &a.out else { return Ok(()) };
        output::write(file, |to| {
            writeln!(to, "{}", line(file, &["lambda", "column", "coefficient"])?)?;
            for fit in &self.fits {
                let lambda = fit.lambda.to_string();
                writeln!(to, "{}", line(file, &[&lambda, "(intercept)", &fit.intercept.to_string()])?)?;
                for &(j, v) in &fit.coefficients {
                    writeln!(to, "{}", line(file, &[&lambda, &self.names[j], &v.to_string()])?)?;
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
        Answer { parameters, result: self.result(a), report: map(self.report()), table: self.table() }
    }

    fn result(&self, a: &Arguments) -> Value {
        let show = |s: &Solution| {
            let named = |&(j, v): &(usize, f64)| json!({"name": self.names[j], "value": v});
            json!({
                "status": status(s.status, s.report.ending), "lambda": s.lambda, "intercept": s.intercept,
                "coefficients": s.coefficients.iter().map(named).collect::<Vec<_>>(), "objective": s.objective,
                "duality_gap": s.gap(), "dual_scale": s.report.dual_scale, "nonzeros": s.coefficients.len(),
            })
        };
        let mut result = show(&self.fits[self.chosen]);
        if a.path.is_some() || a.cv.is_some() {
            result["path"] = self.fits.iter().map(show).collect();
        }
        result["cv"].clone_from(&self.cv);
        result
    }

    fn report(&self) -> Value {
        let best = &self.fits[self.chosen];
        json!({
            "path": best.report.route.name(), "status": status(best.status, best.report.ending),
            "ending": best.report.ending.name(), "limits": self.fits.iter().filter(|f| !f.converged()).count(),
            "iterations": self.fits.iter().map(|f| f.report.iterations).sum::<usize>(),
            "null_objective": best.report.null_objective,
        })
    }

    fn table(&self) -> String {
        let best = &self.fits[self.chosen];
        let mut table = format!(
            "lambda {:.6e}\nobjective {:.6e}, duality gap {:.1e}\nstatus {}, {}\nintercept {:+.6}\n",
            best.lambda,
            best.objective,
            best.gap(),
            status(best.status, best.report.ending),
            best.report.ending.name(),
            best.intercept
        );
        for &(j, v) in &best.coefficients {
            table += &format!("{:>16} {v:+.6}\n", self.names[j]);
        }
        table
    }
}

/// Says of fits that did not converge what they are; they can be used all the same.
pub(super) fn say(session: &Session, all: &[(Status, Ending)]) {
    let count = |wanted: &str| all.iter().filter(|s| status(s.0, s.1) == wanted).count();
    let (limits, failed) = (count("limit"), count("certificate_failed"));
    if limits > 0 {
        let of = all.len();
        session.warn(format!("{limits} of {of} fits did not converge: their duality gaps say how far off they may be"));
    }
    if failed > 0 {
        session.warn(format!("the certificates of {failed} of {} fits failed: nothing is proven of them", all.len()));
    }
    if all.iter().any(|s| s.1 == Ending::Interrupted) {
        session.warn("interrupted: the last fit is the best by then");
    }
}

/// Claim and ending in one word.
pub(super) fn status(status: Status, ending: Ending) -> &'static str {
    match (status, ending) {
        (Status::Converged, _) => "converged",
        (Status::CertificateFailed, _) => "certificate_failed",
        (Status::NotConverged, Ending::Interrupted) => "interrupted",
        (Status::NotConverged, _) => "limit",
    }
}
