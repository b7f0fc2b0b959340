"""The routing methods of the benchmark, with one module for each family; `REGISTRY` lists all of them."""

from collections.abc import Callable
from functools import partial

from router_model.errors import RequestError
from router_model.training.benchmark.method import Method
from router_model.training.benchmark.methods.boosted import Boosted
from router_model.training.benchmark.methods.clusters import Clusters
from router_model.training.benchmark.methods.factorisation import MatrixFactorisation
from router_model.training.benchmark.methods.linear import Linear, Logistic
from router_model.training.benchmark.methods.mlp import Mlp
from router_model.training.benchmark.methods.neighbours import KNearest
from router_model.training.benchmark.methods.ours import Ours
from router_model.training.benchmark.methods.simple import OneModel, Oracle, RandomMix
from router_model.training.benchmark.packages import PACKAGES

__all__ = ["IN_HOUSE", "REGISTRY", "methods_named"]

_FACTORIES: tuple[Callable[[], Method], ...] = (
    partial(OneModel, best=False),
    partial(OneModel, best=True),
    RandomMix,
    partial(Oracle, by_task=True),
    partial(Oracle, by_task=False),
    Clusters,
    KNearest,
    partial(KNearest, with_cost=True),
    Linear,
    partial(Linear, with_cost=True),
    Logistic,
    MatrixFactorisation,
    Mlp,
    Boosted,
    Ours,
)

IN_HOUSE: dict[str, Callable[[], Method]] = {factory().card.name: factory for factory in _FACTORIES}
"""Name -> function that makes the method, in the order of the report."""

REGISTRY: dict[str, Callable[[], Method]] = {**IN_HOUSE, **PACKAGES}
"""The same, followed by the published packages."""


def methods_named(names: str) -> list[Method]:
    """Return the methods with the given names, separated by commas, in the order of the report.

    ``all`` stands for all methods, and ``in-house`` for all except the published packages (which need the package
    index).

    Raises
    ------
    RequestError
        If a name is unknown, or none is given.

    Examples
    --------
    >>> [method.card.name for method in methods_named("ours, cheapest")]
    ['cheapest', 'ours']
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for group, members in (("all", REGISTRY), ("in-house", IN_HOUSE)):
        if wanted == [group]:
            return [factory() for factory in members.values()]
    unknown = [name for name in wanted if name not in REGISTRY]
    if unknown or not wanted:
        raise RequestError(
            f"methods {names!r}: unknown {', '.join(map(repr, unknown)) or '(none given)'}; "
            f"expected 'all', 'in-house' or some of {', '.join(REGISTRY)}"
        )
    return [factory() for name, factory in REGISTRY.items() if name in wanted]
