"""The options of ``--by judge``, and the judge that they describe."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from router_model.errors import RequestError
from router_model.serving.common.extra import needing_serve

if TYPE_CHECKING:
    from router_model.commands.judge import Judge


@dataclass(frozen=True, slots=True)
class JudgeOptions:
    """What the options say about the judging model.

    Attributes
    ----------
    judge : str or None
        The model.
    providers, catalog, rubric : Path or None
    budget_usd : float or None
    judge_kind : {"score", "pairwise"}
    both_orders : float
    judge_max_tokens, concurrency, seed : int
    """

    judge: str | None
    providers: Path | None
    catalog: Path | None
    rubric: Path | None
    budget_usd: float | None
    judge_kind: Literal["score", "pairwise"]
    both_orders: float
    judge_max_tokens: int
    concurrency: int
    seed: int

    @contextmanager
    def opened(self, journal: Path) -> Iterator["Judge"]:
        """Give the judge, whose paid calls are kept in `journal`.

        Raises
        ------
        RequestError
            If an option is missing, or no provider serves the model.
        JournalError
            If the journal cannot be used.
        """
        model, providers, budget_usd = self.judge, self.providers, self.budget_usd
        if model is None or providers is None or budget_usd is None:
            given = {"--judge MODEL": model, "--providers FILE": providers, "--budget-usd USD": budget_usd}
            missing = ", ".join(name for name, value in given.items() if value is None)
            raise RequestError(f"--by judge needs {missing}")
        with needing_serve("'--by judge'"):
            from router_model.commands.judge import Judge
            from router_model.serving.access.key_budget import nanos
            from router_model.serving.paid_calls.journal import Journal
            from router_model.serving.providers.fleet import Fleet
        from router_model.catalog import Catalog
        from router_model.training.grading.judging import JudgePrompt
        from router_model.training.table.prices import complete_catalog

        own = None if self.catalog is None else Catalog.load(self.catalog)
        cards = dict(complete_catalog(own, [model]).cards)
        with Journal(journal, nanos(Decimal(str(budget_usd)))) as kept:
            yield Judge(
                model,
                JudgePrompt.of_file(self.judge_kind, self.rubric),
                lambda: Fleet(providers, lambda: cards),
                kept,
                max_tokens=self.judge_max_tokens,
                both_orders=self.both_orders,
                seed=self.seed,
                per_provider=self.concurrency,
            )


_PATH = click.Path(path_type=Path)
_OPTIONS = (
    click.option("--judge", metavar="MODEL", help="The judging model, for --by judge."),
    click.option(
        "--providers", type=_PATH, envvar="ROUTER_PROVIDERS",
        help="Who serves models, as for 'serve' (docs/providers.md) [ROUTER_PROVIDERS].",
    ),
    click.option("--budget-usd", type=click.FloatRange(min=0, min_open=True),
                 help="The most to spend on models, earlier runs into the same table included."),
    click.option("--catalog", type=_PATH, help="Prices (TOML) [a public price list]."),
    click.option("--rubric", type=_PATH, help="What makes an answer good, in words [a general rubric]."),
    click.option("--judge-kind", type=click.Choice(["score", "pairwise"]), default="score", show_default=True,
                 help="Score each answer, or compare it with the reference."),
    click.option("--both-orders", type=click.FloatRange(0, 1), default=0.2, show_default=True, metavar="SHARE",
                 help="Pairwise: share of the answers that are compared in both orders."),
    click.option("--judge-max-tokens", type=click.IntRange(min=16), default=2048, show_default=True,
                 help="Limit of one verdict with its reasons; judges that think need more."),
    click.option("--concurrency", type=click.IntRange(1, 1000), default=8, show_default=True,
                 help="Calls at a time that a provider gets."),
    click.option("--seed", type=int, default=0, show_default=True, help="Of what is drawn at random."),
)  # fmt: skip


def judge_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a judge; they arrive as one argument, `judge`."""

    @wraps(function)  # the options that the function has already, too
    def with_judge(*args: Any, **options: Any) -> Any:
        of_judge = {name: options.pop(name) for name in JudgeOptions.__dataclass_fields__}
        return function(*args, judge=JudgeOptions(**of_judge), **options)

    command: Callable[..., Any] = with_judge
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
