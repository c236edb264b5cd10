//! Numbers of about 32 decimal digits, as the unevaluated sum of two `f64`.
//!
//! A referee that computes in the same precision as the solver cannot tell the solver's error from its own. Here every sum
//! and product keeps its rounding error as a second number, which leaves a relative error of some `1e-31` an operation.
use std::cmp::Ordering;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub, SubAssign};

/// The sum `hi + lo`, where `lo` is at most half a unit in the last place of `hi`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DoubleDouble {
    hi: f64,
    lo: f64,
}

/// `a + b` rounded, and the rounding error, exactly.
pub fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let from_b = sum - a;
    (sum, (a - (sum - from_b)) + (b - from_b))
}

/// `a · b` rounded, and the rounding error, exactly (unless it underflows).
pub fn two_prod(a: f64, b: f64) -> (f64, f64) {
    let product = a * b;
    (product, a.mul_add(b, -product))
}

impl DoubleDouble {
    /// Zero.
    pub const ZERO: Self = Self { hi: 0.0, lo: 0.0 };
    /// One.
    pub const ONE: Self = Self { hi: 1.0, lo: 0.0 };
    /// The natural logarithm of two.
    pub const LN_2: Self = Self { hi: std::f64::consts::LN_2, lo: 2.319_046_813_846_299_6e-17 };

    /// The sum of two numbers, of which `large` is the larger one. A sum that is infinite or not a number has no error term.
    fn normalised(large: f64, small: f64) -> Self {
        let hi = large + small;
        Self { hi, lo: if hi.is_finite() { small - (hi - large) } else { 0.0 } }
    }

    /// `a + b` without rounding.
    pub fn exact_sum(a: f64, b: f64) -> Self {
        let (hi, lo) = two_sum(a, b);
        Self { hi, lo: if hi.is_finite() { lo } else { 0.0 } }
    }

    /// `a · b` without rounding.
    pub fn exact_product(a: f64, b: f64) -> Self {
        let (hi, lo) = two_prod(a, b);
        Self { hi, lo: if hi.is_finite() { lo } else { 0.0 } }
    }

    /// The nearest `f64`.
    pub fn to_f64(self) -> f64 {
        self.hi
    }

    /// What [`DoubleDouble::to_f64`] leaves out.
    pub fn low(self) -> f64 {
        self.lo
    }

    /// The absolute value.
    #[must_use]
    pub fn abs(self) -> Self {
        if self.hi < 0.0 { -self } else { self }
    }

    /// The larger of two.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        if other > self { other } else { self }
    }

    /// The smaller of two.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        if other < self { other } else { self }
    }

    /// Neither infinite nor NaN.
    pub fn is_finite(self) -> bool {
        self.hi.is_finite()
    }

    /// The square root; NaN below zero.
    #[must_use]
    pub fn sqrt(self) -> Self {
        if self.hi <= 0.0 || !self.hi.is_finite() {
            return Self::from(self.hi.sqrt());
        }
        // Two steps of Heron, each of which doubles the digits.
        let mut root = Self::from(self.hi.sqrt());
        for _ in 0..2 {
            root = (root + self / root).times_power_of_two(-1);
        }
        root
    }

    /// `self · 2^exponent`, without an intermediate overflow.
    #[must_use]
    pub fn times_power_of_two(self, exponent: i32) -> Self {
        let hi = scale(self.hi, exponent);
        Self { hi, lo: if hi.is_finite() { scale(self.lo, exponent) } else { 0.0 } }
    }

    /// An integer power, by repeated squaring.
    #[must_use]
    pub fn powi(self, exponent: u32) -> Self {
        let (mut left, mut square, mut power) = (exponent, self, Self::ONE);
        while left > 0 {
            if left & 1 == 1 {
                power *= square;
            }
            left >>= 1;
            if left > 0 {
                square *= square;
            }
        }
        power
    }

    /// The exponential, by Taylor's series of a small share of the argument.
    #[must_use]
    pub fn exp(self) -> Self {
        if self.hi < -745.0 || self.hi > 710.0 || self.hi.is_nan() {
            return Self::from(self.hi.exp());
        }
        let twos = (self.hi / std::f64::consts::LN_2).round();
        let small = (self - Self::LN_2 * twos).times_power_of_two(-9);
        // exp(x) − 1 loses nothing when it is squared: (1 + y)² − 1 = 2y + y².
        let (mut term, mut grown) = (small, small);
        for k in 2..14 {
            term = term * small / f64::from(k);
            grown += term;
        }
        for _ in 0..9 {
            grown = grown.times_power_of_two(1) + grown * grown;
        }
        (grown + 1.0).times_power_of_two(twos as i32)
    }

    /// The natural logarithm, by Newton's method; negative infinity at zero.
    #[must_use]
    pub fn ln(self) -> Self {
        if self.hi <= 0.0 || !self.hi.is_finite() {
            return Self::from(self.hi.ln());
        }
        // The argument is brought near one, so that the exponential neither overflows nor underflows.
        let exponent = exponent_of(self.hi);
        let near_one = self.times_power_of_two(-exponent);
        let mut log = Self::from(near_one.hi.ln());
        for _ in 0..2 {
            log += near_one * (-log).exp() - 1.0;
        }
        log + Self::LN_2 * f64::from(exponent)
    }

    /// `self^exponent` for `self ≥ 0`; `0^0` is one.
    #[must_use]
    pub fn powf(self, exponent: Self) -> Self {
        if exponent.lo == 0.0 && exponent.hi.fract() == 0.0 && (0.0..=1024.0).contains(&exponent.hi) {
            return self.powi(exponent.hi as u32);
        }
        if self.hi == 0.0 {
            return Self::from(0.0_f64.powf(exponent.hi));
        }
        (self.ln() * exponent).exp()
    }
}

/// `x · 2^exponent`, rounded once at most; no intermediate result overflows.
pub fn scale(x: f64, exponent: i32) -> f64 {
    let (mut x, mut left) = (x, exponent.clamp(-2200, 2200));
    while left != 0 {
        let step = left.clamp(-1000, 1000);
        x *= f64::from(step).exp2();
        left -= step;
    }
    x
}

/// The `e` with `2^e ≤ |x| < 2^(e+1)`; 0 for zero and for what is not finite.
pub fn exponent_of(x: f64) -> i32 {
    if x == 0.0 || !x.is_finite() {
        return 0;
    }
    let field = |x: f64| ((x.to_bits() >> 52) & 0x7ff) as i32;
    match field(x) {
        0 => field(scale(x, 100)) - 1123,
        e => e - 1023,
    }
}

/// The sum of a slice.
pub fn sum(values: &[f64]) -> DoubleDouble {
    values.iter().map(|&v| DoubleDouble::from(v)).sum()
}

/// The inner product of two slices of `f64`.
pub fn dot(a: &[f64], b: &[f64]) -> DoubleDouble {
    assert_eq!(a.len(), b.len(), "both factors have one length");
    a.iter().zip(b).map(|(&a, &b)| DoubleDouble::exact_product(a, b)).sum()
}

/// The inner product of two slices of double-double numbers.
pub fn dot_of(a: &[DoubleDouble], b: &[DoubleDouble]) -> DoubleDouble {
    assert_eq!(a.len(), b.len(), "both factors have one length");
    a.iter().zip(b).map(|(&a, &b)| a * b).sum()
}

impl From<f64> for DoubleDouble {
    fn from(hi: f64) -> Self {
        Self { hi, lo: 0.0 }
    }
}

impl PartialOrd for DoubleDouble {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match self.hi.partial_cmp(&other.hi) {
            Some(Ordering::Equal) => self.lo.partial_cmp(&other.lo),
            order => order,
        }
    }
}

impl Neg for DoubleDouble {
    type Output = Self;
    fn neg(self) -> Self {
        Self { hi: -self.hi, lo: -self.lo }
    }
}

impl Add for DoubleDouble {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        let (hi, error) = two_sum(self.hi, other.hi);
        if !hi.is_finite() {
            return Self::from(hi);
        }
        let (low, low_error) = two_sum(self.lo, other.lo);
        let first = Self::normalised(hi, error + low);
        Self::normalised(first.hi, first.lo + low_error)
    }
}

impl Mul for DoubleDouble {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let (hi, error) = two_prod(self.hi, other.hi);
        if !hi.is_finite() {
            return Self::from(hi);
        }
        Self::normalised(hi, error + self.hi.mul_add(other.lo, self.lo * other.hi))
    }
}

impl Div for DoubleDouble {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        let first = self.hi / other.hi;
        if !first.is_finite() || !other.hi.is_finite() {
            return Self::from(first);
        }
        // Long division: three digits of 53 bits each.
        let mut rest = self - other * Self::from(first);
        let second = rest.hi / other.hi;
        rest -= other * Self::from(second);
        let third = rest.hi / other.hi;
        Self::normalised(first, second) + Self::from(third)
    }
}

impl Sub for DoubleDouble {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

macro_rules! with_f64 {
    ($($operation:ident $function:ident),*) => {$(
        impl $operation<f64> for DoubleDouble {
            type Output = Self;
            fn $function(self, other: f64) -> Self { $operation::$function(self, Self::from(other)) }
        }
    )*};
}
with_f64!(Add add, Sub sub, Mul mul, Div div);

impl AddAssign for DoubleDouble {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for DoubleDouble {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl MulAssign for DoubleDouble {
    fn mul_assign(&mut self, other: Self) {
        *self = *self * other;
    }
}

impl Sum for DoubleDouble {
    fn sum<I: Iterator<Item = Self>>(values: I) -> Self {
        values.fold(Self::ZERO, |sum, v| sum + v)
    }
}

#[cfg(test)]
#[path = "double_double_tests.rs"]
mod tests;
