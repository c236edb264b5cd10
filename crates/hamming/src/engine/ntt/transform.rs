//! The transform of length 4,096 over the residues modulo 12,289 = 3·2¹² + 1, in signed words of 16 bits.
//!
//! A polynomial modulo `x^2h − r²` splits into one modulo `x^h − r` and one modulo `x^h + r`, twelve times. The first
//! seven splits are between registers; then the words of 32 registers are transposed, and the last five are again
//! between registers. The order of the spectrum does not matter for products, and the inverse goes back the same way.
//!
//! **No word overflows.** With `|b| ≤ β` and centred roots `|r| ≤ 6,144`, the Montgomery product is at most
//! `0.09375 β + 6,146` in magnitude, so words may grow for a few splits before they are reduced: forward the words that
//! are not multiplied are reduced at the splits 5, 8 and 11, backward the sums at seven of twelve. The bounds of every
//! split are computed and asserted in the test `no_word_overflows`; inputs may be up to 1,024.
use std::sync::OnceLock;

use super::lanes::{Lanes, Line};
use crate::engine::modular::{self, twice};

/// The modulus: 12,289 = 3·2¹² + 1.
pub(crate) const P: i32 = 12_289;
/// Length of a transform.
pub(crate) const N: usize = 4096;
/// Registers that hold it.
pub(crate) const LINES: usize = N / 32;

/// `2^16 mod p`, centred.
const R: i32 = 4_091;
/// `p⁻¹ mod 2^16`: `12,289 · 12,287 = 9·2^24 − 1`.
const INVERSE: i16 = -12_287;
/// A primitive root modulo `p`.
const GENERATOR: i64 = 11;

/// The representative of `x` in `−6,144 ..= 6,144`.
pub(crate) fn centred(x: i64) -> i16 {
    modular::centred(x, P)
}

fn power(base: i64, exponent: u64) -> i64 {
    modular::power(base as u64, exponent, P as u64) as i64
}

/// A root in Montgomery form, and the same times `p⁻¹` modulo `2^16`.
#[derive(Clone, Copy)]
struct Root<T> {
    root: T,
    quotient: T,
}

fn root(value: i64) -> Root<i16> {
    let root = centred(value * i64::from(R));
    Root { root, quotient: root.wrapping_mul(INVERSE) }
}

/// The roots of all splits.
struct Roots {
    /// Those of the node `n` of the splits 1 to 7, whatever the split.
    single: Vec<Root<i32>>,
    /// Of each of four groups of registers, those of the splits 8 to 12: `2^j` registers' worth for the split `8 + j`.
    lanes: Vec<[Root<Line>; 31]>,
}

impl Roots {
    fn new(backward: bool) -> Self {
        let omega = power(GENERATOR, (P as u64 - 1) / N as u64);
        let omega = if backward { power(omega, N as u64 - 1) } else { omega };
        // The node n of a split is modulo x^2h − ω^e, e the reversal of the twelve bits of n; its root has half of it.
        let of_node = |n: usize| root(power(omega, u64::from((n as u16).reverse_bits() >> 4) / 2));
        let single = (0..64).map(of_node).map(|r| Root { root: twice(r.root), quotient: twice(r.quotient) }).collect();
        let lanes = (0..4)
            .map(|group| {
                std::array::from_fn(|k| {
                    // k = 2^j − 1 + s.
                    let j = (k + 1).ilog2();
                    let s = k + 1 - (1 << j);
                    let of_lane = |lane: usize| of_node(((32 * group + lane) << j) + s);
                    Root {
                        root: Line(std::array::from_fn(|lane| of_lane(lane).root)),
                        quotient: Line(std::array::from_fn(|lane| of_lane(lane).quotient)),
                    }
                })
            })
            .collect();
        Self { single, lanes }
    }
}

/// The tables of both directions.
pub(crate) struct Tables {
    forward: Roots,
    backward: Roots,
}

/// The tables of the transforms, made once for the process.
pub(crate) fn tables() -> &'static Tables {
    static TABLES: OnceLock<Tables> = OnceLock::new();
    TABLES.get_or_init(|| Tables { forward: Roots::new(false), backward: Roots::new(true) })
}

/// Constants in registers.
#[derive(Clone, Copy)]
struct Modulus<V> {
    p: V,
    /// `2^27 / p`.
    factor: V,
    half: V,
}

#[inline(always)]
fn modulus<L: Lanes>(l: L) -> Modulus<L::V> {
    Modulus { p: l.splat(twice(P as i16)), factor: l.splat(twice(10_922)), half: l.splat(twice(1 << 10)) }
}

/// The congruent word of at most 6,145: `a − round(a/p)·p`.
#[inline(always)]
fn reduce<L: Lanes>(l: L, m: Modulus<L::V>, a: L::V) -> L::V {
    let quotient = l.shift_11(l.add(l.mul_high(a, m.factor), m.half));
    l.sub_modulo(a, l.mul_low(quotient, m.p))
}

/// The product of two numbers in Montgomery form.
#[inline(always)]
fn times<L: Lanes>(l: L, m: Modulus<L::V>, b: L::V, r: Root<L::V>) -> L::V {
    let low = l.mul_low(b, r.quotient);
    l.sub(l.mul_high(b, r.root), l.mul_high(low, m.p))
}

/// `(a + r·b, a − r·b)`.
#[inline(always)]
fn split<L: Lanes, const REDUCED: bool>(l: L, m: Modulus<L::V>, a: L::V, b: L::V, r: Root<L::V>) -> (L::V, L::V) {
    let a = if REDUCED { reduce(l, m, a) } else { a };
    let b = times(l, m, b, r);
    (l.add(a, b), l.sub(a, b))
}

/// `(a + b, (a − b)·r)`.
#[inline(always)]
fn join<L: Lanes, const REDUCED: bool>(l: L, m: Modulus<L::V>, a: L::V, b: L::V, r: Root<L::V>) -> (L::V, L::V) {
    let (sum, difference) = (l.add(a, b), l.sub(a, b));
    (if REDUCED { reduce(l, m, sum) } else { sum }, times(l, m, difference, r))
}

/// [`split`] where the root is one.
#[inline(always)]
fn split_first<L: Lanes>(l: L, a: L::V, b: L::V) -> (L::V, L::V) {
    (l.add(a, b), l.sub(a, b))
}

/// [`join`] where the root is one; the difference is no larger than the sum.
#[inline(always)]
fn join_first<L: Lanes, const REDUCED: bool>(l: L, m: Modulus<L::V>, a: L::V, b: L::V) -> (L::V, L::V) {
    let (sum, difference) = (l.add(a, b), l.sub(a, b));
    if REDUCED { (reduce(l, m, sum), reduce(l, m, difference)) } else { (sum, difference) }
}

/// `step(register, other)` for pairs of registers: written out, since a loop over them would keep them in memory.
macro_rules! pairs {
    ($x:ident, $step:expr, $(($i:literal, $j:literal))*) => {
        $(($x[$i], $x[$j]) = $step($x[$i], $x[$j]);)*
    };
}

/// Three splits of eight registers; `A`, `B` and `C` say whether what is not multiplied is reduced.
#[inline(always)]
fn split_eight<L: Lanes, const A: bool, const B: bool, const C: bool>(
    l: L,
    m: Modulus<L::V>,
    x: &mut [L::V; 8],
    root: impl Fn(usize, usize) -> Root<L::V>,
) {
    let r = root(0, 0);
    pairs!(x, |a, b| split::<L, A>(l, m, a, b, r), (0, 4)(1, 5)(2, 6)(3, 7));
    let r = root(1, 0);
    pairs!(x, |a, b| split::<L, B>(l, m, a, b, r), (0, 2)(1, 3));
    let r = root(1, 1);
    pairs!(x, |a, b| split::<L, B>(l, m, a, b, r), (4, 6)(5, 7));
    let r = root(2, 0);
    pairs!(x, |a, b| split::<L, C>(l, m, a, b, r), (0, 1));
    let r = root(2, 1);
    pairs!(x, |a, b| split::<L, C>(l, m, a, b, r), (2, 3));
    let r = root(2, 2);
    pairs!(x, |a, b| split::<L, C>(l, m, a, b, r), (4, 5));
    let r = root(2, 3);
    pairs!(x, |a, b| split::<L, C>(l, m, a, b, r), (6, 7));
}

/// Three joins of eight registers; `C`, `B` and `A`, in this order, say whether sums are reduced.
#[inline(always)]
fn join_eight<L: Lanes, const C: bool, const B: bool, const A: bool>(
    l: L,
    m: Modulus<L::V>,
    x: &mut [L::V; 8],
    root: impl Fn(usize, usize) -> Root<L::V>,
) {
    let r = root(2, 0);
    pairs!(x, |a, b| join::<L, C>(l, m, a, b, r), (0, 1));
    let r = root(2, 1);
    pairs!(x, |a, b| join::<L, C>(l, m, a, b, r), (2, 3));
    let r = root(2, 2);
    pairs!(x, |a, b| join::<L, C>(l, m, a, b, r), (4, 5));
    let r = root(2, 3);
    pairs!(x, |a, b| join::<L, C>(l, m, a, b, r), (6, 7));
    let r = root(1, 0);
    pairs!(x, |a, b| join::<L, B>(l, m, a, b, r), (0, 2)(1, 3));
    let r = root(1, 1);
    pairs!(x, |a, b| join::<L, B>(l, m, a, b, r), (4, 6)(5, 7));
    let r = root(0, 0);
    pairs!(x, |a, b| join::<L, A>(l, m, a, b, r), (0, 4)(1, 5)(2, 6)(3, 7));
}

#[inline(always)]
fn load_eight<L: Lanes>(l: L, x: &[Line; 8]) -> [L::V; 8] {
    [
        l.load(&x[0]),
        l.load(&x[1]),
        l.load(&x[2]),
        l.load(&x[3]),
        l.load(&x[4]),
        l.load(&x[5]),
        l.load(&x[6]),
        l.load(&x[7]),
    ]
}

#[inline(always)]
fn store_eight<L: Lanes>(l: L, v: [L::V; 8], x: &mut [Line; 8]) {
    let [a, b, c, d, e, f, g, h] = v;
    l.store(a, &mut x[0]);
    l.store(b, &mut x[1]);
    l.store(c, &mut x[2]);
    l.store(d, &mut x[3]);
    l.store(e, &mut x[4]);
    l.store(f, &mut x[5]);
    l.store(g, &mut x[6]);
    l.store(h, &mut x[7]);
}

#[inline(always)]
fn single<L: Lanes>(l: L, roots: &Roots, node: usize) -> Root<L::V> {
    let r = roots.single[node];
    Root { root: l.splat(r.root), quotient: l.splat(r.quotient) }
}

#[inline(always)]
fn lanes<L: Lanes>(l: L, r: &Root<Line>) -> Root<L::V> {
    Root { root: l.load(&r.root), quotient: l.load(&r.quotient) }
}

/// Swaps the three lowest bits of the registers' numbers with those of the lanes' numbers; its own inverse.
#[inline(always)]
fn transpose_eight<L: Lanes>(l: L, x: &mut [L::V; 8]) {
    pairs!(
        x,
        |a, b| Lanes::interleave(l, a, b),
        (0, 4)(1, 5)(2, 6)(3, 7)(0, 2)(1, 3)(4, 6)(5, 7)(0, 1)(2, 3)(4, 5)(6, 7)
    );
}

/// The same for the two highest bits of both, of registers that lie eight apart.
#[inline(always)]
fn transpose_four<L: Lanes>(l: L, x: &mut [L::V; 4]) {
    pairs!(x, |a, b| Lanes::halves(l, a, b), (0, 1)(2, 3)(0, 2)(1, 3));
}

/// Spectrum of what `input` gives register by register, words of at most 1,024; the spectrum's words are at most 6,145.
/// About 60 instructions per register.
#[inline(always)]
pub(crate) fn forward<L: Lanes>(l: L, input: impl Fn(usize) -> L::V, x: &mut [Line; LINES]) {
    let (m, roots) = (modulus(l), &tables().forward);
    // Splits 1 to 4. The root of a first node is one.
    for low in 0..8 {
        let at = |k: usize| input(low + 8 * k);
        let mut r = [
            at(0),
            at(1),
            at(2),
            at(3),
            at(4),
            at(5),
            at(6),
            at(7),
            at(8),
            at(9),
            at(10),
            at(11),
            at(12),
            at(13),
            at(14),
            at(15),
        ];
        pairs!(r, |a, b| split_first(l, a, b), (0, 8)(1, 9)(2, 10)(3, 11)(4, 12)(5, 13)(6, 14)(7, 15));
        pairs!(r, |a, b| split_first(l, a, b), (0, 4)(1, 5)(2, 6)(3, 7)(0, 2)(1, 3)(0, 1));
        let s = single(l, roots, 1);
        pairs!(r, |a, b| split::<L, false>(l, m, a, b, s), (8, 12)(9, 13)(10, 14)(11, 15)(4, 6)(5, 7)(2, 3));
        let s = single(l, roots, 2);
        pairs!(r, |a, b| split::<L, false>(l, m, a, b, s), (8, 10)(9, 11)(4, 5));
        let s = single(l, roots, 3);
        pairs!(r, |a, b| split::<L, false>(l, m, a, b, s), (12, 14)(13, 15)(6, 7));
        let s = single(l, roots, 4);
        pairs!(r, |a, b| split::<L, false>(l, m, a, b, s), (8, 9));
        let s = single(l, roots, 5);
        pairs!(r, |a, b| split::<L, false>(l, m, a, b, s), (10, 11));
        let s = single(l, roots, 6);
        pairs!(r, |a, b| split::<L, false>(l, m, a, b, s), (12, 13));
        let s = single(l, roots, 7);
        pairs!(r, |a, b| split::<L, false>(l, m, a, b, s), (14, 15));
        for (k, &v) in r.iter().enumerate() {
            l.store(v, &mut x[low + 8 * k]);
        }
    }
    // Splits 5 to 7.
    for (high, x) in x.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let mut r = load_eight(l, x);
        split_eight::<L, true, false, false>(l, m, &mut r, |level, node| single(l, roots, (high << level) + node));
        transpose_eight(l, &mut r);
        store_eight(l, r, x);
    }
    for (x, roots) in x.as_chunks_mut::<32>().0.iter_mut().zip(&roots.lanes) {
        // Splits 8 and 9.
        let (first, second, third) = (lanes(l, &roots[0]), lanes(l, &roots[1]), lanes(l, &roots[2]));
        for low in 0..8 {
            let mut r = [l.load(&x[low]), l.load(&x[low + 8]), l.load(&x[low + 16]), l.load(&x[low + 24])];
            transpose_four(l, &mut r);
            pairs!(r, |a, b| split::<L, true>(l, m, a, b, first), (0, 2)(1, 3));
            pairs!(r, |a, b| split::<L, false>(l, m, a, b, second), (0, 1));
            pairs!(r, |a, b| split::<L, false>(l, m, a, b, third), (2, 3));
            l.store(r[0], &mut x[low]);
            l.store(r[1], &mut x[low + 8]);
            l.store(r[2], &mut x[low + 16]);
            l.store(r[3], &mut x[low + 24]);
        }
        // Splits 10 to 12.
        for (high, x) in x.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let mut r = load_eight(l, x);
            let root = |level: usize, node: usize| lanes(l, &roots[(4 << level) - 1 + (high << level) + node]);
            split_eight::<L, false, true, false>(l, m, &mut r, root);
            let reduced = [
                reduce(l, m, r[0]),
                reduce(l, m, r[1]),
                reduce(l, m, r[2]),
                reduce(l, m, r[3]),
                reduce(l, m, r[4]),
                reduce(l, m, r[5]),
                reduce(l, m, r[6]),
                reduce(l, m, r[7]),
            ];
            store_eight(l, reduced, x);
        }
    }
}

/// 4,096 times the signal of a spectrum whose words are at most 8,144; words of the signal plus `constant` are `0 .. p`.
#[inline(always)]
pub(crate) fn inverse<L: Lanes>(l: L, x: &mut [Line; LINES], constant: i16, mut output: impl FnMut(usize, L::V)) {
    let (m, roots) = (modulus(l), &tables().backward);
    for (x, roots) in x.as_chunks_mut::<32>().0.iter_mut().zip(&roots.lanes) {
        for (high, x) in x.as_chunks_mut::<8>().0.iter_mut().enumerate() {
            let mut r = load_eight(l, x);
            let root = |level: usize, node: usize| lanes(l, &roots[(4 << level) - 1 + (high << level) + node]);
            join_eight::<L, false, true, true>(l, m, &mut r, root);
            store_eight(l, r, x);
        }
        let (first, second, third) = (lanes(l, &roots[0]), lanes(l, &roots[1]), lanes(l, &roots[2]));
        for low in 0..8 {
            let mut r = [l.load(&x[low]), l.load(&x[low + 8]), l.load(&x[low + 16]), l.load(&x[low + 24])];
            pairs!(r, |a, b| join::<L, false>(l, m, a, b, second), (0, 1));
            pairs!(r, |a, b| join::<L, false>(l, m, a, b, third), (2, 3));
            pairs!(r, |a, b| join::<L, true>(l, m, a, b, first), (0, 2)(1, 3));
            transpose_four(l, &mut r);
            l.store(r[0], &mut x[low]);
            l.store(r[1], &mut x[low + 8]);
            l.store(r[2], &mut x[low + 16]);
            l.store(r[3], &mut x[low + 24]);
        }
    }
    for (high, x) in x.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let mut r = load_eight(l, x);
        transpose_eight(l, &mut r);
        join_eight::<L, true, false, true>(l, m, &mut r, |level, node| single(l, roots, (high << level) + node));
        store_eight(l, r, x);
    }
    let constant = l.splat(twice(constant));
    for low in 0..8 {
        let at = |k: usize| l.load(&x[low + 8 * k]);
        let mut r = [
            at(0),
            at(1),
            at(2),
            at(3),
            at(4),
            at(5),
            at(6),
            at(7),
            at(8),
            at(9),
            at(10),
            at(11),
            at(12),
            at(13),
            at(14),
            at(15),
        ];
        pairs!(r, |a, b| join_first::<L, true>(l, m, a, b), (0, 1));
        let s = single(l, roots, 7);
        pairs!(r, |a, b| join::<L, true>(l, m, a, b, s), (14, 15));
        let s = single(l, roots, 6);
        pairs!(r, |a, b| join::<L, true>(l, m, a, b, s), (12, 13));
        let s = single(l, roots, 5);
        pairs!(r, |a, b| join::<L, true>(l, m, a, b, s), (10, 11));
        let s = single(l, roots, 4);
        pairs!(r, |a, b| join::<L, true>(l, m, a, b, s), (8, 9));
        let s = single(l, roots, 3);
        pairs!(r, |a, b| join::<L, true>(l, m, a, b, s), (6, 7));
        pairs!(r, |a, b| join::<L, false>(l, m, a, b, s), (12, 14)(13, 15));
        let s = single(l, roots, 2);
        pairs!(r, |a, b| join::<L, true>(l, m, a, b, s), (4, 5));
        pairs!(r, |a, b| join::<L, false>(l, m, a, b, s), (8, 10)(9, 11));
        let s = single(l, roots, 1);
        pairs!(r, |a, b| join::<L, true>(l, m, a, b, s), (2, 3));
        pairs!(r, |a, b| join::<L, false>(l, m, a, b, s), (4, 6)(5, 7));
        pairs!(r, |a, b| join_first::<L, false>(l, m, a, b), (0, 2)(1, 3));
        pairs!(r, |a, b| join::<L, true>(l, m, a, b, s), (8, 12)(9, 13)(10, 14)(11, 15));
        pairs!(r, |a, b| join_first::<L, true>(l, m, a, b), (0, 4)(1, 5)(2, 6)(3, 7));
        pairs!(r, |a, b| join_first::<L, false>(l, m, a, b), (0, 8)(1, 9)(2, 10)(3, 11)(4, 12)(5, 13)(6, 14)(7, 15));
        for (k, &v) in r.iter().enumerate() {
            let v = l.add(reduce(l, m, v), constant);
            output(low + 8 * k, l.lift(reduce(l, m, v), m.p));
        }
    }
}

/// Sums of products of `2·c` words, `c ≤ 26` since the last [`fold`].
pub(crate) const DOTS: usize = 26;

/// The congruent sum of at most `2^15 + 4,091·2^15`, of any sum below `2^31 − 2^15` in magnitude: the upper half, rounded,
/// counts `2^16 ≡ 4,091`.
#[inline(always)]
pub(crate) fn fold<L: Lanes>(l: L, sum: L::V) -> L::V {
    let rounded = l.xor(l.add_32(sum, l.splat(0x8000)), l.splat(0x8000));
    l.dot(rounded, l.splat(R << 16 | 1))
}

/// Two registers of folded sums, divided by `2^16`, as words of at most 8,144, in the order that
/// [`Lanes::interleave`] undoes.
#[inline(always)]
pub(crate) fn divide<L: Lanes>(l: L, sums: (L::V, L::V)) -> L::V {
    let (low, high) = (l.low_halves(sums.0, sums.1), l.high_halves(sums.0, sums.1));
    let quotient = l.mul_low(low, l.splat(twice(INVERSE)));
    l.sub(high, l.mul_high(quotient, l.splat(twice(P as i16))))
}

/// What a word of a pattern's spectrum is multiplied with, so that [`divide`] and [`inverse`] leave the convolution.
pub(crate) fn scale() -> i64 {
    i64::from(R) * power(N as i64, P as u64 - 2) % i64::from(P)
}

#[cfg(test)]
mod tests {
    use super::super::lanes::Kernel;
    use super::super::lanes::tests::{Checked, with_all};
    use super::*;

    /// Largest word of the input of [`forward`], and of [`inverse`].
    const LARGEST_INPUT: i32 = 1_024;
    const LARGEST_PRODUCT: i32 = 8_144;

    #[derive(Clone)]
    struct Both<'a>(&'a [Line; LINES]);

    impl Kernel for Both<'_> {
        type Output = (Vec<i16>, Vec<i16>);
        #[inline(always)]
        fn run<L: Lanes>(self, l: L) -> Self::Output {
            let mut x = [Line::ZERO; LINES];
            forward(l, |k| l.load(&self.0[k]), &mut x);
            let spectrum = x.iter().flat_map(|line| line.0).collect();
            let mut out = vec![Line::ZERO; LINES];
            inverse(l, &mut x, 5, |k, v| l.store(v, &mut out[k]));
            (spectrum, out.iter().flat_map(|line| line.0).collect())
        }
    }

    /// The spectrum holds the polynomial's values at all roots of unity, and the inverse undoes it, with every
    /// instruction set; inputs at the bound, all equal (which makes every sum as large as can be) and of random sign.
    #[test]
    fn the_inverse_undoes_the_forward_transform() {
        let mut state = 7_u64;
        for kind in 0..4 {
            let signal: Vec<i16> = (0..N)
                .map(|i| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    match kind {
                        0 => LARGEST_INPUT as i16,
                        1 if state >> 63 == 0 => LARGEST_INPUT as i16,
                        1 => -LARGEST_INPUT as i16,
                        2 => (state >> 63) as i16,
                        _ => i16::from(i == 3),
                    }
                })
                .collect();
            let lines: [Line; LINES] = std::array::from_fn(|k| Line(signal[32 * k..32 * (k + 1)].try_into().unwrap()));
            let (spectrum, back) = with_all(&Both(&lines));
            assert!(spectrum.iter().all(|w| w.abs() <= 6_145));
            for (x, y) in signal.iter().zip(&back) {
                let want = (i64::from(*x) * N as i64 + 5).rem_euclid(i64::from(P));
                assert_eq!(i64::from(*y), want, "kind {kind}");
            }
            let sum: i64 = signal.iter().map(|&x| i64::from(x)).sum();
            let omega = power(GENERATOR, 3);
            let mut values: Vec<i64> = spectrum.iter().map(|&w| i64::from(w).rem_euclid(i64::from(P))).collect();
            assert_eq!(values[0], sum.rem_euclid(i64::from(P)));
            if kind == 3 {
                // x^3 at all 4,096 roots of unity.
                values.sort_unstable();
                let mut want: Vec<i64> = (0..N as u64).map(|i| power(omega, 3 * i)).collect();
                want.sort_unstable();
                assert_eq!(values, want);
            }
        }
    }

    /// Worst cases, split by split, of what every word can be; none reaches 2^15.
    #[test]
    fn no_word_overflows() {
        let product = |b: i32| (b * 6_144) / 65_536 + 6_146;
        let (limit, reduced) = (i32::from(i16::MAX), 6_145);
        // Forward: a first node doubles, others add a product.
        let (mut first, mut bound) = (LARGEST_INPUT, LARGEST_INPUT);
        for _ in 1..=4 {
            (first, bound) = (2 * first, (bound + product(bound)).max(first + product(first)));
            assert!(first <= limit && bound <= limit, "{first} {bound}");
        }
        bound = bound.max(first);
        for split in 5..=12 {
            let a = if [5, 8, 11].contains(&split) { reduced } else { bound };
            bound = a + product(bound);
            assert!(bound <= limit, "split {split}: {bound}");
        }
        // Backward: sums double, differences are multiplied.
        let mut bound = LARGEST_PRODUCT;
        for split in (1..=12).rev() {
            let sum = 2 * bound;
            assert!(sum <= limit, "join {split}: {sum}");
            bound = product(sum).max(if [11, 10, 8, 7, 5, 4, 2].contains(&split) { reduced } else { sum });
        }
        // 26 sums of two products on top of a folded one, and what `divide` makes of it.
        let folded = |sum: i64| (1 << 15) + 4_091 * ((sum >> 16) + 1);
        let dots = DOTS as i64 * 2 * 6_145 * 6_145;
        let mut sum = folded(i64::from(i32::MAX));
        for _ in 0..3 {
            assert!(sum + dots < (1 << 31) - (1 << 15));
            sum = folded(sum + dots);
        }
        assert!((sum >> 16) + 1 + 6_145 <= i64::from(LARGEST_PRODUCT), "{sum}");
    }

    /// Words at the bounds that the functions state, through the code itself, on registers that refuse to overflow.
    #[test]
    fn no_register_overflows() {
        let mut state = 3_u64;
        let mut sign = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if state >> 63 == 0 { 1 } else { -1 }
        };
        for kind in 0..40 {
            let mut lines = |largest: i32| -> [Line; LINES] {
                std::array::from_fn(|k| {
                    Line(std::array::from_fn(|lane| match kind {
                        0 => largest as i16,
                        1 => -largest as i16,
                        // Signs by one bit of the place each, which are what one split adds up.
                        2..14 => largest as i16 * if (32 * k + lane) >> (kind - 2) & 1 == 1 { -1 } else { 1 },
                        _ => largest as i16 * sign(),
                    }))
                })
            };
            let (signal, mut spectrum) = (lines(LARGEST_INPUT), lines(LARGEST_PRODUCT));
            let mut x = [Line::ZERO; LINES];
            forward(Checked, |k| Checked.load(&signal[k]), &mut x);
            inverse(Checked, &mut spectrum, 12_288, |_, v| assert!(v.iter().all(|w| (0..P).contains(&i32::from(*w)))));
        }
    }

    #[derive(Clone)]
    struct Divide([i32; 32]);

    impl Kernel for Divide {
        type Output = [i16; 32];
        #[inline(always)]
        fn run<L: Lanes>(self, l: L) -> [i16; 32] {
            let halves: [[i32; 16]; 2] = pulp::cast(self.0);
            let [a, b] = halves.map(|h| fold(l, l.load(&Line(pulp::cast(h)))));
            let mut out = Line::ZERO;
            l.store(divide(l, (a, b)), &mut out);
            out.0
        }
    }

    #[test]
    fn sums_are_divided_exactly() {
        let edges =
            [0_i32, 1, -1, 32_767, 32_768, 65_535, -32_768, -32_769, 65_536, 12_289, 2_094_000_000, -2_094_000_000];
        for shift in 0..edges.len() {
            let values: [i32; 32] =
                std::array::from_fn(|i| edges[(i * 7 + shift) % edges.len()].wrapping_add(i as i32));
            let out = with_all(&Divide(values));
            for quarter in 0..4 {
                for i in 0..4 {
                    for half in 0..2 {
                        let (sum, got) = (values[16 * half + 4 * quarter + i], out[8 * quarter + 4 * half + i]);
                        let back = (i64::from(got) * 65_536 - i64::from(sum)).rem_euclid(i64::from(P));
                        assert!(back == 0 && i32::from(got).abs() <= LARGEST_PRODUCT, "{sum}: {got}");
                    }
                }
            }
        }
    }
}
