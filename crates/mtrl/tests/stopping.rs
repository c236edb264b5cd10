//! A call that is stopped says so, at whatever look, and claims nothing.
use samplewise_linalg::random::{Streams, normal};
use samplewise_mtrl::{
    Budget, Ending, Error, FitOptions, Matrix, Options, Planner, TaskData, TaskOracle, fit_representation_observed,
    learn_observed,
};
use samplewise_testkit::stopping::{looks, stopped_at};

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
    for look in looks(6, 12, 8) {
        let (fit, stop) = stopped_at(look, |o| fit_representation_observed(&tasks, Some(2), &options, o).unwrap());
        assert_eq!(fit.report.ending == Ending::Interrupted, stop, "look {look}");
        assert!(!stop || !fit.converged(), "look {look}");
        stopped += usize::from(stop);
    }
    assert!(stopped >= 3, "{stopped}");
}

#[test]
fn stopped_learning_says_so() {
    let options = Options { dimension: Some(2), ..Options::default() };
    let mut stopped = 0;
    for look in looks(6, 12, 8) {
        let call = |o: &mut dyn samplewise_mtrl::Observer| {
            learn_observed(&mut Source, &[target()], Budget::Samples(300), &options, o).unwrap()
        };
        let (learned, stop) = stopped_at(look, call);
        assert_eq!(learned.report.ending == Ending::Interrupted, stop, "look {look}");
        assert!(!stop || !learned.converged(), "look {look}");
        stopped += usize::from(stop);
    }
    assert!(stopped >= 3, "{stopped}");
}

#[test]
fn stopped_planners_say_so() {
    let options = Options { dimension: Some(2), ..Options::default() };
    for look in looks(6, 12, 8) {
        let mut planner = Planner::new(5, vec![target()], Budget::Samples(300), &options).unwrap();
        for (task, n) in planner.ask().unwrap() {
            let (x, y) = Source.draw(task, n).unwrap();
            planner.tell(task, &x, &y).unwrap();
        }
        let (learned, stop) = stopped_at(look, |o| planner.finish_observed(o).unwrap());
        assert_eq!(learned.report.ending == Ending::Interrupted, stop, "look {look}");
    }
}
