//! What strangers gave to the command line, and what it must not do with it in silence.
#![cfg(unix)]
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file; returns its path as a word.
    fn file(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        self.path(name).to_str().unwrap().to_owned()
    }

    fn word(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }
}

fn command(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_samplewise"));
    command.args(words);
    command
}

fn run(words: &[&str]) -> Output {
    command(words).output().unwrap()
}

/// Runs a call that must succeed; its object.
fn json(words: &[&str]) -> Value {
    let done = run(&[&["--json"], words].concat());
    assert!(done.status.success(), "{words:?}: {}", said(&done));
    serde_json::from_slice(&done.stdout).unwrap()
}

fn said(done: &Output) -> String {
    String::from_utf8_lossy(&done.stderr).into_owned()
}

/// A call that must fail with this code and these words.
fn refused(words: &[&str], code: i32, expected: &str) {
    let done = run(words);
    assert!(
        done.status.code() == Some(code) && said(&done).contains(expected),
        "{words:?} {:?}: {}",
        done.status,
        said(&done)
    );
}

/// A table of `n` rows: y = 1 + 2 a − b with a little noise.
fn table(n: usize) -> String {
    let rows = (0..n).map(|i| {
        let (a, b) = ((i * 7 % 13) as f64, (i * 5 % 11) as f64);
        format!("{a},{b},{}\n", 1.0 + 2.0 * a - b + 0.1 * ((i * i % 7) as f64 - 3.0))
    });
    format!("a,b,y\n{}", rows.collect::<String>())
}

/// A rank-one table, 70 % of it, with the given separator.
fn triplets(separator: char, name: impl Fn(usize, usize) -> (String, String)) -> String {
    let cells = (0..12).flat_map(|i| (0..10).map(move |j| (i, j))).filter(|(i, j)| (i * 7 + j * 11) % 10 < 7);
    cells
        .map(|(i, j)| {
            let (row, column) = name(i, j);
            format!("{row}{separator}{column}{separator}{}\n", (i + 1) * (j + 1))
        })
        .collect::<Vec<_>>()
        .concat()
}

/// TSV has no quotes, tabs make a TSV of any name, and blanks belong to quoted ids.
#[test]
fn quotes_and_blanks_of_ids() {
    let folder = Folder::new();
    let odd = |i: usize, j: usize| (format!("u{i}"), if j == 3 { "\"weird al".to_owned() } else { format!("a{j} ") });
    let text = triplets('\t', odd);
    for name in ["plays.tsv", "u.data"] {
        let file = folder.file(name, &text);
        let found = json(&["complete", &file, "--rank", "1", "--biases", "off"]);
        assert_eq!(found["result"]["observed"], text.lines().count(), "{name}: {found}");
        assert_eq!(found["result"]["columns"], 10, "{name}");
    }
    // A quote that opens and does not close would swallow lines.
    let file = folder.file("open.csv", "u,i,r\na,\"x,1\nb,x,2\n");
    refused(&["complete", &file], 1, "line 2: a quoted cell");
    let file = folder.file("blank.csv", "u,i,r\n\" a\",x,1\n\"a \",y,2\n a ,x,2\nb,y,4\n");
    assert_eq!(json(&["complete", &file, "--rank", "1", "--biases", "off"])["result"]["rows"], 4);
}

/// Ids that need quotes come back quoted, the first pair is a pair, unknown ids have no prediction.
#[test]
fn predictions_are_those_that_were_asked_for() {
    let folder = Folder::new();
    let file = folder.file("r.csv", &triplets(',', |i, j| (format!("\"user, {i}\""), format!("\"say \"\"{j}\"\"\""))));
    let pairs = folder.file("p.csv", "\"user, 0\",\"say \"\"1\"\"\"\nghost,\"say \"\"1\"\"\"\n");
    let out = folder.word("out.csv");
    let call = ["complete", &file, "--rank", "1", "--biases", "off", "--predict", &pairs, "--out", &out];
    let found = json(&call);
    assert_eq!(found["result"]["predictions"], serde_json::json!({"determined": 1, "undetermined": 0, "unknown": 1}));
    let mut reader = csv::Reader::from_path(&out).unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!((&rows[0][0], &rows[0][1], rows.len()), ("user, 0", "say \"1\"", 2));
    assert!((rows[0][2].parse::<f64>().unwrap() - 2.0).abs() < 1e-3 && rows[1][2].is_empty(), "{rows:?}");
    // Ids 0 and 1 without a header are a pair; so is a row called row.
    let file = folder.file("n.csv", &triplets(',', |i, j| (i.to_string(), j.to_string())));
    let pairs = folder.file("pn.csv", "0,1\n1,0\n2,2\n");
    json(&["complete", &file, "--rank", "1", "--predict", &pairs, "--out", &out]);
    assert_eq!(fs::read_to_string(&out).unwrap().lines().count(), 4);
    let file = folder.file(
        "w.csv",
        &triplets(',', |i, j| (format!("row{}", if i == 0 { String::new() } else { i.to_string() }), j.to_string())),
    );
    let pairs = folder.file("pw.csv", "row,1\nrow2,0\n");
    json(&["complete", &file, "--rank", "1", "--predict", &pairs, "--out", &out]);
    assert_eq!(fs::read_to_string(&out).unwrap().lines().count(), 3);
}

/// Pairs between blocks have no prediction, and the answer says how many groups there are.
#[test]
fn blocks_are_told_apart() {
    let folder = Folder::new();
    let block = |b: usize| {
        (0..14).flat_map(move |i| (0..14).map(move |j| (b, i, j))).filter(|(_, i, j)| (i * 3 + j * 5) % 7 < 5)
    };
    let text: String = [0, 1]
        .into_iter()
        .flat_map(block)
        .map(|(b, i, j)| format!("r{b}{i},c{b}{j},{}\n", (i + 1) * (j + 2)))
        .collect::<Vec<_>>()
        .concat();
    let file = folder.file("blocks.csv", &text);
    let pairs = folder.file("p.csv", "r00,c03\nr00,c13\n");
    let out = folder.word("out.csv");
    let call = [
        "complete",
        &file,
        "--rank",
        "1",
        "--biases",
        "off",
        "--tolerance",
        "1e-6",
        "--predict",
        &pairs,
        "--out",
        &out,
    ];
    let found = json(&call);
    assert_eq!(
        (&found["result"]["components"], &found["result"]["status"]),
        (&2.into(), &"verified_in_parts".into()),
        "{found}"
    );
    assert_eq!(found["result"]["predictions"]["undetermined"], 1);
    assert!(fs::read_to_string(&out).unwrap().ends_with("r00,c13,\n"));
    let done = run(&call);
    assert!(done.status.success() && said(&done).contains("2 groups"), "{}", said(&done));
}

/// Pairs that are given twice: refused with both lines, or united as asked.
#[test]
fn duplicates_follow_the_option() {
    let folder = Folder::new();
    let text = triplets(',', |i, j| (format!("u{i}"), format!("i{j}")));
    let file = folder.file("twice.csv", &format!("{text}u0,i0,3\n"));
    let line = text.lines().count() + 1;
    refused(
        &["complete", &file, "--rank", "1"],
        1,
        &format!("twice.csv:{line}:1: the pair was already given in line 1"),
    );
    refused(&["complete", &file, "--duplicates", "best"], 2, "error, mean, first, last, sum");
    for way in ["mean", "first", "last", "sum"] {
        let found = json(&["complete", &file, "--rank", "1", "--biases", "off", "--duplicates", way]);
        assert_eq!(found["result"]["observed"], line - 1, "{way}");
        if way == "first" {
            assert!(found["result"]["train_rmse"].as_f64().unwrap() < 1e-3, "{found}");
        }
    }
}

/// The first line of numbers: 0 to n − 1 is a header in tables of numbers, and options say otherwise.
#[test]
fn headers_of_numbers() {
    let folder = Folder::new();
    let body: String = table(40).lines().skip(1).fold(String::new(), |all, l| all + l + "\n");
    let with = folder.file("with.csv", &format!("0,1,2\n{body}"));
    let without = folder.file("without.csv", &body);
    for call in [
        &["lasso", "--target", "2", "--lambda", "0.1"][..],
        &["sensitivity", "--regress", "2", "--exact", "--intercept"],
    ] {
        let of = |file: &str, more: &[&str]| json(&[&call[..1], &[file], &call[1..], more].concat())["result"].clone();
        assert_eq!(of(&with, &[]), of(&without, &[]), "{call:?}");
        assert_eq!(of(&with, &["--header"]), of(&without, &[]), "{call:?}");
        assert_ne!(of(&with, &["--no-header"]), of(&without, &[]), "{call:?}");
    }
    let done = run(&["lasso", &with, "--target", "2"]);
    assert!(said(&done).contains("0 to 2, is taken as the header"), "{}", said(&done));
    // In triplets a first line of numbers is data.
    let file =
        folder.file("t.csv", &format!("0,1,2\n{}", triplets(',', |i, j| ((i + 5).to_string(), (j + 5).to_string()))));
    let observed = json(&["complete", &file, "--rank", "1"])["result"]["observed"].as_u64().unwrap();
    assert_eq!(observed as usize, fs::read_to_string(&file).unwrap().lines().count());
}

/// Columns of one name cannot be chosen by it, names may hold commas, columns without a name are named.
#[test]
fn names_of_columns() {
    let folder = Folder::new();
    let file = folder.file("twice.csv", "a,a,y\n1,5,2\n3,1,4\n5,0,5\n2,2,2\n");
    refused(&["sensitivity", &file, "--features", "a", "--regress", "y", "--exact"], 1, "both named \"a\"");
    refused(&["lasso", &file, "--target", "a"], 1, "both named \"a\"");
    assert!(run(&["sensitivity", &file, "--features", "1", "--regress", "y", "--exact"]).status.success());
    let file = folder.file("comma.csv", "\"a, b\",c,y\n1,2,3\n2,1,4\n3,5,1\n4,4,2\n");
    for features in ["a, b", "\"a, b\"", "\"a, b\",c"] {
        let found = json(&["sensitivity", &file, "--features", features, "--regress", "y", "--exact"]);
        assert_eq!(found["result"]["regression"]["coefficients"][0]["name"], "a, b", "{features}");
    }
    let file = folder.file("pandas.csv", ",a,y\n0,2,3\n1,1,4\n2,5,1\n3,4,2\n");
    let done = run(&["lasso", &file, "--target", "y"]);
    assert!(done.status.success() && said(&done).contains("column 0 has no name"), "{}", said(&done));
}

/// MatrixMarket with integers, patterns and blank lines; sizes that cannot be; vectors with a byte order mark, blanks and
/// integers.
#[test]
fn matrices_and_vectors() {
    let folder = Folder::new();
    let y = folder.file("y.txt", "\u{feff}1\n\n2\n 3 \n4\n");
    let rows = "4 2 4\n1 1 1\n2 2 1\n3 1 1\n4 2 1\n";
    for (kind, rows) in
        [("real", rows.to_owned()), ("integer", rows.to_owned()), ("pattern", rows.replace(" 1\n", "\n"))]
    {
        let file = folder.file("m.mtx", &format!("%%MatrixMarket matrix coordinate {kind} general\n%c\n\n{rows}"));
        let found = json(&["lasso", &file, "--target-file", &y, "--lambda", "0.1"]);
        assert_eq!(found["result"]["status"], "converged", "{kind} {found}");
    }
    let huge = folder.file("h.mtx", "%%MatrixMarket matrix coordinate real general\n4 99999999999 1\n1 1 1\n");
    refused(&["lasso", &huge, "--target-file", &y], 1, "line 2: columns is \"99999999999\"");
    let bad = folder.file("nan.txt", "1\n\n2\n\n3\nNaN\n");
    let file = folder.file("m.mtx", &format!("%%MatrixMarket matrix coordinate real general\n{rows}"));
    refused(&["lasso", &file, "--target-file", &bad], 1, "nan.txt:6:1: value NaN is not finite");
    let mut npy = b"\x93NUMPY\x01\x00\x76\x00{'descr': '<i8', 'fortran_order': False, 'shape': (4,), }".to_vec();
    npy.resize(10 + 0x76 - 1, b' ');
    npy.push(b'\n');
    (1_i64..=4).for_each(|v| npy.extend(v.to_le_bytes()));
    fs::write(folder.path("y.npy"), npy).unwrap();
    let found = json(&["lasso", &file, "--target-file", &folder.word("y.npy"), "--lambda", "0.1"]);
    assert_eq!(found, {
        let mut same = json(&["lasso", &file, "--target-file", &y, "--lambda", "0.1"]);
        same["report"] = found["report"].clone();
        same
    });
}

/// FASTA behind blank lines, marks and comments; FASTQ from standard input; records of equal names; N runs; JSON lines.
#[test]
fn texts_to_search_in() {
    let folder = Folder::new();
    for before in ["", "\n", "\u{feff}", "; note\n"] {
        let file = folder.file("t.fa", &format!("{before}>s1 x\nGATT\nACA\n>s2\nGATTACA\n"));
        let found = json(&["hamming", &file, "GATTACA", "--literal", "--max-distance", "0"]);
        let hits: Vec<&str> =
            found["result"]["hits"].as_array().unwrap().iter().map(|h| h["record"].as_str().unwrap()).collect();
        assert_eq!(hits, ["s1", "s2"], "{before:?}");
    }
    let reads = "@r1\nGATTACA\n+\nGATTACA\n";
    let mut child = command(&["hamming", "-", "GATTACA", "--literal", "--max-distance", "0", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), reads.as_bytes()).unwrap();
    let found: Value = serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(found["result"]["hits"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(found["result"]["hits"][0]["record"], "r1");
    // Vectors of records a, a, a.2 and A are four files.
    let file = folder.file("names.fa", ">a\nGATTACA\n>a\nGATTAC\n>a.2\nGATTA\n>A\nGATT\n");
    let out = folder.word("out");
    assert!(run(&["hamming", &file, "GATT", "--literal", "--out", &out]).status.success());
    assert_eq!(fs::read_dir(&out).unwrap().count(), 4);
    // Runs of N are no hits unless they are asked for.
    let file = folder.file("n.fa", &format!(">chr\n{}GATTACAGG{}\n", "N".repeat(500), "N".repeat(500)));
    let hits = |more: &[&str]| {
        let call = ["hamming", &file, "GATTACANG", "--literal", "--alphabet", "iupac", "--max-distance", "1"];
        json(&[&call[..], more].concat())["result"]["hits"].as_array().unwrap().len()
    };
    assert_eq!(hits(&[]), 1);
    assert!(hits(&["--text-n", "match"]) > 900);
    // Hits as lines of JSON.
    let lines = folder.word("hits.json");
    json(&["hamming", &file, "GATTACA", "--literal", "--max-distance", "0", "--out", &lines]);
    let object: Value = serde_json::from_str(fs::read_to_string(&lines).unwrap().trim()).unwrap();
    assert_eq!((&object["record"], &object["position"]), (&"chr".into(), &500.into()));
    refused(
        &["hamming", &file, "GATT", "--literal", "--max-distance", "0", "--out", &folder.word("h.npy")],
        2,
        "--out ends in .npy",
    );
}

/// Outputs are written into what is there: links are followed, modes kept, pipes written to, inputs not overwritten.
#[test]
fn outputs_respect_what_is_there() {
    let folder = Folder::new();
    let file = folder.file("t.csv", &table(200));
    let call = |out: &str| run(&["sensitivity", &file, "--regress", "y", "--size", "20", "--out", out]);
    fs::create_dir(folder.path("real")).unwrap();
    folder.file("real/old.csv", "old");
    std::os::unix::fs::symlink("real/old.csv", folder.path("link.csv")).unwrap();
    assert!(call(&folder.word("link.csv")).status.success());
    assert!(fs::symlink_metadata(folder.path("link.csv")).unwrap().is_symlink());
    assert!(fs::read_to_string(folder.path("real/old.csv")).unwrap().starts_with("row,weight"));
    // A link to what is not there yet makes it.
    std::os::unix::fs::symlink("real/new.csv", folder.path("fresh.csv")).unwrap();
    assert!(call(&folder.word("fresh.csv")).status.success() && folder.path("real/new.csv").is_file());
    folder.file("private.csv", "secret");
    fs::set_permissions(folder.path("private.csv"), fs::Permissions::from_mode(0o600)).unwrap();
    assert!(call(&folder.word("private.csv")).status.success());
    assert_eq!(fs::metadata(folder.path("private.csv")).unwrap().mode() & 0o777, 0o600);
    let pipe = folder.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::read_to_string(pipe).unwrap()
    });
    assert!(call(pipe.to_str().unwrap()).status.success());
    assert!(reader.join().unwrap().starts_with("row,weight"));
    assert!(fs::symlink_metadata(&pipe).unwrap().file_type().is_fifo());
    assert!(call("/dev/null").status.success() && fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    // What is read again must not be written over, by whatever name.
    std::os::unix::fs::symlink("t.csv", folder.path("same.csv")).unwrap();
    for out in [&file, &folder.word("same.csv"), &folder.word("./real/../t.csv")] {
        refused(
            &["sensitivity", &file, "--regress", "y", "--size", "20", "--stream", "--out", out],
            2,
            "are the same file",
        );
    }
    let one = folder.word("x.txt");
    refused(
        &["wht", "plan", "--variables", "8", "--sparsity", "2", "--out", &one, "--queries", &one],
        2,
        "the same file",
    );
}

/// Names that are no text, closed pipes, and options in the words of the command line.
#[test]
fn odd_surroundings() {
    let folder = Folder::new();
    let name = |ending: &str| {
        let mut bytes = folder.path("caf").as_os_str().as_bytes().to_vec();
        bytes.extend(b"\xe9.");
        bytes.extend(ending.as_bytes());
        PathBuf::from(OsStr::from_bytes(&bytes))
    };
    fs::write(name("csv"), table(60)).unwrap();
    fs::write(name("fa"), ">s\nGATTACA\n").unwrap();
    fs::write(folder.path("t.csv"), triplets(',', |i, j| (i.to_string(), j.to_string()))).unwrap();
    let with = |file: &Path, before: &[&str], after: &[&str]| {
        let mut command = command(before);
        command.arg(file).args(after).arg("--json");
        command.output().unwrap()
    };
    for (ending, before, after) in [
        ("csv", &["sensitivity"][..], &["--regress", "y"][..]),
        ("csv", &["sensitivity"], &["--regress", "y", "--stream", "--size", "30"]),
        ("csv", &["lasso"], &["--target", "y"]),
        ("csv", &["complete"], &["--rank", "1", "--biases", "off", "--duplicates", "mean"]),
        ("fa", &["hamming"], &["GATT", "--literal"]),
    ] {
        let done = with(&name(ending), before, after);
        assert!(done.status.success(), "{before:?}: {}", said(&done));
    }
    // A reader that closes its pipe is no error.
    let file = folder.file("many.csv", &table(3_000));
    let mut child = command(&["sensitivity", &file, "--regress", "y", "--size", "2000", "--out", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{}", said(&done));
    let triplets = folder.word("t.csv");
    refused(&["complete", &triplets, "--holdout", "0.9"], 2, "--holdout is 0.9");
    refused(&["complete", &triplets, "--rank", "99"], 2, "--rank is 99");
    refused(&["lasso", &file, "--target", "y", "--elastic-net", "2"], 2, "--elastic-net is 2");
    refused(&["lasso", &file, "--target", "y", "--cv", "1"], 2, "--cv is 1");
    refused(&["lasso", &file, "--target", "y", "--lambda", "0"], 2, "--lambda is 0");
    refused(&["sensitivity", &file, "--regress", "y", "--quantile", "1.5", "--exact"], 2, "--quantile is 1.5");
    refused(&["sensitivity", &file, "--p", "0.5"], 2, "--p is 0.5");
}

/// Every result has a status in words and every report an ending; what did not converge is told twice.
#[test]
fn endings_are_told() {
    let folder = Folder::new();
    let file = folder.file("t.csv", &table(60));
    let text = folder.file("t.fa", ">s\nGATTACA\n");
    let triplets = folder.file("r.csv", &triplets(',', |i, j| (i.to_string(), j.to_string())));
    for call in [
        &["lasso", &file, "--target", "y"][..],
        &["sensitivity", &file],
        &["sensitivity", &file, "--regress", "y", "--exact"],
        &["sensitivity", &file, "--stream", "--size", "30"],
        &["hamming", &text, "GATT", "--literal"],
        &["complete", &triplets, "--rank", "1"],
        &["complete", &triplets, "--rank", "1", "--solver", "gibbs"],
        &["wht", "exec", "--variables", "6", "--", "sed", "-u", "s/.*/1/"],
        &["info"],
    ] {
        let found = json(call);
        assert!(found["result"]["status"].is_string(), "{call:?} {found}");
        assert_eq!(found["report"]["ending"], "finished", "{call:?} {found}");
    }
    // One step is not enough, and the answer says so in the table and on standard error.
    let done = run(&["complete", &triplets, "--rank", "2", "--max-iterations", "1", "--tolerance", "1e-12"]);
    assert!(done.status.success() && String::from_utf8_lossy(&done.stdout).contains("limit"), "{}", said(&done));
    assert!(said(&done).contains("warning"), "{}", said(&done));
    let wide: String = (0..6)
        .map(|i| (0..30).map(|j| format!("{}", (i * 7 + j * j * 3) % 11)).collect::<Vec<_>>().join(",") + "\n")
        .collect();
    let file = folder.file("wide.csv", &wide);
    let found = json(&["lasso", &file, "--target", "29", "--tolerance", "1e-17", "--lambda", "0.001"]);
    if found["result"]["status"] == "limit" {
        let done = run(&["lasso", &file, "--target", "29", "--tolerance", "1e-17", "--lambda", "0.001"]);
        assert!(done.status.success() && said(&done).contains("did not converge"), "{}", said(&done));
    }
}

/// Questions have a ceiling, constants cost few of them, and a test table is compared by its names.
#[test]
fn questions_and_tasks() {
    let constant = |value: &str, more: &[&str]| {
        let call = ["wht", "exec", "--variables", "70"];
        let program = ["--", "sed", "-u", &format!("s/.*/{value}/")];
        json(&[&call[..], more, &program[..]].concat())
    };
    for more in [&[][..], &["--noise-std", "auto"], &["--noise-std", "0.1"], &["--degree", "3"]] {
        let found = constant("0", more);
        assert!(found["result"]["samples"].as_u64().unwrap() <= 3_000, "{more:?} {found}");
        assert_eq!(found["result"]["status"], "verified", "{more:?} {found}");
        let verified = &found["result"]["verified"];
        assert!(verified["r2"].is_null() && verified["r2_at_least"].is_null(), "{more:?} {found}");
        let (m, delta) = (verified["holdout_samples"].as_f64().unwrap(), verified["delta"].as_f64().unwrap());
        assert!((verified["differs_at_most"].as_f64().unwrap() - -delta.ln() / m).abs() < 1e-12, "{more:?} {found}");
        assert!(found["result"]["coefficients"].as_array().unwrap().is_empty());
    }
    assert_eq!(constant("3.5", &[])["result"]["coefficients"][0]["set"], serde_json::json!([]));
    // A function of many coefficients: the ceiling ends the search, with the answer so far.
    let noise = r"import sys
for line in sys.stdin: print(hash(line) % 1000, flush=True)";
    let call = ["wht", "exec", "--variables", "20", "--max-queries", "2000", "--", "python3", "-c", noise];
    let found = json(&call);
    assert!(found["result"]["samples"].as_u64().unwrap() <= 2_000, "{found}");
    assert_eq!((&found["report"]["ending"], &found["result"]["complete"]), (&"limit".into(), &false.into()), "{found}");
    refused(
        &["wht", "exec", "--variables", "20", "--sparsity", "500", "--max-queries", "10", "--", "true"],
        2,
        "--max-queries is 10",
    );

    let folder = Folder::new();
    fs::create_dir(folder.path("tasks")).unwrap();
    for (task, w) in [("target", 1.0), ("New York, NY", 2.0), ("c", -1.0), ("d", 0.5)] {
        let rows: String = (0..40)
            .map(|i| {
                let (a, b) = (f64::from((i * 7 + 3) % 13), f64::from((i * 5) % 11));
                format!("{a},{b},{}\n", w * (a - b) + 0.01 * f64::from(i % 3))
            })
            .collect::<Vec<_>>()
            .concat();
        folder.file(&format!("tasks/{task}.csv"), &format!("a,b,y\n{rows}"));
    }
    let tasks = folder.word("tasks");
    let swapped = folder.file("swapped.csv", "b,a,y\n1,2,1\n2,5,3\n");
    refused(&["mtrl", &tasks, "--target", "target", "--test", &swapped], 1, "feature 1 is b");
    let out = folder.word("rel.csv");
    assert_eq!(json(&["mtrl", &tasks, "--target", "target", "--out", &out])["result"]["status"], "fitted");
    let rows: Vec<csv::StringRecord> = csv::Reader::from_path(&out).unwrap().records().map(Result::unwrap).collect();
    assert!(rows.iter().any(|r| &r[0] == "New York, NY" && r.len() == 4), "{rows:?}");
}

/// Test triplets and pairs are taken by the names that the triplets gave their columns.
#[test]
fn columns_are_found_by_name() {
    let folder = Folder::new();
    let cells = || (0..12).flat_map(|i| (0..9).map(move |j| (i, j))).filter(|(i, j)| (i * 2 + j) % 3 > 0);
    let value = |i: usize, j: usize| (1 + i) * (2 + j);
    let write = |order: [usize; 3]| {
        let line = |cells: [String; 3]| order.map(|k| cells[k].clone()).join(",");
        let names = line(["user", "item", "rating"].map(str::to_owned));
        cells().fold(names, |all, (i, j)| all + "\n" + &line([i.to_string(), j.to_string(), value(i, j).to_string()]))
    };
    let train = folder.file("train.csv", &write([0, 1, 2]));
    for (k, order) in [[0, 1, 2], [1, 0, 2], [2, 0, 1]].into_iter().enumerate() {
        let test = folder.file(&format!("test{k}.csv"), &write(order));
        let call = ["complete", &train, "--rank", "1", "--biases", "off", "--lambda", "0", "--test", &test];
        let rmse = json(&call)["result"]["test_rmse"].as_f64().unwrap();
        assert!(rmse < 1e-6, "{order:?}: {rmse}");
    }
    let pairs = folder.file("pairs.csv", "item,user\n3,11\n8,0\n");
    let out = folder.word("out.csv");
    let call = ["complete", &train, "--rank", "1", "--biases", "off", "--predict", &pairs, "--out", &out];
    json(&call);
    let found = fs::read_to_string(&out).unwrap();
    assert!(found.starts_with("row,column,prediction\n11,3,"), "{found}");
    let odd = folder.file("odd.csv", "item,user,score\n3,11,60\n");
    refused(&["complete", &train, "--rank", "1", "--test", &odd], 1, "--columns says which is which");
}

/// A name says what is written, and streams are written wherever a file may be.
#[test]
fn endings_say_what_is_written() {
    let folder = Folder::new();
    let data = folder.file("t.csv", &table(40));
    let text = folder.file("s.fa", ">s\nGATTACAGATTACA\n");
    let coefficients = run(&["lasso", &data, "--target", "y", "--out", "-"]);
    assert!(coefficients.stdout.starts_with(b"lambda,column,coefficient\n"), "{}", said(&coefficients));
    let tabs = folder.word("c.tsv");
    json(&["sensitivity", &data, "--size", "9", "--out", &tabs]);
    assert!(fs::read_to_string(&tabs).unwrap().starts_with("row\tweight\t"));
    json(&["sensitivity", &tabs, "--size", "3"]);
    refused(&["sensitivity", &data, "--size", "9", "--out", "-", "--scores", "-"], 2, "both standard output");
    refused(&["sensitivity", &data, "--size", "9", "--out", &folder.word("c.npy")], 2, "a table");
    refused(&["hamming", &text, "GATT", "--literal", "--out", &folder.word("o.bed")], 2, "a vector, .npy");
    refused(&["hamming", &text, "GATT", "--literal", "--both-strands", "--out", "-"], 2, "must be a folder");
    refused(&["lasso", &data, "--target", "y", "--path", "5000000000"], 2, "1 to 100000");
    refused(&["lasso", &data, "--target", "y", "--out", &folder.word("c.npy")], 2, ".csv or .tsv");
    let hits = folder.word("h.csv");
    json(&["hamming", &text, "GATT", "--literal", "--max-distance", "0", "--out", &hits]);
    assert_eq!(fs::read_to_string(&hits).unwrap().lines().next(), Some("s,0,+,0,pattern"));
}

/// Ctrl-C ends a wait for standard input.
#[test]
fn waits_for_standard_input_end() {
    for words in [["sensitivity", "-", "--size", "3"], ["hamming", "-", "GATT", "--literal"]] {
        let mut child =
            command(&words).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(800));
        let number = child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &number]).status().unwrap().success());
        let begin = std::time::Instant::now();
        // Waiting for a child closes its standard input, whose end may then come first.
        let input = child.stdin.take();
        let status = child.wait().unwrap();
        drop(input);
        assert_eq!(status.code(), Some(130), "{words:?}");
        assert!(begin.elapsed() < std::time::Duration::from_secs(20), "{words:?}");
    }
}
