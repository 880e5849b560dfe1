"""The videos that a user means by files, folders, patterns and lists."""

import glob
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable

from tfmds import spec
from tfmds.common import csv_files, text_files
from tfmds.common.errors import InputError
from tfmds.preprocessing import video_files


def find_videos(path: str) -> list[str]:
    """The video itself, those in a folder and below it, or those a pattern meets.

    A file that is named is always tried; of a folder those that `video_files` takes
    for videos, and a line on standard error counts the rest.

    Args:
      path: A file, a folder, or a pattern such as `clips/*.mp4`; `**` stands for any
        folders.

    Returns:
      Paths of files, sorted.

    Raises:
      InputError: There is no such file, or the folder holds no video or cannot be
        read.
    """
    if os.path.isfile(path):
        return [path]
    if os.path.isdir(path):
        return _videos_below(path)
    if os.path.lexists(path):
        raise InputError(f"{path}: neither a file nor a folder")
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", path):
        raise InputError(
            f"{path}: videos are read from disk; download it and name the file"
        )
    if not glob.has_magic(path):
        raise InputError(f"{path}: there is no such file or folder")
    found = [p for p in sorted(glob.glob(path, recursive=True)) if os.path.isfile(p)]
    if not found:
        raise InputError(f"{path}: no file meets this pattern")
    return found


def find_all(names: Iterable[str], list_path: str | None) -> tuple[list[str], int]:
    """All videos that are meant, each once; what is none is told on standard error.

    Args:
      names: Files, folders and patterns.
      list_path: A text file with more of them, see `read_list`.

    Returns:
      The paths, and how many of the names led to no video.

    Raises:
      InputError: The list cannot be read.
    """
    paths: dict[str, None] = {}
    num_bad_inputs = 0
    for name in [*names, *(read_list(list_path) if list_path else [])]:
        try:
            paths.update(dict.fromkeys(find_videos(name)))
        except InputError as e:
            print(f"error: {e}", file=sys.stderr)
            num_bad_inputs += 1
    return list(paths), num_bad_inputs


def read_list(path: str) -> list[str]:
    """Paths in a text file, one a line; `-` is standard input.

    Raises:
      InputError: The list cannot be read, or is empty.
    """
    try:
        if path == "-":
            text = sys.stdin.buffer.read()
        else:
            with open(path, "rb") as f:
                text = f.read()
    except OSError as e:
        raise InputError(
            f"{path}: the list cannot be read ({e.strerror}); expected a text file"
            " with the path of a video in each line"
        ) from e
    lines = text_files.decode(
        text, path, "the path of a video in each line", any_bytes=True
    ).splitlines()
    paths = [_as_on_disk(line) for line in lines if line.strip()]
    if not paths:
        raise InputError(f"{path}: the list is empty, expected a path in each line")
    return paths


def _as_on_disk(path: str) -> str:
    """A path that is not there as it is written may be so as another program writes it.

    Windows writes names that are UTF-8 in its code page; our tables write the bytes of
    those that are none.
    """
    others = os.fsencode(path).decode("cp1252", "replace"), csv_files.name_of(path)
    return next(filter(os.path.exists, (path, *others)), path)


def _videos_below(root: str) -> list[str]:
    def fail(error: OSError) -> None:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror})")

    found: list[str] = []
    rest: Counter[str] = Counter()
    for folder, folders, names in os.walk(root, onerror=fail):
        folders[:] = [name for name in folders if not video_files.is_hidden(name)]
        for name in names:
            path = os.path.join(folder, name)
            if video_files.is_video(path):
                found.append(path)
            elif video_files.is_hidden(name):
                rest["hidden"] += 1
            else:
                rest[os.path.splitext(name)[1].lower() or "without suffix"] += 1
    passed_over = ", ".join(f"{count} {kind}" for kind, count in rest.most_common(5))
    if not found:
        raise InputError(
            f"{root}: no videos in this folder; expected files that end in"
            f" {', '.join(spec.VIDEO_SUFFIXES)} or begin like videos"
            + (f" (found {passed_over})" if rest else "")
        )
    if rest:
        print(
            f"note: {root}: {rest.total()} files are no videos and were passed over"
            f" ({passed_over})",
            file=sys.stderr,
        )
    return sorted(found)
