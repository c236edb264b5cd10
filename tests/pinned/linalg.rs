//! The facade.
use samplewise::linalg::factor::{dense_svd, symmetric_eigen};
use samplewise::linalg::gram::gram;
use samplewise::linalg::leverage::leverage_scores;
use samplewise::linalg::lstsq::{Method, least_squares, sparse_least_squares};
use samplewise::linalg::sketch::{Kind, Sketch};
use samplewise::linalg::svd::{SvdOptions, truncated_svd_with};
use samplewise::linalg::tsqr::tsqr;
use samplewise::linalg::{CooBuilder, CsrMatrix, Duplicates, fwht};

use crate::{Pins, gaussian, stream};

pub fn sparse(rows: usize, columns: usize, seed: u64) -> CsrMatrix {
    let values = gaussian(rows, columns, seed);
    let mut builder = CooBuilder::new(rows, columns);
    for i in 0..rows {
        for j in (0..columns).filter(|j| (i * 7 + j * 3).is_multiple_of(5)) {
            builder.push(i, j, values[(i, j)]).unwrap();
        }
    }
    builder.build(Duplicates::Sum).unwrap()
}

pub fn pin(pins: &mut Pins) {
    let (a, b) = (gaussian(900, 17, 1), gaussian(900, 1, 2));
    for method in [Method::Auto, Method::Gram, Method::Tsqr, Method::Sketched, Method::Preconditioned] {
        let found = least_squares(&a, b.as_slice(), method).unwrap();
        pins.pin(format!("linalg least squares {method:?}"), &[&found.x, &found.residual_norm]);
    }
    let s = sparse(700, 40, 3);
    let found = sparse_least_squares(&s, gaussian(700, 1, 4).as_slice()).unwrap();
    pins.pin("linalg sparse least squares", &[&found.x]);
    pins.pin("linalg leverage", &[&leverage_scores(&a).unwrap()]);
    pins.pin("linalg sparse leverage", &[&leverage_scores(&s).unwrap()]);
    pins.pin("linalg tsqr", &[&tsqr(&a).unwrap().r]);
    let g = gram(&a, Some(&vec![0.5; 900]), Some(b.as_slice())).unwrap();
    pins.pin("linalg gram", &[&g.matrix, &g.right]);
    let (values, vectors) = symmetric_eigen(&g.matrix).unwrap();
    pins.pin("linalg eigen", &[&values, &vectors]);
    let svd = dense_svd(&gaussian(60, 23, 5)).unwrap();
    pins.pin("linalg svd", &[&svd.u, &svd.s, &svd.v]);
    let svd = truncated_svd_with(&s, 6, &SvdOptions::default(), &mut stream(6)).unwrap();
    pins.pin("linalg truncated svd", &[&svd.u, &svd.s]);
    for kind in [Kind::Gaussian, Kind::SparseSign, Kind::CountSketch, Kind::Srht] {
        let sketch = Sketch::new(kind, 64, 7).unwrap();
        pins.pin(format!("linalg sketch {kind:?}"), &[&sketch.apply(&a).unwrap()]);
    }
    let mut values = gaussian(1 << 12, 1, 8).into_vec();
    fwht::fwht_in_place(&mut values);
    pins.pin("linalg fwht", &[&values]);
    let product = a.multiply(&gaussian(17, 30, 9)).unwrap();
    pins.pin("linalg product", &[&product]);
}
