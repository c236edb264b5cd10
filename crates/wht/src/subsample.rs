//! Stage 1, subsampling: a group of queries whose small transforms alias the spectrum into bins.
//!
//! For a random invertible `R` and an offset `e`, the queries are `m = Rᵀ(l; e)` for all `l ∈ {0,1}^b`. With
//! `R k = (j; u)`, the low `b` bits `j` are the bin and the high bits `u` are what the decoder looks for:
//!
//! `U_e[j] = (1/B) Σ_l (−1)^⟨l,j⟩ x[Rᵀ(l; e)] = Σ_{k: bin j} (−1)^⟨e,u(k)⟩ X[k]`  (row WHT-2).
use rand::Rng;
use samplewise_linalg::fwht;
use samplewise_linalg::random::StreamRng;

use crate::gf2::{Invertible, low_bits, parity};

/// One group: a hash of the spectrum into `2^bits` bins, seen under several offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Bin bits `b`.
    pub bits: usize,
    /// Offsets `e_p`, vectors of `n − b` bits.
    pub offsets: Vec<u64>,
    map: Invertible,
}

impl Group {
    /// A random hash with the given offsets.
    pub fn new(variables: usize, bits: usize, offsets: Vec<u64>, rng: &mut StreamRng) -> Self {
        Self { bits, offsets, map: Invertible::random(variables, rng) }
    }

    /// Number of bins.
    pub fn bins(&self) -> usize {
        1 << self.bits
    }

    /// The bin of `k` and its remaining bits `u`.
    #[inline]
    pub fn locate(&self, k: u64) -> (usize, u64) {
        let image = self.map.apply(k);
        ((image & low_bits(self.bits)) as usize, image >> self.bits)
    }

    /// The index with the given bin and remaining bits: the inverse of [`Group::locate`].
    #[inline]
    pub fn index(&self, bin: usize, u: u64) -> u64 {
        self.map.apply_inverse(u << self.bits | bin as u64)
    }

    /// The functional that gives bit `i` of `R k`: the bins are bits `0..b`, `u` the rest.
    pub fn functional(&self, i: usize) -> u64 {
        self.map.row(i)
    }

    /// The sign `(−1)^⟨e_p, u⟩` as ±1.
    #[inline]
    pub fn sign(&self, p: usize, u: u64) -> f64 {
        if parity(self.offsets[p], u) { -1.0 } else { 1.0 }
    }

    /// Queries of the group: offset after offset, `l` counting up.
    pub fn queries(&self) -> impl Iterator<Item = u64> + '_ {
        self.offsets.iter().flat_map(move |&e| {
            let base = self.map.apply_transpose(e << self.bits);
            (0..self.bins() as u64).map(move |l| base ^ self.map.apply_transpose(l))
        })
    }

    /// The answers `x[m]` to the queries of the group for a given spectrum: coefficients are aliased into the bins and each
    /// offset is transformed back, which is exact and costs `P·(K + B log B)` instead of a sum of `K` terms per query.
    pub fn answers(&self, spectrum: &[(u64, f64)]) -> Vec<f64> {
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
        let (bins, count) = (self.bins(), self.offsets.len());
        let mut work = answers.to_vec();
        fwht::fwht_blocks_in_place(&mut work, bins);
        let scale = 1.0 / bins as f64;
        let mut out = vec![0.0; bins * count];
        for (p, part) in work.chunks_exact(bins).enumerate() {
            for (j, v) in part.iter().enumerate() {
                out[j * count + p] = v * scale;
            }
        }
        out
    }
}

/// Offset zero and the unit vectors of the `free` remaining bits: the sign bits of a single-ton spell its index.
pub fn sign_bit_offsets(free: usize) -> Vec<u64> {
    std::iter::once(0).chain((0..free).map(|i| 1 << i)).collect()
}

/// `pairs` random offsets, each followed by itself plus every unit vector (the paper's near-sample-optimal offsets).
pub fn paired_offsets(free: usize, pairs: usize, rng: &mut StreamRng) -> Vec<u64> {
    let mask = low_bits(free);
    (0..pairs)
        .flat_map(|_| {
            let d = rng.next_u64() & mask;
            std::iter::once(d).chain((0..free).map(move |i| d ^ 1 << i))
        })
        .collect()
}

/// `count` distinct random offsets, or all of them when there are not more. Two equal offsets would read the same
/// samples twice.
pub fn distinct_offsets(free: usize, count: usize, rng: &mut StreamRng) -> Vec<u64> {
    let all = 1_u128 << free;
    if count as u128 >= all {
        return (0..all as u64).collect();
    }
    let mask = low_bits(free);
    let mut seen = std::collections::HashSet::with_capacity(count);
    let mut out = Vec::with_capacity(count);
    while out.len() < count {
        let e = rng.next_u64() & mask;
        if seen.insert(e) {
            out.push(e);
        }
    }
    out
}
