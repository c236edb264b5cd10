//! One pass over the text.
use samplewise_hamming::{
    ApproximateOptions, Block, Error, Hit, Method, Plan, Query, Route, Search, SearchStream, Stream, Symbol,
};
use samplewise_linalg::Ending;
use samplewise_linalg::observe::{Observer as _, Progress};
use samplewise_linalg::random::Streams;
use serde_json::{Value, json};

use super::Arguments;
use super::decode::Decode;
use super::outputs::{Number, Outputs};
use super::strand::Strand;
use super::sums::{Found, Sums};
use crate::failure::{Failure, bad, usage};
use crate::input;
use crate::output::line;
use crate::sequences::{self, Piece};
use crate::session::{Answer, Session, shown};
use crate::{commands, output};

/// Symbols that are handed on together.
const CHUNK: usize = 1 << 20;

pub(super) struct Job<'a, S: Symbol, D> {
    pub(super) a: &'a Arguments,
    pub(super) session: &'a Session,
    pub(super) decode: fn() -> D,
    pub(super) strands: &'static [char],
    pub(super) reverse: fn(&[S]) -> Vec<S>,
    pub(super) plan: &'a dyn Fn(&[S]) -> Result<Plan<S>, Error>,
    pub(super) search: &'a dyn Fn(&[Query<'_, S>]) -> Result<Search<S>, Error>,
}

/// What a pass over the text meets, in order.
enum Event<'a, S> {
    Symbols(&'a [S]),
    End,
}

impl<S: Symbol, D: Decode<S>> Job<'_, S, D> {
    pub(super) fn run(
        &self,
        show: impl FnOnce(&[(String, Vec<S>)], &[(String, Found)]) -> String,
    ) -> Result<Answer, Failure> {
        let a = self.a;
        let patterns = self.session.stage("read", || self.patterns())?;
        let wrong = |e: Error| match e {
            Error::RequiredOutOfRange { start, end, pattern, .. } => {
                usage(format!("--required is {start}..{end}, allowed is within 0..{pattern}, the pattern"))
            }
            e => bad(format!("{}: {e}", a.pattern.display())),
        };
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
        sequences::sequences(&a.pattern)?.into_iter().map(|(name, bytes)| Ok((name, whole(&bytes)?))).collect()
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
        sequences::text(&self.a.text, |piece| match piece {
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
                    let report = stream.take().and_then(|s: SearchStream<&Search<S>, S>| s.finish(found));
                    sums.path = sums.path.take().or(report.map(|r| r.route.name().to_owned()));
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
        let mut streams: Vec<Option<Stream<&Plan<S>, S>>> = strands.iter().map(|_| None).collect();
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
                                sums.path.get_or_insert_with(|| report.engine_names());
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
        let delta = self.a.delta.unwrap_or(ApproximateOptions::default().delta);
        let options = ApproximateOptions { epsilon, delta, method, ..ApproximateOptions::default() };
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
                // Each strand of each record has a seed of its own.
                let of_record = streams.child(sums.records.len() as u64);
                let seed = if number == 0 { of_record.seed() } else { of_record.child(number as u64).seed() };
                let options = ApproximateOptions { seed, ..options };
                let got = strand.plan.approximate_observed(&text, &options, &mut &*self.session);
                let got = got.map_err(|e| match e {
                    Error::Argument(_) | Error::EngineUnsuitable { .. } => usage(e),
                    e => bad(format!("{}: {e}", self.a.text.display())),
                })?;
                sums.alignments += got.distances.len();
                // Where counting is no slower than an approximation, the distances are exact.
                let path = if got.report.route == Route::Counting { "exact" } else { got.report.route.name() };
                sums.path.get_or_insert_with(|| path.to_owned());
                sums.engines(&got.report.engines);
                sums.approximations.push(json!({"path": path, "samples": got.samples,
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
            let kind = input::kind(out);
            self.session.stage("write", || {
                output::write(out, |w| {
                    for f in &sums.hits {
                        let (record, (name, pattern)) = (&sums.records[f.record].0, &patterns[f.pattern]);
                        let (p, d, strand) = (f.position, f.distance, strand(f));
                        if kind == "json" || kind == "jsonl" {
                            let object = json!({"record": record, "position": p, "strand": strand, "distance": d,
                                "pattern": name});
                            writeln!(w, "{object}")?;
                        } else if kind == "bed" {
                            writeln!(w, "{record}\t{p}\t{}\t{name}\t{d}\t{strand}", p + pattern.len())?;
                        } else if kind == "csv" {
                            writeln!(w, "{}", line(out, &[record, &p.to_string(), strand, &d.to_string(), name])?)?;
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
        let status = match (complete, a.epsilon) {
            (false, _) => "interrupted",
            (true, Some(_)) => "approximate",
            (true, None) => "exact",
        };
        let ending = if complete { Ending::Finished } else { Ending::Interrupted };
        if !complete {
            self.session.warn("interrupted: the answer is that of the text read so far");
        }
        let mut table = format!("alignments {}\nstatus {status}, {}\n", sums.alignments, ending.name());
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
        let to_show: Vec<(String, Found)> = if hits_wanted { sums.hits.iter() } else { [].iter() }
            .map(|f| (sums.records[f.record].0.clone(), f.clone()))
            .collect();
        table += &show(patterns, &to_show);
        let mut report = json!({"path": sums.path, "ending": ending.name(), "engines": sums.engines, "complete": complete,
            "records_shorter_than_pattern": sums.short});
        if a.epsilon.is_some() {
            report["approximation"] = json!(sums.approximations);
        }
        Ok(Answer {
            parameters: json!({"text": shown(&a.text), "pattern": shown(&a.pattern), "text_n": a.text_n, "alphabet": a.alphabet, "tokens": a.tokens,
                "wildcard": a.wildcard, "wildcard_meaning": a.wildcard_meaning, "engine": a.engine.name(),
                "both_strands": a.both_strands, "max_distance": a.max_distance,
                "required": a.required.as_ref().map(|r| [r.start, r.end]), "best": a.best,
                "epsilon": a.epsilon, "delta": a.delta}),
            result: json!({"status": status, "alignments": sums.alignments, "minimum": minimum,
                "hits": hits_wanted.then(|| sums.hits.iter().map(object).collect::<Vec<Value>>()),
                "histogram": sums.histogram}),
            report: commands::map(report),
            table,
        })
    }
}
