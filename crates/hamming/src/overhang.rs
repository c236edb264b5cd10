//! Alignments where the pattern overhangs the ends of the text.
use std::ops::Range;

use samplewise_linalg::Ending;
use samplewise_linalg::observe::Observer;

use crate::answer::Answer;
use crate::engine::choose::Work;
use crate::engine::running::Counter;
use crate::letters::classes::Classes;
use crate::letters::relation::{Relation, Symbol, WildcardMeaning};
use crate::plan::Plan;
use crate::{Error, Report};

impl<S: Symbol> Plan<S> {
    /// Distances where the pattern may overhang the ends of the text: alignment `i` of the answer puts the pattern's first
    /// symbol at text position `i − (m − 1)`, for `i = 0 .. n + m − 2`; only pairs that exist are compared, and `valid` says
    /// how many (row HAM-9). The text may be shorter than the pattern.
    ///
    /// # Errors
    /// [`Error::EmptyText`].
    pub fn overhanging_distances(&self, text: &[S]) -> Result<Answer, Error> {
        self.overhanging_distances_observed(text, &mut ())
    }

    /// [`Plan::overhanging_distances`] with progress; when stopped, the alignments done so far are returned.
    ///
    /// # Errors
    /// As [`Plan::overhanging_distances`].
    pub fn overhanging_distances_observed(&self, text: &[S], observer: &mut dyn Observer) -> Result<Answer, Error> {
        if text.is_empty() {
            return Err(Error::EmptyText);
        }
        let (m, n) = (self.pattern_len(), text.len());
        let mut sums = Sums { plan: self, matches: Vec::with_capacity(n + m - 1), excluded: Vec::new(), report: None };
        if n < m {
            sums.ends(m - 1, text, m - 1);
        } else {
            sums.ends(m - 1, &text[..m - 1], 0);
            if sums.middle(text, observer) == Ending::Finished {
                sums.ends(0, &text[n - (m - 1)..], m - 1);
            }
        }
        // Pairs that exist at each alignment: prefix sums over the pattern.
        let counts = |l: &Option<u32>| l.is_some() || self.relation.meaning == WildcardMeaning::Mismatch;
        let mut prefix = vec![0_u32; m + 1];
        for (j, letter) in self.relation.classes.pattern.iter().enumerate() {
            prefix[j + 1] = prefix[j] + u32::from(counts(letter));
        }
        let Sums { matches: mut distances, excluded, report, .. } = sums;
        let mut valid = Vec::with_capacity(distances.len());
        for (i, d) in distances.iter_mut().enumerate() {
            let Range { start, end } = (m - 1).saturating_sub(i)..m.min(n + m - 1 - i);
            let pairs = prefix[end] - prefix[start];
            valid.push(pairs - excluded.get(i).copied().unwrap_or(0));
            *d = pairs - *d;
        }
        Ok(Answer { distances, valid: Some(valid), report: report.expect("at least one stretch") })
    }
}

/// Matches and excluded pairs, alignment after alignment.
struct Sums<'p, S: Symbol> {
    plan: &'p Plan<S>,
    matches: Vec<u32>,
    excluded: Vec<u32>,
    report: Option<Report>,
}

impl<S: Symbol> Sums<'_, S> {
    /// A stretch between symbols that match nothing.
    fn ends(&mut self, left: usize, text: &[S], right: usize) {
        let relation = &self.plan.relation;
        let m = self.plan.pattern_len();
        if left + text.len() + right < m {
            return; // a pattern of one symbol overhangs nothing
        }
        let outside = Relation::<S>::outside(&relation.classes);
        let mut codes = vec![outside; left];
        codes.extend(relation.encode_full(text));
        codes.resize(codes.len() + right, outside);
        let mut count = |classes: &Classes, to: &mut Vec<u32>| {
            let classes = Classes { code_count: classes.code_count + 1, ..classes.clone() };
            let (base, work) = (classes.counted() as u32, Work::new(&classes, [&codes], codes.len()));
            let mut counter = Counter::new(&classes, self.plan.engine, base, &work);
            let from = to.len();
            to.resize(from + codes.len() - m + 1, 0);
            counter.count(&codes, &mut to[from..]);
            to[from..].iter_mut().for_each(|c| *c = base - *c);
            self.report.get_or_insert_with(|| counter.report(Ending::Finished));
        };
        count(&relation.classes, &mut self.matches);
        if let Some(excluded) = relation.excluded(&relation.classes.pattern) {
            count(&excluded, &mut self.excluded);
        }
    }

    /// The alignments inside the text, or those done when the observer stops.
    fn middle(&mut self, text: &[S], observer: &mut dyn Observer) -> Ending {
        let m = self.plan.pattern_len();
        let mut run = self.plan.run(text);
        let (from, alignments, excludes) = (self.matches.len(), text.len() - m + 1, run.excludes());
        let mut done = from;
        self.matches.resize(from + alignments, 0);
        self.excluded.resize(if excludes { from + alignments } else { 0 }, 0);
        let ending = run.strides(alignments, observer, |run, part| {
            let at = from + part.start..from + part.end;
            done = at.end;
            let valid = excludes.then(|| &mut self.excluded[at.clone()]);
            run.count(&self.plan.relation, self.plan.symbols(text, &part), &mut self.matches[at], valid);
        });
        self.matches.truncate(done);
        self.excluded.truncate(done);
        let classes = &self.plan.relation.classes;
        let (base, counted) = (self.plan.relation.base(&classes.pattern), classes.counted() as u32);
        self.matches[from..].iter_mut().for_each(|d| *d = base - *d);
        self.excluded.iter_mut().skip(from).for_each(|v| *v = counted - *v);
        self.report = Some(run.report(ending));
        ending
    }
}
