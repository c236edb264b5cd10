//! One module per subcommand.
pub mod complete;
pub mod hamming;
pub mod lasso;
pub mod mtrl;
pub mod sensitivity;
pub mod wht;

use serde_json::{Map, Value, json};

use crate::session::{Answer, Session};

/// A JSON object as a map.
fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(m) => m,
        _ => Map::new(),
    }
}

pub fn info(session: &Session) -> Answer {
    let features: Vec<&str> = cpu_features();
    let costs = samplewise_hamming::dispatch::costs();
    let constants = json!({
        "hamming": {
            "definition": costs.definition, "vertical": costs.vertical, "vertical_letter": costs.vertical_letter,
            "vertical_fixed": costs.vertical_fixed, "bitsliced": costs.bitsliced,
            "bitsliced_letter": costs.bitsliced_letter, "bitsliced_shift": costs.bitsliced_shift, "bitsliced_fixed": costs.bitsliced_fixed,
            "fft_letter": costs.fft_letter, "fft_fixed": costs.fft_fixed, "fft_double": costs.fft_double, "pairs": costs.pairs,
            "pairs_fixed": costs.pairs_fixed,
        }
    });
    let threads = rayon::current_num_threads();
    let table = format!(
        "samplewise {}\nthreads {threads}\ncpu features {}\ndispatcher constants {constants}\n",
        env!("CARGO_PKG_VERSION"),
        features.join(" ")
    );
    let _ = session;
    Answer {
        parameters: json!({}),
        result: json!({"cpu_features": features, "cores": threads, "version": env!("CARGO_PKG_VERSION"), "constants": constants}),
        report: map(json!({"path": "info"})),
        table,
    }
}

fn cpu_features() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    {
        let known = [
            ("sse2", is_x86_feature_detected!("sse2")),
            ("avx2", is_x86_feature_detected!("avx2")),
            ("fma", is_x86_feature_detected!("fma")),
            ("avx512f", is_x86_feature_detected!("avx512f")),
        ];
        known.iter().filter(|k| k.1).map(|k| k.0).collect()
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        Vec::new()
    }
}
