"""Print the table of what models and hosts accept, as docs/providers.md shows it.

::

    python -m router_model.serving.formats.fitting.described
"""

from collections.abc import Collection

from router_model.serving.formats.fitting.parameters import PARAMETERS, Weight
from router_model.serving.formats.fitting.table import FAMILIES, HOSTS, SAMPLERS, Family, Host, Samples, Thinking


def described() -> str:
    """Return the tables in Markdown."""
    families = [f"| {one.name} | {_family(one)} | [{one.as_of}]({one.source}) |" for one in FAMILIES if _family(one)]
    hosts = [f"| {', '.join(_code(one.names))} | {_host(one)} | [{one.as_of}]({one.source}) |" for one in HOSTS]
    weights = [f"| {weight.value} | {', '.join(_code(_names(weight)))} |" for weight in Weight]
    return "\n".join(
        [
            *("| models | what is different | source |", "|---|---|---|", *families, ""),
            *("| host | what is different | source |", "|---|---|---|", *hosts, ""),
            *("| class | parameters |", "|---|---|", *weights),
        ]
    )


def _family(family: Family) -> str:
    samplers = ", ".join(_code(SAMPLERS))
    never = family.samples is Samples.NEVER
    counts_stops = family.max_stops is not None and "stop" not in family.lacks
    said = {
        f"limit is `{family.limit}`": family.limit is not None,
        f"{samplers}: {family.samples.value}": family.samples is not Samples.ALWAYS,
        f"no {', '.join(_code(family.drops))}": family.drops,
        "`temperature` or `top_p`, not both": family.one_sampler,
        f"temperature up to {family.max_temperature or 0:g}": family.max_temperature is not None and not never,
        f"efforts: {', '.join(family.efforts or ()) or 'none at all'}": family.efforts is not None,
        f"thinking: {family.thinking.value}": family.thinking is not Thinking.BUDGET,
        "thinking cannot be switched off": not family.thinking_can_be_off,
        f"up to {family.max_stops} stop sequences": counts_stops,
        f"lacks {', '.join(_code(family.lacks))}": family.lacks,
    }
    return "; ".join(words for words, holds in said.items() if holds)


def _host(host: Host) -> str:
    said = {
        f"limit is `{host.limit}`": host.limit is not None,
        f"`seed` is `{host.seed}`": host.seed != "seed",
        f"temperature up to {host.max_temperature or 0:g}": host.max_temperature is not None,
        f"no {', '.join(_code(host.drops))}": host.drops,
        "no reasoning in the history": not host.reads_reasoning,
        f"lacks {', '.join(_code(host.lacks))}": host.lacks,
    }
    return "; ".join(words for words, holds in said.items() if holds)


def _names(weight: Weight) -> list[str]:
    return [one.name for one in PARAMETERS if one.weight is weight and ":" not in one.name]


def _code(names: Collection[str]) -> list[str]:
    """Return names as code: sets in the order of the alphabet, what has an order in its own."""
    ordered = sorted(names) if isinstance(names, frozenset) else names
    return [f"`{name}`" for name in ordered]


if __name__ == "__main__":
    print(described())  # noqa: T201  (a command)
