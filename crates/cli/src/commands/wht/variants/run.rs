//! The calls.
use std::path::Path;

use samplewise_linalg::Ending;
use samplewise_wht::surrogate::{LetterPosterior, Letters, Options, Status, fit_letters_observed};
use samplewise_wht::{Error, Noise};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::args::{FitWords, Goal, PredictWords};
use super::picture;
use super::read::{Measured, Scheme, measured, new_variants};
use super::show::{self, Next, Outcome};
use crate::commands::map;
use crate::failure::{Failure, bad, usage};
use crate::session::{Answer, Session};
use crate::{input, output};

/// A model as a file.
#[derive(Serialize, Deserialize)]
struct Stored {
    /// What the file is.
    samplewise: String,
    scheme: Scheme,
    model: LetterPosterior,
}

const KIND: &str = "model of variants 1";
/// Variants of the largest means that are shown.
const HIGHEST: usize = 10;
/// Most variants that are proposed.
const MOST_NEXT: usize = 10_000;

pub(in crate::commands::wht) fn fit(words: &FitWords, parameters: Value, session: &Session) -> Result<Answer, Failure> {
    output::check_ending("--out", words.out.as_deref(), &["json"])?;
    output::check_ending("--plot", words.plot.as_deref(), &["svg"])?;
    output::check_ending("--predictions", words.predictions.as_deref(), &["csv", "tsv"])?;
    for (a, b) in [
        (("--out", words.out.as_deref()), ("--plot", words.plot.as_deref())),
        (("--out", words.out.as_deref()), ("--predictions", words.predictions.as_deref())),
        (("--plot", words.plot.as_deref()), ("--predictions", words.predictions.as_deref())),
        (("--predictions", words.predictions.as_deref()), ("--predict", words.predict.as_deref())),
        (("--out", words.out.as_deref()), ("--predict", words.predict.as_deref())),
        (("--plot", words.plot.as_deref()), ("TABLE", Some(words.table.as_path()))),
        (("--out", words.out.as_deref()), ("TABLE", Some(words.table.as_path()))),
        (("--predictions", words.predictions.as_deref()), ("TABLE", Some(words.table.as_path()))),
    ] {
        output::check_apart(a, b)?;
    }
    one_standard_input(("TABLE", &words.table), words.predict.as_ref().map(|p| ("--predict", p.as_path())))?;
    if words.next.is_some_and(|n| n == 0 || n > MOST_NEXT) {
        return Err(usage(format!("--next is {}, allowed is 1 to {MOST_NEXT}", words.next.unwrap_or(0))));
    }
    let options = options(words, session)?;
    let data = session.stage("read", || measured(words, session))?;
    let wanted = match &words.predict {
        Some(path) => Some(session.stage("read", || new_variants(path, &data.scheme, words.first_line))?),
        None => None,
    };
    let model = session.stage("compute", || {
        fit_letters_observed(&data.variants, &data.values, &options, &mut &*session).map_err(|e| failure(e, words))
    })?;
    warn(&model, &data, session);
    let next = session.stage("next", || propose(words, &model, &data, session))?;
    let mut outcome = Outcome::new(&data, &model, words);
    let missing = words.next.is_some_and(|count| next.as_ref().is_none_or(|n| n.next.len() < count));
    if missing && session.interrupted() {
        session.warn("interrupted: fewer variants are proposed than were asked for");
        outcome.ending = Ending::Interrupted;
    }
    session.stage("write", || {
        if let Some(path) = &words.out {
            let stored = Stored { samplewise: KIND.to_owned(), scheme: data.scheme.clone(), model: model.clone() };
            let text = serde_json::to_string(&stored).map_err(bad)?;
            output::write(path, |w| writeln!(w, "{text}"))?;
        }
        if let Some(path) = &words.plot {
            output::write(path, |w| w.write_all(picture::effects(&data.scheme, &outcome.effects).as_bytes()))?;
        }
        if let (Some(path), Some(rows)) = (&words.predictions, &wanted) {
            let estimates = model.predict(rows).map_err(bad)?;
            show::write_predictions(path, &data.scheme, rows, &estimates)?;
        }
        Ok(())
    })?;
    Ok(outcome.answer(parameters, next.as_ref()))
}

fn options(words: &FitWords, session: &Session) -> Result<Options, Failure> {
    let noise = match words.noise_std.as_str() {
        "auto" => Noise::Unknown,
        s => Noise::Std(s.parse().map_err(|_| usage(format!("--noise-std is {s}, allowed is auto or a number")))?),
    };
    Ok(Options { seed: session.seed(), noise, level: words.level, ..Options::default() })
}

/// Refuses to read standard input twice.
fn one_standard_input(first: (&str, &Path), second: Option<(&str, &Path)>) -> Result<(), Failure> {
    match second {
        Some((name, path)) if first.1 == Path::new("-") && path == Path::new("-") => {
            Err(usage(format!("{} and {name} are both standard input", first.0)))
        }
        _ => Ok(()),
    }
}

/// An error of the library, in the words of the command line.
fn failure(e: Error, words: &FitWords) -> Failure {
    let name = words.table.display();
    match e {
        Error::Argument(e) => match e.name {
            "noise" => usage(format!("--noise-std is {}, allowed is {}", e.given, e.allowed)),
            "level" => usage(format!("--level is {}, allowed is {}", e.given, e.allowed)),
            "values.len()" => bad(format!("{name}: has {} rows, allowed is {}", e.given, e.allowed)),
            _ => bad(format!("{name}: {e}")),
        },
        Error::TooLarge { count, most, .. } => bad(format!(
            "{name}: has {count} distinct variants, allowed is {most}: draw some of them, or for pairs of changes to one \
             word use `samplewise complete`"
        )),
        e => bad(format!("{name}: {e}")),
    }
}

/// Says what falls short, and what would serve better.
fn warn(model: &LetterPosterior, data: &Measured, session: &Session) {
    if model.report.ending == Ending::Interrupted {
        session.warn("interrupted: the answer is the best by then");
    }
    if model.status == Status::NoStructure {
        session.warn(
            "no structure found: held-out values do not follow what is said of them more than chance may have it",
        );
    }
    let constant: Vec<&str> =
        model.report.constant_variables.iter().map(|&i| data.scheme.positions[i].as_str()).collect();
    if !constant.is_empty() && data.scheme.words.is_none() {
        let names = constant.join(", ");
        session.warn(format!("the same in all rows, so that nothing is known of it: column {names}"));
    }
    if are_double_mutants(data) {
        session.warn(
            "nearly all variants are pairs of changes to one word: `samplewise complete` on rows of first change, second \
             change and value predicts such tables better, and takes millions of them",
        );
    }
}

/// Whether nearly all of many variants differ from the commonest letters at one or two positions, most of them at two.
fn are_double_mutants(data: &Measured) -> bool {
    let (n, count) = (data.scheme.positions.len(), data.variants.len());
    if n < 10 || count < 200 {
        return false;
    }
    let common: Vec<u8> = (0..n)
        .map(|i| {
            let mut counts = vec![0_usize; data.scheme.letters[i].len()];
            (0..count).for_each(|j| counts[usize::from(data.variants.row(j)[i])] += 1);
            (0..counts.len()).max_by_key(|&a| counts[a]).unwrap_or(0) as u8
        })
        .collect();
    let apart = |j: usize| data.variants.row(j).iter().zip(&common).filter(|(a, b)| a != b).count();
    let (mut few, mut two) = (0, 0);
    for j in 0..count {
        let distance = apart(j);
        few += usize::from(distance <= 2);
        two += usize::from(distance == 2);
    }
    10 * few >= 9 * count && 2 * two >= count
}

/// Variants of the largest means, and those to measure next.
fn propose(
    words: &FitWords,
    model: &LetterPosterior,
    data: &Measured,
    session: &Session,
) -> Result<Option<Next>, Failure> {
    let Some(count) = words.next.filter(|_| model.report.ending != Ending::Interrupted) else { return Ok(None) };
    let (told, values, seed) = (&data.variants, &data.values, session.seed());
    let with_estimates = |rows: Letters| -> Result<_, Failure> {
        let estimates = model.predict(&rows).map_err(bad)?;
        Ok((0..rows.len()).map(|j| rows.row(j).to_vec()).zip(estimates).collect())
    };
    let highest = with_estimates(model.highest_observed(told, values, HIGHEST, seed, &mut &*session).map_err(bad)?)?;
    let next = match words.target {
        Goal::Values => model.most_informative(told, count, seed),
        Goal::Maximum => model.most_promising_observed(told, values, count, seed, &mut &*session),
    };
    Ok(Some(Next { highest, next: with_estimates(next.map_err(bad)?)? }))
}

pub(in crate::commands::wht) fn predict(
    words: &PredictWords,
    parameters: Value,
    session: &Session,
) -> Result<Answer, Failure> {
    output::check_ending("--out", words.out.as_deref(), &["csv", "tsv"])?;
    output::check_apart(("--out", words.out.as_deref()), ("TABLE", Some(words.table.as_path())))?;
    output::check_apart(("--out", words.out.as_deref()), ("MODEL", Some(words.model.as_path())))?;
    one_standard_input(("MODEL", &words.model), Some(("TABLE", words.table.as_path())))?;
    let name = words.model.display();
    let stored = session.stage("read", || {
        let text = input::bytes(&words.model)?;
        let stored: Stored = serde_json::from_slice(&text)
            .map_err(|e| bad(format!("{name}:{}:{}: not a model of `wht fit`: {e}", e.line(), e.column())))?;
        if stored.samplewise != KIND || stored.scheme.positions.len() != stored.model.levels().len() {
            return Err(bad(format!("{name}: not a model of this version of `wht fit`")));
        }
        if let Some(fault) = stored.scheme.fault() {
            return Err(bad(format!("{name}: not a model of `wht fit`: {fault}")));
        }
        let levels = stored.scheme.letters.iter().map(Vec::len);
        if !levels.eq(stored.model.levels().iter().copied()) {
            return Err(bad(format!("{name}: its letters are not those of its model")));
        }
        Ok(stored)
    })?;
    let rows = session.stage("read", || new_variants(&words.table, &stored.scheme, words.first_line))?;
    let estimates = session.stage("compute", || stored.model.predict(&rows).map_err(bad))?;
    if let Some(path) = &words.out {
        session.stage("write", || show::write_predictions(path, &stored.scheme, &rows, &estimates))?;
    }
    let level = stored.model.level();
    let table = show::predictions_for_people(&stored.scheme, &rows, &estimates, level);
    let status = stored.model.status.name();
    let result = json!({
        "status": status, "complete": true, "rows": rows.len(), "level": level,
        "predictions": show::predictions(&stored.scheme, &rows, &estimates),
    });
    Ok(Answer { parameters, result, report: map(json!({"path": "surrogate"})), table })
}
