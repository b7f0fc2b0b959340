"""Run routellm 0.2.0: its matrix factorisation, trained with its own loop on our vectors; its threshold is swept.

What was adapted, and why:

- The published router loads a checkpoint from a model hub. It was trained on vectors of OpenAI's embedding service and
  on other models, so it does not fit our vectors and models. The network may not be used here either. So the classes
  and the loop of its training script (`MFModel_Train`, `train_loops`) are trained on the table, with the settings of
  that script, on a CPU.
- `routellm.routers.similarity_weighted.utils` creates `OPENAI_CLIENT` on import and asks it for every embedding. Here
  `OPENAI_CLIENT` is an object that answers with our vectors. The module needs nothing else from the OpenAI, pandas and
  dataset packages, so these are not installed. `routellm.routers.routers` would import them for its other routers. Its
  class for the matrix factorisation router adds nothing to `MFModel.pred_win_rate`, so that function is called here.
- It knows a fixed list of models. Our two models are trained under the ids of its default pair. The strong one is the
  model with the higher mean quality on the training prompts.
- The model with the higher quality wins a battle. The training script drops ties; the package's BERT router counts them
  for the weak model. If both models often pass or fail together, most battles are ties. So both ways are tried, and
  validation chooses.
- Thresholds are quantiles of the win rates of the training prompts, as its `calibrate_threshold` sets them.
- A win rate is not a probability of success, so no probability is given.
"""

import json
import random
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch

STRONG, WEAK = "gpt-4-1106-preview", "mixtral-8x7b-instruct-v0.1"
# The settings of the package's training script.
DIM, BATCH_SIZE, N_EPOCHS, LEARNING_RATE, WEIGHT_DECAY, NOISE = 128, 64, 100, 3e-4, 1e-5, 0.1
TIES = ("dropped", "to the weak")
SHARES = np.linspace(0, 1, 101)


class OurVectors:
    """Replaces the OpenAI client; the "prompt" is a row number of a table of vectors."""

    def __init__(self) -> None:
        self.rows = np.empty((0, 0), dtype=np.float32)
        self.embeddings = self

    def create(self, input: list[str], model: str) -> Any:  # noqa: A002
        """Return the vectors of rows, in the shape of OpenAI's answer."""
        del model
        return SimpleNamespace(data=[SimpleNamespace(embedding=self.rows[int(row)]) for row in input])


OUR_VECTORS = OurVectors()
sys.modules["routellm.routers.similarity_weighted.utils"] = ModuleType("utils")
sys.modules["routellm.routers.similarity_weighted.utils"].OPENAI_CLIENT = OUR_VECTORS  # type: ignore[attr-defined]

from routellm.routers.matrix_factorization.model import MODEL_IDS, MFModel  # noqa: E402
from routellm.routers.matrix_factorization.train_matrix_factorization import (  # noqa: E402
    MFModel_Train,
    PairwiseDataset,
    train_loops,
)


def battles(strong: Any, weak: Any, ties: str) -> list[dict[str, Any]]:
    """Return the battles of prompts with both outcomes known, from qualities of shape (n,)."""
    winner = np.where(strong > weak, "model_a", np.where(strong < weak, "model_b", "tie"))
    if ties == "to the weak":
        winner[winner == "tie"] = "model_b"
    winner[np.isnan(strong) | np.isnan(weak)] = "unknown"
    fought = np.flatnonzero(np.isin(winner, ["model_a", "model_b"]))
    return [{"model_a": STRONG, "model_b": WEAK, "idx": int(i), "winner": str(winner[i])} for i in fought]


def train(folder: Path, fights: list[dict[str, Any]], shape: tuple[int, int], seed: int) -> MFModel:
    """Train as the package's script does, and load the result into the class that the package serves with."""
    random.seed(seed)
    torch.manual_seed(seed)
    n_prompts, text_dim = shape
    net = MFModel_Train(DIM, len(MODEL_IDS), n_prompts, text_dim=text_dim, npy_path=folder / "vectors.npy")
    batches = PairwiseDataset(fights).get_dataloaders(BATCH_SIZE)
    # The loop needs a second set (of at least two battles) to report on after every epoch. It does not learn from it.
    reported = PairwiseDataset((fights * 2)[:2]).get_dataloaders(2, shuffle=False)
    train_loops(net, batches, reported, LEARNING_RATE, WEIGHT_DECAY, NOISE, N_EPOCHS, device="cpu")
    served = MFModel(DIM, len(MODEL_IDS), text_dim, 1, use_proj=True)
    weights = {
        name.replace("text_proj.", "text_proj.0.").replace("classifier.", "classifier.0."): value
        for name, value in net.state_dict().items()
        if name != "Q.weight"
    }
    served.load_state_dict(weights)
    return served.eval()


def win_rates(model: MFModel, vectors: Any) -> Any:
    """Return the strong model's win rate of every prompt, shape (n,)."""
    OUR_VECTORS.rows = vectors
    return np.array([model.pred_win_rate(MODEL_IDS[STRONG], MODEL_IDS[WEAK], str(row)) for row in range(len(vectors))])


def main(folder: Path) -> None:
    """Answer the task in a folder."""
    started = time.perf_counter()
    task = dict(np.load(folder / "task.npz", allow_pickle=False))
    torch.set_num_threads(1)  # the layers are small, so more threads would only wait for each other
    vectors = {side: task[f"vectors_{side}"] for side in ("train", "validation", "test")}
    np.save(folder / "vectors.npy", vectors["train"])
    quality = task["quality_train"]
    strong = int(np.argmax(np.nanmean(quality, axis=0)))
    columns = np.array([1 - strong, strong])
    settings, decide_s = [], []
    arrays: dict[str, list[Any]] = {"choices_validation": [], "choices_test": []}
    for ties in TIES:
        fights = battles(quality[:, strong], quality[:, 1 - strong], ties)
        if not fights:
            continue
        model = train(folder, fights, vectors["train"].shape, int(task["seed"]))
        thresholds = np.append(1.0, np.quantile(win_rates(model, vectors["train"]), 1 - SHARES))[:, None]
        settings.append({"ties": ties})
        validation = win_rates(model, vectors["validation"])
        before = time.perf_counter()
        test = win_rates(model, vectors["test"])
        decide_s.append(time.perf_counter() - before)
        arrays["choices_validation"].append(columns[(validation >= thresholds).astype(int)])
        arrays["choices_test"].append(columns[(test >= thresholds).astype(int)])
    if not settings:
        raise SystemExit("it learns from prompts that one model answers better than the other; there are 0")
    fit_s = time.perf_counter() - started - sum(decide_s)
    stacked: dict[str, Any] = {name: np.array(parts) for name, parts in arrays.items()}
    np.savez(folder / "answer.npz", **stacked)
    report = {"settings": settings, "fit_s": fit_s, "decide_s": decide_s}
    (folder / "answer.json").write_text(json.dumps(report), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
