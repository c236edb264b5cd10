//! Fits with their certificates.
use samplewise_linalg::{Ending, LinalgError, NoBound, Rows, Seconds};

use crate::Error;

/// What may be claimed of a fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Status {
    /// The gap is within the tolerance.
    Converged,
    /// The gap is wider than the tolerance, and says how far off the fit can be: `max_iterations` was reached, rounding keeps
    /// the gap wide, or the observer ended the call. The coefficients are the best of where the fit ended, where it began and
    /// the null model.
    NotConverged,
    /// The dual value came out above the objective by more than rounding explains: one of them is wrong, nothing is proven,
    /// and there is no lower bound.
    CertificateFailed,
}

/// The solver that made a fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Route {
    /// Newton steps on the Gram matrix of a working set.
    WorkingSet,
    /// The exact piecewise linear path.
    Homotopy,
    /// Coordinate descent on the residual.
    CoordinateDescent,
    /// Proximal steps of one group of columns after the other.
    BlockDescent,
}

impl Route {
    /// The word for tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::WorkingSet => "WorkingSet",
            Self::Homotopy => "Homotopy",
            Self::CoordinateDescent => "CoordinateDescent",
            Self::BlockDescent => "BlockDescent",
        }
    }
}

/// Evidence of a fit.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Report {
    /// How the fit ended.
    pub ending: Ending,
    /// The solver that ran.
    pub route: Route,
    /// Number of Newton steps, sweeps or events of the path.
    pub iterations: usize,
    /// Wall time of the call that made the fit, with all other fits of its path.
    pub seconds: Seconds,
    /// Objective of the null model, in which every penalised coefficient is zero: the scale of the tolerance.
    pub null_objective: f64,
    /// The dual point is `dual_scale · s_i (y_i − x_iᵀw − b) / n`, from which anyone can compute the lower bound again, up to
    /// rounding.
    pub dual_scale: f64,
    /// Number of columns of the working set.
    pub working_set: usize,
    /// Number of columns whose correlation was computed for the certificate; all others were known to be feasible from an
    /// earlier residual.
    pub columns_checked: usize,
}

/// One fit with its certificate.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Solution {
    /// The ridge of the ℓ1 norm, `λ`.
    pub lambda: f64,
    /// Intercept, for the columns as given.
    pub intercept: f64,
    /// Nonzero coefficients `(column, value)`, column ascending, for the columns as given.
    pub coefficients: Vec<(usize, f64)>,
    /// Number of columns of the table.
    pub columns: usize,
    /// Objective of the intercept and the coefficients as they are given here.
    pub objective: f64,
    /// Dual value less what rounding may have added to it: the minimum of the objective is not below it.
    pub lower_bound: Option<f64>,
    /// Why there is no lower bound.
    pub no_bound: Option<NoBound>,
    /// What may be claimed of it.
    pub status: Status,
    /// The evidence: how the call went, and what its claims rest on.
    pub report: Report,
}

impl Solution {
    /// Whether the gap is within the tolerance.
    pub fn converged(&self) -> bool {
        self.status == Status::Converged
    }

    /// `objective − lower_bound ≥ 0`: how far the objective can be from its minimum; infinite without a bound.
    pub fn gap(&self) -> f64 {
        self.lower_bound.map_or(f64::INFINITY, |bound| (self.objective - bound).max(0.0))
    }

    /// Coefficient of a column.
    pub fn coefficient(&self, column: usize) -> f64 {
        self.coefficients.binary_search_by_key(&column, |c| c.0).map_or(0.0, |at| self.coefficients[at].1)
    }

    /// All coefficients, zeros included.
    pub fn to_dense(&self) -> Vec<f64> {
        let mut out = vec![0.0; self.columns];
        self.coefficients.iter().for_each(|&(j, w)| out[j] = w);
        out
    }

    /// Predictions `x_iᵀw + b` for rows, which may be new ones, in the columns of the table.
    ///
    /// # Errors
    /// [`Error::Data`] for rows of another number of columns.
    pub fn predict<'a>(&self, rows: impl Into<Rows<'a>>) -> Result<Vec<f64>, Error> {
        let rows = rows.into();
        if rows.columns() != self.columns {
            let (given, expected) = (rows.columns(), self.columns);
            return Err(LinalgError::Length { argument: "columns of the rows", given, expected }.into());
        }
        let mut out = vec![0.0; rows.rows()];
        rows.multiply_vector_into(&self.to_dense(), &mut out);
        out.iter_mut().for_each(|v| *v += self.intercept);
        Ok(out)
    }
}

/// Objective and bound as an answer has them; the bound only where it is a number that does not contradict the objective.
pub(crate) fn bound(objective: f64, bound: f64, gap: f64, ending: Ending) -> (Option<f64>, Option<NoBound>) {
    if gap.is_finite() {
        (Some(bound), None)
    } else if ending == Ending::Interrupted {
        (None, Some(NoBound::Interrupted))
    } else {
        (None, Some(NoBound::Failed { objective, bound }))
    }
}

/// How a solver left a fit, before it is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The gap is within the tolerance.
    Converged,
    /// A limit of steps or of precision was reached.
    Limit,
    /// The observer ended it.
    Interrupted,
    /// The dual value contradicts the objective.
    CertificateFailed,
}

impl Outcome {
    /// Claim and ending.
    pub fn parts(self) -> (Status, Ending) {
        match self {
            Self::Converged => (Status::Converged, Ending::Finished),
            Self::Limit => (Status::NotConverged, Ending::Limit),
            Self::Interrupted => (Status::NotConverged, Ending::Interrupted),
            Self::CertificateFailed => (Status::CertificateFailed, Ending::Finished),
        }
    }
}
