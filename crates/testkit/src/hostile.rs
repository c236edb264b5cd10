//! Inputs that a hostile user would try: each function says why its shape is hard, and gives plain data from a seed.
use rand::Rng;
use samplewise_linalg::Matrix;
use samplewise_linalg::random::{StreamRng, Streams, below, normal, uniform};

use crate::designs::Design;
use crate::double_double::scale;
use crate::generate::random_matrix;

/// Problems of a sweep: the usual number, or that of the variable `SAMPLEWISE_TRUST_CASES`.
pub fn cases(usual: u64) -> u64 {
    std::env::var("SAMPLEWISE_TRUST_CASES").ok().and_then(|v| v.parse().ok()).unwrap_or(usual)
}

/// The number of the stream of a generator is its own, so that two generators with one seed are independent.
fn stream(seed: u64, id: u64) -> StreamRng {
    Streams::new(seed).stream(100 + id)
}

fn design(name: String, a: Matrix, b: Vec<f64>) -> Design {
    Design { name, a, b }
}

/// Tables of few rows and many columns (1 to 60 by 1 to 200, by the seed), Gaussian, some with duplicate and constant
/// columns and with a target that a few columns explain.
///
/// Hostile because the minimum interpolates or is not unique, coefficients change sign on the way to it, and a step is cut
/// short by many stops at once.
pub fn few_rows_many_columns(seed: u64) -> Design {
    let mut rng = stream(seed, 0);
    let n = 1 + below(&mut rng, [4, 20, 60][seed as usize % 3]);
    let p = (n + 1 + below(&mut rng, 3 * n + 5)).min(200);
    let mut a = random_matrix(n, p, seed);
    if seed.is_multiple_of(4) {
        // A copy, a mirror image and a constant.
        for j in (0..p / 4).map(|k| 4 * k) {
            let kind = below(&mut rng, 3);
            for i in 0..n {
                let v = a[(i, below(&mut stream(seed, 50 + j as u64), p))];
                a.row_mut(i)[j] = [v, -v, 1.0][kind];
            }
        }
    }
    if seed.is_multiple_of(3) {
        // One digit after the point: exact ties of correlations.
        a.as_mut_slice().iter_mut().for_each(|v| *v = (*v * 10.0).round() / 10.0);
    }
    let noise = [0.0, 0.1, 3.0][below(&mut rng, 3)];
    let support = 1 + below(&mut rng, p.min(5));
    let b = (0..n).map(|i| a.row(i)[..support].iter().sum::<f64>() + noise * normal(&mut rng)).collect();
    design(format!("few rows, many columns: {n} x {p}, seed {seed}"), a, b)
}

/// Quantiles from .0005 to .9995, most of them near an end.
///
/// Hostile because beyond `1 − d/n` the fit hangs on a handful of rows, a subset of the rows may have no minimum, and the
/// multipliers of the rows differ by a factor of `τ/(1−τ)`.
pub const EXTREME_QUANTILES: [f64; 15] =
    [0.0005, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9995];

/// A table for [`EXTREME_QUANTILES`]: an intercept, normal and log-normal columns, and noise of Student's t with three
/// degrees of freedom whose scale grows with every fourth column; with an even seed plain normal noise instead.
///
/// Hostile because the residuals that matter are the few far ones, and their size depends on the row.
pub fn extreme_quantiles(n: usize, d: usize, seed: u64) -> Design {
    let mut rng = stream(seed, 1);
    let heavy = !seed.is_multiple_of(2);
    let mut a = Matrix::zeros(n, d);
    let mut b = Vec::with_capacity(n);
    for i in 0..n {
        let mut spread = 0.5;
        for (j, v) in a.row_mut(i).iter_mut().enumerate() {
            *v = if j == 0 {
                1.0
            } else if heavy && j % 4 == 3 {
                (0.5 * normal(&mut rng)).exp()
            } else {
                normal(&mut rng)
            };
            spread += if heavy && j % 4 == 3 { 0.2 * *v } else { 0.0 };
        }
        let mut noise = normal(&mut rng);
        if heavy {
            noise /= ((0..3).map(|_| normal(&mut rng).powi(2)).sum::<f64>() / 3.0).sqrt();
        }
        b.push(a.row(i).iter().sum::<f64>() + spread * noise);
    }
    design(format!("{} quantiles: {n} x {d}, seed {seed}", if heavy { "heavy" } else { "normal" }), a, b)
}

/// A sparse spectrum with a constant of the size given and `terms` others of size 1e-3 to 1, index ascending.
///
/// Hostile because an error as large as all the other terms is small beside the largest answer, and sums of squares cancel.
pub fn constant_plus_small(variables: usize, terms: usize, constant: f64, seed: u64) -> Vec<(u64, f64)> {
    let mut rng = stream(seed, 2);
    let mut out = std::collections::BTreeMap::from([(0, constant)]);
    let space = 1_usize << variables.min(60);
    while out.len() < (1 + terms).min(space) {
        let k = rng.next_u64() >> (64 - variables);
        let sign = if rng.next_u64() >> 63 == 0 { 1.0 } else { -1.0 };
        let value = sign * 10.0_f64.powf(-3.0 * uniform(&mut rng));
        out.entry(k).or_insert(value);
    }
    out.into_iter().collect()
}

/// A regression whose target is a large constant plus what the columns explain, of size one.
///
/// Hostile because whatever is measured against the target's size, and not against its spread, sees nothing of the model.
pub fn offset_target(n: usize, p: usize, offset: f64, seed: u64) -> Design {
    let mut rng = stream(seed, 3);
    let a = random_matrix(n, p, seed);
    let b = (0..n).map(|i| offset + a[(i, 0)] - a[(i, p - 1)] + 0.1 * normal(&mut rng)).collect();
    design(format!("offset {offset:e}: {n} x {p}, seed {seed}"), a, b)
}

/// Functions of bit masks that are zero, or constant, everywhere: name and value.
///
/// Hostile because an empty answer explains everything and looks like a failure: nothing has a spread that an R² could
/// speak of, and a search for the first coefficient never ends.
pub fn zero_function() -> Vec<(&'static str, f64)> {
    vec![
        ("zero", 0.0),
        ("negative zero", -0.0),
        ("one", 1.0),
        ("a tenth", 0.1),
        ("tiny", 1e-300),
        ("subnormal", 5e-324),
        ("huge", -1e300),
        ("the largest double", f64::MAX),
    ]
}

/// How the observed cells of [`disjoint_blocks`] hang together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocks {
    /// Not at all.
    Disjoint,
    /// By so many entries between the two blocks; fewer than `rank²` leave them loose.
    Bridges(usize),
    /// By so many columns that both blocks see; fewer than the rank leave them loose.
    SharedColumns(usize),
    /// Rank one, seen where it is positive: rows and columns of one sign are one block.
    Signs,
}

/// A low-rank table and the cells that are observed.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// All entries.
    pub truth: Matrix,
    /// Observed `(row, column, value)`, ascending.
    pub observed: Vec<(usize, usize, f64)>,
}

/// A table of two blocks of `size` rows and `size` columns, of which the share `density` of each block is observed, and of
/// the entries between the blocks only what `blocks` says. The rank is one with [`Blocks::Signs`].
///
/// Hostile because each block completes and verifies by itself, and nothing that was held out can tell that the entries
/// between the blocks are free: the factors of one block may be mixed by any matrix.
pub fn disjoint_blocks(size: usize, rank: usize, density: f64, blocks: Blocks, seed: u64) -> Pattern {
    let mut rng = stream(seed, 4);
    let n = 2 * size;
    let rank = if blocks == Blocks::Signs { 1 } else { rank };
    let mut factor = |_: usize, _: usize| normal(&mut rng);
    let (u, v) = (Matrix::from_fn(n, rank, &mut factor), Matrix::from_fn(n, rank, &mut factor));
    let truth = u.multiply(&v.transpose()).expect("shapes match");
    let bridges: Vec<(usize, usize)> = match blocks {
        // Along a diagonal, so that no row or column has two.
        Blocks::Bridges(count) => (0..count.min(size)).map(|k| (k, n - 1 - k)).collect(),
        _ => Vec::new(),
    };
    let seen = |i: usize, j: usize| match blocks {
        Blocks::Signs => truth[(i, j)] > 0.0,
        Blocks::SharedColumns(count) => (i < size) == (j < size) || j < count,
        Blocks::Disjoint | Blocks::Bridges(_) => (i < size) == (j < size),
    };
    let mut observed = Vec::new();
    for i in 0..n {
        for j in 0..n {
            let drawn = uniform(&mut rng) < density;
            if bridges.contains(&(i, j)) || (drawn && seen(i, j)) {
                observed.push((i, j, truth[(i, j)]));
            }
        }
    }
    Pattern { truth, observed }
}

/// Exponents of two from −1000 to 1000 for [`scaled`].
///
/// Hostile because squares underflow below 2^-537 and overflow from 2^512 on, and what underflows to zero looks like a
/// perfect fit. A correct answer for data times a power of two has the same digits.
pub const POWERS_OF_TWO: [i32; 15] = [-1000, -800, -600, -540, -500, -300, -100, 0, 100, 300, 500, 511, 600, 800, 1000];

/// Shapes of a table on which the entries determine less than on almost all tables of the same rank and pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Degenerate {
    /// Of rank one, to be completed at rank two: two blocks that share four columns.
    OverRanked,
    /// Of rank two: two blocks that share three columns, which are multiples of each other.
    SharedColumnsAlike,
    /// Of rank two, but the first of two blocks of rank one: they share five columns.
    BlockOfLowerRank,
    /// Of rank one with rows of zeros, and a column that is observed in these only.
    SeenInZeroRows,
}

impl Degenerate {
    /// The rank at which the table is to be completed.
    pub fn rank(self) -> usize {
        if self == Self::SeenInZeroRows { 1 } else { 2 }
    }
}

/// A table of `n` rows and columns, with factors that are small whole numbers, and its observed cells.
///
/// Hostile because the pattern determines every entry of almost all tables of the rank, and not of this one: what looks at the
/// pattern alone promises too much.
pub fn degenerate_table(n: usize, shape: Degenerate, seed: u64) -> Pattern {
    let mut rng = stream(seed, 9);
    let mut factor =
        |low: f64, count: usize| -> Vec<f64> { (0..n).map(|_| low + below(&mut rng, count) as f64).collect() };
    let (u, v, w, z) = (factor(1.0, 7), factor(2.0, 5), factor(-5.0, 11), factor(-6.0, 13));
    let first = |i: usize| i < n / 2;
    let value = |i: usize, j: usize| match shape {
        Degenerate::OverRanked => u[i] * v[j],
        Degenerate::SharedColumnsAlike if j < 3 => (j + 1) as f64 * (2.0 * u[i] + w[i]),
        Degenerate::SharedColumnsAlike => u[i] * v[j] + w[i] * z[j],
        Degenerate::BlockOfLowerRank => u[i] * v[j] + if first(i) { 0.0 } else { w[i] * z[j] },
        Degenerate::SeenInZeroRows => {
            if i.is_multiple_of(3) {
                0.0
            } else {
                u[i] * v[j]
            }
        }
    };
    let seen = |i: usize, j: usize| match shape {
        Degenerate::OverRanked => first(i) == first(j) || j < 4,
        Degenerate::SharedColumnsAlike => first(i) == first(j) || j < 3,
        Degenerate::BlockOfLowerRank => first(i) == first(j) || j < 5,
        Degenerate::SeenInZeroRows if j == n - 1 => i.is_multiple_of(3),
        Degenerate::SeenInZeroRows => (7 * i + 11 * j) % 10 < 7,
    };
    let truth = Matrix::from_fn(n, n, value);
    let cells = (0..n).flat_map(|i| (0..n).map(move |j| (i, j)));
    let observed = cells.filter(|&(i, j)| seen(i, j)).map(|(i, j)| (i, j, truth[(i, j)])).collect();
    Pattern { truth, observed }
}

/// Values times `2^exponent`; exact unless they leave the range of doubles.
pub fn scaled(values: &[f64], exponent: i32) -> Vec<f64> {
    values.iter().map(|&v| scale(v, exponent)).collect()
}

/// A table whose first half of columns and target carry units of `2^exponent`, each with its own sign of the exponent.
///
/// Hostile because no single factor brings all columns near one, and products of two columns leave the range of doubles.
pub fn powers_of_two_scales(n: usize, p: usize, exponent: i32, seed: u64) -> Design {
    let a = random_matrix(n, p, seed);
    let mut rng = stream(seed, 5);
    let b = (0..n).map(|i| a.row(i).iter().sum::<f64>() + 0.1 * normal(&mut rng));
    let b = b.map(|b| scale(b, exponent)).collect();
    let unit = |j: usize| if 2 * j >= p { 0 } else { exponent * (1 - 2 * (j as i32 % 2)) };
    let a = Matrix::from_fn(n, p, |i, j| scale(a[(i, j)], unit(j)));
    design(format!("units 2^{exponent}: {n} x {p}, seed {seed}"), a, b)
}

/// A table whose first column is `level + deviation · noise`, and whose target follows that noise.
///
/// Hostile because beside an intercept only the noise matters, which has lost most of its digits to the level: a column
/// centred in double precision is not orthogonal to what it should be, and a dual point made of it is not feasible.
pub fn nearly_constant_column(n: usize, p: usize, level: f64, deviation: f64, seed: u64) -> Design {
    let mut a = random_matrix(n, p, seed);
    let mut rng = stream(seed, 6);
    let mut b = Vec::with_capacity(n);
    for i in 0..n {
        let noise = a[(i, 0)];
        a.row_mut(i)[0] = level + deviation * noise;
        b.push(noise + a[(i, p - 1)] + 0.3 * normal(&mut rng));
    }
    design(format!("level {level:e}, deviation {deviation:e}: {n} x {p}, seed {seed}"), a, b)
}

/// An intercept, columns of small counts of which most are zero, and a target of counts; every third seed repeats a column
/// and adds the sum of two.
///
/// Hostile because many rows are equal and many residuals are zero at once: a vertex has more rows than it needs, steps of
/// length zero cycle, and the side of a row is not to be read off its residual.
pub fn counts_with_ties(n: usize, d: usize, seed: u64) -> Design {
    let mut rng = stream(seed, 7);
    let mut count = |mean: f64| {
        // Poisson by multiplication of uniform numbers.
        let (mut k, mut product) = (0.0, uniform(&mut rng));
        while product > (-mean).exp() {
            k += 1.0;
            product *= uniform(&mut rng);
        }
        k
    };
    let mut a = Matrix::from_fn(n, d, |_, j| if j == 0 { 1.0 } else { count([0.3, 1.0, 2.5][j % 3]) });
    if seed.is_multiple_of(3) && d >= 5 {
        for i in 0..n {
            let row = a.row_mut(i);
            row[d - 1] = row[1];
            row[d - 2] = row[1] + row[2];
        }
    }
    let b = (0..n).map(|i| count(0.5 + 0.2 * a.row(i).iter().sum::<f64>())).collect();
    design(format!("counts: {n} x {d}, seed {seed}"), a, b)
}

#[cfg(test)]
#[path = "hostile_tests.rs"]
mod tests;

/// Points of some two-level variables (bit `i` is variable `i`), and the values that were measured there.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Why it is hard.
    pub name: String,
    /// Number of variables.
    pub variables: usize,
    /// One mask for each value; masks may repeat.
    pub points: Vec<u64>,
    /// The values.
    pub values: Vec<f64>,
}

/// Measured functions of five variables: from three points on, ties, repeats with other values, one or two points all told,
/// a variable that never varies, a variable that is the answer or the copy of another, complements, offsets of 1e9 and 1e15,
/// units of 1e±200 and below the least normal number.
///
/// Hostile because what is learned from a few repeated or tied points looks certain, and each unit leaves the range of doubles
/// somewhere between values and their squares.
pub fn measured_functions(seed: u64) -> Vec<Measured> {
    let mut rng = stream(seed, 20);
    let variables = 5;
    let f = |m: u64| {
        let x = |i: u32| (m >> i & 1) as f64;
        (2.0 * (x(0) + 0.5 * x(1) + 0.3 * x(2)) - 2.0).tanh() + x(0) * x(1) - 0.5 * x(2) * x(3)
    };
    let mut out = Vec::new();
    let mut push = |name: &str, points: &[u64], values: Vec<f64>| {
        out.push(Measured { name: name.to_owned(), variables, points: points.to_vec(), values });
    };
    let mut draw = |count: usize| -> Vec<u64> { (0..count).map(|_| below(&mut rng, 32) as u64).collect() };
    for count in 3..=12 {
        let points = draw(count);
        push(&format!("{count} points"), &points, points.iter().map(|&m| f(m)).collect());
    }
    let points = draw(40);
    let of = |g: &dyn Fn(u64) -> f64| -> Vec<f64> { points.iter().map(|&m| g(m)).collect() };
    push("offset of 1e9", &points, of(&|m| f(m) + 1e9));
    push("offset of 1e15", &points, of(&|m| f(m) + 1e15));
    push("units of 1e-200", &points, of(&|m| f(m) * 1e-200));
    push("units of 1e200", &points, of(&|m| f(m) * 1e200));
    push("subnormal units", &points, of(&|m| f(m) * 1e-310));
    push("ties", &points, of(&|m| (2.0 * f(m)).round()));
    push("zero but for one point", &points, (0..40).map(|j| f64::from(u8::from(j == 7))).collect());
    push("a variable that is the answer", &points, of(&|m| (m & 1) as f64));
    let copied: Vec<u64> = points.iter().map(|m| m & 0b1111 | (m & 1) << 4).collect();
    push("a variable that is a copy", &copied, copied.iter().map(|&m| f(m)).collect());
    let still: Vec<u64> = points.iter().map(|m| m & 0b1110).collect();
    push("two variables that never vary", &still, still.iter().map(|&m| f(m)).collect());
    let mut noise = stream(seed, 21);
    push("repeats with other values", &points, of(&f).into_iter().map(|v| v + normal(&mut noise)).collect());
    push("one point", &[5; 20], (0..20).map(f64::from).collect());
    let two: Vec<u64> = (0..20).map(|j| j % 2).collect();
    push("two points", &two, two.iter().map(|&m| m as f64).collect());
    let paired: Vec<u64> = (0..32).flat_map(|m| [m, 31 - m]).collect();
    push("complements", &paired, (0..64).map(|j| f64::from(j) * 0.1).collect());
    out
}
