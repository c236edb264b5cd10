//! What a plan is made from: prior knowledge, checked, and the decoder and sizes that follow from it.
use samplewise_linalg::argument::check_ranges;

use crate::Error;
use crate::decode::lists;
use crate::field::bits::Bits;
use crate::options::{Decoder, Errors, Noise, Options, RANGES, Sparsity, Support};
use crate::plan::sizes;
use crate::surrogate;

/// Bytes that the queries of a plan may take, with their place in a table and their answers.
const MAX_BYTES: u128 = 8 << 30;

fn most_queries<I>() -> u128 {
    MAX_BYTES / (3 * size_of::<I>() as u128 + 16)
}

/// Candidates that may be written down for exhaustive lists, by the same measure.
fn most_candidates<I>() -> u128 {
    lists::MAX_CANDIDATES.min((MAX_BYTES / 4) / (size_of::<I>() as u128 + 8))
}

/// Everything a plan is made from; equal specifications give equal plans on every machine.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PlanSpec {
    /// Number of variables `n`.
    pub variables: usize,
    /// Sparsity planned for.
    pub sparsity: usize,
    /// True when `sparsity` was given, not tried: then no more are reported with noise.
    pub sparsity_known: bool,
    /// What is known of the noise of an answer.
    pub noise: Noise,
    /// Where coefficients may be.
    pub support: Support,
    /// Decoder, resolved: never [`Decoder::Auto`].
    pub decoder: Decoder,
    /// Seed of the maps and offsets.
    pub seed: u64,
    /// Bin bits of each group.
    pub group_bits: Vec<usize>,
    /// Offsets of each group.
    pub group_offsets: Vec<usize>,
    /// Anchors of nested offsets, or 0 for offsets of this plan alone.
    pub anchors: usize,
    /// Random points besides the groups.
    pub points: usize,
    /// Number of fresh points that judge the answer.
    pub verification: usize,
    /// Probability with which the status may claim too much.
    pub delta: f64,
    /// How standard errors are computed.
    pub errors: Errors,
}

impl PlanSpec {
    /// Most variables of an interaction that the support allows.
    pub(crate) fn degree(&self) -> usize {
        match &self.support {
            Support::Any => self.variables,
            Support::MaxDegree(t) | Support::Hereditary { max_degree: t } => (*t).min(self.variables),
            Support::Within(sets) => sets.iter().map(Vec::len).max().unwrap_or(0),
        }
    }
}

/// Low bits in which the anchors of nested offsets may agree: above them they are distinct, with room to draw.
pub(crate) fn deepest(variables: usize, anchors: usize) -> usize {
    let needed = usize::BITS as usize - (anchors.max(1) - 1).leading_zeros() as usize + 1;
    variables.saturating_sub(needed)
}

/// Most bin bits of a nested plan.
pub(crate) fn deepest_bins(variables: usize, anchors: usize) -> usize {
    deepest(variables, anchors).saturating_sub(1)
}

/// Everything but the shape of the groups.
pub(crate) fn check_prior<I: Bits>(spec: &PlanSpec) -> Result<(), Error> {
    let n = spec.variables;
    if n == 0 || n > I::WIDTH {
        return Err(Error::count("variables", n, format!("1 to {}", I::WIDTH)));
    }
    if spec.sparsity == 0 || spec.sparsity as u128 > sizes::points(n) {
        return Err(Error::count("sparsity", spec.sparsity, format!("1 to 2^{n}")));
    }
    check_ranges(spec, &RANGES)?;
    match &spec.support {
        Support::MaxDegree(t) | Support::Hereditary { max_degree: t } if *t == 0 || *t > n => {
            return Err(Error::count("support", *t, format!("a degree from 1 to {n}, the number of variables")));
        }
        Support::Within(sets) => {
            if sets.is_empty() {
                return Err(Error::count("support", 0, "at least one set"));
            }
            for (set, members) in sets.iter().enumerate() {
                if let Some(&variable) = members.iter().find(|&&v| v >= n) {
                    return Err(Error::SupportSet { set, variable, largest: n - 1 });
                }
            }
        }
        _ => {}
    }
    let needs = |needs| Err(Error::DecoderNeeds { decoder: spec.decoder, needs });
    match spec.decoder {
        Decoder::JointList if sizes::least_offsets(n, 13.min(n), false) > sizes::most_offsets(false) => {
            needs("at most 128 variables, as a list reads at most 128 offsets")
        }
        Decoder::SignBits if spec.noise != Noise::None => needs("values without noise"),
        Decoder::Spright if !matches!(spec.noise, Noise::Std(_)) => {
            needs("noise of known standard deviation; beyond 118 variables a bound on the degree helps")
        }
        Decoder::ExhaustiveLists if sizes::candidates(n, &spec.support) > most_candidates::<I>() => {
            needs("at most 20,000,000 candidates: a lower degree, or fewer sets")
        }
        Decoder::BchLists
            if !matches!(spec.support, Support::MaxDegree(_))
                || lists::bch_rank::<I>(n, spec.degree()).is_none_or(|r| r < 3 || r > n.min(64)) =>
        {
            needs("Support::MaxDegree, and degree × log₂(variables + 1) at most 64 and below the number of variables")
        }
        _ => Ok(()),
    }
}

pub(crate) fn check_spec<I: Bits>(spec: &PlanSpec) -> Result<(), Error> {
    check_prior::<I>(spec)?;
    let n = spec.variables;
    let rank = if spec.decoder == Decoder::BchLists { lists::bch_rank::<I>(n, spec.degree()).unwrap_or(0) } else { n };
    let shape_fits = |bits: usize, count: usize| match spec.decoder {
        Decoder::JointList | Decoder::ExhaustiveLists => {
            let most = sizes::most_offsets(spec.decoder == Decoder::ExhaustiveLists);
            bits > 0
                && count <= most
                && (spec.anchors == 0 || (bits <= deepest_bins(n, spec.anchors) && count <= 2 * spec.anchors))
        }
        Decoder::Spright => count.is_multiple_of(n - bits + 1),
        Decoder::SignBits => count == n - bits + 1,
        Decoder::BchLists => bits < rank && count == rank - bits + 1 && count <= 64,
        Decoder::Dense | Decoder::Heredity | Decoder::Surrogate | Decoder::Auto => true,
    };
    let random = matches!(spec.decoder, Decoder::Heredity | Decoder::Surrogate);
    let grouped = !random && spec.decoder != Decoder::Dense;
    let groups_fit = spec.group_bits.len() == spec.group_offsets.len()
        && spec.group_bits.len() <= 16
        && spec.group_bits.iter().all(|&b| b <= n && b <= 40)
        && spec.group_offsets.iter().all(|&p| p > 0)
        && grouped != spec.group_bits.is_empty()
        && (random || spec.points == 0)
        && spec.anchors <= 64
        && spec.group_bits.iter().zip(&spec.group_offsets).all(|(&b, &p)| shape_fits(b, p));
    if !groups_fit || spec.decoder == Decoder::Auto {
        return Err(Error::count("groups", spec.group_bits.len(), "those of a plan"));
    }
    let asked = match spec.decoder {
        Decoder::Dense => sizes::points(n),
        Decoder::Heredity | Decoder::Surrogate => spec.points as u128,
        _ => sizes::asked(&spec.group_bits, &spec.group_offsets),
    };
    if asked > most_queries::<I>() {
        return Err(Error::TooLarge { what: "queries of the plan", count: asked, most: most_queries::<I>() });
    }
    Ok(())
}

/// A specification without groups: the decoder is resolved, everything that was given is checked.
pub(crate) fn resolve<I: Bits>(variables: usize, sparsity: Sparsity, options: &Options) -> Result<PlanSpec, Error> {
    let mut spec = PlanSpec {
        variables,
        sparsity: sparsity.planned(),
        sparsity_known: matches!(sparsity, Sparsity::Known(_)),
        noise: options.noise,
        support: options.support.clone(),
        decoder: options.decoder,
        seed: options.seed,
        group_bits: Vec::new(),
        group_offsets: Vec::new(),
        anchors: 0,
        points: 0,
        verification: options.verification,
        delta: options.delta,
        errors: options.errors,
    };
    check_prior::<I>(&spec)?;
    if spec.sparsity as u128 > most_queries::<I>() {
        let count = spec.sparsity as u128;
        return Err(Error::TooLarge { what: "queries of the plan", count, most: most_queries::<I>() });
    }
    if spec.decoder == Decoder::Auto {
        let few = sizes::candidates(variables, &spec.support) <= most_candidates::<I>();
        let crowded = sizes::least_offsets(variables, 3, false) > sizes::most_offsets(false);
        let decodable =
            lists::bch_rank::<I>(variables, spec.degree()).is_some_and(|r| (3..=variables.min(64)).contains(&r));
        spec.decoder = match &spec.support {
            Support::Hereditary { .. } => Decoder::Surrogate,
            Support::MaxDegree(_) | Support::Within(_) if few => Decoder::ExhaustiveLists,
            Support::MaxDegree(_) if decodable => Decoder::BchLists,
            // Where a bound is of no use, it does no harm.
            _ if spec.noise == Noise::None => Decoder::SignBits,
            _ if crowded => Decoder::Spright,
            _ => Decoder::JointList,
        };
        check_prior::<I>(&spec)?;
    }
    Ok(spec)
}

/// Chooses bins and offsets.
pub(crate) fn specify<I: Bits>(variables: usize, sparsity: Sparsity, options: &Options) -> Result<PlanSpec, Error> {
    let mut spec = resolve::<I>(variables, sparsity, options)?;
    let (n, k) = (variables, spec.sparsity);
    let candidates = sizes::candidates(n, &spec.support);
    (spec.group_bits, spec.group_offsets) = match spec.decoder {
        Decoder::Dense | Decoder::Auto => return Ok(spec),
        Decoder::SignBits => sizes::sign_bits(n, k, options.samples),
        Decoder::Spright => sizes::spright(n, k, options.samples),
        Decoder::JointList => sizes::joint(n, candidates, k, options.samples, false),
        Decoder::ExhaustiveLists => sizes::joint(n, candidates, k, options.samples, true),
        Decoder::BchLists => {
            let rank = lists::bch_rank::<I>(n, spec.degree()).unwrap_or(2);
            sizes::bch(rank, k, options.samples)
        }
        Decoder::Heredity | Decoder::Surrogate => {
            spec.points = sizes::heredity(n, k, options.samples);
            if options.decoder == Decoder::Auto && spec.points > surrogate::MOST_POINTS {
                spec.decoder = Decoder::Heredity;
            }
            (Vec::new(), Vec::new())
        }
    };
    let asked = sizes::asked(&spec.group_bits, &spec.group_offsets) + spec.points as u128;
    if options.decoder == Decoder::Auto && n < 40 && asked >= sizes::points(n) {
        into_dense(&mut spec);
    }
    Ok(spec)
}

/// Turns a specification into that of the dense transform.
pub(crate) fn into_dense(spec: &mut PlanSpec) {
    spec.decoder = Decoder::Dense;
    spec.group_bits.clear();
    spec.group_offsets.clear();
    (spec.anchors, spec.points) = (0, 0);
}
