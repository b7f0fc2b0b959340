"""Watch a whole source while it is read, and say why it should not be imported as it is.

Each source has one survey. At the end of the source it returns its `findings`: named fields that do not exist, fields
with names similar to ours, qualities on another scale, and reasons for which too many rows were rejected.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl

from router_model.training.importing import dates, number_text
from router_model.training.importing.adapters.registry import shown_names
from router_model.training.importing.agreement import Agreement
from router_model.training.importing.checks import EXPECTED_ONE_DATE
from router_model.training.importing.columns import ColumnMapping
from router_model.training.importing.conversion import Source, is_missing
from router_model.training.importing.currency import Currency
from router_model.training.importing.duplicates import EXPECTED_ONCE
from router_model.training.importing.findings import Finding
from router_model.training.importing.near_fields import OPEN, PROMPTS, NearFields, Proposal
from router_model.training.importing.near_names import similar_fields
from router_model.training.importing.options import ImportOptions, RejectedLimit
from router_model.training.importing.problems import Problem
from router_model.training.importing.quality_tally import QualityTally
from router_model.training.importing.reading import Reading
from router_model.wording import percent

_MAX_SAMPLES: Final = 50
_MAX_FIELDS: Final = 200
_ADVICE_TO_SKIP: Final = "--on-error skip"


class Reason:
    """The rows of a source that are rejected for one reason.

    Attributes
    ----------
    row : int
        The first rejected row.
    problem : Problem
        The problem of that row.
    n_rows : int
    """

    def __init__(self, row: int, problem: Problem) -> None:
        self.row = row
        self.problem = problem
        self.n_rows = 0

    def message(self, path: Path, limit: RejectedLimit, n_rows: int) -> str:
        """Return the problem of the first row, and the number of rows with the same problem."""
        message = self.problem.message(path, self.row, n_alike=self.n_rows)
        if self.is_wrong_reading(limit, n_rows):
            # Following the advice without this option would lead to the next error.
            return message.replace(_ADVICE_TO_SKIP, f"{_ADVICE_TO_SKIP} --max-rejected {self.n_rows}")
        return message

    def is_wrong_reading(self, limit: RejectedLimit, n_rows: int) -> bool:
        """Whether the rows are too many for single mistakes; repeated calls, which logs often have, do not count."""
        return self.problem.expected != EXPECTED_ONCE and limit.is_passed(self.n_rows, n_rows)


class Survey:
    """Collects facts about one source while it is read.

    Parameters
    ----------
    path : Path
    options : ImportOptions
    is_joined : bool
        Whether other sources are imported with it.

    Attributes
    ----------
    fields : dict of str to None
        The first names of the source's fields.
    unseen : set of str
        Columns that the user named with ``--column`` and that no record has had so far.
    """

    def __init__(self, path: Path, options: ImportOptions, *, is_joined: bool) -> None:
        self.path = path
        self.fields: dict[str, None] = {}
        self.unseen = {ours for ours, _ in options.mapping.paths}
        self._options = options
        self._mapping = options.mapping
        self._is_joined = is_joined
        self._n_rows = 0
        self._reasons: dict[tuple[str, str], Reason] = {}
        self._qualities = QualityTally()
        self._near = NearFields(options)
        self._last_names: tuple[str, ...] = ()
        self._n_unknown = 0
        self._wanting: Counter[str] = Counter()
        self._samples: dict[str, list[Any]] = {}
        self._currency = Currency(options)
        self._agreement = Agreement(options)

    # --- while the source is read ---

    def see_own(self, own: Source, *, is_known: bool) -> None:
        """Note a record with own columns or of an unknown tool, after its named columns were given our names.

        Parameters
        ----------
        own : mapping
        is_known : bool
            Whether an adapter can read it.
        """
        self._near.see(own)
        self._currency.see(own)
        self._agreement.see(own)
        if not is_known:
            self._n_unknown += 1
            for names in (PROMPTS, ("model",), ("quality",)):
                self._wanting[names[0]] += all(is_missing(own.get(name)) for name in names)

    def see_record(self, record: Source) -> None:
        """Note the fields of a record as it is in the source."""
        names = tuple(record)
        if names != self._last_names and len(self.fields) < _MAX_FIELDS:
            self.fields.update(dict.fromkeys(map(str, names)))
            self._last_names = names
        if self.unseen:
            self.unseen -= self._mapping.values(record).keys()

    def see_batch(self, frame: pl.DataFrame, n_rows: int, rejected: Iterable[tuple[int, Sequence[Problem]]]) -> None:
        """Count the rows of a batch.

        Parameters
        ----------
        frame : polars.DataFrame
            Rows after conversion and before the checks.
        n_rows : int
            Rows read, those that could not be converted included.
        rejected : iterable of (row, problems)
        """
        self._n_rows += n_rows
        self._near.end_batch()
        if "quality" in frame.columns:
            self._qualities.add(frame["quality"], self._options.reading)
        for row, problems in rejected:
            for problem in problems:
                reason = self._reasons.setdefault((problem.column, problem.expected), Reason(row, problem))
                reason.n_rows += 1
        for column, expected in self._reasons:
            if expected in OPEN and column in frame.columns:
                self._samples.setdefault(column, []).extend(frame[column].head(_MAX_SAMPLES).to_list())

    # --- at its end ---

    @property
    def reading(self) -> Reading:
        """How the values of the source are written."""
        return self._options.reading

    @property
    def is_bad(self) -> bool:
        """Whether a row was rejected."""
        return bool(self._reasons)

    def told(self) -> dict[str, int]:
        """Return what the summary should say of the whole source, with the number of rows."""
        return dict(self._agreement.told())

    def complaints(self) -> list[str]:
        """Say why rows are rejected, in the order of their first rows."""
        reasons = sorted(self._reasons.values(), key=lambda reason: reason.row)
        return [reason.message(self.path, self._options.max_rejected, self._n_rows) for reason in reasons]

    def findings(self) -> list[Finding]:
        """Return the reasons why the source cannot be imported as it is; empty if only single rows are bad."""
        proposals = self._near.proposals()
        cost = next((one.theirs for one in proposals if one.ours == "cost_usd"), None)
        in_other_currency = self._currency.findings(cost)
        if in_other_currency:
            proposals = [one for one in proposals if one.ours != "cost_usd"]
        found = [*self._about_unseen(), *(proposal.finding() for proposal in proposals)]
        found += self._about_wanting(proposals, found)
        found += in_other_currency
        is_renamed = bool(found)
        quality = self._about_quality(proposals)
        found += [quality] if quality else []
        found += self._about_open_values(proposals)
        explained = {"quality"} if quality else set()
        explained |= {"", "model", *PROMPTS} if is_renamed else set()
        explained |= {column for column, expected in self._reasons if expected in OPEN}
        return found + self._about_rejected(explained, is_alone=not found)

    def _about_unseen(self) -> list[Finding]:
        """Report named fields that do not exist; of several sources, each needs only what every row needs."""
        if self._is_joined and not self._reasons:
            return []
        matters = {"model", *PROMPTS} if self._is_joined else self.unseen
        return unseen_findings(self.unseen & matters, self._options, self.fields)

    def _about_wanting(self, proposals: Sequence[Proposal], found: Sequence[Finding]) -> list[Finding]:
        """Report which other columns records of unknown tools need, once some of these are found."""
        is_begun = bool(found) or bool(self._options.columns) or bool(self._options.model)
        if not (self._n_unknown and is_begun):
            return []
        named = {proposal.ours for proposal in proposals}
        named |= {ours for ours, _ in self._mapping.paths if ours in self.unseen}
        fields = shown_names(self.fields)
        wanting = []
        if self._wanting["prompt"] and not named & set(PROMPTS):
            seen = f"no field looks like prompt; the fields are {fields}"
            otherwise = "Write the name of the field with the prompt for FIELD."
            wanting.append(Finding(seen, (("--column", "prompt=FIELD"),), otherwise))
        if self._wanting["model"] and "model" not in named and not self._options.model:
            wanting.append(
                Finding(
                    "no field looks like model",
                    (("--model", "NAME"),),
                    "Write the model's name for NAME, or name the field that has it: --column model=FIELD.",
                )
            )
        is_left_out = not any(self._options.columns.get("quality", ("?",)))
        if self._wanting["quality"] and "quality" not in named and not is_left_out:
            wanting.append(Finding("no field looks like quality; name it with --column quality=FIELD if there is one"))
        return wanting

    def _about_quality(self, proposals: Sequence[Proposal]) -> Finding | None:
        proposal = next((proposal for proposal in proposals if proposal.ours == "quality"), None)
        if proposal is not None:
            return proposal.qualities.finding(self._options, proposal.theirs, is_joined=self._is_joined)
        name = next(iter(self._options.columns.get("quality", ())), "quality")
        return self._qualities.finding(self._options, name, is_joined=self._is_joined)

    def _about_open_values(self, proposals: Sequence[Proposal]) -> list[Finding]:
        """Report dates and numbers that could be read in two ways, including those in proposed fields."""
        found: dict[str, Finding] = {}
        fails, limit = self._options.on_error == "fail", self._options.max_rejected
        for (column, expected), reason in self._reasons.items():
            if expected in OPEN and (fails or reason.is_wrong_reading(limit, self._n_rows)):
                where = f"row {reason.row}, column {column!r}"
                found.setdefault(expected, _about_open(where, reason.problem, self._samples.get(column, [])))
        for proposal in proposals:
            problem = proposal.open_problem(self.reading)
            if problem is not None:
                found.setdefault(problem.expected, _about_open(repr(proposal.theirs), problem, proposal.samples))
        return list(found.values())

    def _about_rejected(self, explained: set[str], *, is_alone: bool) -> list[Finding]:
        """Report the reasons for which too many rows were rejected to be single mistakes."""
        limit, found = self._options.max_rejected, []
        for reason in sorted(self._reasons.values(), key=lambda reason: reason.row):
            is_wrong = reason.is_wrong_reading(limit, self._n_rows)
            if reason.problem.column in explained:
                continue
            if self._options.on_error == "fail" and not is_alone:
                found.append(Finding(f"row {reason.row}, column {reason.problem.column!r}: {reason.problem.reason}"))
            elif self._options.on_error == "skip" and is_wrong:
                found.append(self._wrong_reading(reason))
        return found

    def _wrong_reading(self, reason: Reason) -> Finding:
        column = f", column {reason.problem.column!r}" if reason.problem.column else ""
        advice = reason.problem.advice.partition(f"or use {_ADVICE_TO_SKIP}")[0].rstrip(", ")
        can_go_on = reason.n_rows < self._n_rows or self._is_joined
        return Finding(
            f"{reason.n_rows:,} of {self._n_rows:,} rows ({percent(reason.n_rows / self._n_rows)}) are rejected for "
            f"one reason, too many for single mistakes: row {reason.row}{column}: {reason.problem.reason}; {advice}",
            (("--max-rejected", str(reason.n_rows)),) if can_go_on else (),
            "--max-rejected leaves these rows out; look at them first: the remaining rows may mislead."
            if can_go_on
            else "",
        )


def unseen_findings(unseen: Collection[str], options: ImportOptions, fields: Collection[str]) -> list[Finding]:
    """Return findings about named fields that do not exist.

    Parameters
    ----------
    unseen : collection of str
        Our columns.
    options : ImportOptions
    fields : collection of str
        The fields of the sources.
    """
    return [
        _about_field(ours, path, f"{ours}={theirs}", fields)
        for ours, all_of in options.columns.items()
        if ours in unseen
        for theirs, (_, path) in zip(filter(None, all_of), ColumnMapping({ours: all_of}).paths, strict=True)
    ]


def _about_field(ours: str, path: str, given: str, fields: Collection[str]) -> Finding:
    seen = f"no record has {path!r} (--column {ours}=)"
    near = similar_fields(path, fields)
    if not near:
        return Finding(f"{seen}; the fields are {shown_names(fields)}", drop=(("--column", given),))
    add = (("--column", f"{ours}={near[0]}"),)
    return Finding(f"{seen}; did you mean {near[0]!r}?", add, drop=(("--column", given),))


def _about_open(where: str, problem: Problem, samples: Sequence[Any]) -> Finding:
    seen = f"{where}: {problem.reason}"
    if problem.expected == EXPECTED_ONE_DATE:
        likely, other = _ordered(dates.DATE_ORDERS, dates.order_of(samples))
        return Finding(seen, (("--dates", likely),), f"--dates {other} if it is the other way round.")
    likely, other = _ordered(number_text.DECIMAL_MARKS, number_text.mark_of(samples))
    return Finding(seen, (("--decimal", likely),), f"--decimal {other} if a {other} stands before the decimals.")


def _ordered(choices: Sequence[str], likely: str | None) -> tuple[str, str]:
    """Return the two choices, the likelier first."""
    first, second = choices
    return (second, first) if likely == second else (first, second)
