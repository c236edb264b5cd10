//! How many bins and offsets: the operating points, *tuned* in the design's measurements; the bench `wht` prints what they
//! achieve.
use crate::decode::lists::count_up_to_degree;
use crate::options::Support;

/// Bin bits and offsets of each group.
pub(crate) type Groups = (Vec<usize>, Vec<usize>);

/// Samples of the groups.
pub(crate) fn asked(bits: &[usize], offsets: &[usize]) -> u128 {
    bits.iter().zip(offsets).map(|(&b, &p)| (p as u128) << b).sum()
}

/// `2ⁿ`, or the largest number.
pub(crate) fn points(variables: usize) -> u128 {
    1_u128.checked_shl(variables as u32).unwrap_or(u128::MAX)
}

/// Number of indices that a support allows.
pub(crate) fn candidates(variables: usize, support: &Support) -> u128 {
    match support {
        Support::Any => points(variables),
        Support::MaxDegree(t) | Support::Hereditary { max_degree: t } => count_up_to_degree(variables, *t),
        Support::Within(sets) => sets.len() as u128,
    }
}

/// Natural logarithm of the number of indices that a support allows.
pub(crate) fn ln_candidates(variables: usize, support: &Support) -> f64 {
    match candidates(variables, support) {
        u128::MAX => variables as f64 * std::f64::consts::LN_2,
        count => (count.max(2) as f64).ln(),
    }
}

/// Three groups with `1.35 K + 4√K + 6` bins together, in powers of two that differ by one at most: enough for `±1`
/// amplitudes, the hardest, at `K` from 2 to 4,000 ("default plans" of the bench). Unequal amplitudes need half of it,
/// because two-tons resolve. `samples` buys or saves bins.
pub(crate) fn sign_bits(n: usize, sparsity: usize, samples: Option<usize>) -> Groups {
    let cost = |bits: &[usize; 3]| bits.iter().map(|&b| ((n - b + 1) as u128) << b).sum::<u128>();
    let largest = n.min(40);
    let chosen = if let Some(limit) = samples {
        staircase(1, largest).take_while(|bits| cost(bits) <= limit as u128).last().unwrap_or([1.min(n); 3])
    } else {
        let k = sparsity as f64;
        let wanted = (1.35 * k + 4.0 * k.sqrt() + 6.0).ceil() as u128;
        let bins = |bits: &[usize; 3]| bits.iter().map(|&b| 1_u128 << b).sum::<u128>();
        staircase(1, largest).find(|bits| bins(bits) >= wanted).unwrap_or([largest; 3])
    };
    (chosen.to_vec(), chosen.iter().map(|b| n - b + 1).collect())
}

/// `(b, b, b), (b + 1, b, b), (b + 1, b + 1, b), (b + 1, b + 1, b + 1), …` up to `largest` everywhere.
pub(crate) fn staircase(first: usize, largest: usize) -> impl Iterator<Item = [usize; 3]> {
    let steps = (first..largest).flat_map(|b| [[b, b, b], [b + 1, b, b], [b + 1, b + 1, b]]);
    steps.chain([[largest; 3]])
}

/// Three groups of 2–4 K bins each, nine pairs of offsets unless samples are given.
pub(crate) fn spright(n: usize, sparsity: usize, samples: Option<usize>) -> Groups {
    let log_k = usize::BITS as usize - (sparsity - 1).leading_zeros() as usize; // ⌈log₂ K⌉
    let bits = (log_k + 1).clamp(1, n.min(40));
    let block = n - bits + 1;
    let pairs = samples.map_or(9, |s| s / ((3 * block) << bits)).max(1);
    (vec![bits; 3], vec![pairs * block; 3])
}

/// Most offsets of a group: a codeword is one machine word, for ordered statistics two.
pub(crate) fn most_offsets(exhaustive: bool) -> usize {
    if exhaustive { 64 } else { 128 }
}

/// Groups of joint lists, and bits that no offset tells apart from the candidates' point of view.
pub(crate) fn joint_count(n: usize, bits: usize, exhaustive: bool) -> usize {
    if !exhaustive && n > bits + 25 { 3 } else { 2 }
}

/// Least offsets that determine a candidate with some to spare.
pub(crate) fn least_offsets(n: usize, bits: usize, exhaustive: bool) -> usize {
    if exhaustive { 24 } else { ((n + 13).saturating_sub(bits)).max(24) }
}

/// Two groups with 2.5 to 5 tons per bin (three beyond 25 free bits, where near-twins slip through two).
///
/// At `τ = K/B` tons per bin a bin needs about `(2 + τ/5)(ν − b)` offsets, `2^ν` being the number of candidates, so few
/// samples want few bins with many offsets (at 2,048 samples, `n = 20`, `K = 102`, 16 bins with 64 offsets succeed where
/// 32 with 32 fail) and many samples, for much noise, as many bins as that leaves. The default is the fastest to decode.
pub(crate) fn joint(n: usize, candidates: u128, sparsity: usize, samples: Option<usize>, exhaustive: bool) -> Groups {
    let effective = if exhaustive { (candidates.max(2) as f64).log2().ceil() as usize } else { n };
    let per_bit = if exhaustive { 1.75 } else { 2.0 };
    let count = |bits: usize| joint_count(n, bits, exhaustive);
    let largest = effective.min(n).saturating_sub(1).max(1);
    let least = |bits: usize| least_offsets(n, bits, exhaustive);
    let most = most_offsets(exhaustive);
    let (bits, offsets) = if let Some(limit) = samples {
        let given = |bits: usize| limit / (count(bits) << bits);
        let needed = |bits: usize| {
            let tons = sparsity as f64 / (1_u64 << bits) as f64;
            ((per_bit + tons / 5.0) * effective.saturating_sub(bits) as f64).ceil() as usize
        };
        let fits = |&bits: &usize| given(bits) >= needed(bits).max(24);
        let bits = (1..=largest.min(30)).rev().find(fits).unwrap_or(3).max(3).min(largest);
        (bits, given(bits).clamp(least(bits).min(most), most))
    } else {
        // The more free bits, the fewer tons a list can look through: `τ ≤ 60/(ν − b + 1)`, at most 5.
        let free = |bits: usize| effective.saturating_sub(bits) + 1;
        let tons = |bits: usize| (60.0 / free(bits) as f64).min(5.0);
        let crowded = |bits: usize| sparsity as f64 > tons(bits) * (1_u64 << bits) as f64;
        let mut bits = 3.min(largest);
        while bits < largest.min(30) && crowded(bits) {
            bits += 1;
        }
        (bits, 48.max(8 * free(bits) / 5).clamp(least(bits).min(most), most))
    };
    let offsets = offsets.min(points(n - bits).min(128) as usize);
    (vec![bits; count(bits)], vec![offsets; count(bits)])
}

/// Three groups with about `0.64 K` bins each; the rank of the code gives the offsets. More samples buy bins.
pub(crate) fn bch(rank: usize, sparsity: usize, samples: Option<usize>) -> Groups {
    let cost = |bits: &[usize; 3]| bits.iter().map(|&b| ((rank - b + 1) as u128) << b).sum::<u128>();
    let largest = (rank - 1).min(30);
    let chosen = if let Some(limit) = samples {
        staircase(1, largest).take_while(|bits| cost(bits) <= limit as u128).last().unwrap_or([1.min(largest); 3])
    } else {
        let wanted = (sparsity as f64 / 2.0).max(4.0).log2().ceil() as usize;
        [wanted.min(largest); 3]
    };
    (chosen.to_vec(), chosen.iter().map(|b| rank - b + 1).collect())
}

/// Points of a heredity pursuit or a surrogate: `4 K + 4 n`, at least 64.
pub(crate) fn heredity(n: usize, sparsity: usize, samples: Option<usize>) -> usize {
    let wanted = samples.unwrap_or_else(|| sparsity.saturating_mul(4).saturating_add(4 * n).max(64));
    (wanted.max(8) as u128).min(points(n)) as usize
}
