//! Settings of a fit.
use samplewise_linalg::Matrix;

/// Settings of [`crate::fit_representation`].
#[derive(Clone, Debug, PartialEq)]
pub struct FitOptions {
    /// Ridge of every task's coefficients `B w_m`, per sample (one of `w_m` alone would do nothing: `B` would grow instead).
    /// Default 0; where features outnumber the samples of a task and the model is only roughly true, 0.01 to 0.3. Finite,
    /// `≥ 0`.
    pub ridge: f64,
    /// Stop when the gradient promises less than this share of the loss. Default 1e-10. Finite, `≥ 0`.
    pub tolerance: f64,
    /// Evaluations of the loss at most. Default 100.
    pub max_iterations: usize,
    /// Basis to start from, `d × K`, such as that of an earlier fit; its `K` is that of the fit where none is asked for.
    /// Default none: the spectral start.
    pub start: Option<Matrix>,
    /// Seed of the spectral start. Default 0.
    pub seed: u64,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self { ridge: 0.0, tolerance: 1e-10, max_iterations: 100, start: None, seed: 0 }
    }
}
