//! `samplewise wht fit|predict`: tables of measured variants.
mod args;
mod picture;
mod read;
mod run;
mod show;

pub(super) use args::{FitWords, PredictWords};
pub(super) use run::{fit, predict};
