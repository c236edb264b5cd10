//! A spectrum for people and for programs.
use samplewise_linalg::Ending;
use samplewise_wht::Status;
use samplewise_wht::any::AnySpectrum;
use serde_json::{Value, json};

use super::args::Derived;
use crate::commands::map;
use crate::failure::{Failure, bad};
use crate::session::{Answer, Session};

/// A row of bits as characters. Text has the most significant variable first: variable 0 of the text is bit `n − 1`.
pub fn digits(row: &[u8]) -> String {
    row.iter().rev().map(|&bit| if bit == 0 { '0' } else { '1' }).collect()
}

/// The index of a set of variables as characters.
fn index(set: &[usize], n: usize) -> String {
    let mut row = vec![0; n];
    set.iter().for_each(|&i| row[i] = 1);
    digits(&row)
}

/// Variables of the text, ascending.
fn of_text(set: &[usize], n: usize) -> Vec<usize> {
    set.iter().rev().map(|i| n - 1 - i).collect()
}

/// Coefficients printed to people.
const SHOWN: usize = 20;

/// What the answer is made of.
pub(super) struct Outcome<'a> {
    pub spectrum: &'a AnySpectrum,
    pub derived: &'a Derived,
}

impl Outcome<'_> {
    pub fn answer(&self, parameters: Value, session: &Session) -> Result<Answer, Failure> {
        self.warn(session);
        let mut result = self.result();
        let mut table = self.coefficients_for_people();
        table += &self.claim();
        table += &format!("ending {}\n", self.spectrum.report().ending.name());
        if self.derived.moebius {
            table += &self.add_moebius(&mut result)?;
        }
        if self.derived.indices {
            table += &self.add_indices(&mut result);
        }
        Ok(Answer { parameters, result, report: map(self.report()), table })
    }

    /// Says what falls short.
    fn warn(&self, session: &Session) {
        let status = self.spectrum.status();
        match self.spectrum.report().ending {
            Ending::Interrupted => session.warn("interrupted: the answer is the best by then"),
            _ if !status.is_verified() => session.warn("not verified: the coefficients are the best guess"),
            Ending::Limit => session.warn("the questions ended before the answer settled"),
            Ending::Finished => {}
        }
    }

    fn result(&self) -> Value {
        let s = self.spectrum;
        let (n, r, status) = (s.variables(), s.report(), s.status());
        let (sets, values, errors) = (s.sets(), s.values(), s.std_errors());
        let object = |&c: &usize| {
            json!({
                "index": index(&sets[c], n), "set": of_text(&sets[c], n), "value": values[c],
                "std_error": errors.as_ref().map(|e| e[c]),
            })
        };
        let coefficients: Vec<_> = s.top(s.len()).iter().map(object).collect();
        let complete = !matches!(status, Status::Stalled { .. } | Status::BudgetSpent);
        let (word, r2_at_least, delta) = match status {
            Status::Exact { delta } => ("exact", None, Some(delta)),
            Status::Verified { r2_at_least, delta, .. } => ("verified", Some(r2_at_least), Some(delta)),
            Status::Constant { delta, .. } => ("verified", None, Some(delta)),
            Status::Stalled { .. } => ("stalled", None, None),
            Status::BudgetSpent => ("budget_spent", None, None),
            Status::Unverified => ("unverified", None, None),
        };
        json!({
            "variables": n, "samples": r.samples, "coefficients": coefficients, "complete": complete, "status": word,
            "verified": {
                "holdout_samples": r.verification, "residual_std": r.residual_std, "r2": r.r2,
                "r2_at_least": r2_at_least, "delta": delta, "differs_at_most": r.differs_at_most,
                "r2_at_least_assumes": r2_at_least.map(|_| "no peaks so rare that no sample met one"),
            },
        })
    }

    fn report(&self) -> Value {
        let (r, status) = (self.spectrum.report(), self.spectrum.status());
        json!({
            "path": r.route.name(), "ending": r.ending.name(), "status": format!("{status:?}"),
            "noise_std": r.noise_std, "detection_limit": r.detection_limit, "samples_by_stage": r.stages,
            "predicted_seconds": r.choice.map(|c| json!({"dense": c.dense_seconds, "sparse": c.sparse_seconds})),
        })
    }

    /// The largest coefficients with their errors and variables.
    fn coefficients_for_people(&self) -> String {
        let s = self.spectrum;
        let n = s.variables();
        let (sets, values, errors) = (s.sets(), s.values(), s.std_errors());
        let asked = if n < 64 { format!("2^{n} = {}", 1_u64 << n) } else { format!("2^{n}") };
        let mut table = format!("{} coefficients from {} samples of {asked}\n", s.len(), s.report().samples);
        for &c in &s.top(SHOWN.min(s.len())) {
            let error = errors.as_ref().map_or(String::new(), |e| format!(" +- {:.6}", e[c]));
            table += &format!("{:+.6}{error}  {{{}}}\n", values[c], words(&sets[c], n));
        }
        if s.len() > SHOWN {
            table += &format!("... and {} smaller\n", s.len() - SHOWN);
        }
        table
    }

    /// The status in a sentence.
    fn claim(&self) -> String {
        let r = self.spectrum.report();
        match self.spectrum.status() {
            Status::Exact { delta } => format!("exact, up to a probability of {delta:.1e}\n"),
            Status::Verified { r2_at_least, detection_limit, delta } => {
                let seen = r.r2.map_or(String::new(), |r2| format!("R2 {r2:.3} on {} fresh points, ", r.verification));
                let differ = r.differs_at_most.map_or(String::new(), |share| {
                    format!("at most {:.2} % of all points differ up to a probability of {delta}; ", 100.0 * share)
                });
                format!(
                    "verified: {seen}{differ}at least {r2_at_least:.3} on all, unless there are peaks so rare that no \
                     sample met one, up to a probability of {delta}; coefficients below {detection_limit:.3e} may be \
                     missing\n"
                )
            }
            Status::Constant { differs_at_most: 0.0, .. } => "verified: every value is the same\n".to_owned(),
            Status::Constant { differs_at_most, delta } => format!(
                "verified: all {} fresh points agree; at most {:.2} % of all points differ, up to a probability of \
                 {delta}\n",
                r.verification,
                100.0 * differs_at_most
            ),
            Status::Stalled { multi_tons: 0 } => "stalled: fresh samples disagree; more samples may help\n".to_owned(),
            Status::Stalled { multi_tons } => {
                format!("stalled with {multi_tons} bins unexplained: more samples may help\n")
            }
            Status::BudgetSpent => "the samples were spent before fresh ones agreed\n".to_owned(),
            Status::Unverified => "not verified: the fresh samples are too few, or show nothing\n".to_owned(),
        }
    }

    fn add_moebius(&self, result: &mut Value) -> Result<String, Failure> {
        let n = self.spectrum.variables();
        let mut moebius = self.spectrum.to_moebius().map_err(|e| bad(format!("--moebius: {e}")))?;
        result["moebius"] = moebius.iter().map(|(k, v)| json!({"set": of_text(k, n), "value": v})).collect();
        moebius.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
        let mut table = "Moebius coefficients, largest first:\n".to_owned();
        for (k, v) in moebius.iter().take(SHOWN) {
            table += &format!("{v:+.6}  {{{}}}\n", words(k, n));
        }
        Ok(table)
    }

    fn add_indices(&self, result: &mut Value) -> String {
        let s = self.spectrum;
        let turned = |mut values: Vec<f64>| {
            values.reverse();
            values
        };
        let (first, total) = s.sobol();
        let (shapley, banzhaf) = (turned(s.shapley()), turned(s.banzhaf()));
        let (first, total) = (turned(first), turned(total));
        let mut energy = s.energy_by_degree();
        energy.truncate(1 + energy.iter().rposition(|e| *e > 0.0).unwrap_or(0));
        let mut table = "variable    Shapley    Banzhaf  Sobol first  Sobol total\n".to_owned();
        for i in (0..s.variables()).filter(|&i| total[i] > 0.0) {
            table += &format!("{i:8} {:+10.4} {:+10.4} {:12.4} {:12.4}\n", shapley[i], banzhaf[i], first[i], total[i]);
        }
        result["indices"] = json!({
            "shapley": shapley, "banzhaf": banzhaf, "sobol_first": first, "sobol_total": total,
            "energy_by_degree": energy,
        });
        table
    }
}

/// Variables of the text, one after the other.
fn words(set: &[usize], n: usize) -> String {
    of_text(set, n).iter().map(usize::to_string).collect::<Vec<_>>().join(" ")
}
