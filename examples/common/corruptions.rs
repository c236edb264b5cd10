//! Sixteen ways to spoil a square grey image, those of MNIST-C (arXiv 1906.02337), each at about the third of five
//! severities, written from scratch; and what an example needs to read MNIST: IDX files, pooling.
//!
//! Pixels lie in `[0, 1]`, rows first, and it is dark outside. Lengths are for a side of 28 and scale with the side.
use std::f64::consts::{FRAC_PI_2, PI};
use std::path::Path;

use samplewise::linalg::random::{StreamRng, below, normal, uniform};

/// What happens to an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corruption {
    Identity,
    ShotNoise,
    ImpulseNoise,
    GlassBlur,
    MotionBlur,
    Shear,
    Scale,
    Rotate,
    Brightness,
    Translate,
    Stripe,
    Fog,
    Spatter,
    Zigzag,
    DottedLine,
    CannyEdges,
}

impl Corruption {
    /// All of them; the first is none.
    pub const ALL: [Self; 16] = [
        Self::Identity,
        Self::ShotNoise,
        Self::ImpulseNoise,
        Self::GlassBlur,
        Self::MotionBlur,
        Self::Shear,
        Self::Scale,
        Self::Rotate,
        Self::Brightness,
        Self::Translate,
        Self::Stripe,
        Self::Fog,
        Self::Spatter,
        Self::Zigzag,
        Self::DottedLine,
        Self::CannyEdges,
    ];

    /// Name for a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::ShotNoise => "shot noise",
            Self::ImpulseNoise => "impulse noise",
            Self::GlassBlur => "glass blur",
            Self::MotionBlur => "motion blur",
            Self::Shear => "shear",
            Self::Scale => "scale",
            Self::Rotate => "rotate",
            Self::Brightness => "brightness",
            Self::Translate => "translate",
            Self::Stripe => "stripe",
            Self::Fog => "fog",
            Self::Spatter => "spatter",
            Self::Zigzag => "zigzag",
            Self::DottedLine => "dotted line",
            Self::CannyEdges => "canny edges",
        }
    }
}

/// The spoiled image, in `[0, 1]` again; the same for the same `rng`.
pub fn corrupt(kind: Corruption, image: &[f32], side: usize, rng: &mut StreamRng) -> Vec<f32> {
    assert_eq!(image.len(), side * side, "{} pixels are no square of {side}", image.len());
    let view = Image { pixels: image, side };
    let unit = side as f64 / 28.0;
    let mut out = match kind {
        Corruption::Identity => image.to_vec(),
        Corruption::ShotNoise => image.iter().map(|&v| (poisson(12.0 * f64::from(v), rng) / 12.0) as f32).collect(),
        Corruption::ImpulseNoise => {
            let hit = |&v: &f32| match uniform(rng) {
                u if u < 0.045 => 0.0,
                u if u < 0.09 => 1.0,
                _ => v,
            };
            image.iter().map(hit).collect()
        }
        Corruption::GlassBlur => {
            let mut mixed = blur(image, side, 0.7 * unit);
            swap_neighbours(&mut mixed, side, unit, rng);
            blur(&mixed, side, 0.7 * unit)
        }
        Corruption::MotionBlur => {
            let (down, right) = ((uniform(rng) - 0.5) * FRAC_PI_2).sin_cos();
            let step = |y, x, t: i32| (y + f64::from(t) * unit * down, x + f64::from(t) * unit * right);
            let moved: Vec<Vec<f32>> = (-4..=4).map(|t| view.warp(|y, x| step(y, x, t))).collect();
            (0..image.len()).map(|i| moved.iter().map(|m| m[i]).sum::<f32>() / moved.len() as f32).collect()
        }
        Corruption::Shear => {
            let slope = 0.6 * sign(rng);
            view.warp(|y, x| (y, x + slope * y))
        }
        Corruption::Scale => view.warp(|y, x| (y / 0.7, x / 0.7)),
        Corruption::Rotate => {
            let (sin, cos) = (0.6 * sign(rng)).sin_cos();
            view.warp(|y, x| (cos * y + sin * x, cos * x - sin * y))
        }
        Corruption::Brightness => image.iter().map(|v| v + 0.3).collect(),
        Corruption::Translate => {
            let distance = (3.0 * unit).round();
            let (down, right) = (distance * sign(rng), distance * sign(rng));
            view.warp(|y, x| (y - down, x - right))
        }
        Corruption::Stripe => {
            let middle = side / 4..side - side / 4;
            let flip = |(i, &v): (usize, &f32)| if middle.contains(&(i % side)) { v } else { 1.0 - v };
            image.iter().enumerate().map(flip).collect()
        }
        Corruption::Fog => {
            let fog = clouds(side, rng);
            image.iter().zip(fog).map(|(v, f)| (v + 1.5 * f) / 2.5).collect()
        }
        Corruption::Spatter => {
            let noise: Vec<f32> = (0..image.len()).map(|_| normal(rng) as f32).collect();
            let wet = blur(&noise, side, 1.2 * unit);
            let deviation = (wet.iter().map(|w| w * w).sum::<f32>() / wet.len() as f32).sqrt();
            image.iter().zip(wet).map(|(v, w)| v + (2.0 * w / deviation - 2.4).clamp(0.0, 1.0)).collect()
        }
        Corruption::Zigzag => {
            let line = chord(side, rng);
            let across = (3.0 * unit * line.1.0, 3.0 * unit * line.1.1);
            let corner = |i: i32| {
                let (y, x) = along(&line, side, f64::from(i) / 8.0);
                let turn = if i % 2 == 0 { 1.0 } else { -1.0 };
                (y + turn * across.1, x - turn * across.0)
            };
            (0..8).fold(image.to_vec(), |out, i| ink(&out, side, corner(i), corner(i + 1)))
        }
        Corruption::DottedLine => {
            let line = chord(side, rng);
            let dot = |i: i32| along(&line, side, (f64::from(i) + 0.5) / 8.0);
            (0..8).fold(image.to_vec(), |out, i| ink(&out, side, dot(i), dot(i)))
        }
        Corruption::CannyEdges => canny(&blur(image, side, unit), side),
    };
    out.iter_mut().for_each(|v| *v = v.clamp(0.0, 1.0));
    out
}

struct Image<'a> {
    pixels: &'a [f32],
    side: usize,
}

impl Image<'_> {
    fn at(&self, row: isize, column: isize) -> f32 {
        let inside = 0..self.side as isize;
        let is_there = inside.contains(&row) && inside.contains(&column);
        if is_there { self.pixels[row as usize * self.side + column as usize] } else { 0.0 }
    }

    /// Bilinear in the four pixels around.
    fn between(&self, row: f64, column: f64) -> f32 {
        let (top, left) = (row.floor(), column.floor());
        let (r, c, down, right) = (top as isize, left as isize, (row - top) as f32, (column - left) as f32);
        let upper = self.at(r, c) * (1.0 - right) + self.at(r, c + 1) * right;
        let lower = self.at(r + 1, c) * (1.0 - right) + self.at(r + 1, c + 1) * right;
        upper * (1.0 - down) + lower * down
    }

    /// What is at `(y, x)` from the centre comes from `source(y, x)` from the centre.
    fn warp(&self, source: impl Fn(f64, f64) -> (f64, f64)) -> Vec<f32> {
        let centre = (self.side as f64 - 1.0) / 2.0;
        fill(self.side, |r, c| {
            let (y, x) = source(r as f64 - centre, c as f64 - centre);
            self.between(centre + y, centre + x)
        })
    }
}

fn fill(side: usize, mut pixel: impl FnMut(isize, isize) -> f32) -> Vec<f32> {
    (0..side * side).map(|i| pixel((i / side) as isize, (i % side) as isize)).collect()
}

fn sign(rng: &mut StreamRng) -> f64 {
    if below(rng, 2) == 0 { 1.0 } else { -1.0 }
}

/// Uniforms are multiplied until the product is below `exp(−mean)`; their number, but the last, is Poisson.
fn poisson(mean: f64, rng: &mut StreamRng) -> f64 {
    let (limit, mut product, mut count) = ((-mean).exp(), uniform(rng), 0.0);
    while product > limit {
        product *= uniform(rng);
        count += 1.0;
    }
    count
}

/// Normal blur.
fn blur(pixels: &[f32], side: usize, deviation: f64) -> Vec<f32> {
    let reach = (3.0 * deviation).ceil() as isize;
    let weights: Vec<f32> = (-reach..=reach).map(|t| (-0.5 * (t as f64 / deviation).powi(2)).exp() as f32).collect();
    let total: f32 = weights.iter().sum();
    // Each pass blurs along rows and transposes, so that two are both directions.
    let pass = |pixels: &[f32]| {
        let view = Image { pixels, side };
        fill(side, |r, c| (-reach..=reach).zip(&weights).map(|(t, w)| w / total * view.at(c, r + t)).sum())
    };
    pass(&pass(pixels))
}

/// Twice, every pixel changes place with one at most `reach` away each way; below 1, that share of the pixels.
fn swap_neighbours(pixels: &mut [f32], side: usize, reach: f64, rng: &mut StreamRng) {
    let steps = reach.round().max(1.0) as usize;
    for i in (0..2).flat_map(|_| 0..side * side) {
        let mut near = |v: usize| (v + below(rng, 2 * steps + 1)).saturating_sub(steps).min(side - 1);
        let j = near(i / side) * side + near(i % side);
        if uniform(rng) < reach {
            pixels.swap(i, j);
        }
    }
}

/// Random grids of 2, 4, 8, … cells a side, finer ones fainter, in `[0, 1]`.
fn clouds(side: usize, rng: &mut StreamRng) -> Vec<f32> {
    let mut sum = vec![0.0; side * side];
    let (mut cells, mut strength) = (2, 1.0);
    while cells < side {
        let corners: Vec<f32> = (0..(cells + 1).pow(2)).map(|_| uniform(rng) as f32).collect();
        let grid = Image { pixels: &corners, side: cells + 1 };
        let place = |i: isize| i as f64 * cells as f64 / side as f64;
        let octave = fill(side, |r, c| grid.between(place(r), place(c)));
        sum.iter_mut().zip(octave).for_each(|(s, o)| *s += strength * o);
        (cells, strength) = (2 * cells, strength / 1.7);
    }
    let (low, high) = sum.iter().fold((f32::INFINITY, 0.0_f32), |(low, high), &s| (low.min(s), high.max(s)));
    sum.iter().map(|s| (s - low) / (high - low).max(f32::MIN_POSITIVE)).collect()
}

/// A random line near the centre: the nearest point, and its direction.
type Line = ((f64, f64), (f64, f64));

fn chord(side: usize, rng: &mut StreamRng) -> Line {
    let (down, right) = (PI * uniform(rng)).sin_cos();
    let centre = (side as f64 - 1.0) / 2.0;
    let aside = 0.5 * side as f64 * (uniform(rng) - 0.5);
    ((centre + aside * right, centre - aside * down), (down, right))
}

/// The point at a share of the way over the image.
fn along(&((y, x), (down, right)): &Line, side: usize, share: f64) -> (f64, f64) {
    let distance = (share - 0.5) * side as f64;
    (y + distance * down, x + distance * right)
}

/// Draws a stroke, 2 pixels wide for a side of 28, from one point to another.
fn ink(pixels: &[f32], side: usize, from: (f64, f64), to: (f64, f64)) -> Vec<f32> {
    let radius = (side as f64 / 28.0).max(0.5);
    let (dy, dx) = (to.0 - from.0, to.1 - from.1);
    let length = (dy * dy + dx * dx).max(f64::MIN_POSITIVE);
    let view = Image { pixels, side };
    fill(side, |r, c| {
        let (y, x) = (r as f64 - from.0, c as f64 - from.1);
        let share = ((y * dy + x * dx) / length).clamp(0.0, 1.0);
        let distance = ((y - share * dy).powi(2) + (x - share * dx).powi(2)).sqrt();
        view.at(r, c).max((radius + 0.5 - distance).clamp(0.0, 1.0) as f32)
    })
}

/// Edges one pixel wide: places where the slope is largest along its own direction and more than 30 % of the steepest,
/// and those above 10 % that hang on them.
fn canny(pixels: &[f32], side: usize) -> Vec<f32> {
    let view = Image { pixels, side };
    // Sobel's differences, down and right.
    let slope = |r: isize, c: isize| {
        let cross = |sum: fn(&Image<'_>, isize, isize, isize) -> f32| sum(&view, r, c, 1) - sum(&view, r, c, -1);
        let down = cross(|v, r, c, d| v.at(r + d, c - 1) + 2.0 * v.at(r + d, c) + v.at(r + d, c + 1));
        let right = cross(|v, r, c, d| v.at(r - 1, c + d) + 2.0 * v.at(r, c + d) + v.at(r + 1, c + d));
        (down, right)
    };
    let steepness = fill(side, |r, c| slope(r, c).0.hypot(slope(r, c).1));
    let steep = Image { pixels: &steepness, side };
    let most = steepness.iter().copied().fold(0.0, f32::max);
    let ridge = fill(side, |r, c| {
        let (here, (down, right)) = (steep.at(r, c), slope(r, c));
        let (down, right) = (f64::from(down / here), f64::from(right / here));
        let next = |t: f64| steep.between(r as f64 + t * down, c as f64 + t * right);
        if here > 0.1 * most && here >= next(1.0) && here > next(-1.0) { here } else { 0.0 }
    });
    let mut edges = vec![0.0; side * side];
    let mut open: Vec<usize> = (0..side * side).filter(|&i| ridge[i] > 0.3 * most).collect();
    while let Some(i) = open.pop() {
        if edges[i] == 0.0 {
            edges[i] = 1.0;
            let (rows, columns) = (span(i / side, side), span(i % side, side));
            let around = rows.flat_map(|r| columns.clone().map(move |c| r * side + c));
            open.extend(around.filter(|&j| ridge[j] > 0.0));
        }
    }
    edges
}

/// A place and its neighbours.
fn span(i: usize, side: usize) -> std::ops::Range<usize> {
    i.saturating_sub(1)..(i + 2).min(side)
}

/// Means of 2 × 2 pixels: half the side.
pub fn pool(image: &[f32], side: usize) -> Vec<f32> {
    assert!(side.is_multiple_of(2) && image.len() == side * side, "{} pixels, side {side}", image.len());
    let view = Image { pixels: image, side };
    let mean = |r, c| 0.25 * (view.at(r, c) + view.at(r, c + 1) + view.at(r + 1, c) + view.at(r + 1, c + 1));
    fill(side / 2, |r, c| mean(2 * r, 2 * c))
}

/// An array of bytes in an IDX file.
pub struct Idx {
    /// Length of every dimension; of images: how many, rows, columns.
    pub sizes: Vec<usize>,
    /// The last dimension runs fastest.
    pub bytes: Vec<u8>,
}

/// Reads an IDX file, the format of MNIST.
pub fn read_idx(path: &Path) -> Result<Idx, String> {
    let file = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    parse_idx(&file).map_err(|reason| format!("{}: {reason}", path.display()))
}

fn parse_idx(file: &[u8]) -> Result<Idx, String> {
    let &[0, 0, 8, dimensions, ref rest @ ..] = file else {
        return Err(format!("it starts with {:?}, an IDX file of bytes with [0, 0, 8]", &file[..file.len().min(3)]));
    };
    let (sizes, bytes) = rest
        .split_at_checked(4 * usize::from(dimensions))
        .ok_or_else(|| format!("the file ends before the sizes of its {dimensions} dimensions"))?;
    let sizes: Vec<usize> = sizes.as_chunks().0.iter().map(|&size| u32::from_be_bytes(size) as usize).collect();
    let expected = sizes.iter().try_fold(1_usize, |product, &size| product.checked_mul(size));
    if expected != Some(bytes.len()) {
        return Err(format!("an array of {sizes:?} bytes was announced, {} bytes follow", bytes.len()));
    }
    Ok(Idx { sizes, bytes: bytes.to_vec() })
}
