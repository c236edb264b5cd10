//! The tables of the tasks.
use std::path::{Path, PathBuf};

use samplewise_linalg::Matrix;
use samplewise_linalg::random::{Streams, shuffle};
use samplewise_mtrl::{CostModel, Error, TaskOracle};

use super::args::Arguments;
use crate::cells::Header;
use crate::failure::{Failure, bad};
use crate::input::{self, Table};

/// The source tasks, whose rows are drawn in their order.
pub(super) struct Files {
    pub names: Vec<String>,
    data: Vec<(Matrix, Vec<f64>)>,
    next: Vec<usize>,
    costs: Vec<CostModel>,
}

impl Files {
    /// Rows of all tasks.
    pub fn rows(&self) -> usize {
        self.data.iter().map(|t| t.1.len()).sum()
    }
}

impl TaskOracle for Files {
    fn tasks(&self) -> usize {
        self.names.len()
    }
    fn draw(&mut self, task: usize, count: usize) -> Result<(Matrix, Vec<f64>), Error> {
        let (x, y) = &self.data[task];
        let rows: Vec<usize> = (self.next[task]..(self.next[task] + count).min(y.len())).collect();
        self.next[task] += rows.len();
        Ok((x.select_rows(&rows), rows.iter().map(|&i| y[i]).collect()))
    }
    fn cost(&self, task: usize) -> CostModel {
        self.costs.get(task).cloned().unwrap_or_default()
    }
    fn available(&self, task: usize) -> Option<usize> {
        Some(self.data[task].1.len() - self.next[task])
    }
}

/// Feature names, features and labels in random order.
pub(super) type Task = (Vec<String>, (Matrix, Vec<f64>));

/// The rows of one file.
pub(super) fn rows_of(path: &Path, label: Option<&str>, header: Header, seed: u64) -> Result<Task, Failure> {
    let table = Table::read_numbers(path, header)?;
    let label = label.map_or(Ok(table.header.len() - 1), |l| table.column(l))?;
    let features = table.select("all", &[label])?;
    let names = features.iter().map(|&j| table.header[j].clone()).collect();
    let x = table.matrix(&features, false)?;
    let y = table.numbers(label)?;
    let mut order: Vec<usize> = (0..y.len()).collect();
    shuffle(&mut Streams::new(seed).stream(0), &mut order);
    Ok((names, (x.select_rows(&order), order.iter().map(|&i| y[i]).collect())))
}

/// The source tasks and the target of a folder.
pub(super) fn folder(a: &Arguments, seed: u64) -> Result<(Files, Task), Failure> {
    let header = a.first_line.header();
    let fail = |e: std::io::Error| bad(format!("{}: {e}", a.tasks.display()));
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&a.tasks)
        .map_err(fail)?
        .map(|e| e.map(|e| e.path()).map_err(fail))
        .collect::<Result<_, _>>()?;
    paths.retain(|p| input::kind(p) == "csv");
    paths.sort();
    let mut files = Files { names: Vec::new(), data: Vec::new(), next: Vec::new(), costs: Vec::new() };
    let (mut target, mut features) = (None, Vec::new());
    for p in &paths {
        let name = p.file_name().map_or(String::new(), |f| f.to_string_lossy().into_owned());
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        let name = name.strip_suffix(".csv").unwrap_or(name).to_owned();
        let (columns, data) = rows_of(p, a.label.as_deref(), header, seed)?;
        if files.names.contains(&name) || (name == a.target && target.is_some()) {
            return Err(bad(format!("{}: task {name} is there twice, with and without .gz", a.tasks.display())));
        }
        if name == a.target {
            target = Some((columns, data));
        } else {
            files.names.push(name);
            files.data.push(data);
            files.next.push(0);
            features.push(columns);
        }
    }
    let target = target.ok_or_else(|| bad(format!("{}: no task {:?}", a.tasks.display(), a.target)))?;
    for (name, columns) in files.names.iter().zip(&features) {
        same_features(&format!("task {name}"), columns, &target.0)?;
    }
    if let Some(file) = &a.cost {
        files.costs = costs_in(file, &files.names)?;
    }
    Ok((files, target))
}

/// Further rows of the target, if they are given.
pub(super) fn test(a: &Arguments, features: &[String], seed: u64) -> Result<Option<(Matrix, Vec<f64>)>, Failure> {
    let Some(file) = &a.test else { return Ok(None) };
    let (columns, data) = rows_of(file, a.label.as_deref(), a.first_line.header(), seed)?;
    same_features(&file.display().to_string(), &columns, features)?;
    Ok(Some(data))
}

fn same_features(whose: &str, columns: &[String], expected: &[String]) -> Result<(), Failure> {
    if columns.len() != expected.len() {
        let (given, wanted) = (columns.len(), expected.len());
        return Err(bad(format!("{whose}: {given} features, the target has {wanted}")));
    }
    match (0..columns.len()).find(|&j| columns[j] != expected[j]) {
        Some(j) => {
            let (given, wanted) = (&columns[j], &expected[j]);
            Err(bad(format!("{whose}: feature {} is {given}, of the target it is {wanted}", j + 1)))
        }
        None => Ok(()),
    }
}

/// Prices per task, from a CSV with the columns task, unit and perhaps fee.
fn costs_in(path: &Path, names: &[String]) -> Result<Vec<CostModel>, Failure> {
    costs_of(&Table::read(path, Header::Given, |_| true)?, names)
}

/// The prices of the tasks that a table lists.
pub fn costs_of(table: &Table, names: &[String]) -> Result<Vec<CostModel>, Failure> {
    let (task, unit) = (table.column("task")?, table.column("unit")?);
    let fee = table.header.iter().position(|h| h == "fee");
    let mut costs = vec![None; names.len()];
    for (row, cells) in table.rows.iter().enumerate() {
        // The target may be listed too.
        let Some(m) = names.iter().position(|n| *n == cells[task]) else { continue };
        let unit = table.number(row, unit)?;
        costs[m] = Some(match fee {
            Some(fee) => CostModel::FeePlusLinear { fee: table.number(row, fee)?, unit },
            None => CostModel::Linear(unit),
        });
    }
    let missing = names.iter().zip(&costs).find(|c| c.1.is_none());
    match missing {
        Some((name, _)) => Err(bad(format!("{}: no price of task {name}", table.name))),
        None => Ok(costs.into_iter().flatten().collect()),
    }
}
