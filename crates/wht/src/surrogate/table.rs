//! The points told, each once, and their values in units of their own spread.
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::FixedState;
use samplewise_linalg::{Matrix, rows_times_rows, sums};

/// Columns of features are padded to a multiple of this, so that products of rows have no remainder.
const PADDED: usize = 32;

/// How the positions of a point are written as numbers: two levels as ±√½, more as one column for each.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Layout {
    /// Number of levels of each position.
    pub levels: Arc<[usize]>,
    /// Position of each column of the features.
    pub column_of: Vec<usize>,
    /// Width of a row of features, the padding included.
    pub width: usize,
}

impl Layout {
    pub fn new(levels: &[usize]) -> Self {
        let columns = |a: usize| if a <= 2 { 1 } else { a };
        let column_of: Vec<usize> =
            levels.iter().enumerate().flat_map(|(i, &a)| std::iter::repeat_n(i, columns(a))).collect();
        let width = column_of.len().next_multiple_of(PADDED);
        Self { levels: levels.into(), column_of, width }
    }

    pub fn positions(&self) -> usize {
        self.levels.len()
    }

    /// The features of points, a row for each: products of two rows are the matches, up to [`Layout::offset`].
    pub fn features(&self, codes: &[u8]) -> Matrix {
        let n = self.positions();
        let count = codes.len() / n.max(1);
        let mut out = Matrix::zeros(count, self.width);
        for (j, point) in codes.chunks_exact(n.max(1)).enumerate() {
            let row = out.row_mut(j);
            let mut at = 0;
            for (&code, &levels) in point.iter().zip(self.levels.iter()) {
                if levels <= 2 {
                    row[at] = if code == 0 { HALF } else { -HALF };
                    at += 1;
                } else {
                    row[at + usize::from(code)] = 1.0;
                    at += levels;
                }
            }
        }
        out
    }

    /// What a position adds to the product of a point with itself: `[x ≠ x'] = offset − product of the features`.
    pub fn offset(&self, position: usize) -> f64 {
        if self.levels[position] <= 2 { HALF * HALF } else { 1.0 }
    }
}

/// `√½`, so that the product of two features of two levels is `±½`.
const HALF: f64 = std::f64::consts::FRAC_1_SQRT_2;

/// Mean and standard deviation of values; 1 where they are all the same.
pub(crate) fn units_of(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = sums::sum(values) / count;
    let squares = sums::sum_by(values.len(), |j| (values[j] - mean) * (values[j] - mean));
    let spread = (squares / count).sqrt();
    (mean, if spread > 0.0 { spread } else { 1.0 })
}

/// The number of distinct points among rows of codes.
pub(crate) fn count_distinct(codes: &[u8], positions: usize) -> usize {
    codes.chunks_exact(positions).collect::<HashSet<_, FixedState>>().len()
}

/// Distinct points with the means of their values, centred and scaled: `r` repeats with noise `η` are one point with `η/r`.
///
/// Row GP-9 of `paper-refs.md`.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub layout: Arc<Layout>,
    /// Codes of the points, row after row.
    pub codes: Vec<u8>,
    pub features: Matrix,
    /// The same, column after column.
    columns: Matrix,
    /// How often each point was told.
    pub repeats: Vec<f64>,
    /// Means of the values of each point, less `mean`, over `scale`.
    pub values: Vec<f64>,
    /// Squares of the values within points about their means, in the same units.
    pub within: f64,
    pub mean: f64,
    pub scale: f64,
    /// Positions that vary among the points.
    pub varying: Vec<usize>,
}

impl Table {
    /// Merges points that were told more than once, in the order of their first appearance.
    pub fn new(layout: &Arc<Layout>, codes: &[u8], values: &[f64]) -> Self {
        Self::in_units(layout, codes, values, units_of(values))
    }

    /// [`Table::new`] with values less a mean and over a scale that are given.
    pub fn in_units(layout: &Arc<Layout>, codes: &[u8], values: &[f64], (mean, scale): (f64, f64)) -> Self {
        let n = layout.positions();
        let mut known: HashMap<&[u8], usize, FixedState> = HashMap::default();
        let mut members: Vec<Vec<f64>> = Vec::new();
        let mut distinct = Vec::new();
        for (point, value) in codes.chunks_exact(n).zip(values) {
            let at = *known.entry(point).or_insert_with(|| {
                distinct.extend_from_slice(point);
                members.push(Vec::new());
                members.len() - 1
            });
            members[at].push((value - mean) / scale);
        }
        let means: Vec<f64> = members.iter().map(|m| sums::sum(m) / m.len() as f64).collect();
        let within =
            members.iter().zip(&means).map(|(m, mean)| m.iter().map(|v| (v - mean).powi(2)).sum::<f64>()).sum();
        let repeats = members.iter().map(|m| m.len() as f64).collect();
        Self::from_means(layout, distinct, (means, repeats), within, (mean, scale))
    }

    /// Of distinct points with the means of their values, in units of `scale` about `mean`, and how often each was told.
    pub fn from_means(
        layout: &Arc<Layout>,
        codes: Vec<u8>,
        (values, repeats): (Vec<f64>, Vec<f64>),
        within: f64,
        (mean, scale): (f64, f64),
    ) -> Self {
        let n = layout.positions();
        let features = layout.features(&codes);
        let differs = |i: usize| codes.chunks_exact(n).any(|p| p[i] != codes[i]);
        let varying = (0..n).filter(|&i| differs(i)).collect();
        let layout = Arc::clone(layout);
        let columns = features.transpose();
        Self { layout, codes, features, columns, repeats, values, within, mean, scale, varying }
    }

    /// Number of distinct points.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// The columns of the features as rows, without the padding.
    pub fn columns(&self) -> &[f64] {
        &self.columns.as_slice()[..self.layout.column_of.len() * self.len()]
    }

    pub fn point(&self, j: usize) -> &[u8] {
        let n = self.layout.positions();
        &self.codes[j * n..(j + 1) * n]
    }

    /// `Σ_jl M_jl [x_ji ≠ x_li]` for every position `i` of a symmetric matrix `M` of the size of the table. Cost `b²m`
    /// multiplications for `m` columns of features.
    pub fn mismatches(&self, matrix: &Matrix) -> Vec<f64> {
        let b = self.len();
        let total = sums::sum(matrix.as_slice());
        let columns = self.columns();
        let mut products = Matrix::zeros(self.layout.column_of.len(), b);
        rows_times_rows::rows_times_rows(columns, matrix.as_slice(), b, products.as_mut_slice(), b)
            .expect("rows of one length");
        let mut out: Vec<f64> = (0..self.layout.positions()).map(|i| self.layout.offset(i) * total).collect();
        for (column, &position) in self.layout.column_of.iter().enumerate() {
            out[position] -= sums::dot(&columns[column * b..(column + 1) * b], products.row(column));
        }
        out
    }
}
