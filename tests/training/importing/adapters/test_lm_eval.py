"""lm-evaluation-harness: samples_*.jsonl, with and without the results beside them."""

import json

import pytest

from router_model.errors import TableError

FILE = "org__model-7b/samples_gsm8k_2025-03-01T10-00-00.123456.jsonl"


def sample(doc_id=0, **changes):
    return {
        "doc_id": doc_id,
        "doc": {"question": f"What is {doc_id} + 1?"},
        "target": "1",
        "arguments": {"gen_args_0": {"arg_0": f"Question: What is {doc_id} + 1?\nAnswer:", "arg_1": {"until": []}}},
        "resps": [["an answer"]],
        "filtered_resps": ["1"],
        "filter": "none",
        "metrics": ["exact_match"],
        "doc_hash": "d",
        "prompt_hash": "p",
        "target_hash": "t",
        "exact_match": 1.0,
    } | changes


def test_sample_becomes_an_outcome(imported):
    (row,) = imported({FILE: [sample()]}).rows
    assert (row["prompt"], row["model"], row["quality"]) == ("Question: What is 0 + 1?\nAnswer:", "org/model-7b", 1.0)
    assert row["task"] == "gsm8k"
    assert row["extra"] == {"doc_id": 0, "filter": "none", "metric": "exact_match"}


def test_first_filter_of_a_file_counts_and_the_others_are_skipped(imported):
    """Doc 0 is right by the first filter and wrong by the second, doc 1 the other way round."""
    samples = [sample(0, filter="strict"), sample(1, filter="strict", exact_match=0.0)]
    samples += [sample(0, filter="flexible", exact_match=0.0), sample(1, filter="flexible")]
    found = imported({FILE: samples})
    assert found.column("quality") == [1.0, 0.0]
    assert found.skipped == {"results of further filters": 2}


DATE = "2025-03-01T10-00-00.1"
SUMMARY = {"results": {}, "configs": {}, "n-shot": {}, "model_name": "org/from-results"}


@pytest.mark.parametrize(
    ("file", "others", "model"),
    [
        (f"out/samples_t_{DATE}.jsonl", {f"out/results_{DATE}.json": SUMMARY, "out/results_b.json": {**SUMMARY,
         "model_name": "another"}}, "org/from-results"),
        (f"out/samples_t_{DATE}.jsonl", {"out/results_other.json": SUMMARY}, "org/from-results"),
        (
            f"a__b/samples_t_{DATE}.jsonl",
            {"a__b/results_x.json": SUMMARY, "a__b/results_y.json": SUMMARY},
            "a/b",
        ),
        (
            "out/samples_t.jsonl",
            {"out/results_x.json": SUMMARY | {"model_name": "", "config": {"model_args": "pretrained=a/c,dtype=auto"}}},
            "a/c",
        ),
        ("gpt-4o/samples_t.jsonl", {}, "gpt-4o"),
    ],
)  # fmt: skip
def test_model_stands_beside_the_samples(imported, file, others, model):
    found = imported({file: [sample()], **others})
    assert (found.column("model"), found.column("task")) == ([model], ["t"])
    assert found.skipped == ({"summaries of lm-evaluation-harness": len(others)} if others else {})


@pytest.mark.parametrize(
    ("changes", "summary", "metric", "quality"),
    [
        ({"metrics": ["acc", "acc_norm"], "acc": 0.0, "acc_norm": 1.0}, {}, "acc", 0.0),
        ({"metrics": ["strict_list", "strict"], "strict_list": [True, False], "strict": True}, {}, "strict", 1.0),
        ({"metrics": ["brier_score", "acc"], "brier_score": 0.2, "acc": 1.0}, {}, "acc", 1.0),
        ({"metrics": ["err", "acc"], "err": 1, "acc": 0}, {"higher_is_better": {"gsm8k": {"err": False}}}, "acc", 0.0),
        ({"metrics": ["bypass"], "bypass": 999}, {}, "bypass", None),
        ({"metrics": None}, {}, "exact_match", 1.0),
    ],
)
def test_quality_is_the_first_metric_that_is_a_number_and_better_when_higher(
    imported, changes, summary, metric, quality
):
    results = {"org__model-7b/results_x.json": SUMMARY | summary}
    (row,) = imported({FILE: [sample(**changes)], **results}).rows
    assert (row["extra"]["metric"], row["quality"]) == (metric, quality)


TEMPLATED = "<|im_start|>system\nYou are M.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
EXAMPLES = [{"role": "user", "content": "1?"}, {"role": "assistant", "content": "1"}, {"role": "user", "content": "2?"}]
CHAT = '[{"role": "user", "content": "Hi"}]'


@pytest.mark.parametrize(
    ("arguments", "prompt", "messages"),
    [
        ({"gen_args_0": {"arg_0": "Q:", "arg_1": " a"}, "gen_args_1": {"arg_0": "Q:", "arg_1": " b"}}, "Q:", None),
        ({"gen_args_0": {"arg_0": "Ann saw Bea; Ann", "arg_1": " ran"}, "gen_args_1": {"arg_0": "Ann saw Bea; Bea"}},
         "Ann saw Bea; ", None),
        ([["Q:", " a"], ["Q:", " b"]], "Q:", None),
        ({"gen_args_0": {"arg_0": [CHAT], "arg_1": {}}}, "Hi", None),
        ({"gen_args_0": {"arg_0": CHAT, "arg_1": {}}}, "Hi", None),
        ({"gen_args_0": {"arg_0": json.dumps(EXAMPLES), "arg_1": {}}}, None, EXAMPLES),
        ({f"gen_args_{at}": {"arg_0": TEMPLATED, "arg_1": " a"} for at in range(2)}, "Hi", None),
        (None, "What is 0 + 1?", None),
    ],
)  # fmt: skip
def test_prompt_is_what_was_sent_and_counts_once(imported, arguments, prompt, messages):
    (row,) = imported({FILE: [sample(arguments=arguments)]}).rows
    assert (row["prompt"], row["messages"]) == (prompt, messages)


def test_system_message_of_the_harness_is_kept(imported):
    results = {"org__model-7b/results_x.json": SUMMARY | {"system_instruction": "You are M."}}
    found = imported({FILE: [sample(arguments={"gen_args_0": {"arg_0": TEMPLATED}})], **results})
    assert [message["role"] for message in found.column("messages")[0]] == ["system", "user"]


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        (
            "samples_t.jsonl",
            {},
            "in the folder 'sources', without their results_.*.json, expected the results_.*.json of the",
        ),
        (FILE, {"arguments": None, "doc": {"x": 1}}, "a sample of lm-evaluation-harness without 'arguments'"),
        (FILE, {"metrics": ["bleu"], "bleu": [["a"], "b"]}, r'with the metrics \["bleu"\], none of them a number'),
        (FILE, {"metrics": ["chrf"], "chrf": 45.2}, "quality has .*, expected 0 to 1"),
    ],
)
def test_what_is_missing_is_named(imported, file, changes, message):
    with pytest.raises(TableError, match=message):
        imported({file: [sample(**changes)]})
