//! The table and its targets.
use samplewise_lasso::{CsrMatrix, Design};

use super::args::Arguments;
use crate::failure::{Failure, bad, usage};
use crate::input::{self, Table};

/// What the files hold.
pub(super) struct Data {
    pub design: Design,
    /// One vector for each target, and their names.
    pub targets: Vec<Vec<f64>>,
    pub titles: Vec<String>,
    /// Names of the columns.
    pub names: Vec<String>,
    /// Weights of the rows.
    pub weights: Option<Vec<f64>>,
}

/// Whether the table is a sparse matrix.
pub(super) fn is_sparse(a: &Arguments) -> bool {
    input::kind(&a.table) == "mtx"
}

/// Reads table, targets and weights.
pub(super) fn read(a: &Arguments) -> Result<Data, Failure> {
    if is_sparse(a) { sparse(a) } else { dense(a) }
}

fn sparse(a: &Arguments) -> Result<Data, Failure> {
    let text = a.table.to_string_lossy();
    let file = a.target_file.as_ref().ok_or_else(|| usage(".mtx tables need --target-file"))?;
    let raw = String::from_utf8(input::bytes(&a.table)?).map_err(|_| bad(format!("{text}: not text")))?;
    let x = CsrMatrix::from_matrix_market(&raw).map_err(|e| bad(format!("{text}: {e}")))?;
    let names = (0..x.columns()).map(|j| j.to_string()).collect();
    let (targets, titles) = (vec![input::vector(file)?], vec!["target".to_owned()]);
    Ok(Data { design: Design::sparse(&x).map_err(bad)?, targets, titles, names, weights: None })
}

fn dense(a: &Arguments) -> Result<Data, Failure> {
    let table = Table::read_numbers(&a.table, a.first_line.header())?;
    let target = match &a.target {
        Some(list) => table.select(list, &[])?,
        None => Vec::new(),
    };
    let weight = a.weights.as_ref().map(|c| table.column(c)).transpose()?;
    if let Some(twice) = target.iter().enumerate().find(|(k, t)| target[..*k].contains(t)) {
        return Err(usage(format!("--target names {:?} twice", table.header[*twice.1])));
    }
    let except: Vec<usize> = target.iter().copied().chain(weight).collect();
    let features = table.select("all", &except)?;
    let (targets, titles) = match &a.target_file {
        Some(f) => (vec![input::vector(f)?], vec!["target".to_owned()]),
        None => (
            target.iter().map(|&t| table.numbers(t)).collect::<Result<_, _>>()?,
            target.iter().map(|&t| table.header[t].clone()).collect(),
        ),
    };
    let names: Vec<String> = features.iter().map(|&j| table.header[j].clone()).collect();
    let weights = weight.map(|w| table.numbers(w)).transpose()?;
    let design = Design::dense(&table.matrix(&features, false)?).map_err(bad)?;
    Ok(Data { design, targets, titles, names, weights })
}
