//! Triplets with ids of any kind, and pairs to predict.
use std::collections::HashMap;

use super::Arguments;
use crate::input::Table;
use crate::session::{Failure, bad};

/// Ids of one side.
#[derive(Default)]
pub struct Ids(HashMap<String, usize>);

impl Ids {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    fn intern(&mut self, id: &str) -> usize {
        let next = self.0.len();
        *self.0.entry(id.to_owned()).or_insert(next)
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
    let table = Table::read(path, a.no_header, looks_like_header(a.columns.as_deref()))?;
    let picked: Vec<usize> = if let Some(list) = &a.columns {
        list.split(',').map(|c| table.column(c.trim())).collect::<Result<_, _>>()?
    } else {
        // A fourth column may be anything (a time, a user's age): it is a weight when it says so.
        let weighted = table.header.get(3).is_some_and(|h| h.eq_ignore_ascii_case("weight"));
        (0..table.header.len().min(if weighted { 4 } else { 3 })).collect()
    };
    if picked.len() < 3 {
        return Err(bad(format!("{}: {} columns, row, column and value are needed", table.name, picked.len())));
    }
    let mut seen = HashMap::new();
    let names = [0, 1].map(|c| table.header[picked[c]].clone());
    let mut out = Triplets { names, entries: Vec::new(), weights: (picked.len() > 3).then(Vec::new) };
    for i in 0..table.rows.len() {
        let cell = |c: usize| {
            let line = table.lines[i];
            table.rows[i]
                .get(picked[c])
                .filter(|v| !v.is_empty())
                .ok_or_else(|| bad(format!("{}:{line}:{}: the cell is missing", table.name, picked[c] + 1)))
        };
        let position = (rows.intern(cell(0)?), columns.intern(cell(1)?));
        if let Some(first) = seen.insert(position, table.lines[i]) {
            let line = table.lines[i];
            return Err(bad(format!("{}:{line}:1: the pair was already given in line {first}", table.name)));
        }
        out.entries.push((position.0, position.1, table.number(i, picked[2])?));
        if let Some(w) = &mut out.weights {
            w.push(table.number(i, picked[3])?);
        }
    }
    Ok(out)
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
