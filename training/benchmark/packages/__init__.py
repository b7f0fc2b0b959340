"""Run routing methods that others published as packages, each in a separate Python environment."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from router_model.training.benchmark.method import Method, MethodCard
from router_model.training.benchmark.packages.environment import PackageEnvironment
from router_model.training.benchmark.packages.package_method import PackageMethod

__all__ = ["PACKAGES", "argrouter", "paretobandit", "routellm"]

_ADAPTERS = Path(__file__).parent / "adapters"
_LEARNING = ("numpy==2.4.6", "scikit-learn==1.9.1")


def paretobandit() -> PackageMethod:
    """Return the contextual bandit with offline priors."""
    return PackageMethod(
        MethodCard("paretobandit", "package", "paretobandit 0.1.1", "cost penalty"),
        PackageEnvironment("paretobandit", ("paretobandit==0.1.1", *_LEARNING)),
        _ADAPTERS / "paretobandit_adapter.py",
    )


def argrouter() -> PackageMethod:
    """Return the router of linear heads and neighbours."""
    return PackageMethod(
        MethodCard("argrouter", "package", "argrouter 0.1.0a2", "lambda: successes a USD is worth"),
        PackageEnvironment("argrouter", ("argrouter==0.1.0a2", *_LEARNING)),
        _ADAPTERS / "argrouter_adapter.py",
    )


def routellm() -> PackageMethod:
    """Return the matrix factorisation between two models.

    On Linux, pip installs PyTorch built for GPUs (several gigabytes), unless its settings name the index of CPU builds.
    """
    return PackageMethod(
        MethodCard("routellm mf", "package", "routellm 0.2.0", "threshold on the win rate"),
        PackageEnvironment(
            "routellm",
            ("torch==2.13.0", "numpy==2.4.6", "huggingface-hub==2.4.0", "tqdm==4.70.1"),
            bare=("routellm==0.2.0",),
        ),
        _ADAPTERS / "routellm_adapter.py",
        pair_only=True,
    )


PACKAGES: Mapping[str, Callable[[], Method]] = MappingProxyType(
    {"argrouter": argrouter, "paretobandit": paretobandit, "routellm mf": routellm}
)
