//! `samplewise mtrl`.
use std::path::{Path, PathBuf};

use samplewise_linalg::Matrix;
use samplewise_linalg::random::{Streams, shuffle};
use samplewise_mtrl::{MtrlError, Options, Strategy, TaskData, TaskOracle, learn_observed};
use serde_json::json;

use crate::input::{self, Table};
use crate::session::{Answer, Failure, Session, bad, usage};

#[derive(clap::Args)]
pub struct Arguments {
    /// Folder with one CSV per task.
    tasks: PathBuf,
    /// Name of the target task (file name without ending).
    #[arg(long)]
    target: String,
    /// Label column (default: the last).
    #[arg(long)]
    label: Option<String>,
    #[arg(long, default_value_t = 5)]
    dimension: usize,
    /// l1, l2 or uniform.
    #[arg(long, default_value = "l1")]
    strategy: String,
    /// Source samples in all (default: half of what there is).
    #[arg(long)]
    budget: Option<usize>,
    /// Not in this version.
    #[arg(long)]
    cost: Option<PathBuf>,
    #[arg(long, default_value_t = 2)]
    epochs: usize,
    /// Lambda of the relevance Lasso, or auto.
    #[arg(long, default_value = "auto")]
    lambda: String,
    /// Not in this version.
    #[arg(long)]
    out: Option<PathBuf>,
}

struct Files {
    names: Vec<String>,
    data: Vec<(Matrix, Vec<f64>)>,
    next: Vec<usize>,
}

impl TaskOracle for Files {
    fn tasks(&self) -> usize {
        self.names.len()
    }
    fn draw(&mut self, task: usize, count: usize) -> Result<(Matrix, Vec<f64>), MtrlError> {
        let (x, y) = &self.data[task];
        let rows: Vec<usize> = (self.next[task]..(self.next[task] + count).min(y.len())).collect();
        self.next[task] += rows.len();
        Ok((x.select_rows(&rows), rows.iter().map(|&i| y[i]).collect()))
    }
}

/// Feature names, features and labels in random order.
type Task = (Vec<String>, (Matrix, Vec<f64>));

fn read(path: &Path, label: Option<&str>, seed: u64) -> Result<Task, Failure> {
    let table = Table::read_numbers(path, false)?;
    let label = label.map_or(Ok(table.header.len() - 1), |l| table.column(l))?;
    let features = table.select("all", &[label])?;
    let names = features.iter().map(|&j| table.header[j].clone()).collect();
    let x = table.matrix(&features, false)?;
    let y = table.numbers(label)?;
    let mut order: Vec<usize> = (0..y.len()).collect();
    shuffle(&mut Streams::new(seed).stream(0), &mut order);
    Ok((names, (x.select_rows(&order), order.iter().map(|&i| y[i]).collect())))
}

pub fn run(a: &Arguments, session: &Session) -> Result<Answer, Failure> {
    if a.cost.is_some() || a.out.is_some() {
        return Err(usage("--cost and --out are not available in this version"));
    }
    let strategy = match a.strategy.as_str() {
        "l1" => Strategy::L1,
        "l2" => Strategy::L2,
        "uniform" => Strategy::Uniform,
        other => return Err(usage(format!("--strategy is {other}, allowed is l1, l2 or uniform"))),
    };
    let lambda = match a.lambda.as_str() {
        "auto" => None,
        l => Some(l.parse().map_err(|_| usage(format!("--lambda is {l}, allowed is auto or a number")))?),
    };
    if lambda.is_some() && strategy != Strategy::L1 {
        return Err(usage("--lambda goes with --strategy l1"));
    }
    let (mut sources, target) = session.stage("read", || {
        let fail = |e: std::io::Error| bad(format!("{}: {e}", a.tasks.display()));
        let mut paths: Vec<PathBuf> = std::fs::read_dir(&a.tasks)
            .map_err(fail)?
            .map(|e| e.map(|e| e.path()).map_err(fail))
            .collect::<Result<_, _>>()?;
        paths.retain(|p| input::kind(p) == "csv");
        paths.sort();
        let mut files = Files { names: Vec::new(), data: Vec::new(), next: Vec::new() };
        let (mut target, mut features) = (None, Vec::new());
        for p in &paths {
            let name = p.file_name().map_or(String::new(), |f| f.to_string_lossy().into_owned());
            let name = name.strip_suffix(".gz").unwrap_or(&name);
            let name = name.strip_suffix(".csv").unwrap_or(name).to_owned();
            let (columns, data) = read(p, a.label.as_deref(), session.seed())?;
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
        let (expected, target) = target.ok_or_else(|| bad(format!("{}: no task {:?}", a.tasks.display(), a.target)))?;
        for (name, columns) in files.names.iter().zip(&features) {
            if columns.len() != expected.len() {
                let (given, wanted) = (columns.len(), expected.len());
                return Err(bad(format!("task {name} has {given} features, the target has {wanted}")));
            }
            if let Some(j) = (0..columns.len()).find(|&j| columns[j] != expected[j]) {
                let (given, wanted) = (&columns[j], &expected[j]);
                return Err(bad(format!("task {name}: feature {} is {given}, of the target it is {wanted}", j + 1)));
            }
        }
        Ok((files, target))
    })?;
    let available: usize = sources.data.iter().map(|t| t.1.len()).sum();
    let budget = a.budget.unwrap_or(available / 2).min(available);
    let options = Options { dimension: a.dimension, strategy, epochs: a.epochs, lambda, ..Options::default() };
    let got = session.stage("compute", || {
        let data = TaskData::new(&target.0, &target.1).map_err(bad)?;
        let (mut rng, mut observer) = (Streams::new(session.seed()).stream(1), session);
        learn_observed(&mut sources, &data, budget, &options, &mut rng, &mut observer).map_err(bad)
    })?;
    let mut predicted = vec![0.0; target.1.len()];
    target.0.multiply_vector_into(&got.target, &mut predicted);
    let mse = target.1.iter().zip(&predicted).map(|(y, p)| (y - p).powi(2)).sum::<f64>() / predicted.len() as f64;
    let total: usize = got.samples.iter().sum();
    let relevance: Vec<_> = sources
        .names
        .iter()
        .enumerate()
        .map(|(m, n)| json!({"task": n, "nu": got.relevance[m], "samples": got.samples[m], "cost": got.samples[m]}))
        .collect();
    let mut table = format!("target {} from {total} source samples, training mse {mse:.6}\n", a.target);
    for (m, n) in sources.names.iter().enumerate() {
        table += &format!("{n:>16} relevance {:+.4} samples {}\n", got.relevance[m], got.samples[m]);
    }
    Ok(Answer {
        parameters: json!({"tasks": a.tasks, "target": a.target, "dimension": a.dimension, "strategy": a.strategy, "budget": budget, "epochs": a.epochs, "lambda": a.lambda}),
        result: json!({"tasks": sources.names.len(), "dimension": a.dimension, "relevance": relevance,
            "target_train_mse": mse, "target_test_mse": null, "total_samples": total, "total_cost": total}),
        report: super::map(json!({"path": format!("alternating least squares, {}", a.strategy)})),
        table,
    })
}
