#![doc = include_str!("../README.md")]
mod answer;
mod asked_labels;
mod coreset;
mod design;
mod distort;
mod error;
mod loss;
mod options;
mod passes;
mod power;
mod regress;
mod scores;
mod solve;
mod streaming;
mod table;
mod verdict;

pub use answer::{Regression, Report, Route, Status};
pub use asked_labels::{LabelFit, LabelPlan, regress_asking, regress_asking_observed};
pub use coreset::{
    Coreset, RecursiveCoreset, Sampler, ScreenedCoreset, planned_size, recursive_root_leverage,
    recursive_root_leverage_observed, screened_coreset, screened_coreset_observed,
};
pub use distort::{Distortion, DistortionReport, distortion, distortion_observed};
pub use error::Error;
pub use loss::Loss;
pub use options::{
    CertifiedOptions, CoresetOptions, DistortionOptions, Options, Preprocessing, SampleOptions, ScoreOptions,
};
pub use passes::{PassOptions, PassRecord, PassStage, QuantileDriver, QuantilePass, Question, RegressionByPasses};
pub use regress::{regress, regress_observed, regress_on_coreset, regress_on_coreset_observed};
pub use samplewise_linalg::observe::{Observer, Progress};
pub use samplewise_linalg::{
    ArgumentError, CooBuilder, CsrMatrix, CsrView, Ending, Matrix, MatrixView, NoBound, Rows, Seconds, Summary,
};
pub use scores::{
    CertifiedScores, Method, ScoreReport, Scores, certified_sensitivities, certified_sensitivities_observed, scores,
    scores_observed,
};
pub use streaming::{Block, KeyedCoreset, KeyedRows, StreamOptions, StreamedCoreset, StreamingCoreset};

/// For the tests and benches of this collection: outside what versions promise.
#[doc(hidden)]
pub mod internals {
    pub use crate::options::{CERTIFIED, FIT, SCORES};
}
