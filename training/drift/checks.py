"""Check the calls of a decision log against what the router was trained on, and against what it predicted.

Each check gives one `Finding` for each model, task or feature. A change counts where its effect has reached a
threshold *and* chance does not explain it: many calls make any small difference significant, and few calls make a large
one appear by chance.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.stats import norm

from router_model.catalog import OLD_PRICE_DAYS, Catalog
from router_model.features.featuriser import PromptFeatures
from router_model.features.request import FORM_NAMES
from router_model.prediction.evidence import EvidenceModel
from router_model.sequential.confidence_sequences import gamma_mixture_lower
from router_model.training.drift.finding import Finding
from router_model.training.drift.traffic import stability_index, two_sample_test
from router_model.wording import number, percent, points

MIN_CALLS = 30
"""With fewer calls or prompts, a check says that it cannot tell."""

MOST_PROMPTS = 5_000
"""As many new prompts, and as many of the router's bank, are compared; more would not tell more."""

_Z = 2.576  # 99 %


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The smallest effects that count.

    Attributes
    ----------
    traffic : AUC above one half with which a classifier tells new prompts from training prompts
    form : population stability index
    calibration : difference between success and predicted probability
    ratio : difference of billed to expected cost, or tokens, or price, as a share
    price_days : age of a price, in days
    answering : share of calls that another model answered
    unknown : share of calls of models that the router does not know
    """

    traffic: float = 0.1
    form: float = 0.25
    calibration: float = 0.03
    ratio: float = 0.15
    price_days: float = OLD_PRICE_DAYS
    answering: float = 0.01
    unknown: float = 0.01


def check_traffic(
    model: EvidenceModel, features: PromptFeatures, limits: Thresholds, *, seed: int = 0
) -> list[Finding]:
    """Compare new prompts with those of the router's bank: their embeddings, and each surface feature.

    Parameters
    ----------
    features : of one prompt of each conversation, so that they are independent
    """
    rng = np.random.default_rng(seed)
    bank, form = np.asarray(model.embedding.index).T, model.kernel.logged_form[:-1].T
    known, new = _some(len(bank), rng), _some(len(features), rng)
    if min(len(known), len(new)) < MIN_CALLS:
        return [_too_few("traffic", "", min(len(known), len(new)), limits.traffic, "AUC - 1/2")]
    shift = two_sample_test(bank[known], features.embedding[new], seed=seed)
    drifted = shift.effect >= limits.traffic and shift.p_value <= 0.01  # noqa: PLR2004  one false alarm in a hundred
    found = [
        Finding(
            "traffic", "", shift.effect, limits.traffic, "AUC - 1/2", drifted, len(new),
            f"a classifier tells new from training prompts, AUC {0.5 + shift.effect:.2f} (p = {shift.p_value:.3f})",
            _advice(drifted, "retrain with prompts of this kind"),
        )
    ]  # fmt: skip
    now = model.kernel.scale.form(model.surface_of(features)[new])
    for column, name in enumerate(FORM_NAMES[: now.shape[1]]):
        index = stability_index(form[known, column], now[:, column])
        moved = index >= limits.form
        found.append(
            Finding(
                "form", name, index, limits.form, "stability index", moved, len(new),
                f"stability index {index:.2f}", _advice(moved, "look at the newest prompts: what writes them?"),
            )
        )  # fmt: skip
    return found


def check_calibration(calls: pl.DataFrame, limits: Thresholds, *, alpha: float = 0.05) -> list[Finding]:
    """Compare success with the predicted probability, model by model, in the order of time.

    The confidence sequence holds at every time at once, so the check may be repeated as the log grows. Its error rate
    is shared out over the models.

    Parameters
    ----------
    calls : with columns `model`, `quality`, `quality_bar` and `p_success`, sorted by time
    alpha : the chance that any model without a change is found to have one, however often one looks
    """
    graded = _graded(calls, "model")
    models = graded["model"].unique().sort().to_list()
    found = []
    for model in models:
        off = graded.filter(pl.col("model") == model)["off"].to_numpy()
        if len(off) < MIN_CALLS:
            found.append(_too_few("calibration", model, len(off), limits.calibration, "probability"))
            continue
        low, below = (
            gamma_mixture_lower(1 + side, alpha=alpha / 2 / len(models), last=True)[0] for side in (off, -off)
        )
        found.append(_deviation("calibration", model, off, (low - 1, 1 - below), limits.calibration))
    return found


def check_success(calls: pl.DataFrame, limits: Thresholds) -> list[Finding]:
    """Compare success with the predicted probability, task by task; says so where a log has no tasks.

    The interval is the normal one, at 99 %, shared out over the tasks. All of it has to lie beyond the threshold:
    predictions are calibrated model by model, and are some points off within a task where nothing has changed.
    """
    graded = _graded(calls, "task").filter(pl.col("task").is_not_null() & (pl.col("task") != ""))
    tasks = graded["task"].unique().sort().to_list()
    if not tasks:
        says = "not checked, because no graded call has a task"
        return [Finding("success", "", 0.0, limits.calibration, "probability", drifted=False, n=0, says=says)]
    found = []
    for task in tasks:
        off = graded.filter(pl.col("task") == task)["off"].to_numpy()
        if len(off) < MIN_CALLS:
            found.append(_too_few("success", task, len(off), limits.calibration, "probability"))
            continue
        half = float(norm.isf(0.005 / len(tasks)) * off.std(ddof=1) / len(off) ** 0.5)
        ends = (off.mean() - half, off.mean() + half)
        found.append(_deviation("success", task, off, ends, limits.calibration, known_bias=limits.calibration))
    return found


def check_amount(
    check: str,
    calls: pl.DataFrame,
    measured: str,
    expected: str,
    threshold: float,
    *,
    advice: str,
    known_bias: float = 0.0,
) -> list[Finding]:
    """Compare a measured amount with its expectation, model by model: the quotient of the sums, minus 1.

    The interval is the delta method's, at 99 %.

    Parameters
    ----------
    calls : with columns `model`, `measured` and `expected`; rows without both are left out
    known_bias : deviation of predictions that is there without any change; the whole interval has to lie beyond it
    """
    known = calls.select("model", measured, expected).filter((pl.col(measured) >= 0) & (pl.col(expected) > 0))
    known = known.sort("model")
    found = []
    for (model,), part in known.group_by("model", maintain_order=True):
        real, said = part[measured].to_numpy().astype(float), part[expected].to_numpy().astype(float)
        if len(real) < MIN_CALLS:
            found.append(_too_few(check, str(model), len(real), threshold, "share"))
            continue
        ratio = float(real.sum() / said.sum())
        half = float(_Z * np.std(real - ratio * said, ddof=1) / (said.mean() * len(real) ** 0.5))
        effect, low, high = ratio - 1, ratio - half - 1, ratio + half - 1
        between = f"{percent(low, signed=True)} to {percent(high, signed=True)}"
        drifted = abs(effect) >= threshold and (low > known_bias or high < -known_bias)
        found.append(
            Finding(
                check, str(model), effect, threshold, "share", drifted, len(real),
                f"{percent(effect, signed=True)} against what was expected (99 %: {between})",
                _advice(drifted, advice), low, high,
            )
        )  # fmt: skip
    return found


def check_prices(calls: pl.DataFrame, catalog: Catalog, limits: Thresholds) -> list[Finding]:
    """Compare what calls were billed with the catalog's prices of their tokens."""
    cards = {model: catalog[model] for model in catalog if catalog[model].has_list_price}
    of_calls = calls.select("model", "cost_usd", "output_tokens", *_INPUTS)
    counted = of_calls.filter(pl.col("model").is_in(list(cards))).drop_nulls(["input_tokens", "output_tokens"])

    def listed(model: str, written: int, total: int, cached: int | None, cache_written: int | None) -> float:
        cached = min(cached or 0, total)
        cache_written = min(cache_written or 0, max(total - cached, 0))
        return float(
            cards[model].cost_usd(
                input_tokens=total, output_tokens=written, cached_input_tokens=cached, cache_write_tokens=cache_written
            )
        )

    rows = counted.select("model", pl.col("output_tokens", *_INPUTS).cast(pl.Int64)).iter_rows()
    prices = np.fromiter((listed(*row) for row in rows), dtype=np.float64, count=counted.height)
    advice = "put the price that is billed into the catalog, and look whether another model answers under this name"
    priced = counted.with_columns(listed_usd=prices)
    return check_amount("price", priced, "cost_usd", "listed_usd", limits.ratio, advice=advice)


def check_price_ages(catalog: Catalog, models: Iterable[str], today: date, limits: Thresholds) -> list[Finding]:
    """Find prices that nobody has checked for long; prices without a date say nothing."""
    found = []
    for model in sorted(models):
        checked = catalog[model].price_date
        if checked is None:
            continue
        days = (today - checked).days
        is_old = days >= limits.price_days
        says = f"the price was checked {days} days ago, on {checked}"
        advice = _advice(is_old, "check the prices, and set price_date in the catalog")
        found.append(Finding("price age", model, float(days), limits.price_days, "days", is_old, 1, says, advice))
    return found


def check_answering(calls: pl.DataFrame, limits: Thresholds) -> list[Finding]:
    """Find the calls that another model answered than was asked, by the name in the provider's answer."""
    told = calls.select("model", "response_model").filter(pl.col("response_model").is_not_null()).sort("model")
    found = []
    for (model,), part in told.group_by("model", maintain_order=True):
        others = [name for name in part["response_model"] if not same_model(str(model), name)]
        share = len(others) / len(part)
        names = ", ".join(sorted(set(others))[:3])
        drifted = share >= limits.answering
        found.append(
            Finding(
                "answering model", str(model), share, limits.answering, "share", drifted, len(part),
                f"{percent(share)} of its calls were answered by {names}" if others else "always answered itself",
                _advice(drifted, "ask the provider; until then, grade and price that model under its own name"),
            )
        )  # fmt: skip
    return found


def check_unknown(calls: pl.DataFrame, models: Iterable[str], limits: Thresholds) -> list[Finding]:
    """Find models that the log has and the router does not know."""
    counts = calls.filter(~pl.col("model").is_in(list(models)))["model"].value_counts().sort("model")
    advice = "add it ('add-model'), or take it out of the gateway's list"
    found = []
    for model, count in counts.iter_rows():
        share = count / calls.height
        drifted = share >= limits.unknown
        says = f"{percent(share)} of the calls went to this model, which the router does not know"
        found.append(
            Finding(
                "unknown model", model, share, limits.unknown, "share", drifted, count, says, _advice(drifted, advice)
            )
        )
    return found


def same_model(asked: str, answered: str) -> bool:
    """Return whether a provider's name for the model that answered is one of the model that was asked.

    Providers leave out the vendor, or add a date or a version of three or four digits. One digit more is another model.

    Examples
    --------
    >>> same_model("openai/gpt-4o", "gpt-4o-2024-08-06"), same_model("gemini-flash-latest", "gemini-flash-002")
    (True, True)
    >>> same_model("openai/gpt-4o", "gpt-4o-mini"), same_model("claude-opus-4", "claude-opus-4-1-20250805")
    (False, False)
    """
    own, other = (_VERSION.sub("", name.rsplit("/", 1)[-1].lower()) for name in (asked, answered))
    return own == other


_VERSION = re.compile(r"[-@:](\d{3,4}|\d{6}|\d{8}|\d{4}-\d{2}-\d{2}|latest)$")
_INPUTS = ("input_tokens", "cached_input_tokens", "cache_write_tokens")


def _some(n: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    return np.arange(n) if n <= MOST_PROMPTS else np.sort(rng.choice(n, MOST_PROMPTS, replace=False))


def _graded(calls: pl.DataFrame, column: str) -> pl.DataFrame:
    """Return a column of the graded calls, and success less predicted probability in the column `off`."""
    succeeded = (pl.col("quality") >= pl.col("quality_bar").fill_null(0.5)).cast(pl.Float64)
    is_graded = pl.col("quality").is_not_null() & pl.col("p_success").is_between(0, 1)
    return calls.lazy().filter(is_graded).select(column, off=succeeded - pl.col("p_success")).collect()


def _deviation(
    check: str,
    subject: str,
    off: npt.NDArray[np.float64],
    ends: tuple[float, float],
    threshold: float,
    *,
    known_bias: float = 0.0,
) -> Finding:
    """Return the finding about success less predicted probability, from its values and its interval.

    A deviation counts if the interval lies beyond the bias that is known to be there without any change.
    """
    mean, low, high = float(off.mean()), float(ends[0]), float(ends[1])
    is_off = bool(abs(mean) >= threshold and (low > known_bias or high < -known_bias))
    between = " to ".join(number(100 * end, digits=1, signed=True) for end in (low, high))
    says = f"success is {points(mean)} off what was predicted ({between})"
    told = _advice(is_off, "retrain with graded prompts of this model or task")
    return Finding(check, subject, mean, threshold, "probability", is_off, len(off), says, told, low, high)


def _advice(drifted: bool, text: str) -> str:  # noqa: FBT001
    return text if drifted else ""


def _too_few(check: str, subject: str, n: int, threshold: float, unit: str) -> Finding:
    return Finding(check, subject, 0.0, threshold, unit, drifted=False, n=n, says=f"{n}, too few to tell")


def drifted(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings that count, the largest effect over its threshold first."""
    return sorted((one for one in findings if one.drifted), key=lambda one: -abs(one.effect) / one.threshold)
