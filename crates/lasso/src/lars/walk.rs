//! The exact piecewise linear path (homotopy, LARS with drops): from one change of the support to the next.
//!
//! Between two events the coefficients move along `d = G_SS⁻¹(a∘σ)` and every correlation along `q = G d`; the next event
//! is the first column that meets its limit `λ a_j` or the first coefficient that meets zero. The Cholesky factor of `G_SS`
//! gains a row by one triangular solve and loses one by rotations. Cost per event: `s²` multiplications and one response
//! `q`, which is `M·K` for the small problems of [`crate::Homotopy`] and `p·s` on a Gram matrix.
//!
use samplewise_linalg::sums;

/// Pivots below this share of the diagonal are lost to rounding: the column depends on the active ones.
const LOST: f64 = 1e-12;
/// Columns that are tried for the next event together.
const GROUP: usize = 16;
/// Steps after which a path ends without an answer, per column.
const STEPS: usize = 20;

/// What a path asks of a table; columns are scaled to a diagonal of one.
pub(crate) trait Source {
    /// Number of columns.
    fn len(&self) -> usize;
    /// Entry `G_ij` of the Gram matrix over the number of rows.
    fn gram(&self, i: usize, j: usize) -> f64;
    /// `out_j = Σ_i G_{j, active_i} d_i`.
    fn respond(&self, active: &[usize], d: &[f64], scratch: &mut Vec<f64>, out: &mut [f64]);
}

/// Where a column may go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Out,
    In,
    /// Depends on the active columns: waits until one leaves.
    Waits,
    /// Takes no part.
    Never,
}

/// Memory of one path, which is kept from call to call so that a small problem allocates little.
#[derive(Clone, Debug, Default)]
pub struct Workspace {
    pub(crate) lambda: f64,
    pub(crate) active: Vec<usize>,
    pub(crate) w: Vec<f64>,
    pub(crate) c: Vec<f64>,
    pub(crate) sign: Vec<f64>,
    place: Vec<Place>,
    /// `a_j` where the column may join with a positive sign, with a negative one; infinite where it may not.
    up: Vec<f64>,
    down: Vec<f64>,
    /// Row-major lower factor of `G_SS`.
    factor: Vec<f64>,
    stride: usize,
    pub(crate) d: Vec<f64>,
    pub(crate) q: Vec<f64>,
    pub(crate) scratch: Vec<f64>,
    pub(crate) steps: usize,
}

/// How a path ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Reached,
    /// Rounding or ties led in a circle.
    Lost,
    /// The visitor ended it.
    Stopped,
}

impl Workspace {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts at the null model with correlations `c`; `limit(j)` is `a_j` with the sides that are allowed
    /// `(positive, negative)`, or `None` for a column that takes no part.
    pub(crate) fn start(&mut self, c: impl Iterator<Item = f64>, limit: &impl Fn(usize) -> Option<(f64, bool, bool)>) {
        self.c.clear();
        self.c.extend(c);
        let m = self.c.len();
        self.place.clear();
        self.place.extend((0..m).map(|j| if limit(j).is_some() { Place::Out } else { Place::Never }));
        self.up.clear();
        self.up.extend((0..m).map(|j| limit(j).filter(|l| l.1).map_or(f64::INFINITY, |l| l.0)));
        self.down.clear();
        self.down.extend((0..m).map(|j| limit(j).filter(|l| l.2).map_or(f64::INFINITY, |l| l.0)));
        [&mut self.w, &mut self.sign, &mut self.d].into_iter().for_each(Vec::clear);
        self.active.clear();
        self.q.clear();
        self.q.resize(m, 0.0);
        self.steps = 0;
        self.lambda = (0..m)
            .filter_map(|j| {
                let (a, up, down) = limit(j)?;
                let c = self.c[j];
                ((c > 0.0 && up) || (c < 0.0 && down)).then_some(c.abs() / a)
            })
            .fold(0.0, f64::max);
    }

    /// Follows the path down to `end ≥ 0`; `visit(λ_low, state)` sees every segment before it is walked, and ends the path where
    /// it says so.
    pub(crate) fn walk<S: Source>(
        &mut self,
        source: &S,
        end: f64,
        limit: &impl Fn(usize) -> Option<(f64, bool, bool)>,
        mut visit: impl FnMut(f64, &Workspace) -> bool,
    ) -> End {
        let most = STEPS * (source.len() + 10);
        let mut dropped: Option<(usize, f64)> = None;
        let mut joining: Option<(usize, f64)> = None;
        if self.active.is_empty() {
            joining = self.first(limit);
        }
        loop {
            if let Some((j, sign)) = joining.take() {
                self.join(source, j, sign);
            }
            if self.lambda <= end {
                return End::Reached;
            }
            if self.steps >= most {
                return End::Lost;
            }
            self.steps += 1;
            // Direction, and what it does to every correlation.
            self.d.clear();
            self.d.extend(self.active.iter().zip(&self.sign).map(|(&j, s)| s * limit(j).map_or(0.0, |l| l.0)));
            self.solve();
            source.respond(&self.active, &self.d, &mut self.scratch, &mut self.q);
            let lambda = self.lambda;
            // Towards zero all correlations vanish together: what seems to happen in the last moment is rounding.
            let mut step = if end > 0.0 { lambda - end } else { lambda * (1.0 - 1e-9) };
            let mut event: Option<(usize, f64)> = None;
            if let Some((t, j, sign)) = self.next_to_join(step, dropped) {
                (step, event) = (t, Some((j, sign)));
            }
            let mut leaving = None;
            for (i, (w, d)) in self.w.iter().zip(&self.d).enumerate() {
                if w * d < 0.0 || (*w == 0.0 && d * self.sign[i] < 0.0) {
                    let t = (-w / d).max(0.0);
                    if t < step {
                        (step, leaving) = (t, Some(i));
                    }
                }
            }
            if event.is_none() && leaving.is_none() {
                step = lambda - end;
            }
            if visit(lambda - step, self) {
                return End::Stopped;
            }
            self.w.iter_mut().zip(&self.d).for_each(|(w, d)| *w += step * d);
            self.c.iter_mut().zip(&self.q).for_each(|(c, q)| *c -= step * q);
            self.lambda = if event.is_none() && leaving.is_none() { end } else { lambda - step };
            for (&j, s) in self.active.iter().zip(&self.sign) {
                self.c[j] = s * self.lambda * limit(j).map_or(0.0, |l| l.0);
            }
            dropped = None;
            if let Some(i) = leaving {
                dropped = Some((self.active[i], self.sign[i]));
                self.leave(i);
            } else if event.is_some() {
                joining = event;
            }
        }
    }

    /// The first column to meet its limit within `step`: `(step, column, sign)`. The one just dropped may not come back on
    /// the same side.
    fn next_to_join(&self, mut step: f64, dropped: Option<(usize, f64)>) -> Option<(f64, usize, f64)> {
        let lambda = self.lambda;
        let mut found = None;
        samplewise_linalg::dispatch::widest(
            #[inline(always)]
            || {
                for first in (0..self.c.len()).step_by(GROUP) {
                    let group = first..(first + GROUP).min(self.c.len());
                    let (c, q) = (&self.c[group.clone()], &self.q[group.clone()]);
                    let (up, down) = (&self.up[group.clone()], &self.down[group.clone()]);
                    // `(λa − c) / (a − q) < step` without the division, for both signs; infinite limits fail it.
                    let mut any = false;
                    for (((c, q), up), down) in c.iter().zip(q).zip(up).zip(down) {
                        any |= lambda * up - c < step * (up - q);
                        any |= lambda * down + c < step * (down + q);
                    }
                    if !any {
                        continue;
                    }
                    for j in group.filter(|&j| self.place[j] == Place::Out) {
                        let just = dropped.filter(|d| d.0 == j).map_or(0.0, |d| d.1);
                        let (up, down, c, q) = (self.up[j], self.down[j], self.c[j], self.q[j]);
                        // Rounding may have carried a correlation past its limit by a hair: then it joins now.
                        if just <= 0.0 && up - q > 1e-12 * up {
                            let t = ((lambda * up - c) / (up - q)).max(0.0);
                            if t < step {
                                (step, found) = (t, Some((t, j, 1.0)));
                            }
                        }
                        if just >= 0.0 && down + q > 1e-12 * down {
                            let t = ((lambda * down + c) / (down + q)).max(0.0);
                            if t < step {
                                (step, found) = (t, Some((t, j, -1.0)));
                            }
                        }
                    }
                }
            },
        );
        found
    }

    /// The column that attains the largest λ.
    fn first(&self, limit: &impl Fn(usize) -> Option<(f64, bool, bool)>) -> Option<(usize, f64)> {
        (0..self.c.len()).find_map(|j| {
            let (a, up, down) = limit(j)?;
            let c = self.c[j];
            let allowed = (c > 0.0 && up) || (c < 0.0 && down);
            (allowed && c.abs() / a >= self.lambda && self.lambda > 0.0).then(|| (j, c.signum()))
        })
    }

    fn join<S: Source>(&mut self, source: &S, j: usize, sign: f64) {
        let s = self.active.len();
        if s == self.stride {
            self.grow();
        }
        let stride = self.stride;
        let (known, row) = self.factor.split_at_mut(s * stride);
        for i in 0..s {
            let l = &known[i * stride..][..=i];
            row[i] = (source.gram(j, self.active[i]) - sums::dot(&l[..i], &row[..i])) / l[i];
        }
        let diagonal = source.gram(j, j);
        let pivot = diagonal - sums::dot(&row[..s], &row[..s]);
        if pivot <= LOST * diagonal {
            self.place[j] = Place::Waits;
            return;
        }
        row[s] = pivot.sqrt();
        self.active.push(j);
        self.sign.push(sign);
        self.w.push(0.0);
        self.place[j] = Place::In;
    }

    fn leave(&mut self, i: usize) {
        let s = self.active.len();
        let stride = self.stride;
        self.place[self.active[i]] = Place::Out;
        self.place.iter_mut().filter(|p| **p == Place::Waits).for_each(|p| *p = Place::Out);
        self.active.remove(i);
        self.sign.remove(i);
        self.w.remove(i);
        self.factor.copy_within((i + 1) * stride..s * stride, i * stride);
        // Rows from i on have one entry right of the diagonal: rotate it away, column pair by column pair.
        for k in i..s - 1 {
            let (a, b) = (self.factor[k * stride + k], self.factor[k * stride + k + 1]);
            let r = a.hypot(b);
            let (cos, sin) = (a / r, b / r);
            for row in self.factor[k * stride..(s - 1) * stride].chunks_exact_mut(stride) {
                let (x, y) = (row[k], row[k + 1]);
                row[k] = cos * x + sin * y;
                row[k + 1] = cos * y - sin * x;
            }
        }
    }

    /// `d ← G_SS⁻¹ d`.
    pub(crate) fn solve(&mut self) {
        let (stride, d) = (self.stride, &mut self.d);
        for i in 0..d.len() {
            let row = &self.factor[i * stride..][..=i];
            d[i] = (d[i] - sums::dot(&row[..i], &d[..i])) / row[i];
        }
        for i in (0..d.len()).rev() {
            let row = &self.factor[i * stride..][..=i];
            let x = d[i] / row[i];
            d[i] = x;
            sums::axpy(-x, &row[..i], &mut d[..i]);
        }
    }

    fn grow(&mut self) {
        let (old, stride) = (self.stride, (2 * self.stride).max(16));
        let mut factor = vec![0.0; stride * stride];
        for (new, row) in factor.chunks_exact_mut(stride).zip(self.factor.chunks_exact(old.max(1))) {
            new[..old].copy_from_slice(row);
        }
        self.factor = factor;
        self.stride = stride;
    }

    /// Coefficients at `lambda` inside the segment that starts at the state's λ.
    pub(crate) fn at(&self, lambda: f64) -> impl Iterator<Item = (usize, f64)> + '_ {
        let step = self.lambda - lambda;
        self.active.iter().zip(&self.w).zip(&self.d).map(move |((&j, w), d)| (j, w + step * d))
    }
}
