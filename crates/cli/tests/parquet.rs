//! Tables in Parquet answer as the same tables in CSV do. `cargo test -p samplewise-cli --features parquet`.
#![cfg(feature = "parquet")]
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArrayType, DoubleType, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use serde_json::Value;

fn json(arguments: &[&str]) -> Value {
    let done =
        Command::new(env!("CARGO_BIN_EXE_samplewise")).args(arguments).args(["--json", "--quiet"]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    serde_json::from_slice(&done.stdout).unwrap()
}

/// Three row groups of 500 rows: a double, a whole number, an optional double, a text.
fn write(path: &Path, compression: Compression, missing: bool) -> String {
    let schema = "message t { required double x; required int64 k; optional double y; required binary note (UTF8); }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let properties = Arc::new(WriterProperties::builder().set_compression(compression).build());
    let file = std::fs::File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, properties).unwrap();
    let mut text = String::from("x,k,y,note\n");
    for group in 0..3 {
        let of = |i: i64| ((i as f64 * 0.37).sin(), (i * 7919) % 101 - 50);
        let rows: Vec<i64> = (group * 500..group * 500 + 500).collect();
        let x: Vec<f64> = rows.iter().map(|&i| of(i).0).collect();
        let k: Vec<i64> = rows.iter().map(|&i| of(i).1).collect();
        let y: Vec<f64> = x.iter().zip(&k).map(|(x, k)| 3.0 * x - 0.1 * *k as f64 + 0.01 * (*k as f64).cos()).collect();
        let present: Vec<i16> = rows.iter().map(|&i| i16::from(!(missing && i == 777))).collect();
        let some: Vec<f64> = y.iter().zip(&present).filter(|e| *e.1 == 1).map(|e| *e.0).collect();
        let notes: Vec<_> = rows.iter().map(|i| format!("row {i}").as_str().into()).collect();
        let mut out = writer.next_row_group().unwrap();
        let mut column = out.next_column().unwrap().unwrap();
        column.typed::<DoubleType>().write_batch(&x, None, None).unwrap();
        column.close().unwrap();
        let mut column = out.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&k, None, None).unwrap();
        column.close().unwrap();
        let mut column = out.next_column().unwrap().unwrap();
        column.typed::<DoubleType>().write_batch(&some, Some(&present), None).unwrap();
        column.close().unwrap();
        let mut column = out.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&notes, None, None).unwrap();
        column.close().unwrap();
        out.close().unwrap();
        for (i, x) in x.iter().enumerate() {
            text += &format!("{x},{},{},row {}\n", k[i], y[i], rows[i]);
        }
    }
    writer.close().unwrap();
    text
}

#[test]
fn parquet_and_csv_have_one_answer() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (table, plain) = (at("t.parquet"), at("t.csv"));
    for compression in
        [Compression::UNCOMPRESSED, Compression::SNAPPY, Compression::ZSTD(ZstdLevel::default()), Compression::LZ4_RAW]
    {
        std::fs::write(&plain, write(Path::new(&table), compression, false)).unwrap();
        let features = ["--features", "x,k", "--intercept", "--size", "100"];
        for more in [&["--stream", "--regress", "y"][..], &["--stream"], &["--regress", "y"]] {
            let of = |file: &str, out: &str| {
                json(&[&["sensitivity", file, "--out", out], &features[..], more].concat())["result"].clone()
            };
            let (one, two) = (at("one.csv"), at("two.csv"));
            assert_eq!(of(&table, &one), of(&plain, &two), "{compression:?} {more:?}");
            assert_eq!(std::fs::read_to_string(&one).unwrap(), std::fs::read_to_string(&two).unwrap());
        }
    }
    write(Path::new(&table), Compression::SNAPPY, true);
    for stream in [&["--stream"][..], &[]] {
        let call = [&["sensitivity", &table, "--features", "x,y"][..], stream].concat();
        let done = Command::new(env!("CARGO_BIN_EXE_samplewise")).args(call).output().unwrap();
        let error = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.code() == Some(1) && error.contains("t.parquet:778:3: value \"\" is not"), "{error}");
    }
    std::fs::write(&table, "PAR1 no").unwrap();
    let done =
        Command::new(env!("CARGO_BIN_EXE_samplewise")).args(["lasso", &table, "--target", "y"]).output().unwrap();
    assert_eq!(done.status.code(), Some(1));
}
