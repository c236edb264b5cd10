//! `--stream --exact`: the regression of all rows, proven, in a few passes over the file.
use samplewise_linalg::Ending;
use samplewise_linalg::observe::{Observer as _, Progress};
use samplewise_sensitivity::{
    Error, KeyedRows, Matrix, PassOptions, QuantileDriver, QuantilePass, Question, RegressionByPasses, Summary,
};
use serde_json::{Value, json};

use super::read::{Columns, open};
use super::run::BLOCK;
use crate::commands::map;
use crate::commands::sensitivity::args::Arguments;
use crate::commands::sensitivity::run::failure;
use crate::commands::sensitivity::show;
use crate::failure::{Failure, bad, usage};
use crate::session::{Answer, Session};

pub(super) fn run(a: &Arguments, mut session: &Session) -> Result<Answer, Failure> {
    check(a)?;
    let name = a.name();
    let mut columns = Columns::of(a, &open(a)?)?;
    // The driver has its own.
    columns.intercept = false;
    let options = PassOptions { intercept: a.intercept, seed: session.seed(), ..PassOptions::default() };
    let fail = |e: Error| failure(&name, e);
    let mut driver = QuantileDriver::new(columns.features.len(), a.loss(), &options).map_err(fail)?;
    while let Some(question) = driver.ask() {
        let pass = session.stage(question.stage(), || pass(a, &columns, question, session))?;
        let Some(pass) = pass else { break };
        if pass.rows() == 0 {
            return Err(bad(format!("{name}: no rows")));
        }
        let told = session.stage("solve", || match driver.tell_observed(pass, &mut session) {
            Err(Error::Interrupted) => Ok(false),
            Err(Error::NearlyDependent { column }) => {
                let column = &columns.header[columns.features[column]];
                Err(bad(format!(
                    "{name}: column {column:?} is nearly, but not exactly, a combination of others, which passes over sums \
                     cannot resolve: leave it out of --features"
                )))
            }
            told => told.map(|()| true).map_err(fail),
        })?;
        if !told {
            break;
        }
    }
    let interrupted = |e| match e {
        Error::Interrupted => bad(format!("{name}: interrupted before there was a fit")),
        other => fail(other),
    };
    let answer = driver.finish().map_err(interrupted)?;
    show::say(session, &answer.fit);
    let names = show::names(&columns.header, &columns.features, a.intercept);
    Ok(shown(a, &answer, &names, session))
}

/// Words that do not go together.
fn check(a: &Arguments) -> Result<(), Failure> {
    for (given, option) in
        [(a.out.is_some(), "--out"), (a.size.is_some(), "--size"), (a.epsilon.is_some(), "--epsilon")]
    {
        if given {
            return Err(usage(format!("{option} does not go with --stream --exact: no coreset is drawn")));
        }
    }
    if a.p != 1.0 {
        return Err(usage(format!("--p is {}, allowed is 1, or --quantile, with --stream --exact", a.p)));
    }
    let file = std::fs::metadata(&a.table).map(|m| m.is_file());
    if a.table.as_os_str() == "-" || file.is_ok_and(|is| !is) {
        return Err(usage("--stream --exact reads the table several times: give a file"));
    }
    Ok(())
}

/// One pass over the file; none when it was interrupted. Rows are known by their numbers.
fn pass(
    a: &Arguments,
    columns: &Columns,
    question: &Question,
    mut session: &Session,
) -> Result<Option<QuantilePass>, Failure> {
    let (name, width) = (a.name(), columns.features.len() + 1);
    let (mut reader, mut seen) = (open(a)?, 0_u64);
    let mut out = QuantilePass::new(question).map_err(bad)?;
    loop {
        let mut data = Vec::with_capacity(BLOCK * width);
        let first = seen;
        while ((seen - first) as usize) < BLOCK && reader.read_next()? {
            columns.numbers(&reader.record, &mut data)?;
            seen += 1;
        }
        if seen == first {
            return Ok(Some(out));
        }
        let keys: Vec<u64> = (first..seen).collect();
        let rows = Matrix::from_vec(keys.len(), width, data).map_err(bad)?;
        out.update(KeyedRows { keys: &keys, rows: rows.view() }).map_err(|e| bad(format!("{name}: {e}")))?;
        let progress = Progress { stage: question.stage(), step: seen as usize, total: None, value: None };
        if session.step(progress).is_break() {
            return Ok(None);
        }
    }
}

fn shown(a: &Arguments, answer: &RegressionByPasses, names: &[&str], session: &Session) -> Answer {
    let (fit, passes) = (&answer.fit, &answer.passes);
    let values: Vec<f64> = fit.coefficients.iter().copied().chain(a.intercept.then_some(fit.intercept)).collect();
    let word = show::status(fit);
    let coefficients: Vec<Value> = names
        .iter()
        .zip(values.iter().zip(&answer.ranges))
        .map(|(n, (v, [low, high]))| json!({"name": n, "value": v, "as_good_from": low, "as_good_to": high}))
        .collect();
    let passes_shown: Vec<Value> = passes
        .iter()
        .map(|p| {
            json!({"stage": p.stage.name(), "objective": p.objective, "open": p.open, "sent": p.sent, "wrong": p.wrong})
        })
        .collect();
    let mut table = format!(
        "rows {} columns {} rank {}\nobjective {:.6} on all rows, {} ({} passes, {} rows held at most)\n",
        answer.rows,
        names.len(),
        fit.report.rank,
        fit.objective,
        show::bound(fit),
        passes.len(),
        passes.iter().map(|p| p.sent).max().unwrap_or(0)
    );
    for (n, (v, [low, high])) in names.iter().zip(values.iter().zip(&answer.ranges)) {
        // Where other fits are as good, so much that it shows.
        let wide = high - low > 1e-6 * (1.0 + v.abs());
        let range = if wide { format!("   as good from {low:+.6} to {high:+.6}") } else { String::new() };
        table += &format!("{n:>16} {v:+.6}{range}\n");
    }
    let ending: Ending = fit.report.ending;
    table += &format!("status {word}, {}\n", ending.name());
    Answer {
        parameters: serde_json::to_value(a).unwrap_or(Value::Null),
        result: json!({
            "status": word, "rows": answer.rows, "columns": names.len(), "rank": fit.report.rank,
            "regression": {
                "coefficients": coefficients, "status": word, "objective": fit.objective,
                "lower_bound": fit.lower_bound, "gap": fit.gap(), "rows_used": fit.report.rows_used,
                "rank": fit.report.rank,
            },
        }),
        report: map(json!({
            "path": "passes", "ending": ending.name(), "interrupted": session.interrupted(), "passes": passes_shown,
            "checksum": format!("{:016x}", answer.checksum), "solver": show::solver(fit),
        })),
        table,
    }
}
