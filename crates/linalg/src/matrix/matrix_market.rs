//! Sparse matrices as MatrixMarket text: coordinates of real, integer or pattern entries, general, symmetric or
//! skew-symmetric. Every complaint names the line.
use crate::{CooBuilder, CsrMatrix, Duplicates};

/// What stands for an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Number,
    /// Positions only: entries are one.
    Pattern,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Symmetry {
    General,
    Symmetric,
    Skew,
}

/// Rows and columns are numbered by 32 bits.
const MOST: usize = u32::MAX as usize;
/// Rows, and columns, that there may be without entries, and for each entry: sizes alone must not fill the memory.
const FREE: usize = 1 << 24;
const FREE_PER_ENTRY: usize = 1 << 8;

impl CsrMatrix<f64> {
    /// Reads a MatrixMarket file in coordinates from its text: real, integer or pattern (entries are then 1), general,
    /// symmetric or skew-symmetric. Comments and blank lines may stand anywhere.
    ///
    /// # Errors
    /// A sentence with the line: another format, sizes that cannot be stored or are far beyond the entries, positions
    /// outside the sizes or given twice, numbers that are not finite, more or fewer entries than announced.
    pub fn from_matrix_market(text: &str) -> Result<Self, String> {
        let mut lines = text.trim_start_matches('\u{feff}').lines().enumerate().map(|(i, l)| (i + 1, l.trim()));
        let (_, banner) = lines.next().ok_or("the file is empty")?;
        let (field, symmetry) = kind(banner)?;
        let mut lines = lines.filter(|(_, l)| !l.is_empty() && !l.starts_with('%'));
        let (line, sizes) = lines.next().ok_or("line 2: the sizes are missing: rows, columns and entries")?;
        let [rows, columns, entries] = sizes_of(line, sizes)?;
        if symmetry != Symmetry::General && rows != columns {
            return Err(format!("line {line}: {rows} x {columns} is not square, as a symmetric matrix is"));
        }
        let mut builder = CooBuilder::new(rows, columns);
        let mut seen = 0;
        for (line, text) in lines {
            let wrong = |what: String| format!("line {line}: {what}");
            if seen == entries {
                return Err(wrong(format!("more entries than the {entries} announced")));
            }
            let mut cells = text.split_ascii_whitespace();
            let mut index = |name: &str, bound: usize| {
                let cell = cells.next().ok_or_else(|| wrong(format!("the {name} is missing")))?;
                let index = cell.parse::<usize>().ok().filter(|i| (1..=bound).contains(i));
                index.map(|i| i - 1).ok_or_else(|| wrong(format!("{name} is {cell:?}, allowed is 1 to {bound}")))
            };
            let (i, j) = (index("row", rows)?, index("column", columns)?);
            let value = match field {
                Field::Pattern => 1.0,
                Field::Number => {
                    let cell = cells.next().ok_or_else(|| wrong("the value is missing".to_owned()))?;
                    let value = cell.parse::<f64>().ok().filter(|v| v.is_finite());
                    value.ok_or_else(|| wrong(format!("value {cell:?} is not a finite number")))?
                }
            };
            if let Some(more) = cells.next() {
                return Err(wrong(format!("{more:?} follows the entry")));
            }
            if symmetry == Symmetry::Skew && i == j {
                return Err(wrong("an entry on the diagonal of a skew-symmetric matrix".to_owned()));
            }
            builder.push(i, j, value).map_err(|e| wrong(e.to_string()))?;
            if symmetry != Symmetry::General && i != j {
                let mirrored = if symmetry == Symmetry::Skew { -value } else { value };
                builder.push(j, i, mirrored).map_err(|e| wrong(e.to_string()))?;
            }
            seen += 1;
        }
        if seen < entries {
            return Err(format!("{seen} entries, {entries} were announced: the file is cut"));
        }
        builder.build(Duplicates::Error).map_err(|e| e.to_string())
    }
}

fn kind(banner: &str) -> Result<(Field, Symmetry), String> {
    let words: Vec<String> = banner.split_ascii_whitespace().map(str::to_ascii_lowercase).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let ["%%matrixmarket", "matrix", format, field, symmetry] = words[..] else {
        return Err("line 1: a MatrixMarket file begins with \"%%MatrixMarket matrix coordinate real general\"".into());
    };
    let wrong = |what: &str, given: &str, allowed: &str| format!("line 1: the {what} is {given}, allowed is {allowed}");
    if format != "coordinate" {
        return Err(wrong("format", format, "coordinate"));
    }
    let field = match field {
        "real" | "integer" => Field::Number,
        "pattern" => Field::Pattern,
        other => return Err(wrong("field", other, "real, integer or pattern")),
    };
    let symmetry = match symmetry {
        "general" => Symmetry::General,
        "symmetric" => Symmetry::Symmetric,
        "skew-symmetric" if field == Field::Number => Symmetry::Skew,
        other => return Err(wrong("symmetry", other, "general, symmetric or, with numbers, skew-symmetric")),
    };
    Ok((field, symmetry))
}

fn sizes_of(line: usize, text: &str) -> Result<[usize; 3], String> {
    let cells: Vec<&str> = text.split_ascii_whitespace().collect();
    let [rows, columns, entries] = cells[..] else {
        return Err(format!("line {line}: {text:?} is not rows, columns and entries"));
    };
    let size = |name: &str, cell: &str| {
        let size = cell.parse::<usize>().ok().filter(|s| *s <= MOST);
        size.ok_or_else(|| format!("line {line}: {name} is {cell:?}, allowed is a whole number up to {MOST}"))
    };
    let sizes = [size("rows", rows)?, size("columns", columns)?, size("entries", entries)?];
    let free = sizes[2].saturating_mul(FREE_PER_ENTRY).saturating_add(FREE);
    if sizes[0].max(sizes[1]) > free {
        let what = "are nearly all empty: there may be 16777216 and 256 for each entry";
        return Err(format!("line {line}: {} x {} with {} entries {what}", sizes[0], sizes[1], sizes[2]));
    }
    // An offset for every row, and for every column of the transpose.
    let offsets = sizes[0].saturating_add(sizes[1]).saturating_add(2);
    if Vec::<u64>::new().try_reserve_exact(offsets).is_err() {
        return Err(format!("line {line}: {} x {} does not fit into memory", sizes[0], sizes[1]));
    }
    Ok(sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(usize, usize, f64)>, String> {
        CsrMatrix::from_matrix_market(text).map(|a| a.iter().collect())
    }

    #[test]
    fn every_kind_is_read() {
        let general = "%%MatrixMarket matrix coordinate real general\n2 3 2\n1 3 2.5\n2 1 -1\n";
        assert_eq!(read(general).unwrap(), [(0, 2, 2.5), (1, 0, -1.0)]);
        let counts = "%%MatrixMarket matrix coordinate integer general\n%x\n\n2 2 1\n\n2 1 7\n";
        assert_eq!(read(counts).unwrap(), [(1, 0, 7.0)]);
        let graph = "%%MatrixMarket matrix coordinate pattern symmetric\r\n2 2 2\r\n2 1\r\n1 1\r\n";
        assert_eq!(read(graph).unwrap(), [(0, 0, 1.0), (0, 1, 1.0), (1, 0, 1.0)]);
        let skew = "%%MatrixMarket matrix coordinate real skew-symmetric\n2 2 1\n2 1 3e0\n";
        assert_eq!(read(skew).unwrap(), [(0, 1, -3.0), (1, 0, 3.0)]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let file = |rest: &str| read(&format!("%%MatrixMarket matrix coordinate real general\n{rest}")).unwrap_err();
        for (rest, expected) in [
            ("", "sizes"),
            ("2 2\n", "line 2"),
            ("2 99999999999 1\n1 1 1\n", "columns is \"99999999999\""),
            ("2 4294967295 1\n1 1 1\n", "line 2: 2 x 4294967295 with 1 entries are nearly all empty"),
            ("2 2 1\n3 1 1\n", "line 3: row is \"3\", allowed is 1 to 2"),
            ("2 2 1\n0 1 1\n", "line 3: row"),
            ("2 2 1\n1 1 nan\n", "line 3: value"),
            ("2 2 1\n1 1 1,5\n", "line 3: value"),
            ("2 2 1\n1 1\n", "the value is missing"),
            ("2 2 1\n1 1 1 1\n", "follows"),
            ("2 2 2\n1 1 1\n", "cut"),
            ("2 2 1\n1 1 1\n2 2 1\n", "more entries"),
            ("2 2 2\n1 1 1\n1 1 1\n", "twice"),
        ] {
            let error = file(rest);
            assert!(error.contains(expected), "{rest:?}: {error}");
        }
        for text in [
            "",
            "nonsense",
            "%%MatrixMarket matrix array real general\n",
            "%%MatrixMarket matrix coordinate complex general\n",
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }
}
