//! Progress and cancellation of long calls.
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// Where a long call stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Name of the stage, for people.
    pub stage: &'static str,
    /// Steps done in this stage.
    pub step: usize,
    /// Steps of this stage in all, if known.
    pub total: Option<usize>,
    /// The stage's own measure (residual, gap, objective), if it has one.
    pub value: Option<f64>,
}

/// Receives progress; `Break` asks the call to stop and to return the best answer it has.
///
/// `()` goes on without looking. [`FromFn`] makes an observer of a closure.
///
/// ```
/// use samplewise_linalg::observe::{FromFn, Observer, Progress};
/// use std::ops::ControlFlow;
/// let mut seen = 0;
/// let mut observer = FromFn(|p: Progress| { seen = p.step; if p.step < 3 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) } });
/// for step in 1.. {
///     if observer.step(Progress { stage: "demo", step, total: None, value: None }).is_break() { break; }
/// }
/// assert_eq!(seen, 3);
/// ```
pub trait Observer {
    /// Called at every step of a long loop.
    fn step(&mut self, progress: Progress) -> ControlFlow<()>;

    /// When it was last called, where it knows: a [`Watch`] over a [`Watch`] goes on from there.
    #[doc(hidden)]
    fn last_look(&self) -> Option<Instant> {
        None
    }
}

impl Observer for () {
    fn step(&mut self, _: Progress) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

impl<O: Observer + ?Sized> Observer for &mut O {
    fn step(&mut self, progress: Progress) -> ControlFlow<()> {
        (**self).step(progress)
    }

    fn last_look(&self) -> Option<Instant> {
        (**self).last_look()
    }
}

/// An observer made of a closure.
pub struct FromFn<F>(pub F);

impl<F: FnMut(Progress) -> ControlFlow<()>> Observer for FromFn<F> {
    fn step(&mut self, progress: Progress) -> ControlFlow<()> {
        (self.0)(progress)
    }
}

/// The longest time of one core that long calls work between two looks at their observer.
pub const LONGEST_GAP: Duration = Duration::from_millis(50);

/// Multiplications that one core is given between two looks: 10 to 40 ms, by its instruction set.
const LOOK: usize = 1 << 27;

/// Blocks of so many multiplications each that are worked on between two looks, by all threads together; one for each thread
/// at least.
#[cfg_attr(not(feature = "dense"), allow(dead_code))]
pub(crate) fn blocks_between_looks(multiplications: usize) -> usize {
    let threads = rayon::current_num_threads();
    (LOOK.saturating_mul(threads) / multiplications.max(1)).max(threads)
}

/// An observer whose wish to stop is remembered, for loops inside loops; and one that fine loops may ask at every step.
///
/// Row TRU-5 of `paper-refs.md`.
pub struct Watch<'o> {
    observer: &'o mut dyn Observer,
    stopped: bool,
    last: Instant,
}

impl<'o> Watch<'o> {
    /// Over an observer that has not asked to stop.
    pub fn new(observer: &'o mut dyn Observer) -> Self {
        let last = observer.last_look().unwrap_or_else(Instant::now);
        Self { observer, stopped: false, last }
    }

    /// Tells the observer, unless it has asked to stop; returns whether it has.
    pub fn stops(&mut self, progress: Progress) -> bool {
        if !self.stopped {
            self.stopped = self.observer.step(progress).is_break();
            self.last = Instant::now();
        }
        self.stopped
    }

    /// [`Watch::stops`] if a fifth of [`LONGEST_GAP`] has gone by since the last look, else whether it has asked to stop
    /// before: from inside a fine loop this costs one reading of the clock.
    pub fn ticks(&mut self, progress: impl FnOnce() -> Progress) -> bool {
        if self.stopped || self.last.elapsed() < LONGEST_GAP / 5 { self.stopped } else { self.stops(progress()) }
    }

    /// Whether the observer has asked to stop.
    pub fn stopped(&self) -> bool {
        self.stopped
    }
}

impl Observer for Watch<'_> {
    fn step(&mut self, progress: Progress) -> ControlFlow<()> {
        if self.stops(progress) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn last_look(&self) -> Option<Instant> {
        Some(self.last)
    }
}

/// An observer that ends a call when its time is over; until then it asks another observer, by default none.
///
/// ```
/// use samplewise_linalg::observe::{Deadline, Observer, Progress};
/// use std::time::Duration;
/// let mut over = Deadline::after(Duration::ZERO);
/// assert!(over.step(Progress { stage: "demo", step: 1, total: None, value: None }).is_break());
/// ```
#[derive(Clone, Debug)]
pub struct Deadline<O = ()> {
    end: Option<Instant>,
    observer: O,
}

impl Deadline {
    /// Ends calls so long after now; a time beyond what the clock counts never comes.
    pub fn after(time: Duration) -> Self {
        Self { end: Instant::now().checked_add(time), observer: () }
    }
}

impl<O: Observer> Deadline<O> {
    /// The same deadline, with an observer that is asked until then.
    pub fn with<P: Observer>(self, observer: P) -> Deadline<P> {
        Deadline { end: self.end, observer }
    }
}

impl<O: Observer> Observer for Deadline<O> {
    fn step(&mut self, progress: Progress) -> ControlFlow<()> {
        if self.end.is_some_and(|end| Instant::now() >= end) {
            ControlFlow::Break(())
        } else {
            self.observer.step(progress)
        }
    }
}
