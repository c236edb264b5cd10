//! `--stream`: one pass over a table of any length. Memory holds the rows that may still be chosen, with their cells.
use std::collections::HashMap;

use samplewise_linalg::{Matrix, Summary};
use samplewise_sensitivity::{
    Block, Loss, Options, Regression, StreamOptions, StreamingCoreset, planned_size, regress_observed,
};
use serde_json::json;

use super::{Arguments, Choice, write_coreset};
use samplewise_linalg::Ending;

use crate::cells::{Header, column, names_numbers, select};
use crate::choices::{self, Sampling};
use crate::failure::{Failure, bad, usage};
use crate::input;
use crate::output::check_apart;
use crate::records::Records;
use crate::session::{Answer, Session, shown};

/// Rows handed over at a time.
const BLOCK: usize = 4096;

pub fn run(a: &Arguments, choice: &Choice, session: &Session) -> Result<Answer, Failure> {
    for (given, option, why) in [
        (a.scores.is_some(), "--scores", "final scores need a second pass"),
        (a.exact, "--exact", "that needs all rows at once"),
        (a.sampler != Sampling::Bernoulli, "--sampler", "a stream decides each row by its own hash: bernoulli"),
    ] {
        if given {
            return Err(usage(format!("{option} does not go with --stream: {why}")));
        }
    }
    if let Some(q) = a.quantile.filter(|q| !(*q > 0.0 && *q < 1.0)) {
        return Err(usage(format!("--quantile is {q}, allowed is between 0 and 1")));
    }
    // The objective on all rows reads the table again, after the coreset is written.
    check_apart(("--out", a.out.as_deref()), ("the table", Some(&a.table)))?;
    let name = a.table.display().to_string();
    let mut reader = open(a)?;
    let target = a.regress.as_ref().map(|c| column(&name, &reader.header, c)).transpose()?;
    let features = select(&name, &reader.header, &a.features, &target.map_or(vec![], |t| vec![t]))?;
    super::check_target(&reader.header, &features, target)?;
    // With a regression, rows are chosen by features and target together.
    let columns = features.len() + usize::from(a.intercept) + usize::from(target.is_some());
    let numbers = |record: &csv::StringRecord, data: &mut Vec<f64>| -> Result<(), Failure> {
        let line = record.position().map_or(0, csv::Position::line);
        for &j in &features {
            data.push(input::number(&name, line, j, record.get(j))?);
        }
        if a.intercept {
            data.push(1.0);
        }
        if let Some(t) = target {
            data.push(input::number(&name, line, t, record.get(t))?);
        }
        Ok(())
    };
    let size = match (a.size, a.epsilon) {
        (Some(size), _) => size,
        (_, Some(epsilon)) => planned_size(epsilon, a.p, columns).map_err(|e| super::failure(&name, e))?,
        _ => 50 * (columns + 1),
    };
    let options = StreamOptions { p: a.p, method: choice.method, size, seed: session.seed() };
    let mut stream = StreamingCoreset::new(columns, &options).map_err(|e| super::failure(&name, e))?;
    // Cells of rows that may still be chosen; those given up are dropped when half of them are.
    let mut cells: HashMap<u64, csv::StringRecord> = HashMap::new();
    let (mut due, mut seen, mut most) = (4 * BLOCK, 0_u64, 0);
    session.stage("compute", || {
        let mut observer = session;
        loop {
            let mut data = Vec::with_capacity(BLOCK * columns);
            let first = seen;
            while ((seen - first) as usize) < BLOCK && reader.read_next()? {
                numbers(&reader.record, &mut data)?;
                cells.insert(seen, reader.record.clone());
                seen += 1;
            }
            if seen == first {
                break;
            }
            let rows = Matrix::from_vec((seen - first) as usize, columns, data).map_err(bad)?;
            stream.update(Block { first, rows: &rows }).map_err(|e| bad(format!("{name}: {e}")))?;
            most = most.max(cells.len());
            if cells.len() >= due {
                let held = stream.held();
                cells.retain(|row, _| held.binary_search(row).is_ok());
                due = (2 * cells.len()).max(4 * BLOCK);
            }
            let progress = samplewise_linalg::Progress { stage: "rows", step: seen as usize, total: None, value: None };
            if samplewise_linalg::Observer::step(&mut observer, progress).is_break() {
                break;
            }
        }
        if seen == 0 { Err(bad(format!("{name}: no rows"))) } else { Ok(()) }
    })?;
    let out = session.stage("compute", || stream.finish().map_err(|e| bad(format!("{name}: {e}"))))?;
    session.stage("write", || {
        let Some(path) = &a.out else { return Ok(()) };
        let rows = out.rows.iter().zip(&out.weights).map(|(row, w)| (*row, *w, cells[row].iter()));
        write_coreset(path, &reader.header, rows)
    })?;
    let fit = match target {
        Some(_) => {
            let mut data = Vec::with_capacity(out.rows.len() * columns);
            out.rows.iter().try_for_each(|row| numbers(&cells[row], &mut data))?;
            let coreset = Matrix::from_vec(out.rows.len(), columns, data).map_err(bad)?;
            let regression = session.stage("regress", || regress(a, &coreset, &out.weights, session))?;
            // What is no file can be read only once.
            let again = std::fs::metadata(&a.table).is_ok_and(|m| m.is_file()) && !session.interrupted();
            let whole = if again {
                session.stage("objective", || objective(a, columns, &regression, &numbers, session))?
            } else {
                None
            };
            Some((regression, whole))
        }
        None => None,
    };
    let whole = if out.levels == 0 {
        "the same as of all rows at once".to_owned()
    } else {
        format!("by {} levels of merging and reducing", out.levels)
    };
    if out.rank_lost > 0 {
        session.warn(format!(
            "the coreset lost {} of {} directions: columns that few rows know are not in it; \
             --method leverage or lewis keeps them",
            out.rank_lost, out.rank
        ));
    }
    let note = if session.interrupted() { "interrupted: of the rows read so far\n" } else { "" };
    let given = columns - usize::from(target.is_some());
    // The rank is that of what was scored.
    let (word, ending) = match &fit {
        _ if session.interrupted() => ("interrupted", Ending::Interrupted),
        Some((r, _)) => (super::status(r), r.report.ending),
        None => ("converged", Ending::Finished),
    };
    let mut result = json!({"status": word, "rank_lost": out.rank_lost, "rows": out.seen, "columns": given, "scored_columns": columns, "rank": out.rank,
            "total": out.total, "size": out.rows.len()});
    let with_target = if target.is_some() { " with the target" } else { "" };
    let mut text = format!(
        "rows {} columns {given} rank {}{with_target}\ncoreset {} rows, {whole}; at most {most} rows were held\n{note}",
        out.seen,
        out.rank,
        out.rows.len()
    );
    if let Some((r, all)) = &fit {
        let mut names: Vec<&str> = features.iter().map(|&j| reader.header[j].as_str()).collect();
        if a.intercept {
            names.push("(intercept)");
        }
        let list: Vec<_> = names.iter().zip(&r.coefficients).map(|(n, v)| json!({"name": n, "value": v})).collect();
        super::say(session, r);
        result["regression"] = json!({"coefficients": list, "status": super::status(r), "coreset_objective": r.objective,
            "coreset_lower_bound": r.lower_bound, "objective": all, "rank": r.report.rank});
        text += &format!("objective {:.6} on the coreset, {} there\n", r.objective, super::bound(r));
        if let Some(all) = all {
            text += &format!("objective {all:.6} on all rows, by a second pass\n");
        }
        for (n, v) in names.iter().zip(&r.coefficients) {
            text += &format!("{n:>16} {v:+.6}\n");
        }
    }
    text += &format!("status {word}, {}\n", ending.name());
    Ok(Answer {
        parameters: json!({"table": shown(&a.table), "features": a.features, "intercept": a.intercept, "p": a.p,
            "method": a.method, "size": size, "epsilon": a.epsilon, "sampler": a.sampler, "regress": a.regress,
            "quantile": a.quantile, "stream": true}),
        result,
        report: super::super::map(
            json!({"path": format!("{}, streamed", choices::word(&a.method)), "ending": ending.name(),
            "condition": out.condition,
            "levels": out.levels, "most_rows_held": most, "interrupted": session.interrupted(),
            "solver": fit.as_ref().map(|f| super::solver(&f.0))}),
        ),
        table: text,
    })
}

fn loss(a: &Arguments) -> Loss {
    a.quantile.map_or(Loss::Lp(a.p), Loss::Quantile)
}

/// The weighted regression on the coreset, whose last column is the target.
fn regress(a: &Arguments, coreset: &Matrix, weights: &[f64], mut session: &Session) -> Result<Regression, Failure> {
    let d = coreset.columns() - 1;
    let x = Matrix::from_fn(coreset.rows(), d, |i, j| coreset[(i, j)]);
    let options = Options { sample_weights: Some(weights.to_vec()), ..Options::default() };
    regress_observed(&x, &coreset.copy_column(d), loss(a), &options, &mut session)
        .map_err(|e| super::failure(&a.table.display().to_string(), e))
}

/// The loss on all rows, read again; none when interrupted.
fn objective(
    a: &Arguments,
    columns: usize,
    fit: &Regression,
    numbers: &dyn Fn(&csv::StringRecord, &mut Vec<f64>) -> Result<(), Failure>,
    mut session: &Session,
) -> Result<Option<f64>, Failure> {
    let mut reader = open(a)?;
    let (mut sum, mut seen, mut row) = (0.0, 0_usize, Vec::with_capacity(columns));
    let mut residuals = Vec::with_capacity(BLOCK);
    loop {
        residuals.clear();
        while residuals.len() < BLOCK && reader.read_next()? {
            row.clear();
            numbers(&reader.record, &mut row)?;
            let (x, y) = row.split_at(columns - 1);
            residuals.push(y[0] - samplewise_linalg::sums::dot(x, &fit.coefficients));
        }
        if residuals.is_empty() {
            return Ok(Some(sum));
        }
        sum += loss(a).value(&residuals);
        seen += residuals.len();
        let progress = samplewise_linalg::Progress { stage: "rows again", step: seen, total: None, value: None };
        if samplewise_linalg::Observer::step(&mut session, progress).is_break() {
            return Ok(None);
        }
    }
}

/// A first line with any non-number is the header.
fn open(a: &Arguments) -> Result<Records, Failure> {
    let name = a.table.display().to_string();
    Records::open(&a.table, Header::of(a.header, a.no_header), |first| names_numbers(&name, first))
}
