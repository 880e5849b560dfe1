"""Files: whole or not at all."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from typing import IO, Any

from etils import epath

from tfmds.common.errors import InputError

_BLOCK_BYTES = 1 << 20


@contextlib.contextmanager
def writing(path: os.PathLike | str, mode: str = "w") -> Iterator[IO]:
    """Opens a file that gets its final name only when it is whole."""
    path = epath.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.parent / f".{path.name}.partial"
    with partial.open(mode) as f:
        yield f
    partial.replace(path)


def make_folder(path: os.PathLike | str) -> None:
    """Makes a folder where there is none.

    Raises:
      InputError: It cannot be made, or cannot be written to.
    """
    path = epath.Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
        write_bytes(path / ".writable", b"")
        (path / ".writable").unlink()
    except OSError as e:
        raise InputError(f"{path}: no folder to write to ({e.strerror or e})") from e


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


def read_text(path: os.PathLike | str, what: str, hint: str) -> str:
    """Reads a text file.

    Args:
      path: The file.
      what: What it should be, for the error.
      hint: What to do where it is missing, a sentence.

    Raises:
      InputError: There is no such file, or it is not text in UTF-8.
    """
    path = epath.Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a directory, expected {what}. {hint}")
    if not path.is_file():
        raise InputError(f"{path}: there is no such file, expected {what}. {hint}")
    try:
        # Spreadsheet programs put a byte order mark in front.
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise InputError(f"{path}: not text in UTF-8, expected {what}: {e}") from e


def sha256(path: os.PathLike | str) -> str:
    """SHA-256 of a file of any size, as hexadecimal digits."""
    found = hashlib.sha256()
    with epath.Path(path).open("rb") as f:
        while block := f.read(_BLOCK_BYTES):
            found.update(block)
    return found.hexdigest()


def digest(path: os.PathLike | str) -> str:
    """SHA-256 of a file, as `sha256:...`."""
    return f"sha256:{sha256(path)}"
