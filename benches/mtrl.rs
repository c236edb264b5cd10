//! Active multi-task learning: tables of what the closed form predicts and simulation finds, what active sampling saves, and
//! times of the fit and of a planner step. `cargo bench --bench mtrl -- WORD` prints one of: `risk`, `savings`, `costs`,
//! `planner`, `representation`; without a word the last three.
use std::time::Instant;

use samplewise::linalg::factor::dense_svd;
use samplewise::linalg::random::{StreamRng, Streams, normal, uniform};
use samplewise::linalg::{Matrix, factor, svd};
use samplewise::mtrl::{
    Budget, FitOptions, Options, Strategy, TaskData, TaskOracle, allocate, fit_representation, learn, predicted_risk,
    relevance,
};
use samplewise_benches::{Table, median, print, timed};
use samplewise_testkit::generate::random_matrix;

fn main() {
    print(&[
        Table::on_request("risk", risk),
        Table::on_request("savings", savings),
        Table::new("costs", costs),
        Table::new("planner", planner),
        Table::new("representation", representation),
    ]);
}

/// Tasks `y = xᵀ B w_m + noise` with noise of variance one.
struct Simulated {
    coefficients: Matrix,
    rng: StreamRng,
}

impl TaskOracle for Simulated {
    fn tasks(&self) -> usize {
        self.coefficients.columns()
    }
    fn draw(&mut self, task: usize, count: usize) -> Result<(Matrix, Vec<f64>), samplewise::mtrl::Error> {
        Ok(labelled(&self.coefficients.copy_column(task), count, &mut self.rng))
    }
}

fn labelled(truth: &[f64], n: usize, rng: &mut StreamRng) -> (Matrix, Vec<f64>) {
    let x = Matrix::from_fn(n, truth.len(), |_, _| normal(rng));
    let mut y = vec![0.0; n];
    x.multiply_vector_into(truth, &mut y);
    y.iter_mut().for_each(|v| *v += normal(rng));
    (x, y)
}

/// What of the target lies outside the basis: the excess risk of the subspace.
fn outside(basis: &Matrix, truth: &[f64]) -> f64 {
    let mut inside = vec![0.0; basis.columns()];
    basis.multiply_transpose_vector_into(truth, &mut inside);
    let mut back = vec![0.0; truth.len()];
    basis.multiply_vector_into(&inside, &mut back);
    back.iter().zip(truth).map(|(a, b)| (a - b).powi(2)).sum()
}

/// Row M1: simulated risk of the subspace against `(d−K)·wᵀ(W diag(n) Wᵀ)⁻¹w`.
fn risk() {
    println!("simulated over predicted excess risk of the subspace, mean of 60 simulations");
    println!("   d   K    M       N  strategy   predicted  simulated  ratio");
    let mut worst = 0.0_f64;
    let shapes =
        [(40, 3, 20, 8_000), (40, 5, 40, 20_000), (60, 5, 40, 40_000), (30, 2, 60, 12_000), (80, 4, 30, 40_000)];
    for (case, (d, k, m, n)) in shapes.into_iter().enumerate() {
        let streams = Streams::new(case as u64 + 100);
        let basis = dense_svd(&random_matrix(d, k, case as u64)).expect("finite").u;
        let weights = random_matrix(k, m, case as u64 + 20);
        let target = random_matrix(k, 1, case as u64 + 40).into_vec();
        let coefficients = basis.multiply(&weights).expect("shapes");
        let mut truth = vec![0.0; d];
        basis.multiply_vector_into(&target, &mut truth);
        for strategy in [Strategy::Uniform, Strategy::L2, Strategy::L1, Strategy::LeastL1] {
            let shares = relevance(&weights, &target, strategy, None, None).expect("valid").shares;
            let samples: Vec<usize> =
                allocate(&shares, n - 10 * m, None).expect("shares").iter().map(|n| n + 10).collect();
            let counts: Vec<f64> = samples.iter().map(|n| *n as f64).collect();
            let predicted = (d - k) as f64 * predicted_risk(&weights, &target, &counts).expect("spanned");
            let trials = 60;
            let mut simulated = 0.0;
            for trial in 0..trials {
                let of_trial = streams.child(trial);
                let tasks: Vec<TaskData> = (0..m)
                    .map(|t| {
                        let (x, y) = labelled(&coefficients.copy_column(t), samples[t], &mut of_trial.stream(t as u64));
                        TaskData::new(&x, &y).expect("finite")
                    })
                    .collect();
                let fit =
                    fit_representation(&tasks, Some(k), &FitOptions { seed: of_trial.seed(), ..FitOptions::default() })
                        .expect("valid");
                simulated += outside(&fit.basis, &truth) / trials as f64;
            }
            let ratio = simulated / predicted;
            worst = worst.max((ratio - 1.0).abs());
            let name = format!("{strategy:?}");
            println!("{d:4} {k:3} {m:4} {n:7}  {name:9} {predicted:10.5} {simulated:10.5}  {ratio:5.3}");
        }
    }
    println!("largest deviation {:.1} %", 100.0 * worst);
}

/// Weights of tasks and target.
fn family(name: &str, k: usize, m: usize, seed: u64) -> (Matrix, Vec<f64>) {
    let mut rng = Streams::new(seed).stream(7);
    let unit = |mut v: Vec<f64>| {
        let norm = v.iter().map(|v| v * v).sum::<f64>().sqrt();
        v.iter_mut().for_each(|x| *x /= norm);
        v
    };
    let mut draw = || unit((0..k).map(|_| normal(&mut rng)).collect());
    let mut tasks: Vec<Vec<f64>> = (0..m).map(|_| draw()).collect();
    let target = match name {
        "isotropic" => draw(),
        "mix of 3" => unit((0..k).map(|i| tasks[0][i] + tasks[1][i] + tasks[2][i]).collect()),
        _ => {
            // Three tasks know the last direction, which is the target's.
            for task in tasks.iter_mut().skip(3) {
                task[k - 1] = 0.0;
                *task = unit(task.clone());
            }
            (0..k).map(|i| f64::from(u8::from(i == k - 1))).collect()
        }
    };
    (Matrix::from_fn(k, m, |i, j| tasks[j][i]), target)
}

/// Rows M2 and M3: risk by strategy and budget with unknown relevance, and the samples that uniform needs for the same.
fn savings() {
    let (d, k, m, trials) = (40, 5, 50, 24);
    let strategies = [Strategy::Uniform, Strategy::L2, Strategy::L1, Strategy::LeastL1, Strategy::Guarded];
    let budgets = [2_000, 4_000, 8_000, 16_000, 32_000, 64_000];
    println!(
        "excess risk of the subspace, geometric mean of {trials} draws (d = {d}, K = {k}, M = {m}, noise 1, 2,000 labels)"
    );
    println!(
        "family            N   uniform        L2        L1  least l1   guarded   guarded/better of L2, uniform   uniform needs"
    );
    for name in ["mix of 3", "rare target", "isotropic"] {
        let mut curve: Vec<[f64; 5]> = Vec::new();
        for &n in &budgets {
            let mut logs = [0.0; 5];
            for trial in 0..trials {
                let (weights, target) = family(name, k, m, trial);
                let basis = dense_svd(&random_matrix(d, k, trial + 1_000)).expect("finite").u;
                let coefficients = basis.multiply(&weights).expect("shapes");
                let mut truth = vec![0.0; d];
                basis.multiply_vector_into(&target, &mut truth);
                let (x, y) = labelled(&truth, 2_000, &mut Streams::new(trial).stream(1));
                let labels = [TaskData::new(&x, &y).expect("finite")];
                for (log, strategy) in logs.iter_mut().zip(strategies) {
                    let mut oracle =
                        Simulated { coefficients: coefficients.clone(), rng: Streams::new(trial).stream(2) };
                    let options = Options { dimension: Some(k), strategy, seed: trial, ..Options::default() };
                    let got = learn(&mut oracle, &labels, Budget::Samples(n), &options).expect("valid");
                    *log += outside(&got.representation.basis, &truth).ln() / trials as f64;
                }
            }
            curve.push(logs.map(f64::exp));
        }
        for (i, (n, risks)) in budgets.iter().zip(&curve).enumerate() {
            let [u, l2, l1, bp, guarded] = *risks;
            // Where the uniform curve, straight between its points and of slope −1 beyond, has the guarded risk.
            let needed = (i..budgets.len()).find(|&j| curve[j][0] <= guarded).map_or(
                *budgets.last().expect("some") as f64 * curve.last().expect("some")[0] / guarded,
                |j| {
                    if j == 0 {
                        return budgets[0] as f64;
                    }
                    let (a, b) = (curve[j - 1][0].ln(), curve[j][0].ln());
                    let t = (guarded.ln() - a) / (b - a);
                    ((budgets[j - 1] as f64).ln() * (1.0 - t) + (budgets[j] as f64).ln() * t).exp()
                },
            );
            let ratio = guarded / u.min(l2);
            println!(
                "{name:11} {n:7} {u:9.5} {l2:9.5} {l1:9.5} {bp:9.5} {guarded:9.5}   {ratio:29.2}   {:12.1}x",
                needed / *n as f64
            );
        }
    }
}

/// Row M4: cost at equal risk of allocations that do not know the prices over that of the one that does.
fn costs() {
    let (k, m) = (10, 150);
    let mut ratios = [Vec::new(), Vec::new(), Vec::new()];
    for seed in 0..200 {
        let (weights, target) = family("isotropic", k, m, seed);
        let mut rng = Streams::new(seed).stream(11);
        let prices: Vec<f64> = (0..m).map(|_| normal(&mut rng).exp()).collect();
        let aware = relevance(&weights, &target, Strategy::LeastL1, None, Some(&prices)).expect("valid").norm.powi(2);
        for (ratios, strategy) in ratios.iter_mut().zip([Strategy::LeastL1, Strategy::L2, Strategy::Uniform]) {
            let shares = relevance(&weights, &target, strategy, None, None).expect("valid").shares;
            // The least of every task keeps the matrix regular without a cost to speak of.
            let n: Vec<f64> = shares.iter().map(|s| s + 1e-9).collect();
            let cost: f64 = n.iter().zip(&prices).map(|(n, p)| n * p).sum();
            ratios.push(cost * predicted_risk(&weights, &target, &n).expect("spanned") / aware);
        }
    }
    let [l1, l2, uniform] = ratios.map(median);
    println!(
        "cost at equal risk over the cost-aware allocation's, log-normal prices, K = {k}, M = {m}, median of 200:"
    );
    println!("L1 that does not know prices {l1:.1}, L2 {l2:.1}, uniform {uniform:.1}");
    assert!(l1 >= 1.0 && l2 >= l1);
}

/// Row M5, first half: relevance and allocation of a planner step.
fn planner() {
    let (k, m) = (50, 1_000);
    let (weights, target) = family("isotropic", k, m, 3);
    println!("planner step, K = {k}, M = {m}:");
    for strategy in [Strategy::L1, Strategy::LeastL1, Strategy::L2] {
        let run = || {
            let found = relevance(&weights, &target, strategy, None, None).expect("valid");
            allocate(&found.shares, 100_000, None).expect("shares")
        };
        println!("  {strategy:?} {:.2} ms", 1e3 * timed(9, run).0);
    }
    let mut rng = Streams::new(9).stream(0);
    let some: Vec<f64> = (0..m).map(|_| uniform(&mut rng)).collect();
    assert!(samplewise::mtrl::efficiency(&weights, &target, &some, None).expect("valid") <= 1.0);
}

/// Row M5, second half: the fit against alternating least squares that solves for the basis as one dense system.
fn representation() {
    for (d, k, tasks, n) in [(40, 5, 60, 200), (100, 5, 100, 40), (100, 5, 100, 100)] {
        let basis = dense_svd(&random_matrix(d, k, 1)).expect("finite").u;
        let coefficients = basis.multiply(&random_matrix(k, tasks, 2)).expect("shapes");
        let mut rng = Streams::new(3).stream(0);
        let raw: Vec<(Matrix, Vec<f64>)> =
            (0..tasks).map(|m| labelled(&coefficients.copy_column(m), n, &mut rng)).collect();
        let data: Vec<TaskData> = raw.iter().map(|(x, y)| TaskData::new(x, y).expect("finite")).collect();
        let run =
            || fit_representation(&data, Some(k), &FitOptions { seed: 4, ..FitOptions::default() }).expect("valid");
        let fit = run();
        println!(
            "fit d = {d}, K = {k}, {tasks} tasks of {n}: {:.1} ms, {} evaluations, loss {:.6e}",
            1e3 * timed(9, run).0,
            fit.report.iterations,
            fit.loss
        );
        if d == 40 {
            let start = Instant::now();
            let loss = dense_alternation(&raw, &data, k);
            println!("  dense alternation: {:.1} ms, loss {loss:.6e}", 1e3 * start.elapsed().as_secs_f64());
            assert!(fit.loss <= loss * (1.0 + 1e-6));
        }
    }
}

/// Alternation whose basis step is one least-squares system in all `d·K` entries of the basis.
fn dense_alternation(raw: &[(Matrix, Vec<f64>)], tasks: &[TaskData], k: usize) -> f64 {
    let d = tasks[0].features();
    let grams: Vec<Matrix> = tasks.iter().map(|t| t.gram_times(&Matrix::identity(d)).expect("shapes")).collect();
    let moments = Matrix::from_fn(d, tasks.len(), |i, m| tasks[m].right()[i]);
    let start = svd::truncated_svd(&moments, k, &svd::SvdOptions::default());
    let mut basis = start.expect("finite").u;
    for _ in 0..12 {
        let mut system = Matrix::zeros(d * k, d * k);
        let mut right = vec![0.0; d * k];
        for (task, gram) in tasks.iter().zip(&grams) {
            let w = task.weights(&basis, 0.0).expect("finite");
            for i in 0..d {
                for a in 0..k {
                    right[i * k + a] += task.right()[i] * w[a];
                    for j in 0..d {
                        for b in 0..k {
                            system[(i * k + a, j * k + b)] += gram[(i, j)] * w[a] * w[b];
                        }
                    }
                }
            }
        }
        factor::Cholesky::new(&system, 1e-12).expect("positive definite").solve_in_place(&mut right);
        let raw = Matrix::from_vec(d, k, right).expect("shape");
        basis = factor::dense_svd(&raw).expect("finite").u;
    }
    let loss = |(task, (x, y)): (&TaskData, &(Matrix, Vec<f64>))| {
        let w = task.weights(&basis, 0.0).expect("finite");
        let (mut theta, mut fitted) = (vec![0.0; d], vec![0.0; y.len()]);
        basis.multiply_vector_into(&w, &mut theta);
        x.multiply_vector_into(&theta, &mut fitted);
        y.iter().zip(&fitted).map(|(y, f)| (y - f).powi(2)).sum::<f64>()
    };
    tasks.iter().zip(raw).map(loss).sum()
}
