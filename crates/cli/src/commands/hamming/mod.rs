//! `samplewise hamming`: one pass over the text in constant memory.
mod args;
pub mod decode;
mod job;
mod outputs;
mod read;
mod run;
mod show;
mod strand;
mod sums;
mod view;

pub use args::Arguments;
pub use run::run;
