//! Writing results: a temporary file beside the target, then a rename; `.gz` by name; `-` is standard output, and the
//! answer then goes to standard error.
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::session::{Failure, bad};

/// True when data went to standard output: the table or the JSON object then goes to standard error.
pub static STANDARD_OUTPUT_TAKEN: AtomicBool = AtomicBool::new(false);

pub fn write(path: &Path, fill: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<(), Failure> {
    let fail = |e: std::io::Error| bad(format!("{}: {e}", path.display()));
    if path == Path::new("-") {
        STANDARD_OUTPUT_TAKEN.store(true, Ordering::SeqCst);
        return fill(&mut std::io::stdout().lock()).map_err(fail);
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        // Temporary files are private; a result has the permissions of any new file.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder).map_err(fail)?;
    {
        let mut buffer = std::io::BufWriter::new(file.as_file_mut());
        if path.extension().is_some_and(|e| e == "gz") {
            let mut gz = flate2::write::GzEncoder::new(&mut buffer, flate2::Compression::default());
            fill(&mut gz).map_err(fail)?;
            gz.finish().map_err(fail)?;
        } else {
            fill(&mut buffer).map_err(fail)?;
        }
        buffer.flush().map_err(fail)?;
    }
    file.persist(path).map_err(|e| fail(e.error))?;
    Ok(())
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
