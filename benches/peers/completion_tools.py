"""Makes the entries of `completion`, fits the peers to them and judges every prediction.

`run.py` starts this file with the Python of the peers' environment, one JSON object on standard
input, and reads one JSON object from standard output. Entries lie in two files with the same
content: `STEM.csv` (`user,item,rating`, for samplewise) and `STEM.npy` (row, column, value, 12
bytes each, for the peers). The tasks:

- `split`: `ratings` (CSV), `stem`, `random` (how many), `folds` (whether). Writes the splits of
  MovieLens as `STEM-NAME-train` and `STEM-NAME-test`. Reply: `splits`, name → case.
- `generate`: `stem`, `rows`, `columns`, `ratings`, `rank`, `noise`, `seed`. Writes
  `STEM-train` and `STEM-test`. Reply: `noise_floor` and `zero`, the RMSE on the test set of the
  truth and of zero.
- `fit`: `tool`, `train`, `test` (stems), `clip`, `tuned` (a setting, or null to search for one). Reply:
  `settings`, one per kind (`default`, `tuned`): `setting`, `rmse`, `seconds`. The search sees the training
  entries alone: a tenth of them judges the grid, then the best setting is fitted to all of them.
- `curve`: `tool`, `small` (training entries that the setting is chosen on, a hundredth of them the
  judge), `train`, `test`. Reply: `setting`, `tried` and `points`, each `iterations`, `seconds`,
  `rmse`: fits from the beginning, more iterations each, until two in turn do not help.
- `score`: `predictions` (CSV of samplewise), `test`, `clip`. Reply: `rmse`, `rmse_unclipped`.

`seconds` is the call that fits, from entries in the form that the package takes to a model.
Predictions are clipped for everyone alike or for nobody; where a row or column has no entry, each
package says what it says.
"""

from __future__ import annotations

import ctypes
import itertools
import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

ENTRY = np.dtype([("u", "<i4"), ("v", "<i4"), ("r", "<f4")])  # the layout of mf_node, too
SEED = 1
Setting = dict[str, Any]
Predict = Callable[[Any], Any]
Fit = Callable[[Any, Setting], tuple[float, Predict]]


# --- the peers: entries and a setting in, seconds and a predictor out -----------------------------


def clocked(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    out = work()
    return time.perf_counter() - start, out


class MfProblem(ctypes.Structure):
    _fields_ = [("m", ctypes.c_int), ("n", ctypes.c_int), ("nnz", ctypes.c_longlong), ("R", ctypes.c_void_p)]


class MfParameter(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int) for name in ("fun", "k", "nr_threads", "nr_bins", "nr_iters")),
        *((name, ctypes.c_float) for name in ("lambda_p1", "lambda_p2", "lambda_q1", "lambda_q2", "eta")),
        *((name, ctypes.c_bool) for name in ("do_nmf", "quiet", "copy_data")),
    ]


class MfModel(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int) for name in ("fun", "m", "n", "k")),
        ("b", ctypes.c_float),
        ("P", ctypes.POINTER(ctypes.c_float)),
        ("Q", ctypes.POINTER(ctypes.c_float)),
    ]


def fit_libmf(train: Any, setting: Setting) -> tuple[float, Predict]:
    """LIBMF through its C interface; the shared object was built by run.py."""
    library = ctypes.CDLL(LIBRARY["libmf"])
    library.mf_get_default_param.restype = MfParameter
    library.mf_train.restype = ctypes.POINTER(MfModel)
    library.mf_train.argtypes = [ctypes.POINTER(MfProblem), MfParameter]
    parameter = library.mf_get_default_param()
    parameter.nr_threads, parameter.quiet = 1, True
    for name, value in setting.items():
        for field in ("lambda_p2", "lambda_q2") if name == "lambda" else (name,):
            setattr(parameter, field, value)
    entries = np.ascontiguousarray(train)
    problem = MfProblem(
        int(entries["u"].max()) + 1, int(entries["v"].max()) + 1, len(entries), entries.ctypes.data
    )
    seconds, pointer = clocked(lambda: library.mf_train(ctypes.byref(problem), parameter))
    model = pointer.contents
    # Factors are copied, since the library owns them.
    p = np.ctypeslib.as_array(model.P, (model.m, model.k)).copy()
    q = np.ctypeslib.as_array(model.Q, (model.n, model.k)).copy()
    mean = float(model.b)
    library.mf_destroy_model(ctypes.byref(pointer))

    def predict(pairs: Any) -> Any:
        """As mf_predict: the mean where the product is not a number or a side is out of range."""
        u, v = pairs["u"], pairs["v"]
        known = (u < len(p)) & (v < len(q))
        out = np.full(len(pairs), mean)
        for part in np.array_split(np.flatnonzero(known), 1 + len(pairs) // 100_000):
            out[part] = np.einsum("ij,ij->i", p[u[part]], q[v[part]])
        return np.where(np.isnan(out), mean, out)

    return seconds, predict


def cornac_data(train: Any) -> tuple[Any, Any, Any]:
    """A data set of Cornac, which numbers what it has seen; others get the first number unused."""
    from cornac.data import Dataset

    numbered, sides = [], []
    for side in ("u", "v"):
        ids, index = np.unique(train[side], return_inverse=True)
        table = np.full(int(ids.max()) + 1, len(ids))
        table[ids] = np.arange(len(ids))
        numbered.append(index.astype(np.int64))
        sides.append(table)
    maps = [{int(i): int(i) for i in range(int(index.max()) + 1)} for index in numbered]
    data = Dataset(len(maps[0]), len(maps[1]), *maps, (*numbered, train["r"].astype(float)), seed=SEED)
    return data, sides[0], sides[1]


def fit_cornac(name: str) -> Fit:
    def fit(train: Any, setting: Setting) -> tuple[float, Predict]:
        import cornac.models

        data, users, items = cornac_data(train)
        threads = {"num_threads": 1} if name == "MF" else {}
        model = getattr(cornac.models, name)(**setting, **threads, verbose=False, seed=SEED)
        seconds, _ = clocked(lambda: model.fit(data))

        def predict(pairs: Any) -> Any:
            u = [int(users[i]) if i < len(users) else data.num_users for i in pairs["u"]]
            v = [int(items[i]) if i < len(items) else data.num_items for i in pairs["v"]]
            return np.array([model.rate(i, j, clipping=False) for i, j in zip(u, v)], dtype=float)

        return seconds, predict

    return fit


def fit_cmfrec(train: Any, setting: Setting) -> tuple[float, Predict]:
    from cmfrec import CMF
    from scipy.sparse import coo_matrix

    shape = (int(train["u"].max()) + 1, int(train["v"].max()) + 1)
    # The data type decides the precision, so it follows use_float (default: single).
    values = train["r"].astype(np.float32 if setting.get("use_float", True) else np.float64)
    matrix = coo_matrix((values, (train["u"], train["v"])), shape)
    model = CMF(**setting, nthreads=1, verbose=False, random_state=SEED)
    seconds, _ = clocked(lambda: model.fit(matrix))

    def predict(pairs: Any) -> Any:
        return np.asarray(model.predict(pairs["u"].astype(int), pairs["v"].astype(int)), dtype=float)

    return seconds, predict


def fit_surprise(name: str) -> Fit:
    def fit(train: Any, setting: Setting) -> tuple[float, Predict]:
        import pandas
        import surprise

        frame = pandas.DataFrame({key: train[key].tolist() for key in "uvr"})
        data = surprise.Dataset.load_from_df(frame, surprise.Reader(rating_scale=(1, 5))).build_full_trainset()
        model = getattr(surprise, name)(**setting, random_state=SEED)
        seconds, _ = clocked(lambda: model.fit(data))

        def predict(pairs: Any) -> Any:
            asked = zip(pairs["u"].tolist(), pairs["v"].tolist())
            return np.array([model.predict(u, v, clip=False).est for u, v in asked], dtype=float)

        return seconds, predict

    return fit


LIBRARY: dict[str, str] = {}


def grid(**axes: list[Any]) -> list[Setting]:
    return [dict(zip(axes, values)) for values in itertools.product(*axes.values())]


FAST_CMF = {"precompute_for_predictions": False, "finalize_chol": False}  # its documentation's advice


@dataclass(frozen=True)
class Tool:
    """A peer on MovieLens: what its documentation gives, and the grid of the search."""

    packages: tuple[str, ...]
    fit: Fit
    default: Setting
    grid: list[Setting]


TOOLS = {
    # Default: mf_get_default_param (k = 8, lambda 0.1, eta 0.1, 20 iterations).
    "libmf": Tool(
        (),
        fit_libmf,
        {},
        grid(**{"k": [100, 200], "lambda": [0.05, 0.06, 0.08], "eta": [0.01, 0.02, 0.03], "nr_iters": [60, 120]}),
    ),
    # Default: the ML-100K example of its README; its SVD is MF with biases, which is this.
    "cornac MF": Tool(
        ("cornac",),
        fit_cornac("MF"),
        {"k": 10, "max_iter": 25, "learning_rate": 0.01, "lambda_reg": 0.02, "use_bias": True},
        grid(k=[10, 50, 200], max_iter=[50, 100, 200], learning_rate=[0.01], lambda_reg=[0.05, 0.1, 0.15]),
    ),
    "cornac PMF": Tool(
        ("cornac",),
        fit_cornac("PMF"),
        {"k": 10, "max_iter": 100, "learning_rate": 0.001, "lambda_reg": 0.001},
        grid(k=[10, 20], max_iter=[100, 200], learning_rate=[0.001], lambda_reg=[0.001, 0.003]),
    ),
    "cmfrec CMF": Tool(
        ("cmfrec",),
        fit_cmfrec,
        {},
        [
            {**setting, **FAST_CMF}
            for setting in (
                grid(k=[5, 10, 20], lambda_=[8.0, 12.0, 16.0], niter=[10, 30], add_implicit_features=[True])
                + grid(k=[5, 10], lambda_=[5.0, 10.0], niter=[30])
                + grid(k=[10, 40], lambda_=[0.1], niter=[30], scale_lam=[True])
            )
        ],
    ),
    # Defaults: those of the package, with which its documentation gives its errors on ML-100K.
    "Surprise SVD": Tool(
        ("scikit-surprise",),
        fit_surprise("SVD"),
        {},
        grid(n_factors=[100], n_epochs=[50, 100], lr_all=[0.005, 0.01], reg_all=[0.05, 0.1, 0.15]),
    ),
    "Surprise SVD++": Tool(
        ("scikit-surprise",),
        fit_surprise("SVDpp"),
        {"cache_ratings": True},
        grid(n_factors=[20], n_epochs=[40], lr_all=[0.007], reg_all=[0.07, 0.1], cache_ratings=[True]),
    ),
}


@dataclass(frozen=True)
class Curve:
    """A peer on the synthetic matrix: the settings of the search and the iterations of the curve."""

    packages: tuple[str, ...]
    fit: Fit
    grid: list[Setting]
    iterations: str  # the name of that setting
    counts: list[int]


SGD = [10, 15, 22, 33, 50, 75, 110, 160, 240]
NO_BIASES = {"user_bias": False, "item_bias": False, "center": False}
CURVES = {
    "libmf": Curve(
        (),
        fit_libmf,
        grid(**{"k": [50], "lambda": [0.02, 0.03, 0.045], "eta": [0.2, 0.4, 0.8]}),
        "nr_iters",
        SGD,
    ),
    "cmfrec CMF": Curve(
        ("cmfrec",),
        fit_cmfrec,
        [
            {**setting, **NO_BIASES, **FAST_CMF}
            for setting in grid(k=[50], lambda_=[6.0, 9.0, 12.0])
            + grid(k=[50], lambda_=[0.02, 0.03, 0.045], scale_lam=[True])
        ],
        "niter",
        [2, 3, 4, 6, 8, 12, 16, 24, 32, 48],
    ),
    "cornac MF": Curve(
        ("cornac",),
        fit_cornac("MF"),
        grid(k=[50], learning_rate=[0.01, 0.02, 0.03], lambda_reg=[0.02, 0.03, 0.045], use_bias=[False]),
        "max_iter",
        SGD,
    ),
}


# --- tasks ---------------------------------------------------------------------------------------


def load(stem: str) -> Any:
    return np.load(f"{stem}.npy")


def store(stem: str, entries: Any, digits: int) -> None:
    """The same entries twice; the CSV last, so that it is there only when both are."""
    Path(stem).parent.mkdir(parents=True, exist_ok=True)
    np.save(f"{stem}.npy", entries)
    unfinished = Path(f"{stem}.csv.part")
    with unfinished.open("w", encoding="ascii") as file:
        file.write("user,item,rating\n")
        for start in range(0, len(entries), 500_000):
            part = entries[start : start + 500_000].tolist()
            file.write("".join(f"{u},{v},{r:.{digits}f}\n" for u, v, r in part))
    unfinished.rename(f"{stem}.csv")


def table(u: Any, v: Any, r: Any) -> Any:
    entries = np.empty(len(u), ENTRY)
    entries["u"], entries["v"], entries["r"] = u, v, r
    return entries


def rmse(predicted: Any, truth: Any, clip: list[float] | None) -> float:
    if clip is not None:
        predicted = np.clip(predicted, *clip)
    return float(np.sqrt(np.mean((predicted - truth.astype(float)) ** 2)))


def split(request: dict[str, Any]) -> dict[str, Any]:
    raw = np.loadtxt(request["ratings"], delimiter=",", skiprows=1, usecols=(0, 1, 2))
    entries = table(*raw.T)
    cases: dict[str, str] = {}
    tests: dict[str, Any] = {}
    for seed in range(request["random"]):
        order = np.random.default_rng(seed).permutation(len(entries))
        tests[f"random-{seed}"] = order[: len(entries) // 10]
        cases[f"random-{seed}"] = "random 90/10"
    folds = np.array_split(np.random.default_rng(100).permutation(len(entries)), 5)
    for i, fold in enumerate(folds if request["folds"] else []):
        tests[f"fold-{i}"] = fold
        cases[f"fold-{i}"] = "5-fold"
    for name, chosen in tests.items():
        held_out = np.zeros(len(entries), bool)
        held_out[chosen] = True
        for part, rows in (("train", ~held_out), ("test", held_out)):
            store(f"{request['stem']}-{name}-{part}", entries[rows], 0)
    return {"splits": cases}


def generate(request: dict[str, Any]) -> dict[str, Any]:
    """Entries Σ_j s_j·a_uj·b_vj + noise with s_j² ∝ 1/j and entries of variance 1 before the noise.

    Columns are drawn with density (x + 0.01)^-0.8 of their place x in [0, 1), rows uniformly,
    each pair once; so a problem ten times smaller has the same counts for each row and column.
    """
    m, n, count, k = (request[key] for key in ("rows", "columns", "ratings", "rank"))
    rng = np.random.default_rng(request["seed"])
    weights = ((np.arange(n) + 0.5) / n + 0.01) ** -0.8
    keys = np.empty(0, np.int64)
    while len(keys) < count:
        more = int(1.2 * (count - len(keys))) + 1000
        drawn = rng.integers(0, m, more) * n + rng.choice(n, more, p=weights / weights.sum())
        keys = np.unique(np.concatenate([keys, drawn]))
    keys = rng.permutation(keys)[:count]
    u, v = keys // n, keys % n
    v = rng.permutation(n)[v]  # a number says nothing about popularity
    scale = np.arange(1, k + 1) ** -0.5
    a = rng.standard_normal((m, k), dtype=np.float32)
    b = (rng.standard_normal((n, k)) * scale / np.linalg.norm(scale)).astype(np.float32)
    signal = np.concatenate([np.einsum("ij,ij->i", a[u[s]], b[v[s]]) for s in np.array_split(np.arange(count), 50)])
    # Rounded before it is stored, so that both files hold the same numbers.
    values = np.round(signal + request["noise"] * rng.standard_normal(count), 4)
    held_out = count // 100
    for part, rows in (("test", slice(0, held_out)), ("train", slice(held_out, None))):
        store(f"{request['stem']}-{part}", table(u[rows], v[rows], values[rows]), 4)
    truth = values[:held_out]
    return {"noise_floor": rmse(signal[:held_out], truth, None), "zero": rmse(0.0 * truth, truth, None)}


def settings_by_search(fit: Fit, settings: list[Setting], train: Any, share: int, clip: list[float] | None) -> Any:
    """The settings from best to worst on 1/share of the entries, fitted to the others."""
    order = np.random.default_rng(SEED).permutation(len(train))
    judge, rest = train[order[: len(train) // share]], train[order[len(train) // share :]]
    found = []
    for setting in settings:
        _, predict = fit(rest, setting)
        error = rmse(predict(judge), judge["r"], clip)
        found.append((error if math.isfinite(error) else math.inf, len(found), setting))
    return [(setting, error) for error, _, setting in sorted(found)]


def versions(packages: tuple[str, ...]) -> dict[str, str]:
    return {package: version(package) for package in ("numpy", *packages)}


def fit(request: dict[str, Any]) -> dict[str, Any]:
    tool = TOOLS[request["tool"]]
    train, test = load(request["train"]), load(request["test"])
    tool.fit(train[:1000], tool.default)  # imports and first calls
    tuned = request["tuned"] or settings_by_search(tool.fit, tool.grid, train, 10, request["clip"])[0][0]
    replies = {}
    for kind, setting in (("default", tool.default), ("tuned", tuned)):
        seconds, predict = tool.fit(train, setting)
        error = rmse(predict(test), test["r"], request["clip"])
        replies[kind] = {"setting": setting, "rmse": error, "seconds": seconds}
    return {"versions": versions(tool.packages), "settings": replies}


def curve(request: dict[str, Any]) -> dict[str, Any]:
    tool = CURVES[request["tool"]]
    many = {tool.iterations: tool.counts[-3]}
    found = settings_by_search(tool.fit, [s | many for s in tool.grid], load(request["small"]), 100, None)
    setting = {key: value for key, value in found[0][0].items() if key != tool.iterations}
    train, test = load(request["train"]), load(request["test"])
    points: list[dict[str, Any]] = []
    best, idle = math.inf, 0
    for count in tool.counts:
        seconds, predict = tool.fit(train, setting | {tool.iterations: count})
        error = rmse(predict(test), test["r"], None)
        if not math.isfinite(error):
            break
        points.append({"iterations": count, "seconds": seconds, "rmse": error})
        idle = 0 if error < 0.999 * best else idle + 1
        best = min(best, error)
        if idle == 2:
            break
    return {"versions": versions(tool.packages), "setting": setting, "tried": len(found), "points": points}


def score(request: dict[str, Any]) -> dict[str, Any]:
    """Predictions of samplewise, `row,column,prediction`, in the order of the test entries."""
    test = load(request["test"])
    found = np.loadtxt(request["predictions"], delimiter=",", skiprows=1, ndmin=2)
    if len(found) != len(test) or not all(np.array_equal(found[:, i], test[key]) for i, key in enumerate("uv")):
        raise ValueError("the predictions are not those of the test entries, in their order")
    clipped, plain = (rmse(found[:, 2], test["r"], clip) for clip in (request["clip"], None))
    return {"rmse": clipped, "rmse_unclipped": plain}


TASKS = {"split": split, "generate": generate, "fit": fit, "curve": curve, "score": score}


def main() -> int:
    request = json.load(sys.stdin)
    LIBRARY["libmf"] = request.get("libmf", "")
    reply = TASKS[request["task"]](request)
    json.dump(reply, sys.stdout, allow_nan=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
