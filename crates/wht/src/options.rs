//! Settings of a plan.
use std::ops::Bound::{Excluded, Included, Unbounded};

use samplewise_linalg::argument::OptionRange;

use crate::plan::spec::PlanSpec;
pub use crate::verdict::refit::Errors;

/// What is known about the noise on one sample.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Noise {
    /// None: equalities hold up to rounding.
    #[default]
    None,
    /// Gaussian with this standard deviation, in the units of `x`; finite and positive.
    Std(f64),
    /// Present, of unknown size.
    Unknown,
}

/// What is known about the number of nonzero coefficients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Sparsity {
    /// No more than this, at least 1. With noise the list decoders and the pursuit report no more.
    Known(usize),
    /// Unknown, and not above `max`: a plan is made for `max`, the schedule of an adaptive recovery ends there (or in the
    /// dense transform, when that is no more than four times what was asked).
    Unknown {
        /// Largest number worth the samples.
        max: usize,
    },
}

impl From<usize> for Sparsity {
    fn from(sparsity: usize) -> Self {
        Self::Known(sparsity)
    }
}

impl Sparsity {
    /// The number to plan for.
    pub fn planned(self) -> usize {
        match self {
            Self::Known(k) => k,
            Self::Unknown { max } => max,
        }
    }
}

/// What is known about where the nonzero coefficients are.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Support {
    /// Nothing is known of it.
    #[default]
    Any,
    /// No interaction of more variables than this.
    MaxDegree(usize),
    /// An interaction has a parent: some coefficient with one variable less. Holds for sums of decision trees; the decoder
    /// gives it up when held-out samples say so.
    Hereditary {
        /// Most variables of an interaction.
        max_degree: usize,
    },
    /// Only these interactions, each a set of variables.
    Within(Vec<Vec<usize>>),
}

/// Which decoder runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Decoder {
    /// What the support and the noise call for, and [`Decoder::Dense`], which needs no support, when that would ask for
    /// every value anyway.
    ///
    /// | support | noise | decoder |
    /// |---|---|---|
    /// | any | none | [`Decoder::SignBits`] |
    /// | any | yes | [`Decoder::JointList`]; beyond 118 variables [`Decoder::Spright`] |
    /// | degree bound | either | [`Decoder::ExhaustiveLists`]; beyond 2·10⁷ candidates [`Decoder::BchLists`], or as any |
    /// | listed sets | either | [`Decoder::ExhaustiveLists`] |
    /// | hereditary | either | [`Decoder::Surrogate`]; beyond 4,000 samples [`Decoder::Heredity`] |
    #[default]
    Auto,
    /// Every value is asked and transformed; coefficients below the noise floor are dropped.
    Dense,
    /// Noiseless peeling by sign bits, with two-tons resolved from their two magnitudes.
    SignBits,
    /// The paper's noisy decoder: single-tons by pairs of random offsets (NSO), peeled.
    Spright,
    /// Ordered-statistics lists from every bin, accepted by one joint likelihood over all groups.
    JointList,
    /// The same with lists from all candidates of a bin: the fewest samples under a degree bound.
    ExhaustiveLists,
    /// The same with lists from BCH syndromes: the fastest under a degree bound.
    BchLists,
    /// Pursuit among interactions whose parents were found, from random points.
    Heredity,
    /// The pursuit where it explains every value, else the largest coefficients of [`crate::surrogate::fit`], from random
    /// points: for functions that are nearly sparse. Seconds for some hundred points. The route of the report is the one of the
    /// two that answered; beyond 4,000 points it is the pursuit.
    Surrogate,
}

/// Settings of [`crate::Plan::new`]; the default is the noiseless case.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Options {
    /// Seed of all randomness. Default 0. The same seed gives the same plan and result for every thread count.
    pub seed: u64,
    /// Noise on one sample, with a standard deviation that is finite and above 0. Default [`Noise::None`].
    pub noise: Noise,
    /// Where coefficients may be. Default [`Support::Any`].
    pub support: Support,
    /// Decoder. Default [`Decoder::Auto`].
    pub decoder: Decoder,
    /// Samples to spend on decoding (verification not counted), or `None` for the decoder's rule. More samples lower
    /// the failure rate and, with noise, reach smaller coefficients. The plan comes as close from
    /// below as its bins allow, and never goes below the least its decoder can work with; the dense transform always
    /// asks all `2ⁿ`. An adaptive recovery spends no more in all, verification included.
    pub samples: Option<usize>,
    /// Fresh samples that no decoder stage sees. Default 64; 0 to 1000000. They give the held-out residual
    /// and R² of the report; at 0 nothing but a dense transform is called verified.
    pub verification: usize,
    /// Probability with which the status may claim too much. Default 0.01; above 0 and below 1. A smaller one makes the
    /// claim weaker, not the answer better; [`crate::points_to_certify`] says how many fresh samples a claim of exactness takes.
    pub delta: f64,
    /// How standard errors are computed. Default [`Errors::Model`].
    pub errors: Errors,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 0,
            noise: Noise::None,
            support: Support::Any,
            decoder: Decoder::Auto,
            samples: None,
            verification: 64,
            delta: 0.01,
            errors: Errors::Model,
        }
    }
}

impl Decoder {
    /// The words for tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Dense => "dense",
            Self::SignBits => "sign bits",
            Self::Spright => "spright (paired random offsets)",
            Self::JointList => "joint lists (ordered statistics)",
            Self::ExhaustiveLists => "joint lists (exhaustive)",
            Self::BchLists => "joint lists (BCH)",
            Self::Heredity => "heredity pursuit",
            Self::Surrogate => "surrogate",
        }
    }
}

/// Ranges of the numbers in the options, which the specification of a plan has taken over.
pub const RANGES: [OptionRange<PlanSpec>; 3] = [
    OptionRange {
        name: "noise",
        low: Excluded(0.0),
        high: Unbounded,
        get: |s| if let Noise::Std(std) = s.noise { Some(std) } else { None },
        set: |s, v| s.noise = Noise::Std(v),
    },
    OptionRange {
        name: "verification",
        low: Included(0.0),
        high: Included(1e6),
        get: |s| Some(s.verification as f64),
        set: |s, v| s.verification = v as usize,
    },
    OptionRange {
        name: "delta",
        low: Excluded(0.0),
        high: Excluded(1.0),
        get: |s| Some(s.delta),
        set: |s, v| s.delta = v,
    },
];
