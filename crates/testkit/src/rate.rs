//! Statements about failure rates, with a stated probability of crying wolf.

/// Passes when `failures` of `trials` is compatible with a true rate of at most `claimed`.
///
/// A correct algorithm (true rate `≤ claimed`) fails this check with probability at most `false_alarm`: the check is
/// the exact one-sided binomial test `P(X ≥ failures | trials, claimed) ≥ false_alarm`.
///
/// # Panics
/// When the check fails; the message gives all four numbers.
pub fn assert_rate_at_most(failures: usize, trials: usize, claimed: f64, false_alarm: f64) {
    assert!(trials > 0 && (0.0..=1.0).contains(&claimed), "{trials} trials at claimed rate {claimed}");
    let p = binomial_tail(failures, trials, claimed);
    assert!(
        p >= false_alarm,
        "{failures} failures in {trials} trials: at the claimed rate {claimed} so many have probability {p:.2e} < {false_alarm:e}"
    );
}

/// `P(X ≥ k)` for a binomial variable.
pub fn binomial_tail(k: usize, n: usize, p: f64) -> f64 {
    if k == 0 {
        return 1.0;
    }
    if k > n || p == 0.0 {
        return 0.0;
    }
    if p == 1.0 {
        return 1.0;
    }
    let mut log_term = n as f64 * (1.0 - p).ln(); // of P(X = 0)
    let mut tail = if k == 0 { log_term.exp() } else { 0.0 };
    for i in 1..=n {
        log_term += ((n - i + 1) as f64 / i as f64).ln() + p.ln() - (1.0 - p).ln();
        if i >= k {
            tail += log_term.exp();
        }
    }
    tail.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_matches_hand_computed_values() {
        assert_eq!(binomial_tail(0, 10, 0.3), 1.0);
        assert!((binomial_tail(2, 2, 0.5) - 0.25).abs() < 1e-15);
        assert!((binomial_tail(1, 3, 0.5) - 0.875).abs() < 1e-14);
    }

    #[test]
    fn a_rate_in_line_with_the_claim_passes() {
        assert_rate_at_most(5, 100, 0.05, 1e-6);
    }

    #[test]
    #[should_panic(expected = "40 failures in 100 trials")]
    fn a_rate_far_above_the_claim_is_caught() {
        assert_rate_at_most(40, 100, 0.05, 1e-9);
    }
}
