//! One best fit.
mod run;
mod show;

pub(super) use run::{options, run};
