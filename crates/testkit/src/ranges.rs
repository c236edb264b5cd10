//! Tables of ranges, tried at both ends and compared with the documentation.
use std::ops::Bound::{self, Excluded, Included, Unbounded};

use samplewise_linalg::ArgumentError;
use samplewise_linalg::argument::OptionRange;

/// Tries every range of some options: values at an end that belongs to it are not refused, values beyond are, by name and
/// with the range in the message; and the documentation of the field, in the source of the options, has the same words.
///
/// `refused` makes the call and gives the argument that it refuses, if it does.
///
/// # Panics
/// Where one of these fails.
pub fn walk<O: Clone>(
    options: &O,
    ranges: &[OptionRange<O>],
    source: &str,
    refused: impl Fn(&O) -> Option<ArgumentError>,
) {
    assert_eq!(refused(options), None, "the options to begin with");
    for range in ranges {
        let name = range.name;
        let with = |value: f64| {
            let mut changed = options.clone();
            (range.set)(&mut changed, value);
            ((range.get)(&changed) == Some(value)).then(|| refused(&changed))
        };
        let allowed = range.allowed();
        for (end, inward) in [(range.low, 1.0), (range.high, -1.0)] {
            let (inside, outside) = around(end, inward);
            for value in inside {
                // A type that cannot hold the value cannot be given it.
                if let Some(Some(e)) = with(value) {
                    assert_ne!(e.name, name, "{value} is within the range of {name}: {e}");
                }
            }
            for value in outside {
                let Some(answer) = with(value) else { continue };
                let e = answer.unwrap_or_else(|| panic!("{name} may not be {value}, allowed is {allowed}"));
                assert_eq!((e.name, &e.allowed), (name, &allowed), "{value}: {e}");
            }
        }
        let documented = documentation(source, name);
        assert!(documented.contains(&allowed), "the documentation of {name} does not say \"{allowed}\": {documented}");
    }
}

/// Values at an end, inside and outside of the range.
fn around(end: Bound<f64>, inward: f64) -> (Vec<f64>, Vec<f64>) {
    let step = |x: f64, to: f64| if x == 0.0 { to * 1e-9 } else { x + to * x.abs() * 1e-9 };
    match end {
        Included(x) => (vec![x], vec![step(x, -inward), x - inward, f64::NAN, -inward * f64::INFINITY]),
        Excluded(x) => (vec![step(x, inward)], vec![x, x - inward, f64::NAN, -inward * f64::INFINITY]),
        Unbounded => (Vec::new(), vec![f64::NAN, -inward * f64::INFINITY]),
    }
}

/// The documentation of a public field, as one line.
fn documentation(source: &str, field: &str) -> String {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let wanted = format!("pub {field}:");
    let at = lines.iter().position(|l| l.starts_with(&wanted)).unwrap_or_else(|| panic!("no field {field}"));
    let above = lines[..at].iter().rev().take_while(|l| l.starts_with("///") || l.starts_with("#[")).copied();
    let mut above: Vec<&str> = above.filter(|l| l.starts_with("///")).collect();
    above.reverse();
    above.iter().map(|l| l.trim_start_matches('/').trim()).collect::<Vec<_>>().join(" ")
}
