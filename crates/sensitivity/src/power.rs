//! Powers with a fixed exponent: products and roots where twice the exponent is a small whole number, or where it is a small
//! multiple of a third or a quarter.

use crate::Error;

/// `x ↦ x^e` for `x ≥ 0`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Power {
    exponent: f64,
    /// Twice the exponent, when it is whole and small.
    halves: Option<i32>,
    /// Three times the exponent or four times it, when that is whole and small.
    thirds: Option<i32>,
    quarters: Option<i32>,
}

impl Power {
    pub(crate) fn new(exponent: f64) -> Self {
        // `1 − 2/p` is a third but for rounding.
        let whole = |parts: f64| {
            let times = (parts * exponent).round();
            (((times / parts) - exponent).abs() <= f64::EPSILON && times.abs() <= 16.0).then_some(times as i32)
        };
        Self { exponent, halves: whole(2.0), thirds: whole(3.0), quarters: whole(4.0) }
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
            None => self.by_roots(x),
        }
    }

    fn by_roots(self, x: f64) -> f64 {
        match (self.thirds, self.quarters) {
            (Some(t), _) => x.cbrt().powi(t),
            (_, Some(q)) => x.sqrt().sqrt().powi(q),
            _ => x.powf(self.exponent),
        }
    }
}

impl Power {
    /// [`Power::of`] for every entry.
    pub(crate) fn raise(self, x: &mut [f64]) {
        // The loops that a compiler makes registers of.
        match self.halves {
            Some(1) => x.iter_mut().for_each(|x| *x = x.sqrt()),
            Some(3) => x.iter_mut().for_each(|x| *x *= x.sqrt()),
            Some(-1) => x.iter_mut().for_each(|x| *x = 1.0 / x.sqrt()),
            Some(-2) => x.iter_mut().for_each(|x| *x = 1.0 / *x),
            _ => x.iter_mut().for_each(|x| *x = self.of(*x)),
        }
    }
}

/// Whether an exponent is in the range of losses.
pub(crate) fn check_exponent(p: f64) -> Result<(), Error> {
    if (1.0..=64.0).contains(&p) { Ok(()) } else { Err(Error::argument("p", p, "1 to 64")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_library() {
        for e in
            [-3.0, -2.5, -1.0, -0.5, 0.0, 0.5, 0.7, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 4.5, 8.0, 9.5, -1.0 / 3.0, 4.0 / 3.0]
        {
            for x in [1e-3_f64, 0.4, 1.0, 7.5] {
                let mut many = [x, 2.0 * x];
                Power::new(e).raise(&mut many);
                assert!((Power::new(e).of(x) / x.powf(e) - 1.0).abs() < 1e-14, "{x}^{e}");
                assert_eq!(many, [x, 2.0 * x].map(|x| Power::new(e).of(x)), "{x}^{e}");
            }
        }
        assert_eq!(Power::new(0.5).of(0.0), 0.0);
    }
}
