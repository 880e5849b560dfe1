"""DFDC: folders of videos, each with a table that says what they are.

Training parts have `metadata.json` with label and original, the test set one with
`is_fake`, the validation set `labels.csv`, the preview `dataset.json`.
"""

import dataclasses
import os
import zipfile
import zlib
from collections.abc import Iterator

from etils import epath

from pipelines.layouts import groups
from pipelines.layouts import listing as listing_lib
from pipelines.layouts.listing import Listing
from tfmds import spec
from tfmds.common import files, text_files
from tfmds.common.errors import InputError
from tfmds.data.manifest import Video, check_inside
from tfmds.preprocessing import sources

METADATA = "metadata.json"
_LABELS_TABLE = "labels.csv"
_PREVIEW = "dataset.json"
# Where a folder holds more than one, the first says most.
_TABLES = (METADATA, _PREVIEW, _LABELS_TABLE)

_LABELS = {"REAL": "real", "FAKE": "fake"}

# People move the videos into a folder of this name.
_VIDEOS = "videos"

# Some archives nest their part in one folder more.
_DEPTH = 3


@dataclasses.dataclass(frozen=True)
class _Part:
    """A folder of videos on disk or in a zip archive, with its table.

    Attributes:
      folder: Where it is.
      table: Name of its table, one of `_TABLES`.
      content: What is in the table.
      files: Paths of its files, as seen from the folder.
    """

    folder: epath.Path
    table: str
    content: bytes
    files: frozenset[str]

    @property
    def source(self) -> epath.Path:
        return self.folder / self.table

    def find(self, name: str) -> str:
        """Path of a video of the table, as seen from its folder."""
        if name in self.files:
            return name
        folder, _, file = name.rpartition("/")
        places = [f"{_VIDEOS}/{file}", f"{folder.split('/')[0]}/{_VIDEOS}/{file}", file]
        return next((place for place in places if place in self.files), name)


@dataclasses.dataclass(frozen=True)
class _Entry:
    """What the table of a part says of a video.

    Attributes:
      part: The part.
      where: The table and the video, for messages.
      fields: The fields that training parts have.
      split: The split that the set states.
      held_out: Whether it is so only where there is something else to train on.
    """

    part: _Part
    where: str
    fields: dict
    split: str = ""
    held_out: bool = False


def read(input_dir: epath.Path) -> Listing:
    """Reads one part, or a folder of parts (`dfdc_train_part_N/metadata.json`).

    Parts may be zip archives as they are downloaded; the path of a video in one
    leads through it, such as `dfdc_train_part_00.zip/dfdc_train_part_0/x.mp4`.

    A video, its original and the original's other fakes are one group, over all parts
    (`original` may be null, missing, or in a part that is not here). Where `identity`
    is stated, as in our own demo data set, its videos are one group as well; so are
    those of one person in the preview. DFDC's own `split` is "train" for all of its
    training parts, so it says nothing here. Beside training parts, the test and the
    validation set are those splits; alone they are split like any other part.

    Raises:
      InputError: There is no table, or one of its fields cannot be used.
    """
    parts = sorted(_find(input_dir, _DEPTH), key=lambda part: part.folder)
    if not parts:
        raise InputError(
            f"{input_dir}: there is no {METADATA} here nor in the folders and zip"
            " archives below; expected DFDC's layout, dfdc_train_part_N/metadata.json"
            f" beside the videos, its test set with {METADATA} or {_LABELS_TABLE}, or"
            f" its preview with {_PREVIEW}"
        )
    found = Listing(table=f"any {METADATA}")
    entries: dict[str, _Entry] = {}
    for part in parts:
        for name, entry in _entries(part):
            if name in entries:
                raise InputError(
                    f"{part.source}, {name}: the same name is in"
                    f" {entries[name].part.source}; is one part there twice?"
                )
            entries[name] = entry
    joined = groups.Groups()
    for name, entry in entries.items():
        for kind, field in ((groups.VIDEO, "original"), (groups.IDENTITY, "identity")):
            if other := listing_lib.text(entry.fields, field, entry.where):
                joined.join((groups.VIDEO, name), (kind, other))
        joined.join((groups.VIDEO, name), (groups.VIDEO, name))
    names = joined.names()
    trains = not all(entry.held_out for entry in entries.values())

    videos = []
    for name, entry in entries.items():
        part, fields, where = entry.part, entry.fields, entry.where
        label = _LABELS[listing_lib.word(fields, "label", _LABELS, where)]
        periods = listing_lib.periods(fields, "fake_periods", where)
        if periods and label == "real":
            raise InputError(f"{where}: a REAL video has fake_periods")
        listing_lib.check_name(part.folder, name, where)
        place = part.find(name)
        path = listing_lib.relative(part.folder / place, input_dir)
        if place not in part.files and not (part.folder / place).exists():
            found.missing.append(path)
        videos.append(
            Video(
                video_id="",
                path=path,
                label=label,
                split=entry.split if trains or not entry.held_out else "",
                group=names[groups.VIDEO, name],
                manipulation=listing_lib.text(fields, "manipulation", where),
                fake_periods=periods,
                forged=_forged(fields, label, where),
            )
        )
    found.videos = listing_lib.with_unique_ids(videos)
    for part in parts:
        paths = (part.folder / other for other in part.files)
        listing_lib.leave_out_unlisted(
            found, (listing_lib.relative(p, input_dir) for p in paths), part.table
        )
    return found


def _forged(fields: dict, label: str, where: str) -> str:
    """As our own demo data set states it; DFDC's tables do not."""
    if not listing_lib.text(fields, "forged", where):
        return ""
    if label == "real":
        raise InputError(f"{where}: a REAL video has the field forged")
    return listing_lib.word(fields, "forged", spec.FORGED, where)


def _find(folder: epath.Path, depth: int) -> Iterator[_Part]:
    table = next((name for name in _TABLES if (folder / name).is_file()), None)
    if table is not None:
        if table == _PREVIEW:
            paths = list(listing_lib.walk(folder))
        else:
            paths = list(folder.iterdir())
            if (folder / _VIDEOS).is_dir():
                paths += (folder / _VIDEOS).iterdir()
        names = frozenset(listing_lib.relative(path, folder) for path in paths)
        yield _Part(folder, table, (folder / table).read_bytes(), names)
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
            members = opened.namelist()
            tables: dict[str, str] = {}
            for table in reversed(_TABLES):
                for member in members:
                    folder, _, name = member.rpartition("/")
                    if name == table:
                        tables[folder] = table
            for folder, table in tables.items():
                if folder:
                    check_inside(folder, os.fspath(archive))
                prefix = f"{folder}/" if folder else ""
                below = (
                    m.removeprefix(prefix) for m in members if m.startswith(prefix)
                )
                names = frozenset(
                    name
                    for name in below
                    if table == _PREVIEW or name.rpartition("/")[0] in ("", _VIDEOS)
                )
                content = opened.read(prefix + table)
                yield _Part(archive / folder, table, content, names)
    except (zipfile.BadZipFile, zlib.error, OSError) as e:
        raise InputError(
            f"{archive}: cannot be read: {e}. Was the download cut short?"
        ) from e


def _entries(part: _Part) -> Iterator[tuple[str, _Entry]]:
    if part.table == _LABELS_TABLE:
        yield from _entries_of_labels(part)
        return
    table = listing_lib.parse_json(part.content, part.source)
    if not isinstance(table, dict):
        raise InputError(
            f"{part.source}: expected an object with a field per video, got a"
            f" {type(table).__name__}"
        )
    for name, fields in table.items():
        where = f"{part.source}, {name}"
        if not isinstance(fields, dict):
            raise InputError(
                f"{where}: expected an object with label and original, got {fields!r}"
            )
        if part.table == _PREVIEW:
            yield name, _entry_of_preview(part, name, fields, where)
        elif "is_fake" in fields and "label" not in fields:
            if fields["is_fake"] not in (0, 1):
                raise InputError(
                    f"{where}: the field is_fake is {fields['is_fake']!r}, expected 0"
                    " or 1"
                )
            label = "FAKE" if fields["is_fake"] else "REAL"
            yield name, _Entry(part, where, {**fields, "label": label}, "test", True)
        else:
            yield name, _Entry(part, where, fields)


def _entries_of_labels(part: _Part) -> Iterator[tuple[str, _Entry]]:
    text = text_files.decode(part.content, part.source, "a table filename,label")
    table = text_files.Table(part.source, text)
    table.need(("filename", "label"))
    split = "validation" if part.folder.name.startswith("val") else "test"
    for line, row in table.dicts():
        label = row["label"].strip()
        label = {"0": "REAL", "1": "FAKE"}.get(label, label.upper())
        if label not in _LABELS:
            raise InputError(
                f"{part.source}, line {line}: label is {row['label']!r}, expected 0 for"
                " real or 1 for fake"
            )
        name = row["filename"].strip()
        where = f"{part.source}, {name}"
        yield name, _Entry(part, where, {"label": label}, split, True)


def _entry_of_preview(part: _Part, name: str, fields: dict, where: str) -> _Entry:
    label = listing_lib.word(fields, "label", ("real", "fake"), where)
    split = listing_lib.word(fields, "set", ("train", "test"), where)
    # Whose the picture is; the files' names begin with that person's number.
    person = fields.get("target_id") or name.rpartition("/")[2].split("_")[0]
    made = {
        "label": label.upper(),
        "identity": str(person),
        "manipulation": name.split("/")[0] if label == "fake" else "",
    }
    return _Entry(part, where, made, split)
