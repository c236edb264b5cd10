//! Pictures of examples and benches, as SVG.
use std::error::Error;
use std::ops::Range;
use std::path::Path;

use plotters::prelude::*;

/// One panel: title, axes, and what is drawn.
pub struct Panel<'a> {
    /// Above the panel.
    pub title: &'a str,
    /// Names of the axes.
    pub axes: [&'a str; 2],
    /// Ranges of the axes.
    pub ranges: [Range<f64>; 2],
    /// Named lines through points.
    pub lines: Vec<(&'a str, Vec<(f64, f64)>)>,
    /// Points without a line.
    pub points: Vec<(f64, f64)>,
}

/// Colours that differ in lightness as well (Okabe and Ito).
const COLOURS: [RGBColor; 5] =
    [RGBColor(0, 114, 178), RGBColor(213, 94, 0), RGBColor(0, 158, 115), RGBColor(204, 121, 167), RGBColor(86, 86, 86)];

/// Draws panels side by side, 560 by 420 pixels each.
///
/// # Errors
/// When the file cannot be written.
pub fn draw(path: &Path, panels: &[Panel<'_>]) -> Result<(), Box<dyn Error>> {
    let mut text = String::new();
    draw_to(&mut text, panels).map_err(|e| e.to_string())?;
    std::fs::write(path, text)?;
    Ok(())
}

fn draw_to(text: &mut String, panels: &[Panel<'_>]) -> Result<(), Box<dyn Error>> {
    let size = (560 * panels.len() as u32, 420);
    let root = SVGBackend::with_string(text, size).into_drawing_area();
    root.fill(&WHITE)?;
    for (area, panel) in root.split_evenly((1, panels.len())).iter().zip(panels) {
        let [x, y] = panel.ranges.clone();
        let mut chart = ChartBuilder::on(area)
            .caption(panel.title, ("sans-serif", 16))
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(52)
            .build_cartesian_2d(x, y)?;
        chart.configure_mesh().x_desc(panel.axes[0]).y_desc(panel.axes[1]).max_light_lines(0).draw()?;
        chart.draw_series(panel.points.iter().map(|&p| Circle::new(p, 1, COLOURS[0].mix(0.35).filled())))?;
        for (&(name, ref points), colour) in panel.lines.iter().zip(COLOURS.into_iter().cycle()) {
            let drawn = chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?;
            if !name.is_empty() {
                drawn.label(name).legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
            }
        }
        if panel.lines.iter().any(|l| !l.0.is_empty()) {
            let mut labels = chart.configure_series_labels();
            labels
                .position(SeriesLabelPosition::LowerRight)
                .background_style(WHITE.mix(0.8))
                .border_style(BLACK.mix(0.2))
                .draw()?;
        }
    }
    root.present()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_hold_their_lines_and_points() {
        let panel = Panel {
            title: "a title",
            axes: ["across", "up"],
            ranges: [0.0..1.0, 0.0..2.0],
            lines: vec![("first", vec![(0.0, 0.0), (1.0, 2.0)])],
            points: vec![(0.5, 0.5), (0.25, 1.5)],
        };
        let mut text = String::new();
        draw_to(&mut text, &[panel]).unwrap();
        for part in ["<svg", "a title", "across", "up", "first", "</svg>"] {
            assert!(text.contains(part), "{part}");
        }
        assert_eq!(text.matches("<circle").count(), 2);
    }
}
