//! Five sample-frugal numerical algorithms, each a crate of its own, re-exported here.
//!
//! | problem | module |
//! |---|---|
//! | the missing entries of a low-rank table | [`completion`] |
//! | the few interactions that drive a function of binary variables | [`wht`] |
//! | Hamming distances of a pattern at every position of a text | [`hamming`] |
//! | the rows of a table that matter for `ℓp` regression | [`sensitivity`] |
//! | which source tasks to sample for a target with few labels | [`mtrl`] |
//!
//! [`lasso`] serves [`mtrl`], and [`linalg`] serves all.
pub use samplewise_completion as completion;
pub use samplewise_hamming as hamming;
pub use samplewise_lasso as lasso;
pub use samplewise_linalg as linalg;
pub use samplewise_mtrl as mtrl;
pub use samplewise_sensitivity as sensitivity;
pub use samplewise_wht as wht;
