//! Judges of answers, one for each core: each recomputes a claim from the input and the answer alone, in double-double
//! arithmetic, and shares no code with the solver whose answer it judges.
pub mod algebra;
pub mod completion;
pub mod lasso;
pub mod least_squares;
pub mod pivots;
pub mod regression;
pub mod spectrum;

use crate::double_double::DoubleDouble;

/// An objective and a lower bound of its minimum, both recomputed by a referee.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// The objective of the answer; infinite where the answer breaks a constraint.
    pub objective: f64,
    /// The minimum is not below this, by a dual point that the referee made itself.
    pub dual: f64,
    /// `objective − dual`, subtracted in double-double. Below zero only by the referee's own rounding.
    pub gap: f64,
    /// The objective of the null model: all coefficients zero.
    pub null_objective: f64,
    /// `gap / null_objective`, formed before anything is scaled back, so that it is right in any units. Zero when both are.
    pub relative_gap: f64,
}

impl Judgement {
    /// From values in units of `2^exponent`.
    fn new(objective: DoubleDouble, dual: DoubleDouble, null: DoubleDouble, exponent: i32) -> Self {
        let gap = objective - dual;
        let gap = if objective.is_finite() { gap } else { objective };
        let relative = if gap.to_f64() == 0.0 { 0.0 } else { (gap / null).to_f64() };
        let back = |v: DoubleDouble| v.times_power_of_two(exponent).to_f64();
        Self {
            objective: back(objective),
            dual: back(dual),
            gap: back(gap),
            null_objective: back(null),
            relative_gap: relative,
        }
    }
}
