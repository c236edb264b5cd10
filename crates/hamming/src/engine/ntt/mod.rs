//! Engine for long patterns: counts modulo 12,289 by transforms of 4,096 words of 16 bits, 32 to a register: the
//! "bit-packed FFT", where a count carries no more bits than it needs. **Exact**: integers throughout, and no count is
//! as large as the modulus.
//!
//! A pattern of up to 2,049 symbols is one *piece*, and a transform gives `4,097 − m` alignments. A longer one is cut
//! into pieces of 2,048 symbols, and a transform of the text, at every 2,048th symbol, serves all pieces that meet it;
//! spectra are multiplied and added in 32 bits, two products to an addition, reduced after at most 26 of them. As many
//! pieces as count at most 12,288 pattern symbols share one inverse, whose values are then the counts themselves:
//! `0 ..= 12,288` are all residues, each once. `transform` proves that nothing overflows on the way.
//!
//! With `K` letters, `g` groups of pieces and every text symbol one of the letters, the cost per 2,048 alignments of a
//! pattern in pieces is `K − 1` transforms, made up to 1.25 times for 16 pieces and more often for more (blocks share what
//! they read), `g` inverses, and `⌈m/2,048⌉·2⌈(K − 1)/2⌉·4,096/32` products of registers.
use std::ops::Range;
use std::sync::OnceLock;

use crate::engine::CountingEngine;
use crate::engine::choose::Work;
use crate::engine::costs::{Cost, costs};
use crate::engine::fft::Certificate;
use crate::letters::classes::{Classes, Code};

mod costs;
pub(crate) mod lanes;
mod products;
mod transform;

pub(crate) use costs::{Costs, bytes, costs_of, most_letters};
use costs::{blocks, piece_len, shape};
use lanes::{Line, dispatch};
use products::{Finish, Interleave, Layout, Mark, Multiply, Signal, Transform, stride};
use transform::{LINES, N, P, centred, scale};

/// Pattern symbols that share an inverse.
pub(crate) const TOGETHER: usize = P as usize - 1;
/// Lines of two spectra, word by word in turn, that make one line of a product.
const SLICE: usize = 2;
/// Blocks and pieces multiplied at a time.
const TILE: usize = 4;
/// Words of 64 match bits of a block.
const WORDS: usize = N / 64;

/// Consecutive pieces that count at most `p − 1` symbols together.
#[derive(Clone, Debug)]
struct Group {
    pieces: Range<usize>,
    /// Occurrences of the letter that a covered text does not need.
    last: i16,
}

/// Patterns over one set of letters, which share the transforms of the text.
///
/// Row HAM-13 of `paper-refs.md`.
pub struct Prepared {
    classes: Classes,
    /// Of the longest pattern.
    pieces: usize,
    hop: usize,
    /// The letter of which a text that consists of the letters is not transformed.
    last: usize,
    patterns: Vec<Pattern>,
}

/// One pattern, and its spectra, made when a text asks for them.
struct Pattern {
    symbols: Range<usize>,
    pieces: usize,
    groups: Vec<Group>,
    all: OnceLock<Vec<Line>>,
    /// Of `P_c − P_last`: if `Σ_c S_c = 1`, then `Σ_c S_c ⋆ P_c = Σ_{c ≠ last} S_c ⋆ (P_c − P_last) + |P_last|`.
    covered: OnceLock<Vec<Line>>,
}

impl CountingEngine for Prepared {
    const SHARES_LETTERS: bool = true;
    const HAS_SPECTRA: bool = true;
    type Scratch = Scratch;

    fn prepare(letters: Classes) -> Self {
        Self::new(letters)
    }

    fn block(&self) -> usize {
        self.alignments()
    }

    fn subtract<C: Code>(&self, codes: &[C], out: &mut [u32], scratch: &mut Scratch) -> Option<Certificate> {
        self.subtract_matches(codes, out, scratch);
        None
    }

    fn cost(work: &Work) -> Cost {
        let shared = costs_of(work.pattern_len, work.alignments, work.letters.len());
        let letter = move |a: f64, _| shared.transforms + shared.products + a / TOGETHER as f64 * shared.inverse;
        Cost::new(letter, costs().ntt_fixed + shared.inverse)
    }

    fn bytes(letters: usize, pattern: usize) -> u128 {
        bytes(letters, pattern)
    }

    fn most_letters(pattern: usize, memory: u128) -> usize {
        most_letters(pattern, memory)
    }
}

/// Memory that blocks share.
#[derive(Debug, Default)]
pub struct Scratch {
    bits: Vec<u64>,
    text: Vec<Line>,
    products: Vec<Line>,
    both: Option<Box<[[Line; LINES]; 2]>>,
}

impl Prepared {
    /// Groups the pieces of one pattern: `O(m)`.
    pub fn new(classes: Classes) -> Self {
        let whole = 0..classes.pattern.len();
        Self::of_parts(classes, &[whole])
    }

    /// The same for several patterns, which are stretches of one.
    pub fn of_parts(classes: Classes, parts: &[Range<usize>]) -> Self {
        let (pieces, hop) = shape(parts.iter().map(ExactSizeIterator::len).max().unwrap_or(1));
        let counts = classes.occurrences();
        let last = (0..classes.len()).min_by_key(|&c| counts[c]).unwrap_or(0);
        let patterns = parts
            .iter()
            .map(|symbols| {
                let mut groups: Vec<Group> = Vec::new();
                let mut room = 0;
                for (piece, part) in classes.pattern[symbols.clone()].chunks(piece_len(pieces)).enumerate() {
                    let counted = part.iter().flatten().count();
                    if counted > room || groups.is_empty() {
                        groups.push(Group { pieces: piece..piece, last: 0 });
                        room = TOGETHER;
                    }
                    room -= counted;
                    let group = groups.last_mut().expect("just pushed");
                    group.pieces.end += 1;
                    group.last += part.iter().flatten().filter(|&&c| c as usize == last).count() as i16;
                }
                let pieces = symbols.len().div_ceil(piece_len(pieces));
                Pattern { symbols: symbols.clone(), pieces, groups, all: OnceLock::new(), covered: OnceLock::new() }
            })
            .collect();
        Self { classes, pieces, hop, last, patterns }
    }

    /// Alignments that are worked on together.
    pub(crate) fn alignments(&self) -> usize {
        blocks(self.pieces) * self.hop
    }

    /// Letters of which the text is transformed.
    fn letters(&self, covered: bool) -> Vec<usize> {
        (0..self.classes.len()).filter(|&c| !(covered && c == self.last)).collect()
    }

    /// Spectra of all pieces of a pattern, `[line][pair of letters][piece]`.
    fn spectra<'p>(&self, pattern: &'p Pattern, covered: bool) -> &'p [Line] {
        let place = if covered { &pattern.covered } else { &pattern.all };
        place.get_or_init(|| {
            let (letters, scale) = (self.letters(covered), scale());
            let pairs = letters.len().div_ceil(2);
            let slice = stride(pairs * pattern.pieces);
            let mut out = vec![Line::ZERO; SLICE * LINES * slice];
            let symbols = &self.classes.pattern[pattern.symbols.clone()];
            for (piece, part) in symbols.chunks(piece_len(self.pieces)).enumerate() {
                for (pair, own) in letters.chunks(2).enumerate() {
                    let spectrum = |letter: Option<&usize>| {
                        let mut signal = [Line::ZERO; LINES];
                        for (j, c) in part.iter().enumerate() {
                            let at = (N - j) % N;
                            let word = &mut signal[at / 32].0[at % 32];
                            match c {
                                Some(c) if Some(&(*c as usize)) == letter => *word = 1,
                                Some(c) if covered && *c as usize == self.last && letter.is_some() => *word = -1,
                                _ => {}
                            }
                        }
                        let mut spectrum = dispatch(Signal(&signal));
                        let words = spectrum.iter_mut().flat_map(|line| &mut line.0);
                        words.for_each(|w| *w = centred(i64::from(*w) * scale));
                        spectrum
                    };
                    let both = [spectrum(own.first()), spectrum(own.get(1))];
                    let to = Layout { slice, row: pair * pattern.pieces + piece };
                    dispatch(Interleave { both: &both, to, out: &mut out });
                }
            }
            out
        })
    }

    /// Subtracts the matches of one block of alignments from `out` (row HAM-13); `codes` as in
    /// [`crate::engine::byte_counters::Prepared::subtract_matches`].
    pub fn subtract_matches<C: Code>(&self, codes: &[C], out: &mut [u32], scratch: &mut Scratch) {
        self.subtract_all(codes, &mut [out], scratch);
    }

    /// The same for several patterns; of each as many alignments from the first on as its memory is long.
    pub fn subtract_all<C: Code>(&self, codes: &[C], outs: &mut [&mut [u32]], scratch: &mut Scratch) {
        let longest = outs.iter().map(|out| out.len()).max().unwrap_or(0);
        if self.classes.is_empty() {
            return;
        }
        for from in (0..longest).step_by(self.alignments()) {
            let to = (from + self.alignments()).min(longest);
            let mut parts: Vec<&mut [u32]> =
                outs.iter_mut().map(|out| out.get_mut(from..).unwrap_or_default()).collect();
            for part in &mut parts {
                let len = part.len().min(to - from);
                *part = &mut std::mem::take(part)[..len];
            }
            self.subtract_block(&codes[from..], &mut parts, scratch);
        }
    }

    fn subtract_block<C: Code>(&self, codes: &[C], outs: &mut [&mut [u32]], scratch: &mut Scratch) {
        let Scratch { bits, text, products, both: spectra } = scratch;
        let spectra = spectra.get_or_insert_with(|| Box::new([[Line::ZERO; LINES]; 2]));
        let longest = outs.iter().map(|out| out.len()).max().unwrap_or(0);
        // What the alignments meet, and no more.
        let met = outs.iter().zip(&self.patterns).filter(|(out, _)| !out.is_empty());
        let met = met.map(|(out, pattern)| out.len() + pattern.symbols.len() - 1).max().unwrap_or(0);
        let codes = &codes[..met];
        let tiles = longest.div_ceil(self.hop).div_ceil(TILE);
        let blocks = tiles * TILE + self.pieces - 1;
        let filled = blocks.min(codes.len().div_ceil(self.hop));
        let count = self.classes.len();
        bits.resize(filled * count * WORDS, 0);
        let mut covered = true;
        for (block, bits) in bits.chunks_exact_mut(count * WORDS).enumerate() {
            let part = &codes[block * self.hop..];
            let part = &part[..part.len().min(N)];
            covered &= pulp::Arch::new().dispatch(Mark { classes: &self.classes, codes: part, bits });
        }
        let letters = self.letters(covered);
        let pairs = letters.len().div_ceil(2);
        let slice = stride(pairs * blocks);
        text.resize(text.len().max(SLICE * LINES * slice), Line::ZERO);
        for block in 0..blocks {
            for (pair, own) in letters.chunks(2).enumerate() {
                let to = Layout { slice, row: pair * blocks + block };
                let bits_of = |letter: usize| {
                    let at = (block * count + letter) * WORDS;
                    <&[u64; WORDS]>::try_from(&bits[at..at + WORDS]).expect("a block's words")
                };
                let own = if block < filled { own } else { &[] };
                let both = [own.first().map(|&c| bits_of(c)), own.get(1).map(|&c| bits_of(c))];
                dispatch(Transform { both, spectra, to, text });
            }
        }
        let apart = stride(LINES);
        for (pattern, out) in self.patterns.iter().zip(outs) {
            let (spectra, groups) = (self.spectra(pattern, covered), pattern.groups.len());
            let tiles = out.len().div_ceil(self.hop).div_ceil(TILE);
            products.resize(products.len().max(tiles * TILE * groups * apart), Line::ZERO);
            for line in 0..LINES {
                let text = &text[SLICE * slice * line..][..SLICE * slice];
                let own = SLICE * stride(pairs * pattern.pieces);
                let spectra = &spectra[own * line..][..own];
                for (number, group) in pattern.groups.iter().enumerate() {
                    for tile in 0..tiles {
                        dispatch(Multiply {
                            text,
                            spectra,
                            blocks,
                            pieces: pattern.pieces,
                            pairs,
                            first: tile * TILE,
                            group: group.pieces.clone(),
                            to: std::array::from_fn(|block| ((tile * TILE + block) * groups + number) * apart + line),
                            products,
                        });
                    }
                }
            }
            for (out, spectra) in out.chunks_mut(self.hop).zip(products.chunks_mut(groups * apart)) {
                for (spectrum, group) in spectra.chunks_mut(apart).zip(&pattern.groups) {
                    let spectrum = (&mut spectrum[..LINES]).try_into().expect("a spectrum");
                    let constant = if covered { group.last } else { 0 };
                    dispatch(Finish { spectrum, constant, out });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::letters::classes::Rule;

    /// HAM-13 at the bounds: patterns and texts of one letter, so that every count is the largest there is, where a
    /// group is full (12,288 symbols), and one more or less; where a pattern is one piece, and no longer; and texts that
    /// end at the end of a block.
    #[test]
    fn counts_are_exact_where_they_touch_the_modulus() {
        for m in [1, 2_048, 2_049, 2_050, 4_096, 12_287, 12_288, 12_289, 24_576, 24_577] {
            let classes = Classes {
                pattern: vec![Some(0); m],
                codes: vec![7],
                rule: Rule::Equal { wildcard: None },
                code_count: 256,
            };
            let prepared = Prepared::new(classes);
            let (pieces, hop) = shape(m);
            assert_eq!(prepared.patterns[0].groups.len(), m.div_ceil(TOGETHER), "{m}");
            for alignments in [1, hop - 1, hop, hop + 1, blocks(pieces) * hop + 1] {
                let mut text = vec![7_u8; alignments + m - 1];
                let mut scratch = Scratch::default();
                let mut out = vec![m as u32 + 1; alignments];
                prepared.subtract_matches(&text, &mut out, &mut scratch);
                assert!(out.iter().all(|&d| d == 1), "{m} {alignments}");
                // A foreign symbol at the end: nothing is covered any more, and the counts come out of the transforms.
                *text.last_mut().expect("symbols") = 8;
                out.fill(m as u32 + 1);
                prepared.subtract_matches(&text, &mut out, &mut scratch);
                assert!(out[..alignments - 1].iter().all(|&d| d == 1) && out[alignments - 1] == 2, "{m} {alignments}");
                out.fill(1);
                // No match anywhere but at one symbol.
                text.fill(8);
                text[m / 2] = 7;
                prepared.subtract_matches(&text, &mut out, &mut scratch);
                for (i, &d) in out.iter().enumerate() {
                    assert_eq!(d, 1_u32.wrapping_sub(u32::from(i <= m / 2)), "{m} {alignments} {i}");
                }
            }
        }
    }

    /// Two letters and nothing else, so that the pattern is the difference of both: counts of 0 and of 12,288.
    #[test]
    fn differences_of_letters_touch_the_modulus_too() {
        let m = TOGETHER;
        let letter = |i: usize| u32::from(i % 3 == 1);
        let classes = Classes {
            pattern: (0..m).map(|j| Some(letter(j))).collect(),
            codes: vec![5, 6],
            rule: Rule::Equal { wildcard: None },
            code_count: 256,
        };
        // The pattern, and the pattern with its letters exchanged.
        let text: Vec<u8> =
            (0..2 * m).map(|i| if i < m { 5 + letter(i) as u8 } else { 6 - letter(i - m) as u8 }).collect();
        let mut out = vec![m as u32; m + 1];
        Prepared::new(classes.clone()).subtract_matches(&text, &mut out, &mut Scratch::default());
        assert_eq!((out[0], out[m]), (0, m as u32));
        for i in (0..=m).step_by(97) {
            let mut want = [m as u32];
            crate::engine::definition::subtract_matches(&classes, &text[i..i + m], &mut want);
            assert_eq!(out[i], want[0], "{i}");
        }
    }

    /// A pattern that is one piece alone, beside one that is not.
    #[test]
    fn patterns_share_pieces_of_their_longest() {
        let text: Vec<u8> = (0..40_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 30) as u8).collect();
        let pattern: Vec<Option<u32>> = text[7..7_057].iter().map(|&c| Some(u32::from(c))).collect();
        let classes = Classes { pattern, codes: vec![0, 1, 2, 3], rule: Rule::Equal { wildcard: None }, code_count: 4 };
        let parts = [0..2_049, 2_049..7_049, 7_049..7_050];
        let prepared = Prepared::of_parts(classes.clone(), &parts);
        let mut outs: Vec<Vec<u32>> =
            parts.iter().map(|part| vec![part.len() as u32; text.len() - part.len() + 1]).collect();
        let mut all: Vec<&mut [u32]> = outs.iter_mut().map(Vec::as_mut_slice).collect();
        prepared.subtract_all(&text, &mut all, &mut Scratch::default());
        for (part, out) in parts.iter().zip(&outs) {
            let own = Classes { pattern: classes.pattern[part.clone()].to_vec(), ..classes.clone() };
            for i in (0..out.len()).step_by(613).chain([out.len() - 1]) {
                let mut want = [part.len() as u32];
                crate::engine::definition::subtract_matches(&own, &text[i..i + part.len()], &mut want);
                assert_eq!(out[i], want[0], "{part:?} {i}");
            }
        }
    }

    /// 64 letters, whose products are reduced on the way, each with its largest count; and a text that has others too.
    #[test]
    fn many_letters_add_up_exactly() {
        let m = 30_000;
        let pattern: Vec<Option<u32>> =
            (0..m).map(|j| (j % 7 != 3).then_some((j / 1_000 * 2 + j % 3) as u32)).collect();
        let codes: Vec<u32> = (0..62).collect();
        for wildcard in [None, Some(80)] {
            let classes = Classes {
                pattern: pattern.clone(),
                codes: codes.clone(),
                rule: Rule::Equal { wildcard },
                code_count: 256,
            };
            let mut text: Vec<u8> = classes.pattern.iter().map(|c| c.map_or(90, |c| c as u8)).collect();
            text.extend((0..40_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 25) as u8));
            let mut want = vec![30_000; 40_001];
            let checked = (0..40_001).step_by(613).chain([1, 2_047, 2_048, 40_000]);
            let mut got = want.clone();
            Prepared::new(classes.clone()).subtract_matches(&text, &mut got, &mut Scratch::default());
            for i in checked {
                crate::engine::definition::subtract_matches(&classes, &text[i..i + m], &mut want[i..=i]);
                assert_eq!(got[i], want[i], "{i}");
            }
        }
    }
}
