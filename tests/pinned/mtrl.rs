//! Active multi-task learning.
use samplewise::linalg::Matrix;
use samplewise::linalg::random::normal;
use samplewise::mtrl::{
    Budget, FitOptions, Options, Planner, Strategy, TaskData, allocate, fit_representation, predicted_risk, relevance,
};

use crate::{Pins, gaussian, stream};

fn task(m: u64, rows: usize) -> TaskData {
    let (basis, w, x) = (gaussian(8, 2, 60), gaussian(2, 1, 61 + m), gaussian(rows, 8, 80 + m));
    let mut rng = stream(100 + m);
    let value = |i: usize| {
        let coefficient = |j: usize| basis[(j, 0)] * w[(0, 0)] + basis[(j, 1)] * w[(1, 0)];
        (0..8).map(|j| x[(i, j)] * coefficient(j)).sum::<f64>()
    };
    let y: Vec<f64> = (0..rows).map(|i| value(i) + 0.2 * normal(&mut rng)).collect();
    TaskData::new(&x, &y).unwrap()
}

pub fn pin(pins: &mut Pins) {
    let tasks: Vec<TaskData> = (0..7).map(|m| task(m, 10 + 3 * m as usize)).collect();
    let fit = fit_representation(&tasks, Some(2), &FitOptions { seed: 2, ..FitOptions::default() }).unwrap();
    pins.pin("mtrl representation", &[&fit.basis, &fit.weights, &fit.loss]);
    let (weights, target) = (gaussian(3, 12, 62), gaussian(3, 1, 63));
    for strategy in [Strategy::L1, Strategy::L2, Strategy::LeastL1] {
        let lambda = (strategy == Strategy::L1).then_some(0.1);
        match relevance(&weights, target.as_slice(), strategy, lambda, None) {
            Ok(found) => {
                pins.pin(format!("mtrl relevance {strategy:?}"), &[&found.nu, &found.shares]);
                let counts = allocate(&found.shares, 1_000, None).unwrap();
                let samples: Vec<f64> = counts.iter().map(|&n| n as f64 + 1.0).collect();
                let risk = predicted_risk(&weights, target.as_slice(), &samples).unwrap();
                pins.pin(format!("mtrl allocation {strategy:?}"), &[&counts, &risk]);
            }
            Err(_) => pins.pin(format!("mtrl relevance {strategy:?} refused"), &[]),
        }
    }
    for strategy in [Strategy::Guarded, Strategy::L1, Strategy::L2, Strategy::Uniform] {
        let options = Options { dimension: Some(2), strategy, ..Options::default() };
        let mut planner = Planner::new(7, vec![task(9, 12)], Budget::Samples(400), &options).unwrap();
        let mut asked: Vec<(usize, usize)> = Vec::new();
        loop {
            let wanted = planner.ask().unwrap();
            if wanted.is_empty() {
                break;
            }
            for (m, n) in wanted {
                asked.push((m, n));
                let x: Matrix = gaussian(n, 8, 200 + asked.len() as u64);
                let y: Vec<f64> = (0..n).map(|i| x[(i, m % 8)]).collect();
                planner.tell(m, &x, &y).unwrap();
            }
        }
        let learned = planner.finish().unwrap();
        pins.pin(format!("mtrl planner {strategy:?}"), &[&asked, &learned.target()]);
    }
}
