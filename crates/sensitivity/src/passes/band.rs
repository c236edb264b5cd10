//! What a pass sums up over the rows of a band: eight rows at a time, each by itself, so that a row's numbers do not depend on
//! its neighbours.
use samplewise_linalg::gram::Moments;
use samplewise_linalg::random::Streams;
use samplewise_linalg::twofold::Twofold;
use samplewise_linalg::{LinalgError, Matrix, MatrixView, Summary};

use super::kept::Kept;
use super::question::{Band, Fit, Tied};

/// Rows side by side.
const LANES: usize = 8;
type Lanes = [f64; LANES];
/// Rows that are packed at a time.
const BLOCK: usize = 512;
/// Share of its terms by which a column may miss the combination of others that it is.
const IN_SPAN: f64 = 1e-9;

/// The sums of a band.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sums {
    /// `Σ u x` over the decided rows, `x` less the origin and `u` at the limit of its side; then `Σ u`.
    pub columns: Twofold,
    /// By the numbers below.
    pub scalars: Twofold,
    /// Of the features less their origin of open rows whose multipliers are not cut, where the question gives these.
    pub tied: Option<Moments>,
    /// Largest squared spread of a row.
    pub leverage: f64,
    /// Rows that are open, those decided to be above and below the fit, and those of which the fit judged finds the contrary.
    pub open: u64,
    pub above: u64,
    pub below: u64,
    pub wrong: u64,
    /// Rows that do not obey the dependency of each dependent column.
    pub outside: Vec<u64>,
    /// Open rows, all or some.
    pub kept: Kept,
    /// The rows on the wrong side; none where there are more than a pass keeps.
    pub against: Kept,
}

/// `Σ ρ(r)` at the fit judged.
pub(super) const LOSS: usize = 0;
/// What rounding of the residuals can be, summed up.
pub(super) const ROUNDING: usize = 1;
/// `Σ u r` over the decided rows, and `Σ |u r|`.
pub(super) const DECIDED: usize = 2;
pub(super) const DECIDED_SIZE: usize = 3;
pub(super) const SCALARS: usize = 4;

impl Sums {
    pub fn new(band: &Band) -> Self {
        Self {
            columns: Twofold::zeros(band.origin.len() + 1),
            scalars: Twofold::zeros(SCALARS),
            tied: (band.tied != Tied::Kept).then(|| Moments::new(band.origin.len()).expect("few features")),
            leverage: 0.0,
            open: 0,
            above: 0,
            below: 0,
            wrong: 0,
            outside: vec![0; band.dependent.len()],
            kept: Kept::default(),
            against: Kept::default(),
        }
    }

    /// Adds those of other rows.
    ///
    /// # Errors
    /// [`LinalgError::OutOfRange`] for sums of squares that overflow.
    pub fn merge(&mut self, other: Self, band: &Band) -> Result<(), LinalgError> {
        if let (Some(own), Some(other)) = (&mut self.tied, other.tied) {
            own.merge(other)?;
        }
        self.columns.merge(&other.columns);
        self.scalars.merge(&other.scalars);
        self.leverage = self.leverage.max(other.leverage);
        self.open += other.open;
        self.above += other.above;
        self.below += other.below;
        self.wrong += other.wrong;
        self.outside.iter_mut().zip(other.outside).for_each(|(own, other)| *own += other);
        self.kept.extend(other.kept);
        self.kept.thin(band);
        self.against.extend(other.against);
        if self.wrong > band.most as u64 {
            self.against = Kept::default();
        }
        Ok(())
    }

    /// Rows whose side is decided; `None` beyond what can be counted.
    pub fn decided(&self) -> Option<u64> {
        self.above.checked_add(self.below)
    }

    /// A scalar, the same for every order of the rows.
    pub fn scalar(&self, which: usize) -> f64 {
        let magnitude = if which == DECIDED { DECIDED_SIZE } else { which };
        self.scalars.rounded(which, self.scalars.value(magnitude))
    }

    /// `Σ u x` of a feature or, behind them, `Σ u`; the same for every order of the rows.
    pub fn column(&self, j: usize, band: &Band) -> f64 {
        self.columns.rounded(j, self.magnitude(j, band))
    }

    /// What `Σ |u x_j|` is not above, from numbers that do not depend on the order of the rows.
    pub fn magnitude(&self, j: usize, band: &Band) -> f64 {
        let tied = if band.tied == Tied::Kept { 0 } else { self.open };
        let sides = [(self.above, band.tau), (self.below, 1.0 - band.tau), (tied, band.tau.max(1.0 - band.tau))];
        let sum = |power: i32| sides.iter().map(|(count, u)| *count as f64 * u.powi(power)).sum::<f64>();
        band.norms.get(j).map_or_else(|| sum(1), |norm| (sum(2) * norm).sqrt()) * 1.01
    }
}

/// The sums over some rows, the target last.
pub(super) fn sums(band: &Band, keys: &[u64], rows: MatrixView<'_>) -> Result<Sums, LinalgError> {
    let mut out = Sums::new(band);
    let mut work = Work::new(band);
    for first in (0..keys.len()).step_by(BLOCK) {
        let end = (first + BLOCK).min(keys.len());
        work.block(&keys[first..end], rows.select_range(first..end), &mut out)?;
    }
    Ok(out)
}

struct Work<'a> {
    band: &'a Band,
    hash: Streams,
    /// Columns of the transform, one after another.
    transform: Vec<f64>,
    same: bool,
    /// Eights of rows: `d` features less their origin, and the target.
    packed: Vec<Lanes>,
    each: Vec<Each>,
}

/// What is known of eight rows.
#[derive(Clone, Copy)]
struct Each {
    decided_at: Lanes,
    judged: Lanes,
    spread: Lanes,
    size: Lanes,
    /// The function that the multipliers of open rows are made of.
    multiplier: Lanes,
}

impl<'a> Work<'a> {
    fn new(band: &'a Band) -> Self {
        let d = band.origin.len();
        let transform =
            (0..band.transform.columns()).flat_map(|k| (0..d).map(move |j| band.transform[(j, k)])).collect();
        Self {
            band,
            hash: Streams::new(band.seed),
            transform,
            same: band.sides_at.as_ref() == Some(&band.judged_at),
            packed: vec![[0.0; LANES]; BLOCK / LANES * (d + 1)],
            each: vec![
                Each {
                    decided_at: [0.0; LANES],
                    judged: [0.0; LANES],
                    spread: [0.0; LANES],
                    size: [0.0; LANES],
                    multiplier: [0.0; LANES]
                };
                BLOCK / LANES
            ],
        }
    }

    fn block(&mut self, keys: &[u64], rows: MatrixView<'_>, out: &mut Sums) -> Result<(), LinalgError> {
        let (band, d) = (self.band, self.band.origin.len());
        let count = keys.len();
        let groups = count.div_ceil(LANES);
        self.packed[..groups * (d + 1)].fill([0.0; LANES]);
        rows.for_each_row(|i, row| {
            let group = &mut self.packed[i / LANES * (d + 1)..][..=d];
            for ((lanes, v), o) in group.iter_mut().zip(row).zip(band.origin.iter().chain(&[0.0])) {
                lanes[i % LANES] = v - o;
            }
        });
        samplewise_linalg::dispatch::widest(
            #[inline(always)]
            || {
                for (group, each) in self.packed.chunks_exact(d + 1).zip(&mut self.each).take(groups) {
                    *each = look(band, &self.transform, self.same, group);
                }
            },
        );
        let (mut kept, mut against, mut tied) = (Vec::new(), Vec::new(), Vec::new());
        let mut limits = [[0.0; LANES]; BLOCK / LANES];
        let (tau, floor) = (band.tau, band.floor());
        let give = self.given_rounding();
        let eps = f64::EPSILON * (d as f64 + 3.0);
        let mut terms = [[0.0; BLOCK]; SCALARS];
        for (i, &key) in keys.iter().enumerate() {
            let (group, lane) = (i / LANES, i % LANES);
            let each = &self.each[group];
            let (r, e, squared) = (each.decided_at[lane], each.judged[lane], each.spread[lane]);
            out.leverage = out.leverage.max(squared);
            let spread = squared.sqrt().max(floor);
            terms[LOSS][i] = if e >= 0.0 { tau * e } else { (tau - 1.0) * e };
            terms[ROUNDING][i] = eps * each.size[lane] + give;
            if band.sides_at.is_none() || (-r <= band.thresholds[0] * spread && r <= band.thresholds[1] * spread) {
                out.open += 1;
                if band.tied != Tied::Kept {
                    let wanted = tau - 0.5 + each.multiplier[lane];
                    let u = wanted.clamp(tau - 1.0, tau);
                    if u == wanted {
                        tied.push(i);
                    }
                    limits[group][lane] = u;
                    terms[DECIDED][i] = u * e;
                    terms[DECIDED_SIZE][i] = (u * e).abs();
                    continue;
                }
                if self.hash.uniform(key) < band.probability(spread, 0) {
                    kept.push((i, spread));
                }
                continue;
            }
            let u = if r > 0.0 { tau } else { tau - 1.0 };
            *if r > 0.0 { &mut out.above } else { &mut out.below } += 1;
            limits[group][lane] = u;
            terms[DECIDED][i] = u * e;
            terms[DECIDED_SIZE][i] = (u * e).abs();
            if u * e < 0.0 {
                out.wrong += 1;
                against.push((i, spread));
            }
        }
        for (at, terms) in terms.iter().enumerate() {
            let (high, low) = sum(&terms[..count]);
            out.scalars.add(at, high);
            out.scalars.add(at, low);
        }
        if band.sides_at.is_some() {
            self.add_columns(&limits[..groups], out);
        }
        self.look_outside(count, out);
        let keep = |list: &[(usize, f64)], into: &mut Kept| {
            let chosen = rows.select_rows(&list.iter().map(|e| e.0).collect::<Vec<_>>());
            for (k, &(i, spread)) in list.iter().enumerate() {
                into.push(keys[i], spread, chosen.row(k));
            }
        };
        if !kept.is_empty() {
            keep(&kept, &mut out.kept);
            out.kept.thin(band);
        }
        if out.wrong > band.most as u64 {
            out.against = Kept::default();
        } else if !against.is_empty() {
            keep(&against, &mut out.against);
        }
        if let Some(moments) = &mut out.tied {
            let x = Matrix::from_fn(tied.len(), d, |i, j| self.packed[tied[i] / LANES * (d + 1) + j][tied[i] % LANES]);
            moments.update((x.view(), None))?;
        }
        Ok(())
    }

    /// What giving the coefficients for features as they are, not less their origin, can move each residual by.
    fn given_rounding(&self) -> f64 {
        let Fit { slopes, level } = &self.band.judged_at;
        let moved: f64 = slopes.iter().zip(&self.band.origin).map(|(s, o)| (s * o).abs()).sum();
        f64::EPSILON * (slopes.len() as f64 + 3.0) * if moved > 0.0 { moved + level.abs() } else { 0.0 }
    }

    /// Adds `Σ u x` and `Σ u`.
    fn add_columns(&self, limits: &[Lanes], out: &mut Sums) {
        let d = self.band.origin.len();
        let ones = [1.0; LANES];
        for j in 0..=d {
            let (mut high, mut low) = ([0.0; LANES], [0.0; LANES]);
            samplewise_linalg::dispatch::widest(
                #[inline(always)]
                || {
                    for (group, u) in self.packed.chunks_exact(d + 1).zip(limits) {
                        let x = if j == d { &ones } else { &group[j] };
                        for l in 0..LANES {
                            let p = u[l] * x[l];
                            let e = u[l].mul_add(x[l], -p);
                            let (h, s) = (high[l], high[l] + p);
                            let t = s - h;
                            low[l] += ((h - (s - t)) + (p - t)) + e;
                            high[l] = s;
                        }
                    }
                },
            );
            for l in 0..LANES {
                out.columns.add(j, high[l]);
                out.columns.add(j, low[l]);
            }
        }
    }

    /// Counts the rows that do not obey a dependency between columns.
    fn look_outside(&self, count: usize, out: &mut Sums) {
        let d = self.band.origin.len();
        for ((column, combination), outside) in self.band.dependent.iter().zip(&mut out.outside) {
            for i in 0..count {
                let x = |j: usize| self.packed[i / LANES * (d + 1) + j][i % LANES];
                let own = x(*column);
                let (mut sum, mut size) = (own, own.abs() + self.band.origin[*column].abs());
                for (j, c) in combination.iter().enumerate() {
                    sum -= c * x(j);
                    size += (c * x(j)).abs() + (c * self.band.origin[j]).abs();
                }
                *outside += u64::from(sum.abs() > IN_SPAN * size);
            }
        }
    }
}

/// Sum of terms in twice the precision.
fn sum(terms: &[f64]) -> (f64, f64) {
    let (mut high, mut low) = ([0.0; LANES], [0.0; LANES]);
    for eight in terms.chunks(LANES) {
        for (l, &p) in eight.iter().enumerate() {
            let (h, s) = (high[l], high[l] + p);
            let t = s - h;
            low[l] += (h - (s - t)) + (p - t);
            high[l] = s;
        }
    }
    let mut all = Twofold::zeros(1);
    high.iter().chain(&low).for_each(|v| all.add(0, *v));
    let (high, low) = all.parts();
    (high[0], low[0])
}

/// Residuals at both fits, squared spread, and the size of the terms of the residual that is judged.
#[inline(always)]
fn look(band: &Band, transform: &[f64], same: bool, group: &[Lanes]) -> Each {
    let d = group.len() - 1;
    let (x, b) = (&group[..d], &group[d]);
    let judged = residual(&band.judged_at, x, b);
    let decided_at = match &band.sides_at {
        Some(fit) if !same => residual(fit, x, b),
        _ => judged,
    };
    let mut size = [band.judged_at.level.abs(); LANES];
    for l in 0..LANES {
        size[l] += b[l].abs();
    }
    for (x, c) in x.iter().zip(&band.judged_at.slopes) {
        for l in 0..LANES {
            size[l] = x[l].abs().mul_add(c.abs(), size[l]);
        }
    }
    let mut spread = [band.constant * band.constant; LANES];
    for column in transform.chunks_exact(d.max(1)) {
        let mut z = [0.0; LANES];
        for (x, t) in x.iter().zip(column) {
            for l in 0..LANES {
                z[l] = x[l].mul_add(*t, z[l]);
            }
        }
        for l in 0..LANES {
            spread[l] = z[l].mul_add(z[l], spread[l]);
        }
    }
    let multiplier = if let Tied::Multipliers(fit) = &band.tied { value(fit, x) } else { [0.0; LANES] };
    Each { decided_at, judged, spread, size, multiplier }
}

/// A linear function of the features.
#[inline(always)]
fn value(fit: &Fit, x: &[Lanes]) -> Lanes {
    let mut sum = [fit.level; LANES];
    for (x, c) in x.iter().zip(&fit.slopes) {
        for l in 0..LANES {
            sum[l] = x[l].mul_add(*c, sum[l]);
        }
    }
    sum
}

/// What it leaves of the target.
#[inline(always)]
fn residual(fit: &Fit, x: &[Lanes], b: &Lanes) -> Lanes {
    let mut out = value(fit, x);
    for l in 0..LANES {
        out[l] = b[l] - out[l];
    }
    out
}
