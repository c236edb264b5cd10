//! Kernels: match bits to signals, signals to spectra, and products of spectra.
use std::ops::Range;

use pulp::Simd;

use super::lanes::{Kernel, Lanes, Line};
use super::transform::{DOTS, LINES, divide, fold, forward, inverse};
use super::{SLICE, TILE, WORDS};
use crate::engine::match_bits::match_words;
use crate::letters::classes::{Classes, Code};

/// Rows are stored so many apart: odd, so that lines of neighbouring rows do not compete for the same place in a cache.
pub(super) fn stride(rows: usize) -> usize {
    rows | 1
}

/// Where a spectrum goes: `row` of the rows of every slice.
#[derive(Clone, Copy)]
pub(super) struct Layout {
    pub slice: usize,
    pub row: usize,
}

/// Match bits of all letters of one block; true if every symbol is exactly one of them.
pub(super) struct Mark<'a, C> {
    pub classes: &'a Classes,
    pub codes: &'a [C],
    pub bits: &'a mut [u64],
}

impl<C: Code> pulp::WithSimd for Mark<'_, C> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> bool {
        let (mut some, mut twice) = ([0_u64; WORDS], 0);
        for (letter, words) in self.bits.as_chunks_mut::<WORDS>().0.iter_mut().enumerate() {
            match_words(simd, self.classes, letter, self.codes, words);
            for (s, w) in some.iter_mut().zip(words) {
                twice |= *s & *w;
                *s |= *w;
            }
        }
        let full = self.codes.len() / 64;
        let rest = (1_u64 << (self.codes.len() % 64)) - 1;
        twice == 0 && some[..full].iter().all(|&s| s == !0) && (rest == 0 || some[full] == rest)
    }
}

/// The spectrum of a signal.
pub(super) struct Signal<'a>(pub &'a [Line; LINES]);

impl Kernel for Signal<'_> {
    type Output = [Line; LINES];

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) -> Self::Output {
        let mut x = [Line::ZERO; LINES];
        forward(l, |k| l.load(&self.0[k]), &mut x);
        x
    }
}

#[inline(always)]
pub(super) fn interleave<L: Lanes>(l: L, both: &[[Line; LINES]; 2], to: Layout, out: &mut [Line]) {
    let out = out.as_chunks_mut::<SLICE>().0[to.row..].iter_mut().step_by(to.slice);
    for ((a, b), out) in both[0].iter().zip(&both[1]).zip(out) {
        let (low, high) = l.interleave(l.load(a), l.load(b));
        l.store(low, &mut out[0]);
        l.store(high, &mut out[1]);
    }
}

pub(super) struct Interleave<'a> {
    pub both: &'a [[Line; LINES]; 2],
    pub to: Layout,
    pub out: &'a mut [Line],
}

impl Kernel for Interleave<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        interleave(l, self.both, self.to, self.out);
    }
}

/// The spectra of two letters of a block of the text, or of none.
pub(super) struct Transform<'a> {
    pub both: [Option<&'a [u64; WORDS]>; 2],
    /// Memory for the spectra of two stretches of text.
    pub spectra: &'a mut [[Line; LINES]; 2],
    pub to: Layout,
    pub text: &'a mut [Line],
}

impl Kernel for Transform<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        for (spectrum, bits) in self.spectra.iter_mut().zip(self.both) {
            match bits {
                Some(bits) => forward(l, |k| l.expand((bits[k / 2] >> (32 * (k % 2))) as u32), spectrum),
                None => spectrum.fill(Line::ZERO),
            }
        }
        interleave(l, self.spectra, self.to, self.text);
    }
}

/// One line of the products of four blocks with one group of pieces.
pub(super) struct Multiply<'a> {
    pub text: &'a [Line],
    pub spectra: &'a [Line],
    pub blocks: usize,
    pub pieces: usize,
    pub pairs: usize,
    pub first: usize,
    pub group: Range<usize>,
    pub to: [usize; TILE],
    pub products: &'a mut [Line],
}

/// Both lines of a slice.
pub(super) type Two<L> = (<L as Lanes>::V, <L as Lanes>::V);

#[inline(always)]
pub(super) fn load<L: Lanes>(l: L, slice: &[Line; SLICE]) -> Two<L> {
    (l.load(&slice[0]), l.load(&slice[1]))
}

/// `sum + a·b`.
#[inline(always)]
pub(super) fn dot<L: Lanes>(l: L, sum: Two<L>, a: Two<L>, b: Two<L>) -> Two<L> {
    (l.add_32(sum.0, l.dot(a.0, b.0)), l.add_32(sum.1, l.dot(a.1, b.1)))
}

#[inline(always)]
pub(super) fn fold_both<L: Lanes>(l: L, sum: Two<L>) -> Two<L> {
    (fold(l, sum.0), fold(l, sum.1))
}

impl Kernel for Multiply<'_> {
    type Output = ();

    /// Sums are variables and not an array, so that they stay in registers.
    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let zero = (l.splat(0), l.splat(0));
        let (mut p, mut q, mut r, mut s) = (zero, zero, zero, zero);
        let mut dots = 0;
        for pair in 0..self.pairs {
            let text = &self.text.as_chunks::<SLICE>().0[pair * self.blocks + self.first + self.group.start..];
            let spectra = &self.spectra.as_chunks::<SLICE>().0[pair * self.pieces..][self.group.clone()];
            let (fours, rest) = spectra.as_chunks::<TILE>();
            for (pieces, text) in fours.iter().zip(text.windows(2 * TILE - 1).step_by(TILE)) {
                if dots + TILE > DOTS {
                    (p, q, r, s) = (fold_both(l, p), fold_both(l, q), fold_both(l, r), fold_both(l, s));
                    dots = 0;
                }
                dots += TILE;
                let own = load(l, &pieces[0]);
                let (b, c, d) = (load(l, &text[1]), load(l, &text[2]), load(l, &text[3]));
                p = dot(l, p, load(l, &text[0]), own);
                q = dot(l, q, b, own);
                r = dot(l, r, c, own);
                s = dot(l, s, d, own);
                let (own, e) = (load(l, &pieces[1]), load(l, &text[4]));
                p = dot(l, p, b, own);
                q = dot(l, q, c, own);
                r = dot(l, r, d, own);
                s = dot(l, s, e, own);
                let (own, f) = (load(l, &pieces[2]), load(l, &text[5]));
                p = dot(l, p, c, own);
                q = dot(l, q, d, own);
                r = dot(l, r, e, own);
                s = dot(l, s, f, own);
                let own = load(l, &pieces[3]);
                p = dot(l, p, d, own);
                q = dot(l, q, e, own);
                r = dot(l, r, f, own);
                s = dot(l, s, load(l, &text[6]), own);
            }
            for (piece, text) in rest.iter().zip(text[TILE * fours.len()..].windows(TILE)) {
                if dots == DOTS {
                    (p, q, r, s) = (fold_both(l, p), fold_both(l, q), fold_both(l, r), fold_both(l, s));
                    dots = 0;
                }
                dots += 1;
                let own = load(l, piece);
                p = dot(l, p, load(l, &text[0]), own);
                q = dot(l, q, load(l, &text[1]), own);
                r = dot(l, r, load(l, &text[2]), own);
                s = dot(l, s, load(l, &text[3]), own);
            }
        }
        l.store(divide(l, fold_both(l, p)), &mut self.products[self.to[0]]);
        l.store(divide(l, fold_both(l, q)), &mut self.products[self.to[1]]);
        l.store(divide(l, fold_both(l, r)), &mut self.products[self.to[2]]);
        l.store(divide(l, fold_both(l, s)), &mut self.products[self.to[3]]);
    }
}

/// The counts of one block and one group.
pub(super) struct Finish<'a> {
    pub spectrum: &'a mut [Line; LINES],
    pub constant: i16,
    pub out: &'a mut [u32],
}

impl Kernel for Finish<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let out = self.out;
        inverse(l, self.spectrum, self.constant, |k, v| {
            let from = (32 * k).min(out.len());
            let to = (32 * (k + 1)).min(out.len());
            l.subtract_from(v, &mut out[from..to]);
        });
    }
}
