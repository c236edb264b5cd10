//! Solvers of `ℓp` and quantile regression in coordinates in which the columns are orthonormal.
pub(crate) mod edge;
pub(crate) mod interior_point;
pub(crate) mod newton;
pub(crate) mod quantile;
pub(crate) mod reduced;

use samplewise_linalg::lstsq::{Method as LeastSquares, least_squares_observed};
use samplewise_linalg::observe::Observer;

use crate::Error;
use crate::answer::{Outcome, Route};
use crate::design::Design;
use crate::loss::Loss;

/// What a solver found, in whitened coordinates.
pub(crate) struct Solved {
    pub x: Vec<f64>,
    /// Dual point of the vertex, or of the interior point method where there is none, in the units of its `τ`.
    pub dual: Option<Vec<f64>>,
    pub iterations: usize,
    pub outcome: Outcome,
    pub route: Route,
}

/// Minimises the weighted loss in whitened coordinates.
pub(crate) fn solve(
    design: &Design<'_>,
    b: &[f64],
    weights: Option<&[f64]>,
    loss: Loss,
    tolerance: f64,
    observer: &mut dyn Observer,
) -> Result<Solved, Error> {
    let plain = |x, iterations, outcome, route| Solved { x, dual: None, iterations, outcome, route };
    if design.rank() == 0 {
        return Ok(plain(Vec::new(), 0, Outcome::Converged, Route::LeastSquares)); // a table of zeros
    }
    if let Some(tau) = loss.quantile() {
        return quantile::solve_rows(design, b, weights, tau, tolerance, observer);
    }
    let mut scaled = design.whole(observer)?;
    let mut target = b.to_vec();
    for (i, w) in weights.unwrap_or(&[]).iter().enumerate() {
        let root = w.sqrt();
        scaled.row_mut(i).iter_mut().for_each(|v| *v *= root);
        target[i] *= root;
    }
    let start = least_squares_observed(&scaled, &target, LeastSquares::Auto, observer)?.x;
    drop(scaled);
    let p = loss.exponent();
    if p == 2.0 {
        return Ok(plain(start, 1, Outcome::Converged, Route::LeastSquares));
    }
    let s = newton::solve(design, b, weights, p, tolerance * 1e-3, start, observer)?;
    Ok(plain(s.x, s.iterations, Outcome::of(s.converged, s.interrupted), Route::Newton))
}
