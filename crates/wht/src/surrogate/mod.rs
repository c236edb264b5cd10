//! Surrogates.
mod answer;
mod energy;
mod evidence;
mod exp;
mod expert;
mod fit;
mod functionals;
mod heavy;
mod kernel;
mod lbfgs;
mod letters;
mod mix;
mod mixture;
mod options;
mod posterior;
mod pursuit;
mod search;
mod sets;
mod table;

pub use answer::{Energy, Estimate, ExpertReport, Kind, Report, Sobol, Status};
pub use functionals::PairIndex;
pub use letters::{LetterPosterior, Letters, fit_letters, fit_letters_observed};
pub use options::Options;
pub use posterior::{Posterior, Top, fit, fit_observed};

#[cfg(test)]
mod tests;
