"""The reasons why a source cannot be imported as it is, and the command that would import it.

A `Finding` concerns a whole source: its columns have other names, its qualities have another scale, or too many of its
rows are rejected for one reason. All findings of an import are reported in one message, with one command that fixes
all of them.
"""

import re
import shlex
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

Arguments = tuple[tuple[str, str], ...]
"""Options of the command with their values, in order."""

_REPEATABLE: Final = ("--column", "--values")
_BY_SOURCE: Final = ("--scale", "--dates", "--decimal")
"""Options that would also change how sources without a finding are read."""

_MAX_TOLD: Final = 5
_WIDTH: Final = 80
_SOME_TABLE: Final = "outcomes.parquet"
"""The table in the proposed command if the user named none."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One reason why a source cannot be imported as it is.

    Attributes
    ----------
    seen : str
        The observation: what was got, and what was expected.
    add : tuple of (str, str)
        Options with which the source can be read; empty if only the source itself can be changed.
    otherwise : str
        What to type instead, if the options are not what the user means.
    drop : tuple of (str, str)
        Given options that the added ones replace.
    """

    seen: str
    add: Arguments = ()
    otherwise: str = ""
    drop: Arguments = ()


class Call(NamedTuple):
    """The user's call of the command, or the equivalent call of the Python function.

    Attributes
    ----------
    sources : sequence of str
    out : str
        Empty if no table was named.
    given : tuple of (str, str)
        Options.
    for_prompts : bool
        Whether another command reads the prompts alone; it knows the option --column.
    """

    sources: Sequence[str]
    out: str
    given: Arguments
    for_prompts: bool = False


def message(found: Mapping[Path, Sequence[Finding]], all_paths: Sequence[Path], call: Call) -> str:
    """Return the whole message.

    Parameters
    ----------
    found : mapping of path to findings
        Findings by file, none of them empty.
    all_paths : sequence of paths
        The files of the import.
    call : Call
    """
    lines = [line for path, findings in list(found.items())[:_MAX_TOLD] for line in _told(path, findings)]
    if len(found) > _MAX_TOLD:
        lines.append(f"and {len(found) - _MAX_TOLD} more files like these")
    commands = _commands(found, all_paths, call)
    added = dict.fromkeys(pair for findings in found.values() for finding in findings for pair in finding.add)
    if added and call.for_prompts and all(name == "--column" for name, _ in added):
        lines += ["Add to the command:", f"  {shlex.join(word for pair in added for word in pair)}"]
    elif commands:
        lines += ["To import it like this, type:", *(f"  {command}" for command in commands)]
        lines.append("Add --preview to see three rows first; nothing is written then.")
    notes = dict.fromkeys(finding.otherwise for findings in found.values() for finding in findings if finding.otherwise)
    return "\n".join([*lines, *(line for note in notes for line in _wrapped(note))])


def _wrapped(note: str) -> list[str]:
    """Break a note into lines; an option stays on one line with its value."""
    joined = re.sub(r"(--[\w-]+) (?=\S)", "\\1\0", note)
    lines = textwrap.wrap(joined, _WIDTH, break_long_words=False, break_on_hyphens=False)
    return [line.replace("\0", " ") for line in lines]


def _told(path: Path, findings: Sequence[Finding]) -> Iterable[str]:
    if len(findings) == 1:
        yield f"{path}: {findings[0].seen}"
        return
    yield f"{path}: nothing was imported, for {len(findings)} reasons"
    yield from (f"  {finding.seen}" for finding in findings)


def _commands(found: Mapping[Path, Sequence[Finding]], all_paths: Sequence[Path], call: Call) -> list[str]:
    """Return one command, or one for each way of reading and one more that joins their tables."""
    if not any(finding.add for findings in found.values() for finding in findings):
        return []
    dropped = {pair for findings in found.values() for finding in findings for pair in finding.drop}
    given = tuple(pair for pair in call.given if pair not in dropped)
    added = {path: [pair for finding in found.get(path, ()) for pair in finding.add] for path in all_paths}
    shared = tuple(dict.fromkeys(pair for pairs in added.values() for pair in pairs if pair[0] not in _BY_SOURCE))
    groups: dict[Arguments, list[str]] = {}
    for path, pairs in added.items():
        groups.setdefault(tuple(pair for pair in pairs if pair[0] in _BY_SOURCE), []).append(str(path))
    if len(groups) == 1:
        return [command_line(call.sources, call.out or _SOME_TABLE, merged(given, shared + next(iter(groups))))]
    out = Path(call.out or _SOME_TABLE)
    parts = [str(out.with_suffix(f".part{number}.parquet")) for number in range(1, len(groups) + 1)]
    each = [
        command_line(files, part, merged(given, shared + by_source))
        for (by_source, files), part in zip(groups.items(), parts, strict=True)
    ]
    return [*each, command_line(parts, str(out), ())]


def merged(given: Arguments, added: Arguments) -> Arguments:
    """Add options to the given ones; an added option replaces the given one unless it may be repeated.

    >>> merged((("--scale", "1:5"), ("--column", "quality=a")), (("--scale", "5:1"), ("--column", "model=b")))
    (('--column', 'quality=a'), ('--scale', '5:1'), ('--column', 'model=b'))
    """
    replaced = {name for name, _ in added if name not in _REPEATABLE}
    return tuple(pair for pair in given if pair[0] not in replaced and pair not in added) + added


def command_line(sources: Sequence[str], out: str, arguments: Arguments) -> str:
    """Return a command line for a shell, with quotes where necessary.

    >>> command_line(["my log.csv"], "o.parquet", (("--scale", "1:5"),))
    "router-model import 'my log.csv' --scale 1:5 --out o.parquet"
    """
    options = [word for pair in arguments for word in pair]
    return shlex.join(["router-model", "import", *sources, *options, "--out", out])
