//! DNA in two bits a letter.
use crate::answer::Answer;
use crate::plan::Plan;
use crate::search::{Hit, Search};
use crate::stream::{SearchStream, Stream};
use crate::{Error, Report};

/// A text of `A`, `C`, `G` and `T`, four to a byte: letter `i` is `ACGT[byte[i/4] >> 2(i mod 4) & 3]`.
///
/// ```
/// use samplewise_hamming::{Options, PackedDna, Plan};
/// let text = PackedDna::from_letters(b"ACGAACGTT")?;
/// assert_eq!((text.as_bytes().len(), text.get(2)), (3, Some(b'G')));
/// let plan = Plan::new(b"ACGT", &Options::default())?;
/// assert_eq!(plan.distances_packed(&text)?.distances, [1, 4, 4, 3, 0, 3]);
/// # Ok::<(), samplewise_hamming::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackedDna {
    bytes: Vec<u8>,
    len: usize,
}

const LETTERS: &[u8; 4] = b"ACGT";

/// The four letters of every byte.
const UNPACKED: [[u8; 4]; 256] = {
    let mut all = [[0; 4]; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut i = 0;
        while i < 4 {
            all[byte][i] = LETTERS[byte >> (2 * i) & 3];
            i += 1;
        }
        byte += 1;
    }
    all
};

/// Letters unpacked at a time: they stay in the second-level cache. A multiple of four.
const PIECE: usize = 1 << 18;

impl PackedDna {
    /// Packs letters, of either case.
    ///
    /// # Errors
    /// [`Error::UnknownSymbol`] for any other letter: two bits have no room for it.
    pub fn from_letters(letters: &[u8]) -> Result<Self, Error> {
        let mut bytes = vec![0; letters.len().div_ceil(4)];
        for (position, &letter) in letters.iter().enumerate() {
            let Some(code) = LETTERS.iter().position(|l| l.eq_ignore_ascii_case(&letter)) else {
                let symbol = letter as char;
                return Err(Error::UnknownSymbol { argument: "text", symbol, position, alphabet: "ACGT" });
            };
            bytes[position / 4] |= (code as u8) << (2 * (position % 4));
        }
        Ok(Self { bytes, len: letters.len() })
    }

    /// Takes packed bytes; the first `len` letters in them count, and the rest is dropped.
    ///
    /// # Errors
    /// [`Error::Argument`] when the bytes are too few.
    pub fn from_bytes(mut bytes: Vec<u8>, len: usize) -> Result<Self, Error> {
        if len.div_ceil(4) > bytes.len() {
            let allowed = format!("0 to {}, four letters of every byte", 4 * bytes.len());
            return Err(Error::count("len", len, allowed));
        }
        bytes.truncate(len.div_ceil(4));
        if let Some(last) = bytes.last_mut()
            && !len.is_multiple_of(4)
        {
            *last &= (1 << (2 * (len % 4))) - 1;
        }
        Ok(Self { bytes, len })
    }

    /// The packed bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Number of letters.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True without letters.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The letter at a position, or none beyond the end.
    pub fn get(&self, i: usize) -> Option<u8> {
        (i < self.len).then(|| UNPACKED[self.bytes[i / 4] as usize][i % 4])
    }

    /// All letters, a byte each.
    pub fn to_letters(&self) -> Vec<u8> {
        self.pieces().flatten().collect()
    }

    /// Stretches of letters one after the other.
    pub fn pieces(&self) -> impl Iterator<Item = Vec<u8>> {
        (0..self.len).step_by(PIECE).map(|from| {
            let len = PIECE.min(self.len - from);
            let bytes = &self.bytes[from / 4..(from + len).div_ceil(4)];
            let mut letters: Vec<u8> = bytes.iter().flat_map(|&b| UNPACKED[b as usize]).collect();
            letters.truncate(len);
            letters
        })
    }
}

impl Plan<u8> {
    /// [`Plan::distances`] of a packed text, unpacked piece by piece.
    ///
    /// # Errors
    /// As [`Plan::distances`].
    pub fn distances_packed(&self, text: &PackedDna) -> Result<Answer, Error> {
        let (mut distances, mut valid) = (Vec::new(), None);
        let report = self.for_each_packed_block(text, |block| {
            distances.extend_from_slice(block.distances);
            if let Some(more) = block.valid {
                Vec::extend_from_slice(valid.get_or_insert_default(), more);
            }
        })?;
        Ok(Answer { distances, valid, report })
    }

    /// [`Plan::for_each_block`] of a packed text; memory does not grow with it.
    ///
    /// # Errors
    /// As [`Plan::distances`].
    pub fn for_each_packed_block(
        &self,
        text: &PackedDna,
        mut sink: impl FnMut(crate::Block<'_>),
    ) -> Result<Report, Error> {
        if self.pattern_len() > text.len() {
            return Err(Error::PatternLongerThanText { pattern: self.pattern_len(), text: text.len() });
        }
        let mut stream = Stream::new(self);
        text.pieces().for_each(|piece| stream.push(&piece, &mut sink));
        Ok(stream.finish(&mut sink).expect("the text is no shorter than the pattern"))
    }
}

impl Search<u8> {
    /// [`Search::find`] in a packed text.
    pub fn find_packed(&self, text: &PackedDna) -> Vec<Hit> {
        let (mut hits, mut stream) = (Vec::new(), SearchStream::new(self));
        text.pieces().for_each(|piece| stream.push(&piece, |hit| hits.push(hit)));
        stream.finish(|hit| hits.push(hit));
        hits
    }
}
