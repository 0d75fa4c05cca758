"""How artifacts are stored: tables as Parquet, models as plain directories, reports as JSON. Nothing is pickled.

Each artifact gets a content hash (so that a step whose inputs are equal is not run again), counts as metadata, and
an HTML preview that the dashboard shows. Importing this module registers the materializers for `pyarrow.Table`,
`pathlib.Path` (a model directory) and `dict`, in place of ZenML's tarballs and pickles.
"""

import atexit
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
from zenml.enums import ArtifactType, VisualizationType
from zenml.materializers.base_materializer import BaseMaterializer
from zenml.materializers.materializer_registry import materializer_registry
from zenml.utils import io_utils

from steps.cache_folder import cache_folder
from steps.parquet import read_parquet, write_parquet
from steps.preview import preview_model, preview_report, preview_table, table_facts

SCRATCH_PREFIX = "tunesmith-"
_CHUNK_BYTES = 8 << 20


def scratch_directory() -> Path:
    """Return a fresh directory for a step to write a model into.

    The materializer moves it into the artifact store; whatever a failed step leaves is removed at exit.
    """
    path = Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


class _Previewed(BaseMaterializer):
    """Writes the HTML preview beside the data."""

    SKIP_REGISTRATION: ClassVar[bool] = True

    def _html(self, data: Any) -> str:
        raise TypeError(f"{type(self).__name__} has no preview")

    def save_visualizations(self, data: Any) -> dict[str, VisualizationType]:
        path = f"{self.uri}/preview.html"
        with self.artifact_store.open(path, "w") as file:
            file.write(self._html(data))
        return {path: VisualizationType.HTML}


class TableMaterializer(_Previewed):
    """`pyarrow.Table` <-> one Parquet file, written and read a row group at a time.

    The store holds the table compressed; a large one is unpacked once into a memory-mapped scratch file when it is
    loaded (`steps.tables`), so that neither direction needs the whole of it in memory.
    """

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (pa.Table,)
    ASSOCIATED_ARTIFACT_TYPE: ClassVar[ArtifactType] = ArtifactType.DATA
    FILE = "rows.parquet"

    _digest: str | None = None

    def save(self, data: pa.Table) -> None:
        with self.artifact_store.open(f"{self.uri}/{self.FILE}", "wb") as file:
            self._digest = write_parquet(data, file)

    def load(self, data_type: type[Any]) -> pa.Table:
        path = f"{self.uri}/{self.FILE}"
        if not io_utils.is_remote(self.uri):
            return read_parquet(path, memory_map=True)
        with self.artifact_store.open(path, "rb") as file:
            return read_parquet(file, memory_map=False)

    def compute_content_hash(self, data: pa.Table) -> str:
        return self._digest or write_parquet(data)

    def extract_metadata(self, data: pa.Table) -> dict[str, Any]:
        return {**table_facts(data), "content_sha256": self.compute_content_hash(data)}

    def _html(self, data: pa.Table) -> str:
        return preview_table(data, self.compute_content_hash(data))


class ModelDirectoryMaterializer(_Previewed):
    """`pathlib.Path` of a model directory <-> the same files in the artifact store.

    Locally the files are moved (a scratch directory) or hard-linked in, and used where they lie. From a remote store
    they are streamed once into a cache directory named by their content.
    """

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (Path,)
    ASSOCIATED_ARTIFACT_TYPE: ClassVar[ArtifactType] = ArtifactType.MODEL
    FILES = "files"
    MANIFEST = "manifest.json"

    _manifest: dict[str, str] | None = None

    def save(self, data: Path) -> None:
        if not data.is_dir():
            raise ValueError(f"{data} is not a directory; a model artifact is a directory of files")
        self._manifest = directory_manifest(data)
        owned = data.name.startswith(SCRATCH_PREFIX)
        for name in self._manifest:
            self._store(data / name, f"{self.uri}/{self.FILES}/{name}", move=owned)
        with self.artifact_store.open(f"{self.uri}/{self.MANIFEST}", "w") as file:
            json.dump(self._manifest, file, indent=1)
        if owned:
            shutil.rmtree(data)

    def _store(self, source: Path, target: str, *, move: bool) -> None:
        if io_utils.is_remote(self.uri):
            self.artifact_store.makedirs(target.rsplit("/", 1)[0])
            with source.open("rb") as read, self.artifact_store.open(target, "wb") as write:
                shutil.copyfileobj(read, write, _CHUNK_BYTES)
            return
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        if move:
            shutil.move(source, target)
            return
        try:
            os.link(source, target)
        except OSError:  # another file system, or one without hard links
            shutil.copy2(source, target)

    def load(self, data_type: type[Any]) -> Path:
        if not io_utils.is_remote(self.uri):
            return Path(self.uri, self.FILES)
        with self.artifact_store.open(f"{self.uri}/{self.MANIFEST}", "r") as file:
            manifest: dict[str, str] = json.load(file)
        root = cache_folder() / manifest_hash(manifest)
        for name in manifest:
            self._fetch(name, root / name)
        return root

    def _fetch(self, name: str, target: Path) -> None:
        if target.exists():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f"{target.name}.{os.getpid()}.part")
        with (
            self.artifact_store.open(f"{self.uri}/{self.FILES}/{name}", "rb") as read,
            partial.open("wb") as write,
        ):
            shutil.copyfileobj(read, write, _CHUNK_BYTES)
        partial.rename(target)

    def compute_content_hash(self, data: Path) -> str:
        return manifest_hash(self._manifest or directory_manifest(data))

    def extract_metadata(self, data: Path) -> dict[str, Any]:
        manifest = self._manifest or directory_manifest(data)
        root = Path(self.uri, self.FILES) if not data.exists() else data
        size = sum((root / name).stat().st_size for name in manifest) if root.exists() else 0
        return {"n_files": len(manifest), "bytes": size, "content_sha256": manifest_hash(manifest)}

    def _html(self, data: Path) -> str:
        return preview_model(data if data.exists() else Path(self.uri, self.FILES), self._manifest or {})


class ReportMaterializer(_Previewed):
    """`dict` of plain values <-> JSON."""

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (dict,)
    ASSOCIATED_ARTIFACT_TYPE: ClassVar[ArtifactType] = ArtifactType.DATA_ANALYSIS
    FILE = "report.json"

    def save(self, data: dict[str, Any]) -> None:
        with self.artifact_store.open(f"{self.uri}/{self.FILE}", "w") as file:
            file.write(_canonical_json(data))

    def load(self, data_type: type[Any]) -> dict[str, Any]:
        with self.artifact_store.open(f"{self.uri}/{self.FILE}", "r") as file:
            loaded: dict[str, Any] = json.load(file)
        return loaded

    def compute_content_hash(self, data: dict[str, Any]) -> str:
        return hashlib.sha256(_canonical_json(data).encode()).hexdigest()

    def extract_metadata(self, data: dict[str, Any]) -> dict[str, Any]:
        plain = {key: value for key, value in data.items() if isinstance(value, str | int | float | bool)}
        return {**plain, "content_sha256": self.compute_content_hash(data)}

    def _html(self, data: dict[str, Any]) -> str:
        return preview_report(data)


# ZenML keeps its own materializers for these types unless they are overwritten.
for _materializer in (TableMaterializer, ModelDirectoryMaterializer, ReportMaterializer):
    for _type in _materializer.ASSOCIATED_TYPES:
        materializer_registry.register_and_overwrite_type(key=_type, type_=_materializer)


def directory_manifest(root: Path) -> dict[str, str]:
    """Return relative name -> SHA-256 of every file below `root`, sorted by name."""
    return {path.relative_to(root).as_posix(): _sha256_of(path) for path in sorted(root.rglob("*")) if path.is_file()}


def manifest_hash(manifest: dict[str, str]) -> str:
    """Return one hash for a directory: of its sorted file names and their hashes."""
    return hashlib.sha256(json.dumps(sorted(manifest.items())).encode()).hexdigest()


def _sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    for chunk in _chunks(path):
        digest.update(chunk)
    return digest.hexdigest()


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def _canonical_json(data: dict[str, Any]) -> str:
    return json.dumps(data, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
