//! Which columns form a group.
use std::collections::HashMap;
use std::path::Path;

use crate::cells::Header;
use crate::failure::{Failure, bad};
use crate::input::Table;

/// Groups by the names in a CSV with the columns `column` and `group`; columns that are not listed are groups of their own.
pub(super) fn read(file: &Path, names: &[String]) -> Result<(Vec<Vec<usize>>, Vec<String>), Failure> {
    groups_of(&Table::read(file, Header::Given, |_| true)?, names)
}

/// The groups that a table lists, and their names.
pub fn groups_of(table: &Table, names: &[String]) -> Result<(Vec<Vec<usize>>, Vec<String>), Failure> {
    let (column, group) = (table.column("column")?, table.column("group")?);
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (j, name) in names.iter().enumerate() {
        if places.insert(name.as_str(), j).is_some() {
            return Err(bad(format!("{}: the table has two columns {name:?}", table.name)));
        }
    }
    let mut number: HashMap<&str, usize> = HashMap::new();
    let (mut groups, mut titles): (Vec<Vec<usize>>, Vec<String>) = (Vec::new(), Vec::new());
    let mut listed = vec![false; names.len()];
    for (cells, line) in table.rows.iter().zip(&table.lines) {
        let at = |j: usize| format!("{}:{line}:{}", table.name, j + 1);
        let cell = |j: usize| cells.get(j).ok_or_else(|| bad(format!("{}: the cell is missing", at(j))));
        let (name, title) = (cell(column)?, cell(group)?);
        if title.is_empty() {
            return Err(bad(format!("{}: the cell is empty", at(group))));
        }
        let &place = places
            .get(name.as_str())
            .ok_or_else(|| bad(format!("{}: {name:?} is not a feature column of the table", at(column))))?;
        if std::mem::replace(&mut listed[place], true) {
            return Err(bad(format!("{}: column {name:?} is listed twice", at(column))));
        }
        let g = *number.entry(title).or_insert_with(|| {
            groups.push(Vec::new());
            titles.push(title.clone());
            groups.len() - 1
        });
        groups[g].push(place);
    }
    for j in (0..names.len()).filter(|&j| !listed[j]) {
        groups.push(vec![j]);
        titles.push(names[j].clone());
    }
    Ok((groups, titles))
}
