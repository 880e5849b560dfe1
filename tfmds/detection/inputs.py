"""The videos that a user means by files, folders, patterns and lists."""

import glob
import os
import sys
from collections.abc import Iterable

from tfmds.common import files
from tfmds.common.errors import InputError

# Files of these names are looked at in a folder; a file that is named is always tried.
VIDEO_SUFFIXES = (
    *(".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4"),
    *(".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".webm", ".wmv"),
)


def find_videos(path: str) -> list[str]:
    """The video itself, those in a folder and below it, or those a pattern meets.

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
    lines = files.decode(
        text, path, "the path of a video in each line", any_bytes=True
    ).splitlines()
    paths = [_as_on_disk(line) for line in lines if line.strip()]
    if not paths:
        raise InputError(f"{path}: the list is empty, expected a path in each line")
    return paths


def _as_on_disk(path: str) -> str:
    """A path that is no UTF-8 may be that of Windows, written for a name in UTF-8."""
    other = os.fsencode(path).decode("cp1252", "replace")
    return path if os.path.exists(path) or not os.path.exists(other) else other


def _videos_below(root: str) -> list[str]:
    def fail(error: OSError) -> None:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror})")

    found = sorted(
        os.path.join(folder, name)
        for folder, _, names in os.walk(root, onerror=fail)
        for name in names
        if os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES
    )
    if not found:
        raise InputError(
            f"{root}: no videos in this folder; expected files that end in"
            f" {', '.join(VIDEO_SUFFIXES)}"
        )
    return found
