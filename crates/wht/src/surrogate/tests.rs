//! The identities of rows GP-1 to GP-16 of `paper-refs.md` against their definitions on all points there are.
use std::sync::Arc;

use proptest::prelude::*;
use samplewise_linalg::random::{StreamRng, Streams, below, normal, uniform};
use samplewise_linalg::{Matrix, sums};

use super::energy::{self, Mean, Product};
use super::evidence::{Evidence, NoiseVariance};
use super::expert::{Expert, Functionals, Process};
use super::functionals::{Coefficients, Interactions, Moebius, PairIndex, Pairs, Shapley, nodes, prior_of};
use super::heavy::{Follows, Refinement, candidates};
use super::kernel::Kernel;
use super::search;
use super::sets::{Falling, Set, Signs, log_empty, sign};
use super::table::{Layout, Table};
use super::workspace::Workspace;

/// All points of some levels, the first position fastest.
fn all_points(levels: &[usize]) -> Vec<u8> {
    let count: usize = levels.iter().product();
    (0..count)
        .flat_map(|mut at| {
            levels
                .iter()
                .map(|&a| {
                    let code = at % a;
                    at /= a;
                    code as u8
                })
                .collect::<Vec<u8>>()
        })
        .collect()
}

fn random_codes(levels: &[usize], count: usize, rng: &mut StreamRng) -> Vec<u8> {
    (0..count).flat_map(|_| levels.iter().map(|&a| below(rng, a) as u8).collect::<Vec<u8>>()).collect()
}

fn random_kernel(n: usize, rng: &mut StreamRng) -> Kernel {
    Kernel {
        relevance: (0..n).map(|_| (normal(rng) - 1.5).exp()).collect(),
        variance: (0.5 * normal(rng)).exp(),
        constant: 0.3,
        noise: 0.05,
    }
}

fn random_table(levels: &[usize], count: usize, rng: &mut StreamRng) -> Arc<Table> {
    let layout = Arc::new(Layout::new(levels));
    let codes = random_codes(levels, count, rng);
    let values: Vec<f64> = codes
        .chunks_exact(levels.len())
        .map(|p| 3.0 + 2.0 * f64::from(p[0]) - f64::from(p[1]) * f64::from(p[2]) + 0.3 * normal(rng))
        .collect();
    Arc::new(Table::new(&layout, &codes, &values))
}

/// A plain process and one with heavy tails, of the same random table.
fn processes(levels: &[usize], count: usize, seed: u64) -> Vec<Process> {
    let mut rng = Streams::new(seed).stream(0);
    let table = random_table(levels, count, &mut rng);
    let kernel = random_kernel(levels.len(), &mut rng);
    let plain = Process::plain(&kernel, &table, &mut || ()).unwrap();
    let mut out = vec![plain];
    if levels.iter().all(|&a| a == 2) {
        let chosen = candidates(&kernel, &table, &out[0].alpha, 12);
        let mut refined = Refinement::new(&kernel, &table, chosen, 0.3, Follows::TailAndNoise);
        for _ in 0..6 {
            assert!(refined.step(&table, &mut Workspace::default(), &mut || ()));
        }
        out.push(Process::heavy(&kernel, &table, &refined, &mut || ()).unwrap());
    }
    out
}

/// Values at some points, as functionals.
struct Values<'a>(&'a Layout, &'a [u8]);

impl Functionals for Values<'_> {
    fn count(&self) -> usize {
        self.1.len() / self.0.positions()
    }

    fn cross(&self, kernel: &Kernel, table: &Table) -> Matrix {
        kernel.between(&self.0.features(self.1), table)
    }

    fn prior(&self, kernel: &Kernel, _: &[usize]) -> Vec<f64> {
        vec![kernel.variance; self.count()]
    }

    fn of_set(&self, set: &[u16], out: &mut [f64]) {
        self.1.chunks_exact(self.0.positions()).zip(out).for_each(|(p, o)| *o = sign(set, p));
    }
}

/// Mean and covariance of the function at all points, from the definition of the kernel.
fn everywhere(process: &Process) -> (Vec<f64>, Matrix) {
    let layout = &process.table.layout;
    let n = layout.positions();
    let codes = all_points(&layout.levels);
    let points: Vec<&[u8]> = codes.chunks_exact(n).collect();
    let kernel = |a: &[u8], b: &[u8]| {
        let apart: f64 = (0..n).filter(|&i| a[i] != b[i]).map(|i| process.kernel.relevance[i]).sum();
        let extra: f64 = process.extra.iter().map(|(set, more)| more * sign(set, a) * sign(set, b)).sum();
        process.tail * (process.kernel.variance * (-apart).exp() + process.kernel.constant) + extra
    };
    let b = process.table.len();
    let mut half = Matrix::from_fn(points.len(), b, |i, j| kernel(points[i], process.table.point(j)));
    let (scale, mean) = (process.table.scale, process.table.mean);
    let means = (0..points.len()).map(|i| mean + scale * sums::dot(half.row(i), &process.alpha)).collect();
    process.factor.solve_lower_rows_in_place(&mut half).unwrap();
    let covariance = Matrix::from_fn(points.len(), points.len(), |i, j| {
        scale * scale * (kernel(points[i], points[j]) - sums::dot(half.row(i), half.row(j)))
    });
    (means, covariance)
}

fn factorial(n: usize) -> f64 {
    (1..=n).map(|i| i as f64).product()
}

/// Weights of the value at every point in a functional, by definition; two levels.
fn by_definition(n: usize, of: impl Fn(u32) -> f64) -> Vec<f64> {
    (0..1_u32 << n).map(of).collect()
}

fn close(found: f64, wanted: f64, size: f64, what: &str) {
    assert!((found - wanted).abs() <= 1e-9 * size, "{what}: {found} {wanted}");
}

/// GP-1: the kernel is the sum over all sets of prior variances times signs; for letters it is that of its eigenspaces.
#[test]
fn the_kernel_is_its_spectrum() {
    let mut rng = Streams::new(1).stream(0);
    let kernel = random_kernel(6, &mut rng);
    let levels = [2; 6];
    let shares = kernel.shares(&levels);
    let empty = log_empty(kernel.variance, &shares);
    let sets: Vec<(Set, f64)> = Falling::new(&shares).collect();
    assert_eq!(sets.len(), 64);
    assert!(sets.windows(2).all(|w| w[0].1 >= w[1].1 - 1e-12));
    let points = all_points(&levels);
    let layout = Layout::new(&levels);
    let table = Table::new(&Arc::new(layout), &points, &vec![0.0; 64]);
    let whole = kernel.of_table(&table);
    for i in 0..64 {
        for j in 0..64 {
            let by_sets: f64 = sets
                .iter()
                .map(|(set, log)| (empty + log).exp() * sign(set, table.point(i)) * sign(set, table.point(j)))
                .sum();
            assert!((by_sets - whole[(i, j)]).abs() < 1e-12 * kernel.variance);
        }
    }
    let total: f64 = sets.iter().map(|(set, _)| prior_of(&kernel, &shares, empty, set)).sum();
    assert!((total - kernel.variance).abs() < 1e-12 * kernel.variance);
    // Letters: the variance of the function is spread over the sets of positions as the product of p says.
    let levels = [2, 3, 5];
    let kernel = random_kernel(3, &mut rng);
    let points = all_points(&levels);
    let table = Table::new(&Arc::new(Layout::new(&levels)), &points, &vec![0.0; 30]);
    let whole = kernel.of_table(&table);
    let shares = kernel.shares(&levels);
    for set in 0..8_usize {
        let members: Vec<usize> = (0..3).filter(|i| set >> i & 1 == 1).collect();
        // Mean over the letters outside, and what is left of mean zero over those inside.
        let project = |i: usize, j: usize| -> f64 {
            (0..3)
                .map(|l| {
                    let same = if table.point(i)[l] == table.point(j)[l] { 1.0 } else { 0.0 };
                    let mean = 1.0 / levels[l] as f64;
                    if members.contains(&l) { same - mean } else { mean }
                })
                .product()
        };
        let energy: f64 =
            (0..30).map(|i| (0..30).map(|j| project(i, j) * whole[(i, j)]).sum::<f64>()).sum::<f64>() / 30.0;
        let p: f64 = (0..3).map(|l| if members.contains(&l) { shares[l] } else { 1.0 - shares[l] }).product();
        assert!((energy - kernel.variance * p).abs() < 1e-12 * kernel.variance, "{set}: {energy}");
    }
}

/// GP-2: the gradient is that of the value, by central differences, for two levels and letters, with repeats and without.
#[test]
fn the_gradient_is_that_of_the_evidence() {
    for (seed, levels) in [(1, vec![2; 6]), (2, vec![2, 3, 4, 2, 5]), (3, vec![2, 1, 2, 2])] {
        let mut rng = Streams::new(seed).stream(0);
        let table = random_table(&levels, 40, &mut rng);
        assert!(table.repeats.iter().any(|r| *r > 1.0) || seed == 2);
        for noise in [NoiseVariance::Free, NoiseVariance::Fixed(0.01)] {
            let evidence = Evidence { table: &table, spread: 2.0, noise };
            let size = table.varying.len() + 3;
            let at: Vec<f64> = (0..size).map(|_| -1.0 + 0.5 * normal(&mut rng)).collect();
            let (_, gradient) = evidence.evaluate(&at, &mut Workspace::default(), &mut || ());
            for i in 0..size - usize::from(noise != NoiseVariance::Free) {
                let moved = |step: f64| {
                    let mut x = at.clone();
                    x[i] += step;
                    evidence.evaluate(&x, &mut Workspace::default(), &mut || ()).0
                };
                let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                assert!(
                    (slope - gradient[i]).abs() < 1e-6 * (1.0 + slope.abs()),
                    "{seed} {i}: {slope} {}",
                    gradient[i]
                );
            }
        }
    }
}

/// GP-2: where a minimisation ends, the gradient it reports is that of the evidence there, and small once steps are not short.
#[test]
fn the_optimum_is_stationary() {
    let mut rng = Streams::new(4).stream(0);
    let table = random_table(&[2; 5], 30, &mut rng);
    let evidence = Evidence { table: &table, spread: 0.5, noise: NoiseVariance::Free };
    let mut minimiser = evidence.minimiser(None, 1_000);
    while let Some(point) = minimiser.point().map(<[f64]>::to_vec) {
        let (value, gradient) = evidence.evaluate(&point, &mut Workspace::default(), &mut || ());
        minimiser.tell(value, &gradient);
    }
    let (value, gradient) = evidence.evaluate(minimiser.best(), &mut Workspace::default(), &mut || ());
    assert_eq!(value, minimiser.value());
    assert!(minimiser.largest_gradient() < 1e-2, "{}", minimiser.largest_gradient());
    let largest = gradient.iter().fold(0.0_f64, |m, g| m.max(g.abs()));
    assert!(largest >= minimiser.largest_gradient());
}

/// GP-3: means and variances of every functional are those of the functional applied to mean and covariance at all points.
#[test]
fn functionals_equal_their_definitions() {
    let n = 6;
    for seed in 0..3 {
        for process in processes(&[2; 6], 40, seed) {
            let (values, covariance) = everywhere(&process);
            let size = process.table.scale * 10.0;
            let check = |family: &dyn Functionals, weights: &[Vec<f64>], what: &str| {
                let (means, variances) = process.estimate(family, &mut || ());
                for (l, w) in weights.iter().enumerate() {
                    let mean = sums::dot(w, &values);
                    let variance: f64 = (0..w.len()).map(|i| w[i] * sums::dot(covariance.row(i), w)).sum();
                    close(means[l], mean, size, what);
                    close(variances[l], variance.max(0.0), size * size, what);
                }
            };
            let sets: Vec<Set> = vec![vec![], vec![0], vec![1, 2], vec![3, 4, 5], vec![0, 1, 2, 3, 4, 5]];
            let bits = |set: &Set| set.iter().fold(0_u32, |m, &i| m | 1 << i);
            let of_coefficient = |set: &Set| {
                let k = bits(set);
                by_definition(n, |m| if (m & k).count_ones().is_multiple_of(2) { 1.0 } else { -1.0 } / 64.0)
            };
            check(&Coefficients(&sets), &sets.iter().map(of_coefficient).collect::<Vec<_>>(), "coefficient");
            let of_moebius = |set: &Set| {
                let k = bits(set);
                by_definition(n, |m| {
                    let inside = m & !k == 0;
                    if !inside {
                        0.0
                    } else if (k & !m).count_ones().is_multiple_of(2) {
                        1.0
                    } else {
                        -1.0
                    }
                })
            };
            check(&Moebius(&sets), &sets.iter().map(of_moebius).collect::<Vec<_>>(), "moebius");
            let of_shapley = |i: usize| {
                by_definition(n, |m| {
                    let others = (m & !(1 << i)).count_ones() as usize;
                    let weight = factorial(others) * factorial(n - others - 1) / factorial(n);
                    if m >> i & 1 == 1 { weight } else { -weight }
                })
            };
            check(&Shapley { positions: n }, &(0..n).map(of_shapley).collect::<Vec<_>>(), "shapley");
            let pairs = [(0, 1), (2, 5)];
            for index in [PairIndex::Shapley, PairIndex::Taylor, PairIndex::Faith, PairIndex::Banzhaf] {
                let weight = |t: usize| match index {
                    PairIndex::Shapley => factorial(t) * factorial(n - t - 2) / factorial(n - 1),
                    PairIndex::Taylor => 2.0 / n as f64 * factorial(t) * factorial(n - 1 - t) / factorial(n - 1),
                    PairIndex::Faith => factorial(3) * factorial(t + 1) * factorial(n - t - 1) / factorial(n + 1),
                    PairIndex::Banzhaf => 1.0 / 16.0,
                };
                let of_pair = |&(i, l): &(usize, usize)| {
                    by_definition(n, |m| {
                        let others = (m & !(1 << i) & !(1 << l)).count_ones() as usize;
                        let both = (m >> i & 1) + (m >> l & 1);
                        if both == 1 { -weight(others) } else { weight(others) }
                    })
                };
                let weights: Vec<Vec<f64>> = pairs.iter().map(of_pair).collect();
                check(&Pairs { index, pairs: &pairs }, &weights, &format!("{index:?}"));
            }
            // The values themselves, and with them the law for a new measurement.
            let codes = all_points(&[2; 6]);
            let (means, variances) = process.predict(&codes);
            let noise = process.nugget(1.0) * process.table.scale * process.table.scale;
            for i in 0..64 {
                close(means[i], values[i], size, "value");
                close(variances[i], covariance[(i, i)] + noise, size * size, "variance");
            }
            let family = Values(&process.table.layout, &codes);
            let (again, _) = process.estimate(&family, &mut || ());
            assert!(again.iter().zip(&values).all(|(a, v)| (a - v).abs() < 1e-9 * size));
        }
    }
}

/// GP-3: interactions of letters are averages over the letters of the others, less what fewer positions do.
#[test]
fn interactions_of_letters_equal_their_definition() {
    let levels = [3, 2, 4];
    let process = processes(&levels, 20, 7).remove(0);
    let (values, covariance) = everywhere(&process);
    let codes = all_points(&levels);
    let wanted: Vec<(Set, Vec<u8>)> =
        vec![(vec![], vec![]), (vec![0], vec![2]), (vec![0, 2], vec![1, 3]), (vec![0, 1, 2], vec![0, 1, 2])];
    let (means, variances) = process.estimate(&Interactions(&wanted), &mut || ());
    for (l, (set, letters)) in wanted.iter().enumerate() {
        let weight = |point: &[u8]| -> f64 {
            (0..3)
                .map(|i| {
                    let mean = 1.0 / levels[i] as f64;
                    match set.iter().position(|&s| usize::from(s) == i) {
                        Some(at) if point[i] == letters[at] => 1.0 - mean,
                        Some(_) => -mean,
                        None => mean,
                    }
                })
                .product()
        };
        let weights: Vec<f64> = codes.chunks_exact(3).map(weight).collect();
        let variance: f64 = (0..24).map(|i| weights[i] * sums::dot(covariance.row(i), &weights)).sum();
        close(means[l], sums::dot(&weights, &values), 10.0 * process.table.scale, "interaction");
        close(variances[l], variance, 100.0 * process.table.scale.powi(2), "its variance");
    }
}

/// Sums over combinations of letters are the functionals one by one, with heavy tails and for letters.
#[test]
fn interactions_of_all_letters_are_those_of_each() {
    for levels in [vec![2; 6], vec![3, 2, 4]] {
        for process in processes(&levels, 30, 9) {
            let mut sets: Vec<Set> = vec![vec![0, 1], vec![1, 2], vec![0, 1, 2]];
            sets.extend(process.extra.iter().map(|e| e.0.clone()).filter(|s| s.len() > 1).take(3));
            for set in sets {
                let found = process.interaction_means(&set);
                let each: Vec<(Set, Vec<u8>)> = (0..found.len())
                    .map(|mut at| {
                        let letter = |&i: &u16| {
                            let (count, here) = (levels[usize::from(i)], at);
                            at /= count;
                            (here % count) as u8
                        };
                        let letters = set.iter().map(letter).collect();
                        (set.clone(), letters)
                    })
                    .collect();
                let (means, _) = process.estimate(&Interactions(&each), &mut || ());
                for (a, b) in found.iter().zip(means) {
                    close(a * process.table.scale, b, process.table.scale, "interaction");
                }
            }
        }
    }
}

/// GP-4: after every step of the walk no set that was not seen exceeds the bound (which a tenth of it would not survive), and
/// the largest come first.
#[test]
fn no_unseen_coefficient_exceeds_the_bound() {
    let mut tight = 0;
    for seed in 0..10 {
        for process in processes(&[2; 7], 50, seed) {
            let signs = Signs::of_table(&process.table);
            let sets: Vec<Set> = (0..128_u16).map(|m| (0..7).filter(|i| m >> i & 1 == 1).collect()).collect();
            let mean = Mean { table: &process.table, parts: vec![(1.0, &process)], terms: extra_terms(&process) };
            let own: std::collections::BTreeMap<&Set, f64> = mean.terms.iter().map(|t| (&t.0, t.1)).collect();
            let means = |sets: &[Set]| -> Vec<f64> {
                let known = mean.of_kernels(sets);
                sets.iter().zip(known).map(|(s, v)| v + own.get(s).unwrap_or(&0.0)).collect()
            };
            let all = means(&sets);
            for k in [1, 3, 10, 40] {
                let found = search::largest(&[(1.0, &process)], &[], k, &signs, means, &mut || ());
                let unseen = sets.iter().zip(&all).filter(|s| !found.sets.contains(s.0)).map(|s| s.1.abs());
                let largest = unseen.fold(0.0, f64::max);
                assert!(largest <= found.missed_at_most + 1e-15, "{seed} {k}: {largest} {}", found.missed_at_most);
                tight += usize::from(largest > 0.1 * found.missed_at_most);
                let mut sizes: Vec<f64> = all.iter().map(|v| v.abs()).collect();
                sizes.sort_by(|a, b| b.total_cmp(a));
                let mut seen: Vec<f64> = means(&found.sets).into_iter().map(f64::abs).collect();
                seen.sort_by(|a, b| b.total_cmp(a));
                assert_eq!(sizes[..k], seen[..k]);
            }
        }
    }
    assert!(tight > 5, "the bound is nowhere near: {tight}");
}

fn extra_terms(process: &Process) -> Vec<(Set, f64)> {
    let products = Signs::of_table(&process.table).products(process.extra.iter().map(|e| &e.0), &process.alpha);
    process.extra.iter().zip(products).map(|((set, more), p)| (set.clone(), more * p)).collect()
}

/// GP-5: `m(x_j) = y_j − η α_j`, so that without noise the values are met.
#[test]
fn told_points_are_answered_up_to_the_noise() {
    for process in processes(&[2; 6], 40, 5) {
        let (means, _) = process.predict(&process.table.codes);
        let (scale, mean) = (process.table.scale, process.table.mean);
        for j in 0..means.len() {
            let nugget = process.nugget(process.table.repeats[j]);
            let wanted = mean + scale * (process.table.values[j] - nugget * process.alpha[j]);
            assert!((means[j] - wanted).abs() < 1e-9 * scale);
        }
        let quiet = Kernel { noise: 1e-12, ..process.kernel.clone() };
        let met = Process::plain(&quiet, &process.table, &mut || ()).unwrap();
        let (means, _) = met.predict(&process.table.codes);
        assert!(means.iter().zip(&process.table.values).all(|(m, v)| (m - mean - scale * v).abs() < 1e-4 * scale));
    }
}

/// GP-6: what a block leaves, from the corner of the inverse, is what a process without the block leaves of it.
#[test]
fn held_out_blocks_equal_refits() {
    for process in processes(&[2; 6], 40, 6) {
        let table = &process.table;
        let b = table.len();
        let mut inverse = Matrix::zeros(b, b);
        process.factor.inverse_into(&mut inverse).unwrap();
        let block: Vec<usize> = vec![3, 7, 8, 20];
        let (left, variances) = process.held_out(&block, &inverse, 0).unwrap();
        let others: Vec<usize> = (0..b).filter(|j| !block.contains(j)).collect();
        let mut alone = (**table).clone();
        alone.codes = others.iter().flat_map(|&j| table.point(j)).copied().collect();
        alone.values = others.iter().map(|&j| table.values[j]).collect();
        alone.repeats = others.iter().map(|&j| table.repeats[j]).collect();
        let mut again = Table::new(&table.layout, &alone.codes, &alone.values);
        (again.values, again.repeats, again.mean, again.scale) = (alone.values, alone.repeats, table.mean, table.scale);
        let again = Arc::new(again);
        let refit = if process.extra.is_empty() {
            Process::plain(&process.kernel, &again, &mut || ()).unwrap()
        } else {
            Process::with_extra(
                &process.kernel,
                &again,
                (process.tail, process.noise),
                process.extra.clone(),
                &mut || (),
            )
            .unwrap()
        };
        let codes: Vec<u8> = block.iter().flat_map(|&j| table.point(j)).copied().collect();
        let (means, wanted) = refit.predict(&codes);
        for (i, &j) in block.iter().enumerate() {
            let value = table.mean + table.scale * table.values[j];
            assert!((value - means[i] - left[i]).abs() < 1e-9 * table.scale);
            let own = process.noise * (1.0 - 1.0 / table.repeats[j]) * table.scale * table.scale;
            let jitter = 1e-7 * table.scale * table.scale;
            assert!((variances[i] + own - wanted[i]).abs() < 1e-9 * table.scale.powi(2) + jitter);
        }
    }
}

/// GP-7: Shapley values add up to the difference between all and none, and their covariance to its variance; energies by
/// position and by degree are those of the definition, and what is expected of them has the variances of all coefficients.
#[test]
fn values_are_efficient_and_energies_add_up() {
    let n = 6;
    for seed in 0..3 {
        for process in processes(&[2; 6], 40, seed) {
            let (values, covariance) = everywhere(&process);
            let size = process.table.scale * 10.0;
            let (means, _) = process.estimate(&Shapley { positions: n }, &mut || ());
            close(means.iter().sum(), values[63] - values[0], size, "efficiency");
            let shapley = Shapley { positions: n };
            let mut cross = process.cross(&shapley);
            process.factor.solve_lower_rows_in_place(&mut cross).unwrap();
            let prior = shapley.prior_covariance(&process.kernel);
            let diagonal = shapley.prior(&process.kernel, &[2; 6]);
            assert!((0..n).all(|i| (prior[(i, i)] - diagonal[i]).abs() < 1e-12 * process.kernel.variance));
            if process.extra.is_empty() {
                let mut total = 0.0;
                for i in 0..n {
                    for l in 0..n {
                        total += prior[(i, l)] - sums::dot(cross.row(i), cross.row(l));
                    }
                }
                let variance = covariance[(63, 63)] + covariance[(0, 0)] - 2.0 * covariance[(0, 63)];
                close(total * process.table.scale.powi(2), variance, size * size, "variance of the sum");
            }
            let spectrum = crate::dense::spectrum(&values).unwrap();
            let scale = process.table.scale.powi(2);
            let mean = Mean { table: &process.table, parts: vec![(1.0, &process)], terms: extra_terms(&process) };
            let energies = mean.energies(&mean.pairs(), &mean.by_degree(n), n);
            let by =
                |d: u32| (1..64_u32).filter(|k| k.count_ones() == d).map(|k| spectrum[k as usize].powi(2)).sum::<f64>();
            let all: f64 = spectrum[1..].iter().map(|v| v * v).sum();
            close(energies.total * scale, all, size * size, "energy");
            for d in 1..=n {
                close(energies.by_degree[d] * scale, by(d as u32), size * size, "by degree");
            }
            for i in 0..n {
                let with: f64 = (1..64_usize).filter(|k| k >> i & 1 == 1).map(|k| spectrum[k].powi(2)).sum();
                close(energies.of_position[i] * scale, with, size * size, "of a position");
            }
            let (total, by_degree) = energy::variances(&process, n);
            let variance_of = |k: u32| -> f64 {
                let w = by_definition(n, |m| if (m & k).count_ones().is_multiple_of(2) { 1.0 } else { -1.0 } / 64.0);
                (0..64).map(|i| w[i] * sums::dot(covariance.row(i), &w)).sum()
            };
            let wanted: Vec<f64> =
                (0..=n).map(|d| (1..64_u32).filter(|k| k.count_ones() as usize == d).map(variance_of).sum()).collect();
            close(total * scale, wanted.iter().sum(), size * size, "variances");
            for d in 1..=n {
                close(by_degree[d] * scale, wanted[d].max(0.0), size * size, "variances by degree");
            }
        }
    }
}

/// GP-7 for letters: energies by number of positions from averages over letters.
#[test]
fn energies_of_letters_add_up() {
    let levels = [3, 2, 4];
    let process = processes(&levels, 20, 8).remove(0);
    let (values, _) = everywhere(&process);
    let codes = all_points(&levels);
    let mean = Mean { table: &process.table, parts: vec![(1.0, &process)], terms: Vec::new() };
    let energies = mean.energies(&mean.pairs(), &mean.by_degree(3), 3);
    let scale = process.table.scale.powi(2);
    let mut by_degree = [0.0; 4];
    let mut of_position = [0.0; 3];
    for set in 1..8_usize {
        let energy: f64 = codes
            .chunks_exact(3)
            .map(|at| {
                let weight = |point: &[u8]| -> f64 {
                    (0..3)
                        .map(|i| {
                            let mean = 1.0 / levels[i] as f64;
                            let same = if point[i] == at[i] { 1.0 } else { 0.0 };
                            if set >> i & 1 == 1 { same - mean } else { mean }
                        })
                        .product()
                };
                let value: f64 = codes.chunks_exact(3).zip(&values).map(|(p, v)| weight(p) * v).sum();
                value * value / 24.0
            })
            .sum();
        by_degree[set.count_ones() as usize] += energy;
        (0..3).filter(|i| set >> i & 1 == 1).for_each(|i| of_position[i] += energy);
    }
    for d in 1..4 {
        close(energies.by_degree[d] * scale, by_degree[d], 100.0 * scale, "by degree");
    }
    for i in 0..3 {
        close(energies.of_position[i] * scale, of_position[i], 100.0 * scale, "of a position");
    }
    close(energies.total * scale, by_degree.iter().sum(), 100.0 * scale, "in all");
}

/// GP-9: a point told three times is one point with the mean and a third of the noise.
#[test]
fn repeats_are_one_point_with_less_noise() {
    let mut rng = Streams::new(9).stream(0);
    let levels = [2; 5];
    let all = all_points(&levels);
    let codes: Vec<u8> = (0..14).flat_map(|j| all[j * 7 % 32 * 5..][..5].to_vec()).collect();
    let values: Vec<f64> = (0..42).map(|j| f64::from(j / 3) * 0.3 + 0.2 * normal(&mut rng)).collect();
    let repeated: Vec<u8> = codes.chunks_exact(5).flat_map(|p| p.repeat(3)).collect();
    let table = Arc::new(Table::new(&Arc::new(Layout::new(&levels)), &repeated, &values));
    assert_eq!((table.len(), table.repeats[0]), (14, 3.0));
    let kernel = random_kernel(5, &mut rng);
    let merged = Process::plain(&kernel, &table, &mut || ()).unwrap();
    // The definition: 42 points, each with its own noise.
    let b = 42;
    let apart = |i: usize, j: usize| -> f64 {
        let (x, y) = (&repeated[i * 5..i * 5 + 5], &repeated[j * 5..j * 5 + 5]);
        (0..5).filter(|&l| x[l] != y[l]).map(|l| kernel.relevance[l]).sum()
    };
    let entry = |i: usize, j: usize| {
        let own = if i == j { kernel.noise } else { 0.0 };
        let jitter = if i / 3 == j / 3 { 1e-8 * kernel.variance } else { 0.0 };
        kernel.variance * (-apart(i, j)).exp() + kernel.constant + own + jitter
    };
    let factor = samplewise_linalg::factor::Cholesky::new(&Matrix::from_fn(b, b, entry), 0.0).unwrap();
    let z: Vec<f64> = values.iter().map(|v| (v - table.mean) / table.scale).collect();
    let mut alpha = z.clone();
    factor.solve_in_place(&mut alpha);
    for j in 0..14 {
        let sum: f64 = alpha[3 * j..3 * j + 3].iter().sum();
        assert!((sum - merged.alpha[j]).abs() < 1e-8 * (1.0 + sum.abs()), "{sum} {}", merged.alpha[j]);
    }
    let value = |noise: f64| {
        let kernel = Kernel { noise, ..kernel.clone() };
        let entry = |i: usize, j: usize| entry(i, j) + if i == j { noise - 0.05 } else { 0.0 };
        let factor = samplewise_linalg::factor::Cholesky::new(&Matrix::from_fn(b, b, entry), 0.0).unwrap();
        let mut alpha = z.clone();
        factor.solve_in_place(&mut alpha);
        let whole = 0.5 * sums::dot(&z, &alpha) + (0..b).map(|i| factor.lower()[(i, i)].ln()).sum::<f64>();
        let evidence = Evidence { table: &table, spread: 2.0, noise: NoiseVariance::Free };
        let mut at: Vec<f64> = kernel.relevance.iter().map(|w| w.ln()).collect();
        at.extend([kernel.variance.ln(), kernel.constant.ln(), kernel.noise.ln()]);
        // Both up to constants that do not depend on the parameters.
        whole - evidence.evaluate(&at, &mut Workspace::default(), &mut || ()).0
    };
    assert!((value(0.05) - value(0.4)).abs() < 1e-7, "{} {}", value(0.05), value(0.4));
}

/// GP-13: with tail and noise at rest no step lowers the posterior density of the logarithms of the variances; with a billion
/// degrees of freedom nothing moves.
#[test]
fn heavy_tails_climb() {
    for seed in 0..5 {
        let mut rng = Streams::new(seed).stream(0);
        let table = random_table(&[2; 6], 40, &mut rng);
        let kernel = random_kernel(6, &mut rng);
        let process = Process::plain(&kernel, &table, &mut || ()).unwrap();
        let chosen = candidates(&kernel, &table, &process.alpha, 20);
        for freedom in [0.3, 1.0, 5.0] {
            let mut refined = Refinement::new(&kernel, &table, chosen.clone(), freedom, Follows::Nothing);
            let density = |r: &Refinement| {
                let (alpha, factor) = r.condition(&table, &mut Workspace::default(), &mut || ()).unwrap();
                let logs: f64 = (0..table.len()).map(|j| factor.lower()[(j, j)].ln()).sum();
                let prior: f64 = r
                    .variance
                    .iter()
                    .zip(&r.prior)
                    .map(|(v, p)| 0.5 * freedom * v.ln() + freedom * p / (2.0 * v))
                    .sum();
                -0.5 * sums::dot(&alpha, &table.values) - logs - prior
            };
            let mut before = density(&refined);
            for step in 0..15 {
                assert!(refined.step(&table, &mut Workspace::default(), &mut || ()));
                let now = density(&refined);
                assert!(now >= before - 1e-9 * before.abs(), "{seed} {freedom} {step}: {before} {now}");
                before = now;
            }
        }
        let mut still = Refinement::new(&kernel, &table, chosen.clone(), 1e9, Follows::Nothing);
        (0..5).for_each(|_| assert!(still.step(&table, &mut Workspace::default(), &mut || ())));
        let heavy = Process::heavy(&kernel, &table, &still, &mut || ()).unwrap();
        let codes = all_points(&[2; 6]);
        let (one, other) = (heavy.predict(&codes).0, process.predict(&codes).0);
        assert!(one.iter().zip(&other).all(|(a, b)| (a - b).abs() < 1e-6 * table.scale));
    }
}

/// GP-16: candidates with the variances of the kernel and the rest as it is are the kernel, in everything that is said.
#[test]
fn an_idle_refinement_changes_nothing() {
    let mut rng = Streams::new(16).stream(0);
    let table = random_table(&[2; 6], 40, &mut rng);
    let kernel = random_kernel(6, &mut rng);
    let plain = Process::plain(&kernel, &table, &mut || ()).unwrap();
    let chosen = candidates(&kernel, &table, &plain.alpha, 30);
    let idle = Process::heavy(
        &kernel,
        &table,
        &Refinement::new(&kernel, &table, chosen, 1.0, Follows::TailAndNoise),
        &mut || (),
    )
    .unwrap();
    let codes = all_points(&[2; 6]);
    let layout = &table.layout;
    let families: [&dyn Functionals; 3] = [
        &Values(layout, &codes),
        &Shapley { positions: 6 },
        &Pairs { index: PairIndex::Shapley, pairs: &[(0, 1), (2, 4)] },
    ];
    for family in families {
        let ((one, v), (other, w)) = (plain.estimate(family, &mut || ()), idle.estimate(family, &mut || ()));
        for l in 0..one.len() {
            close(one[l], other[l], table.scale, "mean");
            close(v[l], w[l], table.scale.powi(2), "variance");
        }
    }
}

#[test]
fn nodes_integrate_polynomials() {
    for count in 1..30 {
        let nodes = nodes(count);
        for power in 0..2 * count as i32 {
            let sum: f64 = nodes.iter().map(|(q, w)| w * q.powi(power)).sum();
            assert!((sum - 1.0 / f64::from(power + 1)).abs() < 1e-13, "{count} {power}: {sum}");
        }
    }
}

/// The product of two kernels is the sum over all sets of the products of their prior variances.
#[test]
fn products_of_kernels_are_sums_over_sets() {
    let mut rng = Streams::new(3).stream(0);
    let table = random_table(&[2; 5], 12, &mut rng);
    let (one, other) = (random_kernel(5, &mut rng), random_kernel(5, &mut rng));
    let product = Product::new(&one, &other, &[2; 5]);
    let matrix = product.kernel.of_table(&table);
    let of = |k: &Kernel, set: &Set| prior_of(k, &k.shares(&[2; 5]), log_empty(k.variance, &k.shares(&[2; 5])), set);
    for i in 0..table.len() {
        for j in 0..table.len() {
            let sum: f64 = (0..32_u16)
                .map(|m| (0..5).filter(|l| m >> l & 1 == 1).collect::<Set>())
                .map(|s| of(&one, &s) * of(&other, &s) * sign(&s, table.point(i)) * sign(&s, table.point(j)))
                .sum();
            assert!((sum - matrix[(i, j)]).abs() < 1e-12 * product.scale);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Terms answer as the spectrum that they are.
    #[test]
    fn terms_answer_as_their_sum(seed in 0_u64..1_000) {
        let mut rng = Streams::new(seed).stream(0);
        let n = 5;
        let sets: Vec<Set> = (0..6).map(|_| (0..n as u16).filter(|_| uniform(&mut rng) < 0.5).collect()).collect();
        let values: Vec<f64> = sets.iter().map(|_| normal(&mut rng)).collect();
        let terms = super::expert::Terms { errors: vec![0.1; sets.len()], residual: 0.0, sets: sets.clone(), values: values.clone() };
        let codes = all_points(&[2; 5]);
        let all: Vec<f64> = codes.chunks_exact(n).map(|p| sets.iter().zip(&values).map(|(s, v)| v * sign(s, p)).sum()).collect();
        let expert = Expert::Terms(terms);
        let (means, _) = expert.predict(&codes, n);
        for (m, v) in means.iter().zip(&all) {
            prop_assert!((m - v).abs() < 1e-12);
        }
        let (shapley, _) = expert.estimate(&Shapley { positions: n }, &mut || ());
        prop_assert!((shapley.iter().sum::<f64>() - (all[31] - all[0])).abs() < 1e-11);
    }
}
