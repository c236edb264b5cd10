//! What long stages share: the observer, the limits, and what each stage has cost.
use std::time::Instant;

use samplewise_linalg::Seconds;
use samplewise_linalg::observe::{LONGEST_GAP, Observer, Progress};

use crate::Options;

/// What one stage has cost.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Stage {
    /// Name of the stage.
    pub name: &'static str,
    /// Number of steps.
    pub steps: usize,
    /// Multiplications over those of one look at every fitted entry, `|Ω|k`.
    pub floors: f64,
    /// Wall time of the stage.
    pub seconds: Seconds,
}

/// Why a fit ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Interrupted,
    Limit,
}

pub(crate) struct Control<'a> {
    observer: &'a mut dyn Observer,
    budget: usize,
    pub used: usize,
    pub stop: Option<Stop>,
    pub stages: Vec<Stage>,
    last: Instant,
    /// When the observer was asked last.
    looked: Instant,
}

impl<'a> Control<'a> {
    pub fn new(options: &Options, observer: &'a mut dyn Observer) -> Self {
        let now = Instant::now();
        Self {
            observer,
            budget: options.max_iterations,
            used: 0,
            stop: None,
            stages: Vec::new(),
            last: now,
            looked: now,
        }
    }

    /// Books one step of a stage and asks whether to go on.
    pub fn step(&mut self, name: &'static str, floors: f64, value: Option<f64>) -> bool {
        self.used += 1;
        self.book(name, floors);
        let stage = self.stages.last_mut().expect("just booked");
        stage.steps += 1;
        let step = stage.steps;
        self.looked = Instant::now();
        if self.observer.step(Progress { stage: name, step, total: None, value }).is_break() {
            self.stop = Some(Stop::Interrupted);
        } else if self.used >= self.budget {
            self.stop = Some(Stop::Limit);
        }
        self.stop.is_none()
    }

    /// Asks the observer in the midst of a stage, if the last look is long ago; whether it has asked to stop now. One that has
    /// asked before is not asked again: what is left is to say what the model is worth.
    pub fn asks_to_stop(&mut self, stage: &'static str, step: usize) -> bool {
        if self.stop == Some(Stop::Interrupted) || self.looked.elapsed() < LONGEST_GAP / 5 {
            return false;
        }
        self.looked = Instant::now();
        let stopped = self.observer.step(Progress { stage, step, total: None, value: None }).is_break();
        if stopped {
            self.stop = Some(Stop::Interrupted);
        }
        stopped
    }

    /// Books work that is no step of its own.
    pub fn book(&mut self, name: &'static str, floors: f64) {
        let now = Instant::now();
        let seconds = (now - self.last).as_secs_f64();
        self.last = now;
        if self.stages.last().is_none_or(|s| s.name != name) {
            self.stages.push(Stage { name, steps: 0, floors: 0.0, seconds: Seconds::default() });
        }
        let stage = self.stages.last_mut().expect("pushed above");
        stage.floors += floors;
        stage.seconds.0 += seconds;
    }
}
