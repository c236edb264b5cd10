//! Writing results: a temporary file beside the target, then a rename; `.gz` by name; `-` is standard output, and the
//! answer then goes to standard error. A link is followed, a file that is there keeps its mode, and what is there and no
//! file, such as a device or a pipe, is written into.
use std::borrow::Cow;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::{Failure, bad, usage};

/// True when data went to standard output: the table or the JSON object then goes to standard error.
pub static STANDARD_OUTPUT_TAKEN: AtomicBool = AtomicBool::new(false);

pub fn write(path: &Path, fill: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<(), Failure> {
    let fail = |e: std::io::Error| bad(format!("{}: {e}", path.display()));
    if path == Path::new("-") {
        STANDARD_OUTPUT_TAKEN.store(true, Ordering::SeqCst);
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        return match fill(&mut out).and_then(|()| out.flush()) {
            // A closed pipe is the reader's choice.
            Err(e) if pipe_closed(&e) => {
                // What is left in the buffer has nowhere to go.
                drop(out.into_parts());
                Ok(())
            }
            other => other.map_err(fail),
        };
    }
    let there = std::fs::metadata(path).ok();
    if there.as_ref().is_some_and(std::fs::Metadata::is_dir) {
        return Err(bad(format!("{}: is a folder, a file is wanted", path.display())));
    }
    if there.as_ref().is_some_and(|m| !m.is_file()) {
        let mut file = std::fs::OpenOptions::new().write(true).open(path).map_err(fail)?;
        return match compressed(path, &mut file, fill) {
            Err(e) if pipe_closed(&e) => Ok(()),
            other => other.map_err(fail),
        };
    }
    let target = followed(path).map_err(fail)?;
    let folder = target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        // Temporary files are private; a new result has the permissions of any new file.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder).map_err(fail)?;
    if let Some(there) = there {
        file.as_file().set_permissions(there.permissions()).map_err(fail)?;
    }
    compressed(path, file.as_file_mut(), fill).map_err(fail)?;
    file.persist(&target).map_err(|e| fail(e.error))?;
    Ok(())
}

/// Whether a write failed because nobody reads any more, also when the error of the pipe is inside one of the CSV writer.
fn pipe_closed(error: &std::io::Error) -> bool {
    if error.kind() == std::io::ErrorKind::BrokenPipe {
        return true;
    }
    let inner = error.get_ref().and_then(|e| e.downcast_ref::<csv::Error>()).map(csv::Error::kind);
    matches!(inner, Some(csv::ErrorKind::Io(e)) if e.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Fills a file, compressed when the name ends in `.gz`.
fn compressed(
    path: &Path,
    file: &mut std::fs::File,
    fill: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut buffer = std::io::BufWriter::new(file);
    if path.extension().is_some_and(|e| e == "gz") {
        let mut gz = flate2::write::GzEncoder::new(&mut buffer, flate2::Compression::default());
        fill(&mut gz)?;
        gz.finish()?;
    } else {
        fill(&mut buffer)?;
    }
    buffer.flush()
}

/// Where a chain of links ends, whether there is a file or not.
fn followed(path: &Path) -> std::io::Result<PathBuf> {
    const MOST_LINKS: usize = 40;
    let mut at = path.to_path_buf();
    for _ in 0..MOST_LINKS {
        let Ok(next) = std::fs::read_link(&at) else { return Ok(at) };
        at = at.parent().map_or_else(PathBuf::new, Path::to_path_buf).join(next);
    }
    Err(std::io::Error::other("too many links"))
}

/// Refuses two names of one call that are the same file: what is written last would be all there is.
pub fn check_apart(first: (&str, Option<&Path>), second: (&str, Option<&Path>)) -> Result<(), Failure> {
    let ((a, Some(one)), (b, Some(other))) = (first, second) else { return Ok(()) };
    if one == Path::new("-") && other == Path::new("-") && a.starts_with("--") && b.starts_with("--") {
        return Err(usage(format!("{a} and {b} are both standard output")));
    }
    if one == Path::new("-") || other == Path::new("-") || !same(one, other) {
        return Ok(());
    }
    Err(usage(format!("{a} and {b} are the same file, {}", one.display())))
}

/// Whether two names are of one file, be it there or not.
fn same(one: &Path, other: &Path) -> bool {
    let place = |p: &Path| {
        let target = followed(p).ok()?;
        let name = target.file_name()?.to_owned();
        let folder = target.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Some((std::fs::canonicalize(folder).ok()?, name))
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let number =
            |p: &Path| std::fs::metadata(p).ok().filter(std::fs::Metadata::is_file).map(|m| (m.dev(), m.ino()));
        if number(one).is_some_and(|n| number(other) == Some(n)) {
            return true;
        }
    }
    one == other || place(one).is_some_and(|p| place(other) == Some(p))
}

/// Refuses a name whose ending is not among those allowed: what would be written is not what it says. Standard output,
/// devices and pipes have no ending.
pub fn check_ending(option: &str, path: Option<&Path>, allowed: &[&str]) -> Result<(), Failure> {
    let Some(path) = path.filter(|p| !is_stream(p)) else { return Ok(()) };
    let kind = crate::input::kind(path);
    if allowed.contains(&&*kind) {
        return Ok(());
    }
    let wanted: Vec<String> = allowed.iter().map(|e| format!(".{e}")).collect();
    let given = if kind.is_empty() { "has no ending".to_owned() } else { format!("ends in .{kind}") };
    Err(usage(format!("{option} {given}, allowed is {}", wanted.join(" or "))))
}

/// As [`check_ending`], of endings that are refused: those of other kinds of files.
pub fn check_not_ending(option: &str, path: Option<&Path>, refused: &[&str], is: &str) -> Result<(), Failure> {
    let Some(path) = path.filter(|p| !is_stream(p)) else { return Ok(()) };
    let kind = crate::input::kind(path);
    if refused.contains(&&*kind) {
        Err(usage(format!("{option} ends in .{kind}, what is written is {is}")))
    } else {
        Ok(())
    }
}

/// Endings of files that are no text tables.
pub const NO_TABLES: &[&str] = &["npy", "npz", "json", "jsonl", "bed", "parquet", "mtx", "fa", "fasta"];

/// Whether a name is standard output, or something that is there and neither a file nor a folder.
pub fn is_stream(path: &Path) -> bool {
    path == Path::new("-") || std::fs::metadata(path).is_ok_and(|m| !m.is_file() && !m.is_dir())
}

/// The cells of a line of a table: separated by commas and quoted as CSV has it, or by tabs in a file that ends in `.tsv`,
/// which has no quotes, so that a cell with a tab or a line break is an error.
pub fn line<S: AsRef<str>>(path: &Path, cells: &[S]) -> std::io::Result<String> {
    let cells: Vec<&str> = cells.iter().map(AsRef::as_ref).collect();
    if crate::input::kind(path) != "tsv" {
        return Ok(cells.iter().map(|c| cell(c)).collect::<Vec<_>>().join(","));
    }
    match cells.iter().find(|c| c.contains(['\t', '\n', '\r'])) {
        Some(c) => Err(std::io::Error::other(format!("{c:?} cannot stand in a .tsv file; .csv has quotes"))),
        None => Ok(cells.join("\t")),
    }
}

/// A text as a cell of CSV.
pub fn cell(text: &str) -> Cow<'_, str> {
    let blank = text.starts_with([' ', '\t']) || text.ends_with([' ', '\t']);
    if blank || text.contains([',', '"', '\n', '\r']) {
        Cow::Owned(format!("\"{}\"", text.replace('"', "\"\"")))
    } else {
        Cow::Borrowed(text)
    }
}

/// A little-endian `.npy` vector.
pub fn write_npy<T: npyz::AutoSerialize + Copy>(path: &Path, values: &[T]) -> Result<(), Failure> {
    use npyz::WriterBuilder;
    write(path, |out| {
        let mut npy = npyz::WriteOptions::new().default_dtype().shape(&[values.len() as u64]).writer(out).begin_nd()?;
        npy.extend(values.iter().copied())?;
        npy.finish()
    })
}

/// [`write_npy`] of values that are read one by one.
pub fn write_npy_from<T: npyz::AutoSerialize>(
    path: &Path,
    len: usize,
    mut next: impl FnMut() -> std::io::Result<T>,
) -> Result<(), Failure> {
    use npyz::WriterBuilder;
    write(path, |out| {
        let mut npy = npyz::WriteOptions::new().default_dtype().shape(&[len as u64]).writer(out).begin_nd()?;
        for _ in 0..len {
            npy.push(&next()?)?;
        }
        npy.finish()
    })
}

/// One array of an `.npz` file, row-major.
pub enum Array<'a> {
    Numbers {
        shape: Vec<u64>,
        values: &'a [f64],
    },
    /// Strings, as bytes of equal length with zeros at the end (`|S`).
    Names(&'a [&'a str]),
}

/// An uncompressed `.npz` file.
pub fn write_npz(path: &Path, arrays: &[(&str, Array<'_>)]) -> Result<(), Failure> {
    use npyz::WriterBuilder;
    let wrong = |e: &dyn std::fmt::Display| std::io::Error::other(e.to_string());
    let fill = || -> std::io::Result<Vec<u8>> {
        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        // A fixed date: the same result is the same file.
        let options = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored)
            .last_modified_time(zip::DateTime::default())
            .large_file(true);
        for (name, array) in arrays {
            archive.start_file(format!("{name}.npy"), options).map_err(|e| wrong(&e))?;
            match array {
                Array::Numbers { shape, values } => {
                    let builder = npyz::WriteOptions::new().default_dtype().shape(shape);
                    let mut npy = builder.writer(&mut archive).begin_nd()?;
                    npy.extend(values.iter().copied())?;
                    npy.finish()?;
                }
                Array::Names(names) => {
                    let longest = names.iter().map(|n| n.len()).max().unwrap_or(0).max(1);
                    let kind: npyz::TypeStr = format!("|S{longest}").parse().map_err(|e| wrong(&e))?;
                    let builder = npyz::WriteOptions::<Vec<u8>>::new();
                    let builder = builder.dtype(npyz::DType::Plain(kind)).shape(&[names.len() as u64]);
                    let mut npy = builder.writer(&mut archive).begin_nd()?;
                    for name in *names {
                        npy.push(&name.as_bytes().to_vec())?;
                    }
                    npy.finish()?;
                }
            }
        }
        Ok(archive.finish().map_err(|e| wrong(&e))?.into_inner())
    };
    let bytes = fill().map_err(|e| bad(format!("{}: {e}", path.display())))?;
    write(path, |out| out.write_all(&bytes))
}
