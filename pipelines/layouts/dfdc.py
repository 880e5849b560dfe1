"""DFDC: folders of videos, each with a metadata.json that says what they are."""

import dataclasses
import os
import zipfile
import zlib
from collections.abc import Iterator

from etils import epath

from pipelines.layouts import listing as listing_lib
from pipelines.layouts.listing import Listing
from tfmds.common import files
from tfmds.common.errors import InputError
from tfmds.data.manifest import Video, check_inside
from tfmds.preprocessing import sources

METADATA = "metadata.json"

_LABELS = {"REAL": "real", "FAKE": "fake"}

# What a node is that groups are made of.
_VIDEO, _IDENTITY = "video", "identity"

# Some archives nest their part in one folder more.
_DEPTH = 3


@dataclasses.dataclass(frozen=True)
class _Part:
    """A folder of videos on disk or in a zip archive, with its metadata."""

    folder: epath.Path
    content: bytes
    files: frozenset[str]

    @property
    def source(self) -> epath.Path:
        return self.folder / METADATA


def read(input_dir: epath.Path) -> Listing:
    """Reads one part, or a folder of parts (`dfdc_train_part_N/metadata.json`).

    Parts may be zip archives as they are downloaded; the path of a video in one
    leads through it, such as `dfdc_train_part_00.zip/dfdc_train_part_0/x.mp4`.

    A video, its original and the original's other fakes are one group, over all parts
    (`original` may be null, missing, or in a part that is not here). Where `identity`
    is stated, as in our own demo data set, its videos are one group as well. DFDC's
    own `split` is "train" for all of its training parts, so it says nothing here.

    Raises:
      InputError: There is no metadata.json, or one of its fields cannot be used.
    """
    parts = sorted(_find(input_dir, _DEPTH), key=lambda part: part.folder)
    if not parts:
        raise InputError(
            f"{input_dir}: there is no {METADATA} here nor in the folders and zip"
            " archives below; expected DFDC's layout, dfdc_train_part_N/metadata.json"
            " beside the videos"
        )
    found = Listing()
    entries: dict[str, tuple[_Part, dict]] = {}
    for part in parts:
        for name, fields in _entries(part):
            if name in entries:
                raise InputError(
                    f"{part.source}, {name}: the same name is in"
                    f" {entries[name][0].source}; is one part there twice?"
                )
            entries[name] = part, fields
    groups = _Groups()
    for name, (part, fields) in entries.items():
        where = f"{part.source}, {name}"
        for kind, field in ((_VIDEO, "original"), (_IDENTITY, "identity")):
            if other := listing_lib.text(fields, field, where):
                groups.join((_VIDEO, name), (kind, other))
        groups.join((_VIDEO, name), (_VIDEO, name))
    names = groups.names()

    videos = []
    for name, (part, fields) in entries.items():
        where = f"{part.source}, {name}"
        label = _LABELS[listing_lib.word(fields, "label", _LABELS, where)]
        periods = listing_lib.periods(fields, "fake_periods", where)
        if periods and label == "real":
            raise InputError(f"{where}: a REAL video has fake_periods")
        listing_lib.check_name(part.folder, name, where)
        path = listing_lib.relative(part.folder / name, input_dir)
        if name not in part.files and not (part.folder / name).exists():
            found.missing.append(path)
        videos.append(
            Video(
                video_id="",
                path=path,
                label=label,
                group=names[_VIDEO, name],
                manipulation=listing_lib.text(fields, "manipulation", where),
                fake_periods=periods,
            )
        )
    found.videos = listing_lib.with_unique_ids(videos)
    for part in parts:
        for other in sorted(part.files - set(entries)):
            if listing_lib.is_video(epath.Path(other)):
                path = listing_lib.relative(part.folder / other, input_dir)
                found.left_out.append((path, f"not in {METADATA}, no label"))
    return found


def _find(folder: epath.Path, depth: int) -> Iterator[_Part]:
    if (folder / METADATA).is_file():
        files = frozenset(path.name for path in folder.iterdir())
        yield _Part(folder, (folder / METADATA).read_bytes(), files)
    if not depth:
        return
    for below in folder.iterdir():
        if below.name.startswith("."):
            continue
        if below.is_dir():
            yield from _find(below, depth - 1)
        elif below.suffix.lower() == sources.ARCHIVE_SUFFIX:
            yield from _find_in_archive(below)


def _find_in_archive(archive: epath.Path) -> Iterator[_Part]:
    try:
        with files.reading(archive) as f, zipfile.ZipFile(f) as opened:
            names: dict[str, set[str]] = {}
            for member in opened.namelist():
                folder, _, name = member.rpartition("/")
                names.setdefault(folder, set()).add(name)
            for folder, members in names.items():
                if METADATA in members:
                    if folder:
                        check_inside(folder, os.fspath(archive))
                    content = opened.read(f"{folder}/{METADATA}".lstrip("/"))
                    yield _Part(archive / folder, content, frozenset(members))
    except (zipfile.BadZipFile, zlib.error, OSError) as e:
        raise InputError(
            f"{archive}: cannot be read: {e}. Was the download cut short?"
        ) from e


def _entries(part: _Part) -> Iterator[tuple[str, dict]]:
    table = listing_lib.parse_json(part.content, part.source)
    if not isinstance(table, dict):
        raise InputError(
            f"{part.source}: expected an object with a field per video, got a"
            f" {type(table).__name__}"
        )
    for name, fields in table.items():
        if not isinstance(fields, dict):
            raise InputError(
                f"{part.source}, {name}: expected an object with label and original,"
                f" got {fields!r}"
            )
        yield name, fields


class _Groups:
    """Joins what must stay together; a node is (kind, name)."""

    def __init__(self) -> None:
        self._parent: dict[tuple[str, str], tuple[str, str]] = {}

    def join(self, one: tuple[str, str], other: tuple[str, str]) -> None:
        self._parent[self._root(one)] = self._root(other)

    def names(self) -> dict[tuple[str, str], str]:
        """A name for the group of each node: an identity, else an original video."""
        members: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for node in self._parent:
            members.setdefault(self._root(node), []).append(node)
        found = {}
        for nodes in members.values():
            identities = [name for kind, name in nodes if kind == _IDENTITY]
            name = min(identities or [name for _, name in nodes])
            found.update(dict.fromkeys(nodes, name))
        return found

    def _root(self, node: tuple[str, str]) -> tuple[str, str]:
        parent = self._parent.setdefault(node, node)
        while parent != self._parent[parent]:
            self._parent[node] = parent = self._parent[parent]
        return parent
