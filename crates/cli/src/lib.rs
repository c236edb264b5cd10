//! The parts of `samplewise`, the command line: each subcommand reads, computes and writes; the algorithms live in the
//! crates. A library only so that its readers can be tested; nothing here is for other programs.
#![doc(hidden)]
#![allow(missing_docs, clippy::missing_errors_doc)]

pub mod cells;
pub mod choices;
pub mod commands;
pub mod failure;
pub mod input;
pub mod output;
#[cfg(feature = "parquet")]
mod parquet;
pub mod records;
pub mod sequences;
pub mod session;

use clap::{Args, Parser, Subcommand};

/// Sample-frugal numerical algorithms, with the evidence for every answer.
#[derive(Parser)]
#[command(name = "samplewise", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

/// Options of every subcommand.
#[derive(Args, Clone)]
pub struct Common {
    /// Print one JSON object on standard output instead of a table.
    #[arg(long, global = true)]
    json: bool,
    /// Seed of all randomness.
    #[arg(long, global = true, default_value_t = 0)]
    seed: u64,
    /// Threads (default: all cores). The result is the same for every number.
    #[arg(long, global = true)]
    threads: Option<usize>,
    /// No progress bar.
    #[arg(long, global = true)]
    quiet: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Complete a low-rank table from triplets row, column, value and perhaps weight.
    Complete(commands::complete::Arguments),
    /// Walsh-Hadamard transforms, dense and sparse.
    Wht(commands::wht::Arguments),
    /// Hamming distances of a pattern at every position of a text.
    Hamming(commands::hamming::Arguments),
    /// Scores of rows, coresets, and regression with a certificate.
    Sensitivity(commands::sensitivity::Arguments),
    /// Lasso and elastic net with a duality gap.
    Lasso(commands::lasso::Arguments),
    /// Active multi-task learning on a folder of task tables.
    Mtrl(commands::mtrl::Arguments),
    /// CPU features, threads, version and dispatcher constants.
    Info,
}

/// Runs the command line of this process and returns its exit code.
pub fn run() -> i32 {
    let cli = Cli::parse();
    let name = match &cli.command {
        Command::Complete(_) => "complete",
        Command::Wht(_) => "wht",
        Command::Hamming(_) => "hamming",
        Command::Sensitivity(_) => "sensitivity",
        Command::Lasso(_) => "lasso",
        Command::Mtrl(_) => "mtrl",
        Command::Info => "info",
    };
    let session = session::Session::new(name, &cli.common);
    let run = |session: &session::Session| match &cli.command {
        Command::Complete(a) => commands::complete::run(a, session),
        Command::Wht(a) => commands::wht::run(a, session),
        Command::Hamming(a) => commands::hamming::run(a, session),
        Command::Sensitivity(a) => commands::sensitivity::run(a, session),
        Command::Lasso(a) => commands::lasso::run(a, session),
        Command::Mtrl(a) => commands::mtrl::run(a, session),
        Command::Info => Ok(commands::info(session)),
    };
    match session.pool() {
        Err(e) => session.fail(&e),
        Ok(pool) => match pool.install(|| run(&session)) {
            Ok(answer) => session.finish(answer),
            Err(e) => session.fail(&e),
        },
    }
}
