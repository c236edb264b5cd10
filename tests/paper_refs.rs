//! `paper-refs.md` is checked, not believed: every row names items that exist and know of it, and tests that exist.
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path, out: &mut String) {
    for entry in fs::read_dir(folder).expect("a source folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push_str(&fs::read_to_string(path).expect("a source file"));
        }
    }
}

/// What stands in backquotes.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// The documentation of an item that is cited as `crate/path.rs:item`, as one line.
///
/// # Panics
/// Where there is no such file or item.
fn documentation(cited: &str) -> String {
    let (file, item) = cited.split_once(':').unwrap_or_else(|| panic!("{cited} is not crate/path.rs:item"));
    let (package, path) = file.split_once('/').unwrap_or_else(|| panic!("{cited} names no crate"));
    let path = root().join("crates").join(package).join("src").join(path);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{cited}: {e}"));
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let begins = |line: &str| {
        let words = ["fn", "struct", "enum", "trait"].map(|kind| format!("{kind} {item}"));
        let rest = words.iter().find_map(|w| line.find(w.as_str()).map(|at| (&line[..at], &line[at + w.len()..])));
        rest.is_some_and(|(before, after)| {
            let visible = before.split_whitespace().all(|w| w == "const" || w == "unsafe" || w.starts_with("pub"));
            visible && !after.starts_with(|c: char| c.is_alphanumeric() || c == '_')
        })
    };
    let at = lines.iter().position(|l| begins(l)).unwrap_or_else(|| panic!("{cited}: no such item"));
    let above = lines[..at].iter().rev().take_while(|l| l.starts_with("///") || l.starts_with("#["));
    let mut above: Vec<&str> = above.copied().filter(|l| l.starts_with("///")).collect();
    above.reverse();
    above.iter().map(|l| l.trim_start_matches('/').trim()).collect::<Vec<_>>().join(" ")
}

/// Whether a text has the id of a row, alone or within a range such as "SEN-1 to SEN-3".
fn names(text: &str, id: &str) -> bool {
    let (family, number) = id.split_once('-').expect("an id like LA-1");
    let number: usize = number.parse().expect("a number");
    let ends = |rest: &str| -> Option<usize> {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    };
    let word = format!("{family}-");
    text.match_indices(&word).any(|(at, _)| {
        let rest = &text[at + word.len()..];
        let Some(first) = ends(rest) else { return false };
        let to = rest[first.to_string().len()..].strip_prefix(&format!(" to {word}")).and_then(ends);
        (first..=to.unwrap_or(first)).contains(&number)
    })
}

#[test]
fn every_row_has_its_code_and_its_tests() {
    let table = fs::read_to_string(root().join("paper-refs.md")).expect("the table");
    let mut code = String::new();
    ["crates", "tests"].iter().for_each(|folder| sources(&root().join(folder), &mut code));
    let mut rows = 0;
    let is_row = |l: &&str| l.starts_with("| ") && l.split_once('-').is_some_and(|(a, _)| a.len() <= 6);
    for line in table.lines().filter(is_row).filter(|l| !l.starts_with("| id")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, id, source, printed, result, items, tests, ..] = cells[..] else { panic!("too few cells: {line}") };
        assert!(!source.is_empty() && !printed.is_empty() && !result.is_empty(), "{id} has an empty cell");
        let (items, tests) = (quoted(items), quoted(tests));
        assert!(!items.is_empty() && !tests.is_empty(), "{id} has no code or no test");
        for item in items {
            let documentation = documentation(item);
            assert!(names(&documentation, id), "{id}: the documentation of {item} does not name it: {documentation}");
        }
        for name in tests {
            assert!(code.contains(&format!("fn {name}(")), "{id} names the test {name}, which does not exist");
        }
        rows += 1;
    }
    assert!(rows >= 90, "{rows} rows");
}

#[test]
fn the_glossary_names_items_that_exist() {
    let table = fs::read_to_string(root().join("paper-refs.md")).expect("the table");
    let (_, glossary) = table.split_once("## Words of the papers and ours").expect("the glossary");
    let mut words = 0;
    for line in glossary.lines().filter(|l| l.starts_with("| arXiv")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        quoted(cells[4]).into_iter().for_each(|item| drop(documentation(item)));
        words += 1;
    }
    assert!(words >= 10, "{words} words");
}
