//! `samplewise lasso`.
mod args;
pub mod groups;
mod read;
mod run;
mod show;
mod stream;

pub use args::Arguments;
pub use run::run;
