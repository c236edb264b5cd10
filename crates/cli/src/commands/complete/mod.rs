//! `samplewise complete`.
mod args;
mod draws;
mod fit;
mod read;
mod run;
mod show;
pub mod triplets;

pub use args::Arguments;
pub use run::run;
