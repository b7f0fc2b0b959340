"""The artifact: a trained router on disk, as a folder of open file formats that cannot run code.

    manifest.json        format, schema version, hash of every file, versions, provenance, metrics
    predictor.json       names and small numbers: models, bars, blend, calibration, operating point, spend curve
    arrays.safetensors   evidence: bank, heads, kernel machines, vocabulary; the reference for announced models
    success_<k>.lgb.txt  LightGBM boosters of P(success), one for each fold
    <amount>_<k>.lgb.txt LightGBM boosters of output tokens and latency, if the table had them
    catalog.toml         prices and capabilities
    certificates.json    promised success rates and the evidence for them; missing in older artifacts
    bank_prompts.json    ids of the logged prompts, texts only if asked for; missing in older artifacts

The manifest holds the hashes of the other files and of itself, so every byte is verified. It holds no times, so the
same table, seed and version give the same bytes.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from router_model.announced.reference import Reference
from router_model.catalog import Catalog
from router_model.certificate import Certificate, pack_certificates, unpack_certificates
from router_model.errors import ArtifactError
from router_model.features import Encoder, load_encoder
from router_model.features.prompt import LoggedPrompt, Prompt, PromptLike
from router_model.interrupts import after_saving
from router_model.missing_paths import no_such
from router_model.policy import OperatingPoint
from router_model.prediction.booster_text import BoosterTextError, check_booster
from router_model.prediction.predictor import Predictor
from router_model.prediction.saved_booster import SavedBooster
from router_model.saved.bank_prompts import BankPrompts
from router_model.saved.predictor_checks import check_seen_prompts, check_token_rates, is_number
from router_model.saved.serialise import pack_predictor, unpack_predictor
from router_model.saved.text_sketches import TextSketches
from router_model.spend_curve import SpendCurve

if TYPE_CHECKING:
    import lightgbm as lgb

FORMAT = "router-model artifact"
SCHEMA_VERSION = 3
MANIFEST = "manifest.json"
# The file of a folder of published routers that names the one that is served (see `place`).
CURRENT = "current"
REQUIRED_FILES = frozenset({"predictor.json", "arrays.safetensors", "catalog.toml"})
_MAX_FILES = 1_000
_MAX_BYTES = {".json": 256 << 20, ".toml": 16 << 20, ".txt": 256 << 20, ".safetensors": 4 << 30}
"""The most bytes read from a file, by its suffix; the largest files are the prompts' texts and the evidence."""
_LONGEST_POINTER = 4096
SHIPPED_ENCODERS = ("static", "minilm-int8", "multilingual", "minilm")
"""Encoders that are loaded if an artifact names them; any other name could make us fetch or run foreign code."""


@dataclass(frozen=True, slots=True, repr=False)
class Artifact:
    """A trained router: everything that a decision needs.

    Attributes
    ----------
    predictor : Predictor
    catalog : Catalog
        Cards of models that the predictor lacks belong to announced models without outcomes.
    reference : Reference or None
        How known models do on typical prompts, to predict announced ones; None in older artifacts.
    anchors : ids of the predictor's models that are no candidates: announced models are predicted from them
    tokens_per_piece : float64 array, shape (n_models,)
        How many of a model's input tokens correspond to one of our word pieces.
    operating_point : OperatingPoint
    encoder_name, encoder_hash : str
    seen_prompts : uint64 array, sorted
        Hashes of the training prompts, so that evaluation can leave them out.
    sketches : TextSketches or None
        Of the training prompts, so that evaluation can leave out their near duplicates; None in older artifacts.
    spend_curve : SpendCurve or None
        The start of budget pacing; None in older artifacts, for which it was not measured.
    safe_model : id or None
        The model for prompts unlike the logged ones; if None, the models' overall records decide.
    provenance : hash and size of the training table, split, seed, configuration, and ``changes`` of models since
    metrics : measured in training
    versions : of this project and the libraries that trained it
    certificates : one for each target and quality bar
    bank_prompts : BankPrompts or None
        The logged prompts that evidence compares with; None in older artifacts, which do not store them.
    content_hash : str
        Hash of the manifest; empty until saved.
    """

    predictor: Predictor
    catalog: Catalog
    tokens_per_piece: npt.NDArray[np.float64]
    operating_point: OperatingPoint
    encoder_name: str
    encoder_hash: str
    seen_prompts: npt.NDArray[np.uint64]
    spend_curve: SpendCurve | None = None
    safe_model: str | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    certificates: tuple[Certificate, ...] = ()
    bank_prompts: BankPrompts | None = None
    sketches: TextSketches | None = None
    reference: Reference | None = None
    anchors: tuple[str, ...] = ()
    content_hash: str = ""

    @property
    def is_starter(self) -> bool:
        """Whether all that the predictor knows are anchors: nobody graded any candidate (`router_model.starter`)."""
        return set(self.predictor.models) == set(self.anchors)

    @property
    def candidate_cards(self) -> Catalog:
        """The cards of all models but the anchors, which nobody can call."""
        return Catalog({model: card for model, card in self.catalog.cards.items() if model not in self.anchors})

    def __repr__(self) -> str:
        return f"<Artifact of {len(self.predictor.models)} models, {self.content_hash[:19]}>"

    def load_encoder(self) -> Encoder:
        """Load the encoder the predictor was trained with.

        Raises
        ------
        ArtifactError
            If it is not one of `SHIPPED_ENCODERS`, or the installed one computes other vectors.
        """
        if self.encoder_name not in SHIPPED_ENCODERS:
            raise ArtifactError(
                f"this router was trained with the encoder {self.encoder_name!r}. Loading a router never fetches or "
                f"runs what a file names, so name it yourself: --encoder {self.encoder_name}, or "
                "Router.load(path, encoder=load_encoder(name))"
            )
        encoder = load_encoder(self.encoder_name)
        self.check_encoder(encoder)
        return encoder

    def check_encoder(self, encoder: Encoder) -> None:
        """Raise an error if an encoder computes other vectors than the one that the predictor was trained with.

        Raises
        ------
        ArtifactError
        """
        if encoder.content_hash != self.encoder_hash:
            raise ArtifactError(
                f"encoder {encoder.name!r} here is {encoder.content_hash}, the router was trained with "
                f"{self.encoder_hash}; install the version it was trained with, or train again"
            )


def prompt_hash(text: str) -> int:
    """Return a 64-bit hash of a prompt's text that ignores case and white space."""
    folded = " ".join(text.casefold().split())
    return int.from_bytes(hashlib.sha256(folded.encode("utf-8", "surrogatepass")).digest()[:8], "big")


def hash_of(prompt: PromptLike) -> int:
    """Return the `prompt_hash` of a prompt; of one that was logged without its text, the log kept it."""
    return prompt.text_hash if isinstance(prompt, LoggedPrompt) else prompt_hash(Prompt.parse(prompt).text)


def save_artifact(artifact: Artifact, path: str | Path) -> str:
    """Write an artifact atomically and return its content hash.

    An existing artifact at `path` is replaced as a whole. If something else is there, an error is raised.

    Raises
    ------
    ArtifactError
        If `path` holds something that is not an artifact, or cannot be written.
    """
    target = Path(path)
    refuse_foreign(target)
    files = _files(artifact)
    manifest = _manifest(artifact, files)
    _install({**files, MANIFEST: manifest}, target)
    return str(json.loads(manifest)["content_hash"])


def sealed(artifact: Artifact) -> Artifact:
    """Return an artifact with the content hash that it would have if it were saved."""
    return replace(artifact, content_hash=json.loads(_manifest(artifact, _files(artifact)))["content_hash"])


def copy_artifact(source: str | Path, path: str | Path) -> str:
    """Verify an artifact, copy it byte for byte and atomically, and return its content hash.

    Files in the folder that are not the artifact's are not copied. An existing artifact at `path` is replaced.

    Raises
    ------
    ArtifactError
        If `source` is damaged or not an artifact, `path` holds something else, or cannot be written.
    """
    folder, target = Path(source), Path(path)
    refuse_foreign(target)
    manifest = read_manifest(folder)
    files = {name: _verified(folder, name, digest) for name, digest in _listed(folder, manifest).items()}
    written_at = (folder / MANIFEST).stat().st_mtime  # a copy is as old as what it is of
    # The manifest's are its bytes: `read_manifest` compared them.
    _install({**files, MANIFEST: _json(manifest)}, target, written_at=written_at)
    return str(manifest["content_hash"])


def _install(files: Mapping[str, bytes], target: Path, *, written_at: float | None = None) -> None:
    """Write the files of an artifact beside `target`, and put the folder in its place in one step.

    `written_at` (seconds since 1970) becomes the time of the manifest, which says how old an artifact is.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as exc:
        raise ArtifactError(f"{target}: cannot be written ({exc})") from exc
    try:
        for name, payload in files.items():
            _write(staging / name, payload)
        if written_at is not None:
            os.utime(staging / MANIFEST, (written_at, written_at))
        staging.chmod(0o755)
        _swap(staging, target)
    except OSError as exc:
        raise ArtifactError(f"{target}: cannot be written ({exc})") from exc
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def named_folder(path: Path) -> Path:
    """Return the folder of the router that a folder, a link, a pointer or a place names.

    Raises
    ------
    ArtifactError
        If nothing is named, or what is named does not exist.
    """
    try:
        if path.is_dir() and (path / CURRENT).is_file() and not (path / MANIFEST).exists():
            path /= CURRENT
        if not path.is_file():
            return path.resolve(strict=True)
        with path.open(encoding="utf-8") as pointer:
            # One character more than allowed shows that it is too long, without reading a whole large file.
            said = pointer.read(_LONGEST_POINTER + 1).strip()
        if not said or "\n" in said or "\0" in said or len(said) > _LONGEST_POINTER:
            raise ArtifactError(f"{path}: expected one line, the path of a trained router's folder")
        return (path.parent / said).resolve(strict=True)
    except (OSError, RuntimeError, UnicodeDecodeError) as exc:  # RuntimeError: links in a circle
        why = exc.strerror if isinstance(exc, OSError) else exc
        raise ArtifactError(
            f"{path}: does not name a trained router ({why}); expected a folder that 'router-model train' wrote, or a "
            "link or file that names one"
        ) from exc


def load_artifact(path: str | Path) -> Artifact:
    """Read and verify an artifact; of a folder of published routers, the one that it serves.

    Raises
    ------
    ArtifactError
        If the folder is missing, not an artifact, damaged, or of a newer schema; the message names the file.
    """
    folder = Path(path)
    if (folder / CURRENT).is_file():
        folder = named_folder(folder)
    manifest = read_manifest(folder)
    files = {name: _verified(folder, name, digest) for name, digest in _listed(folder, manifest).items()}
    try:
        return _assemble(manifest, files)
    except ArtifactError:
        raise
    except Exception as exc:
        # the hashes fit, so the file was written like this: by a bug or a forger, and any type of error may result
        raise ArtifactError(
            f"{folder}: the files are intact but do not form a router ({type(exc).__name__}: {exc}); train it again"
        ) from exc


def read_manifest(folder: Path, *, any_version: bool = False) -> dict[str, Any]:
    """Read and verify the manifest alone; with `any_version` also that of an older or newer release.

    Raises
    ------
    ArtifactError
    """
    path = folder / MANIFEST
    if not folder.exists():
        raise ArtifactError(f"{no_such(folder, 'folder')} Expected a router that 'router-model train' wrote")
    if not path.is_file():
        raise ArtifactError(
            f"{folder}: no {MANIFEST}, so this is not a trained router; give the folder 'router-model train' wrote"
        )
    payload = _read(path)
    try:
        manifest = json.loads(payload)
    except (ValueError, RecursionError) as exc:
        raise ArtifactError(f"{path}: not valid JSON ({exc}); restore it or train again") from exc
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ArtifactError(f"{path}: not the manifest of a router-model artifact; give the right folder")
    version = manifest.get("schema_version")
    if not isinstance(version, int) or (version != SCHEMA_VERSION and not any_version):
        older = isinstance(version, int) and version < SCHEMA_VERSION
        remedy = "train the router again" if older else "upgrade router-model"
        raise ArtifactError(f"{path}: schema version {version!r}, this release reads {SCHEMA_VERSION}; {remedy}")
    if payload != _sealed({key: value for key, value in manifest.items() if key != "content_hash"}):
        raise ArtifactError(f"{path}: the content was changed after it was written; restore it or train again")
    return manifest


def _files(artifact: Artifact) -> dict[str, bytes]:
    description, arrays = pack_predictor(artifact.predictor)
    description["operating_point"] = asdict(artifact.operating_point)
    description["safe_model"] = artifact.safe_model
    if artifact.spend_curve is not None:
        description["spend_curve"] = artifact.spend_curve.as_dict()
    if artifact.anchors:
        description["anchors"] = list(artifact.anchors)
    if artifact.reference is not None:
        description["reference_slope"] = artifact.reference.slope
        arrays["reference.log_odds"] = artifact.reference.log_odds
    arrays["tokens_per_piece"] = artifact.tokens_per_piece
    arrays["seen_prompts"] = artifact.seen_prompts
    if artifact.sketches is not None:
        arrays |= artifact.sketches.arrays()
    files = {
        "predictor.json": _json(description),
        "arrays.safetensors": save_tensors({key: np.ascontiguousarray(arrays[key]) for key in sorted(arrays)}),
        "catalog.toml": artifact.catalog.dump().encode(),
        "certificates.json": _json(pack_certificates(artifact.certificates)),
    }
    if artifact.bank_prompts is not None:
        files["bank_prompts.json"] = _json(artifact.bank_prompts.as_dict())
    boosters = {"success": artifact.predictor.boosters}
    boosters |= {name: model.boosters for name, model in artifact.predictor.amounts.items()}
    for name, copies in boosters.items():
        for fold, booster in enumerate(copies):
            files[f"{name}_{fold}.lgb.txt"] = booster.model_to_string().encode()
    return files


def _assemble(manifest: dict[str, Any], files: dict[str, bytes]) -> Artifact:
    description = json.loads(files["predictor.json"])
    try:
        arrays = load_tensors(files["arrays.safetensors"])
    except SafetensorError as exc:
        raise ArtifactError(f"arrays.safetensors: {exc}; train again") from exc
    sketches = TextSketches.pop(arrays)
    predictor = unpack_predictor(description, arrays, partial(_boosters, files))
    check_seen_prompts(arrays["seen_prompts"])
    check_token_rates(arrays["tokens_per_piece"], n_models=len(predictor.models))
    catalog = Catalog.parse(files["catalog.toml"].decode(), origin="catalog.toml")
    catalog.only(predictor.models)
    return Artifact(
        predictor=predictor,
        catalog=catalog,
        tokens_per_piece=arrays["tokens_per_piece"],
        operating_point=_operating_point(description, predictor, catalog),
        encoder_name=manifest["encoder"]["name"],
        encoder_hash=manifest["encoder"]["content_hash"],
        seen_prompts=arrays["seen_prompts"],
        spend_curve=SpendCurve.from_dict(description["spend_curve"]) if "spend_curve" in description else None,
        safe_model=_safe_model(description, predictor),
        provenance=manifest["provenance"],
        metrics=manifest["metrics"],
        versions=manifest["versions"],
        certificates=_certificates(files, predictor),
        bank_prompts=_bank_prompts(files, predictor),
        sketches=sketches,
        reference=_reference(description, arrays, predictor),
        anchors=_anchors(description, predictor),
        content_hash=manifest["content_hash"],
    )


def _boosters(
    files: Mapping[str, bytes], predicts: str, count: int, columns: Sequence[str]
) -> "tuple[lgb.Booster, ...]":
    """Read the boosters of success or an amount; only text that was checked completely may come to LightGBM."""
    listed = sorted(name for name in files if re.fullmatch(rf"{re.escape(predicts)}_\d+\.lgb\.txt", name))
    if not is_number(count) or len(listed) != count:
        raise ArtifactError(f"predictor.json: {count!r} boosters of {predicts}, {len(listed)} files; train it again")
    read = []
    for fold in range(count):
        name = f"{predicts}_{fold}.lgb.txt"
        text = files[name].decode()
        try:
            checked = check_booster(text, predicts=predicts, names=columns)
        except BoosterTextError as exc:
            raise ArtifactError(f"{name}: {exc}; train the router again") from exc
        read.append(SavedBooster.of(text, checked))
    return tuple(read)


def _operating_point(description: Mapping[str, Any], predictor: Predictor, catalog: Catalog) -> OperatingPoint:
    point = OperatingPoint(**description["operating_point"])
    predictor.grid.check(point.quality_bar)
    value = point.quality_value_usd
    if not is_number(value) or not is_number(point.quality_bar) or value < 0:
        raise ArtifactError(f"predictor.json: the operating point is {point}; expected numbers, 0 or more")
    if point.always_model is not None and point.always_model not in catalog:
        raise ArtifactError(
            f"predictor.json: the model to call always is {point.always_model!r}; expected one of {', '.join(catalog)}"
        )
    return point


def _reference(
    description: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]], predictor: Predictor
) -> Reference | None:
    if "reference.log_odds" not in arrays:
        return None
    log_odds, slope = arrays["reference.log_odds"], description["reference_slope"]
    if log_odds.ndim != 2 or not len(log_odds) or log_odds.shape[1] != len(predictor.models):  # noqa: PLR2004
        raise ArtifactError(
            f"arrays.safetensors: reference.log_odds has shape {log_odds.shape}; expected a row a prompt and "
            f"{len(predictor.models)} models"
        )
    if not is_number(slope) or slope <= 0:
        raise ArtifactError(f"predictor.json: reference_slope is {slope!r}; expected a number above 0")
    return Reference(log_odds, float(slope))


def _anchors(description: Mapping[str, Any], predictor: Predictor) -> tuple[str, ...]:
    anchors = description.get("anchors", [])
    if not isinstance(anchors, list) or not all(anchor in predictor.models for anchor in anchors):
        raise ArtifactError(
            f"predictor.json: the anchors are {anchors!r:.100}; expected a list of some of "
            f"{', '.join(predictor.models)}"
        )
    return tuple(anchors)


def _safe_model(description: Mapping[str, Any], predictor: Predictor) -> str | None:
    safe: str | None = description["safe_model"]
    if safe is not None and safe not in predictor.models:
        raise ArtifactError(f"predictor.json: the safe model {safe!r} is none of {', '.join(predictor.models)}")
    return safe


def _certificates(files: dict[str, bytes], predictor: Predictor) -> tuple[Certificate, ...]:
    origin = "certificates.json"
    if origin not in files:
        return ()
    try:
        content = json.loads(files[origin])
    except (ValueError, RecursionError) as exc:
        raise ArtifactError(f"{origin}: not valid JSON ({exc}); certify the router again") from exc
    return unpack_certificates(content, models=predictor.models, origin=origin)


def _bank_prompts(files: dict[str, bytes], predictor: Predictor) -> BankPrompts | None:
    origin = "bank_prompts.json"
    if origin not in files:
        return None
    try:
        content = json.loads(files[origin])
    except (ValueError, RecursionError) as exc:
        raise ArtifactError(f"{origin}: not valid JSON ({exc}); train again") from exc
    return BankPrompts.from_dict(content, n_bank=len(predictor.evidence_model.bank.outcome), origin=origin)


def _manifest(artifact: Artifact, files: dict[str, bytes]) -> bytes:
    return _sealed(
        {
            "format": FORMAT,
            "schema_version": SCHEMA_VERSION,
            "encoder": {"name": artifact.encoder_name, "content_hash": artifact.encoder_hash},
            "files": {name: _digest(payload) for name, payload in files.items()},
            "metrics": dict(artifact.metrics),
            "provenance": dict(artifact.provenance),
            "versions": dict(artifact.versions),
        }
    )


def _sealed(manifest: dict[str, Any]) -> bytes:
    """Serialise a manifest with the hash of its own content."""
    return _json({**manifest, "content_hash": _digest(_json(manifest))})


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _digest(payload: bytes) -> str:
    return f"sha256:{hashlib.sha256(payload).hexdigest()}"


def _listed(folder: Path, manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the hashes of an artifact's files by name."""
    said = manifest.get("files")
    listed = said if isinstance(said, dict) else {}
    are_texts = all(isinstance(digest, str) for digest in listed.values())
    if not are_texts or not REQUIRED_FILES.issubset(listed) or len(listed) > _MAX_FILES:
        raise ArtifactError(
            f"{folder / MANIFEST}: lists no files of a router; expected hashes of {', '.join(sorted(REQUIRED_FILES))} "
            f"and boosters, {_MAX_FILES} at most"
        )
    return listed


def _read(path: Path) -> bytes:
    limit = _MAX_BYTES.get(path.suffix, _MAX_BYTES[".json"])
    try:
        with path.open("rb") as file:
            payload = file.read(limit + 1)
    except OSError as exc:
        raise ArtifactError(f"{path}: cannot be read ({exc})") from exc
    if len(payload) > limit:
        raise ArtifactError(f"{path}: longer than {limit >> 20} MiB; expected a smaller file, train the router again")
    return payload


def _verified(folder: Path, name: str, digest: str) -> bytes:
    if Path(name).name != name:
        raise ArtifactError(
            f"{folder / MANIFEST}: lists {name!r}; expected a file in the folder; it may be forged, train again"
        )
    path = folder / name
    if not path.is_file():
        raise ArtifactError(f"{path}: missing, though the manifest lists it; restore it or train again")
    payload = _read(path)
    if _digest(payload) != digest:
        raise ArtifactError(
            f"{path}: damaged or edited (its hash differs from the manifest); restore it or train again"
        )
    return payload


def refuse_foreign(target: Path) -> None:
    """Raise an error unless `target` is free, an empty folder, or an artifact without other files.

    Raises
    ------
    ArtifactError
        If other files are there, even together with those of an artifact. No file is changed.
    """
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        if target.resolve() == Path.cwd():
            raise ArtifactError(f"{target}: is the working folder; give --out a folder of its own")
        return
    try:
        known = {MANIFEST, *read_manifest(target, any_version=True)["files"]}
    except ArtifactError as exc:
        raise ArtifactError(
            f"{target}: exists and is not a trained router; choose another --out, nothing was written"
        ) from exc
    strangers = sorted(path.name for path in target.iterdir() if path.name not in known)
    if strangers:
        raise ArtifactError(
            f"{target}: holds files that are not the router's ({', '.join(strangers[:3])}); "
            "move them or choose another --out, nothing was written"
        )


def _write(path: Path, payload: bytes) -> None:
    with path.open("wb") as file:
        file.write(payload)
        file.flush()
        os.fsync(file.fileno())


def _swap(staging: Path, target: Path) -> None:
    """Rename `staging` to `target`; an old target is moved aside first, back on failure, and deleted last."""
    aside = None
    if target.exists():
        aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.old.", dir=target.parent))
        target.rename(aside / "old")
    try:
        staging.rename(target)
    except BaseException:
        if aside is not None:
            (aside / "old").rename(target)
            aside.rmdir()
        raise
    with after_saving(target):
        sync_folder(target.parent)
        if aside is not None:
            shutil.rmtree(aside)


def sync_folder(folder: Path) -> None:
    """Flush a folder to disk, so that a rename in it survives a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
