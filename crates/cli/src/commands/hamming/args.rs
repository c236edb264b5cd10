//! The words of the call.
use std::ops::Range;
use std::path::PathBuf;

use samplewise_hamming::Engine;
use serde::{Serialize, Serializer};

use crate::choices;
use crate::session::lossy;

#[derive(clap::Args, Serialize)]
pub struct Arguments {
    /// FASTA, FASTQ or raw bytes, also .gz; - is standard input.
    #[serde(serialize_with = "lossy")]
    pub(super) text: PathBuf,
    /// The same, or the pattern itself with --literal.
    #[serde(serialize_with = "lossy")]
    pub(super) pattern: PathBuf,
    #[arg(long)]
    pub(super) literal: bool,
    /// Symbols are unsigned integers below 2^32 between white space.
    #[arg(long, conflicts_with_all = ["both_strands", "alphabet"])]
    pub(super) tokens: bool,
    /// What the letters are.
    #[arg(long, value_enum, default_value = "bytes")]
    pub(super) alphabet: choices::Alphabet,
    /// A character (an integer with --tokens) that is no symbol like others.
    #[arg(long)]
    pub(super) wildcard: Option<String>,
    /// What a pair with a wildcard counts.
    #[arg(long, value_enum, default_value = "match", requires = "wildcard")]
    pub(super) wildcard_meaning: choices::Meaning,
    /// With --alphabet iupac, what an N of the text matches: match (every letter) or mismatch (an N of the pattern only).
    /// Genomes have long runs of N, where nothing is known.
    #[arg(long, value_enum, default_value = "mismatch")]
    pub(super) text_n: choices::NOfText,
    #[arg(long)]
    pub(super) both_strands: bool,
    /// Report positions with at most this many mismatches. Where there are insertions and deletions, as in Nanopore reads, a
    /// search by edit distance finds more.
    #[arg(long)]
    pub(super) max_distance: Option<u32>,
    /// With --max-distance: positions of the pattern that must match, such as 20..23 for a PAM.
    #[arg(long, requires = "max_distance", value_parser = range)]
    #[serde(serialize_with = "ends")]
    pub(super) required: Option<Range<usize>>,
    /// Distances within a factor 1 ± EPSILON; holds one record in memory.
    #[arg(long, conflicts_with_all = ["max_distance", "best"])]
    pub(super) epsilon: Option<f64>,
    /// Probability that any distance misses EPSILON. Default 0.001.
    #[arg(long, requires = "epsilon")]
    pub(super) delta: Option<f64>,
    /// With EPSILON: distances never too large.
    #[arg(long, requires = "epsilon")]
    pub(super) one_sided: bool,
    /// Report the best positions.
    #[arg(long, conflicts_with = "max_distance")]
    pub(super) best: Option<usize>,
    /// The engine; periodic goes with --max-distance.
    #[arg(long, value_parser = choices::engine(), default_value = "auto")]
    #[serde(serialize_with = "name")]
    pub(super) engine: Engine,
    /// Show the alignments of so many hits. Default 3 on a terminal, else 0.
    #[arg(long)]
    #[serde(skip)]
    pub(super) show: Option<usize>,
    /// Distances (.npy; a folder when there are several vectors), or hits as TSV, BED (.bed) or JSON lines (.json, .jsonl).
    #[arg(long)]
    #[serde(skip)]
    pub(super) out: Option<PathBuf>,
}

impl Arguments {
    /// Whether hits are wanted, and not all distances.
    pub(super) fn wants_hits(&self) -> bool {
        self.max_distance.is_some() || self.best.is_some()
    }
}

fn range(text: &str) -> Result<Range<usize>, String> {
    let ends = text.split_once("..").and_then(|(a, b)| Some(a.parse().ok()?..b.parse().ok()?));
    ends.filter(|r| r.start < r.end).ok_or_else(|| "wanted is FIRST..END with FIRST below END".to_owned())
}

/// First and end of a range, as a list.
#[allow(clippy::ref_option)]
fn ends<S: Serializer>(range: &Option<Range<usize>>, to: S) -> Result<S::Ok, S::Error> {
    range.as_ref().map(|r| [r.start, r.end]).serialize(to)
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn name<S: Serializer>(engine: &Engine, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(engine.name())
}
