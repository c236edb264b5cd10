"""Runs sparse-transform on the signals of one case.

`run.py` starts this file with the Python of the peers' environment, one JSON object on standard
input, and reads one JSON object from standard output:

- request: `variables`, `method`, `groups`, `bins_log2`, `repeats`, `runs`,
  `signals: [{"seed", "noise_std", "values"}]` with `values` the path of 2^n float64 numbers;
- reply: `versions`, `signals: [{"seed", "coefficients": [[index, value]], "samples",
  "distinct_samples", "decode_s": [..], "whole_s": [..], "error": null | "..."}]`.

`decode_s` is what the package itself calls its run time: the small transforms and the peeling.
`whole_s` adds making the queries and reading the samples.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version
from typing import Any

import numpy as np
from sparse_transform.qsft import qsft
from sparse_transform.qsft.signals.input_signal_subsampled import SubsampledSignal

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
}


def index_of(bits: Any, n: int) -> Any:
    """The number whose binary digits are `bits`, most significant first."""
    return np.asarray(bits, dtype=np.int64) @ (1 << np.arange(n - 1, -1, -1, dtype=np.int64))


def once(request: dict[str, Any], values: Any, seed: int, noise_std: float) -> dict[str, Any]:
    n = request["variables"]
    method = METHODS[request["method"]]
    seen: list[Any] = []

    def sample(queries: Any) -> Any:
        indices = index_of(queries, n)
        seen.append(indices)
        return values[indices]

    np.random.seed(seed)  # the package draws its groups and offsets from the global generator
    start = time.perf_counter()
    signal = SubsampledSignal(
        func=sample,
        n=n,
        q=2,
        noise_sd=noise_std,
        query_args={
            "query_method": "complex",
            "subsampling_method": "qsft",
            "delays_method_source": "identity",
            "delays_method_channel": method["delays"],
            "num_subsample": request["groups"],
            "num_repeat": request["repeats"],
            "b": request["bins_log2"],
        },
    )
    found = qsft.transform(
        signal,
        reconstruct_method_source="identity",
        reconstruct_method_channel=method["reconstruct"],
        num_subsample=request["groups"],
        num_repeat=request["repeats"],
        b=request["bins_log2"],
        noise_sd=noise_std,
        peeling_method=method["peeling"],
        source_decoder=None,
        report=True,
    )
    whole = time.perf_counter() - start
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
        values = np.load(signal["values"])
        seed, noise_std = signal["seed"], signal["noise_std"]
        reply: dict[str, Any] = {"seed": seed, "decode_s": [], "whole_s": []}
        try:
            answer = once(request, values, seed, noise_std)  # warms up, and is the answer checked
            for _ in range(request["runs"]):
                timed = once(request, values, seed, noise_std)
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
