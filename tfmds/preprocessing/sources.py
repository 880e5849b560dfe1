"""Where the bytes of a video are: in a file, in a zip archive, or far away.

A video in an archive has the archive in its path, as if it were a folder:
`part_00.zip/dfdc_train_part_0/x.mp4`.
"""

import contextlib
import os
import re
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, cast

from etils import epath

from tfmds import spec
from tfmds.preprocessing.containers import MediaError

ARCHIVE_SUFFIX = ".zip"
# Where etils and `common.remote_paths` read files from.
_STORES = ("az", "gs", "hdfs", "hf", "s3")
_BLOCK_BYTES = 1 << 20


def exists(path: os.PathLike | str) -> bool:
    """Whether there is such a file, or such a member of an archive."""
    found = _in_archive(path)
    if found is None:
        return epath.Path(path).exists()
    archive, member = found
    with contextlib.suppress(zipfile.BadZipFile, OSError), _opened(archive) as names:
        return member in names.NameToInfo
    return False


@contextlib.contextmanager
def local_file(path: os.PathLike | str, max_bytes: int) -> Iterator[str]:
    """A file that a decoder can open, where need be a copy that is gone afterwards.

    Args:
      path: Where the video is.
      max_bytes: No more is copied.

    Raises:
      MediaError: It cannot be taken out of its archive, or is too large to be copied.
    """
    path = os.fspath(path)
    found = _in_archive(path)
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", path)
    if not found and (not scheme or os.path.exists(path)):
        yield path
        return
    if not found and scheme and scheme[1].lower() not in _STORES:
        raise MediaError(
            spec.DECODE_ERROR,
            f"videos are read from disk, not from {scheme[1]}://: download it first",
        )
    with tempfile.NamedTemporaryFile(suffix=os.path.splitext(path)[1]) as copy:
        if found:
            _extract(*found, copy, max_bytes)
        else:
            _download(path, copy, max_bytes)
        copy.flush()
        yield copy.name


def _in_archive(path: os.PathLike | str) -> tuple[str, str] | None:
    """The archive and the name in it, None where the path leads through none."""
    path = os.fspath(path)
    at = path.lower().find(f"{ARCHIVE_SUFFIX}/")
    while at >= 0:
        end = at + len(ARCHIVE_SUFFIX)
        if epath.Path(path[:end]).is_file():
            return path[:end], path[end + 1 :]
        at = path.lower().find(f"{ARCHIVE_SUFFIX}/", end)
    return None


@contextlib.contextmanager
def _opened(archive: str) -> Iterator[zipfile.ZipFile]:
    with (
        epath.Path(archive).open("rb") as f,
        zipfile.ZipFile(cast(IO[bytes], f)) as opened,
    ):
        yield opened


def _extract(archive: str, member: str, target: IO, max_bytes: int) -> None:
    # What the archive says of links and folders plays no part: the copy's name is ours.
    try:
        with _opened(archive) as opened, opened.open(member) as source:
            _copy(source, target, max_bytes)
    except KeyError as e:
        reason = "there is no such file in its archive"
        raise MediaError(spec.DECODE_ERROR, reason) from e
    except (zipfile.BadZipFile, zlib.error, EOFError) as e:
        reason = f"it is damaged in its archive: {e}"
        raise MediaError(spec.DECODE_ERROR, reason) from e
    # The module raises these for a password and for a method it does not know.
    except (RuntimeError, NotImplementedError) as e:
        reason = f"it cannot be taken out of its archive: {e}"
        raise MediaError(spec.DECODE_ERROR, reason) from e


def _download(path: str, target: IO, max_bytes: int) -> None:
    if not epath.Path(path).exists():
        raise MediaError(spec.DECODE_ERROR, "there is no such file")
    with epath.Path(path).open("rb") as source:
        _copy(source, target, max_bytes)


def _copy(source: IO, target: IO, max_bytes: int) -> None:
    # What an archive says of a size may be untrue: the bytes are counted.
    copied = 0
    while block := source.read(_BLOCK_BYTES):
        copied += len(block)
        if copied > max_bytes:
            raise MediaError(
                spec.OVER_LIMIT,
                f"the file has more than {max_bytes} bytes (max_video_bytes)",
            )
        target.write(block)
