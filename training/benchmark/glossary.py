"""The metrics of a benchmark: their names, what they mean, and how their values are written.

The report, the terminal and the figures all read them here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from router_model.training.benchmark.results import Interval
from router_model.wording import number, percent

NOT_DEFINED = "-"
"""Shown if a method has no value of a metric."""


@dataclass(frozen=True, slots=True)
class Term:
    """The name, meaning and format of a metric for readers.

    Attributes
    ----------
    key : name in ``results.json``
    label : short, as a column head
    meaning : one or two sentences
    form : how values are written
        ``height`` 0.8877, ``share`` 31.7 %, ``change`` +1.9 %, ``score`` 75.3 of 0.753, ``gain`` +0.0153.
    lower_is_better : bool
    null : name of the metric with the gain that shows without any knowledge of quality, if this one is a gain
        It is written in brackets beside the gain.
    may_not_be_reached : bool
        None then means that no configuration reached it, and not that the metric is undefined.
    """

    key: str
    label: str
    meaning: str
    form: Literal["height", "share", "change", "score", "gain"] = "height"
    lower_is_better: bool = False
    may_not_be_reached: bool = False
    null: str = ""

    @property
    def head(self) -> str:
        """The head of a column, which says what stands in brackets."""
        return f"{self.label} (null)" if self.null else self.label

    def write(self, value: float | None) -> str:
        """Format a value of this metric.

        Examples
        --------
        >>> GLOSSARY["aiq"].write(0.88773), GLOSSARY["cost_save"].write(-0.2321), GLOSSARY["auc"].write(None)
        ('0.8877', '-23.2 %', '-')
        """
        return NOT_DEFINED if value is None else self._format(value, signed=self.form in {"change", "gain"})

    def write_mean(self, interval: Interval | None, n_trials: int) -> str:
        """Format a mean over trials, with an asterisk if only some of the trials have a value.

        Examples
        --------
        >>> GLOSSARY["cost_save"].write_mean(Interval(0.072, n_trials=2), 3)
        '7.2 %*'
        """
        if interval is None or interval.value is None:
            return NOT_DEFINED
        return self.write(interval.value) + ("*" if interval.n_trials < n_trials else "")

    def write_beside_null(self, metrics: Mapping[str, Interval], n_trials: int) -> str:
        """Format a mean over trials and, if this metric is a gain, its null beside it.

        Examples
        --------
        >>> metrics = {"aiq_gain": Interval(0.0153, n_trials=1), "aiq_null": Interval(0.0018, n_trials=1)}
        >>> GLOSSARY["aiq_gain"].write_beside_null(metrics, 1)
        '+0.0153 (+0.0018)'
        """
        written = self.write_mean(metrics.get(self.key), n_trials)
        null = metrics.get(self.null)
        if written == NOT_DEFINED or null is None or null.value is None:
            return written
        return f"{written} ({self.write(null.value)})"

    def write_difference(self, interval: Interval) -> str:
        """Format a difference of this metric with its interval.

        Examples
        --------
        >>> GLOSSARY["aiq"].write_difference(Interval(0.00712, 0.003, 0.01124, 3))
        '+0.0071 [+0.0030, +0.0112]'
        """
        if interval.value is None:
            return NOT_DEFINED
        return f"{self.write_change(interval.value)}{self.write_bounds(interval)}"

    def write_bounds(self, interval: Interval) -> str:
        """Format an interval's bounds with a space before them; empty without an interval."""
        if interval.low is None or interval.high is None:
            return ""
        return f" [{self.write_change(interval.low)}, {self.write_change(interval.high)}]"

    def write_change(self, value: float) -> str:
        """Format a difference of two values with its sign."""
        return self._format(value, signed=True)

    def _format(self, value: float, *, signed: bool) -> str:
        if self.form in {"share", "change"}:
            return percent(value, signed=signed, digits=1)
        if self.form == "score":
            return number(100 * value, signed=signed, digits=1)
        return number(value, signed=signed, digits=4)


_TERMS = (
    Term(
        "aiq",
        "AIQ",
        "Mean height of the frontier's concave hull over a linear cost axis, from the cheapest to the best single "
        "model's mean cost (RouterBench).",
    ),
    Term(
        "aiq_log",
        "AIQ-log",
        "Mean height of the step frontier over a logarithmic cost axis, same range; useful if prices differ by "
        "factors of ten and more.",
    ),
    Term("aiq_singles", "AIQ of singles", "AIQ of the single models' hull: the static mix, the line to beat."),
    Term(
        "aiq_gain",
        "AIQ gain",
        "AIQ less that of the single models. In brackets the null: the gain that shows without any knowledge of "
        "quality, because the frontier takes the best of many configurations on the test prompts themselves.",
        form="gain",
        null="aiq_null",
    ),
    Term(
        "aiq_null",
        "null of the AIQ gain",
        "The AIQ gain of a router that knows costs and each model's mean quality, with the outcomes of prompts "
        "permuted; mean over 40 permutations.",
        form="gain",
    ),
    Term(
        "perf_gain",
        "PerfGain",
        "Best quality on the frontier divided by the best single model's, minus 1 (LLMRouterBench). In brackets the "
        "null, as for the AIQ gain.",
        form="change",
        null="perf_gain_null",
    ),
    Term(
        "perf_gain_null",
        "null of PerfGain",
        "The PerfGain of a router that knows costs and each model's mean quality, with the outcomes of prompts "
        "permuted; mean over 40 permutations.",
        form="change",
    ),
    Term(
        "cost_save",
        "CostSave",
        "Share of the best single model's cost saved by the cheapest configuration with at least its quality, both "
        "found on test (LLMRouterBench).",
        form="share",
        may_not_be_reached=True,
    ),
    Term(
        "cost_save_95",
        "CostSave 95 %",
        "Share of the best single model's cost saved by the cheapest configuration with at least 95 % of its quality, "
        "both found on test.",
        form="share",
        may_not_be_reached=True,
    ),
    Term("auc", "AUC", "Area under the ROC curve of P(success), mean over models: how well prompts are ranked."),
    Term(
        "log_loss",
        "log-loss",
        "Mean negative log likelihood of the observed successes under P(success).",
        lower_is_better=True,
    ),
    Term("brier", "Brier", "Mean squared difference between P(success) and outcome.", lower_is_better=True),
    Term(
        "calibration_error",
        "ECE",
        "Expected calibration error: mean gap between predicted and observed success over 15 bins of equal mass.",
        lower_is_better=True,
    ),
    Term(
        "excess_calibration_error",
        "excess ECE",
        "Calibration error above what a perfectly calibrated predictor would show by chance.",
        lower_is_better=True,
    ),
    Term(
        "cost_error",
        "cost error",
        "Median absolute percentage error of the predicted cost.",
        form="share",
        lower_is_better=True,
    ),
    Term(
        "tokens_error",
        "token error",
        "Median absolute percentage error of the predicted output tokens.",
        form="share",
        lower_is_better=True,
    ),
    Term(
        "pareto_distance",
        "ParetoDist",
        "Mean distance of the configurations to the joint frontier of all methods, cost and quality scaled to 0..1 "
        "(LLMRouterBench).",
        lower_is_better=True,
    ),
    Term(
        "arena_score",
        "arena score",
        "RouterArena's score: accuracy and the logarithm of cost, 10 to 1 in favour of accuracy, 0 to 100.",
        form="score",
    ),
    Term(
        "apgr",
        "APGR",
        "Two models: share of the quality gap between weak and strong that is recovered, averaged over all shares of "
        "calls to the strong one (RouteLLM).",
    ),
    Term(
        "cpt_50",
        "CPT 50 %",
        "Two models: least share of calls to the strong one that recovers half of the quality gap (RouteLLM).",
        form="share",
        lower_is_better=True,
        may_not_be_reached=True,
    ),
    Term(
        "cpt_80",
        "CPT 80 %",
        "Two models: least share of calls to the strong one that recovers 80 % of the quality gap (RouteLLM).",
        form="share",
        lower_is_better=True,
        may_not_be_reached=True,
    ),
    Term(
        "chosen_saving",
        "saving",
        "Share of the best single model's cost saved on test by the configuration chosen on validation to have its "
        "quality.",
        form="share",
    ),
    Term(
        "chosen_quality_kept",
        "quality kept",
        "Quality on test of that configuration over the best single model's.",
        form="share",
    ),
    Term(
        "chosen_saving_95",
        "saving at 95 %",
        "Share of the best single model's cost saved on test by the configuration chosen on validation to have 95 % of "
        "its quality.",
        form="share",
    ),
    Term(
        "chosen_quality_kept_95",
        "quality kept at 95 %",
        "Quality on test of that configuration over the best single model's.",
        form="share",
    ),
    Term(
        "robustness",
        "robustness",
        "Share of reworded copies of test prompts (case, white space, typos, a polite template) that go to the model "
        "the prompt itself goes to, by the configuration chosen on validation (RouterArena). A method "
        "that sends every prompt to one model never flips.",
        form="share",
    ),
)

GLOSSARY: Mapping[str, Term] = {term.key: term for term in _TERMS}
"""Name of a metric in ``results.json`` -> what it is."""

HEADLINE = ("aiq", "aiq_log", "log_loss")
"""The metrics in which methods are compared, in sentences and with intervals."""
