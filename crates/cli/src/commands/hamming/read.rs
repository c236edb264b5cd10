//! The patterns, and one pass over the text.
use samplewise_hamming::Symbol;
use samplewise_linalg::observe::{Observer as _, Progress};

use super::decode::Decode;
use super::job::Job;
use super::sums::Sums;
use crate::failure::{Failure, bad};
use crate::sequences::{self, Piece};

/// Symbols that are handed on together.
const CHUNK: usize = 1 << 20;

/// What a pass over the text meets, in order.
pub(super) enum Event<'a, S> {
    Symbols(&'a [S]),
    End,
}

impl<S: Symbol, D: Decode<S>> Job<'_, S, D> {
    /// The patterns with their names.
    pub(super) fn patterns(&self) -> Result<Vec<(String, Vec<S>)>, Failure> {
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
    pub(super) fn pass(
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
}
