//! The verdict on a fit: its loss on all rows, and what no coefficients undercut.
use samplewise_linalg::leverage::whiten_observed;
use samplewise_linalg::observe::{Observer, Progress, Watch};
use samplewise_linalg::{NoBound, Rows, Seconds};

use crate::Error;
use crate::answer::{Outcome, Regression, Report};
use crate::design::Design;
use crate::loss::Loss;
use crate::solve::{Solved, quantile};
use crate::verdict::certificate::{self, Candidate};

pub(crate) fn check_objective(objective: f64) -> Result<(), Error> {
    if objective.is_finite() {
        return Ok(());
    }
    Err(Error::argument("loss on all rows", objective, "a finite sum of powers: scale the target down"))
}

/// What is judged on all rows.
pub(crate) struct Judged<'a, 'd> {
    pub a: Rows<'a>,
    pub b: &'a [f64],
    pub loss: Loss,
    pub coefficients: Vec<f64>,
    /// The design of all rows where the solver saw all of them.
    pub design: Option<Design<'d>>,
    pub certify: bool,
    pub tolerance: f64,
}

/// Relative gap to which the dual problem is solved for an answer of a coreset.
const CERTIFIED: f64 = 1e-4;

/// Gap of a fit on all rows, relative to the objective, that counts as converged whatever smaller tolerance was asked for:
/// the bound of a smooth loss is no exacter.
const SMALLEST_GAP: f64 = 1e-9;

pub(crate) fn judge(
    judged: Judged<'_, '_>,
    mut solved: Solved,
    rows_used: usize,
    rank: usize,
    observer: &mut dyn Observer,
) -> Result<Regression, Error> {
    let Judged { a, b, loss, mut coefficients, design, certify, tolerance } = judged;
    let on_all_rows = design.is_some();
    let watch = &mut Watch::new(observer);
    let mut residual = vec![0.0; a.rows()];
    a.multiply_vector_into(&coefficients, &mut residual);
    residual.iter_mut().zip(b).for_each(|(r, b)| *r = b - *r);
    let mut objective = loss.value(&residual);
    if solved.outcome != Outcome::Converged {
        // What ended early may be worse than no model.
        let null = loss.value(b);
        if objective.is_nan() || objective > null {
            objective = null;
            coefficients.fill(0.0);
            residual.copy_from_slice(b);
        }
    }
    check_objective(objective)?;
    let (mut bound, mut rounding_of_loss) =
        (Err(if solved.outcome == Outcome::Interrupted { NoBound::Interrupted } else { NoBound::NotAsked }), 0.0);
    if certify {
        watch.ticks(|| Progress { stage: "certificate", step: 0, total: None, value: Some(objective) });
        // Each entry of the residual is a sum of d + 1 rounded terms.
        let factor = f64::EPSILON * (a.columns() as f64 + 2.0);
        let sizes: Vec<f64> = coefficients.iter().map(|c| c.abs()).collect();
        let mut rounding = vec![0.0; a.rows()];
        a.multiply_sizes_into(&sizes, &mut rounding);
        rounding.iter_mut().zip(b).for_each(|(r, b)| *r = factor * (b.abs() + *r));
        rounding_of_loss = loss.rounding(&residual, &rounding);
        watch.ticks(|| Progress { stage: "certificate", step: 0, total: None, value: None });
        let found = lower_bound((a, b, loss), design, (&residual, &rounding), objective, solved.dual.take(), watch);
        bound = match found {
            Err(Error::Interrupted) => Err(NoBound::Interrupted),
            Ok(Err(_)) if watch.stopped() => Err(NoBound::Interrupted),
            found => found?,
        };
    }
    if let Ok(value) = bound
        && (value.is_nan() || value > objective + 4.0 * rounding_of_loss + 1e-12 * objective)
    {
        bound = Err(NoBound::Failed { objective, bound: value });
    }
    let bound = bound.map(|b| b.min(objective));
    let status = match (solved.outcome, &bound) {
        (Outcome::Interrupted, _) | (_, Err(NoBound::Interrupted)) => Outcome::Interrupted,
        (own, _) if !on_all_rows => own,
        // Whoever solved it: the claim is that of the gap.
        (_, Ok(bound)) => {
            let allowed = tolerance.max(SMALLEST_GAP) * objective + 4.0 * rounding_of_loss;
            if objective - bound <= allowed { Outcome::Converged } else { Outcome::Limit }
        }
        (_, Err(_)) => Outcome::Limit,
    };
    // A bound that was cut short may be too loose for the claim.
    let status = if status == Outcome::Limit && watch.stopped() { Outcome::Interrupted } else { status };
    let (status, ending) = status.parts();
    Ok(Regression {
        coefficients,
        intercept: 0.0,
        objective,
        lower_bound: bound.ok(),
        no_bound: bound.err(),
        status,
        report: Report {
            ending,
            route: solved.route,
            iterations: solved.iterations,
            seconds: Seconds::default(),
            rows_used,
            rows_scored: 0,
            rank,
        },
    })
}

/// What no coefficients undercut, or why that is not known.
fn lower_bound(
    (a, b, loss): (Rows<'_>, &[f64], Loss),
    design: Option<Design<'_>>,
    (residual, rounding): (&[f64], &[f64]),
    objective: f64,
    dual: Option<Vec<f64>>,
    watch: &mut Watch<'_>,
) -> Result<Result<f64, NoBound>, Error> {
    let base = if design.is_some() { None } else { Some(whiten_observed(a, None, watch)?) };
    let design = match (design, &base) {
        (Some(design), _) => design,
        (None, Some(base)) => Design::new(a, base, watch)?,
        (None, None) => unreachable!("one of the two"),
    };
    let candidate = Candidate { design: &design, residual, rounding };
    let failed = NoBound::Failed { objective, bound: f64::NAN };
    if design.rank() == 0 {
        return Ok(Ok(objective)); // no coefficient matters
    }
    let Some(tau) = loss.quantile() else {
        return Ok(certificate::smooth_bound(&candidate, loss.exponent(), watch).map_err(|_| failed));
    };
    // Solved on all rows, the solver's own dual point speaks of all rows; else one is found.
    let dual = match &base {
        Some(base) => quantile::dual_of_all_rows((&design, base, a), b, tau, CERTIFIED, watch).ok(),
        None => dual,
    };
    let factor = if loss == Loss::Lp(1.0) { 2.0 } else { 1.0 };
    if watch.stopped() {
        return Err(Error::Interrupted);
    }
    // A solver that was stopped has none.
    let missing = if base.is_none() { NoBound::Interrupted } else { failed };
    Ok(dual.map(|dual| factor * certificate::dual_bound(&candidate, &dual, tau, watch)).ok_or(missing))
}
