//! A model of variants for people and for programs.
use std::path::Path;

use samplewise_linalg::Ending;
use samplewise_wht::surrogate::{Energy, Estimate, Interaction, Kind, LetterPosterior, Letters, Sobol, Status};
use serde_json::{Value, json};

use super::args::FitWords;
use super::read::{Measured, Scheme};
use crate::commands::map;
use crate::failure::Failure;
use crate::output;
use crate::session::Answer;

/// Rows of predictions printed to people.
const SHOWN: usize = 50;

/// Variants with what is expected of them.
type Rows = Vec<(Vec<u8>, Estimate)>;

/// What may be measured next.
pub(super) struct Next {
    /// Of the largest means.
    pub highest: Rows,
    /// For the goal of the call.
    pub next: Rows,
}

/// What the answer is made of.
pub(super) struct Outcome<'a> {
    data: &'a Measured,
    model: &'a LetterPosterior,
    words: &'a FitWords,
    sobol: Sobol,
    energies: Vec<Energy>,
    /// What each letter does alone.
    pub effects: Vec<Vec<Estimate>>,
    interactions: Vec<Interaction>,
    /// How the call ended, proposals included.
    pub ending: Ending,
}

/// Numbers of positions whose variance is told apart.
const DEGREES: usize = 2;

impl<'a> Outcome<'a> {
    pub fn new(data: &'a Measured, model: &'a LetterPosterior, words: &'a FitWords) -> Self {
        let positions = 0..data.scheme.positions.len();
        Self {
            data,
            model,
            words,
            sobol: model.sobol(),
            energies: model.energy_by_degree(DEGREES),
            effects: positions.map(|i| model.effects(i).expect("positions of the model")).collect(),
            interactions: model.largest_interactions(words.top),
            ending: model.report.ending,
        }
    }

    pub fn answer(&self, parameters: Value, next: Option<&Next>) -> Answer {
        let mut result = self.result();
        let mut table = self.summary();
        table += &self.positions_for_people();
        table += &self.interactions_for_people();
        if let Some(next) = next {
            let rows = |rows: &Rows| rows.iter().map(|r| self.variant(r)).collect::<Vec<_>>();
            result["highest"] = json!(rows(&next.highest));
            result["next"] = json!(rows(&next.next));
            table += &self.rows_for_people("largest expected values of variants not measured:", &next.highest);
            table += &self.rows_for_people("to measure next:", &next.next);
        }
        let ending = self.ending.name();
        table += &format!("status {}, {ending}\n", self.model.status.name());
        Answer { parameters, result, report: map(self.report()), table }
    }

    /// Shares of the variance: of single positions, of pairs, of more.
    fn shares(&self) -> [f64; 3] {
        let share = |d: usize| self.energies.get(d).map_or(0.0, |e| e.share);
        [share(1), share(2), share(3)]
    }

    fn result(&self) -> Value {
        let (scheme, r) = (&self.data.scheme, &self.model.report);
        let position = |i: usize| {
            let letters: Vec<Value> = scheme.letters[i]
                .iter()
                .zip(&self.effects[i])
                .map(|(letter, e)| json!({"letter": letter, "effect": estimate(e)}))
                .collect();
            json!({
                "name": scheme.positions[i], "share_alone": self.sobol.first[i], "share_in_total": self.sobol.total[i],
                "letters": letters,
            })
        };
        let interaction = |i: &Interaction| {
            let letters: Vec<&str> =
                i.positions.iter().zip(&i.letters).map(|(&p, &a)| scheme.letters[p][usize::from(a)].as_str()).collect();
            let names: Vec<&str> = i.positions.iter().map(|&p| scheme.positions[p].as_str()).collect();
            json!({"positions": names, "letters": letters, "effect": estimate(&i.estimate), "share": i.share})
        };
        let [additive, pairs, higher] = self.shares();
        json!({
            "status": self.model.status.name(), "complete": true, "rows": self.data.values.len(),
            "variants": self.data.values.len() - r.merged, "held_out_r2": r.held_out_r2, "held_out": r.held_out,
            "noise_std": r.noise_std, "level": self.words.level,
            "variance": {
                "additive": additive, "pairs": pairs, "higher": higher,
                "of_mean": self.sobol.variance, "expected": self.energies.iter().map(|e| e.expected).sum::<f64>(),
            },
            "positions": (0..scheme.positions.len()).map(position).collect::<Vec<_>>(),
            "interactions": self.interactions.iter().map(interaction).collect::<Vec<_>>(),
            "shapley": self.model.shapley().map(|all| all.iter().map(estimate).collect::<Vec<_>>()),
        })
    }

    fn report(&self) -> Value {
        let r = &self.model.report;
        let expert = |e: &samplewise_wht::surrogate::ExpertReport| {
            let name = match e.kind {
                Kind::Process { spread } => format!("process of spread {spread}"),
                Kind::HeavyTails { freedom } => format!("heavy tails of {freedom} degrees of freedom"),
                Kind::Pursuit => "heredity pursuit".to_owned(),
                Kind::Constant => "constant".to_owned(),
            };
            json!({"expert": name, "share": e.share, "held_out_r2": e.held_out_r2})
        };
        json!({
            "path": "surrogate", "ending": self.ending.name(), "iterations": r.iterations,
            "experts": r.experts.iter().map(expert).collect::<Vec<_>>(), "interval_scale": r.interval_scale,
            "merged": r.merged, "constant_positions": r.constant_variables.iter().map(|&i| &self.data.scheme.positions[i]).collect::<Vec<_>>(),
        })
    }

    fn summary(&self) -> String {
        let (scheme, r) = (&self.data.scheme, &self.model.report);
        let (rows, distinct) = (self.data.values.len(), self.data.values.len() - r.merged);
        let varying = scheme.positions.len() - r.constant_variables.len();
        let mut out = format!("{rows} rows, {distinct} variants of {varying} positions");
        if !r.constant_variables.is_empty() {
            out += &format!(" ({} more never vary)", r.constant_variables.len());
        }
        out.push('\n');
        if r.merged > 0 {
            out += &format!("{} rows repeat a variant: their spread measures the noise\n", r.merged);
        }
        let percent = percent(self.words.level);
        out += &match (self.model.status, r.held_out_r2) {
            (Status::Explained { terms }, _) => {
                format!("every value is explained to rounding by {terms} interactions\n")
            }
            (Status::Constant, _) => "every value is the same\n".to_owned(),
            (Status::NoStructure, Some(r2)) => {
                format!("no structure found: R2 {r2:.2} on {} held-out values, which chance may have\n", r.held_out)
            }
            (_, Some(r2)) => format!(
                "predicts new variants like these with R2 {r2:.2} ({} values held out, which the {percent} % intervals are \
                 made to hold)\n",
                r.held_out
            ),
            (_, None) => "nothing was held out: intervals may be too narrow\n".to_owned(),
        };
        if r.noise_std > 0.0 {
            let known = if r.merged == 0 && self.words.noise_std == "auto" {
                " (no variant repeats: it cannot be told from interactions of many positions)"
            } else {
                ""
            };
            out += &format!("noise of one value: {}{known}\n", short(r.noise_std));
        }
        let [additive, pairs, higher] = self.shares().map(|s| 100.0 * s);
        if additive + pairs + higher > 0.0 {
            out += &format!("variance: single positions {additive:.0} %, pairs {pairs:.0} %, more {higher:.0} %\n");
        }
        out
    }

    /// A line for each position that matters.
    fn positions_for_people(&self) -> String {
        let scheme = &self.data.scheme;
        let mut order: Vec<usize> = (0..scheme.positions.len()).filter(|&i| self.sobol.total[i] > 0.0).collect();
        order.sort_by(|&a, &b| self.sobol.total[b].total_cmp(&self.sobol.total[a]));
        if order.is_empty() {
            return String::new();
        }
        let width = order.iter().map(|&i| scheme.positions[i].chars().count()).max().unwrap_or(0).max(8);
        let mut out = format!("{:<width$}  alone  in total  best letter\n", "position");
        for i in order {
            let letters = &self.effects[i];
            let best = (0..letters.len()).max_by(|&a, &b| letters[a].mean.total_cmp(&letters[b].mean)).unwrap_or(0);
            let (first, total) = (100.0 * self.sobol.first[i], 100.0 * self.sobol.total[i]);
            let name = &scheme.positions[i];
            out += &format!("{name:<width$} {first:5.1} % {total:7.1} %  {}", self.letter(i, best));
            out.push('\n');
            if self.words.effects {
                for a in (0..letters.len()).filter(|&a| a != best) {
                    out += &format!("{:<width$}                    {}\n", "", self.letter(i, a));
                }
            }
        }
        out
    }

    fn letter(&self, position: usize, letter: usize) -> String {
        let e = &self.effects[position][letter];
        format!("{} {:+} ± {}", self.data.scheme.letters[position][letter], Short(e.mean), short(half(e)))
    }

    fn interactions_for_people(&self) -> String {
        if self.interactions.is_empty() {
            return String::new();
        }
        let mut out = "largest interactions, where they are largest, and their share of the variance:\n".to_owned();
        for i in &self.interactions {
            let member = |(&p, &a): (&usize, &u8)| {
                format!("{}:{}", self.data.scheme.positions[p], self.data.scheme.letters[p][usize::from(a)])
            };
            let members: Vec<String> = i.positions.iter().zip(&i.letters).map(member).collect();
            let (mean, width) = (Short(i.estimate.mean), short(half(&i.estimate)));
            out += &format!("{mean:+} ± {width}  {}  {:.1} %\n", members.join(" "), 100.0 * i.share);
        }
        out
    }

    fn rows_for_people(&self, title: &str, rows: &Rows) -> String {
        let mut out = format!("{title}\n");
        if rows.is_empty() {
            out += "none is left\n";
        }
        for (row, e) in rows {
            out +=
                &format!("{}  {} ({} to {})\n", self.data.scheme.text(row), short(e.mean), short(e.low), short(e.high));
        }
        out
    }

    fn variant(&self, (row, e): &(Vec<u8>, Estimate)) -> Value {
        json!({"variant": self.data.scheme.row(row), "estimate": estimate(e)})
    }
}

/// Half of the width of an interval.
fn half(e: &Estimate) -> f64 {
    0.5 * e.high - 0.5 * e.low
}

fn estimate(e: &Estimate) -> Value {
    json!({"mean": e.mean, "deviation": e.deviation, "low": e.low, "high": e.high})
}

/// A level in percent, without the digits of its rounding.
fn percent(level: f64) -> f64 {
    (level * 1e10).round() / 1e8
}

/// Four significant digits.
fn short(value: f64) -> String {
    Short(value).to_string()
}

struct Short(f64);

impl std::fmt::Display for Short {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(value) = *self;
        let sign = if f.sign_plus() && value >= 0.0 { "+" } else { "" };
        if value != 0.0 && !(1e-3..1e5).contains(&value.abs()) {
            return write!(f, "{sign}{value:.3e}");
        }
        let digits = if value == 0.0 { 3 } else { (3 - value.abs().log10().floor() as i32).clamp(0, 6) };
        write!(f, "{sign}{value:.*}", digits as usize)
    }
}

/// Writes predictions as a table.
pub(super) fn write_predictions(
    path: &Path,
    scheme: &Scheme,
    rows: &Letters,
    estimates: &[Estimate],
) -> Result<(), Failure> {
    output::write(path, |w| {
        let mut header: Vec<String> = scheme.titles().into_iter().map(str::to_owned).collect();
        let more = [scheme.value.clone(), "deviation".into(), "low".into(), "high".into()];
        let clash = more.iter().any(|name| header.contains(name));
        header.extend(more.map(|name| if clash { format!("predicted {name}") } else { name }));
        writeln!(w, "{}", output::line(path, &header)?)?;
        for (j, e) in estimates.iter().enumerate() {
            let mut cells = scheme.row(rows.row(j));
            cells.extend([e.mean, e.deviation, e.low, e.high].map(|v| v.to_string()));
            writeln!(w, "{}", output::line(path, &cells)?)?;
        }
        Ok(())
    })
}

/// Predictions for programs.
pub(super) fn predictions(scheme: &Scheme, rows: &Letters, estimates: &[Estimate]) -> Value {
    let one = |(j, e): (usize, &Estimate)| json!({"variant": scheme.row(rows.row(j)), "estimate": estimate(e)});
    estimates.iter().enumerate().map(one).collect()
}

/// Predictions for people.
pub(super) fn predictions_for_people(scheme: &Scheme, rows: &Letters, estimates: &[Estimate], level: f64) -> String {
    let value = if scheme.named { format!("{:?}", scheme.value) } else { "the value".to_owned() };
    let percent = percent(level);
    let mut out = format!("{value} of {} variants, with {percent} % intervals\n", rows.len());
    for (j, e) in estimates.iter().enumerate().take(SHOWN) {
        out += &format!("{}  {} ({} to {})\n", scheme.text(rows.row(j)), short(e.mean), short(e.low), short(e.high));
    }
    if estimates.len() > SHOWN {
        out += &format!("... and {} more; --out writes all\n", estimates.len() - SHOWN);
    }
    out += "status predicted, finished\n";
    out
}
