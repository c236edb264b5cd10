//! Least squares, directly and by iteration, and leverage scores.
pub mod krylov;
pub mod leverage;
pub mod lstsq;
