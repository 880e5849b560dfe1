"""Text files and tables as other programs write them: any encoding, any separator."""

import codecs
import csv
import io
import os
import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from etils import epath

from tfmds.common.errors import InputError

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
# Spreadsheets write the separator of their country's settings.
_SEPARATORS = (",", ";", "\t", "|")
_DECIMAL_COMMA = re.compile(r"(?<=\d),(?=\d)")


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
