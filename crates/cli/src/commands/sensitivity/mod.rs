//! `samplewise sensitivity`: scores, coresets and regression of a table in memory; coresets of a table that streams past.
mod args;
mod read;
mod run;
mod show;
mod stream;

pub use args::Arguments;
pub use run::run;
