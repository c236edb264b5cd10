//! The loops over registers: comparison of text to bits, bit-plane adders, and back from bit planes to counts.
//!
//! Everything here is meant to be inlined into a dispatch; each function has a form for AVX-512, for AVX2 and for
//! everything else, and the tests hold the three against each other.
use pulp::Simd;

/// So many times 64 alignments, worked on together.
pub(crate) type Bits<const W: usize> = [u64; W];

/// When a text code matches: [`EQUAL`] to the first code, [`EITHER`] of both, or [`SHARE`] a bit with the first.
pub(crate) const EQUAL: u8 = 0;
pub(crate) const EITHER: u8 = 1;
pub(crate) const SHARE: u8 = 2;

/// Bit `i` is set where `codes[i]` matches.
#[inline(always)]
pub(crate) fn match_bytes<S: Simd, const RULE: u8>(simd: S, own: [u8; 2], codes: &[u8; 64]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        let token: &dyn std::any::Any = &simd;
        if let Some(&s) = token.downcast_ref::<pulp::x86::V4>() {
            return x86::match_bytes_512::<RULE>(s, own, codes);
        }
        if let Some(&s) = token.downcast_ref::<pulp::x86::V3>() {
            return x86::match_bytes_256::<RULE>(s, own, codes);
        }
    }
    let _ = simd;
    let every = |byte: u8| u64::from(byte) * 0x0101_0101_0101_0101;
    let (a, b) = (every(own[0]), every(own[1]));
    // The lowest bit of each byte that is not zero.
    let some = |x: u64| (((x & every(0x7f)) + every(0x7f)) | x) >> 7 & every(1);
    let mut out = 0;
    for (byte, eight) in codes.as_chunks::<8>().0.iter().enumerate() {
        let v = u64::from_le_bytes(*eight);
        let marks = match RULE {
            EQUAL => some(v ^ a) ^ every(1),
            EITHER => (some(v ^ a) & some(v ^ b)) ^ every(1),
            _ => some(v & a),
        };
        out |= gather(marks.to_le_bytes()) << (8 * byte);
    }
    out
}

/// [`match_bytes`] for codes of two bytes.
#[inline(always)]
pub(crate) fn match_pairs<S: Simd, const RULE: u8>(simd: S, own: [u16; 2], codes: &[u16; 64]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        let token: &dyn std::any::Any = &simd;
        if let Some(&s) = token.downcast_ref::<pulp::x86::V4>() {
            return x86::match_pairs_512::<RULE>(s, own, codes);
        }
    }
    let _ = simd;
    let mut out = 0;
    for (byte, eight) in codes.as_chunks::<8>().0.iter().enumerate() {
        let mut marks = [0_u8; 8];
        for i in 0..8 {
            marks[i] = u8::from(matches::<RULE>(u32::from(own[0]), u32::from(own[1]), u32::from(eight[i])));
        }
        out |= gather(marks) << (8 * byte);
    }
    out
}

/// [`match_bytes`] for codes of four bytes.
#[inline(always)]
pub(crate) fn match_quads<S: Simd, const RULE: u8>(simd: S, own: [u32; 2], codes: &[u32; 64]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        let token: &dyn std::any::Any = &simd;
        if let Some(&s) = token.downcast_ref::<pulp::x86::V4>() {
            return x86::match_quads_512::<RULE>(s, own, codes);
        }
    }
    let _ = simd;
    let mut out = 0;
    for (byte, eight) in codes.as_chunks::<8>().0.iter().enumerate() {
        let mut marks = [0_u8; 8];
        for i in 0..8 {
            marks[i] = u8::from(matches::<RULE>(own[0], own[1], eight[i]));
        }
        out |= gather(marks) << (8 * byte);
    }
    out
}

#[inline(always)]
fn matches<const RULE: u8>(own: u32, other: u32, code: u32) -> bool {
    match RULE {
        EQUAL => code == own,
        EITHER => code == own || code == other,
        _ => code & own != 0,
    }
}

/// Gathers the lowest bits of eight bytes into one byte, in order.
#[inline(always)]
fn gather(marks: [u8; 8]) -> u64 {
    u64::from_le_bytes(marks).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

/// `out` is `bits` shifted down by `s` of 1 to 63 bits; `bits` has at least one word more.
#[inline(always)]
pub(crate) fn shift_down(bits: &[u64], s: u32, out: &mut [u64]) {
    for ((o, low), high) in out.iter_mut().zip(bits).zip(&bits[1..]) {
        *o = low >> s | high << (64 - s);
    }
}

/// `W` words from a byte on.
#[inline(always)]
pub(crate) fn load<const W: usize>(tables: &[u8], at: usize) -> Bits<W> {
    let bytes = tables[at..at + 8 * W].as_chunks::<8>().0;
    let mut out = [0; W];
    for w in 0..W {
        out[w] = u64::from_le_bytes(bytes[w]);
    }
    out
}

/// Full adder on all lanes: `a + b + c = sum + 2·carry`.
#[inline(always)]
pub(crate) fn full_add<const W: usize>(a: Bits<W>, b: Bits<W>, c: Bits<W>) -> (Bits<W>, Bits<W>) {
    let (mut sum, mut carry) = ([0; W], [0; W]);
    for w in 0..W {
        let t = a[w] ^ b[w];
        sum[w] = t ^ c[w];
        carry[w] = (a[w] & b[w]) | (t & c[w]);
    }
    (sum, carry)
}

/// Counters of weight 1, 2 and 4.
#[derive(Clone, Copy)]
pub(crate) struct Low<const W: usize> {
    pub ones: Bits<W>,
    pub twos: Bits<W>,
    pub fours: Bits<W>,
}

impl<const W: usize> Low<W> {
    /// Adds the bit vectors that begin at eight bytes; returns the carry of weight 8. Each is loaded where it is added, so
    /// that no more than two are held.
    #[inline(always)]
    pub fn add_eight(&mut self, tables: &[u8], at: &[usize; 8], offset: usize) -> Bits<W> {
        let (s, a) = full_add(self.ones, load(tables, at[0] + offset), load(tables, at[1] + offset));
        let (s, b) = full_add(s, load(tables, at[2] + offset), load(tables, at[3] + offset));
        let (t, x) = full_add(self.twos, a, b);
        let (s, a) = full_add(s, load(tables, at[4] + offset), load(tables, at[5] + offset));
        let (s, b) = full_add(s, load(tables, at[6] + offset), load(tables, at[7] + offset));
        let (t, y) = full_add(t, a, b);
        let (f, carry) = full_add(self.fours, x, y);
        (self.ones, self.twos, self.fours) = (s, t, f);
        carry
    }
}

/// Adds one bit per lane to counters given from their lowest plane on; returns what leaves the highest.
#[inline(always)]
pub(crate) fn ripple<const W: usize>(planes: &mut [Bits<W>], mut carry: Bits<W>) -> Bits<W> {
    for plane in planes {
        for w in 0..W {
            let c = plane[w] & carry[w];
            plane[w] ^= carry[w];
            carry[w] = c;
        }
    }
    carry
}

/// True when some bit is set, of one register's worth.
#[inline(always)]
pub(crate) fn any<S: Simd, const W: usize>(simd: S, bits: Bits<W>) -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        let token: &dyn std::any::Any = &simd;
        let bits: &dyn std::any::Any = &bits;
        if let (Some(&s), Some(&bits)) = (token.downcast_ref::<pulp::x86::V4>(), bits.downcast_ref::<Bits<8>>()) {
            return s.avx512f._mm512_test_epi64_mask(pulp::cast(bits), pulp::cast(bits)) != 0;
        }
        if let (Some(&s), Some(&bits)) = (token.downcast_ref::<pulp::x86::V3>(), bits.downcast_ref::<Bits<4>>()) {
            return s.avx._mm256_testz_si256(pulp::cast(bits), pulp::cast(bits)) == 0;
        }
    }
    let _ = simd;
    let mut all = 0;
    for w in 0..W {
        all |= bits[w];
    }
    all != 0
}

/// The counts of the 64 lanes of word `w`, bit `p` of lane `i` being bit `i` of `planes[p][w]` for at most 16 planes,
/// written as `base − count` for a base, else subtracted from what `out` holds.
#[inline(always)]
pub(crate) fn unpack<S: Simd, const W: usize>(
    simd: S,
    planes: &[Bits<W>],
    w: usize,
    base: Option<u32>,
    out: &mut [u32; 64],
) {
    #[cfg(target_arch = "x86_64")]
    {
        let token: &dyn std::any::Any = &simd;
        if let Some(&s) = token.downcast_ref::<pulp::x86::V4>() {
            return x86::unpack_512(s, planes, w, base, out);
        }
        if let Some(&s) = token.downcast_ref::<pulp::x86::V3>() {
            return x86::unpack_256(s, planes, w, base, out);
        }
    }
    let _ = simd;
    // Eight lanes at a time, a byte each: the byte of bits eight times over, one bit kept of each, and made the lowest.
    for (byte, part) in out.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let mut counts = [0_u64; 2];
        for (p, plane) in planes.iter().enumerate() {
            let bits = (plane[w] >> (8 * byte) & 0xff).wrapping_mul(0x0101_0101_0101_0101) & 0x8040_2010_0804_0201;
            let set = (bits + 0x7f7f_7f7f_7f7f_7f7f) >> 7 & 0x0101_0101_0101_0101;
            counts[p / 8] += set << (p % 8);
        }
        let (low, high) = (counts[0].to_le_bytes(), counts[1].to_le_bytes());
        for i in 0..8 {
            let count = u32::from(low[i]) | u32::from(high[i]) << 8;
            part[i] = base.unwrap_or(part[i]).wrapping_sub(count);
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::__m256i;

    use pulp::x86::{V3, V4};

    use super::{Bits, EITHER, EQUAL};

    #[inline(always)]
    pub fn match_bytes_512<const RULE: u8>(s: V4, own: [u8; 2], codes: &[u8; 64]) -> u64 {
        let (v, a, b) = (pulp::cast(*codes), pulp::cast([own[0]; 64]), pulp::cast([own[1]; 64]));
        match RULE {
            EQUAL => s.avx512bw._mm512_cmpeq_epi8_mask(v, a),
            EITHER => s.avx512bw._mm512_cmpeq_epi8_mask(v, a) | s.avx512bw._mm512_cmpeq_epi8_mask(v, b),
            _ => s.avx512bw._mm512_test_epi8_mask(v, a),
        }
    }

    #[inline(always)]
    pub fn match_pairs_512<const RULE: u8>(s: V4, own: [u16; 2], codes: &[u16; 64]) -> u64 {
        let (a, b) = (pulp::cast([own[0]; 32]), pulp::cast([own[1]; 32]));
        let mut out = 0;
        for (half, part) in codes.as_chunks::<32>().0.iter().enumerate() {
            let v = pulp::cast(*part);
            let mask = match RULE {
                EQUAL => s.avx512bw._mm512_cmpeq_epi16_mask(v, a),
                EITHER => s.avx512bw._mm512_cmpeq_epi16_mask(v, a) | s.avx512bw._mm512_cmpeq_epi16_mask(v, b),
                _ => s.avx512bw._mm512_test_epi16_mask(v, a),
            };
            out |= u64::from(mask) << (32 * half);
        }
        out
    }

    #[inline(always)]
    pub fn match_quads_512<const RULE: u8>(s: V4, own: [u32; 2], codes: &[u32; 64]) -> u64 {
        let (a, b) = (pulp::cast([own[0]; 16]), pulp::cast([own[1]; 16]));
        let mut out = 0;
        for (quarter, part) in codes.as_chunks::<16>().0.iter().enumerate() {
            let v = pulp::cast(*part);
            let mask = match RULE {
                EQUAL => s.avx512f._mm512_cmpeq_epi32_mask(v, a),
                EITHER => s.avx512f._mm512_cmpeq_epi32_mask(v, a) | s.avx512f._mm512_cmpeq_epi32_mask(v, b),
                _ => s.avx512f._mm512_test_epi32_mask(v, a),
            };
            out |= u64::from(mask) << (16 * quarter);
        }
        out
    }

    #[inline(always)]
    pub fn match_bytes_256<const RULE: u8>(s: V3, own: [u8; 2], codes: &[u8; 64]) -> u64 {
        let (a, b): (__m256i, __m256i) = (pulp::cast([own[0]; 32]), pulp::cast([own[1]; 32]));
        let mut out = 0;
        for (half, part) in codes.as_chunks::<32>().0.iter().enumerate() {
            let v: __m256i = pulp::cast(*part);
            let hit = match RULE {
                EQUAL => s.avx2._mm256_cmpeq_epi8(v, a),
                EITHER => s.avx2._mm256_or_si256(s.avx2._mm256_cmpeq_epi8(v, a), s.avx2._mm256_cmpeq_epi8(v, b)),
                _ => {
                    let none = s.avx2._mm256_cmpeq_epi8(s.avx2._mm256_and_si256(v, a), pulp::cast([0_u8; 32]));
                    s.avx2._mm256_xor_si256(none, pulp::cast([0xff_u8; 32]))
                }
            };
            out |= u64::from(s.avx2._mm256_movemask_epi8(hit) as u32) << (32 * half);
        }
        out
    }

    /// Low and high byte of each count by masked additions, then widened.
    #[inline(always)]
    pub fn unpack_512<const W: usize>(s: V4, planes: &[Bits<W>], w: usize, base: Option<u32>, out: &mut [u32; 64]) {
        let zero: std::arch::x86_64::__m512i = pulp::cast([0_u8; 64]);
        let (mut low, mut high) = (zero, zero);
        let (first, second) = planes.split_at(planes.len().min(8));
        for (p, plane) in first.iter().enumerate() {
            low = s.avx512bw._mm512_mask_add_epi8(low, plane[w], low, pulp::cast([1_u8 << p; 64]));
        }
        for (p, plane) in second.iter().enumerate() {
            high = s.avx512bw._mm512_mask_add_epi8(high, plane[w], high, pulp::cast([1_u8 << p; 64]));
        }
        let (low, high): ([[u8; 16]; 4], [[u8; 16]; 4]) = (pulp::cast(low), pulp::cast(high));
        let base = base.map(|base| pulp::cast([base; 16]));
        for (q, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            let mut count = s.avx512f._mm512_cvtepu8_epi32(pulp::cast(low[q]));
            if !second.is_empty() {
                let high = s.avx512f._mm512_cvtepu8_epi32(pulp::cast(high[q]));
                count = s.avx512f._mm512_or_si512(count, s.avx512f._mm512_slli_epi32::<8>(high));
            }
            let from = base.unwrap_or_else(|| pulp::cast(*out));
            *out = pulp::cast(s.avx512f._mm512_sub_epi32(from, count));
        }
    }

    /// The same; each bit becomes a byte by a shuffle and a comparison.
    #[inline(always)]
    pub fn unpack_256<const W: usize>(s: V3, planes: &[Bits<W>], w: usize, base: Option<u32>, out: &mut [u32; 64]) {
        const SPREAD: [u8; 32] = {
            let mut spread = [0; 32];
            let mut i = 0;
            while i < 32 {
                spread[i] = (i / 8) as u8;
                i += 1;
            }
            spread
        };
        let spread: __m256i = pulp::cast(SPREAD);
        let select: __m256i = pulp::cast([0x8040_2010_0804_0201_u64; 4]);
        let base = base.map(|base| pulp::cast([base; 8]));
        for half in 0..2 {
            let mut counts: [__m256i; 2] = [pulp::cast([0_u8; 32]); 2];
            for (p, plane) in planes.iter().enumerate() {
                let bits: __m256i = pulp::cast([(plane[w] >> (32 * half)) as u32; 8]);
                let bits = s.avx2._mm256_and_si256(s.avx2._mm256_shuffle_epi8(bits, spread), select);
                let set = s.avx2._mm256_cmpeq_epi8(bits, select);
                let add = s.avx2._mm256_and_si256(set, pulp::cast([1_u8 << (p % 8); 32]));
                counts[p / 8] = s.avx2._mm256_add_epi8(counts[p / 8], add);
            }
            let [low, high]: [[[u8; 16]; 2]; 2] = [pulp::cast(counts[0]), pulp::cast(counts[1])];
            for q in 0..4 {
                let eight = |bytes: &[[u8; 16]; 2]| -> std::arch::x86_64::__m128i {
                    let half: [u64; 2] = pulp::cast(bytes[q / 2]);
                    pulp::cast([half[q % 2], 0])
                };
                let mut count = s.avx2._mm256_cvtepu8_epi32(eight(&low));
                if planes.len() > 8 {
                    let high = s.avx2._mm256_cvtepu8_epi32(eight(&high));
                    count = s.avx2._mm256_or_si256(count, s.avx2._mm256_slli_epi32::<8>(high));
                }
                let part: &mut [u32; 8] = (&mut out[32 * half + 8 * q..][..8]).try_into().expect("eight lanes");
                let from = base.unwrap_or_else(|| pulp::cast(*part));
                *part = pulp::cast(s.avx2._mm256_sub_epi32(from, count));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use pulp::Scalar;

    use super::*;

    struct All<'a> {
        codes: &'a [u8; 64],
        planes: &'a [Bits<2>],
        out: [u32; 64],
    }
    impl pulp::WithSimd for All<'_> {
        type Output = ([u64; 9], [u32; 64], [u32; 64]);
        #[inline(always)]
        fn with_simd<S: Simd>(mut self, s: S) -> Self::Output {
            let (wide, full) = (self.codes.map(u16::from), self.codes.map(u32::from));
            let masks = [
                match_bytes::<S, EQUAL>(s, [3, 5], self.codes),
                match_bytes::<S, EITHER>(s, [3, 5], self.codes),
                match_bytes::<S, SHARE>(s, [3, 5], self.codes),
                match_pairs::<S, EQUAL>(s, [3, 5], &wide),
                match_pairs::<S, EITHER>(s, [3, 5], &wide),
                match_pairs::<S, SHARE>(s, [3, 5], &wide),
                match_quads::<S, EQUAL>(s, [3, 5], &full),
                match_quads::<S, EITHER>(s, [3, 5], &full),
                match_quads::<S, SHARE>(s, [3, 5], &full),
            ];
            let mut fresh = [9; 64];
            unpack(s, self.planes, 1, Some(100_000), &mut fresh);
            unpack(s, self.planes, 1, None, &mut self.out);
            (masks, fresh, self.out)
        }
    }

    #[test]
    fn every_instruction_set_agrees() {
        let mut state = 1_u64;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.rotate_left(32)
        };
        for used in 0..=16 {
            let codes: [u8; 64] = std::array::from_fn(|_| (next() % 8) as u8);
            let planes: Vec<Bits<2>> = (0..used).map(|_| [next(), next()]).collect();
            let out = std::array::from_fn(|_| next() as u32);
            let all = || All { codes: &codes, planes: &planes, out };
            let want = pulp::WithSimd::with_simd(all(), Scalar::new());
            for i in 0..64 {
                let count: u32 = planes.iter().enumerate().map(|(p, w)| (w[1] >> i & 1) as u32 * (1 << p)).sum();
                assert_eq!((want.1[i], want.2[i]), (100_000 - count, out[i].wrapping_sub(count)));
                assert_eq!(want.0[0] >> i & 1 == 1, codes[i] == 3);
                assert_eq!(want.0[1] >> i & 1 == 1, codes[i] == 3 || codes[i] == 5);
                assert_eq!(want.0[2] >> i & 1 == 1, codes[i] & 3 != 0);
            }
            assert_eq!(want.0[..3], want.0[3..6]);
            assert_eq!(want.0[..3], want.0[6..]);
            #[cfg(target_arch = "x86_64")]
            {
                if let Some(s) = pulp::x86::V3::try_new() {
                    assert_eq!(pulp::Simd::vectorize(s, all()), want, "AVX2");
                }
                if let Some(s) = pulp::x86::V4::try_new() {
                    assert_eq!(pulp::Simd::vectorize(s, all()), want, "AVX-512");
                }
            }
        }
    }
}
