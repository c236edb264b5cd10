//! The letters of a pattern as sumsets.
use samplewise_linalg::random::Streams;

use super::{Operations, Settings, count, pairs_are_cheaper};
use crate::engine::CountingEngine;
use crate::engine::choose::Work;
use crate::engine::costs::Cost;
use crate::engine::fft::Certificate;
use crate::letters::classes::{Classes, Code, Rule};

/// Letters of a pattern: each is a sumset of its text positions and its pattern positions from the end on.
#[derive(Clone, Debug)]
pub struct Prepared {
    classes: Classes,
    /// `m − 1 − j` of every position `j` of each letter.
    reversed: Vec<Vec<u32>>,
    /// The letters that each text code matches.
    letters: Vec<Vec<u32>>,
}

impl Prepared {
    /// Lists the positions: `O(m)`.
    pub fn new(classes: Classes) -> Self {
        let m = classes.pattern.len();
        let mut reversed = vec![Vec::new(); classes.len()];
        for (j, letter) in classes.pattern.iter().enumerate() {
            letter.iter().for_each(|&c| reversed[c as usize].push((m - 1 - j) as u32));
        }
        let mut letters = vec![Vec::new(); classes.code_count];
        match classes.rule {
            Rule::Equal { wildcard } => {
                classes.codes.iter().zip(0..).for_each(|(&code, letter)| letters[code as usize].push(letter));
                wildcard.iter().for_each(|&w| letters[w as usize] = (0..classes.len() as u32).collect());
            }
            Rule::Share => {
                for (code, list) in letters.iter_mut().enumerate() {
                    list.extend((0..classes.len() as u32).filter(|&letter| classes.matches(letter, code)));
                }
            }
        }
        Self { classes, reversed, letters }
    }

    /// Subtracts the matches of one block of alignments from `out` (row HAM-14); `codes` as in
    /// the same call of `engine/byte_counters.rs`. Returns the operations.
    pub fn subtract_matches<C: Code>(&self, codes: &[C], out: &mut [u32]) -> Operations {
        let (m, universe) = (self.classes.pattern.len(), codes.len());
        let mut operations = Operations::new(universe);
        let streams = Streams::new(0);
        let mut all: Vec<Vec<u32>> = vec![Vec::new(); self.reversed.len()];
        for (i, c) in codes.iter().enumerate() {
            for &letter in &self.letters[c.index()] {
                all[letter as usize].push(i as u32);
                operations.words += 1;
            }
        }
        for (letter, (reversed, places)) in self.reversed.iter().zip(&all).enumerate() {
            if pairs_are_cheaper(places.len(), reversed.len(), universe) {
                // As `First::Auto`, without the detour.
                for &i in places {
                    for &j in reversed.iter().rev() {
                        if let Some(o) = ((i + j) as usize + 1).checked_sub(m).and_then(|at| out.get_mut(at)) {
                            *o = o.wrapping_sub(1);
                        }
                    }
                }
                operations.words += places.len() as u64 * reversed.len() as u64;
                continue;
            }
            let sums = count(places, reversed, universe, &Settings::default(), streams.child(letter as u64));
            out.iter_mut().zip(&sums.counts[m - 1..]).for_each(|(o, c)| *o = o.wrapping_sub(*c));
            operations.words += sums.operations.words + out.len() as u64;
        }
        operations.words += codes.len() as u64;
        operations
    }
}

impl CountingEngine for Prepared {
    type Scratch = ();

    fn prepare(letters: Classes) -> Self {
        Self::new(letters)
    }

    /// As many alignments as the pattern has symbols.
    fn block(&self) -> usize {
        self.classes.pattern.len().max(1 << 12)
    }

    fn subtract<C: Code>(&self, codes: &[C], out: &mut [u32], (): &mut ()) -> Option<Certificate> {
        self.subtract_matches(codes, out);
        None
    }

    /// Nothing that was measured; more than any other.
    fn cost(_: &Work) -> Cost {
        Cost::new(|a, _| 10.0 * a, 100.0)
    }
}
