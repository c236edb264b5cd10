//! Ten digit detectors, each from a few labels of its own and a budget of samples of forty related tasks: which tasks
//! are worth sampling? `cargo run --release --example active_tasks_digits`
use samplewise::linalg::Matrix;
use samplewise::mtrl::{Budget, Options, Strategy, TaskData, learn};

#[path = "common/digits.rs"]
mod digits;
use digits::{Digits, mean_squared_error};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("mean squared error on 797 unseen images (always the mean: 0.36), mean over the ten digits\n");
    println!(
        "labels  budget  K  guarded     L1     L2  uniform   labels alone (best ridge)   L1 tasks sampled beyond exploration"
    );
    for (labels, budget, dimension) in
        [(20, 4_000, 10), (40, 4_000, 10), (40, 8_000, 10), (80, 8_000, 10), (40, 8_000, 5), (40, 8_000, 20)]
    {
        let mut errors = [0.0; 4];
        let mut alone = [0.0; 5];
        let mut chosen = 0;
        for digit in 0..10 {
            let mut data = Digits::new(digit as u64);
            let (x, y) = data.target(digit, 900..900 + labels)?;
            let (test_x, test_y) = data.target(digit, 1000..1797)?;
            let labelled = TaskData::new(&x, &y)?;
            let strategies = [Strategy::Guarded, Strategy::L1, Strategy::L2, Strategy::Uniform];
            for (error, strategy) in errors.iter_mut().zip(strategies) {
                let options = Options {
                    dimension: Some(dimension),
                    strategy,
                    ridge: 0.05,
                    source_ridge: 0.05,
                    ..Options::default()
                };
                let mut source = Digits::new(digit as u64);
                let learned = learn(&mut source, std::slice::from_ref(&labelled), Budget::Samples(budget), &options)?;
                *error += mean_squared_error(learned.target(), &test_x, &test_y) / 10.0;
                let explored = budget * 3 / 10 / 40;
                if strategy == Strategy::L1 {
                    chosen += learned.samples.iter().filter(|&&n| n > explored + 1).count();
                }
            }
            for (error, ridge) in alone.iter_mut().zip([0.1, 0.3, 1.0, 3.0, 10.0]) {
                *error += mean_squared_error(&labelled.weights(&Matrix::identity(65), ridge)?, &test_x, &test_y) / 10.0;
            }
        }
        let best = alone.iter().copied().fold(f64::INFINITY, f64::min);
        println!(
            "{labels:6}  {budget:6} {dimension:2}    {:.3}  {:.3}  {:.3}    {:.3}   {best:25.3}   {:.1} of 40",
            errors[0],
            errors[1],
            errors[2],
            errors[3],
            f64::from(chosen as u32) / 10.0
        );
    }
    Ok(())
}
