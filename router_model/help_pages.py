"""Help pages of the command: examples first, options under headings, and "did you mean" for mistyped names.

Click writes one list of options. A list of sixty is hard to read, so a command says at which option a heading stands::

    @click.command("train", cls=Command, examples="router-model train t.parquet --out r", sections={"Result": "--out"})

An option belongs to the last heading above it. So a new option is declared where it belongs, and nothing else changes.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from textwrap import dedent, indent
from typing import Any

import click

_WIDEST = 30  # click's limit for the left column
_FEW = 8  # commands that an error names


class Command(click.Command):
    """A command with examples and headings.

    Parameters
    ----------
    examples : str
        Command lines; a line that ends with a backslash goes on in the next one. A line that begins with ``#`` says
        what the next one is for.
    sections : mapping of str to str
        Heading -> the first option under it. Options above the first heading stand under "Options".
    """

    def __init__(
        self, *args: Any, examples: str = "", sections: Mapping[str, str] | None = None, **others: Any
    ) -> None:
        super().__init__(*args, **others)
        self.examples = dedent(examples).strip()
        self.sections = dict(sections or {})

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples below the text."""
        super().format_help_text(ctx, formatter)
        write_examples(self.examples, formatter)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under their headings, in one left column for all of them."""
        found = self._under_headings(ctx)
        left = min(_WIDEST, max(len(name) for rows in found.values() for name, _ in rows))
        for heading, rows in found.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(left), text) for name, text in rows])

    def _under_headings(self, ctx: click.Context) -> dict[str, list[tuple[str, str]]]:
        """Return heading -> what is written of each option; an empty heading is left out."""
        at = {option: heading for heading, option in self.sections.items()}
        found: dict[str, list[tuple[str, str]]] = {}
        heading = "Options"
        for param in self.get_params(ctx):
            heading = next((at[name] for name in param.opts if name in at), heading)
            record = None if isinstance(param, click.Argument) else param.get_help_record(ctx)
            if record is not None:
                found.setdefault(heading, []).append(record)
        return found


class Group(click.Group):
    """A group whose commands are `Command`, and that proposes the nearest name for one that it does not have."""

    command_class = Command

    def __init__(self, *args: Any, examples: str = "", **others: Any) -> None:
        super().__init__(*args, **others)
        self.examples = dedent(examples).strip()

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples below the text."""
        super().format_help_text(ctx, formatter)
        write_examples(self.examples, formatter)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command by its name."""
        names = self.list_commands(ctx)
        if args[0] not in names and not args[0].startswith("-") and not ctx.resilient_parsing:
            ctx.fail(f"No such command {args[0]!r}.{_did_you_mean(args[0], names)}")
        return super().resolve_command(ctx, args)


def _did_you_mean(typed: str, names: Iterable[str]) -> str:
    near, all_names = get_close_matches(typed.lower(), names, n=1), list(names)
    if near:
        return f" Did you mean {near[0]!r}?"
    return f" Expected one of {', '.join(all_names)}." if len(all_names) <= _FEW else ""


def write_examples(examples: str, formatter: click.HelpFormatter) -> None:
    """Write command lines as they are, for people to copy."""
    if examples:
        with formatter.section("Examples"):
            formatter.write(f"{indent(examples, ' ' * formatter.current_indent)}\n")
