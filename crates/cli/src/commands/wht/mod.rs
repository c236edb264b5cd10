//! `samplewise wht transform|sparse|plan|decode|exec`.
use std::path::{Path, PathBuf};

use samplewise_wht::any::{AnyPlan, AnySpectrum};
use samplewise_wht::{
    Decoder, Error, Errors, Noise, Options, PlanSpec, Sparsity, Support, dense, recover_in_memory_observed,
    recover_observed,
};
use serde_json::json;

use crate::failure::{Failure, bad, usage};
use crate::output::check_apart;
use crate::session::{Answer, Session, shown, shown_option};
use crate::{input, output};

pub mod exec;
mod show;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

/// What is known before anything is asked.
#[derive(clap::Args, Clone)]
struct Prior {
    /// Number of nonzero coefficients, or auto: ask until fresh samples agree.
    #[arg(long, default_value = "auto")]
    sparsity: String,
    /// Largest number worth the samples when the sparsity is auto.
    #[arg(long)]
    max_sparsity: Option<usize>,
    /// Standard deviation of the noise, or auto (unknown). Without it values are taken as exact.
    #[arg(long)]
    noise_std: Option<String>,
    /// No interaction of more variables than this.
    #[arg(long)]
    degree: Option<usize>,
    /// Every interaction has a parent with one variable less (sums of decision trees); needs --degree.
    #[arg(long, requires = "degree")]
    hereditary: bool,
    /// Decoder.
    #[arg(long, value_enum, default_value = "auto")]
    decoder: DecoderName,
    /// Samples to spend on decoding.
    #[arg(long)]
    samples: Option<usize>,
    /// Fresh samples that are kept from the decoder.
    #[arg(long, default_value_t = 64)]
    holdout: usize,
    /// Probability with which the status may claim too much.
    #[arg(long, default_value_t = 0.01)]
    delta: f64,
    /// Standard errors from each sample's own residual instead of one variance.
    #[arg(long)]
    sandwich: bool,
}

#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq)]
enum DecoderName {
    Auto,
    Dense,
    SignBits,
    Spright,
    JointList,
    ExhaustiveLists,
    BchLists,
    Heredity,
}

/// What is derived from the spectrum.
#[derive(clap::Args, Clone)]
struct Derived {
    /// Adds the Möbius coefficients: x[m] = Σ_{S ⊆ m} μ(S).
    #[arg(long)]
    moebius: bool,
    /// Adds Shapley and Banzhaf values, Sobol indices and the energy by number of variables.
    #[arg(long)]
    indices: bool,
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
    /// Sparse spectrum of 2^n values, reading only the samples it needs.
    Sparse {
        values: PathBuf,
        /// Whatever is expected to be faster: the samples, or all values and the dense transform.
        #[arg(long)]
        fastest: bool,
        #[command(flatten)]
        prior: Prior,
        #[command(flatten)]
        derived: Derived,
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
        #[command(flatten)]
        derived: Derived,
    },
    /// Asks a program: queries to its standard input, one number a line from its standard output.
    ///
    /// The program reads to the end of its input; it is started again for the questions that are left when it dies, and
    /// for each further stage when the sparsity is auto.
    Exec {
        #[arg(long)]
        variables: usize,
        #[command(flatten)]
        prior: Prior,
        #[command(flatten)]
        derived: Derived,
        /// Where answers are noted as they come, one line of query and number each. A later call with the same file does
        /// not ask them again.
        #[arg(long)]
        answers_log: Option<PathBuf>,
        /// Starts of the program in a row that may end without an answer.
        #[arg(long, default_value_t = 3)]
        restarts: usize,
        /// Questions in all, those of the log included: at this ceiling the search ends with the answer so far.
        #[arg(long, default_value_t = 100_000)]
        max_queries: usize,
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
}

/// Where no sparsity is given, the search ends at this many coefficients.
const MAX_SPARSITY: usize = 100_000;

fn options(prior: &Prior, session: &Session) -> Result<(Sparsity, Options), Failure> {
    let noise = match prior.noise_std.as_deref() {
        None => Noise::None,
        Some("auto") => Noise::Unknown,
        Some(s) => {
            Noise::Std(s.parse().map_err(|_| usage(format!("--noise-std is {s}, allowed is auto or a number")))?)
        }
    };
    let sparsity = match prior.sparsity.as_str() {
        "auto" => Sparsity::Unknown { max: prior.max_sparsity.unwrap_or(MAX_SPARSITY) },
        _ if prior.max_sparsity.is_some() => {
            return Err(usage("--max-sparsity goes with --sparsity auto"));
        }
        k => Sparsity::Known(k.parse().map_err(|_| usage(format!("--sparsity is {k}, allowed is auto or a number")))?),
    };
    let support = match prior.degree {
        None => Support::Any,
        Some(max_degree) if prior.hereditary => Support::Hereditary { max_degree },
        Some(degree) => Support::MaxDegree(degree),
    };
    let decoder = match prior.decoder {
        DecoderName::Auto => Decoder::Auto,
        DecoderName::Dense => Decoder::Dense,
        DecoderName::SignBits => Decoder::SignBits,
        DecoderName::Spright => Decoder::Spright,
        DecoderName::JointList => Decoder::JointList,
        DecoderName::ExhaustiveLists => Decoder::ExhaustiveLists,
        DecoderName::BchLists => Decoder::BchLists,
        DecoderName::Heredity => Decoder::Heredity,
    };
    let options = Options {
        seed: session.seed(),
        noise,
        support,
        decoder,
        samples: prior.samples,
        verification: prior.holdout,
        delta: prior.delta,
        errors: if prior.sandwich { Errors::Sandwich } else { Errors::Model },
    };
    Ok((sparsity, options))
}

/// An error of the library, in the words of the command line.
fn failure(e: Error) -> Failure {
    match e {
        Error::Argument(e) => {
            let flag = match e.name {
                "verification" => "--holdout",
                "delta" => "--delta",
                "samples" => "--samples",
                "noise" => "--noise-std",
                "support" => "--degree",
                "variables" => "--variables",
                "sparsity" => "--sparsity or --max-sparsity",
                _ => return bad(e),
            };
            usage(format!("{flag} is {}, allowed is {}", e.given, e.allowed))
        }
        Error::Budget { samples, needed } => usage(format!("--samples is {samples}, the first stage asks {needed}")),
        Error::DecoderNeeds { .. } => usage(format!("--decoder: {e}")),
        e => bad(e),
    }
}

/// A search cannot go beyond the number of coefficients that there are.
fn capped(sparsity: Sparsity, variables: usize) -> Sparsity {
    match sparsity {
        Sparsity::Unknown { max } => {
            Sparsity::Unknown { max: 1_usize.checked_shl(variables as u32).map_or(max, |all| max.min(all)) }
        }
        known @ Sparsity::Known(_) => known,
    }
}

/// What a plan for an unknown sparsity is made for: it cannot ask more when it is not enough.
fn planned(sparsity: Sparsity, prior: &Prior) -> Result<Sparsity, Failure> {
    match (sparsity, prior.max_sparsity, prior.samples) {
        (known @ Sparsity::Known(_), _, _) => Ok(known),
        (_, Some(max), _) => Ok(Sparsity::Unknown { max }),
        // Random points are as many as were asked for, whatever the sparsity.
        (_, None, Some(_)) if prior.hereditary => Ok(sparsity),
        _ => Err(usage(
            "a plan needs --sparsity K, or with auto --max-sparsity K, or --hereditary and --samples M; `wht exec` asks as many as it needs",
        )),
    }
}

pub fn run(a: &Arguments, session: &Session) -> Result<Answer, Failure> {
    match &a.action {
        Action::Transform { values, out } => {
            let others = ["bed", "json", "jsonl", "csv", "tsv", "txt", "npz", "parquet"];
            output::check_not_ending("--out", out.as_deref(), &others, "a vector, .npy")?;
            let mut x = session.stage("read", || input::vector(values))?;
            session.stage("compute", || {
                dense::transform_in_place(&mut x).map_err(|e| bad(format!("{}: {e}", values.display())))?;
                let overflow = || bad(format!("{}: sums of the values overflow: divide them first", values.display()));
                if x.iter().all(|v| v.is_finite()) { Ok(()) } else { Err(overflow()) }
            })?;
            if let Some(out) = out {
                session.stage("write", || output::write_npy(out, &x))?;
            }
            let n = x.len().trailing_zeros();
            let energy = Some(x.iter().map(|v| v * v).sum::<f64>()).filter(|e| e.is_finite());
            let table = format!(
                "variables {n}\nlength {}\nenergy {}\nstatus exact, finished\n",
                x.len(),
                energy.map_or("beyond the largest number".to_owned(), |e| e.to_string())
            );
            let result = json!({"status": "exact", "variables": n, "length": x.len(), "samples": x.len(),
                "energy": energy, "complete": true});
            let parameters = json!({"action": "transform", "values": shown(values), "out": shown_option(out.as_ref())});
            Ok(Answer { parameters, result, report: super::map(json!({"path": "dense"})), table })
        }
        Action::Sparse { values, fastest, prior, derived } => {
            let (sparsity, options) = options(prior, session)?;
            let x = session.stage("read", || input::vector(values))?;
            let fail = |e| match failure(e) {
                f if f.code == 2 => f,
                f => bad(format!("{}: {}", values.display(), f.message)),
            };
            if x.len() < 2 || !x.len().is_power_of_two() {
                let (name, len) = (values.display(), x.len());
                return Err(bad(format!("{name}: the number of values is {len}, allowed is a power of two from 2 on")));
            }
            let n = x.len().ilog2() as usize;
            let found = session.stage("compute", || {
                let (sparsity, observer) = (capped(sparsity, n), &mut &*session);
                if *fastest {
                    recover_in_memory_observed(&x, sparsity, &options, observer).map(AnySpectrum::from).map_err(fail)
                } else {
                    recover_observed(|m: u64| x[m as usize], n, sparsity, &options, observer)
                        .map(AnySpectrum::from)
                        .map_err(fail)
                }
            })?;
            let mut parameters = parameters(prior);
            parameters["action"] = json!("sparse");
            parameters["values"] = json!(shown(values));
            parameters["fastest"] = json!(fastest);
            show::spectrum(&found, derived, parameters, session)
        }
        Action::Plan { variables, prior, out, queries } => self::plan(*variables, prior, out, queries, session),
        Action::Decode { plan, answers, derived } => {
            let (spec, values) = session.stage("read", || {
                let text = input::bytes(plan)?;
                let spec: PlanSpec = serde_json::from_slice(&text)
                    .map_err(|e| bad(format!("{}:{}:{}: not a plan: {e}", plan.display(), e.line(), e.column())))?;
                Ok((spec, input::vector(answers)?))
            })?;
            decode(spec, plan, answers, &values, derived, session)
        }
        Action::Exec { variables, prior, derived, answers_log, restarts, max_queries, command } => {
            let (sparsity, mut options) = options(prior, session)?;
            if let Sparsity::Unknown { .. } = sparsity {
                options.samples = Some(options.samples.map_or(*max_queries, |s| s.min(*max_queries)));
            }
            let sparsity = capped(sparsity, *variables);
            let mut program = exec::Program::new(command, *variables, *restarts, answers_log.as_deref(), session)?;
            let mut parameters = parameters(prior);
            parameters["action"] = json!("exec");
            parameters["variables"] = json!(variables);
            parameters["restarts"] = json!(restarts);
            parameters["exec"] = json!(command);
            parameters["answers_log"] = json!(shown_option(answers_log.as_ref()));
            parameters["max_queries"] = json!(max_queries);
            ask((*variables, *max_queries), sparsity, &options, &mut program, derived, parameters, session)
        }
    }
}

/// The name of a decoder on the command line.
fn name(decoder: DecoderName) -> Option<String> {
    clap::ValueEnum::to_possible_value(&decoder).map(|v| v.get_name().to_owned())
}

fn parameters(prior: &Prior) -> serde_json::Value {
    json!({
        "sparsity": prior.sparsity, "max_sparsity": prior.max_sparsity, "noise_std": prior.noise_std,
        "degree": prior.degree, "hereditary": prior.hereditary, "samples": prior.samples, "holdout": prior.holdout,
        "delta": prior.delta, "sandwich": prior.sandwich, "decoder": name(prior.decoder),
    })
}

fn plan(variables: usize, prior: &Prior, out: &Path, queries: &Path, session: &Session) -> Result<Answer, Failure> {
    check_apart(("--out", Some(out)), ("--queries", Some(queries)))?;
    let (sparsity, options) = options(prior, session)?;
    let sparsity = capped(planned(sparsity, prior)?, variables);
    let plan = session.stage("compute", || AnyPlan::new(variables, sparsity, &options).map_err(failure))?;
    session.stage("write", || {
        let text = serde_json::to_string(plan.spec()).map_err(bad)?;
        output::write(queries, |w| {
            plan.queries().to_rows().chunks_exact(variables).try_for_each(|row| writeln!(w, "{}", show::digits(row)))
        })?;
        output::write(out, |w| writeln!(w, "{text}"))
    })?;
    let count = plan.queries().len();
    let mut parameters = parameters(prior);
    parameters["action"] = json!("plan");
    parameters["variables"] = json!(variables);
    let result =
        json!({"status": "planned", "variables": variables, "samples": count, "holdout_samples": plan.verification()});
    let path = format!("{:?}", plan.spec().decoder);
    Ok(Answer {
        parameters,
        result,
        report: super::map(json!({"path": path})),
        table: format!("{count} queries\nstatus planned, finished\n"),
    })
}

fn decode(
    spec: PlanSpec,
    plan: &Path,
    answers: &Path,
    values: &[f64],
    derived: &Derived,
    session: &Session,
) -> Result<Answer, Failure> {
    let prepared = session.stage("plan", || {
        let prepared = AnyPlan::from_spec(spec).map_err(|e| bad(format!("{}: {e}", plan.display())))?;
        prepared.queries_observed(&mut &*session).map_err(bad)?;
        Ok(prepared)
    })?;
    let found = session.stage("compute", || {
        prepared.decode_observed(values, &mut &*session).map_err(|e| bad(format!("{}: {e}", answers.display())))
    })?;
    show::spectrum(
        &found,
        derived,
        json!({"action": "decode", "plan": shown(plan), "answers": shown(answers)}),
        session,
    )
}

fn ask(
    (variables, most): (usize, usize),
    sparsity: Sparsity,
    options: &Options,
    program: &mut exec::Program<'_>,
    derived: &Derived,
    parameters: serde_json::Value,
    session: &Session,
) -> Result<Answer, Failure> {
    let found = exec::recover((variables, most), sparsity, options, program, session)?;
    let mut answer = show::spectrum(&found, derived, parameters, session)?;
    answer.report.insert("answers".into(), program.report());
    Ok(answer)
}
