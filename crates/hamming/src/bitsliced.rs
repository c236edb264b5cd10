//! Engine for long patterns: a bit per text position and letter, 1,024 alignments per step, counted in bit planes by
//! carry-save adders.
//!
//! The comparison is made once per (letter, text position) and used by every pattern position of that letter; afterwards
//! one load and about five logic operations advance 512 alignments by one symbol, for every alphabet. Eight copies of
//! each bit vector, shifted by 0 to 7 bits, make every load byte-aligned.
use std::ops::Range;

use crate::classes::{Classes, Code};

/// Alignments per block and pattern positions per piece: tables of a DNA text stay in the second-level cache.
pub(crate) const BLOCK: usize = 1 << 14;
const PIECE: usize = 1 << 14;
/// Bit planes: a piece has at most 2^14 positions.
const PLANES: usize = 15;
/// Letters whose tables are held at once: 64 letters take 2 MiB.
const LETTERS: usize = 64;
/// Blocks are padded to this many alignments, whatever the instruction set counts together.
const PADDING: usize = 1024;

/// So many times 64 alignments, counted together.
type Bits<const W: usize> = [u64; W];

/// The positions of a pattern in the order in which their tables are read.
#[derive(Clone, Debug)]
pub struct Prepared<'a> {
    classes: &'a Classes,
    rounds: Vec<Round>,
}

/// One piece of the pattern and the letters counted together.
#[derive(Clone, Debug)]
struct Round {
    first: usize,
    len: usize,
    letters: Range<usize>,
    /// `(row, byte)` of each position: row `8·letter + j mod 8`, byte `⌊j/8⌋`; ascending, so that loads advance.
    places: Vec<(u32, u32)>,
}

impl<'a> Prepared<'a> {
    /// Sorts the positions: `O(m log m)`.
    pub fn new(classes: &'a Classes) -> Self {
        let mut rounds = Vec::new();
        for (piece, part) in classes.pattern.chunks(PIECE).enumerate() {
            for first in (0..classes.len()).step_by(LETTERS) {
                let letters = first..(first + LETTERS).min(classes.len());
                let mut places: Vec<(u32, u32)> = part
                    .iter()
                    .enumerate()
                    .filter_map(|(j, letter)| {
                        let l = letter.map(usize::from).filter(|l| letters.contains(l))? - first;
                        Some(((l * 8 + j % 8) as u32, (j / 8) as u32))
                    })
                    .collect();
                places.sort_unstable();
                if !places.is_empty() {
                    rounds.push(Round { first: piece * PIECE, len: part.len(), letters, places });
                }
            }
        }
        Self { classes, rounds }
    }

    /// Subtracts the matches of one block of alignments from `out` (row HAM-3); `codes` as in
    /// [`crate::vertical::Prepared::subtract_matches`].
    pub fn subtract_matches<C: Code>(&self, codes: &[C], out: &mut [u32], scratch: &mut Scratch) {
        let Scratch { tables, padded, starts } = scratch;
        let span = out.len().next_multiple_of(PADDING);
        let whole = span == out.len();
        if !whole {
            padded.clear();
            padded.extend_from_slice(out);
            padded.resize(span, 0);
        }
        for round in &self.rounds {
            let end = (round.first + span + round.len).min(codes.len());
            // A load may look one group of alignments beyond the text.
            let stride = (span + round.len + PADDING).div_ceil(8);
            starts.clear();
            starts.extend(round.places.iter().map(|&(row, byte)| row as usize * stride + byte as usize));
            tables.build(self.classes, round.letters.clone(), &codes[round.first..end], stride);
            let distances = if whole { &mut *out } else { &mut padded[..] };
            pulp::Arch::new().dispatch(Count { tables: &tables.bits, starts, distances });
        }
        if !whole {
            out.copy_from_slice(&padded[..out.len()]);
        }
    }
}

/// Memory that blocks share.
#[derive(Debug, Default)]
pub struct Scratch {
    tables: Tables,
    padded: Vec<u32>,
    starts: Vec<usize>,
}

/// The counting of one round; a type instead of a closure, because a closure this large is not inlined into the dispatch
/// and would be compiled without its instruction set.
struct Count<'a> {
    tables: &'a [u8],
    starts: &'a [usize],
    distances: &'a mut [u32],
}

impl pulp::WithSimd for Count<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        // Two registers per counter where there are 32 of them, else what keeps the counters in 16.
        if S::U64_LANES >= 8 { self.run::<16>() } else { self.run::<8>() }
    }
}

impl Count<'_> {
    #[inline(always)]
    fn run<const W: usize>(self) {
        for (group, distances) in self.distances.chunks_exact_mut(64 * W).enumerate() {
            let planes = count::<W>(self.tables, self.starts, group * 8 * W);
            subtract_planes(&planes, self.starts.len(), distances);
        }
    }
}

/// For each letter eight byte arrays of match bits, the `s`-th shifted down by `s`.
#[derive(Debug, Default)]
struct Tables {
    bits: Vec<u8>,
    marks: Vec<u8>,
}

impl Tables {
    fn build<C: Code>(&mut self, classes: &Classes, letters: Range<usize>, codes: &[C], stride: usize) {
        // What is beyond the text stays as it was: it is counted only for alignments that do not exist.
        let size = stride * 8 * letters.len();
        self.bits.resize(self.bits.len().max(size), 0);
        self.marks.resize(self.marks.len().max(codes.len().next_multiple_of(8)), 0);
        let Self { bits, marks } = self;
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || {
                for (letter, rows) in letters.zip(bits[..size].chunks_exact_mut(stride * 8)) {
                    classes.mark(letter, codes, &mut marks[..codes.len()]);
                    let (plain, shifted) = rows.split_at_mut(stride);
                    for (byte, eight) in
                        plain.iter_mut().zip(marks[..codes.len().next_multiple_of(8)].as_chunks::<8>().0)
                    {
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
fn load<const W: usize>(tables: &[u8], at: usize) -> Bits<W> {
    let bytes = tables[at..at + 8 * W].as_chunks::<8>().0;
    let mut out = [0; W];
    for w in 0..W {
        out[w] = u64::from_le_bytes(bytes[w]);
    }
    out
}

/// Full adder on all lanes: `a + b + c = sum + 2·carry`.
#[inline(always)]
fn full_add<const W: usize>(a: Bits<W>, b: Bits<W>, c: Bits<W>) -> (Bits<W>, Bits<W>) {
    let (mut sum, mut carry) = ([0; W], [0; W]);
    for w in 0..W {
        let t = a[w] ^ b[w];
        sum[w] = t ^ c[w];
        carry[w] = (a[w] & b[w]) | (t & c[w]);
    }
    (sum, carry)
}

/// Counters of weight 1, 2, 4 and 8 that are kept in registers.
struct Low<const W: usize> {
    ones: Bits<W>,
    twos: Bits<W>,
    fours: Bits<W>,
    eights: Bits<W>,
}

impl<const W: usize> Low<W> {
    /// Adds eight bit vectors; returns the carry of weight 8.
    #[inline(always)]
    fn add_eight(&mut self, tables: &[u8], at: &[usize; 8], offset: usize) -> Bits<W> {
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
fn count<const W: usize>(tables: &[u8], starts: &[usize], offset: usize) -> [Bits<W>; PLANES] {
    let mut planes = [[0; W]; PLANES];
    let mut waiting = [[0; W]; PLANES - 4];
    let mut low = Low { ones: [0; W], twos: [0; W], fours: [0; W], eights: [0; W] };
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
fn ripple<const W: usize>(planes: &mut [Bits<W>], mut carry: Bits<W>) {
    for plane in planes {
        for w in 0..W {
            let c = plane[w] & carry[w];
            plane[w] ^= carry[w];
            carry[w] = c;
        }
    }
}

/// Subtracts the counts held by the planes, lane by lane.
#[inline(always)]
fn subtract_planes<const W: usize>(planes: &[Bits<W>; PLANES], counted: usize, distances: &mut [u32]) {
    let used = usize::BITS as usize - counted.leading_zeros() as usize;
    for (w, part) in distances.chunks_exact_mut(64).enumerate() {
        let part: &mut [u32; 64] = part.try_into().expect("64 lanes");
        for (p, plane) in planes.iter().enumerate().take(used) {
            let (low, high) = (plane[w] as u32, (plane[w] >> 32) as u32);
            for bit in 0..32 {
                part[bit] = part[bit].wrapping_sub(if low & 1 << bit == 0 { 0 } else { 1 << p });
                part[bit + 32] = part[bit + 32].wrapping_sub(if high & 1 << bit == 0 { 0 } else { 1 << p });
            }
        }
    }
}
