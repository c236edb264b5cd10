//! `samplewise wht transform|sparse|plan|decode|exec`.
mod args;
pub mod exec;
mod prior;
mod run;
mod show;

pub use args::Arguments;
pub use run::run;
