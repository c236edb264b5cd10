//! Convolutions modulo a small prime, as many residues to a register as there are 16-bit lanes: the paper's bit-packed
//! FFT, with registers for words.
//!
//! A number `x < U` is written in a few digits, one for each axis of an array that is twice as long as the digits, so
//! that no sum of digits wraps; every axis is transformed over the residues, which have roots of unity of its length
//! though not of the length of the whole. Axes other than the last move whole registers; the array is transposed for the
//! last.
use super::Operations;
use crate::engine::modular::{centred, power, twice};
use crate::engine::ntt::lanes::{Kernel, Lanes, Line, dispatch};

/// A prime with roots of unity of order `2^order`, below `2^15`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub p: i32,
    pub order: u32,
    generator: i64,
}

/// The field whose numbers have 9 bits.
pub(crate) const SMALL: Field = Field { p: 257, order: 8, generator: 3 };
/// The field whose numbers have 14 bits.
pub(crate) const LARGE: Field = Field { p: 12_289, order: 12, generator: 11 };

impl Field {
    /// Bits of a residue.
    pub fn bits(self) -> u32 {
        32 - self.p.leading_zeros()
    }

    fn power(self, base: i64, exponent: u64) -> i64 {
        power(base as u64, exponent, self.p as u64) as i64
    }

    fn centred(self, x: i64) -> i16 {
        centred(x, self.p)
    }

    /// `p⁻¹` modulo `2^16`.
    fn inverse(self) -> i16 {
        // p is odd: three steps of Newton's iteration double the 3 bits of p·p ≡ 1 (mod 8) to 24.
        let p = self.p as i16;
        (0..3).fold(p, |x, _| x.wrapping_mul(2_i16.wrapping_sub(p.wrapping_mul(x))))
    }

    /// A factor in Montgomery form, and the same times `p⁻¹` modulo `2^16`.
    fn factor(self, value: i64) -> [i32; 2] {
        let root = self.centred(value * (1 << 16));
        [root, root.wrapping_mul(self.inverse())].map(twice)
    }
}

/// Axes of the array: base-2 logarithms of their lengths, twice the digits' ranges, from the outermost on.
fn axes(field: Field, universe: usize) -> Vec<u32> {
    // At least 32 numbers to each side of the last axis, so that registers are full.
    let bits = universe.next_power_of_two().trailing_zeros().max(10);
    let count = bits.div_ceil(field.order - 1).max(2);
    (0..count).map(|axis| (bits + axis) / count + 1).collect()
}

/// `#{(x, y) : x + y = z} mod p` for `z < 2·universe`; `x` and `y` are below `universe`.
pub(crate) fn convolve(field: Field, x: &[u32], y: &[u32], universe: usize, operations: &mut Operations) -> Vec<u32> {
    let axes = axes(field, universe);
    let total: usize = 1 << axes.iter().sum::<u32>();
    // Where a number is: its digits, one bit further apart each.
    let place = |number: u32| {
        let (mut rest, mut at, mut shift) = (number, 0, 0);
        for &log in axes.iter().rev() {
            at |= ((rest & ((1 << (log - 1)) - 1)) as usize) << shift;
            rest >>= log - 1;
            shift += log;
        }
        at
    };
    let spectrum = |set: &[u32], operations: &mut Operations| {
        let mut data = vec![Line::ZERO; total / 32];
        for &number in set {
            let at = place(number);
            let word = &mut data[at / 32].0[at % 32];
            *word = field.centred(i64::from(*word) + 1);
        }
        operations.words += set.len() as u64;
        transform(field, &axes, data, false, operations)
    };
    let (mut product, other) = (spectrum(x, operations), spectrum(y, operations));
    // Montgomery products lose 2^16, the inverse gains the length.
    let length = field.power(total as i64, field.p as u64 - 2);
    dispatch(Multiply { field, factor: field.factor(length * (1 << 16)), product: &mut product, other: &other });
    operations.residues(2 * total, field.bits());
    let sums = transform(field, &axes, product, true, operations);
    // Digits of sums carry into the next.
    let mut out = vec![0_u32; 2 * universe];
    let last = axes[axes.len() - 1];
    for (row, lines) in sums.chunks((1 << last) / 32).enumerate() {
        let (mut rest, mut from, mut weight) = (row, 0_usize, 1_usize << (last - 1));
        for &log in axes[..axes.len() - 1].iter().rev() {
            from += (rest & ((1 << log) - 1)) * weight;
            rest >>= log;
            weight <<= log - 1;
        }
        let words = lines.iter().flat_map(|line| &line.0);
        for (o, &w) in out.get_mut(from..).unwrap_or_default().iter_mut().zip(words) {
            let value = (i32::from(w) % field.p + field.p) as u32 + *o;
            *o = value % field.p as u32;
        }
    }
    operations.residues(total, field.bits());
    out
}

/// All axes; the last is the outermost between the two transpositions.
fn transform(field: Field, axes: &[u32], mut data: Vec<Line>, inverse: bool, operations: &mut Operations) -> Vec<Line> {
    let total = data.len() * 32;
    let last = axes[axes.len() - 1];
    let outer = |data: &mut [Line]| {
        let mut stride = total;
        for &log in &axes[..axes.len() - 1] {
            stride >>= log;
            dispatch(Axis { field, data, log, stride: stride / 32, inverse });
        }
    };
    let inner = |data: &mut [Line]| dispatch(Axis { field, data, log: last, stride: (total >> last) / 32, inverse });
    if inverse {
        inner(&mut data);
        data = transpose(&data, 1 << last);
        outer(&mut data);
    } else {
        outer(&mut data);
        data = transpose(&data, total >> last);
        inner(&mut data);
    }
    // One operation per pair of residues and level, and one per residue that is moved.
    let levels: u32 = axes.iter().sum();
    operations.residues(total / 2 * levels as usize + total, field.bits());
    data
}

/// From `rows` rows to as many columns.
fn transpose(data: &[Line], rows: usize) -> Vec<Line> {
    let columns = data.len() * 32 / rows;
    let mut out = vec![Line::ZERO; data.len()];
    for row in (0..rows).step_by(32) {
        for column in (0..columns).step_by(32) {
            for c in 0..32 {
                let line = &mut out[((column + c) * rows + row) / 32].0;
                for r in 0..32 {
                    line[r] = data[((row + r) * columns + column) / 32].0[c];
                }
            }
        }
    }
    out
}

#[derive(Clone, Copy)]
struct Constants<V> {
    p: V,
    one: [V; 2],
}

#[inline(always)]
fn constants<L: Lanes>(l: L, field: Field) -> Constants<L::V> {
    Constants { p: l.splat(twice(field.p as i16)), one: field.factor(1).map(|w| l.splat(w)) }
}

/// Montgomery product, at most `p` in magnitude.
#[inline(always)]
fn times<L: Lanes>(l: L, c: Constants<L::V>, a: L::V, b: [L::V; 2]) -> L::V {
    l.sub(l.mul_high(a, b[0]), l.mul_high(l.mul_low(a, b[1]), c.p))
}

/// One axis: `stride` lines lie between its neighbours.
struct Axis<'a> {
    field: Field,
    data: &'a mut [Line],
    log: u32,
    stride: usize,
    inverse: bool,
}

impl Kernel for Axis<'_> {
    type Output = ();

    /// Words are at most `p < 2^14`, sums of two below `2^15`, and reduced at once.
    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let (field, c) = (self.field, constants(l, self.field));
        let omega = field.power(field.generator, (field.p as u64 - 1) >> self.log);
        let omega = if self.inverse { field.power(omega, (1 << self.log) - 1) } else { omega };
        for level in 0..self.log {
            let half = if self.inverse { 1 << level } else { 1 << (self.log - 1 - level) };
            let step = field.power(omega, (1 << self.log) / (2 * half));
            let mut power = 1;
            for k in 0..half as usize {
                let root = field.factor(power).map(|w| l.splat(w));
                power = power * step % i64::from(field.p);
                for pair in self.data.chunks_exact_mut(2 * half as usize * self.stride) {
                    let (a, b) = pair.split_at_mut(half as usize * self.stride);
                    let (a, b) = (&mut a[k * self.stride..][..self.stride], &mut b[k * self.stride..][..self.stride]);
                    for (a, b) in a.iter_mut().zip(b) {
                        let (x, y) = (l.load(a), l.load(b));
                        if self.inverse {
                            let y = times(l, c, y, root);
                            l.store(times(l, c, l.add(x, y), c.one), a);
                            l.store(times(l, c, l.sub(x, y), c.one), b);
                        } else {
                            l.store(times(l, c, l.add(x, y), c.one), a);
                            l.store(times(l, c, l.sub(x, y), root), b);
                        }
                    }
                }
            }
        }
    }
}

/// `product·other·factor / 2^16`.
struct Multiply<'a> {
    field: Field,
    factor: [i32; 2],
    product: &'a mut [Line],
    other: &'a [Line],
}

impl Kernel for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let c = constants(l, self.field);
        let [factor, quotient] = self.factor.map(|w| l.splat(w));
        let inverse = l.splat(twice(self.field.inverse()));
        for (a, b) in self.product.iter_mut().zip(self.other) {
            let (x, y) = (l.load(a), l.load(b));
            let low = l.mul_low(l.mul_low(x, y), inverse);
            let product = l.sub(l.mul_high(x, y), l.mul_high(low, c.p));
            l.store(times(l, c, product, [factor, quotient]), a);
        }
    }
}
