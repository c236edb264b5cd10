//! Relevance `ν` of source tasks for targets, shares of a budget, the risk they leave and how near that is to the least.
//!
//! With samples `n_m`, noise `σ_m` and weights `W` the target's excess risk is about `(d−K)·wᵀ(W diag(n/σ²) Wᵀ)⁻¹w`. By
//! Elfving's theorem the least for a total cost `Σ c_m n_m` is `(d−K)·(Σ s_m|ν_m|)²/cost`, `s_m = σ_m√c_m`, for the `ν` with
//! `Wν = w` that makes `Σ s_m|ν_m|` least, at `n_m ∝ σ_m|ν_m|/√c_m` (rows MTL-3, MTL-5).
use samplewise_lasso::group::{self, GroupOptions};
use samplewise_lasso::{self as lasso, Design, Homotopy, Workspace};
use samplewise_linalg::factor::{Cholesky, dense_svd};
use samplewise_linalg::gram::gram;
use samplewise_linalg::{LinalgError, Matrix, sums};

use crate::Error;

/// How the budget is spread.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Strategy {
    /// Every task alike.
    Uniform,
    /// `n ∝ ν²` for the `ν` of least Euclidean norm (Chen et al. 2022).
    L2,
    /// `n ∝ |ν|` for the Lasso's `ν` (the paper).
    L1,
    /// `n ∝ |ν|` for the `ν` of least `ℓ1` norm: optimal when `W` is known.
    LeastL1,
    /// The so many tasks of largest `|ν|` by the Lasso, alike.
    TopK(usize),
    /// What does best on the average over weights as uncertain as the estimate: uniform, L2, L1 or a mixture (row MTL-6).
    #[default]
    Guarded,
}

/// `ν` and how it was found.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Relevance {
    /// `ν` (`K` targets: norms over the targets).
    pub nu: Vec<f64>,
    /// Shares of the samples, summing to one.
    pub shares: Vec<f64>,
    /// `Σ s_m|ν_m|`, for the Lasso at its `λ`.
    pub norm: f64,
    /// Gap of the convex problem behind it, relative to its objective; zero where none was solved.
    pub gap: f64,
}

/// Relevance with `W ν ≈ w` for one target (rows MTL-2, MTL-3).
///
/// `lambda` is for L1 and TopK (`None`: 5 % of the largest, which suits an estimated `W`); `scales` are `s_m = σ_m√c_m` and
/// `prices` the `c_m` of a cost-aware allocation, all one without them. [`Strategy::Guarded`] needs to know how uncertain
/// `W` is and is decided by [`crate::Planner`]; here it is L1.
///
/// # Errors
/// [`Error::Lasso`], [`Error::Data`], [`Error::Argument`].
pub fn relevance(
    weights: &Matrix,
    target: &[f64],
    strategy: Strategy,
    lambda: Option<f64>,
    prices: Option<&[f64]>,
) -> Result<Relevance, Error> {
    let tasks = weights.columns();
    check_target(weights, target)?;
    let scales = root_prices(prices, tasks)?;
    let (nu, gap) = match strategy {
        Strategy::Uniform => (vec![1.0 / tasks as f64; tasks], 0.0),
        Strategy::L2 => (least_norm(weights, target)?, 0.0),
        Strategy::L1 | Strategy::TopK(_) | Strategy::Guarded => {
            sparse(weights, target, &scales, Wanted::Lasso(lambda))?
        }
        Strategy::LeastL1 => sparse(weights, target, &scales, Wanted::LeastNorm)?,
    };
    Ok(finish(nu, gap, strategy, &scales))
}

/// Relevance for several targets (columns of `targets`, `K × T`): the group Lasso's rows, `n ∝ ‖N_m‖₂` (row MTL-5). With
/// [`Strategy::LeastL1`] at 1e-4 of the largest λ, which is near the least norm, not at it.
///
/// # Errors
/// As [`relevance`].
pub fn relevance_of_targets(
    weights: &Matrix,
    targets: &Matrix,
    strategy: Strategy,
    lambda: Option<f64>,
    prices: Option<&[f64]>,
) -> Result<Relevance, Error> {
    let tasks = weights.columns();
    if targets.columns() == 1 {
        return relevance(weights, &targets.copy_column(0), strategy, lambda, prices);
    }
    let scales = root_prices(prices, tasks)?;
    let (nu, gap) = match strategy {
        Strategy::Uniform => (vec![1.0 / tasks as f64; tasks], 0.0),
        Strategy::L2 => {
            let mut squares = vec![0.0; tasks];
            for t in 0..targets.columns() {
                let nu = least_norm(weights, &targets.copy_column(t))?;
                squares.iter_mut().zip(nu).for_each(|(s, v)| *s += v * v);
            }
            (squares.into_iter().map(f64::sqrt).collect(), 0.0)
        }
        _ => {
            let design = Design::dense(&scaled(weights, &scales))?;
            let options = GroupOptions { intercept: false, tolerance: 1e-8, ..GroupOptions::default() };
            let groups = group::single_columns(&design);
            let top = group::largest_lambda(&design, targets, &groups, &options)?;
            if top == 0.0 {
                (vec![0.0; tasks], 0.0)
            } else {
                let share = if strategy == Strategy::LeastL1 { 1e-4 } else { 0.05 };
                let fit = group::solve(&design, targets, &groups, lambda.unwrap_or(share * top), &options)?;
                let mut nu = vec![0.0; tasks];
                fit.coefficients.iter().for_each(|(m, row)| nu[*m] = sums::norm(row) / scales[*m]);
                (nu, fit.gap() / fit.objective.max(f64::MIN_POSITIVE))
            }
        }
    };
    Ok(finish(nu, gap, strategy, &scales))
}

/// A weight of the target for each row of `weights`, and everything finite.
fn check_target(weights: &Matrix, target: &[f64]) -> Result<(), LinalgError> {
    if target.len() != weights.rows() {
        return Err(LinalgError::Length { argument: "target", given: target.len(), expected: weights.rows() });
    }
    weights.check_finite("weights")?;
    match target.iter().position(|v| !v.is_finite()) {
        Some(row) => Err(LinalgError::NotFinite { argument: "target", row, column: 0, value: target[row] }),
        None => Ok(()),
    }
}

fn root_prices(prices: Option<&[f64]>, tasks: usize) -> Result<Vec<f64>, Error> {
    let Some(prices) = prices else { return Ok(vec![1.0; tasks]) };
    if prices.len() != tasks {
        return Err(LinalgError::Length { argument: "prices", given: prices.len(), expected: tasks }.into());
    }
    if let Some(&value) = prices.iter().find(|p| !(p.is_finite() && **p > 0.0)) {
        return Err(Error::argument("prices", value, "finite and positive"));
    }
    Ok(prices.iter().map(|p| p.sqrt()).collect())
}

fn scaled(weights: &Matrix, scales: &[f64]) -> Matrix {
    Matrix::from_fn(weights.rows(), weights.columns(), |i, m| weights[(i, m)] / scales[m])
}

/// Which `ν`.
#[derive(Clone, Copy)]
enum Wanted {
    LeastNorm,
    Lasso(Option<f64>),
}

/// The Lasso's or the least-norm `ν` under `Σ s_m|ν_m|`.
fn sparse(weights: &Matrix, target: &[f64], scales: &[f64], wanted: Wanted) -> Result<(Vec<f64>, f64), Error> {
    let table = Homotopy::new(&scaled(weights, scales))?;
    let mut workspace = Workspace::new();
    let lambda = match wanted {
        Wanted::LeastNorm => None,
        Wanted::Lasso(lambda) => lambda,
    };
    let found = match wanted {
        Wanted::LeastNorm => table.least_l1(target, &mut workspace),
        Wanted::Lasso(_) => {
            let lambda = match lambda {
                Some(l) => l,
                None => 0.05 * table.largest_lambda(target)?,
            };
            if lambda == 0.0 {
                return Ok((vec![0.0; scales.len()], 0.0)); // the target is zero
            }
            table.solve(target, lambda, &mut workspace)
        }
    };
    match found {
        Ok(fit) => {
            let mut nu = vec![0.0; scales.len()];
            fit.coefficients.iter().for_each(|&(m, v)| nu[m] = v / scales[m]);
            Ok((nu, fit.gap() / fit.objective.max(f64::MIN_POSITIVE)))
        }
        Err(lasso::Error::Degenerate { .. }) => by_working_set(weights, target, scales, lambda),
        Err(e) => Err(e.into()),
    }
}

/// Where ties defeat the exact path.
fn by_working_set(
    weights: &Matrix,
    target: &[f64],
    scales: &[f64],
    lambda: Option<f64>,
) -> Result<(Vec<f64>, f64), Error> {
    let design = Design::dense(&scaled(weights, scales))?;
    let options = lasso::Options { intercept: false, tolerance: 1e-12, ..Default::default() };
    let top = lasso::largest_lambda(&design, target, &options)?;
    let fit = lasso::solve(&design, target, lambda.unwrap_or(1e-6 * top), &options)?;
    let nu = (0..scales.len()).map(|m| fit.coefficient(m) / scales[m]).collect();
    Ok((nu, fit.gap() / fit.objective.max(f64::MIN_POSITIVE)))
}

fn finish(nu: Vec<f64>, gap: f64, strategy: Strategy, scales: &[f64]) -> Relevance {
    let shares = shares(&nu, strategy, scales);
    let norm = nu.iter().zip(scales).map(|(v, s)| v.abs() * s).sum();
    Relevance { nu, shares, norm, gap }
}

/// Shares of the samples: `|ν_m|/√c_m` (L1), `ν_m²` (L2), alike (uniform, or the largest so many), summing to one.
fn shares(nu: &[f64], strategy: Strategy, scales: &[f64]) -> Vec<f64> {
    let mut share: Vec<f64> = match strategy {
        Strategy::Uniform => vec![1.0; nu.len()],
        Strategy::L2 => nu.iter().map(|v| v * v).collect(),
        Strategy::L1 | Strategy::LeastL1 | Strategy::Guarded => {
            nu.iter().zip(scales).map(|(v, s)| v.abs() / s).collect()
        }
        Strategy::TopK(k) => {
            let mut order: Vec<usize> = (0..nu.len()).filter(|&m| nu[m] != 0.0).collect();
            order.sort_by(|&a, &b| (nu[b].abs() * scales[b]).total_cmp(&(nu[a].abs() * scales[a])).then(a.cmp(&b)));
            let mut share = vec![0.0; nu.len()];
            order.iter().take(k).for_each(|&m| share[m] = 1.0);
            share
        }
    };
    let total = sums::sum(&share);
    if total > 0.0 && total.is_finite() {
        share.iter_mut().for_each(|s| *s /= total);
    } else {
        share.fill(1.0 / nu.len() as f64);
    }
    share
}

/// `Wᵀ(WWᵀ)⁺ target`, the `ν` of least Euclidean norm (a column-scaled solver would minimise another norm).
fn least_norm(weights: &Matrix, target: &[f64]) -> Result<Vec<f64>, Error> {
    if target.len() != weights.rows() {
        return Err(LinalgError::Length { argument: "target", given: target.len(), expected: weights.rows() }.into());
    }
    let svd = dense_svd(weights)?;
    let floor = svd.s.first().copied().unwrap_or(0.0) * 1e-13;
    let mut nu = vec![0.0; weights.columns()];
    for (j, &s) in svd.s.iter().enumerate().filter(|e| *e.1 > floor) {
        let along = sums::dot(&svd.u.copy_column(j), target) / s;
        sums::axpy(along, &svd.v.copy_column(j), &mut nu);
    }
    Ok(nu)
}

/// Splits `budget` samples in proportion to `shares`, none beyond its cap; largest remainders get the rest, so the sum is
/// exact while the caps allow it. What does not fit goes to the others in proportion, last to all alike.
///
/// # Errors
/// [`Error::Data`] for caps of another number than the shares, and for shares that are not finite;
/// [`Error::Argument`] for negative ones.
pub fn allocate(shares: &[f64], budget: usize, caps: Option<&[usize]>) -> Result<Vec<usize>, Error> {
    if let Some(caps) = caps.filter(|c| c.len() != shares.len()) {
        return Err(LinalgError::Length { argument: "caps", given: caps.len(), expected: shares.len() }.into());
    }
    if let Some((row, &value)) = shares.iter().enumerate().find(|s| !s.1.is_finite()) {
        return Err(LinalgError::NotFinite { argument: "shares", row, column: 0, value }.into());
    }
    if let Some(&value) = shares.iter().find(|s| **s < 0.0) {
        return Err(Error::argument("shares", value, "zero or more"));
    }
    let cap = |m: usize| caps.map_or(usize::MAX, |c| c[m]);
    // Only proportions count, and sums of large shares would overflow.
    let largest = shares.iter().fold(0.0_f64, |l, s| l.max(*s));
    let mut out = vec![0_usize; shares.len()];
    let mut left = budget;
    while left > 0 {
        let room = |m: usize| out[m] < cap(m);
        let mut share: Vec<f64> =
            (0..shares.len()).map(|m| if room(m) && largest > 0.0 { shares[m] / largest } else { 0.0 }).collect();
        let mut total = sums::sum(&share);
        if total == 0.0 {
            share = (0..shares.len()).map(|m| f64::from(u8::from(room(m)))).collect();
            total = sums::sum(&share);
            if total == 0.0 {
                break;
            }
        }
        let exact: Vec<f64> = share.iter().map(|s| s / total * left as f64).collect();
        // Beyond 2^53 a product is rounded: no part may take more than what is left.
        let mut rest = left;
        let mut part: Vec<usize> = Vec::with_capacity(exact.len());
        for e in &exact {
            let p = (e.floor() as usize).min(rest);
            part.push(p);
            rest -= p;
        }
        let mut order: Vec<usize> = (0..part.len()).filter(|&m| share[m] > 0.0).collect();
        let remainder = |m: usize| exact[m] - exact[m].floor();
        order.sort_by(|&a, &b| remainder(b).total_cmp(&remainder(a)).then(a.cmp(&b)));
        let (each, more) = (rest / order.len(), rest % order.len());
        order.iter().enumerate().for_each(|(at, &m)| part[m] += each + usize::from(at < more));
        for (m, p) in part.into_iter().enumerate() {
            let fits = p.min(cap(m) - out[m]);
            out[m] += fits;
            left -= fits;
        }
    }
    Ok(out)
}

/// `wᵀ(W diag(n) Wᵀ)⁻¹w`: the target's excess risk over `σ²(d − K)` that an allocation leaves (row MTL-3).
///
/// # Errors
/// [`LinalgError::NotPositiveDefinite`] when the sampled tasks do not span the target's space; [`LinalgError::Length`] and
/// [`LinalgError::NotFinite`] for a target or samples that do not fit the weights or are not finite,
/// [`LinalgError::OutOfRange`] for negative samples.
pub fn predicted_risk(weights: &Matrix, target: &[f64], samples: &[f64]) -> Result<f64, LinalgError> {
    check_target(weights, target)?;
    if samples.len() != weights.columns() {
        return Err(LinalgError::Length { argument: "samples", given: samples.len(), expected: weights.columns() });
    }
    if let Some(&value) = samples.iter().find(|n| !(n.is_finite() && **n >= 0.0)) {
        return Err(LinalgError::OutOfRange { argument: "samples", value, allowed: "finite and at least 0" });
    }
    let g = gram(&weights.transpose(), Some(samples), None)?.matrix;
    // Each weight in units of its own size, which may be far from that of the others.
    let k = target.len();
    if let Some(pivot) = (0..k).find(|&i| g[(i, i)] <= 0.0) {
        return Err(LinalgError::NotPositiveDefinite { pivot, value: g[(pivot, pivot)] });
    }
    let size: Vec<f64> = (0..k).map(|i| g[(i, i)].sqrt()).collect();
    let factor = Cholesky::new(&Matrix::from_fn(k, k, |i, j| g[(i, j)] / size[i] / size[j]), 0.0)?;
    for pivot in 0..k {
        let value = factor.lower()[(pivot, pivot)].powi(2);
        if value <= 1e-13 {
            return Err(LinalgError::NotPositiveDefinite { pivot, value });
        }
    }
    let scaled: Vec<f64> = target.iter().zip(&size).map(|(t, s)| t / s).collect();
    let mut x = scaled.clone();
    factor.solve_in_place(&mut x);
    Ok(sums::dot(&x, &scaled))
}

/// Elfving efficiency in `(0, 1]`: the least risk for this cost over the risk of the allocation (row MTL-3). One is optimal.
///
/// # Errors
/// As [`relevance`] and [`predicted_risk`].
pub fn efficiency(weights: &Matrix, target: &[f64], samples: &[f64], prices: Option<&[f64]>) -> Result<f64, Error> {
    let best = relevance(weights, target, Strategy::LeastL1, None, prices)?.norm;
    let cost: f64 = samples.iter().enumerate().map(|(m, n)| n * prices.map_or(1.0, |p| p[m])).sum();
    let risk = predicted_risk(weights, target, samples)?;
    // A target of zero needs no samples, whichever were drawn.
    Ok(if risk > 0.0 { (best * best / (cost * risk)).min(1.0) } else { 1.0 })
}
