//! Engine for rare letters: enumerates the pairs (text position, pattern position) of equal letters.
//!
//! Cost per alignment: one look at the text, and one subtraction per pair, `Σ_c a_c f_c` for `a_c` occurrences in the
//! pattern and frequency `f_c` in the text. Independent of how many letters there are.
use crate::engine::CountingEngine;
use crate::engine::choose::Work;
use crate::engine::costs::{Cost, costs};
use crate::engine::fft::Certificate;
use crate::letters::classes::{Classes, Code, Rule};

/// Alignments per block: their counters stay in the second-level cache.
const BLOCK: usize = 1 << 16;

/// For each text code the pattern positions that it matches.
///
/// Row HAM-7 of `paper-refs.md`.
#[derive(Debug)]
pub struct Lists {
    /// `positions[starts[code]..starts[code + 1]]`, ascending.
    starts: Vec<u32>,
    positions: Vec<u32>,
    pattern_len: usize,
}

impl Lists {
    /// Lists for one pattern. Memory: 4 bytes per pattern position and text code.
    pub fn new(classes: &Classes) -> Self {
        let mut lists: Vec<Vec<u32>> = vec![Vec::new(); classes.code_count];
        for (j, letter) in classes.pattern.iter().enumerate() {
            let Some(letter) = *letter else { continue };
            match classes.rule {
                Rule::Equal { wildcard } => {
                    lists[classes.codes[letter as usize] as usize].push(j as u32);
                    if let Some(w) = wildcard {
                        lists[w as usize].push(j as u32);
                    }
                }
                Rule::Share => {
                    (0..classes.code_count)
                        .filter(|&c| classes.matches(letter, c))
                        .for_each(|c| lists[c].push(j as u32));
                }
            }
        }
        let mut starts = Vec::with_capacity(lists.len() + 1);
        let mut positions = Vec::with_capacity(lists.iter().map(Vec::len).sum());
        starts.push(0);
        for list in lists {
            positions.extend(list);
            starts.push(positions.len() as u32);
        }
        Self { starts, positions, pattern_len: classes.pattern.len() }
    }

    /// Subtracts the matches of one block from `out` (row HAM-7); `codes` as in
    /// [`crate::engine::byte_counters::Prepared::subtract_matches`]. Returns the number of pairs.
    pub fn subtract_matches<C: Code>(&self, codes: &[C], out: &mut [u32]) -> u64 {
        let mut pairs = 0;
        for (i, code) in codes.iter().enumerate() {
            let list = &self.positions[self.starts[code.index()] as usize..self.starts[code.index() + 1] as usize];
            if list.is_empty() {
                continue;
            }
            // Alignments i − j in 0..out.len().
            let from = if i < out.len() { 0 } else { list.partition_point(|&j| j as usize + out.len() <= i) };
            for &j in &list[from..] {
                let Some(at) = i.checked_sub(j as usize) else { break };
                out[at] -= 1;
                pairs += 1;
            }
        }
        pairs
    }
}

impl CountingEngine for Lists {
    const SHARES_LETTERS: bool = true;
    type Scratch = ();

    fn prepare(letters: Classes) -> Self {
        Self::new(&letters)
    }

    fn block(&self) -> usize {
        BLOCK.max(self.pattern_len)
    }

    fn subtract<C: Code>(&self, codes: &[C], out: &mut [u32], (): &mut ()) -> Option<Certificate> {
        self.subtract_matches(codes, out);
        None
    }

    fn cost(work: &Work) -> Cost {
        let costs = costs();
        let pair = |a: f64| costs.pairs_long + (costs.pairs - costs.pairs_long) / (1.0 + a / 32.0);
        Cost::new(move |a, f| a * f * pair(a), costs.pairs_fixed * work.overlap(BLOCK, work.pattern_len))
    }
}
