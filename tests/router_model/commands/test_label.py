"""`router-model label`: which prompts of a log are drawn."""

import polars as pl
import pytest

from router_model.commands.label import draw_prompts


def test_a_long_conversation_is_drawn_as_often_as_a_short_one():
    """One conversation of 20 turns and one of one: each is drawn in half of 400 samples, to within 3 deviations.

    Each turn of the long one is drawn as often, too: about 10 times, and never 30.
    """
    turns = [{"prompt_id": f"t{n}", "prompt": f"turn {n}", "session_id": "long"} for n in range(20)]
    log = pl.DataFrame([*turns, {"prompt_id": "alone", "prompt": "hello", "session_id": None}])
    drawn = [draw_prompts(log, 1, seed=seed, one_per_session=True)["prompt_id"][0] for seed in range(400)]
    assert drawn.count("alone") / 400 == pytest.approx(0.5, abs=3 * 0.025)
    of_turn = [drawn.count(f"t{n}") for n in range(20)]
    assert 0 < min(of_turn)
    assert max(of_turn) < 30
    both = draw_prompts(log, 21, seed=0, one_per_session=True)
    assert both.height == 2
