//! Weighted sums of rows and of their products, whose bits depend neither on the order of the rows nor on how they are split.
use rayon::prelude::*;

use crate::envelope::{self, Kind, Reader, Writer};
use crate::twofold::Twofold;
use crate::{LinalgError, Matrix, MatrixView, Summary};

/// Sums `Σ w`, `Σ w x` and `Σ w x xᵀ` of rows `x` that come in any order and any number of parts: all that least squares and
/// the Lasso need, for each choice of a target among the columns.
///
/// Sums are held in twice the precision ([`Twofold`]) and rounded at the end to `2⁻⁴⁶` of the columns' norms, so that every
/// order of rows and merges gives the same bits but for about `d²/2⁴⁷` of all tables (none where all entries are whole numbers
/// with sums below `2⁵³`). Where columns are far from zero beside their spread, give an origin near their means
/// ([`Moments::about`]): rounding to the norms then keeps the digits of the spread.
///
/// Row LA-21 of `paper-refs.md`. Cost `d²/2` products in twice the precision a row, of some ten operations each; memory `8·d²`
/// bytes for the sums and for each thread.
///
/// ```
/// use samplewise_linalg::gram::Moments;
/// use samplewise_linalg::{Matrix, Summary};
/// let rows = Matrix::from_fn(1_000, 2, |i, j| ((i * (j + 3)) % 17) as f64 / 7.0);
/// let part = |range: std::ops::Range<usize>| rows.select_rows(&range.collect::<Vec<_>>());
/// let mut whole = Moments::new(2)?;
/// whole.update((rows.view(), None))?;
/// let (mut first, mut last) = (Moments::new(2)?, Moments::new(2)?);
/// first.update((part(0..300).view(), None))?;
/// last.update((part(300..1_000).view(), None))?;
/// last.merge(Moments::from_bytes(&first.to_bytes())?)?;
/// let (a, b) = (whole.finish()?, last.finish()?);
/// assert_eq!(a, b);
/// assert_eq!((a.rows, a.weight), (1_000, 1_000.0));
/// # Ok::<(), samplewise_linalg::LinalgError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    origin: Vec<f64>,
    rows: u64,
    /// The upper triangle of the products of `[x 1]`, row after row.
    sums: Twofold,
    /// Columns that were not the origin in some row that weighs: their squares may not vanish.
    moved: Vec<bool>,
}

/// What [`Moments`] knows at the end.
#[derive(Clone, Debug, PartialEq)]
pub struct MomentTotals {
    /// Number of rows that were seen.
    pub rows: u64,
    /// `Σ w`.
    pub weight: f64,
    /// What was taken from each row first, `d` entries.
    pub origin: Vec<f64>,
    /// `Σ w (x − origin)`, `d` entries.
    pub sums: Vec<f64>,
    /// `Σ w (x − origin)(x − origin)ᵀ`, `d × d`, both triangles filled.
    pub products: Matrix,
}

impl MomentTotals {
    /// Weighted means of the columns; the origin where there is no weight.
    pub fn means(&self) -> Vec<f64> {
        let weight = if self.weight > 0.0 { self.weight } else { 1.0 };
        self.origin.iter().zip(&self.sums).map(|(o, s)| o + s / weight).collect()
    }

    /// `Σ w (x − c)(x − c)ᵀ` for another point `c`. Digits of columns are lost as far as it is from the origin beside their
    /// spread.
    ///
    /// # Errors
    /// [`LinalgError::Length`].
    pub fn about(&self, point: &[f64]) -> Result<Matrix, LinalgError> {
        let d = self.sums.len();
        if point.len() != d {
            return Err(LinalgError::Length { argument: "point", given: point.len(), expected: d });
        }
        let away: Vec<f64> = point.iter().zip(&self.origin).map(|(c, o)| c - o).collect();
        let (s, w) = (&self.sums, self.weight);
        // Mirrored, so that it is symmetric to the last digit.
        Ok(Matrix::from_fn(d, d, |a, b| {
            let (i, j) = (a.min(b), a.max(b));
            let moved = s[i] * away[j] + s[j] * away[i] - w * away[i] * away[j];
            self.products[(i, j)] - moved
        }))
    }

    /// `Σ w (x − mean)(x − mean)ᵀ`.
    pub fn centred(&self) -> Matrix {
        let weight = if self.weight > 0.0 { self.weight } else { 1.0 };
        let d = self.sums.len();
        Matrix::from_fn(d, d, |a, b| {
            let (i, j) = (a.min(b), a.max(b));
            self.products[(i, j)] - self.sums[i] * (self.sums[j] / weight)
        })
    }
}

const FORMAT: u16 = 1;
/// Columns of a summary: its triangle is reserved at once.
const MOST_COLUMNS: usize = 1 << 15;
/// Rows that one task adds up, and rows whose products are added up before they are added to the sums.
const CHUNK: usize = 8_192;
const BLOCK: usize = 128;
/// Columns of a panel and rows of a tile of products.
const PANEL: usize = 8;
const TILE: usize = 2;
/// A sum of squares below this has lost what its products had below the least number.
const LEAST: f64 = 1e-270;

impl Moments {
    /// No rows yet, of so many columns.
    ///
    /// # Errors
    /// [`LinalgError::TooLarge`] beyond 32,768 columns.
    pub fn new(columns: usize) -> Result<Self, LinalgError> {
        Self::about(&vec![0.0; columns.min(MOST_COLUMNS + 1)])
    }

    /// No rows yet; the origin is taken from each row before its products, and must be the same in all parts.
    ///
    /// # Errors
    /// As [`Moments::new`]; [`LinalgError::NotFinite`].
    pub fn about(origin: &[f64]) -> Result<Self, LinalgError> {
        let d = origin.len();
        if d > MOST_COLUMNS {
            return Err(LinalgError::TooLarge { what: "moments", bytes: 8 * (d as u128 + 1) * (d as u128 + 2) });
        }
        if let Some(row) = origin.iter().position(|v| !v.is_finite()) {
            return Err(LinalgError::NotFinite { argument: "origin", row, column: 0, value: origin[row] });
        }
        Ok(Self {
            origin: origin.to_vec(),
            rows: 0,
            sums: Twofold::zeros((d + 1) * (d + 2) / 2),
            moved: vec![false; d],
        })
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.origin.len()
    }

    /// Number of rows that were seen.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// `Σ w (x − origin)(x − origin)ᵀ` of the rows so far, rounded.
    pub fn products(&self) -> Matrix {
        let d = self.columns();
        let norm: Vec<f64> = (0..d).map(|j| self.sums.value(at(d + 1, j, j)).max(0.0).sqrt()).collect();
        Matrix::from_fn(d, d, |a, b| {
            let (i, j) = (a.min(b), a.max(b));
            self.sums.rounded(at(d + 1, i, j), norm[i] * norm[j])
        })
    }

    fn check(&self, x: MatrixView<'_>, weights: Option<&[f64]>) -> Result<(), LinalgError> {
        let d = self.columns();
        if x.columns() != d {
            let expected = format!("{d} columns");
            return Err(LinalgError::Shape { argument: "rows", rows: x.rows(), columns: x.columns(), expected });
        }
        x.check_finite("rows")?;
        let Some(weights) = weights else { return Ok(()) };
        if weights.len() != x.rows() {
            return Err(LinalgError::Length { argument: "weights", given: weights.len(), expected: x.rows() });
        }
        match weights.iter().find(|w| !(**w >= 0.0 && w.is_finite())) {
            Some(&value) => {
                Err(LinalgError::OutOfRange { argument: "weights", value, allowed: "finite and at least 0" })
            }
            None => Ok(()),
        }
    }

    /// The sums with others, if none is beyond the largest number.
    fn with(&self, more: &Twofold) -> Result<Twofold, LinalgError> {
        let d = self.columns();
        let mut sums = self.sums.clone();
        sums.merge(more);
        let value = |sums: &Twofold, j| sums.value(at(d + 1, j, j));
        let out_of_range = |value, allowed| LinalgError::OutOfRange { argument: "sum of squares", value, allowed };
        for j in 0..=d {
            if !value(&sums, j).is_finite() {
                return Err(out_of_range(value(&sums, j), "finite; divide the columns"));
            }
        }
        if !sums.is_finite() {
            return Err(out_of_range(f64::INFINITY, "finite; divide the columns"));
        }
        Ok(sums)
    }
}

/// Where the product of columns `i ≤ j` of `width` is in the triangle.
#[inline]
fn at(width: usize, i: usize, j: usize) -> usize {
    i * width - i * (i + 1) / 2 + j
}

/// The products of the rows `from..to`, less the origin, with a column of ones behind them.
fn products(x: MatrixView<'_>, weights: Option<&[f64]>, origin: &[f64], from: usize, to: usize) -> Twofold {
    let width = origin.len() + 1;
    let panels = width.div_ceil(PANEL);
    let mut out = Twofold::zeros(width * (width + 1) / 2);
    // Panel after panel, a row of eight columns after another; the left factors have the weights.
    let mut right = vec![0.0; panels * BLOCK * PANEL];
    let mut left = if weights.is_some() { right.clone() } else { Vec::new() };
    for first in (from..to).step_by(BLOCK) {
        let count = (to - first).min(BLOCK);
        let place = |r: usize, j: usize| (j / PANEL * BLOCK + r) * PANEL + j % PANEL;
        x.for_rows(first..first + count, |i, row| {
            let r = i - first;
            for (j, (v, o)) in row.iter().zip(origin).enumerate() {
                right[place(r, j)] = v - o;
            }
            right[place(r, width - 1)] = 1.0;
        });
        if let Some(weights) = weights {
            for (r, w) in weights[first..first + count].iter().enumerate() {
                for j in 0..width {
                    left[place(r, j)] = w * right[place(r, j)];
                }
            }
        }
        let left = if weights.is_some() { &left } else { &right };
        crate::dispatch::widest(
            #[inline(always)]
            || {
                for rows in (0..width).step_by(TILE) {
                    let a = &left[rows / PANEL * BLOCK * PANEL..][..count * PANEL];
                    for panel in rows / PANEL..panels {
                        let b = &right[panel * BLOCK * PANEL..][..count * PANEL];
                        let (high, low) = tile(a, b, rows % PANEL);
                        for i in 0..TILE.min(width - rows) {
                            let from = (rows + i).max(panel * PANEL);
                            let to = (panel * PANEL + PANEL).min(width);
                            let within = from - panel * PANEL..to - panel * PANEL;
                            out.add_pairs(at(width, rows + i, from), &high[i][within.clone()], &low[i][within]);
                        }
                    }
                }
            },
        );
    }
    out
}

/// Sums over the rows of the products of columns `at, at + 1` of one panel with all of another, and what rounding took from
/// them.
#[inline(always)]
fn tile(a: &[f64], b: &[f64], at: usize) -> ([[f64; PANEL]; TILE], [[f64; PANEL]; TILE]) {
    let (mut high, mut low) = ([[0.0; PANEL]; TILE], [[0.0; PANEL]; TILE]);
    for (a, b) in a.as_chunks::<PANEL>().0.iter().zip(b.as_chunks::<PANEL>().0) {
        for i in 0..TILE {
            let factor = a[at + i];
            for k in 0..PANEL {
                let p = factor * b[k];
                let e = factor.mul_add(b[k], -p);
                let h = high[i][k];
                let s = h + p;
                let t = s - h;
                low[i][k] += ((h - (s - t)) + (p - t)) + e;
                high[i][k] = s;
            }
        }
    }
    (high, low)
}

impl Summary for Moments {
    type Input<'a> = (MatrixView<'a>, Option<&'a [f64]>);
    type Output = MomentTotals;

    /// Adds rows with their weights; without weights each counts once.
    ///
    /// # Errors
    /// [`LinalgError::Shape`], [`LinalgError::Length`], [`LinalgError::NotFinite`] for rows, [`LinalgError::OutOfRange`] for
    /// weights that are negative and for sums that overflow; then nothing is added.
    fn update(&mut self, (x, weights): (MatrixView<'_>, Option<&[f64]>)) -> Result<(), LinalgError> {
        self.check(x, weights)?;
        let n = x.rows();
        let rows = self.rows.checked_add(n as u64).ok_or(TOO_MANY)?;
        let d = self.columns();
        let starts: Vec<usize> = (0..n).step_by(CHUNK).collect();
        let mut more = Twofold::zeros(self.sums.len());
        // In an order that does not depend on the threads, and so many at once that memory is that of the threads.
        for together in starts.chunks(rayon::current_num_threads().max(1)) {
            let parts: Vec<Twofold> = together
                .par_iter()
                .map(|&from| products(x, weights, &self.origin, from, (from + CHUNK).min(n)))
                .collect();
            parts.iter().for_each(|part| more.merge(part));
        }
        let mut moved = self.moved.clone();
        for j in 0..d {
            let weighs = |i: usize| weights.is_none_or(|w| w[i] > 0.0) && x.get(i, j) != self.origin[j];
            moved[j] |= more.value(at(d + 1, j, j)) >= LEAST || (!moved[j] && (0..n).any(weighs));
        }
        self.sums = self.with(&more)?;
        self.moved = moved;
        self.rows = rows;
        Ok(())
    }

    fn merge(&mut self, other: Self) -> Result<(), LinalgError> {
        let (own, given) = (self.columns(), other.columns());
        if own != given {
            return Err(LinalgError::Length { argument: "other", given, expected: own });
        }
        if let Some(j) = (0..own).find(|&j| self.origin[j] != other.origin[j]) {
            let allowed = "the origin of the other summary";
            return Err(LinalgError::OutOfRange { argument: "origin", value: other.origin[j], allowed });
        }
        let rows = self.rows.checked_add(other.rows).ok_or(TOO_MANY)?;
        self.sums = self.with(&other.sums)?;
        self.moved.iter_mut().zip(other.moved).for_each(|(own, other)| *own |= other);
        self.rows = rows;
        Ok(())
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::default();
        let (high, low) = self.sums.parts();
        [&self.origin, high, low].iter().for_each(|v| out.numbers(v));
        self.moved.iter().for_each(|&moved| out.flag(moved));
        envelope::seal(Kind::Moments, FORMAT, self.rows, &out.0)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, LinalgError> {
        let (rows, body) = envelope::open(Kind::Moments, FORMAT, bytes)?;
        let mut r = Reader::new(Kind::Moments, body);
        let (origin, high, low) = (r.numbers()?, r.numbers()?, r.numbers()?);
        let mut out = Self::about(&origin).map_err(|_| r.bad("their origin is not allowed"))?;
        let sums = Twofold::from_parts(high, low).map_err(|_| r.bad("a sum is not finite"))?;
        let d = origin.len();
        if sums.len() != out.sums.len() || (0..=d).any(|j| sums.value(at(d + 1, j, j)) < 0.0) {
            return Err(r.bad("their sums are not those of squares"));
        }
        (out.rows, out.sums) = (rows, sums);
        for moved in &mut out.moved {
            *moved = r.flag()?;
        }
        r.end()?;
        Ok(out)
    }

    /// The totals.
    ///
    /// # Errors
    /// [`LinalgError::OutOfRange`] for a column whose squares are too small to have kept their digits.
    fn finish(self) -> Result<MomentTotals, LinalgError> {
        let d = self.columns();
        for j in (0..d).filter(|&j| self.moved[j]) {
            let value = self.sums.value(at(d + 1, j, j));
            if value < LEAST {
                let allowed = "0 or at least 1e-270; multiply the columns or the weights";
                return Err(LinalgError::OutOfRange { argument: "sum of squares", value, allowed });
            }
        }
        let weight = self.sums.value(at(d + 1, d, d)).max(0.0);
        let norm = |j: usize| self.sums.value(at(d + 1, j, j)).max(0.0).sqrt();
        let sums = (0..d).map(|j| self.sums.rounded(at(d + 1, j, d), norm(j) * weight.sqrt())).collect();
        Ok(MomentTotals {
            rows: self.rows,
            weight: self.sums.rounded(at(d + 1, d, d), weight),
            sums,
            products: self.products(),
            origin: self.origin,
        })
    }
}

const TOO_MANY: LinalgError = LinalgError::Bytes { kind: "moments", reason: "more rows than can be counted" };

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Streams, normal, shuffle};

    /// LA-21: any order of rows, any split and any tree of merges gives the bits of the whole, and they are those of sums in
    /// exact arithmetic to 2⁻⁴⁶ of the norms; with weights, an origin and columns of very different sizes.
    #[test]
    fn rows_may_come_in_any_order() {
        let mut rng = Streams::new(11).stream(0);
        for (n, d) in [(1, 1), (3, 2), (300, 7), (700, 8), (1_000, 23), (9_000, 5)] {
            let size: Vec<f64> = (0..d).map(|j| 10_f64.powi((j as i32 * 7) % 17 - 8)).collect();
            let offset: Vec<f64> = (0..d).map(|j| if j % 3 == 1 { 1e3 * size[j] } else { 0.0 }).collect();
            let rows = Matrix::from_fn(n, d, |_, j| offset[j] + size[j] * normal(&mut rng));
            let weights: Vec<f64> = (0..n).map(|i| f64::from(i as u32 % 3) + 0.1).collect();
            for weighted in [false, true] {
                let origin = if weighted { offset.clone() } else { vec![0.0; d] };
                let part = |order: &[usize]| {
                    let w: Vec<f64> = order.iter().map(|&i| weights[i]).collect();
                    let mut out = Moments::about(&origin).unwrap();
                    out.update((rows.select_rows(order).view(), weighted.then_some(&w[..]))).unwrap();
                    out
                };
                let mut order: Vec<usize> = (0..n).collect();
                let whole = part(&order).finish().unwrap();
                for parts in [1, 2, 7] {
                    shuffle(&mut rng, &mut order);
                    let all = order.chunks(n.div_ceil(parts)).map(part).reduce(|a, mut b| {
                        b.merge(Moments::from_bytes(&a.to_bytes()).unwrap()).unwrap();
                        b
                    });
                    assert_eq!(all.unwrap().finish().unwrap(), whole, "{n} x {d} in {parts}");
                }
                let w = |i: usize| if weighted { weights[i] } else { 1.0 };
                for i in 0..d {
                    for j in 0..d {
                        let mut exact = Twofold::zeros(1);
                        let row = |r: usize, j: usize| rows[(r, j)] - origin[j];
                        (0..n).for_each(|r| exact.add_product(0, w(r) * row(r, i), row(r, j)));
                        let norm = (whole.products[(i, i)] * whole.products[(j, j)]).sqrt();
                        assert!((whole.products[(i, j)] - exact.value(0)).abs() <= 2_f64.powi(-45) * norm);
                    }
                }
                let total: f64 = (0..n).map(w).sum();
                assert!((whole.weight / total - 1.0).abs() < 1e-12);
                let mean = whole.means();
                for j in 0..d {
                    let expected = (0..n).map(|r| w(r) * rows[(r, j)]).sum::<f64>() / total;
                    assert!((mean[j] - expected).abs() < 1e-11 * (size[j] + expected.abs()));
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_added_changes_nothing() {
        let mut m = Moments::new(2).unwrap();
        m.update((Matrix::from_fn(4, 2, |i, j| (i + j) as f64).view(), None)).unwrap();
        let before = m.clone();
        let one = |a: f64, b: f64| Matrix::from_fn(1, 2, |_, j| if j == 0 { a } else { b });
        for (a, b) in [(f64::NAN, 1.0), (1e200, 1.0), (f64::INFINITY, 0.0)] {
            assert!(m.update((one(a, b).view(), None)).is_err(), "{a} {b}");
        }
        assert!(m.update((one(1.0, 1.0).view(), Some(&[-1.0]))).is_err());
        assert!(m.update((one(1.0, 1.0).view(), Some(&[1.0, 1.0]))).is_err());
        assert!(m.update((Matrix::zeros(1, 3).view(), None)).is_err());
        assert!(m.merge(Moments::new(3).unwrap()).is_err() && m.merge(Moments::about(&[0.0, 1.0]).unwrap()).is_err());
        assert_eq!(m, before);
        m.update((Matrix::zeros(0, 2).view(), None)).unwrap();
        m.update((one(1.0, 1e-200).view(), Some(&[0.0]))).unwrap();
        // Too small beside others is nothing; too small altogether is an error in the end.
        m.update((one(0.0, 1e-200).view(), None)).unwrap();
        let mut tiny = Moments::new(2).unwrap();
        tiny.update((one(1.0, 1e-200).view(), None)).unwrap();
        let mut tiny = Moments::from_bytes(&tiny.to_bytes()).unwrap();
        assert!(tiny.clone().finish().is_err());
        tiny.merge(m.clone()).unwrap();
        assert!(tiny.finish().is_ok());
        assert_eq!(m.clone().finish().unwrap().products, before.finish().unwrap().products);
        assert!(Moments::new(MOST_COLUMNS + 1).is_err());
        let empty = Moments::new(0).unwrap();
        assert_eq!(empty.finish().unwrap().weight, 0.0);
        let bytes = m.to_bytes();
        assert!((0..bytes.len()).all(|n| Moments::from_bytes(&bytes[..n]).is_err()));
    }
}
