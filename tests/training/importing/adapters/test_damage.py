"""A record with one damaged value is converted, skipped or refused with a reason, and never ends in another error."""

import copy
from pathlib import Path

import pytest

from router_model.training.importing.adapters import ADAPTERS, NOWHERE, every_eval_ever, helm, lm_eval
from router_model.training.importing.problems import RecordError

MESSAGES = [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}, {"role": "assistant", "content": "Yo"}]
FIELDS = {
    "eval": {"model": "m", "task": "t"},
    "results": {"scores": [{"name": "s", "scorer": "s"}], "headline": {"scorer": "s", "score": "a"}},
    "adapter_spec": {"model": "m"},
    "config": {"description": "d"},
}
RECORDS = {
    "lm_eval": {"doc_id": 0, "doc": {"question": "?"}, "arguments": {"gen_args_0": {"arg_0": "Q", "arg_1": "a"}},
                "filter": "none", "metrics": ["acc"], "acc": 1.0, "resps": []},
    "inspect_ai": {"epoch": 1, "input": "Hi", "target": "x", "messages": MESSAGES, "output": {"usage": {}},
                   "scores": {"s": {"value": {"a": 1}}}, "model_usage": {"m": {"input_tokens": 1}}, "attachments": {}},
    "promptfoo": {"provider": {"id": "openai:m", "label": ""}, "prompt": {"raw": "Hi"}, "success": True, "vars": {},
                  "latencyMs": 5, "response": {"tokenUsage": {"prompt": 1}}, "gradingResult": {"reason": ""}},
    "helm": {"instance": {"id": "i", "input": {"text": "x"}}, "request": {"prompt": "x"}, "result": {"success": True}},
    "every_eval_ever": {"evaluation_id": "e", "model_id": "m", "sample_id": "s", "input": {"raw": "Hi"},
                        "evaluation": {"score": 1.0, "is_correct": True}, "performance": {"latency_ms": 5},
                        "token_usage": {"input_tokens": 5}},
    "openai_evals": {"object": "eval.run.output_item", "status": "pass", "results": [{"name": "g", "passed": True}],
                     "sample": {"model": "m", "input": [], "error": None, "usage": {"prompt_tokens": 1}}},
    "ragas": {"user_input": "Hi", "response": "x", "faithfulness": 0.5, "model": "m"},
    "arena": {"model_a": "a", "model_b": "b", "winner": "tie", "conversation_a": MESSAGES, "turn": 1,
              "full_conversation": [{"user": MESSAGES[0]}], "conv_metadata": {"sum_user_tokens": 1}, "prompt": "Hi"},
    "alpaca_eval": {"instruction": "Hi", "output_1": "", "output_2": "", "generator_1": "a", "generator_2": "b",
                    "preference": 1.0},
    "mt_bench": {"question_id": 1, "model": "m", "judge": [], "score": 5, "turn": 1,
                 "user_prompt": "[Question]\nHi\n\n[The Start of the answer]"},
    "mt_bench_pairs": {"question_id": 1, "model_1": "a", "model_2": "b", "g1_winner": "tie", "g2_winner": "model_1",
                       "g1_user_prompt": "[Question]\nHi\n\n[The Start of the answer]", "turn": 1},
    "llmrouterbench": {"model": "m", "records": [{"origin_query": "Hi", "score": 1}]},
}  # fmt: skip
JUNK = (None, 3, -1.5, float("nan"), "", "x", "[", True, [], [1], ["x"], {}, {"a": 1}, [{"a": 1}])


def places(value, path=()):
    """Yield the path of every value in a record."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield (*path, key)
        yield from places(one, (*path, key))


def damaged(record, path, junk):
    changed = copy.deepcopy(record)
    *outer, last = path
    at = changed
    for key in outer:
        at = at[key]
    at[last] = junk
    return changed


BESIDE = {
    "per_instance_stats.json": [
        {"instance_id": "i", "stats": [{"name": {"name": "exact_match"}, "count": 1, "sum": 1}]},
    ],
    "results_x.json": {
        "model_name": "",
        "config": {"model_args": "pretrained=m"},
        "higher_is_better": {"t": {"acc": True}},
    },
    "x.json": {"evaluation_results": [{"evaluation_name": None, "metric_config": {"min_score": 0, "max_score": 2}}]},
}


def variants(whole):
    for path in places(whole):
        for junk in JUNK:
            changed = damaged(whole, path, junk)
            if all(isinstance(part, dict) for part in changed.values()):
                yield changed


def _put_beside(monkeypatch, files):
    def read(path, name, arrange=lambda value: value):
        del path
        return arrange(files[name]) if name in files else None

    for module in (lm_eval, helm, every_eval_ever):
        monkeypatch.setattr(module, "read_beside", read)
    monkeypatch.setattr(lm_eval, "names_beside", lambda path: list(files) if path else [])


@pytest.mark.parametrize("name", RECORDS)
def test_one_damaged_value_ends_in_no_foreign_error(name, monkeypatch):
    """Damage is in the record, in the object around it, or in the files beside it."""
    adapter = ADAPTERS[name]
    for changed in variants({"record": RECORDS[name], "fields": FIELDS, "beside": BESIDE}):
        _put_beside(monkeypatch, changed["beside"])
        around = NOWHERE._replace(fields=changed["fields"], path=Path("a__b/x_samples.jsonl"))
        if adapter.recognises(changed["record"]):
            try:
                list(adapter.notes(changed["record"], around) if adapter.notes else ())
                adapter.convert(changed["record"], around)
            except RecordError as exc:
                assert exc.problem.got  # noqa: PT017 most damage is no error
