//! Stage 3, peeling: what one group resolves is subtracted from the bins of all groups, which resolves more.
use std::collections::{BTreeMap, VecDeque};

use crate::bin_detect::{self, Content};
use crate::subsample::Group;

/// How a bin is looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// Offsets of [`crate::subsample::sign_bit_offsets`]; entries are exact up to this tolerance.
    SignBits {
        /// Absolute tolerance.
        tolerance: f64,
    },
    /// Offsets of [`crate::subsample::paired_offsets`]; variance of the noise on one sample.
    Paired {
        /// `σ²`.
        variance: f64,
    },
}

/// What peeling found.
#[derive(Clone, Debug, PartialEq)]
pub struct Peeled {
    /// Coefficients by index.
    pub coefficients: BTreeMap<u64, f64>,
    /// Bins left unresolved.
    pub multi_tons: usize,
    /// Bins looked at.
    pub visits: usize,
}

/// Peels until no bin resolves (rows WHT-3 and WHT-4).
///
/// A work queue instead of rounds: a bin is looked at again whenever a subtraction touched it, amplitudes accumulate
/// (a false single-ton of three equal amplitudes is corrected by the other groups), and the number of visits is
/// bounded, so it ends. `bins[c]` is [`Group::observe`] of group `c` and is consumed.
pub fn peel(groups: &[Group], mut bins: Vec<Vec<f64>>, free_bits: impl Fn(usize) -> usize, rule: Rule) -> Peeled {
    let total: usize = groups.iter().map(Group::bins).sum();
    let mut queued: Vec<Vec<bool>> = groups.iter().map(|g| vec![true; g.bins()]).collect();
    let mut queue: VecDeque<(usize, usize)> =
        groups.iter().enumerate().flat_map(|(c, g)| (0..g.bins()).map(move |j| (c, j))).collect();
    let mut coefficients: BTreeMap<u64, f64> = BTreeMap::new();
    let limit = 64 * total + 64;
    let mut visits = 0;
    while let Some((c, j)) = queue.pop_front() {
        queued[c][j] = false;
        visits += 1;
        if visits > limit {
            break;
        }
        let group = &groups[c];
        let Content::Resolved(found) = look(group, &bins[c], j, free_bits(c), rule) else { continue };
        for (u, value) in found {
            let k = group.index(j, u);
            *coefficients.entry(k).or_insert(0.0) += value;
            for (other, g) in groups.iter().enumerate() {
                let (bin, u) = g.locate(k);
                let count = g.offsets.len();
                for (p, entry) in bins[other][bin * count..(bin + 1) * count].iter_mut().enumerate() {
                    *entry -= value * g.sign(p, u);
                }
                if other != c && !std::mem::replace(&mut queued[other][bin], true) {
                    queue.push_back((other, bin));
                }
            }
        }
    }
    let multi_tons = groups
        .iter()
        .enumerate()
        .map(|(c, g)| (0..g.bins()).filter(|&j| look(g, &bins[c], j, free_bits(c), rule) != Content::ZeroTon).count())
        .sum();
    let floor = match rule {
        Rule::SignBits { tolerance } => tolerance,
        Rule::Paired { .. } => 0.0,
    };
    coefficients.retain(|_, v| v.abs() > floor);
    Peeled { coefficients, multi_tons, visits }
}

fn look(group: &Group, bins: &[f64], j: usize, free: usize, rule: Rule) -> Content {
    let count = group.offsets.len();
    let y = &bins[j * count..(j + 1) * count];
    match rule {
        Rule::SignBits { tolerance } => bin_detect::from_sign_bits(&y[..=free], tolerance),
        Rule::Paired { variance } => {
            bin_detect::from_paired_offsets(y, free, variance / group.bins() as f64, |p, u| group.sign(p, u))
        }
    }
}
