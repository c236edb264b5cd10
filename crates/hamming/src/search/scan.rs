//! A search at work on a text.
use std::time::Instant;

use rayon::prelude::*;
use samplewise_linalg::observe::LONGEST_GAP;
use samplewise_linalg::{Ending, Seconds};

use super::{Hit, Needle, STRIDE, Scan, Search};
use crate::answer::{Report, Route};
use crate::engine::mismatch_budget::{self, Found};
use crate::engine::periodic;
use crate::engine::pool::Pool;
use crate::engine::running::Counter;
use crate::letters::classes::{Classes, Code};
use crate::letters::relation::{Codes, Symbol};

pub(super) enum Method {
    Bounded(mismatch_budget::Prepared, Pool<mismatch_budget::Scratch>),
    Periodic(Vec<periodic::Prepared>),
    Counting(Vec<(Counter, Classes)>),
}

impl Scan {
    pub(super) fn new(needles: Vec<usize>, work: Method) -> Self {
        Self { needles, work, last: None, seconds: 0.0 }
    }

    pub fn route(&self) -> Route {
        match self.work {
            Method::Bounded(..) => Route::MismatchBudget,
            Method::Periodic(_) => Route::Periodic,
            Method::Counting(_) => Route::Counting,
        }
    }

    /// The evidence so far; with the engines of the first pattern where all distances are counted.
    pub fn report(&self, ending: Ending) -> Report {
        let (route, seconds) = (self.route(), Seconds(self.seconds));
        let counted = match &self.work {
            Method::Counting(counters) => counters.first().map(|c| c.0.report(ending)),
            _ => None,
        };
        let (engines, certificate) = counted.map(|r| (r.engines, r.certificate)).unwrap_or_default();
        Report { ending, route, engines, certificate, seconds }
    }

    /// Positions that are worth searching at a time, for patterns of at most so many symbols: fewer where the last ones took
    /// long, for the sake of the observer.
    pub fn stride(&self, longest: usize) -> usize {
        let threads = rayon::current_num_threads();
        let (most, least) = match &self.work {
            Method::Bounded(..) => ((STRIDE * threads).max(longest), mismatch_budget::BLOCK * threads),
            // Each piece looks at a pattern's length more.
            Method::Periodic(_) => ((STRIDE * threads).max(4 * longest * threads), 4 * longest * threads),
            Method::Counting(counters) => {
                let most = counters.iter().map(|c| c.0.stride()).max().unwrap_or(STRIDE);
                (most, counters.iter().map(|c| c.0.block()).max().unwrap_or(1))
            }
        };
        let first = most.min((STRIDE / 8 * threads).max(least));
        self.last.map_or(first, |(seconds, positions)| {
            let soon = LONGEST_GAP.as_secs_f64() / 5.0 / seconds.max(1e-9) * positions as f64;
            most.min((soon as usize).max(least))
        })
    }

    /// Hits that begin in the first `span` symbols of a piece, which begins at `offset` of the text.
    pub fn piece<S: Symbol>(
        &mut self,
        search: &Search<S>,
        piece: &[S],
        span: usize,
        offset: usize,
        hits: &mut Vec<Hit>,
    ) {
        let start = Instant::now();
        match search.relation.encode(piece) {
            Codes::Narrow(codes) => self.codes(&search.needles, &codes, span, offset, hits),
            Codes::Wide(codes) => self.codes(&search.needles, &codes, span, offset, hits),
            Codes::Full(codes) => self.codes(&search.needles, &codes, span, offset, hits),
        }
        let seconds = start.elapsed().as_secs_f64();
        self.last = Some((seconds, span));
        self.seconds += seconds;
    }

    fn codes<C: Code>(&mut self, all: &[Needle], codes: &[C], span: usize, offset: usize, hits: &mut Vec<Hit>) {
        let longest = all.iter().map(|n| n.place.len()).max().expect("a search has queries");
        let hit = |needles: &[usize], found: Found| {
            let n = &all[needles[found.needle]];
            let distance = found.distance + n.absent;
            Hit { position: offset + found.position, query: n.query, reverse: n.reverse, distance }
        };
        match &mut self.work {
            Method::Bounded(prepared, pool) => {
                let block = |block: usize| {
                    let first = block * mismatch_budget::BLOCK;
                    let span = mismatch_budget::BLOCK.min(span - first);
                    let part = &codes[first..(first + span + longest - 1).min(codes.len())];
                    let mut found = pool.with(|scratch| prepared.find(part, span, scratch));
                    found.iter_mut().for_each(|f| f.position += first);
                    found
                };
                let many = span.div_ceil(mismatch_budget::BLOCK);
                // One thread needs no other, which would have to be woken.
                let blocks: Vec<Vec<Found>> = if rayon::current_num_threads() == 1 {
                    (0..many).map(block).collect()
                } else {
                    (0..many).into_par_iter().map(block).collect()
                };
                hits.extend(blocks.into_iter().flatten().map(|found| hit(&self.needles, found)));
            }
            Method::Periodic(prepared) => {
                let from = hits.len();
                let block = (2 * longest).max(1 << 16);
                let tasks: Vec<(usize, usize)> =
                    (0..span.div_ceil(block)).flat_map(|b| (0..prepared.len()).map(move |n| (b * block, n))).collect();
                let find = |&(first, needle): &(usize, usize)| {
                    let span = block.min(span - first);
                    let part = &codes[first..(first + span + longest - 1).min(codes.len())];
                    let (found, _) = prepared[needle].find(part, span);
                    let place = |(position, distance)| Found { position: first + position, needle, distance };
                    found.into_iter().map(place).collect()
                };
                let found: Vec<Vec<Found>> = tasks.par_iter().map(find).collect();
                hits.extend(found.into_iter().flatten().map(|found| hit(&self.needles, found)));
                hits[from..].sort_unstable();
            }
            Method::Counting(counters) => {
                let from = hits.len();
                for (needle, (counter, own)) in counters.iter_mut().enumerate() {
                    let n = &all[self.needles[needle]];
                    let m = own.pattern.len();
                    let alignments = (codes.len() + 1).saturating_sub(m).min(span);
                    if alignments == 0 {
                        continue;
                    }
                    let mut distances = vec![0; alignments];
                    counter.count(&codes[..alignments + m - 1], &mut distances);
                    let matches =
                        |i: usize, j: usize| own.pattern[j].is_none_or(|l| own.matches(l, codes[i + j].index()));
                    let required: Vec<usize> = (0..m).filter(|&j| n.required[j]).collect();
                    for (i, &d) in distances.iter().enumerate().filter(|&(_, &d)| d <= n.max_distance) {
                        if required.iter().all(|&j| matches(i, j)) {
                            hits.push(hit(&self.needles, Found { position: i, needle, distance: d - n.absent }));
                        }
                    }
                }
                hits[from..].sort_unstable();
            }
        }
    }
}
