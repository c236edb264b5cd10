//! Groups of columns, or several targets.
mod read;
mod run;
mod show;

pub use read::groups_of;
pub(super) use run::{check, run};
