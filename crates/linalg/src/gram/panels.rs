//! Kernels over the rows of a tall matrix: Gram matrices, and squared norms of rows times a small matrix.
//!
//! Floor: `n·d²/2` fused multiply-adds for each of the two with a triangular small matrix, `8·n·d` bytes for both in one
//! pass. Rows are taken as they lie, padded to whole registers, in panels that stay in the second-level cache. An entry is
//! multiplied with registers of its own row (Gram matrix) or of the small matrix (product), so nothing is transposed, and
//! the value of a row does not depend on its place. `cargo bench --bench sensitivity -- leverage` prints the rate.
use pulp::{Simd, WithSimd, bytemuck};

use crate::batched::gram::{Panel, TILE, aligned, right_side, triangle};
use crate::batched::lanes::Lanes;
use crate::rows::DenseRows;
use crate::{Matrix, MatrixView};

/// Rows of a panel.
const PANEL: usize = 96;
/// Columns from which the copy of a panel costs less than rows that straddle cache lines and pages do. Panels of fewer
/// columns never have their rows a multiple of a page apart.
const COPIED: usize = 64;

/// A `d × r` matrix packed for [`product`]: its columns eight at a time, a tile after the other.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    columns: usize,
    /// Distance between rows of a stored product.
    ld: usize,
    values: Vec<f64>,
    /// Where each tile ends, in rows of eight: none after the last that is not zero, so a triangular matrix costs half.
    ends: Vec<usize>,
}

impl Packed {
    pub(crate) fn new(t: &Matrix) -> Self {
        let (d, r) = (t.rows(), t.columns());
        let (mut values, mut ends) = (Vec::new(), Vec::new());
        for c in (0..r).step_by(TILE) {
            let width = TILE.min(r - c);
            let tile = |i: usize| &t.row(i)[c..c + width];
            let depth = (0..d).rev().find(|&i| tile(i).iter().any(|v| *v != 0.0)).map_or(0, |i| i + 1);
            for i in 0..depth {
                values.extend_from_slice(tile(i));
                values.resize(values.len() + TILE - width, 0.0);
            }
            ends.push(values.len() / TILE);
        }
        Self { columns: r, ld: stride(r), values, ends }
    }
}

/// Buffers of one thread.
#[derive(Default)]
pub(crate) struct Scratch {
    rows: Vec<f64>,
    scaled: Vec<f64>,
    product: Vec<f64>,
}

/// Distance between rows of a Gram matrix of `d` columns as [`triangle`] stores it.
///
/// Never a multiple of eight cache lines, which would leave most sets of the cache to other rows.
pub(crate) fn stride(d: usize) -> usize {
    let padded = d.next_multiple_of(TILE);
    if padded > 0 && padded.is_multiple_of(8 * TILE) { padded + TILE } else { padded }
}

/// What is done with each panel of rows.
pub(crate) enum Task<'a> {
    /// Adds `XᵀDX` (rows of the lower triangle at [`stride`]) and behind it `XᵀDy` to `out`.
    Gram { weights: Option<&'a [f64]>, right: Option<&'a [f64]>, out: &'a mut [f64] },
    /// Squared norms of the rows of `X T`.
    Norms { transform: &'a Packed, out: &'a mut [f64] },
    /// Norms, from which `weigh` makes weights (of consecutive rows, by the number of the first in the block), and the Gram
    /// matrix with these.
    Reweighed {
        transform: &'a Packed,
        norms: &'a mut [f64],
        weigh: &'a (dyn Fn(usize, &[f64], &mut [f64]) + Sync),
        out: &'a mut [f64],
    },
    /// The Gram matrix of the rows of `X T`, each weighted.
    GramOfProduct { transform: &'a Packed, weights: Option<&'a [f64]>, out: &'a mut [f64] },
}

/// Runs a task over consecutive rows of `d` entries each, of which the last may be stored apart.
pub(crate) fn run((rows, last): DenseRows<'_>, d: usize, task: Task<'_>, scratch: &mut Scratch) {
    pulp::Arch::new().dispatch(Run { rows, last, d, task, scratch });
}

struct Run<'a, 'b> {
    rows: MatrixView<'a>,
    last: Option<&'a [f64]>,
    d: usize,
    task: Task<'b>,
    scratch: &'a mut Scratch,
}

impl WithSimd for Run<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, s: S) {
        let Run { rows, last, d, mut task, scratch } = self;
        let n = rows.rows();
        for first in (0..n).step_by(PANEL) {
            let count = PANEL.min(n - first);
            let last = last.map(|b| &b[first..first + count]);
            let part = Part { rows: rows.select_range(first..first + count), last, d, count };
            let within = first..first + count;
            match &mut task {
                Task::Gram { weights, right, out } => {
                    let panel = part.padded(&mut scratch.rows);
                    let (weights, right) = (weights.map(|w| &w[within.clone()]), right.map(|y| &y[within]));
                    gram_of_panel(s, d, panel, weights, right, &mut scratch.scaled, out);
                }
                Task::Norms { transform, out } => {
                    let panel = part.whole(&mut scratch.rows);
                    product::<S, false>(s, transform, panel, &mut out[within], &mut []);
                }
                Task::Reweighed { transform, norms, weigh, out } => {
                    let panel = part.padded(&mut scratch.rows);
                    let norms = &mut norms[within];
                    product::<S, false>(s, transform, panel, norms, &mut []);
                    let mut weights = [0.0; PANEL];
                    weigh(first, norms, &mut weights[..count]);
                    gram_of_panel(s, d, panel, Some(&weights[..count]), None, &mut scratch.scaled, out);
                }
                Task::GramOfProduct { transform, weights, out } => {
                    let panel = part.whole(&mut scratch.rows);
                    let (mut norms, ld) = ([0.0; PANEL], transform.ld);
                    scratch.product.resize(PANEL * ld, 0.0);
                    product::<S, true>(s, transform, panel, &mut norms[..count], &mut scratch.product);
                    let weights = weights.map(|w| &w[within]);
                    let panel = Panel { values: &scratch.product, apart: ld, count };
                    gram_of_panel(s, ld, panel, weights, None, &mut scratch.scaled, out);
                }
            }
        }
    }
}

/// Rows of a panel, and what follows them.
struct Part<'a> {
    rows: MatrixView<'a>,
    last: Option<&'a [f64]>,
    d: usize,
    count: usize,
}

impl<'a> Part<'a> {
    /// Rows that can be read up to [`stride`]: as they lie, or a copy, whose registers do not straddle cache lines.
    fn padded(&self, copy: &'a mut Vec<f64>) -> Panel<'a, f64> {
        let (d, ld) = (self.d, stride(self.d));
        match self.rows.contiguous_rows() {
            Some((values, apart))
                if self.last.is_none() && d < COPIED && values.len() >= (self.count - 1) * apart + ld =>
            {
                Panel { values, apart, count: self.count }
            }
            _ => self.copied(copy),
        }
    }

    /// Rows that can be read up to their last entry.
    fn whole(&self, copy: &'a mut Vec<f64>) -> Panel<'a, f64> {
        match self.rows.contiguous_rows() {
            Some((values, apart)) if self.last.is_none() => Panel { values, apart, count: self.count },
            _ => self.copied(copy),
        }
    }

    fn copied(&self, copy: &'a mut Vec<f64>) -> Panel<'a, f64> {
        let ld = stride(self.d);
        let copy = aligned(copy, PANEL * ld);
        self.rows.gather(0, self.count, ld, copy);
        copy.chunks_exact_mut(ld).take(self.count).for_each(|row| row[self.rows.columns()..].fill(0.0));
        if let Some(last) = self.last {
            copy.iter_mut().skip(self.d - 1).step_by(ld).zip(last).for_each(|(t, b)| *t = *b);
        }
        Panel { values: copy, apart: ld, count: self.count }
    }
}

#[inline(always)]
fn gram_of_panel<S: Lanes<f64>>(
    s: S,
    d: usize,
    rows: Panel<'_, f64>,
    weights: Option<&[f64]>,
    right: Option<&[f64]>,
    scaled: &mut Vec<f64>,
    out: &mut [f64],
) {
    let ld = stride(d);
    let weighted = match weights {
        None => rows,
        Some(w) => {
            scaled.resize(PANEL * ld, 0.0);
            for ((i, q), w) in scaled.chunks_exact_mut(ld).enumerate().zip(w) {
                let row = &rows.values[i * rows.apart..][..ld];
                q.iter_mut().zip(row).for_each(|(q, p)| *q = *w * *p);
            }
            Panel { values: scaled, apart: ld, count: rows.count }
        }
    };
    triangle::<f64, S>(s, rows, weighted, ld, d, out, false);
    let Some(y) = right else { return };
    let vectors = ld / S::WIDTH;
    let right: &mut [S::V] = bytemuck::cast_slice_mut(&mut out[ld * ld..]);
    let mut v = 0;
    while v < vectors {
        v += match vectors - v {
            4.. => right_side::<f64, S, 4>(s, rows, y, weights, v, right, false),
            2.. => right_side::<f64, S, 2>(s, rows, y, weights, v, right, false),
            _ => right_side::<f64, S, 1>(s, rows, y, weights, v, right, false),
        };
    }
}

/// Squared norms of the rows of `X T`, and with `STORE` that product itself, its rows `t.ld` apart.
#[inline(always)]
fn product<S: Lanes<f64>, const STORE: bool>(
    s: S,
    t: &Packed,
    x: Panel<'_, f64>,
    norms: &mut [f64],
    store: &mut [f64],
) {
    let mut squares = [s.splat(0.0); PANEL];
    let mut from = 0;
    for (c, &end) in t.ends.iter().enumerate() {
        let tile = &t.values[from * TILE..end * TILE];
        from = end;
        let store = if STORE { &mut store[c * TILE..] } else { &mut *store };
        let to = To { squares: &mut squares[..x.count], store, ld: t.ld };
        let half = t.columns - c * TILE <= TILE / 2;
        // As many sums as registers, and as pointers to rows, allow: beside them there are operands and counters.
        match (TILE / S::WIDTH, S::REGISTER_COUNT) {
            (1, _) => product_of_tile::<S, STORE, 1, 1, 8>(s, tile, x, to),
            (2, _) if half => product_of_tile::<S, STORE, 2, 1, 8>(s, tile, x, to),
            (2, _) => product_of_tile::<S, STORE, 2, 2, 6>(s, tile, x, to),
            (4, 32..) if half => product_of_tile::<S, STORE, 4, 2, 8>(s, tile, x, to),
            (4, 32..) => product_of_tile::<S, STORE, 4, 4, 6>(s, tile, x, to),
            (4, _) if half => product_of_tile::<S, STORE, 4, 2, 4>(s, tile, x, to),
            (4, _) => product_of_tile::<S, STORE, 4, 4, 2>(s, tile, x, to),
            _ => product_of_tile::<S, STORE, TILE, TILE, 1>(s, tile, x, to),
        }
    }
    for (norm, square) in norms.iter_mut().zip(&squares) {
        *norm = s.sum(*square);
    }
}

/// Where the product with a tile goes.
struct To<'a, V> {
    squares: &'a mut [V],
    store: &'a mut [f64],
    ld: usize,
}

/// `M` rows at a time, by the first `R` of `P` registers that hold a row of the tile.
#[inline(always)]
fn product_of_tile<S: Lanes<f64>, const STORE: bool, const P: usize, const R: usize, const M: usize>(
    s: S,
    tile: &[f64],
    x: Panel<'_, f64>,
    to: To<'_, S::V>,
) {
    let tile: &[[S::V; P]] = bytemuck::cast_slice::<f64, S::V>(tile).as_chunks().0;
    let To { squares, store, ld } = to;
    for (g, squares) in squares.chunks_mut(M).enumerate() {
        // Groups at the end repeat their last row.
        let mut rows: [&[f64]; M] = [&[]; M];
        for m in 0..M {
            rows[m] = &x.values[(g * M + m.min(squares.len() - 1)) * x.apart..][..tile.len()];
        }
        let mut acc = [[s.splat(0.0); R]; M];
        for (k, t) in tile.iter().enumerate() {
            for m in 0..M {
                let b = s.splat(rows[m][k]);
                for r in 0..R {
                    acc[m][r] = s.add_product(b, t[r], acc[m][r]);
                }
            }
        }
        for (m, square) in squares.iter_mut().enumerate() {
            for r in 0..R {
                *square = s.add_product(acc[m][r], acc[m][r], *square);
            }
            if STORE {
                let row = &mut store[(g * M + m) * ld..][..R * S::WIDTH];
                bytemuck::cast_slice_mut(row).copy_from_slice(&acc[m]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tiles differ with the width of registers: one lane beside what this processor has.
    #[test]
    fn one_lane_and_registers_agree_with_the_definition() {
        for (n, d, r) in [(1, 1, 1), (7, 10, 10), (97, 13, 5), (200, 64, 3), (100, 6, 17)] {
            let entry = |i: usize, j: usize| f64::from(((i * 31 + j * 17) % 23) as u32) - 11.0;
            let x: Vec<f64> = (0..n * d).map(|k| entry(k / d, k % d)).collect();
            let t = Matrix::from_fn(d, r, |i, j| entry(i + 3, j));
            let weights: Vec<f64> = (0..n).map(|i| 1.0 + (i % 3) as f64).collect();
            let packed = Packed::new(&t);
            let product = |i: usize, c: usize| (0..d).map(|k| x[i * d + k] * t[(k, c)]).sum::<f64>();
            for one_lane in [true, false] {
                let mut scratch = Scratch::default();
                let mut all = |task: Task<'_>| {
                    let rows = MatrixView::from_row_major(&x, x.len() / d, d).unwrap();
                    let run = Run { rows, last: None, d, task, scratch: &mut scratch };
                    if one_lane { run.with_simd(pulp::Scalar::new()) } else { pulp::Arch::new().dispatch(run) }
                };
                let mut norms = vec![0.0; n];
                all(Task::Norms { transform: &packed, out: &mut norms });
                assert!((0..n).all(|i| norms[i] == (0..r).map(|c| product(i, c).powi(2)).sum::<f64>()));
                let (ld, wide) = (stride(d), stride(r));
                let mut gram = vec![0.0; (ld + 1) * ld];
                all(Task::Gram { weights: Some(&weights), right: Some(&weights), out: &mut gram });
                let sum = |f: &dyn Fn(usize) -> f64| (0..n).map(|i| weights[i] * f(i)).sum::<f64>();
                for i in 0..d {
                    assert!((0..=i).all(|j| gram[i * ld + j] == sum(&|k| x[k * d + i] * x[k * d + j])));
                    assert_eq!(gram[ld * ld + i], sum(&|k| x[k * d + i] * weights[k]));
                }
                let mut gram = vec![0.0; (wide + 1) * wide];
                all(Task::GramOfProduct { transform: &packed, weights: Some(&weights), out: &mut gram });
                for i in 0..r {
                    assert!((0..=i).all(|j| gram[i * wide + j] == sum(&|k| product(k, i) * product(k, j))));
                }
            }
        }
    }
}
