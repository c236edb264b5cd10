//! Sparse Walsh–Hadamard transform: the `K` nonzero coefficients `X` of a function of `n` binary variables
//!
//! `x[m] = Σ_k (−1)^⟨m,k⟩ X[k]`,  `m, k ∈ {0,1}ⁿ`,
//!
//! from few of its `N = 2ⁿ` values (SPRIGHT, arXiv 1508.06336). Nothing is normalised: `X` has the units of `x`.
//! Bit `i` of an index is variable `i`; printed indices have variable 0 first.
//!
//! | stage | module | row |
//! |---|---|---|
//! | the definition, and the dense transform | [`dense`] | WHT-1 |
//! | vectors over F₂, of one word or many | [`bits`], [`gf2`] | |
//! | subsample: aliasing of the spectrum into bins | [`subsample`] | WHT-2 |
//! | detect: zero-, single- and two-tons of a bin | [`bin_detect`] | WHT-3 |
//! | pairs of equal magnitude, told apart by two groups | [`equal_pairs`] | WHT-3 |
//! | peel: noiseless decoding and the paper's with noise | [`peel`] | WHT-3, WHT-4 |
//! | lists: what may be in a bin, with or without a bound on the degree | [`lists`] | WHT-13 |
//! | one joint likelihood over all groups: the decoder of choice with noise | [`joint`] | WHT-5 |
//! | interactions with parents, from random points | [`heredity`] | WHT-11 |
//! | the decoders behind one trait | [`decoder`] | |
//! | least squares and standard errors | [`refit`] | WHT-5 |
//! | what is known, and the decoder and sizes that follow | [`spec`] | |
//! | plan → queries → decode | [`plan`] | WHT-6 |
//! | ask more until it is verified | [`recovery`] | WHT-10 |
//! | all values in memory: sparse or dense | [`memory`] | WHT-14 |
//! | what fresh samples prove | [`verify`] | WHT-12, WHT-18 |
//! | the answer | [`spectrum`] | |
//! | Möbius, Shapley, Banzhaf and Sobol from a spectrum | [`indices`] | WHT-7, WHT-8, WHT-9 |
//!
//! Symbols: `K` sparsity, `b` bin bits, `B = 2^b` bins, `P` offsets, `C` groups, `σ` noise per sample, `ν = σ²/B` noise
//! per bin.
//!
//! ```
//! use samplewise_wht::{Options, Plan};
//! // Which 3 of 2^20 interactions drive this function?
//! let x = |m: u64| { let s = |k: u64| if (m & k).count_ones() % 2 == 0 { 1.0 } else { -1.0 };
//!     2.0 * s(0b1) - 1.5 * s(0b1010) + 0.25 * s(1 << 19) };
//! let plan = Plan::new(20, 3, &Options { seed: 7, ..Options::default() })?;
//! let answers: Vec<f64> = plan.queries().iter().map(|&m| x(m)).collect();
//! let found = plan.decode(&answers)?;
//! assert!(answers.len() < 1000);
//! let pairs: Vec<(u64, f64)> = found.coefficients.iter().map(|c| (c.index, c.value)).collect();
//! assert_eq!(pairs, [(0b1, 2.0), (0b1010, -1.5), (1 << 19, 0.25)]);
//! # Ok::<(), samplewise_wht::WhtError>(())
//! ```

pub mod bin_detect;
pub mod bits;
pub mod decoder;
pub mod dense;
pub mod equal_pairs;
pub mod error;
pub mod gf2;
pub mod heredity;
pub mod indices;
pub mod joint;
pub mod lists;
pub mod memory;
pub mod options;
pub mod peel;
pub mod plan;
pub mod recovery;
pub mod refit;
mod sizes;
pub mod spec;
pub mod spectrum;
pub mod subsample;
pub mod verify;

pub use bits::{Bits, Wide};
pub use error::WhtError;
pub use memory::recover_in_memory;
pub use options::{Decoder, Errors, Noise, Options, Sparsity, Support};
pub use plan::Plan;
pub use recovery::{Recovery, recover, recover_observed};
pub use spec::PlanSpec;
pub use spectrum::{Choice, Coefficient, Report, Spectrum, Status};
