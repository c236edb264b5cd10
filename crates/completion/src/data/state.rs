//! Factors and biases on the way, in either precision.
use crate::kernel::KernelReal;
use samplewise_linalg::{Matrix, Real};

use crate::data::entries::{Entries, Renumbering};
use crate::data::ridge::{Manner, Ridge};
use crate::kernel::{Panel, residual};
use crate::model::Model;
use crate::polish::half_step::half_step;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct State<T: Real = f64> {
    pub mean: T,
    pub row_biases: Vec<T>,
    pub column_biases: Vec<T>,
    pub u: Matrix<T>,
    pub v: Matrix<T>,
}

impl<T: KernelReal> State<T> {
    pub fn rank(&self) -> usize {
        self.u.columns()
    }

    pub fn copy<S: Real>(other: &State<S>) -> Self {
        let numbers = |x: &[S]| x.iter().map(|v| T::from_f64(v.to_f64())).collect::<Vec<T>>();
        let matrix = |m: &Matrix<S>| {
            Matrix::from_vec(m.rows(), m.columns(), numbers(m.as_slice())).expect("as many numbers as before")
        };
        Self {
            mean: T::from_f64(other.mean.to_f64()),
            row_biases: numbers(&other.row_biases),
            column_biases: numbers(&other.column_biases),
            u: matrix(&other.u),
            v: matrix(&other.v),
        }
    }

    pub fn is_without_biases(&self) -> bool {
        let zero = T::default();
        self.mean == zero && self.row_biases.iter().chain(&self.column_biases).all(|b| *b == zero)
    }

    /// Two half steps; the work in multiplications.
    pub fn pair(&mut self, entries: &Entries<T>, ridge: Ridge, manner: Manner) -> f64 {
        let rows = half_step(
            &entries.by_row,
            &self.v,
            &self.column_biases,
            self.mean,
            ridge,
            manner,
            &mut self.u,
            &mut self.row_biases,
        );
        let manner = Manner { seed: manner.seed.wrapping_add(0x9e37_79b9), ..manner };
        let columns = half_step(
            &entries.by_column,
            &self.u,
            &self.row_biases,
            self.mean,
            ridge,
            manner,
            &mut self.v,
            &mut self.column_biases,
        );
        rows + columns
    }

    /// Moves the column side on by `momentum` times its last step, which `before` remembers: alternating steps from such
    /// places need half as many or fewer.
    pub fn extrapolate(&mut self, momentum: f64, before: &mut Option<(Matrix<T>, Vec<T>)>) {
        let now = (self.v.clone(), self.column_biases.clone());
        if let Some((v, biases)) = before.as_ref() {
            let factor = T::from_f64(momentum);
            let old = v.as_slice().iter().chain(biases);
            let new = self.v.as_mut_slice().iter_mut().chain(&mut self.column_biases);
            new.zip(old).for_each(|(x, old)| *x += factor * (*x - *old));
        }
        *before = Some(now);
    }

    pub fn predict(&self, i: usize, j: usize) -> f64 {
        let (u, v) = (self.u.row(i), self.v.row(j));
        let product: f64 = u.iter().zip(v).map(|(a, b)| a.to_f64() * b.to_f64()).sum();
        self.mean.to_f64() + self.row_biases[i].to_f64() + self.column_biases[j].to_f64() + product
    }

    /// Root mean square of `value − prediction`; NaN without entries.
    pub fn rmse(&self, entries: &[(usize, usize, f64)]) -> f64 {
        let squares: f64 = entries.iter().map(|&(i, j, v)| (v - self.predict(i, j)).powi(2)).sum();
        (squares / entries.len() as f64).sqrt()
    }

    /// Weighted root mean square of the training residual.
    pub fn training_rmse(&self, entries: &Entries<T>) -> f64 {
        let plain =
            self.mean == T::default() && self.row_biases.iter().chain(&self.column_biases).all(|b| *b == T::default());
        let squares = if plain {
            residual(&entries.by_row, &Panel::<T>::copy(&self.u), &Panel::copy(&self.v))
        } else {
            entries.iter().map(|(i, j, v, w)| w * (v - self.predict(i, j)).powi(2)).sum()
        };
        (squares / entries.total_weight()).sqrt()
    }
}

impl State {
    /// All zero, without factors.
    pub fn empty(rows: usize, columns: usize, rank: usize) -> Self {
        Self {
            mean: 0.0,
            row_biases: vec![0.0; rows],
            column_biases: vec![0.0; columns],
            u: Matrix::zeros(rows, rank),
            v: Matrix::zeros(columns, rank),
        }
    }

    /// The model of the whole matrix, whose values are `scale` times those of the entries; rows and columns left out are
    /// zero.
    pub fn to_model(&self, scale: f64, rows: &Renumbering, columns: &Renumbering) -> Model {
        let root = scale.sqrt();
        let spread = |kept: &[u32], n: usize, from: &Matrix, biases: &[f64]| {
            let mut factors = Matrix::zeros(n, self.rank());
            let mut out = vec![0.0; n];
            for (at, &i) in kept.iter().enumerate() {
                factors.row_mut(i as usize).iter_mut().zip(from.row(at)).for_each(|(a, b)| *a = b * root);
                out[i as usize] = biases[at] * scale;
            }
            (factors, out)
        };
        let (row_factors, row_biases) = spread(&rows.kept, rows.new.len(), &self.u, &self.row_biases);
        let (column_factors, column_biases) = spread(&columns.kept, columns.new.len(), &self.v, &self.column_biases);
        Model { mean: self.mean * scale, row_biases, column_biases, row_factors, column_factors }
    }

    /// The part of a model on the rows and columns kept, for values divided by `scale`.
    pub fn of_model(model: &Model, scale: f64, rows: &Renumbering, columns: &Renumbering) -> Self {
        let root = scale.sqrt();
        let pick = |kept: &[u32], from: &Matrix| {
            Matrix::from_fn(kept.len(), from.columns(), |i, c| from[(kept[i] as usize, c)] / root)
        };
        let biases = |kept: &[u32], from: &[f64]| kept.iter().map(|&i| from[i as usize] / scale).collect();
        Self {
            mean: model.mean / scale,
            row_biases: biases(&rows.kept, &model.row_biases),
            column_biases: biases(&columns.kept, &model.column_biases),
            u: pick(&rows.kept, &model.row_factors),
            v: pick(&columns.kept, &model.column_factors),
        }
    }
}
