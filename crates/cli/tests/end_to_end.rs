//! The binary, as its users run it.
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use samplewise_testkit::fixtures;
use serde_json::Value;

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_samplewise")).args(arguments).output().expect("the binary starts")
}

fn json(arguments: &[&str]) -> Value {
    let mut all = arguments.to_vec();
    all.push("--json");
    let out = run(&all);
    let error = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{arguments:?}: {error}");
    let value: Value = serde_json::from_slice(&out.stdout).expect("one JSON object");
    for field in ["command", "version", "seed", "threads", "parameters", "result", "report"] {
        assert!(value.get(field).is_some(), "{arguments:?} lacks {field}");
    }
    assert!(value["report"]["seconds"].is_number() && value["report"]["stages"].is_object());
    assert!(value["report"]["path"].is_string(), "{arguments:?}");
    value
}

fn fixture(name: &str) -> String {
    fixtures::path(name).to_string_lossy().into_owned()
}

fn landscape(folder: &Path) -> String {
    let path = folder.join("values.txt");
    let truth = samplewise_testkit::generate::random_spectrum(14, 5, false, 1);
    let lines: Vec<String> = (0..1_u64 << 14)
        .map(|m| {
            truth.iter().map(|t| if (m & t.0).count_ones() % 2 == 0 { t.1 } else { -t.1 }).sum::<f64>().to_string()
        })
        .collect();
    std::fs::write(&path, lines.join("\n")).unwrap();
    path.to_string_lossy().into_owned()
}

fn tasks(folder: &Path) -> String {
    let root = folder.join("tasks");
    std::fs::create_dir(&root).unwrap();
    for t in 0..6_usize {
        let (x, y, _) = samplewise_testkit::generate::random_sparse_regression(80, 8, 2, 0.1, t as u64 % 3);
        let lines: Vec<String> = (0..80)
            .map(|i| format!("{},{}", x.row(i).iter().map(f64::to_string).collect::<Vec<_>>().join(","), y[i]))
            .collect();
        std::fs::write(root.join(format!("t{t}.csv")), lines.join("\n")).unwrap();
    }
    root.to_string_lossy().into_owned()
}

/// Every subcommand on the fixtures, `result` the same for 1, 2 and 3 threads.
#[test]
fn every_subcommand_prints_one_object_whose_result_ignores_threads() {
    let folder = tempfile::tempdir().unwrap();
    let (values, tasks) = (landscape(folder.path()), tasks(folder.path()));
    let (gb1, flights) = (fixture("gb1_crop.csv.gz"), fixture("flights.csv.gz"));
    let (lambda, genes) = (fixture("lambda.fa.gz"), fixture("ecoli_patterns.fa"));
    let features = "dep_delay,distance,air_time,hour,month";
    let calls: [&[&str]; 8] = [
        &["complete", &gb1, "--rank", "2", "--max-iterations", "10"],
        &["wht", "sparse", &values, "--sparsity", "5"],
        &["wht", "transform", &values],
        &["hamming", &lambda, &genes, "--both-strands", "--best", "3", "--alphabet", "dna"],
        &["sensitivity", &flights, "--features", features, "--intercept", "--size", "300", "--regress", "arr_delay"],
        &["lasso", &fixture("digits.csv.gz"), "--target", "label"],
        &["mtrl", &tasks, "--target", "t0", "--dimension", "3"],
        &["info"],
    ];
    for call in calls {
        let of = |threads: &str| {
            let mut all = call.to_vec();
            all.extend(["--threads", threads]);
            let mut result = json(&all)["result"].clone();
            if call[0] == "info" {
                result["cores"] = Value::Null;
            }
            result.to_string()
        };
        let one = of("1");
        assert_eq!(one, of("2"), "{call:?}");
        assert_eq!(one, of("3"), "{call:?}");
    }
    let hamming = json(calls[3]);
    assert_eq!(hamming["result"]["minimum"]["position"], 45_966);
    assert_eq!(hamming["result"]["minimum"]["distance"], 21);
    let wht = json(calls[1]);
    assert_eq!(wht["result"]["coefficients"].as_array().unwrap().len(), 5);
    assert_eq!(wht["result"]["complete"], true);
}

/// plan → queries → answers → decode, through files.
#[test]
fn a_plan_travels_through_files() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (plan, queries, answers) = (at("plan.json"), at("q.txt"), at("a.txt"));
    json(&["wht", "plan", "--variables", "16", "--sparsity", "3", "--out", &plan, "--queries", &queries]);
    let text = std::fs::read_to_string(&queries).unwrap();
    // x = 2·(−1)^(first variable) + 0.5
    let lines: Vec<&str> = text.lines().map(|q| if q.starts_with('1') { "-1.5" } else { "2.5" }).collect();
    std::fs::write(&answers, lines.join("\n")).unwrap();
    let found = json(&["wht", "decode", &plan, "--answers", &answers]);
    let first = &found["result"]["coefficients"][0];
    assert_eq!(first["set"], serde_json::json!([0]));
    assert_eq!(first["value"], 2.0);
    assert_eq!(found["result"]["coefficients"][1]["value"], 0.5);
}

/// Each subcommand × each bad input: exit 1, one line that names the file, nothing written.
#[test]
fn bad_input_gives_one_line_and_exit_code_one() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let mut cut = std::fs::read(fixtures::path("flights.csv.gz")).unwrap();
    cut.truncate(2_000);
    let files = [
        folder.path().join("missing.csv"),
        write("empty.csv", b""),
        write("text.csv", b"a,b,c\n1,2,abc\n4,5,6\n"),
        write("nan.csv", b"a,b,c\n1,2,NaN\n4,5,6\n"),
        write("shape.csv", b"a,b,c\n1,2\n4,5,6\n"),
        write("cut.csv.gz", &cut),
        folder.path().to_path_buf(),
    ];
    let out = folder.path().join("out.csv");
    let out = out.to_str().unwrap();
    for file in &files {
        let f = file.to_str().unwrap();
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let calls: [Vec<&str>; 5] = [
            vec!["complete", f, "--rank", "1"],
            vec!["wht", "sparse", f, "--sparsity", "1"],
            vec!["hamming", f, "ACGTACGTACGTACGTACGTACGTACGTACGTACGTACGT", "--literal", "--alphabet", "dna"],
            vec!["sensitivity", f, "--size", "2", "--out", out],
            vec!["lasso", f, "--target", "2"],
        ];
        for call in calls {
            let done = run(&call);
            let error = String::from_utf8_lossy(&done.stderr).into_owned();
            assert_eq!(done.status.code(), Some(1), "{call:?}: {error}");
            assert_eq!(error.lines().count(), 1, "{call:?}: {error}");
            assert!(error.contains(&name) && error.starts_with("samplewise "), "{call:?}: {error}");
            assert!(done.stdout.is_empty() && !Path::new(out).exists());
        }
    }
    let line = String::from_utf8(run(&["complete", files[2].to_str().unwrap(), "--rank", "1"]).stderr).unwrap();
    assert!(line.contains("text.csv:2:3: value \"abc\" is not a number"), "{line}");
    // A folder of tasks: each bad file in turn beside good ones, and the folder itself missing.
    assert_eq!(run(&["mtrl", files[0].to_str().unwrap(), "--target", "x"]).status.code(), Some(1));
    for (name, bytes, told) in [
        ("bad.csv", &b""[..], "bad.csv"),
        ("bad.csv", b"a,b,c\n1,2,abc\n", "bad.csv:2:3"),
        ("bad.csv", b"a,b,c\n1,NaN,3\n", "bad.csv:2:2"),
        ("bad.csv", b"a,b,c\n1,2\n", "bad.csv:2"),
        ("bad.csv", b"b,a,c\n1,2,3\n", "feature 1 is b"),
        ("bad.csv.gz", &cut[..], "bad.csv.gz"),
        ("good.1.csv.gz", b"a,b,c\n1,2,3\n", "good.1 is there twice"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let good = b"a,b,c\n1,2,3\n2,1,4\n5,5,5\n";
        for task in ["good.1.csv", "good.2.csv", "target.csv"] {
            std::fs::write(folder.path().join(task), good).unwrap();
        }
        std::fs::write(folder.path().join(name), bytes).unwrap();
        let done = run(&["mtrl", folder.path().to_str().unwrap(), "--target", "target", "--dimension", "1"]);
        let error = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.code() == Some(1) && error.lines().count() == 1 && error.contains(told), "{name}: {error}");
    }
}

/// Files as people have them: no header, other columns, a time in the fourth, pairs with the triplets' header.
#[test]
fn triplets_of_every_shape_are_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, lines: &[String]| {
        let path = folder.path().join(name);
        std::fs::write(&path, lines.join("\n")).unwrap();
        path.to_string_lossy().into_owned()
    };
    let value = |i: usize, j: usize| (1 + i) as f64 * (2.0 + j as f64 / 3.0);
    let cells: Vec<(usize, usize)> =
        (0..400).map(|p| (p / 20, p % 20)).filter(|(i, j)| (i * 7 + j * 3) % 5 > 0).collect();
    let plain: Vec<String> = cells.iter().map(|&(i, j)| format!("r{i},c{j},{}", value(i, j))).collect();
    let plain = write("plain.csv", &plain);
    let moved: Vec<String> = cells.iter().map(|&(i, j)| format!("r{i},c{j},text,{}", value(i, j))).collect();
    let moved = write("moved.csv", &moved);
    let mut timed = vec!["user,item,rating,timestamp".to_owned()];
    timed.extend(cells.iter().map(|&(i, j)| format!("r{i},c{j},{},{}", value(i, j), 1 + 1000 * i)));
    let timed = write("timed.csv", &timed);
    let test = write("test.csv", &[format!("r0,c0,{}", value(0, 0)), format!("r5,c10,{}", value(5, 10))]);
    let moved_test = write("moved_test.csv", &[format!("r0,c0,more text,{}", value(0, 0))]);
    for (call, test) in [
        (&["complete", &plain][..], &test),
        (&["complete", &moved, "--columns", "0,1,3"], &moved_test),
        (&["complete", &timed], &test),
    ] {
        let call = [call, &["--rank", "1", "--tolerance", "1e-6", "--test", test]].concat();
        let got = json(&call);
        assert_eq!(got["result"]["observed"], cells.len(), "{call:?}");
        assert_eq!(got["result"]["status"], "verified", "{call:?} {got}");
    }
    let pairs = write("pairs.csv", &["user,item".to_owned(), "r1,c2".to_owned()]);
    let unknown = write("unknown.csv", &["nobody,c2".to_owned()]);
    let out = folder.path().join("out.csv");
    let predict =
        |pairs: &str| run(&["complete", &timed, "--rank", "1", "--predict", pairs, "--out", out.to_str().unwrap()]);
    assert!(predict(&pairs).status.success());
    assert_eq!(std::fs::read_to_string(&out).unwrap().lines().count(), 2);
    let done = predict(&unknown);
    assert!(done.status.success() && String::from_utf8(done.stderr).unwrap().contains("1 of 1 pairs have an id"));
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "row,column,prediction\nnobody,c2,\n");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_ne!(std::fs::metadata(&out).unwrap().permissions().mode() & 0o044, 0, "readable like any new file");
    }
    // Data on standard output leave the object to standard error.
    let done = run(&["complete", &timed, "--rank", "1", "--predict", &pairs, "--out", "-", "--json"]);
    assert!(done.stdout.starts_with(b"row,column,prediction") && serde_json::from_slice::<Value>(&done.stderr).is_ok());
}

/// Sequences in every form: pieces of a text have the hits of the whole, several vectors make a folder, integers and reads are
/// texts too.
#[test]
fn sequences_come_and_go_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let lambda = samplewise_testkit::fixtures::fasta("lambda.fa.gz").remove(0).1;
    let lines = |sequence: &[u8]| -> Vec<u8> {
        sequence.chunks(70).flat_map(|line| [line, b"\r\n".as_slice()].concat()).collect()
    };
    // Seven overlapping pieces beside the whole.
    let pattern = "GATTACAGATTACAGATTACA";
    let (step, mut pieces) = (lambda.len() / 7 + 1, Vec::new());
    for (i, start) in (0..lambda.len()).step_by(step).enumerate() {
        let end = (start + step + pattern.len() - 1).min(lambda.len());
        pieces.extend(format!(">piece{i} of lambda\n").bytes());
        pieces.extend(lines(&lambda[start..end]));
    }
    std::fs::write(at("whole.fa"), [b">whole\n".as_slice(), &lines(&lambda)].concat()).unwrap();
    std::fs::write(at("pieces.fa"), &pieces).unwrap();
    for mode in [["--max-distance", "9"], ["--best", "40"]] {
        let hits = |file: &str| -> Vec<(u64, u64, String)> {
            let call = ["hamming", &at(file), pattern, "--literal", "--both-strands", mode[0], mode[1]];
            let answer = json(&call);
            let one = |h: &Value| {
                let record = h["record"].as_str().unwrap();
                let offset = record.strip_prefix("piece").map_or(0, |i| i.parse::<u64>().unwrap() * step as u64);
                let position = h["position"].as_u64().unwrap() + offset;
                (h["distance"].as_u64().unwrap(), position, h["strand"].as_str().unwrap().to_owned())
            };
            let mut hits: Vec<_> = answer["result"]["hits"].as_array().unwrap().iter().map(one).collect();
            hits.sort();
            hits
        };
        let whole = hits("whole.fa");
        assert!(whole.len() > 20);
        let pieces = hits("pieces.fa");
        if mode[0] == "--max-distance" {
            assert_eq!(whole, pieces);
        } else {
            let distances = |hits: &[(u64, u64, String)]| hits.iter().map(|h| h.0).collect::<Vec<_>>();
            assert_eq!(distances(&whole), distances(&pieces));
        }
    }
    // Vectors of distances: one is a file, several are a folder; together they are what the whole has.
    let (file, many) = (at("d.npy.gz"), at("vectors"));
    json(&["hamming", &at("whole.fa"), pattern, "--literal", "--out", &file]);
    json(&["hamming", &at("pieces.fa"), pattern, "--literal", "--out", &many]);
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(&std::fs::read(&file).unwrap()[..]).read_to_end(&mut bytes).unwrap();
    let whole = npyz::NpyFile::new(&bytes[..]).unwrap().into_vec::<u32>().unwrap();
    let parts: Vec<u32> = (0..7)
        .flat_map(|i| {
            let bytes = std::fs::read(Path::new(&many).join(format!("piece{i}.npy"))).unwrap();
            npyz::NpyFile::new(&bytes[..]).unwrap().into_vec::<u32>().unwrap()
        })
        .collect();
    assert!(whole == parts && whole.len() == lambda.len() - pattern.len() + 1);
    std::fs::write(at("twins.fa"), ">a\nACGT\n>a\nACGTT\n").unwrap();
    json(&["hamming", &at("twins.fa"), "AC", "--literal", "--out", &at("twins")]);
    assert_eq!(std::fs::read_dir(at("twins")).unwrap().count(), 2);
    // Reads, and integers.
    std::fs::write(at("reads.fq"), "@r1 a\nACGTACGT\n+\nIIIIIIII\n@r2\nGGACGA\n+\nIIIIII\n").unwrap();
    let reads = json(&["hamming", &at("reads.fq"), "ACGA", "--literal", "--max-distance", "0"]);
    assert_eq!(reads["result"]["hits"].as_array().unwrap().len(), 1);
    assert_eq!(reads["result"]["minimum"]["record"], "r2");
    std::fs::write(at("text.txt"), "7 4000000000 7\n9 7 4000000000\n").unwrap();
    let call = ["hamming", &at("text.txt"), "7 4000000000 9", "--literal", "--tokens", "--wildcard", "9"];
    let tokens = json(&[&call[..], &["--wildcard-meaning", "excluded", "--best", "2"]].concat());
    let best = &tokens["result"]["hits"];
    assert_eq!((&best[0]["distance"], &best[0]["position"], &best[0]["valid"]), (&0.into(), &0.into(), &2.into()));
    assert_eq!((&best[1]["distance"], &best[1]["position"], &best[1]["valid"]), (&0.into(), &2.into(), &1.into()));
    let bad = run(&["hamming", &at("reads.fq"), "7", "--literal", "--tokens"]);
    let told = String::from_utf8_lossy(&bad.stderr).into_owned();
    assert!(bad.status.code() == Some(1) && told.contains("token 0 is \"ACGTACGT\""), "{told}");
    // Positions that must match.
    let hits = |more: &[&str]| {
        let call = ["hamming", &at("reads.fq"), "ACGA", "--literal", "--max-distance", "1"];
        json(&[&call[..], more].concat())["result"]["hits"].as_array().unwrap().len()
    };
    assert_eq!((hits(&[]), hits(&["--required", "3..4"])), (3, 1));
    assert_eq!(
        run(&["hamming", "x", "ACG", "--literal", "--max-distance", "1", "--required", "2..4"]).status.code(),
        Some(2)
    );
    // An alignment, line by line.
    let shown = run(&["hamming", &at("reads.fq"), "TTTC", "--literal", "--both-strands", "--best", "1", "--show", "1"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("  pattern GAAA\n          ") && shown.contains("differ from pattern"), "{shown}");
    // Approximations are within their promise, and repeatable.
    let call = ["hamming", &at("text.txt"), "7 7", "--literal", "--tokens", "--epsilon", "0.2"];
    let approximate = json(&call);
    assert_eq!(approximate["report"]["path"], "exact");
    assert_eq!(approximate["result"]["minimum"]["distance"], 1.0);
}

/// A program that answers nonsense and stays is not waited for.
#[cfg(unix)]
#[test]
fn a_program_that_misbehaves_is_stopped() {
    let start = std::time::Instant::now();
    let call = ["wht", "exec", "--variables", "20", "--sparsity", "3000", "--", "sh", "-c", "echo abc; exec sleep 60"];
    let done = run(&call);
    assert_eq!(done.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&done.stderr).contains("\"abc\" is not a finite number"));
    assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
}

/// A program that dies now and then is started again for what is left; what it answered is in the log, and a second call
/// asks only what is not there.
#[cfg(unix)]
#[test]
fn a_program_that_crashes_is_started_again() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("answers.log").to_string_lossy().into_owned();
    // x = 3 − 2 (−1)^{first + last}; ends after 40 answers, as if it had run out of memory.
    let frail = "head -n 40 | awk '{a=substr($0,1,1); b=substr($0,length($0)); print 3-2*((a+b)%2==0?1:-1)}'; exit 9";
    let call = |program: &str, more: &[&str]| {
        let mut all = vec!["wht", "exec", "--variables", "20"];
        all.extend(more);
        all.extend(["--answers-log", &log, "--", "sh", "-c", program]);
        all.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()
    };
    let with_json = |arguments: Vec<String>| {
        let mut all: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let at = all.iter().position(|a| *a == "--").unwrap();
        all.insert(at, "--json");
        let done = run(&all);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        serde_json::from_slice::<Value>(&done.stdout).unwrap()
    };
    for sparsity in [&["--sparsity", "2"][..], &["--sparsity", "auto"]] {
        let _ = std::fs::remove_file(&log);
        let first = with_json(call(frail, sparsity));
        let found: Vec<(&str, f64)> = first["result"]["coefficients"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| (c["index"].as_str().unwrap(), c["value"].as_f64().unwrap()))
            .collect();
        assert_eq!(found, [("00000000000000000000", 3.0), ("10000000000000000001", -2.0)]);
        let samples = first["result"]["samples"].as_u64().unwrap();
        assert_eq!(first["report"]["answers"]["asked"], samples);
        assert!(first["report"]["answers"]["starts"].as_u64().unwrap() > samples / 40);
        // A crash in the middle of a line, then a program that must not be needed.
        let mut text = std::fs::read_to_string(&log).unwrap();
        text.push_str("0101");
        std::fs::write(&log, text).unwrap();
        let again = with_json(call("exit 1", sparsity));
        assert_eq!(again["result"], first["result"]);
        assert_eq!(again["report"]["answers"]["from_log"], samples);
    }
    // One that never answers is given up, and a log of something else is refused.
    std::fs::remove_file(&log).unwrap();
    let hopeless = call("exit 7", &["--sparsity", "2", "--restarts", "2"]);
    let done = run(&hopeless.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(done.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&done.stderr).contains("exit status: 7"));
    std::fs::write(&log, "0101 five\n").unwrap();
    let done = run(&hopeless.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(String::from_utf8_lossy(&done.stderr).contains("answers.log:1: \"0101 five\""));
}

/// Plans with knowledge of the support, more than 64 variables, and what is derived from a spectrum.
#[test]
fn supports_widths_and_indices_reach_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (plan, queries, answers) = (path("plan.json"), path("queries.txt"), path("answers.txt"));
    for (variables, more) in [
        ("300", &["--sparsity", "3", "--degree", "4", "--noise-std", "0.1"][..]),
        ("100", &["--sparsity", "3"]),
        ("30", &["--samples", "200", "--degree", "3", "--hereditary", "--noise-std", "auto", "--sandwich"]),
        ("30", &["--sparsity", "3", "--degree", "3", "--decoder", "bch-lists", "--noise-std", "0.1"]),
        ("20", &["--max-sparsity", "8", "--noise-std", "auto", "--holdout", "100", "--delta", "0.05"]),
    ] {
        let mut call = vec!["wht", "plan", "--variables", variables, "--out", &plan, "--queries", &queries];
        call.extend(more);
        let asked = json(&call)["result"]["samples"].as_u64().unwrap();
        // x = 5 − 3χ₁ + 2χ₁χ₄, χ = 1 − 2·bit.
        let text = std::fs::read_to_string(&queries).unwrap();
        let sign = |line: &str, i: usize| if line.as_bytes()[i] == b'1' { -1.0 } else { 1.0 };
        let value = |line: &str| 5.0 - 3.0 * sign(line, 1) + 2.0 * sign(line, 1) * sign(line, 4);
        let lines: Vec<String> = text.lines().map(|l| value(l).to_string()).collect();
        assert_eq!(lines.len() as u64, asked, "{more:?}");
        std::fs::write(&answers, lines.join("\n")).unwrap();
        let found = json(&["wht", "decode", &plan, "--answers", &answers, "--moebius", "--indices"]);
        let result = &found["result"];
        let terms: Vec<(String, f64)> = result["coefficients"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| (c["set"].to_string(), (c["value"].as_f64().unwrap() * 1e6).round() / 1e6))
            .collect();
        assert_eq!(terms, [("[]".to_owned(), 5.0), ("[1]".to_owned(), -3.0), ("[1,4]".to_owned(), 2.0)], "{more:?}");
        assert_eq!(result["complete"], true);
        // μ({1}) = −2(−3 + 2), μ({4}) = −2·2, μ({1, 4}) = 4·2, μ(∅) = x(0) = 4.
        let moebius = result["moebius"].as_array().unwrap();
        let mu = |set: &str| {
            let at = moebius.iter().find(|t| format!("{}", t["set"]) == set).unwrap();
            (at["value"].as_f64().unwrap() * 1e6).round() / 1e6
        };
        assert_eq!([mu("[]"), mu("[1]"), mu("[4]"), mu("[1,4]")], [4.0, 2.0, -4.0, 8.0]);
        let banzhaf = result["indices"]["banzhaf"][1].as_f64().unwrap();
        assert!((banzhaf - 6.0).abs() < 1e-6, "{banzhaf}");
    }
    let vague = run(&["wht", "plan", "--variables", "20", "--out", &plan, "--queries", &queries]);
    assert_eq!(vague.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&vague.stderr).contains("--max-sparsity"));
}

/// `--engine` acts, and changes nothing but the way.
#[test]
fn every_engine_prints_the_same() {
    let text = fixture("lambda.fa.gz");
    let call =
        |more: &[&str]| run(&[&["hamming", &text, "GATTACAGATTACAGGTTTA", "--literal", "--show", "0"], more].concat());
    let printed = |more: &[&str]| {
        let done = call(more);
        assert!(done.status.success(), "{more:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).expect("text")
    };
    let (best, within) = (printed(&["--best", "3"]), printed(&["--max-distance", "9"]));
    for engine in ["definition", "vertical", "bitsliced", "fft", "ntt", "pairs", "sumset"] {
        assert_eq!(printed(&["--best", "3", "--engine", engine]), best, "{engine}");
        assert_eq!(printed(&["--max-distance", "9", "--engine", engine]), within, "{engine}");
    }
    assert_eq!(printed(&["--max-distance", "9", "--engine", "periodic"]), within);
    let refused = call(&["--best", "3", "--engine", "periodic"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("counts no others"));
}

/// Solvers and losses reach the fit, and factors are written with their ids.
#[test]
fn completion_options_act_and_factors_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let (triplets, out) = (folder.path().join("t.csv"), folder.path().join("f.npz"));
    let mut text = "row,column,value\n".to_owned();
    for (i, j) in (0..40).flat_map(|i| (0..30).map(move |j| (i, j))).filter(|(i, j)| (i * 7 + j * 11) % 10 < 6) {
        let wrong = if i * 30 + j == 90 { 1e4 } else { 0.0 };
        text += &format!("r{i},c{j},{}\n", f64::from((1 + i) * (20 - j)) / 10.0 + wrong);
    }
    std::fs::write(&triplets, text).unwrap();
    let t = triplets.to_str().unwrap();
    let call = |more: &[&str]| {
        let words = [&["complete", t, "--rank", "1", "--json", "--biases", "off"], more].concat();
        let done = run(&words);
        assert!(done.status.success(), "{more:?}: {}", String::from_utf8_lossy(&done.stderr));
        serde_json::from_slice::<serde_json::Value>(&done.stdout).unwrap()
    };
    let error = |more: &[&str]| call(more)["result"]["train_rmse"].as_f64().unwrap();
    let errors = [error(&[]), error(&["--non-negative"]), error(&["--loss", "huber"])];
    // Factors of one sign fit worse, and Huber's loss leaves the wrong entry where it is.
    assert!(errors[1] > errors[0] && errors[2] > 2.0 * errors[0], "{errors:?}");
    let work = |solver: &str| call(&["--solver", solver])["report"]["costs"][1]["floors"].as_f64().unwrap();
    let all = ["exact", "cg", "sketched"].map(work);
    assert!(all[0] != all[1] && all[1] != all[2] && all[0] == work("auto"), "{all:?}");
    assert_eq!(call(&["--time-limit", "0"])["result"]["status"], "limit");
    let ridged = |e: &str| error(&["--lambda", "1", "--ridge-exponent", e]);
    assert!(ridged("2") > ridged("0"));
    let trimmed = call(&["--loss", "trimmed", "--factors", out.to_str().unwrap()]);
    assert_eq!(trimmed["report"]["outliers"], 1, "{trimmed}");
    let bytes = std::fs::read(&out).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    for name in ["mean.npy", "row_factors.npy", "column_ids.npy", "(40, 1", "(30,", "|S3", "c29"] {
        assert!(text.contains(name), "{name}");
    }
}

/// Draws reach the files: a deviation beside every prediction, and every draw among the factors.
#[test]
fn draws_from_the_posterior_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let name = |n: &str| folder.path().join(n).to_str().unwrap().to_owned();
    let (triplets, pairs, out, factors) = (name("t.csv"), name("p.csv"), name("o.csv"), name("f.npz"));
    let mut text = "row,column,value\n".to_owned();
    for (i, j) in (0..40).flat_map(|i| (0..30).map(move |j| (i, j))).filter(|(i, j)| (i * 7 + j * 11) % 10 < 6) {
        let noise = f64::from((i * 37 + j * 101) % 19) / 19.0;
        text += &format!("r{i},c{j},{}\n", f64::from((1 + i) * (20 - j)) / 10.0 + noise);
    }
    std::fs::write(&triplets, text).unwrap();
    std::fs::write(&pairs, "row,column\nr0,c29\nr38,c0\n").unwrap();
    let call = |more: &[&str]| {
        let done = run(&[&["complete", &triplets, "--solver", "gibbs", "--json"], more].concat());
        assert!(done.status.success(), "{more:?}: {}", String::from_utf8_lossy(&done.stderr));
        serde_json::from_slice::<serde_json::Value>(&done.stdout).unwrap()
    };
    let found = call(&["--samples", "9", "--predict", &pairs, "--out", &out, "--factors", &factors]);
    assert_eq!((&found["result"]["rank"], &found["report"]["draws"]), (&2.into(), &9.into()));
    // A third as many sweeps before the draws, and again, shorter, with the entries held out.
    assert_eq!(found["report"]["noise_trace"].as_array().unwrap().len(), 3 + 9 + 9);
    assert!(found["result"]["test_rmse"].as_f64().unwrap() < found["result"]["baseline_test_rmse"].as_f64().unwrap());
    let written = std::fs::read_to_string(&out).unwrap();
    let lines: Vec<Vec<&str>> = written.lines().map(|l| l.split(',').collect()).collect();
    assert_eq!(lines[0], ["row", "column", "prediction", "deviation"]);
    for (line, truth) in lines[1..].iter().zip([-0.9 + 0.5, 78.0 + 0.5]) {
        let [mean, deviation] = [2, 3].map(|c: usize| line[c].parse::<f64>().unwrap());
        assert!((mean - truth).abs() < 5.0 * deviation && deviation < 5.0, "{line:?}");
    }
    let bytes = std::fs::read(&factors).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    for name in ["noise.npy", "(9, 40, 2", "(9, 30, 2", "(9, 40, )"] {
        assert!(text.contains(name), "{name}");
    }
    assert_eq!(call(&["--time-limit", "0"])["result"]["status"], "limit");
    let bare = |biases: &str| call(&["--samples", "5", "--biases", biases])["result"]["train_rmse"].as_f64().unwrap();
    assert!(bare("off") != bare("on"));
}

/// Fits from one pass over a table are those of the table in memory, whether the file is compressed or not; what needs the rows is
/// refused.
#[test]
fn lasso_fits_of_streams_are_those_of_tables() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (x, y, _) = samplewise_testkit::generate::random_sparse_regression(9_000, 12, 4, 0.3, 5);
    let names: Vec<String> = (0..12).map(|j| format!("c{j}")).collect();
    let mut text = names.join(",") + ",y,w\n";
    for i in 0..9_000 {
        x.row(i).iter().for_each(|v| text += &format!("{},", 1000.0 + v));
        text += &format!("{},{}\n", y[i] + 50.0, i % 3);
    }
    let (plain, zipped) = (path("t.csv"), path("t.csv.gz"));
    std::fs::write(&plain, &text).unwrap();
    let mut gz = flate2::write::GzEncoder::new(std::fs::File::create(&zipped).unwrap(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gz, text.as_bytes()).unwrap();
    gz.finish().unwrap();
    for more in [
        &["--lambda", "0.05"][..],
        &[],
        &["--path", "12"],
        &["--weights", "w", "--lambda", "0.02", "--elastic-net", "0.5"],
        &["--standardize", "--positive", "--path", "5", "--min-ratio", "0.05"],
    ] {
        let of = |file: &str, stream: &[&str]| {
            json(&[&["lasso", file, "--target", "y"][..], more, stream].concat())["result"].clone()
        };
        let (table, stream) = (of(&plain, &[]), of(&plain, &["--stream"]));
        assert_eq!(stream, of(&zipped, &["--stream"]));
        assert_eq!(stream["status"], "converged", "{stream}");
        let number = |v: &Value, key: &str| v[key].as_f64().unwrap();
        assert!((number(&table, "objective") / number(&stream, "objective") - 1.0).abs() < 1e-7, "{more:?}");
        assert!((number(&table, "lambda") / number(&stream, "lambda") - 1.0).abs() < 1e-9);
        let (a, b) = (table["coefficients"].as_array().unwrap(), stream["coefficients"].as_array().unwrap());
        let value = |list: &[Value], name: &Value| {
            list.iter().find(|c| c["name"] == *name).map_or(0.0, |c| c["value"].as_f64().unwrap())
        };
        assert!(a.iter().chain(b).all(|c| (value(a, &c["name"]) - value(b, &c["name"])).abs() < 1e-3), "{a:?} {b:?}");
    }
    let cv = json(&["lasso", &plain, "--target", "y", "--stream", "--cv", "5", "--out", &path("o.csv")]);
    let errors = cv["result"]["cv"]["mean_squared_error"].as_array().unwrap();
    let best = errors[cv["result"]["cv"]["best"].as_u64().unwrap() as usize].as_f64().unwrap();
    assert!((0.08..0.11).contains(&best), "noise of standard deviation .3: {best}");
    assert!(std::fs::read_to_string(path("o.csv")).unwrap().contains("(intercept)"));
    for (more, said) in [
        (&["--unpenalized", "c1"][..], "--unpenalized does not go with --stream"),
        (&["--solver", "homotopy"], "--solver does not go with --stream"),
        (&["--cv", "1"], "--cv is 1, allowed is 2 to 1000 with --stream"),
        (&["--cv", "3000000000"], "--cv is 3000000000, allowed is 2 to 1000"),
    ] {
        let out = run(&[&["lasso", &plain, "--target", "y", "--stream"][..], more].concat());
        assert!(out.status.code() == Some(2) && String::from_utf8_lossy(&out.stderr).contains(said), "{out:?}");
    }
    std::fs::write(path("bad.csv"), "a,y\n1,2\n3,x\n").unwrap();
    let out = run(&["lasso", &path("bad.csv"), "--target", "y", "--stream"]);
    assert!(String::from_utf8_lossy(&out.stderr).contains("bad.csv:3:2: value \"x\" is not a number"), "{out:?}");
    std::fs::write(path("none.csv"), "a,y\n").unwrap();
    let out = run(&["lasso", &path("none.csv"), "--target", "y", "--stream"]);
    assert!(String::from_utf8_lossy(&out.stderr).contains("no rows"), "{out:?}");
}

/// A table that streams past: the coreset has the cells of its rows, whether the file is compressed or not, and every
/// method and sampler of a table in memory answers.
#[test]
fn coresets_of_streams_and_of_tables() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let plain = path("flights.csv");
    std::fs::write(&plain, fixtures::text("flights.csv.gz")).unwrap();
    let lines: Vec<String> = fixtures::text("flights.csv.gz").lines().map(str::to_owned).collect();
    let features = "dep_delay,distance,air_time";
    for method in ["lewis", "root-leverage", "leverage", "uniform"] {
        let of = |file: &str, out: &str| {
            let call = ["sensitivity", file, "--stream", "--features", features, "--intercept", "--size", "200"];
            json(&[&call[..], &["--method", method, "--out", out]].concat())["result"].clone()
        };
        let (one, two) = (path("one.csv"), path("two.csv"));
        assert_eq!(of(&plain, &one), of(&fixture("flights.csv.gz"), &two), "{method}");
        let text = std::fs::read_to_string(&one).unwrap();
        assert_eq!(text, std::fs::read_to_string(&two).unwrap());
        let rows: Vec<&str> = text.lines().collect();
        assert!((50..300).contains(&rows.len()), "{method}: {}", rows.len());
        assert_eq!(rows[0], format!("row,weight,{}", lines[0]));
        for row in &rows[1..] {
            let mut parts = row.splitn(3, ',');
            let (number, weight) = (parts.next().unwrap().parse::<usize>().unwrap(), parts.next().unwrap());
            assert!(weight.parse::<f64>().unwrap() >= 1.0);
            assert_eq!(parts.next().unwrap(), lines[number + 1]);
        }
    }
    // A regression on the coreset, its objective on all rows against the least there is.
    for quantile in ["0.5", "0.8"] {
        let call =
            ["sensitivity", &plain, "--features", features, "--intercept", "--regress", "arr_delay", "--quantile"];
        let of = |more: &[&str]| json(&[&call[..], &[quantile], more].concat())["result"]["regression"].clone();
        let (exact, streamed) = (of(&["--exact"]), of(&["--stream", "--size", "600"]));
        let passes = of(&["--exact", "--stream"]);
        let number = |of: &Value, key: &str| of[key].as_f64().unwrap();
        assert!((number(&passes, "objective") / number(&exact, "objective") - 1.0).abs() < 1e-9, "{passes}");
        assert!(number(&passes, "lower_bound") <= number(&exact, "objective") && passes["status"] == "converged");
        assert_eq!(passes["coefficients"].as_array().unwrap().len(), 4);
        let excess = streamed["objective"].as_f64().unwrap() / exact["objective"].as_f64().unwrap() - 1.0;
        assert!((-1e-8..0.05).contains(&excess), "{quantile}: {excess}");
        assert_eq!(streamed["coefficients"].as_array().unwrap().len(), 4);
        let small = of(&["--size", "60"]);
        assert!((350..620).contains(&small["rows_scored"].as_u64().unwrap()), "{small}");
        let done = run(&[&call[..], &[quantile, "--size", "3"]].concat());
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.code() == Some(2) && said.contains("--size is 3, allowed is 5 to"), "{said}");
    }
    let small = path("small.csv");
    std::fs::write(&small, lines[..301].join("\n")).unwrap();
    for (method, sampler) in [("sensitivity", "priority"), ("sensitivity+leverage", "tree"), ("lewis", "priority")] {
        let call = ["sensitivity", &small, "--features", features, "--size", "40", "--method", method, "--sampler"];
        let result = json(&[&call[..], &[sampler]].concat())["result"].clone();
        assert!((39..=41).contains(&result["size"].as_u64().unwrap()), "{method}: {result}");
        let sum = &result["total_sensitivity"];
        assert!(sum["lower"].as_f64().unwrap() <= sum["upper"].as_f64().unwrap());
    }
    let planned = json(&["sensitivity", &plain, "--features", features, "--epsilon", "0.2"])["result"].clone();
    assert!((400..540).contains(&planned["size"].as_u64().unwrap()), "{planned}");
    std::fs::write(&small, "a,b\n1,2\n3,x\n").unwrap();
    let done = run(&["sensitivity", &small, "--stream"]);
    assert_eq!(done.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&done.stderr).contains("small.csv:3:2: value \"x\" is not a number"));
}

/// What this version cannot do is refused with a sentence, never accepted and ignored.
#[test]
fn what_is_not_there_yet_is_refused() {
    for call in [
        &["hamming", "a", "b", "--epsilon", "1.5"][..],
        &["hamming", "a", "b", "--epsilon", "0.1", "--max-distance", "3"],
        &["hamming", "a", "b", "--tokens", "--both-strands"],
        &["hamming", "a", "b", "--max-distance", "2", "--required", "3..3"],
        &["hamming", "a", "b", "--wildcard", "NN"],
        &["hamming", "a", "b", "--engine", "quickest"],
        &["sensitivity", "a", "--stream", "--scores", "b.csv"],
        &["sensitivity", "a", "--stream", "--sampler", "tree"],
        &["sensitivity", "a", "--method", "best"],
        &["sensitivity", "a", "--sampler", "best"],
        &["sensitivity", "a", "--size", "5", "--epsilon", "0.5"],
        &["complete", "a", "--solver", "best"],
        &["complete", "a", "--loss", "none"],
        &["complete", "a", "--samples", "5"],
        &["complete", "a", "--solver", "gibbs", "--lambda", "1"],
        &["complete", "a", "--solver", "gibbs", "--tolerance", "1e-6"],
        &["complete", "a", "--solver", "gibbs", "--rank", "many"],
        &["complete", "a", "--factors", "b.csv"],
        &["complete", "a", "--time-limit", "-1"],
        &["mtrl", "a", "--target", "b", "--cost", "c"],
        &["mtrl", "a", "--target", "b", "--strategy", "top-0"],
        &["mtrl", "a", "--target", "b", "--out", "c.txt"],
        &["lasso", "a"],
        &["lasso", "a", "--target", "b", "--solver", "best"],
        &["lasso", "a", "--target", "b", "--out", "c.txt"],
        &["lasso", "a", "--target", "b", "--min-ratio", "0.1"],
        &["lasso", "a.mtx", "--target-file", "y", "--weights", "w"],
        &["sensitivity", "a", "--stream", "--regress", "b", "--quantile", "1.5"],
        &["sensitivity", "a", "--stream", "--regress", "b", "--exact", "--out", "c.csv"],
        &["sensitivity", "a", "--stream", "--regress", "b", "--exact", "--size", "100"],
        &["sensitivity", "a", "--stream", "--regress", "b", "--exact", "--p", "1.5"],
        &["sensitivity", "-", "--stream", "--regress", "b", "--exact"],
        &["lasso", "a", "--target", "b", "--groups", "g.csv", "--cv", "3"],
        &["lasso", "a", "--target", "b", "--groups", "g.csv", "--solver", "homotopy"],
        &["complete", "a", "--biases", "maybe"],
        &["lasso", "a", "--target", "b", "--target-file", "c"],
        &["sensitivity", "a", "--regress", "b", "--quantile", "0.5", "--p", "3"],
        &["mtrl", "a", "--target", "b", "--strategy", "l2", "--lambda", "1"],
        &["wht", "sparse", "a", "--hereditary"],
        &["wht", "sparse", "a", "--sparsity", "3", "--max-sparsity", "5"],
        &["wht", "sparse", "a", "--decoder", "best"],
        &["info", "--threads", "1000000"],
    ] {
        let done = run(call);
        assert_eq!(done.status.code(), Some(2), "{call:?}");
        assert!(!done.stderr.is_empty());
    }
}

/// Two targets share their support; groups vanish together; what is wrong in a file of groups is said.
#[test]
fn groups_and_several_targets() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let mut text = String::from("a,b,c,d,u,v\n");
    for i in 0..40 {
        let x = |j: usize| f64::from((i * (7 + 4 * j as i32) + 3 * j as i32) % 17) - 8.0;
        text += &format!("{},{},{},{},{},{}\n", x(0), x(1), x(2), x(3), 2.0 * x(0) - x(1), x(0) + 3.0);
    }
    std::fs::write(at("t.csv"), text).unwrap();
    std::fs::write(at("g.csv"), "group,column\nfirst,a\nfirst,b\nsecond,c\nsecond,d\n").unwrap();
    let table = at("t.csv");
    let both = json(&["lasso", &table, "--target", "u,v", "--lambda", "0.01", "--out", &at("o.csv")]);
    let fit = &both["result"];
    assert_eq!(fit["targets"], serde_json::json!(["u", "v"]));
    assert_eq!(fit["coefficients"][0]["name"], "a");
    let value = |t: usize| fit["coefficients"][0]["values"][t].as_f64().unwrap();
    assert!((value(0) - 2.0).abs() < 0.01 && (value(1) - 1.0).abs() < 0.01, "{fit}");
    assert!(std::fs::read_to_string(at("o.csv")).unwrap().starts_with("lambda,column,target,coefficient\n"));
    let call = ["lasso", &table, "--target", "u", "--groups", &at("g.csv"), "--path", "20"];
    let mut path = call.to_vec();
    std::fs::write(at("only.csv"), "a,b,c,d,u\n".to_owned() + &rows_without_last(&table)).unwrap();
    let only = at("only.csv");
    path[1] = &only;
    let path = json(&path);
    let last = path["result"]["path"].as_array().unwrap().last().unwrap();
    assert_eq!(last["groups"][0], "first", "{last}");
    for (text, told) in [
        ("group,column\nfirst,a\nfirst,a\n", "g.csv:3:2: column \"a\" is listed twice"),
        ("group,column\nfirst,z\n", "g.csv:2:2: \"z\" is not a feature column"),
        ("what,column\nfirst,a\n", "no column \"group\""),
        ("group,column\n,a\n", "g.csv:2:1: the cell is empty"),
    ] {
        std::fs::write(at("g.csv"), text).unwrap();
        let done = run(&call);
        let error = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.code() == Some(1) && error.contains(told), "{error}");
    }
}

/// The rows of a table with a header, without their last column.
fn rows_without_last(table: &str) -> String {
    let text = std::fs::read_to_string(table).unwrap();
    text.lines().skip(1).map(|l| l.rsplit_once(',').unwrap().0.to_owned() + "\n").collect()
}
