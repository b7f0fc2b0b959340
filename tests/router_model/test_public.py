import importlib

import pytest

PUBLIC = {
    "features": [
        "N_WORD_PIECES", "SURFACE_NAMES", "BagVocabulary", "Encoder", "EncoderError", "FeatureError", "Prompt",
        "PromptError", "PromptLike", "TextBatch", "load_encoder", "surface_features", "tokenise",
    ],
    "router_model": [
        "ArtifactError", "BudgetPacer", "Catalog", "CatalogError", "Certificate", "Constraints", "Decision",
        "Exclusion", "Explanation", "ModelCard", "NoCandidateError", "Paced", "PacingBudget", "PlanStep",
        "PredictionTable", "Reason", "RequestError", "Router", "RouterModelError", "SpendCurve", "TableError",
        "TrainingError", "UsageError",
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
