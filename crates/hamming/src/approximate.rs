//! Distances within a factor `1 ± ε`, for large alphabets and long patterns.
//!
//! **Sampling.** With `s` pattern positions drawn without replacement, the share `p̂` of them that differ is within the
//! Chernoff interval `{q : s·KL(p̂‖q) ≤ ln(2n/δ)}` of the true share at all `n` alignments, with probability `1 − δ`
//! (Hoeffding 1963 for draws without replacement). One counting run over the sampled positions serves all alignments; an
//! alignment whose interval is wider than `1 ± ε` is compared at four times as many positions, and so on, at last at all.
//!
//! **One-sided** (Kopelowitz and Porat 2018). Letters are hashed to `B` buckets: no distance grows, and it shrinks by the
//! factor `1 − ε` or more with probability at most `1/(Bε)` (Markov). The largest of `ln(n/δ)/ln(Bε)` repetitions is at
//! most `D`, and at least `(1 − ε)D` at all alignments with probability `1 − δ`.
//!
//! The exponent `−0.93` of the paper's `(1 + ε)` algorithm rests on fast rectangular matrix multiplication; its
//! ingredients are a reference in [`crate::paper::fredman`].
use std::time::Instant;

use rayon::prelude::*;
use samplewise_linalg::argument::check_ranges;
use samplewise_linalg::observe::{Observer, Progress};
use samplewise_linalg::random::{Streams, below, shuffle};
use samplewise_linalg::{Ending, Seconds};

use crate::Error;
use crate::answer::{EngineCost, Report, Route};
use crate::engine::choose::Work;
use crate::engine::running::Counter;
use crate::letters::classes::{Classes, Code, Rule};
use crate::letters::relation::{Codes, Symbol};
use crate::options::{APPROXIMATE, ApproximateOptions, Method};
use crate::plan::Plan;

/// Approximate distances with their evidence.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Approximation {
    /// One for each alignment.
    pub distances: Vec<f64>,
    /// Number of pattern positions compared at every alignment; all of them where the route is not sampling.
    pub samples: usize,
    /// Number of counting runs over the text.
    pub repetitions: usize,
    /// Number of alignments that were compared at more positions than the others.
    pub refined: usize,
    /// The evidence, with the engines of the last counting run. The route is [`Route::Sampling`], [`Route::OneSided`], or
    /// [`Route::Counting`] where the distances are exact. When the observer stopped the call, sampling has the alignments
    /// done until then, and the one-sided method lower bounds of all without the promised probability.
    pub report: Report,
}

impl Approximation {
    /// Whether every distance has the promised error: false when the observer stopped the call.
    pub fn converged(&self) -> bool {
        self.report.ending == Ending::Finished
    }
}

/// Pattern positions and alignments of the pilot that sets the sample size.
const PILOT: usize = 256;

impl<S: Symbol> Plan<S> {
    /// Distances within `1 ± ε` at every alignment, except with probability `δ` (rows HAM-10, HAM-11).
    ///
    /// Pays for large alphabets and long patterns; else the exact count is as cheap, and is given.
    ///
    /// # Errors
    /// [`Error::PatternLongerThanText`], [`Error::Argument`],
    /// [`Error::EngineUnsuitable`] for the one-sided method with IUPAC or DNA codes, which are sets.
    pub fn approximate(&self, text: &[S], options: &ApproximateOptions) -> Result<Approximation, Error> {
        self.approximate_observed(text, options, &mut ())
    }

    /// [`Plan::approximate`] with progress and cancellation.
    ///
    /// # Errors
    /// As [`Plan::approximate`].
    pub fn approximate_observed(
        &self,
        text: &[S],
        options: &ApproximateOptions,
        observer: &mut dyn Observer,
    ) -> Result<Approximation, Error> {
        check_ranges(options, &APPROXIMATE)?;
        let alignments = self.alignments(text)?;
        let streams = Streams::from_rng(&mut Streams::new(options.seed).stream(0));
        let work = self.work(&self.relation.classes, text);
        let exact: f64 = work.choose().iter().map(|p| p.predicted).sum();
        let run = match options.method {
            Method::Sampling => self.sampling(text, alignments, options, streams, exact, observer),
            Method::OneSided => self.one_sided(text, alignments, options, streams, exact, observer)?,
        };
        if let Some(done) = run {
            return Ok(done);
        }
        let answer = self.distances_observed(text, observer)?;
        Ok(Approximation {
            distances: answer.distances.into_iter().map(f64::from).collect(),
            samples: self.pattern_len(),
            repetitions: 1,
            refined: 0,
            report: answer.report,
        })
    }

    fn sampling(
        &self,
        text: &[S],
        alignments: usize,
        options: &ApproximateOptions,
        streams: Streams,
        exact: f64,
        observer: &mut dyn Observer,
    ) -> Option<Approximation> {
        let classes = &self.relation.classes;
        let absent = f64::from(self.relation.base(&classes.pattern)) - classes.counted() as f64;
        let mut order: Vec<u32> =
            (0..classes.pattern.len() as u32).filter(|&j| classes.pattern[j as usize].is_some()).collect();
        shuffle(&mut streams.stream(0), &mut order);
        let size = self.sample_size(text, alignments, options, streams, &order)?;
        let mut sampled = Classes { pattern: vec![None; classes.pattern.len()], ..classes.clone() };
        for &j in &order[..size] {
            sampled.pattern[j as usize] = classes.pattern[j as usize];
        }
        let keep: Vec<bool> = sampled.occurrences().iter().map(|&a| a > 0).collect();
        let sampled = sampled.restrict(&keep);
        let work = self.work(&sampled, text);
        let cost: f64 = work.choose().iter().map(|p| p.predicted).sum();
        if options.exact_when_cheaper && cost >= exact {
            return None;
        }
        let ladder = Intervals::ladder(size, order.len(), alignments, options);
        let first: Vec<Option<f64>> = (0..=size).map(|count| ladder[0].estimate(count)).collect();
        let mut counter = Counter::new(&sampled, self.engine, size as u32, &work);
        let start = Instant::now();
        let (m, mut refined) = (self.pattern_len(), 0);
        let mut distances: Vec<f64> = Vec::with_capacity(alignments);
        let mut counts = Vec::new();
        while distances.len() < alignments {
            let done = distances.len();
            let end = (done + counter.stride()).min(alignments);
            counts.resize(end - done, 0);
            let refine = Refine { classes, order: &order, first: &first, larger: &ladder[1..], absent };
            let piece = &text[done..end + m - 1];
            refined += match self.relation.encode(piece) {
                Codes::Narrow(codes) => refine.stretch(&mut counter, &codes, &mut counts, &mut distances),
                Codes::Wide(codes) => refine.stretch(&mut counter, &codes, &mut counts, &mut distances),
                Codes::Full(codes) => refine.stretch(&mut counter, &codes, &mut counts, &mut distances),
            };
            let progress = Progress { stage: "sampling", step: end, total: Some(alignments), value: None };
            if observer.step(progress).is_break() {
                break;
            }
        }
        let ending = if distances.len() == alignments { Ending::Finished } else { Ending::Interrupted };
        let report = Report { route: Route::Sampling, seconds: Seconds::since(start), ..counter.report(ending) };
        Some(Approximation { distances, samples: size, repetitions: 1, refined, report })
    }

    /// Positions that settle nine of ten alignments, by a pilot; `None` where more than half of all are needed.
    fn sample_size(
        &self,
        text: &[S],
        alignments: usize,
        options: &ApproximateOptions,
        streams: Streams,
        order: &[u32],
    ) -> Option<usize> {
        let classes = &self.relation.classes;
        let mut rng = streams.stream(1);
        // Positions of its own, so that the size does not depend on the sample that it is the size of.
        let first: Vec<u32> = if order.is_empty() {
            Vec::new()
        } else {
            (0..PILOT).map(|_| order[below(&mut rng, order.len())]).collect()
        };
        let mut shares: Vec<f64> = (0..PILOT)
            .map(|_| {
                let at = below(&mut rng, alignments);
                let differs = |&&j: &&u32| {
                    let code = self.relation.encode_full(&text[at + j as usize..=at + j as usize])[0];
                    !classes.matches(classes.pattern[j as usize].expect("a counted position"), code as usize)
                };
                first.iter().filter(differs).count() as f64 / first.len().max(1) as f64
            })
            .collect();
        shares.sort_unstable_by(f64::total_cmp);
        let share = shares[PILOT / 10];
        let mut size = 64;
        while size <= order.len() / 2 {
            let table = Intervals::new(size, order.len(), alignments, options);
            if table.estimate((share * size as f64) as usize).is_some() {
                return Some(size);
            }
            size += size / 4;
        }
        None
    }

    fn one_sided(
        &self,
        text: &[S],
        alignments: usize,
        options: &ApproximateOptions,
        streams: Streams,
        exact: f64,
        observer: &mut dyn Observer,
    ) -> Result<Option<Approximation>, Error> {
        let classes = &self.relation.classes;
        let Rule::Equal { wildcard } = classes.rule else {
            let reason = "one-sided approximations hash letters, which must be compared for equality";
            return Err(Error::EngineUnsuitable { engine: "one-sided", reason });
        };
        let rounds = |buckets: usize| {
            ((alignments as f64 / options.delta).ln() / (buckets as f64 * options.epsilon).ln()).ceil().max(1.0)
                as usize
        };
        let work = |hashed: &Hashed| {
            let sample = |part: &[S]| {
                let codes = self.relation.encode_full(part);
                codes.iter().map(|&c| hashed.codes[c as usize]).collect::<Vec<u32>>()
            };
            Work::new(&hashed.classes, Work::samples(text).map(sample), text.len())
        };
        let cost = |buckets: usize| {
            let one = work(&self.hashed(buckets, streams.child(u64::MAX), wildcard)).choose();
            one.iter().map(|p| p.predicted).sum::<f64>() * rounds(buckets) as f64
        };
        let choices = [2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0].map(|c| (c / options.epsilon).ceil() as usize);
        let buckets = choices.into_iter().min_by(|&a, &b| cost(a).total_cmp(&cost(b))).expect("seven choices");
        let pointless = buckets >= classes.len() || buckets > 60_000;
        if pointless || options.exact_when_cheaper && cost(buckets) >= exact {
            return Ok(None);
        }
        let rounds = rounds(buckets);
        let (m, base) = (self.pattern_len(), self.relation.base(&classes.pattern));
        let start = Instant::now();
        let mut largest = vec![0_u32; alignments];
        let (mut counts, mut engines) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            let hashed = self.hashed(buckets, streams.child(round as u64), wildcard);
            let mut counter = Counter::new(&hashed.classes, self.engine, base, &work(&hashed));
            let mut done = 0;
            while done < alignments {
                let end = (done + counter.stride()).min(alignments);
                counts.resize(end - done, 0);
                let codes = self.relation.encode_full(&text[done..end + m - 1]);
                if hashed.classes.code_count <= 256 {
                    let codes: Vec<u8> = codes.par_iter().map(|&c| hashed.codes[c as usize] as u8).collect();
                    counter.count(&codes, &mut counts);
                } else {
                    let codes: Vec<u32> = codes.par_iter().map(|&c| hashed.codes[c as usize]).collect();
                    counter.count(&codes, &mut counts);
                }
                largest[done..end].iter_mut().zip(&counts).for_each(|(l, &c)| *l = c.max(*l));
                done = end;
                let progress = Progress { stage: "one-sided", step: round, total: Some(rounds), value: None };
                if observer.step(progress).is_break() && !(done == alignments && round + 1 == rounds) {
                    let report =
                        one_sided_report(Ending::Interrupted, counter.report(Ending::Interrupted).engines, start);
                    return Ok(Some(one_sided(&largest, m, round, report)));
                }
            }
            engines = counter.report(Ending::Finished).engines;
            let progress = Progress { stage: "one-sided", step: round + 1, total: Some(rounds), value: None };
            if observer.step(progress).is_break() && round + 1 < rounds {
                let report = one_sided_report(Ending::Interrupted, engines, start);
                return Ok(Some(one_sided(&largest, m, round + 1, report)));
            }
        }
        Ok(Some(one_sided(&largest, m, rounds, one_sided_report(Ending::Finished, engines, start))))
    }

    /// Letters and text codes by buckets; symbols outside the pattern match nothing, and wildcards stay what they are.
    fn hashed(&self, buckets: usize, streams: Streams, wildcard: Option<u32>) -> Hashed {
        let classes = &self.relation.classes;
        let bucket: Vec<u32> =
            (0..classes.len()).map(|letter| (streams.bits(letter as u64) % buckets as u64) as u32).collect();
        let (wild, other) = (buckets as u32, buckets as u32 + 1);
        let mut codes = vec![other; classes.code_count];
        classes.codes.iter().zip(&bucket).for_each(|(&code, &b)| codes[code as usize] = b);
        if let Some(w) = wildcard {
            codes[w as usize] = wild;
        }
        let pattern = classes.pattern.iter().map(|l| l.map(|l| bucket[l as usize])).collect();
        let rule = Rule::Equal { wildcard: wildcard.map(|_| wild) };
        let all = Classes { pattern, codes: (0..buckets as u32).collect(), rule, code_count: buckets + 2 };
        let keep: Vec<bool> = all.occurrences().iter().map(|&a| a > 0).collect();
        Hashed { classes: all.restrict(&keep), codes }
    }
}

fn one_sided_report(ending: Ending, engines: Vec<EngineCost>, start: Instant) -> Report {
    let seconds = Seconds::since(start);
    Report { ending, route: Route::OneSided, engines, certificate: None, seconds }
}

fn one_sided(largest: &[u32], m: usize, repetitions: usize, report: Report) -> Approximation {
    let distances = largest.iter().map(|&d| f64::from(d)).collect();
    Approximation { distances, samples: m, repetitions, refined: 0, report }
}

struct Hashed {
    classes: Classes,
    codes: Vec<u32>,
}

/// For every count of differing positions in a sample, the estimate of the distance if its interval is narrow enough.
struct Intervals {
    samples: usize,
    population: usize,
    bound: f64,
    epsilon: f64,
}

impl Intervals {
    fn new(samples: usize, population: usize, alignments: usize, options: &ApproximateOptions) -> Self {
        // A union bound over alignments, both sides and at most 32 sizes of one alignment's sample.
        let bound = (2.0 * 32.0 * alignments as f64 / options.delta).ln();
        Self { samples, population, bound, epsilon: options.epsilon }
    }

    /// Samples four times as large each, up to half of everything.
    fn ladder(first: usize, population: usize, alignments: usize, options: &ApproximateOptions) -> Vec<Self> {
        let sizes = std::iter::successors(Some(first), |size| Some(size * 4));
        let sizes = sizes.take_while(|&size| size <= population / 2);
        sizes.map(|size| Self::new(size, population, alignments, options)).collect()
    }

    /// Differing positions of the whole pattern, when `count` of the sample differ.
    fn estimate(&self, count: usize) -> Option<f64> {
        let (s, all) = (self.samples as f64, self.population as f64);
        let p = count as f64 / s;
        // The sample itself is part of the pattern.
        let low = self.edge(p, 0.0).max(count as f64 / all) * all;
        let high = self.edge(p, 1.0).min((all - (s - count as f64)) / all) * all;
        // The middle by ratio: low·(1 + w) = high·(1 − w).
        let width = (high - low) / (high + low).max(f64::MIN_POSITIVE);
        (width <= self.epsilon).then_some(low * (1.0 + width))
    }

    /// The share between `p` and `end` that is as far from `p` as the bound allows.
    fn edge(&self, p: f64, end: f64) -> f64 {
        let (mut inside, mut outside) = (p, end);
        if self.samples as f64 * divergence(p, end) <= self.bound {
            return end;
        }
        for _ in 0..60 {
            let middle = 0.5 * (inside + outside);
            if self.samples as f64 * divergence(p, middle) <= self.bound {
                inside = middle;
            } else {
                outside = middle;
            }
        }
        outside
    }
}

/// `KL(p‖q)` of two shares.
fn divergence(p: f64, q: f64) -> f64 {
    let term = |x: f64, y: f64| if x == 0.0 { 0.0 } else { x * (x / y).ln() };
    term(p, q) + term(1.0 - p, 1.0 - q)
}

/// From counts in the first sample to distances.
struct Refine<'a> {
    classes: &'a Classes,
    order: &'a [u32],
    /// Estimates by count in the first sample.
    first: &'a [Option<f64>],
    larger: &'a [Intervals],
    absent: f64,
}

impl Refine<'_> {
    fn stretch<C: Code>(&self, counter: &mut Counter, codes: &[C], counts: &mut [u32], out: &mut Vec<f64>) -> usize {
        counter.count(codes, counts);
        let from = out.len();
        let estimates = counts.par_iter().enumerate().map(|(i, &count)| match self.first[count as usize] {
            Some(distance) => (distance + self.absent, 0),
            None => (self.alignment(codes, i, count) + self.absent, 1),
        });
        let (distances, refined): (Vec<f64>, Vec<usize>) = estimates.unzip();
        out.extend(distances);
        debug_assert_eq!(out.len(), from + counts.len());
        refined.into_iter().sum()
    }

    /// One alignment at more and more positions.
    fn alignment<C: Code>(&self, codes: &[C], at: usize, count: u32) -> f64 {
        let differ = |part: &[u32]| {
            let differs = |&&j: &&u32| {
                let letter = self.classes.pattern[j as usize].expect("a counted position");
                !self.classes.matches(letter, codes[at + j as usize].index())
            };
            part.iter().filter(differs).count()
        };
        let (mut count, mut size) = (count as usize, self.first.len() - 1);
        for intervals in self.larger {
            count += differ(&self.order[size..intervals.samples]);
            size = intervals.samples;
            if let Some(distance) = intervals.estimate(count) {
                return distance;
            }
        }
        (count + differ(&self.order[size..])) as f64
    }
}
