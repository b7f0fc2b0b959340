"""HELM: a run's folder, and its requests alone."""

import json

import pytest

from router_model.errors import TableError

RUN = "mmlu:subject=law,method=multiple_choice_joint,model=openai_gpt2"


def request(instance_id="id1", **changes):
    return {
        "instance": {"input": {"text": "Name a prime."}, "references": [], "split": "test", "id": instance_id},
        "request_mode": "original",
        "train_trial_index": 0,
        "output_mapping": {"A": "11"},
        "request": {"model": "openai/gpt2", "model_deployment": "hf/gpt2", "prompt": f"Question {instance_id}:"},
        "result": {
            "success": True,
            "completions": [{"text": "A"}],
            "request_time": 0.4,
            "request_datetime": 1740823200,
        },
        "num_train_instances": 0,
        "prompt_truncated": False,
    } | changes


def stats(instance_id="id1", **values):
    return {
        "instance_id": instance_id,
        "train_trial_index": 0,
        "stats": [
            {"name": {"name": name, "split": "test"}, "count": 2, "sum": 2 * value, "mean": value}
            for name, value in values.items()
        ],
    }


def write(imported, requests, metrics, **others):
    files = {f"{RUN}/scenario_state.json": {"adapter_spec": {"model": "m"}, "request_states": requests}}
    files |= {f"{RUN}/per_instance_stats.json": json.dumps(metrics)} if metrics is not None else {}
    return imported(files | {f"{RUN}/{name}": value for name, value in others.items()})


def test_request_gets_its_metrics_from_the_file_beside(imported):
    metrics = [stats(exact_match=0.0, quasi_exact_match=1.0, num_prompt_tokens=12), stats(num_output_tokens=1)]
    found = write(imported, [request()], metrics)
    (row,) = found.rows
    assert (row["prompt"], row["model"], row["quality"]) == ("Question id1:", "openai/gpt2", 1.0)
    assert (row["input_tokens"], row["output_tokens"], row["latency_s"]) == (12, 1, 0.4)
    assert row["task"] == "mmlu:subject=law,method=multiple_choice_joint"
    assert row["extra"] == {"id": "id1", "split": "test", "metric": "quasi_exact_match"}
    assert found.skipped == {"records of HELM's other files": 2}


def test_other_files_of_a_run_are_skipped_and_name_its_task(imported):
    others = {
        "run_spec.json": {"name": "law:x=1,model=m", "scenario_spec": {}, "adapter_spec": {}},
        "scenario.json": {"name": "mmlu", "definition_path": "p", "tags": []},
        "stats.json": '[{"name": {"name": "exact_match"}, "count": 1, "sum": 1}]',
        "instances.json": '[{"input": {"text": "x"}, "references": [], "split": "test", "id": "id1"}]',
    }
    found = write(imported, [request()], [stats(exact_match=1.0)], **others)
    assert found.column("task") == ["law:x=1"]
    assert found.skipped == {"records of HELM's other files": 5}


def test_choices_count_once_chats_are_chats_and_failures_are_skipped(imported):
    chat = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    requests = [
        request("a", reference_index=0),
        request("a", reference_index=1),
        request("b", request=chat),
        request("c", result={"success": False, "error": "429"}),
    ]
    found = write(imported, requests, [stats("a", exact_match=1.0), stats("b", exact_match=0.0)])
    assert found.column("prompt") == ["Name a prime.", None]
    assert found.column("messages")[1] == chat["messages"]
    assert found.skipped["further requests of an instance"] == found.skipped["failed requests"] == 1


def test_perturbed_instances_have_metrics_of_their_own(imported):
    noise = {"name": "typos", "prob": 0.1}
    perturbed = request(request={"model": "m", "prompt": "Qestion:"})
    perturbed["instance"] = perturbed["instance"] | {"perturbation": noise}
    metrics = [stats(exact_match=1.0), stats(exact_match=0.0) | {"perturbation": noise}]
    assert write(imported, [request(), perturbed], metrics).column("quality") == [1.0, 0.0]


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (None, "the requests of HELM without their metrics, expected per_instance_stats.json beside"),
        (
            [stats("other", exact_match=1.0)],
            "the instance 'id1' of HELM, which .*per_instance_stats.json does not have",
        ),
        ([stats(logprob=-3.0)], "the metrics logprob of HELM, expected one of"),
    ],
)
def test_what_is_missing_is_named(imported, metrics, message):
    with pytest.raises(TableError, match=message):
        write(imported, [request()], metrics)


def test_damaged_metrics_are_named(imported):
    files = {"scenario_state.json": {"request_states": [request()]}, "per_instance_stats.json": "[{"}
    with pytest.raises(TableError, match="broken JSON|beside this one, which cannot be read"):
        imported(files)
