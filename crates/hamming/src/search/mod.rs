//! Where patterns match with few mismatches.
use std::collections::HashSet;
use std::ops::Range;

use samplewise_linalg::Ending;
use samplewise_linalg::observe::{Observer, Progress};

use crate::Error;
use crate::answer::Report;
use crate::engine::Engine;
use crate::engine::choose::{Work, shares};
use crate::engine::mismatch_budget::{self, Part};
use crate::engine::periodic;
use crate::engine::pool::Pool;
use crate::engine::running::Counter;
use crate::letters::classes::Classes;
use crate::letters::relation::{Relation, Symbol, WildcardMeaning, complement_dna};
use crate::options::{Options, SymbolOptions};
use crate::plan::{check_len, check_spectra};

mod scan;

use scan::Method;

/// One pattern that is searched for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query<'a, S: Symbol = u8> {
    /// The symbols of the pattern.
    pub pattern: &'a [S],
    /// Mismatches that a hit may have.
    pub max_distance: u32,
    /// Pattern positions that must match, such as the PAM of a CRISPR guide. Default none.
    pub required: Range<usize>,
}

impl<'a, S: Symbol> Query<'a, S> {
    /// A pattern with at most so many mismatches anywhere.
    pub fn new(pattern: &'a [S], max_distance: u32) -> Self {
        Self { pattern, max_distance, required: 0..0 }
    }

    /// The same, with positions that must match.
    #[must_use]
    pub fn requiring(self, required: Range<usize>) -> Self {
        Self { required, ..self }
    }
}

/// One alignment within its query's distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Hit {
    /// Text position of the pattern's first symbol; on the reverse strand, of its last.
    pub position: usize,
    /// Number of the query.
    pub query: usize,
    /// True when the reverse complement of the pattern matched.
    pub reverse: bool,
    /// Number of mismatches.
    pub distance: u32,
}

/// Hits and how they were found.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Hits {
    /// By position, then query, forward strand first.
    pub hits: Vec<Hit>,
    /// Text positions where patterns were tried: all, unless the observer stopped the call; hits up to there are complete.
    pub searched: usize,
    /// The evidence. The route is [`Route::MismatchBudget`](crate::Route::MismatchBudget); [`Route::Periodic`](crate::Route::Periodic) for periodic patterns in periodic texts,
    /// where early exit never comes; or [`Route::Counting`](crate::Route::Counting) where it would not pay (very many letters, or very many
    /// mismatches).
    pub report: Report,
}

impl Hits {
    /// Whether the whole text was searched: false when the observer stopped the call.
    pub fn converged(&self) -> bool {
        self.report.ending == Ending::Finished
    }
}

/// Many patterns, searched for at once: the text is compared with their letters once for all of them. Mismatches only: where
/// there are insertions and deletions, as in Nanopore reads, a search by edit distance finds more.
///
/// Row HAM-8 of `paper-refs.md`.
///
/// ```
/// use samplewise_hamming::{Options, Query, Search};
/// let guides = [Query::new(b"GATTACA".as_slice(), 1), Query::new(b"CCGG", 0)];
/// let found = Search::new(&guides, &Options::default())?.find(b"TTGATCACATTCCGGT");
/// let places: Vec<_> = found.hits.iter().map(|h| (h.query, h.position, h.distance)).collect();
/// assert_eq!(places, [(0, 2, 1), (1, 11, 0)]);
/// # Ok::<(), samplewise_hamming::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Search<S: Symbol = u8> {
    relation: Relation<S>,
    needles: Vec<Needle>,
    engine: Engine,
}

/// One query on one strand.
#[derive(Clone, Debug)]
struct Needle {
    query: usize,
    reverse: bool,
    /// Its letters in the relation.
    place: Range<usize>,
    max_distance: u32,
    /// Wildcards of the pattern that are mismatches.
    absent: u32,
    required: Vec<bool>,
}

/// Patterns below this length are never worth a look at their periods: early exit costs less. *Tuned*, bench `hamming`,
/// table `periodic`.
const SHORTEST_PERIODIC: usize = 2048;

/// Positions between two looks at the observer, for each thread.
const STRIDE: usize = 1 << 20;

impl Search<u8> {
    /// Prepares byte patterns. The engine is chosen, or [`Engine::Bitsliced`] for the bounded engine, or another one
    /// for counting every distance with it.
    ///
    /// # Errors
    /// [`Error::NoQueries`], those of [`crate::Plan::new`] for each pattern,
    /// [`Error::RequiredOutOfRange`].
    pub fn new(queries: &[Query<'_>], options: &Options) -> Result<Self, Error> {
        Self::strands(queries, *options, false)
    }

    /// [`Search::new`] for nucleotides on both strands: each query and its reverse complement.
    ///
    /// # Errors
    /// As [`Search::new`].
    pub fn both_strands(queries: &[Query<'_>], options: &Options) -> Result<Self, Error> {
        Self::strands(queries, *options, true)
    }

    fn strands(queries: &[Query<'_>], options: Options, both: bool) -> Result<Self, Error> {
        let joined = Joined::new(queries, both.then_some(complement_dna as fn(u8) -> u8))?;
        let relation = joined.relation(|pattern| {
            Relation::of_alphabet(pattern, options.alphabet, options.wildcard, options.wildcard_meaning, options.text_n)
        })?;
        joined.search(relation, options.engine)
    }
}

impl<S: Symbol> Search<S> {
    /// Prepares patterns of any symbols compared for equality; see [`crate::Plan::of_symbols`].
    ///
    /// # Errors
    /// As [`Search::new`].
    pub fn of_symbols(queries: &[Query<'_, S>], options: &SymbolOptions<S>) -> Result<Self, Error> {
        let joined = Joined::new(queries, None)?;
        let make = |pattern: &[S]| Relation::equality(pattern, options.wildcard, options.wildcard_meaning);
        let relation = joined.relation(make)?;
        joined.search(relation, options.engine)
    }

    /// Length of the longest pattern.
    pub fn longest(&self) -> usize {
        self.needles.iter().map(|n| n.place.len()).max().expect("a search has queries")
    }

    /// All hits (row HAM-8). A text shorter than a pattern has none of it. The same for every thread count.
    pub fn find(&self, text: &[S]) -> Hits {
        self.find_observed(text, &mut ())
    }

    /// [`Search::find`] with progress; when stopped, the hits of the positions searched so far are returned.
    pub fn find_observed(&self, text: &[S], observer: &mut dyn Observer) -> Hits {
        let mut scan = self.scan(text);
        let mut hits = Vec::new();
        let (mut done, mut ending) = (0, Ending::Finished);
        let longest = self.longest();
        while done < text.len() {
            let end = done.saturating_add(scan.stride(longest)).min(text.len());
            let piece = &text[done..(end + longest - 1).min(text.len())];
            scan.piece(self, piece, end - done, done, &mut hits);
            done = end;
            let progress = Progress { stage: scan.route().name(), step: done, total: Some(text.len()), value: None };
            if observer.step(progress).is_break() && done < text.len() {
                ending = Ending::Interrupted;
                break;
            }
        }
        Hits { hits, searched: done, report: scan.report(ending) }
    }

    /// What suits a text like this one.
    pub(crate) fn scan(&self, text: &[S]) -> Scan {
        let classes = &self.relation.classes;
        let share = shares(classes, Work::samples(text).map(|part| self.relation.encode_full(part)));
        // Needles that cannot have a hit are left out.
        let possible =
            |&n: &usize| self.needles[n].absent <= self.needles[n].max_distance.min(self.needles[n].place.len() as u32);
        let numbers: Vec<usize> = (0..self.needles.len()).filter(possible).collect();
        let needles: Vec<&Needle> = numbers.iter().map(|&n| &self.needles[n]).collect();
        let bounded = match self.engine {
            Engine::Auto | Engine::Periodic => match self.periodic(text, &needles, &share) {
                Some(Choice::Periodic(all)) => {
                    return Scan::new(numbers, Method::Periodic(all));
                }
                Some(Choice::Counting) => false,
                None => self.bounded_pays(&needles, &share, text.len()),
            },
            engine => engine == Engine::Bitsliced && classes.len() <= mismatch_budget::LETTERS,
        };
        let work = if bounded {
            let parts: Vec<Part<'_>> = needles
                .iter()
                .map(|n| Part {
                    first: n.place.start,
                    len: n.place.len(),
                    budget: n.max_distance.min(n.place.len() as u32) - n.absent,
                    required: &n.required,
                })
                .collect();
            Method::Bounded(mismatch_budget::Prepared::new(classes, &parts, &share), Pool::default())
        } else {
            let counters = needles.iter().map(|n| {
                let (own, share) = self.own(n, &share);
                let work = Work::of_shares(&own, &share, text.len());
                let counter = Counter::new(&own, self.engine, self.relation.base(&own.pattern), &work);
                (counter, own)
            });
            Method::Counting(counters.collect())
        };
        Scan::new(numbers, work)
    }

    /// The letters of one needle, and the share of the text that each matches.
    fn own(&self, needle: &Needle, share: &[f64]) -> (Classes, Vec<f64>) {
        let all = &self.relation.classes;
        let own = Classes { pattern: all.pattern[needle.place.clone()].to_vec(), ..all.clone() };
        let keep: Vec<bool> = own.occurrences().iter().map(|&a| a > 0).collect();
        let share = share.iter().zip(&keep).filter(|(_, k)| **k).map(|(s, _)| *s).collect();
        (own.restrict(&keep), share)
    }

    /// What to do with a periodic text, where all patterns are periodic too, and this is asked for or early exit would be
    /// slower; in nanoseconds of the cost model.
    fn periodic(&self, text: &[S], needles: &[&Needle], share: &[f64]) -> Option<Choice> {
        let costs = crate::engine::costs::costs();
        let asked = self.engine == Engine::Periodic;
        let short = |n: &&Needle| n.place.len() < SHORTEST_PERIODIC;
        let other = |n: &&Needle| n.absent > 0 || n.required.contains(&true);
        if needles.iter().any(other) || (!asked && needles.iter().any(short)) {
            return None;
        }
        let samples: Vec<Vec<u32>> = Work::samples(text).map(|part| self.relation.encode_full(part)).collect();
        let mut prepared = Vec::new();
        // Budgets this large leave nothing that a period could tell.
        if !asked && needles.iter().any(|n| 16 * n.max_distance as usize > n.place.len()) {
            return None;
        }
        let (mut periodic, mut early, mut counting) = (0.0, 0.0, 0.0);
        for n in needles {
            let (own, share) = self.own(n, share);
            let one = periodic::Prepared::new(&own, n.max_distance.min(n.place.len() as u32))?;
            // Early exit fails in the periodic part of the text, and counting costs the same everywhere.
            let part = samples.iter().filter(|s| one.suits(s)).count() as f64 / samples.len() as f64;
            periodic += costs.periodic + part * (costs.periodic_stretch + one.pairs());
            early += part * costs.bounded * n.place.len() as f64;
            counting += Work::of_shares(&own, &share, text.len()).choose().iter().map(|p| p.predicted).sum::<f64>();
            prepared.push(one);
        }
        if asked || periodic < early.min(counting) {
            Some(Choice::Periodic(prepared))
        } else {
            (counting < early).then_some(Choice::Counting)
        }
    }

    /// Early exit against counting, in nanoseconds of the cost model.
    fn bounded_pays(&self, needles: &[&Needle], share: &[f64], len: usize) -> bool {
        if self.relation.classes.len() > mismatch_budget::LETTERS {
            return false;
        }
        // Tables, which all needles share, never cost more than those of counting; so does the scan of short patterns.
        needles.iter().all(|n| {
            let (m, k) = (n.place.len() as f64, f64::from(n.max_distance));
            if m <= 4096.0 {
                return true;
            }
            let (own, share) = self.own(n, share);
            let matching: f64 = own.pattern.iter().flatten().map(|&l| share[l as usize]).sum::<f64>() / m;
            let symbols = m.min((k + 4.0 * k.sqrt() + 16.0) / (1.0 - matching).max(1e-6));
            let counting: f64 = Work::of_shares(&own, &share, len).choose().iter().map(|p| p.predicted).sum();
            symbols * crate::engine::costs::costs().bitsliced < counting
        })
    }
}

/// Ways through a periodic text.
enum Choice {
    Periodic(Vec<periodic::Prepared>),
    Counting,
}

/// A search at work on a text; the calls that need the search are given it, so that a stream can own both.
pub(crate) struct Scan {
    /// Numbers of the needles that can have a hit.
    needles: Vec<usize>,
    work: Method,
    /// Seconds of the last piece, and positions that it searched.
    last: Option<(f64, usize)>,
    seconds: f64,
}

/// All patterns one after the other: one relation serves them together.
struct Joined<S> {
    symbols: Vec<S>,
    needles: Vec<Needle>,
}

impl<S: Symbol> Joined<S> {
    pub fn new(queries: &[Query<'_, S>], complement: Option<fn(S) -> S>) -> Result<Self, Error> {
        if queries.is_empty() {
            return Err(Error::NoQueries);
        }
        let (mut symbols, mut needles) = (Vec::new(), Vec::new());
        for (query, q) in queries.iter().enumerate() {
            let m = q.pattern.len();
            if m == 0 {
                return Err(Error::EmptyPattern);
            }
            check_len(symbols.len() + 2 * m)?;
            if q.required.start > q.required.end || q.required.end > m {
                let (start, end) = (q.required.start, q.required.end);
                return Err(Error::RequiredOutOfRange { query, start, end, pattern: m });
            }
            let required: Vec<bool> = (0..m).map(|j| q.required.contains(&j)).collect();
            let mut add = |reverse, required: Vec<bool>, letters: &mut dyn Iterator<Item = S>| {
                let first = symbols.len();
                symbols.extend(letters);
                let place = first..symbols.len();
                needles.push(Needle { query, reverse, place, max_distance: q.max_distance, absent: 0, required });
            };
            add(false, required.clone(), &mut q.pattern.iter().copied());
            if let Some(complement) = complement {
                let reversed = required.into_iter().rev().collect();
                add(true, reversed, &mut q.pattern.iter().rev().map(|&s| complement(s)));
            }
        }
        Ok(Self { symbols, needles })
    }

    fn relation(&self, make: impl Fn(&[S]) -> Result<Relation<S>, Error>) -> Result<Relation<S>, Error> {
        make(&self.symbols).map_err(|e| match e {
            // Positions are told within their own pattern.
            Error::UnknownSymbol { argument, symbol, position, alphabet } => {
                let own = self.needles.iter().find(|n| n.place.contains(&position));
                let position = position - own.map_or(0, |n| n.place.start);
                Error::UnknownSymbol { argument, symbol, position, alphabet }
            }
            other => other,
        })
    }

    fn search(mut self, relation: Relation<S>, engine: Engine) -> Result<Search<S>, Error> {
        for n in &mut self.needles {
            let letters = &relation.classes.pattern[n.place.clone()];
            let distinct: HashSet<u32> = letters.iter().flatten().copied().collect();
            check_spectra(engine, distinct.len(), letters.len(), 1)?;
            let counted = letters.iter().flatten().count() as u32;
            n.absent = relation.base(letters) - counted;
            if relation.meaning == WildcardMeaning::Mismatch {
                // A required wildcard never matches.
                let impossible = letters.iter().zip(&n.required).any(|(l, &r)| r && l.is_none());
                n.absent = if impossible { u32::MAX } else { n.absent };
            }
        }
        Ok(Search { relation, needles: self.needles, engine })
    }
}
