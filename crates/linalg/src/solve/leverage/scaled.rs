//! Columns brought to about the same size by powers of two, and rows weighted.
use rayon::prelude::*;

use crate::dense::ROW_BLOCK;
use crate::rows::Rows;
use crate::{CsrMatrix, LinalgError, Matrix, MatrixView, sums};

/// `A` with columns scaled and rows weighted.
pub(super) enum Scaled {
    Dense(Matrix),
    Sparse(CsrMatrix),
}

impl Scaled {
    pub fn new(a: Rows<'_>, scales: &[f64], weights: Option<&[f64]>) -> Result<Self, LinalgError> {
        let roots: Option<Vec<f64>> = weights.map(|w| w.iter().map(|w| w.sqrt()).collect());
        Ok(match a {
            Rows::View(_) | Rows::Joined(..) => {
                let mut copy = a.copy_to_dense()?;
                scale_columns_in_place(&mut copy, scales);
                if let Some(roots) = &roots {
                    for (row, w) in copy.as_mut_slice().chunks_exact_mut(a.columns().max(1)).zip(roots) {
                        row.iter_mut().for_each(|v| *v *= w);
                    }
                }
                Scaled::Dense(copy)
            }
            Rows::Sparse(a) => {
                let mut copy = a.copy_to_matrix();
                let values = copy.values_mut();
                for i in 0..a.rows() {
                    let root = roots.as_ref().map_or(1.0, |r| r[i]);
                    for p in a.row_range(i) {
                        values[p] = values[p] / scales[a.indices()[p] as usize] * root;
                    }
                }
                Scaled::Sparse(copy)
            }
        })
    }

    pub fn rows(&self) -> Rows<'_> {
        match self {
            Scaled::Dense(m) => m.into(),
            Scaled::Sparse(m) => m.into(),
        }
    }
}

/// Power of two at or above the largest entry of each column.
pub(crate) fn column_scales<'a>(a: impl Into<Rows<'a>>) -> Vec<f64> {
    let a = a.into();
    let d = a.columns();
    let largest = match a {
        Rows::Joined(a, b) => {
            let mut scales = column_scales(a);
            scales.push(sums::power_of_two_scale(b.iter().fold(0.0, |m, v| f64::max(m, v.abs()))));
            return scales;
        }
        Rows::Sparse(a) => {
            let mut largest = vec![0.0_f64; d];
            a.iter().for_each(|(_, j, v)| largest[j] = largest[j].max(v.abs()));
            largest
        }
        Rows::View(a) => largest_entries(a),
    };
    largest.into_iter().map(sums::power_of_two_scale).collect()
}

/// Largest absolute entry of each column.
fn largest_entries(a: MatrixView<'_>) -> Vec<f64> {
    let (n, d) = (a.rows(), a.columns());
    let parts: Vec<Vec<f64>> = (0..n.div_ceil(16 * ROW_BLOCK))
        .into_par_iter()
        .map(|b| {
            let mut largest = vec![0.0_f64; d];
            let rows = b * 16 * ROW_BLOCK..((b + 1) * 16 * ROW_BLOCK).min(n);
            // A comparison instead of `max`, which the vectoriser takes apart for the sake of NaN.
            let larger = |m: f64, v: f64| if v.abs() > m { v.abs() } else { m };
            a.for_rows(rows, |_, row| largest.iter_mut().zip(row).for_each(|(m, v)| *m = larger(*m, *v)));
            largest
        })
        .collect();
    (0..d).map(|j| parts.iter().fold(0.0_f64, |m, p| m.max(p[j]))).collect()
}

/// A copy with every column divided by its scale.
pub(crate) fn scale_columns(a: &Matrix, scales: &[f64]) -> Matrix {
    let mut scaled = a.clone();
    scale_columns_in_place(&mut scaled, scales);
    scaled
}

/// Divides every column by its scale.
fn scale_columns_in_place(a: &mut Matrix, scales: &[f64]) {
    let d = a.columns();
    if d == 0 || scales.iter().all(|s| *s == 1.0) {
        return;
    }
    // Powers of two: the product with the reciprocal is the quotient, unless the reciprocal is out of range.
    let reciprocals: Vec<f64> = scales.iter().map(|s| 1.0 / s).collect();
    let exact = reciprocals.iter().all(|r| r.is_normal());
    a.as_mut_slice().par_chunks_mut(ROW_BLOCK * d).for_each(|rows| {
        for row in rows.chunks_exact_mut(d) {
            if exact {
                row.iter_mut().zip(&reciprocals).for_each(|(v, r)| *v *= r);
            } else {
                row.iter_mut().zip(scales).for_each(|(v, s)| *v /= s);
            }
        }
    });
}
