//! What a surrogate says, and its evidence.
use samplewise_linalg::{Ending, Seconds};

/// A quantity with its posterior deviation.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Estimate {
    /// Posterior mean, in the units of the values.
    pub mean: f64,
    /// Posterior standard deviation of the mixture. Of a value at a point it is that of a new measurement, the noise included.
    /// At points that were told once, noise cannot be told from interactions of many variables: there it may be too small.
    pub deviation: f64,
    /// Lower end of the interval at the level of the options: `mean − q·deviation`, `q` from held-out points.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// What can be said of a surrogate. Nothing is promised for points unlike those that were told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Status {
    /// All values are the same up to rounding.
    Constant,
    /// Every value is explained to rounding by so many interactions: far more distinct points than could be by chance.
    Explained {
        /// Number of interactions.
        terms: usize,
    },
    /// Values that were held out are predicted better than by their mean, and follow what was said of them
    /// more than chance has it once in a hundred times (the shares of the experts were chosen on the same values): see [`Report::held_out_r2`].
    Predictive,
    /// The constant has more than half of the weight, or held-out values do not follow what is said of them more
    /// clearly than chance has it once in a hundred times. Few values show little.
    NoStructure,
    /// Nothing was held out, because the call was stopped before or all points belong together: intervals are those of the
    /// model, which are often too narrow.
    Unjudged,
}

impl Status {
    /// The word for tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Explained { .. } => "explained",
            Self::Predictive => "predictive",
            Self::NoStructure => "no structure found",
            Self::Unjudged => "unjudged",
        }
    }
}

/// Who takes part in the mixture.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Kind {
    /// A process whose relevances have this spread.
    Process {
        /// Spread `τ` of the logarithms of the relevances.
        spread: f64,
    },
    /// A process with heavy-tailed coefficients.
    HeavyTails {
        /// Degrees of freedom `ν`.
        freedom: f64,
    },
    /// The heredity pursuit.
    Pursuit,
    /// The mean of the values.
    Constant,
}

/// One expert of a mixture.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ExpertReport {
    /// What kind of expert it is.
    pub kind: Kind,
    /// Its share of the answer, 0 to 1.
    pub share: f64,
    /// R² of the held-out values by it alone; `None` where nothing was held out or it failed.
    pub held_out_r2: Option<f64>,
}

/// Evidence of a surrogate.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Report {
    /// How the call ended.
    pub ending: Ending,
    /// The experts, the constant last.
    pub experts: Vec<ExpertReport>,
    /// Share of the constant, 0 to 1.
    pub constant_share: f64,
    /// R² of the mixture on held-out values (whose shares were chosen on the same values); of points like those told.
    pub held_out_r2: Option<f64>,
    /// Number of held-out values.
    pub held_out: usize,
    /// Standard deviation of the noise of one value as the processes see it, in the units of the values: noise, and what
    /// they cannot explain. Of the size of rounding where everything is explained.
    pub noise_std: f64,
    /// Half-widths of intervals at the levels 0.5, 0.9 and 0.95, and at that of the options, in deviations.
    pub interval_scale: [f64; 4],
    /// Steps of all minimisations.
    pub iterations: usize,
    /// Largest entry of the gradient of the logarithm of the evidence where a minimisation ended, of all experts and folds.
    pub largest_gradient: f64,
    /// Values that were told for a point that was told before.
    pub merged: usize,
    /// Variables that are the same in all points. Nothing is known of them, and the function is taken not to depend on them:
    /// what is said of them, and of points that differ in them, does not count that uncertainty.
    pub constant_variables: Vec<usize>,
    /// Wall time of everything.
    pub seconds: Seconds,
}

/// Variances by number of variables.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Energy {
    /// `Σ m_S²` of the posterior mean, in the square of the units of the values, the largest number where it is beyond.
    pub of_mean: f64,
    /// The same as a share of the variance of the posterior mean.
    pub share: f64,
    /// Posterior mean of `Σ f̂(S)²`: more than the energy of the mean by the variances of the coefficients.
    pub expected: f64,
}

/// Shares of the variance of the posterior mean over uniformly random points.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Sobol {
    /// What each variable explains alone, as a share of the variance.
    pub first: Vec<f64>,
    /// What is lost without each variable, as a share of the variance.
    pub total: Vec<f64>,
    /// The variance, in the square of the units of the values.
    pub variance: f64,
}
