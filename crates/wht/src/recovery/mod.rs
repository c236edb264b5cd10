//! Adaptive recovery: ask a little, decode, ask more where it stalled, stop when fresh samples agree (row WHT-10).
//!
//! The stages are nested: the samples of one are samples of every later one, so that stopping late costs no more than having
//! known when to stop. Without noise the groups double their bins one after the other. With noise `(b, P)` runs through
//! `P = A, A + 4, …, 2A − 4` for each number of bin bits, and `(b, 2A)` is `(b + 1, A)`. Random points just become more.
//!
//! It stops when the answer is verified, the median coefficient stands clear of the noise, and (with noise) the same support
//! came out twice in a row: fresh samples alone cannot see one missed coefficient among many. It gives up when the same
//! support came out for twice the samples, and the fresh ones still disagree. A constant is believed at the first stage where the fresh
//! samples agree to rounding; nothing but a constant in noise is given up on after eight times the samples, not twice.
use std::collections::HashMap;

use foldhash::fast::FixedState;
use samplewise_linalg::Ending;
use samplewise_linalg::envelope::Writer;
use samplewise_linalg::observe::{Observer, Progress, Watch};

use crate::answer::{Spectrum, Status};
use crate::field::bits::Bits;
use crate::options::{Decoder, Noise, Options, Sparsity};
use crate::plan::Plan;
use crate::plan::sizes;
use crate::plan::spec::{self, PlanSpec};
use crate::verdict::units::check_finite;
use crate::{Error, bytes, surrogate};

mod stages;

use stages::{shapes, stage_spec};

/// An adaptive recovery under way: evaluate what [`Recovery::ask`] lists, [`Recovery::tell`] the answers, until there is
/// nothing more to ask, then [`Recovery::finish`].
///
/// Rows WHT-10 and WHT-18 of `paper-refs.md`.
///
/// ```
/// use samplewise_wht::{Noise, Options, Recovery, Sparsity};
/// let x = |m: u64| { let s = |k: u64| if (m & k).count_ones() % 2 == 0 { 1.0 } else { -1.0 };
///     1.0 + 2.0 * s(0b110) + 0.5 * s(1 << 29) };
/// let mut recovery = Recovery::new(30, Sparsity::Unknown { max: 1_000 }, &Options::default())?;
/// while !recovery.ask().is_empty() {
///     let answers: Vec<f64> = recovery.ask().iter().map(|&m| x(m)).collect();
///     recovery.tell(&answers)?;
/// }
/// let found = recovery.finish()?;
/// assert_eq!(found.coefficients.len(), 3);
/// assert!(found.report.samples < 700);
/// # Ok::<(), samplewise_wht::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Recovery<I: Bits = u64> {
    base: PlanSpec,
    samples: Option<usize>,
    /// Shapes still to come, next first.
    shapes: Vec<Shape>,
    plan: Plan<I>,
    known: HashMap<I, f64, FixedState>,
    pending: Vec<I>,
    told: usize,
    stages: Vec<usize>,
    best: Option<Spectrum<I>>,
    previous: Option<Vec<I>>,
    /// Samples when the support was last another one.
    changed_at: usize,
}

/// Bins and offsets of the groups, or random points.
#[derive(Clone, Debug, PartialEq)]
struct Shape {
    bits: Vec<usize>,
    offsets: Vec<usize>,
    points: usize,
}

/// Offsets added from stage to stage.
const STEP: usize = 4;
/// Where a coefficient is clear of the noise: `|X| √M / σ`. *Taken* from the design's measurements.
const CLEAR: f64 = 8.7;
/// Samples over those of the first stage at which a constant is believed in noise.
const PATIENCE: usize = 8;
/// Factor of the sparsity from one stage of the paper's noisy decoder to the next; the first is for one coefficient.
const SMALL: usize = 8;
/// Random points grow by this factor.
const GROWTH: f64 = 1.3;

impl Recovery {
    /// Plans the first stage of a recovery of a function of `variables ≤ 64` variables.
    ///
    /// # Errors
    /// As [`Plan::new`]; [`Error::Argument`] when fewer than 16 fresh samples could tell when to stop, or
    /// the first stage alone would ask more than `options.samples`.
    pub fn new(variables: usize, sparsity: impl Into<Sparsity>, options: &Options) -> Result<Self, Error> {
        Self::for_bits(variables, sparsity, options)
    }
}

impl<I: Bits> Recovery<I> {
    /// [`Recovery::new`] for an index type of any width.
    ///
    /// # Errors
    /// As [`Recovery::new`].
    pub fn for_bits(variables: usize, sparsity: impl Into<Sparsity>, options: &Options) -> Result<Self, Error> {
        if options.verification < crate::verdict::verify::LEAST_PAIRS {
            return Err(Error::count("verification", options.verification, "at least 16 in an adaptive recovery"));
        }
        let base = spec::resolve::<I>(variables, sparsity.into(), options)?;
        let mut shapes = shapes::<I>(&base);
        shapes.reverse();
        let first = shapes.pop();
        let mut out = Self {
            plan: Plan::for_bits_from_spec(PlanSpec { delta: base.delta / 2.0, ..stage_spec(&base, first) })?,
            base,
            samples: options.samples,
            shapes,
            known: HashMap::default(),
            pending: Vec::new(),
            told: 0,
            stages: Vec::new(),
            best: None,
            previous: None,
            changed_at: 0,
        };
        out.pending = out.plan.queries().to_vec();
        if let Some(most) = options.samples.filter(|&most| out.pending.len() > most) {
            return Err(Error::Budget { samples: most, needed: out.pending.len() });
        }
        Ok(out)
    }

    /// What to ask now, each point once in the whole recovery; empty when it is finished.
    pub fn ask(&self) -> &[I] {
        &self.pending
    }

    /// Takes the answers to [`Recovery::ask`], decodes, and plans the next stage if there is a need.
    ///
    /// # Errors
    /// [`Error::AnswersMismatch`], [`Error::AnswerNotFinite`]; the recovery is then as it was.
    pub fn tell(&mut self, answers: &[f64]) -> Result<(), Error> {
        self.tell_observed(answers, &mut ())
    }

    /// [`Recovery::tell`] with progress; when stopped, what was found by then is the answer, and nothing more is asked.
    ///
    /// # Errors
    /// As [`Recovery::tell`].
    pub fn tell_observed(&mut self, answers: &[f64], observer: &mut dyn Observer) -> Result<(), Error> {
        if answers.len() != self.pending.len() {
            return Err(Error::AnswersMismatch { asked: self.pending.len(), given: answers.len() });
        }
        if self.pending.is_empty() {
            return Ok(());
        }
        check_finite(answers)?;
        self.known.extend(std::mem::take(&mut self.pending).into_iter().zip(answers.iter().copied()));
        self.told = self.known.len();
        self.stages.push(self.told);
        let values: Vec<f64> = self.plan.queries().iter().map(|m| self.known[m]).collect();
        let mut spectrum = self.plan.decode_observed(&values, observer)?;
        spectrum.report.samples = self.told;
        spectrum.report.stages.clone_from(&self.stages);
        if let Some(best) = &self.best {
            spectrum.report.seconds = spectrum.report.seconds + best.report.seconds;
        }
        let support: Vec<I> = spectrum.coefficients.iter().map(|c| c.index).collect();
        if self.previous.as_deref() != Some(&support) {
            self.changed_at = self.told;
        }
        // Twice the samples and the same answer: still more would not change what the fresh samples say of it. Nothing but
        // a constant is what noise leaves of weak coefficients at first, and is believed later.
        let constant = support.iter().all(|k| k.is_zero());
        let settled = self.told >= if constant { PATIENCE } else { 2 } * self.changed_at;
        let stopped = spectrum.report.ending == Ending::Interrupted;
        if self.plan.spec().decoder == Decoder::Dense || self.satisfied(&spectrum, &support) || settled || stopped {
            self.best = Some(spectrum);
            return self.reconsider(observer);
        }
        self.previous = Some(support);
        self.best = Some(spectrum);
        self.plan_next();
        if self.pending.is_empty()
            && let Some(best) = &mut self.best
        {
            // The schedule or the budget ended before the answer satisfied.
            best.report.ending = Ending::Limit;
            return self.reconsider(observer);
        }
        Ok(())
    }

    /// At the end of a recovery of a hereditary function that is not sparse: a surrogate of all answers, where the fresh
    /// samples say that it is better. Stages before the last have the pursuit alone, which is far faster.
    fn reconsider(&mut self, observer: &mut dyn Observer) -> Result<(), Error> {
        let Some(best) = &mut self.best else { return Ok(()) };
        let done = matches!(best.status, Status::Exact { .. } | Status::Constant { .. });
        let random = self.base.decoder == Decoder::Surrogate && self.plan.spec().decoder == Decoder::Heredity;
        let used = self.plan.queries().len() - self.plan.verification();
        if done || !random || best.report.ending == Ending::Interrupted || used > surrogate::MOST_POINTS {
            return Ok(());
        }
        // One more answer that the fresh samples judge.
        let stage = self.stages.len() as f64 + 1.0;
        let delta = self.base.delta / (stage * (stage + 1.0));
        let spec = PlanSpec { decoder: Decoder::Surrogate, delta, ..self.plan.spec().clone() };
        let plan: Plan<I> = Plan::for_bits_from_spec(spec)?;
        let values: Vec<f64> = plan.queries().iter().map(|m| self.known[m]).collect();
        let mut other = plan.decode_observed(&values, observer)?;
        let seconds = other.report.seconds + best.report.seconds;
        let claims = other.status.is_verified() || !best.status.is_verified();
        if other.report.route == Decoder::Surrogate && other.report.r2 > best.report.r2 && claims {
            other.report.samples = self.told;
            other.report.stages.clone_from(&self.stages);
            other.report.ending = best.report.ending.and(other.report.ending);
            if best.status == Status::BudgetSpent && !other.status.is_verified() {
                other.status = Status::BudgetSpent;
            }
            *best = other;
        } else {
            best.report.ending = best.report.ending.and(other.report.ending);
        }
        best.report.seconds = seconds;
        Ok(())
    }

    /// Ends the recovery before it is satisfied: there are no more queries, and the answer so far says that it was
    /// interrupted.
    pub fn interrupt(&mut self) {
        self.pending.clear();
        if let Some(best) = &mut self.best {
            best.report.ending = Ending::Interrupted;
        }
    }

    /// The answer so far; `None` before the first answers.
    pub fn spectrum(&self) -> Option<&Spectrum<I>> {
        self.best.as_ref()
    }

    /// The spectrum that was found, with what can be said of it.
    ///
    /// # Errors
    /// [`Error::Interrupted`] before the first answers.
    pub fn finish(self) -> Result<Spectrum<I>, Error> {
        self.best.ok_or(Error::Interrupted)
    }

    /// The recovery as it stands, as versioned bytes with a checksum: what was asked and told, and what comes next. Memory
    /// and bytes: those of every answer so far.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.count(I::WIDTH);
        bytes::write_spec(&mut w, &self.base);
        w.flag(self.samples.is_some());
        w.count(self.samples.unwrap_or(0));
        w.count(self.shapes.len());
        for shape in &self.shapes {
            w.counts(&shape.bits);
            w.counts(&shape.offsets);
            w.count(shape.points);
        }
        bytes::write_spec(&mut w, self.plan.spec());
        w.flag(!self.pending.is_empty());
        let mut known: Vec<(I, f64)> = self.known.iter().map(|(&m, &value)| (m, value)).collect();
        known.sort_unstable_by_key(|k| k.0);
        w.count(known.len());
        for (m, value) in known {
            bytes::write_index(&mut w, m);
            w.number(value);
        }
        w.counts(&self.stages);
        w.count(self.changed_at);
        w.flag(self.previous.is_some());
        let previous = self.previous.as_deref().unwrap_or_default();
        w.count(previous.len());
        previous.iter().for_each(|&k| bytes::write_index(&mut w, k));
        w.flag(self.best.is_some());
        if let Some(best) = &self.best {
            bytes::write_spectrum(&mut w, best);
        }
        bytes::seal_recovery(self.told, &w)
    }

    /// Reads back what [`Recovery::to_bytes`] wrote; it goes on as the other would have.
    ///
    /// # Errors
    /// [`Error::Data`] for bytes that are cut, damaged, or of another kind or width; as [`Recovery::new`] for a plan that no
    /// options lead to.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let mut r = bytes::open_recovery(bytes)?;
        bytes::width::<I>(&mut r)?;
        let base = bytes::read_spec(&mut r)?;
        spec::check_prior::<I>(&base)?;
        let bounded = r.flag()?;
        let samples = Some(r.count()?).filter(|_| bounded);
        let count = r.length(24)?;
        let mut shapes = Vec::with_capacity(count);
        for _ in 0..count {
            shapes.push(Shape { bits: r.counts()?, offsets: r.counts()?, points: r.count()? });
        }
        let plan: Plan<I> = Plan::for_bits_from_spec(bytes::read_spec(&mut r)?)?;
        if plan.spec().variables != base.variables {
            return Err(r.bad("their plan is for another number of variables").into());
        }
        let asking = r.flag()?;
        let count = r.length(I::WIDTH / 8 + 8)?;
        let mut known = HashMap::with_capacity_and_hasher(count, FixedState::default());
        for _ in 0..count {
            known.insert(bytes::read_index(&mut r, base.variables)?, r.finite()?);
        }
        let (stages, changed_at) = (r.counts()?, r.count()?);
        let has_previous = r.flag()?;
        let count = r.length(I::WIDTH / 8)?;
        let previous = (0..count).map(|_| bytes::read_index(&mut r, base.variables)).collect::<Result<Vec<I>, _>>()?;
        let best = if r.flag()? { Some(bytes::read_spectrum(&mut r)?) } else { None };
        let open = |m: &I| !known.contains_key(m);
        let pending: Vec<I> = plan.queries().iter().copied().filter(|m| asking && open(m)).collect();
        if !asking && best.is_none() {
            return Err(r.bad("they ask nothing and have no answer").into());
        }
        let (told, previous) = (known.len(), Some(previous).filter(|_| has_previous));
        r.end()?;
        Ok(Self { base, samples, shapes, plan, known, pending, told, stages, best, previous, changed_at })
    }

    /// Number of variables.
    pub fn variables(&self) -> usize {
        self.base.variables
    }

    /// Values told so far.
    pub fn samples(&self) -> usize {
        self.told
    }

    fn satisfied(&self, spectrum: &Spectrum<I>, support: &[I]) -> bool {
        if !spectrum.status.is_verified() {
            return false;
        }
        if self.base.noise == Noise::None {
            return true;
        }
        if let Status::Constant { .. } = spectrum.status {
            // Answers without any spread need no second look; those with noise may hide a weak coefficient.
            return spectrum.report.residual_std.is_none_or(|r| r <= spectrum.report.rounding);
        }
        if self.previous.as_deref() != Some(support) {
            return false;
        }
        let mut sizes: Vec<f64> = spectrum.coefficients.iter().map(|c| c.value.abs()).collect();
        if sizes.is_empty() {
            return self.base.noise != Noise::Unknown;
        }
        let used = (self.plan.queries().len() - self.plan.verification()) as f64;
        let middle = sizes.len() / 2;
        let median = *sizes.select_nth_unstable_by(middle, f64::total_cmp).1;
        let clear = median * used.sqrt() >= CLEAR * spectrum.report.noise_std;
        // With unknown noise a fit of an eighth of the samples proves nothing: noise would be fitted as well.
        clear && (self.base.noise != Noise::Unknown || 8.0 * support.len() as f64 <= used)
    }

    /// The next stage that asks anything new; none when the budget or the schedule ends.
    fn plan_next(&mut self) {
        loop {
            let shape = self.shapes.pop();
            let last = shape.is_none();
            // The schedule ends in the dense transform where that is not far.
            let near = sizes::points(self.base.variables) <= 4 * self.told as u128;
            if last && (!near || self.plan.spec().decoder == Decoder::Dense) {
                return;
            }
            let mut spec = stage_spec(&self.base, shape);
            // Every stage may stop, so they share the probability of a false claim.
            let stage = self.stages.len() as f64 + 1.0;
            spec.delta = self.base.delta / (stage * (stage + 1.0));
            let Ok(plan) = Plan::for_bits_from_spec(spec) else { return };
            let pending: Vec<I> = plan.queries().iter().copied().filter(|m| !self.known.contains_key(m)).collect();
            if self.samples.is_some_and(|most| self.told + pending.len() > most) {
                return self.budget_spent();
            }
            self.plan = plan;
            self.pending = pending;
            if !self.pending.is_empty() {
                return;
            }
            if last {
                return;
            }
        }
    }

    fn budget_spent(&mut self) {
        if let Some(best) = &mut self.best
            && !best.status.is_verified()
        {
            best.status = Status::BudgetSpent;
        }
    }
}

/// Plans, asks `sample` for every query, and decodes; with an unknown sparsity adaptively, see [`Recovery`].
///
/// ```
/// use samplewise_wht::{Options, recover};
/// let sign = |m: u64, k: u64| if (m & k).count_ones() % 2 == 0 { 1.0 } else { -1.0 };
/// let found = recover(|m: u64| 2.0 * sign(m, 0b1) - 1.5 * sign(m, 0b1010), 20, 2, &Options::default())?;
/// assert_eq!(found.coefficients[1].variables(), [1, 3]);
/// # Ok::<(), samplewise_wht::Error>(())
/// ```
///
/// # Errors
/// As [`Plan::new`] and [`Plan::decode`], or as [`Recovery::new`].
pub fn recover<I: Bits>(
    sample: impl FnMut(I) -> f64,
    variables: usize,
    sparsity: impl Into<Sparsity>,
    options: &Options,
) -> Result<Spectrum<I>, Error> {
    recover_observed(sample, variables, sparsity, options, &mut ())
}

/// [`recover`] with progress; when stopped, the best answer by then.
///
/// # Errors
/// As [`recover`]; [`Error::Interrupted`] when the observer stops it before anything was decoded.
pub fn recover_observed<I: Bits>(
    mut sample: impl FnMut(I) -> f64,
    variables: usize,
    sparsity: impl Into<Sparsity>,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Spectrum<I>, Error> {
    let sparsity = sparsity.into();
    if let Sparsity::Known(_) = sparsity {
        let plan = Plan::for_bits(variables, sparsity, options)?;
        let answers = evaluate(plan.queries_observed(observer)?, &mut sample, observer)?;
        return plan.decode_observed(&answers, observer);
    }
    let mut recovery = Recovery::for_bits(variables, sparsity, options)?;
    while !recovery.ask().is_empty() {
        let step = Progress {
            stage: "samples",
            step: recovery.samples(),
            total: options.samples,
            value: recovery.spectrum().and_then(|s| s.report.r2),
        };
        let answers = if observer.step(step).is_break() {
            Err(Error::Interrupted)
        } else {
            evaluate(recovery.ask(), &mut sample, observer)
        };
        match answers {
            Ok(answers) => recovery.tell_observed(&answers, observer)?,
            Err(_) => recovery.interrupt(),
        }
    }
    recovery.finish()
}

/// Asks for every value; the observer may stop it between two.
fn evaluate<I: Bits>(
    points: &[I],
    sample: &mut impl FnMut(I) -> f64,
    observer: &mut dyn Observer,
) -> Result<Vec<f64>, Error> {
    let mut watch = Watch::new(observer);
    let mut answers = Vec::with_capacity(points.len());
    for (step, &m) in points.iter().enumerate() {
        answers.push(sample(m));
        let progress = || Progress { stage: "evaluations", step: step + 1, total: Some(points.len()), value: None };
        if watch.ticks(progress) && step + 1 < points.len() {
            return Err(Error::Interrupted);
        }
    }
    Ok(answers)
}
