//! Rows and columns outside the core.
use samplewise_linalg::Real;

use crate::data::core_peeling::{Line, Peeled};
use crate::data::entries::Renumbering;
use crate::{Entries, Model};

/// Rows and columns left out of the fit, against the finished factors of the others: those that follow from the core in
/// their order, then the undetermined ones, as little as fits their entries.
pub(crate) fn fill<T: Real>(
    entries: &Entries<T>,
    model: &mut Model,
    peeled: &Peeled,
    rows: &Renumbering,
    columns: &Renumbering,
    lambda: f64,
    keep: &dyn Fn(usize) -> bool,
) {
    let lost_row = |i: usize| rows.new[i] == u32::MAX;
    let lost_column = |j: usize| columns.new[j] == u32::MAX;
    let undetermined = peeled.rows.iter().map(|&i| Line::Row(i)).chain(peeled.columns.iter().map(|&j| Line::Column(j)));
    let lines: Vec<(Line, bool)> =
        peeled.following.iter().map(|l| (*l, true)).chain(undetermined.map(|l| (l, false))).collect();
    let lines = lines.into_iter().filter(|(l, _)| match *l {
        Line::Row(i) => lost_row(i),
        Line::Column(j) => lost_column(j),
    });
    let size = |m: &samplewise_linalg::Matrix| m.norm().powi(2) / m.rows().max(1) as f64;
    let small = 1e-6 * size(&model.column_factors).min(size(&model.row_factors));
    let mut positions: Option<Vec<u32>> = None;
    for (line, determined) in lines {
        let (side, at) = match line {
            Line::Row(i) => (&entries.by_row, i),
            Line::Column(j) => (&entries.by_column, j),
        };
        if matches!(line, Line::Column(_)) && positions.is_none() {
            positions = Some(entries.by_row.values.transpose_positions());
        }
        let counted = |p: usize| match (line, &positions) {
            (Line::Column(_), Some(positions)) => keep(positions[p] as usize),
            _ => keep(p),
        };
        let (indices, values, weights) = side.row(at);
        let seen = side.values.row_range(at).enumerate().filter(|(_, p)| counted(*p));
        let row: Vec<(usize, f64, f64)> = seen
            .map(|(at, _)| (indices[at] as usize, values[at].to_f64(), weights.map_or(1.0, |w| w[at].to_f64())))
            .collect();
        let ridge = if determined { lambda } else { lambda.max(small).max(f64::MIN_POSITIVE) };
        let features = if matches!(line, Line::Row(_)) { &model.column_factors } else { &model.row_factors };
        let (factors, _) = crate::model::ridge_row(&row, features, &|_| 0.0, ridge, None);
        match line {
            Line::Row(i) => model.row_factors.row_mut(i).copy_from_slice(&factors),
            Line::Column(j) => model.column_factors.row_mut(j).copy_from_slice(&factors),
        }
    }
}
