//! Rows of a Parquet file as the cells of a table.
use std::path::Path;

use ::parquet::basic::{ConvertedType, Repetition};
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::record::Field;
use ::parquet::record::reader::RowIter;
use csv::{Position, StringRecord};

use crate::failure::{Failure, bad};

/// See the module. Memory: one row group.
pub struct Rows {
    name: String,
    pub header: Vec<String>,
    records: RowIter<'static>,
    seen: u64,
}

impl Rows {
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let name = path.display().to_string();
        let file = std::fs::File::open(path).map_err(|e| bad(format!("{name}: {e}")))?;
        let reader = SerializedFileReader::new(file).map_err(|e| bad(format!("{name}: {e}")))?;
        let schema = reader.metadata().file_metadata().schema().clone();
        let plain = |f: &&std::sync::Arc<::parquet::schema::types::Type>| {
            let info = f.get_basic_info();
            f.is_primitive()
                && info.repetition() != Repetition::REPEATED
                && info.converted_type() != ConvertedType::INTERVAL
        };
        if let Some(other) = schema.get_fields().iter().find(|f| !plain(f)) {
            let allowed = "numbers, dates and texts, one per row";
            return Err(bad(format!(
                "{name}: column {:?} is nested, repeated or an interval, allowed are {allowed}",
                other.name()
            )));
        }
        let header = schema.get_fields().iter().map(|f| f.name().to_owned()).collect();
        Ok(Self { name, header, records: reader.into_iter(), seen: 0 })
    }

    /// The next row; its position is its number, from 1.
    pub fn next(&mut self, into: &mut StringRecord) -> Result<bool, Failure> {
        let Some(row) = self.records.next() else { return Ok(false) };
        let row = row.map_err(|e| bad(format!("{}: row {}: {e}", self.name, self.seen + 1)))?;
        self.seen += 1;
        into.clear();
        for (column, field) in row.get_column_iter() {
            let text = cell(field).ok_or_else(|| {
                bad(format!("{}:{}: column {column:?} has bytes that are no text", self.name, self.seen))
            })?;
            into.push_field(&text);
        }
        let mut position = Position::new();
        position.set_line(self.seen);
        into.set_position(Some(position));
        Ok(true)
    }
}

/// Numbers as the shortest text that reads back the same, times and dates as the number stored, nothing for a missing value.
fn cell(field: &Field) -> Option<String> {
    Some(match field {
        Field::Null => String::new(),
        Field::Bool(v) => u8::from(*v).to_string(),
        Field::Float16(v) => v.to_f64().to_string(),
        Field::Float(v) => f64::from(*v).to_string(),
        Field::Double(v) => v.to_string(),
        Field::Str(v) => v.clone(),
        Field::Bytes(v) => std::str::from_utf8(v.data()).ok()?.to_owned(),
        Field::Date(v) | Field::TimeMillis(v) => v.to_string(),
        Field::TimeMicros(v) | Field::TimestampMillis(v) | Field::TimestampMicros(v) => v.to_string(),
        other => other.to_string(),
    })
}
