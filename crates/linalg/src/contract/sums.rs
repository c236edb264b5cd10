//! Sums in a fixed order: eight lanes inside, fixed chunks outside, so that neither the instruction set nor the number
//! of threads changes a bit. No fused multiply-add is used for the same reason.

const LANES: usize = 8;

/// `Σ a_i b_i`, lane `i mod 8`, lanes folded by halves.
///
/// # Panics
/// When the lengths differ.
#[inline]
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len(), "dot of lengths {} and {}", a.len(), b.len());
    let mut lanes = [0.0; LANES];
    let (head_a, tail_a) = a.as_chunks::<LANES>();
    let (head_b, tail_b) = b.as_chunks::<LANES>();
    for (x, y) in head_a.iter().zip(head_b) {
        for l in 0..LANES {
            lanes[l] += x[l] * y[l];
        }
    }
    for (l, (x, y)) in tail_a.iter().zip(tail_b).enumerate() {
        lanes[l] += x * y;
    }
    fold(lanes)
}

/// `Σ a_i` in the same order.
#[inline]
pub fn sum(a: &[f64]) -> f64 {
    let mut lanes = [0.0; LANES];
    let (head, tail) = a.as_chunks::<LANES>();
    for x in head {
        for l in 0..LANES {
            lanes[l] += x[l];
        }
    }
    for (l, x) in tail.iter().enumerate() {
        lanes[l] += x;
    }
    fold(lanes)
}

/// `Σ f(i)` for `i < n` in the same order.
#[inline]
pub fn sum_by(n: usize, mut f: impl FnMut(usize) -> f64) -> f64 {
    let mut lanes = [0.0; LANES];
    let whole = n - n % LANES;
    for i in (0..whole).step_by(LANES) {
        for (l, lane) in lanes.iter_mut().enumerate() {
            *lane += f(i + l);
        }
    }
    for (l, i) in (whole..n).enumerate() {
        lanes[l] += f(i);
    }
    fold(lanes)
}

/// `y += alpha · x`.
///
/// # Panics
/// When the lengths differ.
#[inline]
pub fn axpy(alpha: f64, x: &[f64], y: &mut [f64]) {
    assert_eq!(x.len(), y.len(), "axpy of lengths {} and {}", x.len(), y.len());
    for (y, x) in y.iter_mut().zip(x) {
        *y += alpha * x;
    }
}

/// Euclidean norm, scaled so that it neither overflows nor underflows where the result is representable.
pub fn norm(a: &[f64]) -> f64 {
    let plain = dot(a, a);
    if plain.is_normal() && plain < f64::MAX {
        return plain.sqrt();
    }
    if a.iter().any(|x| x.is_nan()) {
        return f64::NAN; // which the maximum below would hide
    }
    let largest = a.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    if largest == 0.0 || !largest.is_finite() {
        return largest;
    }
    let scale = power_of_two_scale(largest);
    let scaled: Vec<f64> = a.iter().map(|x| x / scale).collect();
    scale * dot(&scaled, &scaled).sqrt()
}

#[inline]
fn fold(l: [f64; LANES]) -> f64 {
    ((l[0] + l[4]) + (l[2] + l[6])) + ((l[1] + l[5]) + (l[3] + l[7]))
}

/// The first power of two at or above `|x|`, as a factor that scales without rounding; 1 for zero.
pub fn power_of_two_scale(x: f64) -> f64 {
    if x == 0.0 || !x.is_finite() {
        return 1.0;
    }
    let exponent = x.abs().log2().ceil().clamp(-1074.0, 1023.0);
    exponent.exp2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_norm_survives_extreme_scales() {
        assert!((norm(&[3e200, 4e200]) / 5e200 - 1.0).abs() <= 2.0 * f64::EPSILON);
        assert!((norm(&[3e-200, 4e-200]) - 5e-200).abs() < 1e-214);
        assert_eq!(norm(&[]), 0.0);
        assert!(norm(&[f64::NAN]).is_nan() && norm(&[0.0, f64::NAN, 1.0]).is_nan());
        assert_eq!(norm(&[f64::NEG_INFINITY, 1.0]), f64::INFINITY);
        for x in [1e-310, f64::MAX, f64::MIN_POSITIVE, -3.0] {
            let scaled = x.abs() / power_of_two_scale(x);
            assert!((0.5..=2.0).contains(&scaled), "{x:e}");
        }
    }

    #[test]
    fn sums_of_integers_are_exact_for_every_length() {
        for n in 0..100 {
            let a: Vec<f64> = (0..n).map(f64::from).collect();
            assert_eq!(sum(&a), f64::from(n * (n - 1) / 2));
            assert_eq!(dot(&a, &vec![2.0; n as usize]), f64::from(n * (n - 1)));
        }
    }
}
