from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_model.training.fitting import boosters
from router_model.training.fitting.boosters import BoosterConfig, PairTable, fit_boosters

N_PROMPTS, N_OUTPUTS, N_COLUMNS = 23, 4, 3
FULL = np.arange(N_PROMPTS * N_OUTPUTS * N_COLUMNS, dtype=np.float32).reshape(-1, N_COLUMNS)


def table(largest: list[int] | None = None, known: float = 1.0) -> PairTable:
    """Return a table whose layout notes how many prompts it was asked for at once."""

    def layout(prompts):
        if largest is not None:
            largest.append(len(prompts))
        return FULL.reshape(N_PROMPTS, N_OUTPUTS, N_COLUMNS)[prompts].reshape(-1, N_COLUMNS)

    rng = np.random.default_rng(0)
    return PairTable(
        part=lambda prompts: partial(layout, prompts),
        names=["a", "b", "c"],
        target=(rng.random((N_PROMPTS, N_OUTPUTS)) < 0.5).astype(np.float32),
        weight=(rng.random((N_PROMPTS, N_OUTPUTS)) < known).astype(np.float32),
        folds=np.arange(N_PROMPTS) % 2,
    )


@given(st.sets(st.integers(0, N_PROMPTS * N_OUTPUTS - 1)), st.integers(1, 40))
def test_gathered_rows_are_those_of_the_full_layout(pairs, chunk_rows):
    """Whatever is asked for and however little is laid out at once."""
    asked = np.array(sorted(pairs), dtype=np.intp)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boosters, "_CHUNK_ROWS", chunk_rows)
        assert np.array_equal(table().gather(asked), FULL[asked])


def test_few_prompts_are_laid_out_at_once(monkeypatch):
    """Eight rows at once are two prompts of four."""
    monkeypatch.setattr(boosters, "_CHUNK_ROWS", 8)
    sizes: list[int] = []
    table(sizes).gather(np.arange(N_PROMPTS * N_OUTPUTS))
    assert max(sizes) == 2
    assert sum(sizes) == N_PROMPTS


def test_no_more_than_max_rows_are_fitted(monkeypatch):
    """Rows without an outcome and rows beyond the sample are not laid out for fitting, but all are predicted."""
    gathered: list[int] = []
    whole = PairTable.gather

    def counted(self, pairs):
        gathered.append(len(pairs))
        return whole(self, pairs)

    monkeypatch.setattr(PairTable, "gather", counted)
    config = BoosterConfig(max_rows=20, max_rounds=2)
    found = fit_boosters(table(known=0.5), objective="binary", config=config, seed=0, advance=lambda: None)
    assert gathered == [20]
    assert found.out_of_fold.shape == (N_PROMPTS, N_OUTPUTS)
