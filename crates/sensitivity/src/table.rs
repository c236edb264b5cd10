//! The table that a solver sees: rows scaled by their weights, with a column for the intercept.
//!
//! `Σ w_i |b_i − a_iᵀx|^p = Σ |w_i^{1/p} b_i − (w_i^{1/p} a_i)ᵀx|^p`, and the same with `w_i` itself for quantiles.
use std::borrow::Cow;

use samplewise_linalg::{CsrMatrix, CsrView, LinalgError, Matrix, Rows};

use crate::Error;
use crate::loss::Loss;
use crate::options::Options;
use crate::power::Power;
use crate::regress::join;

/// See the module.
pub(crate) struct Table<'a> {
    given: Rows<'a>,
    /// The rows where they are not those given.
    dense: Option<Matrix>,
    sparse: Option<CsrMatrix>,
    /// The column of the intercept beside dense rows.
    beside: Option<Vec<f64>>,
    target: Cow<'a, [f64]>,
    intercept: bool,
}

impl<'a> Table<'a> {
    /// Of rows and a target that were checked.
    pub fn new(a: Rows<'a>, b: &'a [f64], loss: Loss, options: &Options) -> Result<Self, Error> {
        let (n, intercept) = (a.rows(), options.intercept);
        let factors = options.sample_weights.as_ref().map(|w| factors(w, n, loss)).transpose()?;
        let kept: Option<Vec<usize>> =
            factors.as_ref().filter(|f| f.contains(&0.0)).map(|f| (0..n).filter(|&i| f[i] > 0.0).collect());
        let column: Vec<f64> = match (&factors, &kept) {
            (Some(f), Some(kept)) => kept.iter().map(|&i| f[i]).collect(),
            (Some(f), None) => f.clone(),
            (None, _) => vec![1.0; if intercept { n } else { 0 }],
        };
        let target: Cow<'a, [f64]> = match (&factors, &kept) {
            (Some(f), Some(kept)) => kept.iter().map(|&i| f[i] * b[i]).collect::<Vec<f64>>().into(),
            (Some(f), None) => f.iter().zip(b).map(|(f, b)| f * b).collect::<Vec<f64>>().into(),
            (None, _) => b.into(),
        };
        let mut out = Self { given: a, dense: None, sparse: None, beside: None, target, intercept };
        match a {
            Rows::Sparse(x) => {
                let scaled = factors.is_some().then(|| scaled_sparse(x, &column, kept.as_deref())).transpose()?;
                out.sparse = match (scaled, intercept) {
                    (Some(x), true) => Some(join(x.view(), &column)?),
                    (None, true) => Some(join(x, &column)?),
                    (scaled, false) => scaled,
                };
            }
            Rows::View(_) | Rows::Joined(..) => {
                if factors.is_some() || (intercept && matches!(a, Rows::Joined(..))) {
                    let mut x = a.select_rows(&kept.unwrap_or_else(|| (0..n).collect()));
                    for (i, f) in column.iter().enumerate() {
                        x.row_mut(i).iter_mut().for_each(|v| *v *= f);
                    }
                    x.check_finite("a times the roots of its weights")?;
                    out.dense = Some(x);
                }
                out.beside = intercept.then_some(column);
            }
        }
        if let Some(row) = out.target.iter().position(|v| !v.is_finite()) {
            let argument = "b times the roots of its weights";
            return Err(LinalgError::NotFinite { argument, row, column: 0, value: out.target[row] }.into());
        }
        Ok(out)
    }

    /// The rows that are minimised over; the intercept's column is the last.
    pub fn rows(&self) -> Rows<'_> {
        match (self.given, &self.dense, &self.sparse, &self.beside) {
            (_, _, Some(x), _) => x.into(),
            (_, Some(x), _, Some(beside)) => Rows::Joined(x.view(), beside),
            (Rows::View(x), None, _, Some(beside)) => Rows::Joined(x, beside),
            (_, Some(x), _, None) => Rows::View(x.view()),
            (given, ..) => given,
        }
    }

    /// The target of the rows.
    pub fn target(&self) -> &[f64] {
        &self.target
    }

    /// Takes the intercept from the coefficients.
    pub fn split(&self, coefficients: &mut Vec<f64>, intercept: &mut f64) {
        if self.intercept {
            *intercept = coefficients.pop().unwrap_or(0.0);
        }
    }
}

/// Factors of the rows; zero for rows that take no part.
fn factors(weights: &[f64], n: usize, loss: Loss) -> Result<Vec<f64>, Error> {
    if weights.len() != n {
        return Err(LinalgError::Length { argument: "sample_weights", given: weights.len(), expected: n }.into());
    }
    if let Some(&w) = weights.iter().find(|w| !(w.is_finite() && **w >= 0.0)) {
        return Err(Error::argument("sample_weights", w, "finite and at least 0"));
    }
    if weights.iter().all(|w| *w == 0.0) {
        return Err(Error::argument("sample_weights", 0.0, "above 0 for at least one row"));
    }
    let root = Power::new(1.0 / loss.exponent());
    Ok(weights.iter().map(|&w| root.of(w)).collect())
}

fn scaled_sparse(x: CsrView<'_>, factors: &[f64], kept: Option<&[usize]>) -> Result<CsrMatrix, LinalgError> {
    let (mut offsets, mut indices, mut values) = (vec![0], Vec::new(), Vec::new());
    for (k, f) in factors.iter().enumerate() {
        let (columns, entries) = x.row(kept.map_or(k, |kept| kept[k]));
        indices.extend(columns);
        values.extend(entries.iter().map(|v| f * v));
        offsets.push(values.len());
    }
    CsrMatrix::from_parts(factors.len(), x.columns(), offsets, indices, values)
}
