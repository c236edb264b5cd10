//! 160 tasks, "is it this digit?" for ten digits under sixteen corruptions: does choosing the tasks to label pay?
//!
//! Each task in turn is a target with few labels; its sources are the 150 tasks under the other fifteen corruptions, with
//! twenty labels each on the average.
//!
//! `cargo run --release --example active_tasks_mnist` runs on embedded digits of 8 × 8 pixels, every seventh task a target;
//! after `python3 scripts/fetch_data.py fetch mnist` on MNIST, pooled to 14 × 14, for some minutes.
use rayon::prelude::*;
use samplewise::linalg::factor::Cholesky;
use samplewise::linalg::{LinalgError, Matrix};
use samplewise::mtrl::{Budget, Error, Options, Planner, Strategy, TaskData, TaskOracle, learn};
use samplewise_testkit::fixtures;

#[path = "common/corruptions.rs"]
mod corruptions;
use corruptions::Corruption;
#[path = "common/looks.rs"]
mod looks;
use looks::{Images, Look, Score, Sizes, Sources, one_vs_rest};

const METHODS: [&str; 6] = ["target labels alone", "uniform", "L2", "L1", "guarded", "same digit (told)"];
const UNIFORM: usize = 1;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (train, test, sizes) = if fixtures::full_data("mnist/train-images-idx3-ubyte").is_some() {
        let sizes = Sizes { labels: 200, pool: 2_000, test: 2_000, dimension: 20, every: 1 };
        (Images::mnist("train")?, Images::mnist("t10k")?, sizes)
    } else {
        println!("full data absent (python3 scripts/fetch_data.py fetch mnist): the embedded digits instead");
        let (train, test) = Images::embedded();
        (train, test, Sizes { labels: 60, pool: 1_000, test: 600, dimension: 10, every: 7 })
    };
    let budget = 3_000;
    let looks: Vec<Look> = (0..16_usize).into_par_iter().map(|c| Look::new(c, &train, &test, &sizes)).collect();
    println!(
        "{} targets with {} labels, 150 sources each, {budget} labels for them, {} features, K = {}\n",
        160_usize.div_ceil(sizes.every),
        sizes.labels,
        looks[0].pool.columns(),
        sizes.dimension
    );
    // Sampled alike, the ten digits of a corruption have the same sources and the same samples: one call for all ten.
    let options =
        Options { dimension: Some(sizes.dimension), rounds: 2, ridge: 0.05, source_ridge: 0.1, ..Options::default() };
    let alike = Options { strategy: Strategy::Uniform, ..options };
    let uniform: Vec<Vec<Vec<f64>>> = (0..16_usize)
        .into_par_iter()
        .map(|c| {
            let targets: Vec<TaskData> = (0..10).map(|digit| looks[c].target(digit)).collect::<Result<_, _>>()?;
            Ok(learn(&mut Sources::new(&looks, c), &targets, Budget::Samples(budget), &alike)?.targets)
        })
        .collect::<Result<_, Error>>()?;
    let targets: Vec<usize> = (0..160).step_by(sizes.every).collect();
    let scores: Vec<[Score; 6]> = targets
        .par_iter()
        .map(|t| {
            let (c, digit) = (t / 10, t % 10);
            let target = looks[c].target(digit)?;
            let active = |strategy| -> Result<Score, Error> {
                let mut sources = Sources::new(&looks, c);
                let options = Options { strategy, ..options };
                let learned = learn(&mut sources, std::slice::from_ref(&target), Budget::Samples(budget), &options)?;
                Ok(looks[c].score(digit, learned.target()))
            };
            Ok([
                looks[c]
                    .score(digit, &labels_alone(&looks[c].labelled, &one_vs_rest(&looks[c].labelled_digits, digit))?),
                looks[c].score(digit, &uniform[c][digit]),
                active(Strategy::L2)?,
                active(Strategy::L1)?,
                active(Strategy::Guarded)?,
                looks[c].score(digit, &told(&looks, c, digit, target.clone(), budget, alike)?),
            ])
        })
        .collect::<Result<_, Error>>()?;
    print(&scores);
    Ok(())
}

/// Ties are not lower.
fn print(scores: &[[Score; 6]]) {
    let mean = |of: &dyn Fn(&[Score; 6]) -> f64| scores.iter().map(of).sum::<f64>() / scores.len() as f64;
    println!("mean over targets      squared error   wrong   lower than uniform on (squared error, wrong)");
    println!("                          / variance       %   % of targets");
    for (m, name) in METHODS.iter().enumerate() {
        let lower = |of: &dyn Fn(&Score) -> f64| 100.0 * mean(&|s| f64::from(of(&s[m]) < of(&s[UNIFORM])));
        println!(
            "{name:20}  {:14.3}  {:6.2}   {:5.0}  {:5.0}",
            mean(&|s| s[m].squared),
            100.0 * mean(&|s| s[m].wrong),
            lower(&|s| s.squared),
            lower(&|s| s.wrong)
        );
    }
    println!(
        "\nThe labels alone have the ridge of least leave-one-out error. Where they have the least error, labels of other"
    );
    println!("tasks were not worth asking for; against uniform one sees how well the tasks were chosen.");
    if scores.len() < 160 {
        return;
    }
    println!("\nsquared error / variance, mean over ten digits");
    println!("corruption       alone  uniform     L2     L1  guarded   told");
    for (ten, corruption) in scores.chunks(10).zip(Corruption::ALL) {
        let [alone, uniform, l2, l1, guarded, told] =
            std::array::from_fn(|m| ten.iter().map(|s| s[m].squared).sum::<f64>() / 10.0);
        println!("{:15}  {alone:.3}    {uniform:.3}  {l2:.3}  {l1:.3}    {guarded:.3}  {told:.3}", corruption.name());
    }
}

/// Ridge regression on the target's labels, its penalty by leave-one-out.
fn labels_alone(x: &Matrix, y: &[f64]) -> Result<Vec<f64>, LinalgError> {
    let inner = x.multiply(&x.transpose())?;
    let (mut best, mut w) = (f64::INFINITY, vec![0.0; x.columns()]);
    for ridge in [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0] {
        let factor = Cholesky::new(&inner, ridge * y.len() as f64)?;
        let mut dual = y.to_vec();
        factor.solve_in_place(&mut dual);
        // Without label i its error is dualᵢ / (XXᵀ + ridge)⁻¹ᵢᵢ.
        let error = |i: usize| {
            let mut unit = vec![0.0; y.len()];
            unit[i] = 1.0;
            factor.solve_lower_in_place(&mut unit);
            dual[i] / unit.iter().map(|u| u * u).sum::<f64>()
        };
        let errors = (0..y.len()).map(|i| error(i).powi(2)).sum();
        if errors < best {
            best = errors;
            x.multiply_transpose_vector_into(&dual, &mut w);
        }
    }
    Ok(w)
}

/// After the same exploration the rest of the budget goes to the same digit, as a person would have it who knows what
/// the tasks are.
fn told(
    looks: &[Look],
    c: usize,
    digit: usize,
    target: TaskData,
    budget: usize,
    options: Options,
) -> Result<Vec<f64>, Error> {
    let mut sources = Sources::new(looks, c);
    let explored = budget * 3 / 10 / sources.tasks();
    let rest = (budget - explored * sources.tasks()) / (looks.len() - 1);
    let mut planner = Planner::new(sources.tasks(), vec![target], Budget::Samples(budget), &options)?;
    for task in 0..sources.tasks() {
        let (x, y) = sources.draw(task, explored + if task % 10 == digit { rest } else { 0 })?;
        planner.tell(task, &x, &y)?;
    }
    Ok(planner.finish()?.target().to_vec())
}
