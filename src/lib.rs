//! Numerical algorithms that answer from few entries, few queries, few rows or few labels, and show the evidence: each a
//! crate of its own, re-exported here.
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

#[doc(inline)]
pub use samplewise_completion as completion;
#[doc(inline)]
pub use samplewise_hamming as hamming;
#[doc(inline)]
pub use samplewise_lasso as lasso;
#[doc(inline)]
pub use samplewise_linalg as linalg;
#[doc(inline)]
pub use samplewise_mtrl as mtrl;
#[doc(inline)]
pub use samplewise_sensitivity as sensitivity;
#[doc(inline)]
pub use samplewise_wht as wht;

/// The example of the README is one that runs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// The examples of the guide are ones that run.
#[cfg(doctest)]
mod guide {
    #[doc = include_str!("../guide/completion.md")]
    struct Completion;
    #[doc = include_str!("../guide/wht.md")]
    struct Interactions;
    #[doc = include_str!("../guide/surrogate.md")]
    struct Surrogate;
    #[doc = include_str!("../guide/hamming.md")]
    struct Distances;
    #[doc = include_str!("../guide/sensitivity.md")]
    struct Rows;
    #[doc = include_str!("../guide/lasso.md")]
    struct Lasso;
    #[doc = include_str!("../guide/scale.md")]
    struct Scale;
    #[doc = include_str!("../guide/mtrl.md")]
    struct Tasks;
}
