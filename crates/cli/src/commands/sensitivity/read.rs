//! The table in memory.
use samplewise_sensitivity::Matrix;

use super::args::Arguments;
use crate::failure::{Failure, usage};
use crate::input::Table;

/// What the file holds.
pub(super) struct Data {
    pub table: Table,
    /// Columns of the table that are features.
    pub features: Vec<usize>,
    pub x: Matrix,
    /// The target of a regression.
    pub y: Option<Vec<f64>>,
}

pub(super) fn read(a: &Arguments) -> Result<Data, Failure> {
    let table = Table::read_numbers(&a.table, a.first_line.header())?;
    let target = a.regress.as_ref().map(|c| table.column(c)).transpose()?;
    let features = table.select(&a.features, &target.map_or(vec![], |t| vec![t]))?;
    check_target(&table.header, &features, target)?;
    let x = table.matrix(&features, a.intercept)?;
    let y = target.map(|t| table.numbers(t)).transpose()?;
    Ok(Data { table, features, x, y })
}

/// A target is not its own feature.
pub(super) fn check_target(header: &[String], features: &[usize], target: Option<usize>) -> Result<(), Failure> {
    match target.filter(|t| features.contains(t)) {
        Some(t) => Err(usage(format!("--regress {:?} is one of --features as well", header[t]))),
        None => Ok(()),
    }
}
