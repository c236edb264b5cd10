//! Which text symbol matches which pattern symbol: equality, wildcards, IUPAC codes.
use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::Hash;

use foldhash::fast::RandomState;
use rayon::prelude::*;

use crate::Error;
use crate::letters::classes::{Classes, Rule};

/// A letter: bytes, integers, `char`. Any other type that is copied, compared and hashed is one by an empty `impl`; types
/// that are not, such as `String`, become numbers by an [`Interner`].
pub trait Symbol: Copy + Eq + Hash + Send + Sync {
    /// The text as bytes, if its letters are bytes.
    fn bytes(text: &[Self]) -> Option<&[u8]> {
        let _ = text;
        None
    }

    /// The letter as a number, different for different letters, if it has one: small ones are looked up in a table, others
    /// by their hash.
    fn number(self) -> Option<u64> {
        None
    }
}

impl Symbol for u8 {
    fn bytes(text: &[Self]) -> Option<&[u8]> {
        Some(text)
    }
}

macro_rules! numbers {
    ($($t:ty)*) => {
        $(impl Symbol for $t {
            fn number(self) -> Option<u64> {
                u64::try_from(self).ok()
            }
        })*
    };
}
numbers!(u16 u32 u64 i32 i64 char);

/// Numbers for values of any type, the same for equal values, in order of appearance.
///
/// ```
/// use samplewise_hamming::{Interner, Plan, SymbolOptions};
/// let mut words = Interner::default();
/// let pattern = words.numbers("the quick fox".split(' '));
/// let text = words.numbers("a quick red fox and the quick fox".split(' '));
/// let plan = Plan::of_symbols(&pattern, &SymbolOptions::default())?;
/// assert_eq!(plan.distances(&text)?.distances, [2, 2, 3, 3, 3, 0]);
/// # Ok::<(), samplewise_hamming::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Interner<T>(HashMap<T, u32, RandomState>);

impl<T> Default for Interner<T> {
    fn default() -> Self {
        Self(HashMap::default())
    }
}

impl<T: Eq + Hash> Interner<T> {
    /// The numbers of some values; new ones get the next numbers. Memory: one copy of every different value.
    pub fn numbers(&mut self, values: impl IntoIterator<Item = T>) -> Vec<u32> {
        let mut number = |value| {
            let next = self.0.len() as u32;
            *self.0.entry(value).or_insert(next)
        };
        values.into_iter().map(&mut number).collect()
    }

    /// How many different values there were.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True before the first value.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What the letters of a byte text mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Alphabet {
    /// Bytes as they are.
    #[default]
    Bytes,
    /// `ACGT` (and `U` as `T`), either case; other letters are an error in the pattern and match nothing in the text.
    Dna,
    /// IUPAC nucleotide codes in both: two codes match when they share a nucleotide, so that `N` in the pattern matches every
    /// code. What `N` in the text matches is said by [`TextN`].
    Iupac,
}

/// What an `N` of the text matches with [`Alphabet::Iupac`]: genomes have runs of millions of them, where nothing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum TextN {
    /// An `N` of the pattern only.
    #[default]
    Mismatch,
    /// Every letter of the pattern, as the codes of [`Alphabet::Iupac`] say.
    Match,
}

/// What a pair of symbols counts when one of them is the wildcard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum WildcardMeaning {
    /// The pair counts as a match.
    #[default]
    Match,
    /// A mismatch, even beside another wildcard.
    Mismatch,
    /// Nothing: the distance is that of the other pairs, and their number comes with it.
    Excluded,
}

/// A text in codes.
#[derive(Debug)]
pub enum Codes<'a> {
    /// At most 256 codes.
    Narrow(Cow<'a, [u8]>),
    /// At most 65,536.
    Wide(Vec<u16>),
    /// More bits, for each code a word.
    Full(Vec<u32>),
}

/// The letters of a pattern, and how text symbols become codes.
///
/// Row HAM-5 of `paper-refs.md`.
#[derive(Clone, Debug)]
pub struct Relation<S: Symbol> {
    /// The symbols that occur, by classes that match alike.
    pub classes: Classes,
    /// What wildcards count.
    pub meaning: WildcardMeaning,
    /// The code of a text wildcard.
    wild: Option<u32>,
    encoder: Encoder<S>,
}

#[derive(Clone, Debug)]
enum Encoder<S> {
    /// Codes are the bytes themselves.
    Identity,
    /// Codes of bytes.
    Table(Box<[u8; 256]>),
    /// Codes of listed symbols; every other symbol has the given one.
    Listed { codes: HashMap<S, u32, RandomState>, other: u32 },
    /// The same for symbols that are small [numbers](Symbol::number).
    Numbered { codes: Vec<u32>, other: u32 },
}

/// Longest table of numbered symbols, 16 MiB, and of short patterns: so many entries per pattern symbol.
const LONGEST_TABLE: u64 = 1 << 22;
const SPARSEST_TABLE: u64 = 64;

impl<S: Symbol> Relation<S> {
    /// Equality of symbols; `wildcard`, in pattern and text, is no symbol like others.
    ///
    /// # Errors
    /// [`Error::EmptyPattern`].
    pub fn equality(pattern: &[S], wildcard: Option<S>, meaning: WildcardMeaning) -> Result<Self, Error> {
        if pattern.is_empty() {
            return Err(Error::EmptyPattern);
        }
        let mut numbers: HashMap<S, u32, RandomState> = HashMap::default();
        let mut letters = Vec::with_capacity(pattern.len());
        for &s in pattern {
            if Some(s) == wildcard {
                letters.push(None);
                continue;
            }
            let next = numbers.len();
            letters.push(Some(*numbers.entry(s).or_insert(next as u32)));
        }
        let count = numbers.len();
        if let (Some(bytes), wild) = (S::bytes(pattern), wildcard.map(|w| [w])) {
            let mut codes = vec![0; count];
            for (letter, &b) in letters.iter().zip(bytes) {
                letter.iter().for_each(|&l| codes[l as usize] = u32::from(b));
            }
            let wild = wild.and_then(|w| S::bytes(&w).map(|w| u32::from(w[0])));
            let rule = Rule::Equal { wildcard: wild.filter(|_| meaning != WildcardMeaning::Mismatch) };
            let classes = Classes { pattern: letters, codes, rule, code_count: 256 };
            return Ok(Self { classes, meaning, wild, encoder: Encoder::Identity });
        }
        // One code per letter, one for the wildcard, one for everything else.
        if let Some(w) = wildcard {
            numbers.insert(w, count as u32);
        }
        let wild = wildcard.map(|_| count as u32);
        let rule = Rule::Equal { wildcard: wild.filter(|_| meaning != WildcardMeaning::Mismatch) };
        let classes = Classes { pattern: letters, codes: (0..count as u32).collect(), rule, code_count: count + 2 };
        let other = count as u32 + 1;
        let largest = numbers.keys().try_fold(0, |most, s| s.number().map(|n| n.max(most)));
        let longest = LONGEST_TABLE.min(SPARSEST_TABLE * pattern.len() as u64);
        let encoder = match largest {
            Some(largest) if largest < longest => {
                let mut codes = vec![other; largest as usize + 1];
                for (s, &code) in &numbers {
                    codes[s.number().expect("a number") as usize] = code;
                }
                Encoder::Numbered { codes, other }
            }
            _ => Encoder::Listed { codes: numbers, other },
        };
        Ok(Self { classes, meaning, wild, encoder })
    }

    /// What a distance is before matches are subtracted: the pattern positions that count.
    pub fn base(&self, pattern: &[Option<u32>]) -> u32 {
        match self.meaning {
            WildcardMeaning::Mismatch => pattern.len() as u32,
            _ => pattern.iter().flatten().count() as u32,
        }
    }

    /// The pattern of one letter that matches the text's wildcard wherever the given pattern counts: its matches are the
    /// pairs that a text wildcard excludes. `None` where none are excluded.
    pub fn excluded(&self, pattern: &[Option<u32>]) -> Option<Classes> {
        let code = self.wild.filter(|_| self.meaning == WildcardMeaning::Excluded)?;
        let rule = match self.classes.rule {
            Rule::Equal { .. } => Rule::Equal { wildcard: None },
            Rule::Share => Rule::Share,
        };
        let pattern: Vec<Option<u32>> = pattern.iter().map(|l| l.map(|_| 0)).collect();
        let codes = if pattern.iter().any(Option::is_some) { vec![code] } else { Vec::new() };
        Some(Classes { pattern, codes, rule, code_count: self.classes.code_count })
    }

    /// A code that matches nothing, for texts whose codes are all [full](Relation::encode_full).
    pub fn outside(classes: &Classes) -> u32 {
        match classes.rule {
            Rule::Equal { .. } => classes.code_count as u32,
            Rule::Share => 0,
        }
    }

    /// Codes of a text, four bytes each.
    pub fn encode_full(&self, text: &[S]) -> Vec<u32> {
        match self.encode(text) {
            Codes::Narrow(codes) => codes.iter().map(|&c| u32::from(c)).collect(),
            Codes::Wide(codes) => codes.iter().map(|&c| u32::from(c)).collect(),
            Codes::Full(codes) => codes,
        }
    }

    /// Codes of a text. Bytes compared for equality are not copied.
    pub fn encode<'a>(&self, text: &'a [S]) -> Codes<'a> {
        match &self.encoder {
            Encoder::Identity => Codes::Narrow(Cow::Borrowed(S::bytes(text).expect("a relation of bytes"))),
            Encoder::Table(table) => {
                let bytes = S::bytes(text).expect("a relation of bytes");
                Codes::Narrow(bytes.par_iter().map(|&b| table[b as usize]).collect::<Vec<u8>>().into())
            }
            Encoder::Listed { codes, other } => self.number(text, |s| codes.get(s).copied().unwrap_or(*other)),
            Encoder::Numbered { codes, other } => {
                let code = |n: u64| usize::try_from(n).ok().and_then(|n| codes.get(n)).copied().unwrap_or(*other);
                self.number(text, |s| s.number().map_or(*other, code))
            }
        }
    }

    /// Codes of the least width.
    fn number(&self, text: &[S], code: impl Fn(&S) -> u32 + Sync + Send) -> Codes<'static> {
        if self.classes.code_count <= 256 {
            Codes::Narrow(text.par_iter().map(|s| code(s) as u8).collect::<Vec<u8>>().into())
        } else if self.classes.code_count <= 1 << 16 {
            Codes::Wide(text.par_iter().map(|s| code(s) as u16).collect())
        } else {
            Codes::Full(text.par_iter().map(code).collect())
        }
    }
}

impl Relation<u8> {
    /// The relation of a byte alphabet.
    ///
    /// # Errors
    /// [`Error::EmptyPattern`], [`Error::UnknownSymbol`] for a pattern letter the alphabet lacks.
    pub fn of_alphabet(
        pattern: &[u8],
        alphabet: Alphabet,
        wildcard: Option<u8>,
        meaning: WildcardMeaning,
        text_n: TextN,
    ) -> Result<Self, Error> {
        let (name, set): (&str, fn(u8) -> u8) = match alphabet {
            Alphabet::Bytes => return Self::equality(pattern, wildcard, meaning),
            Alphabet::Dna => ("dna", |b| if is_acgt(b) { nucleotides(b) } else { 0 }),
            Alphabet::Iupac => ("iupac", nucleotides),
        };
        if pattern.is_empty() {
            return Err(Error::EmptyPattern);
        }
        // Codes are the 16 nucleotide sets (0 for letters outside the alphabet); bit 4 is in the wildcard of the text
        // and, unless wildcards are mismatches, in every letter of the pattern.
        // Bit 5 is in the N of both, where an N of the text has no other.
        const WILD: u8 = 16;
        const BOTH_N: u8 = 32;
        let apart = alphabet == Alphabet::Iupac && text_n == TextN::Mismatch;
        let unknown = |b: u8| apart && b.eq_ignore_ascii_case(&b'N');
        let wild = |b: u8| wildcard.is_some_and(|w| b.eq_ignore_ascii_case(&w));
        let mut letters = Vec::with_capacity(pattern.len());
        let mut codes: Vec<u32> = Vec::new();
        for (position, &b) in pattern.iter().enumerate() {
            if wild(b) {
                letters.push(None);
                continue;
            }
            if set(b) == 0 {
                return Err(Error::UnknownSymbol { argument: "pattern", symbol: b as char, position, alphabet: name });
            }
            let wildcard = if meaning == WildcardMeaning::Mismatch { 0 } else { WILD };
            let code = u32::from(set(b) | wildcard | if unknown(b) { BOTH_N } else { 0 });
            let letter = codes.iter().position(|&c| c == code).unwrap_or_else(|| {
                codes.push(code);
                codes.len() - 1
            });
            letters.push(Some(letter as u32));
        }
        let mut table = Box::new([0; 256]);
        for (b, code) in (0..=255_u8).zip(table.iter_mut()) {
            *code = match b {
                b if wild(b) => WILD,
                b if unknown(b) => BOTH_N,
                b => set(b),
            };
        }
        let code_count = if apart { 64 } else { 32 };
        let classes = Classes { pattern: letters, codes, rule: Rule::Share, code_count };
        Ok(Self { classes, meaning, wild: wildcard.map(|_| u32::from(WILD)), encoder: Encoder::Table(table) })
    }
}

fn is_acgt(b: u8) -> bool {
    matches!(b.to_ascii_uppercase(), b'A' | b'C' | b'G' | b'T' | b'U')
}

/// Nucleotides of an IUPAC code as bits A = 1, C = 2, G = 4, T = 8; 0 for other letters.
fn nucleotides(b: u8) -> u8 {
    match b.to_ascii_uppercase() {
        b'A' => 1,
        b'C' => 2,
        b'G' => 4,
        b'T' | b'U' => 8,
        b'R' => 1 | 4,
        b'Y' => 2 | 8,
        b'S' => 2 | 4,
        b'W' => 1 | 8,
        b'K' => 4 | 8,
        b'M' => 1 | 2,
        b'B' => 2 | 4 | 8,
        b'D' => 1 | 4 | 8,
        b'H' => 1 | 2 | 8,
        b'V' => 1 | 2 | 4,
        b'N' => 15,
        _ => 0,
    }
}

/// Complement of an IUPAC nucleotide code, case kept; other bytes stay.
pub fn complement_dna(b: u8) -> u8 {
    let upper = match b.to_ascii_uppercase() {
        b'A' => b'T',
        b'C' => b'G',
        b'G' => b'C',
        b'T' | b'U' => b'A',
        b'R' => b'Y',
        b'Y' => b'R',
        b'K' => b'M',
        b'M' => b'K',
        b'B' => b'V',
        b'V' => b'B',
        b'D' => b'H',
        b'H' => b'D',
        _ => return b,
    };
    if b.is_ascii_lowercase() { upper.to_ascii_lowercase() } else { upper }
}

/// Reverse complement of a nucleotide sequence.
pub fn reverse_complement(sequence: &[u8]) -> Vec<u8> {
    sequence.iter().rev().map(|&b| complement_dna(b)).collect()
}
