import io
import json
import sys

import pytest

from router_model.commands.prompt_input import parse_input, read_prompt
from router_model.features import PromptError

MESSAGES = [{"role": "user", "content": "moon verse {x}"}]
BODY = {"model": "auto", "temperature": 0.2, "messages": MESSAGES}


@pytest.mark.parametrize("text", [json.dumps(BODY), json.dumps(BODY, indent=2), f"\n {json.dumps(MESSAGES)} \n"])
def test_bodies_and_lists_of_messages_are_parsed(text):
    assert parse_input(text) in (BODY, MESSAGES)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{"messages": [{"role": "user"', "Expecting ',' delimiter at line 1, column 30"),
        (json.dumps(BODY)[:-1], "Expecting ',' delimiter"),
        (json.dumps(BODY, indent=2)[:-4], "line 9, column 2"),
        ('{"temperature": 0, "messages": [', "Expecting value"),
        ('{"temperature": 0, "messages"', "Expecting ':' delimiter"),
        ('{"model": "auto", "mess', "Unterminated string"),
        (' [ {"role": "user", "content": "a\nb"}]', "Invalid control character at"),
        ('[{"content": "moon', "Unterminated string"),
        (json.dumps(BODY) + "\n" + json.dumps(BODY), "Extra data at line 2, column 1"),
        ('{"messages": ' + "[" * 200_000, "brackets too deep"),
        ('{"messages": ' + "9" * 5_000 + "}", "numbers too long"),
    ],
)
def test_damaged_bodies_are_refused_with_the_place_and_the_way_out(text, where):
    with pytest.raises(PromptError, match="begins like a chat body but is not JSON") as caught:
        parse_input(text)
    assert where in str(caught.value)
    assert str(caught.value).endswith("If it is meant as text, add --text")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "moon verse",
        "{",
        "[",
        r"{\bf x} is bold; what is {\it x}?",
        "{ int i = 0; } what does this block do?",
        "[1, 2, 3].map(x => x * 2) gives?",
        "[{] balance these brackets",
        '{"name": "moon", "age": 3, mend this JSON',
        '{"a": 1} and {"b": 2}: which is valid?',
        "{{ messages }} is a template of what?",
        "[role] and {model} are placeholders",
        'Mend this: {"messages": [{"role"',
        '{"a": 1}',
        "[" * 200_000,
    ],
)
def test_text_that_merely_begins_with_a_bracket_stays_text(text):
    assert parse_input(text) == text


@pytest.mark.parametrize(("plain", "expected"), [(False, MESSAGES), (True, json.dumps(MESSAGES))])
def test_standard_input_may_be_text_on_purpose(monkeypatch, plain, expected):
    """The byte order mark that some editors begin a file with is no part of it."""
    raw = io.BytesIO(b"\xef\xbb\xbf" + json.dumps(MESSAGES).encode())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(raw))
    assert read_prompt("-", plain=plain) == expected


def test_an_argument_is_text_as_it_stands():
    assert read_prompt('{"messages": [') == '{"messages": ['
