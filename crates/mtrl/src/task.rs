//! What is kept of a task: its rows while there are fewer than features, their second moments after.
use std::borrow::Cow;

use samplewise_linalg::envelope::{self, Kind};
use samplewise_linalg::factor::Cholesky;
use samplewise_linalg::gram::gram;
use samplewise_linalg::scale::{extreme_exponent, extreme_exponent_of, largest, ldexp, scale};
use samplewise_linalg::{LinalgError, Matrix, MatrixView, Summary, rows_times_rows, sums};

/// Data of one task; what different places saw of it can be merged (row MTL-7).
///
/// Row TRU-1 of `paper-refs.md`.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskData {
    samples: usize,
    features: usize,
    /// Labels are divided by `2^exponent` before anything is summed; zero for labels of moderate size.
    exponent: i32,
    /// `Xᵀy` and `yᵀy` of the labels so divided.
    right: Vec<f64>,
    square: f64,
    store: Store,
}

#[derive(Clone, Debug, PartialEq)]
enum Store {
    /// Fewer rows than features.
    Rows { x: Vec<f64>, y: Vec<f64> },
    /// `XᵀX`.
    Moments(Matrix),
}

const FORMAT: u16 = 1;
const TOO_MANY: LinalgError = LinalgError::Bytes { kind: "task", reason: "more rows than can be counted" };

impl TaskData {
    /// Of no rows yet.
    pub fn empty(features: usize) -> Self {
        let store = Store::Rows { x: Vec::new(), y: Vec::new() };
        Self { samples: 0, features, exponent: 0, right: vec![0.0; features], square: 0.0, store }
    }

    /// Of the features `x` (`n × d`, any storage order) and the labels `y`. Memory `8d·min(n, d)` bytes.
    ///
    /// # Errors
    /// [`LinalgError`] for entries that are not finite or lengths that do not match.
    pub fn new<'a>(x: impl Into<MatrixView<'a>>, y: &[f64]) -> Result<Self, LinalgError> {
        let x = x.into();
        let mut out = Self::empty(x.columns());
        out.update((x, y))?;
        Ok(out)
    }

    /// Number of rows that were seen.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Features `d`.
    pub fn features(&self) -> usize {
        self.features
    }

    /// `Xᵀy`.
    pub fn right(&self) -> Cow<'_, [f64]> {
        if self.exponent == 0 {
            return Cow::Borrowed(&self.right);
        }
        Cow::Owned(self.right.iter().map(|v| ldexp(*v, self.exponent)).collect())
    }

    /// `yᵀy`.
    pub fn square(&self) -> f64 {
        ldexp(self.square, 2 * self.exponent)
    }

    /// `Xᵀy` in the units of the labels that are kept.
    pub(crate) fn own_right(&self) -> &[f64] {
        &self.right
    }

    /// `yᵀy` in these units.
    pub(crate) fn own_square(&self) -> f64 {
        self.square
    }

    /// Power of two of these units; `None` while all labels are zero, which fits any.
    pub(crate) fn units(&self) -> Option<i32> {
        (self.square > 0.0).then_some(self.exponent)
    }

    /// The same data with labels in units of `2^exponent`; what vanishes beside that was nothing.
    pub(crate) fn set_units(&mut self, exponent: i32) {
        let change = self.exponent - exponent;
        scale(&mut self.right, change);
        self.square = ldexp(self.square, 2 * change);
        if let Store::Rows { y, .. } = &mut self.store {
            scale(y, change);
        }
        self.exponent = exponent;
    }

    /// `XᵀX B`. Cost `2·d·K·min(2n, d)` flops.
    ///
    /// # Errors
    /// [`LinalgError::Shape`] when `b` does not have a row per feature.
    pub fn gram_times(&self, b: &Matrix) -> Result<Matrix, LinalgError> {
        self.check_basis(b)?;
        let mut out = Matrix::zeros(b.columns(), self.features);
        self.apply(&b.transpose(), &mut out);
        Ok(out.transpose())
    }

    /// `argmin_w ‖X B w − y‖² + ridge‖w‖²`.
    ///
    /// # Errors
    /// [`LinalgError::Shape`] when the basis does not have a row per feature.
    pub fn weights(&self, basis: &Matrix, ridge: f64) -> Result<Vec<f64>, LinalgError> {
        self.check_basis(basis)?;
        let basis = basis.transpose();
        let mut product = Matrix::zeros(basis.rows(), self.features);
        self.apply(&basis, &mut product);
        let mut w = self.fit(&basis, &product, ridge)?.0;
        scale(&mut w, self.exponent);
        Ok(w)
    }

    fn check_basis(&self, b: &Matrix) -> Result<(), LinalgError> {
        if b.rows() == self.features {
            return Ok(());
        }
        let expected = format!("{} rows", self.features);
        Err(LinalgError::Shape { argument: "basis", rows: b.rows(), columns: b.columns(), expected })
    }

    /// `BᵀXᵀX` into `out`; basis vectors are rows, so that every loop runs along the features.
    pub(crate) fn apply(&self, basis: &Matrix, out: &mut Matrix) {
        let d = self.features;
        if d == 0 || basis.rows() == 0 {
            return;
        }
        match &self.store {
            // The matrix is symmetric: its rows are its columns.
            Store::Moments(g) => {
                rows_times_rows::rows_times_rows(basis.as_slice(), g.as_slice(), d, out.as_mut_slice(), d)
                    .expect("a row of features per basis vector");
            }
            Store::Rows { x, .. } => {
                out.as_mut_slice().fill(0.0);
                let (n, k) = (x.len() / d, basis.rows());
                let mut t = vec![0.0; n * k];
                if n > 0 {
                    rows_times_rows::rows_times_rows(x, basis.as_slice(), d, &mut t, k).expect("rows of features");
                }
                samplewise_linalg::dispatch::widest(
                    #[inline(always)]
                    || {
                        // Four rows at a time, so that a row of the result is read and written once for the four.
                        for (rows, t) in x.chunks(4 * d).zip(t.chunks(4 * k)) {
                            for l in 0..k {
                                let out = out.row_mut(l);
                                if rows.len() == 4 * d {
                                    let (r01, r23) = rows.split_at(2 * d);
                                    let ((r0, r1), (r2, r3)) = (r01.split_at(d), r23.split_at(d));
                                    let c = [t[l], t[k + l], t[2 * k + l], t[3 * k + l]];
                                    for ((((o, a), b), e), f) in out.iter_mut().zip(r0).zip(r1).zip(r2).zip(r3) {
                                        *o += (c[0] * a + c[1] * b) + (c[2] * e + c[3] * f);
                                    }
                                } else {
                                    for (row, t) in rows.chunks_exact(d).zip(t.chunks_exact(k)) {
                                        out.iter_mut().zip(row).for_each(|(o, x)| *o += t[l] * x);
                                    }
                                }
                            }
                        }
                    },
                );
            }
        }
    }

    /// Weights and the loss `‖X B w − y‖²` they leave, in the units of the labels that are kept, from [`TaskData::apply`] to the basis (vectors are rows).
    pub(crate) fn fit(&self, basis: &Matrix, product: &Matrix, ridge: f64) -> Result<(Vec<f64>, f64), LinalgError> {
        let k = basis.rows();
        let reduced = Matrix::from_fn(k, k, |a, b| sums::dot(basis.row(a), product.row(b)));
        let right: Vec<f64> = (0..k).map(|a| sums::dot(basis.row(a), &self.right)).collect();
        let mut w = right.clone();
        let trace: f64 = (0..k).map(|i| reduced[(i, i)]).sum();
        Cholesky::new(&reduced, ridge + 1e-12 * trace + f64::MIN_POSITIVE)?.solve_in_place(&mut w);
        let mut rw = vec![0.0; k];
        reduced.multiply_vector_into(&w, &mut rw);
        let loss = self.square - 2.0 * sums::dot(&w, &right) + sums::dot(&w, &rw);
        Ok((w, loss.max(0.0)))
    }

    /// Whether there are fewer rows than features, which are kept as they are.
    pub(crate) fn keeps_rows(&self) -> bool {
        matches!(self.store, Store::Rows { .. })
    }

    /// Adds `XᵀX`; of rows that are kept every so manieth stands for all.
    pub(crate) fn add_moments(&self, stride: usize, sum: &mut Matrix) -> Result<(), LinalgError> {
        let d = self.features;
        match &self.store {
            Store::Moments(g) => sums::axpy(1.0, g.as_slice(), sum.as_mut_slice()),
            Store::Rows { x, .. } => {
                let some: Vec<f64> = x.chunks_exact(d.max(1)).step_by(stride).flatten().copied().collect();
                if !some.is_empty() {
                    let rows = some.len() / d;
                    let share = self.samples as f64 / rows as f64;
                    let g = gram(&Matrix::from_vec(rows, d, some)?, None, None)?.matrix;
                    sums::axpy(share, g.as_slice(), sum.as_mut_slice());
                }
            }
        }
        Ok(())
    }

    fn sum_rows(&mut self) -> Result<(), LinalgError> {
        if let Store::Rows { x, y } = &mut self.store {
            let x = Matrix::from_vec(y.len(), self.features, std::mem::take(x))?;
            self.store = Store::Moments(gram(&x, None, None)?.matrix);
        }
        Ok(())
    }
}

/// What in sums and rows, or in sums and moments, cannot be of one table.
fn contradiction(
    rows: bool,
    (features, samples): (usize, usize),
    (right, square): (&[f64], f64),
    body: &[f64],
) -> Option<&'static str> {
    const NEAR: f64 = 1e-9;
    if square < 0.0 {
        return Some("a sum of squares is negative");
    }
    if rows {
        let (x, y) = body.split_at(features * samples);
        let near = |a: f64, b: f64, size: f64| (a - b).abs() <= NEAR * size.max(f64::MIN_POSITIVE);
        let own = sums::dot(y, y);
        let column = |j: usize| x.chunks_exact(features).zip(y).map(move |(x, y)| x[j] * y);
        let same = |j: usize| near(column(j).sum(), right[j], column(j).map(f64::abs).sum());
        return (!near(own, square, own) || !(0..features).all(same)).then_some("its sums are not those of its rows");
    }
    // Of a table, moments are symmetric, and no product is above what Cauchy and Schwarz allow.
    let at = |i: usize, j: usize| body[i * features + j];
    let within = |product: f64, a: f64, b: f64| product.abs() <= (1.0 + NEAR) * a.sqrt() * b.sqrt() + f64::MIN_POSITIVE;
    let sound = (0..features).all(|i| {
        at(i, i) >= 0.0
            && within(right[i], at(i, i), square)
            && (0..i).all(|j| at(i, j) == at(j, i) && within(at(i, j), at(i, i), at(j, j)))
    });
    (!sound).then_some("its moments are those of no table")
}

impl Summary for TaskData {
    type Input<'a> = (MatrixView<'a>, &'a [f64]);
    type Output = TaskData;

    fn update(&mut self, (x, y): (MatrixView<'_>, &[f64])) -> Result<(), LinalgError> {
        if y.is_empty() && x.rows() == 0 {
            return Ok(());
        }
        if x.columns() != self.features || x.rows() != y.len() {
            let expected = format!("{} x {}", y.len(), self.features);
            return Err(LinalgError::Shape { argument: "x", rows: x.rows(), columns: x.columns(), expected });
        }
        let samples = self.samples.checked_add(y.len()).ok_or(TOO_MANY)?;
        x.check_finite("x")?;
        if let Some(row) = y.iter().position(|v| !v.is_finite()) {
            return Err(LinalgError::NotFinite { argument: "y", row, column: 0, value: y[row] });
        }
        let mut value = 0.0;
        x.for_each_row(|_, row| value = f64::max(value, largest(row)));
        if extreme_exponent(value) != 0 {
            let (argument, allowed) = ("largest feature", "2^-200 to 2^200 in size: scale the features");
            return Err(LinalgError::OutOfRange { argument, value, allowed });
        }
        let own = extreme_exponent_of(y);
        // Labels of the largest size decide; smaller ones vanish beside their squares.
        let zero = y.iter().all(|v| *v == 0.0);
        let units = self.units().map_or(own, |e| if zero { e } else { e.max(own) });
        if units != self.exponent {
            self.set_units(units);
        }
        let scaled: Vec<f64> = y.iter().map(|v| ldexp(*v, -units)).collect();
        let y = &scaled[..];
        x.for_each_row(|i, row| sums::axpy(y[i], row, &mut self.right));
        self.square += sums::dot(y, y);
        self.samples = samples;
        if self.samples > self.features {
            self.sum_rows()?;
        }
        match &mut self.store {
            Store::Rows { x: rows, y: labels } => {
                x.for_each_row(|_, row| rows.extend_from_slice(row));
                labels.extend_from_slice(y);
            }
            Store::Moments(g) => sums::axpy(1.0, gram(x, None, None)?.matrix.as_slice(), g.as_mut_slice()),
        }
        Ok(())
    }

    fn merge(&mut self, mut other: Self) -> Result<(), LinalgError> {
        if other.features != self.features {
            let (given, expected) = (other.features, self.features);
            return Err(LinalgError::Length { argument: "other", given, expected });
        }
        let samples = self.samples.checked_add(other.samples).ok_or(TOO_MANY)?;
        if let (Some(mine), Some(theirs)) = (self.units(), other.units()) {
            self.set_units(mine.max(theirs));
            other.set_units(mine.max(theirs));
        } else if let Some(theirs) = other.units() {
            self.set_units(theirs);
        } else {
            other.set_units(self.exponent);
        }
        let exponent = self.exponent;
        match other.store {
            Store::Rows { x, mut y } => {
                scale(&mut y, exponent);
                let x = Matrix::from_vec(y.len(), self.features, x)?;
                self.update((x.view(), &y))
            }
            Store::Moments(g) => {
                self.sum_rows()?;
                if let Store::Moments(mine) = &mut self.store {
                    sums::axpy(1.0, g.as_slice(), mine.as_mut_slice());
                }
                sums::axpy(1.0, &other.right, &mut self.right);
                self.square += other.square;
                self.samples = samples;
                Ok(())
            }
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let (kind, body): (u64, Vec<&[f64]>) = match &self.store {
            Store::Rows { x, y } => (0, vec![x, y]),
            Store::Moments(g) => (1, vec![g.as_slice()]),
        };
        let mut out = Vec::new();
        for word in [kind, self.features as u64, self.samples as u64, i64::from(self.exponent).cast_unsigned()] {
            out.extend(word.to_le_bytes());
        }
        for v in self.right.iter().chain([&self.square]).chain(body.into_iter().flatten()) {
            out.extend(v.to_le_bytes());
        }
        envelope::seal(Kind::Task, FORMAT, self.samples as u64, &out)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, LinalgError> {
        let bad = |reason| LinalgError::Bytes { kind: Kind::Task.name(), reason };
        let (rows, bytes) = envelope::open(Kind::Task, FORMAT, bytes)?;
        let (head, values) = bytes.split_at_checked(32).ok_or_else(|| bad("they end within the sizes"))?;
        let word = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("eight bytes"));
        let size = |at: usize| usize::try_from(word(at)).map_err(|_| bad("a size does not fit"));
        let (kind, features, samples) = (word(0), size(8)?, size(16)?);
        if rows != word(16) {
            return Err(bad("the envelope counts other rows"));
        }
        let exponent = i32::try_from(word(24).cast_signed()).ok().filter(|e| e.abs() <= 1100);
        let exponent = exponent.ok_or_else(|| bad("their units do not fit"))?;
        let (values, rest) = values.as_chunks::<8>();
        let body = match kind {
            0 if samples <= features => features.checked_mul(samples).and_then(|v| v.checked_add(samples)),
            1 => features.checked_mul(features),
            _ => return Err(bad("neither rows nor moments")),
        };
        let expected = body.and_then(|b| b.checked_add(features)?.checked_add(1));
        if expected != Some(values.len()) || !rest.is_empty() {
            return Err(bad("length does not match the dimension"));
        }
        let values: Vec<f64> = values.iter().map(|b| f64::from_le_bytes(*b)).collect();
        if values.iter().any(|v| !v.is_finite()) {
            return Err(bad("an entry is not finite"));
        }
        let (right, square, body) = (&values[..features], values[features], &values[features + 1..]);
        if let Some(reason) = contradiction(kind == 0, (features, samples), (right, square), body) {
            return Err(bad(reason));
        }
        let store = if kind == 0 {
            let (x, y) = body.split_at(features * samples);
            Store::Rows { x: x.to_vec(), y: y.to_vec() }
        } else {
            Store::Moments(Matrix::from_vec(features, features, body.to_vec())?)
        };
        Ok(Self { samples, features, exponent, right: right.to_vec(), square, store })
    }

    fn finish(self) -> Result<TaskData, LinalgError> {
        Ok(self)
    }
}
