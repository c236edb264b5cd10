//! What is known before anything is asked, from the words of the call.
use samplewise_wht::{Error, Errors, Noise, Options, Sparsity, Support};

use super::args::Prior;
use crate::failure::{Failure, bad, usage};
use crate::session::Session;

/// Where no sparsity is given, the search ends at this many coefficients.
const MAX_SPARSITY: usize = 100_000;

/// Sparsity and options from the words.
pub(super) fn options(prior: &Prior, session: &Session) -> Result<(Sparsity, Options), Failure> {
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
    let options = Options {
        seed: session.seed(),
        noise,
        support,
        decoder: prior.decoder.into(),
        samples: prior.samples,
        verification: prior.holdout,
        delta: prior.delta,
        errors: if prior.sandwich { Errors::Sandwich } else { Errors::Model },
    };
    Ok((sparsity, options))
}

/// An error of the library, in the words of the command line.
pub(super) fn failure(e: Error) -> Failure {
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
pub(super) fn capped(sparsity: Sparsity, variables: usize) -> Sparsity {
    match sparsity {
        Sparsity::Unknown { max } => {
            Sparsity::Unknown { max: 1_usize.checked_shl(variables as u32).map_or(max, |all| max.min(all)) }
        }
        known @ Sparsity::Known(_) => known,
    }
}

/// What a plan for an unknown sparsity is made for: it cannot ask more when it is not enough.
pub(super) fn planned(sparsity: Sparsity, prior: &Prior) -> Result<Sparsity, Failure> {
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
