//! `--stream`: one pass over a table of any length. Memory holds sums of the rows' products, for each fold.
use samplewise_lasso::{
    CrossValidation, Grid, Matrix, Options, Solution, cross_validate_moments_observed, lambda_grid_of_moments,
    path_of_moments_observed,
};
use samplewise_linalg::Summary;
use samplewise_linalg::gram::Moments;
use samplewise_linalg::observe::{Observer as _, Progress};
use samplewise_linalg::random::Streams;

use super::args::Arguments;
use super::run::failure;
use crate::cells::{column, names_numbers, select};
use crate::choices::LassoSolver;
use crate::failure::{Failure, bad, usage};
use crate::input;
use crate::records::Records;
use crate::session::Session;

/// Rows that are added at a time; sums are taken about the means of the first of them.
const BLOCK: usize = 4096;
/// Folds whose sums are kept beside each other.
const MOST_FOLDS: usize = 1_000;

/// Words that do not go together.
pub(super) fn check(a: &Arguments) -> Result<(), Failure> {
    if let Some(folds) = a.cv.filter(|k| !(2..=MOST_FOLDS).contains(k)) {
        return Err(usage(format!("--cv is {folds}, allowed is 2 to {MOST_FOLDS} with --stream")));
    }
    for (given, option, why) in [
        (a.target_file.is_some(), "--target-file", "the target is a column of the table"),
        (a.groups.is_some(), "--groups", "groups need the rows"),
        (a.unpenalized.is_some(), "--unpenalized", "the bound of a fit from sums needs a penalty on every column"),
        (!matches!(a.solver, LassoSolver::Auto), "--solver", "fits from sums choose their own"),
    ] {
        if given {
            return Err(usage(format!("{option} does not go with --stream: {why}")));
        }
    }
    Ok(())
}

/// The sums of each fold, and the names of the features; the target is the last column.
pub(super) struct Sums {
    folds: Vec<Moments>,
    pub names: Vec<String>,
}

/// Reads the table. A row's fold is decided by the hash of its number.
pub(super) fn read(a: &Arguments, mut session: &Session) -> Result<Sums, Failure> {
    let name = a.table.to_string_lossy().into_owned();
    let mut reader = Records::open(&a.table, a.first_line.header(), |first| names_numbers(&name, first))?;
    let header = reader.header.clone();
    let target = column(&name, &header, a.target.as_deref().unwrap_or_default())?;
    let weight = a.weights.as_ref().map(|c| column(&name, &header, c)).transpose()?;
    let except: Vec<usize> = [target].into_iter().chain(weight).collect();
    let features = select(&name, &header, "all", &except)?;
    let folds = a.cv.unwrap_or(1);
    let (width, hash) = (features.len() + 1, Streams::new(session.seed()));
    let mut sums: Vec<Moments> = Vec::new();
    let mut seen = 0_u64;
    loop {
        let mut blocks: Vec<(Vec<f64>, Vec<f64>)> = vec![(Vec::new(), Vec::new()); folds];
        let mut all = Vec::with_capacity(BLOCK * width);
        let first = seen;
        while seen - first < BLOCK as u64 && reader.read_next()? {
            let line = reader.record.position().map_or(0, csv::Position::line);
            let number = |j: usize| input::number(&name, line, j, reader.record.get(j));
            let (data, weights) = &mut blocks[(hash.bits(seen) % folds as u64) as usize];
            let from = data.len();
            for &j in features.iter().chain([&target]) {
                data.push(number(j)?);
            }
            if sums.is_empty() {
                all.extend_from_slice(&data[from..]);
            }
            weights.push(weight.map_or(Ok(1.0), number)?);
            seen += 1;
        }
        if seen == first {
            break;
        }
        if sums.is_empty() {
            let origin = means(&all, width);
            sums = (0..folds).map(|_| Moments::about(&origin)).collect::<Result<_, _>>().map_err(bad)?;
        }
        for (sums, (data, weights)) in sums.iter_mut().zip(blocks) {
            let rows = Matrix::from_vec(weights.len(), width, data).map_err(bad)?;
            let weights = weight.is_some().then_some(&weights[..]);
            sums.update((rows.view(), weights)).map_err(|e| bad(format!("{name}: {e}")))?;
        }
        if session.step(Progress { stage: "rows", step: seen as usize, total: None, value: None }).is_break() {
            return Err(bad(format!("{name}: interrupted after {seen} rows, before there was a fit")));
        }
    }
    if seen == 0 {
        return Err(bad(format!("{name}: no rows")));
    }
    Ok(Sums { folds: sums, names: features.iter().map(|&j| header[j].clone()).collect() })
}

/// Means that are finite where the numbers are.
fn means(rows: &[f64], width: usize) -> Vec<f64> {
    let count = (rows.len() / width) as f64;
    let mut out = vec![0.0; width];
    rows.chunks_exact(width).for_each(|row| out.iter_mut().zip(row).for_each(|(m, v)| *m += v / count));
    out
}

/// The fits, which of them is chosen, and what cross-validation says.
pub(super) fn compute(
    a: &Arguments,
    sums: &Sums,
    options: &Options,
    mut session: &Session,
) -> Result<(Vec<Solution>, usize, Option<CrossValidation>), Failure> {
    let table = a.table.to_string_lossy();
    let fail = |e| failure(&table, e);
    let target = sums.names.len();
    let grid = Grid::Geometric { count: a.path.unwrap_or(100), min_ratio: a.min_ratio.unwrap_or(1e-2) };
    if a.cv.is_some() {
        let cv = cross_validate_moments_observed(&sums.folds, target, &grid, options, &mut session).map_err(fail)?;
        return Ok((cv.path.clone(), cv.best, Some(cv)));
    }
    let totals = sums.folds[0].clone().finish().map_err(bad)?;
    let grid = match (a.path, a.lambda) {
        (Some(_), _) => grid,
        (None, Some(lambda)) => Grid::Values(vec![lambda]),
        (None, None) => {
            let top = lambda_grid_of_moments(&totals, target, &grid, options).map_err(fail)?[0];
            Grid::Values(vec![0.1 * top])
        }
    };
    let fits = path_of_moments_observed(&totals, target, &grid, options, &mut session).map_err(fail)?;
    let last = fits.len().checked_sub(1).ok_or_else(|| fail(samplewise_lasso::Error::Interrupted))?;
    Ok((fits, last, None))
}
