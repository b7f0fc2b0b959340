"""Write the HTML report: one file with its figures embedded as SVG, which loads nothing from elsewhere.

The template escapes every text that comes from a table (model ids, tasks, titles). Figures are embedded as separate
images, so that no text in them can change the page.
"""

import base64
import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

try:
    import matplotlib as mpl
    from jinja2 import Environment, PackageLoader, StrictUndefined
except ImportError as exc:
    raise ImportError("the report needs jinja2 and matplotlib: pip install 'router-model[benchmark]'") from exc

from router_model.training.benchmark.glossary import GLOSSARY, HEADLINE
from router_model.training.benchmark.margins import is_shift, shift_summary
from router_model.training.benchmark.plots import (
    TaskSaving,
    decision_shares,
    frontiers,
    paired_differences,
    reliability_curves,
    savings_by_task,
    shift_by_task,
)
from router_model.training.benchmark.plots.shares import mean_shares
from router_model.training.benchmark.report import tables
from router_model.training.benchmark.results import Results
from router_model.training.benchmark.verdicts import by_kind, comparisons, ours, summary


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure ready for the page.

    Attributes
    ----------
    source : data URI of an SVG
    alternative : description of the figure in words
    """

    source: str
    alternative: str


def write_html(results: Results, path: Path, *, shift: Results | None = None) -> None:
    """Write the report.

    Parameters
    ----------
    results : results over seeds, or over tasks left out
    path : the file
    shift : results over tasks left out, shown in addition to `results`
    """
    path.write_text(render_html(results, shift=shift), encoding="utf-8")


def render_html(results: Results, *, shift: Results | None = None) -> str:
    """Return the report as one HTML document; see `write_html`."""
    environment = Environment(
        loader=PackageLoader("router_model.training.benchmark.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    context = _context(results, results if is_shift(results) else shift)
    return environment.get_template("template.html.j2").render(context)


def _context(results: Results, shift: Results | None) -> dict[str, Any]:
    two_models = tables.two_models(results)
    return {
        "title": results.title,
        "command": str(results.provenance.get("command", "")),
        "n_trials": len(results.trials),
        "trials": results.trials,
        "seconds": results.seconds,
        "summary": [*summary(results), *([] if shift is None else shift_summary(shift))],
        "best_on_test": tables.best_on_test(results),
        "chosen": tables.chosen_on_validation(results),
        "two_models": two_models,
        "differences": [
            (GLOSSARY[metric].label, tables.differences(results, metric))
            for metric in HEADLINE
            if comparisons(results, metric)
        ],
        "figures": _figures(results),
        "shift": None if shift is None else tables.shift(shift),
        "shift_figure": None if shift is None else _picture(shift_by_task(shift), _ALTERNATIVES["shift"]),
        "shift_is_all": shift is results,
        "leakage": list(tables.facts(results.leakage)),
        "not_run": results.not_run,
        "settings": _settings(results),
        "provenance": [fact for fact in tables.facts(results.provenance) if fact[0] != "command"],
        "terms": [GLOSSARY[key] for key in tables.present(results, tuple(GLOSSARY))],
    }


def _figures(results: Results) -> dict[str, Picture | None]:
    reference = ours(results)
    saving = None
    if reference is not None:
        saving = savings_by_task(TaskSaving.of_method(reference), title=f"{reference.name}, as chosen on validation")
    drawn = {
        "frontiers": frontiers(results),
        "differences": paired_differences(results),
        "reliability": reliability_curves(results),
        "savings": saving,
        "shares": decision_shares(
            {method.name: mean_shares(method) for method in by_kind(results.methods)},
            cheapest_first=_cheapest_first(results),
            emphasised="" if reference is None else reference.name,
        ),
    }
    return {name: _picture(figure, _ALTERNATIVES[name]) for name, figure in drawn.items()}


_ALTERNATIVES: Mapping[str, str] = {
    "frontiers": "Mean quality over mean cost for every method and single model, and the gain over the static mix",
    "differences": "Ours minus each rival with 95% intervals, in AIQ, AIQ-log and log-loss",
    "reliability": "Predicted against observed success for each method",
    "savings": "Cost saved and quality kept on each task",
    "shares": "Share of test prompts that each method sends to each model",
    "shift": "AIQ minus that of the static mix for each task left out and each method",
}


def _picture(figure: Any, alternative: str) -> Picture | None:
    """Embed a figure; equal figures give equal bytes."""
    if figure is None:
        return None
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "router-model"}), warnings.catch_warnings():
        # names in scripts that the font lacks are drawn as boxes; the tables show the names
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return Picture(f"data:image/svg+xml;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}", alternative)


def _cheapest_first(results: Results) -> list[str]:
    """Return the models by mean cost over trials."""
    cost: dict[str, float] = {}
    for trial in results.trials:
        for single in trial.singles:
            cost[single.model] = cost.get(single.model, 0.0) + single.cost_usd
    return sorted(cost, key=lambda model: cost[model])


def _settings(results: Results) -> list[tuple[str, str, str]]:
    """Return (method, trial, hyperparameters chosen on validation) for methods with hyperparameters."""
    return [
        (method.name, trial.trial, "; ".join(f"{name} {said}" for name, said in tables.facts(trial.settings)))
        for method in results.methods
        for trial in method.trials
        if trial.settings
    ]
