//! Texts to search in: FASTA, FASTQ or raw bytes, record by record in constant memory.
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::Path;

use crate::failure::{Failure, bad};
use crate::input::{damaged, kind, open};

/// What a text consists of, in order.
pub enum Piece<'a> {
    /// A record begins.
    Record(String),
    /// The next of its symbols.
    Symbols(&'a [u8]),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Fasta,
    Fastq,
    Raw,
}

/// Bytes at the beginning of a text that decide what it is.
const HEAD: usize = 1 << 16;

/// Reads a text piece by piece: FASTA and FASTQ by the ending of the name, other names and standard input by what they begin
/// with, else the raw bytes without final line breaks as one record; gzip is decompressed. `take` returns false to stop.
pub fn text(path: &Path, take: impl FnMut(Piece<'_>) -> Result<bool, Failure>) -> Result<(), Failure> {
    let (reader, gz) = open(path)?;
    text_of(reader, &path.display().to_string(), &kind(path), gz, take)
}

/// [`text`] of an open stream.
pub fn text_of(
    mut reader: impl BufRead + Send,
    name: &str,
    ending: &str,
    gz: bool,
    mut take: impl FnMut(Piece<'_>) -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let fail = |e: std::io::Error| damaged(name, gz, &e);
    let mut head = Vec::new();
    (&mut reader).take(HEAD as u64).read_to_end(&mut head).map_err(fail)?;
    if head.is_empty() {
        return Err(bad(format!("{name}: the file is empty")));
    }
    let format = match ending {
        "fq" | "fastq" => Format::Fastq,
        "fa" | "fasta" | "fna" | "ffn" | "frn" => Format::Fasta,
        _ => sniff(&head),
    };
    let skipped = if format == Format::Raw { 0 } else { before_the_first(&head, format) };
    if format == Format::Fasta && head.get(skipped).is_none_or(|b| *b != b'>') {
        return Err(bad(format!("{name}: no record begins with '>'")));
    }
    let rest = Cursor::new(head[skipped..].to_vec()).chain(reader);
    let mut reader = BufReader::with_capacity(1 << 20, rest);
    if format == Format::Fastq {
        let mut records = needletail::parse_fastx_reader(reader).map_err(|e| bad(format!("{name}: {e}")))?;
        while let Some(record) = records.next() {
            let record = record.map_err(|e| bad(format!("{name}: {e}")))?;
            if !take(Piece::Record(first_word(record.id())))? || !take(Piece::Symbols(&record.seq()))? {
                break;
            }
        }
        return Ok(());
    }
    let fasta = format == Format::Fasta;
    if !fasta && !take(Piece::Record(name.to_owned()))? {
        return Ok(());
    }
    // Of a FASTA file: whether a line begins, and the header that is being read. Of raw bytes: line breaks that may be final.
    let (mut line_start, mut header, mut held) = (true, None::<Vec<u8>>, Vec::new());
    loop {
        let buffer = reader.fill_buf().map_err(fail)?;
        let len = buffer.len();
        if len == 0 {
            break;
        }
        let mut goes_on = true;
        if fasta {
            for line in buffer.split_inclusive(|&b| b == b'\n') {
                if line_start && line[0] == b'>' {
                    header = Some(Vec::new());
                }
                line_start = line.ends_with(b"\n");
                if let Some(h) = &mut header {
                    h.extend_from_slice(line);
                    if line_start && let Some(h) = header.take() {
                        goes_on = take(Piece::Record(first_word(&h[1..])))?;
                    }
                } else {
                    for part in line.split(u8::is_ascii_whitespace).filter(|part| !part.is_empty()) {
                        goes_on = take(Piece::Symbols(part))?;
                    }
                }
                if !goes_on {
                    return Ok(());
                }
            }
        } else {
            let end = buffer.iter().rposition(|b| !b"\r\n".contains(b)).map_or(0, |i| i + 1);
            if end > 0 {
                goes_on = (held.is_empty() || take(Piece::Symbols(&held))?) && take(Piece::Symbols(&buffer[..end]))?;
                held.clear();
            }
            held.extend_from_slice(&buffer[end..]);
        }
        if !goes_on {
            return Ok(());
        }
        reader.consume(len);
    }
    if let Some(h) = header {
        take(Piece::Record(first_word(&h[1..])))?;
    }
    Ok(())
}

/// What a text is by its beginning: FASTA where the first line that is neither blank nor a comment begins with `>`, FASTQ
/// where it begins with `@` and the second one after it with `+`.
fn sniff(head: &[u8]) -> Format {
    let fasta = before_the_first(head, Format::Fasta);
    if head.get(fasta) == Some(&b'>') {
        return Format::Fasta;
    }
    let fastq = before_the_first(head, Format::Fastq);
    let mut lines = head[fastq..].split(|b| *b == b'\n');
    let (first, third) = (lines.next(), lines.nth(1));
    let begins = |line: Option<&[u8]>, with: u8| line.is_some_and(|l| l.first() == Some(&with));
    if begins(first, b'@') && begins(third, b'+') { Format::Fastq } else { Format::Raw }
}

/// Bytes before the first record: a byte order mark, blank lines and, in FASTA, lines that begin with `;` or `#`.
fn before_the_first(head: &[u8], format: Format) -> usize {
    let mut at = if head.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
    while at < head.len() {
        let line = head[at..].split_inclusive(|b| *b == b'\n').next().unwrap_or_default();
        let blank = line.iter().all(u8::is_ascii_whitespace);
        let comment = format == Format::Fasta && matches!(line.first(), Some(b';' | b'#'));
        if !blank && !comment {
            break;
        }
        at += line.len();
    }
    at
}

fn first_word(header: &[u8]) -> String {
    String::from_utf8_lossy(header).split_whitespace().next().unwrap_or("").to_owned()
}

/// Records `(name, sequence)` of a [`text`] as a whole.
pub fn sequences(path: &Path) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let (reader, gz) = open(path)?;
    sequences_of(reader, &path.display().to_string(), &kind(path), gz)
}

/// [`sequences`] of an open stream.
pub fn sequences_of(
    reader: impl BufRead + Send,
    name: &str,
    ending: &str,
    gz: bool,
) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let mut out: Vec<(String, Vec<u8>)> = Vec::new();
    text_of(reader, name, ending, gz, |piece| {
        match piece {
            Piece::Record(name) => out.push((name, Vec::new())),
            Piece::Symbols(part) => out.last_mut().expect("a record began").1.extend_from_slice(part),
        }
        Ok(true)
    })?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, ending: &str) -> Result<Vec<(String, String)>, Failure> {
        let found = sequences_of(text.as_bytes(), "file", ending, false)?;
        Ok(found.into_iter().map(|(n, s)| (n, String::from_utf8(s).unwrap())).collect())
    }

    #[test]
    fn what_stands_before_the_first_record_is_no_sequence() {
        let wanted = [("a".to_owned(), "ACGT".to_owned()), ("b".to_owned(), "TT".to_owned())];
        for before in ["", "\n\n", "\u{feff}", "; made by hand\n", "\r\n# x\n\n"] {
            for ending in ["fa", "", "txt"] {
                assert_eq!(read(&format!("{before}>a one\nAC\nGT\n>b\nTT\n"), ending).unwrap(), wanted, "{before:?}");
            }
        }
        let reads = "@a\nACGT\n+\nIIII\n@b\nTT\n+\n@@\n";
        for ending in ["fq", "", "txt"] {
            assert_eq!(read(reads, ending).unwrap(), wanted);
        }
        assert_eq!(read("@home and\nno FASTQ\n", "").unwrap(), [("file".to_owned(), "@home and\nno FASTQ".to_owned())]);
        assert!(read("ACGT\n", "fa").is_err() && read("", "").is_err());
    }
}
