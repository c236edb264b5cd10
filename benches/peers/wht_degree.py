"""`samplewise wht` beside sparse-transform where interactions have few variables and 2^n values are too many."""

from __future__ import annotations

import math
import random

from common import Session, environment, say
from wht import EXACT_MEANS, PLANS_MEAN, SOFT, OurPlan, PeerSetting, Signal, WhtCase, compare_plans
from wht_landscape import Landscape

DEGREE_CASE = WhtCase(
    "n=40 K=100 10 dB",
    40,
    100,
    10.0,
    "unit",
    (
        PeerSetting("coded-soft", 3, 7, 1),
        PeerSetting("coded-soft", 3, 6, 1),
        PeerSetting("coded-nso", 3, 6, 2),
        PeerSetting(SOFT, 2, 8, 1),
    ),
    seeds=10,
    plans=(OurPlan(4224, "bch-lists"), OurPlan(2304, "exhaustive-lists")),
    degree=5,
)


def run_degree(session: Session) -> None:
    python = environment(Session("wht", session.quick, session.repeats))
    session.notes += [
        "SNR is sum of X[k]^2 over sigma^2; amplitudes are +-1; interactions of 1 to 5 variables, their"
        " number drawn uniformly, until 100 differ; both tools measure the same function, noise included",
        PLANS_MEAN,
        EXACT_MEANS,
    ]
    seeds = range(3 if session.quick else DEGREE_CASE.seeds)
    say(f"wht-degree: {DEGREE_CASE.name}")
    compare_plans(session, python, DEGREE_CASE, [low_degree_signal(DEGREE_CASE, seed) for seed in seeds])


def low_degree_signal(case: WhtCase, seed: int) -> Signal:
    n, degree, snr = case.variables, case.degree, case.snr
    assert degree is not None and snr is not None
    name = f"wht-n{n}-k{case.sparsity}-degree{degree}-snr{snr}-{case.amplitudes}-{seed}"
    rng = random.Random(name)
    truth: dict[int, float] = {}
    while len(truth) < case.sparsity:
        interaction = sum(1 << i for i in rng.sample(range(n), rng.randint(1, degree)))
        truth[interaction] = rng.choice((-1.0, 1.0))
    noise_std = math.sqrt(sum(v * v for v in truth.values()) / snr)
    return Signal(seed, truth, noise_std, Landscape(name, truth, noise_std))
