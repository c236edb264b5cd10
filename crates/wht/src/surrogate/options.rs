//! Settings of a surrogate.
use std::ops::Bound::{Excluded, Included};

use samplewise_linalg::argument::{OptionRange, check_ranges};

use crate::Error;
use crate::options::Noise;

/// Settings of [`super::fit`].
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Options {
    /// Seed of the folds, the only randomness. Default 0.
    pub seed: u64,
    /// Noise of one value. Default [`Noise::Unknown`]: a table of measurements is noisy until told otherwise, and what the
    /// model cannot explain looks like noise. With [`Noise::None`] every process meets the values.
    pub noise: Noise,
    /// Spreads `τ` of the logarithms of the relevances, one expert each. Default 0.5, 2 and 6; 1 to 6 of them, each from 0.05
    /// to 20. Small: all variables matter alike; large: few matter.
    pub spreads: Vec<f64>,
    /// Degrees of freedom `ν` of heavy-tailed coefficients, one expert each. Default 1 and 0.3; none to 4 of them, each from
    /// 0.01 to 1e9. Few: most of the energy is on few interactions. For two levels everywhere and up to 1,500 points; where
    /// fewer points choose the relevances, only if a trial on those says that it pays.
    pub tails: Vec<f64>,
    /// Whether the heredity pursuit is an expert, which alone answers where it explains every value. Default true. For two
    /// levels everywhere; beyond 1,500 points it answers alone or not at all.
    pub pursuit: bool,
    /// Number of folds of held-out points. Default 5; 2 to 20. Beyond `evidence_points` and a quarter, the points
    /// beyond those that chose the relevances are held out in four blocks (three above 700 points).
    pub folds: usize,
    /// Points that choose the relevances. Default 400; 10 to 1500. With no more points than this and a quarter, all do.
    pub evidence_points: usize,
    /// Steps on all points for experts with a share of 0.15 at least, where fewer chose the relevances. Default 8; 0 to 100.
    /// None are taken beyond 1,500 points.
    pub polish: usize,
    /// Sets with heavy-tailed coefficients for each point, 1,500 in all at most. Default 3; 1 to 20.
    pub candidates: usize,
    /// Most distinct points. Default 4000; 3 to 20000. Memory is 8 bytes for each pair of points and each expert with a share,
    /// and 32 more for each pair while it is fitted.
    pub max_points: usize,
    /// Level of the intervals. Default 0.9; above 0 and below 1.
    pub level: f64,
    /// For each point the number of its group (a plate, a family), whose points are held out together. Default none.
    /// Repeats of a point, and a point and its complement, always are.
    pub groups: Option<Vec<usize>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 0,
            noise: Noise::Unknown,
            spreads: vec![0.5, 2.0, 6.0],
            tails: vec![1.0, 0.3],
            pursuit: true,
            folds: 5,
            evidence_points: 400,
            polish: 8,
            candidates: 3,
            max_points: 4_000,
            level: 0.9,
            groups: None,
        }
    }
}

/// Ranges of the numbers in the options.
pub const RANGES: [OptionRange<Options>; 7] = [
    OptionRange {
        name: "noise",
        low: Excluded(0.0),
        high: std::ops::Bound::Unbounded,
        get: |o| if let Noise::Std(std) = o.noise { Some(std) } else { None },
        set: |o, v| o.noise = Noise::Std(v),
    },
    OptionRange {
        name: "folds",
        low: Included(2.0),
        high: Included(20.0),
        get: |o| Some(o.folds as f64),
        set: |o, v| o.folds = v as usize,
    },
    OptionRange {
        name: "evidence_points",
        low: Included(10.0),
        high: Included(1500.0),
        get: |o| Some(o.evidence_points as f64),
        set: |o, v| o.evidence_points = v as usize,
    },
    OptionRange {
        name: "polish",
        low: Included(0.0),
        high: Included(100.0),
        get: |o| Some(o.polish as f64),
        set: |o, v| o.polish = v as usize,
    },
    OptionRange {
        name: "candidates",
        low: Included(1.0),
        high: Included(20.0),
        get: |o| Some(o.candidates as f64),
        set: |o, v| o.candidates = v as usize,
    },
    OptionRange {
        name: "max_points",
        low: Included(3.0),
        high: Included(20_000.0),
        get: |o| Some(o.max_points as f64),
        set: |o, v| o.max_points = v as usize,
    },
    OptionRange {
        name: "level",
        low: Excluded(0.0),
        high: Excluded(1.0),
        get: |o| Some(o.level),
        set: |o, v| o.level = v,
    },
];

/// Checks the options for a table of this many values.
pub(crate) fn check(options: &Options, count: usize) -> Result<(), Error> {
    check_ranges(options, &RANGES)?;
    let spreads = options.spreads.len();
    if spreads == 0 || spreads > 6 {
        return Err(Error::count("spreads.len()", spreads, "1 to 6"));
    }
    if let Some(&bad) = options.spreads.iter().find(|s| !(0.05..=20.0).contains(*s)) {
        return Err(Error::argument("spreads", bad, "0.05 to 20"));
    }
    if options.tails.len() > 4 {
        return Err(Error::count("tails.len()", options.tails.len(), "none to 4"));
    }
    if let Some(&bad) = options.tails.iter().find(|s| !(0.01..=1e9).contains(*s)) {
        return Err(Error::argument("tails", bad, "0.01 to 1e9"));
    }
    match &options.groups {
        Some(groups) if groups.len() != count => {
            Err(Error::count("groups.len()", groups.len(), format!("{count}, one for each point")))
        }
        _ => Ok(()),
    }
}
