//! What was learned, and the evidence.
use samplewise_linalg::{ArgumentError, Ending, LinalgError, MatrixView, Seconds};

use crate::Error;
use crate::guard::mixture_name;
use crate::relevance::{Relevance, Strategy};
use crate::representation::Representation;

/// What an allocation followed.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Route {
    /// The strategy that was asked for.
    Asked(Strategy),
    /// The mixture that [`Strategy::Guarded`] chose: weights of the shares of three strategies, which sum to one.
    Mixture {
        /// Of [`Strategy::Uniform`].
        uniform: f64,
        /// Of [`Strategy::L2`].
        l2: f64,
        /// Of [`Strategy::L1`].
        l1: f64,
    },
}

impl Route {
    /// The words for tables.
    pub fn name(self) -> String {
        match self {
            Self::Asked(strategy) => format!("{strategy:?}"),
            Self::Mixture { uniform, l2, l1 } => mixture_name([uniform, l2, l1]).to_owned(),
        }
    }
}

/// One round as it was decided.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Round {
    /// What the allocation followed: the strategy, for [`Strategy::Guarded`] the candidate it chose.
    pub followed: Route,
    /// Relevance and shares.
    pub relevance: Relevance,
    /// Samples of each task before the round.
    pub samples: Vec<usize>,
    /// Money spent before the round.
    pub cost: f64,
    /// Predicted excess risk of the targets that samples of sources can lower, `σ²(d−K)·wᵀ(W diag(n) Wᵀ)⁻¹w` summed over
    /// targets; what the target's own labels leave, `σ²K/n_t`, comes on top. Infinite while there are less than twice as
    /// many samples as parameters, and the noise is not known. Zero without noise, or where the representation is the whole
    /// space.
    #[cfg_attr(feature = "serde", serde(with = "samplewise_linalg::extended"))]
    pub predicted_risk: f64,
    /// Elfving efficiency of these samples for the first target, as estimated.
    pub efficiency: f64,
    /// Variance of the noise, as estimated.
    pub noise: f64,
}

/// What was learned.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Learned {
    /// Basis and weights.
    pub representation: Representation,
    /// Each target's coefficients on the features, `B ŵ`.
    pub targets: Vec<Vec<f64>>,
    /// Samples of each task.
    pub samples: Vec<usize>,
    /// Money spent on samples of source tasks.
    pub cost: f64,
    /// The evidence: how the call went, and what its claims rest on.
    pub report: Report,
}

/// How a call went, and what its claims rest on.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Report {
    /// How learning ended: a stopped one did not spend its budget, or its last fit is the best so far; with
    /// [`Ending::Limit`] the last fit did not come to rest, or a risk that was asked for was not reached.
    pub ending: Ending,
    /// Every round, the state at the end as the last.
    pub rounds: Vec<Round>,
    /// Number of evaluations of the loss over all fits.
    pub iterations: usize,
    /// Time in the planner's calls; that of the samples is not counted.
    pub seconds: Seconds,
}

impl Learned {
    /// Predictions of a target for new rows (`n × d`, the features in the order of the tasks).
    ///
    /// # Errors
    /// [`Error::Argument`] for a target beyond their number, [`Error::Data`] for rows of another number of features.
    pub fn predict<'a>(&self, target: usize, rows: impl Into<MatrixView<'a>>) -> Result<Vec<f64>, Error> {
        let rows = rows.into();
        let refused = || ArgumentError::new("target", target, format!("below {}", self.targets.len()));
        let coefficients = self.targets.get(target).ok_or_else(refused)?;
        if rows.columns() != coefficients.len() {
            let expected = format!("{} columns", coefficients.len());
            return Err(
                LinalgError::Shape { argument: "rows", rows: rows.rows(), columns: rows.columns(), expected }.into()
            );
        }
        let mut out = vec![0.0; rows.rows()];
        rows.multiply_vector_into(coefficients, &mut out);
        Ok(out)
    }

    /// Whether the last fit came to rest, and a risk that was asked for was reached.
    pub fn converged(&self) -> bool {
        self.report.ending == Ending::Finished
    }

    /// Coefficients of the first target.
    pub fn target(&self) -> &[f64] {
        &self.targets[0]
    }

    /// `ν̂` at the end.
    pub fn relevance(&self) -> &[f64] {
        &self.last().relevance.nu
    }

    /// The state at the end.
    pub fn last(&self) -> &Round {
        self.report.rounds.last().expect("a planner that ends has a round")
    }
}
