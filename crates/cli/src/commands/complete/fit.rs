//! One best fit.
use samplewise_completion::{
    Advanced, Check, Completion, Ending, Entries, Model, Options, Rank, Route, Solver, Status, complete_observed,
};
use serde_json::{Value, json};

use super::triplets::Ids;
use super::{Arguments, Counted, Data, answer_table, ending_of, failure};
use crate::failure::{Failure, usage};
use crate::output::{self, line};
use crate::session::{Answer, Session};

/// What the words of the call ask for.
pub fn options(a: &Arguments) -> Result<(Rank, Options), Failure> {
    let solver = a.solver.of_rows().unwrap_or(Solver::Auto);
    let rank = match a.rank.as_str() {
        "auto" => Rank::Auto { max: 30 },
        k => Rank::Fixed(k.parse().map_err(|_| usage(format!("--rank is {k}, allowed is auto or a number")))?),
    };
    let lambda = match a.lambda.as_str() {
        "auto" => None,
        l => Some(l.parse().map_err(|_| usage(format!("--lambda is {l}, allowed is auto or a number")))?),
    };
    let options = Options {
        lambda,
        biases: a.biases(),
        exact_recovery: a.tolerance,
        loss: a.loss.into(),
        non_negative: a.non_negative,
        max_iterations: a.max_iterations.unwrap_or(Options::default().max_iterations),
        advanced: Advanced { ridge_exponent: a.ridge_exponent, solver, ..Advanced::default() },
        ..Options::default()
    };
    Ok((rank, options))
}

pub fn run((rank, options): (Rank, Options), a: &Arguments, data: &Data, session: &Session) -> Result<Answer, Failure> {
    let mut observer = a.watched(session)?;
    let Data { train, rows, columns, pairs, .. } = data;
    let options = Options { verification: a.verification(data), seed: session.seed(), ..options };
    let done: Completion = session.stage("compute", || {
        let data =
            Entries::new(rows.len(), columns.len(), &train.entries, train.weights.as_deref()).map_err(failure)?;
        complete_observed(&data, rank, &options, &mut observer).map_err(failure)
    })?;
    let mut counted = None;
    if let (Some((pairs, positions)), Some(out)) = (pairs, &a.out) {
        let mut count = Counted::default();
        session.stage("write", || {
            output::write(out, |w| {
                writeln!(w, "{}", line(out, &["row", "column", "prediction"])?)?;
                for (pair, at) in pairs.iter().zip(positions) {
                    // Nothing is predicted where nothing is known.
                    let value = match at.map(|(i, j)| done.predict(i, j)) {
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
            })
        })?;
        if count.undetermined > 0 {
            let (open, all) = (count.undetermined, positions.len());
            session.warn(format!("{open} of {all} pairs are not determined by the triplets and have no prediction"));
        }
        counted = Some(count);
    }
    if let Some(path) = &a.factors {
        session.stage("write", || write_factors(path, &done.model, rows, columns))?;
    }
    Ok(answer(a, session, &done, (rows.len(), columns.len(), train.entries.len()), counted.as_ref()))
}

fn write_factors(path: &std::path::Path, model: &Model, rows: &Ids, columns: &Ids) -> Result<(), Failure> {
    let (u, v) = model.factors();
    let (row_ids, column_ids) = (rows.in_order(), columns.in_order());
    let matrix = |m: &samplewise_linalg::Matrix| vec![m.rows() as u64, m.columns() as u64];
    let line = |values| output::Array::Numbers { shape: vec![<[f64]>::len(values) as u64], values };
    output::write_npz(
        path,
        &[
            ("mean", output::Array::Numbers { shape: Vec::new(), values: &[model.mean] }),
            ("row_biases", line(&model.row_biases)),
            ("column_biases", line(&model.column_biases)),
            ("row_factors", output::Array::Numbers { shape: matrix(u), values: u.as_slice() }),
            ("column_factors", output::Array::Numbers { shape: matrix(v), values: v.as_slice() }),
            ("row_ids", output::Array::Names(&row_ids)),
            ("column_ids", output::Array::Names(&column_ids)),
        ],
    )
}

fn answer(
    a: &Arguments,
    session: &Session,
    done: &Completion,
    (rows, columns, observed): (usize, usize, usize),
    counted: Option<&Counted>,
) -> Answer {
    let r = &done.report;
    let ending = ending_of(r.ending, session);
    let status = match done.status {
        Status::Verified => "verified",
        Status::VerifiedInParts => "verified_in_parts",
        Status::Fitted => "fitted",
        Status::NotRecovered => "not_recovered",
        Status::NotConverged if ending == Ending::Limit => "limit",
        Status::NotConverged => "interrupted",
    };
    match done.status {
        Status::NotRecovered => {
            session.warn("not recovered: the held-out or the given entries disagree with the model");
        }
        Status::NotConverged if ending == Ending::Limit => {
            session.warn("a limit of iterations or time was reached: this is the best model so far");
        }
        _ => {}
    }
    let (groups, share) = (r.determination.groups(), r.determination.undetermined_share);
    if groups > 1 {
        session.warn(format!(
            "rows and columns fall into {groups} groups that nothing ties together: {:.1} % of the matrix is not determined",
            100.0 * share
        ));
    }
    let result = json!({
        "status": status, "rows": rows, "columns": columns, "observed": observed, "components": groups,
        "undetermined_share": share, "undetermined_rows": r.undetermined_rows.len(),
        "undetermined_columns": r.undetermined_columns.len(),
        "rank": r.rank, "train_rmse": r.train_rmse, "test_rmse": r.test_rmse,
        "baseline_test_rmse": r.baseline_test_rmse, "predictions": counted.map(Counted::json),
    });
    let path = match r.route {
        Route::Annealing { decay, pairs } => format!("annealing by {decay}, {pairs} pairs per ridge"),
        other => other.name().to_owned(),
    };
    let cost = |s: &samplewise_completion::Stage| json!({"stage": s.name, "steps": s.steps, "floors": s.floors, "seconds": s.seconds.0});
    let costs: Vec<Value> = r.stages.iter().map(cost).collect();
    let report = json!({
        "path": path, "ending": ending.name(), "rank_checked": r.determination.check != Check::Components,
        "oversampling": r.oversampling, "outliers": r.outliers.len(),
        "costs": costs, "verification_fitted": r.verification_fitted, "lambda": r.lambda, "iterations": r.iterations,
        "tuning_entries": r.tuning_entries, "verification_entries": r.verification_entries,
        "relative_test_error": r.relative_test_error, "spread": r.spread,
        "certificate": {
            "share": r.certificate.map(|c| c.exceeding_share(0.05)),
            "error_above": r.certificate.map(|c| c.largest_error),
            "confidence": 0.95,
        },
        "ranks_tried": r.ranks_tried,
    });
    let mut table = answer_table(
        (status, ending),
        (rows, columns, observed),
        r.rank,
        [Some(r.train_rmse), r.test_rmse, r.baseline_test_rmse],
    );
    if groups > 1 {
        table += &format!("components    {groups}, {:.1} % of the matrix is not determined\n", 100.0 * share);
    }
    if let Some(c) = counted {
        let (determined, open, unknown) = (c.determined, c.undetermined, c.unknown);
        table += &format!("predictions   {determined}, {open} not determined, {unknown} of unknown ids\n");
    }
    Answer { parameters: a.parameters(), result, report: super::super::map(report), table }
}
