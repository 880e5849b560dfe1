"""Columns of score files: how each is read, what it may hold, how it is written."""

import dataclasses
import fnmatch
import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from tfmds import spec
from tfmds.common import csv_files, text_files
from tfmds.common.errors import InputError
from tfmds.data import manifest
from tfmds.evaluation import scores
from tfmds.evaluation.scores import ChunkScores, VideoScores

# Columns that begin so say something about a group, such as group_gender.
ATTRIBUTE_PREFIX = "group_"

_ROWS_AT_ONCE = 100_000
_MAKE_SCORES = (
    "Make scores with python -m tfmds.evaluate --model=RUN --data_dir=DATA, or name"
    " the scores.csv of an earlier run."
)

Parser = Callable[[list[str]], np.ndarray]


def as_names(values: list[str]) -> np.ndarray:
    """Names of videos as text; ValueError of the reader where one is empty."""
    if "" in values:
        raise _ValueAt(values.index(""), "empty, expected a name")
    return scores.texts(values)


def _as_words(allowed: Iterable[str]) -> Callable[[list[str]], np.ndarray]:
    allowed = tuple(allowed)

    def parse(values: list[str]) -> np.ndarray:
        for wrong in set(values).difference(allowed):
            raise _ValueAt(
                values.index(wrong),
                f"{wrong!r}, expected one of"
                f" {', '.join(word or 'nothing' for word in allowed)}",
            )
        return scores.texts(values)

    return parse


_as_label_words = _as_words(spec.LABELS)


def as_labels(values: list[str]) -> np.ndarray:
    """`real` and `fake` as 1 and 0."""
    _as_label_words(values)
    return np.array([spec.LABELS[value] for value in values], np.int8)


def _as_ints(values: list[str]) -> np.ndarray:
    return _numbers(values, int, np.int64, "a whole number")


def as_floats(values: list[str]) -> np.ndarray:
    """Finite numbers."""
    numbers = _numbers(values, float, np.float64, "a number")
    finite = np.isfinite(numbers)
    if not finite.all():
        at = int(np.argmin(finite))
        raise _ValueAt(at, f"{values[at]!r}, expected a finite number")
    return numbers


def as_floats_or_empty(values: list[str]) -> np.ndarray:
    """Finite numbers, NaN where there is nothing."""
    given = np.array([value != "" for value in values], bool)
    numbers = np.full(len(values), np.nan)
    try:
        numbers[given] = as_floats(list(itertools.compress(values, given)))
    except _ValueAt as e:
        raise _ValueAt(int(np.flatnonzero(given)[e.at]), e.message) from None
    return numbers


def _as_periods(values: list[str]) -> np.ndarray:
    known: dict[str, tuple[manifest.Period, ...]] = {}
    for at, value in enumerate(values):
        if value not in known:
            try:
                known[value] = manifest.parse_periods(value)
            except ValueError:
                raise _ValueAt(
                    at,
                    f"{value!r}, expected start-end in seconds with ; between periods,"
                    " such as 1.5-3;4-5.25",
                ) from None
    return scores.tuples(known[value] for value in values)


def _numbers(
    values: list[str], kind: Callable[[str], Any], dtype: Any, expected: str
) -> np.ndarray:
    try:
        return np.fromiter(map(kind, values), dtype, count=len(values))
    except (ValueError, OverflowError):
        for at, value in enumerate(values):
            try:
                dtype(kind(value))
            except (ValueError, OverflowError):
                raise _ValueAt(at, f"{value!r}, expected {expected}") from None
        raise


class _ValueAt(Exception):
    """A value of a column that cannot be read, and where it stands."""

    def __init__(self, at: int, message: str):
        super().__init__(at, message)
        self.at = at
        self.message = message


_PARSE_NUMBERS = (_as_ints, as_floats, as_floats_or_empty, _as_periods)
VIDEO_COLUMNS = {
    "video_id": as_names,
    "label": as_labels,
    "split": _as_words(spec.SPLITS),
    "group": scores.texts,
    "manipulation": scores.texts,
    "status": _as_words(spec.STATUSES),
    "chunks": _as_ints,
    "mds": as_floats_or_empty,
}
LABEL_COLUMNS = {
    name: VIDEO_COLUMNS[name]
    for name in ("video_id", "label", "split", "group", "manipulation")
}
# A first column that only numbers the rows: as pandas writes it, and reads it again.
_ROW_NUMBERS = re.compile(r"|Unnamed: 0")
# Names of the two columns of another detector's file.
FOREIGN_IDS = ("video", "video_id")
FOREIGN_SCORES = ("score", "mds")
# `*`: every column whose name begins so.
OPTIONAL_COLUMNS: dict[str, Parser] = {
    "fake_periods": _as_periods,
    "seconds": as_floats_or_empty,
    "forged": _as_words((*spec.FORGED, "")),
    "offset_seconds": as_floats_or_empty,
    f"{ATTRIBUTE_PREFIX}*": scores.texts,
}
CHUNK_COLUMNS: dict[str, Parser] = {
    "video_id": as_names,
    "track": _as_ints,
    "chunk": _as_ints,
    "start_seconds": as_floats,
    "label": as_labels,
    "distance": as_floats,
}
OPTIONAL_CHUNK_COLUMNS = dict.fromkeys(
    ("offset_distance", "misfit", *spec.STREAMS), as_floats_or_empty
)


def read(
    path: os.PathLike | str,
    columns: Mapping[str, Parser],
    optional: Mapping[str, Parser] | None = None,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The columns by name and, for messages, the line of each row."""
    table = text_files.read_table(path, f"a table {','.join(columns)}", _MAKE_SCORES)
    table.need(columns)
    header = list(table.columns)
    double = [n for n in dict.fromkeys(header) if n and header.count(n) > 1]
    if double:
        raise InputError(
            f"{path}: the table has the columns {', '.join(double)} more than once"
        )
    parsers = {**columns, **_matching(header, optional or {})}
    parts: dict[str, list[np.ndarray]] = {name: [] for name in parsers}
    lines = []
    numbers = [name for name, parse in parsers.items() if parse in _PARSE_NUMBERS]
    for block_lines, block in _blocks(table.rows(numbers)):
        for name, parse in parsers.items():
            try:
                parts[name].append(parse(block[header.index(name)]))
            except _ValueAt as e:
                raise InputError(
                    f"{path}, line {block_lines[e.at]}: {name} is {e.message}"
                ) from None
        lines.append(np.array(block_lines))
    if not lines:
        raise InputError(f"{path}: the table has no rows, expected one or more")
    return (
        {name: np.concatenate(part) for name, part in parts.items()},
        np.concatenate(lines),
    )


def header(path: os.PathLike | str) -> list[str]:
    """Names of the columns, without one that only numbers the rows."""
    what = f"a table {','.join(VIDEO_COLUMNS)}"
    columns = list(text_files.read_table(path, what, _MAKE_SCORES).columns)
    return columns[_ROW_NUMBERS.fullmatch(columns[0]) is not None :]


def _matching(header: list[str], optional: Mapping[str, Parser]) -> dict[str, Parser]:
    found = {}
    for name in header:
        for pattern, parse in optional.items():
            if fnmatch.fnmatchcase(name, pattern):
                found[name] = parse
    return found


def _blocks(
    rows: Iterator[tuple[int, list[str]]],
) -> Iterator[tuple[list[int], list[list[str]]]]:
    """Line numbers and columns of some rows at a time."""
    while block := list(itertools.islice(rows, _ROWS_AT_ONCE)):
        lines, values = zip(*block, strict=True)
        yield list(lines), [list(column) for column in zip(*values, strict=True)]


def check_unique(ids: np.ndarray, lines: np.ndarray, path: os.PathLike | str) -> None:
    """Raises InputError where a video has two rows."""
    if len(set(ids)) == len(ids):
        return
    seen: dict[str, int] = {}
    for name, line in zip(ids, lines, strict=True):
        if name in seen:
            raise InputError(
                f"{path}, line {line}: the video_id {name!r} is already in line"
                f" {seen[name]}; each video has one row"
            )
        seen[name] = line


def write(path: os.PathLike | str, table: VideoScores | ChunkScores) -> None:
    """Writes a table as CSV, whole or not at all."""
    columns: dict[str, np.ndarray] = {}
    for field in dataclasses.fields(table):
        value = getattr(table, field.name)
        columns |= value if isinstance(value, Mapping) else {field.name: value}
    written = [_as_written(name, values) for name, values in columns.items()]
    names = tuple(columns)
    rows = (dict(zip(names, row, strict=True)) for row in zip(*written, strict=True))
    csv_files.write(path, names, rows)


def _as_written(name: str, values: np.ndarray) -> list[Any]:
    if name == "label":
        return [spec.LABEL_WORDS[value] for value in values.tolist()]
    if name == "fake_periods":
        return [manifest.format_periods(value) for value in values]
    if np.issubdtype(values.dtype, np.floating):
        # Nine digits hold every float32 exactly.
        return ["" if value != value else f"{value:.9g}" for value in values.tolist()]
    return values.tolist()
