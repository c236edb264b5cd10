//! All distances of many patterns: the text is encoded and, where that pays, transformed once for all of them.
use std::ops::Range;

use rayon::prelude::*;
use samplewise_linalg::observe::{Observer, Progress};
use samplewise_linalg::{Ending, Seconds};

use crate::Error;
use crate::answer::{Answer, Block, Report, Route};
use crate::engine::Engine;
use crate::engine::choose::{Work, shares};
use crate::engine::costs::costs;
use crate::engine::ntt;
use crate::engine::pool::Pool;
use crate::engine::running::{Counter, stride_of};
use crate::letters::classes::{Classes, Code};
use crate::letters::relation::{Codes, Relation, Symbol};
use crate::options::{Options, SymbolOptions};
use crate::plan::{check_len, check_spectra};

/// Distances of all patterns that are held at once, 16 MiB.
const MOST_DISTANCES: usize = 1 << 22;

/// Patterns of any lengths that are compared with the same texts.
///
/// Row HAM-17 of `paper-refs.md`.
///
/// ```
/// use samplewise_hamming::{Batch, Options};
/// let batch = Batch::new(&[b"ACGT".as_slice(), b"GA"], &Options::default())?;
/// let answers = batch.distances(b"ACGAACGTT")?;
/// assert_eq!(answers[0].distances, [1, 4, 4, 3, 0, 3]);
/// assert_eq!(answers[1].distances, [2, 2, 0, 1, 2, 2, 1, 2]);
/// # Ok::<(), samplewise_hamming::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Batch<S: Symbol = u8> {
    relation: Relation<S>,
    /// The symbols of each pattern, among those of all.
    parts: Vec<Range<usize>>,
    engine: Engine,
}

impl Batch<u8> {
    /// Prepares byte patterns. The engine is chosen for each of them; [`Engine::Ntt`] shares all work on the text.
    ///
    /// # Errors
    /// [`Error::NoQueries`], and those of [`crate::Plan::new`] for each pattern.
    pub fn new<P: AsRef<[u8]>>(patterns: &[P], options: &Options) -> Result<Self, Error> {
        let make = |all: &[u8]| {
            Relation::of_alphabet(all, options.alphabet, options.wildcard, options.wildcard_meaning, options.text_n)
        };
        Self::joined(patterns, options.engine, make)
    }
}

impl<S: Symbol> Batch<S> {
    /// Prepares patterns of any symbols compared for equality; see [`crate::Plan::of_symbols`].
    ///
    /// # Errors
    /// As [`Batch::new`].
    pub fn of_symbols<P: AsRef<[S]>>(patterns: &[P], options: &SymbolOptions<S>) -> Result<Self, Error> {
        let make = |all: &[S]| Relation::equality(all, options.wildcard, options.wildcard_meaning);
        Self::joined(patterns, options.engine, make)
    }

    fn joined<P: AsRef<[S]>>(
        patterns: &[P],
        engine: Engine,
        make: impl Fn(&[S]) -> Result<Relation<S>, Error>,
    ) -> Result<Self, Error> {
        if patterns.is_empty() {
            return Err(Error::NoQueries);
        }
        if engine == Engine::Periodic {
            let reason = "it finds alignments within few mismatches, and counts no others";
            return Err(Error::EngineUnsuitable { engine: engine.name(), reason });
        }
        let (mut all, mut parts) = (Vec::new(), Vec::new());
        for pattern in patterns {
            let pattern = pattern.as_ref();
            if pattern.is_empty() {
                return Err(Error::EmptyPattern);
            }
            check_len(all.len() + pattern.len())?;
            parts.push(all.len()..all.len() + pattern.len());
            all.extend_from_slice(pattern);
        }
        let relation = make(&all).map_err(|e| match e {
            // Positions are told within their own pattern.
            Error::UnknownSymbol { argument, symbol, position, alphabet } => {
                let own = parts.iter().find(|part| part.contains(&position)).map_or(0, |part| part.start);
                Error::UnknownSymbol { argument, symbol, position: position - own, alphabet }
            }
            other => other,
        })?;
        let longest = parts.iter().map(ExactSizeIterator::len).max().expect("patterns");
        check_spectra(engine, relation.classes.len(), longest, parts.len())?;
        Ok(Self { relation, parts, engine })
    }

    /// Number of patterns.
    pub fn len(&self) -> usize {
        self.parts.len()
    }

    /// False: a batch has patterns.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The distances of every pattern (row HAM-17), each as of [`crate::Plan::distances`]. The same for every thread count.
    ///
    /// # Errors
    /// [`Error::PatternLongerThanText`] if any pattern is.
    pub fn distances(&self, text: &[S]) -> Result<Vec<Answer>, Error> {
        self.distances_observed(text, &mut ())
    }

    /// [`Batch::distances`] with progress; when stopped, every answer holds the alignments done so far.
    ///
    /// # Errors
    /// As [`Batch::distances`].
    pub fn distances_observed(&self, text: &[S], observer: &mut dyn Observer) -> Result<Vec<Answer>, Error> {
        let alignments = self.parts.iter().map(|part| (text.len() + 1).saturating_sub(part.len()));
        let mut all: Vec<(Vec<u32>, Option<Vec<u32>>)> = alignments.map(|n| (Vec::with_capacity(n), None)).collect();
        let sink = |pattern: usize, block: Block<'_>| {
            let (distances, valid) = &mut all[pattern];
            distances.extend_from_slice(block.distances);
            if let Some(more) = block.valid {
                valid.get_or_insert_default().extend_from_slice(more);
            }
        };
        let reports = self.for_each_block_observed(text, sink, observer)?;
        let answers = all.into_iter().zip(reports);
        Ok(answers.map(|((distances, valid), report)| Answer { distances, valid, report }).collect())
    }

    /// Distances handed over block by block, with the number of the pattern; in ascending order for each pattern. Memory
    /// does not grow with the text: at most 2^22 distances of all patterns together, or a block of each. Reports are in the
    /// order of the patterns.
    ///
    /// # Errors
    /// As [`Batch::distances`].
    pub fn for_each_block(&self, text: &[S], sink: impl FnMut(usize, Block<'_>)) -> Result<Vec<Report>, Error> {
        self.for_each_block_observed(text, sink, &mut ())
    }

    /// [`Batch::for_each_block`] with progress and cancellation.
    ///
    /// # Errors
    /// As [`Batch::distances`].
    pub fn for_each_block_observed(
        &self,
        text: &[S],
        mut sink: impl FnMut(usize, Block<'_>),
        observer: &mut dyn Observer,
    ) -> Result<Vec<Report>, Error> {
        if let Some(part) = self.parts.iter().find(|part| part.len() > text.len()) {
            return Err(Error::PatternLongerThanText { pattern: part.len(), text: text.len() });
        }
        let mut run = self.run(text);
        let shortest = self.parts.iter().map(ExactSizeIterator::len).min().expect("patterns");
        let longest = self.parts.iter().map(ExactSizeIterator::len).max().expect("patterns");
        let most = text.len() - shortest + 1;
        let mut done = 0;
        let mut memory: Vec<(Vec<u32>, Vec<u32>)> = vec![(Vec::new(), Vec::new()); self.len()];
        while done < most {
            let end = done.saturating_add(run.stride).min(most);
            for (part, (distances, _)) in self.parts.iter().zip(&mut memory) {
                distances.resize(end.min(text.len() - part.len() + 1).saturating_sub(done), 0);
            }
            let piece = &text[done..(end + longest - 1).min(text.len())];
            match self.relation.encode(piece) {
                Codes::Narrow(codes) => run.count(&codes, &mut memory),
                Codes::Wide(codes) => run.count(&codes, &mut memory),
                Codes::Full(codes) => run.count(&codes, &mut memory),
            }
            for (pattern, (distances, valid)) in memory.iter().enumerate() {
                if !distances.is_empty() {
                    let valid = run.excluded[pattern].is_some().then_some(&valid[..]);
                    sink(pattern, Block { position: done, distances, valid });
                }
            }
            done = end;
            let progress = Progress { stage: "batch", step: done, total: Some(most), value: None };
            if observer.step(progress).is_break() && done < most {
                return Ok(run.reports(Ending::Interrupted));
            }
        }
        Ok(run.reports(Ending::Finished))
    }

    /// Shared transforms for the patterns for which they cost less, and engines of their own for the others.
    fn run(&self, text: &[S]) -> Run {
        let classes = &self.relation.classes;
        let share = shares(classes, Work::samples(text).map(|part| self.relation.encode_full(part)));
        let own: Vec<(Classes, Work)> = self
            .parts
            .iter()
            .map(|part| {
                let own = Classes {
                    pattern: classes.pattern[part.clone()].to_vec(),
                    codes: classes.codes.clone(),
                    rule: classes.rule,
                    code_count: classes.code_count,
                };
                let keep: Vec<bool> = own.occurrences().iter().map(|&a| a > 0).collect();
                let share: Vec<f64> = share.iter().zip(&keep).filter(|(_, k)| **k).map(|(s, _)| *s).collect();
                let own = own.restrict(&keep);
                let work = Work::of_shares(&own, &share, text.len());
                (own, work)
            })
            .collect();
        let (shared, predicted) = match self.engine {
            Engine::Auto | Engine::Ntt => self.shared(text.len(), &own),
            _ => (Vec::new(), Vec::new()),
        };
        let ntt = (!shared.is_empty()).then(|| {
            let parts: Vec<Range<usize>> = shared.iter().map(|&p| self.parts[p].clone()).collect();
            let prepared = ntt::Prepared::of_parts(classes.clone(), &parts);
            (prepared, Pool::default(), shared.len())
        });
        let mut alone = vec![true; self.len()];
        shared.iter().for_each(|&p| alone[p] = false);
        let base = |part: &Range<usize>| self.relation.base(&classes.pattern[part.clone()]);
        let counters: Vec<Option<Counter>> = own
            .iter()
            .enumerate()
            .map(|(p, (own, work))| {
                let counter = || Counter::new(own, self.engine, base(&self.parts[p]), work);
                alone[p].then(counter)
            })
            .collect();
        // The text's wildcard is the one letter of all of them.
        let mut wild = None;
        let excluded: Vec<Option<Counter>> = self
            .parts
            .iter()
            .map(|part| {
                let excluded = self.relation.excluded(&classes.pattern[part.clone()])?;
                if excluded.is_empty() {
                    return Some(Counter::new(&excluded, self.engine, 0, &Work::of_shares(&excluded, &[], text.len())));
                }
                let share: &Vec<f64> = wild.get_or_insert_with(|| {
                    shares(&excluded, Work::samples(text).map(|part| self.relation.encode_full(part)))
                });
                let work = Work::of_shares(&excluded, share, text.len());
                Some(Counter::new(&excluded, self.engine, excluded.counted() as u32, &work))
            })
            .collect();
        let threads = rayon::current_num_threads();
        // As many alignments at a time as their memory allows, but no less than a block.
        let counters_of = || counters.iter().chain(&excluded).flatten();
        let stride = counters_of().map(Counter::stride).chain(ntt.iter().map(|n| 2 * threads * n.0.alignments())).max();
        let least = counters_of().map(Counter::block).chain(ntt.iter().map(|n| n.0.alignments())).max();
        let stride = stride.unwrap_or(1).min((MOST_DISTANCES / self.len()).max(least.unwrap_or(1)));
        let nanoseconds =
            counters_of().map(Counter::predicted).sum::<f64>() + shared.iter().map(|&p| predicted[p]).sum::<f64>();
        let longest = self.parts.iter().map(ExactSizeIterator::len).max().expect("patterns");
        let stride = stride.min(stride_of(nanoseconds, longest).max(least.unwrap_or(1)));
        let lens = self.parts.iter().map(ExactSizeIterator::len).collect();
        let bases = self.parts.iter().map(base).collect();
        Run { ntt, predicted, counters, excluded, lens, bases, stride, seconds: 0.0, done: 0, letters: classes.len() }
    }

    /// Patterns for which one transform of the text is worth it, or all if that is asked for; and what each pattern is
    /// predicted to cost then.
    fn shared(&self, text: usize, own: &[(Classes, Work)]) -> (Vec<usize>, Vec<f64>) {
        let longest = self.parts.iter().map(ExactSizeIterator::len).max().expect("patterns");
        let letters = self.relation.classes.len();
        let ntt::Costs { transforms, products, inverse } = ntt::costs_of(longest, text + 1 - longest, letters);
        let together = |classes: &Classes| {
            let groups = 1.0 + (classes.counted() / ntt::TOGETHER) as f64;
            products * letters as f64 + groups * inverse + costs().ntt_fixed
        };
        let transforms = transforms * letters as f64;
        let predicted = |chosen: &[usize]| {
            own.iter().map(|(classes, _)| together(classes) + transforms / chosen.len() as f64).collect()
        };
        let all: Vec<usize> = (0..self.len()).collect();
        if self.engine == Engine::Ntt {
            let predicted = predicted(&all);
            return (all, predicted);
        }
        let alone = |p: usize| own[p].1.choose().iter().map(|part| part.predicted).sum::<f64>();
        let gains = all.into_iter().map(|p| (p, alone(p) - together(&own[p].0)));
        let (chosen, gains): (Vec<usize>, Vec<f64>) = gains.filter(|gain| gain.1 > 0.0).unzip();
        let fits = letters <= ntt::most_letters(longest, crate::engine::choose::MAX_SPECTRA / self.len() as u128);
        if fits && gains.iter().sum::<f64>() > transforms {
            let predicted = predicted(&chosen);
            (chosen, predicted)
        } else {
            (Vec::new(), Vec::new())
        }
    }
}

/// A batch at work on a text.
struct Run {
    /// Patterns that share the transforms.
    ntt: Option<(ntt::Prepared, Pool<ntt::Scratch>, usize)>,
    /// What each of them was predicted to cost.
    predicted: Vec<f64>,
    counters: Vec<Option<Counter>>,
    excluded: Vec<Option<Counter>>,
    lens: Vec<usize>,
    bases: Vec<u32>,
    stride: usize,
    /// Of the shared part.
    seconds: f64,
    done: usize,
    letters: usize,
}

impl Run {
    fn count<C: Code>(&mut self, codes: &[C], memory: &mut [(Vec<u32>, Vec<u32>)]) {
        for (p, (distances, valid)) in memory.iter_mut().enumerate() {
            if distances.is_empty() {
                continue;
            }
            let met = &codes[..distances.len() + self.lens[p] - 1];
            if let Some(counter) = &mut self.counters[p] {
                counter.count(met, distances);
            }
            if let Some(counter) = &mut self.excluded[p] {
                valid.resize(distances.len(), 0);
                counter.count(met, valid);
            }
        }
        let Some((prepared, pool, _)) = &self.ntt else { return };
        let start = std::time::Instant::now();
        let block = prepared.alignments();
        let mut outs: Vec<&mut [u32]> = Vec::new();
        for (p, (distances, _)) in memory.iter_mut().enumerate() {
            if self.counters[p].is_none() {
                distances.fill(self.bases[p]);
                outs.push(distances);
            }
        }
        let longest = outs.iter().map(|out| out.len()).max().unwrap_or(0);
        let mut pieces: Vec<_> = outs.into_iter().map(|out| out.chunks_mut(block)).collect();
        let tasks: Vec<(usize, Vec<&mut [u32]>)> = (0..longest)
            .step_by(block)
            .map(|from| (from, pieces.iter_mut().map(|p| p.next().unwrap_or_default()).collect()))
            .collect();
        tasks.into_par_iter().for_each(|(from, mut outs)| {
            pool.with(|scratch| prepared.subtract_all(&codes[from..], &mut outs, scratch));
        });
        self.seconds += start.elapsed().as_secs_f64();
        self.done += longest;
    }

    fn reports(&self, ending: Ending) -> Vec<Report> {
        let shared = self.ntt.as_ref().map_or(0, |n| n.2);
        let each = 1e9 * self.seconds * rayon::current_num_threads() as f64 / (self.done.max(1) * shared.max(1)) as f64;
        let of = |(p, counter): (usize, &Option<Counter>)| {
            if let Some(counter) = counter {
                return counter.report(ending);
            }
            let (predicted, actual) = (self.predicted[p], Some(each));
            let cost = crate::EngineCost { engine: Engine::Ntt, letters: self.letters, predicted, actual };
            let seconds = Seconds(self.seconds / shared.max(1) as f64);
            Report { ending, route: Route::Counting, engines: vec![cost], certificate: None, seconds }
        };
        self.counters.iter().enumerate().map(of).collect()
    }
}
