//! Triplets with ids of any kind, and pairs to predict.
use std::collections::HashMap;

use rayon::prelude::*;

use super::Arguments;
use crate::input::{Table, column, number};
use crate::records::Records;
use crate::session::{Failure, bad};

/// Ids of one side.
#[derive(Default)]
pub struct Ids(HashMap<String, usize>);

impl Ids {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    fn intern(&mut self, id: &str) -> usize {
        if let Some(&at) = self.0.get(id) {
            return at;
        }
        let next = self.0.len();
        self.0.insert(id.to_owned(), next);
        next
    }

    pub fn in_order(&self) -> Vec<&str> {
        let mut out = vec![""; self.0.len()];
        self.0.iter().for_each(|(id, &at)| out[at] = id);
        out
    }
}

pub struct Triplets {
    /// Names of the row and column columns.
    pub names: [String; 2],
    pub entries: Vec<(usize, usize, f64)>,
    pub weights: Option<Vec<f64>>,
}

/// The first line is a header when the value is no number, or when columns are asked for by name.
fn looks_like_header(columns: Option<&str>) -> impl Fn(&[String]) -> bool {
    let value = columns.map_or("2", |list| list.split(',').nth(2).unwrap_or("")).trim().parse::<usize>().ok();
    move |first| value.is_none_or(|v| first.get(v).is_some_and(|c| c.parse::<f64>().is_err()))
}

pub fn read(path: &std::path::Path, a: &Arguments, rows: &mut Ids, columns: &mut Ids) -> Result<Triplets, Failure> {
    let mut source = Records::open(path, a.no_header, looks_like_header(a.columns.as_deref()))?;
    let (name, header) = (source.name.clone(), source.header.clone());
    let picked: Vec<usize> = if let Some(list) = &a.columns {
        list.split(',').map(|c| column(&name, &header, c.trim())).collect::<Result<_, _>>()?
    } else {
        // A fourth column may be anything (a time, a user's age): it is a weight when it says so.
        let weighted = header.get(3).is_some_and(|h| h.eq_ignore_ascii_case("weight"));
        (0..header.len().min(if weighted { 4 } else { 3 })).collect()
    };
    if picked.len() < 3 {
        return Err(bad(format!("{name}: {} columns, row, column and value are needed", picked.len())));
    }
    let names = [0, 1].map(|c| header[picked[c]].clone());
    let mut out = Triplets { names, entries: Vec::new(), weights: (picked.len() > 3).then(Vec::new) };
    let mut lines = Vec::new();
    let mut all = || -> Result<(), Failure> {
        while source.next()? {
            let line = source.line();
            let cell = |c: usize| source.record.get(picked[c]);
            let id = |c: usize| {
                let missing = || bad(format!("{name}:{line}:{}: the cell is missing", picked[c] + 1));
                cell(c).filter(|v| !v.is_empty()).ok_or_else(missing)
            };
            let (row, column) = (rows.intern(id(0)?), columns.intern(id(1)?));
            let value = number(&name, line, picked[2], cell(2))?;
            if let Some(w) = &mut out.weights {
                w.push(number(&name, line, picked[3], cell(3))?);
            }
            out.entries.push((row, column, value));
            lines.push(line);
        }
        Ok(())
    };
    let done = all();
    // A pair that was repeated before a line that is wrong comes first.
    if let Some([first, second]) = repeated(&out.entries) {
        let (line, first) = (lines[second], lines[first]);
        return Err(bad(format!("{name}:{line}:1: the pair was already given in line {first}")));
    }
    done?;
    if out.entries.is_empty() {
        return Err(bad(format!("{name}: no rows")));
    }
    Ok(out)
}

/// The first entry whose pair was given before, behind the one that gave it.
fn repeated(entries: &[(usize, usize, f64)]) -> Option<[usize; 2]> {
    let mut order: Vec<(usize, usize, usize)> = entries.iter().enumerate().map(|(p, e)| (e.0, e.1, p)).collect();
    order.par_sort_unstable();
    let twice = order.windows(2).filter(|w| (w[0].0, w[0].1) == (w[1].0, w[1].1)).map(|w| [w[0].2, w[1].2]);
    twice.min_by_key(|pair| pair[1])
}

/// The pairs as positions in the matrix; checked before anything is computed.
pub fn positions(pairs: &Table, rows: &Ids, columns: &Ids) -> Result<Vec<(usize, usize)>, Failure> {
    let mut out = Vec::with_capacity(pairs.rows.len());
    for (r, line) in pairs.rows.iter().zip(&pairs.lines) {
        let id = |ids: &Ids, c: usize| {
            let name = r.get(c).map_or("", String::as_str);
            let unknown = || bad(format!("{}:{line}:{}: {name:?} is not among the triplets", pairs.name, c + 1));
            ids.0.get(name).copied().ok_or_else(unknown)
        };
        out.push((id(rows, 0)?, id(columns, 1)?));
    }
    Ok(out)
}
