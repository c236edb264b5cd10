//! Kernels over the rows of a tall matrix: Gram matrices, and squared norms of rows times a small matrix.
//!
//! Floor: `n·d²/2` fused multiply-adds for each of the two with a triangular small matrix, `8·n·d` bytes for both in one
//! pass. Rows come in panels that stay in the second-level cache; the Gram matrix takes them as they lie (padded to whole
//! registers), the product takes them transposed, one row per lane, so that norms need no sum across lanes and the value
//! of a row does not depend on its place. `cargo bench --bench sensitivity -- leverage` prints what that gains.
use pulp::{Simd, WithSimd, bytemuck};

use crate::Matrix;
use crate::small::gram::{TILE, right_side, triangle};
use crate::small::lanes::Lanes;

/// Rows of a panel: a multiple of three registers on every instruction set.
const PANEL: usize = 96;
/// Distance between columns of the transposed panel: an odd number of cache lines, so that a column of registers is spread
/// over all sets of the cache.
const APART: usize = 104;

/// A `d × r` matrix packed for [`norms_squared`].
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    d: usize,
    /// Columns padded to whole tiles.
    ld: usize,
    values: Vec<f64>,
    /// For every four columns, the rows up to the last that is not zero: a triangular matrix costs half.
    depth: Vec<usize>,
}

impl Packed {
    pub(crate) fn new(t: &Matrix) -> Self {
        let (d, r) = (t.rows(), t.columns());
        let ld = stride(r);
        let mut values = vec![0.0; d * ld];
        for (target, source) in values.chunks_exact_mut(ld.max(1)).zip(t.as_slice().chunks_exact(r.max(1))) {
            target[..r].copy_from_slice(source);
        }
        let reaches = |i: usize, c: usize| values[i * ld + c..][..4].iter().any(|v| *v != 0.0);
        let depth = (0..ld).step_by(4).map(|c| (0..d).rev().find(|&i| reaches(i, c)).map_or(0, |i| i + 1)).collect();
        Self { d, ld, values, depth }
    }
}

/// Buffers of one thread.
#[derive(Default)]
pub(crate) struct Scratch {
    rows: Vec<f64>,
    scaled: Vec<f64>,
    transposed: Vec<f64>,
    product: Vec<f64>,
    norms: Vec<f64>,
}

/// Distance between rows of a Gram matrix of `d` columns as [`accumulate`] stores it.
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
    /// Norms, from which `weigh` makes a weight of each row (by its number in the block), and the Gram matrix with these.
    Reweighed {
        transform: &'a Packed,
        norms: &'a mut [f64],
        weigh: &'a (dyn Fn(usize, f64) -> f64 + Sync),
        out: &'a mut [f64],
    },
    /// The Gram matrix of the rows of `X T`, each weighted.
    GramOfProduct { transform: &'a Packed, weights: Option<&'a [f64]>, out: &'a mut [f64] },
}

/// Runs a task over consecutive rows of `d` entries each, of which the last may be stored apart.
pub(crate) fn run(rows: (&[f64], Option<&[f64]>), d: usize, task: Task<'_>, scratch: &mut Scratch) {
    let (rows, last) = rows;
    pulp::Arch::new().dispatch(Run { rows, last, d, task, scratch });
}

struct Run<'a, 'b> {
    rows: &'a [f64],
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
        let stored = d - usize::from(last.is_some());
        let n = last.map_or_else(|| rows.len() / d, <[f64]>::len);
        for first in (0..n).step_by(PANEL) {
            let count = PANEL.min(n - first);
            let last = last.map(|b| &b[first..first + count]);
            let part = Part { rows: &rows[first * stored..(first + count) * stored], last, stored };
            match &mut task {
                Task::Gram { weights, right, out } => {
                    let weights = weights.map(|w| &w[first..first + count]);
                    let right = right.map(|y| &y[first..first + count]);
                    lay_out(part, d, scratch);
                    gram_of_panel(s, d, count, weights, right, scratch, out);
                }
                Task::Norms { transform, out } => {
                    transpose(part, d, count, scratch);
                    product_of_panel::<S, false>(s, transform, scratch);
                    out[first..first + count].copy_from_slice(&scratch.norms[..count]);
                }
                Task::Reweighed { transform, norms, weigh, out } => {
                    transpose(part, d, count, scratch);
                    product_of_panel::<S, false>(s, transform, scratch);
                    let norms = &mut norms[first..first + count];
                    norms.copy_from_slice(&scratch.norms[..count]);
                    let mut weights = [0.0; PANEL];
                    for (i, (w, q)) in weights.iter_mut().zip(norms.iter()).enumerate() {
                        *w = weigh(first + i, *q);
                    }
                    lay_out(part, d, scratch);
                    gram_of_panel(s, d, count, Some(&weights[..count]), None, scratch, out);
                }
                Task::GramOfProduct { transform, weights, out } => {
                    transpose(part, d, count, scratch);
                    product_of_panel::<S, true>(s, transform, scratch);
                    let weights = weights.map(|w| &w[first..first + count]);
                    gram_of_panel(s, transform.ld, count, weights, None, scratch, out);
                }
            }
        }
    }
}

/// Rows of a panel as they lie.
#[derive(Clone, Copy)]
struct Part<'a> {
    rows: &'a [f64],
    last: Option<&'a [f64]>,
    /// Entries of a row in `rows`.
    stored: usize,
}

/// Rows padded to whole registers.
fn lay_out(part: Part<'_>, d: usize, scratch: &mut Scratch) {
    let ld = stride(d);
    scratch.rows.resize(PANEL * ld, 0.0);
    // Without a stored column the chunks are empty; nobody asks for that many rows of nothing.
    for (target, row) in scratch.rows.chunks_exact_mut(ld).zip(part.rows.chunks_exact(part.stored.max(1))) {
        target[..part.stored].copy_from_slice(row);
        target[part.stored..].fill(0.0);
    }
    if let Some(last) = part.last {
        scratch.rows.iter_mut().skip(d - 1).step_by(ld).zip(last).for_each(|(t, b)| *t = *b);
    }
}

#[inline(always)]
fn gram_of_panel<S: Lanes<f64>>(
    s: S,
    d: usize,
    count: usize,
    weights: Option<&[f64]>,
    right: Option<&[f64]>,
    scratch: &mut Scratch,
    out: &mut [f64],
) {
    let ld = stride(d);
    let rows = &scratch.rows[..count * ld];
    let scaled = match weights {
        None => rows,
        Some(w) => {
            scratch.scaled.resize(PANEL * ld, 0.0);
            for ((q, p), w) in scratch.scaled.chunks_exact_mut(ld).zip(rows.chunks_exact(ld)).zip(w) {
                q.iter_mut().zip(p).for_each(|(q, p)| *q = *w * *p);
            }
            &scratch.scaled[..count * ld]
        }
    };
    let registers: &[S::V] = bytemuck::cast_slice(rows);
    if S::REGISTER_COUNT >= 32 {
        triangle::<f64, S, TILE>(s, registers, scaled, ld, d, out, false);
    } else {
        triangle::<f64, S, 4>(s, registers, scaled, ld, d, out, false);
    }
    let Some(y) = right else { return };
    let vectors = ld / S::WIDTH;
    let right: &mut [S::V] = bytemuck::cast_slice_mut(&mut out[ld * ld..]);
    let mut v = 0;
    while v < vectors {
        v += match vectors - v {
            4.. => right_side::<f64, S, 4>(s, registers, vectors, y, weights, v, right, false),
            2.. => right_side::<f64, S, 2>(s, registers, vectors, y, weights, v, right, false),
            _ => right_side::<f64, S, 1>(s, registers, vectors, y, weights, v, right, false),
        };
    }
}

/// One column of the panel after the other; lanes beyond the last row keep what they had, and nobody reads them.
fn transpose(part: Part<'_>, d: usize, count: usize, scratch: &mut Scratch) {
    const GROUP: usize = 8;
    let stored = part.stored;
    scratch.transposed.resize(APART * d, 0.0);
    for (g, group) in part.rows.chunks(GROUP * stored.max(1)).enumerate() {
        let target = &mut scratch.transposed[g * GROUP..];
        if group.len() == GROUP * stored {
            let rows: [&[f64]; GROUP] = std::array::from_fn(|k| &group[k * stored..(k + 1) * stored]);
            for i in 0..stored {
                let out = &mut target[i * APART..][..GROUP];
                for k in 0..GROUP {
                    out[k] = rows[k][i];
                }
            }
        } else {
            for (k, row) in group.chunks_exact(stored.max(1)).enumerate() {
                row.iter().enumerate().for_each(|(i, v)| target[i * APART + k] = *v);
            }
        }
    }
    if let Some(last) = part.last {
        scratch.transposed[stored * APART..][..count].copy_from_slice(last);
    }
}

/// `X T` of the transposed panel: squared norms into `norms`, and with `STORE` the product itself into `rows`.
#[inline(always)]
fn product_of_panel<S: Lanes<f64>, const STORE: bool>(s: S, t: &Packed, scratch: &mut Scratch) {
    scratch.norms.clear();
    scratch.norms.resize(PANEL, 0.0);
    scratch.product.resize(if STORE { t.ld * PANEL } else { 0 }, 0.0);
    if S::REGISTER_COUNT >= 32 {
        product::<S, STORE, TILE>(s, t, &scratch.transposed, &mut scratch.norms, &mut scratch.product);
    } else {
        product::<S, STORE, 4>(s, t, &scratch.transposed, &mut scratch.norms, &mut scratch.product);
    }
    if STORE {
        scratch.rows.resize(PANEL * t.ld, 0.0);
        for (i, row) in scratch.rows.chunks_exact_mut(t.ld).take(PANEL).enumerate() {
            row.iter_mut().zip(scratch.product[i..].iter().step_by(PANEL)).for_each(|(r, v)| *r = *v);
        }
    }
}

#[inline(always)]
fn product<S: Lanes<f64>, const STORE: bool, const W: usize>(
    s: S,
    t: &Packed,
    transposed: &[f64],
    norms: &mut [f64],
    product: &mut [f64],
) {
    let width = S::WIDTH;
    let (vectors, apart) = (PANEL / width, APART / width);
    let panel: &[S::V] = bytemuck::cast_slice(&transposed[..APART * t.d]);
    let norms: &mut [S::V] = bytemuck::cast_slice_mut(norms);
    for c in (0..t.ld).step_by(W) {
        let depth = t.depth[c / 4..(c + W) / 4].iter().copied().max().unwrap_or(0);
        let store = if STORE { &mut product[c * PANEL..(c + W) * PANEL] } else { &mut product[..0] };
        let store: &mut [S::V] = bytemuck::cast_slice_mut(store);
        for v in (0..vectors).step_by(3) {
            let mut acc = [[s.splat(0.0); W]; 3];
            for (column, t) in panel[..depth * apart].chunks_exact(apart).zip(t.values.chunks_exact(t.ld)) {
                let Some(x) = column.get(v..v + 3) else { break };
                let Some(t) = t.get(c..c + W).and_then(|t| t.first_chunk::<W>()) else { break };
                for w in 0..W {
                    let b = Lanes::splat(s, t[w]);
                    for r in 0..3 {
                        acc[r][w] = s.add_product(b, x[r], acc[r][w]);
                    }
                }
            }
            for r in 0..3 {
                for w in 0..W {
                    norms[v + r] = s.add_product(acc[r][w], acc[r][w], norms[v + r]);
                    if STORE {
                        store[w * vectors + v + r] = acc[r][w];
                    }
                }
            }
        }
    }
}
