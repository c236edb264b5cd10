//! Engine for long patterns: a bit per text position and letter, 512 alignments per step, counted in bit planes by
//! carry-save adders.
//!
//! The comparison is made once per (letter, text position) and used by every pattern position of that letter; afterwards
//! one load and about five logic operations advance 512 alignments by one symbol, for every alphabet. Eight copies of
//! each bit vector, shifted by 0 to 7 bits, make every load byte-aligned.
use crate::classes::{Classes, Code};

const WORDS: usize = 8;
/// Alignments counted together.
const LANES: usize = 64 * WORDS;
/// Alignments per block and pattern positions per piece: tables of a DNA text stay in the second-level cache.
pub(crate) const BLOCK: usize = 1 << 14;
const PIECE: usize = 1 << 14;
/// Bit planes: a piece has at most 2^14 positions.
const PLANES: usize = 15;
/// Letters whose tables are held at once: 64 letters take 2 MiB.
const LETTERS: usize = 64;

type Bits = [u64; WORDS];

/// Adds the matches of one block of alignments (row HAM-3); `codes` as in [`crate::vertical::add_matches`].
pub fn add_matches<C: Code>(classes: &Classes, codes: &[C], out: &mut [u32]) {
    let padded = out.len().next_multiple_of(LANES);
    let mut matches = vec![0_u32; padded];
    let mut tables = Tables::default();
    for (piece, part) in classes.pattern.chunks(PIECE).enumerate() {
        let first = piece * PIECE;
        let end = (first + padded + part.len()).min(codes.len());
        for letters in (0..classes.len()).step_by(LETTERS) {
            let letters = letters..(letters + LETTERS).min(classes.len());
            // Where the bits of each counted pattern position start, for alignment 0; sorted, so that loads advance.
            let stride = Tables::stride(padded + part.len());
            let mut starts: Vec<usize> = part
                .iter()
                .enumerate()
                .filter_map(|(j, letter)| {
                    let l = letter.map(usize::from).filter(|l| letters.contains(l))? - letters.start;
                    Some((l * 8 + j % 8) * stride + j / 8)
                })
                .collect();
            if starts.is_empty() {
                continue;
            }
            starts.sort_unstable();
            tables.build(classes, letters, &codes[first..end], stride);
            for (group, counts) in matches.chunks_exact_mut(LANES).enumerate() {
                pulp::Arch::new().dispatch(
                    #[inline(always)]
                    || {
                        let planes = count(&tables.bits, &starts, group * LANES / 8);
                        add_planes(&planes, starts.len(), counts);
                    },
                );
            }
        }
    }
    out.iter_mut().zip(&matches).for_each(|(o, m)| *o += m);
}

/// For each letter eight byte arrays of match bits, the `s`-th shifted down by `s`.
#[derive(Default)]
struct Tables {
    bits: Vec<u8>,
    marks: Vec<u8>,
}

impl Tables {
    /// Bytes of one array for so many text positions; a load may look 64 bytes beyond.
    fn stride(span: usize) -> usize {
        (span.div_ceil(64) + 9) * 8
    }

    fn build<C: Code>(&mut self, classes: &Classes, letters: std::ops::Range<usize>, codes: &[C], stride: usize) {
        self.bits.clear();
        self.bits.resize(stride * 8 * letters.len(), 0);
        self.marks.clear();
        self.marks.resize(codes.len().next_multiple_of(8), 0);
        let Self { bits, marks } = self;
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                for (letter, rows) in letters.zip(bits.chunks_exact_mut(stride * 8)) {
                    classes.mark(letter, codes, &mut marks[..codes.len()]);
                    let (plain, shifted) = rows.split_at_mut(stride);
                    for (byte, eight) in plain.iter_mut().zip(marks.as_chunks::<8>().0) {
                        // Gathers the lowest bits of eight bytes into the highest byte, in order.
                        *byte = (u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8;
                    }
                    for (s, row) in shifted.chunks_exact_mut(stride).enumerate() {
                        let s = s as u32 + 1;
                        for ((byte, low), high) in row.iter_mut().zip(&*plain).zip(&plain[1..]) {
                            *byte = ((u16::from(*low) | u16::from(*high) << 8) >> s) as u8;
                        }
                    }
                }
            },
        );
    }
}

#[inline(always)]
fn load(tables: &[u8], at: usize) -> Bits {
    let bytes: &[u8; 8 * WORDS] = tables[at..at + 8 * WORDS].try_into().expect("512 bits");
    let mut out = [0; WORDS];
    for w in 0..WORDS {
        out[w] = u64::from_le_bytes(bytes[8 * w..8 * w + 8].try_into().expect("64 bits"));
    }
    out
}

/// Full adder on 512 lanes: `a + b + c = sum + 2·carry`.
#[inline(always)]
fn full_add(a: Bits, b: Bits, c: Bits) -> (Bits, Bits) {
    let (mut sum, mut carry) = ([0; WORDS], [0; WORDS]);
    for w in 0..WORDS {
        let t = a[w] ^ b[w];
        sum[w] = t ^ c[w];
        carry[w] = (a[w] & b[w]) | (t & c[w]);
    }
    (sum, carry)
}

/// Counters of weight 1, 2, 4 and 8 that are kept in registers.
#[derive(Clone, Copy, Default)]
struct Low {
    ones: Bits,
    twos: Bits,
    fours: Bits,
    eights: Bits,
}

impl Low {
    /// Adds eight bit vectors; returns the carry of weight 8.
    #[inline(always)]
    fn add_eight(&mut self, tables: &[u8], at: &[usize; 8], offset: usize) -> Bits {
        let bit = |i: usize| load(tables, at[i] + offset);
        let (s, a) = full_add(self.ones, bit(0), bit(1));
        let (s, b) = full_add(s, bit(2), bit(3));
        let (t, x) = full_add(self.twos, a, b);
        let (s, a) = full_add(s, bit(4), bit(5));
        let (s, b) = full_add(s, bit(6), bit(7));
        let (t, y) = full_add(t, a, b);
        let (f, carry) = full_add(self.fours, x, y);
        (self.ones, self.twos, self.fours) = (s, t, f);
        carry
    }
}

#[inline(always)]
fn count(tables: &[u8], starts: &[usize], offset: usize) -> [Bits; PLANES] {
    let mut planes = [[0; WORDS]; PLANES];
    let mut waiting = [[0; WORDS]; PLANES - 4];
    let mut low = Low::default();
    let (sixteens, rest) = starts.as_chunks::<16>();
    for (i, g) in sixteens.iter().enumerate() {
        let (first, second) = g.split_at(8);
        let a = low.add_eight(tables, first.try_into().expect("eight"), offset);
        let b = low.add_eight(tables, second.try_into().expect("eight"), offset);
        let (e, mut carry) = full_add(low.eights, a, b);
        low.eights = e;
        // A carry waits for a second one of its weight; which weights wait is written in the bits of i.
        let level = i.trailing_ones() as usize;
        for (plane, waiting) in planes[4..].iter_mut().zip(&waiting).take(level) {
            (*plane, carry) = full_add(*plane, *waiting, carry);
        }
        waiting[level] = carry;
    }
    (planes[0], planes[1], planes[2], planes[3]) = (low.ones, low.twos, low.fours, low.eights);
    for (level, carry) in waiting.iter().enumerate().filter(|(l, _)| sixteens.len() >> l & 1 == 1) {
        ripple(&mut planes[4 + level..], *carry);
    }
    for &start in rest {
        ripple(&mut planes, load(tables, start + offset));
    }
    planes
}

/// Adds one bit per lane to counters given from their lowest plane on.
#[inline(always)]
fn ripple(planes: &mut [Bits], mut carry: Bits) {
    for plane in planes {
        for w in 0..WORDS {
            let c = plane[w] & carry[w];
            plane[w] ^= carry[w];
            carry[w] = c;
        }
    }
}

/// Adds the counts held by the planes, lane by lane.
#[inline(always)]
fn add_planes(planes: &[Bits; PLANES], counted: usize, counts: &mut [u32]) {
    let used = usize::BITS as usize - counted.leading_zeros() as usize;
    for (w, part) in counts.chunks_exact_mut(64).enumerate() {
        let part: &mut [u32; 64] = part.try_into().expect("64 lanes");
        for (p, plane) in planes.iter().enumerate().take(used) {
            let (low, high) = (plane[w] as u32, (plane[w] >> 32) as u32);
            for bit in 0..32 {
                part[bit] += (low >> bit & 1) << p;
                part[bit + 32] += (high >> bit & 1) << p;
            }
        }
    }
}
