//! Fast Walsh–Hadamard transform, in place and unnormalised: `y[k] = Σ_m (−1)^⟨m,k⟩ x[m]`.
//!
//! Applying it twice multiplies by the length. Floor: one read and one write of the data per pass over memory; eight
//! levels are done in one pass, then three levels in each. The instruction set is chosen at run time; every one gives
//! the same bits, as does every number of threads.
use rayon::prelude::*;

#[cfg(target_arch = "x86_64")]
mod kernel;

/// Numbers the transform works on: `f32`, `f64`, `i32`, `i64`. Integers wrap when `max|x|·n` leaves their range.
pub trait FwhtScalar: Copy + Send + Sync + sealed::Scalar {}
impl FwhtScalar for f32 {}
impl FwhtScalar for f64 {}
impl FwhtScalar for i32 {}
impl FwhtScalar for i64 {}

mod sealed {
    #[cfg(target_arch = "x86_64")]
    use pulp::x86::{V3, V4};

    use super::InstructionSet;

    pub trait Scalar: Sized {
        fn plus(self, other: Self) -> Self;
        fn minus(self, other: Self) -> Self;
        /// Transforms blocks and returns how many leading entries are done.
        fn blocks(set: InstructionSet, x: &mut [Self], block: usize) -> usize;
        /// One radix-8 pass over rows; false when the portable code is to do it.
        fn top_pass(set: InstructionSet, rows: [&mut [Self]; 8]) -> bool;
    }

    macro_rules! scalar {
        ($($t:ty: $plus:expr, $minus:expr;)*) => {$(
            impl Scalar for $t {
                #[inline(always)]
                fn plus(self, other: Self) -> Self {
                    $plus(self, other)
                }
                #[inline(always)]
                fn minus(self, other: Self) -> Self {
                    $minus(self, other)
                }
                #[cfg(target_arch = "x86_64")]
                fn blocks(set: InstructionSet, x: &mut [Self], block: usize) -> usize {
                    match set {
                        InstructionSet::Avx512 => {
                            V4::try_new().map_or(0, |s| super::kernel::transform_blocks(s, x, block))
                        }
                        InstructionSet::Avx2 => {
                            V3::try_new().map_or(0, |s| super::kernel::transform_blocks(s, x, block))
                        }
                        InstructionSet::Portable => 0,
                    }
                }
                #[cfg(target_arch = "x86_64")]
                fn top_pass(set: InstructionSet, rows: [&mut [Self]; 8]) -> bool {
                    match set {
                        InstructionSet::Avx512 => V4::try_new().map(|s| super::kernel::top_pass(s, rows)).is_some(),
                        InstructionSet::Avx2 => V3::try_new().map(|s| super::kernel::top_pass(s, rows)).is_some(),
                        InstructionSet::Portable => false,
                    }
                }
                #[cfg(not(target_arch = "x86_64"))]
                fn blocks(_: InstructionSet, _: &mut [Self], _: usize) -> usize {
                    0
                }
                #[cfg(not(target_arch = "x86_64"))]
                fn top_pass(_: InstructionSet, _: [&mut [Self]; 8]) -> bool {
                    false
                }
            }
        )*};
    }
    scalar! {
        f32: |a, b| a + b, |a, b| a - b;
        f64: |a, b| a + b, |a, b| a - b;
        i32: i32::wrapping_add, i32::wrapping_sub;
        i64: i64::wrapping_add, i64::wrapping_sub;
    }
}

/// What the transform runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstructionSet {
    /// 512-bit registers of x86.
    Avx512,
    /// 256-bit registers of x86, with fused multiply-add.
    Avx2,
    /// Whatever the compiler makes of plain loops: SSE2 on x86, NEON on aarch64.
    Portable,
}

impl InstructionSet {
    /// The widest that this machine has.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if pulp::x86::V4::try_new().is_some() {
                return Self::Avx512;
            }
            if pulp::x86::V3::try_new().is_some() {
                return Self::Avx2;
            }
        }
        Self::Portable
    }
}

/// Lengths from which parts are transformed in parallel: below, a fork costs more than it gives.
const PARALLEL: usize = 1 << 17;
/// Columns of a parallel top pass that one task takes.
const COLUMNS: usize = 1 << 13;
/// Entries of a leaf of the portable code, which stays in the first-level cache.
const LEAF: usize = 1 << 11;

/// Transforms `x` in place (row LA-7). Cost `n·log₂ n` additions.
///
/// ```
/// let mut x = [1.0, 0.0, 0.0, 0.0];
/// samplewise_linalg::fwht::fwht_in_place(&mut x);
/// assert_eq!(x, [1.0; 4]);
/// ```
///
/// # Panics
/// When the length is not a power of two (callers check user input first).
pub fn fwht_in_place<T: FwhtScalar>(x: &mut [T]) {
    fwht_in_place_on(InstructionSet::detect(), x);
}

/// [`fwht_in_place`] on a given instruction set, for comparisons; one that this machine lacks falls back to the portable
/// code. The result is the same.
///
/// # Panics
/// When the length is not a power of two.
pub fn fwht_in_place_on<T: FwhtScalar>(set: InstructionSet, x: &mut [T]) {
    assert!(x.len().is_power_of_two(), "Walsh–Hadamard length {} is not a power of two", x.len());
    if x.len() < PARALLEL || rayon::current_num_threads() == 1 {
        serial_blocks(set, x, x.len());
        return;
    }
    let eighth = x.len() / 8;
    x.par_chunks_mut(eighth).for_each(|part| fwht_in_place_on(set, part));
    let mut rest = x.chunks_exact_mut(eighth);
    let mut columns: [_; 8] =
        std::array::from_fn(|_| rest.next().expect("eight eighths").chunks_mut(COLUMNS.min(eighth)));
    let count = columns[0].len();
    let tasks: Vec<[&mut [T]; 8]> =
        (0..count).map(|_| columns.each_mut().map(|row| row.next().expect("rows of equal length"))).collect();
    tasks.into_par_iter().for_each(|rows| top_pass(set, rows));
}

/// Transforms each consecutive block of `block` entries.
///
/// # Panics
/// When `block` is not a power of two or does not divide the length.
pub fn fwht_blocks_in_place<T: FwhtScalar>(x: &mut [T], block: usize) {
    assert!(block.is_power_of_two() && x.len().is_multiple_of(block), "{} entries in blocks of {block}", x.len());
    let set = InstructionSet::detect();
    if block >= PARALLEL {
        x.chunks_exact_mut(block).for_each(|x| fwht_in_place_on(set, x));
    } else if x.len() >= PARALLEL {
        x.par_chunks_mut((1 << 14).max(block)).for_each(|part| serial_blocks(set, part, block));
    } else {
        serial_blocks(set, x, block);
    }
}

fn serial_blocks<T: FwhtScalar>(set: InstructionSet, x: &mut [T], block: usize) {
    let done = T::blocks(set, x, block);
    x[done..].chunks_exact_mut(block).for_each(recurse);
}

fn top_pass<T: FwhtScalar>(set: InstructionSet, mut rows: [&mut [T]; 8]) {
    if T::top_pass(set, rows.each_mut().map(|row| &mut **row)) {
        return;
    }
    let [a, b, c, d, e, f, g, h] = rows;
    radix4(a, b, c, d);
    radix4(e, f, g, h);
    for (low, high) in [(a, e), (b, f), (c, g), (d, h)] {
        radix2(low, high);
    }
}

fn recurse<T: FwhtScalar>(x: &mut [T]) {
    // The sizes are powers of two, so an explicit loop replaces recursion: leaves first, then passes of radix 4.
    let n = x.len();
    let leaf = n.min(LEAF);
    for part in x.chunks_exact_mut(leaf) {
        butterflies(part);
    }
    let mut done = leaf;
    while done < n {
        if n / done >= 4 {
            for part in x.chunks_exact_mut(4 * done) {
                let (ab, cd) = part.split_at_mut(2 * done);
                let (a, b) = ab.split_at_mut(done);
                let (c, d) = cd.split_at_mut(done);
                radix4(a, b, c, d);
            }
            done *= 4;
        } else {
            let (a, b) = x.split_at_mut(done);
            radix2(a, b);
            done *= 2;
        }
    }
}

#[inline(always)]
fn butterflies<T: FwhtScalar>(x: &mut [T]) {
    let n = x.len();
    let mut half = 1;
    if n >= 8 {
        for group in x.as_chunks_mut::<8>().0 {
            let [a, b, c, d, e, f, g, h] = *group;
            let ((a, b), (c, d), (e, f), (g, h)) = (pair(a, b), pair(c, d), pair(e, f), pair(g, h));
            let ((a, c), (b, d), (e, g), (f, h)) = (pair(a, c), pair(b, d), pair(e, g), pair(f, h));
            let ((a, e), (b, f), (c, g), (d, h)) = (pair(a, e), pair(b, f), pair(c, g), pair(d, h));
            *group = [a, b, c, d, e, f, g, h];
        }
        half = 8;
    }
    while half < n {
        if n / half >= 4 {
            for part in x.chunks_exact_mut(4 * half) {
                let (ab, cd) = part.split_at_mut(2 * half);
                let (a, b) = ab.split_at_mut(half);
                let (c, d) = cd.split_at_mut(half);
                radix4(a, b, c, d);
            }
            half *= 4;
        } else {
            for part in x.chunks_exact_mut(2 * half) {
                let (a, b) = part.split_at_mut(half);
                radix2(a, b);
            }
            half *= 2;
        }
    }
}

#[inline(always)]
fn pair<T: FwhtScalar>(a: T, b: T) -> (T, T) {
    (a.plus(b), a.minus(b))
}

#[inline(always)]
fn radix2<T: FwhtScalar>(a: &mut [T], b: &mut [T]) {
    for (a, b) in a.iter_mut().zip(b) {
        (*a, *b) = pair(*a, *b);
    }
}

#[inline(always)]
fn radix4<T: FwhtScalar>(a: &mut [T], b: &mut [T], c: &mut [T], d: &mut [T]) {
    for ((a, b), (c, d)) in a.iter_mut().zip(b).zip(c.iter_mut().zip(d)) {
        let ((s, t), (u, v)) = (pair(*a, *b), pair(*c, *d));
        ((*a, *c), (*b, *d)) = (pair(s, u), pair(t, v));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition(x: &[i64]) -> Vec<i64> {
        (0..x.len())
            .map(|k| x.iter().enumerate().map(|(m, v)| if (m & k).count_ones() % 2 == 0 { *v } else { -*v }).sum())
            .collect()
    }

    /// LA-7: equal to the definition for every length to 2^10, on integers, so exactly.
    #[test]
    fn the_fast_transform_equals_the_definition() {
        for lg in 0..=10 {
            let x: Vec<i64> = (0..1_i64 << lg).map(|i| (i * i * 7 + 3 * i) % 41 - 20).collect();
            let mut y = x.clone();
            fwht_in_place(&mut y);
            assert_eq!(y, definition(&x));
            let mut f: Vec<f32> = x.iter().map(|&v| v as f32).collect();
            fwht_in_place(&mut f);
            assert!(f.iter().zip(&y).all(|(a, &b)| *a == b as f32));
        }
    }

    /// LA-7: twice is a multiplication by the length, past the parallel threshold too.
    #[test]
    fn applying_it_twice_multiplies_by_the_length() {
        for lg in [11, 12, 13, 17, 18, 19] {
            let n = 1_usize << lg;
            let x: Vec<i64> = (0..n as i64).map(|i| (i * 31) % 17 - 8).collect();
            let mut y = x.clone();
            fwht_in_place(&mut y);
            fwht_in_place(&mut y);
            assert!(x.iter().zip(&y).all(|(a, b)| a * n as i64 == *b), "length 2^{lg}");
            // Any involution passes that: some outputs against the definition.
            let mut once = x.clone();
            fwht_in_place(&mut once);
            for k in [0, 1, n / 2, n - 1, 12_345 % n, 77_777 % n] {
                let want: i64 =
                    x.iter().enumerate().map(|(m, v)| if (m & k).count_ones() % 2 == 0 { *v } else { -*v }).sum();
                assert_eq!(once[k], want, "length 2^{lg}, output {k}");
            }
        }
    }

    #[test]
    fn blocks_are_transformed_one_by_one() {
        let x: Vec<i64> = (0..1 << 18).map(|i| i % 23 - 11).collect();
        let mut blocks = x.clone();
        fwht_blocks_in_place(&mut blocks, 64);
        for (b, part) in x.chunks(64).enumerate().step_by(97) {
            assert_eq!(blocks[b * 64..(b + 1) * 64], definition(part));
        }
    }

    /// LA-7: every instruction set and every number of threads give the bits of the portable code, for all four types,
    /// all lengths and all block lengths.
    #[test]
    fn instruction_sets_agree_to_the_bit() {
        fn check<T: FwhtScalar + PartialEq + std::fmt::Debug>(value: impl Fn(usize) -> T) {
            for lg in 0..=18 {
                let x: Vec<T> = (0..1 << lg).map(&value).collect();
                let mut want = x.clone();
                recurse(&mut want);
                for set in [InstructionSet::Avx512, InstructionSet::Avx2, InstructionSet::Portable] {
                    let mut got = x.clone();
                    fwht_in_place_on(set, &mut got);
                    assert!(got == want, "2^{lg} on {set:?}");
                }
                for block in (0..=lg.min(15)).map(|b| 1 << b).filter(|_| lg <= 15) {
                    let mut want = x.clone();
                    want.chunks_exact_mut(block).for_each(recurse);
                    for set in [InstructionSet::Avx512, InstructionSet::Avx2] {
                        let mut got = x.clone();
                        serial_blocks(set, &mut got, block);
                        assert!(got == want, "2^{lg} in blocks of {block} on {set:?}");
                    }
                }
            }
            // A length that no register divides.
            let x: Vec<T> = (0..4 * 37).map(&value).collect();
            let mut want = x.clone();
            want.chunks_exact_mut(4).for_each(recurse);
            let mut got = x;
            fwht_blocks_in_place(&mut got, 4);
            assert_eq!(got, want);
        }
        let hash = |i: usize| (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        check(|i| (hash(i) >> 32) as f32 * 1e-3 - 1e6);
        check(|i| hash(i) as f64 * 1e-7 - 1e12);
        check(|i| (hash(i) >> 32) as i32); // wraps
        check(|i| hash(i) as i64);
    }
}
