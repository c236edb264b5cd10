//! The sampler itself: one draw of everything given everything else.
use rayon::prelude::*;
use samplewise_linalg::batched::{Draw, Penalty, solve_penalised};
use samplewise_linalg::random::Streams;
use samplewise_linalg::{LinalgError, Matrix, Real};

use super::links::Links;
use super::prior::{Prior, gamma, normal};
use crate::data::entries::Orientation;
use crate::kernel::{Panel, residual};
use crate::options::PosteriorOptions;
use crate::{Entries, Model};

/// Rows of one side with everything that is drawn for them.
struct Side {
    /// Factors, and the bias in the last column if there is one.
    x: Matrix,
    prior: Prior,
    links: Option<Links>,
    shift: Matrix,
}

/// The state of the sampler, in standardised values.
pub(super) struct Chain {
    by_row: Orientation,
    by_column: Orientation,
    rows: Side,
    columns: Side,
    /// Of the noise.
    precision: f64,
    mean: f64,
    /// Values are over this.
    pub scale: f64,
    biases: bool,
    streams: Streams,
    sweeps: u64,
}

/// Variance of the noise that its prior has seen in one entry, values standardised.
const NOISE: f64 = 1e-4;
/// Rows per stream of normal numbers.
const BLOCK: usize = 256;

impl Chain {
    pub fn new(
        entries: &Entries,
        rank: usize,
        sampling: &PosteriorOptions,
        (mean, spread): (f64, f64),
        streams: Streams,
    ) -> Result<Self, LinalgError> {
        let d = rank + usize::from(sampling.biases);
        let side = |rows: usize, others: usize, id: u64| -> Result<Side, LinalgError> {
            let mut x = Matrix::try_zeros(rows, d)?;
            fill_normal(&mut x, 0.1, streams.child(id));
            if sampling.biases {
                (0..rows).for_each(|i| x[(i, rank)] = 0.0);
            }
            let links = sampling.implicit.then(|| Links::new(others, d));
            Ok(Side { x, prior: Prior::new(d), links, shift: Matrix::try_zeros(rows, d)? })
        };
        let (m, n) = (entries.rows(), entries.columns());
        let (rows, columns) = (side(m, n, 1)?, side(n, m, 2)?);
        let mean = if sampling.biases { mean } else { 0.0 };
        let mut chain = Self {
            by_row: entries.by_row.clone(),
            by_column: entries.by_column.clone(),
            rows,
            columns,
            precision: 1.0,
            mean,
            scale: spread,
            biases: sampling.biases,
            streams,
            sweeps: 0,
        };
        chain.standardise();
        Ok(chain)
    }

    /// Goes on with other entries of the same matrix.
    pub fn replace<T: Real>(&mut self, entries: &Entries<T>) {
        self.by_row = entries.by_row.to_double();
        self.by_column = entries.by_column.to_double();
        self.standardise();
    }

    fn standardise(&mut self) {
        let (mean, scale) = (self.mean, self.scale);
        for side in [&mut self.by_row, &mut self.by_column] {
            side.values.values_mut().iter_mut().for_each(|v| *v = (*v - mean) / scale);
        }
    }

    /// One draw of everything; the weighted squared residuals.
    pub fn sweep(&mut self) -> Result<f64, LinalgError> {
        self.sweeps += 1;
        let streams = self.streams.child(2 + self.sweeps);
        let Self { by_row, by_column, rows, columns, precision, biases, .. } = self;
        draw_side(by_row, by_column, rows, columns, *precision, *biases, streams.child(0))?;
        draw_side(by_column, by_row, columns, rows, *precision, *biases, streams.child(1))?;
        // Biases as two more factors: one look at every entry.
        let wide = |side: &Side, own: bool| {
            let d = side.x.columns();
            Matrix::from_fn(side.x.rows(), d + usize::from(*biases), |i, c| match (c + 1).cmp(&d) {
                _ if !*biases => side.x[(i, c)],
                std::cmp::Ordering::Less => side.x[(i, c)],
                std::cmp::Ordering::Equal => {
                    if own {
                        side.x[(i, d - 1)]
                    } else {
                        1.0
                    }
                }
                std::cmp::Ordering::Greater => {
                    if own {
                        1.0
                    } else {
                        side.x[(i, d - 1)]
                    }
                }
            })
        };
        let squares = residual(by_row, &Panel::<f64>::copy(&wide(rows, true)), &Panel::copy(&wide(columns, false)));
        let count = by_row.values.nnz() as f64;
        let mut rng = streams.stream(2);
        self.precision = gamma(f64::midpoint(1.0, count), 2.0 / (NOISE + squares), &mut rng);
        Ok(squares)
    }

    /// Standard deviation of the noise, in the units of the values.
    pub fn noise(&self) -> f64 {
        self.scale / self.precision.sqrt()
    }

    pub fn model(&self) -> Model {
        let k = self.rows.x.columns() - usize::from(self.biases);
        let root = self.scale.sqrt();
        let factors = |x: &Matrix| Matrix::from_fn(x.rows(), k, |i, c| x[(i, c)] * root);
        let biases =
            |x: &Matrix| (0..x.rows()).map(|i| if self.biases { x[(i, k)] * self.scale } else { 0.0 }).collect();
        Model {
            mean: self.mean,
            row_biases: biases(&self.rows.x),
            column_biases: biases(&self.columns.x),
            row_factors: factors(&self.rows.x),
            column_factors: factors(&self.columns.x),
        }
    }
}

/// The rows of one side given the other, then their prior and links given them.
fn draw_side(
    entries: &Orientation,
    transposed: &Orientation,
    own: &mut Side,
    other: &Side,
    precision: f64,
    biases: bool,
    streams: Streams,
) -> Result<(), LinalgError> {
    let (n, d) = (own.x.rows(), own.x.columns());
    let last = d - 1;
    let (mut features, mut shifted) = (None, None);
    if biases {
        features = Some(Matrix::from_fn(other.x.rows(), d, |j, c| if c < last { other.x[(j, c)] } else { 1.0 }));
        let values = entries.values.values().iter().zip(entries.values.indices());
        shifted = Some(values.map(|(v, &j)| v - other.x[(j as usize, last)]).collect::<Vec<f64>>());
    }
    // Everything over the precision of the noise.
    let scaled = Matrix::from_fn(d, d, |r, c| own.prior.precision[(r, c)] / precision);
    let mut means = own.shift.clone();
    (0..n).for_each(|i| means.row_mut(i).iter_mut().zip(&own.prior.mean).for_each(|(s, m)| *s += m));
    let right = means.multiply(&scaled)?;
    let mut noise = Matrix::zeros(n, d);
    fill_normal(&mut noise, precision.sqrt().recip(), streams.child(0));
    let draw = Draw { precision: &scaled, right: &right, noise: &noise };
    let penalty = Penalty { ridge: &vec![0.0; n], last: None, floor: 0.0, draw: Some(draw) };
    let weights = (!entries.weights.is_empty()).then_some(&entries.weights[..]);
    solve_penalised(
        features.as_ref().unwrap_or(&other.x),
        &entries.values,
        shifted.as_deref().unwrap_or(entries.values.values()),
        weights,
        &penalty,
        &mut own.x,
    )?;
    let mut rng = streams.stream(1);
    own.prior.draw(&own.x, &own.shift, own.links.as_ref().map(Links::parts), &mut rng)?;
    if let Some(links) = &mut own.links {
        links.draw(entries, transposed, &own.x, &own.prior, &mut own.shift, &mut rng)?;
    }
    Ok(())
}

/// Normal numbers of this deviation, the same for every number of threads.
fn fill_normal(x: &mut Matrix, deviation: f64, streams: Streams) {
    let d = x.columns().max(1);
    x.as_mut_slice().par_chunks_mut(BLOCK * d).enumerate().for_each(|(b, block)| {
        let mut rng = streams.stream(b as u64);
        block.iter_mut().for_each(|x| *x = deviation * normal(&mut rng));
    });
}
