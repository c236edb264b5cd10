//! `samplewise mtrl`.
use std::path::{Path, PathBuf};

use samplewise_linalg::random::{Streams, shuffle};
use samplewise_linalg::{ArgumentError, Ending, Matrix};
use samplewise_mtrl::{Budget, CostModel, Error, Options, Strategy, TaskData, TaskOracle, learn_observed};
use serde_json::json;

use crate::cells::Header;
use crate::failure::{Failure, bad, usage};
use crate::input::{self, Table};
use crate::output::{self, line};
use crate::session::{Answer, Session, shown, shown_option};

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
    /// The first line of every file is the header, also one of numbers.
    #[arg(long, conflicts_with = "no_header")]
    header: bool,
    /// The first line of every file is data.
    #[arg(long)]
    no_header: bool,
    /// Dimension of the representation, or auto.
    #[arg(long, default_value = "auto")]
    dimension: String,
    /// guarded, l1, l2, least-l1, top-K (as top-5) or uniform.
    #[arg(long, default_value = "guarded")]
    strategy: String,
    /// Source samples in all (default: half of what there is); with --cost money.
    #[arg(long)]
    budget: Option<f64>,
    /// Go on until the predicted excess risk is at most this.
    #[arg(long, conflicts_with = "cost")]
    risk: Option<f64>,
    /// CSV with the columns task, unit and, if wanted, fee.
    #[arg(long, requires = "budget")]
    cost: Option<PathBuf>,
    /// Rounds of topping up after the exploration.
    #[arg(long, alias = "epochs", default_value_t = 4)]
    rounds: usize,
    /// Share of the budget explored uniformly.
    #[arg(long, default_value_t = 0.3)]
    exploration: f64,
    /// Ridge of the target's weights, per label.
    #[arg(long, default_value_t = 1e-6)]
    ridge: f64,
    /// Ridge of the source tasks' coefficients, per sample.
    #[arg(long, default_value_t = 0.0)]
    source_ridge: f64,
    /// Lambda of the relevance Lasso, or auto.
    #[arg(long, default_value = "auto")]
    lambda: String,
    /// CSV with further labelled rows of the target, to measure the error on.
    #[arg(long)]
    test: Option<PathBuf>,
    /// Relevance and samples per task as CSV, or the target's coefficients as .npy.
    #[arg(long)]
    out: Option<PathBuf>,
}

struct Files {
    names: Vec<String>,
    data: Vec<(Matrix, Vec<f64>)>,
    next: Vec<usize>,
    costs: Vec<CostModel>,
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
type Task = (Vec<String>, (Matrix, Vec<f64>));

fn read(path: &Path, label: Option<&str>, header: Header, seed: u64) -> Result<Task, Failure> {
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

/// Prices per task, from a CSV with the columns task, unit and perhaps fee.
fn read_costs(path: &Path, names: &[String]) -> Result<Vec<CostModel>, Failure> {
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

fn strategy_of(name: &str) -> Result<Strategy, Failure> {
    let allowed = "guarded, l1, l2, least-l1, top-K or uniform";
    let bad_name = || usage(format!("--strategy is {name}, allowed is {allowed}"));
    Ok(match name {
        "guarded" => Strategy::Guarded,
        "l1" => Strategy::L1,
        "l2" => Strategy::L2,
        "least-l1" => Strategy::LeastL1,
        "uniform" => Strategy::Uniform,
        other => {
            let k = other.strip_prefix("top-").and_then(|k| k.parse().ok()).filter(|k| *k > 0);
            Strategy::TopK(k.ok_or_else(bad_name)?)
        }
    })
}

pub fn run(a: &Arguments, session: &Session) -> Result<Answer, Failure> {
    let strategy = strategy_of(&a.strategy)?;
    let header = Header::of(a.header, a.no_header);
    let lambda = match a.lambda.as_str() {
        "auto" => None,
        l => Some(l.parse().map_err(|_| usage(format!("--lambda is {l}, allowed is auto or a number")))?),
    };
    if lambda.is_some() && matches!(strategy, Strategy::L2 | Strategy::Uniform | Strategy::LeastL1) {
        return Err(usage("--lambda goes with --strategy guarded, l1 or top-K"));
    }
    let dimension = match a.dimension.as_str() {
        "auto" => None,
        k => Some(k.parse().map_err(|_| usage(format!("--dimension is {k}, allowed is auto or a number")))?),
    };
    output::check_ending("--out", a.out.as_deref(), &["csv", "tsv", "npy"])?;
    let (mut sources, features, target) = session.stage("read", || {
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
            let (columns, data) = read(p, a.label.as_deref(), header, session.seed())?;
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
        Ok((files, expected, target))
    })?;
    if let Some(file) = &a.cost {
        sources.costs = read_costs(file, &sources.names)?;
    }
    if let Some(budget) = a.budget.filter(|b| b.is_nan() || *b <= 0.0) {
        return Err(usage(format!("--budget is {budget}, allowed is a positive number")));
    }
    let available: usize = sources.data.iter().map(|t| t.1.len()).sum();
    let samples = a.budget.map_or(available / 2, |b| b as usize).min(available);
    let budget = match (a.risk, &a.cost, a.budget) {
        (Some(target), ..) => Budget::Risk { target, most: a.budget.map_or(available, |b| b as usize).min(available) },
        (None, Some(_), Some(money)) => Budget::Cost(money),
        _ => Budget::Samples(samples),
    };
    let options = Options {
        dimension,
        strategy,
        rounds: a.rounds,
        exploration: a.exploration,
        ridge: a.ridge,
        source_ridge: a.source_ridge,
        lambda,
        seed: session.seed(),
        ..Options::default()
    };
    let got = session.stage("compute", || {
        let data = [TaskData::new(&target.0, &target.1).map_err(bad)?];
        let mut observer = session;
        learn_observed(&mut sources, &data, budget, &options, &mut observer).map_err(failure)
    })?;
    let error = |(x, y): &(Matrix, Vec<f64>)| {
        let mut predicted = vec![0.0; y.len()];
        x.multiply_vector_into(got.target(), &mut predicted);
        y.iter().zip(&predicted).map(|(y, p)| (y - p).powi(2)).sum::<f64>() / predicted.len() as f64
    };
    let mse = error(&target);
    let test_mse = match &a.test {
        None => None,
        Some(file) => {
            let (columns, data) = read(file, a.label.as_deref(), header, session.seed())?;
            let name = file.display();
            if columns.len() != features.len() {
                let (given, wanted) = (columns.len(), features.len());
                return Err(bad(format!("{name}: {given} features, the target has {wanted}")));
            }
            if let Some(j) = (0..columns.len()).find(|&j| columns[j] != features[j]) {
                let (given, wanted) = (&columns[j], &features[j]);
                return Err(bad(format!("{name}: feature {} is {given}, of the target it is {wanted}", j + 1)));
            }
            Some(error(&data))
        }
    };
    let (last, total) = (got.last(), got.samples.iter().sum::<usize>());
    let cost_of = |m: usize| sources.cost(m).total(got.samples[m]);
    let relevance: Vec<_> = sources
        .names
        .iter()
        .enumerate()
        .map(|(m, n)| json!({"task": n, "nu": last.relevance.nu[m], "samples": got.samples[m], "cost": cost_of(m)}))
        .collect();
    match a.out.as_ref().map(|f| (f, input::kind(f))) {
        None => {}
        Some((file, kind)) if kind == "npy" => output::write_npy(file, got.target())?,
        Some((file, _)) => output::write(file, |to| {
            writeln!(to, "{}", line(file, &["task", "relevance", "samples", "cost"])?)?;
            for (m, n) in sources.names.iter().enumerate() {
                let (nu, samples, cost) = (last.relevance.nu[m], got.samples[m], cost_of(m));
                writeln!(to, "{}", line(file, &[n, &nu.to_string(), &samples.to_string(), &cost.to_string()])?)?;
            }
            Ok(())
        })?,
    }
    let (status, ending) = match got.report.ending {
        Ending::Finished => ("fitted", Ending::Finished),
        Ending::Limit => ("limit", Ending::Limit),
        Ending::Interrupted => ("interrupted", Ending::Interrupted),
    };
    match ending {
        Ending::Limit if a.risk.is_some_and(|risk| last.predicted_risk.is_nan() || last.predicted_risk > risk) => {
            session.warn(format!("the predicted excess risk is {:.3e}, more than --risk", last.predicted_risk));
        }
        Ending::Limit => session.warn("the representation came to its limit of evaluations: it is the best so far"),
        Ending::Interrupted => session.warn("interrupted: the answer is that of the samples drawn by then"),
        Ending::Finished => {}
    }
    let mut table = format!("target {} from {total} source samples, training mse {mse:.6}", a.target);
    table += &test_mse.map_or(String::new(), |t| format!(", test mse {t:.6}"));
    table += &format!(
        "\nstatus {status}, {}\ndimension {}, noise variance {:.4}, predicted excess risk {:.6}, Elfving efficiency {:.3}, followed {}\n",
        ending.name(),
        got.representation.basis.columns(),
        last.noise,
        last.predicted_risk,
        last.efficiency,
        last.followed.name()
    );
    for (m, n) in sources.names.iter().enumerate() {
        table += &format!("{n:>16} relevance {:+.4} samples {}\n", last.relevance.nu[m], got.samples[m]);
    }
    let history: Vec<_> = got
        .report
        .rounds
        .iter()
        .map(|r| {
            json!({"followed": r.followed.name(), "samples": r.samples.iter().sum::<usize>(), "cost": r.cost,
                "predicted_risk": finite(r.predicted_risk), "efficiency": r.efficiency, "noise": finite(r.noise),
                "lasso_gap": r.relevance.gap})
        })
        .collect();
    Ok(Answer {
        parameters: json!({"tasks": shown(&a.tasks), "target": a.target, "dimension": a.dimension, "strategy": a.strategy,
            "budget": a.budget, "risk": a.risk, "cost": shown_option(a.cost.as_ref()), "rounds": a.rounds, "exploration": a.exploration,
            "ridge": a.ridge, "source_ridge": a.source_ridge, "lambda": a.lambda}),
        result: json!({"status": status, "tasks": sources.names.len(), "dimension": got.representation.basis.columns(),
            "relevance": relevance, "target_train_mse": mse, "target_test_mse": test_mse, "total_samples": total,
            "total_cost": got.cost, "predicted_risk": finite(last.predicted_risk), "efficiency": last.efficiency}),
        report: super::map(json!({"path": format!("quasi-Newton representation, {}", a.strategy),
            "ending": ending.name(), "rounds": history,
            "loss": finite(got.representation.loss), "evaluations": got.representation.report.iterations})),
        table,
    })
}

/// An error of the library, in the words of the command line.
fn failure(e: Error) -> Failure {
    match e {
        Error::Argument(ArgumentError { name, given, allowed }) => {
            let flag = match name {
                "dimension" => "--dimension",
                "exploration" => "--exploration",
                "ridge" => "--ridge",
                "source_ridge" => "--source-ridge",
                "lambda" => "--lambda",
                "budget" => "--budget",
                "risk" => "--risk",
                "K of top-K" => "--strategy top-K: K",
                other => return bad(format!("{other} is {given}, allowed is {allowed}")),
            };
            usage(format!("{flag} is {given}, allowed is {allowed}"))
        }
        e => bad(e),
    }
}

/// JSON has no infinity: a risk that cannot be predicted is null.
fn finite(v: f64) -> Option<f64> {
    v.is_finite().then_some(v)
}
