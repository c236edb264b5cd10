//! `samplewise wht transform|sparse|plan|decode|exec|fit|predict`.
mod args;
pub mod exec;
mod prior;
mod run;
mod show;
mod variants;

pub use args::Arguments;
pub use run::run;
