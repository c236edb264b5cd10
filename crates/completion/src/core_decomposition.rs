//! Rows and columns with fewer than `k` entries cannot be determined at rank `k`, and taking them away may leave others
//! so: what remains is the `k`-core of the bipartite graph of entries.
use crate::Entries;

/// Who is outside the `k`-core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peeled {
    /// Rows outside, ascending.
    pub rows: Vec<usize>,
    /// Columns outside, ascending.
    pub columns: Vec<usize>,
}

/// Peels to the `k`-core (row COM-1). Cost `O(|Ω|)`.
pub fn peel(entries: &Entries, k: usize) -> Peeled {
    let (m, n) = (entries.rows(), entries.columns());
    let mut degree: Vec<usize> = (0..m)
        .map(|i| entries.by_row.values.row(i).0.len())
        .chain((0..n).map(|j| entries.by_column.values.row(j).0.len()))
        .collect();
    let mut gone = vec![false; m + n];
    let mut stack: Vec<usize> = (0..m + n).filter(|&v| degree[v] < k).collect();
    stack.iter().for_each(|&v| gone[v] = true);
    while let Some(v) = stack.pop() {
        let neighbours = if v < m { entries.by_row.values.row(v).0 } else { entries.by_column.values.row(v - m).0 };
        for &w in neighbours {
            let w = if v < m { m + w as usize } else { w as usize };
            degree[w] -= 1;
            if degree[w] < k && !gone[w] {
                gone[w] = true;
                stack.push(w);
            }
        }
    }
    Peeled { rows: (0..m).filter(|&i| gone[i]).collect(), columns: (0..n).filter(|&j| gone[m + j]).collect() }
}
