//! AVX-512, AVX2 and SSE2.
use std::arch::x86_64::{__m128i, __m256i, __m512i};

use pulp::cast;
use pulp::x86::{V1, V3, V4};

use super::{Lanes, Line};

impl Lanes for V4 {
    type V = __m512i;

    #[inline(always)]
    fn load(self, from: &Line) -> Self::V {
        cast(from.0)
    }
    #[inline(always)]
    fn store(self, v: Self::V, to: &mut Line) {
        to.0 = cast(v);
    }
    #[inline(always)]
    fn splat(self, pair: i32) -> Self::V {
        self.avx512f._mm512_set1_epi32(pair)
    }
    #[inline(always)]
    fn expand(self, bits: u32) -> Self::V {
        self.avx512bw._mm512_maskz_mov_epi16(bits, cast([1_i16; 32]))
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        self.avx512bw._mm512_add_epi16(a, b)
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        self.avx512bw._mm512_sub_epi16(a, b)
    }
    #[inline(always)]
    fn mul_low(self, a: Self::V, b: Self::V) -> Self::V {
        self.avx512bw._mm512_mullo_epi16(a, b)
    }
    #[inline(always)]
    fn mul_high(self, a: Self::V, b: Self::V) -> Self::V {
        self.avx512bw._mm512_mulhi_epi16(a, b)
    }
    #[inline(always)]
    fn shift_11(self, a: Self::V) -> Self::V {
        self.avx512bw._mm512_srai_epi16::<11>(a)
    }
    #[inline(always)]
    fn interleave(self, a: Self::V, b: Self::V) -> (Self::V, Self::V) {
        (self.avx512bw._mm512_unpacklo_epi16(a, b), self.avx512bw._mm512_unpackhi_epi16(a, b))
    }
    #[inline(always)]
    fn halves(self, a: Self::V, b: Self::V) -> (Self::V, Self::V) {
        (self.avx512f._mm512_shuffle_i64x2::<0x88>(a, b), self.avx512f._mm512_shuffle_i64x2::<0xdd>(a, b))
    }
    #[inline(always)]
    fn dot(self, a: Self::V, b: Self::V) -> Self::V {
        self.avx512bw._mm512_madd_epi16(a, b)
    }
    #[inline(always)]
    fn add_32(self, a: Self::V, b: Self::V) -> Self::V {
        self.avx512f._mm512_add_epi32(a, b)
    }
    #[inline(always)]
    fn xor(self, a: Self::V, b: Self::V) -> Self::V {
        self.avx512f._mm512_xor_si512(a, b)
    }
    #[inline(always)]
    fn high_halves(self, a: Self::V, b: Self::V) -> Self::V {
        let high = |v| self.avx512f._mm512_srai_epi32::<16>(v);
        self.avx512bw._mm512_packs_epi32(high(a), high(b))
    }
    #[inline(always)]
    fn low_halves(self, a: Self::V, b: Self::V) -> Self::V {
        let low = |v| self.avx512f._mm512_srai_epi32::<16>(self.avx512f._mm512_slli_epi32::<16>(v));
        self.avx512bw._mm512_packs_epi32(low(a), low(b))
    }
    #[inline(always)]
    fn subtract_from(self, v: Self::V, out: &mut [u32]) {
        let halves: [__m256i; 2] = cast(v);
        if out.len() < 32 {
            return super::Plain.subtract_from(cast(v), out);
        }
        for (out, half) in out.as_chunks_mut::<16>().0.iter_mut().zip(halves) {
            let v = self.avx512f._mm512_cvtepu16_epi32(half);
            *out = cast(self.avx512f._mm512_sub_epi32(cast(*out), v));
        }
    }
    #[inline(always)]
    fn lift(self, v: Self::V, p: Self::V) -> Self::V {
        self.avx512bw._mm512_mask_add_epi16(v, self.avx512bw._mm512_movepi16_mask(v), v, p)
    }
}

#[inline(always)]
fn both(a: [__m256i; 2], b: [__m256i; 2], f: impl Fn(__m256i, __m256i) -> __m256i) -> [__m256i; 2] {
    [f(a[0], b[0]), f(a[1], b[1])]
}

impl Lanes for V3 {
    type V = [__m256i; 2];

    #[inline(always)]
    fn load(self, from: &Line) -> Self::V {
        cast(from.0)
    }
    #[inline(always)]
    fn store(self, v: Self::V, to: &mut Line) {
        to.0 = cast(v);
    }
    #[inline(always)]
    fn splat(self, pair: i32) -> Self::V {
        [self.avx._mm256_set1_epi32(pair); 2]
    }
    #[inline(always)]
    fn expand(self, bits: u32) -> Self::V {
        const SELECT: [u16; 16] = {
            let mut select = [0; 16];
            let mut i = 0;
            while i < 16 {
                select[i] = 1 << i;
                i += 1;
            }
            select
        };
        let select: __m256i = cast(SELECT);
        let one = |bits: u32| {
            let v = self.avx2._mm256_and_si256(self.avx._mm256_set1_epi16(bits as i16), select);
            self.avx2._mm256_srli_epi16::<15>(self.avx2._mm256_cmpeq_epi16(v, select))
        };
        [one(bits), one(bits >> 16)]
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        both(a, b, |a, b| self.avx2._mm256_add_epi16(a, b))
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        both(a, b, |a, b| self.avx2._mm256_sub_epi16(a, b))
    }
    #[inline(always)]
    fn mul_low(self, a: Self::V, b: Self::V) -> Self::V {
        both(a, b, |a, b| self.avx2._mm256_mullo_epi16(a, b))
    }
    #[inline(always)]
    fn mul_high(self, a: Self::V, b: Self::V) -> Self::V {
        both(a, b, |a, b| self.avx2._mm256_mulhi_epi16(a, b))
    }
    #[inline(always)]
    fn shift_11(self, a: Self::V) -> Self::V {
        a.map(
            #[inline(always)]
            |a| self.avx2._mm256_srai_epi16::<11>(a),
        )
    }
    #[inline(always)]
    fn interleave(self, a: Self::V, b: Self::V) -> (Self::V, Self::V) {
        (
            both(a, b, |a, b| self.avx2._mm256_unpacklo_epi16(a, b)),
            both(a, b, |a, b| self.avx2._mm256_unpackhi_epi16(a, b)),
        )
    }
    #[inline(always)]
    fn halves(self, a: Self::V, b: Self::V) -> (Self::V, Self::V) {
        let even = |v: Self::V| self.avx2._mm256_permute2x128_si256::<0x20>(v[0], v[1]);
        let odd = |v: Self::V| self.avx2._mm256_permute2x128_si256::<0x31>(v[0], v[1]);
        ([even(a), even(b)], [odd(a), odd(b)])
    }
    #[inline(always)]
    fn dot(self, a: Self::V, b: Self::V) -> Self::V {
        both(a, b, |a, b| self.avx2._mm256_madd_epi16(a, b))
    }
    #[inline(always)]
    fn add_32(self, a: Self::V, b: Self::V) -> Self::V {
        both(a, b, |a, b| self.avx2._mm256_add_epi32(a, b))
    }
    #[inline(always)]
    fn xor(self, a: Self::V, b: Self::V) -> Self::V {
        both(a, b, |a, b| self.avx2._mm256_xor_si256(a, b))
    }
    #[inline(always)]
    fn high_halves(self, a: Self::V, b: Self::V) -> Self::V {
        let high = |v| self.avx2._mm256_srai_epi32::<16>(v);
        both(a, b, |a, b| self.avx2._mm256_packs_epi32(high(a), high(b)))
    }
    #[inline(always)]
    fn low_halves(self, a: Self::V, b: Self::V) -> Self::V {
        let low = |v| self.avx2._mm256_srai_epi32::<16>(self.avx2._mm256_slli_epi32::<16>(v));
        both(a, b, |a, b| self.avx2._mm256_packs_epi32(low(a), low(b)))
    }
    #[inline(always)]
    fn subtract_from(self, v: Self::V, out: &mut [u32]) {
        if out.len() < 32 {
            return super::Plain.subtract_from(cast(v), out);
        }
        let eights: [std::arch::x86_64::__m128i; 4] = cast(v);
        for (out, eight) in out.as_chunks_mut::<8>().0.iter_mut().zip(eights) {
            let v = self.avx2._mm256_cvtepu16_epi32(eight);
            *out = cast(self.avx2._mm256_sub_epi32(cast(*out), v));
        }
    }
    #[inline(always)]
    fn lift(self, v: Self::V, p: Self::V) -> Self::V {
        both(v, p, |v, p| {
            let negative = self.avx2._mm256_srai_epi16::<15>(v);
            self.avx2._mm256_add_epi16(v, self.avx2._mm256_and_si256(negative, p))
        })
    }
}

type Four = [__m128i; 4];

#[inline(always)]
fn each(a: Four, b: Four, f: impl Fn(__m128i, __m128i) -> __m128i) -> Four {
    [f(a[0], b[0]), f(a[1], b[1]), f(a[2], b[2]), f(a[3], b[3])]
}

/// Every x86-64 processor has SSE2, so that nothing is dispatched here.
impl Lanes for V1 {
    type V = Four;

    #[inline(always)]
    fn load(self, from: &Line) -> Four {
        cast(from.0)
    }
    #[inline(always)]
    fn store(self, v: Four, to: &mut Line) {
        to.0 = cast(v);
    }
    #[inline(always)]
    fn splat(self, pair: i32) -> Four {
        [self.sse2._mm_set1_epi32(pair); 4]
    }
    #[inline(always)]
    fn expand(self, bits: u32) -> Four {
        let select: __m128i = cast([1_u16, 2, 4, 8, 16, 32, 64, 128]);
        let one = |bits: u32| {
            let v = self.sse2._mm_and_si128(self.sse2._mm_set1_epi16((bits & 0xff) as i16), select);
            self.sse2._mm_srli_epi16::<15>(self.sse2._mm_cmpeq_epi16(v, select))
        };
        [one(bits), one(bits >> 8), one(bits >> 16), one(bits >> 24)]
    }
    #[inline(always)]
    fn add(self, a: Four, b: Four) -> Four {
        each(a, b, |a, b| self.sse2._mm_add_epi16(a, b))
    }
    #[inline(always)]
    fn sub(self, a: Four, b: Four) -> Four {
        each(a, b, |a, b| self.sse2._mm_sub_epi16(a, b))
    }
    #[inline(always)]
    fn mul_low(self, a: Four, b: Four) -> Four {
        each(a, b, |a, b| self.sse2._mm_mullo_epi16(a, b))
    }
    #[inline(always)]
    fn mul_high(self, a: Four, b: Four) -> Four {
        each(a, b, |a, b| self.sse2._mm_mulhi_epi16(a, b))
    }
    #[inline(always)]
    fn shift_11(self, a: Four) -> Four {
        each(a, a, |a, _| self.sse2._mm_srai_epi16::<11>(a))
    }
    #[inline(always)]
    fn interleave(self, a: Four, b: Four) -> (Four, Four) {
        (each(a, b, |a, b| self.sse2._mm_unpacklo_epi16(a, b)), each(a, b, |a, b| self.sse2._mm_unpackhi_epi16(a, b)))
    }
    #[inline(always)]
    fn halves(self, a: Four, b: Four) -> (Four, Four) {
        ([a[0], a[2], b[0], b[2]], [a[1], a[3], b[1], b[3]])
    }
    #[inline(always)]
    fn dot(self, a: Four, b: Four) -> Four {
        each(a, b, |a, b| self.sse2._mm_madd_epi16(a, b))
    }
    #[inline(always)]
    fn add_32(self, a: Four, b: Four) -> Four {
        each(a, b, |a, b| self.sse2._mm_add_epi32(a, b))
    }
    #[inline(always)]
    fn xor(self, a: Four, b: Four) -> Four {
        each(a, b, |a, b| self.sse2._mm_xor_si128(a, b))
    }
    #[inline(always)]
    fn high_halves(self, a: Four, b: Four) -> Four {
        let high = |v| self.sse2._mm_srai_epi32::<16>(v);
        each(a, b, |a, b| self.sse2._mm_packs_epi32(high(a), high(b)))
    }
    #[inline(always)]
    fn low_halves(self, a: Four, b: Four) -> Four {
        let low = |v| self.sse2._mm_srai_epi32::<16>(self.sse2._mm_slli_epi32::<16>(v));
        each(a, b, |a, b| self.sse2._mm_packs_epi32(low(a), low(b)))
    }
    #[inline(always)]
    fn subtract_from(self, v: Four, out: &mut [u32]) {
        super::Plain.subtract_from(cast(v), out);
    }
    #[inline(always)]
    fn lift(self, v: Four, p: Four) -> Four {
        each(v, p, |v, p| {
            let negative = self.sse2._mm_srai_epi16::<15>(v);
            self.sse2._mm_add_epi16(v, self.sse2._mm_and_si128(negative, p))
        })
    }
}
