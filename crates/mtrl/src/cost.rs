//! What samples cost, and how many a budget buys.
use std::fmt;
use std::sync::Arc;

use crate::Error;

/// Cost of `n` samples of one task, a function that never falls.
///
/// Row MTL-5 of `paper-refs.md`.
#[derive(Clone)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum CostModel {
    /// `unit · n`.
    Linear(f64),
    /// `fee + unit · n` for `n > 0`.
    FeePlusLinear {
        /// Paid once, with the first sample.
        fee: f64,
        /// Price of each sample.
        unit: f64,
    },
    /// Price per sample by tier `(samples up to, unit)`, in ascending order; beyond the last its price goes on.
    Tiered(Vec<(usize, f64)>),
    /// Any function with `f(0) = 0` that never falls and does not stop rising. It cannot be stored.
    #[cfg_attr(feature = "serde", serde(skip))]
    Custom(Arc<dyn Fn(usize) -> f64 + Send + Sync>),
}

impl Default for CostModel {
    fn default() -> Self {
        Self::Linear(1.0)
    }
}

impl fmt::Debug for CostModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Linear(unit) => write!(f, "Linear({unit})"),
            Self::FeePlusLinear { fee, unit } => write!(f, "FeePlusLinear({fee}, {unit})"),
            Self::Tiered(tiers) => write!(f, "Tiered({tiers:?})"),
            Self::Custom(_) => write!(f, "Custom"),
        }
    }
}

impl CostModel {
    /// Cost of `n` samples in all.
    pub fn total(&self, n: usize) -> f64 {
        match self {
            Self::Linear(unit) => unit * n as f64,
            Self::FeePlusLinear { fee, unit } => {
                if n > 0 {
                    fee + unit * n as f64
                } else {
                    0.0
                }
            }
            Self::Tiered(tiers) => {
                let (mut done, mut cost, mut price) = (0, 0.0, 1.0);
                for &(up_to, unit) in tiers {
                    let take = n.min(up_to).saturating_sub(done);
                    cost += unit * take as f64;
                    done += take;
                    price = unit;
                }
                cost + price * (n - done) as f64
            }
            Self::Custom(f) => f(n),
        }
    }

    /// Mean price of the next `count` samples after `n`.
    pub fn price(&self, n: usize, count: usize) -> f64 {
        let count = count.max(1);
        (self.total(n.saturating_add(count)) - self.total(n)) / count as f64
    }

    /// How many samples after the first `n` cost at most `money`, but not more than `most`.
    pub fn affordable(&self, n: usize, money: f64, most: usize) -> usize {
        let base = self.total(n);
        if self.total(n.saturating_add(most)) - base <= money {
            return most;
        }
        // The cost never falls: bisection.
        let (mut low, mut high) = (0, most);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.total(n.saturating_add(middle)) - base <= money { low = middle } else { high = middle }
        }
        low
    }

    /// Whether prices are finite and positive.
    ///
    /// # Errors
    /// [`Error::Argument`].
    pub fn check(&self) -> Result<(), Error> {
        let price = |argument, value: f64, least: bool| {
            if value.is_finite() && (value > 0.0 || (least && value == 0.0)) {
                Ok(())
            } else {
                Err(Error::argument(argument, value, "finite and positive"))
            }
        };
        match self {
            Self::Linear(unit) => price("unit cost", *unit, false),
            Self::FeePlusLinear { fee, unit } => price("fee", *fee, true).and(price("unit cost", *unit, false)),
            Self::Tiered(tiers) => {
                if tiers.is_empty() || tiers.windows(2).any(|w| w[0].0 >= w[1].0) {
                    let (argument, value) = ("tiers", tiers.len() as f64);
                    return Err(Error::argument(argument, value, "one or more, bounds ascending"));
                }
                tiers.iter().try_for_each(|t| price("unit cost", t.1, false))
            }
            Self::Custom(f) => {
                price("cost of no samples", f(0) + 1.0, false)?;
                price("cost of one sample", f(1), false)?;
                // A fee alone would buy samples without end.
                price("rise of the cost with the samples", f(1 << 30) - f(1), false)
            }
        }
    }
}

/// What may be spent on source tasks.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Budget {
    /// So many samples.
    Samples(usize),
    /// So much by the tasks' cost models.
    Cost(f64),
    /// Until the predicted excess risk of the target is at most this, but at most so many samples.
    Risk {
        /// Excess risk wanted.
        target: f64,
        /// Samples at most.
        most: usize,
    },
}
