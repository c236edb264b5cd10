//! The fitted matrix.
use samplewise_linalg::{Matrix, chunk};

/// `M_ij ≈ μ + b_i + c_j + u_iᵀ v_j`.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// `μ`.
    pub mean: f64,
    /// `b`, zeros without biases.
    pub row_biases: Vec<f64>,
    /// `c`, zeros without biases.
    pub column_biases: Vec<f64>,
    /// `U`, `m × k`.
    pub row_factors: Matrix,
    /// `V`, `n × k`.
    pub column_factors: Matrix,
}

impl Model {
    /// Rank `k` of the factors.
    pub fn rank(&self) -> usize {
        self.row_factors.columns()
    }

    /// The prediction of one entry.
    ///
    /// # Panics
    /// When the position is outside the matrix.
    pub fn predict(&self, row: usize, column: usize) -> f64 {
        self.mean
            + self.row_biases[row]
            + self.column_biases[column]
            + chunk::dot(self.row_factors.row(row), self.column_factors.row(column))
    }

    /// Root mean square of `value − prediction`; `None` without entries.
    pub fn rmse(&self, entries: &[(usize, usize, f64)]) -> Option<f64> {
        let squares: Vec<f64> = entries.iter().map(|&(i, j, v)| (v - self.predict(i, j)).powi(2)).collect();
        (!squares.is_empty()).then(|| (chunk::sum(&squares) / squares.len() as f64).sqrt())
    }
}
