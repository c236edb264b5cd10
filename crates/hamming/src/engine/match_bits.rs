//! Match bit vectors of a stretch of text: the comparison is made once per (letter, text position) and used by every
//! pattern position of that letter.
//!
//! Row `8·l + s` holds, from bit 0 on, whether letter `l` matches text position `s`, `s + 1`, …: with eight rows, shifted by
//! 0 to 7 bits, the vector of every pattern position begins at a byte.
use pulp::Simd;

use crate::kernel::{self, EITHER, EQUAL, SHARE};
use crate::letters::classes::{Classes, Code, Rule};

/// The bit vectors of some letters; memory is kept from one stretch to the next.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    words: Vec<u64>,
    /// Words of a row.
    stride: usize,
    /// Words of all rows.
    used: usize,
}

impl Tables {
    /// Row `8·i + s` for the `i`-th of `letters` and every shift `s` whose bit is in `shifts[i]`; what is beyond the text
    /// matches nothing. Of every row `bits` bits can be read, and 7 more.
    pub fn build<C: Code>(
        &mut self,
        classes: &Classes,
        letters: impl ExactSizeIterator<Item = usize> + Clone,
        shifts: impl Iterator<Item = u8>,
        codes: &[C],
        bits: usize,
    ) {
        self.stride = bits.max(codes.len()).div_ceil(64) + 1;
        let size = self.stride * 8 * letters.len();
        self.used = size;
        self.words.resize(self.words.len().max(size), 0);
        let stride = self.stride;
        let words = &mut self.words[..size];
        pulp::Arch::new().dispatch(Build { classes, letters, shifts, codes, stride, words });
    }

    /// Adds a row of ones, which matches everywhere, and returns where it begins; until the next [`Tables::build`].
    pub fn append_ones(&mut self) -> usize {
        let end = self.used + self.stride;
        self.words.resize(self.words.len().max(end), 0);
        self.words[self.used..end].fill(!0);
        self.used * 8
    }

    /// All rows as bytes.
    pub fn bytes(&self) -> &[u8] {
        pulp::bytemuck::cast_slice(&self.words)
    }

    /// First byte of the vector of a place.
    pub fn start(&self, place: Place) -> usize {
        place.row as usize * self.stride * 8 + place.byte as usize
    }
}

/// Where the vector of a pattern position begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub row: u32,
    pub byte: u32,
}

impl Place {
    /// Position `j` of the pattern, holding the `letter`-th letter of a table.
    pub fn new(letter: usize, j: usize) -> Self {
        Self { row: (letter * 8 + j % 8) as u32, byte: (j / 8) as u32 }
    }
}

struct Build<'a, C, L, H> {
    classes: &'a Classes,
    letters: L,
    shifts: H,
    codes: &'a [C],
    stride: usize,
    words: &'a mut [u64],
}

impl<C: Code, L: Iterator<Item = usize>, H: Iterator<Item = u8>> pulp::WithSimd for Build<'_, C, L, H> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let rows = self.words.chunks_exact_mut(self.stride * 8);
        for ((letter, shifts), rows) in self.letters.zip(self.shifts).zip(rows) {
            let (plain, shifted) = rows.split_at_mut(self.stride);
            match_words(simd, self.classes, letter, self.codes, plain);
            for (s, row) in shifted.chunks_exact_mut(self.stride).enumerate() {
                if shifts >> (s + 1) & 1 == 1 {
                    kernel::shift_down(plain, s as u32 + 1, row);
                }
            }
        }
    }
}

/// Bit `i` of `words` is set where a letter matches `codes[i]`; bits beyond the codes are zero.
#[inline(always)]
pub(crate) fn match_words<S: Simd, C: Code>(simd: S, classes: &Classes, letter: usize, codes: &[C], words: &mut [u64]) {
    let own = C::of(classes.codes[letter]);
    match classes.rule {
        Rule::Equal { wildcard: None } => fill::<S, C, EQUAL>(simd, [own; 2], codes, words),
        Rule::Equal { wildcard: Some(w) } => fill::<S, C, EITHER>(simd, [own, C::of(w)], codes, words),
        Rule::Share => fill::<S, C, SHARE>(simd, [own; 2], codes, words),
    }
}

#[inline(always)]
fn fill<S: Simd, C: Code, const RULE: u8>(simd: S, own: [C; 2], codes: &[C], words: &mut [u64]) {
    let (whole, rest) = codes.as_chunks::<64>();
    for (word, codes) in words.iter_mut().zip(whole) {
        *word = C::match_bits::<S, RULE>(simd, own, codes);
    }
    let mut after = whole.len();
    if !rest.is_empty() {
        let mut last = [C::of(0); 64];
        last[..rest.len()].copy_from_slice(rest);
        words[after] = C::match_bits::<S, RULE>(simd, own, &last) & ((1 << rest.len()) - 1);
        after += 1;
    }
    words[after..].fill(0);
}
