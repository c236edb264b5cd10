"""Measures for `run.py python`: one task for each start, JSON from standard input to standard output."""

from __future__ import annotations

import csv
import json
import re
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

PACKAGES = ("samplewise", "numpy", "scipy", "scikit-learn")


def versions(_: dict[str, Any]) -> list[dict[str, Any]]:
    return [{name: version(name) for name in PACKAGES}]


# --- costs ---------------------------------------------------------------------------------------


def cpu(f: Callable[[], Any], repeats: int, within: Callable[[Any], float] = lambda _: 0.0) -> tuple[float, float, float]:
    """Median processor time of a call, of what `within` says of its answers, and of the differences of the two."""
    f()
    whole, own = [], []
    for _ in range(repeats):
        start = time.process_time()
        answer = f()
        whole.append(time.process_time() - start)
        own.append(within(answer))
    return statistics.median(whole), statistics.median(own), statistics.median(w - o for w, o in zip(whole, own))


def costs(request: dict[str, Any]) -> list[dict[str, Any]]:
    from sklearn.utils.validation import validate_data

    from samplewise import completion, hamming, lasso, sensitivity, surrogate
    from samplewise.sklearn import Lasso, QuantileRegressor

    rng = np.random.default_rng(0)
    repeats = request["repeats"]
    small, y = rng.normal(size=(200, 20)), rng.normal(size=200)
    tall, target = rng.normal(size=(100_000, 20)), rng.normal(size=100_000)
    wide = np.asfortranarray(rng.normal(size=(5_000, 1_000)))
    wide_target = rng.normal(size=5_000)
    text, pattern = rng.integers(0, 4, 1_000_000, dtype=np.uint8), rng.integers(0, 4, 100, dtype=np.uint8)
    i, j = rng.integers(0, 1_000, 100_000), rng.integers(0, 800, 100_000)
    keep = np.unique(i * 800 + j, return_index=True)[1]
    entries = completion.Entries((i[keep], j[keep], rng.normal(size=len(keep))), shape=(1_000, 800))
    bits, curve = rng.integers(0, 2, (60, 10)), rng.normal(size=60)
    one = {"n_jobs": 1}
    calls: list[tuple[str, Callable[[], Any], Callable[[Any], float], Any, tuple[Any, Any] | None]] = [
        ("hamming.distances, 20 in 10,000", lambda: hamming.distances(pattern[:20], text[:10_000], **one), seconds, text[:10_000], None),
        ("hamming.distances, 100 in 1,000,000", lambda: hamming.distances(pattern, text, **one), seconds, text, None),
        ("lasso_path, 200 x 20", lambda: lasso.lasso_path(small, y, alphas=[0.1], **one), path_seconds, small, None),
        ("row_scores, 100,000 x 20", lambda: sensitivity.row_scores(tall, **one), seconds, tall, None),
        ("regress, quantile, 100,000 x 20", lambda: sensitivity.regress(tall, target, quantile=0.5, **one), seconds, tall, None),
        ("completion.complete, entries made before", lambda: completion.complete(entries, 3, max_iter=20, **one), seconds, None, None),
        ("surrogate.fit, 60 x 10", lambda: surrogate.fit(bits, curve, **one), seconds, None, None),
        ("Lasso.fit, 200 x 20", lambda: lasso_fit(Lasso(0.1, **one), small, y), inside, small, (small, y)),
        ("Lasso.fit, 5,000 x 1,000", lambda: lasso_fit(Lasso(0.05, **one), wide, wide_target), inside, wide, (wide, wide_target)),
        ("QuantileRegressor.fit, 100,000 x 20", lambda: quantile_fit(QuantileRegressor(**one), tall, target), inside, tall, (tall, target)),
    ]  # fmt: skip
    out = []
    for name, f, within, passed, validated in calls:
        whole, own, over = cpu(f, repeats, within)
        one_pass = cpu(lambda: passed.sum(), repeats)[0] if passed is not None else 0.0  # noqa: B023
        bar = 100e-6 + one_pass
        if validated is not None:
            def check() -> Any:
                validate_data(Lasso(), *validated, accept_sparse=["csc", "csr"], dtype=np.float64, y_numeric=True)  # noqa: B023
            bar += cpu(check, repeats)[0]
        over = max(over, 0.0)
        out.append({
            "call": name, "whole_s": whole, "inside_s": own, "over_us": over * 1e6, "pass_us": one_pass * 1e6,
            "bar_us": bar * 1e6, "within": str(over <= bar),
        })  # fmt: skip
    return out


def seconds(answer: Any) -> float:
    return float(answer.report["seconds"])


def path_seconds(answer: Any) -> float:
    return float(answer.seconds)


INSIDE = [0.0]


def inside(_: Any) -> float:
    return INSIDE[0]


def watched(module: Any, name: str) -> Callable[[], None]:
    """Adds up what a function of the extension module takes; the answer undoes it."""
    own = getattr(module, name)

    def timed(*arguments: Any, **named: Any) -> Any:
        start = time.process_time()
        try:
            return own(*arguments, **named)
        finally:
            INSIDE[0] += time.process_time() - start

    setattr(module, name, timed)
    return lambda: setattr(module, name, own)


def lasso_fit(model: Any, x: Any, y: Any) -> Any:
    from samplewise import _core

    INSIDE[0] = 0.0
    undo = [watched(_core, name) for name in ("Design", "lasso_path")]
    try:
        return model.fit(x, y)
    finally:
        [u() for u in undo]


def quantile_fit(model: Any, x: Any, y: Any) -> Any:
    from samplewise import _core

    INSIDE[0] = 0.0
    undo = watched(_core, "regress")
    try:
        return model.fit(x, y)
    finally:
        undo()


# --- memory --------------------------------------------------------------------------------------


def peak() -> float:
    """Megabytes of the largest resident size since it was reset."""
    text = Path("/proc/self/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", text)
    assert found is not None
    return int(found.group(1)) / 1024


def memory(request: dict[str, Any]) -> list[dict[str, Any]]:
    from samplewise import completion, hamming
    from samplewise.sklearn import Lasso, QuantileRegressor

    rng = np.random.default_rng(0)
    rows = 200_000 if request["quick"] else 1_000_000
    what = request["what"]
    if what == "Lasso.fit":
        x = np.asfortranarray(rng.normal(size=(rows // 50, 1_000)))
        y = rng.normal(size=len(x))
        f, size, bar = lambda: Lasso(0.1).fit(x, y), x.nbytes, 1.1
    elif what == "QuantileRegressor.fit":
        x = rng.normal(size=(rows, 20))
        y = rng.normal(size=rows)
        f, size, bar = lambda: QuantileRegressor().fit(x, y), x.nbytes, 1.5
    elif what == "hamming.distances":
        text = rng.integers(0, 4, 100 * rows, dtype=np.uint8)
        f, size, bar = lambda: hamming.distances(text[:100], text), 4 * len(text), 1.05
    else:
        i, j = np.divmod(rng.choice(4_000_000, 2 * rows, replace=False), 2_000)
        v = rng.normal(size=len(i))
        f, size, bar = lambda: completion.complete((i, j, v), 3, shape=(2_000, 2_000), max_iter=5), 24 * len(i), 2.2
    # Whatever is loaded or made once is not the call's.
    warm = np.asfortranarray(rng.normal(size=(50, 4)))
    Lasso(0.1).fit(warm, warm[:, 0])
    QuantileRegressor().fit(warm, warm[:, 0])
    Path("/proc/self/clear_refs").write_text("5")
    before = peak()
    answer = f()
    extra = peak() - before
    del answer
    return [{"input_mb": size / 2**20, "extra_mb": extra, "share": extra / (size / 2**20), "bar": bar}]


# --- estimators beside scikit-learn's ------------------------------------------------------------


def table(name: str, data: Path) -> tuple[Any, Any]:
    if name == "diabetes":
        from sklearn.datasets import load_diabetes

        return load_diabetes(return_X_y=True)
    if name == "digits":
        from sklearn.datasets import load_digits

        x, y = load_digits(return_X_y=True)
        return x[:, x.std(axis=0) > 0], y.astype(float)
    if name == "english":
        from sklearn.feature_extraction.text import TfidfVectorizer

        lines = [line for line in (data / "english/kjv.txt").read_text(encoding="latin-1").splitlines() if re.match(r"[1-3A-Z]", line)]
        verses = [m for m in (re.match(r"([1-3]?[A-Z][a-z]+)\d+:\d+ (.*)", line) for line in lines) if m]
        books = list(dict.fromkeys(m.group(1) for m in verses))
        x = TfidfVectorizer(min_df=20).fit_transform(m.group(2) for m in verses)
        return x.tocsr(), np.array([float(books.index(m.group(1)) / len(books)) for m in verses])
    if name == "flights":
        with open(data / "flights/flights.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        wanted = ("dep_delay", "distance", "air_time", "hour", "month", "arr_delay")
        known = [c for c in wanted if c in rows[0]]
        values = np.array([[float(r[c]) for c in known] for r in rows if all(r[c] not in ("", "NA") for c in known)])
        return values[:, :-1], values[:, -1]
    with open(data / name / "design.csv", newline="") as file:
        reader = csv.reader(file)
        head = next(reader)
        values = np.array([[float(v) for v in row] for row in reader])
    keep = [k for k, column in enumerate(head[:-1]) if column != "intercept"]
    return values[:, keep], values[:, -1]


def scaled(x: Any) -> Any:
    from sklearn.preprocessing import StandardScaler

    return StandardScaler(with_mean=False).fit_transform(x) if hasattr(x, "tocsr") else StandardScaler().fit_transform(x)


def objective(model: str, x: Any, y: Any, fit: Any, alpha: float) -> float:
    left = y - (x @ fit.coef_ + fit.intercept_)
    if model == "QuantileRegressor":
        return float(np.abs(left).mean() / 2)
    return float(left @ left / (2 * len(y)) + alpha * np.abs(fit.coef_).sum())


def regression(request: dict[str, Any]) -> list[dict[str, Any]]:
    import sklearn.linear_model as theirs

    from samplewise import lasso
    from samplewise import sklearn as ours

    model = request["model"]
    x, y = table(request["table"], Path(request["data"]))
    if model == "QuantileRegressor":
        at = np.random.default_rng(0).permutation(len(y))[:20_000]
        x, y = x[at], y[at]
        if hasattr(x, "tocsr"):
            # The commonest words: as many columns as the other tables, or HiGHS takes hours.
            x = x[:, np.argsort(-np.asarray(x.sum(axis=0)).ravel())[:40]]
    x = scaled(x)
    alpha = 0.0
    if model == "Lasso":
        alpha = 0.05 * lasso.alpha_max(x, y)
        makers = {
            "samplewise": lambda: ours.Lasso(alpha, tol=1e-10, n_jobs=1),
            "scikit-learn": lambda: theirs.Lasso(alpha, tol=1e-10, max_iter=100_000),
        }
    elif model == "LassoCV":
        makers = {
            "samplewise": lambda: ours.LassoCV(tol=1e-10, n_jobs=1),
            "scikit-learn": lambda: theirs.LassoCV(tol=1e-10, max_iter=100_000, n_jobs=1),
        }
    else:
        makers = {
            "samplewise": lambda: ours.QuantileRegressor(tol=1e-10, n_jobs=1),
            "scikit-learn": lambda: theirs.QuantileRegressor(alpha=0.0, solver="highs"),
        }
    times: dict[str, list[float]] = {}
    fits: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for tool, make in makers.items():
            budget = time.monotonic() + 60
            for _ in range(request["repeats"]):
                start = time.perf_counter()
                fits[tool] = make().fit(x, y)
                times.setdefault(tool, []).append(time.perf_counter() - start)
                if time.monotonic() > budget:
                    break
    if model == "LassoCV":
        alpha = fits["scikit-learn"].alpha_
        if abs(alpha / fits["samplewise"].alpha_ - 1) > 1e-9:
            # Another place of the grid: compared are fits at one penalty.
            fits["samplewise"] = ours.Lasso(alpha, tol=1e-10, n_jobs=1).fit(x, y)
    values = {tool: objective(model, x, y, fit, alpha) for tool, fit in fits.items()}
    least = min(values.values())
    apart = float(np.abs(fits["samplewise"].coef_ - fits["scikit-learn"].coef_).max())
    return [{
        "rows": int(x.shape[0]), "columns": int(x.shape[1]), "seconds": times, "apart": apart,
        "excess": {tool: (v - least) / max(least, 1e-300) for tool, v in values.items()},
    }]  # fmt: skip


# --- imputation ----------------------------------------------------------------------------------


def soft_impute(x: Any, lam: float, steps: int = 200, tol: float = 1e-5) -> Any:
    """Minimises `1/2 |P(X − Z)|² + lam |Z|_*` by repeated soft thresholding of singular values (Mazumder, Hastie, Tibshirani)."""
    seen = ~np.isnan(x)
    z = np.zeros_like(x)
    for _ in range(steps):
        u, s, vt = np.linalg.svd(np.where(seen, x, z), full_matrices=False)
        new = (u * np.maximum(s - lam, 0.0)) @ vt
        done = np.linalg.norm(new - z) <= tol * max(np.linalg.norm(z), 1.0)
        z = new
        if done:
            break
    return z


def check_soft_impute() -> None:
    """On a complete table it is the soft-thresholded singular value decomposition."""
    x = np.random.default_rng(0).normal(size=(12, 5))
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    assert np.allclose(soft_impute(x, 1.0), (u * np.maximum(s - 1.0, 0.0)) @ vt)


def soft_imputed(x: Any) -> Any:
    """Standardised, with the penalty that a tenth of the observed entries prefers."""
    mean, std = np.nanmean(x, axis=0), np.nanstd(x, axis=0)
    std[std == 0] = 1.0
    z = (x - mean) / std
    at = np.argwhere(~np.isnan(z))
    held = at[np.random.default_rng(0).permutation(len(at))[: len(at) // 10]]
    train = z.copy()
    train[held[:, 0], held[:, 1]] = np.nan
    largest = np.linalg.svd(np.nan_to_num(train), compute_uv=False)[0]
    grid = largest * 10.0 ** np.linspace(-2.5, -0.2, 12)
    truth = z[held[:, 0], held[:, 1]]
    best = min(grid, key=lambda lam: np.mean((soft_impute(train, lam)[held[:, 0], held[:, 1]] - truth) ** 2))
    return soft_impute(z, best) * std + mean


def complete_table(name: str) -> Any:
    from sklearn import datasets

    x = getattr(datasets, f"load_{name}")(return_X_y=True)[0]
    return x[:, x.std(axis=0) > 0].astype(float)


def with_holes(x: Any, pattern: str) -> Any:
    rng = np.random.default_rng(1)
    n, p = x.shape
    if pattern == "at random":
        missing = rng.random(x.shape) < 0.2
    elif pattern == "in blocks":
        # Two fifths of the rows lack half of the columns, in two groups.
        missing = np.zeros(x.shape, bool)
        order, columns = rng.permutation(n), rng.permutation(p)
        missing[np.ix_(order[: n // 5], columns[: p // 2])] = True
        missing[np.ix_(order[n // 5 : 2 * n // 5], columns[p // 2 : 2 * (p // 2)])] = True
    else:
        # Large values are missing more often: a third of those above the median, a fifteenth of the others.
        missing = rng.random(x.shape) < np.where(x > np.median(x, axis=0), 1 / 3, 1 / 15)
    missing[:, missing.all(axis=0)] = False
    return np.where(missing, np.nan, x), missing


def imputation(request: dict[str, Any]) -> list[dict[str, Any]]:
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer, KNNImputer
    from sklearn.preprocessing import StandardScaler

    from samplewise.sklearn import MatrixCompletion

    check_soft_impute()
    x = complete_table(request["table"])
    holes, missing = with_holes(x, request["pattern"])
    scale = x.std(axis=0)

    def knn(a: Any) -> Any:
        scaler = StandardScaler().fit(a)
        return scaler.inverse_transform(KNNImputer().fit_transform(scaler.transform(a)))

    tools: dict[str, Callable[[Any], Any]] = {
        "samplewise": lambda a: MatrixCompletion(random_state=0, n_jobs=1).fit_transform(a),
        "IterativeImputer": lambda a: IterativeImputer(random_state=0).fit_transform(a),
        "KNNImputer": knn,
        "SoftImpute": soft_imputed,
    }
    out = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for tool, impute in tools.items():
            start = time.perf_counter()
            full = impute(holes.copy())
            took = time.perf_counter() - start
            left = ((full - x) / scale)[missing]
            out.append({"tool": tool, "seconds": took, "rmse": float(np.sqrt(np.mean(left**2)))})
    return out


def importing(request: dict[str, Any]) -> list[dict[str, Any]]:
    code = "import time, numpy; start = time.perf_counter(); import samplewise, samplewise.lasso; print(time.perf_counter() - start)"
    times = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(request["repeats"])
    ]
    return [{"seconds": times}]


# --- interrupts ----------------------------------------------------------------------------------


def long_calls() -> dict[str, Callable[[], Callable[[], Any]]]:
    """Calls of seconds; the outer function makes the input."""
    from samplewise import completion, hamming, lasso, mtrl, sensitivity, surrogate, wht

    rng = np.random.default_rng(0)
    tall = lambda columns: rng.normal(size=(1_000_000, columns))  # noqa: E731

    def entries(count: int, side: int) -> Any:
        i, j = np.divmod(rng.choice(side * side, count, replace=False), side)
        return completion.Entries((i, j, rng.normal(size=count)), shape=(side, side))

    def make_completion() -> Callable[[], Any]:
        e = entries(2_000_000, 2_000)
        return lambda: completion.complete(e, 10)

    def make_posterior() -> Callable[[], Any]:
        e = entries(500_000, 1_000)
        return lambda: completion.sample_posterior(e, 20, n_draws=500)

    def make_distances() -> Callable[[], Any]:
        text = rng.integers(0, 256, 60_000_000, dtype=np.uint8)
        return lambda: hamming.distances(text[:50_000], text, engine="fft")

    def make_path() -> Callable[[], Any]:
        x, y = np.asfortranarray(rng.normal(size=(2_000, 20_000))), rng.normal(size=2_000)
        return lambda: lasso.lasso_path(x, y)

    def make_cv() -> Callable[[], Any]:
        x, y = np.asfortranarray(rng.normal(size=(20_000, 1_000))), rng.normal(size=20_000)
        return lambda: lasso.cross_validate(x, y)

    def make_lewis() -> Callable[[], Any]:
        x = tall(50)
        return lambda: [sensitivity.row_scores(x, tol=1e-9) for _ in range(5)]

    def make_quantile() -> Callable[[], Any]:
        x = tall(30)
        y = x[:, 0] + rng.standard_cauchy(len(x))
        return lambda: [sensitivity.regress(x, y, quantile=q) for q in (0.1, 0.5, 0.9)]

    def make_power() -> Callable[[], Any]:
        x = tall(30)
        y = x[:, 0] + rng.normal(size=len(x))
        return lambda: sensitivity.regress(x, y, p=1.5)

    def make_tree() -> Callable[[], Any]:
        x = tall(30)
        return lambda: sensitivity.coreset(x, 5_000, sampler="tree")

    def make_surrogate() -> Callable[[], Any]:
        bits = rng.integers(0, 2, (1_200, 30))
        y = np.tanh(bits[:, :9].sum(axis=1) - 4.0) + 0.1 * rng.normal(size=1_200)
        return lambda: surrogate.fit(bits, y)

    def make_spectrum() -> Callable[[], Any]:
        plan = wht.Plan(64, 600, noise_std="auto", max_degree=5, hereditary=True, n_samples=5_000, decoder="heredity")
        z = plan.ask()
        y = np.tanh(z[:, :9].sum(axis=1) - 4.0)
        return lambda: plan.tell(y)

    def make_planner() -> Callable[[], Any]:
        planner = mtrl.Planner(400, (rng.normal(size=(40, 300)), rng.normal(size=40)), 200_000, dimension=10)
        for task, n in planner.ask():
            planner.tell(task, rng.normal(size=(n, 300)), rng.normal(size=n))
        return planner.ask

    return {
        "completion, 2,000,000 entries, rank 10": make_completion,
        "posterior, 500,000 entries, rank 20": make_posterior,
        "distances by FFT, 60,000,000 letters": make_distances,
        "lasso_path, 2,000 x 20,000": make_path,
        "cross_validate, 20,000 x 1,000": make_cv,
        "Lewis weights, 1,000,000 x 50": make_lewis,
        "quantile regression, 1,000,000 x 30": make_quantile,
        "p = 1.5, 1,000,000 x 30": make_power,
        "tree coreset, 1,000,000 x 30": make_tree,
        "surrogate, 1,200 x 30": make_surrogate,
        "heredity pursuit, 64 variables, 5,000 points": make_spectrum,
        "planner, 400 tasks": make_planner,
    }


def interrupts(request: dict[str, Any]) -> list[dict[str, Any]]:
    """Seconds from a signal to KeyboardInterrupt, at several moments of each call."""
    import os
    import signal
    import threading

    sent = [0.0]

    def kill(after: float) -> None:
        time.sleep(after)
        sent[0] = time.perf_counter()
        os.kill(os.getpid(), signal.SIGINT)

    f = long_calls()[request["what"]]()
    delays = []
    for after in request["moments"]:
        thread = threading.Thread(target=kill, args=(after,))
        early = False
        try:
            thread.start()
            f()
            early = True
            thread.join()
            time.sleep(0.05)
        except KeyboardInterrupt:
            caught = time.perf_counter()
            # A signal that comes when the call has ended says nothing of it.
            if not early:
                delays.append(caught - sent[0])
        thread.join()
    return [{"delays": delays}]


def main() -> None:
    request = json.load(sys.stdin)
    tasks = {
        "versions": versions,
        "costs": costs,
        "memory": memory,
        "regression": regression,
        "imputation": imputation,
        "import": importing,
        "interrupts": interrupts,
        "long calls": lambda _: [{"names": list(long_calls())}],
    }
    json.dump(tasks[request["task"]](request), sys.stdout)


if __name__ == "__main__":
    main()
