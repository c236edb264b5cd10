//! What the words ask for, and the passes.
use std::collections::HashMap;

use samplewise_linalg::observe::{Observer as _, Progress};
use samplewise_sensitivity::{
    Block, Matrix, MatrixView, Options, Regression, StreamOptions, StreamedCoreset, StreamingCoreset, Summary,
    planned_size, regress_observed,
};

use super::passes;
use super::read::{Columns, open};
use super::show::Outcome;
use crate::choices::Sampling;
use crate::commands::sensitivity::args::Arguments;
use crate::commands::sensitivity::run::failure;
use crate::failure::{Failure, bad, usage};
use crate::output::check_apart;
use crate::records::Records;
use crate::session::{Answer, Session};

/// Rows handed over at a time.
pub(super) const BLOCK: usize = 4096;

pub(in crate::commands::sensitivity) fn run(a: &Arguments, session: &Session) -> Result<Answer, Failure> {
    check(a)?;
    if a.exact {
        return passes::run(a, session);
    }
    let mut reader = open(a)?;
    let columns = Columns::of(a, &reader)?;
    let size = size(a, &columns)?;
    let pass = session.stage("compute", || first_pass(a, size, &mut reader, &columns, session))?;
    let mut outcome = Outcome { columns, size, pass, fit: None };
    session.stage("write", || outcome.write(a))?;
    if outcome.columns.target.is_some() {
        let regression = session.stage("regress", || regress(a, &outcome, session))?;
        // What is no file can be read only once.
        let again = std::fs::metadata(&a.table).is_ok_and(|m| m.is_file()) && !session.interrupted();
        let all = |columns| session.stage("objective", || objective(a, columns, &regression, session));
        let whole = if again { all(&outcome.columns)? } else { None };
        outcome.fit = Some((regression, whole));
    }
    outcome.warn(session);
    Ok(outcome.answer(a, session))
}

/// Words that do not go together.
fn check(a: &Arguments) -> Result<(), Failure> {
    for (given, option, why) in [
        (a.scores.is_some(), "--scores", "final scores need a second pass"),
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
    check_apart(("--out", a.out.as_deref()), ("the table", Some(&a.table)))
}

/// Rows of the coreset.
fn size(a: &Arguments, columns: &Columns) -> Result<usize, Failure> {
    match (a.size, a.epsilon) {
        (Some(size), _) => Ok(size),
        (_, Some(epsilon)) => planned_size(epsilon, a.p, columns.scored()).map_err(|e| failure(&a.name(), e)),
        _ => Ok(50 * (columns.scored() + 1)),
    }
}

/// What one pass over the table leaves.
pub(super) struct Pass {
    pub coreset: StreamedCoreset,
    /// Cells of the rows that may still have been chosen at the end, by their numbers.
    pub cells: HashMap<u64, csv::StringRecord>,
    /// Rows held at the same time.
    pub most_held: usize,
}

fn first_pass(
    a: &Arguments,
    size: usize,
    reader: &mut Records,
    columns: &Columns,
    mut session: &Session,
) -> Result<Pass, Failure> {
    let (name, width) = (a.name(), columns.scored());
    let options = StreamOptions { p: a.p, method: a.method.into(), size, seed: session.seed() };
    let mut stream = StreamingCoreset::new(width, &options).map_err(|e| failure(&name, e))?;
    // Cells of rows that were given up are dropped when half of them are.
    let mut cells: HashMap<u64, csv::StringRecord> = HashMap::new();
    let (mut due, mut seen, mut most_held) = (4 * BLOCK, 0_u64, 0);
    loop {
        let mut data = Vec::with_capacity(BLOCK * width);
        let first = seen;
        while ((seen - first) as usize) < BLOCK && reader.read_next()? {
            columns.numbers(&reader.record, &mut data)?;
            cells.insert(seen, reader.record.clone());
            seen += 1;
        }
        if seen == first {
            break;
        }
        let rows = Matrix::from_vec((seen - first) as usize, width, data).map_err(bad)?;
        stream.update(Block { first, rows: rows.view() }).map_err(|e| bad(format!("{name}: {e}")))?;
        most_held = most_held.max(cells.len());
        if cells.len() >= due {
            let held = stream.held();
            cells.retain(|row, _| held.binary_search(row).is_ok());
            due = (2 * cells.len()).max(4 * BLOCK);
        }
        if session.step(Progress { stage: "rows", step: seen as usize, total: None, value: None }).is_break() {
            break;
        }
    }
    if seen == 0 {
        return Err(bad(format!("{name}: no rows")));
    }
    let coreset = stream.finish().map_err(|e| bad(format!("{name}: {e}")))?;
    Ok(Pass { coreset, cells, most_held })
}

/// The weighted regression on the coreset.
fn regress(a: &Arguments, outcome: &Outcome, mut session: &Session) -> Result<Regression, Failure> {
    let Outcome { columns, pass: Pass { coreset, cells, .. }, .. } = outcome;
    let (n, d) = (coreset.rows.len(), columns.given());
    let mut data = Vec::with_capacity(n * (d + 1));
    coreset.rows.iter().try_for_each(|row| columns.numbers(&cells[row], &mut data))?;
    let rows = MatrixView::from_row_major(&data, n, d + 1).map_err(bad)?;
    let x = MatrixView::from_strided(&data, n, d, d + 1, 1).map_err(bad)?;
    let target: Vec<f64> = (0..n).map(|i| rows.get(i, d)).collect();
    let options = Options { sample_weights: Some(coreset.weights.clone()), ..Options::default() };
    regress_observed(x, &target, a.loss(), &options, &mut session).map_err(|e| failure(&a.name(), e))
}

/// The loss on all rows, read again; none when interrupted.
fn objective(
    a: &Arguments,
    columns: &Columns,
    fit: &Regression,
    mut session: &Session,
) -> Result<Option<f64>, Failure> {
    let mut reader = open(a)?;
    let (mut sum, mut seen, mut row) = (0.0, 0_usize, Vec::with_capacity(columns.scored()));
    let mut residuals = Vec::with_capacity(BLOCK);
    loop {
        residuals.clear();
        while residuals.len() < BLOCK && reader.read_next()? {
            row.clear();
            columns.numbers(&reader.record, &mut row)?;
            let (x, y) = row.split_at(columns.given());
            residuals.push(y[0] - samplewise_linalg::sums::dot(x, &fit.coefficients));
        }
        if residuals.is_empty() {
            return Ok(Some(sum));
        }
        sum += a.loss().value(&residuals);
        seen += residuals.len();
        let progress = Progress { stage: "rows again", step: seen, total: None, value: None };
        if session.step(progress).is_break() {
            return Ok(None);
        }
    }
}
