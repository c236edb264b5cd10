//! Triplets with ids of any kind, and pairs to predict.
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use rayon::prelude::*;

use super::Arguments;
use crate::cells::{column, list};
use crate::choices::Repeated;
use crate::failure::{Failure, bad};
use crate::input::{Table, number};
use crate::records::Records;

/// Ids of one side.
#[derive(Default)]
pub struct Ids(HashMap<String, usize>);

impl Ids {
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn intern(&mut self, id: &str) -> usize {
        if let Some(&at) = self.0.get(id) {
            return at;
        }
        let next = self.0.len();
        self.0.insert(id.to_owned(), next);
        next
    }

    pub fn get(&self, id: &str) -> Option<usize> {
        self.0.get(id).copied()
    }

    pub fn in_order(&self) -> Vec<&str> {
        let mut out = vec![""; self.0.len()];
        self.0.iter().for_each(|(id, &at)| out[at] = id);
        out
    }
}

pub struct Triplets {
    /// Names of the columns of rows, columns and values, and whether a header gave them.
    pub names: [String; 3],
    pub named: bool,
    pub entries: Vec<(usize, usize, f64)>,
    pub weights: Option<Vec<f64>>,
}

/// The first line is a header when the value is no number, or when columns are asked for by name.
pub fn looks_like_header(columns: Option<&[String]>) -> impl Fn(&[String]) -> bool {
    let value = columns.map_or("2", |list| list.get(2).map_or("", String::as_str)).parse::<usize>().ok();
    move |first| value.is_none_or(|v| first.get(v).is_some_and(|c| c.parse::<f64>().is_err()))
}

/// Reads triplets; `like` are the names of the columns of other triplets, which are looked for by name.
pub fn read(
    path: &std::path::Path,
    a: &Arguments,
    like: Option<&[String; 3]>,
    rows: &mut Ids,
    columns: &mut Ids,
) -> Result<Triplets, Failure> {
    let repeats = a.duplicates;
    let asked = a.columns.as_deref().map(list);
    let header = a.first_line.header();
    let source = Records::open(path, header, looks_like_header(asked.as_deref()))?;
    let named = like.filter(|_| asked.is_none() && source.has_header());
    let same = named.map(|like| by_name(&source.name, &source.header, like)).transpose()?.flatten();
    read_from(source, repeats, asked.as_deref().or(same.as_deref()), rows, columns)
}

/// The names to take columns by, where a header has those of other triplets in other places; an error where it has only some
/// of them there.
fn by_name(file: &str, header: &[String], like: &[String; 3]) -> Result<Option<Vec<String>>, Failure> {
    let at = |name: &String| header.iter().position(|h| h == name);
    let moved = like.iter().enumerate().find(|(k, name)| at(name).is_some_and(|found| found != *k));
    let Some((_, moved)) = moved else { return Ok(None) };
    match like.iter().find(|name| at(name).is_none()) {
        Some(missing) => Err(bad(format!(
            "{file}: column {moved:?} is in another place than in the triplets, and there is no column {missing:?}; \
             --columns says which is which"
        ))),
        None => Ok(Some(like.to_vec())),
    }
}

/// [`read`] of records that are open, with the columns that were asked for.
pub fn read_from(
    mut source: Records,
    repeats: Repeated,
    asked: Option<&[String]>,
    rows: &mut Ids,
    columns: &mut Ids,
) -> Result<Triplets, Failure> {
    let (name, header, named) = (source.name.clone(), source.header.clone(), source.has_header());
    let picked: Vec<usize> = if let Some(list) = asked {
        list.iter().map(|c| column(&name, &header, c)).collect::<Result<_, _>>()?
    } else {
        // A fourth column may be anything (a time, a user's age): it is a weight when it says so.
        let weighted = header.get(3).is_some_and(|h| h.eq_ignore_ascii_case("weight"));
        (0..header.len().min(if weighted { 4 } else { 3 })).collect()
    };
    if picked.len() < 3 {
        return Err(bad(format!("{name}: {} columns, row, column and value are needed", picked.len())));
    }
    let names = [0, 1, 2].map(|c| header[picked[c]].clone());
    let mut out = Triplets { names, named, entries: Vec::new(), weights: (picked.len() > 3).then(Vec::new) };
    let mut lines = Vec::new();
    let mut all = || -> Result<(), Failure> {
        while source.read_next()? {
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
    if repeats == Repeated::Error
        && let Some([first, second]) = repeated(&out.entries)
    {
        let (line, first) = (lines[second], lines[first]);
        let way = "--duplicates says what to do with such pairs";
        return Err(bad(format!("{name}:{line}:1: the pair was already given in line {first}; {way}")));
    }
    done?;
    if repeats != Repeated::Error {
        out.unite(repeats);
    }
    if out.entries.is_empty() {
        return Err(bad(format!("{name}: no rows")));
    }
    Ok(out)
}

impl Triplets {
    /// One entry for each pair, in the order of their first. A mean is weighted where there are weights; the weight of a
    /// mean or a sum is that of all, as so many observations.
    fn unite(&mut self, repeats: Repeated) {
        let mut place: HashMap<(usize, usize), usize> = HashMap::with_capacity(self.entries.len());
        let weight_of = |weights: &Option<Vec<f64>>, p: usize| weights.as_ref().map_or(1.0, |w| w[p]);
        // Weighted sum (or the value), and the weight.
        let mut united: Vec<(usize, usize, f64, f64)> = Vec::with_capacity(self.entries.len());
        for (p, &(i, j, value)) in self.entries.iter().enumerate() {
            let weight = weight_of(&self.weights, p);
            let mean = repeats == Repeated::Mean;
            let term = if mean { weight * value } else { value };
            match place.entry((i, j)) {
                Entry::Vacant(new) => {
                    new.insert(united.len());
                    united.push((i, j, term, weight));
                }
                Entry::Occupied(at) => {
                    let entry = &mut united[*at.get()];
                    match repeats {
                        Repeated::Mean | Repeated::Sum => (entry.2, entry.3) = (entry.2 + term, entry.3 + weight),
                        Repeated::Last => (entry.2, entry.3) = (value, weight),
                        Repeated::First | Repeated::Error => {}
                    }
                }
            }
        }
        let mean = |e: &(usize, usize, f64, f64)| if repeats == Repeated::Mean { e.2 / e.3 } else { e.2 };
        self.entries = united.iter().map(|e| (e.0, e.1, mean(e))).collect();
        if let Some(weights) = &mut self.weights {
            *weights = united.iter().map(|e| e.3).collect();
        }
    }
}

/// The first entry whose pair was given before, behind the one that gave it.
fn repeated(entries: &[(usize, usize, f64)]) -> Option<[usize; 2]> {
    let mut order: Vec<(usize, usize, usize)> = entries.iter().enumerate().map(|(p, e)| (e.0, e.1, p)).collect();
    order.par_sort_unstable();
    let twice = order.windows(2).filter(|w| (w[0].0, w[0].1) == (w[1].0, w[1].1)).map(|w| [w[0].2, w[1].2]);
    twice.min_by_key(|pair| pair[1])
}

/// The pairs of a table, from the columns of these names where it has both, else from the first two.
pub fn pairs_of(table: &Table, names: &[String; 3]) -> Result<Vec<[String; 2]>, Failure> {
    let at = |name: &String| table.header.iter().position(|h| h == name);
    let picked = match (at(&names[0]), at(&names[1])) {
        (Some(row), Some(column)) if row != column => [row, column],
        _ => [0, 1],
    };
    let pair = |(cells, line): (&Vec<String>, &u64)| {
        let cell = |c: usize| {
            let missing = || bad(format!("{}:{line}:{}: the cell is missing", table.name, c + 1));
            cells.get(c).cloned().ok_or_else(missing)
        };
        Ok([cell(picked[0])?, cell(picked[1])?])
    };
    table.rows.iter().zip(&table.lines).map(pair).collect()
}
