//! What every crate of the collection promises of its options and answers.
use samplewise_linalg::random::{Streams, normal};
use samplewise_mtrl::internals::{FIT_RANGES, RANGES};
use samplewise_mtrl::{
    Budget, CostModel, Error, FitOptions, Learned, Matrix, Options, Planner, Strategy, TaskData, fit_representation,
};
use samplewise_testkit::ranges;

const FEATURES: usize = 6;
const TASKS: usize = 5;

/// Rows of a task, the same for the same number of rows drawn before.
fn rows(task: usize, before: usize, count: usize) -> (Matrix, Vec<f64>) {
    let mut rng = Streams::new(task as u64).stream(before as u64);
    let x = Matrix::from_fn(count, FEATURES, |_, _| normal(&mut rng));
    let y = (0..count).map(|i| x[(i, task % 2)] * (1.0 + task as f64) + 0.5 * normal(&mut rng)).collect();
    (x, y)
}

fn data(task: usize, count: usize) -> TaskData {
    let (x, y) = rows(task, 0, count);
    TaskData::new(&x, &y).unwrap()
}

#[test]
fn ranges_are_those_of_the_documentation() {
    let source = include_str!("../src/options.rs");
    ranges::walk(&Options::default(), &RANGES, source, |options| {
        match Planner::new(TASKS, vec![data(1, 12)], Budget::Samples(300), options) {
            Err(Error::Argument(e)) => Some(e),
            Err(e) => panic!("{e}"),
            Ok(_) => None,
        }
    });
    let tasks: Vec<TaskData> = (0..TASKS).map(|m| data(m, 9)).collect();
    // The documentation of the second struct of the file.
    let fit = &source[source.find("pub struct FitOptions").unwrap()..];
    ranges::walk(&FitOptions { max_iterations: 3, ..FitOptions::default() }, &FIT_RANGES, fit, |options| {
        match fit_representation(&tasks, Some(2), options) {
            Err(Error::Argument(e)) => Some(e),
            Err(e) => panic!("{e}"),
            Ok(_) => None,
        }
    });
}

/// Asks and tells until nothing is wanted; the planner goes through bytes between all calls, or not.
fn learned(options: &Options, budget: Budget, through_bytes: bool) -> Learned {
    let costs = vec![
        CostModel::Linear(1.0),
        CostModel::FeePlusLinear { fee: 2.0, unit: 1.0 },
        CostModel::Tiered(vec![(10, 2.0), (100, 1.0)]),
        CostModel::default(),
        CostModel::default(),
    ];
    let mut planner = Planner::new(TASKS, vec![data(1, 12)], budget, options).unwrap().with_costs(costs).unwrap();
    planner.limit(4, 30).unwrap();
    loop {
        let wanted = planner.ask().unwrap();
        if wanted.is_empty() {
            return planner.finish().unwrap();
        }
        for (task, count) in wanted {
            if through_bytes {
                planner = Planner::from_bytes(&planner.to_bytes().unwrap()).unwrap();
            }
            let (x, y) = rows(task, planner.samples()[task], count);
            planner.tell(task, &x, &y).unwrap();
        }
    }
}

#[test]
fn planners_travel_as_bytes_between_calls() {
    for strategy in [Strategy::Guarded, Strategy::L1, Strategy::TopK(2)] {
        for budget in [Budget::Samples(300), Budget::Cost(300.0), Budget::Risk { target: 0.05, most: 400 }] {
            let options = Options { dimension: Some(2), strategy, seed: 3, ..Options::default() };
            let (whole, stored) = (learned(&options, budget, false), learned(&options, budget, true));
            assert_eq!(whole, stored, "{strategy:?} {budget:?}");
            assert!(whole.report.rounds.len() >= 2 && whole.report.iterations > 0);
        }
    }
}

#[test]
fn damaged_planners_are_refused() {
    let mut planner = Planner::new(TASKS, vec![data(1, 12)], Budget::Samples(300), &Options::default()).unwrap();
    for (task, count) in planner.ask().unwrap() {
        let (x, y) = rows(task, 0, count);
        planner.tell(task, &x, &y).unwrap();
    }
    planner.ask().unwrap();
    let bytes = planner.to_bytes().unwrap();
    for at in (0..bytes.len()).step_by(31) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(matches!(Planner::from_bytes(&damaged), Err(Error::Data(_))), "byte {at}");
        assert!(matches!(Planner::from_bytes(&bytes[..at]), Err(Error::Data(_))), "cut at {at}");
    }
    // Numbers that are wrong under a checksum that is right: an error or a planner, never a panic.
    use samplewise_linalg::envelope::{Kind, open, seal};
    let body = open(Kind::Planner, 1, &bytes).unwrap().1;
    for at in (0..body.len()).step_by(8) {
        for word in [0_u64, 1, 7, 1 << 40, u64::MAX, f64::NAN.to_bits()] {
            let mut other = body.to_vec();
            let end = (at + 8).min(other.len());
            other[at..end].copy_from_slice(&word.to_le_bytes()[..end - at]);
            if let Ok(mut planner) = Planner::from_bytes(&seal(Kind::Planner, 1, 0, &other)) {
                let _ = planner.samples();
                let _ = planner.ask();
            }
        }
    }
    let custom = CostModel::Custom(std::sync::Arc::new(|n| n as f64));
    let planner = planner.with_costs(vec![custom; TASKS]).unwrap();
    assert!(matches!(planner.to_bytes(), Err(Error::Argument(e)) if e.name == "costs"));
}

#[cfg(feature = "serde")]
#[test]
fn options_and_answers_are_data() {
    let options = Options { strategy: Strategy::TopK(3), lambda: Some(0.25), ..Options::default() };
    let text = serde_json::to_string(&options).unwrap();
    assert_eq!(serde_json::from_str::<Options>(&text).unwrap(), options);
    let found = learned(&Options { dimension: Some(2), ..Options::default() }, Budget::Samples(200), false);
    let back: Learned = serde_json::from_str(&serde_json::to_string(&found).unwrap()).unwrap();
    assert_eq!(back, found);
    // A risk that cannot be predicted yet is infinite.
    let few = learned(&Options { dimension: Some(2), ..Options::default() }, Budget::Samples(10), false);
    assert!(few.last().predicted_risk.is_infinite(), "{}", few.last().predicted_risk);
    assert_eq!(serde_json::from_str::<Learned>(&serde_json::to_string(&few).unwrap()).unwrap(), few);
    assert!(serde_json::to_string(&CostModel::Custom(std::sync::Arc::new(|n| n as f64))).is_err());
}
