"""`samplewise.spark` on an engine: the bits of one process, whatever the layout of the files and partitions."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from samplewise import partitions
from samplewise import spark as sw
from samplewise.partitions import Columns

N = 200_000
FEATURES = [f"x{j}" for j in range(5)]


def table():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(N, 5))
    x[:, 4] = np.arange(N) % 2_000 == 7
    y = x @ np.arange(1.0, 6.0) + rng.standard_t(2, N)
    return pa.table({"id": np.arange(N), **dict(zip(FEATURES, x.T, strict=True)), "y": y})


TABLE = table()


def local(task):
    return [task(TABLE.to_batches())]


def digest(*arrays):
    h = hashlib.sha256()
    for a in arrays:
        h.update(np.ascontiguousarray(a, dtype=np.float64).tobytes())
    return h.hexdigest()[:16]


def layouts(path):
    """One file, seven files, and files of which one is empty and one has a single row."""
    cuts = {"one": [0, N], "seven": np.linspace(0, N, 8).astype(int).tolist(), "odd": [0, 0, 1, 90_000, N]}
    for name, ends in cuts.items():
        folder = path / name
        folder.mkdir()
        for k, (a, b) in enumerate(zip(ends[:-1], ends[1:], strict=True)):
            pq.write_table(TABLE.slice(a, b - a), folder / f"{k}.parquet", row_group_size=20_000)
        yield name, folder


@pytest.fixture(scope="module")
def frames(spark, tmp_path_factory):
    read = {name: spark.read.parquet(str(folder)) for name, folder in layouts(tmp_path_factory.mktemp("layouts"))}
    return {**read, "shuffled": read["seven"].repartition(13, "x1"), "many": read["one"].repartition(40)}


@pytest.mark.parametrize("name", ["one", "seven", "odd", "shuffled", "many"])
def test_answers_have_the_bits_of_one_process(frames, name):
    df = frames[name]
    both = Columns(FEATURES, target="y", key="id")
    own = partitions.coreset(local, both, size=400, random_state=7)
    for passes in (1, 2):
        found = sw.coreset(df, FEATURES, target="y", key="id", size=400, random_state=7, passes=passes, expect_rows=N)
        assert digest(found.keys, found.sample_weight, found.data) == digest(own.keys, own.sample_weight, own.data)
        assert (found.n_rows, found.checksum) == (N, own.checksum)


@pytest.mark.parametrize("name", ["odd", "shuffled"])
def test_quantiles_and_lassos(frames, name):
    both, settings = Columns(FEATURES, target="y", key="id"), {"quantile": 0.9, "sample_rows": 5_000, "most_rows": 20_000}
    own = partitions.quantile(local, both, **settings)
    found = sw.quantile(frames[name], FEATURES, "y", key="id", **settings)
    assert found.status == own.status == "converged" and found.passes == own.passes
    assert digest(found.coef, [found.intercept, found.lower_bound]) == digest(own.coef, [own.intercept, own.lower_bound])
    path, other = sw.lasso(frames[name], FEATURES, "y", key="id", cv=3), partitions.lasso(local, both, cv=3)
    assert digest(path.mse, path.path.coefs.data) == digest(other.mse, other.path.coefs.data)


def test_levels_are_looked_up(spark):
    rows = [(i, ("b", "a", "c")[i % 3], float(i % 3)) for i in range(3_000)]
    df = spark.createDataFrame(rows, "id long, c string, y double")
    fit = sw.quantile(df, "c", "y", key="id", categories="c")
    assert fit.names == ["c=b", "c=c"] and fit.coef == pytest.approx([-1.0, 1.0], abs=1e-9)
    with pytest.raises(ValueError, match="column 'c' is 'c' at key 2, which is none of its 2 levels"):
        sw.quantile(df, "c", "y", key="id", categories={"c": ["a", "b"]})


def test_what_is_wrong_is_said(spark, frames):
    rows = [(i, float(i % 17), float(i) if i != 4_321 else None) for i in range(6_000)]
    df = spark.createDataFrame(rows, "id long, x double, y double").repartition(5)
    with pytest.raises(ValueError, match='column \'y\' is NULL at key 4321; nulls="drop" leaves such rows out'):
        sw.quantile(df, "x", "y", key="id")
    assert sw.quantile(df, "x", "y", key="id", nulls="drop").dropped == {"y": 1}
    with pytest.raises(ValueError, match="there is no column 'z', only"):
        sw.quantile(df, "z", "y", key="id")
    with pytest.raises(ValueError, match="column 's' is"):
        sw.coreset(spark.sql("SELECT 1L AS id, 'text' AS s"), "s", key="id", size=10)
    with pytest.raises(ValueError, match="the table has no rows"):
        sw.coreset(df.where("x > 1000"), "x", key="id", size=10)
    twice = frames["one"].union(frames["one"].limit(1_000))
    with pytest.raises(ValueError, match="the table has 201,000 rows, expected are 200,000"):
        sw.coreset(twice, FEATURES, key="id", size=100, expect_rows=N)


def test_points_are_answered_on_the_executors(spark):
    from samplewise.wht import Plan

    plan = Plan(20, 30, max_degree=2, random_state=3)
    model = lambda Z: 1.0 + 2.0 * Z[:, 3] - Z[:, 5] * Z[:, 7]  # noqa: E731
    for count in (None, 1, 7):
        values = sw.answer(spark, plan, model, partitions=count, together=100)
        assert np.array_equal(values, model(plan.ask()))
    assert plan.tell(values).status == "exact"
    with pytest.raises(Exception, match="the model gave 1 values for"):
        sw.answer(spark, plan, lambda Z: 1.0, together=100)


def test_hits_are_those_of_the_whole(spark):
    from samplewise.hamming import search

    rng = np.random.default_rng(0)
    text = "".join(rng.choice(list("ACGT"), 60_000))
    patterns = [text[i : i + 24] for i in (100, 5_000, 59_000)]
    step, overlap = 7_000, 23
    rows = [(k, text[k : k + step + overlap], min(step + overlap, len(text) - k)) for k in range(0, len(text), step)]
    df = spark.createDataFrame(rows, "start long, bases string, letters int").repartition(4)
    found = sw.hamming(df, "bases", patterns, 3, key="start", letters="letters", both_strands=True).toArrow().to_pydict()
    own = search(patterns, text, 3, alphabet="dna", both_strands=True)
    whole = set(zip(own.position.tolist(), own.pattern.tolist(), own.reverse.tolist(), own.distance.tolist(), strict=True))
    parts = zip(found["start"], found["position"], found["pattern"], found["reverse"], found["distance"], strict=True)
    assert {(s + p, q, r, d) for s, p, q, r, d in parts} == whole and len(whole) >= 3
    wrong = spark.createDataFrame([(1, "ACGT", 5)], "start long, bases string, letters int")
    with pytest.raises(Exception, match="the sequence at key 1 has 4 letters, 'letters' says 5"):
        sw.hamming(wrong, "bases", "AC", 0, key="start", letters="letters").collect()
    with pytest.raises(ValueError, match="there is no column 'x', only"):
        sw.hamming(df, "x", "AC", 0, key="start")


def test_columns_that_an_engine_makes_constant_are_refused(spark, tmp_path):
    x = np.ones(4_000)
    for name, rest in (("nan", np.nan), ("fine", 2.0)):
        x[2_000:] = rest
        own = pa.table({"id": np.arange(4_000), "x": x, "y": np.arange(4_000) * 1.0})
        pq.write_table(own, tmp_path / f"{name}.parquet", row_group_size=2_000)
    # In the first the engine sees no NaN where it does not read the file right; else NaN is an error of its own.
    with pytest.raises(ValueError, match="the engine reads column 'x' of .* as 1.0 in every row|column 'x' is NaN at key 2"):
        sw.quantile(spark.read.parquet(str(tmp_path / "nan.parquet")), "x", "y", key="id")
    assert sw.quantile(spark.read.parquet(str(tmp_path / "fine.parquet")), "x", "y", key="id").status == "converged"
