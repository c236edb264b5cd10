//! Ridges of factors and biases, and how a half step treats its rows.
use samplewise_linalg::{Matrix, Real};

use crate::options::Solver;

/// The penalty of one half step.
#[derive(Clone, Copy, Debug)]
pub struct Ridge {
    /// Ridge `λ` per entry to the exponent.
    pub lambda: f64,
    /// Exponent of the number of entries.
    pub exponent: f64,
    /// Where there are biases, the `λ` that their [`bias_ridge`] goes with.
    pub biases: Option<f64>,
}

impl Ridge {
    /// That of a row with so many entries.
    pub(crate) fn of(&self, count: usize) -> f64 {
        if self.exponent == 0.0 { self.lambda } else { self.lambda * (count as f64).powf(self.exponent) }
    }
}

/// How a half step treats its rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub solver: Solver,
    pub non_negative: bool,
    /// Rows may be solved to a tenth of their change where that is cheaper.
    pub roughly: bool,
    /// Names the random signs of the sketches.
    pub seed: u64,
}

/// *Tuned* (ML-100K and GB1): the bias ridge is worth this many entries; 1 to 6 change the error by less than 0.001.
pub(crate) const BIAS_RIDGE: f64 = 3.0;

/// A ridge `λ` of the factors is worth `λ/v²` entries to a factor whose counterparts on the other side have the mean square
/// `v²`; that of the biases is at most so many times as much. *Tuned*: with 10 or 30 the fit of a fifth of GB1 loses half a
/// hundredth of R², with 50 and 100 nothing; with 100 a ridge of 1e-4 on an exact table shows.
const BESIDE_FACTORS: f64 = 50.0;

/// The ridge of the biases, in entries, beside a ridge `lambda` of the factors that belong to `other`: it vanishes with
/// `lambda`, so that nothing is drawn to the mean where next to nothing was asked for.
pub(crate) fn bias_ridge<T: Real>(lambda: f64, other: &Matrix<T>) -> f64 {
    let all = other.as_slice();
    if lambda == 0.0 {
        return 0.0;
    }
    let square = all.iter().map(|v| v.to_f64().powi(2)).sum::<f64>() / all.len().max(1) as f64;
    BIAS_RIDGE.min(BESIDE_FACTORS * lambda / square)
}

/// The ridge of the biases before there are factors, beside the ridge that was asked for.
pub(crate) fn first_bias_ridge(lambda: Option<f64>) -> f64 {
    if lambda == Some(0.0) { 0.0 } else { BIAS_RIDGE }
}
