//! Lasso and elastic net whose every answer carries its duality gap.
//!
//! `min_{w,b}  (1/2n) Σ_i s_i (y_i − x_iᵀw − b)² + λ Σ_j ω_j ( α|w_j| + (1−α)/2 · w_j² )`
//!
//! with `s_i` sample weights scaled to mean 1, `ω_j` penalty factors, `α ∈ (0, 1]`. The gap is the difference between
//! the objective and a dual value that anyone can check from the residual alone, so it bounds how far the objective is
//! from its minimum.
//!
//! | stage | module | row |
//! |---|---|---|
//! | columns, dense or sparse, centred and scaled | [`design`] | |
//! | primal, dual, gap | [`duality`] | LAS-1 |
//! | coordinate descent on a working set | [`descent`] | LAS-2 |
//! | single λ and path | [`solve`](fn@solve), [`path`](fn@path) in [`solver`] | LAS-3 |
//! | K-fold cross-validation | [`cross_validation`] | |
//!
//! ```
//! use samplewise_lasso::{Design, Options, solve};
//! use samplewise_linalg::Matrix;
//! let x = Matrix::from_vec(4, 2, vec![1.0, 0.0, -1.0, 0.5, 2.0, -0.5, -2.0, 0.0])?;
//! let y = [2.0, -2.0, 4.0, -4.0]; // 2 × the first column
//! let fit = solve(&Design::dense(&x)?, &y, 0.01, &Options::default())?;
//! assert!((fit.coefficient(0) - 2.0).abs() < 0.01 && fit.coefficient(1) == 0.0);
//! assert!(fit.gap <= 1e-8 * fit.null_objective);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod cross_validation;
pub mod descent;
pub mod design;
pub mod duality;
pub mod error;
pub mod solver;

pub use cross_validation::{CrossValidation, cross_validate};
pub use design::Design;
pub use error::LassoError;
pub use solver::{Options, Solution, Status, lambda_grid, largest_lambda, path, path_observed, solve, solve_observed};
