//! `ℓ1` and quantile regression: a fast solver for an answer nearby, then the edge descent for an optimal vertex.
//!
//! The interior point method, on a reduced problem where there are many rows, comes near the optimum in a few steps but may
//! stop early: at extreme quantiles a reduced problem can be without a minimum, and heavy tails make its steps short. What
//! is returned never rests on it. Every fit ends in a vertex of all rows whose multipliers prove it optimal.
use samplewise_linalg::leverage::Whitening;
use samplewise_linalg::observe::{Observer, Watch};
use samplewise_linalg::{LinalgError, Rows};

use crate::Error;
use crate::answer::{Outcome, Route};
use crate::design::Design;
use crate::options::Preprocessing;
use crate::solve::Solved;
use crate::solve::edge::{self, End};
use crate::solve::interior_point::{self, Solution};
use crate::solve::reduced::{self, Progress as Reduction};
use crate::verdict::certificate;

/// Solves for all rows; `b` is theirs.
pub(crate) fn solve_all(
    (design, base, source): (&Design<'_>, &Whitening, Rows<'_>),
    b: &[f64],
    tau: f64,
    (tolerance, preprocessing): (f64, Preprocessing),
    observer: &mut dyn Observer,
) -> Result<Solved, Error> {
    let watch = &mut Watch::new(observer);
    if reduced::pays(b.len(), base.rank, preprocessing) {
        let start = match reduced::solve(design, base, source, b, tau, tolerance, watch)? {
            Reduction::Settled(found) => {
                let route = Route::Preprocessed { rows: found.rows, repaired: found.repaired };
                if watch.stopped() {
                    return Ok(stopped(found.solution, route));
                }
                Some((found.solution.x, found.solution.iterations, route))
            }
            Reduction::Open(x) if watch.stopped() => {
                let (outcome, route) = (Outcome::Interrupted, Route::Edges);
                return Ok(Solved { x, dual: None, iterations: 0, outcome, route });
            }
            Reduction::Open(x) => Some((x, 0, Route::Edges)),
        };
        if let Some((x, iterations, route)) = start
            && let Some(solved) = end_in_vertex(design, b, None, tau, (&x, iterations, route), watch)?
        {
            return Ok(solved);
        }
    }
    solve_rows(design, b, None, tau, tolerance, watch)
}

/// Solves for weighted rows in whitened coordinates: the interior point method, then the descent to a vertex.
pub(crate) fn solve_rows(
    design: &Design<'_>,
    b: &[f64],
    weights: Option<&[f64]>,
    tau: f64,
    tolerance: f64,
    observer: &mut dyn Observer,
) -> Result<Solved, Error> {
    let watch = &mut Watch::new(observer);
    let a = design.whole(watch)?;
    let near = match interior_point::solve(&a, b, weights, tau, tolerance, watch) {
        // Rounding made a matrix singular: the descent begins from nothing.
        Err(
            LinalgError::NotPositiveDefinite { .. } | LinalgError::NotFinite { .. } | LinalgError::OutOfRange { .. },
        ) => Solution {
            x: vec![0.0; design.rank()],
            dual: vec![0.0; b.len()],
            iterations: 0,
            converged: false,
            interrupted: false,
        },
        other => other?,
    };
    drop(a);
    if watch.stopped() {
        return Ok(stopped(near, Route::InteriorPoint));
    }
    let start = (&near.x[..], near.iterations, Route::InteriorPoint);
    if let Some(solved) = end_in_vertex(design, b, weights, tau, start, watch)? {
        return Ok(solved);
    }
    let outcome = if near.converged { Outcome::Converged } else { Outcome::Limit };
    let Solution { x, dual, iterations, .. } = near;
    Ok(Solved { x, dual: Some(dual), iterations, outcome, route: Route::InteriorPoint })
}

/// A dual point for all rows that is good to `tolerance`, for an answer that came from elsewhere.
pub(crate) fn dual_of_all_rows(
    (design, base, source): (&Design<'_>, &Whitening, Rows<'_>),
    b: &[f64],
    tau: f64,
    tolerance: f64,
    observer: &mut dyn Observer,
) -> Result<Vec<f64>, Error> {
    if reduced::pays(b.len(), base.rank, Preprocessing::Auto)
        && let Reduction::Settled(found) = reduced::solve(design, base, source, b, tau, tolerance, observer)?
    {
        return Ok(found.solution.dual);
    }
    let solved = solve_rows(design, b, None, tau, tolerance, observer)?;
    solved.dual.ok_or(Error::Interrupted)
}

fn stopped(solution: Solution, route: Route) -> Solved {
    let Solution { x, dual, iterations, .. } = solution;
    Solved { x, dual: Some(dual), iterations, outcome: Outcome::Interrupted, route }
}

/// The optimal vertex from coefficients nearby; `None` where rounding left none.
fn end_in_vertex(
    design: &Design<'_>,
    b: &[f64],
    weights: Option<&[f64]>,
    tau: f64,
    (x, iterations, route): (&[f64], usize, Route),
    watch: &mut Watch<'_>,
) -> Result<Option<Solved>, Error> {
    let vertex = match edge::finish(design, b, weights, tau, x, None, watch) {
        Err(LinalgError::Interrupted) => {
            let (x, outcome) = (x.to_vec(), Outcome::Interrupted);
            return Ok(Some(Solved { x, dual: None, iterations, outcome, route }));
        }
        found => found?,
    };
    let Some(vertex) = vertex else { return Ok(None) };
    let outcome = match vertex.end {
        End::Optimal => Outcome::Converged,
        End::Interrupted => Outcome::Interrupted,
        End::Limit | End::Unbounded => return Ok(None),
    };
    // A vertex on the way of a stopped descent may be worse than where it began.
    let better = outcome == Outcome::Interrupted && {
        let loss = |x: &[f64]| certificate::weighted_quantile_loss(design, b, weights, tau, x);
        loss(x) < loss(&vertex.x)
    };
    let found = if better { x.to_vec() } else { vertex.x };
    Ok(Some(Solved { x: found, dual: Some(vertex.dual), iterations: iterations + vertex.pivots, outcome, route }))
}
