//! How a call ended and why a lower bound may be absent: the same words in every crate.

/// How a call ended. What may be claimed of its answer is said beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Ending {
    /// It came to its own end.
    #[default]
    Finished,
    /// A limit of iterations, samples or precision ended it; the answer is the best one so far.
    Limit,
    /// The observer ended it; the answer is the best one so far.
    Interrupted,
}

impl Ending {
    /// The word for tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Limit => "limit",
            Self::Interrupted => "interrupted",
        }
    }

    /// The ending of a call with a part that ended like `part`: an interruption stays one, a limit is not forgotten.
    #[must_use]
    pub fn and(self, part: Self) -> Self {
        match (self, part) {
            (Self::Interrupted, _) | (_, Self::Interrupted) => Self::Interrupted,
            (Self::Limit, _) | (_, Self::Limit) => Self::Limit,
            (Self::Finished, Self::Finished) => Self::Finished,
        }
    }
}

/// Why there is no lower bound.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum NoBound {
    /// The options did not ask for one.
    NotAsked,
    /// The observer ended the call before it was computed.
    Interrupted,
    /// The computed value is above the objective by more than rounding explains, or is no number: it proves nothing.
    Failed {
        /// Objective of the answer.
        #[cfg_attr(feature = "serde", serde(with = "crate::extended"))]
        objective: f64,
        /// The value that cannot be a lower bound.
        #[cfg_attr(feature = "serde", serde(with = "crate::extended"))]
        bound: f64,
    },
}

impl std::fmt::Display for NoBound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotAsked => write!(f, "not asked for"),
            Self::Interrupted => write!(f, "the call was interrupted before it was computed"),
            Self::Failed { objective, bound } => {
                write!(f, "the computed bound {bound:e} does not fit the objective {objective:e}")
            }
        }
    }
}

/// Wall time in seconds, as evidence of a run. Two of them are always equal: what a call answers does not depend on how long
/// it took, so that the answers of two runs can be compared as a whole.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(transparent))]
pub struct Seconds(pub f64);

impl Seconds {
    /// The time since an instant.
    pub fn since(start: std::time::Instant) -> Self {
        Self(start.elapsed().as_secs_f64())
    }
}

impl PartialEq for Seconds {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Seconds {}

impl std::ops::Add for Seconds {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}
