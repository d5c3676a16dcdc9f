"""The manifest beside exported files: what they are, in words, numbers with units, and hashes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .._version import __version__
from ..files import sha256, write_json, write_text
from .bank import ORIENTATION
from .schema import check_schema

NAME = "manifest.json"
SUMS = "SHA256SUMS"  # of the manifest and every file, as sha256sum -c reads it
FORMAT = "optics4f-export"
FORMAT_VERSION = 1
_LONGEST = 200  # characters of a file name


@dataclass(frozen=True)
class ExportedFile:
    """One exported file.

    Args:
        path: Name within the folder of the manifest.
        format: "gds", "oas", "oasis_mask", "bitmap", "tiff", "height", "stl" or "metasurface".
        bank: Name of the bank.
        channels: (output, input) channel of the one mask in it, or None if it holds all masks of the bank.
        size: Length [byte].
        sha256: Hash of its bytes.
    """

    path: str
    format: str
    bank: str
    channels: tuple[int, int] | None
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What an export folder holds.

    Args:
        source_sha256: Content hash of the mask set that was exported.
        banks: For each bank its shape, its geometry with units, and how each format draws it.
        files: The files, in the order they were written.
    """

    source_sha256: str
    banks: dict[str, dict[str, Any]]
    files: tuple[ExportedFile, ...]

    def save(self, folder: str | Path) -> None:
        """Write ``manifest.json``, and ``SHA256SUMS`` with its hash and those of all files, atomically."""
        head = {"format": FORMAT, "format_version": FORMAT_VERSION, "software": f"optics4f {__version__}"}
        write_json(Path(folder) / NAME, {**head, "orientation": ORIENTATION, **asdict(self)})
        lines = [(sha256(Path(folder) / NAME), NAME), *((file.sha256, file.path) for file in self.files)]
        write_text(Path(folder) / SUMS, "".join(f"{digest}  {name}\n" for digest, name in lines))

    @classmethod
    def load(cls, folder: str | Path, verify: bool = True) -> Manifest:
        """Read the manifest of a folder; check it and every file. Older folders have no ``SHA256SUMS``.

        Args:
            folder: Folder that was exported to.
            verify: Whether to compare the files with their hashes.

        Raises:
            ValueError: If the manifest is damaged, newer than this software or something else, or if a file
                is missing or was altered.
            FileNotFoundError: If there is no manifest.
        """
        path = Path(folder) / NAME
        manifest = cls._parse(path)
        if verify:
            _check_sums(path)
        for file in manifest.files if verify else ():
            place = path.parent / file.path
            found = sha256(place) if place.is_file() else "no such file"
            if found != file.sha256:
                raise ValueError(f"{place}: expected SHA-256 {file.sha256}, got {found}.")
        return manifest

    @classmethod
    def _parse(cls, path: Path) -> Manifest:
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:  # not JSON, or not text, or lists in lists without end
            raise ValueError(f"{path}: expected JSON, got something else ({error}).") from None
        found = document.get("format") if isinstance(document, dict) else None
        if found != FORMAT:
            raise ValueError(f"{path}: expected the format '{FORMAT}', got {found!r}.")
        if document.get("format_version") != FORMAT_VERSION:
            raise ValueError(
                f"{path}: expected format version {FORMAT_VERSION}, got {document.get('format_version')!r}."
            )
        try:
            check_schema(document["banks"], {"type": "object"}, "banks")
            check_schema(document["source_sha256"], {"type": "string"}, "source_sha256")
            return cls(document["source_sha256"], document["banks"], tuple(map(_file, document["files"])))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise ValueError(
                f"{path}: expected a complete manifest, got one without or with a wrong {error}."
            ) from None


def _check_sums(manifest: Path) -> None:
    sums = manifest.parent / SUMS
    if not sums.is_file():
        return
    lines = [line.split() for line in sums.read_bytes().decode("utf-8", "replace").splitlines()]
    listed = [line[0] for line in lines if line[1:] == [manifest.name]]
    if listed != [sha256(manifest)]:
        raise ValueError(
            f"{manifest}: expected SHA-256 {', '.join(listed) or 'in ' + SUMS}, got {sha256(manifest)}."
        )


def _file(record: dict[str, Any]) -> ExportedFile:
    channels = record["channels"]
    file = ExportedFile(
        **{**record, "channels": channels if channels is None else (channels[0], channels[1])}
    )
    if Path(file.path).name != file.path or len(file.path) > _LONGEST:  # nothing outside is ever read
        raise ValueError(f"manifest: expected file names without a folder, got {file.path!r}.")
    return file
