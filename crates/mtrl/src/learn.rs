//! The closed loop over an oracle: ask the planner, draw, tell the planner.
use std::ops::ControlFlow;

use samplewise_linalg::observe::{Observer, Progress};
use samplewise_linalg::{Ending, Matrix};

use crate::Error;
use crate::answer::{Learned, Report};
use crate::cost::{Budget, CostModel};
use crate::options::Options;
use crate::planner::Planner;
use crate::task::TaskData;

/// Where samples come from.
pub trait TaskOracle {
    /// Number of source tasks.
    fn tasks(&self) -> usize;

    /// Up to `count` new samples of a task; fewer when it has no more.
    ///
    /// # Errors
    /// Whatever keeps the samples from coming.
    fn draw(&mut self, task: usize, count: usize) -> Result<(Matrix, Vec<f64>), Error>;

    /// What samples of a task cost. Default one each.
    fn cost(&self, task: usize) -> CostModel {
        let _ = task;
        CostModel::default()
    }

    /// How many samples a task can give, where that is known.
    fn available(&self, task: usize) -> Option<usize> {
        let _ = task;
        None
    }
}

/// Learns targets from few labels and a budget of samples of source tasks (row MTL-4).
///
/// # Errors
/// [`Error::Argument`], [`Error::Data`], and the oracle's own.
pub fn learn(
    oracle: &mut dyn TaskOracle,
    targets: &[TaskData],
    budget: Budget,
    options: &Options,
) -> Result<Learned, Error> {
    learn_observed(oracle, targets, budget, options, &mut ())
}

/// [`learn`] with progress; when stopped, what was learned from the samples drawn so far.
///
/// # Errors
/// As [`learn`]. What was drawn is not lost: [`Error::Stopped`] has it.
pub fn learn_observed(
    oracle: &mut dyn TaskOracle,
    targets: &[TaskData],
    budget: Budget,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Learned, Error> {
    learn_from_observed(oracle, targets, &[], budget, options, observer)
}

/// [`learn`] that goes on from data of each task (or none at all), which count towards the budget.
///
/// # Errors
/// As [`learn`]; [`Error::Argument`] for data of more or fewer tasks than there are.
pub fn learn_from(
    oracle: &mut dyn TaskOracle,
    targets: &[TaskData],
    data: &[TaskData],
    budget: Budget,
    options: &Options,
) -> Result<Learned, Error> {
    learn_from_observed(oracle, targets, data, budget, options, &mut ())
}

/// [`learn_from`] with progress; when stopped, what was learned from the samples drawn so far.
///
/// # Errors
/// As [`learn_from`].
pub fn learn_from_observed(
    oracle: &mut dyn TaskOracle,
    targets: &[TaskData],
    data: &[TaskData],
    budget: Budget,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Learned, Error> {
    let count = oracle.tasks();
    if !data.is_empty() && data.len() != count {
        let (argument, value) = ("tasks with data", data.len() as f64);
        return Err(Error::argument(argument, value, "none, or all that the oracle has"));
    }
    let costs = (0..count).map(|m| oracle.cost(m)).collect();
    let mut planner = Planner::new(count, targets.to_vec(), budget, options)?.with_costs(costs)?;
    for (m, data) in data.iter().enumerate() {
        planner.tell_summary(m, data.clone())?;
    }
    for m in 0..count {
        if let Some(n) = oracle.available(m) {
            planner.limit(m, n)?;
        }
    }
    let mut observer = Remembering { observer, stopped: false };
    let drawn = draw_all(oracle, &mut planner, options.rounds.saturating_add(1), &mut observer);
    let stopped = matches!(drawn, Ok(true));
    match drawn.and_then(|_| planner.conclude(&mut observer)) {
        Ok(learned) if stopped => {
            Ok(Learned { report: Report { ending: Ending::Interrupted, ..learned.report }, ..learned })
        }
        Ok(learned) => Ok(learned),
        Err(source) if planner.samples().iter().any(|n| *n > 0) => {
            Err(Error::Stopped { source: Box::new(source), data: planner.into_data() })
        }
        Err(source) => Err(source),
    }
}

/// An observer that has stopped once goes on to stop: a fit that it interrupted is not the end of the work.
struct Remembering<'o> {
    observer: &'o mut dyn Observer,
    stopped: bool,
}

impl Observer for Remembering<'_> {
    fn step(&mut self, progress: Progress) -> ControlFlow<()> {
        self.stopped |= self.observer.step(progress).is_break();
        if self.stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Draws what the planner wants until it wants nothing more or the observer stops it; whether it did.
fn draw_all(
    oracle: &mut dyn TaskOracle,
    planner: &mut Planner,
    rounds: usize,
    observer: &mut Remembering<'_>,
) -> Result<bool, Error> {
    for step in 1.. {
        let wanted = planner.ask_observed(observer)?;
        if observer.stopped {
            return Ok(true);
        }
        if wanted.is_empty() {
            break;
        }
        for (task, n) in wanted {
            let (x, y) = oracle.draw(task, n)?;
            if y.len() > n {
                let (argument, value) = ("rows drawn", y.len() as f64);
                return Err(Error::argument(argument, value, "at most as many as asked for"));
            }
            planner.tell(task, &x, &y)?;
            if y.len() < n {
                planner.limit(task, 0)?;
            }
        }
        let progress = Progress { stage: "rounds", step, total: Some(rounds), value: None };
        if observer.step(progress).is_break() {
            return Ok(true);
        }
    }
    Ok(false)
}
