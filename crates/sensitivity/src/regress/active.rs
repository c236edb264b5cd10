//! Regression whose labels are asked for: only those of the sampled rows (row SEN-17).
use samplewise_linalg::observe::Observer;
use samplewise_linalg::{LinalgError, Rows};

use super::{Options, Status, check_design, fit_rows};
use crate::coreset::{Screened, screened_coreset};
use crate::loss::Loss;
use crate::{Coreset, SensitivityError};

/// Which labels are wanted, and what is made of them.
///
/// ```
/// use samplewise_linalg::Matrix;
/// use samplewise_sensitivity::{ActivePlan, Loss, Options};
/// let a = Matrix::from_fn(5000, 2, |i, j| if j == 0 { 1.0 } else { (i % 97) as f64 });
/// let plan = ActivePlan::new(&a, Loss::Lp(1.0), 200, &Options::default())?;
/// // Somebody measures these rows, at any time and any place.
/// let labels: Vec<f64> = plan.rows().iter().map(|&i| 3.0 + 0.5 * (i % 97) as f64 + ((i * 7) % 3) as f64 - 1.0).collect();
/// let fit = plan.fit(&a, &labels)?;
/// assert!((fit.coefficients[1] - 0.5).abs() < 0.02);
/// # Ok::<(), samplewise_sensitivity::SensitivityError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ActivePlan {
    coreset: Coreset,
    scored: usize,
    loss: Loss,
    tolerance: f64,
}

/// A fit from few labels. The loss on all rows is unknown: nobody has their labels.
#[derive(Clone, Debug, PartialEq)]
pub struct ActiveFit {
    /// `x`, one per column.
    pub coefficients: Vec<f64>,
    /// Weighted loss over the rows asked: an estimate of the loss over all rows, biased downwards by the fit.
    pub estimated_objective: f64,
    /// Labels asked.
    pub labels: usize,
    /// Numerical rank of the rows asked.
    pub rank: usize,
    /// Solver steps.
    pub iterations: usize,
    /// How the solver ended.
    pub status: Status,
}

impl ActivePlan {
    /// Chooses about `size` rows by their scores in `A` alone, for exponent `p` of the loss: with Lewis weights `d/ε²` rows
    /// up to logarithms suffice for `p = 1`, `d/ε` for `1 < p ≤ 2`, `d^{p/2}/ε^p` above (Musco, Musco, Woodruff and Yasuda
    /// 2022; Chen and Derezinski 2021).
    ///
    /// # Errors
    /// As [`super::regress_on_coreset`].
    pub fn new<'a>(
        a: impl Into<Rows<'a>>,
        loss: Loss,
        size: usize,
        options: &Options,
    ) -> Result<Self, SensitivityError> {
        let a = a.into();
        check_design(a, loss, options.tolerance)?;
        if size < a.columns() || size > a.rows() {
            return Err(SensitivityError::Size { size, least: a.columns(), rows: a.rows() });
        }
        let Screened { coreset, scored } = screened_coreset(a, loss.exponent(), size, options, &mut ())?;
        Ok(Self { coreset, scored, loss, tolerance: options.tolerance })
    }

    /// Rows whose labels are wanted, ascending.
    pub fn rows(&self) -> &[usize] {
        &self.coreset.rows
    }

    /// Weights of these rows.
    pub fn weights(&self) -> &[f64] {
        &self.coreset.weights
    }

    /// Rows scored by the method asked for: all, or those that a first draw by rough scores left.
    pub fn rows_scored(&self) -> usize {
        self.scored
    }

    /// Fits the labels of [`ActivePlan::rows`], in that order.
    ///
    /// # Errors
    /// [`SensitivityError::Data`] for labels of the wrong number, [`SensitivityError::Label`] for one that is not finite.
    pub fn fit<'a>(&self, a: impl Into<Rows<'a>>, labels: &[f64]) -> Result<ActiveFit, SensitivityError> {
        self.fit_observed(a, labels, &mut ())
    }

    /// [`ActivePlan::fit`] with progress and cancellation.
    ///
    /// # Errors
    /// As [`ActivePlan::fit`].
    pub fn fit_observed<'a>(
        &self,
        a: impl Into<Rows<'a>>,
        labels: &[f64],
        observer: &mut dyn Observer,
    ) -> Result<ActiveFit, SensitivityError> {
        let a = a.into();
        let Coreset { rows, weights, .. } = &self.coreset;
        if labels.len() != rows.len() {
            return Err(LinalgError::Length { argument: "labels", given: labels.len(), expected: rows.len() }.into());
        }
        if let Some(k) = labels.iter().position(|l| !l.is_finite()) {
            return Err(SensitivityError::Label { row: rows[k], value: labels[k] });
        }
        if let Some(&index) = rows.last().filter(|i| **i >= a.rows()) {
            return Err(LinalgError::IndexOutOfRange { argument: "rows of a", index, bound: a.rows() }.into());
        }
        let chosen = a.select_rows(rows);
        let (solved, rank) = fit_rows(&chosen, labels, weights, self.loss, self.tolerance, observer)?;
        let mut residual = vec![0.0; labels.len()];
        chosen.multiply_vector_into(&solved.x, &mut residual);
        residual.iter_mut().zip(labels).for_each(|(r, l)| *r = l - *r);
        let estimated_objective =
            residual.iter().zip(weights).map(|(r, w)| w * self.loss.value(std::slice::from_ref(r))).sum();
        Ok(ActiveFit {
            coefficients: solved.x,
            estimated_objective,
            labels: labels.len(),
            rank,
            iterations: solved.iterations,
            status: solved.status,
        })
    }
}

/// [`ActivePlan`] with an oracle that knows the label of a row: asked once for each sampled row, in ascending order.
///
/// # Errors
/// As [`ActivePlan::new`] and [`ActivePlan::fit`].
pub fn regress_active<'a>(
    a: impl Into<Rows<'a>>,
    oracle: impl FnMut(usize) -> f64,
    loss: Loss,
    size: usize,
    options: &Options,
) -> Result<ActiveFit, SensitivityError> {
    let a = a.into();
    let plan = ActivePlan::new(a, loss, size, options)?;
    let labels: Vec<f64> = plan.rows().iter().copied().map(oracle).collect();
    plan.fit(a, &labels)
}
