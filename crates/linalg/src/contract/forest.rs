//! Combining the results of numbered blocks in an order that depends on their numbers alone.
//!
//! Floating-point sums depend on their order. Blocks `2k` and `2k + 1` are combined first, then pairs of pairs, and so on:
//! whoever holds both halves of a node combines them, and the result has the same bits for every split of the blocks among
//! threads, shards and calls.
use std::collections::BTreeMap;

use crate::LinalgError;

/// Complete subtrees over numbered blocks (row LA-13). Of a run of `m` blocks it holds at most `2·log₂ m` values.
///
/// Row LA-9 of `paper-refs.md`.
#[derive(Clone, Debug, PartialEq)]
pub struct Forest<T> {
    /// First block, and level, of each subtree.
    nodes: BTreeMap<u64, (u32, T)>,
}

impl<T> Default for Forest<T> {
    fn default() -> Self {
        Self { nodes: BTreeMap::new() }
    }
}

impl<T> Forest<T> {
    /// Adds the value of the subtree of `2^level` blocks from `first` on; `combine` takes left, right, and the level of the
    /// result with its first block.
    ///
    /// # Errors
    /// [`LinalgError::Bytes`] when a block is there already or `first` begins no such subtree; [`LinalgError`] of `combine`.
    pub fn insert<E: From<LinalgError>>(
        &mut self,
        first: u64,
        level: u32,
        value: T,
        mut combine: impl FnMut(T, T, u64, u32) -> Result<T, E>,
    ) -> Result<(), E> {
        let bad = |reason| LinalgError::Bytes { kind: "sum of blocks", reason };
        if level > 62 || !first.is_multiple_of(1 << level) {
            return Err(bad("it begins no subtree").into());
        }
        let end = first.saturating_add(1 << level);
        let before = self.nodes.range(..end).next_back().map(|(&s, &(l, _))| s + (1 << l));
        if before.is_some_and(|e| e > first) {
            return Err(bad("its rows were added twice").into());
        }
        let (mut first, mut level, mut value) = (first, level, value);
        loop {
            let sibling = first ^ (1 << level);
            if self.nodes.get(&sibling).is_none_or(|n| n.0 != level) {
                break;
            }
            let (_, other) = self.nodes.remove(&sibling).expect("just seen");
            let start = first.min(sibling);
            value = if sibling < first {
                combine(other, value, start, level + 1)?
            } else {
                combine(value, other, start, level + 1)?
            };
            (first, level) = (start, level + 1);
        }
        self.nodes.insert(first, (level, value));
        Ok(())
    }

    /// Whether a block was added.
    pub fn contains(&self, block: u64) -> bool {
        self.nodes.range(..=block).next_back().is_some_and(|(s, n)| block - s < 1 << n.0)
    }

    /// Subtrees `(first block, level, value)` by ascending number.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u32, &T)> {
        self.nodes.iter().map(|(&s, (l, v))| (s, *l, v))
    }

    /// [`Forest::iter`] by value.
    pub fn into_nodes(self) -> impl Iterator<Item = (u64, u32, T)> {
        self.nodes.into_iter().map(|(s, (l, v))| (s, l, v))
    }

    /// The subtrees combined from the last to the first; `None` without any.
    ///
    /// # Errors
    /// Those of `combine`.
    pub fn fold<E>(self, mut combine: impl FnMut(T, T) -> Result<T, E>) -> Result<Option<T>, E> {
        let mut total = None;
        for (_, (_, node)) in self.nodes.into_iter().rev() {
            total = Some(match total {
                None => node,
                Some(right) => combine(node, right)?,
            });
        }
        Ok(total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// LA-13: any order of insertion and any split gives the same expression.
    #[test]
    fn the_order_of_combination_depends_on_the_numbers_alone() {
        let pair = |l: String, r: String, _: u64, _: u32| Ok::<_, LinalgError>(format!("({l}{r})"));
        let join = |l: String, r: String| Ok::<_, LinalgError>(format!("[{l}{r}]"));
        let expect = "[(((ab)(cd))((ef)(gh)))[(ij)k]]";
        let letters: Vec<(u64, String)> = (0..11).map(|i| (i, char::from(b'a' + i as u8).to_string())).collect();
        for turn in 0..11 {
            let (mut one, mut two) = (Forest::default(), Forest::default());
            for (i, (n, s)) in letters.iter().cycle().skip(turn).take(11).enumerate() {
                let target = if i * turn % 3 == 1 { &mut two } else { &mut one };
                target.insert(*n, 0, s.clone(), pair).unwrap();
            }
            for (first, level, value) in two.into_nodes() {
                one.insert(first, level, value, pair).unwrap();
            }
            assert!((0..11).all(|b| one.contains(b)) && !one.contains(11));
            assert!(one.insert(3, 0, "x".into(), pair).is_err());
            assert!(one.insert(3, 1, "x".into(), pair).is_err());
            assert_eq!(one.fold(join).unwrap().unwrap(), expect);
        }
    }
}
