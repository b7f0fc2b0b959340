"""LLMRouterBench: files of the benchmark's tree, with the names in the file or in its folders."""

import pytest

from router_model.errors import TableError

RECORD = {"index": 1, "origin_query": "Hi", "prompt": "Q: Hi", "prediction": "x", "score": 1.0, "prompt_tokens": 5}
RUN = {"performance": 1.0, "counts": 1, "records": [RECORD]}


@pytest.mark.parametrize(
    ("path", "names", "model", "task"),
    [
        ("bench/aime/test/some-model/20250301_100000.json", {}, "some-model", "aime"),
        ("bench/aime/test/some-model/aime-test-some-model-20250301_100000.json", {}, "some-model", "aime"),
        ("bench/aime/test/some-model/result.json", {}, "some-model", "aime"),
        ("bench/aime/test/some-model/result.json", {"model_name": "m", "dataset_name": "d"}, "m", "d"),
        ("any.json", {"model_name": "m", "dataset_name": "d"}, "m", "d"),
    ],
)
def test_model_and_task_stand_in_the_file_or_in_its_folders(imported, path, names, model, task):
    (row,) = imported({path: RUN | names}).rows
    assert (row["model"], row["task"], row["prompt"]) == (model, task, "Hi")


def test_demo_runs_are_skipped(imported):
    files = {"a.json": RUN | {"model_name": "m", "demo": True}, "b.json": RUN | {"model_name": "m", "demo": False}}
    assert imported(files).skipped == {"records of demo runs": 1}


def test_file_that_names_no_model_is_refused(imported):
    with pytest.raises(TableError, match="or a file in the folders dataset/split/model"):
        imported({"aime/test/m/notes.json": RUN})
