//! What the words ask for, and the calls.
use std::path::Path;

use samplewise_wht::any::{AnyPlan, AnySpectrum};
use samplewise_wht::{Options, PlanSpec, Sparsity, dense, recover_in_memory_observed, recover_observed};
use serde_json::{Value, json};

use super::args::{Action, Arguments, Prior};
use super::prior::{capped, failure, options, planned};
use super::{exec, show, variants};
use crate::commands::map;
use crate::failure::{Failure, bad};
use crate::output::check_apart;
use crate::session::{Answer, Session};
use crate::{input, output};

pub fn run(a: &Arguments, session: &Session) -> Result<Answer, Failure> {
    let parameters = serde_json::to_value(&a.action).unwrap_or(Value::Null);
    let (found, derived) = match &a.action {
        Action::Transform { values, out } => return transform(values, out.as_deref(), parameters, session),
        Action::Plan { variables, prior, out, queries } => {
            return plan(*variables, prior, (out, queries), parameters, session);
        }
        Action::Fit(words) => return variants::fit(words, parameters, session),
        Action::Predict(words) => return variants::predict(words, parameters, session),
        Action::Sparse { values, fastest, prior, derived } => (sparse(values, *fastest, prior, session)?, derived),
        Action::Decode { plan, answers, derived } => (decode(plan, answers, session)?, derived),
        Action::Exec { variables, prior, derived, answers_log, restarts, max_queries, command } => {
            let asked = options(prior, session)?;
            let log = answers_log.as_deref();
            let mut program = exec::Program::new(command, *variables, *restarts, log, session)?;
            let found = ask((*variables, *max_queries), asked, &mut program, session)?;
            let mut answer = show::Outcome { spectrum: &found, derived }.answer(parameters, session)?;
            answer.report.insert("answers".into(), program.report());
            return Ok(answer);
        }
    };
    show::Outcome { spectrum: &found, derived }.answer(parameters, session)
}

fn transform(values: &Path, out: Option<&Path>, parameters: Value, session: &Session) -> Result<Answer, Failure> {
    let others = ["bed", "json", "jsonl", "csv", "tsv", "txt", "npz", "parquet"];
    output::check_not_ending("--out", out, &others, "a vector, .npy")?;
    let mut x = session.stage("read", || input::vector(values))?;
    session.stage("compute", || {
        dense::transform_in_place(&mut x).map_err(|e| bad(format!("{}: {e}", values.display())))?;
        let overflow = || bad(format!("{}: sums of the values overflow: divide them first", values.display()));
        if x.iter().all(|v| v.is_finite()) { Ok(()) } else { Err(overflow()) }
    })?;
    if let Some(out) = out {
        session.stage("write", || output::write_npy(out, &x))?;
    }
    let (n, length) = (x.len().trailing_zeros(), x.len());
    let energy = Some(x.iter().map(|v| v * v).sum::<f64>()).filter(|e| e.is_finite());
    let shown = energy.map_or("beyond the largest number".to_owned(), |e| e.to_string());
    let result = json!({
        "status": "exact", "variables": n, "length": length, "samples": length, "energy": energy, "complete": true,
    });
    let table = format!("variables {n}\nlength {length}\nenergy {shown}\nstatus exact, finished\n");
    Ok(Answer { parameters, result, report: map(json!({"path": "dense"})), table })
}

fn sparse(values: &Path, fastest: bool, prior: &Prior, session: &Session) -> Result<AnySpectrum, Failure> {
    let (sparsity, options) = options(prior, session)?;
    let x = session.stage("read", || input::vector(values))?;
    let fail = |e| match failure(e) {
        f if f.code == 2 => f,
        f => bad(format!("{}: {}", values.display(), f.message)),
    };
    if x.len() < 2 || !x.len().is_power_of_two() {
        let (name, len) = (values.display(), x.len());
        return Err(bad(format!("{name}: the number of values is {len}, allowed is a power of two from 2 on")));
    }
    let n = x.len().ilog2() as usize;
    session.stage("compute", || {
        let (sparsity, observer) = (capped(sparsity, n), &mut &*session);
        let found = if fastest {
            recover_in_memory_observed(&x, sparsity, &options, observer)
        } else {
            recover_observed(|m: u64| x[m as usize], n, sparsity, &options, observer)
        };
        found.map(AnySpectrum::from).map_err(fail)
    })
}

fn plan(
    variables: usize,
    prior: &Prior,
    (out, queries): (&Path, &Path),
    parameters: Value,
    session: &Session,
) -> Result<Answer, Failure> {
    check_apart(("--out", Some(out)), ("--queries", Some(queries)))?;
    let (sparsity, options) = options(prior, session)?;
    let sparsity = capped(planned(sparsity, prior)?, variables);
    let plan = session.stage("compute", || AnyPlan::new(variables, sparsity, &options).map_err(failure))?;
    session.stage("write", || {
        let text = serde_json::to_string(plan.spec()).map_err(bad)?;
        output::write(queries, |w| {
            plan.queries().to_rows().chunks_exact(variables).try_for_each(|row| writeln!(w, "{}", show::digits(row)))
        })?;
        output::write(out, |w| writeln!(w, "{text}"))
    })?;
    let count = plan.queries().len();
    let result = json!({
        "status": "planned", "variables": variables, "samples": count, "holdout_samples": plan.verification(),
    });
    let report = map(json!({"path": format!("{:?}", plan.spec().decoder)}));
    Ok(Answer { parameters, result, report, table: format!("{count} queries\nstatus planned, finished\n") })
}

fn decode(plan: &Path, answers: &Path, session: &Session) -> Result<AnySpectrum, Failure> {
    let (spec, values) = session.stage("read", || {
        let text = input::bytes(plan)?;
        let spec: PlanSpec = serde_json::from_slice(&text)
            .map_err(|e| bad(format!("{}:{}:{}: not a plan: {e}", plan.display(), e.line(), e.column())))?;
        Ok((spec, input::vector(answers)?))
    })?;
    let prepared = session.stage("plan", || {
        let prepared = AnyPlan::from_spec(spec).map_err(|e| bad(format!("{}: {e}", plan.display())))?;
        prepared.queries_observed(&mut &*session).map_err(bad)?;
        Ok(prepared)
    })?;
    session.stage("compute", || {
        prepared.decode_observed(&values, &mut &*session).map_err(|e| bad(format!("{}: {e}", answers.display())))
    })
}

/// Asks a program, at most so many questions in all.
fn ask(
    (variables, most): (usize, usize),
    (sparsity, mut options): (Sparsity, Options),
    program: &mut exec::Program<'_>,
    session: &Session,
) -> Result<AnySpectrum, Failure> {
    if let Sparsity::Unknown { .. } = sparsity {
        options.samples = Some(options.samples.map_or(most, |s| s.min(most)));
    }
    exec::recover((variables, most), capped(sparsity, variables), &options, program, session)
}
