"""Put measured figures into the README: run after ``make quickstart >quickstart.log`` and ``make bench``.

``python docs/update_figures.py --quickstart quickstart.log --quality quality.json``. Replaces what stands between
the markers ``<!-- NAME -->`` and ``<!-- /NAME -->``; nothing there is typed by hand.
"""

import argparse
import json
import re
from pathlib import Path

import numpy as np

README = Path(__file__).parent.parent / "README.md"
COLUMNS = (
    ("AUC", "auc"),
    ("log-loss", "log_loss"),
    ("calibration error", "calibration_error"),
    ("AIQ", "aiq"),
    ("AIQ of single models", "aiq_singles"),
    ("cost saved at 95 % of the best model's quality", "cost_save_95"),
)


def main() -> None:
    """Rewrite the README's figures from the given files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quickstart", type=Path)
    parser.add_argument("--quality", type=Path)
    options = parser.parse_args()
    text = README.read_text(encoding="utf-8")
    if options.quickstart:
        text = put(text, "quickstart", f"```\n{quickstart(options.quickstart.read_text(encoding='utf-8'))}\n```")
    if options.quality:
        text = put(text, "quality", quality(json.loads(options.quality.read_text(encoding="utf-8"))))
    README.write_text(text, encoding="utf-8")


def put(text: str, name: str, content: str) -> str:
    """Replace what stands between the markers of `name`."""
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not pattern.search(text):
        raise SystemExit(f"README.md has no markers <!-- {name} --> and <!-- /{name} -->")
    return pattern.sub(lambda match: f"{match[1]}{content}\n{match[2]}", text)


def quickstart(log: str) -> str:
    """Keep what a newcomer sees, from the first command on."""
    start = log.find("1. Two outcome tables")
    lines = [line.rstrip() for line in log[max(start, 0) :].strip().splitlines()]
    return "\n".join(line for line in lines if not line.startswith(("make", "real", "user", "sys")))


def quality(results: dict[str, dict[str, list[float | None]]]) -> str:
    """Tabulate the means over seeds."""
    lines = [f"| table, encoder | {' | '.join(title for title, _ in COLUMNS)} |", "|---" * (len(COLUMNS) + 1) + "|"]
    for key, values in results.items():
        means = [np.mean([v for v in values[name] if v is not None]) for _, name in COLUMNS]
        cells = [
            f"{mean:.1%}" if "saved" in title else f"{mean:.3f}"
            for mean, (title, _) in zip(means, COLUMNS, strict=True)
        ]
        lines.append(f"| {key.replace('/', ', ')} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
