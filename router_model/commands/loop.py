"""The command ``router-model loop``: from the log to a router that is better, once or on a schedule.

Each step is the function of the command that does it alone: ``log export``, ``retrain`` (which quarantines grades that
the others contradict, before it learns), ``ope``, ``promote``. `router_model.commands.resumable` keeps what they wrote.
"""

import json
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from router_model.commands.log_source import LogSource, is_table
from router_model.errors import ArtifactError, RouterModelError, TableError, TrainingError
from router_model.features import FeatureError
from router_model.help_pages import Command
from router_model.serving.commands.log import DEFAULT_SPOOL, moment, router_option
from router_model.wording import percent

if TYPE_CHECKING:
    from router_model.commands.resumable import Run, Runs
    from router_model.features import Encoder
    from router_model.saved.place import Place
    from router_model.training.promotion.promote import Promotion

_PATH: Final = click.Path(path_type=Path)
_UNITS: Final = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_EXIT_REFUSED: Final = 1
_LOG, _ROUTER, _REPORT = "log.parquet", "router", "report.json"  # in the folders of steps


@dataclass(frozen=True, slots=True)
class Plan:
    """What the options say.

    Attributes
    ----------
    log : URL of a decision log, or an exported table
    spool : Path
    since : start of the log's period, as it was typed; None for all of it
    router : the name of the service's router that it is about, whose decisions count; None: all
    place : Place
        Folder of published routers.
    tables : full evaluations to train on, beside the log
    held_out : outcomes for the gate; None if the log has to show it
    catalog : prices and capabilities; None for those of the champion
    encoder : of the routers, if they were trained with one of your own
    publish : ``canary`` or ``promote``
    share : of the sessions, for a canary
    max_quality_loss : float
    accept_moves : as of `retrain`
    registered : the model's name in MLflow's registry; None: nothing is tracked
    """

    log: str
    spool: Path
    since: str | None
    router: str | None
    place: "Place"
    tables: tuple[Path, ...]
    held_out: Path | None
    catalog: Path | None
    encoder: str | None
    publish: str
    share: float
    max_quality_loss: float
    accept_moves: bool
    registered: str | None

    @property
    def own_encoder(self) -> "Encoder | None":
        """The encoder, if it is one of the user's own."""
        from router_model.features import load_encoder

        return None if self.encoder is None else load_encoder(self.encoder)

    def inputs(self, base: str) -> dict[str, Any]:
        """Return what a run depends on beside the calls in the log, as JSON types; files by their hashes."""
        from router_model.serving.common.masking import masked_url
        from router_model.training.files import file_sha256

        def hashes(*paths: Path | None) -> list[str]:
            try:
                return [file_sha256(path) for path in paths if path is not None]
            except OSError as exc:
                raise TableError(f"{exc.filename}: cannot be read ({exc.strerror}); expected a file") from exc

        return {
            "log": self.log if is_table(self.log) else masked_url(self.log),
            "since": self.since,
            "base": base,
            "tables": hashes(*self.tables),
            "held_out": hashes(self.held_out),
            "catalog": hashes(self.catalog),
            "encoder": self.encoder,
            "publish": self.publish,
            "share": self.share,
            "max_quality_loss": self.max_quality_loss,
            "accept_moves": self.accept_moves,
            **({} if self.router is None else {"router": self.router}),
        }


def _interval(context: click.Context, option: click.Parameter, text: str | None) -> timedelta | None:
    del context, option
    if text is None:
        return None
    said = re.fullmatch(r"(\d{1,6})([dhms])", text)
    if said is None or int(said[1]) == 0:
        raise click.BadParameter(f"got {text!r}, expected a time such as 24h, 30m or 7d")
    return timedelta(**{_UNITS[said[2]]: int(said[1])})


def _since(context: click.Context, option: click.Parameter, text: str | None) -> str | None:
    """Check a time, and keep it as it was typed: '30d' means another moment in each run."""
    del context, option
    if text is not None:
        moment(text)
    return text


@click.command(
    "loop",
    cls=Command,
    examples=r"""
    router-model loop --log sqlite:///router-log.db --to routers --state loop \
      --table outcomes.parquet --held-out unseen.parquet --every 24h
    """,
    sections={
        "Which log": "--log",
        "Files": "--to",
        "What a router that passes gets": "--publish",
        "Schedule and record": "--every",
    },
)
@click.option("--log", required=True, envvar="ROUTER_LOG", metavar="URL|TABLE", help="Decision log of the service.")
@click.option(
    "--spool", type=_PATH, default=DEFAULT_SPOOL, envvar="ROUTER_LOG_SPOOL", show_default=True,
    help="Folder of records that are not in the log yet.",
)  # fmt: skip
@click.option("--since", callback=_since, metavar="TIME", help="Learn from decisions since then, e.g. 30d [all].")
@router_option
@click.option("--to", "place", required=True, type=_PATH, help="Folder of published routers, as of 'promote'.")
@click.option("--state", required=True, type=_PATH, help="Folder for the runs of this loop.")
@click.option(
    "--table", "tables", multiple=True, required=True, type=_PATH,
    help="Outcome table with full evaluations to train on, such as the champion's; repeatable.",
)  # fmt: skip
@click.option("--held-out", type=_PATH, help="Outcomes for the gate, which nothing learns from.")
@click.option("--catalog", type=_PATH, help="Prices and capabilities that 'serve' is given [the champion's].")
@click.option("--encoder", help="The encoder, if the champion was trained with your own (hub id or folder).")
@click.option(
    "--publish", type=click.Choice(["canary", "promote"]), default="canary", show_default=True,
    help="What a router that passes gets: a share of the sessions, or all.",
)  # fmt: skip
@click.option(
    "--share", type=click.FloatRange(0, 1, min_open=True), default=0.1, show_default=True, help="Of a canary."
)
@click.option(
    "--max-quality-loss", type=click.FloatRange(0, 1), default=0.01, show_default=True,
    help="Loss of quality that does not matter if it is cheaper.",
)  # fmt: skip
@click.option("--accept-moves", is_flag=True, help="Let the gate decide on moves that the new grades do not support.")
@click.option(
    "--every", callback=_interval, metavar="TIME", help="Start again so long after each start, e.g. 24h [once]."
)
@click.option(
    "--track/--no-track",
    default=None,
    help="Record it in MLflow [if MLFLOW_TRACKING_URI is set, or mlflow.db is here].",
)
@click.option("--registered-model", default="router-model", show_default=True, help="Its name in MLflow's registry.")
@click.option("--json", "as_json", is_flag=True, help="Print what came of it as JSON, one line a run.")
def command(
    *,
    place: Path,
    state: Path,
    every: timedelta | None,
    track: bool | None,
    registered_model: str,
    as_json: bool,
    **given: Any,
) -> int:
    """Train the served router again on its log, and publish it if it is better.

    Exports the log, quarantines contradicted grades, retrains, estimates from
    the log, examines the new router as 'promote' does, and starts a canary (or
    promotes). --state keeps each step: after a kill the same command goes on
    where it was. Nothing is done if a run on this log has ended already, or if
    a challenger is still being tried.

    The exit status is 0 if a router is promoted or its canary has started, 1
    if it was refused, with the reason, and 2 after an error. With --every,
    errors are printed and the next run starts at its time.
    """
    from router_model.commands.resumable import Runs
    from router_model.saved.place import Place
    from router_model.training.tracking import is_configured

    tracked = is_configured() if track is None else track
    plan = Plan(place=Place(place), registered=registered_model if tracked else None, **given)
    while True:
        began = time.monotonic()
        try:
            status = _once(plan, Runs(state), as_json=as_json)
        except (RouterModelError, FeatureError, click.ClickException) as exc:
            if every is None:
                raise
            click.echo(f"error: {exc}", err=True)
        if every is None:
            return status
        following = datetime.now(UTC) + timedelta(seconds=_rest(every, began))
        click.echo(f"The next run starts at {following:%Y-%m-%d %H:%M} UTC.", err=True)
        time.sleep(_rest(every, began))


def _rest(every: timedelta, began: float) -> float:
    return max(0.0, every.total_seconds() - (time.monotonic() - began))


def _once(plan: Plan, runs: "Runs", *, as_json: bool) -> int:
    with runs.alone():
        try:
            outcome = run_once(plan, runs, say=lambda text: click.echo(text, err=True))
        except KeyboardInterrupt as exc:
            exc.add_note(f"what was finished is in {runs.folder}, and the same command goes on there")
            raise
    if as_json:
        click.echo(json.dumps(outcome, ensure_ascii=False))
    else:
        click.echo(f"{outcome['sentence']}.")
    return _EXIT_REFUSED if outcome["result"] == "refused" else 0


def run_once(plan: Plan, store: "Runs", say: Callable[[str], None]) -> dict[str, Any]:
    """Do what is left of a run, or a new one, and return what came of it.

    Returns
    -------
    dict
        ``result`` (``promoted``, ``canary``, ``refused`` or ``waiting``), ``sentence``, ``run``, and ``router``: the
        new router's name, or None.

    Raises
    ------
    ArtifactError, TableError, CatalogError, StoreError
        The message says what was got, what was expected and what to do. The run goes on where it was when it is
        started again.
    """
    current = plan.place.current
    if current is None:
        raise ArtifactError(
            f"{plan.place.folder}: no router is served here; train the first one, and publish it with "
            "'router-model promote'"
        )
    runs = store.all()
    last = runs[-1] if runs and runs[-1].outcome is None else None
    own = None if last is None else _name(last)
    tried = plan.place.challenger
    if tried is not None and tried.router != own:
        said = f"{plan.place.folder} tries {tried.router} ({tried.mode}) since {tried.since:%Y-%m-%d %H:%M}"
        return {"result": "waiting", "sentence": f"{said}; nothing was done", "router": tried.router, "run": None}
    inputs = plan.inputs(current.name)
    # Killed after it had promoted, a run finds its own router in place of its base.
    run = last if last is not None and own == current.name and _as_before(last, inputs) else store.begin(inputs)
    for former in runs:  # prompts belong in the log, where they can be deleted
        if former.folder != run.folder:
            shutil.rmtree(former.folder / "export", ignore_errors=True)
    asked: dict[str, Any] = {name: inputs[name] for name in ("log", "since", "router") if name in inputs}
    log = run.step("export", asked, partial(_export, plan)) / _LOG
    for former in runs:
        if former.outcome is not None and _says_the_same(run, former):
            shutil.rmtree(run.folder)
            said = f"nothing new in the log since run {former.number}: {former.outcome['sentence']}"
            return {**former.outcome, "sentence": said}
    run.finish({**_Work(plan, run, log, say).outcome(), "run": run.number})
    shutil.rmtree(run.folder / "export", ignore_errors=True)
    return dict(run.outcome or {})


def _name(run: "Run") -> str | None:
    """Return the name that the router of a run has in the place; None if the gate has not examined it yet."""
    return str(_read(run.folder / "gate" / _REPORT)["challenger"]) if run.has("gate") else None


def _as_before(run: "Run", inputs: Mapping[str, Any]) -> bool:
    """Return whether a run has these inputs, whatever router is served."""
    return {**run.inputs, "base": None} == {**inputs, "base": None}


def _says_the_same(run: "Run", former: "Run") -> bool:
    """Return whether a finished run had the same log and settings, and left the router that is served now."""
    left = {former.inputs["base"], (former.outcome or {}).get("router")}
    return (
        _as_before(former, run.inputs)
        and former.output("export") == run.output("export")
        and run.inputs["base"] in left
    )


def _export(plan: Plan, into: Path) -> None:
    source = LogSource(plan.log, plan.spool, None if plan.since is None else moment(plan.since), None, plan.router)
    with source.table() as table:
        shutil.copyfile(table, into / _LOG)


@dataclass(frozen=True, slots=True)
class _Work:
    """The steps of one run after the export."""

    plan: Plan
    run: "Run"
    log: Path
    say: Callable[[str], None]

    @property
    def base(self) -> Path:
        return self.plan.place.folder / str(self.run.inputs["base"])

    def outcome(self) -> dict[str, Any]:
        """Do the steps that are not done, and return what came of the run."""
        known = {name: self.run.inputs[name] for name in ("base", "catalog")} | {"log": self.run.output("export")}
        trained = self.run.step(
            "retrain", known | {name: self.run.inputs[name] for name in ("tables", "accept_moves")}, self._retrain
        )
        report = _read(trained / _REPORT)
        if "refused" in report:
            return {"result": "refused", "router": None, "sentence": f"no router was trained: {report['refused']}"}
        known |= {"router": self.run.output("retrain")}
        self.run.step("ope", known | self._limits, partial(self._ope, trained / _ROUTER))
        gate = self.run.step(
            "gate",
            known | self._limits | {"held_out": self.run.inputs["held_out"]},
            partial(self._gate, trained / _ROUTER),
        )
        found = _promotion(_read(gate / _REPORT), self.plan.place.folder)
        if found.failed or not found.checks:
            return {"result": "refused", "router": found.challenger, "sentence": found.sentence}
        settings = {name: self.run.inputs[name] for name in ("publish", "share")}
        published = self.run.step(
            "publish", {"gate": self.run.output("gate")} | settings, partial(self._publish, trained / _ROUTER, found)
        )
        return {"router": found.challenger, **_read(published / _REPORT)}

    @property
    def _limits(self) -> dict[str, Any]:
        return {"max_quality_loss": self.run.inputs["max_quality_loss"]}

    def _retrain(self, into: Path) -> None:
        from router_model.catalog import Catalog
        from router_model.training.retrain import retrain
        from router_model.training.tracking import track_run

        plan = self.plan
        cards = None if plan.catalog is None else Catalog.load(plan.catalog)
        try:
            report = retrain(
                self.log, self.base, into / _ROUTER, tables=plan.tables, catalog=cards, accept_moves=plan.accept_moves
            )
        except TrainingError as exc:  # the log cannot teach, or moves more than it supports
            _write(into / _REPORT, {"refused": str(exc)})
            return
        _write(into / _REPORT, report.as_dict())
        graded = sum(one.n_graded for one in report.logged)
        self.say(f"Retrained on {graded:,} graded calls{_left_out(into)}.")
        if plan.registered is not None:
            track_run(report.training, report.config)

    def _ope(self, artifact: Path, into: Path) -> None:
        from router_model.router import Router
        from router_model.training.offpolicy.evaluate_on_log import evaluate_on_log
        from router_model.training.offpolicy.logged import read_logged

        encoder = self.plan.own_encoder
        challenger, champion = (
            Router.load(folder, catalog=self.plan.catalog, encoder=encoder) for folder in (artifact, self.base)
        )
        try:
            found = evaluate_on_log(
                challenger, read_logged(self.log), against=champion, margin=self.plan.max_quality_loss
            )
        except TableError as exc:  # no support, or no prompt that the new router did not learn from
            _write(into / _REPORT, {"cannot_tell": str(exc)})
            self.say(f"The log cannot tell: {exc}.")
            return
        _write(into / _REPORT, found.as_dict())
        self.say(f"By the log: {found.verdict.sentence}.")

    def _gate(self, artifact: Path, into: Path) -> None:
        from router_model.training.promotion.check import Limits
        from router_model.training.promotion.promote import promote

        plan = self.plan
        limits = Limits(max_quality_loss=plan.max_quality_loss)
        found = promote(
            artifact, plan.place.folder, table=plan.held_out, log=self.log, limits=limits, catalog=plan.catalog,
            encoder=plan.own_encoder, publish=False,
        )  # fmt: skip
        _write(into / _REPORT, found.as_dict())
        if found.failed and plan.registered is not None:
            _track(found, artifact, plan)

    def _publish(self, artifact: Path, found: "Promotion", into: Path) -> None:
        from router_model.saved.place import Mode

        plan, gain = self.plan, found.checks[0].said
        current, tried = plan.place.current, plan.place.challenger
        served, other = (None if current is None else current.name), (None if tried is None else tried.router)
        if plan.publish == "promote":
            if served != found.challenger:  # else a process that was killed had published it
                found.publish(artifact)
            found = replace(found, promoted=True)
            done = {"result": "promoted", "sentence": f"{found.sentence}: {gain}"}
        else:
            if served != found.champion or other not in {None, found.challenger}:
                raise ArtifactError(
                    f"{plan.place.folder}: serves {served} and tries {other} by now; {found.challenger} was compared "
                    f"with {found.champion}; run it again"
                )
            if other is None:
                plan.place.challenge(artifact, Mode.CANARY, plan.share)
            said = f"{plan.place.folder} tries {found.challenger} on {percent(plan.share)} of the sessions"
            done = {"result": "canary", "sentence": f"{said}, beside {found.champion}: {gain}"}
        _write(into / _REPORT, done)
        if plan.registered is not None:
            self.say(f"Gate {_track(found, artifact, plan)}")


def _promotion(said: Mapping[str, Any], place: Path) -> "Promotion":
    """Return the promotion that a finished gate wrote, without its evidence."""
    from router_model.training.promotion.check import Check, Status
    from router_model.training.promotion.promote import Promotion

    checks = tuple(Check(**{**one, "status": Status(one["status"])}) for one in said["checks"])
    return Promotion(place, said["challenger"], said["champion"], checks, promoted=said["promoted"])


def _track(found: "Promotion", artifact: Path, plan: Plan) -> str:
    from router_model.training.tracking import track_promotion

    return track_promotion(found, artifact, plan.place, registered=plan.registered or "")


def _left_out(folder: Path) -> str:
    """Return in words how many judges' grades were quarantined."""
    path = folder / f"{_ROUTER}.quarantine.json"
    n = len(_read(path)["left_out"]) if path.is_file() else 0
    return f", without those in {path.name} ({n} judges)" if n else ""


def _write(path: Path, said: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(said, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found
