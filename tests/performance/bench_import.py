"""Memory and speed of an import: writes a JSONL file of the given size, imports it and reports.

``bench_import.py --gigabytes 5``. Rows of about 1.8 kB, eight models a prompt, some of it not ASCII.
"""

import argparse
import json
import random
import resource
import tempfile
import time
from pathlib import Path

from router_model.training.importing import import_sources

WORDS = [f"word{i}" for i in range(5000)] + ["naïve", "数学", "привет", "λ", "😀"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=1.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "logs.jsonl"
        write(source, int(options.gigabytes * 1e9))
        before = peak_mb()
        started = time.perf_counter()
        report = import_sources([source], Path(folder) / "table.parquet")
        seconds = time.perf_counter() - started
    print(
        f"{options.gigabytes:g} GB, {report.n_rows:,} rows: {seconds:.0f} s, {report.n_rows / seconds:,.0f} rows/s, "
        f"peak memory {peak_mb():.0f} MB ({before:.0f} MB before the import)"
    )


def write(path: Path, n_bytes: int) -> None:
    """Write rows until the file has `n_bytes`."""
    rng = random.Random(0)
    texts = [" ".join(rng.choices(WORDS, k=220)) for _ in range(500)]
    prompt = written = 0
    with path.open("w", encoding="utf-8") as file:
        while written < n_bytes:
            text = f"{prompt} {texts[prompt % len(texts)]}"
            for model in range(8):
                row = {
                    "prompt": text,
                    "model": f"vendor/model-{model}",
                    "quality": rng.random(),
                    "input_tokens": 300,
                    "output_tokens": rng.randrange(2000),
                    "cost_usd": 0.001 * rng.random(),
                    "timestamp": "2026-01-31T09:30:00Z",
                    "request": f"r{prompt}-{model}",
                }
                written += file.write(json.dumps(row, ensure_ascii=False) + "\n")
            prompt += 1


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
