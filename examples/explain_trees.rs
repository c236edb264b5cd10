//! What drives the score of a gradient-boosted model for one case? All interactions of its features, from a few hundred
//! evaluations: `cargo run --release --example explain_trees [MODEL.json [CASE]]`
//!
//! A feature is present with its value or absent, masked to its mean; the model is only ever asked for scores, as any
//! black box would be. Because the trees are at hand, the truth is too, and the answer is compared with it at the end.
//! The format of the model is that of `scripts/make_tree_models.py`; without arguments it is a tumour classifier.
use samplewise::linalg::Matrix;
use samplewise::linalg::lstsq::{Method, least_squares};
use samplewise::wht::surrogate::{AskOptions, Surrogate, Target};
use samplewise::wht::{Error, Options, Plan, Sparsity, Spectrum, Support};
use samplewise_testkit::fixtures;
use samplewise_testkit::trees::{Game, TreeModel};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (name, text) = match arguments.next() {
        Some(path) => {
            let text = std::fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
            (path, text)
        }
        None => ("breast cancer".to_owned(), fixtures::text("trees_breast_cancer.json.gz")),
    };
    let model = TreeModel::parse(&text).map_err(|e| format!("{name}: {e}"))?;
    let cases = model.instances.len().max(1);
    let case = arguments.next().map_or(Ok(0), |a| a.parse::<usize>()).map_err(|e| format!("case: {e}"))?;
    if case >= cases {
        return Err(format!("case is {case}, allowed is 0 to {}", cases - 1).into());
    }
    let game = model.game(case);
    let n = model.features.len();
    println!("{name}, case {case}: {n} features, 2^{n} ways to mask them\n");

    println!("evaluations  interactions  R2 on all masks  R2 said by fresh ones");
    let mut last = None;
    for budget in [150, 200, 250, 312, 600] {
        let found = explain(&game, n, budget)?;
        println!(
            "{:11}  {:12}  {:15.6}  {}",
            found.report.samples,
            found.coefficients.len(),
            true_r2(&game, &found),
            found.report.r2.map_or("none".to_owned(), |r| format!("{r:.6}"))
        );
        last = Some(found);
    }
    let found = last.expect("five budgets were tried");

    println!("\nstrongest at the last budget ({} of the spectrum there):", found.coefficients.len());
    for c in found.top(9).into_iter().filter(|c| c.index != 0) {
        let names: Vec<&str> = c.variables().into_iter().map(|v| model.features[v].as_str()).collect();
        println!("  {:+.4}  {}", c.value, names.join(" x "));
    }
    let shapley = found.shapley();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| shapley[b].abs().total_cmp(&shapley[a].abs()).then(a.cmp(&b)));
    println!("\nShapley values; they add up to the score with all features less the score with none:");
    for &i in order.iter().take(6) {
        println!("  {:+.4}  {}", shapley[i], model.features[i]);
    }
    let all = if n == 64 { u64::MAX } else { (1 << n) - 1 };
    let difference = game.score(all) - game.score(0);
    println!("  {:+.4}  all; {difference:+.4} by two evaluations", shapley.iter().sum::<f64>());
    compare_shapley_values(&game, n, &model.features, &shapley)?;
    let (_, total) = found.sobol();
    let single: f64 = found.sobol().0.iter().sum();
    println!(
        "\n{:.1} % of the variance is due to single features, the rest to interactions; {} features matter at all",
        100.0 * single,
        total.iter().filter(|t| **t > 0.0).count()
    );
    Ok(())
}

/// Shapley values from fewer evaluations than make them exact: a surrogate, with deviations, beside KernelSHAP.
fn compare_shapley_values(
    game: &Game<'_>,
    n: usize,
    names: &[String],
    truth: &[f64],
) -> Result<(), Box<dyn std::error::Error>> {
    println!("\nShapley values from fewer evaluations: sum of squared errors over that of the values");
    println!("evaluations  surrogate  its own estimate  KernelSHAP");
    let size: f64 = truth.iter().map(|t| t * t).sum();
    let error = |found: &[f64]| found.iter().zip(truth).map(|(f, t)| (f - t).powi(2)).sum::<f64>() / size;
    let mut last = None;
    for budget in [3 * n, 5 * n] {
        let options = AskOptions { budget, enough: 0.0, ..AskOptions::default() };
        let mut surrogate = Surrogate::new(n, Target::Shapley, &options)?;
        while !surrogate.ask().is_empty() {
            let answers: Vec<f64> = surrogate.ask().iter().map(|&m| game.score(m)).collect();
            surrogate.tell(&answers)?;
        }
        let points = surrogate.points().to_vec();
        let values = surrogate.values().to_vec();
        let found = surrogate.finish()?.shapley();
        let means: Vec<f64> = found.iter().map(|e| e.mean).collect();
        let own: f64 = found.iter().map(|e| e.deviation * e.deviation).sum::<f64>() / size;
        let kernel = kernel_shap(&points, &values, n)?;
        println!("{:11}  {:9.1e}  {own:16.1e}  {:10.1e}", points.len(), error(&means), error(&kernel));
        last = Some(found);
    }
    let found = last.ok_or("two budgets were tried")?;
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| found[b].mean.abs().total_cmp(&found[a].mean.abs()).then(a.cmp(&b)));
    for &i in order.iter().take(6) {
        println!("  {:+.4} +- {:.4}  {} ({:+.4})", found[i].mean, found[i].deviation, names[i], truth[i]);
    }
    Ok(())
}

/// KernelSHAP: least squares of an additive function on pairs of masks with uniform sizes, each weighted as Shapley's kernel
/// weights its size, that meets the values at no and at all features.
fn kernel_shap(points: &[u64], values: &[f64], n: usize) -> Result<Vec<f64>, Box<dyn std::error::Error>> {
    let value = |wanted: u64| points.iter().position(|&m| m == wanted).map(|j| values[j]).ok_or("it is asked first");
    let (none, all) = (value(0)?, value(if n == 64 { u64::MAX } else { (1 << n) - 1 })?);
    let inside = |&j: &usize| (1..n).contains(&(points[j].count_ones() as usize));
    let inner: Vec<usize> = (0..points.len()).filter(inside).collect();
    // The last value is what the others leave; sizes were drawn uniformly, so a size has the weight 1/(k (n − k)).
    let root = |j: usize| {
        let k = f64::from(points[j].count_ones());
        (1.0 / (k * (n as f64 - k))).sqrt()
    };
    let bit = |j: usize, i: usize| (points[j] >> i & 1) as f64;
    let x = Matrix::from_fn(inner.len(), n - 1, |r, i| root(inner[r]) * (bit(inner[r], i) - bit(inner[r], n - 1)));
    let y: Vec<f64> = inner.iter().map(|&j| root(j) * (values[j] - none - bit(j, n - 1) * (all - none))).collect();
    let mut out = least_squares(&x, &y, Method::Auto)?.x;
    out.push(all - none - out.iter().sum::<f64>());
    Ok(out)
}

fn explain(game: &Game<'_>, n: usize, budget: usize) -> Result<Spectrum, Error> {
    // 64 of the evaluations are kept to judge by.
    let options = Options {
        seed: 1,
        support: Support::Hereditary { max_degree: 5.min(n) },
        samples: Some(budget - 64),
        ..Options::default()
    };
    let max = 1_000.min(1 << n.min(20));
    let plan = Plan::new(n, Sparsity::Unknown { max }, &options)?;
    let answers: Vec<f64> = plan.queries().iter().map(|&m| game.score(m)).collect();
    plan.decode(&answers)
}

/// Against the spectrum read off the trees: by Parseval, over all masks.
fn true_r2(game: &Game<'_>, found: &Spectrum) -> f64 {
    let mut left: std::collections::BTreeMap<u64, f64> = game.spectrum().into_iter().collect();
    let spread: f64 = left.iter().filter(|c| *c.0 != 0).map(|c| c.1 * c.1).sum();
    found.coefficients.iter().for_each(|c| *left.entry(c.index).or_insert(0.0) -= c.value);
    1.0 - left.values().map(|v| v * v).sum::<f64>() / spread
}
