//! Memory that is used again: most matrices of a step are as large as those of the step before, and fresh pages cost as much
//! as the arithmetic.
use std::sync::Mutex;

use samplewise_linalg::Matrix;

/// Matrices of some steps, for whoever steps next.
#[derive(Debug, Default)]
pub(crate) struct Workspaces(Mutex<Vec<Workspace>>);

/// Matrices of one step; what stands in them is of no meaning.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub kernel: Matrix,
    pub matrix: Matrix,
    pub half: Matrix,
    pub inverse: Matrix,
    /// A row for each candidate.
    pub rows: Matrix,
    /// A row for each point.
    pub columns: Matrix,
}

impl Default for Workspace {
    fn default() -> Self {
        let [kernel, matrix, half, inverse, rows, columns] = [(); 6].map(|()| Matrix::zeros(0, 0));
        Self { kernel, matrix, half, inverse, rows, columns }
    }
}

impl Workspaces {
    /// Lends a workspace.
    pub fn with<T>(&self, use_it: impl FnOnce(&mut Workspace) -> T) -> T {
        let lent = self.0.lock().ok().and_then(|mut all| all.pop());
        let mut workspace = lent.unwrap_or_default();
        let out = use_it(&mut workspace);
        if let Ok(mut all) = self.0.lock() {
            all.push(workspace);
        }
        out
    }
}

/// Gives a matrix this shape; its entries are of no meaning.
pub(crate) fn shape(matrix: &mut Matrix, rows: usize, columns: usize) {
    if matrix.rows() != rows || matrix.columns() != columns {
        let mut data = std::mem::replace(matrix, Matrix::zeros(0, 0)).into_vec();
        data.resize(rows * columns, 0.0);
        *matrix = Matrix::from_vec(rows, columns, data).expect("as many entries as the shape has");
    }
}
