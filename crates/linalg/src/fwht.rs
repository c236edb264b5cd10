//! Fast Walsh–Hadamard transform, in place and unnormalised: `y[k] = Σ_m (−1)^⟨m,k⟩ x[m]`.
//!
//! Applying it twice multiplies by the length. Floor: one read and one write of the data per pass over memory; the
//! recursion below makes `⌈(log₂ n − 11) / 2⌉ + 1` passes. Instruction sets are chosen at run time.
use rayon::prelude::*;

/// Numbers the transform works on: `f32`, `f64`, `i32`, `i64` (integers wrap as Rust's release arithmetic does not: an
/// overflow panics in debug builds; keep `max|x|·n` in range).
pub trait FwhtScalar: Copy + Send + Sync + std::ops::Add<Output = Self> + std::ops::Sub<Output = Self> {}
impl FwhtScalar for f32 {}
impl FwhtScalar for f64 {}
impl FwhtScalar for i32 {}
impl FwhtScalar for i64 {}

/// Lengths from which halves are transformed in parallel: below, a fork costs more than it gives.
const PARALLEL: usize = 1 << 17;
/// Entries of a leaf that stays in the first-level cache.
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
    assert!(x.len().is_power_of_two(), "Walsh–Hadamard length {} is not a power of two", x.len());
    if x.len() < PARALLEL {
        serial(x);
        return;
    }
    let quarter = x.len() / 4;
    let (ab, cd) = x.split_at_mut(2 * quarter);
    let (a, b) = ab.split_at_mut(quarter);
    let (c, d) = cd.split_at_mut(quarter);
    rayon::join(
        || rayon::join(|| fwht_in_place(a), || fwht_in_place(b)),
        || rayon::join(|| fwht_in_place(c), || fwht_in_place(d)),
    );
    let chunk = quarter.min(1 << 14);
    a.par_chunks_mut(chunk)
        .zip(b.par_chunks_mut(chunk))
        .zip(c.par_chunks_mut(chunk).zip(d.par_chunks_mut(chunk)))
        .for_each(|((a, b), (c, d))| {
            pulp::Arch::new().dispatch(
                #[inline(always)]
                || radix4(a, b, c, d),
            );
        });
}

/// Transforms each consecutive block of `block` entries.
///
/// # Panics
/// When `block` is not a power of two or does not divide the length.
pub fn fwht_blocks_in_place<T: FwhtScalar>(x: &mut [T], block: usize) {
    assert!(block.is_power_of_two() && x.len().is_multiple_of(block), "{} entries in blocks of {block}", x.len());
    if x.len() >= PARALLEL && block <= LEAF {
        x.par_chunks_mut((1 << 14).max(block)).for_each(|part| part.chunks_exact_mut(block).for_each(serial));
    } else {
        x.chunks_exact_mut(block).for_each(fwht_in_place);
    }
}

fn serial<T: FwhtScalar>(x: &mut [T]) {
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || recurse(x),
    );
}

#[inline(always)]
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
            let (a, b, c, d) = (a + b, a - b, c + d, c - d);
            let (e, f, g, h) = (e + f, e - f, g + h, g - h);
            let (a, c, b, d) = (a + c, a - c, b + d, b - d);
            let (e, g, f, h) = (e + g, e - g, f + h, f - h);
            *group = [a + e, b + f, c + g, d + h, a - e, b - f, c - g, d - h];
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
fn radix2<T: FwhtScalar>(a: &mut [T], b: &mut [T]) {
    for (a, b) in a.iter_mut().zip(b) {
        (*a, *b) = (*a + *b, *a - *b);
    }
}

#[inline(always)]
fn radix4<T: FwhtScalar>(a: &mut [T], b: &mut [T], c: &mut [T], d: &mut [T]) {
    for ((a, b), (c, d)) in a.iter_mut().zip(b).zip(c.iter_mut().zip(d)) {
        let (s, t) = (*a + *b, *a - *b);
        let (u, v) = (*c + *d, *c - *d);
        (*a, *b, *c, *d) = (s + u, t + v, s - u, t - v);
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
}
