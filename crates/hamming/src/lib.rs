//! Hamming distances between a pattern `P` and every alignment of a text `T`:
//!
//! `D[i] = #{ j : T[i + j] does not match P[j] }`,  `i = 0 .. n − m`,
//!
//! exact for any symbol type, with wildcards, by the engine that suits the input (arXiv 2310.13174 and its
//! predecessors). With `M[i]` the matches and `S_c[i] = 1` where symbol class `c` of the pattern matches text position
//! `i`, `M[i] = Σ_c Σ_{j: P[j] = c} S_c[i + j]`: every engine evaluates this sum, class by class or all at once.
//!
//! | stage | module | row |
//! |---|---|---|
//! | which symbols match which | [`relation`], [`classes`] | HAM-5 |
//! | the definition (test oracle) | [`definition`] | HAM-1 |
//! | engine: compare and count bytes, pattern symbol by pattern symbol | [`vertical`] | HAM-2 |
//! | engine: match bit vectors, carry-save counters | [`bitsliced`] | HAM-3 |
//! | engine: one real FFT per class, certified exact | [`fft`] | HAM-4 |
//! | engine: counts in 16-bit words, modulo a prime | [`ntt`] | HAM-13 |
//! | engine: pairs of equal rare letters | [`pairs`] | HAM-7 |
//! | engine: sumsets, the paper's lemma | [`sumset`] | HAM-14 |
//! | choice of engine for each letter | [`dispatch`] | HAM-6 |
//! | plan and answers, whole texts, streams and packed DNA | [`plan`], [`answer`], [`stream`], [`packed_dna`] | HAM-6 |
//! | many patterns with few mismatches | [`search`] | HAM-8 |
//! | the same in periodic texts | [`periodic`] | HAM-15 |
//! | many patterns at once | [`batch`] | HAM-17 |
//! | overhanging ends | [`overhang`] | HAM-9 |
//! | distances within `1 ± ε` | [`approx`] | HAM-10, HAM-11 |
//! | the paper's approximation at small scale, a reference | [`fredman`] | HAM-16 |
//! | histograms of differences, an equivalent problem | [`differences`] | HAM-12 |
//!
//! ```
//! use samplewise_hamming::{Options, Plan};
//! let plan = Plan::new(b"ACGT".as_slice(), &Options::default())?;
//! let answer = plan.distances(b"ACGAACGTT")?;
//! assert_eq!(answer.distances, [1, 4, 4, 3, 0, 3]);
//! # Ok::<(), samplewise_hamming::HammingError>(())
//! ```

pub mod answer;
pub mod approx;
pub mod batch;
pub mod bitsliced;
mod bounded;
pub mod classes;
mod counter;
pub mod definition;
pub mod differences;
pub mod dispatch;
mod engine;
pub mod error;
pub mod fft;
pub mod fredman;
mod kernel;
mod modular;
pub mod ntt;
pub mod overhang;
pub mod packed_dna;
pub mod pairs;
pub mod periodic;
pub mod plan;
mod pool;
pub mod relation;
pub mod search;
pub mod stream;
pub mod sumset;
mod tables;
pub mod vertical;

pub use answer::{Answer, Block, EngineCost, Report, count_distances};
pub use approx::{ApproximateOptions, Approximation, Method};
pub use batch::Batch;
pub use engine::Engine;
pub use error::HammingError;
pub use packed_dna::PackedDna;
pub use plan::{Options, Plan};
pub use relation::{Alphabet, Interner, Symbol, TextN, WildcardMeaning, complement_dna, reverse_complement};
pub use search::{Hit, Hits, Query, Search};
pub use stream::{SearchStream, Stream};
