"""Tables in parts: the same bits for every order and partition, and everything that may be wrong with rows."""

import hashlib
import pickle

import numpy as np
import pyarrow as pa
import pytest

import samplewise
from samplewise import lasso, sensitivity
from samplewise import partitions as sp
from samplewise.partitions import Columns, Task

RNG = np.random.default_rng(3)
N = 12_000
X = RNG.normal(size=(N, 4)) * [1.0, 100.0, 0.01, 1.0] + [0.0, 0.0, 0.0, 1e6]
X[:, 2] = (np.arange(N) % 600 == 5).astype(float)
Y = X @ [1.0, 0.02, 3.0, 0.5] + RNG.standard_cauchy(N)
KEYS = RNG.permutation(N) + 10_000_000
NAMES = ["a", "b", "c", "d"]
TABLE = pa.table({"id": KEYS, **dict(zip(NAMES, X.T, strict=True)), "y": Y})
COLUMNS = Columns(NAMES, target="y", key="id")


def parts(table, count, seed=0, batch=700):
    """A runner of tasks on shuffled, skewed parts, an empty one among them; tasks travel as pickles."""
    rng = np.random.default_rng(seed)

    def run(task):
        order = rng.permutation(table.num_rows)
        shuffled = table.take(order)
        ends = np.unique(np.concatenate([[0, table.num_rows], (table.num_rows * rng.random(count - 1) ** 2).astype(int)]))
        lengths = zip(ends[:-1], ends[1:], strict=True)
        own = pickle.loads(pickle.dumps(task))
        answers = [own(shuffled.slice(a, b - a).to_batches(max_chunksize=batch)) for a, b in lengths]
        return [answers[i] for i in rng.permutation(len(answers))] + [own([])]

    return run


def whole(table):
    return lambda task: [task(table.to_batches())]


def digest(*arrays):
    h = hashlib.sha256()
    for a in arrays:
        h.update(np.ascontiguousarray(a).tobytes())
    return h.hexdigest()[:16]


def digest_of(c):
    return digest(c.keys, c.sample_weight, c.data)


#: The coreset of the table below; made in one process, and the same on every engine.
COUNTS = pa.table({"id": np.arange(20_000), "a": np.arange(20_000) % 101 - 50.0, "b": np.arange(20_000) % 7 * 1.0})
DIGEST = "8a3a829f723c3b86"


@pytest.mark.parametrize("count", [1, 2, 7, 50])
def test_coresets_have_the_same_bits(count):
    settings = {"size": 300, "random_state": 7}
    first = sp.coreset(whole(TABLE), COLUMNS, **settings)
    for passes in (1, 2):
        other = sp.coreset(parts(TABLE, count, seed=count), COLUMNS, passes=passes, **settings)
        assert digest_of(other) == digest_of(first)
        assert (other.n_rows, other.checksum, other.report["passes"]) == (N, first.checksum, passes)
    assert 100 < len(first) < 600
    assert first.names == [*NAMES, "y"]
    own = dict(zip(KEYS.tolist(), X.tolist(), strict=True))
    assert all(own[k] == row[:4] for k, row in zip(first.keys.tolist(), first.data.tolist(), strict=True))
    assert digest_of(sp.coreset(parts(COUNTS, count), Columns(["a", "b"], key="id"), size=200, random_state=7)) == DIGEST
    assert list(first.to_pandas().columns) == ["key", "sample_weight", *NAMES, "y"]
    assert "rows=" in repr(first)


@pytest.mark.parametrize("tau", [0.5, 0.95])
def test_quantiles_are_those_of_all_rows(tau):
    settings = {"quantile": tau, "sample_rows": 400, "most_rows": 1_500}
    fits = [sp.quantile(run, COLUMNS, **settings) for run in (whole(TABLE), parts(TABLE, 7), parts(TABLE, 50, seed=1))]
    memory = sensitivity.regress(X - X.mean(axis=0), Y, quantile=tau, fit_intercept=True)
    for fit in fits:
        assert digest(fit.coef, [fit.intercept, fit.objective, fit.lower_bound]) == digest(
            fits[0].coef, [fits[0].intercept, fits[0].objective, fits[0].lower_bound]
        )
        assert fit.status == "converged" and fit.lower_bound <= memory.objective * (1 + 1e-9)
        assert fit.objective == pytest.approx(memory.objective, rel=1e-8)
        residual = Y - fit.predict(X)
        assert np.sum(residual * (tau - (residual < 0))) == pytest.approx(fit.objective, rel=1e-7)
        assert fit.ranges.shape == (5, 2) and (fit.ranges[:4, 0] <= fit.coef).all() and (fit.coef <= fit.ranges[:4, 1]).all()
        assert fit.passes[0]["stage"] == "sums" and max(p["sent"] for p in fit.passes) <= 8_000
        assert fit.gap >= 0 and "converged" in repr(fit)


def test_the_lasso_is_that_of_all_rows():
    y = pa.array(X @ [1.0, 0.02, 0.0, 0.5] + RNG.normal(size=N))
    table = TABLE.set_column(TABLE.schema.get_field_index("y"), "y", y)
    path = sp.lasso(parts(table, 7), COLUMNS, cv=None, alphas=20)
    memory = lasso.lasso_path(X, np.asarray(y), alphas=20)
    assert path.status == ["converged"] * 20
    np.testing.assert_allclose(path.coefs.toarray(), memory.coefs.toarray(), atol=1e-7 * np.abs(memory.coefs.toarray()).max())
    found = [sp.lasso(run, COLUMNS, cv=4, alphas=15, random_state=2) for run in (whole(table), parts(table, 7), parts(table, 50))]
    for one in found:
        assert digest(one.mse, one.path.coefs.data) == digest(found[0].mse, found[0].path.coefs.data)
    usual = lasso.cross_validate(X, np.asarray(y), cv=4, alphas=15)
    assert found[0].mse[found[0].best] == pytest.approx(usual.mse[usual.best], rel=0.05)


def test_keys_of_every_kind():
    base = {"a": RNG.normal(size=100), "b": RNG.normal(size=100)}
    texts = [f"Zürich-{i}" for i in range(100)]
    kinds = {
        "int32": pa.array(range(100), pa.int32()),
        "uint64": pa.array([2**64 - 1 - i for i in range(100)], pa.uint64()),
        "text": pa.array(texts),
        "large": pa.array(texts, pa.large_string()),
        "dictionary": pa.array(texts).dictionary_encode(),
        "date": pa.array(range(100), pa.int32()).cast(pa.date32()),
        "time": pa.array(range(100), pa.int64()).cast(pa.timestamp("us")),
        "float": pa.array([i / 3 for i in range(100)]),
    }
    checksums = {}
    for name, column in kinds.items():
        table = pa.table({"id": column, **base})
        found = sp.coreset(parts(table, 3), Columns(["a", "b"], key="id"), size=40)
        checksums[name] = found.checksum
        sliced = table.slice(13)
        assert sp.coreset(whole(sliced), Columns(["a", "b"], key="id"), size=40).n_rows == 87
    assert checksums["text"] == checksums["large"] == checksums["dictionary"]
    two = Columns(["a", "b"], key=["id", "a"])
    assert sp.coreset(whole(pa.table({"id": kinds["text"], **base})), two, size=40).n_rows == 100
    none = Columns(["a", "b"], key="rows")
    assert sp.coreset(parts(pa.table(base), 3), none, size=40).n_rows == 100
    with pytest.warns(UserWarning, match="share a key"):
        sp.coreset(whole(pa.table({"a": np.arange(200) % 3 * 1.0, "b": np.ones(200)})), none, size=150)


def test_levels_are_columns():
    table = pa.table({"id": range(3_000), "c": [("red", "green", "blue")[i % 3] for i in range(3_000)], "y": [float(i % 3) for i in range(3_000)]})
    columns = Columns("c", target="y", key="id", categories={"c": ["blue", "green", "red"]})
    assert columns.names == ["c=green", "c=red"]
    fit = sp.quantile(parts(table, 4), columns)
    assert fit.coef == pytest.approx([-1.0, -2.0], abs=1e-9) and fit.intercept == pytest.approx(2.0)
    few = Columns("c", target="y", key="id", categories={"c": ["blue", "green"]})
    with pytest.raises(ValueError, match="column 'c' is 'red' at key 0, which is none of its 2 levels"):
        sp.quantile(whole(table), few)


def changed(**columns):
    table = TABLE
    for name, values in columns.items():
        at = table.schema.get_field_index(name)
        table = table.append_column(name, values) if at < 0 else table.set_column(at, name, values)
    return table


def with_value(name, row, value):
    values = TABLE[name].to_pylist()
    values[row] = value
    return changed(**{name: pa.array(values)})


@pytest.mark.parametrize(
    ("table", "columns", "message"),
    [
        (with_value("b", 77, None), COLUMNS, rf"column 'b' is NULL at key {KEYS[77]}; nulls=\"drop\" leaves such rows out"),
        (with_value("b", 77, float("nan")), COLUMNS, rf"column 'b' is NaN at key {KEYS[77]}; nulls"),
        (with_value("b", 77, float("inf")), COLUMNS, rf"column 'b' is inf at key {KEYS[77]}$"),
        (with_value("y", 9, None), COLUMNS, rf"column 'y' is NULL at key {KEYS[9]}"),
        (with_value("id", 9, None), COLUMNS, "key column 'id' is NULL"),
        (changed(b=pa.array(["x"] * N)), COLUMNS, r"column 'b' is string: give numbers, or its levels as categories=\{'b': "),
        (TABLE, Columns(["a", "z"], target="y", key="id"), r"there is no column 'z', only \['id', 'a'"),
        (TABLE.slice(0, 0), COLUMNS, "the table has no rows"),
        (changed(c=pa.array(X[:, 0] + 1e-6 * X[:, 2])), COLUMNS, "column 'c' is nearly, but not exactly, a combination"),
    ],
)
def test_what_is_wrong_with_rows_is_said(table, columns, message):
    with pytest.raises(ValueError, match=message):
        sp.quantile(parts(table, 3), columns, sample_rows=400, most_rows=1_500)


def test_rows_can_be_left_out():
    values = TABLE["b"].to_pylist()
    for row in (3, 5, 800):
        values[row] = None
    table = changed(b=pa.array(values), id=pa.array(KEYS))
    columns = Columns(NAMES, target="y", key="id", nulls="drop")
    fit = sp.quantile(parts(table, 5), columns, sample_rows=1_000)
    keep = np.array([v is not None for v in values])
    memory = sensitivity.regress((X - X.mean(axis=0))[keep], Y[keep], quantile=0.5, fit_intercept=True)
    assert fit.dropped == {"b": 3} and fit.n_rows == N - 3
    assert fit.objective == pytest.approx(memory.objective, rel=1e-8)
    assert sp.coreset(whole(table), columns, size=100, expect_rows=N).report["dropped"] == {"b": 3}


def test_tables_that_change_are_refused():
    twice = pa.concat_tables([TABLE, TABLE.slice(0, 100)])
    for call in (sp.coreset, sp.quantile, sp.lasso):
        settings = {"size": 100} if call is sp.coreset else {}
        with pytest.raises(ValueError, match=r"the table has 12,100 rows, expected are 12,000: it changed"):
            call(whole(twice), COLUMNS, expect_rows=N, **settings)
    tables = iter([TABLE, TABLE.slice(1), TABLE])
    with pytest.raises(ValueError, match="not those of the passes before: the table changed"):
        sp.quantile(lambda task: [task(next(tables).to_batches())], COLUMNS, sample_rows=400)
    tables = iter([TABLE, pa.concat_tables([TABLE.slice(1), TABLE.slice(0, 1), TABLE.slice(5, 1)])])
    with pytest.raises(ValueError, match="not those of the pass before"):
        sp.coreset(lambda task: [task(next(tables).to_batches())], COLUMNS, size=100, passes=2)
    tables = iter([TABLE, TABLE.slice(1)])
    with pytest.raises(ValueError, match="changed between two passes"):
        sp.lasso(lambda task: [task(next(tables).to_batches())], COLUMNS)


def test_parts_are_checked():
    task = Task(COLUMNS, samplewise._core.Summary.coreset(5, (50, 1.0, "root_leverage", 0)).to_bytes())
    part = task(TABLE.to_batches())
    assert task([]) is None and task(TABLE.slice(0, 0).to_batches()) is None
    assert task(TABLE.to_batches()) == part
    assert sp.merge([part, None])[0].seen()[0] == N
    for damaged in (part[:-1], part[:-9] + b"\0" + part[-8:]):
        with pytest.raises(ValueError, match="checksum|cut"):
            sp.merge([damaged])
    other = part.replace(samplewise.__version__.encode(), b"9" * len(samplewise.__version__), 1)
    with pytest.raises(ValueError, match=r"a part was made by samplewise 9+, this is .*: install the same version everywhere"):
        sp.merge([other])
    another = Task(COLUMNS, samplewise._core.Summary.coreset(5, (51, 1.0, "root_leverage", 0)).to_bytes())
    with pytest.raises(ValueError, match="options differ"):
        sp.merge([part, another(TABLE.to_batches())])


def test_a_fit_is_resumed(tmp_path):
    file = tmp_path / "passes.bin"
    seen = []

    def run(task):
        seen.append(task)
        if len(seen) == 3:
            raise ConnectionError("the driver is gone")
        return parts(TABLE, 4)(task)

    settings = {"quantile": 0.7, "sample_rows": 400, "most_rows": 1_500, "resume": file}
    with pytest.raises(ConnectionError):
        sp.quantile(run, COLUMNS, **settings)
    assert file.exists()
    fit = sp.quantile(run, COLUMNS, **settings)
    first = sp.quantile(whole(TABLE), COLUMNS, quantile=0.7, sample_rows=400, most_rows=1_500)
    assert len(seen) == len(fit.passes) + 1 and not file.exists()
    assert fit.coef.tobytes() == first.coef.tobytes() and fit.passes == first.passes
    file.write_bytes(b"something else")
    with pytest.raises(ValueError, match="SWS1|shorter"):
        sp.quantile(run, COLUMNS, **settings)


def test_a_fit_is_stopped():
    calls = []

    def stop(stage, step, total, value):
        calls.append((stage, step))
        return step == 3

    fit = sp.quantile(whole(TABLE), COLUMNS, sample_rows=400, most_rows=1_500, callback=stop)
    assert (fit.status, fit.ending, fit.lower_bound) == ("not_converged", "interrupted", None)
    assert calls == [("sums", 1), ("sums", 2), ("sample", 3)]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Columns([], key="id"), "features names no column"),
        (lambda: Columns(["a"], key=[]), "key names no column"),
        (lambda: Columns(["a", "a"], key="id"), "features names a column twice"),
        (lambda: Columns(["a"], target="a", key="id"), "the target 'a' is among the features"),
        (lambda: Columns(["a"], key="id", nulls="keep"), 'nulls is \'keep\', allowed is "error" or "drop"'),
        (lambda: Columns(["a"], key="id", categories={"b": ["x"]}), "categories names 'b', which is no feature"),
        (lambda: Columns(["a"], key="id", categories={"a": ["x", "x"]}), "the levels of 'a'"),
        (lambda: sp.quantile(whole(TABLE), Columns(NAMES, key="id")), "columns has no target"),
        (lambda: sp.lasso(whole(TABLE), Columns(NAMES, key="id")), "columns has no target"),
        (lambda: sp.quantile(whole(TABLE), COLUMNS, quantile=1.0), "quantile is 1, allowed is above 0 and below 1"),
        (lambda: sp.quantile(whole(TABLE), COLUMNS, sample_rows=1), "sample_rows is 1, allowed is 64 to"),
        (lambda: sp.coreset(whole(TABLE), COLUMNS, size=100, passes=3), "passes is 3"),
        (lambda: sp.coreset(whole(TABLE), COLUMNS, size=0), "size is 0"),
        (lambda: sp.coreset(whole(TABLE), COLUMNS, size=10, method="lewis"), "stream"),
        (lambda: sp.coreset(whole(TABLE), COLUMNS, size=10, p=3.0), "p is 3"),
        (lambda: sp.lasso(whole(TABLE), COLUMNS, cv=1), "cv is 1"),
    ],
)
def test_arguments_are_checked(call, message):
    with pytest.raises(ValueError, match=message):
        call()
