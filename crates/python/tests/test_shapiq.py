"""Our approximators in shapiq, where it is installed."""

import numpy as np
import pytest

shapiq = pytest.importorskip("shapiq")

from samplewise.shapiq import SPEX, SurrogateSHAP, patch  # noqa: E402


def game(Z):
    Z = np.atleast_2d(Z).astype(float)
    return 1.0 + 2.0 * Z[:, 0] - 3.0 * Z[:, 1] * Z[:, 2] + Z[:, 3] * Z[:, 4]


def test_sparse_games_are_recovered():
    for index in ("k-SII", "STII", "FBII"):
        found = SPEX(n=20, index=index).approximate(400, game)
        assert found[(1, 2)] == pytest.approx(-3.0, abs=1e-6) and found[(3, 4)] == pytest.approx(1.0, abs=1e-6)
    top = SPEX(n=20, index="SII", top_order=True).approximate(400, game)
    assert all(len(key) in (0, 2) for key in top.interaction_lookup)
    exact = SPEX(n=6).approximate(64, game)
    assert exact[(1, 2)] == pytest.approx(-3.0) and not exact.estimated
    with pytest.raises(ValueError, match="budget is 20"):
        SPEX(n=20).approximate(20, game)
    with pytest.raises(ValueError, match="decoder_type is 'loud'"):
        SPEX(n=20, decoder_type="loud")


def test_values_and_deviations():
    for index, single, pair in (("SII", -1.5, -3.0), ("STII", 0.0, -3.0), ("BII", -1.5, -3.0)):
        approximator = SurrogateSHAP(8, 2, index)
        found = approximator.approximate(120, game)
        assert found[(1,)] == pytest.approx(single, abs=1e-6) and found[(1, 2)] == pytest.approx(pair, abs=1e-6)
        assert approximator.deviations_[(1, 2)] >= 0
    found = SurrogateSHAP(8).approximate(60, lambda Z: np.tanh(np.asarray(Z).sum(axis=1) - 3.0))
    assert sum(found[(i,)] for i in range(8)) == pytest.approx(np.tanh(5.0) + np.tanh(3.0), abs=1e-9)
    with pytest.raises(ValueError, match="max_order is 2"):
        SurrogateSHAP(8, 2)


def test_the_installed_one_is_replaced_and_restored():
    before = shapiq.__dict__.get("SPEX")
    undo = patch()
    assert shapiq.SPEX is SPEX and shapiq.approximator.SPEX is SPEX
    undo()
    assert shapiq.__dict__.get("SPEX") is before
