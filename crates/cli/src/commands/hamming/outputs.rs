//! Vectors of distances on their way to `.npy`.
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;

use samplewise_hamming::Symbol;

use super::strand::Strand;
use crate::failure::{Failure, bad, usage};
use crate::output;

/// A distance, exact or not.
pub(super) enum Number {
    Whole(u32),
    Real(f64),
}

/// Vectors of distances on their way to `.npy`: their length stands at the beginning of the file and is known last, so
/// they wait in temporary files.
pub(super) struct Outputs<'a> {
    path: Option<&'a Path>,
    names: &'a [&'a str],
    strands: usize,
    open: BTreeMap<usize, Spool>,
    /// The only vector so far; a second one makes `path` a folder.
    first: Option<(String, Spool)>,
    folder: bool,
    /// Names given, in lower case, so that no record overwrites another one, also where case does not tell files apart.
    used: HashSet<String>,
}

struct Spool {
    file: BufWriter<File>,
    len: u64,
    real: bool,
}

impl<'a> Outputs<'a> {
    pub(super) fn new(path: Option<&'a Path>, names: &'a [&'a str], strands: usize) -> Self {
        Self { path, names, strands, open: BTreeMap::new(), first: None, folder: false, used: HashSet::new() }
    }

    pub(super) fn write(&mut self, number: usize, values: impl Iterator<Item = Number>) -> Result<(), Failure> {
        let Some(path) = self.path else { return Ok(()) };
        let fail = |e: std::io::Error| bad(format!("{}: {e}", path.display()));
        let spool = match self.open.entry(number) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(none) => {
                none.insert(Spool { file: BufWriter::new(tempfile::tempfile().map_err(fail)?), len: 0, real: false })
            }
        };
        for value in values {
            match value {
                Number::Whole(v) => spool.file.write_all(&v.to_le_bytes()),
                Number::Real(v) => {
                    spool.real = true;
                    spool.file.write_all(&v.to_le_bytes())
                }
            }
            .map_err(fail)?;
            spool.len += 1;
        }
        Ok(())
    }

    /// A record ends.
    pub(super) fn end<S: Symbol>(&mut self, record: &str, strands: &[Strand<S>]) -> Result<(), Failure> {
        let Some(path) = self.path else { return Ok(()) };
        for (number, spool) in std::mem::take(&mut self.open) {
            let mut name = record.replace(|c: char| !c.is_alphanumeric() && !"._-".contains(c), "_");
            if name.is_empty() || name.starts_with('.') {
                name = format!("record{name}"); // no hidden file
            }
            if self.names.len() > 1 {
                name = format!("{name}.{}", self.names[strands[number].pattern]);
            }
            if self.strands > 1 {
                name += if strands[number].reverse { ".minus" } else { ".plus" };
            }
            name = self.unused(&name);
            if !self.folder && self.first.is_none() {
                self.first = Some((name, spool));
                continue;
            }
            if !self.folder {
                if output::is_stream(path) {
                    return Err(usage("--out must be a folder: there are several vectors"));
                }
                std::fs::create_dir_all(path).map_err(|e| bad(format!("{}: {e}", path.display())))?;
                self.folder = true;
            }
            for (name, spool) in self.first.take().into_iter().chain([(name, spool)]) {
                spool.save(&path.join(format!("{name}.npy")))?;
            }
        }
        Ok(())
    }

    /// A name that was not given yet: the one wanted, else with the first number that is free.
    fn unused(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        for number in 2.. {
            if self.used.insert(name.to_lowercase()) {
                break;
            }
            name = format!("{wanted}.{number}");
        }
        name
    }

    pub(super) fn finish(self) -> Result<(), Failure> {
        match (self.path, self.first) {
            (Some(path), Some((_, spool))) => spool.save(path),
            _ => Ok(()),
        }
    }
}

impl Spool {
    fn save(self, path: &Path) -> Result<(), Failure> {
        let fail = |e: std::io::Error| bad(format!("{}: {e}", path.display()));
        let mut file = self.file.into_inner().map_err(|e| fail(e.into_error()))?;
        file.rewind().map_err(fail)?;
        let mut file = BufReader::new(file);
        let len = self.len as usize;
        if self.real {
            output::write_npy_from(path, len, || {
                let mut bytes = [0; 8];
                file.read_exact(&mut bytes).map(|()| f64::from_le_bytes(bytes))
            })
        } else {
            output::write_npy_from(path, len, || {
                let mut bytes = [0; 4];
                file.read_exact(&mut bytes).map(|()| u32::from_le_bytes(bytes))
            })
        }
    }
}
