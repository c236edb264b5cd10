//! `paper-refs.md` is checked, not believed: every row names tests that exist, and every row id stands in the sources.
use std::fs;
use std::path::Path;

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

#[test]
fn every_row_has_its_tests_and_its_place_in_the_code() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = fs::read_to_string(root.join("paper-refs.md")).expect("the table");
    let mut code = String::new();
    sources(&root.join("crates"), &mut code);
    let mut rows = 0;
    for line in table.lines().filter(|l| l.starts_with("| ") && l.contains('-') && !l.starts_with("| id")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let (id, tests) = (cells[1], cells[5]);
        let names: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "{id} has no test");
        for name in names {
            assert!(code.contains(&format!("fn {name}(")), "{id} names the test {name}, which does not exist");
        }
        let (family, number) = id.split_once('-').expect("an id like LA-1");
        let number: usize = number.parse().expect("a number");
        // A range such as "rows SEN-1 to SEN-3" or "HAM-2 to HAM-4" names its inner rows too.
        let named = code.contains(id)
            || (1..number).any(|a| (number + 1..20).any(|b| code.contains(&format!("{family}-{a} to {family}-{b}"))));
        assert!(named, "{id} stands nowhere in the sources");
        rows += 1;
    }
    assert!(rows >= 25, "{rows} rows");
}
