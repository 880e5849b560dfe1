r"""Tables that go out: CSV that is valid UTF-8, whatever the names of files are.

The name of a file is any bytes. Those that are no UTF-8 stand as `\xe9` in a table, and
`name_of` makes the name again.
"""

import csv
import io
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any

from tfmds.common import files

# What a name that is text may hold without being taken for an escape.
_ESCAPE = re.compile(r"\\x(5c|[89a-f][0-9a-f])")
_NO_TEXT = re.compile("[\udc80-\udcff]")


def text_of(name: str) -> str:
    """A file's name as text that can be written as UTF-8.

    Args:
      name: As Python has it: bytes that are no UTF-8 are lone surrogates.

    Returns:
      The name itself where it is text and looks like no other's escape.
    """
    if not (_NO_TEXT.search(name) or _ESCAPE.search(name)):
        return name
    name = name.replace("\\", r"\x5c")
    return _NO_TEXT.sub(lambda found: rf"\x{ord(found[0]) - 0xDC00:02x}", name)


def name_of(text: str) -> str:
    """The inverse of `text_of`."""

    def unescape(found: re.Match[str]) -> str:
        number = int(found[1], 16)
        return chr(number if number < 0x80 else 0xDC00 + number)

    return _ESCAPE.sub(unescape, text)


class Writer:
    """Writes rows of a table to a text file that is open."""

    def __init__(self, file: IO[str], columns: Sequence[str]):
        self._writer = csv.writer(file, lineterminator="\n")
        self._columns = columns

    def header(self) -> None:
        """Writes the names of the columns."""
        self._writer.writerow(self._columns)

    def row(self, values: Mapping[str, Any]) -> None:
        """Writes a row by the names of its columns."""
        self._writer.writerow(
            text_of(value) if isinstance(value, str) else value
            for value in (values[name] for name in self._columns)
        )


def write(
    path: os.PathLike | str,
    columns: Sequence[str],
    rows: Iterable[Mapping[str, Any]],
) -> None:
    """Writes a table, whole or not at all.

    Args:
      path: Where to.
      columns: The names in its first line.
      rows: The values of each row by these names.
    """
    text = io.StringIO(newline="")
    writer = Writer(text, columns)
    writer.header()
    for row in rows:
        writer.row(row)
    files.write_text(path, text.getvalue())
