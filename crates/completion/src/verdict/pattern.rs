//! Where the entries are, and which rows and columns they tie together.

/// The pattern of the entries that were fitted, by row and by column.
pub(crate) struct Pattern {
    pub(crate) rows: Lines,
    pub(crate) columns: Lines,
    /// Position by column of each entry by row.
    pub(crate) transposed: Vec<u32>,
}

/// Columns of the entries of each row, or the other way round.
pub(crate) struct Lines {
    offsets: Vec<usize>,
    pub(crate) others: Vec<u32>,
}

impl Lines {
    pub(crate) fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    pub(crate) fn range(&self, i: usize) -> std::ops::Range<usize> {
        self.offsets[i]..self.offsets[i + 1]
    }
}

impl Pattern {
    /// Of positions in row order.
    pub(crate) fn new(rows: usize, columns: usize, positions: impl Iterator<Item = (usize, usize)>) -> Self {
        let (mut offsets, mut others) = (vec![0; rows + 1], Vec::new());
        let mut counts = vec![0; columns + 1];
        for (i, j) in positions {
            offsets[i + 1] += 1;
            counts[j + 1] += 1;
            others.push(j as u32);
        }
        (0..rows).for_each(|i| offsets[i + 1] += offsets[i]);
        (0..columns).for_each(|j| counts[j + 1] += counts[j]);
        let (mut next, mut of_column) = (counts.clone(), vec![0; others.len()]);
        let mut transposed = vec![0; others.len()];
        for i in 0..rows {
            for p in offsets[i]..offsets[i + 1] {
                let place = &mut next[others[p] as usize];
                of_column[*place] = i as u32;
                transposed[p] = *place as u32;
                *place += 1;
            }
        }
        Self { rows: Lines { offsets, others }, columns: Lines { offsets: counts, others: of_column }, transposed }
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.others.len()
    }

    /// Components of the lines with entries.
    pub(crate) fn components(&self) -> (Vec<Option<u32>>, Vec<Option<u32>>, usize) {
        let (m, n) = (self.rows.len(), self.columns.len());
        let mut label: Vec<Option<u32>> = vec![None; m + n];
        let mut count = 0;
        for start in 0..m {
            if label[start].is_some() || self.rows.range(start).is_empty() {
                continue;
            }
            label[start] = Some(count);
            let mut stack = vec![start];
            while let Some(v) = stack.pop() {
                let (lines, i, shift) = if v < m { (&self.rows, v, m) } else { (&self.columns, v - m, 0) };
                for &w in &lines.others[lines.range(i)] {
                    let w = w as usize + shift;
                    if label[w].is_none() {
                        label[w] = Some(count);
                        stack.push(w);
                    }
                }
            }
            count += 1;
        }
        let columns = label.split_off(m);
        (label, columns, count as usize)
    }
}
