//! `samplewise wht fit|predict`, as people with a spreadsheet of variants run them.
use std::path::Path;
use std::process::{Command, Output};

use samplewise_testkit::fixtures;
use serde_json::Value;

fn run(folder: &Path, words: &str) -> Output {
    let all: Vec<&str> = words.split_whitespace().collect();
    let mut command = Command::new(env!("CARGO_BIN_EXE_samplewise"));
    command.current_dir(folder).arg("wht").args(all).arg("--quiet").output().expect("the binary starts")
}

fn text(folder: &Path, words: &str) -> String {
    let out = run(folder, words);
    assert!(out.status.success(), "{words}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

fn json(folder: &Path, words: &str) -> Value {
    serde_json::from_str(&text(folder, &format!("{words} --json"))).expect("one JSON object")
}

/// Exit code and message of a call that fails.
fn refused(folder: &Path, words: &str) -> (i32, String) {
    let out = run(folder, words);
    (out.status.code().unwrap_or(-1), String::from_utf8_lossy(&out.stderr).into_owned())
}

/// Words of four letters whose value is one effect and one pair.
fn words(folder: &Path, header: &str) -> Vec<(String, f64)> {
    let mut rows = Vec::new();
    for j in 0..120_usize {
        let word: String = (0..4)
            .map(|i| {
                "ACGT".as_bytes()[(j as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15 >> i) as usize >> (20 + 7 * i) & 3]
                    as char
            })
            .collect();
        let letters: Vec<char> = word.chars().collect();
        let pair = if letters[1] == letters[2] { 2.0 } else { 0.0 };
        let value = pair + if letters[0] == 'G' { 1.0 } else { 0.0 } + 0.01 * ((j * 37 % 11) as f64 - 5.0);
        rows.push((word, value));
    }
    let lines: Vec<String> = rows.iter().map(|(w, v)| format!("{w},{v}")).collect();
    std::fs::write(folder.join("words.csv"), format!("{header}{}\n", lines.join("\n"))).unwrap();
    rows
}

/// A model is learned, said, stored, and predicts the same from its file; the same for every number of threads.
#[test]
fn tables_of_words_are_learned_and_predicted() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let rows = words(folder, "variant,score\n");
    let call = "fit words.csv --alphabet ACGT --out model.json --plot effects.svg --next 3 --effects";
    let one = json(folder, &format!("{call} --threads 1"));
    let stored = std::fs::read(folder.join("model.json")).unwrap();
    let three = json(folder, &format!("{call} --threads 3"));
    assert_eq!(one["result"], three["result"]);
    assert_eq!(stored, std::fs::read(folder.join("model.json")).unwrap(), "the same model is the same file");
    let r = &one["result"];
    assert_eq!((r["status"].as_str(), r["rows"].as_u64()), (Some("predictive"), Some(120)));
    assert!(r["held_out_r2"].as_f64().unwrap() > 0.9 && r["noise_std"].as_f64().unwrap() < 0.5, "{r}");
    let shares = ["additive", "pairs", "higher"].map(|k| r["variance"][k].as_f64().unwrap());
    assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9 && shares[1] > 0.3, "{shares:?}");
    assert_eq!(r["interactions"][0]["positions"], serde_json::json!(["2", "3"]));
    assert_eq!(r["next"].as_array().unwrap().len(), 3);
    let people = text(folder, call);
    for part in ["120 rows", "variance: single positions", "to measure next:", "2:", "status predictive, finished"] {
        assert!(people.contains(part), "{part}: {people}");
    }
    assert!(std::fs::read_to_string(folder.join("effects.svg")).unwrap().starts_with("<svg"));
    // The same predictions by the model's file and by the call that made it, with a header and without.
    let new: Vec<String> = rows.iter().take(5).map(|r| r.0.clone()).collect();
    std::fs::write(folder.join("new.csv"), format!("variant\n{}\n", new.join("\n"))).unwrap();
    std::fs::write(folder.join("bare.csv"), new.join("\n")).unwrap();
    text(folder, "fit words.csv --alphabet ACGT --predict new.csv --predictions a.csv");
    text(folder, "predict model.json new.csv --out b.csv");
    text(folder, "predict model.json bare.csv --out c.csv");
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    assert!(read("a.csv") == read("b.csv") && read("b.csv") == read("c.csv"));
    assert!(read("a.csv").starts_with("variant,score,deviation,low,high\n"));
    let said = json(folder, "predict model.json new.csv");
    assert_eq!((said["result"]["level"].as_f64(), said["result"]["rows"].as_u64()), (Some(0.9), Some(5)));
}

/// A column for each variable, with names and without: a first row of data is never taken for names.
#[test]
fn tables_of_columns_are_learned_and_predicted() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let all: Vec<[usize; 3]> = (0..27).map(|j| [j % 3, j / 3 % 3, j / 9]).collect();
    let value = |x: &[usize; 3]| 10 * x[0] + 3 * x[1] + x[2];
    let row = |x: &[usize; 3]| format!("{},{},{}", x[0], x[1], x[2]);
    let lines: Vec<String> = all.iter().map(|x| format!("{},{}", row(x), value(x))).collect();
    std::fs::write(folder.join("bare.csv"), lines.join("\n")).unwrap();
    std::fs::write(folder.join("named.csv"), format!("a,b,c,y\n{}", lines.join("\n"))).unwrap();
    let new = [[2, 1, 0], [2, 0, 1], [2, 2, 2], [0, 0, 1]];
    let lines: Vec<String> = new.iter().map(row).collect();
    std::fs::write(folder.join("new.csv"), lines.join("\n")).unwrap();
    let turned: Vec<String> = new.iter().map(|x| format!("{},{},{}", x[2], x[0], x[1])).collect();
    std::fs::write(folder.join("turned.csv"), format!("c,a,b\n{}", turned.join("\n"))).unwrap();
    for (table, rows) in [("bare.csv", "new.csv"), ("named.csv", "turned.csv")] {
        text(folder, &format!("fit {table} --out model.json"));
        let said = json(folder, &format!("predict model.json {rows}"));
        let means: Vec<f64> = said["result"]["predictions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| p["estimate"]["mean"].as_f64().unwrap())
            .collect();
        assert_eq!(means.len(), 4);
        assert!(means.iter().zip(&new).all(|(m, x)| (m - value(x) as f64).abs() < 1.0), "{table}: {means:?}");
    }
}

/// Bad input is refused by file, line, argument and what is allowed; nothing is overwritten.
#[test]
fn bad_tables_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    words(folder, "variant,score\n");
    let write = |name: &str, content: &str| std::fs::write(folder.join(name), content).unwrap();
    write("length.csv", "ACGT,1\nACG,2\nACGA,3\n");
    write("letter.csv", "ACGT,1\nACGN,2\nACGA,3\n");
    write("two.csv", "ACGT,1\nACGA,2\n");
    write("nan.csv", "ACGT,1\nACGA,NaN\nACGC,3\n");
    write("twice.csv", "a,a,y\n0,1,1\n1,0,2\n1,1,3\n");
    write("empty.csv", "a,b,y\n0,1,1\n1,,2\n1,1,3\n");
    write("one.csv", "ACGT\nACGA\nACGC\n");
    let long: Vec<String> = (0..80).map(|j| format!("{j},{},{}", j % 2, j)).collect();
    write("long.csv", &format!("id,b,y\n{}\n", long.join("\n")));
    for (call, code, parts) in [
        ("fit length.csv", 1, vec!["length.csv:2:1", "\"ACG\" has 3 letters, allowed is 4"]),
        ("fit letter.csv --alphabet ACGT", 1, vec!["letter.csv:2", "position 4 is \"N\"", "A C G T"]),
        ("fit two.csv", 1, vec!["has 2 rows", "at least 3"]),
        ("fit nan.csv", 1, vec!["nan.csv:2:2", "not finite"]),
        ("fit twice.csv", 1, vec!["two columns are named \"a\""]),
        ("fit empty.csv", 1, vec!["empty.csv:3:2", "the cell is missing"]),
        ("fit one.csv --no-header", 1, vec!["one.csv"]),
        ("fit long.csv", 1, vec!["\"id\" has 80 distinct values, allowed is 64"]),
        ("fit words.csv --noise-std x", 2, vec!["--noise-std is x"]),
        ("fit words.csv --noise-std=-1", 2, vec!["--noise-std is -1"]),
        ("fit words.csv --level 1", 2, vec!["--level is 1"]),
        ("fit words.csv --next 0", 2, vec!["--next is 0, allowed is 1 to 10000"]),
        ("fit words.csv --plot a.png", 2, vec!["--plot ends in .png, allowed is .svg"]),
        ("fit words.csv --out words.csv", 2, vec!["--out ends in .csv"]),
        (
            "fit words.csv --predict words.csv --predictions words.csv",
            2,
            vec!["--predictions and --predict are the same file"],
        ),
        ("fit words.csv --value variant", 1, vec!["not a number"]),
        ("fit words.csv --value score --variants score", 2, vec!["both column"]),
        ("fit - --predict - --predictions out.csv", 2, vec!["both standard input"]),
        ("predict words.csv words.csv", 1, vec!["words.csv:1:1: not a model of `wht fit`"]),
    ] {
        let (found, message) = refused(folder, call);
        assert_eq!(found, code, "{call}: {message}");
        assert!(parts.iter().all(|p| message.contains(p)), "{call}: {message}");
    }
    // Models that were edited.
    text(folder, "fit words.csv --alphabet ACGT --out model.json");
    let model = std::fs::read_to_string(folder.join("model.json")).unwrap();
    for (from, to) in [
        ("\"level\":0.9", "\"level\":1.5"),
        ("\"scale\":", "\"scale\":-"),
        ("[\"A\",\"C\",\"G\",\"T\"]", "[\"A\",\"A\",\"G\",\"T\"]"),
        ("model of variants 1", "model of variants 9"),
    ] {
        assert!(model.contains(from), "{from}");
        write("edited.json", &model.replacen(from, to, 1));
        let (code, message) = refused(folder, "predict edited.json words.csv");
        assert!(code == 1 && message.contains("edited.json"), "{from}: {message}");
    }
    let (code, message) = refused(folder, "predict model.json letter.csv");
    assert!(code == 1 && message.contains("position 4 is \"N\", allowed is A C G T"), "{message}");
    assert!(std::fs::read_to_string(folder.join("words.csv")).unwrap().starts_with("variant,score\n"));
}

/// What falls short is said: constants, columns without variation, the answer among the columns, noise, double mutants.
#[test]
fn what_falls_short_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let write = |name: &str, lines: Vec<String>| std::fs::write(folder.join(name), lines.join("\n")).unwrap();
    let said = |call: &str| {
        let out = run(folder, call);
        assert!(out.status.success(), "{call}");
        (String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap())
    };
    write("constant.csv", (0..20).map(|j| format!("{},{},4.5", j % 2, j / 2 % 2)).collect());
    assert!(said("fit constant.csv").0.contains("every value is the same"));
    let mut lines = vec!["a,fixed,copy,y".to_owned()];
    lines.extend((0..40).map(|j| format!("{},7,{},{}", j % 2, j % 5, j % 5)));
    write("answer.csv", lines);
    let warnings = said("fit answer.csv").1;
    assert!(warnings.contains("\"copy\" is the value itself") && warnings.contains("column fixed"), "{warnings}");
    // Noise: one of a fixed sequence that no column follows.
    let noise = |j: u64| ((j.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) % 1_000) as f64;
    write("noise.csv", (0..60).map(|j| format!("{},{},{},{}", j % 2, j / 2 % 2, j / 4 % 2, noise(j))).collect());
    let (table, warnings) = said("fit noise.csv");
    assert!(
        table.contains("status no structure found, finished") && warnings.contains("no structure found"),
        "{table}"
    );
    let (rows, columns, all) = fixtures::gb1();
    let position = |m: &str| m[1..m.len() - 1].parse::<usize>().unwrap();
    let mut letters = vec!['A'; 60];
    rows.iter().chain(&columns).for_each(|m| letters[position(m)] = m.chars().next().unwrap());
    let word = |a: &str, b: &str| {
        let mut out = letters.clone();
        [a, b].iter().for_each(|m| out[position(m)] = m.chars().last().unwrap());
        out.into_iter().collect::<String>()
    };
    write(
        "pairs.csv",
        all.iter().step_by(130).map(|(i, j, v)| format!("{},{v}", word(&rows[*i], &columns[*j]))).collect(),
    );
    assert!(said("fit pairs.csv --top 0").1.contains("`samplewise complete`"));
}
