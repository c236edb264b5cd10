//! What is done with the text: a search, all distances, or approximate ones.
use samplewise_hamming::{
    ApproximateOptions, Block, Error, Hit, Method, Plan, Query, Route, Search, SearchStream, Stream, Symbol,
};
use samplewise_linalg::random::Streams;
use serde_json::json;

use super::args::Arguments;
use super::decode::Decode;
use super::outputs::{Number, Outputs};
use super::read::Event;
use super::show::Outcome;
use super::strand::Strand;
use super::sums::{Found, Sums};
use crate::failure::{Failure, bad, usage};
use crate::session::{Answer, Session};

/// A pass over the text for symbols of one kind.
pub(super) struct Job<'a, S: Symbol, D> {
    pub(super) a: &'a Arguments,
    pub(super) session: &'a Session,
    pub(super) decode: fn() -> D,
    pub(super) strands: &'static [char],
    pub(super) reverse: fn(&[S]) -> Vec<S>,
    pub(super) plan: &'a dyn Fn(&[S]) -> Result<Plan<S>, Error>,
    pub(super) search: &'a dyn Fn(&[Query<'_, S>]) -> Result<Search<S>, Error>,
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
        let outcome = Outcome { a, patterns: &patterns, sums: &sums, complete };
        self.session.stage("write", || outcome.write())?;
        outcome.warn(self.session);
        Ok(outcome.answer(show))
    }

    /// Finds the alignments within a distance.
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

    /// Counts every distance of every pattern and strand.
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

    /// Estimates every distance within a factor.
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
}
