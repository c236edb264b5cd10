//! `--stream`: one pass over a table of any length. Memory holds the rows that may still be chosen, with their cells.
mod read;
mod run;
mod show;

pub(super) use run::run;
