//! Forty related tasks from handwritten digits: "is it this digit?" under four distortions of the image.
use samplewise::linalg::Matrix;
use samplewise::linalg::random::{StreamRng, Streams, below, normal, shuffle};
use samplewise::mtrl::{Error, TaskOracle};
use samplewise_testkit::fixtures;

/// The source tasks draw from the first 900 images of a shuffled order; labels of the target and test images come from
/// the others.
pub struct Digits {
    pixels: Matrix,
    labels: Vec<usize>,
    order: Vec<usize>,
    rng: StreamRng,
}

impl Digits {
    /// All images; `seed` decides what the source tasks draw.
    pub fn new(seed: u64) -> Self {
        let (pixels, labels) = fixtures::digits();
        let mut order: Vec<usize> = (0..labels.len()).collect();
        shuffle(&mut Streams::new(5).stream(0), &mut order);
        Self { pixels, labels, order, rng: Streams::new(seed).stream(1) }
    }

    /// Task `10·distortion + digit`; distortion 0 is none, the others shift, shift, blur and add noise.
    fn row(&mut self, task: usize, image: usize) -> (Vec<f64>, f64) {
        let p = self.pixels.row(image).to_vec();
        let at = |r: usize, c: usize| p[(r % 8) * 8 + c % 8];
        let x = (0..64)
            .map(|i| {
                let (r, c) = (i / 8, i % 8);
                let v = match task / 10 {
                    0 => at(r, c),
                    1 => at(r + 1, c),
                    2 => at(r, c + 1),
                    3 => (at(r, c) + at(r, c + 1) + at(r + 1, c) + at(r + 7, c) + at(r, c + 7)) / 5.0,
                    _ => at(r, c) + 0.3 * normal(&mut self.rng),
                };
                v - 0.3
            })
            .chain([1.0])
            .collect();
        (x, if self.labels[image] == task % 10 { 1.0 } else { -1.0 })
    }

    /// Undistorted images at these places of the order, labelled +1 for one digit and −1 for the others.
    pub fn target(&mut self, digit: usize, places: std::ops::Range<usize>) -> Result<(Matrix, Vec<f64>), Error> {
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for place in places {
            let (row, label) = self.row(digit, self.order[place]);
            x.extend(row);
            y.push(label);
        }
        Ok((Matrix::from_vec(y.len(), 65, x)?, y))
    }
}

impl TaskOracle for Digits {
    fn tasks(&self) -> usize {
        40
    }

    fn draw(&mut self, task: usize, count: usize) -> Result<(Matrix, Vec<f64>), Error> {
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let place = below(&mut self.rng, 900);
            let (row, label) = self.row(task + 10, self.order[place]);
            x.extend(row);
            y.push(label);
        }
        Ok((Matrix::from_vec(count, 65, x)?, y))
    }
}

/// Mean squared error of a linear predictor.
pub fn mean_squared_error(w: &[f64], x: &Matrix, y: &[f64]) -> f64 {
    let mut predicted = vec![0.0; y.len()];
    x.multiply_vector_into(w, &mut predicted);
    y.iter().zip(&predicted).map(|(y, p)| (y - p).powi(2)).sum::<f64>() / y.len() as f64
}
