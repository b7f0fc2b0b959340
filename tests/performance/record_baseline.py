"""Record what `make guard` compares with: our method's metrics, and what they were measured on."""

import sys
from dataclasses import replace
from pathlib import Path

from router_model.training.benchmark.guard import MARGINS
from router_model.training.benchmark.results import Results

results = Results.load(Path(sys.argv[1]))
(ours,) = (method for method in results.methods if method.name == "ours")
ours = replace(ours, trials=(), metrics={name: ours.metrics[name] for name in MARGINS}, ours_minus={})
recorded = replace(results, leakage={}, trials=(), methods=(ours,), not_run={})
recorded.save(Path(__file__).with_name("baseline.json"))
