"""The places in a tool's files where the records are; an adapter declares them and a reader follows them."""

from typing import Final, NamedTuple

COMMON_LISTS: Final = ("records", "results", "data")
"""Keys under which many tools put the list of records in an object."""


class Archive(NamedTuple):
    """How a zip file holds records: one JSON object in each member.

    Attributes
    ----------
    suffix : str
        Suffix of the file's name, such as ``".eval"``; it must be one of
        `router_model.training.importing.sources.ARCHIVE_SUFFIXES`.
    records : str
        Regular expression for the names of the members that are records.
    context : tuple of str
        Names of members with an object about all records. The first that exists becomes the context of the records.
    """

    suffix: str
    records: str
    context: tuple[str, ...] = ()


class Layout(NamedTuple):
    """The places where records are looked for.

    Attributes
    ----------
    lists : tuple of str
        Paths of lists of records in a JSON object, with dots between the keys.
    archives : tuple of Archive
    """

    lists: tuple[str, ...] = COMMON_LISTS
    archives: tuple[Archive, ...] = ()
