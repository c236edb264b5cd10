//! Conjugate gradients on the least squares of every row, from its present value.
//!
//! The features of a row are gathered once and stay in the cache over all steps; the unknowns of a row and everything that
//! moves with them stay in registers. Floor: `2 + 2·steps` products of a feature row per entry.
// Descriptions of work own the rows that they fill.
#![allow(clippy::needless_pass_by_value)]

use pulp::bytemuck;
use rayon::prelude::*;
use samplewise_linalg::Real;
use samplewise_linalg::batched::SmallReal;
use samplewise_linalg::batched::lanes::Lanes;

use super::{KernelReal, Panel, add, as_rows};
use crate::data::entries::Orientation;

/// Rows of a unit of work.
const ROWS: usize = 64;
/// Bytes of gathered features beyond which they are read where they are: a share of the second-level cache.
const GATHERED: usize = 1 << 18;

/// What to solve, in a basis in which the second moment of the features is diagonal.
pub(crate) struct Descent<'a, T: Real> {
    pub entries: &'a Orientation<T>,
    /// In the order of the entries.
    pub targets: &'a [T],
    pub features: &'a Panel<T>,
    /// Per unknown, padded: the mean square of the features, the preconditioner of a row with one entry and no ridge.
    pub moments: &'a [T],
    /// Ridge of each row.
    pub ridges: &'a [T],
    /// The direction of the bias, padded, and its ridge in the place of that of the row.
    pub bias: Option<(T, &'a [T])>,
    pub steps: usize,
    /// Share of the preconditioned gradient at which a row is done.
    pub accuracy: T,
}

/// Consecutive rows of a descent.
#[doc(hidden)]
pub struct DescendRows<'a, T: Real> {
    pub(super) descent: &'a Descent<'a, T>,
    first: usize,
    x: &'a mut [T],
    gathered: &'a mut Vec<T>,
}

impl<T: KernelReal> Descent<'_, T> {
    /// Whether rows of this many unknowns are few enough registers on this machine.
    pub fn fits(unknowns: usize) -> bool {
        Panel::<T>::zeros(0, unknowns).width <= 8 * T::lanes()
    }

    /// Moves every row of `x` towards its solution; returns the steps times entries, and the steps, of all rows.
    pub fn run(&self, x: &mut Panel<T>) -> (usize, usize) {
        let unit = ROWS * x.width;
        if unit == 0 {
            return (0, 0);
        }
        let parts: Vec<(usize, usize)> = x
            .data
            .par_chunks_mut(unit)
            .enumerate()
            .map_init(Vec::new, |gathered, (b, x)| {
                T::descend(DescendRows { descent: self, first: b * ROWS, x, gathered })
            })
            .collect();
        parts.iter().fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1))
    }
}

/// The features of one row.
#[derive(Clone, Copy)]
enum Features<'a, V, const N: usize> {
    Gathered(&'a [[V; N]]),
    Apart(&'a [[V; N]], &'a [u32]),
}

impl<'a, V, const N: usize> Features<'a, V, N> {
    #[inline(always)]
    fn get(&self, p: usize) -> &'a [V; N] {
        match *self {
            Features::Gathered(rows) => &rows[p],
            Features::Apart(rows, indices) => &rows[indices[p] as usize],
        }
    }
}

#[inline(always)]
pub(super) fn descend<T: SmallReal, S: Lanes<T>, const N: usize>(s: S, work: DescendRows<'_, T>) -> (usize, usize) {
    let Descent { entries, targets, features, moments, ridges, bias, steps, accuracy } = *work.descent;
    let all = as_rows::<T, S, N>(&features.data);
    let moments = &as_rows::<T, S, N>(moments)[0];
    let bias = bias.map(|(ridge, direction)| (ridge, &as_rows::<T, S, N>(direction)[0]));
    let width = N * S::WIDTH;
    let gathered = work.gathered;
    gathered.resize((GATHERED / size_of::<T>()).max(width), T::default());
    let (zero, one) = (s.splat(T::default()), s.splat(T::from_f64(1.0)));
    let mut total = (0, 0);
    for (r, x_row) in work.x.chunks_exact_mut(width).enumerate() {
        let i = work.first + r;
        let (indices, _, weights) = entries.row(i);
        let x_row: &mut [S::V] = bytemuck::cast_slice_mut(x_row);
        let Some(x) = x_row.first_chunk_mut::<N>() else { continue };
        if indices.is_empty() {
            *x = [zero; N];
            continue;
        }
        let targets = &targets[entries.values.row_range(i)];
        let rows = if indices.len() * width <= gathered.len() {
            let panel = &mut gathered[..indices.len() * width];
            let slots: &mut [S::V] = bytemuck::cast_slice_mut(panel);
            for (slot, &j) in slots.as_chunks_mut::<N>().0.iter_mut().zip(indices) {
                *slot = all[j as usize];
            }
            Features::Gathered(as_rows::<T, S, N>(panel))
        } else {
            Features::Apart(all, indices)
        };
        let weighted = |c: T, p: usize| if let Some(w) = weights { c * w[p] } else { c };
        let ridge = ridges[i];
        let bias = bias.map(|(own, direction)| (own - ridge, direction));
        // The second moment of the row's own features, as far as those of all tell, with the ridge.
        let weight = weights.map_or(T::from_f64(indices.len() as f64), |w| w.iter().fold(T::default(), |a, b| a + *b));
        let (weight, shift) = (s.splat(weight), s.splat(ridge + smallest::<T>()));
        let mut scale = [zero; N];
        for n in 0..N {
            scale[n] = s.div(one, s.add_product(weight, moments[n], shift));
        }
        // Minus half the gradient.
        let mut residual = [zero; N];
        add::<T, S, N>(s, -ridge, x, &mut residual);
        if let Some((extra, bias)) = bias {
            add::<T, S, N>(s, -extra * dot::<T, S, N>(s, bias, x), bias, &mut residual);
        }
        for (p, &target) in targets.iter().enumerate() {
            let v = rows.get(p);
            add::<T, S, N>(s, weighted(target - dot::<T, S, N>(s, v, x), p), v, &mut residual);
        }
        let mut direction = [zero; N];
        for n in 0..N {
            direction[n] = s.mul(scale[n], residual[n]);
        }
        let mut gamma = dot::<T, S, N>(s, &residual, &direction);
        let goal = gamma * accuracy * accuracy;
        let mut used = 0;
        for _ in 0..steps {
            let least = T::from_f64(f64::from(f32::MIN_POSITIVE));
            if !gamma.is_finite() || gamma <= goal || gamma <= least {
                break;
            }
            let mut product = [zero; N];
            add::<T, S, N>(s, ridge, &direction, &mut product);
            if let Some((extra, bias)) = bias {
                add::<T, S, N>(s, extra * dot::<T, S, N>(s, bias, &direction), bias, &mut product);
            }
            for p in 0..indices.len() {
                let v = rows.get(p);
                add::<T, S, N>(s, weighted(dot::<T, S, N>(s, v, &direction), p), v, &mut product);
            }
            let curvature = dot::<T, S, N>(s, &direction, &product);
            if !curvature.is_finite() || curvature <= T::default() {
                break;
            }
            used += 1;
            let alpha = gamma / curvature;
            add::<T, S, N>(s, alpha, &direction, x);
            add::<T, S, N>(s, -alpha, &product, &mut residual);
            let mut next = zero;
            let mut scaled = [zero; N];
            for n in 0..N {
                scaled[n] = s.mul(scale[n], residual[n]);
                next = s.add_product(scaled[n], residual[n], next);
            }
            let next = s.sum(next);
            let beta = s.splat(next / gamma);
            for n in 0..N {
                direction[n] = s.add_product(beta, direction[n], scaled[n]);
            }
            gamma = next;
        }
        total.0 += (1 + used) * indices.len();
        total.1 += 1 + used;
    }
    total
}

/// Added to every ridge of the preconditioner: features may all be zero.
fn smallest<T: Real>() -> T {
    T::from_f64(if size_of::<T>() == 4 { 1e-30 } else { 1e-300 })
}

#[inline(always)]
fn dot<T: SmallReal, S: Lanes<T>, const N: usize>(s: S, a: &[S::V; N], b: &[S::V; N]) -> T {
    let mut sum = s.mul(a[0], b[0]);
    for n in 1..N {
        sum = s.add_product(a[n], b[n], sum);
    }
    s.sum(sum)
}
