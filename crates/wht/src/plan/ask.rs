//! The points of a plan, each once: those of its groups, then random ones, then fresh ones for the judgement.
use std::collections::HashMap;

use foldhash::fast::FixedState;
use samplewise_linalg::observe::{Observer, Progress, Watch};
use samplewise_linalg::random::{Streams, shuffle};

use crate::bins::subsample::Group;
use crate::field::bits::Bits;
use crate::options::Decoder;
use crate::plan::sizes;
use crate::plan::spec::PlanSpec;

/// Queries without repetition.
#[derive(Clone, Debug)]
pub(crate) struct Asked<I> {
    /// Those of the decoder first, then the fresh ones.
    pub queries: Vec<I>,
    /// For each group, where the answer to each of its queries stands.
    pub positions: Vec<Vec<u32>>,
    /// Number of fresh queries, the last ones.
    pub verification: usize,
}

/// Names of the streams beside those of the groups.
const POINTS: u64 = u64::MAX - 1;
const FRESH: u64 = u64::MAX;

/// Queries between two readings of the clock.
const LOOK: usize = 1 << 12;

impl<I: Bits> Asked<I> {
    /// Lists the queries; none when the observer stops it.
    pub fn make(spec: &PlanSpec, groups: &[Group<I>], observer: &mut dyn Observer) -> Option<Self> {
        let progress = |step| Progress { stage: "queries", step, total: None, value: None };
        let n = spec.variables;
        let streams = Streams::new(spec.seed);
        let mut queries: Vec<I> = Vec::new();
        let mut known: HashMap<I, u32, FixedState> = HashMap::default();
        let mut ask = |m: I| {
            *known.entry(m).or_insert_with(|| {
                queries.push(m);
                queries.len() as u32 - 1
            })
        };
        let mut watch = Watch::new(observer);
        let mut positions: Vec<Vec<u32>> = Vec::with_capacity(groups.len());
        for group in groups {
            let mut own = Vec::new();
            for (step, m) in group.queries().enumerate() {
                own.push(ask(m));
                if step % LOOK == 0 && watch.ticks(|| progress(step)) {
                    return None;
                }
            }
            positions.push(own);
        }
        if spec.decoder == Decoder::Dense {
            queries = (0..1_u64 << n).map(I::from_low).collect();
            return Some(Self { queries, positions, verification: 0 });
        }
        // Fresh means: not seen by the decoder. They and the random points are drawn without replacement.
        let mut draw = |wanted: usize, stream: u64| {
            let mut rng = streams.stream(stream);
            let all = sizes::points(n);
            let left = all.saturating_sub(queries.len() as u128);
            let mut drawn = 0;
            if (left as f64) < 0.5 * all as f64 || wanted as f64 > 0.5 * left as f64 {
                // Few points are left, so there are few points: shuffle them.
                let mut rest: Vec<I> = (0..all as u64).map(I::from_low).filter(|m| !known.contains_key(m)).collect();
                shuffle(&mut rng, &mut rest);
                for m in rest.into_iter().take(wanted) {
                    known.insert(m, 0);
                    queries.push(m);
                    drawn += 1;
                }
                return drawn;
            }
            while drawn < wanted {
                let m = I::random(n, &mut rng);
                if let std::collections::hash_map::Entry::Vacant(slot) = known.entry(m) {
                    slot.insert(0);
                    queries.push(m);
                    drawn += 1;
                }
            }
            drawn
        };
        draw(spec.points, POINTS);
        let verification = draw(spec.verification, FRESH);
        Some(Self { queries, positions, verification })
    }
}
