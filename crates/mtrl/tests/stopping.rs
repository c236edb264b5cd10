//! A call that is stopped says so, at whatever look, and claims nothing.
use std::ops::ControlFlow;

use samplewise_linalg::observe::FromFn;
use samplewise_linalg::random::{Streams, below, normal};
use samplewise_mtrl::{
    Budget, Ending, Error, FitOptions, Matrix, Options, Planner, Progress, TaskData, TaskOracle,
    fit_representation_observed, learn_observed,
};

struct Source;

impl TaskOracle for Source {
    fn tasks(&self) -> usize {
        5
    }

    fn draw(&mut self, task: usize, count: usize) -> Result<(Matrix, Vec<f64>), Error> {
        let mut rng = Streams::new(task as u64).stream(count as u64);
        let x = Matrix::from_fn(count, 6, |_, _| normal(&mut rng));
        let y = (0..count).map(|i| x[(i, task % 2)] * (1.0 + task as f64) + 0.5 * normal(&mut rng)).collect();
        Ok((x, y))
    }
}

fn target() -> TaskData {
    let (x, y) = Source.draw(1, 12).unwrap();
    TaskData::new(&x, &y).unwrap()
}

/// Looks at which a run is stopped: the first, the second, the fifth and some others.
fn looks() -> Vec<usize> {
    let mut rng = Streams::new(8).stream(0);
    [1, 2, 5].into_iter().chain((0..6).map(|_| 1 + below(&mut rng, 12))).collect()
}

/// Runs a call with an observer that stops it at a look; whether it came to that.
fn stopped_at<T>(look: usize, call: impl FnOnce(&mut dyn samplewise_mtrl::Observer) -> T) -> (T, bool) {
    let mut seen = 0;
    let mut observer = FromFn(|_: Progress| {
        seen += 1;
        if seen >= look { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let answer = call(&mut observer);
    (answer, seen >= look)
}

#[test]
fn stopped_representations_say_so() {
    let tasks: Vec<TaskData> = (0..5)
        .map(|m| {
            let (x, y) = Source.draw(m, 9).unwrap();
            TaskData::new(&x, &y).unwrap()
        })
        .collect();
    let options = FitOptions::default();
    let mut stopped = 0;
    for look in looks() {
        let (fit, stop) = stopped_at(look, |o| fit_representation_observed(&tasks, Some(2), &options, o).unwrap());
        assert_eq!(fit.ending == Ending::Interrupted, stop, "look {look}");
        assert!(!stop || !fit.converged(), "look {look}");
        stopped += usize::from(stop);
    }
    assert!(stopped >= 3, "{stopped}");
}

#[test]
fn stopped_learning_says_so() {
    let options = Options { dimension: Some(2), ..Options::default() };
    let mut stopped = 0;
    for look in looks() {
        let call = |o: &mut dyn samplewise_mtrl::Observer| {
            learn_observed(&mut Source, &[target()], Budget::Samples(300), &options, o).unwrap()
        };
        let (learned, stop) = stopped_at(look, call);
        assert_eq!(learned.ending == Ending::Interrupted, stop, "look {look}");
        assert!(!stop || !learned.converged(), "look {look}");
        stopped += usize::from(stop);
    }
    assert!(stopped >= 3, "{stopped}");
}

#[test]
fn stopped_planners_say_so() {
    let options = Options { dimension: Some(2), ..Options::default() };
    for look in looks() {
        let mut planner = Planner::new(5, vec![target()], Budget::Samples(300), &options).unwrap();
        for (task, n) in planner.ask().unwrap() {
            let (x, y) = Source.draw(task, n).unwrap();
            planner.tell(task, &x, &y).unwrap();
        }
        let (learned, stop) = stopped_at(look, |o| planner.finish_observed(o).unwrap());
        assert_eq!(learned.ending == Ending::Interrupted, stop, "look {look}");
    }
}
