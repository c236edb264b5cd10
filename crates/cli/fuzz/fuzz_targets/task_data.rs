#![no_main]
#[allow(dead_code)]
#[path = "../../tests/corpus/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::task_data(data));
