//! Engine for short patterns: one pass per pattern symbol over bytes that say "matches", summed in byte counters.
//!
//! Floor: one byte load per pattern symbol and alignment, 16 to 64 per instruction; eight symbols share one load and
//! store of the counter.
use std::ops::Range;

use crate::engine::CountingEngine;
use crate::engine::choose::Work;
use crate::engine::costs::{Cost, costs};
use crate::engine::fft::Certificate;
use crate::letters::classes::{Classes, Code};

/// Alignments per block: its counters and the match bytes of a DNA text stay in the first-level cache.
pub(crate) const BLOCK: usize = 8192;

/// Letters whose match bytes are held at once.
const LETTERS: usize = 64;

/// The positions of a pattern, by groups of letters.
///
/// Row HAM-2 of `paper-refs.md`.
#[derive(Clone, Debug)]
pub struct Prepared {
    classes: Classes,
    /// Letters, and `(letter within them, position)` of each of their positions.
    rounds: Vec<(Range<usize>, Vec<(u32, u32)>)>,
}

impl Prepared {
    /// Groups the positions: `O(m)`.
    pub fn new(classes: Classes) -> Self {
        let mut rounds: Vec<(Range<usize>, Vec<(u32, u32)>)> = (0..classes.len())
            .step_by(LETTERS)
            .map(|first| (first..(first + LETTERS).min(classes.len()), Vec::new()))
            .collect();
        for (j, letter) in classes.pattern.iter().enumerate() {
            if let Some(l) = letter.map(|l| l as usize) {
                rounds[l / LETTERS].1.push(((l % LETTERS) as u32, j as u32));
            }
        }
        Self { classes, rounds }
    }

    /// Subtracts the matches of one block of alignments from `out`; `codes` holds the text from its first alignment to
    /// its last symbol (row HAM-2).
    pub fn subtract_matches<C: Code>(&self, codes: &[C], out: &mut [u32], scratch: &mut Scratch) {
        let Scratch { counters, matching, starts } = scratch;
        counters.clear();
        counters.resize(out.len(), 0);
        matching.resize(matching.len().max(self.classes.len().min(LETTERS) * codes.len()), 0);
        for (letters, places) in &self.rounds {
            starts.clear();
            starts.extend(places.iter().map(|&(l, j)| l as usize * codes.len() + j as usize));
            pulp::Arch::new().dispatch(Count {
                classes: &self.classes,
                letters: letters.clone(),
                starts,
                codes,
                matching,
                counters,
                out,
            });
        }
    }
}

impl CountingEngine for Prepared {
    type Scratch = Scratch;

    fn prepare(letters: Classes) -> Self {
        Self::new(letters)
    }

    fn block(&self) -> usize {
        BLOCK
    }

    fn subtract<C: Code>(&self, codes: &[C], out: &mut [u32], scratch: &mut Scratch) -> Option<Certificate> {
        self.subtract_matches(codes, out, scratch);
        None
    }

    fn cost(work: &Work) -> Cost {
        let costs = costs();
        let letter = costs.vertical_letter * work.overlap(BLOCK, work.pattern_len);
        Cost::new(move |a, _| a * costs.vertical + letter, costs.vertical_fixed)
    }
}

/// Memory that blocks share.
#[derive(Debug, Default)]
pub struct Scratch {
    counters: Vec<u8>,
    matching: Vec<u8>,
    starts: Vec<usize>,
}

/// One group of letters; a type instead of a closure, so that it is compiled with the dispatched instruction set.
struct Count<'a, C> {
    classes: &'a Classes,
    letters: Range<usize>,
    starts: &'a [usize],
    codes: &'a [C],
    matching: &'a mut [u8],
    counters: &'a mut [u8],
    out: &'a mut [u32],
}

impl<C: Code> pulp::WithSimd for Count<'_, C> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let width = self.counters.len();
        for (letter, row) in self.letters.zip(self.matching.chunks_exact_mut(self.codes.len())) {
            self.classes.mark(letter, self.codes, row);
        }
        for part in self.starts.chunks(248) {
            let (eights, rest) = part.as_chunks::<8>();
            for e in eights {
                add_eight(self.counters, self.matching, e);
            }
            for &start in rest {
                self.counters
                    .iter_mut()
                    .zip(&self.matching[start..start + width])
                    .for_each(|(c, &m)| *c = c.wrapping_add(m));
            }
            for (total, c) in self.out.iter_mut().zip(&mut *self.counters) {
                *total = total.wrapping_sub(u32::from(*c));
                *c = 0;
            }
        }
    }
}

#[inline(always)]
fn add_eight(counters: &mut [u8], matching: &[u8], starts: &[usize; 8]) {
    let width = counters.len();
    let [a, b, c, d, e, f, g, h] = starts.map(|s| &matching[s..s + width]);
    for i in 0..width {
        // Nothing overflows before 256 positions; a check of it in builds with assertions would cost the vector form.
        let low = a[i].wrapping_add(b[i]).wrapping_add(c[i].wrapping_add(d[i]));
        let high = e[i].wrapping_add(f[i]).wrapping_add(g[i].wrapping_add(h[i]));
        counters[i] = counters[i].wrapping_add(low.wrapping_add(high));
    }
}
