"""Every Eval Ever: instances, with and without the summary that tells the scale."""

import pytest

from router_model.errors import TableError

NAME = "data/0f0f_samples.jsonl"


def instance(**changes):
    return {
        "schema_version": "instance_level_eval_0.2.2",
        "evaluation_id": "mmlu/org/m/1",
        "model_id": "org/m",
        "evaluation_name": "mmlu",
        "sample_id": "s1",
        "sample_hash": "h",
        "interaction_type": "single_turn",
        "input": {"raw": "Name a prime.", "formatted": None, "reference": ["11"], "choices": None},
        "output": {"raw": ["11"]},
        "messages": None,
        "answer_attribution": [],
        "evaluation": {"score": 1.0, "is_correct": True},
        "token_usage": {"input_tokens": 12, "output_tokens": 3, "total_tokens": 15},
        "performance": {"latency_ms": None, "generation_time_ms": 680.0},
        "error": None,
        "metadata": {"subject": "math"},
    } | changes


def summary(*results):
    return {"evaluation_id": "mmlu/org/m/1", "model_info": {"id": "org/m"}, "evaluation_results": list(results)}


LEVELS = {"score_type": "levels", "level_names": ["low", "mid", "high"]}


def result(name="mmlu", result_id=None, **config):
    return {"evaluation_name": name, "evaluation_result_id": result_id, "metric_config": config}


def test_instance_becomes_an_outcome(imported):
    (row,) = imported({NAME: [instance()]}).rows
    assert (row["prompt"], row["model"], row["quality"], row["task"]) == ("Name a prime.", "org/m", 1.0, "mmlu")
    assert (row["input_tokens"], row["output_tokens"], row["latency_s"]) == (12, 3, 0.68)
    assert row["extra"] == {"sample_id": "s1", "metadata": {"subject": "math"}}


@pytest.mark.parametrize(
    ("evaluation", "config", "quality"),
    [
        ({"score": 7, "is_correct": True}, {"score_type": "continuous", "min_score": 1, "max_score": 10}, 6 / 9),
        ({"score": 0.25, "is_correct": True}, {"lower_is_better": True, "min_score": 0, "max_score": 1}, 0.75),
        ({"score": 1, "is_correct": False}, LEVELS, 0.5),
        ({"score": -1, "is_correct": False}, LEVELS | {"has_unknown_level": True}, None),
        ({"score": 0.5, "is_correct": False}, {"score_type": "binary"}, 0.5),
    ],
)  # fmt: skip
def test_summary_tells_the_scale(imported, evaluation, config, quality):
    found = imported({NAME: [instance(evaluation=evaluation)], "data/0f0f.json": summary(result(**config))})
    assert found.column("quality") == [pytest.approx(quality)]
    assert found.skipped == {"summaries of Every Eval Ever": 1}


def test_sample_with_several_metrics_counts_once_and_failed_ones_do_not(imported):
    records = [
        instance(evaluation_result_id="acc", evaluation={"score": 0.0, "is_correct": False}),
        instance(evaluation_result_id="f1"),
        instance(evaluation_result_id="acc", input={"raw": "Another?"}),
        instance(error="timeout"),
    ]
    found = imported({NAME: records})
    assert found.column("quality") == [0.0, 1.0]
    assert found.skipped == {"results of further metrics": 1, "failed samples": 1}


@pytest.mark.parametrize(
    "evaluation",
    [{"score": 7, "is_correct": True}, {"score": 0, "is_correct": True}, {"score": 0.9, "is_correct": False}],
)
def test_score_without_a_known_scale_is_refused(imported, evaluation):
    with pytest.raises(TableError, match="no summary that tells its scale, expected 0f0f.json beside"):
        imported({NAME: [instance(evaluation=evaluation)]})
