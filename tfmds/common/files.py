"""Files: written whole or not at all, read as other programs write them."""

import codecs
import contextlib
import csv
import ctypes
import errno
import fcntl
import hashlib
import io
import json
import os
import re
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
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


def read_text(path: os.PathLike | str, what: str, hint: str) -> str:
    """Reads a text file in any encoding that `decode` knows.

    Args:
      path: The file.
      what: What it should be, for the error.
      hint: What to do where it is missing, a sentence.

    Raises:
      InputError: There is no such file, it cannot be read, or it is not text.
    """
    path = epath.Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a directory, expected {what}. {hint}")
    if not path.is_file():
        raise InputError(f"{path}: there is no such file, expected {what}. {hint}")
    try:
        content = path.read_bytes()
    except OSError as e:
        raise InputError(f"{path}: cannot be read: {e.strerror or e}. {hint}") from e
    return decode(content, path, what)


# The longer ones first: UTF-32's begins with UTF-16's.
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
# What people take for a text, by its first bytes.
_NO_TEXT = {
    b"PK\x03\x04": "a workbook or a zip archive",
    b"\xd0\xcf\x11\xe0": "a workbook of an old Excel",
    b"\x1f\x8b": "packed with gzip",
}
_CONTROL = re.compile("[\x00-\x08\x0e-\x19\x1b-\x1f]")
# What Windows-1252 is not: any other alphabet, read as if it were that encoding, has
# many accented letters on end, or signs that stand in no name.
_OTHER_ALPHABET = re.compile(
    "[\xc0-\xd6\xd8-\xf6\xf8-\xff]{3}"
    "|[^\x00-\x7f\xc0-\xffŠŒŽšœžŸ€‚„…‘’“”•–—™ ¡§©«®°´·»¿]"
)


def decode(
    content: bytes, path: os.PathLike | str, what: str, *, any_bytes: bool = False
) -> str:
    """Makes text of what a text file holds, as editors and spreadsheets write it.

    UTF-8, UTF-16 and UTF-32 with a byte order mark, UTF-8 and UTF-16 without one, and
    Windows-1252 where none of these fits.

    Args:
      content: The bytes of the file.
      path: Where they are from, for the error.
      what: What it should be, for the error.
      any_bytes: Whether bytes that are not UTF-8 are kept as `os.fsdecode` keeps them,
        and not taken for Windows-1252: the names of files are any bytes.

    Raises:
      InputError: It is no text, or in an encoding that cannot be told.
    """
    found = _decode(content, any_bytes)
    if found is not None:
        return found
    kinds = (kind for magic, kind in _NO_TEXT.items() if content.startswith(magic))
    kind = next(kinds, "not a text file in UTF-8, UTF-16 or Windows-1252")
    raise InputError(
        f"{path}: {kind}, expected {what}. Save it as text in UTF-8 (Excel calls it"
        " CSV UTF-8)."
    )


def _decode(content: bytes, any_bytes: bool) -> str | None:
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            return _decode_as(encoding, content[len(mark) :])
    # In UTF-16 each Latin letter has a zero byte beside it.
    zeros = [content[k:2048:2].count(0) for k in (0, 1)]
    if any(zeros):
        return _decode_as("utf-16-le" if zeros[1] else "utf-16-be", content)
    if any_bytes:
        return content.decode(errors="surrogateescape")
    found = _decode_as("utf-8", content)
    if found is None:
        found = _decode_as("cp1252", content)
        if found and _OTHER_ALPHABET.search(found):
            return None
    return found


def _decode_as(encoding: str, content: bytes) -> str | None:
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        return None
    return None if _CONTROL.search(text) else text


# Spreadsheets write the separator of their country's settings.
_SEPARATORS = (",", ";", "\t", "|")
_DECIMAL_COMMA = re.compile(r"(?<=\d),(?=\d)")


class Table:
    """A table that is read from a CSV file, its rows as texts.

    Commas, semicolons, tabs or bars part its columns; where it is not commas, numbers
    may have a decimal comma. Lines without any value are passed over.

    Attributes:
      path: The file.
      columns: The names in its first line.
    """

    def __init__(self, path: os.PathLike | str, text: str):
        self.path = path
        # A table may end with the end-of-file sign of DOS.
        self._text = text.rstrip("\x1a")
        self._begin = 0
        self._separator = ","
        if match := re.match(r"sep=(.)\r?\n", self._text):
            # For Excel alone; it is no part of the table.
            self._separator, self._begin = match[1], match.end()
        else:
            first = next(io.StringIO(self._text), "")
            counts = {s: len(next(self._csv(first, s), [])) for s in _SEPARATORS}
            self._separator = max(counts, key=counts.__getitem__)
        first_row: list[str] = next(
            self._csv(self._text[self._begin :], self._separator), []
        )
        self.columns = tuple(name.strip() for name in first_row)

    def need(self, columns: Iterable[str]) -> None:
        """Raises InputError where the table lacks one of these columns."""
        columns = tuple(columns)
        if missing := [name for name in columns if name not in self.columns]:
            raise InputError(
                f"{self.path}: the table lacks the columns {', '.join(missing)}; it has"
                f" {', '.join(filter(None, self.columns)) or 'none'}. Expected:"
                f" {','.join(columns)}"
            )

    def rows(self, numbers: Collection[str] = ()) -> Iterator[tuple[int, list[str]]]:
        """Yields the line of each row, for messages, and its values.

        Args:
          numbers: Columns of numbers, in which a decimal comma becomes a point.

        Raises:
          InputError: A row has another number of values than the table has columns,
            or the table cannot be taken apart.
        """
        at = [
            k
            for k, name in enumerate(self.columns)
            if name in numbers and self._separator != ","
        ]
        width = len(self.columns)
        reader = self._csv(self._text[self._begin :], self._separator)
        skipped = self._text.count("\n", 0, self._begin)
        try:
            next(reader, None)
            for row in reader:
                if not any(row):
                    continue
                line = skipped + reader.line_num
                while len(row) > width and not row[-1]:
                    row.pop()
                if len(row) != width:
                    raise InputError(
                        f"{self.path}, line {line}: {len(row)} values, expected {width}"
                        " as in the header"
                    )
                for k in at:
                    row[k] = _DECIMAL_COMMA.sub(".", row[k])
                yield line, row
        except csv.Error as e:
            raise InputError(
                f"{self.path}, line {skipped + reader.line_num}: no CSV table: {e}"
            ) from e

    def dicts(
        self, numbers: Collection[str] = ()
    ) -> Iterator[tuple[int, dict[str, str]]]:
        """Like `rows`, each row by the names of its columns."""
        for line, row in self.rows(numbers):
            yield line, dict(zip(self.columns, row, strict=True))

    @staticmethod
    def _csv(text: str, separator: str) -> Any:
        return csv.reader(io.StringIO(text, newline=""), delimiter=separator)


def read_table(path: os.PathLike | str, what: str, hint: str) -> Table:
    """Reads a table with names in its first line, as any spreadsheet writes it.

    Args:
      path: The file.
      what: What it should be, for the error.
      hint: What to do where it is missing, a sentence.

    Raises:
      InputError: As `read_text`.
    """
    return Table(path, read_text(path, what, hint))


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
