"""The border of the extension module: what does not fit together is refused before it is read."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from plain_router import by_numpy

from router_model.features import bag, grid, word_pieces
from router_model.features.request import FORM_NAMES
from router_model.prediction import amounts, calibration, evidence, kernel, uncertainty
from router_model.prediction.compiled import _native
from router_model.prediction.compiled.forest import MOST_LEAVES, forest_arrays
from router_model.prediction.compiled.layout import BLOCK, PANEL, predictor_arrays

HEADER = Path(_native.__file__).parent / "native" / "predictor.h"
CONSTANTS = {
    "N_WORD_PIECES": word_pieces.N_WORD_PIECES,
    "GRID_STEPS": grid.GRID_STEPS,
    "WEIGHT_STEPS": bag.WEIGHT_STEPS,
    "FORM_STEPS": kernel.FORM_STEPS,
    "MAX_DEVIATIONS": kernel.MAX_DEVIATIONS,
    "EXPONENT_STEPS": kernel.EXPONENT_STEPS,
    "LOW_BITS": kernel.LOW_BITS,
    "KERNEL_STEPS": kernel.KERNEL_STEPS,
    "FAMILIARITY_STEPS": evidence.FAMILIARITY_STEPS,
    "VALUE_STEPS": evidence.VALUE_STEPS,
    "P_FLOOR": calibration.P_FLOOR,
    "Z": uncertainty.Z,
    "LENGTH_EXPONENT": calibration.LENGTH_EXPONENT,
    "LOG_CHARS": FORM_NAMES.index("log_chars"),
    "LONGEST_LOG": amounts.LONGEST_LOG,
    "N_FAMILIARITY": len(evidence.FAMILIARITY),
    "N_QUANTILES": len(amounts.QUANTILES),
    "MOST_LEAVES": MOST_LEAVES,
    "PANEL": PANEL,
    "BLOCK": BLOCK,
}


@pytest.fixture(scope="module")
def parts(trained):
    predictor = by_numpy(trained.router).artifact.predictor
    forests = [_native.Forest(forest_arrays(predictor.boosters))]
    forests += [_native.Forest(forest_arrays(amount.boosters)) for amount in predictor.amounts.values()]
    return predictor_arrays(predictor), tuple(forests)


def test_constants_are_those_of_the_numpy_code():
    words = [line.split() for line in HEADER.read_text().splitlines() if line.startswith("#define")]
    found = {line[1]: float(line[2]) for line in words if line[1] in CONSTANTS}
    assert found == pytest.approx(CONSTANTS, rel=0, abs=0)


DAMAGE = {
    "missing": (
        lambda arrays: {name: each for name, each in arrays.items() if name != "idf"},
        "the array idf is missing",
    ),
    "type": (lambda arrays: arrays | {"idf": arrays["idf"].astype(float)}, "idf: got type 'd' and 1 axes"),
    "axes": (lambda arrays: arrays | {"bars": arrays["bars"][None]}, "bars: got type 'f' and 2 axes"),
    "size": (lambda arrays: arrays | {"idf": arrays["idf"][1:]}, "idf: axis 0 has size"),
    "layout": (lambda arrays: arrays | {"embeddings": np.asfortranarray(arrays["embeddings"])}, "not C-contiguous"),
    "prompt": (lambda arrays: arrays | {"prompt": arrays["prompt"] + 2**30}, "the lists of terms"),
    "start": (lambda arrays: arrays | {"start": arrays["start"][::-1].copy()}, "the lists of terms"),
    "common": (lambda arrays: arrays | {"common_row": arrays["common_row"] + 2**20}, "the lists of terms"),
    "kind": (lambda arrays: arrays | {"length_kind": np.array([99])}, "bars and targets"),
    "blocks": (
        lambda arrays: arrays | {"n_logged": arrays["n_logged"] + BLOCK},
        "the logged prompts in panels and blocks",
    ),
    "exponentials": (lambda arrays: arrays | {"exp_low": arrays["exp_low"][1:]}, "tables of exponentials"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_arrays_that_do_not_fit_together_are_refused(parts, kind):
    change, said = DAMAGE[kind]
    arrays, forests = parts
    with pytest.raises((ValueError, BufferError), match=said):
        _native.Predictor(change(dict(arrays)), forests, "baseline")


def test_forests_that_do_not_fit_are_refused(parts, trained):
    arrays, forests = parts
    with pytest.raises(ValueError, match="one for success, and one for each amount"):
        _native.Predictor(arrays, forests[:1], "baseline")
    trees = forest_arrays(trained.router.artifact.predictor.boosters)
    wide = _native.Forest(trees | {"column": trees["column"] + 10_000})
    with pytest.raises(ValueError, match="forests"):
        _native.Predictor(arrays, (wide, *forests[1:]), "baseline")
    with pytest.raises(ValueError, match="tests of shared inputs do not come first"):
        _native.Forest(trees | {"input": trees["input"] + 10_000})
    with pytest.raises(ValueError, match="tests of shared inputs do not come first"):
        _native.Forest(trees | {"n_shared": np.array([2])})
    with pytest.raises(ValueError, match="a column does not exist"):
        _native.Forest(trees | {"column": trees["column"] - 10_000})
    with pytest.raises(ValueError, match="where the tests of each tree begin"):
        _native.Forest(trees | {"first_test": trees["first_test"] + 1})


def test_prompts_that_do_not_fit_are_refused(parts):
    arrays, forests = parts
    native, n_surface = _native.Predictor(arrays, forests, "baseline"), len(arrays["centre"])
    pieces, starts = np.arange(3), np.array([0, 3])
    embedding, surface = np.zeros((1, 256), np.float32), np.zeros((1, n_surface), np.float32)
    out = np.zeros((1, arrays["bias"].size + 3), np.float32)
    native.evidence(pieces, starts, embedding, surface, out)
    with pytest.raises(ValueError, match="starts is not where the pieces"):
        native.evidence(pieces, starts + 1, embedding, surface, out)
    with pytest.raises(ValueError, match="the prompts' features, or the width of out"):
        native.evidence(pieces, starts, embedding, surface[:, 1:].copy(), out)
    with pytest.raises(ValueError, match="the prompts' features, or the width of out"):
        native.evidence(pieces, starts, embedding, surface, out[:, 1:].copy())
    with pytest.raises(ValueError, match="read-only|not writable"):
        native.evidence(pieces, starts, embedding, surface, np.frombuffer(out.tobytes(), np.float32)[None])
    with pytest.raises(ValueError, match="the bars to interpolate between"):
        native.predict(pieces, starts, embedding, surface, out, 99, 0, 0.0)


@pytest.mark.parametrize("processor", _native.PROCESSORS)
@pytest.mark.parametrize("weight", [32_767, -32_767])
def test_sums_of_the_largest_weights_and_kernel_values_are_exact(parts, processor, weight):
    """Every logged prompt has the kernel 1, which is 2**20 steps, and every weight the most steps: the mean is 1."""
    arrays, forests = dict(parts[0]), parts[1]
    n_rows = len(arrays["form_squares"])
    arrays["exp_high"] = np.full_like(arrays["exp_high"], kernel.KERNEL_STEPS)
    arrays["exp_low"] = np.ones_like(arrays["exp_low"])
    arrays["kernel_weights"] = np.full_like(arrays["kernel_weights"], weight)
    arrays["kernel_step"] = np.full_like(arrays["kernel_step"], 1 / (n_rows * kernel.KERNEL_STEPS * weight))
    arrays["bias"] = np.zeros_like(arrays["bias"])
    out = np.empty((1, arrays["bias"].size + 3), np.float32)
    native, surface = _native.Predictor(arrays, forests, processor), np.zeros((1, len(arrays["centre"])), np.float32)
    native.evidence(np.arange(3), np.array([0, 3]), np.zeros((1, 256), np.float32), surface, out)
    values = out[0, :-3].reshape(arrays["bias"].shape)
    assert (values[..., 2:] == 1).all()


def test_a_processor_that_is_not_here_is_refused(parts):
    with pytest.raises(ValueError, match="this processor does not have what 'z80' has"):
        _native.Predictor(*parts, "z80")


def test_without_the_module_numpy_decides_and_the_log_says_why(trained):
    code = (
        "import sys, logging; logging.basicConfig(); sys.modules['router_model.prediction.compiled._native'] = None\n"
        "from router_model import Router\n"
        f"router = Router.load({str(trained.path)!r})\n"
        "print(type(router.artifact.predictor).__name__, router.route('Prove that 17 is prime.').model)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == ["Predictor", trained.router.route("Prove that 17 is prime.").model]
    assert "the extension module was not built" in done.stderr
