//! `--stream`: one pass over a table of any length, or several with `--exact`. Memory holds the rows that may still be chosen,
//! with their cells.
mod passes;
mod read;
mod run;
mod show;

pub(super) use run::run;
