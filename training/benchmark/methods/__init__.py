"""Methods of routing, one family a module; `REGISTRY` names them all."""

from collections.abc import Callable
from functools import partial

from router_model.errors import RequestError
from training.benchmark.method import Method
from training.benchmark.methods.boosted import Boosted
from training.benchmark.methods.clusters import Clusters
from training.benchmark.methods.factorisation import MatrixFactorisation
from training.benchmark.methods.linear import Linear, Logistic
from training.benchmark.methods.mlp import Mlp
from training.benchmark.methods.neighbours import KNearest
from training.benchmark.methods.ours import Ours
from training.benchmark.methods.simple import OneModel, Oracle, RandomMix

__all__ = ["REGISTRY", "methods_named"]

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

REGISTRY: dict[str, Callable[[], Method]] = {factory().card.name: factory for factory in _FACTORIES}
"""Name -> what makes the method, in the order of the report."""


def methods_named(names: str) -> list[Method]:
    """Return methods by their names, with commas between, in the order of the report; ``all`` for all.

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
    if wanted == ["all"]:
        return [factory() for factory in REGISTRY.values()]
    unknown = [name for name in wanted if name not in REGISTRY]
    if unknown or not wanted:
        raise RequestError(
            f"methods {names!r}: unknown {', '.join(map(repr, unknown)) or '(none given)'}; "
            f"expected 'all' or some of {', '.join(REGISTRY)}"
        )
    return [factory() for name, factory in REGISTRY.items() if name in wanted]
