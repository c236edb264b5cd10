//! `samplewise mtrl`.
mod args;
pub mod read;
mod run;
mod show;

pub use args::Arguments;
pub use run::run;
