//! Registers of 32 residues of 16 bits, in the forms that the instruction sets have: one of 512 bits, two of 256, or an
//! array that the compiler cuts into what there is.

/// 32 residues in memory, on a cache line of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub(crate) struct Line(pub [i16; 32]);

impl Line {
    pub const ZERO: Self = Self([0; 32]);
}

/// The operations on 32 lanes of 16 bits, or the same bits as 16 lanes of 32.
pub(crate) trait Lanes: Copy {
    type V: Copy;
    fn load(self, from: &Line) -> Self::V;
    fn store(self, v: Self::V, to: &mut Line);
    /// The same 32 bits everywhere.
    fn splat(self, pair: i32) -> Self::V;
    /// One where a bit is set, else zero.
    fn expand(self, bits: u32) -> Self::V;
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    /// [`Lanes::sub`] where `b` is only known modulo `2^16`.
    #[inline(always)]
    fn sub_modulo(self, a: Self::V, b: Self::V) -> Self::V {
        self.sub(a, b)
    }
    /// Low half of the product.
    fn mul_low(self, a: Self::V, b: Self::V) -> Self::V;
    /// High half of the signed product.
    fn mul_high(self, a: Self::V, b: Self::V) -> Self::V;
    /// `⌊a / 2^11⌋`.
    fn shift_11(self, a: Self::V) -> Self::V;
    /// `a` and `b` word by word in turn, of the lower and the upper half of each 128 bits.
    fn interleave(self, a: Self::V, b: Self::V) -> (Self::V, Self::V);
    /// Of `a`, then of `b`, the even 128 bits; and the odd ones.
    fn halves(self, a: Self::V, b: Self::V) -> (Self::V, Self::V);
    /// Sums of two neighbouring products, 32 bits.
    fn dot(self, a: Self::V, b: Self::V) -> Self::V;
    fn add_32(self, a: Self::V, b: Self::V) -> Self::V;
    fn xor(self, a: Self::V, b: Self::V) -> Self::V;
    /// High halves of the 32-bit lanes of `a` and `b`, in the order that [`Lanes::interleave`] undoes.
    fn high_halves(self, a: Self::V, b: Self::V) -> Self::V;
    /// Low halves in the same order.
    fn low_halves(self, a: Self::V, b: Self::V) -> Self::V;
    /// `out − v` lane by lane, where `v` is not negative, for the first `out.len() ≤ 32` lanes.
    fn subtract_from(self, v: Self::V, out: &mut [u32]);
    /// Adds `p` where a lane is negative.
    fn lift(self, v: Self::V, p: Self::V) -> Self::V;
}

/// Work for any kind of register.
pub(crate) trait Kernel {
    type Output;
    fn run<L: Lanes>(self, lanes: L) -> Self::Output;
}

struct With<L, K>(L, K);

impl<L: Lanes, K: Kernel> pulp::WithSimd for With<L, K> {
    type Output = K::Output;

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> K::Output {
        self.1.run(self.0)
    }
}

/// Runs a kernel with the best instruction set of this machine.
pub(crate) fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    match pulp::Arch::new() {
        pulp::Arch::V4(s) => return pulp::Simd::vectorize(s, With(s, kernel)),
        pulp::Arch::V3(s) => return pulp::Simd::vectorize(s, With(s, kernel)),
        _ => {
            if let Some(s) = pulp::x86::V1::try_new() {
                return kernel.run(s);
            }
        }
    }
    kernel.run(Plain)
}

/// Lanes as arrays, for machines without the registers.
#[derive(Clone, Copy)]
pub(crate) struct Plain;

#[inline(always)]
fn wide(v: [i16; 32]) -> [i32; 16] {
    pulp::cast(v)
}

#[inline(always)]
fn narrow(v: [i32; 16]) -> [i16; 32] {
    pulp::cast(v)
}

#[inline(always)]
fn map<T: Copy, U: Copy + Default, const N: usize>(a: [T; N], b: [T; N], f: impl Fn(T, T) -> U) -> [U; N] {
    let mut out = [U::default(); N];
    for i in 0..N {
        out[i] = f(a[i], b[i]);
    }
    out
}

impl Lanes for Plain {
    type V = [i16; 32];

    #[inline(always)]
    fn load(self, from: &Line) -> Self::V {
        from.0
    }
    #[inline(always)]
    fn store(self, v: Self::V, to: &mut Line) {
        to.0 = v;
    }
    #[inline(always)]
    fn splat(self, pair: i32) -> Self::V {
        narrow([pair; 16])
    }
    #[inline(always)]
    fn expand(self, bits: u32) -> Self::V {
        let mut out = [0; 32];
        for (i, o) in out.iter_mut().enumerate() {
            *o = (bits >> i & 1) as i16;
        }
        out
    }
    #[inline(always)]
    fn add(self, a: Self::V, b: Self::V) -> Self::V {
        map(a, b, i16::wrapping_add)
    }
    #[inline(always)]
    fn sub(self, a: Self::V, b: Self::V) -> Self::V {
        map(a, b, i16::wrapping_sub)
    }
    #[inline(always)]
    fn mul_low(self, a: Self::V, b: Self::V) -> Self::V {
        map(a, b, i16::wrapping_mul)
    }
    #[inline(always)]
    fn mul_high(self, a: Self::V, b: Self::V) -> Self::V {
        map(a, b, |x, y| ((i32::from(x) * i32::from(y)) >> 16) as i16)
    }
    #[inline(always)]
    fn shift_11(self, a: Self::V) -> Self::V {
        map(a, a, |x, _| x >> 11)
    }
    #[inline(always)]
    fn interleave(self, a: Self::V, b: Self::V) -> (Self::V, Self::V) {
        let mut out = [[0; 32]; 2];
        for quarter in 0..4 {
            for i in 0..4 {
                for half in 0..2 {
                    out[half][8 * quarter + 2 * i] = a[8 * quarter + 4 * half + i];
                    out[half][8 * quarter + 2 * i + 1] = b[8 * quarter + 4 * half + i];
                }
            }
        }
        out.into()
    }
    #[inline(always)]
    fn halves(self, a: Self::V, b: Self::V) -> (Self::V, Self::V) {
        let mut out = [[0; 32]; 2];
        for half in 0..2 {
            for i in 0..8 {
                out[half][i] = a[8 * half + i];
                out[half][8 + i] = a[16 + 8 * half + i];
                out[half][16 + i] = b[8 * half + i];
                out[half][24 + i] = b[16 + 8 * half + i];
            }
        }
        out.into()
    }
    #[inline(always)]
    fn dot(self, a: Self::V, b: Self::V) -> Self::V {
        let mut out = [0; 16];
        for (i, o) in out.iter_mut().enumerate() {
            *o = i32::from(a[2 * i]) * i32::from(b[2 * i]) + i32::from(a[2 * i + 1]) * i32::from(b[2 * i + 1]);
        }
        narrow(out)
    }
    #[inline(always)]
    fn add_32(self, a: Self::V, b: Self::V) -> Self::V {
        narrow(map(wide(a), wide(b), i32::wrapping_add))
    }
    #[inline(always)]
    fn xor(self, a: Self::V, b: Self::V) -> Self::V {
        map(a, b, |x, y| x ^ y)
    }
    #[inline(always)]
    fn high_halves(self, a: Self::V, b: Self::V) -> Self::V {
        let mut out = [0; 32];
        for quarter in 0..4 {
            for i in 0..4 {
                out[8 * quarter + i] = a[8 * quarter + 2 * i + 1];
                out[8 * quarter + 4 + i] = b[8 * quarter + 2 * i + 1];
            }
        }
        out
    }
    #[inline(always)]
    fn low_halves(self, a: Self::V, b: Self::V) -> Self::V {
        let mut out = [0; 32];
        for quarter in 0..4 {
            for i in 0..4 {
                out[8 * quarter + i] = a[8 * quarter + 2 * i];
                out[8 * quarter + 4 + i] = b[8 * quarter + 2 * i];
            }
        }
        out
    }
    #[inline(always)]
    fn subtract_from(self, v: Self::V, out: &mut [u32]) {
        for (o, v) in out.iter_mut().zip(v) {
            *o = o.wrapping_sub(v as u32);
        }
    }
    #[inline(always)]
    fn lift(self, v: Self::V, p: Self::V) -> Self::V {
        map(v, p, |v, p| v + (p & (v >> 15)))
    }
}

#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// [`Plain`], whose sums of words must not overflow.
    #[derive(Clone, Copy)]
    pub struct Checked;

    impl Lanes for Checked {
        type V = [i16; 32];

        fn load(self, from: &Line) -> Self::V {
            from.0
        }
        fn store(self, v: Self::V, to: &mut Line) {
            to.0 = v;
        }
        fn splat(self, pair: i32) -> Self::V {
            Plain.splat(pair)
        }
        fn expand(self, bits: u32) -> Self::V {
            Plain.expand(bits)
        }
        fn add(self, a: Self::V, b: Self::V) -> Self::V {
            map(a, b, |x, y| x.checked_add(y).expect("no overflow"))
        }
        fn sub(self, a: Self::V, b: Self::V) -> Self::V {
            map(a, b, |x, y| x.checked_sub(y).expect("no overflow"))
        }
        fn sub_modulo(self, a: Self::V, b: Self::V) -> Self::V {
            Plain.sub(a, b)
        }
        fn mul_low(self, a: Self::V, b: Self::V) -> Self::V {
            Plain.mul_low(a, b)
        }
        fn mul_high(self, a: Self::V, b: Self::V) -> Self::V {
            Plain.mul_high(a, b)
        }
        fn shift_11(self, a: Self::V) -> Self::V {
            Plain.shift_11(a)
        }
        fn interleave(self, a: Self::V, b: Self::V) -> (Self::V, Self::V) {
            Plain.interleave(a, b)
        }
        fn halves(self, a: Self::V, b: Self::V) -> (Self::V, Self::V) {
            Plain.halves(a, b)
        }
        fn dot(self, a: Self::V, b: Self::V) -> Self::V {
            Plain.dot(a, b)
        }
        fn add_32(self, a: Self::V, b: Self::V) -> Self::V {
            narrow(map(wide(a), wide(b), |x, y| x.checked_add(y).expect("no overflow")))
        }
        fn xor(self, a: Self::V, b: Self::V) -> Self::V {
            Plain.xor(a, b)
        }
        fn high_halves(self, a: Self::V, b: Self::V) -> Self::V {
            Plain.high_halves(a, b)
        }
        fn low_halves(self, a: Self::V, b: Self::V) -> Self::V {
            Plain.low_halves(a, b)
        }
        fn subtract_from(self, v: Self::V, out: &mut [u32]) {
            Plain.subtract_from(v, out);
        }
        fn lift(self, v: Self::V, p: Self::V) -> Self::V {
            Plain.lift(v, p)
        }
    }

    /// Runs a kernel with every instruction set that this machine has.
    pub fn with_all<K: Kernel<Output = T> + Clone, T: PartialEq + std::fmt::Debug>(kernel: &K) -> T {
        let want = kernel.clone().run(Plain);
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(s) = pulp::x86::V1::try_new() {
                assert_eq!(kernel.clone().run(s), want, "SSE2");
            }
            if let Some(s) = pulp::x86::V3::try_new() {
                assert_eq!(pulp::Simd::vectorize(s, With(s, kernel.clone())), want, "AVX2");
            }
            if let Some(s) = pulp::x86::V4::try_new() {
                assert_eq!(pulp::Simd::vectorize(s, With(s, kernel.clone())), want, "AVX-512");
            }
        }
        want
    }
}
