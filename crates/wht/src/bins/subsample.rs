//! Stage 1, subsampling: a group of queries whose small transforms alias the spectrum into bins.
//!
//! For an invertible `R` and an offset `e`, the queries are `m = Rᵀ(l; e)` for all `l ∈ {0,1}^b`. With
//! `R k = (j; u)`, the low `b` bits `j` are the bin and the high bits `u` are what the decoder looks for:
//!
//! `U_e[j] = (1/B) Σ_l (−1)^⟨l,j⟩ x[Rᵀ(l; e)] = Σ_{k: bin j} (−1)^⟨e,u(k)⟩ X[k]`  (row WHT-2).
use std::sync::Arc;

use rand::Rng;
use rayon::prelude::*;
use samplewise_linalg::fwht;
use samplewise_linalg::random::StreamRng;

use crate::field::bits::{Bits, low_bits};
use crate::field::gf2::Invertible;

/// One group: a hash of the spectrum into `2^bits` bins, seen under several offsets.
///
/// Row WHT-2 of `paper-refs.md`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group<I = u64> {
    /// Bin bits `b`.
    pub bits: usize,
    /// Offsets `e_p`, vectors of `n − b` bits.
    pub offsets: Vec<I>,
    map: Invertible<I>,
}

impl<I: Bits> Group<I> {
    /// A random hash with the given offsets.
    pub fn new(variables: usize, bits: usize, offsets: Vec<I>, rng: &mut StreamRng) -> Self {
        Self::with_map(Invertible::random(variables, rng), bits, offsets)
    }

    /// The hash by the low bits of `map`.
    pub fn with_map(map: Invertible<I>, bits: usize, offsets: Vec<I>) -> Self {
        Self { bits, offsets, map }
    }

    /// Number of bins.
    pub fn bins(&self) -> usize {
        1 << self.bits
    }

    /// The bin of `k` and its remaining bits `u`.
    #[inline]
    pub fn locate(&self, k: I) -> (usize, I) {
        let image = self.map.apply(k);
        ((image.low() & low_bits(self.bits)) as usize, image.down(self.bits))
    }

    /// The index with the given bin and remaining bits: the inverse of [`Group::locate`].
    #[inline]
    pub fn index(&self, bin: usize, u: I) -> I {
        self.map.apply_inverse(u.up(self.bits) | I::from_low(bin as u64))
    }

    /// The functional that gives bit `i` of `R k`: the bins are bits `0..b`, `u` the rest.
    pub fn functional(&self, i: usize) -> I {
        self.map.row(i)
    }

    /// Bins and codewords of the unit vectors: for variable `i` its bin, and bit `p` set where `(−1)^⟨e_p,u⟩ = −1`. Both
    /// are linear in `k`.
    ///
    /// # Panics
    /// With more than 128 offsets.
    pub fn unit_words(&self) -> Vec<(u64, u128)> {
        assert!(self.offsets.len() <= 128, "a word holds 128 offsets");
        let word = |u: I| self.offsets.iter().enumerate().fold(0_u128, |w, (p, e)| w | u128::from(e.parity(u)) << p);
        self.map.columns().iter().map(|c| (c.low() & low_bits(self.bits), word(c.down(self.bits)))).collect()
    }

    /// The sign `(−1)^⟨e_p, u⟩` as ±1.
    #[inline]
    pub fn sign(&self, p: usize, u: I) -> f64 {
        if self.offsets[p].parity(u) { -1.0 } else { 1.0 }
    }

    /// Queries of the group: offset after offset, `l` counting up.
    pub fn queries(&self) -> impl Iterator<Item = I> + '_ {
        let mut span = Vec::with_capacity(self.bins());
        span.push(I::zero());
        for l in 1..self.bins() {
            span.push(span[l & (l - 1)] ^ self.map.row(l.trailing_zeros() as usize));
        }
        let span: Arc<[I]> = span.into();
        self.offsets.iter().flat_map(move |&e| {
            let (base, span) = (self.map.apply_transpose(e.up(self.bits)), Arc::clone(&span));
            (0..self.bins()).map(move |l| base ^ span[l])
        })
    }

    /// The answers `x[m]` to the queries of the group for a given spectrum: coefficients are aliased into the bins and each
    /// offset is transformed back, which is exact and costs `P·(K + B log B)` instead of a sum of `K` terms per query.
    pub fn answers(&self, spectrum: &[(I, f64)]) -> Vec<f64> {
        let (bins, places) = (self.bins(), spectrum.iter().map(|&(k, v)| (self.locate(k), v)).collect::<Vec<_>>());
        let mut out = vec![0.0; bins * self.offsets.len()];
        for (p, part) in out.chunks_exact_mut(bins).enumerate() {
            for &((j, u), v) in &places {
                part[j] += v * self.sign(p, u);
            }
        }
        fwht::fwht_blocks_in_place(&mut out, bins);
        out
    }

    /// Bins of the given answers (in the order of [`Group::queries`]): `out[j·P + p] = U_{e_p}[j]`.
    pub fn observe(&self, answers: &[f64]) -> Vec<f64> {
        self.observe_owned(answers.to_vec())
    }

    /// [`Group::observe`] of answers that are not needed any more.
    pub fn observe_owned(&self, mut work: Vec<f64>) -> Vec<f64> {
        let (bins, count) = (self.bins(), self.offsets.len());
        fwht::fwht_blocks_in_place(&mut work, bins);
        let scale = 1.0 / bins as f64;
        let mut out = vec![0.0; bins * count];
        // A range of bins a task; within it, offset after offset.
        out.par_chunks_mut(RANGE * count).enumerate().for_each(|(range, part)| {
            for (p, from) in work.chunks_exact(bins).enumerate() {
                for (j, v) in from[range * RANGE..].iter().take(part.len() / count).enumerate() {
                    part[j * count + p] = v * scale;
                }
            }
        });
        out
    }
}

/// Bins that one task turns into place.
const RANGE: usize = 1024;

/// Offset zero and the unit vectors of the `free` remaining bits: the sign bits of a single-ton spell its index.
pub fn sign_bit_offsets<I: Bits>(free: usize) -> Vec<I> {
    std::iter::once(I::zero()).chain((0..free).map(I::unit)).collect()
}

/// `pairs` random offsets, each followed by itself plus every unit vector (the paper's near-sample-optimal offsets).
pub fn paired_offsets<I: Bits, R: Rng + ?Sized>(free: usize, pairs: usize, rng: &mut R) -> Vec<I> {
    (0..pairs)
        .flat_map(|_| {
            let d = I::random(free, rng);
            std::iter::once(d).chain((0..free).map(move |i| d ^ I::unit(i)))
        })
        .collect()
}

/// `count` distinct random offsets, or all of them when there are not more. Two equal offsets would read the same
/// samples twice.
pub fn distinct_offsets<I: Bits, R: Rng + ?Sized>(free: usize, count: usize, rng: &mut R) -> Vec<I> {
    if free < 64 && count as u64 >= 1 << free {
        return (0..1_u64 << free).map(I::from_low).collect();
    }
    let mut seen = std::collections::HashSet::with_capacity(count);
    let mut out = Vec::with_capacity(count);
    while out.len() < count {
        let e = I::random(free, rng);
        if seen.insert(e) {
            out.push(e);
        }
    }
    out
}

/// Offsets of the rateless schedule for bins of `bits` bits out of `variables`: the samples of a stage are samples of every
/// later one.
///
/// `anchors` are vectors of `n` bits that differ in the bits above `bits`. The first offsets are the anchors' upper
/// parts; the next are their partners across the lowest bit. With all partners, the samples are exactly those of the
/// anchors alone with twice the bins.
pub fn nested_offsets<I: Bits>(anchors: &[I], bits: usize, count: usize) -> Vec<I> {
    let tops = anchors.iter().map(|a| a.down(bits));
    tops.clone().chain(tops.map(|e| e ^ I::unit(0))).take(count).collect()
}
