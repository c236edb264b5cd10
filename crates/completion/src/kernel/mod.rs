//! The passes over the entries that fuse a product of factor rows with its use. Each reads every entry once, in one
//! orientation, and gathers one or two rows of the other side; nothing of the size of `Ω` is written.
//!
//! Floor: `2|Ω|k` flops and one gathered row of `k` scalars per entry, the time to verify an answer (`residual`). Rows are
//! padded to whole registers of 64 bytes, and up to eight of them are constants of the compiled loops, so that sums over
//! the entries of a row stay in registers: in memory they cost three times as much.
//!
//! | module | |
//! |---|---|
//! | `panel` | padded rows |
//! | `passes` | sums over the entries of a row |
//! | `descent` | conjugate gradients on the least squares of every row |
//! | `normal` | the normal matrix of every row, factored |

mod descent;
mod normal;
mod panel;
mod passes;

use pulp::{Simd, bytemuck};
use samplewise_linalg::batched::SmallReal;
use samplewise_linalg::batched::lanes::Lanes;

pub(crate) use descent::Descent;
use descent::{DescendRows, descend};
pub(crate) use normal::Normal;
pub(crate) use panel::Panel;
use passes::{Rows, Verify, rows_of, rows_of_any, verify, verify_any};
pub(crate) use passes::{coupling, gradient, reduced, residual};

/// Bytes of a group of lanes.
const GROUP: usize = 64;
/// Rows of a unit of work; a constant, so that results do not depend on the number of threads.
const ROWS: usize = 256;
/// Scalar operations below which a parallel call costs more than it gains.
const SERIAL: usize = 1 << 17;

/// The two precisions: what runs on the registers of this machine.
pub trait KernelReal: SmallReal {
    #[doc(hidden)]
    fn rows(work: Rows<'_, Self>) -> f64;
    #[doc(hidden)]
    fn verify(work: Verify<'_, Self>) -> f64;
    #[doc(hidden)]
    fn descend(work: DescendRows<'_, Self>) -> (usize, usize);
}

/// Rows of one to eight registers are constants of the compiled loops.
macro_rules! by_registers {
    ($t:ty, $s:ident, $simd:expr, $width:expr, $constant:ident, $any:ident, $work:expr) => {
        match $width / <$s as Lanes<$t>>::WIDTH {
            1 => $constant::<$t, $s, 1>($simd, $work),
            2 => $constant::<$t, $s, 2>($simd, $work),
            3 => $constant::<$t, $s, 3>($simd, $work),
            4 => $constant::<$t, $s, 4>($simd, $work),
            5 => $constant::<$t, $s, 5>($simd, $work),
            6 => $constant::<$t, $s, 6>($simd, $work),
            7 => $constant::<$t, $s, 7>($simd, $work),
            8 => $constant::<$t, $s, 8>($simd, $work),
            _ => $any::<$t, $s>($simd, $work),
        }
    };
}

macro_rules! dispatched {
    ($t:ty, $work:ident, $output:ty, $width:expr, $constant:ident, $any:ident) => {{
        struct InSimd<'a>($work<'a, $t>);
        impl pulp::WithSimd for InSimd<'_> {
            type Output = $output;
            #[inline(always)]
            fn with_simd<S: Simd>(self, s: S) -> $output {
                let width = $width(&self.0);
                by_registers!($t, S, s, width, $constant, $any, self.0)
            }
        }
        |work| pulp::Arch::new().dispatch(InSimd(work))
    }};
}

macro_rules! kernel_real {
    ($($t:ty),*) => {$(
        impl KernelReal for $t {
            fn rows(work: Rows<'_, $t>) -> f64 {
                dispatched!($t, Rows, f64, |w: &Rows<'_, $t>| w.pass.own.width, rows_of, rows_of_any)(work)
            }
            fn verify(work: Verify<'_, $t>) -> f64 {
                dispatched!($t, Verify, f64, |w: &Verify<'_, $t>| w.own.width, verify, verify_any)(work)
            }
            fn descend(work: DescendRows<'_, $t>) -> (usize, usize) {
                dispatched!(
                    $t,
                    DescendRows,
                    (usize, usize),
                    |w: &DescendRows<'_, $t>| w.descent.features.width,
                    descend,
                    too_wide
                )(work)
            }
        }
    )*};
}
kernel_real!(f32, f64);

/// Rows of more registers do not come here: see [`Descent::fits`].
#[inline(always)]
fn too_wide<T: SmallReal, S: Lanes<T>>(_: S, _: DescendRows<'_, T>) -> (usize, usize) {
    (0, 0)
}

#[inline(always)]
fn as_rows<T: SmallReal, S: Lanes<T>, const N: usize>(panel: &[T]) -> &[[S::V; N]] {
    let registers: &[S::V] = bytemuck::cast_slice(panel);
    registers.as_chunks::<N>().0
}

#[inline(always)]
fn as_row<T: SmallReal, S: Lanes<T>>(row: &[T]) -> &[S::V] {
    bytemuck::cast_slice(row)
}

#[inline(always)]
fn add<T: SmallReal, S: Lanes<T>, const N: usize>(s: S, c: T, direction: &[S::V; N], acc: &mut [S::V; N]) {
    let c = s.splat(c);
    for n in 0..N {
        acc[n] = s.add_product(c, direction[n], acc[n]);
    }
}

/// One look at every entry in single precision: the unit that fits are measured in.
#[doc(hidden)]
#[derive(Debug)]
pub struct Verification {
    entries: crate::Entries<f32>,
    u: Panel<f32>,
    v: Panel<f32>,
}

impl Verification {
    /// `None` where the values leave the range of single precision.
    pub fn new(entries: &crate::Entries, model: &crate::Model) -> Option<Self> {
        let (u, v) = (Panel::copy(&model.row_factors), Panel::copy(&model.column_factors));
        Some(Self { entries: entries.to_single()?, u, v })
    }

    /// The sum of the squared residuals.
    pub fn pass(&self) -> f64 {
        residual(&self.entries.by_row, &self.u, &self.v)
    }
}

#[cfg(test)]
mod tests {
    use samplewise_linalg::Matrix;
    use samplewise_linalg::random::Streams;

    use super::*;
    use crate::Entries;

    /// COM-7: every pass and every solve equals its definition, for all widths up to eight registers and beyond, weighted
    /// and not, in both precisions.
    fn agrees<T: KernelReal>(single: impl Fn(&Entries) -> Entries<T>, tolerance: f64) {
        for (case, k) in [1, 5, 8, 9, 16, 20, 33, 50, 64, 70, 130].into_iter().enumerate() {
            let s = Streams::new(case as u64);
            let (m, n) = (40, 300);
            let draw = |i: usize| s.uniform(i as u64) - 0.5;
            let seen: Vec<(usize, usize, f64)> = (0..m * n)
                .filter(|c| s.uniform((1_000_000 + c) as u64) < 0.8 && c / n != 7)
                .map(|c| (c / n, c % n, draw(2_000_000 + c)))
                .collect();
            let weights: Vec<f64> = (0..seen.len()).map(|p| 0.5 + s.uniform((3_000_000 + p) as u64)).collect();
            let data = Entries::new(m, n, &seen, (case % 2 == 0).then_some(&weights[..])).unwrap();
            let narrow = single(&data);
            let random = |rows: usize, id: usize| Matrix::from_fn(rows, k, |i, c| draw(id + i * 200 + c));
            let [u, u2] = [random(m, 4_000_000), random(m, 5_000_000)];
            let [v, v2] = [random(n, 6_000_000), random(n, 7_000_000)];
            let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let [pu, pu2, pv, pv2] = [&u, &u2, &v, &v2].map(Panel::<T>::copy);
            let mut out = Panel::zeros(m, k);
            let check = |name: &str, out: &Panel<T>, c: &dyn Fn(usize, usize, f64) -> f64| {
                let mut expected = Matrix::<f64>::zeros(m, k);
                for (i, j, value, w) in data.iter() {
                    let c = w * c(i, j, value);
                    expected.row_mut(i).iter_mut().zip(v.row(j)).for_each(|(e, v)| *e += c * v);
                }
                let found = out.to_matrix();
                let scale = expected.norm();
                for (a, b) in found.as_slice().iter().zip(expected.as_slice()) {
                    assert!((a - b).abs() <= tolerance * scale, "{name}, k = {k}: {a} {b}");
                }
            };
            let squares = gradient(&narrow.by_row, &pu, &pv, &mut out);
            check("gradient", &out, &|i, j, value| value - dot(u.row(i), v.row(j)));
            let expected: f64 = data.iter().map(|(i, j, x, w)| w * (x - dot(u.row(i), v.row(j))).powi(2)).sum();
            for found in [squares, residual(&narrow.by_row, &pu, &pv)] {
                assert!((found - expected).abs() <= tolerance * expected, "k = {k}: {found} {expected}");
            }
            coupling(&narrow.by_row, &pu, &pv2, &pv, &mut out);
            check("coupling", &out, &|i, j, _| dot(u.row(i), v2.row(j)));
            reduced(&narrow.by_row, &pu, &pu2, &pv2, &pv, &mut out);
            check("reduced", &out, &|i, j, _| dot(u.row(i), v.row(j)) - dot(u2.row(i), v2.row(j)));
            // G (G⁻¹ x) = x, where there are entries; x over the ridge where there are none.
            let normal = Normal::new(&narrow.by_row, &pv, 0.5).unwrap();
            let mut solved = Panel::zeros(m, k);
            normal.solve(&pu, &mut solved);
            let solved = solved.to_matrix();
            let mut back = Matrix::from_fn(m, k, |i, c| 0.5 * solved[(i, c)]);
            for (i, j, _, w) in data.iter() {
                let c = w * dot(v.row(j), solved.row(i));
                back.row_mut(i).iter_mut().zip(v.row(j)).for_each(|(b, v)| *b += c * v);
            }
            for (a, b) in back.as_slice().iter().zip(u.as_slice()) {
                assert!((a - b).abs() < 1e3 * tolerance, "solve, k = {k}: {a} {b}");
            }
        }
    }

    /// COM-7: see above.
    #[test]
    fn passes_and_solves_equal_their_definitions() {
        agrees::<f64>(Clone::clone, 1e-12);
        agrees::<f32>(|e| e.to_single().unwrap(), 1e-5);
    }
}
