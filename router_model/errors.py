"""All errors that the project raises on purpose.

RouterModelError(Exception)
├── TableError(ValueError)       an outcome table or a source of one is unusable
│   └── SupportError             a log could not have made the choices that it is to judge
├── CatalogError(ValueError)     prices or capabilities are missing or malformed
├── ArtifactError(ValueError)    a saved router is damaged, too new, or not a router
├── TrainingError(ValueError)    a router cannot be trained from the table or the settings
├── RequestError(ValueError)     an argument of a request is out of its range or contradicts another
├── EngineError(RuntimeError)    a cluster is not reached, or cannot do the work
├── UsageError(ValueError)       token counts of a call contradict each other
└── NoCandidateError(LookupError) constraints left no model to choose from (`router_model.screening.screening`)

`features.FeatureError` is outside the tree, because the package `features` does not import this one. Messages say what
was got, what was expected, and what to do.
"""


class RouterModelError(Exception):
    """Base of the tree."""

    def _render_traceback_(self) -> list[str]:
        """Return what a notebook shows instead of a traceback: the message says what to do (IPython asks for it)."""
        return [f"{type(self).__name__}: {self}"]


class TableError(RouterModelError, ValueError):
    """Raise when an outcome table, or a source of one, is unusable."""


class SupportError(TableError):
    """Raise when a log has no support for the choices of a policy, so that no estimate of it is unbiased."""


class CatalogError(RouterModelError, ValueError):
    """Raise when prices or capabilities are missing or malformed."""


class ArtifactError(RouterModelError, ValueError):
    """Raise when a saved router is damaged, was written by a newer version, or is not a router."""


class TrainingError(RouterModelError, ValueError):
    """Raise when a router cannot be trained from a table or with some settings."""


class RequestError(RouterModelError, ValueError):
    """Raise when an argument of a request is out of its range or contradicts another one."""


class EngineError(RouterModelError, RuntimeError):
    """Raise when a cluster is not reached, or cannot do the work that was given to it."""


class UsageError(RouterModelError, ValueError):
    """Raise when token counts of a call contradict each other."""
