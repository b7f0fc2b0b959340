"""The catalog: what each candidate model costs and can do.

The catalog is a TOML file with one table for each model::

    [models."openai/gpt-4o"]
    usd_per_mtok_input = 2.5
    usd_per_mtok_output = 10
    context_window = 128000          # this key and all below are optional
    max_output_tokens = 16384
    usd_per_mtok_cached_input = 1.25
    provider = "openai"
    tools = true
    vision = true

    [models."vendor/new"]            # nobody graded it: what is published of it gives its level
    usd_per_mtok_input = 1
    usd_per_mtok_output = 4
    scores = { mmlu_pro = 0.84 }

`docs/catalog.md` lists all keys, and says what it means if a key is missing. An entry may be a model with parameters
(`router_model.model_parameters`).

Prices are `Decimal` here, because people read and compare the exact amounts. Matrices of expected costs are floats.
"""

import tomllib
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

import tomli_w

from router_model.errors import CatalogError, UsageError
from router_model.model_parameters import EFFORT, MODEL, with_inherited
from router_model.summary import Summarised, Summary
from router_model.wording import usd

FROM_BILLS_ALONE: Final = "billed costs of the table alone"
"""The `price_source` of a model whose cost was learned from bills without tokens; see `training/table/bills.py`."""

OLD_PRICE_DAYS: Final = 90
"""The age from which a price counts as old, for reports, ``drift``, ``promote`` and the console alike."""


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Prices and capabilities of one model.

    Attributes
    ----------
    model : str
        The id used in outcome tables and requests.
    usd_per_mtok_input, usd_per_mtok_output : Decimal
        List price in USD per million tokens.
    usd_per_mtok_cached_input, usd_per_mtok_cache_write : Decimal or None
        Price of input read from, and written to, the provider's cache; None: the same as other input.
    usd_per_mtok_cache_write_1h : Decimal or None
        Price of input written to a cache that keeps it for an hour; None: twice the price of other input, as Anthropic
        charges, and not less than the price of other cache writes.
    usd_per_mtok_reasoning : Decimal or None
        Price of reasoning tokens in the output; None: the same as other output.
    usd_per_request, usd_per_image : Decimal or None
        Fees for a call and for an image in it, in USD, in addition to the tokens; None: no fee.
    context_window, max_output_tokens : int or None
        Tokens of input and output together, and of output alone; None if unknown, which excludes the model from no
        prompt.
    provider : str or None
    tools, vision, audio, structured_output : bool or None
        Whether it accepts tools, images and audio, and whether it can be constrained to JSON or a JSON schema; None if
        unknown, which excludes the model from no prompt.
    price_source : str
        ``catalog``, or the source in which the price was looked up.
    price_date : date or None
        The day on which the prices were last checked; None if unknown. `router-model promote` refuses old prices.
    base_model, reasoning_effort : str or None
        Of a candidate that is a model with parameters: the model that providers serve, and the effort that it is called
        with. None of all others.
    scores : benchmark -> share, or None
        Published scores, from 0 to 1.
    like : str or None
        The id of a sibling, e.g. the model's former version, whose level it is expected to have.
    accuracy : float or None
        Mean quality of its answers on prompts like those of the router, though no single grade is known.
    accuracy_prompts : int or None
        On how many prompts it was measured.
    """

    model: str
    usd_per_mtok_input: Decimal
    usd_per_mtok_output: Decimal
    usd_per_mtok_cached_input: Decimal | None = None
    usd_per_mtok_cache_write: Decimal | None = None
    usd_per_mtok_reasoning: Decimal | None = None
    usd_per_request: Decimal | None = None
    usd_per_image: Decimal | None = None
    usd_per_mtok_cache_write_1h: Decimal | None = None
    context_window: int | None = None
    max_output_tokens: int | None = None
    provider: str | None = None
    tools: bool | None = None
    vision: bool | None = None
    audio: bool | None = None
    structured_output: bool | None = None
    price_source: str = "catalog"
    price_date: date | None = None
    base_model: str | None = None
    reasoning_effort: str | None = None
    scores: Mapping[str, float] | None = None
    like: str | None = None
    accuracy: float | None = None
    accuracy_prompts: int | None = None

    @property
    def served_model(self) -> str:
        """The id under which providers serve it: without parameters its own."""
        return self.base_model or self.model

    @property
    def parameters(self) -> dict[str, str]:
        """What a call of it asks for besides the model, by OpenAI's names; empty of most.

        >>> card = ModelCard("m:high", Decimal(1), Decimal(2), base_model="m", reasoning_effort="high")
        >>> card.served_model, card.parameters
        ('m', {'reasoning_effort': 'high'})
        """
        return {} if self.reasoning_effort is None else {EFFORT: self.reasoning_effort}

    @property
    def says_level(self) -> bool:
        """Whether the card says more of how well the model answers than its price."""
        return bool(self.scores) or self.like is not None or self.accuracy is not None

    @property
    def has_list_price(self) -> bool:
        """Whether the prices are per token as the provider counts them, so that a call's tokens can be billed."""
        return self.price_source != FROM_BILLS_ALONE

    @property
    def prices(self) -> tuple[Decimal | None, ...]:
        """All prices, in the order of the fields."""
        return tuple(getattr(self, name) for name in _PRICES)

    @property
    def usd_per_mtok_1h_write(self) -> Decimal:
        """Price of input written to a cache for an hour: the card's, or else the one that Anthropic's rule gives.

        >>> ModelCard("m", Decimal(3), Decimal(15), usd_per_mtok_cache_write=Decimal("3.75")).usd_per_mtok_1h_write
        Decimal('6')
        """
        usual = max(2 * self.usd_per_mtok_input, _else(self.usd_per_mtok_cache_write, self.usd_per_mtok_input))
        return _else(self.usd_per_mtok_cache_write_1h, usual)

    def cost_usd(
        self,
        *,
        input_tokens: int,
        output_tokens: int,
        cached_input_tokens: int = 0,
        cache_write_tokens: int = 0,
        cache_write_1h_tokens: int = 0,
        reasoning_tokens: int = 0,
        n_images: int = 0,
    ) -> Decimal:
        """Return the list price of a call, in USD, exactly; each token is billed once.

        Parameters
        ----------
        input_tokens, output_tokens : int
            All tokens read and written.
        cached_input_tokens, cache_write_tokens : int
            The part of the input that was read from the provider's cache, and the part that was written to it.
        cache_write_1h_tokens : int
            The part of `cache_write_tokens` that the cache keeps for an hour.
        reasoning_tokens : int
            The part of the output that was reasoning.
        n_images : int

        Raises
        ------
        UsageError
            If a count is negative, or the parts are more than the whole.

        Notes
        -----
        The parts are within the whole, as in OpenAI's ``usage`` and in OpenTelemetry's ``gen_ai.usage``. Anthropic
        counts ``input_tokens`` without the cached ones: add them first.

        Examples
        --------
        >>> card = ModelCard("m", Decimal("2.5"), Decimal(10), usd_per_mtok_cached_input=Decimal("0.25"))
        >>> card.cost_usd(input_tokens=1000, output_tokens=200)  # 0.0025 + 0.002
        Decimal('0.0045')
        >>> card.cost_usd(input_tokens=1000, output_tokens=200, cached_input_tokens=800)  # 0.0005 + 0.0002 + 0.002
        Decimal('0.0027')
        """
        fresh = _rest("input_tokens", input_tokens, cached_input_tokens, cache_write_tokens)
        written = _rest("output_tokens", output_tokens, reasoning_tokens)
        briefly = _rest("cache_write_tokens", cache_write_tokens, cache_write_1h_tokens)
        if n_images < 0:
            raise UsageError(f"n_images={n_images}; expected 0 or more")
        per_mtok = (
            fresh * self.usd_per_mtok_input
            + cached_input_tokens * _else(self.usd_per_mtok_cached_input, self.usd_per_mtok_input)
            + briefly * _else(self.usd_per_mtok_cache_write, self.usd_per_mtok_input)
            + cache_write_1h_tokens * self.usd_per_mtok_1h_write
            + written * self.usd_per_mtok_output
            + reasoning_tokens * _else(self.usd_per_mtok_reasoning, self.usd_per_mtok_output)
        )
        fees = _else(self.usd_per_request, Decimal(0)) + n_images * _else(self.usd_per_image, Decimal(0))
        return per_mtok / 1_000_000 + fees


def _else(price: Decimal | None, other: Decimal) -> Decimal:
    return other if price is None else price


def _rest(name: str, whole: int, *parts: int) -> int:
    """Return the whole minus its parts."""
    if min(whole, *parts) < 0 or sum(parts) > whole:
        raise UsageError(
            f"{name}={whole} with parts of {' and '.join(map(str, parts))}; expected counts of 0 or more whose sum is "
            "at most the whole (if the source does not include the parts in the whole, add them to it)"
        )
    return whole - sum(parts)


MAX_NAME: Final = 256
"""Characters of a model's name, which goes into headers and logs."""
_NOT_SHOWN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode's categories of control and format characters, surrogates, and ends of lines and paragraphs."""
_MAX_BYTES: Final = 16 << 20
_MAX_PRICE: Final = Decimal(10**9)
"""USD. A higher price is taken for a typing error, and arithmetic with it would not be exact."""
_MAX_DIGITS: Final = 30
_MAX_TOKENS: Final = 10**12
_MAX_SCORES: Final = 100

_PRICES = tuple(field.name for field in fields(ModelCard) if field.name.startswith("usd_per_"))
_FLAGS = ("tools", "vision", "audio", "structured_output")
_TEXTS = ("provider", "price_source", "like", MODEL, EFFORT)
_SHARES = ("accuracy",)
_DATES = ("price_date",)
_REQUIRED = _PRICES[:2]


@dataclass(frozen=True, slots=True, repr=False)
class Catalog(Summarised):
    """Model cards by id."""

    cards: Mapping[str, ModelCard]

    def summary(self) -> Summary:
        """Return the price of every model."""
        rows = [
            (
                card.model,
                usd(float(card.usd_per_mtok_input)),
                usd(float(card.usd_per_mtok_output)),
                "unknown" if card.context_window is None else f"{card.context_window:,}",
                card.price_source,
            )
            for card in self.cards.values()
        ]
        titles = ("model", "per million in", "per million out", "context window", "price from")
        return Summary(f"Catalog of {len(self):,} models", titles, rows)

    def __getitem__(self, model: str) -> ModelCard:
        try:
            return self.cards[model]
        except KeyError:
            raise CatalogError(missing_price_message([model])) from None

    def __contains__(self, model: object) -> bool:
        return model in self.cards

    def __iter__(self) -> Iterator[str]:
        return iter(self.cards)

    def __len__(self) -> int:
        return len(self.cards)

    def only(self, models: Iterable[str]) -> "Catalog":
        """Return the cards of `models`, in their order.

        Raises
        ------
        CatalogError
            If a model has no card; the message names all missing models.
        """
        wanted = list(models)
        missing = [model for model in wanted if model not in self.cards]
        if missing:
            raise CatalogError(missing_price_message(missing))
        return Catalog({model: self.cards[model] for model in wanted})

    @classmethod
    def load(cls, path: str | Path, *, look_up: Callable[[str], ModelCard | None] | None = None) -> "Catalog":
        """Read a catalog file.

        Parameters
        ----------
        path : str or Path
        look_up : finds the card of a model that the file names as the model of an entry, and has no entry of

        Raises
        ------
        CatalogError
            If the file is missing, is not TOML or has a wrong entry; the message names the file and the entry.
        """
        try:
            with Path(path).open("rb") as file:
                content = file.read(_MAX_BYTES + 1)
            if len(content) > _MAX_BYTES:
                raise CatalogError(f"{path}: longer than {_MAX_BYTES >> 20} MiB; expected a table a model")
            return cls.parse(content.decode("utf-8-sig"), origin=str(path), look_up=look_up)
        except (OSError, UnicodeDecodeError) as exc:
            raise CatalogError(f"{path}: the catalog cannot be read ({exc})") from exc

    @classmethod
    def parse(cls, content: str, *, origin: str, look_up: Callable[[str], ModelCard | None] | None = None) -> "Catalog":
        """Read a catalog from text; `origin` names it in errors, and `look_up` is as in `load`."""
        try:
            document = tomllib.loads(content, parse_float=Decimal)
        except (tomllib.TOMLDecodeError, RecursionError, InvalidOperation) as exc:
            raise CatalogError(f"{origin}: not valid TOML ({exc})") from exc
        models = document.get("models")
        if not isinstance(models, dict) or not models:
            raise CatalogError(f'{origin}: expected tables [models."<id>"]; got the keys {sorted(document)}')

        def base_of(model: str) -> Mapping[str, Any] | None:
            found = None if look_up is None or model in models else look_up(model)
            entry = models.get(model) if found is None else _entry(found)
            return entry if isinstance(entry, dict) else None

        return cls({model: _card(model, entry, origin, base_of) for model, entry in models.items()})

    def dump(self) -> str:
        """Return the catalog as TOML text that `parse` reads back to an equal catalog."""
        return tomli_w.dumps({"models": {card.model: _entry(card) for card in self.cards.values()}})


def missing_price_message(models: list[str]) -> str:
    """Return the error message for models without a price: how to give them one."""
    tables = "\n".join(f'[models."{model}"]\nusd_per_mtok_input = \nusd_per_mtok_output = ' for model in models)
    return (
        f"no price for {', '.join(models)}; write the provider's prices, in USD per million tokens, behind the equals "
        f"signs, and give the file with --catalog:\n{tables}"
    )


def is_name(name: str) -> bool:
    r"""Tell whether a name can be shown, logged and sent in a header: short, and without control characters.

    >>> is_name("openai/gpt-5"), is_name("a\r\n: b"), is_name("a\u202eb")
    (True, False, False)
    """
    return (
        0 < len(name) <= MAX_NAME
        and name == name.strip()
        and not any(unicodedata.category(sign) in _NOT_SHOWN for sign in name)
    )


def _card(model: str, entry: object, origin: str, base_of: Callable[[str], Mapping[str, Any] | None]) -> ModelCard:
    where = f'{origin}: [models."{model[:MAX_NAME]}"]'
    if not is_name(model):
        raise CatalogError(f"{origin}: a model is named {model[:80]!r}; expected a line of up to {MAX_NAME} characters")
    if not isinstance(entry, dict):
        raise CatalogError(f"{where}: expected a table; got {entry!r}")
    known = {field.name for field in fields(ModelCard)} - {"base_model"}
    unknown = sorted(set(entry) - known)
    if unknown:
        raise CatalogError(f"{where}: unknown key {', '.join(unknown)}; expected some of {', '.join(sorted(known))}")
    entry = with_inherited(model, entry, base_of, where)
    missing = [key for key in _REQUIRED if key not in entry]
    if missing:
        instead = f", or an entry of {entry[MODEL]!r} to take it from" if MODEL in entry else ""
        raise CatalogError(f"{where}: {' and '.join(missing)} missing; give USD per million tokens{instead}")
    values: dict[str, Any] = {key: _value(where, key, value) for key, value in entry.items()}
    if values.get("like") == model:
        raise CatalogError(f"{where}.like: got the model itself, expected another one, e.g. its former version")
    if "accuracy_prompts" in values and "accuracy" not in values:
        raise CatalogError(f"{where}.accuracy_prompts: got no accuracy beside it, expected both or none")
    return ModelCard(model=model, base_model=values.pop(MODEL, None), **values)


def _value(where: str, key: str, value: object) -> object:
    if key in _PRICES:
        return _price(where, key, value)
    if key in _SHARES:
        return _share(f"{where}.{key}", value)
    if key == "scores":
        return _scores(f"{where}.{key}", value)
    kinds = {_FLAGS: "true or false", _TEXTS: "text", _DATES: "a date without quotes, e.g. 2026-11-29"}
    expected = next((kind for keys, kind in kinds.items() if key in keys), "a positive whole number")
    fits = {
        "true or false": isinstance(value, bool),
        "text": isinstance(value, str) and is_name(value),
        kinds[_DATES]: isinstance(value, date) and not isinstance(value, datetime),
        "a positive whole number": type(value) is int and 1 <= value <= _MAX_TOKENS,
    }
    if not fits[expected]:
        raise CatalogError(f"{where}.{key}: got {value!r}, expected {expected}")
    return value


def _scores(where: str, value: object) -> dict[str, float]:
    if not isinstance(value, dict) or not 0 < len(value) <= _MAX_SCORES or not all(map(is_name, value)):
        raise CatalogError(f"{where}: got {value!r:.80}, expected benchmarks with shares, e.g. {{ mmlu_pro = 0.84 }}")
    return {name: _share(f"{where}.{name}", score) for name, score in value.items()}


def _share(where: str, value: object) -> float:
    number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    if not number or not 0 <= float(str(value)) <= 1:
        raise CatalogError(f"{where}: got {value!s:.80}, expected a share from 0 to 1, e.g. 0.84 for 84 %")
    return float(str(value))


def _price(where: str, key: str, value: object) -> Decimal:
    try:
        price = Decimal(str(value)) if not isinstance(value, bool) else Decimal("nan")
    except InvalidOperation:
        price = Decimal("nan")
    if not price.is_finite() or not 0 <= price <= _MAX_PRICE or len(price.as_tuple().digits) > _MAX_DIGITS:
        said = repr(value) if isinstance(value, str) else str(value)
        unit = "USD per million tokens" if "_mtok_" in key else "USD"
        raise CatalogError(f"{where}.{key}: got {said:.80}, expected {unit}, 0 or more")
    return price


def _entry(card: ModelCard) -> dict[str, Any]:
    entry = {field.name: getattr(card, field.name) for field in fields(card) if field.name != "model"}
    entry[MODEL] = entry.pop("base_model")
    return {key: value for key, value in entry.items() if value is not None}
