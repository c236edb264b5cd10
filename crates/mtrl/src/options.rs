//! Settings of a fit.

/// Settings of [`crate::fit_representation_from`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FitOptions {
    /// Dimension `K`; `None` takes the largest relative gap between neighbouring singular values of the moments.
    pub dimension: Option<usize>,
    /// Ridge of every task's coefficients `B w_m`, per sample (one of `w_m` alone would do nothing: `B` would grow instead).
    /// Default 0; where features outnumber the samples of a task and the model is only roughly true, 0.01 to 0.3.
    pub ridge: f64,
    /// Stop when the gradient promises less than this share of the loss. Default 1e-10.
    pub tolerance: f64,
    /// Evaluations at most. Default 100.
    pub limit: usize,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self { dimension: None, ridge: 0.0, tolerance: 1e-10, limit: 100 }
    }
}
