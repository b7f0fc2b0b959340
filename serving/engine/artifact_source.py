"""Find the router: a folder, a link to one, a small text file with the path of one, or a place that publishes one.

A service without an artifact has a starter, which is made of its catalog.

A link or a pointer is switched in one step, so a new artifact is served from the moment it is complete. Two states of
a folder are told apart by the names, sizes, times and inodes of its files, without reading them. So a look is cheap,
and a copy that is still being written is looked at again when it has changed.
"""

from dataclasses import dataclass
from pathlib import Path

from router_model.errors import ArtifactError, CatalogError
from router_model.saved.artifact import MANIFEST, named_folder
from router_model.serving.common.settings import Settings


@dataclass(frozen=True, slots=True)
class Sighting:
    """The artifact that a source names now.

    Attributes
    ----------
    folder : Path
        Of the artifact.
    version : tuple
        Differs if anything in the folder or the catalog file differs.
    """

    folder: Path
    version: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class ArtifactSource:
    """Names an artifact, and the catalog that replaces its own.

    Attributes
    ----------
    path : folder, link or pointer
        A pointer holds one line: the path of a folder, absolute or relative to the pointer's own folder. A folder of
        published routers (`router_model.saved.place`) names the one that its own pointer names.
    catalog : Path or None
    """

    path: Path
    catalog: Path | None = None

    def look(self) -> Sighting:
        """Return the artifact that is named now; blocks for a few file operations.

        Raises
        ------
        ArtifactError
            If the source does not name an artifact.
        """
        folder = named_folder(self.path)
        try:
            files = sorted((entry.name, *_stamp(Path(entry))) for entry in folder.iterdir())
            catalog = None if self.catalog is None else _stamp(self.catalog)
        except OSError as exc:
            raise ArtifactError(f"{exc.filename}: cannot be read ({exc.strerror}); restore it") from exc
        if not any(file[0] == MANIFEST for file in files):
            raise ArtifactError(
                f"{folder}: no {MANIFEST} in it, so this is not a trained router; expected a folder that "
                "'router-model train' wrote"
            )
        return Sighting(folder, (str(folder), tuple(files), catalog))


@dataclass(frozen=True, slots=True)
class StarterSource:
    """Names the catalog that a starter is made of (`router_model.starter`).

    Attributes
    ----------
    catalog : Path
    """

    catalog: Path

    def look(self) -> Sighting:
        """Return the catalog as it is now; its "folder" is the file.

        Raises
        ------
        CatalogError
            If it cannot be found.
        """
        try:
            return Sighting(self.catalog, (str(self.catalog), _stamp(self.catalog)))
        except OSError as exc:
            raise CatalogError(f"{self.catalog}: the catalog cannot be read ({exc.strerror})") from exc


def source_of(settings: Settings) -> ArtifactSource | StarterSource | None:
    """Return where the router of a service comes from; None if it has none."""
    if settings.starts and settings.catalog is not None:
        return StarterSource(settings.catalog)
    return None if settings.artifact is None else ArtifactSource(settings.artifact, settings.catalog)


def _stamp(path: Path) -> tuple[int, int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns, stat.st_ino
