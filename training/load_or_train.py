"""Train once: load the router that was trained from the same table with the same settings, if it is there."""

import json
from dataclasses import asdict
from pathlib import Path

from router_model.router import Router
from router_model.saved.artifact import MANIFEST, Artifact, load_artifact
from router_model.training.table.frames import Table, sha256_of
from router_model.training.train import TrainConfig, installed_versions, train


def load_or_train(table: Table, out: str | Path, *, config: TrainConfig | None = None) -> Router:
    """Return the router at `out`, which is trained and saved first unless it is the same already.

    It is the same if its table, its settings, and the versions of what trained it are the same.

    Parameters
    ----------
    table : as for `router_model.training.train.train`
    out : folder of the artifact; another router there is replaced

    Raises
    ------
    TableError, TrainingError, CatalogError, ArtifactError
    """
    config = config or TrainConfig()
    if (Path(out) / MANIFEST).is_file():
        known = load_artifact(out)
        if _is_of(known, table, config):
            return Router.load(out)
    return train(table, out, config=config, accept_moves=True).router


def _is_of(artifact: Artifact, table: Table, config: TrainConfig) -> bool:
    stored = artifact.provenance
    return (
        stored.get("table", {}).get("sha256") == sha256_of(table)
        and stored.get("config") == json.loads(json.dumps(asdict(config)))
        and not stored.get("changes")
        and dict(artifact.versions) == installed_versions()
    )
