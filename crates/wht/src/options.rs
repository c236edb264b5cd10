//! Settings of a plan.

/// What is known about the noise on one sample.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Noise {
    /// None: equalities hold up to rounding.
    #[default]
    None,
    /// Gaussian with this standard deviation, in the units of `x`; finite and positive.
    Std(f64),
    /// Present, of unknown size (only [`Decoder::JointList`]).
    Unknown,
}

/// Which decoder runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Decoder {
    /// [`Decoder::Dense`] when the sparse plan would ask for every value anyway, else [`Decoder::SignBits`] without
    /// and [`Decoder::JointList`] with noise.
    #[default]
    Auto,
    /// Every value is asked and transformed; coefficients below the noise floor are dropped.
    Dense,
    /// Noiseless peeling by sign bits, with two-tons resolved from their two magnitudes.
    SignBits,
    /// The paper's noisy decoder: single-tons by pairs of random offsets (NSO), peeled.
    Spright,
    /// Lists from every bin, accepted by one joint likelihood over all groups.
    JointList,
}

/// Settings of [`crate::Plan::new`]; the default is the noiseless case.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Seed of all randomness. Default 0. The same seed gives the same plan and result for every thread count.
    pub seed: u64,
    /// Noise on one sample. Default [`Noise::None`].
    pub noise: Noise,
    /// Decoder. Default [`Decoder::Auto`].
    pub decoder: Decoder,
    /// Samples to spend on decoding (verification not counted), or `None` for the decoder's rule. More samples lower
    /// the failure rate and, with noise, reach smaller coefficients. The plan comes as close from
    /// below as its bins allow, and never goes below the least its decoder can work with; the dense transform always
    /// asks all `2ⁿ`.
    pub samples: Option<usize>,
    /// Fresh samples that no decoder stage sees. Default 64, range `0..=1_000_000`. They give the held-out residual
    /// and R² of the report; at 0 nothing but a dense transform is called verified.
    pub verification: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: 0, noise: Noise::None, decoder: Decoder::Auto, samples: None, verification: 64 }
    }
}
