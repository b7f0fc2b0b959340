"""Results of a benchmark that was never run: 14 methods, 3 trials, 14 tasks, gaps and nasty names."""

from dataclasses import replace

import numpy as np

from router_model.training.benchmark.results import (
    Curve,
    Interval,
    MethodResult,
    MethodTrial,
    Realised,
    Results,
    SingleModel,
    TrialInfo,
)

LONG_MODEL = "some-provider/a-model-with-an-id-of-sixty-characters-2026-11"
NASTY_MODEL = "<script>alert('model')</script>"
NASTY_TASK = '<b onclick=alert(1)>law & "order"</b>'
NASTY_TITLE = "<img src=x onerror=alert(2)>.parquet"
NASTY = (NASTY_MODEL, NASTY_TASK, NASTY_TITLE, "<script>", "<img", "<b ")
MODELS = (
    "openai/gpt-5", "anthropic/claude-opus-4", "google/gemini-2.5-pro", LONG_MODEL, "$cheap$_model", NASTY_MODEL,
    "_hidden/llama-3.1-405b", "meta/llama-3.1-70b", "mistral/mistral-large", "qwen/qwen-2.5-72b", "qwen/qwen-2.5-7b",
    "meta/llama-3.1-8b", "google/gemma-2-9b",
)  # fmt: skip
TASKS = (
    "biology", "business", "chemistry", "computer science", "economics", "engineering", "health", "history", NASTY_TASK,
    "math", "other", "philosophy", "physics", "psychology",
)  # fmt: skip
METHODS = (  # name, kind, skill in AIQ above the singles' hull, log-loss or None
    ("cheapest", "simple", -0.25, 0.652),
    ("best single", "simple", -0.03, 0.652),
    ("random mix", "simple", -0.06, 0.652),
    ("oracle", "bound", 0.24, 0.010),
    ("oracle by task", "bound", 0.02, 0.010),
    ("k-means clusters", "learned", 0.0132, 0.616),
    ("kNN 100", "learned", 0.0152, 0.607),
    ("kNN 40 + cost", "learned", 0.0142, 0.610),
    ("ridge + cost", "learned", 0.0086, 0.609),
    ("matrix factorisation", "learned", 0.0110, 0.604),
    ("MLP + cost", "learned", 0.0120, 0.5905),
    ("LightGBM per model + cost", "learned", 0.0109, 0.600),
    ("paretobandit", "package", 0.0050, None),
    ("ours", "ours", 0.0199, 0.5885),
)
_COSTS = np.geomspace(0.03, 0.00004, len(MODELS))
_QUALITIES = np.array([0.74, 0.745, 0.72, 0.70, 0.45, 0.66, 0.68, 0.63, 0.61, 0.60, 0.47, 0.42, 0.49])
_HULL = 0.667


def fake_results(*, shift: bool = False, two_models: bool = False) -> Results:
    """Make results of three seeds, or of one trial for each task left out."""
    rng = np.random.default_rng(7)
    names = [f"{task} left out" for task in TASKS] if shift else ["seed 0", "seed 1", "seed 2"]
    methods = [_method(*method, trials=names, rng=rng, two_models=two_models) for method in METHODS]
    return Results(
        title=NASTY_TITLE,
        provenance={
            "command": "router-model benchmark outcomes.parquet --seeds 3 --out report",
            "table": {"sha256": "5e" * 32, "n_prompts": 12002, "n_models": len(MODELS)},
            "setting": {"encoder": "static", "seeds": [0, 1, 2], "quality_bar": 0.5, "resamples": 1000},
            "versions": {"router-model": "0.1.0", "numpy": "2.4.0"},
        },
        leakage={"summary": "1.2% of test prompts have a twin: near duplicates 41", "left_out": False},
        trials=tuple(_trial(name, rng) for name in names),
        methods=tuple(_compared(method, methods[-1]) for method in methods),
        not_run={"routellm": "needs two models, this table has 13", "argrouter": f"could not read {NASTY_MODEL}"},
        seconds=512.4,
    )


def _trial(name: str, rng: np.random.Generator) -> TrialInfo:
    noise = rng.normal(0, 0.004, len(MODELS))
    order = np.argsort(-(_QUALITIES + noise))
    singles = tuple(
        SingleModel(MODELS[i], float(_COSTS[i]), float(_QUALITIES[i] + noise[i]), float(_QUALITIES[i] + noise[i]))
        for i in order
    )
    return TrialInfo(name, 7200, 1200, 3600, singles)


def _method(
    name: str,
    kind: str,
    skill: float,
    log_loss: float | None,
    *,
    trials: list[str],
    rng: np.random.Generator,
    two_models: bool,
) -> MethodResult:
    made = tuple(_method_trial(name, trial, skill, log_loss, rng, two_models=two_models) for trial in trials)
    metrics = {}
    for metric in made[0].metrics:
        values = [value for trial in made if (value := trial.metrics[metric]) is not None]
        middle = float(np.mean(values)) if values else None
        low, high = (None, None) if middle is None else (middle - 0.004, middle + 0.004)
        metrics[metric] = Interval(middle, low, high, len(values))
    return MethodResult(name, kind, "a paper & a <package>", "value of a success", made, metrics)


def _compared(method: MethodResult, reference: MethodResult) -> MethodResult:
    """Add (ours - this method); `paretobandit` was not resampled."""
    if method is reference:
        return method
    found = {}
    for metric in ("aiq", "aiq_log", "log_loss"):
        own, theirs = reference.metrics[metric].value, method.metrics[metric].value
        difference = None if own is None or theirs is None else own - theirs
        known = difference is not None and method.name != "paretobandit"
        low, high = (difference - 0.0055, difference + 0.0055) if known else (None, None)
        found[metric] = Interval(difference, low, high, 0 if difference is None else 3)
    return replace(method, ours_minus=found)


def _method_trial(
    name: str, trial: str, skill: float, log_loss: float | None, rng: np.random.Generator, *, two_models: bool
) -> MethodTrial:
    one = name in ("cheapest", "best single")
    jitter = float(rng.normal(0, 0.0015))
    reached = name in ("ours", "oracle", "kNN 100") or (name == "ridge + cost" and trial != "seed 1")
    metrics: dict[str, float | None] = {
        "aiq": _HULL + skill + jitter,
        "aiq_log": _HULL - 0.052 + skill + jitter + (0.015 if name == "kNN 40 + cost" else 0),
        "aiq_singles": _HULL,
        "aiq_gain": skill + jitter,
        "aiq_null": 0.0018,
        "perf_gain": None if one else skill + jitter,
        "perf_gain_null": None if one else 0.0005,
        "cost_save": 0.2 + 5 * skill + jitter if reached else None,
        "cost_save_95": None if name == "cheapest" else 0.6 + 5 * skill,
        "auc": None if log_loss is None else 1.3 - log_loss,
        "log_loss": None if log_loss is None else log_loss + jitter,
        "brier": None if log_loss is None else log_loss / 3,
        "calibration_error": None if log_loss is None else 0.012 + abs(jitter),
        "excess_calibration_error": None if log_loss is None else 0.003 + abs(jitter),
        "cost_error": 0.31 if "cost" in name or name == "ours" else None,
        "tokens_error": 0.28 if name == "ours" else None,
        "pareto_distance": 0.05 - skill / 10,
        "arena_score": 0.7 + skill,
        "apgr": 0.5 + 5 * skill if two_models else None,
        "cpt_50": 0.4 - skill if two_models else None,
        "cpt_80": 0.7 - skill if two_models else None,
        "chosen_saving": 0.3 + 4 * skill + jitter,
        "chosen_quality_kept": 0.985 + skill / 2 + jitter,
        "chosen_saving_95": 0.6 + 4 * skill + jitter,
        "chosen_quality_kept_95": 0.95 + skill / 2 + jitter,
        "robustness": 0.9,
    }
    tasks = (trial.removesuffix(" left out"),) if trial.endswith(" left out") else TASKS
    return MethodTrial(
        trial=trial,
        settings={"alpha": 2.5} if "ridge" in name else {},
        fit_s=12.5,
        decide_ms=0.41,
        metrics=metrics,
        frontier=_frontier(skill, rng, one=one, cheapest=name == "cheapest"),
        reliability=None if log_loss is None or one else _reliability(rng),
        chosen=_realised(3600, skill, rng),
        by_task={task: _realised(3600 // len(TASKS) + 7 * i, skill, rng) for i, task in enumerate(tasks)},
        shares=_shares(name, rng),
        auc_by_model={} if log_loss is None else dict.fromkeys(MODELS, 1.3 - log_loss),
        log_loss_by_task={} if log_loss is None else dict.fromkeys(tasks, log_loss),
    )


def _frontier(skill: float, rng: np.random.Generator, *, one: bool, cheapest: bool) -> Curve:
    if one:
        at = -1 if cheapest else 1
        return Curve((float(_COSTS[at]),), (float(_QUALITIES[at]),))
    share = np.linspace(0, 1, 25)
    cost = _COSTS[-1] * (_COSTS[0] / _COSTS[-1]) ** share * 10 ** rng.normal(0, 0.02)
    quality = np.maximum.accumulate(0.49 + 0.26 * share**0.8 + 1.5 * skill * share**0.5 + rng.normal(0, 0.001, 25))
    return Curve(tuple(cost.tolist()), tuple(quality.tolist()))


def _reliability(rng: np.random.Generator) -> Curve:
    predicted = np.linspace(0.05, 0.97, 15)
    observed = np.clip(predicted + rng.normal(0, 0.015, 15), 0, 1)
    return Curve(tuple(predicted.tolist()), tuple(observed.tolist()), tuple(rng.integers(3000, 3300, 15).tolist()))


def _realised(n_prompts: int, skill: float, rng: np.random.Generator) -> Realised:
    saving = float(np.clip(0.3 + 4 * skill + rng.normal(0, 0.15), -1.4, 0.99))
    kept = float(1 + skill / 2 + rng.normal(0, 0.02))
    return Realised(n_prompts, 0.03 * (1 - saving), 0.745 * kept, 0.745 * kept, saving, kept)


def _shares(name: str, rng: np.random.Generator) -> dict[str, float]:
    if name in ("cheapest", "best single"):
        return {model: float(model == MODELS[-1 if name == "cheapest" else 1]) for model in MODELS}
    weights = rng.dirichlet(np.full(len(MODELS), 0.6))
    return dict(zip(MODELS, weights.tolist(), strict=True))
