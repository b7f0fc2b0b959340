"""Promote a challenger through the gate of ``router-model promote``, which compares it with the champion.

The command itself runs (`router_model.serving.console.child_command`), and publishes what passes. So the checks here
are those of the command line, and no others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from router_model.serving.common.service_errors import InvalidRequestError
from router_model.serving.common.settings import Settings
from router_model.serving.console.child_command import run_command
from router_model.serving.console.place_view import Action, PlaceView

PERIODS: Final = ("1d", "7d", "30d")
NO_LOG: Final = "none"
"""Instead of a period: the log is not asked."""


@dataclass(frozen=True, slots=True)
class AtHand:
    """What challenger and champion can be compared on.

    Attributes
    ----------
    table : Path or None
        Of held-out outcomes (``--promotion-table``).
    has_log : bool
    """

    table: Path | None
    has_log: bool

    @classmethod
    def of(cls, settings: Settings) -> "AtHand":
        """Return what the settings name."""
        return cls(settings.promotion_table, settings.log != "none")

    @property
    def cannot_be_checked(self) -> str:
        """Say which checks cannot be made, and why; '' if all can."""
        if self.table is not None:
            return ""
        if self.has_log:
            return (
                "No held-out table is named (--promotion-table), so certificates are not tested, and the log alone "
                "tells whether the challenger is better. It must hold judged answers, and choices that were drawn "
                "(--explore-share, or a challenger in the mode explore); else the promotion is refused"
            )
        return (
            "There is neither a held-out table (--promotion-table) nor a log, so nothing compares the two: gain, leak "
            "audit, calibration and certificates cannot be checked, and the promotion is refused unless you force it"
        )


@dataclass(frozen=True, slots=True)
class Passage:
    """What came of the gate.

    Attributes
    ----------
    is_promoted : bool
    sentence : str
    checks : ``name``, ``status`` (``passed``, ``failed``, ``not checked``) and what was ``said`` of each
    """

    is_promoted: bool
    sentence: str
    checks: Sequence[Mapping[str, Any]]


async def promote(settings: Settings, place: PlaceView, *, period: str, reason: str, is_forced: bool) -> Passage:
    """Let the challenger be the champion if it passes the gate.

    Parameters
    ----------
    place : with a challenger
    period : one of `PERIODS`, or `NO_LOG`
    reason : for the history
    is_forced : promote it though checks fail; the history names them

    Raises
    ------
    InvalidRequestError
        If there is no such period.
    NotReadyError
        If the gate could not be passed through: the log has no calls of this time, a file is damaged, it took too long.
    """
    if period not in (*PERIODS, NO_LOG):
        expected = ", ".join((*PERIODS, NO_LOG))
        raise InvalidRequestError(f"period: got {period[:32]!r}; expected one of {expected}", param="period")
    hand, folder = AtHand.of(settings), Path(place.folder)
    arguments = [str(folder / place.target(Action.PROMOTE)), "--to", str(folder), "--reason", reason, "--no-track"]
    arguments += [] if hand.table is None else ["--table", str(hand.table)]
    variables = {}
    if hand.has_log and period != NO_LOG:
        arguments += ["--since", period]
        variables["ROUTER_COMPARED_LOG"] = settings.log
    said = await run_command(settings, "promote", arguments + ["--force"] * is_forced, variables)
    return Passage(said["promoted"], said["sentence"], said["checks"])
