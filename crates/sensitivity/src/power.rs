//! Powers with a fixed exponent: products and square roots where twice the exponent is a small whole number.

/// `x ↦ x^e` for `x ≥ 0`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Power {
    exponent: f64,
    /// Twice the exponent, when it is whole and small.
    halves: Option<i32>,
}

impl Power {
    pub(crate) fn new(exponent: f64) -> Self {
        let halves = (2.0 * exponent).round();
        let whole = halves == 2.0 * exponent && halves.abs() <= 16.0;
        Self { exponent, halves: whole.then_some(halves as i32) }
    }

    #[inline]
    pub(crate) fn of(self, x: f64) -> f64 {
        match self.halves {
            Some(0) => 1.0,
            Some(1) => x.sqrt(),
            Some(2) => x,
            Some(3) => x * x.sqrt(),
            Some(4) => x * x,
            Some(-1) => 1.0 / x.sqrt(),
            Some(-2) => 1.0 / x,
            Some(h) if h % 2 == 0 => x.powi(h / 2),
            Some(h) => x.powi(h / 2) * if h > 0 { x.sqrt() } else { 1.0 / x.sqrt() },
            None => x.powf(self.exponent),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_library() {
        for e in [-3.0, -2.5, -1.0, -0.5, 0.0, 0.5, 0.7, 1.0, 1.5, 2.0, 2.5, 3.0, 4.5, 8.0, 9.5] {
            for x in [1e-3_f64, 0.4, 1.0, 7.5] {
                assert!((Power::new(e).of(x) / x.powf(e) - 1.0).abs() < 1e-14, "{x}^{e}");
            }
        }
        assert_eq!(Power::new(0.5).of(0.0), 0.0);
    }
}
