"""A booster as an artifact holds it: LightGBM's text, which LightGBM itself reads only where it is needed.

A service never needs it: compiled code predicts from the trees, and an artifact is saved as its text. So a service does
not import LightGBM, which takes 15 MB and a tenth of a second.
"""

from typing import TYPE_CHECKING, Any, cast

from router_model.prediction.booster_text import BoosterText, read_booster

if TYPE_CHECKING:
    import lightgbm as lgb


class SavedBooster:
    """Stands in for `lightgbm.Booster`, which is made when something else than the text is asked for.

    Parameters
    ----------
    text : LightGBM's
    read : BoosterText, optional
        The same text, as it was read to check it. It is given away once: the trees take many times the text's memory.
    """

    def __init__(self, text: str, read: BoosterText | None = None) -> None:
        self._text = text
        self._read = read
        self._made: lgb.Booster | None = None

    @classmethod
    def of(cls, text: str, read: BoosterText) -> "lgb.Booster":
        """Return one for code that takes LightGBM's boosters."""
        return cast("lgb.Booster", cls(text, read))

    def model_to_string(self) -> str:
        """Return the text."""
        return self._text

    def take_text(self) -> BoosterText:
        """Return the text as it was read."""
        read, self._read = self._read, None
        return read_booster(self._text) if read is None else read

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if self._made is None:
            import lightgbm as lgb  # noqa: PLC0415

            self._made = lgb.Booster(model_str=self._text)
        return getattr(self._made, name)

    def __reduce__(self) -> tuple[Any, ...]:
        return SavedBooster, (self._text,)
