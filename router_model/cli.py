"""The command `router-model`: it finds a sub-command by its name, runs it, and prints expected errors in one line.

Each sub-command lives in the package that does its work, and is imported only when it is called. So deciding never
loads the libraries that training needs, and ``--help`` loads none of them.
"""

import importlib
import sys
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

import click
from rich.console import Console
from rich.markup import escape

from router_model.errors import RouterModelError
from router_model.features import FeatureError
from router_model.interrupts import what_was_saved

if TYPE_CHECKING:
    # COMMANDS names these modules in text. Here type checkers and import-linter see them, so that a name that is wrong
    # and a way that runs uphill are found. A test holds this list against the table.
    from router_model.commands import (  # noqa: F401
        canary,
        collect,
        drift,
        grade,
        inspect,
        label,
        loop,
        ope,
        place,
        promote,
        remove_model,
        report,
        retrain,
        route,
        savings,
        simulate,
        start,
    )
    from router_model.serving.commands import keys, log, serve  # noqa: F401
    from router_model.training.commands import (  # noqa: F401
        add_model,
        benchmark,
        certify,
        compare,
        evaluate,
        import_table,
        train,
    )

COMMANDS: Final = {
    "start": ("router_model.commands.start", "Make a router from a catalog alone, before there are any outcomes."),
    "import": ("router_model.training.commands.import_table", "Turn evaluations or logs into an outcome table."),
    "collect": ("router_model.commands.collect", "Ask models prompts on a budget; write a table of their answers."),
    "grade": ("router_model.commands.grade", "Grade answers by rules, your own function or a judging model."),
    "label": ("router_model.commands.label", "Collect and grade answers to a sample of a decision log."),
    "train": ("router_model.training.commands.train", "Train a router on an outcome table."),
    "retrain": ("router_model.commands.retrain", "Train a router again, with what its service has logged."),
    "evaluate": ("router_model.training.commands.evaluate", "What a router would have cost and achieved on a table."),
    "compare": ("router_model.training.commands.compare", "Compare two routers on the same prompts of a table."),
    "report": ("router_model.commands.report", "Write a page on what a router is worth, for people who decide."),
    "ope": ("router_model.commands.ope", "Estimate from a decision log what another router would have brought."),
    "savings": ("router_model.commands.savings", "What a log's calls cost, and what each model alone would have cost."),
    "benchmark": ("router_model.training.commands.benchmark", "Measure routing methods side by side on a table."),
    "certify": ("router_model.training.commands.certify", "Certify success rates of a router on prompts it never saw."),
    "add-model": (
        "router_model.training.commands.add_model",
        "Add a model from 50 to 300 graded prompts, without retraining.",
    ),
    "remove-model": ("router_model.commands.remove_model", "Take a model out of a router, without retraining."),
    "promote": ("router_model.commands.promote", "Publish a router if it is better than the one served."),
    "challenge": ("router_model.commands.place", "Try a router beside the one that is served."),
    "canary": ("router_model.commands.canary", "Say whether a canary goes on; stop it if it is shown to be worse."),
    "loop": ("router_model.commands.loop", "Retrain on the log and publish what is better, once or on a schedule."),
    "rollback": ("router_model.commands.place", "Serve the router again that was served before a promotion."),
    "route": ("router_model.commands.route", "Decide which model to call for a prompt."),
    "simulate": ("router_model.commands.simulate", "Replay a table as production traffic into a decision log."),
    "log": ("router_model.serving.commands.log", "Export, delete from or look into the decision log of a service."),
    "drift": ("router_model.commands.drift", "Find out from a decision log what has changed since training."),
    "inspect": ("router_model.commands.inspect", "Show what is in a trained router."),
    "serve": ("router_model.serving.commands.serve", "Answer over HTTP which model to call, or forward the call."),
    "keys": ("router_model.serving.commands.keys", "Make, list and revoke the keys of the service."),
}
"""Sub-command -> (module with a click command named `command` or as typed, its help), in the order of ``--help``."""

EXIT_USAGE: Final = 2
EXIT_INTERRUPTED: Final = 130


class LazyGroup(click.Group):
    """A group that imports a sub-command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order people need them."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one sub-command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name][0])
        # A module of several commands names each as it is typed.
        command: click.Command = vars(module).get("command") or vars(module)[cmd_name]
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a sub-command by name; if it does not exist, propose the one with the nearest name."""
        near = get_close_matches(args[0].lower(), COMMANDS, n=1)
        if args[0] not in COMMANDS and near and not args[0].startswith("-"):
            ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the sub-commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="router-model", prog_name="router-model")
def group() -> None:
    """Learn which language model is the cheapest one good enough for a prompt, and decide by it."""


def main() -> None:
    """Run the command; an expected error prints one line on standard error and exits with status 2."""
    try:
        status = group.main(standalone_mode=False)
    except click.ClickException as exc:
        exc.show()
        sys.exit(exc.exit_code)
    except (click.Abort, KeyboardInterrupt) as exc:
        click.echo(f"interrupted; {what_was_saved(exc)}", err=True)
        sys.exit(EXIT_INTERRUPTED)
    except (RouterModelError, FeatureError, ImportError) as exc:
        Console(stderr=True, soft_wrap=True).print(f"[bold red]error:[/] {escape(str(exc))}", highlight=False)
        sys.exit(EXIT_USAGE)
    except BrokenPipeError:
        # the program that reads our output (head, less) has ended; this is not an error
        sys.stderr.close()
        sys.exit(0)
    sys.exit(status if isinstance(status, int) else 0)
