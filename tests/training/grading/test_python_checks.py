"""The grader `python`: a function of the user's own in a process with limits."""

import pytest

from router_model.errors import RequestError
from router_model.training.grading.answers import Answer
from router_model.training.grading.graders import read_by

CHECKS = """
import os, socket, sys, time

def grade(answer, reference, row):
    print("what is printed is no answer")
    if answer == "slow": time.sleep(60)
    if answer == "exit": os._exit(3)
    if answer == "raise": raise ValueError("no such thing: 7")
    if answer == "memory": return len(bytearray(4 * 10**9)) > 0
    if answer == "network": socket.create_connection(("127.0.0.1", 9), timeout=1)
    if answer == "environment": return "SECRET_OF_THE_TEST" not in os.environ
    if answer == "none": return None
    if answer == "two": return 2
    if answer == "row": return row["task"] == "math" and row["tool_calls"] == [1]
    return answer == reference

def half(answer, reference, row):
    return 0.5
"""


@pytest.fixture(scope="module")
def checks(tmp_path_factory):
    path = tmp_path_factory.mktemp("checks") / "checks.py"
    path.write_text(CHECKS)
    return path


def test_each_way_to_fail_is_that_row_alone(checks, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_TEST", "1")
    expected = {
        "yes": 1.0,
        "no": 0.0,
        "slow": "the function took more than 0.5 s",
        "environment": 1.0,
        "exit": "the function's process ended (status 3)",
        "raise": "the function raised ValueError: no such thing: 7",
        "memory": "the function raised MemoryError",
        "none": "the function returned None",
        "two": "the function returned something else than True",
        "row": 1.0,
        "after all": 1.0,
    }
    said = [Answer(text, [1], {"no": "yes"}.get(text, text), {"task": "math"}) for text in expected]
    grades = read_by([f"python:{checks},timeout=0.5,memory=1024"], judge=None)["*"].grade(said)
    found = {
        text: grade.reason[: len(str(expected[text]))] if grade.quality is None else grade.quality
        for text, grade in zip(expected, grades, strict=True)
    }
    assert found == expected


def test_the_function_has_no_network(checks):
    (grade,) = read_by([f"python:{checks}"], judge=None)["*"].grade([Answer("network")])
    assert grade.quality is None
    assert "PermissionError" in grade.reason or "unreachable" in grade.reason


def test_errors_can_count_as_wrong_and_another_function_can_be_named(checks):
    wrong = read_by([f"python:{checks},errors=0"], judge=None)["*"].grade([Answer("raise"), Answer("exit")])
    assert [grade.quality for grade in wrong] == [0.0, 0.0]
    (half,) = read_by([f"python:{checks}:half"], judge=None)["*"].grade([Answer("x")])
    assert half.quality == 0.5


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("def other(): ...", "module 'bad' has no attribute 'grade'"),
        ("import no_such_module_here", "No module named 'no_such_module_here'"),
        ("def grade(:", "SyntaxError"),
        ("raise SystemExit", "SystemExit"),
    ],
)
def test_a_file_that_cannot_be_used_stops_the_run(content, message, tmp_path):
    (tmp_path / "bad.py").write_text(content)
    with pytest.raises(RequestError, match=message):
        read_by([f"python:{tmp_path / 'bad.py'}"], judge=None)["*"].grade([Answer("x")])
