//! Alignments for people to read.
use std::io::IsTerminal;

use samplewise_hamming::{Options, Plan, reverse_complement};

use super::args::Arguments;
use super::sums::Found;
use crate::failure::Failure;
use crate::sequences::{self, Piece};

/// Columns of an alignment that is shown.
const WIDTH: usize = 60;

/// The alignments of some hits, from a second look at the text.
pub(super) fn view(
    a: &Arguments,
    options: Options,
    patterns: &[(String, Vec<u8>)],
    hits: &[(String, Found)],
) -> Result<String, Failure> {
    let mut texts: Vec<Vec<u8>> = vec![Vec::new(); hits.len()];
    let (mut record, mut position) = (0_usize, 0_usize);
    sequences::text(&a.text, |piece| {
        match piece {
            Piece::Record(_) => (record, position) = (record + 1, 0),
            Piece::Symbols(part) => {
                for ((_, f), text) in hits.iter().zip(&mut texts).filter(|((_, f), _)| f.record + 1 == record) {
                    let end = f.position + patterns[f.pattern].1.len();
                    let (from, to) = (f.position.max(position), end.min(position + part.len()));
                    if from < to {
                        text.extend_from_slice(&part[from - position..to - position]);
                    }
                }
                position += part.len();
            }
        }
        Ok(true)
    })?;
    let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut out = String::new();
    for ((record, f), text) in hits.iter().zip(&texts) {
        let (name, pattern) = &patterns[f.pattern];
        let pattern = if f.reverse { reverse_complement(pattern) } else { pattern.clone() };
        let wrong = Plan::new(&pattern, &options).and_then(|p| p.mismatch_positions(text, 0)).unwrap_or_default();
        let strand = if f.reverse { '-' } else { '+' };
        out += &format!(
            "\n{record}:{} strand {strand}, {} of {} differ from {name}\n",
            f.position,
            f.distance,
            pattern.len()
        );
        for from in (0..pattern.len()).step_by(WIDTH) {
            let columns = from..(from + WIDTH).min(pattern.len());
            let row = |symbols: &[u8]| -> String {
                let one = |j: usize| {
                    let c = symbols[j] as char;
                    let c = if c.is_ascii_graphic() { c } else { '?' };
                    if colour && wrong.binary_search(&j).is_ok() {
                        format!("\x1b[1;31m{c}\x1b[0m")
                    } else {
                        c.to_string()
                    }
                };
                columns.clone().map(one).collect()
            };
            let marks: String =
                columns.clone().map(|j| if wrong.binary_search(&j).is_ok() { ' ' } else { '|' }).collect();
            out += &format!("  pattern {}\n          {marks}\n  text    {}\n", row(&pattern), row(text));
        }
    }
    Ok(out)
}
