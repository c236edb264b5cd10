//! Engine for few mismatches: bit-sliced budgets that end early, for many patterns over the tables of one text.
//!
//! Every alignment starts with a budget of `k` mismatches, held in bit planes; eight pattern symbols at a time are
//! subtracted, and a group of 512 alignments is left as soon as every budget is overdrawn: on random text after about
//! `(k + few)/(1 − p)` symbols, whatever the pattern's length. A full adder is self-dual (its complemented inputs give its
//! complemented outputs), so the match bits that the counting engine adds are, to the complemented planes, mismatches.
//!
//! Where early exit never comes (periodic texts), the cost is that of [`crate::engine::bitsliced`] without its output.
use pulp::Simd;

use crate::engine::match_bits::{Place, Tables};
use crate::kernel::{self, Bits, Low, load};
use crate::letters::classes::{Classes, Code};

/// Alignments per block.
pub(crate) const BLOCK: usize = 1 << 14;
/// Alignments worked on together, whatever the instruction set.
const GROUP: usize = 512;
/// Bits of a budget beyond the lowest three: patterns have at most 2^28 symbols.
const HIGH: usize = 26;
/// Letters of all patterns together that tables may hold: 128 letters take 2 MiB a block.
pub(crate) const LETTERS: usize = 128;

/// One pattern of a search, in the letters of its [`Prepared`].
#[derive(Clone, Debug)]
struct Needle {
    len: usize,
    budget: u32,
    /// Where a mismatch is final, the most selective letters first.
    required: Vec<Place>,
    /// The other positions in the same order.
    places: Vec<Place>,
}

/// Where one pattern matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Found {
    pub position: usize,
    pub needle: usize,
    pub distance: u32,
}

/// Patterns over one set of letters.
///
/// Row HAM-8 of `paper-refs.md`.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    /// The letters of all patterns, one after the other.
    classes: Classes,
    shifts: Vec<u8>,
    needles: Vec<Needle>,
    longest: usize,
}

/// One pattern to prepare: its stretch of the letters, its budget, and which of its positions must match.
pub(crate) struct Part<'a> {
    pub first: usize,
    pub len: usize,
    pub budget: u32,
    pub required: &'a [bool],
}

impl Prepared {
    /// Orders the positions of every pattern by how rarely their letter matches, `share` of the text.
    pub fn new(classes: &Classes, parts: &[Part<'_>], share: &[f64]) -> Self {
        let mut shifts = vec![0; classes.len()];
        let needles = parts
            .iter()
            .map(|part| {
                let letters = &classes.pattern[part.first..part.first + part.len];
                let mut order: Vec<(usize, usize)> =
                    letters.iter().enumerate().filter_map(|(j, l)| l.map(|l| (j, l as usize))).collect();
                order.sort_by(|x, y| share[x.1].total_cmp(&share[y.1]).then(x.0.cmp(&y.0)));
                let (mut required, mut places) = (Vec::new(), Vec::new());
                for (j, l) in order {
                    shifts[l] |= 1 << (j % 8);
                    let list = if part.required.get(j) == Some(&true) { &mut required } else { &mut places };
                    list.push(Place::new(l, j));
                }
                Needle { len: part.len, budget: part.budget, required, places }
            })
            .collect();
        let longest = parts.iter().map(|p| p.len).max().unwrap_or(0);
        Self { classes: classes.clone(), shifts, needles, longest }
    }

    /// Every alignment within its budget (row HAM-8) that begins in the first `span` symbols of `codes` and ends within
    /// them, by position, then pattern; `codes` holds what follows too.
    pub fn find<C: Code>(&self, codes: &[C], span: usize, scratch: &mut Scratch) -> Vec<Found> {
        let Scratch { tables, starts } = scratch;
        let bits = span.next_multiple_of(GROUP) + self.longest;
        tables.build(&self.classes, 0..self.classes.len(), self.shifts.iter().copied(), codes, bits);
        let ones = tables.append_ones();
        let mut found = Vec::new();
        for (number, needle) in self.needles.iter().enumerate() {
            let Some(last) = codes.len().checked_sub(needle.len) else { continue };
            let alignments = span.min(last + 1);
            starts.clear();
            starts.extend(needle.required.iter().chain(&needle.places).map(|&place| tables.start(place)));
            let required = needle.required.len();
            let padding = needle.places.len().next_multiple_of(8) - needle.places.len();
            starts.extend((0..padding).map(|_| ones));
            let (required, places) = starts.split_at(required);
            let high = (32 - needle.budget.leading_zeros()).saturating_sub(3) as usize;
            pulp::Arch::new().dispatch(Scan {
                tables: tables.bytes(),
                required,
                places: places.as_chunks::<8>().0,
                budget: needle.budget,
                high,
                alignments,
                number,
                found: &mut found,
            });
        }
        if self.needles.len() > 1 {
            found.sort_unstable();
        }
        found
    }
}

/// Memory that blocks share.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    tables: Tables,
    starts: Vec<usize>,
}

struct Scan<'a> {
    tables: &'a [u8],
    required: &'a [usize],
    places: &'a [[usize; 8]],
    budget: u32,
    high: usize,
    alignments: usize,
    number: usize,
    found: &'a mut Vec<Found>,
}

impl pulp::WithSimd for Scan<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // One register per plane: a group that is as small as can be ends early most often.
        match (S::U64_LANES >= 8, self.high == 0) {
            (true, true) => self.run::<S, 8, false>(simd),
            (true, false) => self.run::<S, 8, true>(simd),
            (false, true) => self.run::<S, 4, false>(simd),
            (false, false) => self.run::<S, 4, true>(simd),
        }
    }
}

impl Scan<'_> {
    #[inline(always)]
    fn run<S: Simd, const W: usize, const MANY: bool>(self, simd: S) {
        let bit = |p: u32| [if self.budget >> p & 1 == 1 { !0 } else { 0 }; W];
        let (ones, twos, fours) = (bit(0), bit(1), bit(2));
        let mut high = [[0; W]; HIGH];
        'groups: for group in 0..self.alignments.div_ceil(64 * W) {
            let offset = group * 8 * W;
            let mut alive = [!0_u64; W];
            for &start in self.required {
                let bits = load::<W>(self.tables, start + offset);
                for w in 0..W {
                    alive[w] &= bits[w];
                }
            }
            if !self.required.is_empty() && !kernel::any(simd, alive) {
                continue;
            }
            let mut low = Low { ones, twos, fours };
            if MANY {
                for p in 0..self.high {
                    high[p] = [if self.budget >> (p + 3) & 1 == 1 { !0 } else { 0 }; W];
                }
            }
            for eight in self.places {
                let mut within = low.add_eight(self.tables, eight, offset);
                if MANY {
                    within = borrow(&mut high[..self.high], within);
                }
                for w in 0..W {
                    alive[w] &= within[w];
                }
                if !kernel::any(simd, alive) {
                    continue 'groups;
                }
            }
            for w in 0..W {
                let first = group * 64 * W + 64 * w;
                let mut left = alive[w];
                while left != 0 {
                    let i = left.trailing_zeros();
                    left &= left - 1;
                    let position = first + i as usize;
                    if position >= self.alignments {
                        return;
                    }
                    let take = |bits: u64, p: usize| (bits >> i & 1) as u32 * (1 << p);
                    let mut rest = take(low.ones[w], 0) + take(low.twos[w], 1) + take(low.fours[w], 2);
                    if MANY {
                        for p in 0..self.high {
                            rest += take(high[p][w], p + 3);
                        }
                    }
                    self.found.push(Found { position, needle: self.number, distance: self.budget - rest });
                }
            }
        }
    }
}

/// Takes one, where `within` is not set, from numbers given from their lowest plane on; returns where they were not
/// overdrawn.
#[inline(always)]
fn borrow<const W: usize>(planes: &mut [Bits<W>], mut within: Bits<W>) -> Bits<W> {
    for plane in planes {
        for w in 0..W {
            let next = plane[w] | within[w];
            plane[w] = !(plane[w] ^ within[w]);
            within[w] = next;
        }
    }
    within
}
