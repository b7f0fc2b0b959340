"""An encoder that costs nothing and remembers what it was asked; it imports little, for processes of their own."""

import hashlib
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Counting:
    """Makes a vector of a text's digest, and remembers what it was asked."""

    name: str = "counting"
    dimension: int = 8
    content_hash: str = "sha256:1"
    asked: list = field(default_factory=list)
    fails_after: int = 10**9

    def encode(self, batch):
        if len(self.asked) + len(batch) > self.fails_after:
            raise KeyboardInterrupt
        self.asked += batch.texts
        digests = [hashlib.sha256(f"{self.content_hash} {text}".encode()).digest() for text in batch.texts]
        vectors = np.array([list(digest[: self.dimension]) for digest in digests], np.float32)
        return vectors.reshape(-1, self.dimension) / np.linalg.norm(vectors, axis=-1, keepdims=True)
