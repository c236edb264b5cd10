//! The transform on AVX-512 and AVX2 registers.
//!
//! 1. *Base*: sixteen registers (eight on AVX2) are loaded, transformed inside and across, and stored: 8 of the `log₂ n`
//!    levels of an `f32` transform in one pass over memory.
//! 2. *Leaf*, 16 KiB: radix-8 passes inside the first-level cache.
//! 3. *Above*: depth first, radix 8 at most. Radix 16 would put all its rows, a power of two apart, into one set of the
//!    cache.
//!
//! Level `h` is `x ± x'` with `x'` the partner at distance `h`, in the order of the portable code, so that every
//! instruction set gives the same bits.
use pulp::x86::{V3, V4};
use pulp::{Simd, WithSimd, bytemuck};

use std::arch::x86_64::{__m256, __m256d, __m256i, __m512, __m512d, __m512i};

/// One scalar type on one instruction set.
pub(super) trait Tier<T>: Simd {
    /// One register in memory: `[T; W]`.
    type Chunk: bytemuck::Pod;
    /// A register of the instruction set.
    type Register: Copy;
    /// Scalars in a register.
    const WIDTH: usize;
    /// Registers of the base: half of what the instruction set has.
    const BASE: usize;
    fn load(self, x: Self::Chunk) -> Self::Register;
    fn store(self, x: Self::Register) -> Self::Chunk;
    fn add(self, a: Self::Register, b: Self::Register) -> Self::Register;
    fn sub(self, a: Self::Register, b: Self::Register) -> Self::Register;
    /// The first `levels` levels inside a register.
    fn inside(self, x: Self::Register, levels: u32) -> Self::Register;
}

/// `$level` maps (register, signs of the level) to `partner + signs · register`, in which −1 marks the upper half.
macro_rules! tier {
    ($simd:ty, $t:ty, $width:literal, $base:literal, $register:ty,
     $s:ident, $add:expr, $sub:expr, [$($h:literal : $partner:expr),*], $combine:expr) => {
        impl Tier<$t> for $simd {
            type Chunk = [$t; $width];
            type Register = $register;
            const WIDTH: usize = $width;
            const BASE: usize = $base;
            #[inline(always)]
            fn load(self, x: Self::Chunk) -> $register {
                pulp::cast(x)
            }
            #[inline(always)]
            fn store(self, x: $register) -> Self::Chunk {
                pulp::cast(x)
            }
            #[inline(always)]
            fn add(self, a: $register, b: $register) -> $register {
                let $s = self;
                $add(a, b)
            }
            #[inline(always)]
            fn sub(self, a: $register, b: $register) -> $register {
                let $s = self;
                $sub(a, b)
            }
            #[inline(always)]
            fn inside(self, mut x: $register, levels: u32) -> $register {
                let $s = self;
                $(
                    if levels > $h {
                        x = $combine(x, $partner(x), const { signs_of::<$t, $width>($h) });
                    }
                )*
                x
            }
        }
    };
}

trait Sign: Copy {
    const PLUS: Self;
    const MINUS: Self;
}
impl Sign for f32 {
    const PLUS: f32 = 1.0;
    const MINUS: f32 = -1.0;
}
impl Sign for f64 {
    const PLUS: f64 = 1.0;
    const MINUS: f64 = -1.0;
}
// A blend takes the second argument where the top bit is set.
impl Sign for i32 {
    const PLUS: i32 = 0;
    const MINUS: i32 = -1;
}
impl Sign for i64 {
    const PLUS: i64 = 0;
    const MINUS: i64 = -1;
}

/// `MINUS` where bit `h` of the lane is set.
const fn signs_of<T: Sign, const W: usize>(h: u32) -> [T; W] {
    let mut signs = [T::PLUS; W];
    let mut lane = 0;
    while lane < W {
        if (lane >> h) & 1 == 1 {
            signs[lane] = T::MINUS;
        }
        lane += 1;
    }
    signs
}

tier!(V4, f32, 16, 16, __m512, s,
    |a, b| s.avx512f._mm512_add_ps(a, b), |a, b| s.avx512f._mm512_sub_ps(a, b),
    [0: |x| s.avx512f._mm512_permute_ps::<0xB1>(x), 1: |x| s.avx512f._mm512_permute_ps::<0x4E>(x),
     2: |x| s.avx512f._mm512_shuffle_f32x4::<0xB1>(x, x), 3: |x| s.avx512f._mm512_shuffle_f32x4::<0x4E>(x, x)],
    |x, p, signs: [f32; 16]| s.avx512f._mm512_fmadd_ps(x, pulp::cast(signs), p));

tier!(V4, f64, 8, 16, __m512d, s,
    |a, b| s.avx512f._mm512_add_pd(a, b), |a, b| s.avx512f._mm512_sub_pd(a, b),
    [0: |x| s.avx512f._mm512_permute_pd::<0x55>(x), 1: |x| s.avx512f._mm512_permutex_pd::<0x4E>(x),
     2: |x| s.avx512f._mm512_shuffle_f64x2::<0x4E>(x, x)],
    |x, p, signs: [f64; 8]| s.avx512f._mm512_fmadd_pd(x, pulp::cast(signs), p));

tier!(V4, i32, 16, 16, __m512i, s,
    |a, b| s.avx512f._mm512_add_epi32(a, b), |a, b| s.avx512f._mm512_sub_epi32(a, b),
    [0: |x| s.avx512f._mm512_shuffle_epi32::<0xB1>(x), 1: |x| s.avx512f._mm512_shuffle_epi32::<0x4E>(x),
     2: |x| s.avx512f._mm512_shuffle_i32x4::<0xB1>(x, x), 3: |x| s.avx512f._mm512_shuffle_i32x4::<0x4E>(x, x)],
    |x, p, signs: [i32; 16]| s.avx512f._mm512_mask_sub_epi32(
        s.avx512f._mm512_add_epi32(x, p), mask16(signs), p, x));

tier!(V4, i64, 8, 16, __m512i, s,
    |a, b| s.avx512f._mm512_add_epi64(a, b), |a, b| s.avx512f._mm512_sub_epi64(a, b),
    [0: |x| s.avx512f._mm512_shuffle_epi32::<0x4E>(x), 1: |x| s.avx512f._mm512_permutex_epi64::<0x4E>(x),
     2: |x| s.avx512f._mm512_shuffle_i64x2::<0x4E>(x, x)],
    |x, p, signs: [i64; 8]| s.avx512f._mm512_mask_sub_epi64(
        s.avx512f._mm512_add_epi64(x, p), mask8(signs), p, x));

tier!(V3, f32, 8, 8, __m256, s,
    |a, b| s.avx._mm256_add_ps(a, b), |a, b| s.avx._mm256_sub_ps(a, b),
    [0: |x| s.avx._mm256_permute_ps::<0xB1>(x), 1: |x| s.avx._mm256_permute_ps::<0x4E>(x),
     2: |x| s.avx._mm256_permute2f128_ps::<1>(x, x)],
    |x, p, signs: [f32; 8]| s.fma._mm256_fmadd_ps(x, pulp::cast(signs), p));

tier!(V3, f64, 4, 8, __m256d, s,
    |a, b| s.avx._mm256_add_pd(a, b), |a, b| s.avx._mm256_sub_pd(a, b),
    [0: |x| s.avx._mm256_permute_pd::<5>(x), 1: |x| s.avx._mm256_permute2f128_pd::<1>(x, x)],
    |x, p, signs: [f64; 4]| s.fma._mm256_fmadd_pd(x, pulp::cast(signs), p));

tier!(V3, i32, 8, 8, __m256i, s,
    |a, b| s.avx2._mm256_add_epi32(a, b), |a, b| s.avx2._mm256_sub_epi32(a, b),
    [0: |x| s.avx2._mm256_shuffle_epi32::<0xB1>(x), 1: |x| s.avx2._mm256_shuffle_epi32::<0x4E>(x),
     2: |x| s.avx2._mm256_permute2x128_si256::<1>(x, x)],
    |x, p, signs: [i32; 8]| s.avx2._mm256_blendv_epi8(
        s.avx2._mm256_add_epi32(x, p), s.avx2._mm256_sub_epi32(p, x), pulp::cast(signs)));

tier!(V3, i64, 4, 8, __m256i, s,
    |a, b| s.avx2._mm256_add_epi64(a, b), |a, b| s.avx2._mm256_sub_epi64(a, b),
    [0: |x| s.avx2._mm256_shuffle_epi32::<0x4E>(x), 1: |x| s.avx2._mm256_permute2x128_si256::<1>(x, x)],
    |x, p, signs: [i64; 4]| s.avx2._mm256_blendv_epi8(
        s.avx2._mm256_add_epi64(x, p), s.avx2._mm256_sub_epi64(p, x), pulp::cast(signs)));

#[inline(always)]
const fn mask16(signs: [i32; 16]) -> u16 {
    let (mut mask, mut lane) = (0, 0);
    while lane < 16 {
        mask |= ((signs[lane] & 1) as u16) << lane;
        lane += 1;
    }
    mask
}

#[inline(always)]
const fn mask8(signs: [i64; 8]) -> u8 {
    let (mut mask, mut lane) = (0, 0);
    while lane < 8 {
        mask |= ((signs[lane] & 1) as u8) << lane;
        lane += 1;
    }
    mask
}

/// Butterflies between registers named by literals: loops over an index would go through memory.
macro_rules! butterflies {
    ($s:ident, $v:ident, $(($i:literal, $j:literal))*) => {$(
        ($v[$i], $v[$j]) = ($s.add($v[$i], $v[$j]), $s.sub($v[$i], $v[$j]));
    )*};
}

#[inline(always)]
fn across2<T, S: Tier<T>>(s: S, mut v: [S::Register; 2]) -> [S::Register; 2] {
    butterflies!(s, v, (0, 1));
    v
}

#[inline(always)]
fn across4<T, S: Tier<T>>(s: S, mut v: [S::Register; 4]) -> [S::Register; 4] {
    butterflies!(s, v, (0, 1)(2, 3)(0, 2)(1, 3));
    v
}

#[inline(always)]
fn across8<T, S: Tier<T>>(s: S, mut v: [S::Register; 8]) -> [S::Register; 8] {
    butterflies!(s, v, (0, 1)(2, 3)(4, 5)(6, 7)(0, 2)(1, 3)(4, 6)(5, 7)(0, 4)(1, 5)(2, 6)(3, 7));
    v
}

#[inline(always)]
fn across16<T, S: Tier<T>>(s: S, mut v: [S::Register; 16]) -> [S::Register; 16] {
    butterflies!(
        s,
        v,
        (0, 1)(2, 3)(4, 5)(6, 7)(8, 9)(10, 11)(12, 13)(14, 15)(0, 2)(1, 3)(4, 6)(5, 7)(8, 10)(9, 11)(12, 14)(13, 15)(
            0, 4
        )(1, 5)(2, 6)(3, 7)(8, 12)(9, 13)(10, 14)(11, 15)(0, 8)(1, 9)(2, 10)(3, 11)(4, 12)(5, 13)(6, 14)(7, 15)
    );
    v
}

macro_rules! whole {
    ($name:ident, $across:ident, $r:literal, [$($i:literal)*]) => {
        /// The transform of `$r` registers that stand together.
        #[inline(always)]
        fn $name<T, S: Tier<T>>(s: S, x: &mut [S::Chunk; $r]) {
            let levels = S::WIDTH.trailing_zeros();
            let v = $across(s, [$(s.inside(s.load(x[$i]), levels)),*]);
            *x = [$(s.store(v[$i])),*];
        }
    };
}
whole!(whole2, across2, 2, [0 1]);
whole!(whole4, across4, 4, [0 1 2 3]);
whole!(whole8, across8, 8, [0 1 2 3 4 5 6 7]);
whole!(whole16, across16, 16, [0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15]);

/// A `for` loop: a closure of this size would not be inlined, and so lose the instruction set.
macro_rules! each {
    ($x:ident, $s:ident, $whole:ident) => {
        for group in $x.as_chunks_mut().0 {
            $whole($s, group);
        }
    };
}

/// All blocks of `block` entries, up to the base or to one register.
#[inline(always)]
fn base<T, S: Tier<T>>(s: S, x: &mut [S::Chunk], block: usize) {
    match block / S::WIDTH {
        0 | 1 => {
            let levels = block.trailing_zeros();
            for chunk in x {
                *chunk = s.store(s.inside(s.load(*chunk), levels));
            }
        }
        2 => each!(x, s, whole2),
        4 => each!(x, s, whole4),
        n if n == 8 || S::BASE == 8 => each!(x, s, whole8),
        _ => each!(x, s, whole16),
    }
}

macro_rules! pass {
    ($name:ident, $across:ident, $r:literal, [$($row:ident)*], [$($i:literal)*]) => {
        /// One radix-`$r` pass over rows that stand `x.len() / $r` apart.
        #[inline(always)]
        fn $name<T, S: Tier<T>>(s: S, rows: [&mut [S::Chunk]; $r]) {
            let [$($row),*] = rows;
            let n = [$($row.len()),*].into_iter().min().unwrap_or(0);
            $(let $row = &mut $row[..n];)*
            for i in 0..n {
                let v = $across(s, [$(s.load($row[i])),*]);
                $($row[i] = s.store(v[$i]);)*
            }
        }
    };
}
pass!(pass2, across2, 2, [a b], [0 1]);
pass!(pass4, across4, 4, [a b c d], [0 1 2 3]);
pass!(pass8, across8, 8, [a b c d e f g h], [0 1 2 3 4 5 6 7]);

fn rows<T, const R: usize>(x: &mut [T]) -> [&mut [T]; R] {
    let stride = x.len() / R;
    let mut rest = x;
    std::array::from_fn(|_| {
        let (row, others) = std::mem::take(&mut rest).split_at_mut(stride);
        rest = others;
        row
    })
}

/// One pass of `2^levels` rows, at most 8.
#[inline(always)]
fn pass<T, S: Tier<T>>(s: S, x: &mut [S::Chunk], levels: u32) {
    match levels {
        1 => pass2(s, rows(x)),
        2 => pass4(s, rows(x)),
        _ => pass8(s, rows(x)),
    }
}

/// Bytes of a leaf: a third of the smallest first-level cache in use.
const LEAF_BYTES: usize = 1 << 14;

/// Blocks of at most [`LEAF_BYTES`], one after the other.
struct Leaves<'a, C> {
    x: &'a mut [C],
    block: usize,
}

/// `WithSimd` is generic over the instruction set, the tiers are not: the concrete one is carried along.
struct On<S, T, Op> {
    s: S,
    op: Op,
    scalar: std::marker::PhantomData<T>,
}

trait Run<T, S: Tier<T>> {
    fn run(self, s: S);
}

impl<T, S: Tier<T>, Op: Run<T, S>> WithSimd for On<S, T, Op> {
    type Output = ();
    #[inline(always)]
    fn with_simd<Any: Simd>(self, _: Any) {
        self.op.run(self.s);
    }
}

fn run<T, S: Tier<T>>(s: S, op: impl Run<T, S>) {
    Simd::vectorize(s, On { s, op, scalar: std::marker::PhantomData });
}

impl<T, S: Tier<T>> Run<T, S> for Leaves<'_, S::Chunk> {
    #[inline(always)]
    fn run(self, s: S) {
        let base_block = S::WIDTH * S::BASE;
        if self.block <= base_block {
            base(s, self.x, self.block);
            return;
        }
        for leaf in self.x.chunks_exact_mut(self.block / S::WIDTH) {
            base(s, leaf, base_block);
            let mut done = S::BASE;
            while done < leaf.len() {
                let levels = (leaf.len() / done).trailing_zeros();
                // 4 = 2 + 2 and 5 = 3 + 2 beat 3 + 1.
                let now = if levels == 4 { 2 } else { levels.min(3) };
                for part in leaf.chunks_exact_mut(done << now) {
                    pass(s, part, now);
                }
                done <<= now;
            }
        }
    }
}

/// The top pass of a long transform, or of one column range of it.
struct Top<'a, C, const R: usize>([&'a mut [C]; R]);

impl<T, S: Tier<T>> Run<T, S> for Top<'_, S::Chunk, 8> {
    #[inline(always)]
    fn run(self, s: S) {
        pass8(s, self.0);
    }
}
impl<T, S: Tier<T>> Run<T, S> for Top<'_, S::Chunk, 4> {
    #[inline(always)]
    fn run(self, s: S) {
        pass4(s, self.0);
    }
}
impl<T, S: Tier<T>> Run<T, S> for Top<'_, S::Chunk, 2> {
    #[inline(always)]
    fn run(self, s: S) {
        pass2(s, self.0);
    }
}

/// Transforms blocks of `block` entries, serially. `x` is a multiple of a register and of a block.
fn blocks<T, S: Tier<T>>(s: S, x: &mut [S::Chunk], block: usize) {
    if block * size_of::<S::Chunk>() / S::WIDTH <= LEAF_BYTES {
        run(s, Leaves { x, block });
    } else {
        x.chunks_exact_mut(block / S::WIDTH).for_each(|x| long(s, x));
    }
}

fn long<T, S: Tier<T>>(s: S, x: &mut [S::Chunk]) {
    let bytes = size_of_val(x);
    if bytes <= LEAF_BYTES {
        return run(s, Leaves { block: x.len() * S::WIDTH, x });
    }
    let above = (bytes / LEAF_BYTES).trailing_zeros();
    let levels = above.div_ceil(above.div_ceil(3));
    x.chunks_exact_mut(x.len() >> levels).for_each(|part| long(s, part));
    match levels {
        1 => run(s, Top(rows::<_, 2>(x))),
        2 => run(s, Top(rows::<_, 4>(x))),
        _ => run(s, Top(rows::<_, 8>(x))),
    }
}

/// Transforms blocks on the given instruction set and returns how many leading entries are done: all of them, or none,
/// or all but the few at the end that do not fill a register.
pub(super) fn transform_blocks<T: bytemuck::Pod, S: Tier<T>>(s: S, x: &mut [T], block: usize) -> usize {
    if block < 2 {
        return x.len();
    }
    if x.len() < S::WIDTH {
        return 0;
    }
    let whole = x.len() / S::WIDTH * S::WIDTH;
    blocks(s, bytemuck::cast_slice_mut(&mut x[..whole]), block);
    whole
}

/// One radix-8 pass over eight equally long rows, whose length is a multiple of a register.
pub(super) fn top_pass<T: bytemuck::Pod, S: Tier<T>>(s: S, rows: [&mut [T]; 8]) {
    run(s, Top(rows.map(bytemuck::cast_slice_mut)));
}
