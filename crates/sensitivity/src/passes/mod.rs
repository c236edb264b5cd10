//! `ℓ1` and quantile regression of rows that lie elsewhere, in a few passes over them (row SEN-33).
//!
//! A driver asks, and any engine answers by a pass over its parts of the table: a part makes a [`QuantilePass`] of the question
//! and feeds it its rows; passes are merged in any order and told to the driver, which asks again or is done.
//!
//! | pass | what it brings | what the driver does with it |
//! |---|---|---|
//! | sums | number, sums and products of the features | coordinates in which the columns are orthonormal: the scale of a row's uncertainty |
//! | sample | some rows, each by the root of its leverage | a first fit |
//! | band, again while it is too wide | the rows near the fit, all or some; the others, whose sides are decided, as sums | a better fit, and a band as narrow as it allows |
//! | verification | the loss, and rows that the last fit finds on the other side than was decided | none: the fit is that of all rows, and its multipliers prove it. Some: they are put back |
//!
//! The fit of `m` sampled rows is off by about `√(d/m)` of the scale of the residuals, so that each pass leaves a share of
//! `4√(d/m)` of the rows undecided: the number of passes grows like `log n / log √(m/d)`.
//!
//! Answers have the same bits for any order and partition of the rows: each row is worked on by itself, its luck is a hash of
//! its key, sums are held in twice the precision and rounded at the end, and rows are sorted before they are solved for.
mod band;
mod bytes;
mod driver;
mod judge;
mod kept;
mod pass;
mod question;
mod reduced;

pub use driver::{PassRecord, PassStage, QuantileDriver, RegressionByPasses};
pub use pass::QuantilePass;
pub use question::Question;

/// Settings of a [`QuantileDriver`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PassOptions {
    /// Fit an intercept; the column of ones is not among the features. Default false.
    pub intercept: bool,
    /// Relative tolerance of the gap between objective and lower bound. Default 1e-9, below which nothing is claimed; finite
    /// and above 0.
    pub tolerance: f64,
    /// Rows that a sampling pass brings to the driver, as an expectation; at least 64 for each column are taken, and 16 for each
    /// column beyond the quantile. Default 50,000, 64 to 10,000,000.
    pub sample_rows: usize,
    /// Rows near the fit that are all brought to the driver, at most; more are sampled, or make it take a narrower band. Twice
    /// the rows of a sample at least. Default 500,000, 64 to 100,000,000.
    pub most_rows: usize,
    /// Passes over the table at most. Default 30, at least 1.
    pub max_passes: usize,
    /// Seed of the row hash. Default 0.
    pub seed: u64,
}

impl Default for PassOptions {
    fn default() -> Self {
        Self { intercept: false, tolerance: 1e-9, sample_rows: 50_000, most_rows: 500_000, max_passes: 30, seed: 0 }
    }
}
