//! `exp` and `exp − 1` of many numbers at once: the only transcendental functions of the kernel, and a tenth of its cost.
use pulp::WithSimd;

/// Replaces every `x` by `scale·exp(x)`, for `x` at most 700; below −700 by that of −700. Error below 2 units in the last
/// place. The same bits on every machine: fused products only.
pub(crate) fn scaled_exp(values: &mut [f64], scale: f64) {
    pulp::Arch::new().dispatch(ScaledExp { values, scale });
}

/// Replaces every `x` by `exp(x + shift) − 1`, for `x + shift` at most 700; below −700 by −1. Relative error below 4 units in
/// the last place, also where the result is small. The same bits on every machine.
pub(crate) fn shifted_exp_m1(values: &mut [f64], shift: f64) {
    pulp::Arch::new().dispatch(ShiftedExpM1 { values, shift });
}

struct ShiftedExpM1<'a> {
    values: &'a mut [f64],
    shift: f64,
}

impl WithSimd for ShiftedExpM1<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        for x in self.values {
            *x = exp_m1(*x + self.shift);
        }
    }
}

struct ScaledExp<'a> {
    values: &'a mut [f64],
    scale: f64,
}

impl WithSimd for ScaledExp<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        for x in self.values {
            *x = exp(*x) * self.scale;
        }
    }
}

/// Added and subtracted it rounds to a whole number, whose two's complement stands in the low bits meanwhile.
const ROUND: f64 = 6_755_399_441_055_744.0;
const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;

#[inline(always)]
fn exp(x: f64) -> f64 {
    let (series, rest, power) = parts(x);
    f64::mul_add(series, rest, 1.0) * power
}

#[inline(always)]
fn exp_m1(x: f64) -> f64 {
    let (series, rest, power) = parts(x);
    (series * rest).mul_add(power, power - 1.0)
}

/// `(s, r, p)` with `exp(x) = (1 + s·r)·p` and a power of two `p`.
#[inline(always)]
fn parts(x: f64) -> (f64, f64, f64) {
    let x = x.clamp(-700.0, 700.0);
    let shifted = x.mul_add(std::f64::consts::LOG2_E, ROUND);
    let whole = shifted - ROUND;
    let rest = (-whole).mul_add(LN_2_LOW, (-whole).mul_add(LN_2_HIGH, x));
    // Taylor's series to degree 12: at |rest| ≤ ln 2/2 what is left is below 2e-16.
    let mut sum = 1.0 / 479_001_600.0;
    for factor in COEFFICIENTS {
        sum = f64::mul_add(sum, rest, factor);
    }
    let power = f64::from_bits((shifted.to_bits() << 52).wrapping_add(1.0_f64.to_bits()));
    (sum, rest, power)
}

/// `1/k!` for `k` from 11 to 1.
const COEFFICIENTS: [f64; 11] = [
    1.0 / 39_916_800.0,
    1.0 / 3_628_800.0,
    1.0 / 362_880.0,
    1.0 / 40_320.0,
    1.0 / 5_040.0,
    1.0 / 720.0,
    1.0 / 120.0,
    1.0 / 24.0,
    1.0 / 6.0,
    0.5,
    1.0,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponentials_are_those_of_the_library() {
        let mut values: Vec<f64> = (-70_000..=70_000).map(|i| f64::from(i) * 0.01).collect();
        values.extend([0.0, -0.0, -1e-300, 1e-17, -750.0, f64::MIN]);
        let expected: Vec<f64> = values.iter().map(|x| x.max(-700.0).exp()).collect();
        scaled_exp(&mut values, 1.0);
        for (found, wanted) in values.iter().zip(&expected) {
            assert!((found / wanted - 1.0).abs() < 4.5e-16, "{found:e} {wanted:e}");
        }
        for (x, wanted) in [(-750.0, -1.0_f64), (0.0, 0.0), (1e-300, 1e-300), (-1e-17, -1e-17)] {
            let mut one = [x];
            shifted_exp_m1(&mut one, 0.0);
            assert!(one[0] == wanted, "{x:e} {:e}", one[0]);
        }
        let mut apart: Vec<f64> = (-20_000..=20_000).map(|i| f64::from(i) * 1e-3 + 1e-5).collect();
        let expected: Vec<f64> = apart.iter().map(|x| (x + 0.25).exp_m1()).collect();
        shifted_exp_m1(&mut apart, 0.25);
        for (found, wanted) in apart.iter().zip(&expected) {
            assert!((found / wanted - 1.0).abs() < 9e-16, "{found:e} {wanted:e}");
        }
        let mut scaled = [-1.0, 0.0];
        scaled_exp(&mut scaled, 3.0);
        assert!(scaled[1] == 3.0 && (scaled[0] - 3.0 / std::f64::consts::E).abs() < 1e-15);
    }
}
