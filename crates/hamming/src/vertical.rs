//! Engine for short patterns: one pass per pattern symbol over bytes that say "matches", summed in byte counters.
//!
//! Floor: `m` byte additions per alignment, 16 to 64 per instruction.
use crate::relation::{Relation, Symbol};

/// Alignments per block: its counters and the match bytes of a DNA text stay in the first-level cache.
pub(crate) const BLOCK: usize = 4096;

/// Distances of one block of alignments; `codes` holds the text from its first alignment to its last symbol
/// (row HAM-2).
pub fn distances<S: Symbol>(relation: &Relation<S>, codes: &[u16], out: &mut [u32]) {
    let counted = relation.counted() as u32;
    let mut matching = vec![0_u8; relation.classes() * codes.len()];
    for (row, class) in matching.chunks_exact_mut(codes.len()).zip(&relation.matches) {
        row.iter_mut().zip(codes).for_each(|(m, &c)| *m = u8::from(class[c as usize]));
    }
    let mut total = vec![0_u32; out.len()];
    let mut bytes = vec![0_u8; out.len()];
    pulp::Arch::new().dispatch(
        #[inline(always)]
        || {
            let mut pending = 0;
            for (j, class) in relation.pattern.iter().enumerate() {
                let Some(class) = *class else { continue };
                let from = class as usize * codes.len() + j;
                add(&mut bytes, &matching[from..from + out.len()]);
                pending += 1;
                if pending == 255 {
                    flush(&mut total, &mut bytes);
                    pending = 0;
                }
            }
            flush(&mut total, &mut bytes);
        },
    );
    out.iter_mut().zip(&total).for_each(|(d, m)| *d = counted - m);
}

#[inline(always)]
fn add(counters: &mut [u8], matches: &[u8]) {
    for (c, m) in counters.iter_mut().zip(matches) {
        *c = c.wrapping_add(*m);
    }
}

#[inline(always)]
fn flush(total: &mut [u32], bytes: &mut [u8]) {
    for (t, b) in total.iter_mut().zip(bytes) {
        *t += u32::from(*b);
        *b = 0;
    }
}
