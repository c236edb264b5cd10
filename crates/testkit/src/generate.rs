//! Random problems, all from one seed.
use rand::Rng;
use samplewise_linalg::Matrix;
use samplewise_linalg::random::{Streams, below, normal, shuffle, uniform};

/// Standard normal entries.
pub fn random_matrix(rows: usize, columns: usize, seed: u64) -> Matrix {
    let mut rng = Streams::new(seed).stream(0);
    Matrix::from_fn(rows, columns, |_, _| normal(&mut rng))
}

/// Rows of very different size: `normal / uniform²`, where a few rows decide everything.
pub fn adversarial_heavy_rows(rows: usize, columns: usize, seed: u64) -> Matrix {
    let mut rng = Streams::new(seed).stream(1);
    let scales: Vec<f64> = (0..rows).map(|_| (uniform(&mut rng) + 1e-4).powi(-2)).collect();
    Matrix::from_fn(rows, columns, |i, _| scales[i] * normal(&mut rng))
}

/// A low-rank matrix `U Vᵀ` (normal factors), and observed positions: `count` distinct ones, uniform, sorted.
pub fn random_low_rank(
    rows: usize,
    columns: usize,
    rank: usize,
    count: usize,
    seed: u64,
) -> (Matrix, Vec<(usize, usize)>) {
    let u = random_matrix(rows, rank, seed.wrapping_mul(3));
    let v = random_matrix(columns, rank, seed.wrapping_mul(3) + 1);
    let truth = u.multiply(&v.transpose()).expect("shapes match");
    let mut cells: Vec<usize> = (0..rows * columns).collect();
    shuffle(&mut Streams::new(seed).stream(2), &mut cells);
    cells.truncate(count);
    cells.sort_unstable();
    (truth, cells.into_iter().map(|c| (c / columns, c % columns)).collect())
}

/// A matrix `U S Vᵀ` of the given rank whose singular values fall geometrically from first to last by `condition` (equal
/// for 1), entries of unit variance, and `count` observed positions: uniform among those with at least `rank` entries in
/// each row and column, sorted.
///
/// # Panics
/// When `count` is too small for that, or above half of the matrix.
pub fn conditioned_low_rank(
    rows: usize,
    columns: usize,
    rank: usize,
    condition: f64,
    count: usize,
    seed: u64,
) -> (LowRank, Vec<(usize, usize)>) {
    assert!(count >= rank * rows.max(columns) && count <= rows * columns / 2, "{count} entries of {rows} x {columns}");
    let streams = Streams::new(seed);
    let side = |n: usize, id: u64| {
        let mut rng = streams.stream(id);
        let mut q: Vec<Vec<f64>> = (0..rank).map(|_| (0..n).map(|_| normal(&mut rng)).collect()).collect();
        for c in 0..rank {
            for _ in 0..2 {
                let (head, tail) = q.split_at_mut(c);
                for other in head.iter() {
                    let projection: f64 = other.iter().zip(&tail[0]).map(|(a, b)| a * b).sum();
                    tail[0].iter_mut().zip(other).for_each(|(a, b)| *a -= projection * b);
                }
            }
            let norm = q[c].iter().map(|x| x * x).sum::<f64>().sqrt();
            q[c].iter_mut().for_each(|x| *x /= norm);
        }
        q
    };
    let (u, v) = (side(rows, 10), side(columns, 11));
    let values: Vec<f64> = (0..rank).map(|c| condition.powf(-(c as f64) / (rank - 1).max(1) as f64)).collect();
    let norm = values.iter().map(|s| s * s).sum::<f64>().sqrt();
    let scale = ((rows * columns) as f64).sqrt() / norm;
    let truth = LowRank {
        left: Matrix::from_fn(rows, rank, |i, c| u[c][i] * values[c] * scale),
        right: Matrix::from_fn(columns, rank, |j, c| v[c][j]),
    };
    let mut rng = streams.stream(12);
    let cells = observed(rows, columns, rank, count, &mut rng, |rng| {
        let cell = below(rng, rows * columns);
        [cell / columns, cell % columns]
    });
    (truth, cells)
}

/// A square matrix of rank `rank`, normal factors whose row `i` (from 1) has the size `i^-power`, and `count` observed
/// positions: rows and columns drawn with weights `i^-zipf` in an order of their own, with at least `rank` entries in each.
pub fn skewed_low_rank(
    n: usize,
    rank: usize,
    power: f64,
    zipf: f64,
    count: usize,
    seed: u64,
) -> (LowRank, Vec<(usize, usize)>) {
    let streams = Streams::new(seed);
    let side = |id: u64| {
        let mut rng = streams.stream(id);
        Matrix::from_fn(n, rank, |i, _| normal(&mut rng) * ((i + 1) as f64).powf(-power))
    };
    let truth = LowRank { left: side(10), right: side(11) };
    let mut rng = streams.stream(12);
    let orders = [0, 1].map(|_| {
        let mut order: Vec<usize> = (0..n).collect();
        shuffle(&mut rng, &mut order);
        order
    });
    let mut sums = Vec::with_capacity(n);
    let mut total = 0.0;
    for i in 1..=n {
        total += (i as f64).powf(-zipf);
        sums.push(total);
    }
    let pick = |rng: &mut samplewise_linalg::random::StreamRng, order: &[usize]| {
        let x = uniform(rng) * total;
        order[sums.partition_point(|s| *s <= x).min(n - 1)]
    };
    let cells = observed(n, n, rank, count, &mut rng, |rng| [pick(rng, &orders[0]), pick(rng, &orders[1])]);
    (truth, cells)
}

/// `count` positions by `draw`; then short rows and columns are filled up, and as many taken from the others.
fn observed(
    rows: usize,
    columns: usize,
    rank: usize,
    count: usize,
    rng: &mut samplewise_linalg::random::StreamRng,
    draw: impl Fn(&mut samplewise_linalg::random::StreamRng) -> [usize; 2],
) -> Vec<(usize, usize)> {
    let mut taken = std::collections::BTreeSet::new();
    let (mut per_row, mut per_column) = (vec![0; rows], vec![0; columns]);
    let mut add = |i: usize, j: usize, per_row: &mut [usize], per_column: &mut [usize]| {
        if taken.insert(i * columns + j) {
            per_row[i] += 1;
            per_column[j] += 1;
        }
    };
    let mut cells: Vec<usize> = Vec::with_capacity(2 * count);
    while cells.len() < count {
        let [i, j] = draw(rng);
        cells.push(i * columns + j);
        if cells.len() == count {
            cells.sort_unstable();
            cells.dedup();
            shuffle(rng, &mut cells);
        }
    }
    cells.iter().for_each(|c| add(c / columns, c % columns, &mut per_row, &mut per_column));
    while let Some(i) = per_row.iter().position(|&d| d < rank) {
        add(i, below(rng, columns), &mut per_row, &mut per_column);
    }
    while let Some(j) = per_column.iter().position(|&d| d < rank) {
        add(below(rng, rows), j, &mut per_row, &mut per_column);
    }
    let mut all: Vec<usize> = taken.into_iter().collect();
    shuffle(rng, &mut all);
    let mut surplus = all.len() - count;
    let mut out = Vec::with_capacity(count);
    for c in all {
        let (i, j) = (c / columns, c % columns);
        if surplus > 0 && per_row[i] > rank && per_column[j] > rank {
            surplus -= 1;
            per_row[i] -= 1;
            per_column[j] -= 1;
        } else {
            out.push((i, j));
        }
    }
    out.sort_unstable();
    out
}

/// A low-rank matrix by its factors.
#[derive(Clone, Debug)]
pub struct LowRank {
    /// `m × k`.
    pub left: Matrix,
    /// `n × k`.
    pub right: Matrix,
}

impl LowRank {
    /// Entry `(i, j)`.
    pub fn at(&self, i: usize, j: usize) -> f64 {
        self.left.row(i).iter().zip(self.right.row(j)).map(|(a, b)| a * b).sum()
    }

    /// Relative Frobenius error of `predict`, on every `step`-th row, without the rows and columns of `except`.
    pub fn relative_error(&self, step: usize, except: [&[usize]; 2], predict: impl Fn(usize, usize) -> f64) -> f64 {
        let (mut error, mut size) = (0.0, 0.0);
        for i in (0..self.left.rows()).step_by(step).filter(|i| !except[0].contains(i)) {
            for j in (0..self.right.rows()).filter(|j| !except[1].contains(j)) {
                let truth = self.at(i, j);
                error += (predict(i, j) - truth).powi(2);
                size += truth * truth;
            }
        }
        (error / size).sqrt()
    }
}

/// A spectrum with `sparsity` distinct uniformly random indices of `variables` bits; values ±1 (`gaussian` false) or
/// standard normal. Index ascending.
pub fn random_spectrum(variables: usize, sparsity: usize, gaussian: bool, seed: u64) -> Vec<(u64, f64)> {
    let mut rng = Streams::new(seed).stream(3);
    let mut out = std::collections::BTreeMap::new();
    while out.len() < sparsity {
        let k = rng.next_u64() >> (64 - variables);
        let value = if gaussian {
            normal(&mut rng)
        } else if rng.next_u64() >> 63 == 0 {
            1.0
        } else {
            -1.0
        };
        out.entry(k).or_insert(value);
    }
    out.into_iter().collect()
}

/// A spectrum of `sparsity` distinct interactions of 1 to `degree` of the `variables`, degree uniform; values ±1. Index
/// ascending.
pub fn low_degree_spectrum(variables: usize, sparsity: usize, degree: usize, seed: u64) -> Vec<(u64, f64)> {
    let mut rng = Streams::new(seed).stream(7);
    let mut out = std::collections::BTreeMap::new();
    while out.len() < sparsity {
        let size = 1 + below(&mut rng, degree);
        let mut k = 0_u64;
        while (k.count_ones() as usize) < size {
            k |= 1 << below(&mut rng, variables);
        }
        out.entry(k).or_insert(if rng.next_u64() >> 63 == 0 { 1.0 } else { -1.0 });
    }
    out.into_iter().collect()
}

/// Supports that are hard for hashing, values ±1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HardSupport {
    /// All of an affine space of this dimension.
    Coset(usize),
    /// So many consecutive numbers.
    Run(usize),
    /// All singles and pairs of the first so many variables.
    Pairs(usize),
    /// All indices, `±1` everywhere: white noise.
    Full,
    /// Nothing.
    Zero,
}

/// A spectrum of `variables` with a hard support. Index ascending.
pub fn hard_spectrum(variables: usize, support: HardSupport, seed: u64) -> Vec<(u64, f64)> {
    let mut rng = Streams::new(seed).stream(8);
    let draw = |rng: &mut samplewise_linalg::random::StreamRng| rng.next_u64() >> (64 - variables);
    let indices: std::collections::BTreeSet<u64> = match support {
        HardSupport::Coset(dimension) => {
            let start = draw(&mut rng);
            let mut all = std::collections::BTreeSet::from([start]);
            while all.len() < 1 << dimension {
                let direction = draw(&mut rng);
                let moved: Vec<u64> = all.iter().map(|k| k ^ direction).collect();
                all.extend(moved);
            }
            all
        }
        HardSupport::Run(length) => {
            let start = draw(&mut rng);
            (0..length as u64).map(|i| start.wrapping_add(i) & (u64::MAX >> (64 - variables))).collect()
        }
        HardSupport::Pairs(count) => (0..count).flat_map(|i| (i..count).map(move |j| 1 << i | 1 << j)).collect(),
        HardSupport::Full => (0..1 << variables).collect(),
        HardSupport::Zero => std::collections::BTreeSet::new(),
    };
    indices.into_iter().map(|k| (k, if rng.next_u64() >> 63 == 0 { 1.0 } else { -1.0 })).collect()
}

/// The spectrum of a sum of complete decision trees over random variables, leaves standard normal: every interaction has
/// a parent. Index ascending.
pub fn tree_spectrum(variables: usize, trees: usize, depth: usize, seed: u64) -> Vec<(u64, f64)> {
    let mut rng = Streams::new(seed).stream(9);
    let mut out = std::collections::BTreeMap::new();
    for _ in 0..trees {
        // A node tests a variable that its path has not tested; it is the product of (1 ± χ)/2 along its path.
        let mut nodes: Vec<(u64, Vec<(u64, f64)>)> = vec![(0, vec![(0, 1.0)])];
        for _ in 0..depth.min(variables) {
            let mut below_them = Vec::new();
            for (tested, path) in nodes {
                let free: Vec<usize> = (0..variables).filter(|v| tested >> v & 1 == 0).collect();
                let bit = 1_u64 << free[below(&mut rng, free.len())];
                for side in [0.5, -0.5] {
                    let both = path.iter().flat_map(|&(k, v)| [(k, 0.5 * v), (k ^ bit, side * v)]).collect();
                    below_them.push((tested | bit, both));
                }
            }
            nodes = below_them;
        }
        for (_, path) in nodes {
            let leaf = normal(&mut rng);
            path.into_iter().for_each(|(k, v)| *out.entry(k).or_insert(0.0) += leaf * v);
        }
    }
    out.into_iter().collect()
}

/// Uniformly random letters of `alphabet`.
pub fn random_text(len: usize, alphabet: &[u8], seed: u64) -> Vec<u8> {
    let mut rng = Streams::new(seed).stream(4);
    (0..len).map(|_| alphabet[below(&mut rng, alphabet.len())]).collect()
}

/// A period of `period` letters repeated with a rate of `errors`: the worst case for early exits.
pub fn adversarial_periodic_text(len: usize, period: usize, errors: f64, seed: u64) -> Vec<u8> {
    let mut rng = Streams::new(seed).stream(5);
    let unit = random_text(period, b"ACGT", seed);
    (0..len).map(|i| if uniform(&mut rng) < errors { b"ACGT"[below(&mut rng, 4)] } else { unit[i % period] }).collect()
}

/// Regression data `y = X w + noise`, `support` nonzero weights of size 1 to 2 with random signs.
pub fn random_sparse_regression(
    rows: usize,
    columns: usize,
    support: usize,
    noise: f64,
    seed: u64,
) -> (Matrix, Vec<f64>, Vec<f64>) {
    let x = random_matrix(rows, columns, seed);
    let mut rng = Streams::new(seed).stream(6);
    let mut order: Vec<usize> = (0..columns).collect();
    shuffle(&mut rng, &mut order);
    let mut w = vec![0.0; columns];
    for &j in &order[..support] {
        w[j] = (1.0 + uniform(&mut rng)) * if uniform(&mut rng) < 0.5 { -1.0 } else { 1.0 };
    }
    let mut y = vec![0.0; rows];
    x.multiply_vector_into(&w, &mut y);
    y.iter_mut().for_each(|v| *v += noise * normal(&mut rng));
    (x, y, w)
}
