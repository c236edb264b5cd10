//! One test per row of paper-refs.md.
use samplewise_linalg::Matrix;
use samplewise_linalg::factor::dense_svd;
use samplewise_linalg::random::{StreamRng, Streams, normal};
use samplewise_mtrl::*;
use samplewise_testkit::generate::random_matrix;

struct Simulated {
    coefficients: Matrix, // d × M
    rng: StreamRng,
}

impl TaskOracle for Simulated {
    fn tasks(&self) -> usize {
        self.coefficients.columns()
    }
    fn draw(&mut self, task: usize, count: usize) -> Result<(Matrix, Vec<f64>), MtrlError> {
        let d = self.coefficients.rows();
        let x = Matrix::from_fn(count, d, |_, _| normal(&mut self.rng));
        let mut y = vec![0.0; count];
        x.multiply_vector_into(&self.coefficients.copy_column(task), &mut y);
        y.iter_mut().for_each(|v| *v += 0.5 * normal(&mut self.rng));
        Ok((x, y))
    }
}

/// MTL-4: a target direction that few tasks know: L1 beats uniform at the same budget, in the mean over 8 seeds.
/// MTL-1: the representation is found.
#[test]
fn active_sampling_beats_uniform_for_a_rare_target() {
    let mut errors = [0.0; 2];
    for seed in 0..8 {
        let (d, k, m) = (30, 4, 24);
        let basis = dense_svd(&random_matrix(d, k, seed)).unwrap().u;
        // Two tasks carry the last direction, which is the target's.
        let w = Matrix::from_fn(k, m, |i, j| {
            if i == k - 1 { f64::from(u8::from(j < 2)) } else { random_matrix(k, m, seed + 50)[(i, j)] }
        });
        let coefficients = basis.multiply(&w).unwrap();
        let truth = basis.copy_column(k - 1);
        let mut rng = Streams::new(seed).stream(1);
        let x = Matrix::from_fn(60, d, |_, _| normal(&mut rng));
        let mut y = vec![0.0; 60];
        x.multiply_vector_into(&truth, &mut y);
        y.iter_mut().for_each(|v| *v += 0.1 * normal(&mut rng));
        let target = TaskData::new(&x, &y).unwrap();
        for (slot, strategy) in [Strategy::L1, Strategy::Uniform].into_iter().enumerate() {
            let mut oracle = Simulated { coefficients: coefficients.clone(), rng: Streams::new(seed).stream(2) };
            let options = Options { dimension: k, strategy, ..Options::default() };
            let got = learn(&mut oracle, &target, 3000, &options, &mut Streams::new(seed).stream(3)).unwrap();
            assert_eq!(got.samples.iter().sum::<usize>(), 3000);
            errors[slot] += got.target.iter().zip(&truth).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        }
    }
    assert!(errors[0] < 0.6 * errors[1], "{errors:?}");
    assert!(errors[0] / 8.0 < 0.02, "{errors:?}");
}

/// MTL-3, Elfving: with known W the L1 allocation has risk `‖ν‖₁²/N` and no other strategy is below it.
#[test]
fn the_l1_allocation_attains_elfvings_bound() {
    for seed in 0..10 {
        let w = random_matrix(4, 20, seed);
        let target = random_matrix(4, 1, seed + 99).into_vec();
        let risk = |strategy, lambda| {
            let nu = relevance(&w, &target, strategy, lambda).unwrap();
            let l1: f64 = nu.iter().map(|v| v.abs()).sum();
            (predicted_risk(&w, &target, &allocate(&nu, 1_000_000, strategy)).unwrap(), l1 * l1 / 1e6)
        };
        let (best, bound) = risk(Strategy::L1, Some(1e-4));
        assert!((best / bound - 1.0).abs() < 5e-3, "{best} {bound}");
        assert!(risk(Strategy::L2, None).0 >= best * 0.999 && risk(Strategy::Uniform, None).0 >= best * 0.999);
    }
}

/// MTL-3: the L2 relevance is the solution of least Euclidean norm, whatever the scale of the tasks.
#[test]
fn the_l2_relevance_has_least_norm() {
    let nu = relevance(&Matrix::from_vec(1, 2, vec![1.0, 3.0]).unwrap(), &[1.0], Strategy::L2, None).unwrap();
    assert!((nu[0] - 0.1).abs() < 1e-12 && (nu[1] - 0.3).abs() < 1e-12, "{nu:?}");
    assert!(relevance(&random_matrix(2, 5, 1), &[1.0, 2.0], Strategy::L1, Some(-1.0)).is_err());
}

/// MTL-4: what a task cannot give goes to the others, to the last sample.
#[test]
fn the_budget_is_spent_although_tasks_run_out() {
    struct Finite(Simulated, Vec<usize>);
    impl TaskOracle for Finite {
        fn tasks(&self) -> usize {
            self.0.tasks()
        }
        fn draw(&mut self, task: usize, count: usize) -> Result<(Matrix, Vec<f64>), MtrlError> {
            let given = count.min(self.1[task]);
            self.1[task] -= given;
            self.0.draw(task, given)
        }
    }
    let coefficients = random_matrix(6, 4, 1);
    let target = TaskData::new(&random_matrix(30, 6, 2), &random_matrix(30, 1, 3).into_vec()).unwrap();
    for strategy in [Strategy::L1, Strategy::L2, Strategy::Uniform] {
        for (budget, drawn) in [(150, 150), (200, 200), (500, 200)] {
            let oracle = Simulated { coefficients: coefficients.clone(), rng: Streams::new(4).stream(0) };
            let mut oracle = Finite(oracle, vec![20, 60, 60, 60]);
            let options = Options { dimension: 2, strategy, ..Options::default() };
            let got = learn(&mut oracle, &target, budget, &options, &mut Streams::new(5).stream(0)).unwrap();
            assert_eq!(got.samples.iter().sum::<usize>(), drawn, "{strategy:?} {budget}");
        }
    }
}

/// MTL-2: at most K tasks are relevant at a vertex; allocations sum to the budget; bad input is an error.
#[test]
fn relevance_is_sparse_and_allocations_are_exact() {
    let nu = relevance(&random_matrix(4, 30, 1), &[1.0, 0.0, 2.0, -1.0], Strategy::L1, Some(1e-4)).unwrap();
    assert!(nu.iter().filter(|v| v.abs() > 1e-4).count() <= 4);
    for budget in [1, 7, 1000] {
        assert_eq!(allocate(&[0.3, 0.0, 0.7, 1e-9], budget, Strategy::L1).iter().sum::<usize>(), budget);
    }
    assert!(matches!(fit_representation(&[], 2, &mut Streams::new(0).stream(0)), Err(MtrlError::Dimension { .. })));
}
