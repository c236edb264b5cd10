//! Fast transforms.
pub mod fft;
pub mod fwht;
