//! The linear-algebra facade of samplewise.
//!
//! It is the only crate of the collection that names faer and nalgebra-sparse: thin where they are good, complete
//! where they are dangerous (faer's unpivoted least squares answers wrongly on ill-conditioned tall input, its
//! truncated SVD panics on small and hangs on zero matrices; see [`lstsq`] and [`svd`]).
//!
//! | module | what it answers | row in paper-refs.md |
//! |---|---|---|
//! | [`observe`], [`random`], [`sums`] | progress and cancellation, counter-based streams, fixed-order sums | LA-9 |
//! | [`argument`], [`ending`], [`error`] | ranges of options, how a call ended, why there is no answer | |
//! | [`forest`] | sums over blocks with the same bits for every split | LA-13 |
//! | [`summary`] | mergeable summaries with versioned bytes | LA-8 |
//! | [`envelope`] | kind, format and checksum of everything that is stored | TRU-4 |
//! | [`scale`] | powers of two, so that no square overflows or vanishes | TRU-1 |
//! | [`fwht`] | fast Walsh–Hadamard transform | LA-7 |
//! | [`fft`] | real FFT plans, cached per thread | |
//!
//! With the feature `dense`, which is on unless it is switched off, and brings faer:
//!
//! | module | what it answers | row in paper-refs.md |
//! |---|---|---|
//! | [`dense`], [`sparse`] | row-major [`Matrix`], strided [`MatrixView`], checked [`CsrMatrix`], [`Rows`] of either | |
//! | [`operator`] | [`LinearOperator`]: products without a matrix | |
//! | [`spmm`] | sparse times dense block | LA-5 |
//! | [`convert`] | faer, nalgebra, nalgebra-sparse and ndarray, each behind a feature | |
//! | [`gram`] | `XᵀDX` and `XᵀDy` in one pass | LA-1 |
//! | [`rows_times_rows`], [`sparse_columns`] | Gram matrices of stored columns | LA-15 |
//! | [`factor`] | Cholesky, symmetric eigenvalues, dense SVD | |
//! | [`tsqr`] | the R factor of a tall matrix in fixed chunks | LA-2 |
//! | [`growing_cholesky`] | Cholesky of a set whose members join and leave | LA-15 |
//! | [`batched`] | many small normal equations at once | LA-12 |
//! | [`lstsq`] | least squares that says how it was solved and how sure it is | LA-3 |
//! | [`krylov`] | LSQR, LSMR and conjugate gradients, with limits, observers and true residuals | LA-11 |
//! | [`leverage`] | leverage scores, whitening, one pass that weighs rows anew | LA-4 |
//! | [`sketch`] | Gaussian, sparse-sign, CountSketch and SRHT embeddings | LA-10 |
//! | [`svd`] | block-Krylov truncated SVD with a residual per triplet | LA-6 |
//!
//! **Determinism.** Every function gives the same bits for every number of threads: work is cut into blocks whose
//! boundaries depend on the shape alone, each block is computed serially, and partial results are combined in block
//! order. rayon's ambient pool is used; no global setting is read or written.
#![warn(missing_docs)]

mod contract;
mod transform;

#[cfg(feature = "dense")]
pub mod batched;
#[cfg(feature = "dense")]
mod embed;
#[cfg(feature = "dense")]
pub mod factor;
#[cfg(feature = "dense")]
pub mod gram;
#[cfg(feature = "dense")]
mod matrix;
#[cfg(feature = "dense")]
mod solve;

pub use contract::argument::ArgumentError;
pub use contract::ending::{Ending, NoBound, Seconds};
pub use contract::error::LinalgError;
pub use contract::observe::{Observer, Progress};
pub use contract::summary::Summary;
pub use contract::{argument, ending, envelope, error, forest, observe, random, scale, summary, sums};
pub use transform::{fft, fwht};

#[cfg(feature = "dense")]
pub use embed::{sketch, svd};
#[cfg(feature = "dense")]
pub use factor::{growing_cholesky, tsqr};
#[cfg(feature = "dense")]
pub use gram::{rows_times_rows, sparse_columns};
#[cfg(feature = "dense")]
pub use matrix::dense::{Matrix, MatrixView};
#[cfg(feature = "dense")]
pub use matrix::operator::LinearOperator;
#[cfg(feature = "dense")]
pub(crate) use matrix::prefetch;
#[cfg(feature = "dense")]
pub use matrix::rows::Rows;
#[cfg(feature = "dense")]
pub use matrix::sparse::{CooBuilder, CsrMatrix, Duplicates};
#[cfg(feature = "dense")]
pub use matrix::{convert, dense, operator, rows, sparse, spmm};
#[cfg(feature = "dense")]
pub use solve::{krylov, leverage, lstsq};

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
