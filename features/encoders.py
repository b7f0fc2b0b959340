"""Find an encoder by its name.

An artifact records the name and the content hash of its encoder. `load_encoder` loads the encoder, and the caller
compares the hash, so that a router never uses vectors of an encoder that it was not trained with.
"""

from router_model.features.encoder import Encoder


def load_encoder(name: str) -> Encoder:
    """Find an encoder by name.

    Parameters
    ----------
    name : str
        ``static`` (shipped, the default), ``minilm-int8`` (all-MiniLM-L6-v2 with weights of 8 bits, shipped),
        ``multilingual`` (16 languages), ``minilm`` (all-MiniLM-L6-v2), a folder with a sentence-transformers model,
        or the id of one on a model hub.

    Raises
    ------
    EncoderError
        If the model cannot be loaded; the message says what was tried.
    ImportError
        If the encoder needs the extra ``onnx``, ``multilingual`` or ``encoders``, and it is not installed.
    """
    # Imported here so that the static path loads neither ONNX Runtime nor torch.
    if name == "static":
        from router_model.features.static_encoder import StaticEncoder  # noqa: PLC0415

        return StaticEncoder.load()
    if name == "minilm-int8":
        from router_model.features.onnx_encoder import OnnxEncoder  # noqa: PLC0415

        return OnnxEncoder.load()
    if name == "multilingual":
        from router_model.features.multilingual_encoder import MultilingualEncoder  # noqa: PLC0415

        return MultilingualEncoder.load()
    from router_model.features.transformer_encoder import TransformerEncoder  # noqa: PLC0415

    return TransformerEncoder.load(name)
