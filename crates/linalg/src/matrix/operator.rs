//! Products with a matrix that need not exist.
use crate::{CsrMatrix, Matrix, spmm, sums};

/// A linear map `ℝⁿ → ℝᵐ` with its transpose; object safe.
///
/// Lengths are the caller's promise: implementations panic, with both numbers, when they do not match.
pub trait LinearOperator: Sync {
    /// `(rows, columns)`.
    fn shape(&self) -> (usize, usize);
    /// `y = A x`.
    fn apply_into(&self, x: &[f64], y: &mut [f64]);
    /// `y = Aᵀ x`.
    fn apply_transpose_into(&self, x: &[f64], y: &mut [f64]);

    /// Frobenius norm, exact where the entries are at hand; otherwise from the products with the unit vectors.
    fn frobenius_norm(&self) -> f64 {
        let (m, n) = self.shape();
        let (mut unit, mut column) = (vec![0.0; n], vec![0.0; m]);
        let norms: Vec<f64> = (0..n)
            .map(|j| {
                unit.fill(0.0);
                unit[j] = 1.0;
                self.apply_into(&unit, &mut column);
                sums::norm(&column)
            })
            .collect();
        sums::norm(&norms)
    }

    /// `A X` for a block of columns.
    fn apply_block(&self, x: &Matrix) -> Matrix {
        by_columns(x, self.shape().0, |x, y| self.apply_into(x, y))
    }

    /// `Aᵀ X` for a block of columns.
    fn apply_transpose_block(&self, x: &Matrix) -> Matrix {
        by_columns(x, self.shape().1, |x, y| self.apply_transpose_into(x, y))
    }
}

fn by_columns(x: &Matrix, rows: usize, mut apply: impl FnMut(&[f64], &mut [f64])) -> Matrix {
    let mut out = Matrix::zeros(rows, x.columns());
    let mut y = vec![0.0; rows];
    for j in 0..x.columns() {
        apply(&x.copy_column(j), &mut y);
        for (i, &v) in y.iter().enumerate() {
            out[(i, j)] = v;
        }
    }
    out
}

impl LinearOperator for Matrix {
    fn shape(&self) -> (usize, usize) {
        (self.rows(), self.columns())
    }
    fn apply_into(&self, x: &[f64], y: &mut [f64]) {
        self.multiply_vector_into(x, y);
    }
    fn apply_transpose_into(&self, x: &[f64], y: &mut [f64]) {
        self.multiply_transpose_vector_into(x, y);
    }
    fn frobenius_norm(&self) -> f64 {
        self.norm()
    }
    fn apply_block(&self, x: &Matrix) -> Matrix {
        self.multiply(x).expect("the block has as many rows as the operator has columns")
    }
}

impl LinearOperator for CsrMatrix {
    fn shape(&self) -> (usize, usize) {
        (self.rows(), self.columns())
    }
    fn apply_into(&self, x: &[f64], y: &mut [f64]) {
        spmm::multiply_vector_into(self, x, y);
    }
    fn apply_transpose_into(&self, x: &[f64], y: &mut [f64]) {
        spmm::multiply_transpose_vector_into(self, x, y);
    }
    fn frobenius_norm(&self) -> f64 {
        sums::norm(self.values())
    }
    fn apply_block(&self, x: &Matrix) -> Matrix {
        spmm::multiply(self, x)
    }
    fn apply_transpose_block(&self, x: &Matrix) -> Matrix {
        spmm::multiply_transpose(self, x)
    }
}

/// A sparse matrix with its transpose stored beside it, so that both products run over rows.
#[derive(Clone, Debug)]
pub struct BothOrientations {
    /// The matrix, by rows.
    pub by_row: CsrMatrix,
    /// Its transpose, by rows: the matrix by columns.
    pub by_column: CsrMatrix,
}

impl BothOrientations {
    /// Keeps a matrix with its transpose, which is made once.
    pub fn new(by_row: CsrMatrix) -> Self {
        let by_column = by_row.transpose();
        Self { by_row, by_column }
    }
}

impl LinearOperator for BothOrientations {
    fn shape(&self) -> (usize, usize) {
        self.by_row.shape()
    }
    fn apply_into(&self, x: &[f64], y: &mut [f64]) {
        self.by_row.apply_into(x, y);
    }
    fn apply_transpose_into(&self, x: &[f64], y: &mut [f64]) {
        self.by_column.apply_into(x, y);
    }
    fn frobenius_norm(&self) -> f64 {
        self.by_row.frobenius_norm()
    }
    fn apply_block(&self, x: &Matrix) -> Matrix {
        spmm::multiply(&self.by_row, x)
    }
    fn apply_transpose_block(&self, x: &Matrix) -> Matrix {
        spmm::multiply(&self.by_column, x)
    }
}

/// `α A`.
pub struct Scaled<'a>(pub f64, pub &'a dyn LinearOperator);

impl LinearOperator for Scaled<'_> {
    fn shape(&self) -> (usize, usize) {
        self.1.shape()
    }
    fn apply_into(&self, x: &[f64], y: &mut [f64]) {
        self.1.apply_into(x, y);
        y.iter_mut().for_each(|v| *v *= self.0);
    }
    fn apply_transpose_into(&self, x: &[f64], y: &mut [f64]) {
        self.1.apply_transpose_into(x, y);
        y.iter_mut().for_each(|v| *v *= self.0);
    }
}

/// `A + B`, equal shapes.
pub struct Sum<'a>(pub &'a dyn LinearOperator, pub &'a dyn LinearOperator);

impl LinearOperator for Sum<'_> {
    fn shape(&self) -> (usize, usize) {
        assert_eq!(self.0.shape(), self.1.shape(), "a sum of operators of different shapes");
        self.0.shape()
    }
    fn apply_into(&self, x: &[f64], y: &mut [f64]) {
        let mut t = vec![0.0; y.len()];
        self.1.apply_into(x, &mut t);
        self.0.apply_into(x, y);
        sums::axpy(1.0, &t, y);
    }
    fn apply_transpose_into(&self, x: &[f64], y: &mut [f64]) {
        let mut t = vec![0.0; y.len()];
        self.1.apply_transpose_into(x, &mut t);
        self.0.apply_transpose_into(x, y);
        sums::axpy(1.0, &t, y);
    }
}

/// `A B`.
pub struct Product<'a>(pub &'a dyn LinearOperator, pub &'a dyn LinearOperator);

impl LinearOperator for Product<'_> {
    fn shape(&self) -> (usize, usize) {
        (self.0.shape().0, self.1.shape().1)
    }
    fn apply_into(&self, x: &[f64], y: &mut [f64]) {
        let mut t = vec![0.0; self.1.shape().0];
        self.1.apply_into(x, &mut t);
        self.0.apply_into(&t, y);
    }
    fn apply_transpose_into(&self, x: &[f64], y: &mut [f64]) {
        let mut t = vec![0.0; self.0.shape().1];
        self.0.apply_transpose_into(x, &mut t);
        self.1.apply_transpose_into(&t, y);
    }
}

/// `U Vᵀ`, from tall factors.
pub struct LowRank<'a>(pub &'a Matrix, pub &'a Matrix);

impl LinearOperator for LowRank<'_> {
    fn shape(&self) -> (usize, usize) {
        (self.0.rows(), self.1.rows())
    }
    fn apply_into(&self, x: &[f64], y: &mut [f64]) {
        let mut t = vec![0.0; self.1.columns()];
        self.1.multiply_transpose_vector_into(x, &mut t);
        self.0.multiply_vector_into(&t, y);
    }
    fn apply_transpose_into(&self, x: &[f64], y: &mut [f64]) {
        let mut t = vec![0.0; self.0.columns()];
        self.0.multiply_transpose_vector_into(x, &mut t);
        self.1.multiply_vector_into(&t, y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CooBuilder, Duplicates};

    /// `⟨A x, y⟩ = ⟨x, Aᵀ y⟩` for every operator; integers, hence equality.
    #[test]
    fn every_operator_is_the_transpose_of_its_transpose() {
        let dense = Matrix::from_fn(6, 4, |i, j| (i * 3 + j * 5) as f64 % 7.0 - 3.0);
        let square = Matrix::from_fn(4, 4, |i, j| (i * 2 + j) as f64 % 5.0 - 2.0);
        let mut coo = CooBuilder::new(6, 4);
        for (i, j, v) in [(0, 1, 2.0), (3, 0, -1.0), (5, 3, 4.0), (3, 2, 1.0)] {
            coo.push(i, j, v).unwrap();
        }
        let sparse = coo.build(Duplicates::Error).unwrap();
        let both = BothOrientations::new(sparse.clone());
        let sum = Sum(&dense, &sparse);
        let product = Product(&dense, &square);
        let scaled = Scaled(-3.0, &sparse);
        let low_rank = LowRank(&dense, &square);
        let operators: [&dyn LinearOperator; 7] = [&dense, &sparse, &both, &sum, &product, &scaled, &low_rank];
        for a in operators {
            let (m, n) = a.shape();
            let x: Vec<f64> = (0..n).map(|i| (i * i) as f64 - 3.0).collect();
            let y: Vec<f64> = (0..m).map(|i| 2.0 - i as f64).collect();
            let (mut ax, mut aty) = (vec![f64::NAN; m], vec![f64::NAN; n]);
            a.apply_into(&x, &mut ax);
            a.apply_transpose_into(&y, &mut aty);
            assert_eq!(sums::dot(&ax, &y), sums::dot(&x, &aty));
            let block = a.apply_block(&Matrix::from_fn(n, 2, |i, j| x[i] * (j as f64 + 1.0)));
            let block_t = a.apply_transpose_block(&Matrix::from_fn(m, 1, |i, _| y[i]));
            for i in 0..m {
                assert_eq!(block[(i, 1)], 2.0 * ax[i]);
            }
            assert_eq!(block_t.as_slice(), aty);
        }
    }
}
