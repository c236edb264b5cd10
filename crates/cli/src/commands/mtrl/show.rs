//! What was learned, as files, table and JSON.
use samplewise_linalg::{Ending, Matrix};
use samplewise_mtrl::{Learned, TaskOracle};
use serde_json::{Value, json};

use super::args::Arguments;
use super::read::Files;
use crate::commands::map;
use crate::failure::Failure;
use crate::input;
use crate::output::{self, line};
use crate::session::{Answer, Session};

/// What the answer is made of.
pub(super) struct Outcome {
    learned: Learned,
    names: Vec<String>,
    /// Money spent on each task.
    costs: Vec<f64>,
    train_mse: f64,
    test_mse: Option<f64>,
}

impl Outcome {
    pub fn new(
        learned: Learned,
        sources: &Files,
        target: &(Matrix, Vec<f64>),
        test: Option<&(Matrix, Vec<f64>)>,
    ) -> Self {
        let error = |(x, y): &(Matrix, Vec<f64>)| {
            let mut predicted = vec![0.0; y.len()];
            x.multiply_vector_into(learned.target(), &mut predicted);
            y.iter().zip(&predicted).map(|(y, p)| (y - p).powi(2)).sum::<f64>() / predicted.len() as f64
        };
        let (train_mse, test_mse) = (error(target), test.map(error));
        let costs = learned.samples.iter().enumerate().map(|(m, n)| sources.cost(m).total(*n)).collect();
        Self { learned, names: sources.names.clone(), costs, train_mse, test_mse }
    }

    /// Name, relevance, samples and cost of every source task.
    fn tasks(&self) -> impl Iterator<Item = (&str, f64, usize, f64)> {
        let nu = &self.learned.last().relevance.nu;
        (0..self.names.len()).map(move |m| (&self.names[m][..], nu[m], self.learned.samples[m], self.costs[m]))
    }

    /// The file of `--out`.
    pub fn write(&self, a: &Arguments) -> Result<(), Failure> {
        let Some(file) = &a.out else { return Ok(()) };
        if input::kind(file) == "npy" {
            return output::write_npy(file, self.learned.target());
        }
        output::write(file, |to| {
            writeln!(to, "{}", line(file, &["task", "relevance", "samples", "cost"])?)?;
            for (name, nu, samples, cost) in self.tasks() {
                writeln!(to, "{}", line(file, &[name, &nu.to_string(), &samples.to_string(), &cost.to_string()])?)?;
            }
            Ok(())
        })
    }

    /// Says what falls short.
    pub fn warn(&self, a: &Arguments, session: &Session) {
        let risk = self.learned.last().predicted_risk;
        match self.learned.report.ending {
            Ending::Limit if a.risk.is_some_and(|wanted| risk.is_nan() || risk > wanted) => {
                session.warn(format!("the predicted excess risk is {risk:.3e}, more than --risk"));
            }
            Ending::Limit => session.warn("the representation came to its limit of evaluations: it is the best so far"),
            Ending::Interrupted => session.warn("interrupted: the answer is that of the samples drawn by then"),
            Ending::Finished => {}
        }
    }

    fn status(&self) -> &'static str {
        match self.learned.report.ending {
            Ending::Finished => "fitted",
            Ending::Limit => "limit",
            Ending::Interrupted => "interrupted",
        }
    }

    fn total(&self) -> usize {
        self.learned.samples.iter().sum()
    }
}

pub(super) fn answer(a: &Arguments, outcome: &Outcome) -> Answer {
    let parameters = serde_json::to_value(a).unwrap_or(Value::Null);
    Answer { parameters, result: result(outcome), report: map(report(a, outcome)), table: table(a, outcome) }
}

fn result(o: &Outcome) -> Value {
    let last = o.learned.last();
    let task = |(name, nu, samples, cost): (&str, f64, usize, f64)| json!({"task": name, "nu": nu, "samples": samples, "cost": cost});
    json!({
        "status": o.status(), "tasks": o.names.len(), "dimension": o.learned.representation.basis.columns(),
        "relevance": o.tasks().map(task).collect::<Vec<_>>(), "target_train_mse": o.train_mse,
        "target_test_mse": o.test_mse, "total_samples": o.total(), "total_cost": o.learned.cost,
        "predicted_risk": finite(last.predicted_risk), "efficiency": last.efficiency,
    })
}

fn report(a: &Arguments, o: &Outcome) -> Value {
    let report = &o.learned.report;
    let round = |r: &samplewise_mtrl::Round| {
        json!({
            "followed": r.followed.name(), "samples": r.samples.iter().sum::<usize>(), "cost": r.cost,
            "predicted_risk": finite(r.predicted_risk), "efficiency": r.efficiency, "noise": finite(r.noise),
            "lasso_gap": r.relevance.gap,
        })
    };
    json!({
        "path": format!("quasi-Newton representation, {}", a.strategy), "ending": report.ending.name(),
        "rounds": report.rounds.iter().map(round).collect::<Vec<_>>(),
        "loss": finite(o.learned.representation.loss),
        "evaluations": o.learned.representation.report.iterations,
    })
}

fn table(a: &Arguments, o: &Outcome) -> String {
    let last = o.learned.last();
    let mut table = format!("target {} from {} source samples, training mse {:.6}", a.target, o.total(), o.train_mse);
    table += &o.test_mse.map_or(String::new(), |t| format!(", test mse {t:.6}"));
    table += &format!(
        "\nstatus {}, {}\ndimension {}, noise variance {:.4}, predicted excess risk {:.6}, Elfving efficiency {:.3}, followed {}\n",
        o.status(),
        o.learned.report.ending.name(),
        o.learned.representation.basis.columns(),
        last.noise,
        last.predicted_risk,
        last.efficiency,
        last.followed.name()
    );
    for (name, nu, samples, _) in o.tasks() {
        table += &format!("{name:>16} relevance {nu:+.4} samples {samples}\n");
    }
    table
}

/// JSON has no infinity: a risk that cannot be predicted is null.
fn finite(v: f64) -> Option<f64> {
    v.is_finite().then_some(v)
}
