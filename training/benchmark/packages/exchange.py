"""The files that we exchange with the process of a published package: arrays in a folder, no code.

``task.npz`` holds ``vectors_train``, ``vectors_validation`` and ``vectors_test`` of shape (n, d), ``quality_*``,
``success_*`` and ``cost_*`` (USD) of train and validation of shape (n, m) with NaN where unknown, ``values`` (USD that
a success is worth, ascending from 0: for knobs in that unit) and ``seed``. It does not hold outcomes of test prompts.

``answer.npz`` holds ``choices_validation`` and ``choices_test`` of shape (v, c, n): the chosen column for v variants of
hyperparameters and c configurations. If the package predicts probabilities, it also holds ``p_success_validation`` and
``p_success_test`` of shape (v, n, m). ``answer.json`` holds ``settings`` (v objects), ``fit_s`` (seconds to fit all
variants) and ``decide_s`` (v numbers: seconds to decide the test prompts).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from router_model.training.benchmark.method import Choices, MethodUnavailableError, Routing, sweep_values
from router_model.training.benchmark.trial import Trial

_SIDES = ("validation", "test")


@dataclass(frozen=True, slots=True)
class Variant:
    """The answers of a package with one variant of its hyperparameters.

    Attributes
    ----------
    validation, test : Routing
    settings : hyperparameter -> value
    fit_s : float
        Seconds to learn all variants.
    decide_s : float
        Seconds to answer the test prompts with this variant.
    """

    validation: Routing
    test: Routing
    settings: Mapping[str, float | int | str]
    fit_s: float
    decide_s: float


def write_task(folder: Path, trial: Trial) -> None:
    """Write the data of a trial that a package may use."""
    arrays: dict[str, npt.NDArray[Any]] = {
        "values": np.array(sweep_values(trial)),
        "seed": np.array(trial.seed),
        "vectors_test": trial.test.features.embedding,
    }
    for name, side in (("train", trial.train), ("validation", trial.validation)):
        arrays[f"vectors_{name}"] = side.features.embedding
        arrays[f"quality_{name}"] = side.quality.astype(np.float64)
        arrays[f"success_{name}"] = side.success
        arrays[f"cost_{name}"] = side.cost_usd
    np.savez(folder / "task.npz", allow_pickle=False, **arrays)


def read_answer(folder: Path, trial: Trial) -> list[Variant]:
    """Read the answer of a package, and check every shape and value.

    Raises
    ------
    MethodUnavailableError
        If the answer is missing, is not readable, or does not fit the trial.
    """
    arrays, report = _load(folder)
    settings, decide_s = report.get("settings"), report.get("decide_s")
    if not isinstance(settings, list) or not isinstance(decide_s, list) or not settings:
        _refuse("answer.json has no list 'settings' or 'decide_s'")
    if len(settings) != len(decide_s):
        _refuse(f"answer.json has {len(settings)} settings and {len(decide_s)} decide_s")
    if not isinstance(report.get("fit_s"), int | float):
        _refuse("answer.json has no number 'fit_s'")
    n_prompts = {"validation": len(trial.validation), "test": len(trial.test)}
    choices = {side: _choices(arrays, side, (len(settings), n_prompts[side]), len(trial.models)) for side in _SIDES}
    if choices["validation"].shape[1] != choices["test"].shape[1]:
        counts = {side: choices[side].shape[1] for side in _SIDES}
        _refuse(f"the configurations must be the same on both sides; got {counts}")
    shape = {side: (len(settings), n_prompts[side], len(trial.models)) for side in _SIDES}
    p_success = {side: _probabilities(arrays, side, shape[side]) for side in _SIDES}
    routing = {
        side: [Routing(chosen, p_success=p) for chosen, p in zip(choices[side], p_success[side], strict=True)]
        for side in _SIDES
    }
    return [
        Variant(validation, test, dict(setting), float(report["fit_s"]), float(seconds))
        for validation, test, setting, seconds in zip(
            routing["validation"], routing["test"], settings, decide_s, strict=True
        )
    ]


def _load(folder: Path) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    try:
        with np.load(folder / "answer.npz", allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        report = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise MethodUnavailableError(f"its process ended without writing {Path(exc.filename).name}") from exc
    except (OSError, ValueError) as exc:
        raise MethodUnavailableError(f"its answer cannot be read ({exc})") from exc
    if not isinstance(report, dict):
        _refuse(f"answer.json holds a {type(report).__name__}, expected an object")
    return arrays, report


def _choices(arrays: Mapping[str, npt.NDArray[Any]], side: str, known: tuple[int, int], n_models: int) -> Choices:
    name = f"choices_{side}"
    if name not in arrays:
        _refuse(f"answer.npz has no {name!r}")
    array = arrays[name]
    if array.ndim != 3 or (array.shape[0], array.shape[2]) != known or array.shape[1] == 0:  # noqa: PLR2004
        _refuse(f"{name!r} has shape {array.shape}, expected ({known[0]}, configurations, {known[1]})")
    if not np.issubdtype(array.dtype, np.integer) or array.min(initial=0) < 0 or array.max(initial=0) >= n_models:
        _refuse(
            f"{name!r} must hold whole numbers from 0 to {n_models - 1}; it holds {array.dtype} values to {array.max()}"
        )
    return array.astype(np.intp)


def _probabilities(
    arrays: Mapping[str, npt.NDArray[Any]], side: str, shape: tuple[int, int, int]
) -> list[npt.NDArray[np.float64] | None]:
    name = f"p_success_{side}"
    if name not in arrays:
        return [None] * shape[0]
    array = arrays[name]
    if array.shape != shape:
        _refuse(f"{name!r} has shape {array.shape}, expected {shape}")
    if not (np.isfinite(array) & (array >= 0) & (array <= 1)).all():
        _refuse(f"{name!r} has values outside [0, 1]")
    return list(array.astype(np.float64))


def _refuse(problem: str) -> NoReturn:
    raise MethodUnavailableError(f"its answer does not fit: {problem}")
