//! Shares of the experts from values that none of them has seen, and intervals from the same (rows GP-11 and GP-14).

/// Weight of the pull towards equal shares, as a part of the squares of the values.
const PULL: f64 = 1e-4;

/// Standard deviations beyond those of chance at which structure is claimed: one in a hundred.
const CLEAR: f64 = 2.33;

/// Held-out values beside what an expert says of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeldOut {
    /// The values.
    pub values: Vec<f64>,
    /// Mean and variance of the values that the experts saw, for each.
    pub seen: Vec<(f64, f64)>,
    /// Means and variances of each expert.
    pub experts: Vec<(Vec<f64>, Vec<f64>)>,
}

impl HeldOut {
    /// `1 − Σ(y − ŷ)²/Σ(y − ȳ)²`; none without a spread.
    pub fn r2(&self, predicted: &[f64]) -> Option<f64> {
        let count = self.values.len() as f64;
        let mean = self.values.iter().sum::<f64>() / count;
        let spread: f64 = self.values.iter().map(|v| (v - mean).powi(2)).sum();
        let left: f64 = self.values.iter().zip(predicted).map(|(v, p)| (v - p).powi(2)).sum();
        (spread > 0.0 && left.is_finite()).then(|| 1.0 - left / spread)
    }

    /// Whether a prediction is better than the mean, and held-out values follow it more than chance would have them:
    /// `atanh(r)·√(count − 3)` of their correlation `r` is standard normal for values without structure.
    ///
    /// Row GP-15 of `paper-refs.md`.
    pub fn improves(&self, predicted: &[f64]) -> bool {
        let count = self.values.len() as f64;
        if count < 5.0 || self.r2(predicted).is_none_or(|r2| r2 <= 0.0) {
            return false;
        }
        let mean = |v: &[f64]| v.iter().sum::<f64>() / count;
        let (a, b) = (mean(&self.values), mean(predicted));
        let (mut both, mut one, mut other) = (0.0, 0.0, 0.0);
        for (v, p) in self.values.iter().zip(predicted) {
            both += (v - a) * (p - b);
            one += (v - a) * (v - a);
            other += (p - b) * (p - b);
        }
        let correlation = both / (one * other).sqrt();
        correlation.clamp(-1.0, 1.0).atanh() * (count - 3.0).sqrt() > CLEAR
    }

    /// Means and variances of the mixture: the law of total variance. The last share is that of the constant.
    pub fn mixed(&self, shares: &[f64]) -> Vec<(f64, f64)> {
        let (constant, shares) = shares.split_last().expect("the constant has a share");
        (0..self.values.len())
            .map(|j| {
                let of_experts = self.experts.iter().zip(shares).map(|(e, &w)| (w, e.0[j], e.1[j]));
                let all = of_experts.chain([(*constant, self.seen[j].0, self.seen[j].1)]);
                total(all)
            })
            .collect()
    }

    /// Non-negative shares that add up to one, of the experts and of the constant (the last), with the least squares of what
    /// is left of the values. Experts that are not finite have none.
    ///
    /// Row GP-14 of `paper-refs.md`.
    pub fn shares(&self) -> Vec<f64> {
        let usable: Vec<usize> =
            (0..self.experts.len()).filter(|&e| self.experts[e].0.iter().all(|v| v.is_finite())).collect();
        let target: Vec<f64> = self.values.iter().zip(&self.seen).map(|(v, s)| v - s.0).collect();
        let column = |e: usize| self.experts[e].0.iter().zip(&self.seen).map(|(p, s)| p - s.0).collect::<Vec<f64>>();
        let mut columns: Vec<Vec<f64>> = usable.iter().map(|&e| column(e)).collect();
        columns.push(vec![0.0; target.len()]);
        let squares: f64 = target.iter().map(|t| t * t).sum();
        let found = simplex(&columns, &target, PULL * squares);
        let mut out = vec![0.0; self.experts.len() + 1];
        usable.iter().zip(&found).for_each(|(&e, w)| out[e] = *w);
        out[self.experts.len()] = found[usable.len()];
        out
    }
}

/// Mean and variance of a mixture of `(share, mean, variance)`.
pub(crate) fn total(parts: impl Iterator<Item = (f64, f64, f64)> + Clone) -> (f64, f64) {
    let mean: f64 = parts.clone().filter(|p| p.0 > 0.0).map(|(w, m, _)| w * m).sum();
    let variance = parts.filter(|p| p.0 > 0.0).map(|(w, m, v)| w * (v + (m - mean) * (m - mean))).sum();
    (mean, variance)
}

/// `argmin ‖target − Σ_k π_k columns_k‖² + pull ‖π − 1/K‖²` over the simplex, by an active set: the members whose share
/// would be negative leave, the one whose gradient is lowest joins.
pub(crate) fn simplex(columns: &[Vec<f64>], target: &[f64], pull: f64) -> Vec<f64> {
    let count = columns.len();
    let dot = samplewise_linalg::sums::dot;
    let largest = columns.iter().flatten().fold(0.0_f64, |m, v| m.max(v.abs()));
    if largest == 0.0 {
        return vec![1.0 / count as f64; count];
    }
    let pull = pull.max(1e-12 * largest * largest);
    let mut gram = vec![vec![0.0; count]; count];
    for k in 0..count {
        for l in 0..count {
            gram[k][l] = dot(&columns[k], &columns[l]) + if k == l { pull } else { 0.0 };
        }
    }
    let right: Vec<f64> = columns.iter().map(|c| dot(c, target) + pull / count as f64).collect();
    let mut shares = vec![1.0 / count as f64; count];
    let mut members: Vec<usize> = (0..count).collect();
    let size = gram.iter().flatten().fold(0.0_f64, |m, v| m.max(v.abs()));
    for _ in 0..100 * count {
        let wanted = equality(&gram, &right, &members);
        // As far towards it as all shares stay non-negative.
        let step = members
            .iter()
            .zip(&wanted)
            .filter(|(_, w)| **w < 0.0)
            .fold(1.0_f64, |step, (&k, w)| step.min(shares[k] / (shares[k] - w)));
        for (&k, w) in members.iter().zip(&wanted) {
            shares[k] = (shares[k] + step * (w - shares[k])).max(0.0);
        }
        if step < 1.0 {
            members.retain(|&k| shares[k] > 1e-14);
            (0..count).filter(|k| !members.contains(k)).for_each(|k| shares[k] = 0.0);
            continue;
        }
        let slope = |k: usize| (0..count).map(|l| gram[k][l] * shares[l]).sum::<f64>() - right[k];
        let level = members.iter().map(|&k| slope(k)).sum::<f64>() / members.len() as f64;
        let lowest = (0..count).filter(|k| !members.contains(k)).min_by(|&a, &b| slope(a).total_cmp(&slope(b)));
        match lowest {
            Some(k) if slope(k) < level - 1e-12 * size => members.push(k),
            _ => break,
        }
    }
    let sum: f64 = shares.iter().sum();
    shares.iter().map(|s| s / sum).collect()
}

/// The least squares of the members alone with shares that add up to one, by elimination with the multiplier last.
fn equality(gram: &[Vec<f64>], right: &[f64], members: &[usize]) -> Vec<f64> {
    let size = members.len() + 1;
    let unit = members.iter().fold(0.0_f64, |m, &k| m.max(gram[k][k]));
    let mut rows: Vec<Vec<f64>> =
        members.iter().map(|&k| members.iter().map(|&l| gram[k][l]).chain([unit, right[k]]).collect()).collect();
    rows.push(vec![unit; members.len()].into_iter().chain([0.0, unit]).collect());
    for p in 0..size {
        let pivot = (p..size).max_by(|&a, &b| rows[a][p].abs().total_cmp(&rows[b][p].abs())).unwrap_or(p);
        rows.swap(p, pivot);
        let lead = rows[p].clone();
        for row in rows.iter_mut().skip(p + 1) {
            let factor = if lead[p] == 0.0 { 0.0 } else { row[p] / lead[p] };
            row.iter_mut().zip(&lead).skip(p).for_each(|(r, l)| *r -= factor * l);
        }
    }
    let mut out = vec![0.0; size];
    for p in (0..size).rev() {
        let known: f64 = (p + 1..size).map(|q| rows[p][q] * out[q]).sum();
        out[p] = if rows[p][p] == 0.0 { 0.0 } else { (rows[p][size] - known) / rows[p][p] };
    }
    out.truncate(members.len());
    out
}

/// Half-width of an interval at some level in standard deviations: the `⌈level·(count + 1)⌉`-th smallest score. With fewer scores
/// than the level needs, the largest, and no less than that of a normal distribution.
///
/// Row GP-11 of `paper-refs.md`.
pub(crate) fn interval_scale(scores: &[f64], level: f64) -> f64 {
    let normal = crate::verdict::verify::normal_quantile(0.5 + 0.5 * level);
    let rank = (level * (scores.len() as f64 + 1.0)).ceil() as usize;
    let mut sorted = scores.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.get(rank.saturating_sub(1)) {
        Some(&score) => score,
        None => sorted.last().map_or(normal, |&s| s.max(normal)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use samplewise_linalg::random::{Streams, normal};

    /// GP-14: the shares fulfil the conditions of optimality; a copy of an expert changes nothing in what is said.
    #[test]
    fn weights_are_optimal() {
        for seed in 0..200 {
            let mut rng = Streams::new(seed).stream(0);
            let target: Vec<f64> = (0..40).map(|_| normal(&mut rng)).collect();
            let mut columns: Vec<Vec<f64>> =
                (0..5).map(|k| target.iter().map(|t| t * 0.2 * f64::from(k) + normal(&mut rng)).collect()).collect();
            columns.push(vec![0.0; 40]);
            let squares: f64 = target.iter().map(|t| t * t).sum();
            let pull = PULL * squares;
            let shares = simplex(&columns, &target, pull);
            let slope = |k: usize| {
                let left = |j: usize| (0..6).map(|l| shares[l] * columns[l][j]).sum::<f64>() - target[j];
                (0..40).map(|j| columns[k][j] * left(j)).sum::<f64>() + pull * (shares[k] - 1.0 / 6.0)
            };
            let level = (0..6).filter(|&k| shares[k] > 0.0).map(slope).fold(f64::NEG_INFINITY, f64::max);
            for k in 0..6 {
                assert!(shares[k] >= 0.0 && slope(k) >= level - 1e-9 * squares, "{seed}: {shares:?}");
                assert!(shares[k] == 0.0 || slope(k) <= level + 1e-9 * squares);
            }
            assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            let mut more = columns.clone();
            more.push(columns[4].clone());
            let again = simplex(&more, &target, pull);
            for j in 0..40 {
                let one: f64 = (0..6).map(|k| shares[k] * columns[k][j]).sum();
                let two: f64 = (0..7).map(|k| again[k] * more[k][j]).sum();
                assert!((one - two).abs() < 1e-3, "{one} {two}");
            }
        }
        assert_eq!(simplex(&[vec![0.0; 3]], &[1.0, 2.0, 3.0], 0.0), [1.0]);
    }

    #[test]
    fn intervals_are_ranks_of_the_scores() {
        let scores: Vec<f64> = (1..=99).rev().map(f64::from).collect();
        assert_eq!(interval_scale(&scores, 0.9), 90.0);
        assert_eq!(interval_scale(&scores, 0.999), 99.0);
        assert!((interval_scale(&[], 0.9) - 1.645).abs() < 1e-3);
        assert!((interval_scale(&[0.1], 0.9) - 1.645).abs() < 1e-3);
    }
}
