//! Settings.

/// The rank of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rank {
    /// As given.
    Fixed(usize),
    /// Grown from 1 while the error on the tuning set falls by 3 % or more (two misses stop), up to `max`.
    Auto {
        /// Largest rank tried.
        max: usize,
    },
}

/// Settings of [`crate::complete`].
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Ridge `λ` at which to stop. Default `None`: the one of the path that predicts the tuning set best, down to zero.
    /// Finite, `≥ 0`.
    pub lambda: Option<f64>,
    /// Fit a mean and biases of rows and columns. Default false (low-rank recovery); ratings want true.
    pub biases: bool,
    /// Exponent `e` of the number of entries in the ridge of a row. Default `None`: 0.5 with biases, 0 without.
    pub ridge_exponent: Option<f64>,
    /// Asks for exact recovery: the held-out error relative to the spread of the values must fall to this.
    /// Default `None`: the best prediction is good enough, and 1e-6 counts as recovered when it happens.
    pub tolerance: Option<f64>,
    /// Factor by which `λ` falls per pair of half steps. Default 0.65, range `(0, 1)`; 0.8 or more near the information
    /// limit or for condition numbers above 10.
    pub decay: f64,
    /// Pairs of half steps in all, over all ranks. Default 2,000.
    pub max_iterations: usize,
    /// Share of the entries that choose `λ` and rank. Default 0.05, range `[0, 0.5]`; at most 10,000 entries.
    pub tuning: f64,
    /// Share of the entries that only judge the result. Default 0.05, range `[0, 0.5]`; at most 10,000 entries. At 0
    /// nothing is ever called verified.
    pub verification: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lambda: None,
            biases: false,
            ridge_exponent: None,
            tolerance: None,
            decay: 0.65,
            max_iterations: 2_000,
            tuning: 0.05,
            verification: 0.05,
        }
    }
}
