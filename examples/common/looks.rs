//! What `active_tasks_mnist.rs` learns from: images under sixteen corruptions, "is it this digit?" for ten digits each.
use samplewise::linalg::random::{Streams, shuffle};
use samplewise::linalg::{LinalgError, Matrix};
use samplewise::mtrl::{Error, TaskData, TaskOracle};
use samplewise_testkit::fixtures;

use super::corruptions::{self, Corruption};

/// How much of what.
pub struct Sizes {
    pub labels: usize,
    pub pool: usize,
    pub test: usize,
    pub dimension: usize,
    /// One of so many tasks is a target; 7 leaves all digits and all corruptions.
    pub every: usize,
}

/// Grey images and what they show.
pub struct Images {
    side: usize,
    pixels: Vec<f32>,
    digits: Vec<usize>,
}

impl Images {
    /// A part of MNIST, shuffled.
    pub fn mnist(part: &str) -> Result<Self, String> {
        let read = |name: String| {
            let path = fixtures::full_data(&name).ok_or_else(|| format!("{name} is absent"))?;
            corruptions::read_idx(&path)
        };
        let images = read(format!("mnist/{part}-images-idx3-ubyte"))?;
        let labels = read(format!("mnist/{part}-labels-idx1-ubyte"))?;
        let &[count, side, width] = &images.sizes[..] else { return Err(format!("sizes are {:?}", images.sizes)) };
        if side != width || labels.sizes != [count] {
            return Err(format!("images of {:?}, labels of {:?}", images.sizes, labels.sizes));
        }
        let pixels = images.bytes.iter().map(|&v| f32::from(v) / 255.0).collect();
        let all = Self { side, pixels, digits: labels.bytes.iter().map(|&v| usize::from(v)).collect() };
        Ok(all.select(&shuffled(count)))
    }

    /// The embedded digits, shuffled, 1,197 of them and the other 600.
    pub fn embedded() -> (Self, Self) {
        let (x, digits) = fixtures::digits();
        let all = Self { side: 8, pixels: x.as_slice().iter().map(|&v| v as f32).collect(), digits };
        let order = shuffled(all.digits.len());
        (all.select(&order[..1_197]), all.select(&order[1_197..]))
    }

    fn select(&self, order: &[usize]) -> Self {
        let pixels = order.iter().flat_map(|&i| self.image(i)).copied().collect();
        Self { side: self.side, pixels, digits: order.iter().map(|&i| self.digits[i]).collect() }
    }

    fn image(&self, i: usize) -> &[f32] {
        let area = self.side * self.side;
        &self.pixels[i * area..(i + 1) * area]
    }
}

fn shuffled(count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    shuffle(&mut Streams::new(5).stream(0), &mut order);
    order
}

/// Images under one corruption, seen by ten tasks.
pub struct Look {
    pub pool: Matrix,
    pool_digits: Vec<usize>,
    pub labelled: Matrix,
    pub labelled_digits: Vec<usize>,
    test: Matrix,
    test_digits: Vec<usize>,
}

impl Look {
    /// Each corruption has its own training images, while there are enough of them.
    pub fn new(c: usize, train: &Images, test: &Images, sizes: &Sizes) -> Self {
        let streams = Streams::new(7).child(c as u64);
        let start = c * ((train.digits.len() - sizes.labels - sizes.pool) / 15);
        let labelled = start..start + sizes.labels;
        let pool = labelled.end..labelled.end + sizes.pool;
        let spoil = |images: &Images, range: std::ops::Range<usize>, part: u64| -> Vec<Vec<f32>> {
            let side = images.side;
            let one = |i| {
                let rng = &mut streams.child(part).stream(i as u64);
                let spoiled = corruptions::corrupt(Corruption::ALL[c], images.image(i), side, rng);
                if side > 14 { corruptions::pool(&spoiled, side) } else { spoiled }
            };
            range.map(one).collect()
        };
        let pool_pixels = spoil(train, pool.clone(), 0);
        // Images are there without a label: their mean makes features centred, as the theory has them.
        let area = pool_pixels[0].len();
        let mean = |j: usize| pool_pixels.iter().map(|p| f64::from(p[j])).sum::<f64>() / pool_pixels.len() as f64;
        let mean: Vec<f64> = (0..area).map(mean).collect();
        let features = |pixels: &[Vec<f32>]| {
            let value = |i: usize, j: usize| if j < area { f64::from(pixels[i][j]) - mean[j] } else { 1.0 };
            Matrix::from_fn(pixels.len(), area + 1, value)
        };
        Self {
            pool: features(&pool_pixels),
            pool_digits: train.digits[pool].to_vec(),
            labelled: features(&spoil(train, labelled.clone(), 1)),
            labelled_digits: train.digits[labelled].to_vec(),
            test: features(&spoil(test, 0..sizes.test, 2)),
            test_digits: test.digits[..sizes.test].to_vec(),
        }
    }

    pub fn target(&self, digit: usize) -> Result<TaskData, LinalgError> {
        TaskData::new(&self.labelled, &one_vs_rest(&self.labelled_digits, digit))
    }

    /// Of a linear predictor on the images kept for the test.
    pub fn score(&self, digit: usize, w: &[f64]) -> Score {
        let y = one_vs_rest(&self.test_digits, digit);
        let (mut predicted, n) = (vec![0.0; y.len()], y.len() as f64);
        self.test.multiply_vector_into(w, &mut predicted);
        let mean = y.iter().sum::<f64>() / n;
        let pairs = || y.iter().zip(&predicted);
        Score {
            squared: pairs().map(|(y, p)| (y - p).powi(2)).sum::<f64>() / n / (1.0 - mean * mean),
            wrong: pairs().filter(|(y, p)| (**y > 0.0) != (**p > 0.0)).count() as f64 / n,
        }
    }
}

pub fn one_vs_rest(digits: &[usize], digit: usize) -> Vec<f64> {
    digits.iter().map(|&d| if d == digit { 1.0 } else { -1.0 }).collect()
}

/// Squared error over the variance of the labels, and the share of wrong answers.
pub struct Score {
    pub squared: f64,
    pub wrong: f64,
}

/// The tasks under all corruptions but one: task `10·corruption + digit`, without replacement.
pub struct Sources<'a> {
    looks: Vec<&'a Look>,
    taken: Vec<usize>,
}

impl<'a> Sources<'a> {
    pub fn new(looks: &'a [Look], without: usize) -> Self {
        let others: Vec<&Look> = looks.iter().enumerate().filter(|l| l.0 != without).map(|l| l.1).collect();
        Self { taken: vec![0; 10 * others.len()], looks: others }
    }
}

impl TaskOracle for Sources<'_> {
    fn tasks(&self) -> usize {
        self.taken.len()
    }

    fn available(&self, task: usize) -> Option<usize> {
        Some(self.looks[task / 10].pool.rows() - self.taken[task])
    }

    fn draw(&mut self, task: usize, count: usize) -> Result<(Matrix, Vec<f64>), Error> {
        let (look, digit) = (self.looks[task / 10], task % 10);
        let count = count.min(look.pool.rows() - self.taken[task]);
        // Every digit starts at another image.
        let first = digit * look.pool.rows() / 10 + self.taken[task];
        let rows: Vec<usize> = (first..first + count).map(|i| i % look.pool.rows()).collect();
        self.taken[task] += count;
        let digits: Vec<usize> = rows.iter().map(|&i| look.pool_digits[i]).collect();
        Ok((look.pool.select_rows(&rows), one_vs_rest(&digits, digit)))
    }
}
