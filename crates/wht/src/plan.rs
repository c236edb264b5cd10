//! Plan → queries → decode: what to ask is known before anything is asked, so the values can come from anywhere.
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::OnceLock;

use foldhash::fast::FixedState;
use rayon::prelude::*;
use samplewise_linalg::observe::Watch;
use samplewise_linalg::random::{Streams, shuffle};
use samplewise_linalg::scale::{exponent, ldexp};
use samplewise_linalg::{Ending, Observer};

use crate::bits::Bits;
use crate::decoder::{self, Decode, Found, Observed, Tabled};
use crate::gf2::Invertible;
use crate::options::{Decoder, Errors, Noise, Options, Sparsity};
use crate::spec::{self, PlanSpec};
use crate::spectrum::{Coefficient, Report, Spectrum, Status};
use crate::subsample::{self, Group};
use crate::verify::{self, Case, Fresh};
use crate::{WhtError, dense, lists, refit, sizes};

/// A prepared transform: what to ask, and how to decode.
///
/// `Plan` is `Plan<u64>`, for up to 64 variables; for more, `Plan::<Wide<4>>::for_bits(…)` (256) or `Wide<16>` (1,024).
#[derive(Clone, Debug)]
pub struct Plan<I: Bits = u64> {
    spec: PlanSpec,
    groups: Vec<Group<I>>,
    /// Made at the first use.
    asked: OnceLock<Asked<I>>,
    exhaustive: Tabled<I>,
}

/// Queries without repetition.
#[derive(Clone, Debug)]
struct Asked<I> {
    /// Those of the decoder first, then the fresh ones.
    queries: Vec<I>,
    /// For each group, where the answer to each of its queries stands.
    positions: Vec<Vec<u32>>,
    verification: usize,
}

/// Name of the streams beside those of the groups.
const OFFSETS: u64 = 1;
const POINTS: u64 = u64::MAX - 1;
const FRESH: u64 = u64::MAX;

impl Plan {
    /// Plans the recovery of up to `sparsity` coefficients of a function of `variables ≤ 64` variables (row WHT-6).
    ///
    /// - **Samples**: without noise about `(1.35·K + 4√K + 6)·(n − log₂K + 2)`, rounded up by at most a third; with noise
    ///   `2·B·P`, `B ≈ K/4`, `P ≈ 48`; with a degree bound `n` becomes the logarithm of the number of candidates; never
    ///   more than `2ⁿ`, where the plan turns into the dense transform.
    /// - **Randomness**: all from `options.seed`.
    ///
    /// # Errors
    /// [`WhtError::Variables`], [`WhtError::Sparsity`], [`WhtError::OptionOutOfRange`], [`WhtError::SupportSet`],
    /// [`WhtError::DecoderNeeds`], [`WhtError::TooLarge`].
    pub fn new(variables: usize, sparsity: impl Into<Sparsity>, options: &Options) -> Result<Self, WhtError> {
        Self::for_bits(variables, sparsity, options)
    }

    /// The same plan again, from its specification.
    ///
    /// # Errors
    /// As [`Plan::new`], for specifications that were not made by it.
    pub fn from_spec(spec: PlanSpec) -> Result<Self, WhtError> {
        Self::for_bits_from_spec(spec)
    }
}

impl<I: Bits> Plan<I> {
    /// [`Plan::new`] for an index type of any width.
    ///
    /// ```
    /// use samplewise_wht::{Bits, Options, Plan, Support, Wide};
    /// // Three interactions of at most three of 1,000 variables, from 1,700 values.
    /// let truth: Vec<_> = [(vec![], 4.0), (vec![17, 981], -2.0), (vec![3, 400, 999], 1.0)].into_iter()
    ///     .map(|(set, v)| (Wide::<16>::from_positions(set), v)).collect();
    /// let options = Options { support: Support::MaxDegree(3), ..Options::default() };
    /// let plan = Plan::<Wide<16>>::for_bits(1000, 3, &options)?;
    /// let found = plan.decode(&plan.answers_of(&truth))?;
    /// assert!(plan.queries().len() < 1_700);
    /// assert_eq!(found.coefficients.len(), 3);
    /// assert!(found.coefficients.iter().all(|c| truth.iter().any(|t| t.0 == c.index && (t.1 - c.value).abs() < 1e-9)));
    /// # Ok::<(), samplewise_wht::WhtError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn for_bits(variables: usize, sparsity: impl Into<Sparsity>, options: &Options) -> Result<Self, WhtError> {
        Self::for_bits_from_spec(spec::specify::<I>(variables, sparsity.into(), options)?)
    }

    /// [`Plan::from_spec`] for an index type of any width.
    ///
    /// # Errors
    /// As [`Plan::from_spec`].
    pub fn for_bits_from_spec(spec: PlanSpec) -> Result<Self, WhtError> {
        spec::check_spec::<I>(&spec)?;
        let n = spec.variables;
        let streams = Streams::new(spec.seed);
        let shapes = spec.group_bits.iter().zip(&spec.group_offsets).enumerate();
        let groups = shapes
            .map(|(c, (&bits, &count))| {
                // The hash first, and from a stream of its own: it is the same for all numbers of bins and offsets.
                let mut rng = streams.stream(c as u64);
                if spec.decoder == Decoder::BchLists {
                    return lists::bch_group(n, spec.degree(), bits, &mut rng);
                }
                let map = Invertible::random(n, &mut rng);
                let mut rng = streams.child(OFFSETS).stream(c as u64);
                let free = n - bits;
                let offsets = match spec.decoder {
                    Decoder::Spright => subsample::paired_offsets(free, count / (free + 1), &mut rng),
                    Decoder::JointList | Decoder::ExhaustiveLists if spec.anchors > 0 => {
                        let depth = spec::deepest(n, spec.anchors);
                        let tops = subsample::distinct_offsets::<I, _>(n - depth, spec.anchors, &mut rng);
                        let anchors: Vec<I> =
                            tops.into_iter().map(|top| top.up(depth) | I::random(depth, &mut rng)).collect();
                        subsample::nested_offsets(&anchors, bits, count)
                    }
                    Decoder::JointList | Decoder::ExhaustiveLists => subsample::distinct_offsets(free, count, &mut rng),
                    _ => subsample::sign_bit_offsets(free),
                };
                Group::with_map(map, bits, offsets)
            })
            .collect();
        Ok(Self { spec, groups, asked: OnceLock::new(), exhaustive: Tabled::default() })
    }

    /// What the plan was made from.
    pub fn spec(&self) -> &PlanSpec {
        &self.spec
    }

    /// The groups, for whoever wants to look into the bins; none for dense plans and random points.
    pub fn groups(&self) -> &[Group<I>] {
        &self.groups
    }

    fn asked(&self) -> &Asked<I> {
        self.asked.get_or_init(|| {
            let n = self.spec.variables;
            let streams = Streams::new(self.spec.seed);
            let mut queries: Vec<I> = Vec::new();
            let mut known: HashMap<I, u32, FixedState> = HashMap::default();
            let mut ask = |m: I| {
                *known.entry(m).or_insert_with(|| {
                    queries.push(m);
                    queries.len() as u32 - 1
                })
            };
            let positions: Vec<Vec<u32>> = self.groups.iter().map(|g| g.queries().map(&mut ask).collect()).collect();
            if self.spec.decoder == Decoder::Dense {
                queries = (0..1_u64 << n).map(I::from_low).collect();
                return Asked { queries, positions, verification: 0 };
            }
            // Fresh means: not seen by the decoder. They and the random points are drawn without replacement.
            let mut draw = |wanted: usize, stream: u64| {
                let mut rng = streams.stream(stream);
                let all = sizes::points(n);
                let left = all.saturating_sub(queries.len() as u128);
                let mut drawn = 0;
                if (left as f64) < 0.5 * all as f64 || wanted as f64 > 0.5 * left as f64 {
                    // Few points are left, so there are few points: shuffle them.
                    let mut rest: Vec<I> =
                        (0..all as u64).map(I::from_low).filter(|m| !known.contains_key(m)).collect();
                    shuffle(&mut rng, &mut rest);
                    for m in rest.into_iter().take(wanted) {
                        known.insert(m, 0);
                        queries.push(m);
                        drawn += 1;
                    }
                    return drawn;
                }
                while drawn < wanted {
                    let m = I::random(n, &mut rng);
                    if let std::collections::hash_map::Entry::Vacant(slot) = known.entry(m) {
                        slot.insert(0);
                        queries.push(m);
                        drawn += 1;
                    }
                }
                drawn
            };
            draw(self.spec.points, POINTS);
            let verification = draw(self.spec.verification, FRESH);
            Asked { queries, positions, verification }
        })
    }

    /// The points `m` to evaluate, each once, in the order in which [`Plan::decode`] wants the answers. They are made at
    /// the first call; `chunks` makes batches of them.
    pub fn queries(&self) -> &[I] {
        &self.asked().queries
    }

    /// The last so many queries are fresh samples, kept from the decoder.
    pub fn verification(&self) -> usize {
        self.asked().verification
    }

    /// The answers `x[m]` to all queries when the spectrum of `x` is known: for simulations and tests at sizes where a sum
    /// of `K` terms per query is out of reach. Exact up to rounding.
    pub fn answers_of(&self, spectrum: &[(I, f64)]) -> Vec<f64> {
        let mut out = vec![f64::NAN; self.queries().len()];
        for (group, positions) in self.groups.iter().zip(&self.asked().positions) {
            for (&at, value) in positions.iter().zip(group.answers(spectrum)) {
                out[at as usize] = value;
            }
        }
        // Fresh and random points belong to no group, and the dense plan has none.
        for (value, &m) in out.iter_mut().zip(self.queries()).filter(|(v, _)| v.is_nan()) {
            *value = dense::evaluate(spectrum, m);
        }
        out
    }

    /// Decodes the answers `x[m]`, one per query and in their order.
    ///
    /// # Errors
    /// [`WhtError::AnswersMismatch`], [`WhtError::AnswerNotFinite`]. A decode that stalls is not an error: the status
    /// says so and the coefficients found so far are returned.
    pub fn decode(&self, answers: &[f64]) -> Result<Spectrum<I>, WhtError> {
        self.decode_observed(answers, &mut ())
    }

    /// [`Plan::decode`] under the eyes of an observer; when it stops the decoder, what was found by then is judged.
    ///
    /// # Errors
    /// As [`Plan::decode`].
    pub fn decode_observed(&self, answers: &[f64], observer: &mut dyn Observer) -> Result<Spectrum<I>, WhtError> {
        if self.spec.decoder == Decoder::ExhaustiveLists {
            self.decode_by(answers, &self.exhaustive, true, observer)
        } else {
            self.decode_by(answers, &*decoder::of::<I>(&self.spec), true, observer)
        }
    }

    /// [`Plan::decode`] with a decoder of your own. Fresh samples judge it like any other; on a plan of all values, which has
    /// none, it is called exact when it reproduces all of them, and nothing is said of it with noise.
    ///
    /// # Errors
    /// As [`Plan::decode`].
    pub fn decode_with(
        &self,
        answers: &[f64],
        decoder: &dyn Decode<I>,
        observer: &mut dyn Observer,
    ) -> Result<Spectrum<I>, WhtError> {
        self.decode_by(answers, decoder, false, observer)
    }

    fn decode_by(
        &self,
        answers: &[f64],
        decoder: &dyn Decode<I>,
        own: bool,
        observer: &mut dyn Observer,
    ) -> Result<Spectrum<I>, WhtError> {
        let Asked { queries, positions, verification } = self.asked();
        if answers.len() != queries.len() {
            return Err(WhtError::AnswersMismatch { asked: queries.len(), given: answers.len() });
        }
        check_finite(answers)?;
        let units = Units::of(answers);
        let moderate = units.apply(answers);
        let spec = units.spec(&self.spec);
        let bins: Vec<Vec<f64>> = self
            .groups
            .iter()
            .zip(positions)
            .map(|(g, at)| {
                g.observe_owned(at.par_iter().with_min_len(1 << 14).map(|&i| moderate[i as usize]).collect::<Vec<_>>())
            })
            .collect();
        let used = queries.len() - verification;
        let seen = Observed {
            spec: &spec,
            groups: &self.groups,
            bins,
            points: &queries[..used],
            values: &moderate[..used],
            largest: largest_of(&moderate),
            rounding: units.rounding,
        };
        let mut watch = Watch::new(observer);
        let found = decoder.decode(seen, &mut watch);
        let mut out = judge(&spec, (&moderate, units.rounding), (queries, *verification), found, decoder.name(), own);
        out.report.ending = if watch.stopped() { Ending::Interrupted } else { Ending::Finished };
        units.restore(&mut out);
        Ok(out)
    }

    /// [`Plan::decode_with`] for a plan of all values, which need not be listed as queries.
    pub(crate) fn decode_dense_values(
        &self,
        values: &[f64],
        decoder: &dyn Decode<I>,
        observer: &mut dyn Observer,
    ) -> Result<Spectrum<I>, WhtError> {
        check_finite(values)?;
        let units = Units::of(values);
        let moderate = units.apply(values);
        let spec = units.spec(&self.spec);
        let seen = Observed {
            spec: &spec,
            groups: &[],
            bins: Vec::new(),
            points: &[],
            values: &moderate,
            largest: largest_of(&moderate),
            rounding: units.rounding,
        };
        let mut watch = Watch::new(observer);
        let found = decoder.decode(seen, &mut watch);
        let mut out = judge(&spec, (&moderate, units.rounding), (&[], 0), found, decoder.name(), true);
        out.report.ending = if watch.stopped() { Ending::Interrupted } else { Ending::Finished };
        units.restore(&mut out);
        Ok(out)
    }
}

/// Units in which nothing overflows, vanishes or hides behind a large constant: answers are divided by a power of two where
/// their squares would leave the range of numbers, and freed of a constant where it is many times their spread. Both are
/// exact, and both are undone in the answer.
struct Units {
    exponent: i32,
    shift: f64,
    /// Rounding of one answer: half of its last digit and half of one of the estimate.
    rounding: f64,
}

/// A constant is subtracted when no two answers differ by more than this share of the largest one. Then all of them are
/// within a factor of two of each other, and differences are exact.
const OFFSET: f64 = 1.0 / 16.0;
/// Exponents beyond this are scaled.
const MODERATE: i32 = 330;

impl Units {
    fn of(answers: &[f64]) -> Self {
        let (low, high) = range_of(answers);
        let largest = low.abs().max(high.abs());
        let e = exponent(largest);
        let e = if e.abs() > MODERATE { e } else { 0 };
        // Halves, because the difference of two numbers of opposite signs may overflow.
        let offset = 0.5 * high - 0.5 * low <= 0.5 * OFFSET * largest;
        let shift = if offset && !answers.is_empty() { ldexp(answers[0], -e) } else { 0.0 };
        Self { exponent: e, shift, rounding: f64::EPSILON * ldexp(largest, -e) }
    }

    fn apply<'a>(&self, answers: &'a [f64]) -> Cow<'a, [f64]> {
        if self.exponent == 0 && self.shift == 0.0 {
            return Cow::Borrowed(answers);
        }
        Cow::Owned(answers.par_iter().with_min_len(PART).map(|v| ldexp(*v, -self.exponent) - self.shift).collect())
    }

    /// The plan in these units. Rounding of the answers is noise as well, whatever was said of it.
    fn spec<'a>(&self, spec: &'a PlanSpec) -> Cow<'a, PlanSpec> {
        match spec.noise {
            Noise::Std(s) if self.exponent != 0 || s < self.rounding => {
                let noise = Noise::Std(ldexp(s, -self.exponent).max(self.rounding));
                Cow::Owned(PlanSpec { noise, ..spec.clone() })
            }
            _ => Cow::Borrowed(spec),
        }
    }

    fn restore<I: Bits>(&self, out: &mut Spectrum<I>) {
        if self.shift != 0.0 {
            match out.coefficients.first_mut() {
                Some(first) if first.index.is_zero() => first.value += self.shift,
                _ => {
                    let noisy = out.report.noise_std > 0.0;
                    let used = (out.report.samples - out.report.verification).max(1) as f64;
                    let std_error = noisy.then(|| out.report.noise_std / used.sqrt());
                    let constant = Coefficient { index: I::zero(), value: self.shift, std_error };
                    out.coefficients.insert(0, constant);
                }
            }
        }
        if self.exponent == 0 {
            return;
        }
        let back = |v: f64| ldexp(v, self.exponent).clamp(-f64::MAX, f64::MAX);
        for c in &mut out.coefficients {
            c.value = back(c.value);
            c.std_error = c.std_error.map(back);
        }
        out.report.residual_std = out.report.residual_std.map(back);
        out.report.rounding = back(out.report.rounding);
        out.report.noise_std = back(out.report.noise_std);
        out.report.detection_limit = back(out.report.detection_limit);
        if let Status::Verified { detection_limit, .. } = &mut out.status {
            *detection_limit = back(*detection_limit);
        }
    }
}

/// Least squares on the decoder's samples, errors, and what the fresh samples say.
fn judge<I: Bits>(
    spec: &PlanSpec,
    (answers, rounding): (&[f64], f64),
    (queries, verification): (&[I], usize),
    mut found: Found<I>,
    decoder: &'static str,
    own: bool,
) -> Spectrum<I> {
    let samples = answers.len();
    let used = samples - verification;
    let noisy = spec.noise != Noise::None;
    let (low, high) = range_of(answers);
    let spread = high - low;
    let mut own_residual = None;
    let mut std_errors = found.std_errors.take().filter(|_| spec.errors == Errors::Model);
    if std_errors.is_some() {
        if let Noise::Std(s) = spec.noise {
            own_residual = Some(((found.noise_std / s).powi(2), used.saturating_sub(found.coefficients.len()).max(1)));
        }
    } else if let Some(ridge) = found.ridge {
        let support: Vec<I> = found.coefficients.iter().map(|c| c.0).collect();
        let fit = refit::least_squares(&queries[..used], &answers[..used], &support, ridge, spec.errors);
        if let Some(fit) = fit {
            found.coefficients.iter_mut().zip(&fit.values).for_each(|(c, v)| c.1 = *v);
            found.noise_std = if noisy { fit.variance.sqrt() } else { 0.0 };
            if let Noise::Std(s) = spec.noise {
                own_residual = Some((fit.variance / (s * s), used - support.len()));
            }
            std_errors = Some(fit.std_errors);
        }
    }
    let fresh = Fresh::new(
        (used..samples)
            .into_par_iter()
            .with_min_len(8)
            .map(|i| (answers[i], dense::evaluate(&found.coefficients, queries[i])))
            .collect(),
    );
    let noise_std = if noisy { found.noise_std } else { 0.0 };
    let per_coefficient = noise_std / (used.max(1) as f64).sqrt();
    let ln_candidates = sizes::ln_candidates(spec.variables, &spec.support);
    let detection_limit =
        (((2.0 * ln_candidates).sqrt() + 3.0) * per_coefficient).max(verify::AGREES * spread + 2.0 * rounding);
    let case = Case {
        noise: spec.noise,
        support: &spec.support,
        planned: spec.sparsity,
        found: found.coefficients.len(),
        found_degree: found.coefficients.iter().map(|c| c.0.weight()).max().unwrap_or(0),
        multi_tons: found.multi_tons,
        delta: spec.delta,
        spread,
        rounding,
        constant: found.coefficients.iter().all(|c| c.0.is_zero()),
        noise_std,
        detection_limit,
        own_residual,
    };
    let status = if spec.decoder == Decoder::Dense && own {
        case.judge_dense(answers, &found.coefficients)
    } else if spec.decoder == Decoder::Dense {
        let near = verify::AGREES * spread + 2.0 * rounding;
        let right = |i: usize| (answers[i] - dense::evaluate(&found.coefficients, queries[i])).abs() <= near;
        match spec.noise {
            Noise::None if (0..samples).into_par_iter().all(right) => Status::Exact { delta: 0.0 },
            Noise::None => Status::Stalled { multi_tons: 0 },
            _ => Status::Unverified,
        }
    } else {
        case.judge(&fresh)
    };
    let differs_at_most = match status {
        Status::Constant { differs_at_most, .. } => Some(differs_at_most),
        Status::Exact { delta: 0.0 } => Some(0.0),
        _ => case.agree(&fresh).then(|| (-spec.delta.ln() / fresh.pairs.len() as f64).min(1.0)),
    };
    let coefficients = found
        .coefficients
        .into_iter()
        .enumerate()
        .map(|(i, (index, value))| {
            let std_error = noisy.then(|| std_errors.as_ref().map_or(per_coefficient, |e| e[i]));
            Coefficient { index, value, std_error }
        })
        .collect();
    Spectrum {
        variables: spec.variables,
        coefficients,
        status,
        report: Report {
            decoder,
            samples,
            verification,
            residual_std: fresh.residual_std(),
            r2: if matches!(status, Status::Constant { .. }) { None } else { fresh.r2() },
            differs_at_most,
            rounding,
            noise_std,
            detection_limit,
            stages: vec![samples],
            choice: None,
            ending: Ending::Finished,
        },
    }
}

pub(crate) fn check_finite(answers: &[f64]) -> Result<(), WhtError> {
    let finite = |part: &[f64]| part.iter().all(|v| v.is_finite());
    if answers.len() < 2 * PART { finite(answers) } else { answers.par_chunks(PART).all(finite) }
        .then_some(())
        .ok_or_else(|| {
            let position = answers.iter().position(|v| !v.is_finite()).unwrap_or(0);
            WhtError::AnswerNotFinite { position, value: answers[position] }
        })
}

/// Values a task looks at.
const PART: usize = 1 << 16;

/// Least and largest value; zeros of none.
fn range_of(values: &[f64]) -> (f64, f64) {
    let start = values.first().map_or((0.0, 0.0), |v| (*v, *v));
    let wider = |a: (f64, f64), b: (f64, f64)| (a.0.min(b.0), a.1.max(b.1));
    let of = |part: &[f64]| part.iter().fold(start, |r, v| wider(r, (*v, *v)));
    if values.len() < 2 * PART { of(values) } else { values.par_chunks(PART).map(of).reduce(|| start, wider) }
}

fn largest_of(values: &[f64]) -> f64 {
    let of = |part: &[f64]| part.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    if values.len() < 2 * PART { of(values) } else { values.par_chunks(PART).map(of).reduce(|| 0.0, f64::max) }
}
