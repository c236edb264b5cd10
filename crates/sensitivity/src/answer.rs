//! Fits with their certificates.
use samplewise_linalg::scale::ldexp;
use samplewise_linalg::{Ending, LinalgError, NoBound, Rows, Seconds};

use crate::Error;
use crate::loss::Loss;
use crate::verdict::judge::check_objective;

/// What may be claimed of a fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Status {
    /// Solved on all rows: the gap between objective and lower bound is within the tolerance, or 1e-9 of the
    /// objective where that is more, but for what rounding of the residuals can do. On a coreset: the fit of the coreset met
    /// the tolerance of its solver.
    Converged,
    /// A limit of steps or of precision was reached, there is no lower bound, or the observer ended the call; the gap says how
    /// good the answer is.
    NotConverged,
}

/// Which way a solver went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Route {
    /// Interior point method on the rows as given.
    InteriorPoint,
    /// Interior point method on a reduced problem of `rows` rows that has the solution of all, after `repaired` rows on the
    /// wrong side were put back.
    Preprocessed {
        /// Rows of the reduced problem.
        rows: usize,
        /// Rows put back.
        repaired: usize,
    },
    /// Newton's method along easier problems.
    Newton,
    /// Least squares (`p = 2`).
    LeastSquares,
    /// Descent along edges from the best fit on the way, where the sides of the rows could not be settled or a reduced problem
    /// had no solution.
    Edges,
    /// Problems of some rows, of passes over rows that lie elsewhere ([`crate::QuantileDriver`]).
    Passes,
}

impl Route {
    /// The words for tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::InteriorPoint => "interior point",
            Self::Preprocessed { .. } => "reduced problem",
            Self::Newton => "newton",
            Self::LeastSquares => "least squares",
            Self::Edges => "edges",
            Self::Passes => "passes",
        }
    }
}

/// Evidence of a fit.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Report {
    /// How the call ended.
    pub ending: Ending,
    /// Which way the solver went.
    pub route: Route,
    /// Number of solver steps.
    pub iterations: usize,
    /// Wall time of the call.
    pub seconds: Seconds,
    /// Number of rows that the solver saw.
    pub rows_used: usize,
    /// Number of rows scored by the method asked for; none where the solver saw all rows.
    pub rows_scored: usize,
    /// Numerical rank of the rows that the solver saw; below that of the table, coefficients are not determined by them.
    pub rank: usize,
}

/// Coefficients with their certificate on the full data.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Regression {
    /// `x`, one per column. Where columns depend on others, one of many solutions: zero for columns that depend on earlier
    /// ones, or of least norm after scaling where the dependency is not exact.
    pub coefficients: Vec<f64>,
    /// The intercept; zero where none was asked for.
    pub intercept: f64,
    /// Weighted loss over **all** rows.
    pub objective: f64,
    /// No `x` has a smaller loss over all rows; rounding is accounted for. It speaks of the columns up to numerical rank:
    /// a direction below about `1e-14` of the largest (such as seconds since 1970 beside an intercept) is not seen, so
    /// centre such columns first.
    pub lower_bound: Option<f64>,
    /// Why there is no lower bound.
    pub no_bound: Option<NoBound>,
    /// What may be claimed of it.
    pub status: Status,
    /// The evidence: how the call went, and what its claims rest on.
    pub report: Report,
}

impl Regression {
    /// `objective − lower_bound`: how far above the optimum the answer can be.
    pub fn gap(&self) -> Option<f64> {
        self.lower_bound.map(|bound| self.objective - bound)
    }

    /// Whether the status is [`Status::Converged`].
    pub fn converged(&self) -> bool {
        self.status == Status::Converged
    }

    /// Predictions `a_iᵀx` plus the intercept for rows, which may be new ones, in the columns of the table.
    ///
    /// # Errors
    /// [`Error::Data`] for rows of another number of columns.
    pub fn predict<'a>(&self, rows: impl Into<Rows<'a>>) -> Result<Vec<f64>, Error> {
        predict(rows.into(), &self.coefficients, self.intercept)
    }

    /// The fit of a target that is `2^e` times as large.
    pub(crate) fn multiply_target(mut self, e: i32, loss: Loss) -> Result<Self, Error> {
        if e == 0 {
            return Ok(self);
        }
        self.coefficients.iter_mut().for_each(|c| *c = ldexp(*c, e));
        // Two factors: the first alone may leave the range where the product does not.
        let half = (0.5 * loss.exponent() * f64::from(e)).exp2();
        let values = [Some(&mut self.objective), self.lower_bound.as_mut()];
        for value in values.into_iter().flatten().filter(|v| **v > 0.0) {
            // A loss that vanished would look like a perfect fit.
            *value = (*value * half * half).max(f64::from_bits(1));
        }
        check_objective(self.objective)?;
        Ok(self)
    }
}

pub(crate) fn predict(rows: Rows<'_>, coefficients: &[f64], intercept: f64) -> Result<Vec<f64>, Error> {
    if rows.columns() != coefficients.len() {
        let (given, expected) = (rows.columns(), coefficients.len());
        return Err(LinalgError::Length { argument: "columns of the rows", given, expected }.into());
    }
    let mut out = vec![0.0; rows.rows()];
    rows.multiply_vector_into(coefficients, &mut out);
    out.iter_mut().for_each(|v| *v += intercept);
    Ok(out)
}

/// How a solver ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Converged,
    Limit,
    Interrupted,
}

impl Outcome {
    pub fn of(converged: bool, interrupted: bool) -> Self {
        match (converged, interrupted) {
            (_, true) => Self::Interrupted,
            (true, _) => Self::Converged,
            _ => Self::Limit,
        }
    }

    /// Claim and ending.
    pub fn parts(self) -> (Status, Ending) {
        match self {
            Self::Converged => (Status::Converged, Ending::Finished),
            Self::Limit => (Status::NotConverged, Ending::Limit),
            Self::Interrupted => (Status::NotConverged, Ending::Interrupted),
        }
    }
}
