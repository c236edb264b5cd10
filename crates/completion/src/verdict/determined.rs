//! Which entries of the matrix the given ones determine (row COM-13).
//!
//! Between two blocks of rows and columns without a common entry nothing is determined at any rank: each block may be
//! transformed by itself. The same holds at rank `k` for blocks that share fewer than `k` lines, though every row and column
//! of them has entries enough. Held-out entries come from inside the blocks, and see nothing of it.
//!
//! Three checks say so. Connected components of the graph of rows, columns and entries cost one pass. The second is exact for
//! almost all matrices of the rank: at random factors, a change `(ΔU, ΔV)` that changes no given entry to first order but does
//! change `ΔU_i·V_j + U_i·ΔV_j` elsewhere shows that the entry there can move. Random changes are freed of what the given
//! entries see by conjugate gradients; an entry that two of them leave still is determined, up to finitely many values. The
//! third does the same at the factors of the model, for tables are not like almost all matrices: columns that two blocks share
//! may be multiples of each other, a block may be of lower rank, and a column that is given only in rows of zeros is free.
//!
//! What is determined need not be determined well: where the model misses its entries by a share of their spread that is not
//! small, as a loose tolerance allows, an entry that hangs on others by small factors may be off by more.
//!
//! All of this is at the rank that the model has numerically. A model of lower rank than was asked for leaves every entry
//! that is not given free at the higher rank, since a single entry is a matrix of rank one.
use rayon::prelude::*;
use samplewise_linalg::factor::{DenseSvd, dense_svd};
use samplewise_linalg::random::{Streams, normal};
use samplewise_linalg::{Matrix, sums};

use crate::Model;
use crate::verdict::pattern::{Lines, Pattern};

/// How far the question was pursued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Check {
    /// Connected components only: the fit claims nothing, the other checks were too dear, or they did not converge.
    Components,
    /// Components, and the check of the rank at random factors. The one at the factors of the model was not called for, since
    /// no model met the held-out entries, or it did not converge.
    Rank,
    /// All of these, and the check of the rank at the factors of the model.
    Model,
}

/// What the entries determine, at the rank of the model.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Determination {
    /// Connected components of rows and columns with at least one entry.
    pub components: usize,
    /// Share of the entries of the matrix that are not determined (of a sample of them in a large matrix).
    pub undetermined_share: f64,
    /// What was checked.
    pub check: Check,
    /// The rank at which it was checked: that of the model without components that are smaller than the tolerance.
    pub rank: usize,
    /// Component of each row; `None` for a row without entries.
    pub row_components: Vec<Option<u32>>,
    /// Component of each column.
    pub column_components: Vec<Option<u32>>,
    open_rows: Vec<bool>,
    open_columns: Vec<bool>,
    motions: Vec<Motion>,
}

/// A change that no given entry sees: entry `(i, j)` moves by `du_i·v_j + u_i·dv_j`.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Motion {
    u: Matrix,
    v: Matrix,
    du: Matrix,
    dv: Matrix,
    /// Changes up to here are none.
    still: f64,
}

impl Motion {
    fn at(&self, i: usize, j: usize) -> f64 {
        sums::dot(self.du.row(i), self.v.row(j)) + sums::dot(self.u.row(i), self.dv.row(j))
    }
}

/// Entries times unknowns per line beyond which only components are looked at.
const MOST_WORK: usize = 1_000_000;
/// Steps of conjugate gradients for one change, and entries times unknowns per line times steps beyond which it is given up:
/// a few seconds.
const MOST_STEPS: usize = 2_000;
const MOST_WORK_OF_STEPS: usize = 400 * MOST_WORK;
/// Changes of given entries, relative to those at first, that are none.
const STILL: f64 = 1e-10;
/// The same at the factors of a model, and what is accepted there after all steps: factors are known no better than the
/// tolerance, and a change that no entry sees at the right ones is seen a little there.
const STILL_AT_MODEL: f64 = 1e-9;
const NEARLY_STILL_AT_MODEL: f64 = 1e-7;
/// Changes of other entries, relative to those at first, that are none.
const MOVES: f64 = 1e-4;
/// The same at the factors of a model.
const MOVES_AT_MODEL: f64 = 1e-3;
/// An entry is not determined where what the model misses of the given entries might move it by more than `1/AMPLIFIED` of
/// the spread of the values.
const AMPLIFIED: f64 = 100.0;
/// Changes that are tried. An entry that moves stays still in one of them with a probability of about [`MOVES`].
const MOTIONS: usize = 2;
/// Entries of the matrix up to which all are looked at for the share, and the sample beyond.
const ALL: usize = 200_000;
const SAMPLE: usize = 20_000;

/// Rows and columns of a large matrix that are looked at when its groups are counted.
const MOST_ROWS: usize = 4_096;
const SEEN: usize = 1_024;

/// What is asked of a pattern.
pub(crate) enum Question<'a> {
    /// Connected components, and nothing of the rank.
    Components,
    /// The rank at random factors.
    Rank(usize),
    /// The rank at random factors and at those of a model.
    Model {
        model: &'a Model,
        /// Root mean square up to which the model was to meet its entries: components below it are none.
        error: f64,
        /// The one up to which it does, over the spread of the values.
        misses: f64,
    },
}

/// What a pattern determines; rows and columns that are known to be open are given. The checks of the rank are made where
/// their cost allows it, until `stops` says so. With biases, mean and biases are unknowns as well.
///
/// Row COM-13 of `paper-refs.md`.
pub(crate) fn determine(
    pattern: &Pattern,
    question: &Question<'_>,
    biases: bool,
    (open_rows, open_columns): (&[usize], &[usize]),
    seed: u64,
    stops: &mut dyn FnMut() -> bool,
) -> Determination {
    let (m, n) = (pattern.rows.len(), pattern.columns.len());
    let (row_components, column_components, components) = pattern.components();
    let of_model = match question {
        Question::Model { model, error, .. } => Some(bases(model, *error, biases)),
        _ => None,
    };
    let rank = match (question, &of_model) {
        (Question::Components, _) => 0,
        (Question::Rank(rank), _) => *rank,
        (Question::Model { .. }, bases) => bases.as_ref().and_then(Option::as_ref).map_or(0, |b| b.0.columns()),
    };
    let mut out = Determination {
        components,
        undetermined_share: 0.0,
        check: Check::Components,
        rank,
        open_rows: row_components.iter().map(Option::is_none).collect(),
        open_columns: column_components.iter().map(Option::is_none).collect(),
        row_components,
        column_components,
        motions: Vec::new(),
    };
    open_rows.iter().for_each(|&i| out.open_rows[i] = true);
    open_columns.iter().for_each(|&j| out.open_columns[j] = true);
    // A bias is a factor beside a constant one.
    let width = rank + if biases { 2 } else { 0 };
    if rank > 0 && pattern.len().saturating_mul(width) <= MOST_WORK {
        let streams = Streams::new(seed);
        let small = match question {
            Question::Model { misses, .. } => STILL_AT_MODEL.max(AMPLIFIED * MOVES_AT_MODEL * misses),
            _ => STILL_AT_MODEL,
        };
        let mut motions = |bases: Option<&(Matrix, Matrix)>| -> Option<Vec<Motion>> {
            (0..MOTIONS).map(|c| motion(pattern, rank, biases, bases, small, streams.child(c as u64), stops)).collect()
        };
        if let Some(found) = motions(None) {
            out.check = Check::Rank;
            out.motions = found;
        }
        if let Some(found) = of_model.flatten().and_then(|bases| motions(Some(&bases))) {
            if out.check == Check::Rank {
                out.check = Check::Model;
            }
            out.motions.extend(found);
        }
    }
    let cells = m * n;
    let open = if cells <= ALL {
        let row = |i: usize| (0..n).filter(|&j| !out.determined(i, j)).count();
        (0..m).into_par_iter().map(row).sum::<usize>() as f64 / cells.max(1) as f64
    } else {
        let mut rng = Streams::new(seed).stream(u64::MAX);
        let mut draw = |bound: usize| samplewise_linalg::random::below(&mut rng, bound);
        let sample: Vec<(usize, usize)> = (0..SAMPLE).map(|_| (draw(m), draw(n))).collect();
        sample.iter().filter(|c| !out.determined(c.0, c.1)).count() as f64 / SAMPLE as f64
    };
    out.undetermined_share = open;
    out
}

impl Determination {
    /// Whether the entries determine this one at the rank of the model, as far as [`Determination::check`] looked.
    ///
    /// # Panics
    /// When the position is outside the matrix.
    pub fn determined(&self, row: usize, column: usize) -> bool {
        !self.open_rows[row]
            && !self.open_columns[column]
            && self.row_components[row] == self.column_components[column]
            && self.motions.iter().all(|motion| motion.at(row, column).abs() <= motion.still)
    }

    /// Groups of rows and columns that are tied together: connected components that hold determined lines, and the parts of
    /// them that share fewer lines than the rank. Lines that are not determined belong to none.
    pub fn groups(&self) -> usize {
        // Columns that a row is tied to; rows that two parts share are tied to the columns of both.
        let columns: Vec<usize> = (0..self.open_columns.len()).filter(|&j| !self.open_columns[j]).collect();
        let step = (columns.len() / SEEN).max(1);
        let rows: Vec<usize> = (0..self.open_rows.len()).filter(|&i| !self.open_rows[i]).collect();
        let mut tied: Vec<Vec<bool>> = Vec::new();
        if self.motions.is_empty() {
            let mut labels: Vec<u32> = rows.iter().filter_map(|&i| self.row_components[i]).collect();
            labels.sort_unstable();
            labels.dedup();
            return labels.len();
        }
        for &i in rows.iter().step_by((rows.len() / MOST_ROWS).max(1)) {
            let own: Vec<bool> = columns.iter().step_by(step).map(|&j| self.determined(i, j)).collect();
            if !tied.contains(&own) {
                tied.push(own);
            }
        }
        let within = |a: &[bool], b: &[bool]| a.iter().zip(b).all(|(a, b)| !a | b);
        let whole = |own: &Vec<bool>| !tied.iter().any(|other| other != own && within(other, own));
        tied.iter().filter(|own| own.contains(&true) && whole(own)).count()
    }

    /// Whether there are entries between rows and columns, each of which is determined, that are not determined themselves.
    pub(crate) fn is_in_parts(&self) -> bool {
        let inside = |open: &[bool], components: &[Option<u32>]| {
            let mut seen: Vec<u32> = open.iter().zip(components).filter(|e| !e.0).filter_map(|e| *e.1).collect();
            seen.sort_unstable();
            seen.dedup();
            seen.len()
        };
        if inside(&self.open_rows, &self.row_components) > 1 || inside(&self.open_columns, &self.column_components) > 1
        {
            return true;
        }
        // Any line that moves against another one does so almost everywhere.
        let rows = (0..self.open_rows.len()).filter(|&i| !self.open_rows[i]);
        let columns: Vec<usize> = (0..self.open_columns.len()).filter(|&j| !self.open_columns[j]).collect();
        let step = (columns.len() / 64).max(1);
        rows.step_by((self.open_rows.len() / 4_096).max(1))
            .any(|i| columns.iter().skip(i % step).step_by(step).any(|&j| !self.determined(i, j)))
    }
}

/// Bases of the column space and the row space of a model, on which alone the entries that can move depend, without the
/// components and the rows that are below the root mean square error given; `None` where nothing is left. Their rows are of
/// length one without biases, for a factor per row or column changes nothing of what is determined.
fn bases(model: &Model, error: f64, biases: bool) -> Option<(Matrix, Matrix)> {
    let (u, v) = model.factors();
    if model.rank() == 0 || u.rows() == 0 || v.rows() == 0 {
        return None;
    }
    let (left, right) = (dense_svd(u).ok()?, dense_svd(v).ok()?);
    let scaled = |svd: &DenseSvd| Matrix::from_fn(svd.v.rows(), svd.s.len(), |a, b| svd.v[(a, b)] * svd.s[b]);
    let middle = dense_svd(&scaled(&left).transpose().multiply(&scaled(&right)).ok()?).ok()?;
    let cells = (u.rows() as f64).sqrt() * (v.rows() as f64).sqrt();
    let kept = middle.s.iter().take_while(|&&s| s > error * cells).count();
    if kept == 0 {
        return None;
    }
    let basis = |outer: &Matrix, inner: &Matrix, others: usize| {
        let mut out = outer.multiply(&Matrix::from_fn(inner.rows(), kept, |a, c| inner[(a, c)])).ok()?;
        let height = (out.rows() as f64).sqrt();
        for i in 0..out.rows() {
            let row = out.row_mut(i);
            let size = sums::norm(row);
            let share = row.iter().zip(&middle.s).map(|(x, s)| (x * s).powi(2)).sum::<f64>().sqrt();
            let factor = if share <= error * (others as f64).sqrt() {
                0.0
            } else if biases {
                height
            } else {
                (kept as f64).sqrt() / size
            };
            row.iter_mut().for_each(|x| *x *= factor);
        }
        Some(out)
    };
    Some((basis(&left.u, &middle.u, v.rows())?, basis(&right.u, &middle.v, u.rows())?))
}

/// A random change, freed of what the given entries see, at the bases given or at random factors; `None` when that takes too
/// long. Entries move by about one at first.
fn motion(
    pattern: &Pattern,
    rank: usize,
    biases: bool,
    bases: Option<&(Matrix, Matrix)>,
    small_at_model: f64,
    streams: Streams,
    stops: &mut dyn FnMut() -> bool,
) -> Option<Motion> {
    let (m, n) = (pattern.rows.len(), pattern.columns.len());
    let width = rank + if biases { 2 } else { 0 };
    // The last two columns are (bias, 1) and (1, bias); their constants do not change.
    let constant = |c: usize, side: usize| c == rank + 1 - side && biases;
    let mut rng = streams.stream(0);
    let mut factor = |rows: usize, side: usize| {
        Matrix::from_fn(rows, width, |_, c| if constant(c, side) { 1.0 } else { normal(&mut rng) })
    };
    let (mut u, mut v) = (factor(m, 0), factor(n, 1));
    if let Some((of_rows, of_columns)) = bases {
        (0..m).for_each(|i| u.row_mut(i)[..rank].copy_from_slice(of_rows.row(i)));
        (0..n).for_each(|j| v.row_mut(j)[..rank].copy_from_slice(of_columns.row(j)));
    }
    let (small, still) = if bases.is_some() { (small_at_model, MOVES_AT_MODEL) } else { (STILL, MOVES) };
    let scale = 1.0 / (2.0 * width as f64).sqrt();
    let mut rng = streams.stream(1);
    let mut change = |rows: usize, side: usize| {
        Matrix::from_fn(rows, width, |_, c| if constant(c, side) { 0.0 } else { scale * normal(&mut rng) })
    };
    let mut t = [change(m, 0), change(n, 1)];
    let see = |t: &[Matrix; 2]| -> Vec<f64> {
        let mut out = vec![0.0; pattern.len()];
        let mut parts: Vec<&mut [f64]> = Vec::with_capacity(m);
        let mut rest = &mut out[..];
        for i in 0..m {
            let (part, tail) = rest.split_at_mut(pattern.rows.range(i).len());
            parts.push(part);
            rest = tail;
        }
        parts.into_par_iter().with_min_len(64).enumerate().for_each(|(i, part)| {
            for (out, &j) in part.iter_mut().zip(&pattern.rows.others[pattern.rows.range(i)]) {
                let j = j as usize;
                *out = sums::dot(t[0].row(i), v.row(j)) + sums::dot(u.row(i), t[1].row(j));
            }
        });
        out
    };
    let gather = |lines: &Lines, r: &[f64], other: &Matrix, side: usize| {
        let mut out = Matrix::zeros(lines.len(), width);
        out.as_mut_slice().par_chunks_mut(width).with_min_len(64).enumerate().for_each(|(i, row)| {
            for p in lines.range(i) {
                sums::axpy(r[p], other.row(lines.others[p] as usize), row);
            }
            if biases {
                row[rank + 1 - side] = 0.0;
            }
        });
        out
    };
    let pull = |r: &[f64]| -> [Matrix; 2] {
        let mut by_column = vec![0.0; r.len()];
        r.iter().zip(&pattern.transposed).for_each(|(r, &p)| by_column[p as usize] = *r);
        [gather(&pattern.rows, r, &v, 0), gather(&pattern.columns, &by_column, &u, 1)]
    };
    let square = |a: &[Matrix; 2]| a.iter().map(|a| sums::dot(a.as_slice(), a.as_slice())).sum::<f64>();
    let add = |a: f64, x: &[Matrix; 2], y: &mut [Matrix; 2]| {
        x.iter().zip(y).for_each(|(x, y)| sums::axpy(a, x.as_slice(), y.as_mut_slice()));
    };
    // Conjugate gradients on the normal equations of min ‖J z − J t‖; t − z is kept in the place of t.
    let mut r = see(&t);
    let first = sums::norm(&r);
    let mut s = pull(&r);
    let mut p = s.clone();
    let mut gamma = square(&s);
    for _ in 0..MOST_STEPS.min(MOST_WORK_OF_STEPS / (pattern.len() * width).max(1)) {
        if sums::norm(&r) <= small * first || gamma == 0.0 {
            break;
        }
        if stops() {
            return None;
        }
        let q = see(&p);
        let alpha = gamma / sums::dot(&q, &q);
        if !alpha.is_finite() {
            return None;
        }
        add(-alpha, &p, &mut t);
        sums::axpy(-alpha, &q, &mut r);
        s = pull(&r);
        let next = square(&s);
        let beta = next / gamma;
        gamma = next;
        for (p, s) in p.iter_mut().zip(&s) {
            p.as_mut_slice().iter_mut().zip(s.as_slice()).for_each(|(p, s)| *p = s + beta * *p);
        }
    }
    let enough = if bases.is_some() { NEARLY_STILL_AT_MODEL.max(small) } else { small };
    let [du, dv] = t;
    (sums::norm(&r) <= enough * first || gamma == 0.0).then_some(Motion { u, v, du, dv, still })
}

#[cfg(test)]
mod tests {
    use super::*;
    use samplewise_testkit::hostile::{self, Blocks};
    use samplewise_testkit::referee::completion::determined;

    /// COM-13: every entry of small hostile patterns is judged as by the rank of the Jacobian over a finite field.
    #[test]
    fn entries_are_judged_as_by_exact_ranks() {
        let mut mixed = 0;
        for seed in 0..60_u64 {
            let rank = 1 + seed as usize % 3;
            let kind = match seed / 3 % 5 {
                0 => Blocks::Disjoint,
                1 => Blocks::Bridges(1),
                2 => Blocks::Bridges(rank * rank),
                3 => Blocks::SharedColumns(rank - 1),
                _ => Blocks::SharedColumns(rank),
            };
            let pattern = hostile::disjoint_blocks(9, rank, 0.8, kind, seed);
            let (m, n) = (pattern.truth.rows(), pattern.truth.columns());
            let mut cells: Vec<(usize, usize)> = pattern.observed.iter().map(|e| (e.0, e.1)).collect();
            cells.sort_unstable();
            let lines = Pattern::new(m, n, cells.iter().copied());
            let found = determine(&lines, &Question::Rank(rank), false, (&[], &[]), seed, &mut || false);
            let exact = determined(m, n, rank, &cells, seed);
            assert_eq!(found.check, Check::Rank, "seed {seed} {kind:?}");
            let mut open = 0;
            for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
                assert_eq!(found.determined(i, j), exact.at(i, j), "seed {seed} rank {rank} {kind:?} at {i} {j}");
                open += usize::from(!exact.at(i, j));
            }
            assert!((found.undetermined_share - open as f64 / (m * n) as f64).abs() < 1e-12);
            mixed += usize::from(open > 0);
        }
        assert!((20..60).contains(&mixed), "{mixed} of 60 patterns have open entries");
    }
}
