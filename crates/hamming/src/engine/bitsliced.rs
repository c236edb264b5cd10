//! Engine for long patterns: a bit per text position and letter, 1,024 alignments per step, counted in bit planes by
//! carry-save adders.
//!
//! One load and about two ternary logic operations (five where there are only binary ones) advance 512 alignments by one
//! pattern symbol, for every alphabet. Floor: one load per 512 comparisons.
use pulp::Simd;

use crate::engine::CountingEngine;
use crate::engine::choose::Work;
use crate::engine::costs::{Cost, costs};
use crate::engine::fft::Certificate;
use crate::engine::match_bits::{Place, Tables};
use crate::kernel::{Bits, Low, full_add, load, ripple, unpack};
use crate::letters::classes::{Classes, Code};

/// Alignments per block and pattern positions per piece: tables of a DNA text stay in the second-level cache.
const BLOCK: usize = 1 << 14;
const PIECE: usize = 1 << 14;
/// Bit planes: a piece has at most 2^14 positions.
const PLANES: usize = 15;
/// Bit planes for up to 255 positions: fewer to clear.
const SHORT: usize = 8;
/// Letters whose tables are held at once: 64 letters take 2 MiB.
pub(crate) const LETTERS: usize = 64;
/// Blocks are padded to this many alignments, whatever the instruction set counts together.
const PADDING: usize = 1024;

/// The positions of a pattern in the order in which their tables are read.
///
/// Row HAM-3 of `paper-refs.md`.
#[derive(Clone, Debug)]
pub struct Prepared {
    classes: Classes,
    rounds: Vec<Round>,
}

/// One piece of the pattern and the letters counted together.
#[derive(Clone, Debug)]
struct Round {
    first: usize,
    len: usize,
    /// Letters that occur in the piece.
    letters: Vec<usize>,
    /// Shifts that occur, of each of them.
    shifts: Vec<u8>,
    /// Ascending, so that loads advance.
    places: Vec<Place>,
}

impl Prepared {
    /// Sorts the positions: `O(m log m)`.
    pub fn new(classes: Classes) -> Self {
        let mut rounds = Vec::new();
        for (piece, part) in classes.pattern.chunks(PIECE).enumerate() {
            let mut positions: Vec<(usize, usize)> =
                part.iter().enumerate().filter_map(|(j, letter)| letter.map(|l| (l as usize, j))).collect();
            positions.sort_unstable();
            let mut rest = &positions[..];
            while !rest.is_empty() {
                let (mut letters, mut shifts, mut places) = (Vec::new(), Vec::new(), Vec::new());
                for &(letter, j) in rest {
                    if letters.last() != Some(&letter) {
                        if letters.len() == LETTERS {
                            break;
                        }
                        letters.push(letter);
                        shifts.push(0);
                    }
                    shifts[letters.len() - 1] |= 1 << (j % 8);
                    places.push(Place::new(letters.len() - 1, j));
                }
                rest = &rest[places.len()..];
                places.sort_unstable();
                rounds.push(Round { first: piece * PIECE, len: part.len(), letters, shifts, places });
            }
        }
        Self { classes, rounds }
    }

    /// Subtracts the matches of one block of alignments from `out`, or from `base` where one is given and `out` holds
    /// nothing yet (row HAM-3); `codes` as in [`crate::engine::byte_counters::Prepared::subtract_matches`].
    pub fn subtract_matches<C: Code>(
        &self,
        codes: &[C],
        mut base: Option<u32>,
        out: &mut [u32],
        scratch: &mut Scratch,
    ) {
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
            let part = &codes[round.first.min(end)..end];
            tables.build(
                &self.classes,
                round.letters.iter().copied(),
                round.shifts.iter().copied(),
                part,
                span + round.len,
            );
            starts.clear();
            starts.extend(round.places.iter().map(|&place| tables.start(place)));
            let distances = if whole { &mut *out } else { &mut padded[..] };
            pulp::Arch::new().dispatch(Count { tables: tables.bytes(), starts, base, distances });
            base = None;
        }
        if !whole {
            out.copy_from_slice(&padded[..out.len()]);
        }
        if let Some(base) = base {
            out.fill(base); // no letters at all
        }
    }
}

impl CountingEngine for Prepared {
    const SHARES_LETTERS: bool = true;
    type Scratch = Scratch;

    fn prepare(letters: Classes) -> Self {
        Self::new(letters)
    }

    fn block(&self) -> usize {
        BLOCK
    }

    fn subtract<C: Code>(&self, codes: &[C], out: &mut [u32], scratch: &mut Scratch) -> Option<Certificate> {
        self.subtract_matches(codes, None, out, scratch);
        None
    }

    fn subtract_from<C: Code>(
        &self,
        base: u32,
        codes: &[C],
        out: &mut [u32],
        scratch: &mut Scratch,
    ) -> Option<Certificate> {
        self.subtract_matches(codes, Some(base), out, scratch);
        None
    }

    fn cost(work: &Work) -> Cost {
        let costs = costs();
        let pieces = (work.pattern_len as f64 / PIECE as f64).ceil();
        let overlap = work.overlap(BLOCK, PIECE);
        // Tables of a letter are made for every piece where it occurs, counts written once for 64 letters.
        let letter = move |a: f64, _| {
            let here = a.min(pieces);
            let table = costs.bitsliced_letter + costs.bitsliced_shift * (a / here.max(1.0)).min(8.0);
            a * costs.bitsliced + (table * overlap + costs.bitsliced_fixed / 64.0) * here
        };
        Cost::new(letter, costs.bitsliced_fixed * pieces)
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
    base: Option<u32>,
    distances: &'a mut [u32],
}

impl pulp::WithSimd for Count<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // Two registers per counter where there are 32 of them, else what keeps the counters in 16.
        match (S::U64_LANES >= 8, self.starts.len() < 1 << SHORT) {
            (true, true) => self.run::<S, 16, SHORT>(simd),
            (true, false) => self.run::<S, 16, PLANES>(simd),
            (false, true) => self.run::<S, 8, SHORT>(simd),
            (false, false) => self.run::<S, 8, PLANES>(simd),
        }
    }
}

impl Count<'_> {
    #[inline(always)]
    fn run<S: Simd, const W: usize, const P: usize>(self, simd: S) {
        let used = usize::BITS as usize - self.starts.len().leading_zeros() as usize;
        for (group, distances) in self.distances.chunks_exact_mut(64 * W).enumerate() {
            let planes = count::<W, P>(self.tables, self.starts, group * 8 * W);
            for (w, part) in distances.as_chunks_mut::<64>().0.iter_mut().enumerate() {
                unpack(simd, &planes[..used], w, self.base, part);
            }
        }
    }
}

#[inline(always)]
fn count<const W: usize, const P: usize>(tables: &[u8], starts: &[usize], offset: usize) -> [Bits<W>; P] {
    let mut planes = [[0; W]; P];
    let mut waiting = [[0; W]; P];
    let mut low = Low { ones: [0; W], twos: [0; W], fours: [0; W] };
    let mut eights = [0; W];
    let (sixteens, rest) = starts.as_chunks::<16>();
    for (i, g) in sixteens.iter().enumerate() {
        let (first, second) = g.split_at(8);
        let a = low.add_eight(tables, first.try_into().expect("eight"), offset);
        let b = low.add_eight(tables, second.try_into().expect("eight"), offset);
        let (e, mut carry) = full_add(eights, a, b);
        eights = e;
        // A carry waits for a second one of its weight; which weights wait is written in the bits of i.
        let level = i.trailing_ones() as usize;
        for (plane, waiting) in planes[4..].iter_mut().zip(&waiting).take(level) {
            (*plane, carry) = full_add(*plane, *waiting, carry);
        }
        waiting[level] = carry;
    }
    let (full, rest) = rest.as_chunks::<8>();
    let mut carry = None;
    for g in full {
        carry = Some(low.add_eight(tables, g, offset));
    }
    (planes[0], planes[1], planes[2], planes[3]) = (low.ones, low.twos, low.fours, eights);
    for (level, carry) in waiting.iter().enumerate().filter(|(l, _)| sixteens.len() >> l & 1 == 1) {
        ripple(&mut planes[4 + level..], *carry);
    }
    if let Some(carry) = carry {
        ripple(&mut planes[3..], carry);
    }
    for &start in rest {
        ripple(&mut planes, load(tables, start + offset));
    }
    planes
}
