//! Gram matrices of rows that are split in any way.
use crate::envelope::{self, Kind};
use crate::{LinalgError, Matrix, MatrixView, Summary, gram, sums};

/// Sum of Gram matrices, right-hand sides and squares: all that least squares needs of its rows (row LA-8).
#[derive(Clone, Debug, PartialEq)]
pub struct GramSummary {
    rows: u64,
    matrix: Matrix,
    right: Vec<f64>,
    squares: f64,
}

/// What [`GramSummary`] knows at the end.
#[derive(Clone, Debug, PartialEq)]
pub struct GramTotals {
    /// Number of rows that were seen.
    pub rows: u64,
    /// `XᵀX` of all rows, `d × d`.
    pub matrix: Matrix,
    /// `Xᵀy` of all rows, `d` entries.
    pub right: Vec<f64>,
    /// `yᵀy` of all rows.
    pub squares: f64,
}

const FORMAT: u16 = 1;
const TOO_MANY: LinalgError = LinalgError::Bytes { kind: "Gram summary", reason: "more rows than can be counted" };

impl GramSummary {
    /// An empty summary for rows of `d` features.
    ///
    /// # Errors
    /// [`LinalgError::TooLarge`].
    pub fn new(d: usize) -> Result<Self, LinalgError> {
        Ok(Self { rows: 0, matrix: Matrix::try_zeros(d, d)?, right: vec![0.0; d], squares: 0.0 })
    }
}

impl GramSummary {
    /// Adds sums, if all of them stay finite; then there are so many rows.
    fn add(&mut self, rows: u64, matrix: &Matrix, right: &[f64], squares: f64) -> Result<(), LinalgError> {
        let sums = |own: &[f64], more: &[f64]| own.iter().zip(more).map(|(a, b)| a + b).find(|s| !s.is_finite());
        let too_large = sums(self.matrix.as_slice(), matrix.as_slice()).or_else(|| sums(&self.right, right));
        if let Some(value) = too_large.or_else(|| sums(&[self.squares], &[squares])) {
            return Err(LinalgError::OutOfRange {
                argument: "sum of squares",
                value,
                allowed: "finite; divide x and y",
            });
        }
        sums::axpy(1.0, matrix.as_slice(), self.matrix.as_mut_slice());
        sums::axpy(1.0, right, &mut self.right);
        self.squares += squares;
        self.rows = rows;
        Ok(())
    }
}

impl Summary for GramSummary {
    type Input<'a> = (MatrixView<'a>, &'a [f64]);
    type Output = GramTotals;

    fn update(&mut self, (x, y): (MatrixView<'_>, &[f64])) -> Result<(), LinalgError> {
        if x.columns() != self.right.len() {
            return Err(LinalgError::Shape {
                argument: "x",
                rows: x.rows(),
                columns: x.columns(),
                expected: format!("{} columns", self.right.len()),
            });
        }
        x.check_finite("x")?;
        if let Some(row) = y.iter().position(|v| !v.is_finite()) {
            return Err(LinalgError::NotFinite { argument: "y", row, column: 0, value: y[row] });
        }
        let rows = self.rows.checked_add(x.rows() as u64).ok_or(TOO_MANY)?;
        let g = gram::gram(x, None, Some(y))?;
        self.add(rows, &g.matrix, &g.right, sums::dot(y, y))
    }

    fn merge(&mut self, other: Self) -> Result<(), LinalgError> {
        if other.right.len() != self.right.len() {
            return Err(LinalgError::Length {
                argument: "other",
                given: other.right.len(),
                expected: self.right.len(),
            });
        }
        let rows = self.rows.checked_add(other.rows).ok_or(TOO_MANY)?;
        self.add(rows, &other.matrix, &other.right, other.squares)
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut body = (self.right.len() as u64).to_le_bytes().to_vec();
        for v in self.matrix.as_slice().iter().chain(&self.right).chain([&self.squares]) {
            body.extend(v.to_le_bytes());
        }
        envelope::seal(Kind::Gram, FORMAT, self.rows, &body)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, LinalgError> {
        let bad = |reason| LinalgError::Bytes { kind: Kind::Gram.name(), reason };
        let (rows, body) = envelope::open(Kind::Gram, FORMAT, bytes)?;
        let (size, values) = body.split_first_chunk::<8>().ok_or_else(|| bad("they end within the sizes"))?;
        let d = usize::try_from(u64::from_le_bytes(*size)).map_err(|_| bad("dimension does not fit"))?;
        let count = d
            .checked_mul(d)
            .and_then(|q| q.checked_add(d)?.checked_add(1))
            .ok_or_else(|| bad("dimension does not fit"))?;
        let (values, rest) = values.as_chunks::<8>();
        if values.len() != count || !rest.is_empty() {
            return Err(bad("length does not match the dimension"));
        }
        let values: Vec<f64> = values.iter().map(|b| f64::from_le_bytes(*b)).collect();
        if values.iter().any(|v| !v.is_finite()) {
            return Err(bad("an entry is not finite"));
        }
        if values[d * d + d] < 0.0 {
            return Err(bad("a sum of squares is negative"));
        }
        Ok(Self {
            rows,
            matrix: Matrix::from_vec(d, d, values[..d * d].to_vec())?,
            right: values[d * d..d * d + d].to_vec(),
            squares: values[d * d + d],
        })
    }

    fn finish(self) -> Result<GramTotals, LinalgError> {
        Ok(GramTotals { rows: self.rows, matrix: self.matrix, right: self.right, squares: self.squares })
    }
}
