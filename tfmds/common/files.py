"""Files and folders: written whole or not at all, removed, locked, told by a digest."""

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import json
import os
import re
import uuid
from collections.abc import Callable, Iterator
from typing import IO, Any, cast

from etils import epath

from tfmds.common.errors import InputError

_BLOCK_BYTES = 1 << 20

# Of Linux' renameat2: relative to the working directory, and exchange the two names.
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


@contextlib.contextmanager
def writing(path: os.PathLike | str, mode: str = "w") -> Iterator[IO]:
    """Opens a file that gets its final name only when it is whole."""
    path = epath.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.parent / f".{path.name}.partial"
    with partial.open(mode) as f:
        yield f
    partial.replace(path)


def reading(path: os.PathLike | str) -> IO[bytes]:
    """Opens a file for its bytes."""
    # The type that epath gives is that of text, whatever the mode.
    return cast(IO[bytes], epath.Path(path).open("rb"))


@contextlib.contextmanager
def making_folder(path: os.PathLike | str) -> Iterator[epath.Path]:
    """Makes a folder that gets its final name only when it is whole.

    A folder that had the name before keeps it until then. What an interrupted process
    left beside it is cleared.

    Args:
      path: The folder; those above it are made.

    Yields:
      The folder to fill, under a hidden name.
    """
    path = epath.Path(path)
    partial = path.parent / f".{path.name}.partial"
    clear_removed(path.parent, path.name)
    partial.mkdir(parents=True)
    try:
        yield partial
        _replace_folder(partial, path)
    except BaseException:
        _delete(partial)
        raise


def remove_folder(path: os.PathLike | str) -> None:
    """Removes a folder, if it is there, so that nobody ever sees half of it.

    It loses its name in one step and is deleted then; where that is interrupted,
    `clear_removed` does the rest.
    """
    path = epath.Path(path)
    removed = path.parent / f".{path.name}.removed-{uuid.uuid4().hex[:8]}"
    if path.exists():
        path.rename(removed)
        _delete(removed)


def clear_removed(parent: os.PathLike | str, name: str = "") -> None:
    """Deletes what interrupted removals and half-made folders left in a folder.

    Where a process ended between an old folder's renaming and that of the new one in
    its place, the old one has its name again.

    Args:
      parent: The folder; all that is in it must be ours unless `name` is given.
      name: Of the only folder to look for, or empty for any.
    """
    parent = epath.Path(parent)
    for path in sorted(parent.iterdir()) if parent.is_dir() else ():
        left = re.fullmatch(
            r"\.(.+)\.(removed-[0-9a-f]{8}|replaced|partial)", path.name
        )
        if not left or name not in ("", left[1]) or not path.is_dir():
            continue
        if left[2] != "replaced":
            _delete(path)
        elif (parent / left[1]).exists():
            remove_folder(path)
        else:
            path.rename(parent / left[1])


def _replace_folder(new: epath.Path, path: epath.Path) -> None:
    if not path.exists():
        new.rename(path)
    elif _exchange(new, path):
        remove_folder(new)
    else:
        replaced = path.parent / f".{path.name}.replaced"
        path.rename(replaced)
        new.rename(path)
        remove_folder(replaced)


def _exchange(one: epath.Path, other: epath.Path) -> bool:
    """Lets two names change places in one step, where the file system can."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    if rename is None or "://" in os.fspath(other):
        return False
    names = os.fsencode(one), os.fsencode(other)
    return not rename(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE)


def _delete(path: epath.Path) -> None:
    # What cannot be deleted now is hidden, and deleted another time.
    with contextlib.suppress(OSError):
        path.rmtree()


def check_writable(path: os.PathLike | str, *, is_folder: bool) -> None:
    """Makes sure that a file, or files into a folder, can be written.

    Folders need not exist. On this machine nothing is left behind.

    Args:
      path: The file or folder.
      is_folder: Whether it is a folder.

    Raises:
      InputError: It cannot be written.
    """
    path = epath.Path(path)
    kind = "folder to write to" if is_folder else "file that can be written"
    try:
        if not is_folder and path.is_dir():
            raise IsADirectoryError(errno.EISDIR, "it is a folder")
        folder = path if is_folder else path.parent
        # Others have no folders, or rights that begin below the first ones.
        if "://" not in os.fspath(path):
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                os.stat(path)
            folder = epath.Path(os.path.abspath(folder))
            while not folder.exists():
                folder = folder.parent
            if not folder.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, f"{folder} is no folder")
        probe = folder / f".{uuid.uuid4().hex}.writable"
        write_bytes(probe, b"")
        probe.unlink(missing_ok=True)
    except OSError as e:
        raise InputError(f"{path}: no {kind} ({e.strerror or e})") from e


_LOCK = ".lock"


@contextlib.contextmanager
def locked(folder: os.PathLike | str, waiting: Callable[[], None]) -> Iterator[None]:
    """Makes a folder, and keeps other processes that lock it waiting.

    A process that ends in whatever way loses its lock. Folders of other machines
    (`s3://` and such), and those that cannot be written, are not locked.

    Args:
      folder: The folder.
      waiting: Called once before it waits for another process.
    """
    folder = epath.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    held = None if "://" in os.fspath(folder) else _lock(folder / _LOCK, waiting)
    try:
        yield
    finally:
        if held is not None:
            try:
                (folder / _LOCK).unlink(missing_ok=True)
            finally:
                os.close(held)


def _lock(path: epath.Path, waiting: Callable[[], None]) -> int | None:
    told = False
    while True:
        try:
            held = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:
            return None
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not told:
                waiting()
                told = True
            fcntl.flock(held, fcntl.LOCK_EX)
        except OSError:
            # A file system without locks.
            os.close(held)
            return None
        # The one before may have removed the file that was waited for.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(held), os.stat(path)):
                return held
        os.close(held)


def write_text(path: os.PathLike | str, text: str) -> None:
    """Writes a file under its final name only when it is whole."""
    write_bytes(path, text.encode())


def write_bytes(path: os.PathLike | str, content: bytes) -> None:
    """Writes a file under its final name only when it is whole."""
    with writing(path, "wb") as f:
        f.write(content)


def write_json(path: os.PathLike | str, value: Any) -> None:
    """Writes strict JSON: a NaN is an error here, not a surprise for the reader."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def sha256(path: os.PathLike | str) -> str:
    """SHA-256 of a file of any size, as hexadecimal digits."""
    found = hashlib.sha256()
    with reading(path) as f:
        while block := f.read(_BLOCK_BYTES):
            found.update(block)
    return found.hexdigest()


def digest(path: os.PathLike | str) -> str:
    """SHA-256 of a file, as `sha256:...`."""
    return f"sha256:{sha256(path)}"
