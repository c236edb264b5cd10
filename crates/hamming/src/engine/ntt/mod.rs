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

use pulp::Simd;

use crate::engine::match_bits::match_words;
use crate::letters::classes::{Classes, Code};

pub(crate) mod lanes;
mod transform;

use lanes::{Kernel, Lanes, Line, dispatch};
use transform::{DOTS, LINES, N, P, centred, divide, fold, forward, inverse, scale};

/// Symbols of the text that are transformed together.
pub(crate) const LENGTH: usize = N;
/// Pattern symbols that share an inverse.
pub(crate) const TOGETHER: usize = P as usize - 1;
/// Longest pattern that is one piece, and length of the pieces of longer ones.
const ONE_PIECE: usize = N / 2 + 1;
const PIECE: usize = N / 2;
/// Lines of two spectra, word by word in turn, that make one line of a product.
const SLICE: usize = 2;
/// Blocks and pieces multiplied at a time.
const TILE: usize = 4;
/// Words of 64 match bits of a block.
const WORDS: usize = N / 64;

/// Pieces of a pattern of `m` symbols, and the alignments that one block gives.
pub(crate) fn shape(m: usize) -> (usize, usize) {
    if m <= ONE_PIECE { (1, N + 1 - m) } else { (m.div_ceil(PIECE), PIECE) }
}

/// Symbols of each piece.
fn piece_len(pieces: usize) -> usize {
    if pieces == 1 { ONE_PIECE } else { PIECE }
}

/// Blocks worked on together: each reads the transforms of as many stretches of text as there are pieces, of which all but
/// one are also the next one's. *Tuned*, bench `hamming`: with 8 in place of 4 no gain beyond the noise; products of more
/// than 256 blocks leave the caches.
pub(crate) fn blocks(pieces: usize) -> usize {
    if pieces <= 16 { (4 * pieces).max(8) } else { pieces.next_multiple_of(TILE).clamp(64, 256) }
}

/// Bytes that the spectra of a pattern take, and what one thread works on.
pub(crate) fn bytes(letters: usize, m: usize) -> u128 {
    letters.next_multiple_of(2) as u128 * bytes_of_letter(m) + bytes_of_products(m)
}

/// Letters that so much memory is enough for.
pub(crate) fn most_letters(m: usize, memory: u128) -> usize {
    (memory.saturating_sub(bytes_of_products(m)) / bytes_of_letter(m)) as usize & !1
}

fn bytes_of_letter(m: usize) -> u128 {
    let (pieces, _) = shape(m);
    // Of the pattern twice: with and without the letter that a covered text does not need.
    (2 * N) as u128 * (3 * pieces + blocks(pieces)) as u128
}

/// Bytes of the spectra of the text that one thread holds.
pub(crate) fn bytes_of_text(letters: usize, m: usize) -> u128 {
    let (pieces, _) = shape(m);
    (2 * N) as u128 * (letters * (blocks(pieces) + pieces)) as u128
}

/// Bytes of the products that one thread holds, an upper bound.
pub(crate) fn bytes_of_products(m: usize) -> u128 {
    let (pieces, _) = shape(m);
    (2 * N) as u128 * (m.div_ceil(TOGETHER) * 2 * blocks(pieces)) as u128
}

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
    pub(crate) fn block(&self) -> usize {
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
        for from in (0..longest).step_by(self.block()) {
            let to = (from + self.block()).min(longest);
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

/// Rows are stored so many apart: odd, so that lines of neighbouring rows do not compete for the same place in a cache.
fn stride(rows: usize) -> usize {
    rows | 1
}

/// Where a spectrum goes: `row` of the rows of every slice.
#[derive(Clone, Copy)]
struct Layout {
    slice: usize,
    row: usize,
}

/// Match bits of all letters of one block; true if every symbol is exactly one of them.
struct Mark<'a, C> {
    classes: &'a Classes,
    codes: &'a [C],
    bits: &'a mut [u64],
}

impl<C: Code> pulp::WithSimd for Mark<'_, C> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> bool {
        let (mut some, mut twice) = ([0_u64; WORDS], 0);
        for (letter, words) in self.bits.as_chunks_mut::<WORDS>().0.iter_mut().enumerate() {
            match_words(simd, self.classes, letter, self.codes, words);
            for (s, w) in some.iter_mut().zip(words) {
                twice |= *s & *w;
                *s |= *w;
            }
        }
        let full = self.codes.len() / 64;
        let rest = (1_u64 << (self.codes.len() % 64)) - 1;
        twice == 0 && some[..full].iter().all(|&s| s == !0) && (rest == 0 || some[full] == rest)
    }
}

/// The spectrum of a signal.
struct Signal<'a>(&'a [Line; LINES]);

impl Kernel for Signal<'_> {
    type Output = [Line; LINES];

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) -> Self::Output {
        let mut x = [Line::ZERO; LINES];
        forward(l, |k| l.load(&self.0[k]), &mut x);
        x
    }
}

#[inline(always)]
fn interleave<L: Lanes>(l: L, both: &[[Line; LINES]; 2], to: Layout, out: &mut [Line]) {
    let out = out.as_chunks_mut::<SLICE>().0[to.row..].iter_mut().step_by(to.slice);
    for ((a, b), out) in both[0].iter().zip(&both[1]).zip(out) {
        let (low, high) = l.interleave(l.load(a), l.load(b));
        l.store(low, &mut out[0]);
        l.store(high, &mut out[1]);
    }
}

struct Interleave<'a> {
    both: &'a [[Line; LINES]; 2],
    to: Layout,
    out: &'a mut [Line],
}

impl Kernel for Interleave<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        interleave(l, self.both, self.to, self.out);
    }
}

/// The spectra of two letters of a block of the text, or of none.
struct Transform<'a> {
    both: [Option<&'a [u64; WORDS]>; 2],
    /// Memory for the spectra of two stretches of text.
    spectra: &'a mut [[Line; LINES]; 2],
    to: Layout,
    text: &'a mut [Line],
}

impl Kernel for Transform<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        for (spectrum, bits) in self.spectra.iter_mut().zip(self.both) {
            match bits {
                Some(bits) => forward(l, |k| l.expand((bits[k / 2] >> (32 * (k % 2))) as u32), spectrum),
                None => spectrum.fill(Line::ZERO),
            }
        }
        interleave(l, self.spectra, self.to, self.text);
    }
}

/// One line of the products of four blocks with one group of pieces.
struct Multiply<'a> {
    text: &'a [Line],
    spectra: &'a [Line],
    blocks: usize,
    pieces: usize,
    pairs: usize,
    first: usize,
    group: Range<usize>,
    to: [usize; TILE],
    products: &'a mut [Line],
}

/// Both lines of a slice.
type Two<L> = (<L as Lanes>::V, <L as Lanes>::V);

#[inline(always)]
fn load<L: Lanes>(l: L, slice: &[Line; SLICE]) -> Two<L> {
    (l.load(&slice[0]), l.load(&slice[1]))
}

/// `sum + a·b`.
#[inline(always)]
fn dot<L: Lanes>(l: L, sum: Two<L>, a: Two<L>, b: Two<L>) -> Two<L> {
    (l.add_32(sum.0, l.dot(a.0, b.0)), l.add_32(sum.1, l.dot(a.1, b.1)))
}

#[inline(always)]
fn fold_both<L: Lanes>(l: L, sum: Two<L>) -> Two<L> {
    (fold(l, sum.0), fold(l, sum.1))
}

impl Kernel for Multiply<'_> {
    type Output = ();

    /// Sums are variables and not an array, so that they stay in registers.
    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let zero = (l.splat(0), l.splat(0));
        let (mut p, mut q, mut r, mut s) = (zero, zero, zero, zero);
        let mut dots = 0;
        for pair in 0..self.pairs {
            let text = &self.text.as_chunks::<SLICE>().0[pair * self.blocks + self.first + self.group.start..];
            let spectra = &self.spectra.as_chunks::<SLICE>().0[pair * self.pieces..][self.group.clone()];
            let (fours, rest) = spectra.as_chunks::<TILE>();
            for (pieces, text) in fours.iter().zip(text.windows(2 * TILE - 1).step_by(TILE)) {
                if dots + TILE > DOTS {
                    (p, q, r, s) = (fold_both(l, p), fold_both(l, q), fold_both(l, r), fold_both(l, s));
                    dots = 0;
                }
                dots += TILE;
                let own = load(l, &pieces[0]);
                let (b, c, d) = (load(l, &text[1]), load(l, &text[2]), load(l, &text[3]));
                p = dot(l, p, load(l, &text[0]), own);
                q = dot(l, q, b, own);
                r = dot(l, r, c, own);
                s = dot(l, s, d, own);
                let (own, e) = (load(l, &pieces[1]), load(l, &text[4]));
                p = dot(l, p, b, own);
                q = dot(l, q, c, own);
                r = dot(l, r, d, own);
                s = dot(l, s, e, own);
                let (own, f) = (load(l, &pieces[2]), load(l, &text[5]));
                p = dot(l, p, c, own);
                q = dot(l, q, d, own);
                r = dot(l, r, e, own);
                s = dot(l, s, f, own);
                let own = load(l, &pieces[3]);
                p = dot(l, p, d, own);
                q = dot(l, q, e, own);
                r = dot(l, r, f, own);
                s = dot(l, s, load(l, &text[6]), own);
            }
            for (piece, text) in rest.iter().zip(text[TILE * fours.len()..].windows(TILE)) {
                if dots == DOTS {
                    (p, q, r, s) = (fold_both(l, p), fold_both(l, q), fold_both(l, r), fold_both(l, s));
                    dots = 0;
                }
                dots += 1;
                let own = load(l, piece);
                p = dot(l, p, load(l, &text[0]), own);
                q = dot(l, q, load(l, &text[1]), own);
                r = dot(l, r, load(l, &text[2]), own);
                s = dot(l, s, load(l, &text[3]), own);
            }
        }
        l.store(divide(l, fold_both(l, p)), &mut self.products[self.to[0]]);
        l.store(divide(l, fold_both(l, q)), &mut self.products[self.to[1]]);
        l.store(divide(l, fold_both(l, r)), &mut self.products[self.to[2]]);
        l.store(divide(l, fold_both(l, s)), &mut self.products[self.to[3]]);
    }
}

/// The counts of one block and one group.
struct Finish<'a> {
    spectrum: &'a mut [Line; LINES],
    constant: i16,
    out: &'a mut [u32],
}

impl Kernel for Finish<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, l: L) {
        let out = self.out;
        inverse(l, self.spectrum, self.constant, |k, v| {
            let from = (32 * k).min(out.len());
            let to = (32 * (k + 1)).min(out.len());
            l.subtract_from(v, &mut out[from..to]);
        });
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
