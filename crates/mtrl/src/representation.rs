//! Empirical risk minimiser `min_{B,W} Σ_m ‖X_m B w_m − y_m‖²`: spectral start, then alternating least squares with a
//! conjugate-gradient step for `B`. Only the sufficient statistics `X_mᵀX_m`, `X_mᵀy_m` are used.
use rand::Rng;
use samplewise_linalg::factor::{Cholesky, dense_svd};
use samplewise_linalg::gram::gram;
use samplewise_linalg::krylov::conjugate_gradient;
use samplewise_linalg::svd::{SvdOptions, truncated_svd};
use samplewise_linalg::{LinalgError, Matrix, chunk};

use crate::MtrlError;

/// Sufficient statistics of one task; they add up when data are added.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskData {
    /// Rows seen.
    pub samples: usize,
    /// `XᵀX`.
    pub gram: Matrix,
    /// `Xᵀy`.
    pub right: Vec<f64>,
}

impl TaskData {
    /// Of `x` (`n × d`) and `y`.
    ///
    /// # Errors
    /// [`MtrlError::Data`] for entries that are not finite or lengths that do not match.
    pub fn new(x: &Matrix, y: &[f64]) -> Result<Self, MtrlError> {
        x.check_finite("x")?;
        if let Some(row) = y.iter().position(|v| !v.is_finite()) {
            return Err(LinalgError::NotFinite { argument: "y", row, column: 0, value: y[row] }.into());
        }
        let g = gram(x, None, Some(y))?;
        Ok(Self { samples: x.rows(), gram: g.matrix, right: g.right })
    }

    /// Adds more data of the same task.
    pub fn add(&mut self, other: &TaskData) {
        self.samples += other.samples;
        chunk::axpy(1.0, other.gram.as_slice(), self.gram.as_mut_slice());
        chunk::axpy(1.0, &other.right, &mut self.right);
    }

    /// `argmin_w ‖X B w − y‖² + ridge‖w‖²`.
    ///
    /// # Errors
    /// [`LinalgError::Shape`] when the basis does not have a row per feature.
    pub fn weights(&self, basis: &Matrix, ridge: f64) -> Result<Vec<f64>, LinalgError> {
        let reduced = basis.transpose().multiply(&self.gram.multiply(basis)?)?;
        let mut w = vec![0.0; basis.columns()];
        basis.multiply_transpose_vector_into(&self.right, &mut w);
        let trace: f64 = (0..w.len()).map(|i| reduced[(i, i)]).sum();
        Cholesky::new(&reduced, ridge + 1e-10 * trace + f64::MIN_POSITIVE)?.solve_in_place(&mut w);
        Ok(w)
    }
}

/// Shared basis and the weights of every task.
#[derive(Clone, Debug, PartialEq)]
pub struct Representation {
    /// `B`, `d × K`, orthonormal columns.
    pub basis: Matrix,
    /// `W`, `K × M`.
    pub weights: Matrix,
}

/// Fits `B` and `W` (row MTL-1). The outer iteration stops after 12 rounds; each costs `15·M·d²` flops.
///
/// # Errors
/// [`MtrlError::Dimension`], [`MtrlError::Data`].
pub fn fit_representation<R: Rng + ?Sized>(
    tasks: &[TaskData],
    dimension: usize,
    rng: &mut R,
) -> Result<Representation, MtrlError> {
    let d = tasks.first().map_or(0, |t| t.right.len());
    let limit = d.min(tasks.len());
    if dimension == 0 || dimension > limit {
        return Err(MtrlError::Dimension { dimension, limit });
    }
    // Spectral start: moments X_mᵀy_m/√n_m span B in expectation.
    let moments = Matrix::from_fn(d, tasks.len(), |i, m| tasks[m].right[i] / (tasks[m].samples.max(1) as f64).sqrt());
    let mut basis = truncated_svd(&moments, dimension, &SvdOptions::default(), rng)?.u;
    if basis.columns() < dimension {
        return Err(MtrlError::Dimension { dimension, limit: basis.columns() });
    }
    for _ in 0..12 {
        let w = all_weights(tasks, &basis)?;
        let mut right = Matrix::zeros(d, dimension);
        for (m, t) in tasks.iter().enumerate() {
            for i in 0..d {
                for k in 0..dimension {
                    right[(i, k)] += t.right[i] * w[(k, m)];
                }
            }
        }
        let mut b = basis.as_slice().to_vec();
        let apply = |x: &[f64], out: &mut [f64]| {
            out.fill(0.0);
            let x = Matrix::from_vec(d, dimension, x.to_vec()).expect("d·K entries");
            for (m, t) in tasks.iter().enumerate() {
                let wm = w.copy_column(m);
                let (mut v, mut gv) = (vec![0.0; d], vec![0.0; d]);
                x.multiply_vector_into(&wm, &mut v);
                t.gram.multiply_vector_into(&v, &mut gv);
                for i in 0..d {
                    for k in 0..dimension {
                        out[i * dimension + k] += gv[i] * wm[k];
                    }
                }
            }
        };
        conjugate_gradient(apply, right.as_slice(), &mut b, 1e-10, 15);
        basis = dense_svd(&Matrix::from_vec(d, dimension, b)?)?.u;
    }
    let weights = all_weights(tasks, &basis)?;
    Ok(Representation { basis, weights })
}

fn all_weights(tasks: &[TaskData], basis: &Matrix) -> Result<Matrix, LinalgError> {
    let w: Vec<Vec<f64>> = tasks.iter().map(|t| t.weights(basis, 0.0)).collect::<Result<_, _>>()?;
    Ok(Matrix::from_fn(basis.columns(), tasks.len(), |k, m| w[m][k]))
}
