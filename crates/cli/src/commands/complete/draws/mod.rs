//! Draws from the posterior: `--solver gibbs`.
mod run;
mod show;

pub(super) use run::{run, sampling};
