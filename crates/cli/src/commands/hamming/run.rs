//! What the words ask for: symbols of one kind or the other, and what is done with them.
use std::io::IsTerminal;
use std::path::Path;

use samplewise_hamming::{Options, Plan, Search, SymbolOptions, reverse_complement};

use super::args::Arguments;
use super::decode::{Bytes, Tokens};
use super::job::Job;
use super::view::view;
use crate::failure::{Failure, usage};
use crate::input;
use crate::output::{check_apart, check_not_ending, is_stream};
use crate::session::{Answer, Session};

pub fn run(a: &Arguments, session: &Session) -> Result<Answer, Failure> {
    check(a)?;
    if a.tokens { tokens(a, session) } else { bytes(a, session) }
}

/// Words that do not go together.
fn check(a: &Arguments) -> Result<(), Failure> {
    let out = a.out.as_deref();
    if a.wants_hits() {
        if out.is_some_and(|f| input::kind(f) == "npy") {
            return Err(usage("--out ends in .npy, hits are written as .tsv, .csv, .bed or .json"));
        }
    } else {
        let tables = ["bed", "json", "jsonl", "csv", "tsv", "txt", "npz", "parquet"];
        check_not_ending("--out", out, &tables, "a vector, .npy")?;
        if a.both_strands && out.is_some_and(is_stream) {
            return Err(usage("--out must be a folder: there is a vector for each strand"));
        }
    }
    // Hits are shown from a second look at the text, after they are written.
    check_apart(("--out", out), ("the text", Some(&a.text)))?;
    check_apart(("--out", out), ("the pattern", (!a.literal).then_some(&*a.pattern)))?;
    for (name, value) in [("--epsilon", a.epsilon), ("--delta", a.delta)] {
        if let Some(v) = value.filter(|v| !(*v > 0.0 && *v < 1.0)) {
            return Err(usage(format!("{name} is {v}, allowed is above 0 and below 1")));
        }
    }
    Ok(())
}

/// Symbols that are integers.
fn tokens(a: &Arguments, session: &Session) -> Result<Answer, Failure> {
    let number = |w: &String| {
        let wrong = || usage(format!("--wildcard is {w}, allowed with --tokens is an integer from 0 to 4294967295"));
        w.parse::<u32>().map_err(|_| wrong())
    };
    let wildcard = a.wildcard.as_ref().map(number).transpose()?;
    let options = SymbolOptions { wildcard, wildcard_meaning: a.wildcard_meaning.into(), engine: a.engine };
    let job = Job {
        a,
        session,
        decode: Tokens::default,
        strands: &['+'],
        reverse: |p: &[u32]| p.to_vec(),
        plan: &|p| Plan::of_symbols(p, &options),
        search: &|q| Search::of_symbols(q, &options),
    };
    job.run(|_, _| String::new())
}

/// Symbols that are characters.
fn bytes(a: &Arguments, session: &Session) -> Result<Answer, Failure> {
    let wildcard = match &a.wildcard {
        Some(w) if w.len() == 1 && w.is_ascii() => Some(w.as_bytes()[0]),
        Some(w) => return Err(usage(format!("--wildcard is {w}, allowed is one ASCII character"))),
        None => None,
    };
    let (alphabet, wildcard_meaning, text_n) = (a.alphabet.into(), a.wildcard_meaning.into(), a.text_n.into());
    let options = Options { alphabet, wildcard, wildcard_meaning, text_n, engine: a.engine };
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
