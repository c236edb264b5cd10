//! `samplewise hamming`: one pass over the text in constant memory.
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::fs::File;
use std::io::{BufReader, BufWriter, IsTerminal, Read, Seek, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use samplewise_hamming::{
    Alphabet, Approximate, Block, Engine, HammingError, Hit, Method, Options, Plan, Query, Search, SearchStream,
    Stream, Symbol, WildcardMeaning, count_distances, reverse_complement,
};
use samplewise_linalg::observe::{Observer as _, Progress};
use samplewise_linalg::random::Streams;
use serde_json::{Value, json};

use crate::input::{self, Piece};
use crate::session::{Answer, Failure, Session, bad, usage};
use crate::{commands, output};

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
    /// bytes, dna or iupac.
    #[arg(long, default_value = "bytes")]
    alphabet: String,
    /// A character (an integer with --tokens) that is no symbol like others.
    #[arg(long)]
    wildcard: Option<String>,
    /// What a pair with a wildcard counts: match, mismatch or excluded.
    #[arg(long, default_value = "match", requires = "wildcard")]
    wildcard_meaning: String,
    #[arg(long)]
    both_strands: bool,
    /// Report positions with at most this many mismatches.
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
    /// auto, definition, vertical, bitsliced, fft, ntt, pairs, sumset or, with --max-distance, periodic.
    #[arg(long, default_value = "auto")]
    engine: String,
    /// Show the alignments of so many hits. Default 3 on a terminal, else 0.
    #[arg(long)]
    show: Option<usize>,
    /// Distances (.npy; a folder when there are several vectors), or hits as TSV or BED.
    #[arg(long)]
    out: Option<PathBuf>,
}

pub fn run(a: &Arguments, session: &Session) -> Result<Answer, Failure> {
    let alphabet = match a.alphabet.as_str() {
        "bytes" => Alphabet::Bytes,
        "dna" => Alphabet::Dna,
        "iupac" => Alphabet::Iupac,
        other => return Err(usage(format!("--alphabet is {other}, allowed is bytes, dna or iupac"))),
    };
    let wildcard_meaning = match a.wildcard_meaning.as_str() {
        "match" => WildcardMeaning::Match,
        "mismatch" => WildcardMeaning::Mismatch,
        "excluded" => WildcardMeaning::Excluded,
        other => return Err(usage(format!("--wildcard-meaning is {other}, allowed is match, mismatch or excluded"))),
    };
    let engine = Engine::ALL.into_iter().find(|e| e.name() == a.engine).ok_or_else(|| {
        let names = Engine::ALL.map(Engine::name).join(", ");
        usage(format!("--engine is {}, allowed is one of {names}", a.engine))
    })?;
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
        let with = wildcard.map(|w| (w, wildcard_meaning));
        let job = Job {
            a,
            session,
            decode: Tokens::default,
            strands: &['+'],
            reverse: |p: &[u32]| p.to_vec(),
            plan: &|p| Plan::of_symbols(p, with, engine),
            search: &|q| Search::of_symbols(q, with, engine),
        };
        return job.run(|_, _| String::new());
    }
    let wildcard = match &a.wildcard {
        Some(w) if w.len() == 1 && w.is_ascii() => Some(w.as_bytes()[0]),
        Some(w) => return Err(usage(format!("--wildcard is {w}, allowed is one ASCII character"))),
        None => None,
    };
    let options = Options { alphabet, wildcard, wildcard_meaning, engine };
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

/// From bytes to symbols, piece by piece.
trait Decode<S> {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<S>) -> Result<(), String>;
    fn end(&mut self, out: &mut Vec<S>) -> Result<(), String>;
}

struct Bytes;

impl Decode<u8> for Bytes {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        out.extend_from_slice(bytes);
        Ok(())
    }
    fn end(&mut self, _: &mut Vec<u8>) -> Result<(), String> {
        Ok(())
    }
}

/// Integers between white space; a token may go on in the next piece.
#[derive(Default)]
struct Tokens {
    begun: Vec<u8>,
    number: usize,
}

impl Decode<u32> for Tokens {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<u32>) -> Result<(), String> {
        for &b in bytes {
            if b.is_ascii_whitespace() {
                self.end(out)?;
            } else {
                self.begun.push(b);
            }
        }
        Ok(())
    }
    fn end(&mut self, out: &mut Vec<u32>) -> Result<(), String> {
        if !self.begun.is_empty() {
            let token = String::from_utf8_lossy(&self.begun);
            let wanted = "an integer from 0 to 4294967295 is wanted";
            out.push(token.parse().map_err(|_| format!("token {} is {token:?}, {wanted}", self.number))?);
            self.number += 1;
            self.begun.clear();
        }
        Ok(())
    }
}

/// One alignment that is reported. The order of its fields is the order of the best.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Found {
    distance: u32,
    position: usize,
    pattern: usize,
    reverse: bool,
    record: usize,
    valid: Option<u32>,
}

/// Symbols that are handed on together.
const CHUNK: usize = 1 << 20;

struct Job<'a, S: Symbol, D> {
    a: &'a Arguments,
    session: &'a Session,
    decode: fn() -> D,
    strands: &'static [char],
    reverse: fn(&[S]) -> Vec<S>,
    plan: &'a dyn Fn(&[S]) -> Result<Plan<S>, HammingError>,
    search: &'a dyn Fn(&[Query<'_, S>]) -> Result<Search<S>, HammingError>,
}

/// What a pass over the text meets, in order.
enum Event<'a, S> {
    Symbols(&'a [S]),
    End,
}

/// A pattern on one strand.
struct Strand<S: Symbol> {
    pattern: usize,
    reverse: bool,
    plan: Plan<S>,
}

impl<S: Symbol, D: Decode<S>> Job<'_, S, D> {
    fn run(&self, show: impl FnOnce(&[(String, Vec<S>)], &[(String, Found)]) -> String) -> Result<Answer, Failure> {
        let a = self.a;
        let patterns = self.session.stage("read", || self.patterns())?;
        let wrong = |e: HammingError| bad(format!("{}: {e}", a.pattern.display()));
        let mut sums = Sums::default();
        if let Some(k) = a.max_distance {
            let required = a.required.clone().unwrap_or(0..0);
            let queries: Vec<Query<'_, S>> =
                patterns.iter().map(|(_, p)| Query::new(p, k).requiring(required.clone())).collect();
            self.search(&(self.search)(&queries).map_err(wrong)?, &patterns, &mut sums)?;
        } else {
            let mut strands = Vec::new();
            for (number, (_, pattern)) in patterns.iter().enumerate() {
                for &strand in self.strands {
                    let reverse = strand == '-';
                    let sequence = if reverse { (self.reverse)(pattern) } else { pattern.clone() };
                    strands.push(Strand { pattern: number, reverse, plan: (self.plan)(&sequence).map_err(wrong)? });
                }
            }
            let names: Vec<&str> = patterns.iter().map(|p| p.0.as_str()).collect();
            let mut outputs = Outputs::new(a.out.as_deref().filter(|_| a.best.is_none()), &names, self.strands.len());
            match a.epsilon {
                Some(epsilon) => self.approximate(&strands, epsilon, &mut sums, &mut outputs)?,
                None => self.count(&strands, &mut sums, &mut outputs)?,
            }
            self.session.stage("write", || outputs.finish())?;
            sums.hits.sort();
            sums.hits.truncate(a.best.unwrap_or(0));
        }
        let complete = !self.session.interrupted();
        if sums.alignments == 0 && complete {
            let name = a.text.display();
            let longest = patterns.iter().map(|p| p.1.len()).min().unwrap_or(0);
            return Err(bad(match &sums.records[..] {
                [(_, n)] => format!("{name}: the pattern has {longest} symbols and the text only {n}"),
                _ => format!("{name}: every record is shorter than the pattern"),
            }));
        }
        self.answer(&patterns, &sums, complete, show)
    }

    /// The patterns with their names.
    fn patterns(&self) -> Result<Vec<(String, Vec<S>)>, Failure> {
        let a = self.a;
        let whole = |bytes: &[u8]| {
            let (mut decode, mut symbols) = ((self.decode)(), Vec::new());
            let wrong = |e| bad(format!("{}: {e}", a.pattern.display()));
            decode.feed(bytes, &mut symbols).map_err(wrong)?;
            decode.end(&mut symbols).map_err(wrong)?;
            Ok(symbols)
        };
        if a.literal {
            return Ok(vec![("pattern".to_owned(), whole(a.pattern.to_string_lossy().as_bytes())?)]);
        }
        input::sequences(&a.pattern)?.into_iter().map(|(name, bytes)| Ok((name, whole(&bytes)?))).collect()
    }

    /// One pass over the text, symbols in chunks; ends early when interrupted.
    fn pass(
        &self,
        sums: &mut Sums,
        mut on: impl FnMut(Event<'_, S>, &mut Sums) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let name = self.a.text.display();
        let wrong = |e| bad(format!("{name}: {e}"));
        let (mut decode, mut chunk, mut total) = ((self.decode)(), Vec::with_capacity(CHUNK), 0);
        let mut flush = |chunk: &mut Vec<S>, sums: &mut Sums, end: bool| {
            sums.records.last_mut().expect("a record began").1 += chunk.len();
            total += chunk.len();
            self.session.stage("compute", || {
                on(Event::Symbols(chunk), sums)?;
                if end { on(Event::End, sums) } else { Ok(()) }
            })?;
            chunk.clear();
            let progress = Progress { stage: "symbol", step: total, total: None, value: None };
            Ok::<bool, Failure>((&mut &*self.session).step(progress).is_continue())
        };
        input::text(&self.a.text, |piece| match piece {
            Piece::Record(name) => {
                decode.end(&mut chunk).map_err(wrong)?;
                decode = (self.decode)();
                let goes_on = sums.records.is_empty() || flush(&mut chunk, sums, true)?;
                if goes_on {
                    sums.records.push((name, 0));
                }
                Ok(goes_on)
            }
            Piece::Symbols(bytes) => {
                decode.feed(bytes, &mut chunk).map_err(wrong)?;
                if chunk.len() < CHUNK { Ok(true) } else { flush(&mut chunk, sums, false) }
            }
        })?;
        if !sums.records.is_empty() && !self.session.interrupted() {
            decode.end(&mut chunk).map_err(wrong)?;
            flush(&mut chunk, sums, true)?;
        }
        Ok(())
    }

    /// Hits within a distance.
    fn search(&self, search: &Search<S>, patterns: &[(String, Vec<S>)], sums: &mut Sums) -> Result<(), Failure> {
        let mut stream = None;
        self.pass(sums, |event, sums| {
            let record = sums.records.len() - 1;
            let hits = &mut sums.hits;
            let found = |hit: Hit| {
                let Hit { position, query, reverse, distance } = hit;
                hits.push(Found { distance, position, pattern: query, reverse, record, valid: None });
            };
            match event {
                Event::Symbols(part) => stream.get_or_insert_with(|| SearchStream::new(search)).push(part, found),
                Event::End => {
                    let path = stream.take().and_then(|s: SearchStream<'_, S>| s.finish(found));
                    sums.path = sums.path.take().or(path.map(str::to_owned));
                    let n = sums.records[record].1;
                    let whole = patterns.iter().map(|(_, p)| (n + 1).saturating_sub(p.len())).sum::<usize>();
                    sums.alignments += whole * self.strands.len();
                    sums.short += usize::from(patterns.iter().any(|(_, p)| p.len() > n));
                }
            }
            Ok(())
        })?;
        sums.minimum = sums.hits.iter().min_by_key(|h| h.first()).cloned();
        Ok(())
    }

    /// Every distance.
    fn count(&self, strands: &[Strand<S>], sums: &mut Sums, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        let mut streams: Vec<Option<Stream<'_, S>>> = strands.iter().map(|_| None).collect();
        let mut histogram = Vec::new();
        self.pass(sums, |event, sums| {
            let end = matches!(event, Event::End);
            for (number, (strand, slot)) in strands.iter().zip(&mut streams).enumerate() {
                let mut written = Ok(());
                let take = |block: Block<'_>| {
                    sums.take(strand, &block, self.a.best, &mut histogram);
                    if written.is_ok() {
                        written = outputs.write(number, block.distances.iter().copied().map(Number::Whole));
                    }
                };
                match event {
                    Event::Symbols(part) => slot.get_or_insert_with(|| Stream::new(&strand.plan)).push(part, take),
                    Event::End => {
                        let report = slot.take().and_then(|s| s.finish(take));
                        match report {
                            Some(report) => {
                                sums.path.get_or_insert_with(|| report.path());
                                sums.engines(&report.engines);
                            }
                            None => sums.short += 1,
                        }
                    }
                }
                written?;
            }
            if end { outputs.end(&sums.records[sums.records.len() - 1].0, strands) } else { Ok(()) }
        })?;
        sums.histogram = Some(histogram);
        sums.hits.extend(std::mem::take(&mut sums.best).into_vec());
        Ok(())
    }

    /// Every distance within a factor.
    fn approximate(
        &self,
        strands: &[Strand<S>],
        epsilon: f64,
        sums: &mut Sums,
        outputs: &mut Outputs<'_>,
    ) -> Result<(), Failure> {
        let method = if self.a.one_sided { Method::OneSided } else { Method::Sampling };
        let delta = self.a.delta.unwrap_or(Approximate::default().delta);
        let options = Approximate { epsilon, delta, method, ..Approximate::default() };
        let mut text = Vec::new();
        let streams = Streams::new(self.session.seed());
        self.pass(sums, |event, sums| {
            if let Event::Symbols(part) = event {
                text.extend_from_slice(part);
                return Ok(());
            }
            for (number, strand) in strands.iter().enumerate() {
                if strand.plan.pattern_len() > text.len() {
                    sums.short += 1;
                    continue;
                }
                let mut rng = streams.child(sums.records.len() as u64).stream(number as u64);
                let got = strand.plan.approximate_observed(&text, &options, &mut rng, &mut &*self.session);
                let got = got.map_err(|e| match e {
                    HammingError::OptionOutOfRange { .. } | HammingError::EngineUnsuitable { .. } => usage(e),
                    e => bad(format!("{}: {e}", self.a.text.display())),
                })?;
                sums.alignments += got.distances.len();
                sums.path.get_or_insert_with(|| got.path.to_owned());
                sums.engines(&got.engines);
                sums.approximations.push(json!({"path": got.path, "samples": got.samples,
                    "repetitions": got.repetitions, "refined": got.refined}));
                for (position, &d) in got.distances.iter().enumerate() {
                    if sums.least.is_none_or(|least| d < least) {
                        sums.least = Some(d);
                        let (pattern, reverse, record) = (strand.pattern, strand.reverse, sums.records.len() - 1);
                        sums.minimum = Some(Found { distance: 0, position, pattern, reverse, record, valid: None });
                    }
                }
                outputs.write(number, got.distances.into_iter().map(Number::Real))?;
            }
            text.clear();
            outputs.end(&sums.records[sums.records.len() - 1].0, strands)
        })
    }

    fn answer(
        &self,
        patterns: &[(String, Vec<S>)],
        sums: &Sums,
        complete: bool,
        show: impl FnOnce(&[(String, Vec<S>)], &[(String, Found)]) -> String,
    ) -> Result<Answer, Failure> {
        let a = self.a;
        let hits_wanted = a.max_distance.is_some() || a.best.is_some();
        let strand = |f: &Found| if f.reverse { "-" } else { "+" };
        if let Some(out) = a.out.as_deref().filter(|_| hits_wanted) {
            let bed = input::kind(out) == "bed";
            self.session.stage("write", || {
                output::write(out, |w| {
                    for f in &sums.hits {
                        let (record, (name, pattern)) = (&sums.records[f.record].0, &patterns[f.pattern]);
                        let (p, d, strand) = (f.position, f.distance, strand(f));
                        if bed {
                            writeln!(w, "{record}\t{p}\t{}\t{name}\t{d}\t{strand}", p + pattern.len())?;
                        } else {
                            writeln!(w, "{record}\t{p}\t{strand}\t{d}\t{name}")?;
                        }
                    }
                    Ok(())
                })
            })?;
        }
        let object = |f: &Found| {
            let mut object = json!({"record": sums.records[f.record].0, "position": f.position, "strand": strand(f),
                "distance": f.distance, "pattern": patterns[f.pattern].0});
            if let Some(valid) = f.valid {
                object["valid"] = json!(valid);
            }
            object
        };
        let mut minimum = sums.minimum.as_ref().map(object);
        if let (Some(minimum), Some(least)) = (&mut minimum, sums.least) {
            minimum["distance"] = json!(least);
        }
        let mut table = format!("alignments {}\n", sums.alignments);
        if let Some(m) = &minimum {
            let text = |key: &str| m[key].as_str().unwrap_or_default().to_owned();
            let (d, p) = (&m["distance"], &m["position"]);
            table +=
                &format!("minimum {d} of {} at {}:{p} strand {}\n", text("pattern"), text("record"), text("strand"));
        }
        if hits_wanted && a.out.is_none() {
            for f in &sums.hits {
                let (record, name) = (&sums.records[f.record].0, &patterns[f.pattern].0);
                table += &format!("{record}\t{}\t{}\t{}\t{name}\n", f.position, strand(f), f.distance);
            }
        }
        let shown: Vec<(String, Found)> = if hits_wanted { sums.hits.iter() } else { [].iter() }
            .map(|f| (sums.records[f.record].0.clone(), f.clone()))
            .collect();
        table += &show(patterns, &shown);
        let mut report = json!({"path": sums.path, "engines": sums.engines, "complete": complete,
            "records_shorter_than_pattern": sums.short});
        if a.epsilon.is_some() {
            report["approximation"] = json!(sums.approximations);
        }
        Ok(Answer {
            parameters: json!({"text": a.text, "pattern": a.pattern, "alphabet": a.alphabet, "tokens": a.tokens,
                "wildcard": a.wildcard, "wildcard_meaning": a.wildcard_meaning, "engine": a.engine,
                "both_strands": a.both_strands, "max_distance": a.max_distance,
                "required": a.required.as_ref().map(|r| [r.start, r.end]), "best": a.best,
                "epsilon": a.epsilon, "delta": a.delta}),
            result: json!({"alignments": sums.alignments, "minimum": minimum,
                "hits": hits_wanted.then(|| sums.hits.iter().map(object).collect::<Vec<Value>>()),
                "histogram": sums.histogram}),
            report: commands::map(report),
            table,
        })
    }
}

/// What one pass adds up.
#[derive(Default)]
struct Sums {
    /// Names and lengths.
    records: Vec<(String, usize)>,
    alignments: usize,
    minimum: Option<Found>,
    /// The smallest approximate distance.
    least: Option<f64>,
    histogram: Option<Vec<u64>>,
    hits: Vec<Found>,
    /// The best so far, the worst of them on top.
    best: BinaryHeap<Found>,
    path: Option<String>,
    engines: Vec<Value>,
    approximations: Vec<Value>,
    short: usize,
}

impl Sums {
    fn take<S: Symbol>(
        &mut self,
        strand: &Strand<S>,
        block: &Block<'_>,
        best: Option<usize>,
        histogram: &mut Vec<u64>,
    ) {
        let found = |i: usize| Found {
            distance: block.distances[i],
            position: block.position + i,
            pattern: strand.pattern,
            reverse: strand.reverse,
            record: self.records.len() - 1,
            valid: block.valid.map(|v| v[i]),
        };
        self.alignments += block.distances.len();
        let Some((least, _)) = count_distances(block.distances, histogram) else { return };
        if self.minimum.as_ref().is_none_or(|m| least <= m.distance)
            && let Some(i) = block.distances.iter().position(|&d| d == least)
        {
            let new = found(i);
            if self.minimum.as_ref().is_none_or(|m| new.first() < m.first()) {
                self.minimum = Some(new);
            }
        }
        let Some(b) = best.filter(|&b| b > 0) else { return };
        for (i, &d) in block.distances.iter().enumerate() {
            if self.best.len() < b {
                self.best.push(found(i));
            } else if let Some(mut worst) = self.best.peek_mut()
                && d <= worst.distance
            {
                let new = found(i);
                if new < *worst {
                    *worst = new;
                }
            }
        }
    }

    fn engines(&mut self, engines: &[samplewise_hamming::EngineCost]) {
        self.engines.extend(engines.iter().map(|c| {
            json!({"engine": c.engine.name(), "letters": c.letters, "predicted_ns": c.predicted, "actual_ns": c.actual})
        }));
    }
}

impl Found {
    /// The order in which the first of several smallest distances is told.
    fn first(&self) -> (u32, usize, usize, usize, bool) {
        (self.distance, self.record, self.position, self.pattern, self.reverse)
    }
}

/// A distance, exact or not.
enum Number {
    Whole(u32),
    Real(f64),
}

/// Vectors of distances on their way to `.npy`: their length stands at the beginning of the file and is known last, so
/// they wait in temporary files.
struct Outputs<'a> {
    path: Option<&'a Path>,
    names: &'a [&'a str],
    strands: usize,
    open: BTreeMap<usize, Spool>,
    /// The only vector so far; a second one makes `path` a folder.
    first: Option<(String, Spool)>,
    folder: bool,
    /// Names given, so that records of one name do not overwrite each other.
    used: HashMap<String, usize>,
}

struct Spool {
    file: BufWriter<File>,
    len: u64,
    real: bool,
}

impl<'a> Outputs<'a> {
    fn new(path: Option<&'a Path>, names: &'a [&'a str], strands: usize) -> Self {
        Self { path, names, strands, open: BTreeMap::new(), first: None, folder: false, used: HashMap::new() }
    }

    fn write(&mut self, number: usize, values: impl Iterator<Item = Number>) -> Result<(), Failure> {
        let Some(path) = self.path else { return Ok(()) };
        let fail = |e: std::io::Error| bad(format!("{}: {e}", path.display()));
        let spool = match self.open.entry(number) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(none) => {
                none.insert(Spool { file: BufWriter::new(tempfile::tempfile().map_err(fail)?), len: 0, real: false })
            }
        };
        for value in values {
            match value {
                Number::Whole(v) => spool.file.write_all(&v.to_le_bytes()),
                Number::Real(v) => {
                    spool.real = true;
                    spool.file.write_all(&v.to_le_bytes())
                }
            }
            .map_err(fail)?;
            spool.len += 1;
        }
        Ok(())
    }

    /// A record ends.
    fn end<S: Symbol>(&mut self, record: &str, strands: &[Strand<S>]) -> Result<(), Failure> {
        let Some(path) = self.path else { return Ok(()) };
        for (number, spool) in std::mem::take(&mut self.open) {
            let mut name = record.replace(|c: char| !c.is_alphanumeric() && !"._-".contains(c), "_");
            if self.names.len() > 1 {
                name = format!("{name}.{}", self.names[strands[number].pattern]);
            }
            if self.strands > 1 {
                name += if strands[number].reverse { ".minus" } else { ".plus" };
            }
            let used = self.used.entry(name.clone()).or_default();
            *used += 1;
            if *used > 1 {
                name = format!("{name}.{used}");
            }
            if !self.folder && self.first.is_none() {
                self.first = Some((name, spool));
                continue;
            }
            if !self.folder {
                std::fs::create_dir_all(path).map_err(|e| bad(format!("{}: {e}", path.display())))?;
                self.folder = true;
            }
            for (name, spool) in self.first.take().into_iter().chain([(name, spool)]) {
                spool.save(&path.join(format!("{name}.npy")))?;
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<(), Failure> {
        match (self.path, self.first) {
            (Some(path), Some((_, spool))) => spool.save(path),
            _ => Ok(()),
        }
    }
}

impl Spool {
    fn save(self, path: &Path) -> Result<(), Failure> {
        let fail = |e: std::io::Error| bad(format!("{}: {e}", path.display()));
        let mut file = self.file.into_inner().map_err(|e| fail(e.into_error()))?;
        file.rewind().map_err(fail)?;
        let mut file = BufReader::new(file);
        let len = self.len as usize;
        if self.real {
            output::write_npy_from(path, len, || {
                let mut bytes = [0; 8];
                file.read_exact(&mut bytes).map(|()| f64::from_le_bytes(bytes))
            })
        } else {
            output::write_npy_from(path, len, || {
                let mut bytes = [0; 4];
                file.read_exact(&mut bytes).map(|()| u32::from_le_bytes(bytes))
            })
        }
    }
}

/// Columns of an alignment that is shown.
const WIDTH: usize = 60;

/// The alignments of some hits, from a second look at the text.
fn view(
    a: &Arguments,
    options: Options,
    patterns: &[(String, Vec<u8>)],
    hits: &[(String, Found)],
) -> Result<String, Failure> {
    let mut texts: Vec<Vec<u8>> = vec![Vec::new(); hits.len()];
    let (mut record, mut position) = (0_usize, 0_usize);
    input::text(&a.text, |piece| {
        match piece {
            Piece::Record(_) => (record, position) = (record + 1, 0),
            Piece::Symbols(part) => {
                for ((_, f), text) in hits.iter().zip(&mut texts).filter(|((_, f), _)| f.record + 1 == record) {
                    let end = f.position + patterns[f.pattern].1.len();
                    let (from, to) = (f.position.max(position), end.min(position + part.len()));
                    if from < to {
                        text.extend_from_slice(&part[from - position..to - position]);
                    }
                }
                position += part.len();
            }
        }
        Ok(true)
    })?;
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut out = String::new();
    for ((record, f), text) in hits.iter().zip(&texts) {
        let (name, pattern) = &patterns[f.pattern];
        let pattern = if f.reverse { reverse_complement(pattern) } else { pattern.clone() };
        let wrong = Plan::new(&pattern, &options).and_then(|p| p.mismatch_positions(text, 0)).unwrap_or_default();
        let strand = if f.reverse { '-' } else { '+' };
        out += &format!(
            "\n{record}:{} strand {strand}, {} of {} differ from {name}\n",
            f.position,
            f.distance,
            pattern.len()
        );
        for from in (0..pattern.len()).step_by(WIDTH) {
            let columns = from..(from + WIDTH).min(pattern.len());
            let row = |symbols: &[u8]| -> String {
                let one = |j: usize| {
                    let c = symbols[j] as char;
                    let c = if c.is_ascii_graphic() { c } else { '?' };
                    if colour && wrong.binary_search(&j).is_ok() {
                        format!("\x1b[1;31m{c}\x1b[0m")
                    } else {
                        c.to_string()
                    }
                };
                columns.clone().map(one).collect()
            };
            let marks: String =
                columns.clone().map(|j| if wrong.binary_search(&j).is_ok() { ' ' } else { '|' }).collect();
            out += &format!("  pattern {}\n          {marks}\n  text    {}\n", row(&pattern), row(text));
        }
    }
    Ok(out)
}
