//! Which rows of a table matter for `ℓp` problems, a small weighted subset that answers for all of them, and `ℓp`
//! regression on it with a certificate on the full data (arXiv 2306.00732 version 2, and the Lewis-weight literature).
//!
//! The sensitivity of row `i` of `A` (`n × d`) is `s_i = sup_x |a_iᵀx|^p / ‖A x‖_p^p ∈ [0, 1]`. Rows kept independently
//! with probability `q_i ≥` (a multiple of) an upper bound of `s_i`, with weight `1/q_i`, keep `‖A x‖_p^p` for all `x`
//! at once.
//!
//! | stage | module | row |
//! |---|---|---|
//! | scores: leverage, root leverage, Lewis weights, certified sensitivities, with two-sided bounds on `s_i` | [`scores`](mod@scores) | SEN-1, SEN-2, SEN-3, SEN-9 |
//! | samples by row hash: independent, of fixed size, systematic along a tree; size for a distortion; root leverage in rounds; a first draw by rough scores | [`coreset`] | SEN-4, SEN-5, SEN-10 to SEN-13, SEN-18 |
//! | one pass, any blocks, any shards: the same coreset | [`streaming`] | SEN-14 |
//! | what an adversary finds against a coreset | [`distortion`](mod@distortion) | SEN-15 |
//! | `ℓ1` and quantile regression: interior point, with a reduced problem for many rows | `interior_point` | SEN-6, SEN-16 |
//! | the optimal vertex in which every such fit ends | `edge` | SEN-19 |
//! | `ℓp` regression, `p > 1`: Newton's method along easier problems | `newton` | SEN-6 |
//! | dual lower bound on the full data | `certificate` | SEN-7 |
//! | regression on a coreset, judged on all rows; with labels asked for | [`regress`](mod@regress) | SEN-8, SEN-17 |
//!
//! Floors: leverage scores read the table twice and take `n·d²` multiply-adds, half of them for the Gram matrix; a step
//! towards Lewis weights reads it once.
//!
//! What measurements do not support (`cargo bench --bench sensitivity`), so that nobody has to find out again:
//! - Exact sensitivities do not sample better than Lewis weights or leverage scores on anything tried; their value is the
//!   certificate.
//! - The exponents of the theorems in `S` do not predict how many rows are needed; for `p < 2` the bound `S^{2/p}` of the
//!   paper's first version is superseded by `d^{1−p/2}·S` (Chen and Derezinski 2021), never larger.
//! - On benign data, and for the objective of a regression, uniform rows are as good. Scores earn their cost where few rows
//!   decide: rare categories whose coefficient matters, heavy tails, norms of all directions at once.
//! - Sketched leverage scores are wrong by 100 % and more on the worst row at usual sizes; here they only precondition, and choose
//!   the eight times too many rows that are then scored.
//!
//! ```
//! use samplewise_linalg::Matrix;
//! use samplewise_sensitivity::{Loss, Options, regress_on_coreset};
//! // 2,000 rows, one of them the only one that knows the second coefficient.
//! let a = Matrix::from_fn(2000, 2, |i, j| if j == 0 { 1.0 + (i % 7) as f64 } else { f64::from(i == 700) });
//! let b: Vec<f64> = (0..2000).map(|i| 2.0 * a[(i, 0)] + 5.0 * a[(i, 1)] + 0.1 * ((i * i % 11) as f64 - 5.0)).collect();
//! let fit = regress_on_coreset(&a, &b, Loss::Lp(1.0), 150, &Options::default())?;
//! assert!((fit.coefficients[1] - 5.0).abs() < 0.6, "the decisive row is in the coreset");
//! assert!(fit.objective <= 1.05 * fit.lower_bound.expect("a bound"), "and the fit is certified within 5 %");
//! # Ok::<(), samplewise_sensitivity::SensitivityError>(())
//! ```

mod certificate;
pub mod coreset;
mod design;
pub mod distortion;
mod edge;
pub mod error;
mod interior_point;
mod loss;
mod newton;
mod power;
pub mod regress;
pub mod scores;
pub mod streaming;

pub use coreset::{Coreset, Recursion, Sampler, Screened, planned_size, recursive_root_leverage, screened_coreset};
pub use distortion::{Distortion, DistortionOptions, distortion};
pub use error::SensitivityError;
pub use loss::Loss;
pub use regress::{
    ActiveFit, ActivePlan, Options, Path, Preprocessing, Regression, SolverOptions, Status, regress, regress_active,
    regress_observed, regress_on_coreset, regress_on_coreset_observed,
};
pub use scores::{Certified, Method, ScoreOptions, Scores, certified_sensitivities, scores, scores_with};
pub use streaming::{Block, StreamOptions, Streamed, StreamingCoreset};
