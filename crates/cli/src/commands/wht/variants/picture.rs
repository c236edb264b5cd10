//! A picture of what each letter does alone: a square for each, from blue (less) over white to red (more).
use samplewise_wht::surrogate::Estimate;

use super::read::Scheme;

/// Side of a square, and room for names at the left and the top.
const SIDE: usize = 22;
const LEFT: usize = 120;
const TOP: usize = 40;

/// As SVG: positions from left to right, letters from top to bottom. Positions that never vary are left out.
pub(super) fn effects(scheme: &Scheme, effects: &[Vec<Estimate>]) -> String {
    let shown: Vec<usize> = (0..effects.len()).filter(|&i| effects[i].len() > 1).collect();
    let mut letters: Vec<&str> = Vec::new();
    for letter in shown.iter().flat_map(|&i| &scheme.letters[i]) {
        if !letters.contains(&letter.as_str()) {
            letters.push(letter);
        }
    }
    let largest = shown.iter().flat_map(|&i| &effects[i]).fold(0.0_f64, |m, e| m.max(e.mean.abs()));
    let (width, height) = (LEFT + SIDE * shown.len() + 20, TOP + SIDE * letters.len() + 30);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" \
         font-size=\"11\">\n<title>what each letter does to {}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        escaped(&scheme.value)
    );
    for (row, letter) in letters.iter().enumerate() {
        let y = TOP + SIDE * row + SIDE * 2 / 3;
        out += &format!("<text x=\"{}\" y=\"{y}\" text-anchor=\"end\">{}</text>\n", LEFT - 6, escaped(letter));
    }
    for (column, &i) in shown.iter().enumerate() {
        let x = LEFT + SIDE * column;
        let name = escaped(&scheme.positions[i]);
        let (at, y) = (x + SIDE / 2, TOP - 6);
        out += &format!("<text x=\"{at}\" y=\"{y}\" transform=\"rotate(-45 {at} {y})\">{name}</text>\n");
        for (letter, e) in scheme.letters[i].iter().zip(&effects[i]) {
            let row = letters.iter().position(|l| l == letter).unwrap_or(0);
            let share = if largest > 0.0 { e.mean / largest } else { 0.0 };
            out += &format!(
                "<rect x=\"{x}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\"><title>{name} {}: {:.4} ({:.4} to {:.4})</title></rect>\n",
                TOP + SIDE * row,
                SIDE - 1,
                SIDE - 1,
                colour(share),
                escaped(letter),
                e.mean,
                e.low,
                e.high
            );
        }
    }
    out += &format!(
        "<text x=\"{LEFT}\" y=\"{}\">blue {:.3}, white 0, red {:.3}</text>\n</svg>\n",
        height - 10,
        -largest,
        largest
    );
    out
}

/// From blue at −1 over white to red at 1.
fn colour(share: f64) -> String {
    let faded = (255.0 * (1.0 - share.abs().min(1.0))).round() as u8;
    if share < 0.0 { format!("#{faded:02x}{faded:02x}ff") } else { format!("#ff{faded:02x}{faded:02x}") }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
