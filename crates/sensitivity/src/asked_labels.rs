//! Regression whose labels are asked for: only those of the sampled rows (row SEN-17).
use std::time::Instant;

use samplewise_linalg::observe::Observer;
use samplewise_linalg::{LinalgError, Rows, Seconds};

use crate::answer::{Report, Status, predict};
use crate::coreset::{ScreenedCoreset, screened_coreset_observed};
use crate::loss::Loss;
use crate::options::CoresetOptions;
use crate::regress::{check_design, fit_rows};
use crate::{Coreset, Error};

/// Which labels are wanted, and what is made of them: [`LabelPlan::ask`], [`LabelPlan::tell`], [`LabelPlan::finish`].
///
/// Row SEN-17 of `paper-refs.md`.
///
/// ```
/// use samplewise_sensitivity::{CoresetOptions, LabelPlan, Loss, Matrix};
/// let a = Matrix::from_fn(5000, 2, |i, j| if j == 0 { 1.0 } else { (i % 97) as f64 });
/// let mut plan = LabelPlan::new(&a, Loss::Lp(1.0), 200, &CoresetOptions::default())?;
/// // Somebody measures these rows, at any time and any place, and in as many parts as needed.
/// while !plan.ask().is_empty() {
///     let some = plan.ask().iter().take(60);
///     let labels: Vec<f64> = some.map(|&i| 3.0 + 0.5 * (i % 97) as f64 + ((i * 7) % 3) as f64 - 1.0).collect();
///     plan.tell(&labels)?;
/// }
/// let fit = plan.finish(&a)?;
/// assert!((fit.coefficients[1] - 0.5).abs() < 0.02);
/// # Ok::<(), samplewise_sensitivity::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LabelPlan {
    coreset: Coreset,
    rows_scored: usize,
    columns: usize,
    loss: Loss,
    options: CoresetOptions,
    labels: Vec<f64>,
}

/// A fit from few labels. The loss on all rows is unknown: nobody has their labels.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LabelFit {
    /// `x`, one per column.
    pub coefficients: Vec<f64>,
    /// Weighted loss over the rows asked: an estimate of the loss over all rows, biased downwards by the fit.
    pub estimated_objective: f64,
    /// Whether the fit of the labels met the tolerance of its solver.
    pub status: Status,
    /// The evidence; the rows used are those asked.
    pub report: Report,
}

impl LabelFit {
    /// Whether the status is [`Status::Converged`].
    pub fn converged(&self) -> bool {
        self.status == Status::Converged
    }

    /// Predictions `a_iᵀx` for rows, which may be new ones, in the columns of the table.
    ///
    /// # Errors
    /// [`Error::Data`] for rows of another number of columns.
    pub fn predict<'a>(&self, rows: impl Into<Rows<'a>>) -> Result<Vec<f64>, Error> {
        predict(rows.into(), &self.coefficients, 0.0)
    }
}

impl LabelPlan {
    /// Chooses about `size` rows by their scores in `A` alone, for exponent `p` of the loss: with Lewis weights `d/ε²` rows
    /// up to logarithms suffice for `p = 1`, `d/ε` for `1 < p ≤ 2`, `d^{p/2}/ε^p` above (Musco, Musco, Woodruff and Yasuda
    /// 2022; Chen and Derezinski 2021).
    ///
    /// # Errors
    /// As [`crate::regress_on_coreset`]; [`Error::Argument`] for weights and an intercept: the table must hold what is fitted.
    pub fn new<'a>(a: impl Into<Rows<'a>>, loss: Loss, size: usize, options: &CoresetOptions) -> Result<Self, Error> {
        Self::new_observed(a, loss, size, options, &mut ())
    }

    /// [`LabelPlan::new`] with progress and cancellation.
    ///
    /// # Errors
    /// As [`LabelPlan::new`]; [`Error::Interrupted`].
    pub fn new_observed<'a>(
        a: impl Into<Rows<'a>>,
        loss: Loss,
        size: usize,
        options: &CoresetOptions,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        let a = a.into();
        check_design(a, loss, &options.fit)?;
        if options.fit.sample_weights.is_some() {
            return Err(Error::count("sample_weights", a.rows(), "none where labels are asked for"));
        }
        if options.fit.intercept {
            return Err(Error::count(
                "intercept",
                1,
                "none where labels are asked for: give the table a column of ones",
            ));
        }
        if size < a.columns() || size > a.rows() {
            return Err(Error::Size { size, least: a.columns(), rows: a.rows() });
        }
        let ScreenedCoreset { coreset, rows_scored } =
            screened_coreset_observed(a, loss.exponent(), size, options, observer)?;
        let (columns, options) = (a.columns(), options.clone());
        Ok(Self { coreset, rows_scored, columns, loss, options, labels: Vec::new() })
    }

    /// Rows whose labels are wanted, ascending, without those that were told.
    pub fn ask(&self) -> &[usize] {
        &self.coreset.rows[self.labels.len()..]
    }

    /// All rows that are asked for, and their weights.
    pub fn coreset(&self) -> &Coreset {
        &self.coreset
    }

    /// Takes the labels of the first rows of [`LabelPlan::ask`], in that order.
    ///
    /// # Errors
    /// [`Error::Data`] for more labels than rows, [`Error::Label`] for one that is not finite; none is taken then.
    pub fn tell(&mut self, labels: &[f64]) -> Result<(), Error> {
        let wanted = self.ask();
        if labels.len() > wanted.len() {
            let (given, expected) = (labels.len(), wanted.len());
            return Err(LinalgError::Length { argument: "labels", given, expected }.into());
        }
        if let Some(k) = labels.iter().position(|l| !l.is_finite()) {
            return Err(Error::Label { row: wanted[k], value: labels[k] });
        }
        self.labels.extend_from_slice(labels);
        Ok(())
    }

    /// Fits the labels; `a` is the table that the plan was made for.
    ///
    /// # Errors
    /// [`Error::Data`] for another table, and while labels are missing.
    pub fn finish<'a>(&self, a: impl Into<Rows<'a>>) -> Result<LabelFit, Error> {
        self.finish_observed(a, &mut ())
    }

    /// [`LabelPlan::finish`] with progress and cancellation; when stopped, the best coefficients by then.
    ///
    /// # Errors
    /// As [`LabelPlan::finish`].
    pub fn finish_observed<'a>(&self, a: impl Into<Rows<'a>>, observer: &mut dyn Observer) -> Result<LabelFit, Error> {
        let (start, a) = (Instant::now(), a.into());
        let (Coreset { rows, weights, .. }, labels) = (&self.coreset, &self.labels);
        if labels.len() != rows.len() {
            let (given, expected) = (labels.len(), rows.len());
            return Err(LinalgError::Length { argument: "labels told", given, expected }.into());
        }
        if let Some(&index) = rows.last().filter(|i| **i >= a.rows()) {
            return Err(LinalgError::IndexOutOfRange { argument: "rows of a", index, bound: a.rows() }.into());
        }
        if a.columns() != self.columns {
            let (given, expected) = (a.columns(), self.columns);
            return Err(LinalgError::Length { argument: "columns of a", given, expected }.into());
        }
        let chosen = a.select_rows(rows);
        let (solved, rank) = fit_rows(&chosen, labels, weights, self.loss, self.options.fit.tolerance, observer)?;
        let mut residual = vec![0.0; labels.len()];
        chosen.multiply_vector_into(&solved.x, &mut residual);
        residual.iter_mut().zip(labels).for_each(|(r, l)| *r = l - *r);
        let estimated_objective =
            residual.iter().zip(weights).map(|(r, w)| w * self.loss.value(std::slice::from_ref(r))).sum();
        let (status, ending) = solved.outcome.parts();
        let report = Report {
            ending,
            route: solved.route,
            iterations: solved.iterations,
            seconds: Seconds::since(start),
            rows_used: rows.len(),
            rows_scored: self.rows_scored,
            rank,
        };
        Ok(LabelFit { coefficients: solved.x, estimated_objective, status, report })
    }
}

/// [`LabelPlan`] with an oracle that knows the label of a row: asked once for each sampled row, in ascending order.
///
/// # Errors
/// As [`LabelPlan::new`], [`LabelPlan::tell`] and [`LabelPlan::finish`].
pub fn regress_asking<'a>(
    a: impl Into<Rows<'a>>,
    oracle: impl FnMut(usize) -> f64,
    loss: Loss,
    size: usize,
    options: &CoresetOptions,
) -> Result<LabelFit, Error> {
    regress_asking_observed(a, oracle, loss, size, options, &mut ())
}

/// [`regress_asking`] with progress and cancellation.
///
/// # Errors
/// As [`regress_asking`]; [`Error::Interrupted`] before all labels are there.
pub fn regress_asking_observed<'a>(
    a: impl Into<Rows<'a>>,
    oracle: impl FnMut(usize) -> f64,
    loss: Loss,
    size: usize,
    options: &CoresetOptions,
    observer: &mut dyn Observer,
) -> Result<LabelFit, Error> {
    let a = a.into();
    let mut plan = LabelPlan::new_observed(a, loss, size, options, observer)?;
    let labels: Vec<f64> = plan.ask().iter().copied().map(oracle).collect();
    plan.tell(&labels)?;
    plan.finish_observed(a, observer)
}
