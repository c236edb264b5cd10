"""The same input and seed give the same answers in Python and on the command line, where that was built."""

import csv
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from samplewise import completion, hamming, lasso, sensitivity, surrogate, wht

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "debug" / "samplewise"

pytestmark = pytest.mark.skipif(not PROGRAM.is_file(), reason="target/debug/samplewise is not built")

RNG = np.random.default_rng(7)
X = RNG.normal(size=(60, 5))
Y = 2.0 * X[:, 0] - X[:, 3] + 0.3 * RNG.normal(size=60)


def run(*words):
    done = subprocess.run([PROGRAM, *map(str, words), "--quiet"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout) if "--json" in words else done.stdout


def table(path, header, rows):
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows([[repr(float(v)) if isinstance(v, float) else v for v in row] for row in rows])
    return path


@pytest.fixture
def regression(tmp_path):
    return table(tmp_path / "t.csv", "abcdey", np.column_stack([X, Y]).tolist())


def test_lasso(regression):
    theirs = run("lasso", regression, "--target", "y", "--lambda", 0.1, "--json")["result"]
    ours = lasso.solve(X, Y, 0.1)
    at = {name: i for i, name in enumerate("abcde")}
    assert {at[c["name"]]: c["value"] for c in theirs["coefficients"]} == {
        i: v for i, v in enumerate(ours.coef.tolist()) if v != 0
    }
    assert (theirs["intercept"], theirs["duality_gap"]) == (ours.intercept, ours.dual_gap)


def test_quantiles_and_scores(regression, tmp_path):
    words = ["sensitivity", regression, "--regress", "y", "--quantile", 0.3, "--intercept", "--exact", "--json"]
    theirs = run(*words)["result"]["regression"]
    ours = sensitivity.regress(X, Y, quantile=0.3, fit_intercept=True)
    assert [c["value"] for c in theirs["coefficients"]] == [*ours.coef.tolist(), ours.intercept]
    # There the constant is a column of the table, so that sums run in another order.
    assert (theirs["objective"], theirs["lower_bound"]) == pytest.approx((ours.objective, ours.lower_bound), rel=1e-14)
    scores, rows = tmp_path / "s.csv", tmp_path / "c.csv"
    run("sensitivity", regression, "--features", "a,b,c", "--size", 20, "--scores", scores, "--out", rows, "--seed", 3)
    with open(scores) as file:
        said = [float(r["score"]) for r in csv.DictReader(file)]
    assert said == sensitivity.row_scores(X[:, :3]).values.tolist()


def test_completion(tmp_path):
    M = RNG.normal(size=(30, 2)) @ RNG.normal(size=(2, 20))
    i, j = np.nonzero(RNG.random(M.shape) < 0.6)
    triplets = table(tmp_path / "m.csv", ["row", "column", "value"], [[int(a), int(b), float(M[a, b])] for a, b in zip(i, j)])
    wanted = table(tmp_path / "w.csv", ["row", "column"], [[a, b] for a in range(30) for b in range(20)])
    out = tmp_path / "p.csv"
    run("complete", triplets, "--rank", 2, "--seed", 5, "--predict", wanted, "--out", out)
    with open(out) as file:
        said = [float(row[2]) for row in list(csv.reader(file))[1:]]
    ours = completion.complete((i, j, M[i, j]), 2, random_state=5)
    assert ours.status == "verified"
    assert np.abs(ours.predict(*np.divmod(np.arange(600), 20)) - said).max() < 1e-6


def test_surrogates(tmp_path):
    words = ["".join(RNG.choice(list("ACGT"), 4)) for _ in range(100)]
    values = [float(2.0 * (w[1] == w[2]) + (w[0] == "G") + 0.1 * RNG.normal()) for w in words]
    told = table(tmp_path / "v.csv", ["variant", "value"], list(zip(words, values)))
    out = tmp_path / "p.csv"
    run("wht", "fit", told, "--alphabet", "ACGT", "--predict", told, "--predictions", out, "--seed", 4)
    with open(out) as file:
        said = [(float(r["value"]), float(r["deviation"]), float(r["high"])) for r in csv.DictReader(file)]
    ours = surrogate.fit(words, values, alphabet="ACGT", random_state=4).estimate(words)
    assert said == list(zip(ours.mean.tolist(), ours.deviation.tolist(), ours.high.tolist()))


def test_plans(tmp_path):
    plan, queries, answers = (tmp_path / name for name in ("p.json", "q.txt", "a.txt"))
    run("wht", "plan", "--variables", 12, "--sparsity", 5, "--seed", 6, "--out", plan, "--queries", queries)
    ours = wht.Plan.from_json(plan.read_text())
    # Text has the last variable first.
    assert queries.read_text().split() == ["".join(map(str, row[::-1])) for row in ours.ask()]
    values = 1.5 - 2.0 * ours.ask()[:, 0] + 3.0 * ours.ask()[:, 1] * ours.ask()[:, 7]
    answers.write_text("".join(f"{v!r}\n" for v in values.tolist()))
    theirs = run("wht", "decode", plan, "--answers", answers, "--json")["result"]["coefficients"]
    found = ours.tell(values).to_dict()
    assert {tuple(sorted(11 - i for i in c["set"])): c["value"] for c in theirs} == found


def test_distances(tmp_path):
    text = "".join(RNG.choice(list("ACGT"), 5000))
    (tmp_path / "t.fa").write_text(f">text\n{text}\n")
    said = run("hamming", tmp_path / "t.fa", text[100:130], "--literal", "--best", 3, "--json")["result"]
    at, least = hamming.distances(text[100:130], text, alphabet="dna").best(3)
    found = json.dumps(said)
    assert at[0] == 100 and least[0] == 0 and f'"position": {at[0]}' in found
