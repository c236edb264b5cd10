//! From columns as given to those that the solvers see: freed of their means and weighted.
use std::borrow::Cow;

use rayon::prelude::*;
use samplewise_linalg::observe::{Progress, Watch};
use samplewise_linalg::{CsrMatrix, sums};

use super::check::is_constant;
use super::dense::Dense;
use crate::Error;
use crate::design::{Columns, Design, Store};

/// Deviation over the mean up to which a column that was freed of its mean, and of what rounding left of that, is constant.
const CENTRED_TWICE: f64 = 16.0 * f64::EPSILON * f64::EPSILON;
/// The same where products are freed of the mean, not the column.
const CENTRED_ONCE: f64 = 64.0 * f64::EPSILON;
/// Sparse columns whose mean is more than this many deviations are stored centred.
const OFFSET: f64 = 100.0;

/// Columns of so many rows whose products with so many vectors take about a hundredth of a second.
pub(super) fn columns_between_looks(n: usize, vectors: usize) -> usize {
    (LOOK * rayon::current_num_threads() / (n * vectors).max(1)).max(1)
}

/// Entries of columns between two looks, on one thread.
const LOOK: usize = 1 << 23;

/// A number for every column, in parallel over columns with looks in between; once stopped, the rest is done all the same.
pub(super) fn in_parts(out: &mut [f64], n: usize, watch: &mut Watch<'_>, value: impl Fn(usize) -> f64 + Sync) {
    let (together, total) = (columns_between_looks(n, 1), out.len());
    for (part, out) in out.chunks_mut(together).enumerate() {
        let first = part * together;
        out.par_iter_mut().with_min_len(64).enumerate().for_each(|(j, out)| *out = value(first + j));
        watch.ticks(|| Progress { stage: "columns", step: first + out.len(), total: Some(total), value: None });
    }
}

/// Columns before scaling.
pub(crate) enum Kind<'a> {
    Dense(Dense<'a>),
    Sparse(Cow<'a, CsrMatrix>),
    Custom(&'a dyn Columns),
}

/// Columns as the solvers see them before scaling, and what is known of them.
pub(super) struct Seen<'a> {
    pub columns: Kind<'a>,
    /// Those that are stored centred where not all are.
    pub centred: Vec<usize>,
    /// Sums of squares of the columns freed of their means.
    pub second: Vec<f64>,
    /// How exact these are, relative to the squared mean.
    pub rounding: f64,
}

/// What columns are freed of and weighted by.
#[derive(Clone, Copy)]
pub(super) struct Weighing<'w> {
    /// Weighted means of the columns; zeros without an intercept.
    pub means: &'w [f64],
    /// Weights of the rows, whose sum is their number, and their roots where not all are one.
    pub squares: &'w [f64],
    pub root: Option<&'w [f64]>,
    pub intercept: bool,
}

impl Weighing<'_> {
    /// The columns of a design; dense ones in a copy up to so many entries.
    ///
    /// # Errors
    /// [`Error::Entry`] for columns that would lose all their digits; [`Error::Interrupted`].
    pub fn columns<'a>(&self, design: &'a Design, copied: usize, watch: &mut Watch<'_>) -> Result<Seen<'a>, Error> {
        let n = design.rows;
        let unchanged = !self.intercept && self.root.is_none();
        let plain = |columns| Seen { columns, centred: Vec::new(), second: design.squares.to_vec(), rounding: 0.0 };
        match &design.store {
            Store::Dense(c) if unchanged => Ok(plain(Kind::Dense(Dense::stored(n, Cow::Borrowed(c))))),
            Store::Sparse(c) if unchanged => Ok(plain(Kind::Sparse(Cow::Borrowed(c)))),
            Store::Dense(c) => self.dense(c, copied, watch),
            Store::Sparse(c) => Ok(self.sparse(c)),
            Store::Custom(c) => self.custom(design, c.as_ref(), watch),
        }
    }

    fn dense<'a>(&self, table: &'a [f64], copied: usize, watch: &mut Watch<'_>) -> Result<Seen<'a>, Error> {
        let columns = self.centred(table, copied, watch)?;
        let mut second = vec![0.0; self.means.len()];
        in_parts(&mut second, self.squares.len(), watch, |j| columns.square(j));
        Ok(Seen { columns: Kind::Dense(columns), centred: Vec::new(), second, rounding: CENTRED_TWICE.powi(2) })
    }

    fn centred<'a>(&self, table: &'a [f64], copied: usize, watch: &mut Watch<'_>) -> Result<Dense<'a>, Error> {
        let Weighing { means, squares, root, .. } = *self;
        let (n, p) = (squares.len(), means.len());
        // The mean is rounded in units of itself: beside a large one that is much of the deviation, and the mean of what is left
        // takes it away.
        let left = |j: usize| {
            let (mean, column) = (means[j], &table[j * n..(j + 1) * n]);
            if mean == 0.0 { 0.0 } else { sums::sum_by(n, |i| squares[i] * (column[i] - mean)) / n as f64 }
        };
        let mut rest = vec![0.0; p];
        in_parts(&mut rest, n, watch, left);
        let centres: Vec<[f64; 2]> = means.iter().zip(&rest).map(|(mean, left)| [*mean, *left]).collect();
        let given = Dense::given(n, table, centres, root.map(<[f64]>::to_vec));
        if watch.stopped() {
            return Err(Error::Interrupted);
        }
        if table.len() > copied {
            return Ok(given);
        }
        let mut out = vec![0.0; n * p];
        let together = columns_between_looks(n, 1);
        for (part, out) in out.chunks_mut(n * together).enumerate() {
            let first = part * together;
            let copy = |(j, column): (usize, &mut [f64])| given.copy_part(first + j, 0, column);
            out.par_chunks_mut(n).enumerate().with_min_len(16).for_each(copy);
            let (step, total) = (first + out.len() / n, Some(p));
            if watch.ticks(|| Progress { stage: "centring", step, total, value: None }) {
                return Err(Error::Interrupted);
            }
        }
        Ok(Dense::stored(n, out.into()))
    }

    fn sparse<'a>(&self, c: &'a CsrMatrix) -> Seen<'a> {
        let Weighing { means, squares, root, intercept } = *self;
        let (n, p) = (squares.len(), means.len());
        // Stored entries one by one, all others at once: a difference of two sums would cancel.
        let total = sums::sum(squares);
        let square = |j: usize| {
            let (at, x) = c.row(j);
            let stored = at.iter().zip(x).map(|(&i, x)| (squares[i as usize], x));
            let (sum, weight) =
                stored.fold((0.0, 0.0), |(sum, weight), (s, x)| (sum + s * (x - means[j]).powi(2), weight + s));
            sum + (total - weight).max(0.0) * means[j] * means[j]
        };
        let mut second: Vec<f64> = (0..p).map(square).collect();
        let rounding = CENTRED_TWICE.powi(2);
        // A column that hardly varies beside its mean has all its entries stored, and can be stored centred: products with it
        // as given would lose as many digits as the mean is larger.
        let nearly_constant = |j: usize| {
            let full = c.row(j).0.len() == n;
            intercept && full && means[j] * means[j] * n as f64 > OFFSET * OFFSET * second[j]
        };
        let centred: Vec<usize> = (0..p).filter(|&j| nearly_constant(j)).collect();
        if root.is_none() && centred.is_empty() {
            return Seen { columns: Kind::Sparse(Cow::Borrowed(c)), centred, second, rounding };
        }
        let mut out = CsrMatrix::clone(c);
        for &j in &centred {
            let (start, end) = (out.offsets()[j], out.offsets()[j + 1]);
            let rows: Vec<usize> = out.indices()[start..end].iter().map(|&i| i as usize).collect();
            let column = &mut out.values_mut()[start..end];
            // As for dense columns, what rounding left of the mean is taken away too.
            let left = sums::sum_by(n, |k| squares[rows[k]] * (column[k] - means[j])) / n as f64;
            column.iter_mut().for_each(|x| *x = (*x - means[j]) - left);
            second[j] = sums::sum_by(n, |k| squares[rows[k]] * column[k] * column[k]);
        }
        if let Some(q) = root {
            let factors: Vec<f64> = out.indices().iter().map(|&i| q[i as usize]).collect();
            out.values_mut().iter_mut().zip(factors).for_each(|(v, q)| *v *= q);
        }
        Seen { columns: Kind::Sparse(Cow::Owned(out)), centred, second, rounding }
    }

    fn custom<'a>(&self, design: &Design, c: &'a dyn Columns, watch: &mut Watch<'_>) -> Result<Seen<'a>, Error> {
        let Weighing { means, squares, root, .. } = *self;
        let (n, p) = (squares.len(), means.len());
        let square = |j: usize| {
            let mut column = design.copy_column(j);
            let q = |i: usize| root.map_or(1.0, |q| q[i]);
            column.iter_mut().enumerate().for_each(|(i, x)| *x = (*x - means[j]) * q(i));
            sums::dot(&column, &column)
        };
        let mut second = vec![0.0; p];
        in_parts(&mut second, n, watch, square);
        if watch.stopped() {
            return Err(Error::Interrupted);
        }
        // Products with such a column would lose all its digits, where it is no constant.
        let lost = |j: &usize| {
            let (variance, mean) = (second[*j] / n as f64, means[*j]);
            let small = variance > 0.0 && variance <= (CENTRED_ONCE * mean).powi(2);
            small && !is_constant(&design.copy_column(*j), squares)
        };
        if let Some(position) = (0..p).find(lost) {
            let allowed = "columns of a design of one's own that vary by more than 1e-14 of their mean, or not at all";
            let (argument, value) = ("deviation of a column", (second[position] / n as f64).sqrt());
            return Err(Error::Entry { argument, position, value, allowed });
        }
        Ok(Seen { columns: Kind::Custom(c), centred: Vec::new(), second, rounding: CENTRED_ONCE.powi(2) })
    }
}
