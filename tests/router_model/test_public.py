import importlib
import importlib.metadata
import os
import re
import subprocess
import sys

import pytest

PUBLIC = {
    "features": [
        "N_WORD_PIECES", "SURFACE_NAMES", "BagVocabulary", "Encoder", "EncoderError", "FeatureError", "Prompt",
        "PromptError", "PromptLike", "TextBatch", "load_encoder", "surface_features", "tokenise",
    ],
    "router_model": [
        "ArtifactError", "BudgetPacer", "Catalog", "CatalogError", "Certificate", "Comparison", "Constraints",
        "Decision", "DriftReport", "Evaluation", "Exclusion", "Explanation", "LogEvaluation", "ModelCard",
        "NoCandidateError", "Outcomes", "Paced", "PacingBudget", "PlanStep", "PredictionTable", "QualityValue",
        "Reason", "RequestError", "Router", "RouterEstimator", "RouterModelError", "SpendCurve", "SuccessValue",
        "TableError", "TargetSuccess", "Tradeoff", "TrainConfig", "TrainingError", "TrainingReport", "UsageError",
        "compare", "evaluate", "evaluate_on_log", "load_or_train", "read_log", "read_outcomes", "report", "train",
        "watch", "worst_regrets",
    ],
    "serving": ["create_app"],
}  # fmt: skip


@pytest.mark.parametrize("package", PUBLIC)
def test_public_names_are_pinned_and_resolve(package):
    module = importlib.import_module(package)
    assert module.__all__ == PUBLIC[package]
    assert all(getattr(module, name) is not None for name in module.__all__)


def test_unknown_names_are_attribute_errors():
    import router_model

    with pytest.raises(AttributeError, match="has no attribute 'Nonsense'"):
        router_model.Nonsense  # noqa: B018


@pytest.mark.skipif(sys.platform != "linux", reason="GNU's OpenMP says what it has read")
@pytest.mark.parametrize(("given", "expected"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")])
def test_threads_sleep_while_they_wait_unless_the_user_says_otherwise(given, expected):
    """Of a program that loads LightGBM with the library; spinning, they take several times the processor's time."""
    own = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    code = "from router_model.serving.common.lean_imports import import_lightgbm_alone as alone; alone()"
    run = [sys.executable, "-c", code]
    shown = subprocess.run(run, env=own | given | {"OMP_DISPLAY_ENV": "TRUE"}, capture_output=True, check=True).stderr
    policies = re.findall(r"OMP_WAIT_POLICY = '(\w+)'", shown.decode())
    assert policies
    assert set(policies) == {expected}


def test_the_version_is_that_of_the_package():
    assert importlib.import_module("router_model").__version__ == importlib.metadata.version("router-model")
