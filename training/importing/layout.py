"""The places in a tool's files where the records are; an adapter declares them and a reader follows them."""

from typing import Final, NamedTuple

COMMON_LISTS: Final = ("records", "results", "data")
"""Names that many tools give to an object's list of records."""


class Archive(NamedTuple):
    """How a zip file holds records: one JSON object a member.

    Attributes
    ----------
    suffix : str
        Of the file's name, as ``".eval"``; it must be one of
        `router_model.training.importing.sources.ARCHIVE_SUFFIXES`.
    records : str
        Regular expression of the names of the members that are records.
    context : tuple of str
        Members with an object about all records; the first that is there becomes their context.
    """

    suffix: str
    records: str
    context: tuple[str, ...] = ()


class Layout(NamedTuple):
    """Where records are looked for.

    Attributes
    ----------
    lists : tuple of str
        Paths of lists of records in a JSON object, dots between the keys.
    archives : tuple of Archive
    """

    lists: tuple[str, ...] = COMMON_LISTS
    archives: tuple[Archive, ...] = ()
