//! What the words ask for, and the call.
use samplewise_lasso::Matrix;
use samplewise_lasso::group::{GroupOptions, GroupSolution, largest_lambda, path_observed, single_columns};

use super::read::read;
use super::show::Outcome;
use crate::choices::LassoSolver;
use crate::commands::lasso::args::Arguments;
use crate::commands::lasso::read::Data;
use crate::commands::lasso::run::failure;
use crate::failure::{Failure, usage};
use crate::session::{Answer, Session};

/// Options of one target without groups that have no meaning here.
pub(in crate::commands::lasso) fn check(a: &Arguments) -> Result<(), Failure> {
    let given = [
        ("--cv", a.cv.is_some()),
        ("--elastic-net", a.elastic_net != 1.0),
        ("--positive", a.positive),
        ("--standardize", a.standardize),
        ("--unpenalized", a.unpenalized.is_some()),
        ("--lower", a.lower.is_some()),
        ("--upper", a.upper.is_some()),
        ("--solver", a.solver != LassoSolver::Auto),
    ];
    match given.iter().find(|g| g.1) {
        Some((option, _)) => Err(usage(format!("{option} does not go with --groups or several targets"))),
        None => Ok(()),
    }
}

/// Solves for targets that share their support.
pub(in crate::commands::lasso) fn run(a: &Arguments, data: Data, session: &Session) -> Result<Answer, Failure> {
    let (groups, group_names) = match &a.groups {
        Some(file) => read(file, &data.names)?,
        None => (single_columns(&data.design), data.names.clone()),
    };
    let fits = session.stage("compute", || compute(a, &data, &groups, session))?;
    let outcome = Outcome { data, groups: groups.len(), group_names, fits };
    outcome.write(a)?;
    outcome.warn(session);
    Ok(outcome.answer(a))
}

fn compute(
    a: &Arguments,
    data: &Data,
    groups: &[Vec<usize>],
    mut session: &Session,
) -> Result<Vec<GroupSolution>, Failure> {
    let Data { design, targets, weights, .. } = data;
    let y = Matrix::from_fn(targets[0].len(), targets.len(), |i, t| targets[t][i]);
    let options = GroupOptions {
        tolerance: a.tolerance,
        intercept: !a.no_intercept,
        sample_weights: weights.clone(),
        max_iterations: a.max_iterations.unwrap_or(GroupOptions::default().max_iterations),
        ..GroupOptions::default()
    };
    let fail = |e| failure(&a.table.display().to_string(), e);
    let top = match largest_lambda(design, &y, groups, &options).map_err(fail)? {
        0.0 => 1.0,
        top => top,
    };
    let lambdas = lambdas(a, top)?;
    let mut fits = path_observed(design, &y, groups, &lambdas.into(), &options, &mut session).map_err(fail)?;
    if a.path.is_none() {
        fits.drain(..fits.len() - 1);
    }
    Ok(fits)
}

/// The values of λ on the way. Each starts from the one before: a single one is reached by a short path.
fn lambdas(a: &Arguments, top: f64) -> Result<Vec<f64>, Failure> {
    let Some(count) = a.path else {
        let wanted = a.lambda.unwrap_or(0.1 * top);
        let way = (1..60).map(|k| top * 0.5_f64.powi(k)).take_while(|l| *l > 1.5 * wanted);
        return Ok(way.chain([wanted]).collect());
    };
    let ratio = a.min_ratio.unwrap_or(1e-2);
    if count == 0 || !(ratio > 0.0 && ratio < 1.0) {
        return Err(usage("--path must be 1 or more and --min-ratio between 0 and 1"));
    }
    let last = (count - 1).max(1) as f64;
    Ok((0..count).map(|k| top * ratio.powf(k as f64 / last)).collect())
}
