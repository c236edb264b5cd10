//! Which pixels tell a handwritten eight? The whole Lasso path with its certificates, and the one that cross-validation
//! picks. `cargo run --release --example lasso_path [-- FILE.svg]` draws the path.
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use samplewise::lasso::{CrossValidationOptions, Design, Grid, Options, Solution, cross_validate, path};
use samplewise::linalg::Matrix;
use samplewise_testkit::{fixtures, picture};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (pixels, labels) = fixtures::digits();
    let y: Vec<f64> = labels.iter().map(|&l| if l == 8 { 1.0 } else { -1.0 }).collect();
    let design = Design::dense(&pixels)?;
    let options = Options { standardize: true, ..Options::default() };
    let fits = path(&design, &y, &Grid::Geometric { count: 60, min_ratio: 1e-3 }, &options)?;
    let worst = fits.iter().map(|f| f.gap() / f.report.null_objective).fold(0.0, f64::max);
    println!("{} images, {} pixels: is it an eight?", pixels.rows(), pixels.columns());
    println!("60 values of lambda, largest duality gap {worst:.1e} of the null loss ({:?})\n", fits[0].report.route);
    println!("   lambda  pixels  loss / null");
    for fit in fits.iter().step_by(12).chain(fits.last()) {
        let loss =
            mean_squared_error(&pixels, &y, &fit.coefficients, fit.intercept) / (2.0 * fit.report.null_objective);
        println!("{:9.5} {:7} {loss:12.4}", fit.lambda, fit.coefficients.len());
    }
    let grid = Grid::Geometric { count: 60, min_ratio: 1e-3 };
    let cv = cross_validate(
        &design,
        &y,
        &CrossValidationOptions { grid, fit: options, ..CrossValidationOptions::default() },
    )?;
    let best = cv.best_fit();
    println!(
        "\ncross-validation picks lambda {:.5}: {} pixels, error {:.4} +- {:.4} on held-out folds",
        best.lambda,
        best.coefficients.len(),
        cv.mean_squared_error[cv.best],
        cv.standard_error[cv.best]
    );
    // The dual point is the scaled residual: its value can be checked by hand.
    let n = y.len() as f64;
    let r: Vec<f64> = y.iter().zip(design.predict(best)?).map(|(y, f)| y - f).collect();
    let dual: f64 = r
        .iter()
        .zip(&y)
        .map(|(r, y)| best.report.dual_scale * r * y - (best.report.dual_scale * r).powi(2) / 2.0)
        .sum();
    println!("no coefficients have an objective below {:.9}, these have {:.9}", dual / n, best.objective);
    if let Some(file) = std::env::args_os().nth(1).map(PathBuf::from) {
        let (x, n) = (&pixels, y.len() as f64);
        let deviation = |j: usize| {
            let mean = (0..y.len()).map(|i| x[(i, j)]).sum::<f64>() / n;
            ((0..y.len()).map(|i| (x[(i, j)] - mean).powi(2)).sum::<f64>() / n).sqrt()
        };
        draw(&file, &fits, &(0..x.columns()).map(deviation).collect::<Vec<_>>())?;
        println!("{} written", file.display());
    }
    Ok(())
}

fn mean_squared_error(x: &Matrix, y: &[f64], coefficients: &[(usize, f64)], intercept: f64) -> f64 {
    let error = |i: usize| {
        let fitted: f64 = coefficients.iter().map(|&(j, w)| w * x[(i, j)]).sum();
        (y[i] - intercept - fitted).powi(2)
    };
    (0..y.len()).map(error).sum::<f64>() / y.len() as f64
}

/// Coefficients of standardised pixels against λ.
fn draw(file: &Path, fits: &[Solution], scales: &[f64]) -> Result<(), Box<dyn std::error::Error>> {
    let pixels: BTreeSet<usize> = fits.iter().flat_map(|f| f.coefficients.iter().map(|c| c.0)).collect();
    let line = |&j: &usize| {
        let at = |f: &Solution| (f.lambda.log10(), f.coefficient(j) * scales[j]);
        ("", fits.iter().map(at).collect::<Vec<(f64, f64)>>())
    };
    let lines: Vec<(&str, Vec<(f64, f64)>)> = pixels.iter().map(line).collect();
    let largest = lines.iter().flat_map(|l| l.1.iter().map(|p| p.1.abs())).fold(0.0, f64::max);
    let panel = picture::Panel {
        title: "Is it an eight? One line per pixel",
        axes: ["log10 of lambda", "coefficient of the standardised pixel"],
        ranges: [fits[fits.len() - 1].lambda.log10()..fits[0].lambda.log10(), -1.05 * largest..1.05 * largest],
        lines,
        points: Vec::new(),
    };
    picture::draw(file, &[panel])
}
