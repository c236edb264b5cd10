//! Plan → queries → decode: what to ask is known before anything is asked, so the values can come from anywhere.
mod ask;
pub(crate) mod sizes;
pub(crate) mod spec;

use std::sync::OnceLock;
use std::time::Instant;

use rayon::prelude::*;
use samplewise_linalg::observe::Watch;
use samplewise_linalg::random::Streams;
use samplewise_linalg::{Observer, Seconds};

use crate::Error;
use crate::answer::Spectrum;
use crate::bins::subsample::{self, Group};
use crate::decode::{self, Observed, Tabled, lists};
use crate::dense;
use crate::field::bits::Bits;
use crate::field::gf2::Invertible;
use crate::options::{Decoder, Options, Sparsity};
use crate::plan::ask::Asked;
use crate::plan::spec::PlanSpec;
use crate::verdict::judge::judge;
use crate::verdict::units::{Units, check_finite, largest_of};

/// A prepared transform: what to ask, and how to decode.
///
/// Row WHT-6 of `paper-refs.md`.
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

/// Name of the stream of offsets, beside those of the groups.
const OFFSETS: u64 = 1;

impl Plan {
    /// Plans the recovery of up to `sparsity` coefficients of a function of `variables ≤ 64` variables (row WHT-6).
    ///
    /// - **Samples**: without noise about `(1.35·K + 4√K + 6)·(n − log₂K + 2)`, rounded up by at most a third; with noise
    ///   `2·B·P`, `B ≈ K/4`, `P ≈ 48`; with a degree bound `n` becomes the logarithm of the number of candidates; never
    ///   more than `2ⁿ`, where the plan turns into the dense transform.
    /// - **Randomness**: all from `options.seed`.
    ///
    /// # Errors
    /// [`Error::Argument`], [`Error::SupportSet`], [`Error::DecoderNeeds`], [`Error::TooLarge`].
    pub fn new(variables: usize, sparsity: impl Into<Sparsity>, options: &Options) -> Result<Self, Error> {
        Self::for_bits(variables, sparsity, options)
    }

    /// The same plan again, from its specification.
    ///
    /// # Errors
    /// As [`Plan::new`], for specifications that were not made by it.
    pub fn from_spec(spec: PlanSpec) -> Result<Self, Error> {
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
    /// # Ok::<(), samplewise_wht::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn for_bits(variables: usize, sparsity: impl Into<Sparsity>, options: &Options) -> Result<Self, Error> {
        Self::for_bits_from_spec(spec::specify::<I>(variables, sparsity.into(), options)?)
    }

    /// [`Plan::from_spec`] for an index type of any width.
    ///
    /// # Errors
    /// As [`Plan::from_spec`].
    pub fn for_bits_from_spec(spec: PlanSpec) -> Result<Self, Error> {
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

    /// The groups, for tests that look into the bins; none for dense plans and random points.
    #[doc(hidden)]
    pub fn groups(&self) -> &[Group<I>] {
        &self.groups
    }

    fn asked(&self) -> &Asked<I> {
        self.asked.get_or_init(|| Asked::make(&self.spec, &self.groups, &mut ()).expect("nobody stops it"))
    }

    /// The points `m` to evaluate, each once, in the order in which [`Plan::decode`] wants the answers. They are made at
    /// the first call; `chunks` makes batches of them.
    pub fn queries(&self) -> &[I] {
        &self.asked().queries
    }

    /// [`Plan::queries`] with progress and cancellation, for plans of millions of them.
    ///
    /// # Errors
    /// [`Error::Interrupted`]; nothing is kept then.
    pub fn queries_observed(&self, observer: &mut dyn Observer) -> Result<&[I], Error> {
        if self.asked.get().is_none() {
            let asked = Asked::make(&self.spec, &self.groups, observer).ok_or(Error::Interrupted)?;
            // Whoever was faster made the same.
            drop(self.asked.set(asked));
        }
        Ok(self.queries())
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
    /// [`Error::AnswersMismatch`], [`Error::AnswerNotFinite`]. A decode that stalls is not an error: the status
    /// says so and the coefficients found so far are returned.
    pub fn decode(&self, answers: &[f64]) -> Result<Spectrum<I>, Error> {
        self.decode_observed(answers, &mut ())
    }

    /// [`Plan::decode`] under the eyes of an observer; when it stops the decoder, what was found by then is judged.
    ///
    /// # Errors
    /// As [`Plan::decode`].
    pub fn decode_observed(&self, answers: &[f64], observer: &mut dyn Observer) -> Result<Spectrum<I>, Error> {
        let start = Instant::now();
        let Asked { queries, positions, verification } = self.asked();
        if answers.len() != queries.len() {
            return Err(Error::AnswersMismatch { asked: queries.len(), given: answers.len() });
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
        let found = decode::decode(seen, &self.exhaustive, &mut watch);
        let mut out = judge(&spec, (&moderate, units.rounding), (queries, *verification), found, &mut watch);
        units.restore(&mut out);
        out.report.seconds = Seconds::since(start);
        Ok(out)
    }

    /// [`Plan::decode_observed`] for a plan of all values, which need not be listed as queries.
    pub(crate) fn decode_all_values(&self, values: &[f64], observer: &mut dyn Observer) -> Result<Spectrum<I>, Error> {
        let start = Instant::now();
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
        let found = decode::decode(seen, &self.exhaustive, &mut watch);
        let mut out = judge(&spec, (&moderate, units.rounding), (&[], 0), found, &mut watch);
        units.restore(&mut out);
        out.report.seconds = Seconds::since(start);
        Ok(out)
    }
}
