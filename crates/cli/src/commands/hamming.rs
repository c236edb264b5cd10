//! `samplewise hamming`.
use std::path::PathBuf;

use samplewise_hamming::{Alphabet, Answer as Distances, Engine, Options, Plan, reverse_complement};
use serde_json::json;

use crate::session::{Answer, Failure, Session, bad, usage};
use crate::{input, output};

#[derive(clap::Args)]
pub struct Arguments {
    /// FASTA or raw bytes.
    text: PathBuf,
    /// FASTA or raw bytes, or the pattern itself with --literal.
    pattern: PathBuf,
    #[arg(long)]
    literal: bool,
    /// Not in this version.
    #[arg(long)]
    tokens: bool,
    /// bytes, dna or iupac.
    #[arg(long, default_value = "bytes")]
    alphabet: String,
    /// A character that matches everything.
    #[arg(long)]
    wildcard: Option<char>,
    #[arg(long)]
    both_strands: bool,
    /// Report positions with at most this many mismatches.
    #[arg(long)]
    max_distance: Option<u32>,
    /// Not in this version.
    #[arg(long)]
    epsilon: Option<f64>,
    /// Not in this version.
    #[arg(long)]
    delta: Option<f64>,
    /// Report the best positions.
    #[arg(long, conflicts_with = "max_distance")]
    best: Option<usize>,
    /// auto, definition, vertical, bitsliced, fft or pairs.
    #[arg(long, default_value = "auto")]
    engine: String,
    /// Distances (.npy), or hits as TSV or BED.
    #[arg(long)]
    out: Option<PathBuf>,
}

pub fn run(a: &Arguments, session: &Session) -> Result<Answer, Failure> {
    for (name, given) in [("--tokens", a.tokens), ("--epsilon", a.epsilon.is_some()), ("--delta", a.delta.is_some())] {
        if given {
            return Err(usage(format!("{name} is not available in this version")));
        }
    }
    let alphabet = match a.alphabet.as_str() {
        "bytes" => Alphabet::Bytes,
        "dna" => Alphabet::Dna,
        "iupac" => Alphabet::Iupac,
        other => return Err(usage(format!("--alphabet is {other}, allowed is bytes, dna or iupac"))),
    };
    let engine = match a.engine.as_str() {
        "auto" => Engine::Auto,
        "definition" => Engine::Definition,
        "vertical" => Engine::Vertical,
        "bitsliced" => Engine::Bitsliced,
        "fft" => Engine::Fft,
        "pairs" => Engine::Pairs,
        other => return Err(usage(format!("--engine {other} is not available in this version"))),
    };
    let wildcard = match a.wildcard {
        Some(c) if !c.is_ascii() => return Err(usage(format!("--wildcard is {c}, allowed is an ASCII character"))),
        c => c.map(|c| c as u8),
    };
    let (texts, patterns) = session.stage("read", || {
        let patterns = if a.literal {
            vec![("pattern".to_owned(), a.pattern.to_string_lossy().into_owned().into_bytes())]
        } else {
            input::sequences(&a.pattern)?
        };
        Ok((input::sequences(&a.text)?, patterns))
    })?;
    let hits_wanted = a.max_distance.is_some() || a.best.is_some();
    if !hits_wanted && a.out.is_some() && texts.len() * patterns.len() * (1 + usize::from(a.both_strands)) > 1 {
        return Err(usage("--out of all distances takes one text, one pattern and one strand in this version"));
    }
    let mut minimum: Option<(u32, usize, String, char, String)> = None;
    let (mut histogram, mut hits, mut engines) = (Vec::<u64>::new(), Vec::new(), Vec::new());
    let (mut alignments, mut only): (usize, Option<Distances>) = (0, None);
    let (mut short, mut complete, mut path) = (0, true, None);
    for (pattern_name, pattern) in &patterns {
        let mut strands = vec![('+', pattern.clone())];
        if a.both_strands {
            strands.push(('-', reverse_complement(pattern)));
        }
        for (strand, sequence) in strands {
            let plan = Plan::new(&sequence, &Options { alphabet, wildcard, engine, ..Options::default() })
                .map_err(|e| bad(format!("{}: {e}", a.pattern.display())))?;
            for (record, text) in &texts {
                if text.len() < sequence.len() && texts.len() > 1 {
                    short += 1; // a contig shorter than the pattern has no alignment
                    continue;
                }
                let mut observer = session;
                let got = session.stage("compute", || {
                    plan.distances_observed(text, &mut observer)
                        .map_err(|e| bad(format!("{}: {record}: {e}", a.text.display())))
                })?;
                alignments += got.distances.len();
                complete &= got.report.complete;
                path.get_or_insert_with(|| got.report.path());
                engines.extend(got.report.engines.iter().map(|c| {
                    json!({"engine": c.engine.name(), "letters": c.letters, "predicted_ns": c.predicted, "actual_ns": c.actual})
                }));
                if let Some((position, d)) = got.minimum()
                    && minimum.as_ref().is_none_or(|m| d < m.0)
                {
                    minimum = Some((d, position, record.clone(), strand, pattern_name.clone()));
                }
                for (d, n) in got.histogram().into_iter().enumerate() {
                    if histogram.len() <= d {
                        histogram.resize(d + 1, 0);
                    }
                    histogram[d] += n;
                }
                let found = match (a.max_distance, a.best) {
                    (Some(k), _) => got.matches_within(k),
                    (_, Some(b)) => got.best(b),
                    _ => Vec::new(),
                };
                let length = sequence.len();
                hits.extend(
                    found.into_iter().map(|(p, d)| (record.clone(), p, strand, d, pattern_name.clone(), length)),
                );
                only = Some(got);
            }
        }
    }
    if alignments == 0 {
        return Err(bad(format!("{}: every record is shorter than the pattern", a.text.display())));
    }
    if let Some(b) = a.best {
        hits.sort_by_key(|h| (h.3, h.1));
        hits.truncate(b);
    }
    if let Some(out) = &a.out {
        session.stage("write", || match &only {
            Some(d) if !hits_wanted => output::write_npy(out, &d.distances),
            _ => output::write(out, |w| {
                let bed = out.extension().is_some_and(|e| e == "bed");
                for (record, p, strand, d, name, length) in &hits {
                    if bed {
                        writeln!(w, "{record}\t{p}\t{}\t{name}\t{d}\t{strand}", p + length)?;
                    } else {
                        writeln!(w, "{record}\t{p}\t{strand}\t{d}\t{name}")?;
                    }
                }
                Ok(())
            }),
        })?;
    }
    let best = minimum.as_ref().map(
        |(d, p, r, s, n)| json!({"position": p, "distance": d, "record": r, "strand": s.to_string(), "pattern": n}),
    );
    let listed: Vec<_> = hits
        .iter()
        .map(|(r, p, s, d, n, _)| json!({"record": r, "position": p, "strand": s.to_string(), "distance": d, "pattern": n}))
        .collect();
    let mut table = format!("alignments {alignments}\n");
    if let Some((d, p, r, s, n)) = &minimum {
        table += &format!("minimum {d} of {n} at {r}:{p} strand {s}\n");
    }
    for (r, p, s, d, n, _) in hits.iter().filter(|_| a.out.is_none()) {
        table += &format!("{r}\t{p}\t{s}\t{d}\t{n}\n");
    }
    Ok(Answer {
        parameters: json!({"text": a.text, "pattern": a.pattern, "alphabet": a.alphabet, "engine": a.engine,
            "both_strands": a.both_strands, "max_distance": a.max_distance, "best": a.best}),
        result: json!({"alignments": alignments, "minimum": best,
            "hits": if hits_wanted { json!(listed) } else { json!(null) }, "histogram": histogram}),
        report: super::map(
            json!({"path": path, "engines": engines, "complete": complete, "records_shorter_than_pattern": short}),
        ),
        table,
    })
}
