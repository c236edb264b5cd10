//! `samplewise`: the command line.

fn main() {
    std::process::exit(samplewise_cli::run());
}
