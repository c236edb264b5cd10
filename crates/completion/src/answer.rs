//! Completions and their evidence.
use samplewise_linalg::scale::ldexp;
use samplewise_linalg::{Ending, Seconds};

use crate::Model;
use crate::control::Stage;
use crate::verdict::certificate::Certificate;
use crate::verdict::determined::Determination;

/// What can be said of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Status {
    /// The held-out error, relative to the spread of the values, is within the tolerance on entries that took no part in the
    /// fit, at least three unless a test set was given, and that on all given entries is within twice the tolerance (with
    /// Huber's loss this is not asked, for outliers are among them). It speaks of entries like the held-out ones, and of the
    /// model that is returned. As far as was checked ([`Report::determination`]) all entries between rows and columns that are
    /// determined are determined as well.
    Verified,
    /// As [`Status::Verified`], for parts of the matrix: the rows and columns fall into blocks, without entries between them
    /// or with too little in common for the rank, and what lies between blocks is not determined by any entry; or entries of
    /// rows and columns that are not determined are not met. [`Completion::determined`] says which entries are determined.
    VerifiedInParts,
    /// A regularised or noisy fit that came to rest.
    Fitted,
    /// Exact recovery was asked for, and the held-out entries disagree.
    NotRecovered,
    /// A limit of iterations or the observer ended the fit: the best model so far, of which nothing is claimed.
    NotConverged,
}

impl Status {
    /// True for [`Status::Verified`] and [`Status::VerifiedInParts`].
    pub fn is_verified(self) -> bool {
        matches!(self, Self::Verified | Self::VerifiedInParts)
    }

    /// The word for tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::VerifiedInParts => "verified in parts",
            Self::Fitted => "fitted",
            Self::NotRecovered => "not recovered",
            Self::NotConverged => "not converged",
        }
    }
}

/// A way through the ridges.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Route {
    /// Annealing of the ridge.
    Annealing {
        /// Factor per step.
        decay: f64,
        /// Pairs of half steps per ridge.
        pairs: usize,
    },
    /// Growth of the rank.
    Growth,
    /// Iteratively reweighted least squares.
    Reweighting,
}

impl Route {
    /// The word for tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Annealing { .. } => "annealing",
            Self::Growth => "growth of the rank",
            Self::Reweighting => "log-det reweighting",
        }
    }
}

/// How a call went, and what its claims rest on.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Report {
    /// Rank of the model.
    pub rank: usize,
    /// Ridge of the model.
    pub lambda: f64,
    /// The path that led to it.
    pub route: Route,
    /// Number of pairs of half steps and of Gauss–Newton steps in all.
    pub iterations: usize,
    /// Number of entries over the degrees of freedom `k(m + n − k)` of the rows and columns fitted.
    pub oversampling: f64,
    /// Number of entries fitted.
    pub fitted_entries: usize,
    /// Number of entries held out to choose λ, rank and path.
    pub tuning_entries: usize,
    /// Number of entries that only judged.
    pub verification_entries: usize,
    /// What the entries determine: components, and which entries lie between parts that nothing ties together.
    pub determination: Determination,
    /// How the fit ended; an interrupted one may be verified all the same.
    pub ending: Ending,
    /// Rows that the entries do not determine (they have too few entries in common with the others, rows COM-1 and COM-13): predicted by as little as fits their entries.
    pub undetermined_rows: Vec<usize>,
    /// Columns that the entries do not determine.
    pub undetermined_columns: Vec<usize>,
    /// Entries left out as outliers, `(row, column)`, with [`crate::Loss::Trimmed`].
    pub outliers: Vec<(usize, usize)>,
    /// Root mean square error on the fitted entries.
    pub train_rmse: f64,
    /// On the verification entries, by the model before they were fitted as well.
    pub test_rmse: Option<f64>,
    /// Of mean and biases alone on the verification entries: what a model must beat. Their ridge is chosen as the model's is,
    /// by the tuning entries.
    pub baseline_test_rmse: Option<f64>,
    /// Standard deviation of the values: the scale of `exact_recovery`.
    pub spread: f64,
    /// Test error over spread: the left side of the stopping inequality; `exact_recovery` is the right side.
    pub relative_test_error: Option<f64>,
    /// What the held-out entries prove.
    pub certificate: Option<Certificate>,
    /// `(rank, tuning error over spread)` of every rank tried.
    pub ranks_tried: Vec<(usize, f64)>,
    /// Whether the verification entries took part in the model returned, after they had judged.
    pub verification_fitted: bool,
    /// What each stage has cost.
    pub stages: Vec<Stage>,
    /// Wall time of the call.
    pub seconds: Seconds,
}

/// A completed matrix with its evidence.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Completion {
    /// The low-rank model: mean, biases and factors.
    pub model: Model,
    /// What can be said of it.
    pub status: Status,
    /// The evidence: how the call went, and what its claims rest on.
    pub report: Report,
}

impl Completion {
    /// Whether the fit came to its end and, where exact recovery was asked for, the held-out entries agree.
    pub fn converged(&self) -> bool {
        matches!(self.status, Status::Verified | Status::VerifiedInParts | Status::Fitted)
    }

    /// Whether the given entries determine this one at the rank of the model, as far as [`Determination::check`] looked.
    ///
    /// # Panics
    /// When the position is outside the matrix.
    pub fn determined(&self, row: usize, column: usize) -> bool {
        self.report.determination.determined(row, column)
    }

    /// The prediction of one entry, or `None` where the given entries do not determine it. `model.predict` predicts in any
    /// case, by as little as fits what is known.
    ///
    /// # Panics
    /// When the position is outside the matrix.
    pub fn predict(&self, row: usize, column: usize) -> Option<f64> {
        self.determined(row, column).then(|| self.model.predict(row, column))
    }

    /// The completion of values that are `2^e` times as large.
    pub(crate) fn multiply_values(mut self, e: i32) -> Self {
        self.model.multiply_values(e);
        let r = &mut self.report;
        let certificate = r.certificate.as_mut().map(|c| [&mut c.largest_error, &mut c.rmse]);
        let optional = [&mut r.test_rmse, &mut r.baseline_test_rmse].into_iter().flatten();
        let plain = [&mut r.lambda, &mut r.train_rmse, &mut r.spread];
        for value in plain.into_iter().chain(optional).chain(certificate.into_iter().flatten()) {
            *value = ldexp(*value, e);
        }
        self
    }
}
