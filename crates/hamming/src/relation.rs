//! Which text symbol matches which pattern symbol: equality, wildcards, IUPAC classes.
use std::collections::HashMap;
use std::hash::Hash;

use crate::HammingError;

/// A letter: bytes, integers, `char`.
pub trait Symbol: Copy + Eq + Hash + Send + Sync {
    /// The letter as an index below 256, if its type has no more values.
    fn small(self) -> Option<usize> {
        None
    }
}

impl Symbol for u8 {
    fn small(self) -> Option<usize> {
        Some(self as usize)
    }
}
impl Symbol for u16 {}
impl Symbol for u32 {}
impl Symbol for u64 {}
impl Symbol for i32 {}
impl Symbol for i64 {}
impl Symbol for char {}

/// What the letters of a byte text mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Alphabet {
    /// Bytes as they are.
    #[default]
    Bytes,
    /// `ACGT` (and `U` as `T`), either case; other letters are an error in the pattern and match nothing in the text.
    Dna,
    /// IUPAC nucleotide codes in both: two codes match when they share a nucleotide (so `N` matches every code).
    Iupac,
}

/// The pattern as classes, and the relation between classes and text symbols.
///
/// Pattern symbols are numbered in order of first appearance; text symbols become small numbers too, and
/// `matches[class][text symbol]` decides.
#[derive(Clone, Debug)]
pub struct Relation<S: Symbol> {
    /// Class of each pattern position; `None` matches everything.
    pub pattern: Vec<Option<u16>>,
    /// Text symbol numbers; the last one stands for every symbol that is not listed.
    codes: HashMap<S, u16>,
    /// `matches[class][code]`.
    pub matches: Vec<Vec<bool>>,
    /// Direct table for bytes.
    bytes: Option<Box<[u16; 256]>>,
}

impl<S: Symbol> Relation<S> {
    /// Equality of symbols; `wildcard` matches everything, in pattern and text.
    ///
    /// # Errors
    /// [`HammingError::EmptyPattern`]; [`HammingError::EngineUnsuitable`] beyond 65,000 distinct pattern symbols.
    pub fn equality(pattern: &[S], wildcard: Option<S>) -> Result<Self, HammingError> {
        if pattern.is_empty() {
            return Err(HammingError::EmptyPattern);
        }
        let mut codes: HashMap<S, u16> = HashMap::new();
        let mut classes = Vec::with_capacity(pattern.len());
        for &s in pattern {
            if Some(s) == wildcard {
                classes.push(None);
                continue;
            }
            let next = codes.len();
            let code = *codes.entry(s).or_insert(next as u16);
            if next > 65_000 {
                return Err(HammingError::EngineUnsuitable {
                    engine: "auto",
                    reason: "the pattern has more than 65000 distinct symbols",
                });
            }
            classes.push(Some(code));
        }
        let count = codes.len();
        // One code per pattern symbol, one for the wildcard, one for everything else.
        if let Some(w) = wildcard {
            codes.insert(w, count as u16);
        }
        let matches = (0..count).map(|c| (0..count + 2).map(|t| t == c || t == count).collect()).collect();
        Ok(Self { pattern: classes, codes, matches, bytes: None })
    }

    /// Number of distinct classes in the pattern.
    pub fn classes(&self) -> usize {
        self.matches.len()
    }

    /// Positions of the pattern that are not wildcards.
    pub fn counted(&self) -> usize {
        self.pattern.iter().flatten().count()
    }

    /// Number of the code that stands for unlisted symbols.
    fn other(&self) -> u16 {
        self.matches.first().map_or(0, |m| m.len() as u16 - 1)
    }

    /// Codes of a text.
    pub fn encode(&self, text: &[S]) -> Vec<u16> {
        let other = self.other();
        match &self.bytes {
            Some(table) => text.iter().map(|s| s.small().map_or(other, |b| table[b])).collect(),
            None => text.iter().map(|s| self.codes.get(s).copied().unwrap_or(other)).collect(),
        }
    }
}

impl Relation<u8> {
    /// The relation of a byte alphabet.
    ///
    /// # Errors
    /// [`HammingError::EmptyPattern`], [`HammingError::UnknownSymbol`] for a pattern letter the alphabet lacks.
    pub fn of_alphabet(pattern: &[u8], alphabet: Alphabet, wildcard: Option<u8>) -> Result<Self, HammingError> {
        if pattern.is_empty() {
            return Err(HammingError::EmptyPattern);
        }
        let set = |b: u8| -> u16 {
            match alphabet {
                Alphabet::Bytes => 0,
                Alphabet::Dna => {
                    if is_acgt(b) {
                        nucleotides(b)
                    } else {
                        0
                    }
                }
                Alphabet::Iupac => nucleotides(b),
            }
        };
        if alphabet == Alphabet::Bytes {
            let mut out = Self::equality(pattern, wildcard)?;
            out.fill_table();
            return Ok(out);
        }
        let name = if alphabet == Alphabet::Dna { "dna" } else { "iupac" };
        let mut classes = Vec::with_capacity(pattern.len());
        let mut sets: Vec<u16> = Vec::new();
        for (position, &b) in pattern.iter().enumerate() {
            if Some(b) == wildcard {
                classes.push(None);
                continue;
            }
            let s = set(b);
            if s == 0 {
                return Err(HammingError::UnknownSymbol {
                    argument: "pattern",
                    symbol: b as char,
                    position,
                    alphabet: name,
                });
            }
            let class = sets.iter().position(|&x| x == s).unwrap_or_else(|| {
                sets.push(s);
                sets.len() - 1
            });
            classes.push(Some(class as u16));
        }
        // Text codes are the 16 nucleotide sets (0 for letters outside the alphabet), 16 for the wildcard.
        let mut codes = HashMap::new();
        for b in 0..=255_u8 {
            codes.insert(b, if Some(b) == wildcard { 16 } else { set(b) });
        }
        let matches = sets.iter().map(|&s| (0..17).map(|t| t == 16 || s & t != 0).collect()).collect();
        let mut out = Self { pattern: classes, codes, matches, bytes: None };
        out.fill_table();
        Ok(out)
    }

    fn fill_table(&mut self) {
        let other = self.other();
        let mut table = Box::new([other; 256]);
        for (&b, &code) in &self.codes {
            table[b as usize] = code;
        }
        self.bytes = Some(table);
    }
}

fn is_acgt(b: u8) -> bool {
    matches!(b.to_ascii_uppercase(), b'A' | b'C' | b'G' | b'T' | b'U')
}

/// Nucleotides of an IUPAC code as bits A = 1, C = 2, G = 4, T = 8; 0 for other letters.
fn nucleotides(b: u8) -> u16 {
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
