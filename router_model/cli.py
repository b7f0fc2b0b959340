"""The command `router-model`: it finds a sub-command by its name, runs it, and prints expected errors in one line.

Each sub-command lives in the package that does its work, and is imported only when it is called. So deciding never
loads the libraries that training needs, and ``--help`` loads none of them.
"""

import importlib
import sys
from typing import TYPE_CHECKING, Final

import click
from click.shell_completion import CompletionItem

from router_model.errors import RouterModelError
from router_model.help_pages import Group
from router_model.interrupts import what_was_saved
from router_model.terminal import plain_console

if TYPE_CHECKING:
    # COMMANDS names these modules in text. Here type checkers and import-linter see them, so that a name that is wrong
    # and a way that runs uphill are found. A test holds this list against the table.
    from router_model.commands import (  # noqa: F401
        canary,
        collect,
        completion,
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
    from router_model.serving.commands import doctor, keys, log, serve, spend  # noqa: F401
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
    "import": ("router_model.training.commands.import_table", "Turn evaluations or logs into an outcome table."),
    "collect": ("router_model.commands.collect", "Ask models your prompts, on a budget."),
    "label": ("router_model.commands.label", "Ask models, and grade, a sample of a log's prompts."),
    "grade": ("router_model.commands.grade", "Grade answers by rules, a function or a judging model."),
    "train": ("router_model.training.commands.train", "Train a router on an outcome table."),
    "start": ("router_model.commands.start", "Make a router from a catalog alone, without outcomes."),
    "add-model": ("router_model.training.commands.add_model", "Add a model to a router, without retraining."),
    "remove-model": ("router_model.commands.remove_model", "Take a model out of a router, without retraining."),
    "evaluate": ("router_model.training.commands.evaluate", "What a router would have cost and achieved on a table."),
    "compare": ("router_model.training.commands.compare", "Compare two routers on the same prompts."),
    "report": ("router_model.commands.report", "Write a page on what a router is worth, for a boss."),
    "certify": ("router_model.training.commands.certify", "Certify success rates on prompts it never saw."),
    "inspect": ("router_model.commands.inspect", "Show what is in a trained router."),
    "simulate": ("router_model.commands.simulate", "Replay a table as production traffic."),
    "benchmark": ("router_model.training.commands.benchmark", "Measure routing methods side by side on a table."),
    "route": ("router_model.commands.route", "Decide which model to call for a prompt."),
    "serve": ("router_model.serving.commands.serve", "Answer over HTTP which model to call, or call it."),
    "doctor": ("router_model.serving.commands.doctor", "Examine a service's set-up, and say what to do."),
    "keys": ("router_model.serving.commands.keys", "Make, list and revoke the keys of the service."),
    "log": ("router_model.serving.commands.log", "Export, delete from or look into its decision log."),
    "spend": ("router_model.serving.commands.spend", "What calls cost by key, model, provider or day."),
    "savings": ("router_model.commands.savings", "What the calls cost, and each model alone would have."),
    "drift": ("router_model.commands.drift", "Find out what has changed since training."),
    "retrain": ("router_model.commands.retrain", "Train the router again, with what was logged."),
    "ope": ("router_model.commands.ope", "What another router would have brought on a log."),
    "promote": ("router_model.commands.promote", "Publish a router if it is better than the one served."),
    "challenge": ("router_model.commands.place", "Try a router beside the one that is served."),
    "canary": ("router_model.commands.canary", "Say whether a canary goes on; stop a bad one."),
    "rollback": ("router_model.commands.place", "Serve the former router again."),
    "loop": ("router_model.commands.loop", "Retrain and publish what is better, on a schedule."),
    "completion": ("router_model.commands.completion", "Let a shell complete commands and options."),
}
"""Sub-command -> (module with a click command named `command` or as typed, its help), from data to operation."""

STEPS: Final = {
    "import": "Get data",
    "grade": "Grade it",
    "train": "Train",
    "evaluate": "Prove",
    "route": "Serve",
    "log": "Operate",
    "completion": "Shell",
}
"""The first command of each step on this way -> what the step is called. The others follow in `COMMANDS`."""

_PATH = """
router-model import log.csv --out outcomes.parquet          # or collect
router-model train outcomes.parquet --out my-router
router-model evaluate my-router unseen.parquet
router-model serve my-router --insecure --providers providers.toml
"""

EXIT_USAGE: Final = 2
EXIT_INTERRUPTED: Final = 130


class LazyGroup(Group):
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

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the sub-commands by the step that they belong to, without importing them."""
        del ctx
        steps: dict[str, list[tuple[str, str]]] = {}
        step, left = "Commands", max(map(len, COMMANDS))
        for name, (_, text) in COMMANDS.items():
            step = STEPS.get(name, step)
            steps.setdefault(step, []).append((name.ljust(left), text))
        for step, rows in steps.items():
            with formatter.section(step):
                formatter.write_dl(rows)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete a sub-command's name, without importing all of them at every press of a key."""
        names = [CompletionItem(name, help=text) for name, (_, text) in COMMANDS.items() if name.startswith(incomplete)]
        return names or click.Command.shell_complete(self, ctx, incomplete)


@click.group(cls=LazyGroup, examples=_PATH, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="router-model", prog_name="router-model")
def group() -> None:
    """Learn which language model is the cheapest one good enough for a prompt.

    The commands stand in the order in which they are needed. 'router-model
    COMMAND --help' explains one.
    """


def _expected_errors() -> tuple[type[Exception], ...]:
    """Return what ends in one line; the package of `FeatureError` is large, and is imported after an error only."""
    from router_model.features import FeatureError  # noqa: PLC0415

    return (RouterModelError, FeatureError, ImportError)


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
    except _expected_errors() as exc:
        from rich.markup import escape  # noqa: PLC0415

        plain_console(stderr=True, soft_wrap=True).print(f"[bold red]error:[/] {escape(str(exc))}")
        sys.exit(EXIT_USAGE)
    except BrokenPipeError:
        # the program that reads our output (head, less) has ended; this is not an error
        sys.stderr.close()
        sys.exit(0)
    sys.exit(status if isinstance(status, int) else 0)
