"""Score files: `scores.csv`, a row per video, and `chunks.csv`, a row per chunk."""

import dataclasses
import fnmatch
import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from tfmds import spec
from tfmds.common import csv_files, text_files
from tfmds.common.errors import InputError
from tfmds.data import manifest
from tfmds.evaluation import scores, unlabelled_scores, video_names
from tfmds.evaluation.scores import ChunkScores, VideoScores
from tfmds.evaluation.unlabelled_scores import UnlabelledScores
from tfmds.evaluation.video_names import Matches

VIDEOS_FILE = "scores.csv"
CHUNKS_FILE = "chunks.csv"
# Columns that begin so say something about a group, such as group_gender.
ATTRIBUTE_PREFIX = "group_"

# An MDS may differ by so much from the mean of its distances: both were rounded.
_MDS_TOLERANCE = 1e-3
_ROWS_AT_ONCE = 100_000
_MAKE_SCORES = (
    "Make scores with python -m tfmds.evaluate --model=RUN --data_dir=DATA, or name"
    " the scores.csv of an earlier run."
)

_Parser = Callable[[list[str]], np.ndarray]


def write(
    output_dir: os.PathLike | str, videos: VideoScores, chunks: ChunkScores
) -> None:
    """Writes `scores.csv` and `chunks.csv`, each whole or not at all."""
    output_dir = epath.Path(output_dir)
    # A reader checks the chunks against the videos, so these come last.
    write_chunks(output_dir / CHUNKS_FILE, chunks)
    write_videos(output_dir / VIDEOS_FILE, videos)


def write_videos(path: os.PathLike | str, videos: VideoScores) -> None:
    """Writes the table of videos as CSV, whole or not at all."""
    _write(path, videos)


def write_chunks(path: os.PathLike | str, chunks: ChunkScores) -> None:
    """Writes the table of chunks as CSV, whole or not at all."""
    _write(path, chunks)


def read(
    path: os.PathLike | str, labels: os.PathLike | str | None = None
) -> tuple[VideoScores, ChunkScores | None, list[str]]:
    """Reads a table of videos with the chunks beside it, or another detector's scores.

    Args:
      path: A table of videos, or a file of two columns, `video,score`.
      labels: What the videos of the latter are, as for `read_labels`.

    Returns:
      The videos, their chunks where there are any, and what is to be said.

    Raises:
      InputError: As `read_videos`, `read_chunks` and `read_foreign`; or there are two
        sources of labels, or none.
    """
    if not is_foreign(path):
        if labels:
            raise InputError(
                f"--labels is for scores of another detector (video,score) and for the"
                f" results.csv of tfmds.detect, and {path} has labels of its own; leave"
                " it out"
            )
        videos = read_videos(path)
        return videos, read_chunks_beside(path, videos), []
    if not labels:
        raise InputError(
            f"{path} does not say what the videos are; add --labels=manifest.csv, or"
            " another table with a column label (real or fake) and one of"
            f" {', '.join(video_names.COLUMNS)}; split, group and manipulation may"
            " stand there too"
        )
    known, aliases = read_labels(labels), video_names.read(labels)
    videos, found = read_foreign(path, known, [aliases[v] for v in known.video_id])
    return videos, None, found.notes_on(path, labels)


def read_videos(path: os.PathLike | str) -> VideoScores:
    """Reads and checks a table of videos.

    Raises:
      InputError: A column is missing, a value is not allowed, a video_id is double,
        a score is not finite, or score and status do not go together; names file and
        line.
    """
    optional = {
        **dict.fromkeys(scores.SCORES, _as_floats_or_empty),
        **_OPTIONAL_COLUMNS,
    }
    columns, lines = _read(path, _VIDEO_COLUMNS, optional)
    values = {name: columns.pop(name) for name in scores.SCORES if name in columns}
    attributes = _pop_attributes(columns)
    videos = VideoScores(**columns, scores=values, attributes=attributes)
    _check_unique(videos.video_id, lines, path)
    scored = videos.scored
    for wrong, message in (
        (
            scored & np.isnan(videos.mds),
            "the status is ok and mds is empty; a video that is ok has a score",
        ),
        (
            ~scored & ~np.isnan(videos.mds),
            "mds is given and the status is not ok; only a video that is ok has one",
        ),
        (videos.chunks < 0, "chunks is negative"),
        (videos.seconds < 0, "seconds is negative"),
        (
            (videos.label == spec.REAL) & videos.fake_periods.astype(bool),
            "a real video has fake_periods",
        ),
    ):
        if wrong.any():
            raise InputError(f"{path}, line {lines[np.argmax(wrong)]}: {message}")
    return videos


def read_labels(path: os.PathLike | str) -> VideoScores:
    """Reads what is known of videos beforehand: nothing of it is a score.

    Args:
      path: A manifest, the videos.csv of a data set, a table of videos, or any with a
        column label and one that names the videos. Without splits all are of the test.

    Returns:
      The videos, each with the status `NO_SCORE`.

    Raises:
      InputError: As `read_videos`.
    """
    names = [name for name in video_names.COLUMNS if name in _header(path)]
    needed = {names[0] if names else "video_id": _as_names, "label": _as_labels}
    columns, lines = _read(path, needed, {**_LABEL_COLUMNS, **_OPTIONAL_COLUMNS})
    attributes = _pop_attributes(columns)
    ids, count = columns.pop(next(iter(needed))), len(lines)
    _check_unique(ids, lines, path)
    empty = scores.texts([""] * count)
    columns = {
        "video_id": ids,
        "split": scores.texts(["test"] * count),
        "group": ids,
        "manipulation": empty,
        **columns,
    }
    return VideoScores(
        **columns,
        status=scores.texts([scores.NO_SCORE] * count),
        chunks=np.zeros(count, np.int64),
        scores={scores.MDS: np.full(count, np.nan)},
        attributes=attributes,
    )


def is_foreign(path: os.PathLike | str) -> bool:
    """Whether a file does not say what its videos are.

    So it is with the two columns of another detector, and with detection's results.
    """
    columns = _header(path)
    return len(columns) == 2 or unlabelled_scores.is_of_detection(columns)


def read_foreign(
    path: os.PathLike | str,
    labels: VideoScores,
    aliases: Sequence[Sequence[str]] | None = None,
) -> tuple[VideoScores, Matches]:
    """Reads the scores of another detector, `video,score`, or those of tfmds.detect.

    Names may be with or without folder and ending, see `video_names.match`.

    Args:
      path: The file; a higher score means more likely fake.
      labels: What is known of the videos.
      aliases: All names of each of these, their ids where there are none.

    Returns:
      The videos of `labels`, `ok` where the file has a score and `NO_SCORE` where it
      has none, and how the videos of the file were found among them.

    Raises:
      InputError: As `read_videos`, or no video of the file is among `labels`.
    """
    return _read_unlabelled(path).labelled(labels, aliases, str(path))


def _read_unlabelled(path: os.PathLike | str) -> UnlabelledScores:
    names = _header(path)
    if unlabelled_scores.is_of_detection(names):
        table = unlabelled_scores.read(path)
        _check_unique(np.asarray(table.names), np.asarray(table.lines), path)
        return table
    if (
        len(names) != 2
        or names[0] not in _FOREIGN_IDS
        or names[1] not in _FOREIGN_SCORES
    ):
        raise InputError(
            f"{path}: the columns are {','.join(names)}, expected video,score"
        )
    parsers: dict[str, _Parser] = {names[0]: _as_names, names[1]: _as_floats}
    columns, lines = _read(path, parsers)
    ids, score = columns.values()
    _check_unique(ids, lines, path)
    return UnlabelledScores(ids.tolist(), lines.tolist(), {scores.MDS: score})


def read_chunks(path: os.PathLike | str, videos: VideoScores) -> ChunkScores:
    """Reads a table of chunks and checks it against its table of videos.

    Raises:
      InputError: As `read_videos`; or a chunk is double, its video is not among
        `videos`, or the chunks of a video are not those its MDS was made of.
    """
    columns, lines = _read(path, _CHUNK_COLUMNS, _OPTIONAL_CHUNK_COLUMNS)
    heads = {name: columns.pop(name) for name in spec.STREAMS if name in columns}
    chunks = ChunkScores(**columns, heads=heads)
    rows = scores.chunk_rows(chunks.video_id, videos.video_id, str(path))
    order = np.lexsort((chunks.chunk, chunks.track, rows))
    double = np.ones(max(len(order) - 1, 0), bool)
    for column in (rows, chunks.track, chunks.chunk):
        double &= np.diff(column[order]) == 0
    if double.any():
        at = int(np.argmax(double))
        first, second = sorted(lines[order[at : at + 2]])
        row = order[at]
        raise InputError(
            f"{path}, line {second}: chunk {chunks.chunk[row]} of track"
            f" {chunks.track[row]} of the video {chunks.video_id[row]!r} is already in"
            f" line {first}"
        )
    counts = np.bincount(rows, minlength=len(videos))
    means = scores.mds(chunks.distance, rows, len(videos))
    other = counts != videos.chunks
    other |= videos.scored & ~np.isclose(
        means, videos.mds, rtol=_MDS_TOLERANCE, atol=_MDS_TOLERANCE
    )
    if other.any():
        row = int(np.argmax(other))
        raise InputError(
            f"{path}: the video {videos.video_id[row]!r} has {counts[row]} chunks with"
            f" the mean distance {means[row]:.6g}, and in the table of videos"
            f" {videos.chunks[row]} chunks and the mds {videos.mds[row]:.6g}. The two"
            " files are not of one run: put those of one run together, or move"
            f" {CHUNKS_FILE} away to go without it."
        )
    return chunks


def read_chunks_beside(
    path: os.PathLike | str, videos: VideoScores
) -> ChunkScores | None:
    """The `chunks.csv` in the folder of a table of videos, None where it has none."""
    beside = epath.Path(path).parent / CHUNKS_FILE
    return read_chunks(beside, videos) if beside.is_file() else None


def _pop_attributes(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    names = [name for name in columns if name.startswith(ATTRIBUTE_PREFIX)]
    return {name: columns.pop(name) for name in names}


def _as_names(values: list[str]) -> np.ndarray:
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


def _as_labels(values: list[str]) -> np.ndarray:
    _as_label_words(values)
    return np.array([spec.LABELS[value] for value in values], np.int8)


def _as_ints(values: list[str]) -> np.ndarray:
    return _numbers(values, int, np.int64, "a whole number")


def _as_floats(values: list[str]) -> np.ndarray:
    numbers = _numbers(values, float, np.float64, "a number")
    finite = np.isfinite(numbers)
    if not finite.all():
        at = int(np.argmin(finite))
        raise _ValueAt(at, f"{values[at]!r}, expected a finite number")
    return numbers


def _as_floats_or_empty(values: list[str]) -> np.ndarray:
    given = np.array([value != "" for value in values], bool)
    numbers = np.full(len(values), np.nan)
    try:
        numbers[given] = _as_floats(list(itertools.compress(values, given)))
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


_PARSE_NUMBERS = (_as_ints, _as_floats, _as_floats_or_empty, _as_periods)
_VIDEO_COLUMNS = {
    "video_id": _as_names,
    "label": _as_labels,
    "split": _as_words(spec.SPLITS),
    "group": scores.texts,
    "manipulation": scores.texts,
    "status": _as_words(spec.STATUSES),
    "chunks": _as_ints,
    "mds": _as_floats_or_empty,
}
_LABEL_COLUMNS = {
    name: _VIDEO_COLUMNS[name]
    for name in ("video_id", "label", "split", "group", "manipulation")
}
# A first column that only numbers the rows: as pandas writes it, and reads it again.
_ROW_NUMBERS = re.compile(r"|Unnamed: 0")
# Names of the two columns of another detector's file.
_FOREIGN_IDS = ("video", "video_id")
_FOREIGN_SCORES = ("score", "mds")
# `*`: every column whose name begins so.
_OPTIONAL_COLUMNS: dict[str, _Parser] = {
    "fake_periods": _as_periods,
    "seconds": _as_floats_or_empty,
    "forged": _as_words((*spec.FORGED, "")),
    "offset_seconds": _as_floats_or_empty,
    f"{ATTRIBUTE_PREFIX}*": scores.texts,
}
_CHUNK_COLUMNS: dict[str, _Parser] = {
    "video_id": _as_names,
    "track": _as_ints,
    "chunk": _as_ints,
    "start_seconds": _as_floats,
    "label": _as_labels,
    "distance": _as_floats,
}
_OPTIONAL_CHUNK_COLUMNS = dict.fromkeys(
    ("offset_distance", *spec.STREAMS), _as_floats_or_empty
)


def _read(
    path: os.PathLike | str,
    columns: Mapping[str, _Parser],
    optional: Mapping[str, _Parser] | None = None,
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


def _header(path: os.PathLike | str) -> list[str]:
    what = f"a table {','.join(_VIDEO_COLUMNS)}"
    columns = list(text_files.read_table(path, what, _MAKE_SCORES).columns)
    return columns[_ROW_NUMBERS.fullmatch(columns[0]) is not None :]


def _matching(header: list[str], optional: Mapping[str, _Parser]) -> dict[str, _Parser]:
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


def _check_unique(ids: np.ndarray, lines: np.ndarray, path: os.PathLike | str) -> None:
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


def _write(path: os.PathLike | str, table: VideoScores | ChunkScores) -> None:
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
