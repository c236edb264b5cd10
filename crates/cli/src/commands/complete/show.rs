//! What the answers of one fit and of draws have in common.
use samplewise_completion::Ending;
use serde_json::{Value, json};

/// What became of the pairs to predict.
#[derive(Default)]
pub(super) struct Counted {
    pub determined: usize,
    pub undetermined: usize,
    pub unknown: usize,
}

impl Counted {
    pub fn json(&self) -> Value {
        json!({"determined": self.determined, "undetermined": self.undetermined, "unknown": self.unknown})
    }
}

/// What the tables of one fit and of draws have in common.
pub(super) fn answer_table(
    (status, ending): (&str, Ending),
    (rows, columns, observed): (usize, usize, usize),
    rank: usize,
    [train, test, baseline]: [Option<f64>; 3],
) -> String {
    let show = |v: Option<f64>| v.map_or("-".to_owned(), |v| format!("{v:.5}"));
    format!(
        "status        {status}, {}\nmatrix        {rows} x {columns}, {observed} entries\nrank          {rank}\ntrain rmse    {}\ntest rmse     {}\nbaseline rmse {}\n",
        ending.name(),
        show(train),
        show(test),
        show(baseline)
    )
}
