"""Build the static encoder's table and tokeniser from all-MiniLM-L6-v2.

Run ``python scripts/static_table.py`` (extra ``encoders``); it writes the two files in
``features/assets``. Each word piece goes through the transformer alone, ``[CLS] piece [SEP]``, and its mean output is
its vector (model2vec's distillation). PCA keeps `DIMENSION` components; a smooth inverse frequency weight a / (a + p)
(Arora, Liang & Ma 2017, a = 1e-4) makes common pieces count less, with p from Zipf's law over the vocabulary's order,
which is by frequency.
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file

from router_model.features.transformer_encoder import minilm_source
from router_model.features.word_pieces import N_WORD_PIECES

DIMENSION = 256
SIF_A = 1e-4
_CLS, _SEP = 101, 102
_BATCH = 2048

FloatArray = npt.NDArray[np.float32]


def main() -> None:
    """Write ``static_table.safetensors`` and ``word_pieces.json``."""
    parser = argparse.ArgumentParser(description="Build the static encoder from all-MiniLM-L6-v2.")
    default = Path(__file__).parent.parent / "features" / "assets"
    parser.add_argument("--out", type=Path, default=default, help="folder for the two files")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    source = minilm_source()
    table, scale = quantise(weigh(reduce(piece_vectors(source), DIMENSION)))
    save_file({"table": table, "scale": scale}, out / "static_table.safetensors")
    write_tokeniser(source, out / "word_pieces.json")


def piece_vectors(source: str) -> FloatArray:
    """Return the mean output of the transformer for each word piece alone, (N_WORD_PIECES, 384)."""
    import torch  # noqa: PLC0415  (extra encoders)
    from transformers import AutoModel  # noqa: PLC0415

    model = AutoModel.from_pretrained(source).eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, N_WORD_PIECES, _BATCH):
            ids = torch.arange(start, min(N_WORD_PIECES, start + _BATCH))
            tokens = torch.stack([torch.full_like(ids, _CLS), ids, torch.full_like(ids, _SEP)], dim=1)
            hidden = model(input_ids=tokens, attention_mask=torch.ones_like(tokens)).last_hidden_state
            parts.append(hidden.mean(dim=1).numpy())
    return np.concatenate(parts).astype(np.float32)


def reduce(vectors: FloatArray, dimension: int) -> FloatArray:
    """Project onto the first principal components, (n, dimension)."""
    centred = vectors - vectors.mean(axis=0)
    components = np.linalg.svd(centred, full_matrices=False)[2][:dimension]
    return np.asarray(centred @ components.T, dtype=np.float32)


def weigh(vectors: FloatArray) -> FloatArray:
    """Scale each row by its smooth inverse frequency."""
    probability = 1 / np.arange(2, len(vectors) + 2)
    probability /= probability.sum()
    return np.asarray(vectors * (SIF_A / (SIF_A + probability))[:, None], dtype=np.float32)


def quantise(vectors: FloatArray) -> tuple[npt.NDArray[np.int8], FloatArray]:
    """Round each row to int8 with one scale, so that ``table * scale`` is the row to within scale / 2.

    >>> table, scale = quantise(np.array([[-2.0, 1.0], [0.0, 0.0]], dtype=np.float32))
    >>> table.tolist()
    [[-127, 64], [0, 0]]
    """
    scale = (np.abs(vectors).max(axis=1) / 127).astype(np.float32)
    divisor = np.where(scale > 0, scale, 1)
    return np.rint(vectors / divisor[:, None]).astype(np.int8), scale


def write_tokeniser(source: str, path: Path) -> None:
    """Copy the tokeniser without truncation and padding, as compact JSON."""
    content = json.loads((Path(source) / "tokenizer.json").read_text(encoding="utf-8"))
    content["truncation"] = content["padding"] = None
    path.write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")


if __name__ == "__main__":
    main()
