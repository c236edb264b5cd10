//! Matrix completion: the rank-`k` matrix `M` (`m × n`) behind a few of its entries `Ω`,
//!
//! `min_{U,V}  Σ_{(i,j)∈Ω} w_ij (M_ij − μ − b_i − c_j − u_iᵀv_j)² + λ (Σ_i |Ω_i|^e ‖u_i‖² + Σ_j |Ω_j|^e ‖v_j‖²)`,
//!
//! by alternating least squares (arXiv 2302.11068 and its predecessors) along a ridge homotopy: `λ` falls from the
//! first singular value of the observed matrix, one pair of half steps per value; Gauss–Newton steps finish. The
//! homotopy succeeds where plain alternating minimisation from the spectral start always fails (below about three times
//! the degrees of freedom).
//!
//! | symbol | |
//! |---|---|
//! | `Ω`, `k` | observed entries, rank |
//! | `ρ` | oversampling: `\|Ω\|` over the degrees of freedom `k(m + n − k)` |
//! | `κ` | condition: first over `k`-th singular value of `M` |
//! | floor | one look at every entry, `\|Ω\|k` multiplications: the time to verify an answer |
//!
//! | stage | module | row |
//! |---|---|---|
//! | entries in both orientations | [`entries`] | |
//! | rows and columns with too few entries | [`peel`] | COM-1 |
//! | mean and biases to begin with | `start` | COM-14 |
//! | which entries of the matrix are determined | `determined`, `pattern` | COM-13 |
//! | one half step: every row's ridge problem | [`half_step`] | COM-2, COM-8 |
//! | annealing | `homotopy` | COM-3, COM-4 |
//! | Gauss–Newton on the eliminated problem | [`finish`] | COM-7 |
//! | paths for scarce entries: growth of the rank, log-det reweighting | `path`, `growth`, `reweighting` | COM-3 |
//! | a few rows and columns at wrong minima | `mend` | COM-12 |
//! | grossly wrong entries | `robust` | COM-9 |
//! | rank, tuning and verification sets, status | [`complete`](fn@complete) in [`driver`] | COM-5, COM-6 |
//! | ratings: draws from the posterior | [`posterior`] | COM-11 |
//! | predictions, new rows, storage | [`model`] | COM-10 |
//!
//! ```
//! use samplewise_completion::{Entries, Options, Rank, Status, complete};
//! use samplewise_linalg::random::Streams;
//! // A rank-one table, 60 % of it seen.
//! let seen = (0..40).flat_map(|i| (0..30).map(move |j| (i, j))).filter(|(i, j)| (i * 7 + j * 11) % 10 < 6);
//! let entries: Vec<_> = seen.map(|(i, j)| (i, j, (1.0 + i as f64) * (2.0 - j as f64 / 10.0))).collect();
//! let data = Entries::new(40, 30, &entries, None)?;
//! let found = complete(&data, Rank::Fixed(1), &Options { tolerance: Some(1e-6), ..Options::default() },
//!     &mut Streams::new(0).stream(0))?;
//! assert_eq!(found.status, Status::Verified);
//! assert!((found.model.predict(0, 29) - (2.0 - 2.9)).abs() < 1e-4); // never seen
//! # Ok::<(), samplewise_completion::CompletionError>(())
//! ```

mod certificate;
mod check;
mod control;
mod determined;
pub mod driver;
pub mod ensemble;
pub mod entries;
pub mod error;
mod fill;
pub mod finish;
mod growth;
pub mod half_step;
mod homotopy;
#[doc(hidden)]
pub mod kernel;
mod mend;
pub mod model;
pub mod options;
mod path;
mod pattern;
pub mod peel;
pub mod posterior;
mod reweighting;
mod ridge;
mod robust;
mod row_solvers;
mod split;
mod start;
mod state;

pub use certificate::Certificate;
pub use control::Stage;
pub use determined::{Check, Determination};
pub use driver::{Completion, Report, Status, complete, complete_observed};
pub use ensemble::Ensemble;
pub use entries::Entries;
pub use error::CompletionError;
pub use model::{FoldedRow, Model};
pub use options::{Finish, Loss, Options, Rank, Solver};
pub use path::PathKind;
pub use posterior::{Posterior, PosteriorReport, Prediction, Sampling, sample_posterior};
