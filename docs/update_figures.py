"""Put measured figures into the README and the documents; nothing between their markers is typed.

``python docs/update_figures.py --quickstart quickstart.log --results build/benchmark --proxy
build/bench-proxy/results.json``, after ``make quickstart >quickstart.log``, ``make benchmark`` and ``make
bench-proxy``. Replaces what stands between ``<!-- NAME -->`` and ``<!-- /NAME -->``.
"""

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from router_model.training.benchmark.glossary import GLOSSARY
from router_model.training.benchmark.margins import LEFT_OUT, by_margin, null_of, shift_summary
from router_model.training.benchmark.results import MethodResult, Results
from router_model.training.benchmark.verdicts import summary

DOCS = Path(__file__).parent
README = DOCS.parent / "README.md"
EXPLAINED = (
    "$ router-model train quickstart/train.parquet --out my-router --no-holdout --keep-prompts",
    (
        '$ router-model route my-router "Write a poem about autumn in the style of Keats." '
        "--success-value-usd 0.01 --explain"
    ),
)
COLUMNS = (
    "aiq",
    "aiq_gain",
    "aiq_log",
    "auc",
    "log_loss",
    "cost_save",
    "cost_save_95",
    "chosen_saving",
    "chosen_quality_kept",
)


def main() -> None:
    """Rewrite the figures from the given files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quickstart", type=Path)
    parser.add_argument("--explanation", type=Path, help="output of the commands in EXPLAINED, the last one's")
    parser.add_argument("--results", type=Path, help="folder with <table>/results.json and perhaps <table>/shift.json")
    parser.add_argument("--proxy", type=Path, help="results of tests/performance/bench_proxy.py")
    options = parser.parse_args()
    if options.quickstart:
        text = quickstart(options.quickstart.read_text(encoding="utf-8"))
        update(DOCS / "quickstart.md", "quickstart", f"```\n{text}\n```")
    if options.explanation:
        update(DOCS / "deciding.md", "explanation", explanation(options.explanation.read_text(encoding="utf-8")))
    if options.results:
        found = [Results.load(path) for path in sorted(options.results.glob("*/results.json"))]
        update(README, "quality", headline([results for results in found if whole(results)]))
        shifted = [Results.load(path) for path in sorted(options.results.glob("*/shift.json"))]
        sections = [section(results) for results in found] + [shift_section(results) for results in shifted]
        update(DOCS / "benchmark.md", "benchmark", "\n\n".join(sections))
    if options.proxy:
        update(DOCS / "speed.md", "proxy", proxy(json.loads(options.proxy.read_text(encoding="utf-8"))))


def proxy(document: dict[str, Any]) -> str:
    """Tabulate what gateways add to a call, with the setting it was measured in.

    Examples
    --------
    >>> setting = {"rounds": 3, "seconds": 5, "n_models": 13, "versions": {"litellm": "litellm==1"}, "not_run": {}}
    >>> rows = [["requests/s", "per_second"], ["added p50, ms", "added"]]
    >>> results = {"direct": {"per_second": 30000.0}, "ours": {"per_second": 812.3, "added": 1.234}}
    >>> print(proxy({"setting": setting, "rows": rows, "results": results}))
    | | direct | ours |
    |---|---|---|
    | requests/s | 30,000 | 812 |
    | added p50, ms | | 1.23 |
    <BLANKLINE>
    Medians of 3 rounds, 5 s a load; ours decides among 13 candidates. litellm: litellm==1.
    """
    results, setting = document["results"], document["setting"]
    lines = [f"| | {' | '.join(results)} |", "|---" * (len(results) + 1) + "|"]
    for label, key in document["rows"]:
        cells = [f" {_figure(figures[key])} |" if key in figures else " |" for figures in results.values()]
        lines.append(f"| {label} |{''.join(cells)}")
    said = f"Medians of {setting['rounds']} rounds, {setting['seconds']:g} s a load; ours decides among "
    said += f"{setting['n_models']} candidates. "
    said += "; ".join(f"{name}: {version}" for name, version in setting["versions"].items()) + "."
    not_run = [f"Not run: {name} ({reason})." for name, reason in setting["not_run"].items()]
    return "\n".join([*lines, "", " ".join([said, *not_run])])


_SHORT = 10  # figures below it get two decimals


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) or value >= _SHORT**2 else f"{value:.{1 if value >= _SHORT else 2}f}"


def update(path: Path, name: str, content: str) -> None:
    """Replace what stands between the markers of `name` in a file."""
    path.write_text(put(path.read_text(encoding="utf-8"), name, content), encoding="utf-8")


def put(text: str, name: str, content: str) -> str:
    """Replace what stands between the markers of `name`."""
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"there are no markers <!-- {name} --> and <!-- /{name} -->")
    return pattern.sub(lambda match: f"{match[1]}{content}\n{match[2]}", text)


def quickstart(log: str) -> str:
    """Keep what a newcomer sees, from the first command on."""
    start = log.find("1. No outcomes yet?")
    lines = [line.rstrip() for line in log[max(start, 0) :].strip().splitlines()]
    return "\n".join(line for line in lines if not line.startswith(("make", "real", "user", "sys")))


def explanation(output: str) -> str:
    """Keep the explanation of a decision, without the plan before it."""
    lines = [line.rstrip() for line in output[output.index("nearest logged prompts  ") :].strip().splitlines()]
    return "\n".join(["```", *EXPLAINED, "…", *lines, "```"])


def whole(results: Results) -> bool:
    """Whether a benchmark is of all models and prompts of its table."""
    setting = results.provenance["setting"]
    return not setting["models"] and setting["max_prompts"] is None


def headline(found: Sequence[Results]) -> str:
    """Tabulate what ours saves and keeps, and its AIQ beside the best rival's, a row a table."""
    gain = GLOSSARY["aiq_gain"].head
    lines = [f"| outcomes | saved | quality kept | AIQ | {gain} | best rival's | ours minus it |", "|---" * 7 + "|"]
    for results in found:
        ours = results.method("ours")
        if ours is None:
            continue
        rival = max((m for m in results.methods if m.kind in ("learned", "package")), key=lambda m: metric(m, "aiq"))
        cells = [
            results.title,
            cell(ours, "chosen_saving", results),
            cell(ours, "chosen_quality_kept", results),
            cell(ours, "aiq", results),
            cell(ours, "aiq_gain", results),
            f"{cell(rival, 'aiq', results)} ({rival.name})",
            GLOSSARY["aiq"].write_difference(rival.ours_minus["aiq"]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def section(results: Results) -> str:
    """Tabulate every method of a benchmark, with its verdicts and the command that makes it."""
    labels = " | ".join(GLOSSARY[name].head for name in COLUMNS)
    lines = [f"### {name_of(results)}{setting_of(results)}", "", f"| method | {labels} | ours minus it, AIQ |"]
    lines.append("|---" * (len(COLUMNS) + 2) + "|")
    for method in sorted(results.methods, key=lambda m: -metric(m, "aiq")):
        cells = [cell(method, name, results) for name in COLUMNS]
        difference = method.ours_minus.get("aiq")
        said = "" if difference is None else GLOSSARY["aiq"].write_difference(difference)
        lines.append(f"| {method.name} | {' | '.join(cells)} | {said} |")
    not_run = [f"Not run: {name} ({reason})." for name, reason in results.not_run.items()]
    return "\n".join([*lines, "", *(f"- {sentence}" for sentence in (*summary(results), *not_run))])


def shift_section(results: Results) -> str:
    """Say how every method does on tasks that were left out."""
    lines = [f"### {name_of(results)}, one task left out", ""]
    lines += ["AIQ less that of the static mix of single models, best found on the task itself:", ""]
    lines += ["| method | mean | null | least | on |", "|---|---|---|---|---|"]
    for method, margins in by_margin(results):
        worst = min(margins, key=lambda name: margins[name])
        mean = fmean(margins.values())
        null = GLOSSARY["aiq_null"].write(null_of(method))
        lines.append(
            f"| {method.name} | {mean:+.4f} | {null} | {margins[worst]:+.4f} | {worst.removesuffix(LEFT_OUT)} |"
        )
    of_ours = next((margins for method, margins in by_margin(results) if method.name == "ours"), {})
    tasks = "; ".join(f"{name.removesuffix(LEFT_OUT)} {margin:+.4f}" for name, margin in of_ours.items())
    lines += ["", f"Ours by task: {tasks}.", "", *(f"- {line}" for line in shift_summary(results))]
    return "\n".join(lines)


def name_of(results: Results) -> str:
    """Return the table's name, with its encoder."""
    return f"{results.title}, {results.provenance['encoder']['name']}"


def setting_of(results: Results) -> str:
    """Say what was left out of the table."""
    setting = results.provenance["setting"]
    models = f", {len(setting['models'])} models" if setting["models"] else ""
    prompts = f", {setting['max_prompts']} prompts to learn from" if setting["max_prompts"] else ""
    return models + prompts


def metric(method: MethodResult, name: str) -> float:
    """Return a metric's mean, -1 where it has none."""
    value = method.metrics[name].value
    return -1.0 if value is None else value


def cell(method: MethodResult, name: str, results: Results) -> str:
    """Write a metric's mean over trials, and beside a gain its null."""
    return GLOSSARY[name].write_beside_null(method.metrics, len(results.trials))


if __name__ == "__main__":
    main()
