//! The fitted matrix: predictions, new rows, storage.
use rayon::prelude::*;
use samplewise_linalg::envelope::{self, Kind};
use samplewise_linalg::scale::{extreme_exponent_of, ldexp, scale};
use samplewise_linalg::{CsrView, LinalgError, Matrix, sums};

use crate::data::ridge::bias_ridge;
use crate::data::ridge::{Manner, Ridge};
use crate::options::Solver;
use crate::polish::half_step::half_step;
use crate::{Entries, Error};

/// `M_ij ≈ μ + b_i + c_j + u_iᵀ v_j`.
///
/// Row COM-10 of `paper-refs.md`.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Model {
    /// Mean `μ`, in the units of the values.
    pub mean: f64,
    /// `b`, zeros without biases.
    pub row_biases: Vec<f64>,
    /// `c`, zeros without biases.
    pub column_biases: Vec<f64>,
    /// `U`, `m × k`.
    pub row_factors: Matrix,
    /// `V`, `n × k`.
    pub column_factors: Matrix,
}

/// A row that was not in the fit.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct FoldedRow {
    /// Its bias `b`; zero without biases.
    pub bias: f64,
    /// Its factors `u`.
    pub factors: Vec<f64>,
}

/// Format of a stored model.
const FORMAT: u16 = 1;

impl Model {
    /// Number of rows `m`.
    pub fn rows(&self) -> usize {
        self.row_factors.rows()
    }

    /// Number of columns `n`.
    pub fn columns(&self) -> usize {
        self.column_factors.rows()
    }

    /// Rank `k` of the factors.
    pub fn rank(&self) -> usize {
        self.row_factors.columns()
    }

    /// Factors `U` of the rows and `V` of the columns.
    pub fn factors(&self) -> (&Matrix, &Matrix) {
        (&self.row_factors, &self.column_factors)
    }

    /// The prediction of one entry.
    ///
    /// # Panics
    /// When the position is outside the matrix.
    pub fn predict(&self, row: usize, column: usize) -> f64 {
        self.mean
            + self.row_biases[row]
            + self.column_biases[column]
            + sums::dot(self.row_factors.row(row), self.column_factors.row(column))
    }

    /// The predictions of many entries, in their order; in parallel.
    ///
    /// # Errors
    /// [`Error::Data`] for the first position outside the matrix.
    pub fn predict_many(&self, positions: &[(usize, usize)]) -> Result<Vec<f64>, Error> {
        for &(i, j) in positions {
            within("row", i, self.rows())?;
            within("column", j, self.columns())?;
        }
        Ok(positions.par_iter().with_min_len(1 << 12).map(|&(i, j)| self.predict(i, j)).collect())
    }

    /// The predictions of many entries whose rows and columns are listed apart, into memory of the caller's.
    ///
    /// # Errors
    /// [`Error::Data`] for lists of different lengths and for the first position outside the matrix.
    pub fn predict_into(&self, rows: &[usize], columns: &[usize], out: &mut [f64]) -> Result<(), Error> {
        for (argument, given) in [("columns", columns.len()), ("out", out.len())] {
            if given != rows.len() {
                return Err(LinalgError::Length { argument, given, expected: rows.len() }.into());
            }
        }
        for (&i, &j) in rows.iter().zip(columns) {
            within("row", i, self.rows())?;
            within("column", j, self.columns())?;
        }
        let positions = rows.par_iter().zip(columns).with_min_len(1 << 12);
        out.par_iter_mut().zip(positions).for_each(|(out, (&i, &j))| *out = self.predict(i, j));
        Ok(())
    }

    /// The `count` columns of a row with the largest predictions, best first, without those in `exclude`; equal ones by
    /// number. Cost `n·k` and a partial sort.
    ///
    /// # Errors
    /// [`Error::Data`] for a row or an excluded column outside the matrix.
    pub fn top(&self, row: usize, count: usize, exclude: &[usize]) -> Result<Vec<(usize, f64)>, Error> {
        within("row", row, self.rows())?;
        let folded = FoldedRow { bias: self.row_biases[row], factors: self.row_factors.row(row).to_vec() };
        self.top_of(&folded, count, exclude)
    }

    /// [`Model::top`] for a row that was not in the fit.
    ///
    /// # Errors
    /// As [`Model::top`]; [`Error::Data`] for factors of another rank.
    pub fn top_of(&self, row: &FoldedRow, count: usize, exclude: &[usize]) -> Result<Vec<(usize, f64)>, Error> {
        self.check_rank(row)?;
        let mut out = vec![false; self.columns()];
        for &j in exclude {
            within("excluded column", j, self.columns())?;
            out[j] = true;
        }
        let mut all: Vec<(usize, f64)> =
            (0..self.columns()).filter(|&j| !out[j]).map(|j| (j, self.predict_folded(row, j))).collect();
        let order = |a: &(usize, f64), b: &(usize, f64)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if count < all.len() && count > 0 {
            all.select_nth_unstable_by(count - 1, order);
        }
        all.truncate(count);
        all.sort_by(order);
        Ok(all)
    }

    /// The factors of a row that was not in the fit from its entries `(column, value)`, with a ridge `λ` on them (and, unless
    /// `λ` is zero, the usual one on its bias when the model has biases). Cost `|row|·k²`.
    ///
    /// ```
    /// # use samplewise_completion::{Entries, Options, Rank, complete};
    /// # let seen = (0..40).flat_map(|i| (0..30).map(move |j| (i, j))).filter(|(i, j)| (i * 7 + j * 11) % 10 < 6);
    /// # let entries: Vec<_> = seen.map(|(i, j)| (i, j, (1.0 + i as f64) * (2.0 - j as f64 / 10.0))).collect();
    /// # let data = Entries::new(40, 30, &entries, None)?;
    /// # let found = complete(&data, Rank::Fixed(1), &Options::default())?;
    /// // The table of the crate's example: row x is (1 + x)(2 − j/10).
    /// let row = found.model.fold_in(&[(0, 20.0), (10, 10.0)], 0.0)?;
    /// assert!((found.model.predict_folded(&row, 5) - 15.0).abs() < 1e-4);
    /// # Ok::<(), samplewise_completion::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Data`] for columns outside the matrix, columns given twice and values that are not finite;
    /// [`Error::Argument`] for `λ`.
    pub fn fold_in(&self, entries: &[(usize, f64)], lambda: f64) -> Result<FoldedRow, Error> {
        check_lambda(lambda)?;
        let mut columns: Vec<usize> = entries.iter().map(|e| e.0).collect();
        columns.sort_unstable();
        if let Some(w) = columns.windows(2).find(|w| w[0] == w[1]) {
            return Err(LinalgError::Duplicate { row: 0, column: w[0] }.into());
        }
        for &(j, value) in entries {
            within("column", j, self.columns())?;
            if !value.is_finite() {
                return Err(LinalgError::NotFinite { argument: "entries", row: 0, column: j, value }.into());
            }
        }
        let row: Vec<(usize, f64, f64)> = entries.iter().map(|&(j, v)| (j, v, 1.0)).collect();
        let bias = self.has_biases().then(|| bias_ridge(lambda, &self.column_factors));
        let offset = |j: usize| self.mean + self.column_biases[j];
        let (factors, bias) = ridge_row(&row, &self.column_factors, &offset, lambda, bias);
        let found = factors.iter().chain([&bias]).copied();
        if let Some((column, value)) = found.enumerate().find(|f| !f.1.is_finite()) {
            return Err(LinalgError::NotFinite { argument: "factors of the row", row: 0, column, value }.into());
        }
        Ok(FoldedRow { bias, factors })
    }

    /// [`Model::fold_in`] for every row of a sparse matrix, whose stored entries are the observed ones: the factors, a row
    /// each, and the biases; in parallel.
    ///
    /// # Errors
    /// As [`Model::fold_in`]; [`Error::Data`] for a matrix of another number of columns.
    pub fn fold_in_many<'a>(&self, rows: impl Into<CsrView<'a>>, lambda: f64) -> Result<(Matrix, Vec<f64>), Error> {
        let rows = rows.into();
        check_lambda(lambda)?;
        if rows.columns() != self.columns() {
            let expected = format!("{} columns", self.columns());
            let (rows, columns) = (rows.rows(), rows.columns());
            return Err(LinalgError::Shape { argument: "rows", rows, columns, expected }.into());
        }
        let fold = |i: usize| {
            let (columns, values) = rows.row(i);
            let entries: Vec<(usize, f64)> = columns.iter().zip(values).map(|(&j, &v)| (j as usize, v)).collect();
            self.fold_in(&entries, lambda)
        };
        let all: Vec<FoldedRow> =
            (0..rows.rows()).into_par_iter().with_min_len(16).map(fold).collect::<Result<_, _>>()?;
        let factors = all.iter().flat_map(|row| row.factors.iter().copied()).collect();
        Ok((Matrix::from_vec(rows.rows(), self.rank(), factors)?, all.iter().map(|row| row.bias).collect()))
    }

    /// The prediction of one entry of a row that was not in the fit.
    ///
    /// # Panics
    /// When the column is outside the matrix, or the factors have another rank.
    pub fn predict_folded(&self, row: &FoldedRow, column: usize) -> f64 {
        self.mean + row.bias + self.column_biases[column] + sums::dot(&row.factors, self.column_factors.row(column))
    }

    /// `value − prediction` of entries, in their order.
    ///
    /// # Errors
    /// [`Error::Data`] for a position outside the matrix.
    pub fn residuals(&self, entries: &[(usize, usize, f64)]) -> Result<Vec<f64>, Error> {
        let positions: Vec<(usize, usize)> = entries.iter().map(|e| (e.0, e.1)).collect();
        Ok(self.predict_many(&positions)?.iter().zip(entries).map(|(p, e)| e.2 - p).collect())
    }

    /// Root mean square of `value − prediction`; `None` without entries.
    ///
    /// # Panics
    /// When a position is outside the matrix.
    pub fn rmse(&self, entries: &[(usize, usize, f64)]) -> Option<f64> {
        let errors: Vec<f64> = entries.iter().map(|&(i, j, v)| v - self.predict(i, j)).collect();
        // A norm without overflow or underflow of the squares.
        (!errors.is_empty()).then(|| sums::norm(&errors) / (errors.len() as f64).sqrt())
    }

    /// Solves the rows of a block against the columns of this model and returns their factors and biases: the half step of
    /// data that is split by rows over machines, each of which holds `V`. `λ` and its exponent as in [`crate::Options`].
    ///
    /// # Errors
    /// [`Error::Data`] when the block has another number of columns; [`Error::Argument`].
    pub fn update_rows(&self, block: &Entries, lambda: f64, ridge_exponent: f64) -> Result<(Matrix, Vec<f64>), Error> {
        check_lambda(lambda)?;
        if !(0.0..=2.0).contains(&ridge_exponent) {
            return Err(Error::argument("ridge_exponent", ridge_exponent, "0 to 2"));
        }
        if block.columns() != self.columns() {
            let expected = format!("{} columns", self.columns());
            let (rows, columns) = (block.rows(), block.columns());
            return Err(LinalgError::Shape { argument: "block", rows, columns, expected }.into());
        }
        let ridge = Ridge { lambda, exponent: ridge_exponent, biases: self.has_biases().then_some(lambda) };
        let manner = Manner { solver: Solver::Exact, non_negative: false, roughly: false, seed: 0 };
        let (mut factors, mut biases) = (Matrix::zeros(block.rows(), self.rank()), vec![0.0; block.rows()]);
        let (v, c) = (&self.column_factors, &self.column_biases);
        half_step(&block.by_row, v, c, self.mean, ridge, manner, &mut factors, &mut biases);
        factors.check_finite("factors of the rows")?;
        if let Some((row, &value)) = biases.iter().enumerate().find(|b| !b.1.is_finite()) {
            return Err(LinalgError::NotFinite { argument: "biases of the rows", row, column: 0, value }.into());
        }
        Ok((factors, biases))
    }

    /// The model of values that are `2^e` times as large.
    pub(crate) fn multiply_values(&mut self, e: i32) {
        self.mean = ldexp(self.mean, e);
        scale(&mut self.row_biases, e);
        scale(&mut self.column_biases, e);
        scale(self.row_factors.as_mut_slice(), e - e / 2);
        scale(self.column_factors.as_mut_slice(), e / 2);
    }

    /// Rows and columns exchanged.
    #[must_use]
    pub fn transposed(&self) -> Self {
        Self {
            mean: self.mean,
            row_biases: self.column_biases.clone(),
            column_biases: self.row_biases.clone(),
            row_factors: self.column_factors.clone(),
            column_factors: self.row_factors.clone(),
        }
    }

    /// The model in bytes: three sizes, then mean, biases and factors, little-endian, in the
    /// [`envelope`] with its checksum.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for size in [self.rows(), self.columns(), self.rank()] {
            out.extend((size as u64).to_le_bytes());
        }
        for part in self.parts() {
            part.iter().for_each(|x| out.extend(x.to_le_bytes()));
        }
        envelope::seal(Kind::Completion, FORMAT, 0, &out)
    }

    fn parts(&self) -> [&[f64]; 5] {
        [
            std::slice::from_ref(&self.mean),
            &self.row_biases,
            &self.column_biases,
            self.row_factors.as_slice(),
            self.column_factors.as_slice(),
        ]
    }

    /// Reads what [`Model::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`Error::Data`] for anything else: another kind or format, a wrong checksum, sizes that do not fit the
    /// length, numbers that are not finite.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let bad = |reason| Error::Data(LinalgError::Bytes { kind: Kind::Completion.name(), reason });
        let (counted, body) = envelope::open(Kind::Completion, FORMAT, bytes)?;
        let (sizes, rest) = body.split_at_checked(24).ok_or(bad("they end within the sizes"))?;
        let size = |i: usize| {
            let chunk = sizes.as_chunks::<8>().0[i];
            usize::try_from(u64::from_le_bytes(chunk)).map_err(|_| bad("a size is out of range"))
        };
        let (m, n, k) = (size(0)?, size(1)?, size(2)?);
        let sides = m.checked_add(n).and_then(|s| s.checked_mul(k.checked_add(1)?)?.checked_add(1)?.checked_mul(8));
        if sides != Some(rest.len()) {
            return Err(bad("their length does not fit the sizes"));
        }
        // Without rows and columns the length says nothing of the rank.
        if counted != 0 || (m == 0 && n == 0 && k > 0) {
            return Err(bad("a size is out of range"));
        }
        let mut numbers = rest.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b));
        if numbers.clone().any(|x| !x.is_finite()) {
            return Err(bad("a number is not finite"));
        }
        let mut take = |count: usize| -> Vec<f64> { numbers.by_ref().take(count).collect() };
        let mean = take(1)[0];
        let (row_biases, column_biases) = (take(m), take(n));
        let row_factors = Matrix::from_vec(m, k, take(m * k))?;
        let column_factors = Matrix::from_vec(n, k, take(n * k))?;
        Ok(Self { mean, row_biases, column_biases, row_factors, column_factors })
    }

    /// As many biases as rows and columns, and every number finite.
    pub(crate) fn check(&self) -> Result<(), Error> {
        for (argument, biases, expected) in
            [("row_biases", &self.row_biases, self.rows()), ("column_biases", &self.column_biases, self.columns())]
        {
            if biases.len() != expected {
                return Err(LinalgError::Length { argument, given: biases.len(), expected }.into());
            }
            if let Some(row) = biases.iter().position(|b| !b.is_finite()) {
                return Err(LinalgError::NotFinite { argument, row, column: 0, value: biases[row] }.into());
            }
        }
        if !self.mean.is_finite() {
            return Err(LinalgError::NotFinite { argument: "mean", row: 0, column: 0, value: self.mean }.into());
        }
        self.row_factors.check_finite("row_factors")?;
        self.column_factors.check_finite("column_factors")?;
        Ok(())
    }

    fn has_biases(&self) -> bool {
        self.mean != 0.0 || self.row_biases.iter().chain(&self.column_biases).any(|b| *b != 0.0)
    }

    fn check_rank(&self, row: &FoldedRow) -> Result<(), Error> {
        let (given, expected) = (row.factors.len(), self.rank());
        if given == expected {
            return Ok(());
        }
        Err(LinalgError::Length { argument: "factors of the row", given, expected }.into())
    }
}

/// One row's ridge problem: entries `(feature, value, weight)`, values above `offset` of the feature; factors and bias.
pub(crate) fn ridge_row(
    entries: &[(usize, f64, f64)],
    features: &Matrix,
    offset: &dyn Fn(usize) -> f64,
    ridge: f64,
    bias: Option<f64>,
) -> (Vec<f64>, f64) {
    let k = features.columns();
    let d = k + usize::from(bias.is_some());
    if entries.is_empty() || d == 0 {
        return (vec![0.0; k], 0.0);
    }
    let wide = Matrix::from_fn(entries.len(), d, |p, c| if c < k { features[(entries[p].0, c)] } else { 1.0 });
    let weights: Vec<f64> = entries.iter().map(|e| e.2).collect();
    let mut targets: Vec<f64> = entries.iter().map(|e| e.1 - offset(e.0)).collect();
    // The solution is linear in the targets: they are solved for in units near one.
    let e = extreme_exponent_of(&targets);
    scale(&mut targets, -e);
    let Ok(mut gram) = samplewise_linalg::gram::gram(&wide, Some(&weights), Some(&targets)) else {
        return (vec![f64::NAN; k], f64::NAN); // features beyond the square root of the largest number
    };
    let trace = (0..d).map(|c| gram.matrix[(c, c)]).sum::<f64>() / d as f64;
    let floor = 1e-12 * trace + f64::MIN_POSITIVE;
    for c in 0..d {
        gram.matrix[(c, c)] += if c == k { bias.unwrap_or(ridge) } else { ridge };
    }
    let mut solution = gram.right.clone();
    match samplewise_linalg::factor::Cholesky::new(&gram.matrix, floor) {
        Ok(factor) => factor.solve_in_place(&mut solution),
        Err(_) => solution.fill(0.0),
    }
    scale(&mut solution, e);
    let bias = if d > k { solution[k] } else { 0.0 };
    solution.truncate(k);
    (solution, bias)
}

fn check_lambda(lambda: f64) -> Result<(), Error> {
    if lambda.is_finite() && lambda >= 0.0 {
        return Ok(());
    }
    Err(Error::argument("lambda", lambda, "finite and at least 0"))
}

pub(crate) fn within(argument: &'static str, index: usize, bound: usize) -> Result<(), Error> {
    if index < bound { Ok(()) } else { Err(LinalgError::IndexOutOfRange { argument, index, bound }.into()) }
}
