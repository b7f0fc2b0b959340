"""Help pages as people see them: 80 columns, examples that can be typed, headings, near names, completion."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from command_line import run_command

from router_model.cli import COMMANDS, STEPS, group

ROOT = click.Context(group, info_name="router-model", **group.context_settings)


def all_commands():
    """Yield the words that name each command, and the command."""
    yield (), group
    for name in COMMANDS:
        command = group.get_command(ROOT, name)
        yield (name,), command
        for sub in getattr(command, "commands", {}):
            yield (name, sub), command.commands[sub]


ALL = {" ".join(words): command for words, command in all_commands()}


def typed(examples):
    """Return the argument lists of example lines, without what belongs to the shell."""
    lines = examples.replace("\\\n", " ").splitlines()
    return [
        shlex.split(line.partition(" < ")[0].partition(" > ")[0].partition(" >> ")[0], comments=True) for line in lines
    ]


@pytest.mark.parametrize("name", ALL)
def test_help_fits_and_shows_an_example_that_parses(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = run_command(*name.split(), "--help").stdout
    assert max(map(len, shown.splitlines())) <= 80
    assert "..." not in shown.partition("\nCommands:\n")[2]  # a short help that is cut
    assert "\nExamples:\n  " in shown
    lists = [words for words in typed(ALL[name].examples) if words]
    assert any(words[: 1 + len(name.split())] == ["router-model", *name.split()] for words in lists)
    for words in lists:
        assert words[0] == "router-model"
        context, command, rest = ROOT, group, words[1:]
        while isinstance(command, click.Group):
            command = command.get_command(context, rest[0])
            context, rest = click.Context(command, info_name=rest[0], parent=context), rest[1:]
        command.make_context(command.name, rest, parent=ROOT)  # fails for an unknown option, and for a refused value


@pytest.mark.parametrize("name", [name for name in ALL if len(ALL[name].params) > 9])
def test_long_help_has_headings_in_the_order_of_its_options(name):
    """Every heading names an option that is there, so that none of them disappears when an option is renamed."""
    command = ALL[name]
    options = [option for param in command.params for option in param.opts]
    starts = list(command.sections.values())
    assert len(starts) >= 2
    assert starts == sorted(starts, key=options.index)
    shown = run_command(*name.split(), "--help").stdout
    assert all(f"\n{heading}:\n" in shown for heading in command.sections)
    assert all(shown.count(f"  {option}") for option in options if option.startswith("--"))


def test_the_way_from_data_to_serving_is_shown_in_steps():
    shown = run_command("--help").stdout
    places = [shown.index(f"\n{step}:\n") for step in STEPS.values()]
    assert places == sorted(places)
    assert shown.index("Train:") < shown.index("  retrain") > shown.index("Operate:")


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (["trian"], "'train'"),
        (["SERVE"], "'serve'"),
        (["keys", "revoek"], "'revoke'"),
        (["serve", "r", "--provider", "p"], "'--providers'"),
        (["train", "t", "--out", "r", "--catalgo", "c"], "'--catalog'"),
    ],
)
def test_mistyped_names_are_answered_with_the_nearest(words, near):
    done = run_command(*words)
    assert done.returncode == 2
    assert "Did you mean " in done.stderr
    assert near in done.stderr.partition("Did you mean ")[2]


def test_a_name_like_no_other_is_not_guessed():
    assert "Did you mean" not in run_command("xyz").stderr
    assert "Did you mean" not in run_command("inspect", "r", "--qqqq").stderr


COMPLETIONS = {
    "router-model ro": "route rollback",
    "router-model evaluate r t --q": "--quality-bar --quality-value-usd",
    "router-model keys r": "revoke rotate",
}
SCRIPT = """
eval "$(router-model completion bash)"
while read -r line; do
    COMPREPLY=() COMP_WORDS=($line)
    COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
    _router_model_completion router-model </dev/null
    echo "${COMPREPLY[@]}"
done
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not here")
def test_bash_completes_commands_and_options():
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--norc", "-c", SCRIPT],
        env={**os.environ, "PATH": path}, input="\n".join([*COMPLETIONS, ""]),
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.splitlines() == list(COMPLETIONS.values()), done.stderr


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_a_script_that_asks_the_command(shell):
    assert f"_ROUTER_MODEL_COMPLETE={shell}_complete" in run_command("completion", shell).stdout
