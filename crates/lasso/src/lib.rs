//! Lasso and elastic net whose every answer carries its duality gap.
//!
//! `min_{w,b}  (1/2n) Σ_i s_i (y_i − x_iᵀw − b)² + λ Σ_j ω_j ( α|w_j| + (1−α)/2 · w_j² )`
//!
//! with `l_j ≤ w_j ≤ u_j`, `s_i` sample weights scaled to mean 1, `ω_j ≥ 0` penalty factors, `α ∈ (0, 1]`. The gap is the
//! difference between the objective and a dual value that anyone can check from the residual alone, so it bounds how far
//! the objective is from its minimum.
//!
//! | stage | module | row |
//! |---|---|---|
//! | columns: dense, sparse, the user's own | [`design`] | |
//! | checked, centred, scaled | `problem` | |
//! | primal, dual, gap | `certificate` | LAS-1 |
//! | Newton steps on the Gram matrix of a working set | `working` | LAS-2 |
//! | from λ to λ, certificates for eight at a time | `engine`, `kernel` | LAS-3, LAS-4 |
//! | coordinate descent on the residual, and when it is chosen | `descent`, `rental` | LAS-2 |
//! | the exact path: few columns, small tables, least ℓ1 norm | [`homotopy`], `gram_path` | LAS-5 |
//! | the verdict on what is returned | `verdict` | TRU-2, TRU-3 |
//! | groups of columns, many targets | [`group`] | LAS-6 |
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

mod anderson;
mod certificate;
pub mod cross_validation;
mod descent;
pub mod design;
mod engine;
pub mod error;
mod gram_path;
pub mod group;
pub mod homotopy;
mod kernel;
pub mod options;
mod problem;
mod rental;
pub mod solver;
mod verdict;
mod working;

pub use cross_validation::{CrossValidation, Folds, cross_validate, cross_validate_observed};
pub use design::{Columns, Design};
pub use error::LassoError;
pub use homotopy::{Homotopy, SmallSolution, Workspace};
pub use options::{Options, Solution, Solver, Status};
pub use solver::{lambda_grid, largest_lambda, path, path_observed, solve, solve_observed};
