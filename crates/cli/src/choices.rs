//! The words between which options of the command line choose; each is what the crates call it.
use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use samplewise_completion::{Loss, Solver};
use samplewise_hamming::{Engine, TextN, WildcardMeaning};
use samplewise_sensitivity::{Method, Sampler};
use samplewise_wht::Decoder;
use serde::Serialize;

/// The word of a choice, as it is typed.
pub fn word(choice: &impl ValueEnum) -> String {
    choice.to_possible_value().map_or_else(String::new, |v| v.get_name().to_owned())
}

/// `--alphabet`.
#[derive(ValueEnum, Serialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Alphabet {
    Bytes,
    Dna,
    Iupac,
}

impl From<Alphabet> for samplewise_hamming::Alphabet {
    fn from(word: Alphabet) -> Self {
        match word {
            Alphabet::Bytes => Self::Bytes,
            Alphabet::Dna => Self::Dna,
            Alphabet::Iupac => Self::Iupac,
        }
    }
}

/// `--wildcard-meaning`.
#[derive(ValueEnum, Serialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Meaning {
    Match,
    Mismatch,
    Excluded,
}

impl From<Meaning> for WildcardMeaning {
    fn from(word: Meaning) -> Self {
        match word {
            Meaning::Match => Self::Match,
            Meaning::Mismatch => Self::Mismatch,
            Meaning::Excluded => Self::Excluded,
        }
    }
}

/// `--text-n`.
#[derive(ValueEnum, Serialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum NOfText {
    Match,
    Mismatch,
}

impl From<NOfText> for TextN {
    fn from(word: NOfText) -> Self {
        match word {
            NOfText::Match => Self::Match,
            NOfText::Mismatch => Self::Mismatch,
        }
    }
}

/// `--engine`: the list of the crate.
pub fn engine() -> impl TypedValueParser<Value = Engine> {
    let named = |word: String| Engine::ALL.into_iter().find(|e| e.name() == word).expect("a possible value");
    PossibleValuesParser::new(Engine::ALL.map(Engine::name)).map(named)
}

/// `--method` of a sample.
#[derive(ValueEnum, Serialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Scoring {
    Lewis,
    Leverage,
    RootLeverage,
    Sensitivity,
    #[value(name = "sensitivity+leverage")]
    #[serde(rename = "sensitivity+leverage")]
    SensitivityPlusLeverage,
    Uniform,
}

impl From<Scoring> for Method {
    fn from(word: Scoring) -> Self {
        match word {
            Scoring::Lewis => Self::Lewis,
            Scoring::Leverage => Self::Leverage,
            Scoring::RootLeverage => Self::RootLeverage,
            Scoring::Sensitivity => Self::Sensitivity,
            Scoring::SensitivityPlusLeverage => Self::SensitivityPlusLeverage,
            Scoring::Uniform => Self::Uniform,
        }
    }
}

/// `--sampler`.
#[derive(ValueEnum, Serialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Sampling {
    Bernoulli,
    Priority,
    Tree,
}

impl From<Sampling> for Sampler {
    fn from(word: Sampling) -> Self {
        match word {
            Sampling::Bernoulli => Self::Bernoulli,
            Sampling::Priority => Self::Priority,
            Sampling::Tree => Self::Tree,
        }
    }
}

/// `--solver` of a Lasso.
#[derive(ValueEnum, Serialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum LassoSolver {
    Auto,
    WorkingSet,
    Homotopy,
    CoordinateDescent,
}

impl From<LassoSolver> for samplewise_lasso::Solver {
    fn from(word: LassoSolver) -> Self {
        match word {
            LassoSolver::Auto => Self::Auto,
            LassoSolver::WorkingSet => Self::WorkingSet,
            LassoSolver::Homotopy => Self::Homotopy,
            LassoSolver::CoordinateDescent => Self::CoordinateDescent,
        }
    }
}

/// `--solver` of a completion.
#[derive(ValueEnum, Serialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum CompletionSolver {
    Auto,
    Exact,
    /// Warm conjugate gradients.
    Cg,
    Sketched,
    /// The mean of draws from the posterior, best for ratings, with a deviation for each prediction.
    Gibbs,
}

impl CompletionSolver {
    /// The row solver of a fit; none for draws.
    pub fn of_rows(self) -> Option<Solver> {
        match self {
            Self::Auto => Some(Solver::Auto),
            Self::Exact => Some(Solver::Exact),
            Self::Cg => Some(Solver::ConjugateGradients { steps: 3 }),
            Self::Sketched => Some(Solver::Sketched { accuracy: 0.1, rows_per_unknown: 4 }),
            Self::Gibbs => None,
        }
    }
}

/// `--loss` of a completion.
#[derive(ValueEnum, Serialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum EntryLoss {
    Squared,
    Huber,
    /// Grossly wrong entries are found and left out.
    Trimmed,
}

impl From<EntryLoss> for Loss {
    fn from(word: EntryLoss) -> Self {
        match word {
            EntryLoss::Squared => Self::Squared,
            EntryLoss::Huber => Self::Huber { threshold: 1.345 },
            EntryLoss::Trimmed => Self::Trimmed,
        }
    }
}

/// `--biases`.
#[derive(ValueEnum, Serialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Switch {
    On,
    Off,
}

/// `--decoder`.
#[derive(ValueEnum, Serialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Decoding {
    Auto,
    Dense,
    SignBits,
    Spright,
    JointList,
    ExhaustiveLists,
    BchLists,
    Heredity,
    Surrogate,
}

impl From<Decoding> for Decoder {
    fn from(word: Decoding) -> Self {
        match word {
            Decoding::Auto => Self::Auto,
            Decoding::Dense => Self::Dense,
            Decoding::SignBits => Self::SignBits,
            Decoding::Spright => Self::Spright,
            Decoding::JointList => Self::JointList,
            Decoding::ExhaustiveLists => Self::ExhaustiveLists,
            Decoding::BchLists => Self::BchLists,
            Decoding::Heredity => Self::Heredity,
            Decoding::Surrogate => Self::Surrogate,
        }
    }
}

/// `--duplicates`: what becomes of a pair that is given several times.
#[derive(ValueEnum, Serialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Repeated {
    Error,
    Mean,
    First,
    Last,
    Sum,
}
