//! The words of the call.
use std::path::PathBuf;

use clap::ValueEnum;
use serde::Serialize;

use crate::cells::FirstLine;
use crate::session::{lossy, lossy_option};

/// The letters of words.
#[derive(ValueEnum, Serialize, Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::commands::wht) enum Alphabet {
    /// Those that the table has at each position.
    #[serde(rename = "auto")]
    Auto,
    #[serde(rename = "01")]
    #[value(name = "01")]
    Bits,
    #[serde(rename = "ACGT")]
    #[value(name = "ACGT")]
    Dna,
    #[serde(rename = "ACGU")]
    #[value(name = "ACGU")]
    Rna,
    #[serde(rename = "protein")]
    Protein,
}

impl Alphabet {
    /// The letters, where they are known beforehand.
    pub fn letters(self) -> Option<&'static str> {
        match self {
            Self::Auto => None,
            Self::Bits => Some("01"),
            Self::Dna => Some("ACGT"),
            Self::Rna => Some("ACGU"),
            Self::Protein => Some("ACDEFGHIKLMNPQRSTVWY"),
        }
    }
}

/// What the next measurements are for.
#[derive(ValueEnum, Serialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(in crate::commands::wht) enum Goal {
    /// To know the values of all other variants.
    Values,
    /// To find the variant of the largest value.
    Maximum,
}

#[derive(clap::Args, Serialize)]
pub(in crate::commands::wht) struct FitWords {
    /// CSV, TSV or Parquet: a column of words of one length and one of values, or a column for each variable (up to 64
    /// distinct values each) and one of values.
    #[serde(serialize_with = "lossy")]
    pub table: PathBuf,
    /// Column of the values (default: the last).
    #[arg(long)]
    pub value: Option<String>,
    /// Column of the words; all other columns but that of the values are left aside.
    #[arg(long)]
    pub variants: Option<String>,
    /// Letters of the words.
    #[arg(long, value_enum, default_value = "auto", ignore_case = true)]
    pub alphabet: Alphabet,
    /// Standard deviation of the noise of one value, or auto (unknown).
    #[arg(long, default_value = "auto")]
    pub noise_std: String,
    /// Level of the intervals.
    #[arg(long, default_value_t = 0.9)]
    pub level: f64,
    /// Number of interactions that are shown.
    #[arg(long, default_value_t = 20)]
    pub top: usize,
    /// Shows what every letter does, not only the best of each position.
    #[arg(long)]
    pub effects: bool,
    /// Table of new variants whose values are predicted (`-`: standard input); they go to --predictions.
    #[arg(long, requires = "predictions")]
    #[serde(serialize_with = "lossy_option")]
    pub predict: Option<PathBuf>,
    /// Where the predictions go (.csv or .tsv; `-`: standard output).
    #[arg(long, requires = "predict")]
    #[serde(serialize_with = "lossy_option")]
    pub predictions: Option<PathBuf>,
    /// Number of variants to propose for the next measurement.
    #[arg(long)]
    pub next: Option<usize>,
    /// What the next measurements are for.
    #[arg(long, value_enum, default_value = "values", requires = "next")]
    pub target: Goal,
    /// Where the model goes (.json), for `wht predict`.
    #[arg(long)]
    #[serde(serialize_with = "lossy_option")]
    pub out: Option<PathBuf>,
    /// Where a picture of what each letter does goes (.svg).
    #[arg(long)]
    #[serde(serialize_with = "lossy_option")]
    pub plot: Option<PathBuf>,
    #[command(flatten)]
    #[serde(skip)]
    pub first_line: FirstLine,
}

#[derive(clap::Args, Serialize)]
pub(in crate::commands::wht) struct PredictWords {
    /// What `wht fit --out` wrote.
    #[serde(serialize_with = "lossy")]
    pub model: PathBuf,
    /// Table of variants as the one that was learned from; a column of values is not needed.
    #[serde(serialize_with = "lossy")]
    pub table: PathBuf,
    /// Where the predictions go (.csv or .tsv; default: the table that is printed).
    #[arg(long)]
    #[serde(serialize_with = "lossy_option")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    #[serde(skip)]
    pub first_line: FirstLine,
}
