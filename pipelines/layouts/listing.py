"""What a layout returns: the videos it found, and what it left out."""

import dataclasses
import os
from collections.abc import Iterable, Iterator
from typing import Any

from etils import epath

from tfmds.common import json_files, text_files
from tfmds.common.errors import InputError
from tfmds.data.manifest import Period, Video, check_inside
from tfmds.preprocessing import video_files

# Why a video on disk is left out that nothing of the data set names.
NO_LABEL = "no label"


@dataclasses.dataclass
class Listing:
    """The videos of a data set.

    Attributes:
      videos: Rows with paths relative to the input folder. `split` is what the data
        set itself states, empty where it states none.
      missing: Paths that the data set lists and that are not on disk; their rows are
        among `videos` all the same, preprocessing gives them a status.
      table: What names the videos of the data set, in words.
      left_out: What was found and not taken, and why.
      notes: What is to be known of the data set, a sentence each.
    """

    videos: list[Video] = dataclasses.field(default_factory=list)
    missing: list[str] = dataclasses.field(default_factory=list)
    table: str = "its folders"
    left_out: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)


def read_json(path: epath.Path) -> Any:
    """Reads a JSON file; raises InputError that names the file and the place."""
    try:
        return parse_json(path.read_bytes(), path)
    except OSError as e:
        raise InputError(f"{path}: cannot be read: {e.strerror or e}") from e


def parse_json(content: bytes, path: os.PathLike | str) -> Any:
    """Reads JSON that is found at `path`; raises as `read_json`."""
    what, hint = "a list of videos", "Was the download or the unpacking cut short?"
    return json_files.parse(text_files.decode(content, path, what), path, what, hint)


def word(fields: dict, name: str, allowed: Iterable[str], where: str) -> str:
    """The field `name`, which has to be one of `allowed`."""
    allowed = tuple(allowed)
    if name not in fields:
        raise InputError(
            f"{where}: the field {name} is missing, expected one of"
            f" {', '.join(allowed)}"
        )
    if fields[name] not in allowed:
        raise InputError(
            f"{where}: the field {name} is {fields[name]!r}, expected one of"
            f" {', '.join(allowed)}"
        )
    return fields[name]


def text(fields: dict, name: str, where: str) -> str:
    """The field `name` as text, empty where it is missing or null."""
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InputError(f"{where}: the field {name} is {value!r}, expected a text")
    return value.strip()


def required_text(fields: dict, name: str, where: str) -> str:
    """The field `name` as text that is not empty."""
    value = text(fields, name, where)
    if not value:
        raise InputError(f"{where}: the field {name} is missing, expected a text")
    return value


def read_list(path: epath.Path) -> list[dict]:
    """Reads a JSON file that holds a list of objects."""
    entries = read_json(path)
    if not isinstance(entries, list):
        raise InputError(f"{path}: expected a list, got a {type(entries).__name__}")
    for number, fields in enumerate(entries):
        if not isinstance(fields, dict):
            raise InputError(
                f"{path}, entry {number}: expected an object, got {fields!r}"
            )
    return entries


def periods(fields: dict, name: str, where: str) -> tuple[Period, ...]:
    """The field `name` as a list of [start, end] in seconds, empty where missing."""
    value = fields.get(name)
    if value is None:
        return ()
    try:
        found = tuple((float(start), float(end)) for start, end in value)
        valid = all(0 <= start < end < float("inf") for start, end in found)
    except (TypeError, ValueError):
        valid = False
    if not valid:
        raise InputError(
            f"{where}: the field {name} is {value!r}, expected a list of [start, end]"
            " in seconds with start before end"
        )
    return found


def check_name(folder: epath.Path, name: str, where: str) -> None:
    """Raises InputError where a file's name leads out of `folder`, by links too."""
    check_inside(name, where)
    root = os.path.realpath(folder)
    if os.path.commonpath([root, os.path.realpath(folder / name)]) != root:
        raise InputError(
            f"{where}: {name!r} is a link that leads out of {folder}; expected a file"
            " below it"
        )


def relative(path: epath.Path, root: epath.Path) -> str:
    """`path` as seen from `root`, with forward slashes."""
    return epath.Path(path).relative_to(root).as_posix()


def walk(folder: epath.Path) -> Iterator[epath.Path]:
    """All files below `folder` in a fixed order, hidden ones left out."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            # A link to a folder above leads round and round.
            above = os.path.realpath(folder) + os.sep
            if not above.startswith(os.path.realpath(path) + os.sep):
                yield from walk(path)
        else:
            yield path


def leave_out_unlisted(found: Listing, paths: Iterable[str], table: str) -> None:
    """Leaves out the videos among files on disk that the layout did not find.

    Args:
      found: What the layout found; grows.
      paths: Files as seen from the input folder.
      table: What does not name them.
    """
    known = {video.path for video in found.videos}
    known |= {path for path, _ in found.left_out}
    for path in sorted(set(paths) - known):
        if video_files.is_named_video(path):
            found.left_out.append((path, f"not in {table}, {NO_LABEL}"))


def is_video(path: epath.Path) -> bool:
    """Whether the file is a video by its name or its first bytes."""
    return video_files.is_video(path)


def with_unique_ids(videos: Iterable[Video]) -> list[Video]:
    """Names videos by their file, or by their path where files share a name."""
    videos = list(videos)
    stems = [epath.Path(v.path).stem for v in videos]
    double = {s for s, count in _counted(stems).items() if count > 1}
    named = []
    for video, stem in zip(videos, stems, strict=True):
        if stem in double:
            stem = video.path.replace("/", "__")
        named.append(dataclasses.replace(video, video_id=stem))
    return named


def _counted(names: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return counts
