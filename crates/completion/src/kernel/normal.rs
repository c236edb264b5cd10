//! The normal matrix of every row, factored: preconditioner and elimination of the finish.
use samplewise_linalg::batched::NormalFactors;
use samplewise_linalg::{LinalgError, MatrixView};

use super::{KernelReal, Panel};
use crate::data::entries::Orientation;

/// The Cholesky factors of all normal matrices `Σ_j w other_j other_jᵀ + ridge·I`, one per row.
#[derive(Debug)]
pub(crate) struct Normal<T>(NormalFactors<T>);

impl<T: KernelReal> Normal<T> {
    /// Bytes that the factors of so many rows take.
    pub fn bytes(rows: usize, columns: usize) -> u128 {
        NormalFactors::<T>::bytes(rows, columns)
    }

    /// Forms and factors; an error where `other` has left the range of `T`.
    pub fn new(entries: &Orientation<T>, other: &Panel<T>, ridge: f64) -> Result<Self, LinalgError> {
        let (view, weights) = (view(other)?, weights(entries));
        let ridge = T::from_f64(ridge);
        NormalFactors::new(view, &entries.values, weights, ridge, smallest_pivot()).map(Self)
    }

    /// New factors in the memory of the old ones.
    pub fn update(&mut self, entries: &Orientation<T>, other: &Panel<T>, ridge: f64) -> Result<(), LinalgError> {
        let (view, weights) = (view(other)?, weights(entries));
        self.0.update(view, &entries.values, weights, T::from_f64(ridge), smallest_pivot())
    }

    /// Row `i` of `out` becomes `G_i⁻¹ x_i`; not finite where that is out of range, which the step then shows.
    pub fn solve(&self, x: &Panel<T>, out: &mut Panel<T>) {
        let done = self.0.solve_into(&x.data, x.width, &mut out.data);
        debug_assert!(matches!(done, Ok(()) | Err(LinalgError::NotFinite { .. })), "panels of as many rows");
    }
}

fn view<T: KernelReal>(panel: &Panel<T>) -> Result<MatrixView<'_, T>, LinalgError> {
    MatrixView::from_strided(&panel.data, panel.rows(), panel.columns, panel.width, 1)
}

fn weights<T: KernelReal>(entries: &Orientation<T>) -> Option<&[T]> {
    (!entries.weights.is_empty()).then_some(&entries.weights[..])
}

/// Of the mean of the diagonal: smaller pivots are directions that the entries leave open, and get no step.
fn smallest_pivot<T: KernelReal>() -> T {
    T::from_f64(if size_of::<T>() == 4 { 1e-6 } else { 1e-13 })
}
