"""The tokens that a call used, and their cost; every token is counted once."""

from dataclasses import dataclass, field

from router_model.catalog import ModelCard


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call, as OpenAI and OpenTelemetry count them: the parts are within the whole.

    Attributes
    ----------
    input_tokens, output_tokens : int
        All that was read, and all that was written.
    cached_input_tokens, cache_write_tokens : int
        The parts of the input that were read from the provider's cache, and written to it.
    reasoning_tokens : int
        The part of the output that was reasoning.
    billed_usd : float or None
        What the provider itself says the call cost (OpenRouter does).
    cache_write_1h_tokens : int
        The part of `cache_write_tokens` that is kept for an hour, at a price of its own.
    has_odd_bill : bool
        Whether the provider's cost is not an amount: a negative number, infinity, a flag.
    """

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    billed_usd: float | None = None
    cache_write_1h_tokens: int = 0
    has_odd_bill: bool = field(default=False, compare=False, repr=False)

    def list_usd(self, card: ModelCard | None) -> float | None:
        """Return what the call costs by list price; None if that is not known, as of a model known by its bills alone.

        Raises
        ------
        UsageError
            If the parts are more than the whole.

        Examples
        --------
        >>> from decimal import Decimal
        >>> card = ModelCard("m", Decimal(2), Decimal(10), usd_per_mtok_cached_input=Decimal("0.5"))
        >>> Usage(1000, 100, cached_input_tokens=600).list_usd(card)  # 0.0008 + 0.0003 + 0.001
        0.0021
        """
        if card is None or not card.has_list_price:
            return None
        return float(
            card.cost_usd(
                input_tokens=self.input_tokens,
                output_tokens=self.output_tokens,
                cached_input_tokens=self.cached_input_tokens,
                cache_write_tokens=self.cache_write_tokens,
                cache_write_1h_tokens=self.cache_write_1h_tokens,
                reasoning_tokens=self.reasoning_tokens,
            )
        )
