//! Tables of variants: words, or one column for each variable.
use std::path::Path;

use samplewise_wht::surrogate::Letters;
use serde::{Deserialize, Serialize};

use super::args::{Alphabet, FitWords};
use crate::cells::FirstLine;
use crate::failure::{Failure, bad, usage};
use crate::input::Table;
use crate::session::Session;

/// How variants are written.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
pub(super) struct Scheme {
    /// Name of the column of words, where variants are words.
    pub words: Option<String>,
    /// Name of each position: the number of the letter in the word, from 1, or the name of the column.
    pub positions: Vec<String>,
    /// The letters of each position.
    pub letters: Vec<Vec<String>>,
    /// Name of the column of values.
    pub value: String,
    /// Whether the table named its columns.
    pub named: bool,
}

/// A table that was read.
pub(super) struct Measured {
    pub scheme: Scheme,
    pub variants: Letters,
    pub values: Vec<f64>,
}

/// Most letters of a position.
const MOST_LETTERS: usize = 64;

impl Scheme {
    /// A row of codes as a person writes it.
    pub fn text(&self, row: &[u8]) -> String {
        let letters: Vec<&str> = self.cells(row);
        if self.words.is_some() { letters.concat() } else { letters.join(", ") }
    }

    /// The letters of a row of codes.
    pub fn cells(&self, row: &[u8]) -> Vec<&str> {
        row.iter().zip(&self.letters).map(|(&c, l)| l[usize::from(c)].as_str()).collect()
    }

    /// Names of the columns of variants.
    pub fn titles(&self) -> Vec<&str> {
        match &self.words {
            Some(name) => vec![name],
            None => self.positions.iter().map(String::as_str).collect(),
        }
    }

    /// The cells of those columns.
    pub fn row(&self, codes: &[u8]) -> Vec<String> {
        if self.words.is_some() {
            vec![self.text(codes)]
        } else {
            self.cells(codes).into_iter().map(str::to_owned).collect()
        }
    }

    /// Why a stored scheme is none, if it is none.
    pub fn fault(&self) -> Option<String> {
        for (position, letters) in self.positions.iter().zip(&self.letters) {
            let twice = (1..letters.len()).any(|i| letters[..i].contains(&letters[i]));
            let long = self.words.is_some() && letters.iter().any(|l| l.chars().count() != 1);
            if twice || long || letters.is_empty() {
                return Some(format!("the letters of position {position} are {}", letters.join(" ")));
            }
        }
        None
    }

    fn levels(&self) -> Vec<usize> {
        self.letters.iter().map(Vec::len).collect()
    }

    /// The codes of the letters of every row.
    fn encode(&self, table: &Table, rows: &[Vec<String>]) -> Result<Letters, Failure> {
        let mut codes = Vec::with_capacity(rows.len() * self.positions.len());
        for (row, cells) in rows.iter().enumerate() {
            for (position, cell) in cells.iter().enumerate() {
                let known = &self.letters[position];
                let code = known.iter().position(|l| l == cell).ok_or_else(|| {
                    let shown = if known.len() > 24 { format!("{} letters", known.len()) } else { known.join(" ") };
                    let (name, line, place) = (&table.name, table.lines[row], &self.positions[position]);
                    bad(format!("{name}:{line}: position {place} is {cell:?}, allowed is {shown}"))
                })?;
                codes.push(code as u8);
            }
        }
        Letters::new(self.levels(), codes).map_err(bad)
    }
}

/// Reads the table of `wht fit`.
pub(super) fn measured(words: &FitWords, session: &Session) -> Result<Measured, Failure> {
    let table = open(&words.table, words.value.as_deref(), words.first_line)?;
    let value = match &words.value {
        Some(name) => table.column(name)?,
        None => table.header.len() - 1,
    };
    let values = table.numbers(value)?;
    let chosen = words.variants.as_ref().map(|name| table.column(name)).transpose()?;
    if chosen == Some(value) {
        return Err(usage(format!("--variants and --value are both column {:?}", table.header[value])));
    }
    let others: Vec<usize> = (0..table.header.len()).filter(|&j| j != value).collect();
    let column = match (chosen, &others[..]) {
        (Some(column), _) => Some(column),
        (None, []) => return Err(bad(format!("{}: has one column, variants and values are wanted", table.name))),
        (None, [only]) => Some(*only),
        (None, _) => None,
    };
    let scheme = match column {
        Some(column) => of_words(&table, column, words.alphabet)?,
        None if words.alphabet != Alphabet::Auto => {
            return Err(usage("--alphabet is of words: name their column by --variants"));
        }
        None => of_columns(&table, &others)?,
    };
    let named = table.named;
    let scheme = Scheme { value: table.header[value].clone(), named, ..scheme };
    let rows = match column {
        Some(column) => split(&table, column, scheme.positions.len())?,
        None => cells(&table, &others)?,
    };
    let variants = scheme.encode(&table, &rows)?;
    look_for_the_answer(&scheme, &rows, &values, session);
    Ok(Measured { scheme, variants, values })
}

/// Reads a table of new variants, as those of the scheme are written.
pub(super) fn new_variants(path: &Path, scheme: &Scheme, first_line: FirstLine) -> Result<Letters, Failure> {
    let table = Table::read(path, first_line.header(), |first| names(first, scheme))?;
    let rows = if let Some(name) = &scheme.words {
        let column = if table.header.len() == 1 {
            0
        } else {
            table.column(name).or_else(|e| if first_line.is_given() { Err(e) } else { Ok(0) })?
        };
        split(&table, column, scheme.positions.len())?
    } else {
        let columns = if table.named {
            scheme.positions.iter().map(|name| table.column(name)).collect::<Result<Vec<_>, _>>()?
        } else if table.header.len() >= scheme.positions.len() {
            // Without names columns are in the order of the table that was learned from.
            scheme.positions.iter().enumerate().map(|(i, p)| p.parse().unwrap_or(i)).collect()
        } else {
            let (name, count, wanted) = (&table.name, table.header.len(), scheme.positions.len());
            return Err(bad(format!("{name}: has {count} columns, {wanted} are wanted")));
        };
        cells(&table, &columns)?
    };
    scheme.encode(&table, &rows)
}

/// Whether a first line names the columns of new variants: it has the names of those that were learned from.
fn names(first: &[String], scheme: &Scheme) -> bool {
    if !scheme.named {
        return false;
    }
    let known = |cell: &String| scheme.titles().contains(&cell.as_str()) || *cell == scheme.value;
    first.iter().any(known)
        || scheme.words.as_ref().is_some_and(|_| {
            first.iter().all(|c| c.chars().count() != scheme.positions.len() && c.parse::<f64>().is_err())
        })
}

/// A table whose first line is the header where its value is no number.
fn open(path: &Path, value: Option<&str>, first_line: FirstLine) -> Result<Table, Failure> {
    Table::read(path, first_line.header(), |first| {
        let named = value.is_some_and(|v| first.iter().any(|c| c == v));
        let number = |at: Option<&String>| at.is_some_and(|c| c.parse::<f64>().is_ok());
        let at = value.and_then(|v| v.parse::<usize>().ok()).map_or_else(|| first.last(), |j| first.get(j));
        named || !number(at)
    })
}

/// Words of one column, a letter for each position.
fn split(table: &Table, column: usize, length: usize) -> Result<Vec<Vec<String>>, Failure> {
    let mut out = Vec::with_capacity(table.rows.len());
    for (row, line) in table.rows.iter().zip(&table.lines) {
        let at = || format!("{}:{line}:{}", table.name, column + 1);
        let word = row.get(column).ok_or_else(|| bad(format!("{}: the cell is missing", at())))?;
        let letters: Vec<String> = word.chars().map(String::from).collect();
        if letters.len() != length || length == 0 {
            return Err(bad(format!("{}: {word:?} has {} letters, allowed is {length}", at(), letters.len())));
        }
        out.push(letters);
    }
    Ok(out)
}

fn cells(table: &Table, columns: &[usize]) -> Result<Vec<Vec<String>>, Failure> {
    let cell = |(row, line): (&Vec<String>, &u64)| -> Result<Vec<String>, Failure> {
        let one = |&j: &usize| match row.get(j) {
            Some(c) if !c.is_empty() => Ok(c.clone()),
            _ => Err(bad(format!("{}:{line}:{}: the cell is missing", table.name, j + 1))),
        };
        columns.iter().map(one).collect()
    };
    table.rows.iter().zip(&table.lines).map(cell).collect()
}

/// Positions and letters of a column of words.
fn of_words(table: &Table, column: usize, alphabet: Alphabet) -> Result<Scheme, Failure> {
    let length = table.rows[0].get(column).map_or(0, |w| w.chars().count());
    let rows = split(table, column, length)?;
    let mut letters: Vec<Vec<String>> = (0..length).map(|i| distinct(rows.iter().map(|r| r[i].as_str()))).collect();
    if let Some(known) = alphabet.letters() {
        let known: Vec<String> = known.chars().map(String::from).collect();
        for (row, cells) in rows.iter().enumerate() {
            if let Some(position) = (0..length).find(|&i| !known.contains(&cells[i])) {
                let (name, line, letter) = (&table.name, table.lines[row], &cells[position]);
                let allowed = known.join(" ");
                return Err(bad(format!(
                    "{name}:{line}: position {} is {letter:?}, allowed is {allowed}",
                    position + 1
                )));
            }
        }
        // A position that never varies has one letter, whatever the alphabet: nothing is known of the others.
        letters.iter_mut().filter(|l| l.len() > 1).for_each(|l| l.clone_from(&known));
    }
    let positions: Vec<String> = (1..=length).map(|i| i.to_string()).collect();
    check_letters(&table.name, &positions, &letters)?;
    Ok(Scheme { words: Some(table.header[column].clone()), positions, letters, value: String::new(), named: true })
}

/// Positions and letters of a column for each variable.
fn of_columns(table: &Table, columns: &[usize]) -> Result<Scheme, Failure> {
    let rows = cells(table, columns)?;
    let letters: Vec<Vec<String>> = (0..columns.len()).map(|i| distinct(rows.iter().map(|r| r[i].as_str()))).collect();
    let positions: Vec<String> = columns.iter().map(|&j| table.header[j].clone()).collect();
    check_letters(&table.name, &positions, &letters)?;
    Ok(Scheme { words: None, positions, letters, value: String::new(), named: true })
}

/// Distinct letters: numbers in their order, then texts in theirs.
fn distinct<'a>(cells: impl Iterator<Item = &'a str>) -> Vec<String> {
    let all: std::collections::BTreeSet<&str> = cells.collect();
    let mut out: Vec<String> = all.into_iter().map(str::to_owned).collect();
    let number = |s: &String| s.parse::<f64>().ok().filter(|v| !v.is_nan());
    out.sort_by(|a, b| match (number(a), number(b)) {
        (Some(x), Some(y)) => x.total_cmp(&y).then(a.cmp(b)),
        (x, y) => y.is_some().cmp(&x.is_some()).then(a.cmp(b)),
    });
    out
}

fn check_letters(name: &str, positions: &[String], letters: &[Vec<String>]) -> Result<(), Failure> {
    if positions.len() > 1_024 {
        return Err(bad(format!("{name}: has {} positions, allowed is 1024", positions.len())));
    }
    if let Some(twice) = (1..positions.len()).find(|&i| positions[..i].contains(&positions[i])) {
        return Err(bad(format!("{name}: two columns are named {:?}: rename one", positions[twice])));
    }
    match positions.iter().zip(letters).find(|(_, l)| l.len() > MOST_LETTERS) {
        Some((position, l)) => Err(bad(format!(
            "{name}: {position:?} has {} distinct values, allowed is {MOST_LETTERS}: leave the column out, or group them",
            l.len()
        ))),
        None => Ok(()),
    }
}

/// Says which column is the value itself, or the value up to a factor.
fn look_for_the_answer(scheme: &Scheme, rows: &[Vec<String>], values: &[f64], session: &Session) {
    if scheme.words.is_some() {
        return;
    }
    let differs = values.iter().any(|v| *v != values[0]);
    for (i, position) in scheme.positions.iter().enumerate() {
        let same = rows.iter().zip(values).all(|(r, v)| r[i].parse::<f64>().is_ok_and(|x| x == *v));
        if same && differs {
            session.warn(format!("column {position:?} is the value itself: what is learned is that, and nothing else"));
        }
    }
}
