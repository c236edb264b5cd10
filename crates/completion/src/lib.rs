//! Matrix completion: the rank-`k` matrix `M` (`m × n`) behind a few of its entries `Ω`,
//!
//! `min_{U,V}  Σ_{(i,j)∈Ω} w_ij (M_ij − μ − b_i − c_j − u_iᵀv_j)² + λ (Σ_i |Ω_i|^e ‖u_i‖² + Σ_j |Ω_j|^e ‖v_j‖²)`,
//!
//! by alternating least squares (arXiv 2302.11068 and its predecessors) along a ridge homotopy: `λ` falls from the
//! first singular value of the observed matrix, one pair of half steps per value. The homotopy succeeds where plain
//! alternating minimisation from the spectral start always fails (below about three times the degrees of freedom).
//!
//! | stage | module | row |
//! |---|---|---|
//! | entries in both orientations | [`entries`] | |
//! | rows and columns with too few entries | [`core_decomposition`] | COM-1 |
//! | one half step: every row's ridge problem | [`half_step`] | COM-2 |
//! | spectral start, annealing, exact finish | [`homotopy`] | COM-3, COM-4 |
//! | rank, tuning and verification sets, status | [`complete`](fn@complete) in [`driver`] | COM-5, COM-6 |
//! | predictions | [`model`] | |
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

pub mod core_decomposition;
pub mod driver;
pub mod entries;
pub mod error;
pub mod half_step;
pub mod homotopy;
pub mod model;
pub mod options;

pub use driver::{Completion, Report, Status, complete, complete_observed};
pub use entries::Entries;
pub use error::CompletionError;
pub use model::Model;
pub use options::{Options, Rank};
