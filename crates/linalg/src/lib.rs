#![cfg_attr(feature = "dense", doc = include_str!("../README.md"))]
#![cfg_attr(
    not(feature = "dense"),
    doc = "The part of the linear-algebra facade of samplewise that needs no matrices."
)]
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
#[cfg(feature = "serde")]
pub use contract::extended;
pub use contract::observe::{Observer, Progress};
pub use contract::summary::Summary;
pub use contract::{
    argument, dispatch, ending, envelope, error, forest, keys, observe, random, scale, summary, sums, twofold,
};
pub use transform::{fft, fwht};

#[cfg(feature = "dense")]
pub use embed::{sketch, svd};
#[cfg(feature = "dense")]
pub use factor::{growing_cholesky, tsqr};
#[cfg(feature = "dense")]
pub use gram::{rows_times_rows, sparse_columns};
#[cfg(feature = "dense")]
pub use matrix::dense::Matrix;
#[cfg(feature = "dense")]
pub use matrix::operator::LinearOperator;
#[cfg(feature = "dense")]
pub(crate) use matrix::prefetch;
#[cfg(feature = "dense")]
pub use matrix::rows::Rows;
#[cfg(feature = "dense")]
pub use matrix::sparse::{CooBuilder, CsrMatrix, CsrView, Duplicates};
#[cfg(feature = "dense")]
pub use matrix::view::MatrixView;
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
