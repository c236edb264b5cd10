//! Matrix completion: which entries an observed pattern determines, and how far predictions are off.
use samplewise_linalg::random::{Streams, below};

use crate::double_double::{DoubleDouble, exponent_of, scale};

/// Arithmetic is modulo this prime, `2^61 − 1`: a rank is exact, and only an unlucky draw (one in `10^14`) makes it small.
const PRIME: u64 = (1 << 61) - 1;

fn times(a: u64, b: u64) -> u64 {
    (u128::from(a) * u128::from(b) % u128::from(PRIME)) as u64
}

fn minus(a: u64, b: u64) -> u64 {
    if a >= b { a - b } else { a + PRIME - b }
}

fn inverse(a: u64) -> u64 {
    let (mut left, mut square, mut power) = (PRIME - 2, a, 1);
    while left > 0 {
        if left & 1 == 1 {
            power = times(power, square);
        }
        square = times(square, square);
        left >>= 1;
    }
    power
}

/// What a pattern of observed entries says of a generic table `U Vᵀ` of some rank.
#[derive(Clone, Debug)]
pub struct Determined {
    columns: usize,
    entries: Vec<bool>,
    /// How many independent conditions the observed entries are: at most `rank·(rows + columns − rank)`.
    pub conditions: usize,
}

impl Determined {
    /// Whether entry `(i, j)` cannot move while the observed ones stay as they are.
    pub fn at(&self, i: usize, j: usize) -> bool {
        self.entries[i * self.columns + j]
    }

    /// How many entries are determined.
    pub fn count(&self) -> usize {
        self.entries.iter().filter(|e| **e).count()
    }

    /// Whether all are.
    pub fn all(&self) -> bool {
        self.entries.iter().all(|e| *e)
    }
}

/// Says for each entry whether the observed ones determine it, for almost every table of the given rank.
///
/// The derivative of entry `(i, j)` of `U Vᵀ` with respect to `(U, V)` is a vector of `rank·(rows + columns)` numbers; the
/// entry is determined when this vector is a combination of those of the observed entries, at random `U` and `V`. Then
/// finitely many values are possible; in rare patterns more than one. Where it is not, a continuum of values is possible.
///
/// The cost is the number of entries times `(rank·(rows + columns))²`, which is for small tables.
pub fn determined(rows: usize, columns: usize, rank: usize, observed: &[(usize, usize)], seed: u64) -> Determined {
    let mut rng = Streams::new(seed).stream(13);
    let u: Vec<u64> = (0..rows * rank).map(|_| 1 + below(&mut rng, PRIME as usize - 1) as u64).collect();
    let v: Vec<u64> = (0..columns * rank).map(|_| 1 + below(&mut rng, PRIME as usize - 1) as u64).collect();
    let derivative = |i: usize, j: usize| {
        let mut out = vec![0; rank * (rows + columns)];
        out[i * rank..(i + 1) * rank].copy_from_slice(&v[j * rank..(j + 1) * rank]);
        out[(rows + j) * rank..(rows + j + 1) * rank].copy_from_slice(&u[i * rank..(i + 1) * rank]);
        out
    };
    // Rows in echelon form, each with a leading one, by the place of that one.
    let mut echelon: Vec<Option<Vec<u64>>> = vec![None; rank * (rows + columns)];
    let reduce = |echelon: &[Option<Vec<u64>>], mut row: Vec<u64>| {
        for at in 0..row.len() {
            if row[at] == 0 {
                continue;
            }
            let Some(pivot) = &echelon[at] else { continue };
            let factor = row[at];
            row[at..].iter_mut().zip(&pivot[at..]).for_each(|(r, &p)| *r = minus(*r, times(factor, p)));
        }
        row
    };
    let mut conditions = 0;
    for &(i, j) in observed {
        let mut row = reduce(&echelon, derivative(i, j));
        if let Some(at) = row.iter().position(|&r| r != 0) {
            let one = inverse(row[at]);
            row.iter_mut().for_each(|r| *r = times(*r, one));
            echelon[at] = Some(row);
            conditions += 1;
        }
    }
    let known = |c: usize| reduce(&echelon, derivative(c / columns, c % columns)).iter().all(|&r| r == 0);
    Determined { columns, entries: (0..rows * columns).map(known).collect(), conditions }
}

/// The number of the connected component of every row and of every column, in the graph whose edges are the observed
/// entries. Components are numbered from zero by their first row; columns without entries come last, one by one.
pub fn components(rows: usize, columns: usize, observed: &[(usize, usize)]) -> (Vec<usize>, Vec<usize>) {
    let mut parent: Vec<usize> = (0..rows + columns).collect();
    let root = |parent: &mut Vec<usize>, mut at: usize| {
        while parent[at] != at {
            parent[at] = parent[parent[at]];
            at = parent[at];
        }
        at
    };
    for &(i, j) in observed {
        let (a, b) = (root(&mut parent, i), root(&mut parent, rows + j));
        parent[a.max(b)] = a.min(b);
    }
    let mut names = std::collections::BTreeMap::new();
    let mut all: Vec<usize> = (0..rows + columns)
        .map(|at| {
            let (root, next) = (root(&mut parent, at), names.len());
            *names.entry(root).or_insert(next)
        })
        .collect();
    let of_columns = all.split_off(rows);
    (all, of_columns)
}

/// Root mean square of the differences between `(row, column, truth)` and predictions; zero without entries.
pub fn root_mean_square_error(truth: &[(usize, usize, f64)], predict: impl Fn(usize, usize) -> f64) -> f64 {
    let differences: Vec<DoubleDouble> =
        truth.iter().map(|&(i, j, v)| DoubleDouble::exact_sum(scale(v, -1), -scale(predict(i, j), -1))).collect();
    let unit = exponent_of(differences.iter().fold(0.0_f64, |m, d| m.max(d.to_f64().abs())));
    let square = |d: &DoubleDouble| {
        let d = d.times_power_of_two(-unit);
        d * d
    };
    let sum: DoubleDouble = differences.iter().map(square).sum();
    (sum / truth.len().max(1) as f64).sqrt().times_power_of_two(unit + 1).to_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(size: usize) -> Vec<(usize, usize)> {
        let all = (0..2 * size).flat_map(|i| (0..2 * size).map(move |j| (i, j)));
        all.filter(|&(i, j)| (i < size) == (j < size)).collect()
    }

    #[test]
    fn disjoint_blocks_determine_only_themselves() {
        let mut seen = blocks(5);
        let found = determined(10, 10, 2, &seen, 1);
        assert_eq!((found.count(), found.conditions), (50, 32));
        assert!(found.at(1, 4) && !found.at(1, 7));
        assert_eq!(components(10, 10, &seen).0, [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
        // A bridge of one entry joins the components and still determines nothing but itself at rank two.
        seen.push((0, 9));
        assert_eq!(determined(10, 10, 2, &seen, 1).count(), 51);
        assert_eq!(components(10, 10, &seen).1, [0; 10]);
        // Rank one needs one bridge, rank two needs four entries in general position.
        assert!(determined(10, 10, 1, &seen, 1).all());
        seen.extend([(1, 8), (2, 7), (3, 6)]);
        let joined = determined(10, 10, 2, &seen, 1);
        assert!(joined.all() && joined.conditions == 36, "{}", joined.conditions);
    }

    #[test]
    fn a_full_rank_pattern_needs_every_degree_of_freedom() {
        // Two full rows and two full columns determine a table of rank two; without one of these entries they do not.
        let cross = |i: usize, j: usize| i < 2 || j < 2;
        let seen: Vec<_> = (0..6).flat_map(|i| (0..7).map(move |j| (i, j))).filter(|&(i, j)| cross(i, j)).collect();
        assert!(determined(6, 7, 2, &seen, 2).all());
        let fewer: Vec<_> = seen.iter().copied().filter(|e| *e != (1, 6)).collect();
        let found = determined(6, 7, 2, &fewer, 2);
        assert_eq!(found.count(), 42 - 5);
        let empty = components(2, 3, &[]);
        assert_eq!(empty, (vec![0, 1], vec![2, 3, 4]));
    }

    #[test]
    fn errors_are_measured_in_any_unit() {
        for unit in [1e-200, 1.0, 1e200, 1e308] {
            let truth = [(0, 0, unit), (0, 1, -unit)];
            let off = root_mean_square_error(&truth, |_, j| if j == 0 { 0.25 * unit } else { -unit });
            assert!((off / unit - 0.75 / 2.0_f64.sqrt()).abs() < 1e-15);
            assert_eq!(root_mean_square_error(&truth, |_, j| if j == 0 { unit } else { -unit }), 0.0);
        }
    }
}
