"""The command ``router-model completion``: print what lets a shell complete our commands and options."""

import click
from click.shell_completion import get_completion_class

from router_model.help_pages import Command

_SHELLS = ("bash", "zsh", "fish")


@click.command(
    "completion",
    cls=Command,
    examples="""
    # bash: once, and open a new shell then
    router-model completion bash >> ~/.bashrc
    # zsh and fish
    router-model completion zsh >> ~/.zshrc
    router-model completion fish > ~/.config/fish/completions/router-model.fish
    """,
)
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print a script that lets SHELL complete commands, options and files."""
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"click has no completion for {shell}; expected one of {', '.join(_SHELLS)}")
    # The script calls the program by this name, and the variable asks it for completions instead of a run.
    made = found(ctx.find_root().command, {}, "router-model", "_ROUTER_MODEL_COMPLETE")
    click.echo(made.source())
