//! Settings, answers and how they ended.

/// Settings of [`solve`](crate::solve()) and [`path`](crate::path()).
#[derive(Clone, Debug)]
pub struct Options {
    /// Stop when `gap ≤ tolerance · null_objective`, where `null_objective` is the loss of `w = 0` (with intercept).
    /// Default 1e-8; finite, positive. Below about 1e-14 rounding decides.
    pub tolerance: f64,
    /// Share `α` of the ℓ1 term; 1 is the Lasso. Default 1, range `(0, 1]`.
    pub mix: f64,
    /// Fit an intercept. Default true.
    pub intercept: bool,
    /// Penalise the coefficients of columns scaled to unit standard deviation. Default false. Coefficients are always
    /// reported for the columns as given.
    pub standardize: bool,
    /// Only coefficients `≥ 0`: the same as lower bounds of zero. Default false.
    pub positive: bool,
    /// Lower bounds of the coefficients, each `≤ 0`, `−∞` for none. Default none.
    pub lower: Option<Vec<f64>>,
    /// Upper bounds of the coefficients, each `≥ 0`, `∞` for none. Default none.
    pub upper: Option<Vec<f64>>,
    /// Weights of the rows, finite and `≥ 0`, scaled to mean 1. Default all equal.
    pub sample_weights: Option<Vec<f64>>,
    /// Factors `ω_j ≥ 0` of the penalty; 0 leaves a column unpenalised, which needs both of its bounds infinite or both
    /// finite. Default all 1.
    pub penalty_factors: Option<Vec<f64>>,
    /// Which solver. Default [`Solver::Auto`].
    pub solver: Solver,
    /// Newton steps or sweeps of one minimisation over a working set. Default 10,000; where the gap is too wide then, the
    /// status says so. The homotopy has a limit of its own.
    pub max_iterations: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tolerance: 1e-8,
            mix: 1.0,
            intercept: true,
            standardize: false,
            positive: false,
            lower: None,
            upper: None,
            sample_weights: None,
            penalty_factors: None,
            solver: Solver::Auto,
            max_iterations: 10_000,
        }
    }
}

/// Which solver runs; all end at the same certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Solver {
    /// By shape: [`Solver::Homotopy`] for paths over many rows and few columns, else [`Solver::WorkingSet`], which turns
    /// to coordinate descent where the set grows too large for its Gram matrix. Sparse columns begin with coordinate
    /// descent and leave it once it has cost as much as that matrix would.
    #[default]
    Auto,
    /// Newton steps on the Gram matrix of a working set.
    WorkingSet,
    /// The exact piecewise linear path on the Gram matrix of all columns. Lasso without bounds other than signs and with
    /// every column penalised.
    Homotopy,
    /// Coordinate descent on the residual over a working set, with Anderson extrapolation.
    CoordinateDescent,
}

/// How a fit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The gap is within the tolerance.
    Converged,
    /// `max_iterations` was reached, or rounding keeps the gap above the tolerance. The coefficients are the best of where
    /// the fit ended, where it began and the null model.
    Limit,
    /// The observer stopped it; the best coefficients so far.
    Interrupted,
    /// The dual value came out above the objective by more than rounding explains: one of them is wrong, nothing is proven,
    /// and the gap is infinite.
    CertificateFailed,
}

impl Status {
    /// The word for tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Converged => "converged",
            Self::Limit => "limit",
            Self::Interrupted => "interrupted",
            Self::CertificateFailed => "certificate failed",
        }
    }
}

/// One fit with its certificate.
#[derive(Clone, Debug, PartialEq)]
pub struct Solution {
    /// λ.
    pub lambda: f64,
    /// Intercept, for the columns as given.
    pub intercept: f64,
    /// Nonzero coefficients `(column, value)`, column ascending, for the columns as given.
    pub coefficients: Vec<(usize, f64)>,
    /// Objective of the intercept and the coefficients as they are given here.
    pub primal: f64,
    /// Dual value less what rounding may have added to it: the minimum of the objective is not below it.
    pub dual: f64,
    /// The dual point is `dual_scale · s_i (y_i − x_iᵀw − b) / n`, from which anyone can compute `dual` again,
    /// up to rounding.
    pub dual_scale: f64,
    /// `primal − dual ≥ 0`; infinite where the dual value contradicts the objective.
    pub gap: f64,
    /// Objective of `w = 0`: the scale of the tolerance.
    pub null_objective: f64,
    /// Newton steps and sweeps.
    pub iterations: usize,
    /// Columns of the working set.
    pub working_set: usize,
    /// Columns whose correlation was computed for the certificate; all others were known to be feasible from an earlier
    /// residual.
    pub columns_checked: usize,
    /// The solver that ran.
    pub solver: Solver,
    /// How it ended.
    pub status: Status,
}

impl Solution {
    /// Whether the gap is within the tolerance.
    pub fn converged(&self) -> bool {
        self.status == Status::Converged
    }

    /// Coefficient of a column.
    pub fn coefficient(&self, column: usize) -> f64 {
        self.coefficients.binary_search_by_key(&column, |c| c.0).map_or(0.0, |at| self.coefficients[at].1)
    }
}
