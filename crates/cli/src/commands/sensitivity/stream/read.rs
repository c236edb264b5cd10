//! The table that is read row by row.
use crate::cells::{column, names_numbers, select};
use crate::commands::sensitivity::args::Arguments;
use crate::commands::sensitivity::read::check_target;
use crate::failure::Failure;
use crate::input;
use crate::records::Records;

/// Where the numbers of a row stand.
pub(super) struct Columns {
    name: String,
    pub header: Vec<String>,
    pub features: Vec<usize>,
    /// Whether rows get a column of ones.
    pub intercept: bool,
    pub target: Option<usize>,
}

impl Columns {
    /// The columns that the words of the call name in an open table.
    pub fn of(a: &Arguments, reader: &Records) -> Result<Self, Failure> {
        let (name, header) = (a.name(), reader.header.clone());
        let target = a.regress.as_ref().map(|c| column(&name, &header, c)).transpose()?;
        let features = select(&name, &header, &a.features, &target.map_or(vec![], |t| vec![t]))?;
        check_target(&header, &features, target)?;
        Ok(Self { name, header, features, intercept: a.intercept, target })
    }

    /// Features, with the column of ones.
    pub fn given(&self) -> usize {
        self.features.len() + usize::from(self.intercept)
    }

    /// All numbers of a row: with a regression, rows are chosen by features and target together.
    pub fn scored(&self) -> usize {
        self.given() + usize::from(self.target.is_some())
    }

    /// Appends the numbers of a row, the target last.
    pub fn numbers(&self, record: &csv::StringRecord, data: &mut Vec<f64>) -> Result<(), Failure> {
        let line = record.position().map_or(0, csv::Position::line);
        let number = |j: usize| input::number(&self.name, line, j, record.get(j));
        for &j in &self.features {
            data.push(number(j)?);
        }
        if self.intercept {
            data.push(1.0);
        }
        if let Some(t) = self.target {
            data.push(number(t)?);
        }
        Ok(())
    }
}

/// Opens the table; a first line with any non-number is the header.
pub(super) fn open(a: &Arguments) -> Result<Records, Failure> {
    Records::open(&a.table, a.first_line.header(), |first| names_numbers(&a.name(), first))
}
