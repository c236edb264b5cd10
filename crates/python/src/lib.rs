//! Extension module of the Python package `samplewise`: arrays in, arrays out, one function or class for each call of the
//! crates. Names, defaults, checks of types and documentation are Python's, in the package beside.
#![allow(missing_docs, clippy::needless_pass_by_value, clippy::unnecessary_wraps)]
use pyo3::prelude::*;

mod completion;
mod errors;
mod hamming;
mod lasso;
mod mtrl;
mod partitions;
mod run;
mod sensitivity;
mod surrogate;
mod table;
mod wht;

#[pymodule(gil_used = false)]
mod _core {
    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");
    #[pymodule_export]
    use super::completion::{Entries, Model, Posterior, complete, sample_posterior};
    #[pymodule_export]
    use super::hamming::{Batch, DistanceStream, Pattern, Search, SearchStream};
    #[pymodule_export]
    use super::lasso::{Design, alpha_max, group_alpha_max, lasso_cv, lasso_group_path, lasso_path};
    #[pymodule_export]
    use super::mtrl::{Planner, TaskData};
    #[pymodule_export]
    use super::partitions::{QuantilePasses, Summary, keys_of_numbers, keys_of_parts, keys_of_texts};
    #[pymodule_export]
    use super::sensitivity::{
        CoresetStream, LabelPlan, coreset, distortion, planned_size, regress, regress_on_coreset, row_scores,
    };
    #[pymodule_export]
    use super::surrogate::{LetterPosterior, SurrogateSearch, fit_letters};
    #[pymodule_export]
    use super::wht::{Plan, Recovery, Spectrum, fwht};
}
