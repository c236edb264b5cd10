//! `samplewise hamming`: one pass over the text in constant memory.
pub mod decode;
mod outputs;
mod pass;
mod strand;
mod sums;
mod view;

use std::io::IsTerminal;
use std::ops::Range;
use std::path::{Path, PathBuf};

use samplewise_hamming::{Engine, Options, Plan, Search, SymbolOptions, reverse_complement};

use crate::choices;
use crate::failure::{Failure, usage};
use crate::input;
use crate::output::{check_apart, check_not_ending, is_stream};
use crate::session::{Answer, Session};
use decode::{Bytes, Tokens};
use pass::Job;
use view::view;

#[derive(clap::Args)]
pub struct Arguments {
    /// FASTA, FASTQ or raw bytes, also .gz; - is standard input.
    text: PathBuf,
    /// The same, or the pattern itself with --literal.
    pattern: PathBuf,
    #[arg(long)]
    literal: bool,
    /// Symbols are unsigned integers below 2^32 between white space.
    #[arg(long, conflicts_with_all = ["both_strands", "alphabet"])]
    tokens: bool,
    /// What the letters are.
    #[arg(long, value_enum, default_value = "bytes")]
    alphabet: choices::Alphabet,
    /// A character (an integer with --tokens) that is no symbol like others.
    #[arg(long)]
    wildcard: Option<String>,
    /// What a pair with a wildcard counts.
    #[arg(long, value_enum, default_value = "match", requires = "wildcard")]
    wildcard_meaning: choices::Meaning,
    /// With --alphabet iupac, what an N of the text matches: match (every letter) or mismatch (an N of the pattern only).
    /// Genomes have long runs of N, where nothing is known.
    #[arg(long, value_enum, default_value = "mismatch")]
    text_n: choices::NOfText,
    #[arg(long)]
    both_strands: bool,
    /// Report positions with at most this many mismatches. Where there are insertions and deletions, as in Nanopore reads, a
    /// search by edit distance finds more.
    #[arg(long)]
    max_distance: Option<u32>,
    /// With --max-distance: positions of the pattern that must match, such as 20..23 for a PAM.
    #[arg(long, requires = "max_distance", value_parser = range)]
    required: Option<Range<usize>>,
    /// Distances within a factor 1 ± EPSILON; holds one record in memory.
    #[arg(long, conflicts_with_all = ["max_distance", "best"])]
    epsilon: Option<f64>,
    /// Probability that any distance misses EPSILON. Default 0.001.
    #[arg(long, requires = "epsilon")]
    delta: Option<f64>,
    /// With EPSILON: distances never too large.
    #[arg(long, requires = "epsilon")]
    one_sided: bool,
    /// Report the best positions.
    #[arg(long, conflicts_with = "max_distance")]
    best: Option<usize>,
    /// The engine; periodic goes with --max-distance.
    #[arg(long, value_parser = choices::engine(), default_value = "auto")]
    engine: Engine,
    /// Show the alignments of so many hits. Default 3 on a terminal, else 0.
    #[arg(long)]
    show: Option<usize>,
    /// Distances (.npy; a folder when there are several vectors), or hits as TSV, BED (.bed) or JSON lines (.json, .jsonl).
    #[arg(long)]
    out: Option<PathBuf>,
}

pub fn run(a: &Arguments, session: &Session) -> Result<Answer, Failure> {
    let (alphabet, wildcard_meaning, text_n) = (a.alphabet.into(), a.wildcard_meaning.into(), a.text_n.into());
    let engine = a.engine;
    let hits = a.max_distance.is_some() || a.best.is_some();
    if hits && a.out.as_ref().is_some_and(|f| input::kind(f) == "npy") {
        return Err(usage("--out ends in .npy, hits are written as .tsv, .csv, .bed or .json"));
    }
    if !hits {
        let tables = ["bed", "json", "jsonl", "csv", "tsv", "txt", "npz", "parquet"];
        check_not_ending("--out", a.out.as_deref(), &tables, "a vector, .npy")?;
        let several = a.both_strands;
        if several && a.out.as_deref().is_some_and(is_stream) {
            return Err(usage("--out must be a folder: there is a vector for each strand"));
        }
    }
    // Hits are shown from a second look at the text, after they are written.
    check_apart(("--out", a.out.as_deref()), ("the text", Some(&a.text)))?;
    check_apart(("--out", a.out.as_deref()), ("the pattern", (!a.literal).then_some(&*a.pattern)))?;
    for (name, value) in [("--epsilon", a.epsilon), ("--delta", a.delta)] {
        if let Some(v) = value.filter(|v| !(*v > 0.0 && *v < 1.0)) {
            return Err(usage(format!("{name} is {v}, allowed is above 0 and below 1")));
        }
    }
    if a.tokens {
        let wildcard = match &a.wildcard {
            Some(w) => Some(w.parse::<u32>().map_err(|_| {
                usage(format!("--wildcard is {w}, allowed with --tokens is an integer from 0 to 4294967295"))
            })?),
            None => None,
        };
        let options = SymbolOptions { wildcard, wildcard_meaning, engine };
        let job = Job {
            a,
            session,
            decode: Tokens::default,
            strands: &['+'],
            reverse: |p: &[u32]| p.to_vec(),
            plan: &|p| Plan::of_symbols(p, &options),
            search: &|q| Search::of_symbols(q, &options),
        };
        return job.run(|_, _| String::new());
    }
    let wildcard = match &a.wildcard {
        Some(w) if w.len() == 1 && w.is_ascii() => Some(w.as_bytes()[0]),
        Some(w) => return Err(usage(format!("--wildcard is {w}, allowed is one ASCII character"))),
        None => None,
    };
    let options = Options { alphabet, wildcard, wildcard_meaning, text_n, engine };
    let job = Job {
        a,
        session,
        decode: || Bytes,
        strands: if a.both_strands { &['+', '-'] } else { &['+'] },
        reverse: reverse_complement,
        plan: &|p| Plan::new(p, &options),
        search: &|q| if a.both_strands { Search::both_strands(q, &options) } else { Search::new(q, &options) },
    };
    let shown = a.show.unwrap_or(if std::io::stdout().is_terminal() { 3 } else { 0 });
    job.run(|patterns, hits| match shown.min(hits.len()) {
        0 => String::new(),
        _ if a.text == Path::new("-") => "alignments are shown for files only\n".into(),
        many => view(a, options, patterns, &hits[..many]).unwrap_or_default(),
    })
}

fn range(text: &str) -> Result<Range<usize>, String> {
    let ends = text.split_once("..").and_then(|(a, b)| Some(a.parse().ok()?..b.parse().ok()?));
    ends.filter(|r| r.start < r.end).ok_or_else(|| "wanted is FIRST..END with FIRST below END".to_owned())
}
