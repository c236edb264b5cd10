//! What the files hold.
use samplewise_completion::Verification;

use super::args::Arguments;
use super::triplets::{Ids, Triplets, pairs_of, read};
use crate::failure::Failure;
use crate::input::Table;
use crate::session::Session;

/// What the files hold.
pub(super) struct Data {
    pub train: Triplets,
    pub test: Option<Triplets>,
    pub rows: Ids,
    pub columns: Ids,
    /// To predict, with their positions; none where an id is not among the triplets.
    pub pairs: Option<(Vec<[String; 2]>, Vec<Option<(usize, usize)>>)>,
}

impl Data {
    /// The entries that only judge.
    pub fn verification(&self, a: &Arguments) -> Verification {
        match &self.test {
            Some(test) => Verification::Given(test.entries.clone()),
            None => Verification::Share(a.holdout.unwrap_or(0.05)),
        }
    }

    /// Numbers of rows, columns and entries.
    pub fn shape(&self) -> (usize, usize, usize) {
        (self.rows.len(), self.columns.len(), self.train.entries.len())
    }
}

/// Reads triplets, those to judge on, and pairs to predict.
pub(super) fn read_all(a: &Arguments, session: &Session) -> Result<Data, Failure> {
    let (mut rows, mut columns) = (Ids::default(), Ids::default());
    let train = read(&a.triplets, a, None, &mut rows, &mut columns)?;
    let like = train.named.then_some(&train.names);
    let test = a.test.as_ref().map(|p| read(p, a, like, &mut rows, &mut columns)).transpose()?;
    let header = a.first_line.header();
    let pairs = a.predict.as_ref().map(|p| Table::read(p, header, |f| names_pairs(f, &train, &rows, &columns)));
    let pairs = pairs.transpose()?.map(|table| {
        let pairs = pairs_of(&table, &train.names)?;
        let at: Vec<_> = pairs.iter().map(|[row, column]| rows.get(row).zip(columns.get(column))).collect();
        Ok::<_, Failure>((table.name, pairs, at))
    });
    let pairs = pairs.transpose()?;
    if let Some((name, _, at)) = &pairs {
        let unknown = at.iter().filter(|p| p.is_none()).count();
        if unknown > 0 {
            let all = at.len();
            session.warn(format!("{name}: {unknown} of {all} pairs have an id that is not among the triplets"));
        }
    }
    let pairs = pairs.map(|(_, pairs, at)| (pairs, at));
    Ok(Data { train, test, rows, columns, pairs })
}

/// Whether the first line of a file of pairs is its header: that of the triplets, where they have one, or the words row and
/// column where these are no ids. A line of numbers is data.
fn names_pairs(first: &[String], train: &Triplets, rows: &Ids, columns: &Ids) -> bool {
    let [row, column, ..] = first else { return false };
    let known = rows.get(row).is_some() && columns.get(column).is_some();
    let named = train.named && train.names[..2].iter().all(|name| first.contains(name));
    let words = row.eq_ignore_ascii_case("row") && column.eq_ignore_ascii_case("column");
    !known && (named || words)
}
