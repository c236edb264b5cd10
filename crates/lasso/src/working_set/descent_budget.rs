//! Sparse columns: coordinate descent on the residual until it has cost as much as the Gram matrix of the set would have.
//!
//! Which of the two is cheaper depends on how correlated the columns are, which shows only in the number of sweeps. As
//! with skis that are rented until the rents add up to their price, the total is at most about twice that of the better
//! way; less where the fall of the first sweeps already shows that many more are needed. The prices below, nanoseconds on one core, only have to be right relative to each other; the choice follows from
//! counts, not from a clock, so that results repeat.
use samplewise_linalg::CsrMatrix;

/// An entry of a column read or added in a sweep.
const ENTRY: f64 = 2.0;
/// A pair of entries that share a row, and an entry that joins, in the Gram matrix.
const PAIR: f64 = 1.5;
const JOIN: f64 = 20.0;
/// A multiplication of a Cholesky factorisation, and one of a Newton step with its sweeps.
const FACTOR: f64 = 0.14;
const STEP: f64 = 2.6;
/// Newton steps per λ.
const STEPS: f64 = 2.0;

/// What was spent on descent, and what the other way would have cost.
///
/// Row LAS-2 of `paper-refs.md`.
pub(crate) struct DescentBudget {
    /// Per row the members that touch it.
    counts: Vec<u32>,
    spent: f64,
    price: f64,
    /// Support that is factored.
    factored: f64,
}

impl DescentBudget {
    /// A pass over the table is to be spent in any case, so that small sets decide nothing.
    pub fn new(x: &CsrMatrix) -> Self {
        Self { counts: vec![0; x.columns()], spent: 0.0, price: ENTRY * x.nnz() as f64, factored: 0.0 }
    }

    /// Columns (rows of `x`) join the set.
    pub fn join(&mut self, x: &CsrMatrix, fresh: &[usize]) {
        for &j in fresh {
            let at = x.row(j).0;
            let mut pairs = 0;
            for &i in at {
                self.counts[i as usize] += 1;
                pairs += u64::from(self.counts[i as usize]);
            }
            self.price += PAIR * pairs as f64 + JOIN * at.len() as f64;
        }
    }

    /// Entries that descent may read at one λ, with a set of `size` and `support` nonzeros: until it has cost as much as
    /// the other way, and as many as the other way costs.
    pub fn entries(&mut self, size: usize, support: usize) -> (usize, usize) {
        let s = support as f64;
        // s³/6 multiplications for the factor, of which the part before is there.
        self.price += FACTOR * (s.powi(3) - self.factored.powi(3)).max(0.0) / 6.0 + STEPS * STEP * s * size as f64;
        self.factored = self.factored.max(s);
        (((self.price - self.spent) / ENTRY).max(0.0) as usize, (self.price / ENTRY) as usize)
    }

    /// So many were read.
    pub fn spend(&mut self, entries: usize) {
        self.spent += ENTRY * entries as f64;
    }
}
