"""The ids of the logged prompts that a router compares new prompts with and, only if asked for, their texts.

Prompts are often private, and an artifact is passed on more widely than the logs that it was learned from. So only ids
are stored by default. With an id, whoever has the logs can look the prompt up.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from router_model.errors import ArtifactError


@dataclass(frozen=True, slots=True)
class BankPrompts:
    """The prompts of the bank, in its order.

    Attributes
    ----------
    ids : n_bank ids of the training table
    texts : n_bank texts, or None if texts are not kept
    """

    ids: tuple[str, ...]
    texts: tuple[str, ...] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON types; a lone surrogate, which files cannot hold, becomes a question mark."""
        known = {"ids": self.ids} if self.texts is None else {"ids": self.ids, "texts": self.texts}
        return {name: [_storable(text) for text in texts] for name, texts in known.items()}

    @classmethod
    def from_dict(cls, content: object, *, n_bank: int, origin: str) -> "BankPrompts":
        """Read the result of `as_dict`.

        Parameters
        ----------
        n_bank : prompts in the bank
        origin : file to name in messages

        Raises
        ------
        ArtifactError
            If there is not exactly one id for each prompt of the bank, and one text for each or no texts at all.
        """
        if not isinstance(content, Mapping) or "ids" not in content or set(content) - {"ids", "texts"}:
            raise ArtifactError(f"{origin}: expected an object with 'ids' and perhaps 'texts'; train again")
        for name, values in content.items():
            if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
                raise ArtifactError(f"{origin}: {name!r} is not a list of strings; train again")
            if len(values) != n_bank:
                raise ArtifactError(
                    f"{origin}: {len(values)} {name} for {n_bank} prompts in the bank; expected one each, train again"
                )
        return cls(tuple(content["ids"]), tuple(content["texts"]) if "texts" in content else None)


def _storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
