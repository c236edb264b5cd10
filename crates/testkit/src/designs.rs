//! Designs for `ℓp` regression, of the full data of `scripts/fetch_data.py` where they are there, and made ones.
use samplewise_linalg::random::{Streams, normal, uniform};
use samplewise_linalg::{CooBuilder, CsrMatrix, Duplicates, Matrix};

use crate::fixtures::{self, Table};
use crate::generate::{adversarial_heavy_rows, random_matrix};

/// A design with its target.
#[derive(Clone, Debug)]
pub struct Design {
    /// Name.
    pub name: String,
    /// Rows and columns.
    pub a: Matrix,
    /// Target.
    pub b: Vec<f64>,
}

/// `cpssw8`, `gss` or `diamonds`: columns as `scripts/fetch_data.py` writes them, the last one is the target.
pub fn fetched(name: &str) -> Option<Design> {
    let table = fixtures::full_table(&fixtures::full_data(&format!("{name}/design.csv"))?);
    let d = table.header.len() - 1;
    let number = |cell: &String| cell.parse().unwrap_or_else(|_| panic!("{name}: {cell} is not a number"));
    let rows: Vec<Vec<f64>> = table.rows.iter().map(|r| r.iter().map(number).collect()).collect();
    let a = Matrix::from_fn(rows.len(), d, |i, j| rows[i][j]);
    Some(Design { name: name.to_owned(), a, b: rows.iter().map(|r| r[d]).collect() })
}

/// Arrival delays of all complete flights: `numeric` columns, and dummies of `categories` without their first level.
pub struct Flights {
    numeric: Vec<Vec<f64>>,
    levels: Vec<Vec<usize>>,
    sizes: Vec<usize>,
    delays: Vec<f64>,
}

/// Numbers of the narrow designs, and of the one with many categories.
const FEW: [&str; 6] = ["dep_delay", "distance", "air_time", "hour", "month", "day"];
const BESIDE_CATEGORIES: [&str; 6] = ["dep_delay", "distance", "air_time", "day", "minute", "weekend"];

impl Flights {
    /// The full data, or `None` before `scripts/fetch_data.py fetch flights`.
    pub fn full(numeric: &[&str], categories: &[&str]) -> Option<Self> {
        let mut table = fixtures::full_table(&fixtures::full_data("flights/flights.csv")?);
        Some(Self::of(&mut table, numeric, categories))
    }

    fn of(table: &mut Table, numeric: &[&str], categories: &[&str]) -> Self {
        let needed: Vec<usize> = ["arr_delay", "dep_delay", "air_time"].iter().map(|c| table.column(c)).collect();
        table.rows.retain(|r| needed.iter().all(|&j| r[j].parse::<f64>().is_ok()));
        let numbers = |c: &&str| if *c == "weekend" { weekends(table) } else { table.numbers(c) };
        let mut out = Self {
            numeric: numeric.iter().map(numbers).collect(),
            levels: Vec::new(),
            sizes: Vec::new(),
            delays: table.numbers("arr_delay"),
        };
        for c in categories {
            let j = table.column(c);
            let mut names: Vec<&str> = table.rows.iter().map(|r| r[j].as_str()).collect();
            names.sort_unstable();
            names.dedup();
            let level = |r: &Vec<String>| names.binary_search(&r[j].as_str()).expect("one of them");
            out.levels.push(table.rows.iter().map(level).collect());
            out.sizes.push(names.len());
        }
        out
    }

    /// Columns: intercept, numbers, dummies.
    pub fn columns(&self) -> usize {
        1 + self.numeric.len() + self.sizes.iter().map(|s| s - 1).sum::<usize>()
    }

    fn each(&self, i: usize, mut visit: impl FnMut(usize, f64)) {
        visit(0, 1.0);
        for (j, c) in self.numeric.iter().enumerate() {
            visit(1 + j, c[i]);
        }
        let mut first = 1 + self.numeric.len();
        for (levels, size) in self.levels.iter().zip(&self.sizes) {
            if levels[i] > 0 {
                visit(first + levels[i] - 1, 1.0);
            }
            first += size - 1;
        }
    }

    /// As a dense matrix.
    pub fn dense(&self, name: &str) -> Design {
        let mut a = Matrix::zeros(self.delays.len(), self.columns());
        for i in 0..self.delays.len() {
            self.each(i, |j, v| a.row_mut(i)[j] = v);
        }
        Design { name: name.to_owned(), a, b: self.delays.clone() }
    }

    /// As a sparse matrix.
    pub fn sparse(&self) -> CsrMatrix {
        let mut coo = CooBuilder::new(self.delays.len(), self.columns());
        for i in 0..self.delays.len() {
            self.each(i, |j, v| {
                if v != 0.0 {
                    coo.push(i, j, v).expect("in range");
                }
            });
        }
        coo.build(Duplicates::Error).expect("no entry twice")
    }
}

/// One on Saturdays and Sundays of 2013, which began on a Tuesday.
fn weekends(table: &Table) -> Vec<f64> {
    const BEFORE: [usize; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let (months, days) = (table.numbers("month"), table.numbers("day"));
    let weekday = |(m, d): (&f64, &f64)| (BEFORE[*m as usize - 1] + *d as usize) % 7;
    months.iter().zip(&days).map(|e| f64::from(u8::from(weekday(e) == 5 || weekday(e) == 6))).collect()
}

/// Seven columns, no categories.
pub fn flights_seven() -> Option<Design> {
    Flights::full(&FEW, &[]).map(|f| f.dense("flights 7"))
}

/// Carriers, origins and hours: rare columns among common ones.
pub fn flights_mid() -> Option<Design> {
    Flights::full(&BESIDE_CATEGORIES, &["carrier", "origin", "month", "hour"]).map(|f| f.dense("flights mid"))
}

/// Destinations too: 146 columns, of which a row has a tenth.
pub fn flights_wide() -> Option<Flights> {
    Flights::full(&BESIDE_CATEGORIES, &["carrier", "origin", "dest", "hour"])
}

/// `x^j` at Chebyshev points, which every row of a Vandermonde matrix could be.
pub fn vandermonde(n: usize, d: usize) -> Matrix {
    // Chebyshev polynomials: the same space, well conditioned.
    Matrix::from_fn(n, d, |i, j| {
        let t = std::f64::consts::PI * (i as f64 + 0.5) / n as f64;
        (j as f64 * t).cos()
    })
}

/// Tables on which coresets are judged: Gaussian, heavy-tailed, Vandermonde (16 columns, 4,000 rows each), and 4,000 rows
/// of the fetched ones.
pub fn for_coresets() -> Vec<(String, Matrix)> {
    let mut out = vec![
        ("Gaussian".to_owned(), random_matrix(4000, 16, 11)),
        ("heavy-tailed".to_owned(), adversarial_heavy_rows(4000, 16, 12)),
        ("Vandermonde".to_owned(), vandermonde(4000, 16)),
    ];
    for name in ["gss", "diamonds", "cpssw8"] {
        if let Some(d) = fetched(name) {
            let step = d.a.rows() / 4000;
            let rows: Vec<usize> = (0..4000).map(|k| k * step).collect();
            out.push((name.to_owned(), d.a.select_rows(&rows)));
        }
    }
    out
}

/// A linear model with noise of Student's t distribution with two degrees of freedom.
pub fn student_noise(n: usize, d: usize, seed: u64) -> Design {
    let a = random_matrix(n, d, seed);
    let mut rng = Streams::new(seed).stream(9);
    let b = (0..n)
        .map(|i| {
            let noise = normal(&mut rng) / (-uniform(&mut rng).max(1e-300).ln()).sqrt();
            a.row(i).iter().sum::<f64>() + noise
        })
        .collect();
    Design { name: format!("t noise {n} x {d}"), a, b }
}
