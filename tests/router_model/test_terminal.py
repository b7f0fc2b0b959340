"""What a terminal of 80 columns shows: progress on standard error, tables that fit, ids that are whole."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest
from command_line import run_command
from rich.console import Console
from rich.table import Table

from router_model.progress import note, working
from router_model.terminal import print_table

ANSI = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def on_a_terminal(*arguments, columns=80):
    """Run a command with a terminal as its standard output and error; return all that it wrote, and its status."""
    near, far = pty.openpty()
    fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color"}
    environment.pop("COLUMNS", None)
    with subprocess.Popen(
        [sys.executable, "-m", "router_model", *map(str, arguments)], stdin=far, stdout=far, stderr=far, env=environment
    ) as process:
        os.close(far)
        written = b""
        while True:
            try:
                part = os.read(near, 65536)
            except OSError:  # Linux's way to say that the other side is closed
                break
            if not part:
                break
            written += part
    os.close(near)
    return written.decode().replace("\r\n", "\n"), process.returncode


def test_evaluate_shows_progress_and_a_table_of_80_columns(trained, table):
    shown, status = on_a_terminal("evaluate", trained.path, table)
    assert status == 0, shown
    progress, _, result = ANSI.sub("", shown).rpartition("\r")
    assert "reading the router and the table" in progress
    assert "deciding, and measuring" in progress
    lines = result.splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("large *") for line in lines)


def test_a_pipe_sees_no_progress(trained, table):
    done = run_command("evaluate", trained.path, table, "--json")
    assert done.stderr == ""
    assert json.loads(done.stdout)["n_prompts"] > 0


@pytest.mark.parametrize("width", [32, 50, 80])
def test_ids_stay_whole_at_every_width(width, capsys):
    name = "openrouter/meta-llama/llama-3.1-8b-instruct:free"
    table = Table("model", "quality", "$ per 1k", "saves", box=None, pad_edge=False)
    table.add_row(name, "0.793", "0.0286", "72 x cost")
    table.add_row("small", "0.5", "0.01", "")
    print_table(Console(width=width), table)
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith(name) for line in lines)
    figures = next(line for line in lines if "0.793" in line)
    assert figures.split()[-5:] == ["0.793", "0.0286", "72", "x", "cost"]


def test_a_note_goes_above_the_line_of_progress(capsys):
    with working("counting", total=2) as work:
        note("2 records were left out")
        work.advance()
    assert capsys.readouterr().err == "2 records were left out\n"
