"""Export MiniLM for ONNX Runtime, with weights of 8 bits: ``features/assets/minilm_int8.onnx``.

``make encoders`` installs what it needs; then ``python scripts/minilm_int8.py`` writes the file. It is dynamic
quantisation as ONNX Runtime does it: weights are int8 with one scale for each column, activations are uint8 with one
scale for each product. Two choices differ from the defaults (docs/decisions/0065):

- The second product of each feed-forward block stays in float32. Its input has outliers, so that 8 bits lose the most
  there.
- Weights use 7 of their 8 bits. Processors without VNNI add pairs of products in 16 bits, which would overflow, and
  then vectors would depend on the processor.

The graph takes the word pieces of one text, with the special pieces, and returns the mean of the last hidden states.
"""

import tempfile
import warnings
from pathlib import Path

import onnx
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from transformers import AutoModel, PreTrainedModel

from router_model.features.transformer_encoder import minilm_source

ASSET = Path(__file__).parents[1] / "features/assets/minilm_int8.onnx"
OPSET = 17
_EXAMPLE = 16  # pieces; any number, as the length is a free dimension of the graph


class MeanOfPieces(torch.nn.Module):  # type: ignore[misc]  # torch is not looked into
    """MiniLM and the mean over pieces, for a single text without padding."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, pieces: torch.Tensor) -> torch.Tensor:
        """Return shape (1, 384) for pieces of shape (1, n)."""
        hidden = self.model(
            input_ids=pieces, attention_mask=torch.ones_like(pieces), token_type_ids=torch.zeros_like(pieces)
        )
        return torch.mean(hidden.last_hidden_state, dim=1)


def export(source: str, path: Path) -> None:
    """Write MiniLM of a folder as an ONNX file of float32."""
    model = AutoModel.from_pretrained(source, attn_implementation="eager").eval()
    example = torch.ones((1, _EXAMPLE), dtype=torch.long)
    with torch.no_grad(), warnings.catch_warnings():
        # The exporter by tracing warns that it is the older one, and of branches that do not depend on the pieces.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            MeanOfPieces(model),
            (example,),
            path,
            input_names=["pieces"],
            output_names=["vector"],
            dynamic_axes={"pieces": {1: "n_pieces"}},
            opset_version=OPSET,
            dynamo=False,
        )


def quantise(source: Path, path: Path) -> None:
    """Write an ONNX file with weights of 8 bits, from one of float32."""
    kept = [node.name for node in onnx.load(source).graph.node if _has_outliers(node.name)]
    quantize_dynamic(
        source,
        path,
        per_channel=True,
        reduce_range=True,
        weight_type=QuantType.QInt8,
        nodes_to_exclude=kept,
        extra_options={"MatMulConstBOnly": True},
    )


def _has_outliers(name: str) -> bool:
    return name.endswith("/output/dense/MatMul") and "/attention/" not in name


def main(path: Path = ASSET) -> None:
    """Export, quantise and write the asset."""
    with tempfile.TemporaryDirectory() as folder:
        full = Path(folder) / "minilm.onnx"
        export(minilm_source(), full)
        quantise(full, path)


if __name__ == "__main__":
    main()
