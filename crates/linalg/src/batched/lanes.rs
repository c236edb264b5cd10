//! What the kernels ask of a register, for both scalar types on every instruction set.
use std::slice;

use pulp::{Simd, bytemuck};

/// See the module.
pub trait Lanes<T>: Simd {
    /// A register of lanes.
    type V: Copy + bytemuck::Pod + Send + Sync;
    /// Number of lanes of a register.
    const WIDTH: usize;
    /// All lanes `x`.
    fn splat(self, x: T) -> Self::V;
    /// `a b + c`, fused where that is fast.
    fn add_product(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// Products `a b`, lane by lane.
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a − b`.
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a / b`.
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// Roots `√a`, lane by lane.
    fn sqrt(self, a: Self::V) -> Self::V;
    /// `x` in the lanes where `a` is above `least`, zero in the others.
    fn where_above(self, a: Self::V, least: Self::V, x: Self::V) -> Self::V;
    /// Sum of the lanes.
    fn sum(self, a: Self::V) -> T;
    /// `a₀ b₀ a₁ b₁ …`: the first half of that, and the second.
    fn zip(self, a: Self::V, b: Self::V) -> (Self::V, Self::V);
}

macro_rules! lanes {
    ($t:ty, $v:ident, $width:ident, $splat:ident, $fma:ident, $mul:ident, $sub:ident, $div:ident, $sqrt:ident, $sum:ident,
     $less:ident, $select:ident, $zip4:ident, $zip3:ident) => {
        impl<S: Simd> Lanes<$t> for S {
            type V = S::$v;
            const WIDTH: usize = S::$width;
            #[inline(always)]
            fn splat(self, x: $t) -> Self::V {
                Simd::$splat(self, x)
            }
            #[inline(always)]
            fn add_product(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
                Simd::$fma(self, a, b, c)
            }
            #[inline(always)]
            fn mul(self, a: Self::V, b: Self::V) -> Self::V {
                Simd::$mul(self, a, b)
            }
            #[inline(always)]
            fn sub(self, a: Self::V, b: Self::V) -> Self::V {
                Simd::$sub(self, a, b)
            }
            #[inline(always)]
            fn div(self, a: Self::V, b: Self::V) -> Self::V {
                Simd::$div(self, a, b)
            }
            #[inline(always)]
            fn sqrt(self, a: Self::V) -> Self::V {
                Simd::$sqrt(self, a)
            }
            #[inline(always)]
            fn where_above(self, a: Self::V, least: Self::V, x: Self::V) -> Self::V {
                Simd::$select(self, Simd::$less(self, least, a), x, Simd::$splat(self, 0.0))
            }
            #[inline(always)]
            fn sum(self, a: Self::V) -> $t {
                Simd::$sum(self, a)
            }
            #[inline(always)]
            fn zip(self, a: Self::V, b: Self::V) -> (Self::V, Self::V) {
                #[cfg(target_arch = "x86_64")]
                {
                    let token: &dyn std::any::Any = &self;
                    if let Some(s) = token.downcast_ref::<x86::V4>() {
                        let (low, high) = x86::$zip4(*s, bytemuck::cast(a), bytemuck::cast(b));
                        return (bytemuck::cast(low), bytemuck::cast(high));
                    }
                    if let Some(s) = token.downcast_ref::<x86::V3>() {
                        let (low, high) = x86::$zip3(*s, bytemuck::cast(a), bytemuck::cast(b));
                        return (bytemuck::cast(low), bytemuck::cast(high));
                    }
                }
                let (mut low, mut high) = (a, b);
                let source: [&[$t]; 2] =
                    [bytemuck::cast_slice(slice::from_ref(&a)), bytemuck::cast_slice(slice::from_ref(&b))];
                let mut i = 0;
                for out in [&mut low, &mut high] {
                    let out: &mut [$t] = bytemuck::cast_slice_mut(slice::from_mut(out));
                    for slot in out {
                        *slot = source[i % 2][i / 2];
                        i += 1;
                    }
                }
                (low, high)
            }
        }
    };
}
lanes!(
    f64,
    f64s,
    F64_LANES,
    splat_f64s,
    mul_add_e_f64s,
    mul_f64s,
    sub_f64s,
    div_f64s,
    sqrt_f64s,
    reduce_sum_f64s,
    less_than_f64s,
    select_f64s,
    zip_f64x8,
    zip_f64x4
);
lanes!(
    f32,
    f32s,
    F32_LANES,
    splat_f32s,
    mul_add_e_f32s,
    mul_f32s,
    sub_f32s,
    div_f32s,
    sqrt_f32s,
    reduce_sum_f32s,
    less_than_f32s,
    select_f32s,
    zip_f32x16,
    zip_f32x8
);

/// [`Lanes::zip`] by shuffles.
#[cfg(target_arch = "x86_64")]
mod x86 {
    pub use pulp::x86::{V3, V4};
    use pulp::{f32x8, f32x16, f64x4, f64x8};

    #[inline(always)]
    pub fn zip_f64x8(s: V4, a: f64x8, b: f64x8) -> (f64x8, f64x8) {
        let (a, b) = (pulp::cast(a), pulp::cast(b));
        let (low, high) = (pulp::cast([0_u64, 8, 1, 9, 2, 10, 3, 11]), pulp::cast([4_u64, 12, 5, 13, 6, 14, 7, 15]));
        let (low, high) = (s.avx512f._mm512_permutex2var_pd(a, low, b), s.avx512f._mm512_permutex2var_pd(a, high, b));
        (pulp::cast(low), pulp::cast(high))
    }

    #[inline(always)]
    pub fn zip_f32x16(s: V4, a: f32x16, b: f32x16) -> (f32x16, f32x16) {
        let (a, b) = (pulp::cast(a), pulp::cast(b));
        let low = pulp::cast([0_u32, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23]);
        let high = pulp::cast([8_u32, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31]);
        let (low, high) = (s.avx512f._mm512_permutex2var_ps(a, low, b), s.avx512f._mm512_permutex2var_ps(a, high, b));
        (pulp::cast(low), pulp::cast(high))
    }

    #[inline(always)]
    pub fn zip_f64x4(s: V3, a: f64x4, b: f64x4) -> (f64x4, f64x4) {
        let (a, b) = (pulp::cast(a), pulp::cast(b));
        let (even, odd) = (s.avx._mm256_unpacklo_pd(a, b), s.avx._mm256_unpackhi_pd(a, b));
        let low = s.avx._mm256_permute2f128_pd::<0x20>(even, odd);
        let high = s.avx._mm256_permute2f128_pd::<0x31>(even, odd);
        (pulp::cast(low), pulp::cast(high))
    }

    #[inline(always)]
    pub fn zip_f32x8(s: V3, a: f32x8, b: f32x8) -> (f32x8, f32x8) {
        let (a, b) = (pulp::cast(a), pulp::cast(b));
        let (even, odd) = (s.avx._mm256_unpacklo_ps(a, b), s.avx._mm256_unpackhi_ps(a, b));
        let low = s.avx._mm256_permute2f128_ps::<0x20>(even, odd);
        let high = s.avx._mm256_permute2f128_ps::<0x31>(even, odd);
        (pulp::cast(low), pulp::cast(high))
    }
}
