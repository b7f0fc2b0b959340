"""The gate before a router is published: show that the challenger is better than the champion, and is sound.

The *champion* is the router that a place (`router_model.saved.place`) serves now; the *challenger* is to replace it.
`promote` examines the challenger, and publishes it if no check failed. A check that cannot be made, such as the age of
a price without a date, is `UNKNOWN`: it is said and does not refuse. Only the gain must be shown.

The gain is read from an `Evidence`, the paired difference of the two routers with its intervals:

- A table in which every model answered every prompt gives one (`Evidence.of_table`).
- The log of a service that explores gives one by off-policy evaluation (`Evidence.of_log`).
- With both, the table decides about the gain, and the log must not contradict it.
"""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from router_model.catalog import Catalog
from router_model.errors import ArtifactError, SupportError, TableError
from router_model.features import Encoder
from router_model.router import Router
from router_model.saved.place import Place
from router_model.training.offpolicy.logged import LoggedDecisions, read_logged
from router_model.training.promotion import checks
from router_model.training.promotion.check import Check, Limits, Status
from router_model.training.promotion.evidence import Evidence, HeldOut
from router_model.training.table.outcomes import Outcomes, read_outcomes


@dataclass(frozen=True, slots=True)
class Promotion:
    """What came of a promotion.

    Attributes
    ----------
    place : Path
    challenger : first digits of the content hash
    champion : name of the router that was served before; None if there was none
    checks : none if the challenger is what is served already
    promoted : whether the place serves the challenger now
    forced : whether it does although a check failed
    evidence : what the gain was read from, or None
    beside : what a log shows where a table decides, or None
    """

    place: Path
    challenger: str
    champion: str | None
    checks: tuple[Check, ...]
    promoted: bool
    forced: bool = False
    evidence: Evidence | None = None
    beside: Evidence | None = None

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.status is Status.FAILED)

    @property
    def sentence(self) -> str:
        """What came of it, in a sentence."""
        if not self.checks:
            return f"{self.place} serves {self.challenger} already; nothing was changed"
        if not self.promoted and not self.failed:
            return f"{self.challenger} passes every check, and {self.place} serves {self.champion} still"
        if not self.promoted:
            more = len(self.failed) - 1
            others = f" ({more} more {'check' if more == 1 else 'checks'} failed)" if more else ""
            return f"{self.challenger} is not promoted, because of {self.failed[0].name}: {self.failed[0].said}{others}"
        instead = "" if self.champion is None else f" in place of {self.champion}"
        names = ", ".join(check.name for check in self.failed)
        overridden = f", forced against {names}" if self.forced else ""
        return f"{self.place} serves {self.challenger}{instead}{overridden}"

    def publish(self, artifact: Path, *, reason: str | None = None) -> "Promotion":
        """Let the place serve the challenger; checks that failed are overridden, and the history names them.

        Parameters
        ----------
        artifact : folder of the challenger
        reason : what the history says

        Raises
        ------
        ArtifactError
            If the place cannot be written, or serves another router than the one compared with.
        """
        failed = [check.name for check in self.failed]
        entry = {"forced": bool(failed), "overridden": failed, "checks": [check.as_dict() for check in self.checks]}
        entry |= {} if reason is None else {"reason": reason}
        before = None if self.champion is None else self.place / self.champion
        Place(self.place).publish(artifact, entry, instead_of=before)
        return replace(self, promoted=True, forced=bool(failed))

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "place": str(self.place),
            "challenger": self.challenger,
            "champion": self.champion,
            "promoted": self.promoted,
            "forced": self.forced,
            "sentence": self.sentence,
            "checks": [check.as_dict() for check in self.checks],
            "evidence": None if self.evidence is None else self.evidence.as_dict(),
            "beside": None if self.beside is None else self.beside.as_dict(),
        }


def promote(
    artifact: str | Path,
    place: str | Path,
    *,
    table: str | Path | None = None,
    log: str | Path | None = None,
    log_name: str = "the log",
    train_again_on: str | Path | None = None,
    limits: Limits | None = None,
    force: bool = False,
    publish: bool = True,
    reason: str | None = None,
    catalog: str | Path | Catalog | None = None,
    encoder: Encoder | None = None,
    today: date | None = None,
) -> Promotion:
    """Examine a challenger and, if no check fails, publish it.

    Parameters
    ----------
    artifact : folder of the challenger
    place : folder of published routers; made if it does not exist
    table : outcomes of prompts on which to compare the challenger with the champion
    log : a table of ``router-model log export``, of a service that explored
        Without `table`, the gain is read from it. With both, the table decides, and the log must not contradict it.
    log_name : what the sentences call the log
    train_again_on : the table that the challenger learned from: train again, and compare the hashes
    limits : Limits
    force : bool
        Publish even if checks fail; the history names them.
    publish : bool
        False examines the challenger and changes nothing; `Promotion.publish` publishes it later.
    reason : what the history says
    catalog : prices that the service uses instead of the routers' own
    encoder : of both routers, if they were trained with one of your own
    today : the day to count the age of prices to; default: now, in UTC

    Raises
    ------
    ArtifactError
        If the challenger is damaged or the place cannot be written.
    TableError
        If the table lacks a model, or has no prompt that is left to count; or if the log cannot be read.
    """
    limits = limits or Limits()
    limits.check()
    target, folder = Place(Path(place)), Path(artifact)
    challenger = Router.load(folder, catalog=catalog, encoder=encoder)
    name = _short(challenger)
    before = target.current
    outcomes = None if table is None else read_outcomes(table)
    decisions = None if log is None else read_logged(Path(log))
    champion, why_not = _champion(before, catalog, encoder)
    if champion is not None and champion.artifact.content_hash == challenger.artifact.content_hash:
        return Promotion(target.folder, name, name, (), promoted=True)
    evidence = of_log = None
    if champion is not None and outcomes is not None:
        evidence = Evidence.of_table(champion, challenger, outcomes, source=Path(table or "").name)
    if champion is not None and decisions is not None:
        of_log, why_not = _of_log(champion, challenger, decisions, limits, source=log_name)
    deciding = of_log if outcomes is None else evidence
    held_out = _held_out(challenger, champion, outcomes, decisions)
    made = [
        checks.gain(deciding, limits, champion=before, why_not=why_not),
        checks.leak_audit(challenger, deciding, held_out),
        checks.calibration(challenger, held_out, limits),
        checks.certificates(challenger, held_out),
        checks.flips(deciding),
        checks.reproducible(challenger, folder, train_again_on),
        checks.prices(challenger, limits, today or datetime.now(UTC).date()),
    ]
    if evidence is not None and decisions is not None:
        made.insert(1, checks.log_beside(of_log, limits, why_not))
    found = Promotion(
        place=target.folder,
        challenger=name,
        champion=None if before is None else before.name,
        checks=tuple(made),
        promoted=False,
        evidence=deciding,
        beside=None if outcomes is None else of_log,
    )
    return found.publish(folder, reason=reason) if publish and (force or not found.failed) else found


def _champion(
    folder: Path | None, catalog: str | Path | Catalog | None, encoder: Encoder | None
) -> tuple[Router | None, str]:
    """Load the champion; without one, or if it cannot be read, return the reason beside None."""
    if folder is None:
        return None, ""
    try:
        return Router.load(folder, catalog=catalog, encoder=encoder), ""
    except ArtifactError as exc:
        return None, f"the champion cannot be compared with ({exc})"


def _of_log(
    champion: Router, challenger: Router, decisions: LoggedDecisions, limits: Limits, *, source: str
) -> tuple[Evidence | None, str]:
    """Return the evidence of a log; of one that cannot tell, the reason beside None."""
    try:
        margin = limits.max_quality_loss
        return Evidence.of_log(champion, challenger, decisions, source=source, margin=margin), ""
    except (SupportError, TableError) as exc:
        return None, f"{source} cannot tell: {exc}"


def _held_out(
    challenger: Router, champion: Router | None, outcomes: Outcomes | None, decisions: LoggedDecisions | None
) -> HeldOut | None:
    """Return the prompts of the table, or else those of the log that neither router was trained on."""
    if outcomes is not None:
        return HeldOut.of(challenger, outcomes, champion=None, is_log=False)
    if decisions is not None:
        return HeldOut.of(challenger, decisions.outcomes, champion=champion, is_log=True)
    return None


def _short(router: Router) -> str:
    return router.artifact.content_hash.partition(":")[2][: checks.N_DIGITS]
