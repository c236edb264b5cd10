//! Relevance of source tasks for a target, and what to do with a budget.
use samplewise_lasso::{Design, largest_lambda, solve};
use samplewise_linalg::factor::{Cholesky, dense_svd};
use samplewise_linalg::gram::gram;
use samplewise_linalg::{LinalgError, Matrix, chunk};

use crate::MtrlError;

/// How the budget is spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Strategy {
    /// Every task alike.
    Uniform,
    /// `n ∝ ν²` for the `ν` of least Euclidean norm (Chen et al. 2022).
    L2,
    /// `n ∝ |ν|` for the Lasso's `ν` (the paper; optimal when `W` is known).
    #[default]
    L1,
}

/// `ν` with `W ν ≈ target` (rows MTL-2 and MTL-3); for L1 the Lasso with `λ` (`None`: 5 % of the largest).
///
/// The default suits a `W` that is estimated, beside uniform exploration. When `W` is known, take `λ` close to zero
/// (`1e-6` of the largest): the `ν` of least `ℓ1` norm, whose tasks span the target.
///
/// # Errors
/// [`MtrlError::Lasso`], [`MtrlError::Data`].
pub fn relevance(
    weights: &Matrix,
    target: &[f64],
    strategy: Strategy,
    lambda: Option<f64>,
) -> Result<Vec<f64>, MtrlError> {
    let tasks = weights.columns();
    match strategy {
        Strategy::Uniform => Ok(vec![1.0 / tasks as f64; tasks]),
        Strategy::L2 => least_norm(weights, target),
        Strategy::L1 => {
            let design = Design::dense(weights)?;
            let options = samplewise_lasso::Options { intercept: false, tolerance: 1e-12, ..Default::default() };
            let lambda = match lambda {
                Some(l) => l,
                None => match 0.05 * largest_lambda(&design, target, &options)? {
                    0.0 => return Ok(vec![0.0; tasks]), // the target is zero
                    l => l,
                },
            };
            let fit = solve(&design, target, lambda, &options)?;
            Ok((0..tasks).map(|m| fit.coefficient(m)).collect())
        }
    }
}

/// `Wᵀ(WWᵀ)⁺ target`, the `ν` of least Euclidean norm (a column-scaled solver would minimise another norm).
fn least_norm(weights: &Matrix, target: &[f64]) -> Result<Vec<f64>, MtrlError> {
    let svd = dense_svd(weights)?;
    let floor = svd.s.first().copied().unwrap_or(0.0) * 1e-13;
    let mut nu = vec![0.0; weights.columns()];
    for (j, &s) in svd.s.iter().enumerate().filter(|e| *e.1 > floor) {
        let along = chunk::dot(&svd.u.copy_column(j), target) / s;
        chunk::axpy(along, &svd.v.copy_column(j), &mut nu);
    }
    Ok(nu)
}

/// Splits `budget` samples over tasks in proportion to `|ν|` (L1), `ν²` (L2) or equally; largest remainders get the
/// rest, so the sum is exact.
pub fn allocate(relevance: &[f64], budget: usize, strategy: Strategy) -> Vec<usize> {
    let mut share: Vec<f64> = relevance
        .iter()
        .map(|v| match strategy {
            Strategy::Uniform => 1.0,
            Strategy::L2 => v * v,
            Strategy::L1 => v.abs(),
        })
        .collect();
    if chunk::sum(&share) <= 0.0 {
        share.fill(1.0);
    }
    let total = chunk::sum(&share);
    let exact: Vec<f64> = share.iter().map(|s| s / total * budget as f64).collect();
    let mut out: Vec<usize> = exact.iter().map(|e| e.floor() as usize).collect();
    let mut order: Vec<usize> = (0..out.len()).collect();
    order.sort_by(|&a, &b| (exact[b] - exact[b].floor()).total_cmp(&(exact[a] - exact[a].floor())).then(a.cmp(&b)));
    let missing = budget.saturating_sub(out.iter().sum());
    order.iter().cycle().take(missing).for_each(|&m| out[m] += 1);
    out
}

/// `wᵀ(W diag(n) Wᵀ)⁻¹w`: the target's excess risk over `σ²(d − K)` that an allocation leaves (row MTL-3).
///
/// # Errors
/// [`LinalgError::NotPositiveDefinite`] when the sampled tasks do not span the target's space.
pub fn predicted_risk(weights: &Matrix, target: &[f64], samples: &[usize]) -> Result<f64, LinalgError> {
    let n: Vec<f64> = samples.iter().map(|&n| n as f64).collect();
    let g = gram(&weights.transpose(), Some(&n), None)?;
    let mut x = target.to_vec();
    let trace: f64 = (0..x.len()).map(|i| g.matrix[(i, i)]).sum();
    Cholesky::new(&g.matrix, 1e-12 * trace)?.solve_in_place(&mut x);
    Ok(chunk::dot(&x, target))
}
