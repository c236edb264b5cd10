//! `ℓ1` and quantile regression by a primal–dual interior point method with Mehrotra's correction (the Frisch–Newton
//! method of Portnoy and Koenker).
//!
//! `min_x Σ_i w_i ρ_τ(b_i − a_iᵀx)` with `ρ_τ(r) = r·(τ − [r < 0])` has the dual
//! `max_y { bᵀy : Aᵀy = (1 − τ) Aᵀw, 0 ≤ y ≤ w }` (shifted by a constant): bounds on `y`, one weighted Gram matrix per
//! step, 10 to 25 steps whatever the size.
//!
//! A step costs the Gram matrix, three products with `A`, and five passes over the rows (`iterate`).
mod iterate;

use samplewise_linalg::observe::{Observer, Progress};
use samplewise_linalg::{LinalgError, Matrix, factor, sums};

use iterate::Iterate;

/// Minimiser with its dual point.
#[derive(Clone, Debug, PartialEq)]
pub struct Solution {
    /// Coefficients `x`.
    pub x: Vec<f64>,
    /// `y − (1 − τ)w`: a vector `u` with `Aᵀu = 0` (to rounding) and `−(1−τ)w ≤ u ≤ τw`, so `bᵀu` bounds the objective
    /// from below.
    pub dual: Vec<f64>,
    /// Number of steps.
    pub iterations: usize,
    /// True when the gap closed to the tolerance.
    pub converged: bool,
    /// True when the observer stopped it.
    pub interrupted: bool,
}

const MAX_STEPS: usize = 80;
/// Slow steps in a row after which the method gives up.
const PATIENCE: usize = 9;
/// Solves to a relative duality gap of `tolerance` (row SEN-6). Cost `n·d²` flops a step.
///
/// # Errors
/// [`LinalgError::NotPositiveDefinite`] when `A` has no full column rank (scale and reduce it first).
pub fn solve(
    a: &Matrix,
    b: &[f64],
    weights: Option<&[f64]>,
    tau: f64,
    tolerance: f64,
    observer: &mut dyn Observer,
) -> Result<Solution, LinalgError> {
    solve_from(a, b, weights, tau, tolerance, &Start::default(), observer)
}

/// What is known beforehand.
#[derive(Default)]
pub(crate) struct Start<'a> {
    /// Coefficients near the solution.
    pub(crate) x: Option<&'a [f64]>,
    /// A dual point nearby, if possible feasible.
    pub(crate) dual: Option<&'a [f64]>,
    /// A linear term `constant − coefficientsᵀx` of the objective.
    pub(crate) linear: Option<(&'a [f64], f64)>,
}

/// Steps between two recomputations of the fit, which is updated with what a step adds.
const REFRESH: usize = 5;

/// [`solve`] with a start and a linear term.
///
/// The linear term moves the primal equation to `Aᵀx = (1 − τ)Aᵀw − coefficients`, which the start does not obey: the
/// predictor and the corrector both take the way to it.
pub(crate) fn solve_from(
    a: &Matrix,
    b: &[f64],
    weights: Option<&[f64]>,
    tau: f64,
    tolerance: f64,
    start: &Start<'_>,
    observer: &mut dyn Observer,
) -> Result<Solution, LinalgError> {
    let mut at = Iterate::new((a, b, weights), tau, start, observer)?;
    let missing_at_first = sums::norm(&at.missing);
    // In scaled units, as a function of y.
    let linear = |at: &Iterate| start.linear.map_or(0.0, |(c, constant)| constant / at.scale + sums::dot(c, &at.y));
    let (mut iterations, mut converged, mut interrupted) = (0, false, false);
    let (mut best_gap, mut slow) = (f64::INFINITY, 0);
    while iterations < MAX_STEPS {
        let (gap, loss) = at.measure();
        let size = (loss + linear(&at)).abs() + f64::MIN_POSITIVE;
        let progress = Progress { stage: "interior point", step: iterations, total: None, value: Some(gap / size) };
        interrupted = observer.step(progress).is_break();
        converged = (gap <= tolerance * size || gap <= 1e-14 * a.rows() as f64)
            && sums::norm(&at.missing) <= 1e-9 * (1.0 + missing_at_first);
        // Rounding ends the progress before the tolerance on degenerate data: the certificate will tell. One slow step is no
        // sign of it: at extreme quantiles and heavy tails several follow each other.
        slow = if gap > 0.9 * best_gap { slow + 1 } else { 0 };
        let stuck = iterations > 20 && slow >= PATIENCE;
        best_gap = best_gap.min(gap);
        if converged || interrupted || stuck {
            break;
        }
        iterations += 1;
        // Predictor: dy from AᵀQA dy = AᵀQ r, where the primal equation Aᵀx = const holds from the start.
        let factored = at.normal_equations(observer).and_then(|normal| Ok((ridged(&normal.matrix)?, normal.right)));
        let (factor, mut dy) = match factored {
            Ok(factored) => factored,
            Err(LinalgError::Interrupted) => {
                interrupted = true;
                break;
            }
            Err(e) if iterations == 1 => return Err(e),
            // Weights that overflow, or rounding, at the end of the way: the iterate is the answer, its gap says how good it
            // is.
            Err(_) => break,
        };
        sums::axpy(1.0, &at.missing, &mut dy);
        factor.solve_in_place(&mut dy);
        let reach = at.predict(&dy);
        let mut shares = (reach.primal, reach.dual);
        if shares.0.min(shares.1) < 1.0 {
            let target = at.target(gap, &reach);
            at.correction(target, &mut dy);
            factor.solve_in_place(&mut dy);
            shares = at.correct(target, &dy);
        }
        at.advance(shares, &dy);
        if iterations.is_multiple_of(REFRESH) {
            at.refresh();
        }
    }
    Ok(Solution {
        x: at.y.iter().map(|v| -v * at.scale).collect(),
        dual: at.dual(weights),
        iterations,
        converged,
        interrupted,
    })
}

/// Cholesky with a ridge at rounding level, so that the near-singular last steps go through.
fn ridged(g: &Matrix) -> Result<factor::Cholesky, LinalgError> {
    let d = g.rows();
    let trace: f64 = (0..d).map(|i| g[(i, i)]).sum();
    factor::Cholesky::new(g, 1e-15 * trace)
}
