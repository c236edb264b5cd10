//! Engine for long patterns: a bit per text position and class, 512 alignments per step, counted in bit planes by
//! carry-save adders.
//!
//! The comparison is made once per (class, text position) and used by every pattern position of that class; afterwards
//! one load and about five logic operations advance 512 alignments by one symbol, for every alphabet. Eight copies of
//! each bit vector, shifted by 0 to 7 bits, make every load byte-aligned.
use crate::relation::{Relation, Symbol};

const WORDS: usize = 8;
/// Alignments counted together.
const LANES: usize = 64 * WORDS;
/// Alignments per block and pattern positions per piece: tables of a DNA text stay in the second-level cache.
pub(crate) const BLOCK: usize = 1 << 14;
const PIECE: usize = 1 << 14;
/// Bit planes: a piece has at most 2^14 positions.
const PLANES: usize = 15;

type Bits = [u64; WORDS];

/// Distances of one block of alignments (row HAM-3); `codes` as in [`crate::vertical::distances`].
pub fn distances<S: Symbol>(relation: &Relation<S>, codes: &[u16], out: &mut [u32]) {
    let mut matches = vec![0_u32; out.len().next_multiple_of(LANES)];
    let mut tables = Vec::new();
    for (piece, part) in relation.pattern.chunks(PIECE).enumerate() {
        let first = piece * PIECE;
        let end = (first + matches.len() + part.len()).min(codes.len());
        let stride = build_tables(relation, &codes[first..end], matches.len() + part.len(), &mut tables);
        // Where the bits of each counted pattern position start, for alignment 0.
        let starts: Vec<usize> = part
            .iter()
            .enumerate()
            .filter_map(|(j, class)| class.map(|c| (c as usize * 8 + j % 8) * stride + j / 8))
            .collect();
        for (group, counts) in matches.chunks_exact_mut(LANES).enumerate() {
            pulp::Arch::new().dispatch(
                #[inline(always)]
                || {
                    let planes = count(&tables, &starts, group * LANES / 8);
                    add_planes(&planes, starts.len(), counts);
                },
            );
        }
    }
    let counted = relation.counted() as u32;
    out.iter_mut().zip(&matches).for_each(|(d, m)| *d = counted - m);
}

/// For each class eight byte arrays of match bits, the `s`-th shifted down by `s`; returns the bytes of one array.
fn build_tables<S: Symbol>(relation: &Relation<S>, codes: &[u16], span: usize, tables: &mut Vec<u8>) -> usize {
    let stride = (span.div_ceil(64) + 2) * 8;
    tables.clear();
    tables.resize(stride * 8 * relation.classes(), 0);
    for (class, rows) in relation.matches.iter().zip(tables.chunks_exact_mut(stride * 8)) {
        let (plain, shifted) = rows.split_at_mut(stride);
        for (byte, part) in plain.iter_mut().zip(codes.chunks(8)) {
            *byte = part.iter().enumerate().fold(0, |b, (i, &c)| b | u8::from(class[c as usize]) << i);
        }
        for (s, row) in shifted.chunks_exact_mut(stride).enumerate() {
            let s = s + 1;
            for (i, byte) in row[..stride - 1].iter_mut().enumerate() {
                *byte = plain[i] >> s | plain[i + 1] << (8 - s);
            }
        }
    }
    stride
}

#[inline(always)]
fn load(tables: &[u8], at: usize) -> Bits {
    let bytes: &[u8; 8 * WORDS] = tables[at..at + 8 * WORDS].try_into().expect("512 bits");
    let mut out = [0; WORDS];
    for w in 0..WORDS {
        out[w] = u64::from_le_bytes(bytes[8 * w..8 * w + 8].try_into().expect("64 bits"));
    }
    out
}

/// Full adder on 512 lanes: `a + b + c = sum + 2·carry`.
#[inline(always)]
fn full_add(a: Bits, b: Bits, c: Bits) -> (Bits, Bits) {
    let (mut sum, mut carry) = ([0; WORDS], [0; WORDS]);
    for w in 0..WORDS {
        let t = a[w] ^ b[w];
        sum[w] = t ^ c[w];
        carry[w] = (a[w] & b[w]) | (t & c[w]);
    }
    (sum, carry)
}

#[inline(always)]
fn count(tables: &[u8], starts: &[usize], offset: usize) -> [Bits; PLANES] {
    let mut planes = [[0; WORDS]; PLANES];
    let (mut ones, mut twos, mut fours) = ([0; WORDS], [0; WORDS], [0; WORDS]);
    let (groups, rest) = starts.as_chunks::<8>();
    for g in groups {
        let bit = |i: usize| load(tables, g[i] + offset);
        let (s, a) = full_add(ones, bit(0), bit(1));
        let (s, b) = full_add(s, bit(2), bit(3));
        let (t, x) = full_add(twos, a, b);
        let (s, a) = full_add(s, bit(4), bit(5));
        let (s, b) = full_add(s, bit(6), bit(7));
        let (t, y) = full_add(t, a, b);
        let (f, mut carry) = full_add(fours, x, y);
        (ones, twos, fours) = (s, t, f);
        for plane in &mut planes[3..] {
            let mut any = 0;
            for w in 0..WORDS {
                let c = plane[w] & carry[w];
                plane[w] ^= carry[w];
                carry[w] = c;
                any |= c;
            }
            if any == 0 {
                break;
            }
        }
    }
    (planes[0], planes[1], planes[2]) = (ones, twos, fours);
    for &start in rest {
        let mut carry = load(tables, start + offset);
        for plane in &mut planes {
            for w in 0..WORDS {
                let c = plane[w] & carry[w];
                plane[w] ^= carry[w];
                carry[w] = c;
            }
        }
    }
    planes
}

/// Adds the counts held by the planes, lane by lane.
#[inline(always)]
fn add_planes(planes: &[Bits; PLANES], counted: usize, counts: &mut [u32]) {
    let used = usize::BITS as usize - counted.leading_zeros() as usize;
    for (w, part) in counts.chunks_exact_mut(64).enumerate() {
        let part: &mut [u32; 64] = part.try_into().expect("64 lanes");
        for (p, plane) in planes.iter().enumerate().take(used) {
            let (low, high) = (plane[w] as u32, (plane[w] >> 32) as u32);
            for bit in 0..32 {
                part[bit] += (low >> bit & 1) << p;
                part[bit + 32] += (high >> bit & 1) << p;
            }
        }
    }
}
