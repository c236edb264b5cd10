//! Plan → queries → decode: what to ask is known before anything is asked, so the values can come from anywhere.
use std::collections::HashMap;

use samplewise_linalg::fwht;
use samplewise_linalg::random::Streams;

use crate::gf2::low_bits;
use crate::joint::{self, Setting};
use crate::options::{Decoder, Noise, Options};
use crate::peel::{self, Rule};
use crate::spectrum::{Coefficient, Report, Spectrum, Status};
use crate::subsample::{self, Group};
use crate::{WhtError, dense};

/// Everything a plan is made from; equal specifications give equal plans on every machine.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct PlanSpec {
    /// Number of variables `n`.
    pub variables: usize,
    /// Sparsity planned for.
    pub sparsity: usize,
    /// True when `sparsity` was given, not tried: then [`Decoder::JointList`] reports no more than that.
    pub sparsity_known: bool,
    /// Noise.
    pub noise: Noise,
    /// Decoder, resolved: never [`Decoder::Auto`].
    pub decoder: Decoder,
    /// Seed.
    pub seed: u64,
    /// Bin bits of each group.
    pub group_bits: Vec<usize>,
    /// Offsets of each group.
    pub group_offsets: Vec<usize>,
    /// Verification samples.
    pub verification: usize,
}

/// A prepared transform: what to ask, and how to decode.
#[derive(Clone, Debug)]
pub struct Plan {
    spec: PlanSpec,
    groups: Vec<Group>,
    queries: Vec<u64>,
    /// For each group, where the answer to each of its queries stands.
    positions: Vec<Vec<u32>>,
    verification: Vec<u32>,
}

/// Progress of [`recover_unknown_sparsity`], for whoever pays for the samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stage {
    /// Sparsity tried.
    pub sparsity: usize,
    /// Samples asked so far.
    pub samples: usize,
}

/// Queries that a plan may hold: 2 GiB of them.
const MAX_QUERIES: u128 = 1 << 28;

impl Plan {
    /// Plans the recovery of up to `sparsity` coefficients of a function of `variables` variables (row WHT-6).
    ///
    /// - **Samples**: without noise about `(1.35·K + 4√K + 6)·(n − log₂K + 2)`, rounded up by at most a third; with noise `2·B·P`, `B ≈ K/4`, `P ≈ 48`; never more
    ///   than `2ⁿ`, where the plan turns into the dense transform.
    /// - **Randomness**: all from `options.seed`.
    ///
    /// # Errors
    /// [`WhtError::Variables`], [`WhtError::Sparsity`], [`WhtError::OptionOutOfRange`], [`WhtError::TooLarge`].
    pub fn new(variables: usize, sparsity: usize, options: &Options) -> Result<Self, WhtError> {
        Self::from_spec(specify(variables, sparsity, true, options)?)
    }

    /// The same plan again, from its specification.
    ///
    /// # Errors
    /// As [`Plan::new`], for specifications that were not made by it.
    pub fn from_spec(spec: PlanSpec) -> Result<Self, WhtError> {
        check_spec(&spec)?;
        let n = spec.variables;
        let streams = Streams::new(spec.seed);
        let groups: Vec<Group> = spec
            .group_bits
            .iter()
            .zip(&spec.group_offsets)
            .enumerate()
            .map(|(c, (&bits, &count))| {
                let mut rng = streams.stream(c as u64);
                let free = n - bits;
                let offsets = match spec.decoder {
                    Decoder::Spright => subsample::paired_offsets(free, count / (free + 1), &mut rng),
                    Decoder::JointList => subsample::distinct_offsets(free, count, &mut rng),
                    _ => subsample::sign_bit_offsets(free),
                };
                Group::new(n, bits, offsets, &mut rng)
            })
            .collect();
        let mut queries: Vec<u64> = Vec::new();
        let mut known: HashMap<u64, u32> = HashMap::new();
        let mut ask = |m: u64| {
            *known.entry(m).or_insert_with(|| {
                queries.push(m);
                queries.len() as u32 - 1
            })
        };
        let positions: Vec<Vec<u32>> = groups.iter().map(|g| g.queries().map(&mut ask).collect()).collect();
        if spec.decoder == Decoder::Dense {
            queries = (0..1_u64 << n).collect();
        }
        let mut rng = streams.stream(u64::MAX);
        let mut verification = Vec::with_capacity(spec.verification);
        let free_points = (1_u128 << n).saturating_sub(known.len() as u128);
        // Fresh means: not seen by the decoder. Sampling with rejection needs a share of such points.
        if spec.decoder != Decoder::Dense && free_points * 8 >= 1_u128 << n {
            let mut seen = known;
            while verification.len() < spec.verification.min((free_points / 2) as usize) {
                let m = rand::Rng::next_u64(&mut rng) & low_bits(n);
                if let std::collections::hash_map::Entry::Vacant(slot) = seen.entry(m) {
                    slot.insert(0);
                    verification.push(queries.len() as u32);
                    queries.push(m);
                }
            }
        }
        Ok(Self { spec, groups, queries, positions, verification })
    }

    /// What the plan was made from.
    pub fn spec(&self) -> &PlanSpec {
        &self.spec
    }

    /// The points `m` to evaluate, each once, in the order in which [`Plan::decode`] wants the answers.
    pub fn queries(&self) -> &[u64] {
        &self.queries
    }

    /// The answers `x[m]` to all queries when the spectrum of `x` is known: for simulations and tests at sizes where a sum
    /// of `K` terms per query is out of reach. Exact up to rounding.
    pub fn answers_of(&self, spectrum: &[(u64, f64)]) -> Vec<f64> {
        let mut out = vec![f64::NAN; self.queries.len()];
        for (group, positions) in self.groups.iter().zip(&self.positions) {
            for (&at, value) in positions.iter().zip(group.answers(spectrum)) {
                out[at as usize] = value;
            }
        }
        // Fresh samples belong to no group, and the dense plan has none.
        for (value, &m) in out.iter_mut().zip(&self.queries).filter(|(v, _)| v.is_nan()) {
            *value = dense::evaluate(spectrum, m);
        }
        out
    }

    /// Decodes the answers `x[m]`, one per query and in their order.
    ///
    /// # Errors
    /// [`WhtError::AnswersMismatch`], [`WhtError::AnswerNotFinite`]. A decode that stalls is not an error: the status
    /// says so and the coefficients found so far are returned.
    pub fn decode(&self, answers: &[f64]) -> Result<Spectrum, WhtError> {
        if answers.len() != self.queries.len() {
            return Err(WhtError::AnswersMismatch { asked: self.queries.len(), given: answers.len() });
        }
        if let Some(position) = answers.iter().position(|v| !v.is_finite()) {
            return Err(WhtError::AnswerNotFinite { position, value: answers[position] });
        }
        let bins: Vec<Vec<f64>> = self
            .groups
            .iter()
            .zip(&self.positions)
            .map(|(g, at)| g.observe(&at.iter().map(|&i| answers[i as usize]).collect::<Vec<_>>()))
            .collect();
        let known_std = match self.spec.noise {
            Noise::Std(s) => Some(s),
            _ => None,
        };
        let largest = answers.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
        let (mut found, multi_tons, noise_std) = match self.spec.decoder {
            Decoder::Dense => {
                let (found, std) = self.decode_dense(answers);
                (found, 0, std)
            }
            Decoder::JointList => {
                let d = joint::decode(
                    &self.groups,
                    bins,
                    Setting {
                        variables: self.spec.variables,
                        sparsity: self.spec.sparsity_known.then_some(self.spec.sparsity),
                        variance: known_std.map(|s| s * s),
                        rounding: 1e-12 * largest,
                    },
                );
                (d.coefficients, 0, d.variance.sqrt())
            }
            decoder => {
                let rule = if decoder == Decoder::Spright {
                    Rule::Paired { variance: known_std.unwrap_or(0.0).powi(2) }
                } else {
                    Rule::SignBits { tolerance: 1e-9 * largest }
                };
                let bits = &self.spec.group_bits;
                let peeled = peel::peel(&self.groups, bins, |c| self.spec.variables - bits[c], rule);
                (peeled.coefficients.into_iter().collect(), peeled.multi_tons, known_std.unwrap_or(0.0))
            }
        };
        found.retain(|c| c.1 != 0.0);
        Ok(self.judge(answers, found, multi_tons, noise_std))
    }

    /// All values are there: transform, and keep what stands above the noise (or above rounding).
    fn decode_dense(&self, answers: &[f64]) -> (Vec<(u64, f64)>, f64) {
        let mut x = answers.to_vec();
        fwht::fwht_in_place(&mut x);
        let scale = 1.0 / x.len() as f64;
        x.iter_mut().for_each(|v| *v *= scale);
        let largest = x.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
        let count = x.len() as f64;
        let std = match self.spec.noise {
            Noise::None => 0.0,
            Noise::Std(s) => s,
            Noise::Unknown => {
                // Most coefficients are noise: their median magnitude is 0.6745 standard deviations.
                let mut all: Vec<f64> = x.iter().map(|v| v.abs()).collect();
                let middle = (all.len() - 1) / 2;
                *all.select_nth_unstable_by(middle, f64::total_cmp).1 / 0.6745 * count.sqrt()
            }
        };
        let floor = (1e-12 * largest).max(std * scale.sqrt() * ((2.0 * count.ln()).sqrt() + 1.0));
        let found = x.iter().enumerate().filter(|(_, v)| v.abs() > floor).map(|(k, &v)| (k as u64, v)).collect();
        (found, std)
    }

    fn judge(&self, answers: &[f64], found: Vec<(u64, f64)>, multi_tons: usize, noise_std: f64) -> Spectrum {
        let used = self.queries.len() - self.verification.len();
        let noisy = self.spec.noise != Noise::None;
        let fresh: Vec<(f64, f64)> = self
            .verification
            .iter()
            .map(|&i| (answers[i as usize], dense::evaluate(&found, self.queries[i as usize])))
            .collect();
        let count = fresh.len() as f64;
        let squares: f64 = fresh.iter().map(|(x, y)| (x - y).powi(2)).sum();
        let mean = fresh.iter().map(|f| f.0).sum::<f64>() / count.max(1.0);
        let spread: f64 = fresh.iter().map(|f| (f.0 - mean).powi(2)).sum();
        let r2 = (spread > 0.0).then(|| 1.0 - squares / spread);
        let residual_std = (!fresh.is_empty()).then(|| (squares / count).sqrt());
        let largest = answers.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
        let allowed = if noisy {
            let expected = match self.spec.noise {
                Noise::Std(s) => s,
                _ => noise_std,
            };
            expected * (1.0 + 3.0 / (2.0 * count.max(1.0)).sqrt())
        } else {
            1e-8 * largest
        };
        // With unknown noise the decoder calls noise whatever it did not find: then the spectrum must also explain a
        // quarter of what was seen, or nothing was shown.
        let unknown = self.spec.noise == Noise::Unknown;
        let status = if multi_tons > 0 {
            Status::Stalled { multi_tons }
        } else if self.spec.decoder == Decoder::Dense {
            let energy: f64 = answers.iter().map(|v| v * v).sum::<f64>() / answers.len() as f64;
            let explained: f64 = found.iter().map(|c| c.1 * c.1).sum();
            if unknown && explained < 0.25 * energy { Status::Unverified } else { Status::Verified }
        } else {
            match residual_std {
                None => Status::Unverified,
                Some(_) if unknown && fresh.len() < 8 => Status::Unverified,
                Some(r) if r <= 1e-8 * largest => Status::Verified,
                Some(r) if r <= allowed && (!unknown || r2.is_some_and(|r2| r2 >= 0.25)) => Status::Verified,
                Some(_) => Status::Stalled { multi_tons: 0 },
            }
        };
        let per_coefficient = noise_std / (used.max(1) as f64).sqrt();
        let coefficients = found
            .into_iter()
            .map(|(index, value)| Coefficient { index, value, std_error: noisy.then_some(per_coefficient) })
            .collect();
        let ln_n = self.spec.variables as f64 * std::f64::consts::LN_2;
        Spectrum {
            variables: self.spec.variables,
            coefficients,
            status,
            report: Report {
                decoder: match self.spec.decoder {
                    Decoder::Dense => "dense",
                    Decoder::Spright => "spright (paired random offsets)",
                    Decoder::JointList => "joint list peeling",
                    Decoder::SignBits | Decoder::Auto => "sign bits",
                },
                samples: self.queries.len(),
                verification: self.verification.len(),
                residual_std,
                r2,
                noise_std,
                detection_limit: (((2.0 * ln_n).sqrt() + 3.0) * per_coefficient).max(1e-8 * largest),
                stages: 1,
            },
        }
    }
}

fn check_spec(spec: &PlanSpec) -> Result<(), WhtError> {
    let n = spec.variables;
    if n == 0 || n > 63 {
        return Err(WhtError::Variables { variables: n });
    }
    if spec.sparsity == 0 || spec.sparsity as u128 > 1 << n {
        return Err(WhtError::Sparsity { sparsity: spec.sparsity, variables: n });
    }
    if let Noise::Std(s) = spec.noise
        && !(s.is_finite() && s > 0.0)
    {
        return Err(WhtError::OptionOutOfRange { option: "noise", value: s, allowed: "finite and positive" });
    }
    if spec.verification > 1_000_000 {
        let value = spec.verification as f64;
        return Err(WhtError::OptionOutOfRange { option: "verification", value, allowed: "0 to 1000000" });
    }
    let offsets_fit = |bits: usize, count: usize| match spec.decoder {
        Decoder::JointList => count <= 128,
        Decoder::Spright => count.is_multiple_of(n - bits + 1),
        Decoder::SignBits => count == n - bits + 1,
        Decoder::Dense | Decoder::Auto => true,
    };
    let groups_fit = spec.group_bits.len() == spec.group_offsets.len()
        && spec.group_bits.len() <= 16
        && spec.group_bits.iter().all(|&b| b <= n && b < 40)
        && spec.group_offsets.iter().all(|&p| p > 0)
        && (spec.decoder == Decoder::Dense || !spec.group_bits.is_empty())
        && spec.group_bits.iter().zip(&spec.group_offsets).all(|(&b, &p)| offsets_fit(b, p));
    if !groups_fit || spec.decoder == Decoder::Auto {
        let value = spec.group_bits.len() as f64;
        return Err(WhtError::OptionOutOfRange { option: "groups", value, allowed: "those of a plan" });
    }
    if spec.decoder == Decoder::SignBits && spec.noise != Noise::None {
        return Err(WhtError::OptionOutOfRange {
            option: "noise",
            value: if let Noise::Std(s) = spec.noise { s } else { f64::NAN },
            allowed: "none with the decoder SignBits",
        });
    }
    if spec.decoder == Decoder::Spright && !matches!(spec.noise, Noise::Std(_)) {
        return Err(WhtError::OptionOutOfRange {
            option: "noise",
            value: f64::NAN,
            allowed: "a known standard deviation with the decoder Spright",
        });
    }
    let asked: u128 = if spec.decoder == Decoder::Dense {
        1 << n
    } else {
        spec.group_bits.iter().zip(&spec.group_offsets).map(|(&b, &p)| (p as u128) << b).sum()
    };
    if asked > MAX_QUERIES {
        return Err(WhtError::TooLarge { samples: asked });
    }
    Ok(())
}

/// Chooses bins and offsets.
fn specify(variables: usize, sparsity: usize, known: bool, options: &Options) -> Result<PlanSpec, WhtError> {
    let n = variables;
    let mut spec = PlanSpec {
        variables,
        sparsity,
        sparsity_known: known,
        noise: options.noise,
        decoder: Decoder::Dense,
        seed: options.seed,
        group_bits: Vec::new(),
        group_offsets: Vec::new(),
        verification: options.verification,
    };
    check_spec(&PlanSpec { variables: n.clamp(1, 20), ..spec.clone() }).or_else(|e| match e {
        WhtError::Sparsity { .. } => Ok(()), // judged below against the true number of variables
        other => Err(other),
    })?;
    if n == 0 || n > 63 {
        return Err(WhtError::Variables { variables });
    }
    if sparsity == 0 || sparsity as u128 > 1 << n {
        return Err(WhtError::Sparsity { sparsity, variables });
    }
    if sparsity as u128 > MAX_QUERIES {
        return Err(WhtError::TooLarge { samples: sparsity as u128 });
    }
    let wanted = match options.decoder {
        Decoder::Auto if options.noise == Noise::None => Decoder::SignBits,
        Decoder::Auto => Decoder::JointList,
        d => d,
    };
    if wanted == Decoder::Dense {
        return Ok(spec);
    }
    spec.decoder = wanted;
    let log_k = usize::BITS as usize - (sparsity - 1).leading_zeros() as usize; // ⌈log₂ K⌉
    (spec.group_bits, spec.group_offsets) = match wanted {
        Decoder::JointList => joint_groups(n, sparsity, options.samples),
        Decoder::Spright => spright_groups(n, log_k, options.samples),
        _ => sign_groups(n, sparsity, options.samples),
    };
    let asked: u128 = spec.group_bits.iter().zip(&spec.group_offsets).map(|(&b, &p)| (p as u128) << b).sum();
    if options.decoder == Decoder::Auto && n < 40 && asked >= 1 << n {
        spec.decoder = Decoder::Dense;
        spec.group_bits.clear();
        spec.group_offsets.clear();
    }
    Ok(spec)
}

/// Three groups with `1.35 K + 4√K + 6` bins together, in powers of two that differ by one at most.
///
/// *Tuned* on `±1` amplitudes, `K` from 2 to 4,000, `n = 20`; the bench `wht` prints the successes ("default plans").
/// Unequal amplitudes need half of it, because two-tons resolve. `samples` buys or saves bins.
fn sign_groups(n: usize, sparsity: usize, samples: Option<usize>) -> (Vec<usize>, Vec<usize>) {
    let shapes = (1..n).flat_map(|b| [[b, b, b], [b + 1, b, b], [b + 1, b + 1, b]]).chain([[n; 3]]);
    let cost = |bits: &[usize; 3]| bits.iter().map(|&b| ((n - b + 1) as u128) << b).sum::<u128>();
    let chosen = if let Some(limit) = samples {
        shapes.take_while(|bits| cost(bits) <= limit as u128).last().unwrap_or([1; 3])
    } else {
        let k = sparsity as f64;
        let wanted = (1.35 * k + 4.0 * k.sqrt() + 6.0).ceil() as u128;
        let bins = |bits: &[usize; 3]| bits.iter().map(|&b| 1_u128 << b).sum::<u128>();
        shapes.into_iter().find(|bits| bins(bits) >= wanted).unwrap_or([n; 3])
    };
    (chosen.to_vec(), chosen.iter().map(|b| n - b + 1).collect())
}

/// Three groups of 2–4 K bins each, nine pairs of offsets unless samples are given.
fn spright_groups(n: usize, log_k: usize, samples: Option<usize>) -> (Vec<usize>, Vec<usize>) {
    let bits = (log_k + 1).clamp(1, n);
    let block = n - bits + 1;
    let pairs = samples.map_or(9, |s| s / ((3 * block) << bits)).max(1);
    (vec![bits; 3], vec![pairs * block; 3])
}

/// Two groups with 2.5 to 5 tons per bin (three beyond 25 free bits, where near-twins slip through two).
///
/// *Tuned* in the design's measurements: at `τ = K/B` tons per bin a bin needs about `(2 + τ/5)(n − b)` offsets, so few
/// samples want few bins with many offsets (at 2,048 samples, `n = 20`, `K = 102`, 16 bins with 64 offsets succeed where
/// 32 with 32 fail) and many samples, for much noise, as many bins as that leaves. The default is the fastest to decode.
fn joint_groups(n: usize, sparsity: usize, samples: Option<usize>) -> (Vec<usize>, Vec<usize>) {
    let count = |bits: usize| if n - bits > 25 { 3 } else { 2 };
    let largest = n.saturating_sub(1).max(1);
    let least = |bits: usize| (n - bits + 13).max(24);
    let (bits, offsets) = if let Some(limit) = samples {
        let given = |bits: usize| limit / (count(bits) << bits);
        let needed = |bits: usize| {
            let tons = sparsity as f64 / (1_u64 << bits) as f64;
            ((2.0 + tons / 5.0) * (n - bits) as f64).ceil() as usize
        };
        let fits = |&bits: &usize| given(bits) >= needed(bits).max(24);
        let bits = (1..=largest.min(30)).rev().find(fits).unwrap_or(3).max(3).min(largest);
        (bits, given(bits).clamp(least(bits), 128))
    } else {
        let mut bits = 1_usize;
        while 5 << bits < sparsity {
            bits += 1;
        }
        let bits = bits.max(3).min(largest);
        (bits, 48.max(2 * (n - bits)).clamp(least(bits), 128))
    };
    let available = 1_u128 << (n - bits);
    let offsets = offsets.min(available.min(128) as usize);
    (vec![bits; count(bits)], vec![offsets; count(bits)])
}

/// Plans, asks `sample` for every query, and decodes.
///
/// # Errors
/// As [`Plan::new`] and [`Plan::decode`].
pub fn recover(
    variables: usize,
    sparsity: usize,
    mut sample: impl FnMut(u64) -> f64,
    options: &Options,
) -> Result<Spectrum, WhtError> {
    let plan = Plan::new(variables, sparsity, options)?;
    let answers: Vec<f64> = plan.queries().iter().map(|&m| sample(m)).collect();
    plan.decode(&answers)
}

/// Recovers a spectrum whose sparsity is unknown: plans for 16, 64, 256, … coefficients until a decode is verified on
/// fresh samples or the plan has become the dense transform. Every stage asks anew; the report counts all of them.
///
/// `observe` is told before each stage and may stop it by returning false; the last stage's answer is then returned, as
/// it is when the next stage would be too large or would exceed `options.samples`, here the budget of all stages.
///
/// # Errors
/// As [`recover`]; [`WhtError::Stopped`] when stopped before the first stage; [`WhtError::OptionOutOfRange`] when
/// `options.verification` is 0, as nothing could tell when to stop.
pub fn recover_unknown_sparsity(
    variables: usize,
    mut sample: impl FnMut(u64) -> f64,
    options: &Options,
    mut observe: impl FnMut(Stage) -> bool,
) -> Result<Spectrum, WhtError> {
    if options.verification == 0 {
        return Err(WhtError::OptionOutOfRange {
            option: "verification",
            value: 0.0,
            allowed: "at least 1 when the sparsity is unknown",
        });
    }
    let (mut sparsity, mut asked, mut stages) = (16_usize, 0, 0);
    let mut last: Option<Spectrum> = None;
    loop {
        let largest = if variables < 40 { 1_usize << variables } else { usize::MAX };
        let seed = Streams::new(options.seed).child(stages as u64).seed();
        // The first stage may be cut to the budget; the others take what they need or do not take place.
        let stage = Options { seed, samples: options.samples.filter(|_| stages == 0), ..options.clone() };
        let plan = specify(variables, sparsity.min(largest), false, &stage).and_then(Plan::from_spec);
        let plan = match (plan, last) {
            (Err(_), Some(spectrum)) => return Ok(spectrum),
            (Ok(plan), Some(spectrum))
                if options.samples.is_some_and(|budget| asked + plan.queries().len() > budget) =>
            {
                return Ok(spectrum);
            }
            (plan, before) => {
                last = before;
                plan?
            }
        };
        if !observe(Stage { sparsity: sparsity.min(largest), samples: asked }) {
            return last.ok_or(WhtError::Stopped);
        }
        let answers: Vec<f64> = plan.queries().iter().map(|&m| sample(m)).collect();
        asked += answers.len();
        stages += 1;
        let mut spectrum = plan.decode(&answers)?;
        spectrum.report.samples = asked;
        spectrum.report.stages = stages;
        let done = spectrum.status == Status::Verified || plan.spec().decoder == Decoder::Dense || sparsity >= largest;
        if done {
            return Ok(spectrum);
        }
        last = Some(spectrum);
        sparsity = sparsity.saturating_mul(4);
    }
}
