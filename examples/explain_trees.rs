//! What drives the score of a gradient-boosted model for one case? All interactions of its features, from a few hundred
//! evaluations: `cargo run --release --example explain_trees [MODEL.json [CASE]]`
//!
//! A feature is present with its value or absent, masked to its mean; the model is only ever asked for scores, as any
//! black box would be. Because the trees are at hand, the truth is too, and the answer is compared with it at the end.
//! The format of the model is that of `scripts/make_tree_models.py`; without arguments it is a tumour classifier.
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
    let (_, total) = found.sobol();
    let single: f64 = found.sobol().0.iter().sum();
    println!(
        "\n{:.1} % of the variance is due to single features, the rest to interactions; {} features matter at all",
        100.0 * single,
        total.iter().filter(|t| **t > 0.0).count()
    );
    Ok(())
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
