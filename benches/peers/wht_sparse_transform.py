"""Runs sparse-transform on the signals of one case.

`run.py` starts this file with the Python of the peers' environment, one JSON object on standard
input, and reads one JSON object from standard output:

- request: `variables`, `method`, `groups`, `bins_log2`, `repeats`, `degree` (of the coded methods), `runs`,
  `signals: [{"seed", "noise_std", "values"}]` with `values` the path of 2^n float64 numbers; where 2^n are too many,
  `name` and `coefficients: [[index, value]]` of a `Landscape` are there instead;
- reply: `versions`, `signals: [{"seed", "coefficients": [[index, value]], "samples",
  "distinct_samples", "decode_s": [..], "whole_s": [..], "error": null | "..."}]`.

`decode_s` is what the package itself calls its run time: the small transforms and the peeling.
`whole_s` adds making the queries and reading the samples, but not computing those of a `Landscape`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
from sparse_transform.qsft import qsft
from sparse_transform.qsft.signals.input_signal_subsampled import SubsampledSignal
from sparse_transform.qsft.utils.query import get_bch_decoder

from wht_landscape import Landscape

PACKAGES = ("sparse-transform", "numpy", "scipy", "scikit-learn", "numba", "galois")
# How each method of the request is said in the package's own words.
METHODS = {
    "identity": {"delays": "identity", "reconstruct": "identity", "peeling": "multi-detect"},
    "identity-single": {
        "delays": "identity",
        "reconstruct": "identity",
        "peeling": "single-detect",
    },
    "nso-soft": {"delays": "nso", "reconstruct": "nso-soft", "peeling": "multi-detect"},
    "nso-soft-single": {"delays": "nso", "reconstruct": "nso-soft", "peeling": "single-detect"},
    # Low degree: offsets from the parity checks of a BCH code, indices from its decoder.
    "coded-soft": {
        "delays": "identity-siso",
        "reconstruct": "identity-siso",
        "peeling": "multi-detect",
        "decoder": "soft",
    },
    "coded-nso": {
        "delays": "nso",
        "reconstruct": "nso-soft",
        "peeling": "multi-detect",
        "decoder": "hard",
    },
}


def index_of(bits: Any, n: int) -> Any:
    """The number whose binary digits are `bits`, most significant first."""
    return np.asarray(bits, dtype=np.int64) @ (1 << np.arange(n - 1, -1, -1, dtype=np.int64))


def reader(signal: dict[str, Any]) -> tuple[Callable[[Any], Any], Callable[[], float]]:
    """Values at indices, and how many seconds their computation has taken that no tool has to pay."""
    if "values" in signal:
        values = np.load(signal["values"])
        return (lambda indices: values[indices]), (lambda: 0.0)
    truth = {int(k): float(v) for k, v in signal["coefficients"]}
    landscape = Landscape(signal["name"], truth, signal["noise_std"])
    known: dict[int, float] = {}
    elsewhere = 0.0

    def read(indices: Any) -> Any:
        nonlocal elsewhere
        start = time.perf_counter()
        found = []
        for index in indices.tolist():
            if index not in known:
                known[index] = landscape(index)
            found.append(known[index])
        elsewhere += time.perf_counter() - start
        return np.array(found)

    return read, lambda: elsewhere


def once(
    request: dict[str, Any], read: Callable[[Any], Any], elsewhere: Callable[[], float], seed: int, noise_std: float
) -> dict[str, Any]:
    n, degree = request["variables"], request.get("degree")
    method = METHODS[request["method"]]
    kind = method.get("decoder")
    decoder = get_bch_decoder(n, degree, kind) if kind else None
    seen: list[Any] = []

    def sample(queries: Any) -> Any:
        indices = index_of(queries, n)
        seen.append(indices)
        return read(indices)

    np.random.seed(seed)  # the package draws its groups and offsets from the global generator
    start = time.perf_counter() - elsewhere()
    signal = SubsampledSignal(
        func=sample,
        n=n,
        q=2,
        noise_sd=noise_std,
        query_args={
            "query_method": "complex",
            "subsampling_method": "qsft",
            "delays_method_source": "joint-coded" if kind else "identity",
            "delays_method_channel": method["delays"],
            "num_subsample": request["groups"],
            "num_repeat": request["repeats"],
            "b": request["bins_log2"],
            "t": degree,
        },
    )
    found = qsft.transform(
        signal,
        reconstruct_method_source="coded" if kind else "identity",
        reconstruct_method_channel=method["reconstruct"],
        num_subsample=request["groups"],
        num_repeat=request["repeats"],
        b=request["bins_log2"],
        noise_sd=noise_std,
        peeling_method=method["peeling"],
        source_decoder=decoder,
        report=True,
    )
    whole = time.perf_counter() - elsewhere() - start
    return {
        "coefficients": [
            [int(index_of(bits, n)), float(np.real(value))]
            for bits, value in found["transform"].items()
        ],
        "samples": int(found["n_samples"]),
        "distinct_samples": int(np.unique(np.concatenate(seen)).size),
        "decode": float(found["runtime"]),
        "whole": whole,
    }


def main() -> int:
    request = json.load(sys.stdin)
    replies = []
    for signal in request["signals"]:
        read, elsewhere = reader(signal)
        seed, noise_std = signal["seed"], signal["noise_std"]
        reply: dict[str, Any] = {"seed": seed, "decode_s": [], "whole_s": []}
        try:
            answer = once(request, read, elsewhere, seed, noise_std)  # warms up, and is the answer checked
            for _ in range(request["runs"]):
                timed = once(request, read, elsewhere, seed, noise_std)
                reply["decode_s"].append(timed["decode"])
                reply["whole_s"].append(timed["whole"])
            reply |= {k: v for k, v in answer.items() if k not in ("decode", "whole")}
            reply["error"] = None
        except Exception as error:  # whatever the package raises is its failure on this signal
            reply |= {"coefficients": [], "samples": None, "distinct_samples": None}
            reply["error"] = f"{type(error).__name__}: {error}"
        replies.append(reply)
    json.dump({"versions": {p: version(p) for p in PACKAGES}, "signals": replies}, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
