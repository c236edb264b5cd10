//! Stalled peeling: two coefficients of equal magnitude in one bin, told apart by a second group.
//!
//! Under sign-bit offsets a bin of `+a` and `±a` shows where the two indices agree (or differ), and there their bits;
//! the other bits are lost. So a member `k` of the pair satisfies `b + (known bits)` linear equations over F₂. In a
//! second group it satisfies as many others, about `n + b` together: more than `n`, so the intersection is one index
//! when it is right and mostly empty when it is wrong. Without this, spectra whose amplitudes are all `±a` need twice
//! the bins (row WHT-3).
use std::collections::{BTreeMap, BTreeSet};

use crate::bins::subsample::Group;
use crate::field::bits::Bits;
use crate::field::gf2::System;

/// What one bin tells about a member of its pair.
struct Clue<I> {
    group: usize,
    bin: usize,
    value: f64,
    system: System<I>,
}

/// Pairs of bins compared per call: beyond it the stall is too deep for pairs to be the cause.
const MAX_PAIRS: usize = 1 << 18;
/// Solutions looked at per pair of bins, as a power of two.
const MAX_FREE: usize = 3;

/// Members `(k, value)` of equal pairs that two groups agree on, each the only one proposed for its bins.
///
/// Row WHT-3 of `paper-refs.md`.
pub fn resolve<I: Bits>(groups: &[Group<I>], bins: &[Vec<f64>], tolerance: f64) -> Vec<(I, f64)> {
    let clues: Vec<Vec<Clue<I>>> = (0..groups.len()).map(|c| clues(groups, c, &bins[c], tolerance)).collect();
    let nonzero = |c: usize, k: I| {
        let (j, _) = groups[c].locate(k);
        let count = groups[c].offsets.len();
        bins[c][j * count..(j + 1) * count].iter().any(|v| v.abs() > tolerance)
    };
    let mut proposals: Vec<Proposal<I>> = Vec::new();
    let mut compared = 0;
    for first in 0..groups.len() {
        for second in first + 1..groups.len() {
            compared += clues[first].len() * clues[second].len();
            if compared > MAX_PAIRS {
                return Vec::new();
            }
            for a in &clues[first] {
                for b in clues[second].iter().filter(|b| (b.value - a.value).abs() <= tolerance) {
                    let Some(both) = a.system.intersect(&b.system) else { continue };
                    if both.dimension() > MAX_FREE {
                        continue;
                    }
                    both.solutions(|k| {
                        if (0..groups.len()).all(|c| nonzero(c, k)) {
                            let places = [(a.group, a.bin), (b.group, b.bin)];
                            proposals.push(Proposal { k, value: a.value, places });
                        }
                    });
                }
            }
        }
    }
    proposals.sort_by(|a, b| a.k.cmp(&b.k).then(a.value.total_cmp(&b.value)));
    unanimous(&proposals)
}

struct Proposal<I> {
    k: I,
    value: f64,
    places: [(usize, usize); 2],
}

/// Of each bin at most two indices are members: a proposal is taken when its bins have no rivals, and then nothing
/// else from these bins until they were looked at again.
fn unanimous<I: Bits>(proposals: &[Proposal<I>]) -> Vec<(I, f64)> {
    let mut by_bin: BTreeMap<(usize, usize), BTreeSet<I>> = BTreeMap::new();
    for p in proposals {
        for place in p.places {
            by_bin.entry(place).or_default().insert(p.k);
        }
    }
    let mut used = BTreeSet::new();
    let mut out: Vec<(I, f64)> = Vec::new();
    for p in proposals {
        if p.places.iter().all(|place| by_bin[place].len() <= 2 && !used.contains(place)) {
            used.extend(p.places);
            if out.last().is_none_or(|last| last.0 != p.k) {
                out.push((p.k, p.value));
            }
        }
    }
    out
}

fn clues<I: Bits>(groups: &[Group<I>], c: usize, bins: &[f64], tolerance: f64) -> Vec<Clue<I>> {
    let group = &groups[c];
    let count = group.offsets.len();
    let mut out = Vec::new();
    for (j, y) in bins.chunks_exact(count).enumerate() {
        for (value, known, bits) in members::<I>(y, tolerance) {
            let mut system = System::new(group.bits + count - 1);
            for i in 0..group.bits {
                system.require(group.functional(i), j >> i & 1 == 1);
            }
            for i in (0..count - 1).filter(|&i| known.bit(i)) {
                system.require(group.functional(group.bits + i), bits.bit(i));
            }
            out.push(Clue { group: c, bin: j, value, system });
        }
    }
    out
}

/// `(value, known bits, bits)` of the members of a bin `y` that holds two coefficients of equal magnitude; empty when it
/// cannot.
///
/// `(a, a)`: `y₀ = 2a`, and `y_i = ±2a` where the bits agree. `(a, −a)`: `y₀ = 0`, and `y_i = ±2a` where they differ.
fn members<I: Bits>(y: &[f64], tolerance: f64) -> Vec<(f64, I, I)> {
    let level = y.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    let full = |v: f64| level - v.abs() <= tolerance;
    if level <= tolerance || !y.iter().all(|&v| full(v) || v.abs() <= tolerance) || y.iter().all(|&v| full(v)) {
        return Vec::new();
    }
    let mask = |keep: &dyn Fn(f64) -> bool| {
        I::from_positions(y[1..].iter().enumerate().filter(|(_, v)| keep(**v)).map(|(i, _)| i))
    };
    let known = mask(&|v| full(v));
    if full(y[0]) {
        vec![(y[0] / 2.0, known, mask(&|v| full(v) && (v < 0.0) != (y[0] < 0.0)))]
    } else {
        let negative = mask(&|v| full(v) && v < 0.0);
        vec![(level / 2.0, known, negative), (-level / 2.0, known, known ^ negative)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// WHT-3: what is said about a pair is true of its members, for all pairs of four bits and all signs.
    #[test]
    fn clues_hold_for_the_members_of_the_pair() {
        for u in 0..16_u64 {
            for w in (0..16).filter(|&w| w != u) {
                for (a, b) in [(1.5, 1.5), (1.5, -1.5), (-1.5, -1.5)] {
                    let content = [(u, a), (w, b)];
                    let y: Vec<f64> = crate::bins::subsample::sign_bit_offsets::<u64>(4)
                        .iter()
                        .map(|&e| crate::dense::evaluate(&content, e))
                        .collect();
                    let found = members::<u64>(&y, 1e-12);
                    assert_eq!(found.len(), if a == b { 1 } else { 2 });
                    for (k, v) in content {
                        assert!(
                            found.iter().any(|&(value, known, bits)| value == v && k & known == bits),
                            "{u} {w} {a} {b}"
                        );
                    }
                }
            }
        }
    }
}
