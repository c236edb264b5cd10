//! `samplewise wht transform|sparse|plan|decode|exec`.
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use samplewise_wht::{Noise, Options, Plan, PlanSpec, Spectrum, Status, dense, recover_unknown_sparsity};
use serde_json::json;

use crate::session::{Answer, Failure, Session, bad, usage};
use crate::{input, output};

#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Args, Clone)]
struct Prior {
    /// Number of nonzero coefficients, or auto (noiseless only).
    #[arg(long, default_value = "auto")]
    sparsity: String,
    /// Standard deviation of the noise, or auto (unknown). Without it values are taken as exact.
    #[arg(long)]
    noise_std: Option<String>,
    /// Not in this version.
    #[arg(long)]
    degree: Option<usize>,
    /// Samples to spend on decoding.
    #[arg(long)]
    samples: Option<usize>,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Dense transform of 2^n values, unnormalised.
    Transform {
        values: PathBuf,
        /// Where the transform goes (.npy).
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Sparse spectrum, reading only the samples it needs.
    Sparse {
        values: PathBuf,
        #[command(flatten)]
        prior: Prior,
    },
    /// Writes a plan and its queries.
    Plan {
        #[arg(long)]
        variables: usize,
        #[command(flatten)]
        prior: Prior,
        /// Plan (.json).
        #[arg(long)]
        out: PathBuf,
        /// Queries, one line of 0 and 1 each, most significant variable first.
        #[arg(long)]
        queries: PathBuf,
    },
    /// Decodes the answers to a plan's queries.
    Decode {
        plan: PathBuf,
        #[arg(long)]
        answers: PathBuf,
    },
    /// Asks a program: queries to its standard input, answers from its standard output.
    Exec {
        #[arg(long)]
        variables: usize,
        #[command(flatten)]
        prior: Prior,
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
}

fn options(prior: &Prior, session: &Session) -> Result<(Option<usize>, Options), Failure> {
    if prior.degree.is_some() {
        return Err(usage("--degree is not available in this version"));
    }
    let noise = match prior.noise_std.as_deref() {
        None => Noise::None,
        Some("auto") => Noise::Unknown,
        Some(s) => {
            Noise::Std(s.parse().map_err(|_| usage(format!("--noise-std is {s}, allowed is auto or a number")))?)
        }
    };
    let sparsity = match prior.sparsity.as_str() {
        "auto" if noise == Noise::None => None,
        "auto" => return Err(usage("--sparsity auto with noise is not available in this version; give a number")),
        k => Some(k.parse().map_err(|_| usage(format!("--sparsity is {k}, allowed is auto or a number")))?),
    };
    Ok((sparsity, Options { seed: session.seed(), noise, samples: prior.samples, ..Options::default() }))
}

fn known(sparsity: Option<usize>) -> Result<usize, Failure> {
    sparsity.ok_or_else(|| usage("--sparsity must be a number here"))
}

pub fn run(a: &Arguments, session: &Session) -> Result<Answer, Failure> {
    match &a.action {
        Action::Transform { values, out } => {
            let mut x = session.stage("read", || input::vector(values))?;
            session.stage("compute", || {
                dense::transform_in_place(&mut x).map_err(|e| bad(format!("{}: {e}", values.display())))
            })?;
            if let Some(out) = out {
                session.stage("write", || output::write_npy(out, &x))?;
            }
            let n = x.len().trailing_zeros();
            let energy: f64 = x.iter().map(|v| v * v).sum();
            let table = format!("variables {n}\nlength {}\nenergy {energy}\n", x.len());
            let result =
                json!({"variables": n, "length": x.len(), "samples": x.len(), "energy": energy, "complete": true});
            let parameters = json!({"action": "transform", "values": values, "out": out});
            Ok(Answer { parameters, result, report: super::map(json!({"path": "dense"})), table })
        }
        Action::Sparse { values, prior } => {
            let (sparsity, options) = options(prior, session)?;
            let x = session.stage("read", || input::vector(values))?;
            if !x.len().is_power_of_two() || x.len() < 2 {
                return Err(bad(format!(
                    "{}: the number of values is {}, which is not 2^n",
                    values.display(),
                    x.len()
                )));
            }
            let n = x.len().trailing_zeros() as usize;
            let found = session.stage("compute", || {
                match sparsity {
                    Some(k) => samplewise_wht::recover(n, k, |m| x[m as usize], &options),
                    None => recover_unknown_sparsity(n, |m| x[m as usize], &options, |_| !session.interrupted()),
                }
                .map_err(bad)
            })?;
            let parameters =
                json!({"action": "sparse", "values": values, "sparsity": prior.sparsity, "noise_std": prior.noise_std});
            Ok(spectrum(&found, parameters))
        }
        Action::Plan { variables, prior, out, queries } => {
            let (sparsity, options) = options(prior, session)?;
            let plan = session.stage("compute", || Plan::new(*variables, known(sparsity)?, &options).map_err(bad))?;
            session.stage("write", || {
                let text = serde_json::to_string(plan.spec()).map_err(bad)?;
                output::write(queries, |w| plan.queries().iter().try_for_each(|&q| writeln!(w, "{q:0variables$b}")))?;
                output::write(out, |w| writeln!(w, "{text}"))
            })?;
            let count = plan.queries().len();
            Ok(Answer {
                parameters: json!({"action": "plan", "variables": variables, "sparsity": prior.sparsity, "noise_std": prior.noise_std}),
                result: json!({"variables": variables, "samples": count}),
                report: super::map(json!({"path": format!("{:?}", plan.spec().decoder)})),
                table: format!("{count} queries\n"),
            })
        }
        Action::Decode { plan, answers } => {
            let (plan, values) = session.stage("read", || {
                let text = input::bytes(plan)?;
                let spec: PlanSpec = serde_json::from_slice(&text)
                    .map_err(|e| bad(format!("{}:{}:{}: not a plan: {e}", plan.display(), e.line(), e.column())))?;
                Ok((Plan::from_spec(spec).map_err(bad)?, input::vector(answers)?))
            })?;
            let found = session
                .stage("compute", || plan.decode(&values).map_err(|e| bad(format!("{}: {e}", answers.display()))))?;
            Ok(spectrum(&found, json!({"action": "decode", "answers": answers})))
        }
        Action::Exec { variables, prior, command } => {
            let (sparsity, options) = options(prior, session)?;
            let plan = Plan::new(*variables, known(sparsity)?, &options).map_err(bad)?;
            let values = session.stage("query", || ask(&plan, *variables, command, session))?;
            let found = session.stage("compute", || plan.decode(&values).map_err(bad))?;
            Ok(spectrum(&found, json!({"action": "exec", "variables": variables, "exec": command})))
        }
    }
}

/// Writes queries from a thread of their own, so that neither pipe can fill and block.
fn ask(plan: &Plan, n: usize, command: &[String], session: &Session) -> Result<Vec<f64>, Failure> {
    let name = &command[0];
    let fail = |e: std::io::Error| bad(format!("{name}: {e}"));
    let mut child =
        Command::new(name).args(&command[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(fail)?;
    let mut stdin = child.stdin.take().expect("piped");
    let stdout = child.stdout.take().expect("piped");
    let answers = std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut buffer = std::io::BufWriter::new(&mut stdin);
            // A program that stops reading is reported by its missing answers.
            let _ = plan.queries().iter().try_for_each(|q| writeln!(buffer, "{q:0n$b}"));
            let _ = buffer.flush();
        });
        let answers = BufReader::new(stdout)
            .lines()
            .take(plan.queries().len())
            .enumerate()
            .map(|(i, line)| {
                if session.interrupted() {
                    return Err(bad("interrupted"));
                }
                let line = line.map_err(fail)?;
                let at = || bad(format!("{name}: answer {}: {line:?} is not a number", i + 1));
                line.trim().parse::<f64>().map_err(|_| at())
            })
            .collect::<Result<Vec<f64>, Failure>>();
        if answers.is_err() {
            // Otherwise the writer would wait for a program that no longer reads.
            let _ = child.kill();
            let _ = child.wait();
        }
        answers
    })?;
    let status = child.wait().map_err(fail)?;
    if answers.len() < plan.queries().len() {
        let (given, asked) = (answers.len(), plan.queries().len());
        return Err(bad(format!("{name}: gave {given} answers to {asked} queries and ended with {status}")));
    }
    Ok(answers)
}

fn spectrum(s: &Spectrum, parameters: serde_json::Value) -> Answer {
    let n = s.variables;
    // Printed most significant variable first, as in the queries: variable 0 of the text is bit n−1.
    let coefficients: Vec<_> = s
        .top(s.coefficients.len())
        .iter()
        .map(|c| {
            let index = format!("{:0n$b}", c.index);
            let set: Vec<usize> = index.bytes().enumerate().filter(|b| b.1 == b'1').map(|b| b.0).collect();
            json!({"index": index, "set": set, "value": c.value, "std_error": c.std_error})
        })
        .collect();
    let r = &s.report;
    let complete = !matches!(s.status, Status::Stalled { .. });
    let mut table = format!("{} coefficients from {} samples of 2^{n}\n", s.coefficients.len(), r.samples);
    for c in s.top(20) {
        table += &format!("{:0n$b} {:+.6}\n", c.index, c.value);
    }
    let result = json!({
        "variables": n, "samples": r.samples, "coefficients": coefficients, "complete": complete,
        "verified": {"holdout_samples": r.verification, "residual_std": r.residual_std, "r2": r.r2},
    });
    let report = json!({
        "path": r.decoder, "status": format!("{:?}", s.status), "noise_std": r.noise_std,
        "detection_limit": r.detection_limit, "decode_stages": r.stages,
    });
    Answer { parameters, result, report: super::map(report), table }
}
