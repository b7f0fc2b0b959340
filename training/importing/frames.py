"""Turn rows into columns without changing the meaning of any value.

If all values of a column have one type, the column has that type. A mixed column becomes `polars.Object`, so that the
checks see every value unchanged.
"""

from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Any

import polars as pl

from router_model.outcome_schema import OUTCOME_COLUMN_NAMES


def frame_of_rows(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Return the outcome columns of rows; missing fields are null, others are left out.

    >>> frame_of_rows([{"model": "a", "quality": 1}, {"model": "b", "quality": 0.5}]).schema
    Schema([('model', String), ('quality', Float64)])
    """
    present = set().union(*map(set, rows))
    names = [name for name in OUTCOME_COLUMN_NAMES if name in present]
    return pl.DataFrame([series_of(name, [row.get(name) for row in rows]) for name in names])


def series_of(name: str, values: list[Any]) -> pl.Series:
    """Return values as a column of one type, or as a column of objects if types are mixed."""
    types = set(map(type, values)) - {NoneType}
    try:
        if not types:
            return pl.Series(name, values, dtype=pl.Null)
        if types == {str}:
            return pl.Series(name, values, dtype=pl.String)
        if types == {bool}:
            return pl.Series(name, values, dtype=pl.Boolean)
        if types == {int}:
            return pl.Series(name, values, dtype=pl.Int64)
        if types <= {int, float}:
            return pl.Series(name, values, dtype=pl.Float64)
    except (UnicodeEncodeError, OverflowError, TypeError):
        # Typed columns cannot hold lone surrogates and huge integers.
        pass
    return pl.Series(name, values, dtype=pl.Object)
