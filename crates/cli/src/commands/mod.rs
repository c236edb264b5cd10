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
    let costs = samplewise_hamming::internals::costs();
    // One list for the table and JSON: that of the crate.
    let list: Map<String, Value> = costs.list().into_iter().map(|(name, ns)| (name.to_owned(), json!(ns))).collect();
    let constants = json!({"hamming": list});
    let threads = rayon::current_num_threads();
    let table = format!(
        "samplewise {}\nthreads {threads}\ncpu features {}\ndispatcher constants {constants}\nstatus known, finished\n",
        env!("CARGO_PKG_VERSION"),
        features.join(" ")
    );
    let _ = session;
    Answer {
        parameters: json!({}),
        result: json!({"status": "known", "cpu_features": features, "cores": threads, "version": env!("CARGO_PKG_VERSION"), "constants": constants}),
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
