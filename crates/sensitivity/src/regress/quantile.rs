//! `ℓ1` and quantile regression: a fast solver for an answer nearby, then the edge descent for an optimal vertex.
//!
//! The interior point method, on a reduced problem where there are many rows, comes near the optimum in a few steps but may
//! stop early: at extreme quantiles a reduced problem can be without a minimum, and heavy tails make its steps short. What
//! is returned never rests on it. Every fit ends in a vertex of all rows whose multipliers prove it optimal.
use samplewise_linalg::leverage::Whitening;
use samplewise_linalg::observe::{Observer, Watch};
use samplewise_linalg::{LinalgError, Rows};

use super::preprocess::{self, Outcome};
use super::{Path, Preprocessing, Solved, Status};
use crate::design::Design;
use crate::edge::{self, End};
use crate::interior_point::{self, Solution};
use crate::{SensitivityError, certificate};

/// Solves for all rows; `b` is theirs.
pub(super) fn solve_all(
    (design, base, source): (&Design<'_>, &Whitening, Rows<'_>),
    b: &[f64],
    tau: f64,
    (tolerance, preprocessing): (f64, Preprocessing),
    observer: &mut dyn Observer,
) -> Result<Solved, SensitivityError> {
    let watch = &mut Watch::new(observer);
    if preprocess::pays(b.len(), base.rank, preprocessing) {
        let start = match preprocess::solve(design, base, source, b, tau, tolerance, watch)? {
            Outcome::Settled(found) => {
                let path = Path::Preprocessed { rows: found.rows, repaired: found.repaired };
                if watch.stopped() {
                    return Ok(stopped(found.solution, path));
                }
                Some((found.solution.x, found.solution.iterations, path))
            }
            Outcome::Open(x) => Some((x, 0, Path::Edges)),
        };
        if let Some((x, iterations, path)) = start
            && let Some(solved) = end_in_vertex(design, b, None, tau, (&x, iterations, path), watch)?
        {
            return Ok(solved);
        }
    }
    solve_rows(design, b, None, tau, tolerance, watch)
}

/// Solves for weighted rows in whitened coordinates: the interior point method, then the descent to a vertex.
pub(super) fn solve_rows(
    design: &Design<'_>,
    b: &[f64],
    weights: Option<&[f64]>,
    tau: f64,
    tolerance: f64,
    observer: &mut dyn Observer,
) -> Result<Solved, SensitivityError> {
    let watch = &mut Watch::new(observer);
    let every: Vec<usize> = (0..b.len()).collect();
    let a = design.select(&every)?;
    let near = match interior_point::solve(&a, b, weights, tau, tolerance, watch) {
        // Rounding made a matrix singular: the descent begins from nothing.
        Err(LinalgError::NotPositiveDefinite { .. } | LinalgError::NotFinite { .. }) => Solution {
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
        return Ok(stopped(near, Path::InteriorPoint));
    }
    let start = (&near.x[..], near.iterations, Path::InteriorPoint);
    if let Some(solved) = end_in_vertex(design, b, weights, tau, start, watch)? {
        return Ok(solved);
    }
    let status = if near.converged { Status::Converged } else { Status::Limit };
    let Solution { x, dual, iterations, .. } = near;
    Ok(Solved { x, dual: Some(dual), iterations, status, path: Path::InteriorPoint })
}

/// A dual point for all rows that is good to `tolerance`, for an answer that came from elsewhere.
pub(super) fn dual_of_all_rows(
    (design, base, source): (&Design<'_>, &Whitening, Rows<'_>),
    b: &[f64],
    tau: f64,
    tolerance: f64,
    observer: &mut dyn Observer,
) -> Result<Vec<f64>, SensitivityError> {
    if preprocess::pays(b.len(), base.rank, Preprocessing::Auto)
        && let Outcome::Settled(found) = preprocess::solve(design, base, source, b, tau, tolerance, observer)?
    {
        return Ok(found.solution.dual);
    }
    let solved = solve_rows(design, b, None, tau, tolerance, observer)?;
    Ok(solved.dual.expect("quantiles have a dual point"))
}

fn stopped(solution: Solution, path: Path) -> Solved {
    let Solution { x, dual, iterations, .. } = solution;
    Solved { x, dual: Some(dual), iterations, status: Status::Interrupted, path }
}

/// The optimal vertex from coefficients nearby; `None` where rounding left none.
fn end_in_vertex(
    design: &Design<'_>,
    b: &[f64],
    weights: Option<&[f64]>,
    tau: f64,
    (x, iterations, path): (&[f64], usize, Path),
    watch: &mut Watch<'_>,
) -> Result<Option<Solved>, SensitivityError> {
    let Some(vertex) = edge::finish(design, b, weights, tau, x, watch)? else { return Ok(None) };
    let status = match vertex.end {
        End::Optimal => Status::Converged,
        End::Interrupted => Status::Interrupted,
        End::Limit | End::Unbounded => return Ok(None),
    };
    // A vertex on the way of a stopped descent may be worse than where it began.
    let better = status == Status::Interrupted && {
        let loss = |x: &[f64]| certificate::weighted_quantile_loss(design, b, weights, tau, x);
        loss(x) < loss(&vertex.x)
    };
    let found = if better { x.to_vec() } else { vertex.x };
    Ok(Some(Solved { x: found, dual: Some(vertex.dual), iterations: iterations + vertex.pivots, status, path }))
}
