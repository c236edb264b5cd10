//! The linear-algebra facade of samplewise.
//!
//! It is the only crate of the collection that names faer and nalgebra-sparse: thin where they are good, complete
//! where they are dangerous (faer's unpivoted least squares answers wrongly on ill-conditioned tall input, its
//! truncated SVD panics on small and hangs on zero matrices; see [`lstsq`] and [`svd`]).
//!
//! | module | what it answers | row in paper-refs.md |
//! |---|---|---|
//! | [`dense`], [`sparse`] | row-major [`Matrix`], strided [`MatrixView`], checked [`CsrMatrix`], [`Rows`] of either | |
//! | [`operator`] | [`LinearOperator`]: products without a matrix | |
//! | `matrix_market` | MatrixMarket text, read by line | |
//! | [`gram`] | `XᵀDX` and `XᵀDy` in one pass | LA-1 |
//! | [`tsqr`] | the R factor of a tall matrix in fixed chunks | LA-2 |
//! | [`lstsq`] | least squares that says how it was solved and how sure it is | LA-3 |
//! | [`leverage`] | leverage scores, whitening, one pass that weighs rows anew | LA-4 |
//! | [`forest`] | sums over blocks with the same bits for every split | LA-13 |
//! | [`spmm`] | sparse times dense block | LA-5 |
//! | [`svd`] | block-Krylov truncated SVD with a residual per triplet | LA-6 |
//! | [`fwht`] | fast Walsh–Hadamard transform | LA-7 |
//! | [`fft`] | real FFT plans, cached per thread | |
//! | [`sketch`] | Gaussian, sparse-sign, CountSketch and SRHT embeddings | LA-10 |
//! | [`small`] | many small normal equations at once | LA-12 |
//! | [`krylov`] | LSQR, LSMR and conjugate gradients, with limits, observers and true residuals | LA-11 |
//! | [`factor`] | Cholesky, symmetric eigenvalues, dense SVD | |
//! | [`active`] | Cholesky of a set whose members join and leave | LA-15 |
//! | [`products`] | rows times rows: Gram matrices of stored columns | |
//! | [`convert`] | faer, nalgebra, nalgebra-sparse and ndarray, each behind a feature | |
//! | [`summary`] | mergeable summaries with versioned bytes | LA-8 |
//! | [`envelope`] | kind, format and checksum of everything that is stored | TRU-4 |
//! | [`scale`] | powers of two, so that no square overflows or vanishes | TRU-1 |
//! | [`ending`] | how a call ended, why a bound is absent | |
//! | [`observe`], [`random`], [`chunk`] | progress and cancellation, counter-based streams, fixed-order sums | LA-9 |
//!
//! **Determinism.** Every function gives the same bits for every number of threads: work is cut into blocks whose
//! boundaries depend on the shape alone, each block is computed serially, and partial results are combined in block
//! order. rayon's ambient pool is used; no global setting is read or written.
#![warn(missing_docs)]

pub mod active;
pub mod argument;
pub mod chunk;
pub mod convert;
pub mod dense;
pub mod ending;
pub mod envelope;
pub mod error;
pub mod factor;
pub mod fft;
pub mod forest;
pub mod fwht;
pub mod gram;
pub mod krylov;
pub mod leverage;
pub mod lstsq;
mod matrix_market;
pub mod observe;
pub mod operator;
mod prefetch;
pub mod products;
pub mod random;
pub mod rows;
pub mod scale;
#[cfg(feature = "serde")]
mod serial;
pub mod sketch;
pub mod small;
pub mod sparse;
pub mod sparse_gram;
pub mod spmm;
pub mod summary;
pub mod svd;
mod tall;
pub mod tsqr;

pub use argument::ArgumentError;
pub use dense::{Matrix, MatrixView};
pub use ending::{Ending, NoBound, Seconds};
pub use error::LinalgError;
pub use observe::{Observer, Progress};
pub use operator::LinearOperator;
pub use rows::Rows;
pub use sparse::{CooBuilder, CsrMatrix, Duplicates};
pub use summary::Summary;

/// Real scalars the facade computes with: `f32` and `f64`, sealed.
pub trait Real:
    Copy
    + Default
    + PartialOrd
    + Send
    + Sync
    + std::fmt::Debug
    + std::fmt::Display
    + std::ops::Add<Output = Self>
    + std::ops::Sub<Output = Self>
    + std::ops::Mul<Output = Self>
    + std::ops::Div<Output = Self>
    + std::ops::Neg<Output = Self>
    + std::ops::AddAssign
    + std::ops::SubAssign
    + std::ops::MulAssign
    + std::iter::Sum
    + 'static
    + sealed::Sealed
{
    /// Widens to `f64`.
    fn to_f64(self) -> f64;
    /// Rounds from `f64`.
    fn from_f64(value: f64) -> Self;
    /// Neither NaN nor infinite.
    fn is_finite(self) -> bool;
}

macro_rules! real {
    ($($t:ty),*) => {$(
        impl Real for $t {
            #[inline]
            fn to_f64(self) -> f64 { f64::from(self) }
            #[inline]
            fn from_f64(value: f64) -> Self { value as $t }
            #[inline]
            fn is_finite(self) -> bool { <$t>::is_finite(self) }
        }
        impl sealed::Sealed for $t {}
    )*};
}
real!(f32, f64);

mod sealed {
    /// Keeps [`super::Real`] closed, so that methods can be added without a breaking change.
    pub trait Sealed {}
}
