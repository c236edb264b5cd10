//! Conversions from and to the types of other libraries, each behind a feature of its name.
//!
//! | feature | without a copy | with one |
//! |---|---|---|
//! | `faer` | [`Matrix`](crate::Matrix) and row- or column-major [`MatrixView`](crate::MatrixView) to `MatRef` | `MatRef` to `Matrix` |
//! | `nalgebra` | `&DMatrix` to `MatrixView` | `Matrix` to and from `DMatrix`, [`CsrMatrix`](crate::CsrMatrix) to and from the sparse types |
//! | `ndarray` | `ArrayView2` to and from `MatrixView`, `Matrix` to and from `Array2` in standard layout | other layouts |
//!
//! Versions of these libraries are part of the contract only with the feature on.
#[cfg(feature = "faer")]
mod faer;
#[cfg(feature = "nalgebra")]
mod nalgebra;
#[cfg(feature = "ndarray")]
mod ndarray;
