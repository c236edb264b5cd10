//! Engine for short patterns: one pass per pattern symbol over bytes that say "matches", summed in byte counters.
//!
//! Floor: one byte load per pattern symbol and alignment, 16 to 64 per instruction; eight symbols share one load and
//! store of the counter.
use crate::classes::{Classes, Code};

/// Alignments per block: its counters and the match bytes of a DNA text stay in the first-level cache.
pub(crate) const BLOCK: usize = 4096;

/// Letters whose match bytes are held at once.
const LETTERS: usize = 64;

/// Adds the matches of one block of alignments; `codes` holds the text from its first alignment to its last symbol
/// (row HAM-2).
pub fn add_matches<C: Code>(classes: &Classes, codes: &[C], out: &mut [u32]) {
    let width = out.len();
    let mut counters = vec![0_u8; width];
    let mut matching = vec![0_u8; classes.len().min(LETTERS) * codes.len()];
    for first in (0..classes.len()).step_by(LETTERS) {
        let letters = first..(first + LETTERS).min(classes.len());
        let starts: Vec<usize> = classes
            .pattern
            .iter()
            .enumerate()
            .filter_map(|(j, letter)| {
                let l = letter.map(usize::from).filter(|l| letters.contains(l))? - first;
                Some(l * codes.len() + j)
            })
            .collect();
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                for (letter, row) in letters.zip(matching.chunks_exact_mut(codes.len())) {
                    classes.mark(letter, codes, row);
                }
                for part in starts.chunks(248) {
                    let (eights, rest) = part.as_chunks::<8>();
                    for e in eights {
                        add_eight(&mut counters, &matching, e);
                    }
                    for &start in rest {
                        counters.iter_mut().zip(&matching[start..start + width]).for_each(|(c, m)| *c += m);
                    }
                    for (total, c) in out.iter_mut().zip(&mut counters) {
                        *total += u32::from(*c);
                        *c = 0;
                    }
                }
            },
        );
    }
}

#[inline(always)]
fn add_eight(counters: &mut [u8], matching: &[u8], starts: &[usize; 8]) {
    let width = counters.len();
    let [a, b, c, d, e, f, g, h] = starts.map(|s| &matching[s..s + width]);
    for i in 0..width {
        let low = (a[i] + b[i]) + (c[i] + d[i]);
        let high = (e[i] + f[i]) + (g[i] + h[i]);
        counters[i] = counters[i].wrapping_add(low + high);
    }
}
