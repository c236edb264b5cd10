//! What the transforms of a pattern take: pieces, memory, time.
use super::transform::N;
use super::{TILE, TOGETHER};
use crate::engine::costs::costs;

/// Longest pattern that is one piece, and length of the pieces of longer ones.
const ONE_PIECE: usize = N / 2 + 1;
const PIECE: usize = N / 2;
/// Bytes that the caches hold.
const CACHED: u128 = 16 << 20;

/// Pieces of a pattern of `m` symbols, and the alignments that one block gives.
pub(crate) fn shape(m: usize) -> (usize, usize) {
    if m <= ONE_PIECE { (1, N + 1 - m) } else { (m.div_ceil(PIECE), PIECE) }
}

/// Symbols of each piece.
pub(super) fn piece_len(pieces: usize) -> usize {
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

/// Nanoseconds per alignment of the NTT.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Costs {
    /// Of the transforms for one letter.
    pub transforms: f64,
    /// Of its products.
    pub products: f64,
    /// Of one inverse.
    pub inverse: f64,
}

/// For a pattern of `m` symbols, so many alignments, and at most so many letters.
pub(crate) fn costs_of(m: usize, alignments: usize, letters: usize) -> Costs {
    let (costs, n) = (costs(), alignments.max(1) as f64);
    let (pieces, hop) = shape(m);
    let (p, stretches) = (pieces as f64, (n / hop as f64).ceil());
    // The blocks of a short text that are transformed, the text's that are transformed twice, and those of the pattern.
    let together = stretches.min(blocks(pieces) as f64);
    let transforms = stretches * (together + p - 1.0) / together + 2.0 * p;
    // Products wait for memory where they are too many for the caches.
    let outside = bytes_of_products(m) > CACHED;
    // So do spectra of the text.
    let spectra = if bytes_of_text(letters, m) > CACHED { costs.ntt_spectra_outside } else { 1.0 };
    Costs {
        transforms: transforms * costs.ntt_transform / n,
        products: spectra * stretches * p * N as f64 * costs.ntt_product / n,
        inverse: stretches * (costs.ntt_transform + if outside { costs.ntt_outside } else { 0.0 }) / n,
    }
}
