"""Scores: a table of videos with their MDS and a table of chunks with their distance.

Tables are kept as columns, so that a million rows are a handful of arrays.
"""

import csv
import dataclasses
import fnmatch
import io
import itertools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from etils import epath

from tfmds import spec
from tfmds.common import files
from tfmds.common.errors import InputError
from tfmds.data import manifest

VIDEOS_FILE = "scores.csv"
CHUNKS_FILE = "chunks.csv"
# Status of a video that the score file of another detector passes over.
NO_SCORE = "no_score"
# Columns that begin so say something about a group, such as group_gender.
ATTRIBUTE_PREFIX = "group_"

# An MDS may differ by so much from the mean of its distances: both were rounded.
_MDS_TOLERANCE = 1e-3
_ROWS_AT_ONCE = 100_000
_MAKE_SCORES = (
    "Make scores with python -m tfmds.evaluate --model=RUN --data_dir=DATA, or name"
    " the scores.csv of an earlier run."
)

Table = TypeVar("Table", "VideoScores", "ChunkScores")
_Parser = Callable[[list[str]], np.ndarray]


@dataclasses.dataclass(frozen=True)
class VideoScores:
    """A row per video, `n` rows as columns.

    Attributes:
      video_id: str `[n]`, each once.
      label: int8 `[n]`, 1 real, 0 fake.
      split: str `[n]`, train, validation or test.
      group: str `[n]`, what was not split: the source video or the person.
      manipulation: str `[n]`, free text, empty for real.
      status: str `[n]`, `ok` where the video has a score.
      chunks: int64 `[n]`, how many chunks the score is the mean of.
      mds: float64 `[n]`, NaN where the status is not `ok`.
      fake_periods: tuples of (start, end) in seconds `[n]`; empty means the whole
        video where the label is fake.
      seconds: float64 `[n]`, length of the video, NaN where it is not known.
      attributes: str `[n]` by name; what is known of the group, such as gender.
    """

    video_id: np.ndarray
    label: np.ndarray
    split: np.ndarray
    group: np.ndarray
    manipulation: np.ndarray
    status: np.ndarray
    chunks: np.ndarray
    mds: np.ndarray
    fake_periods: np.ndarray | None = None
    seconds: np.ndarray | None = None
    attributes: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        if self.fake_periods is None:
            object.__setattr__(self, "fake_periods", _tuples([()] * len(self)))
        if self.seconds is None:
            object.__setattr__(self, "seconds", np.full(len(self), np.nan))

    def __len__(self) -> int:
        return len(self.video_id)

    def select(self, mask: np.ndarray) -> "VideoScores":
        """The rows of a boolean mask or of row numbers."""
        return _select(self, mask)

    @property
    def scored(self) -> np.ndarray:
        """Which videos have a score, bool `[n]`."""
        return self.status == spec.OK

    @classmethod
    def from_chunks(
        cls,
        chunks: "ChunkScores",
        *,
        video_id: Sequence[str],
        label: Sequence[int],
        split: Sequence[str],
        group: Sequence[str],
        manipulation: Sequence[str],
        status: Sequence[str],
        fake_periods: Sequence[Sequence[manifest.Period]] | None = None,
        seconds: Sequence[float] | None = None,
        attributes: Mapping[str, Sequence[str]] | None = None,
    ) -> "VideoScores":
        """Sums up the chunks of each video; the other columns are given.

        Raises:
          InputError: A video that is `ok` has no chunk, one that is not has some, or
            a chunk is of no given video.
        """
        ids = _texts(video_id)
        rows = chunk_rows(chunks.video_id, ids, "the chunks")
        counts = np.bincount(rows, minlength=len(ids))
        sums = np.bincount(rows, chunks.distance, minlength=len(ids))
        statuses = _texts(status)
        wrong = np.flatnonzero((statuses == spec.OK) != (counts > 0))
        if len(wrong):
            row = wrong[0]
            raise InputError(
                f"the video {ids[row]!r} has the status {statuses[row]} and"
                f" {counts[row]} scored chunks; a video has chunks where it is ok, and"
                " only there. Preprocess the data set again."
            )
        return cls(
            video_id=ids,
            label=np.asarray(label, np.int8),
            split=_texts(split),
            group=_texts(group),
            manipulation=_texts(manipulation),
            status=statuses,
            chunks=counts,
            mds=np.where(counts > 0, sums / np.maximum(counts, 1), np.nan),
            fake_periods=None if fake_periods is None else _tuples(fake_periods),
            seconds=None if seconds is None else np.asarray(seconds, np.float64),
            attributes={k: _texts(v) for k, v in (attributes or {}).items()},
        )


@dataclasses.dataclass(frozen=True)
class ChunkScores:
    """A row per chunk, `m` rows as columns.

    Attributes:
      video_id: str `[m]`.
      track: int64 `[m]`, number of the track in its video.
      chunk: int64 `[m]`, number of the chunk in its track.
      start_seconds: float64 `[m]`, on the video's clock.
      label: int8 `[m]`, 1 real, 0 fake.
      distance: float64 `[m]`, between the embeddings of picture and sound.
    """

    video_id: np.ndarray
    track: np.ndarray
    chunk: np.ndarray
    start_seconds: np.ndarray
    label: np.ndarray
    distance: np.ndarray

    def __len__(self) -> int:
        return len(self.video_id)

    def select(self, mask: np.ndarray) -> "ChunkScores":
        """The rows of a boolean mask or of row numbers."""
        return _select(self, mask)

    @classmethod
    def from_distances(
        cls,
        *,
        video_id: Sequence[str],
        track: Sequence[int],
        start_seconds: Sequence[float],
        label: Sequence[int],
        distance: Sequence[float],
    ) -> "ChunkScores":
        """Orders chunks by video, track and time, and numbers them in each track."""
        ids = _texts(video_id)
        tracks = np.asarray(track, np.int64)
        starts = np.asarray(start_seconds, np.float64)
        names, codes = np.unique(ids.astype(str), return_inverse=True)
        order = np.lexsort((starts, tracks, codes))
        codes, tracks, starts = codes[order], tracks[order], starts[order]
        first = np.ones(len(order), bool)
        first[1:] = (np.diff(codes) != 0) | (np.diff(tracks) != 0)
        begins = np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
        return cls(
            video_id=names.astype(object)[codes],
            track=tracks,
            chunk=np.arange(len(order)) - begins,
            start_seconds=starts,
            label=np.asarray(label, np.int8)[order],
            distance=np.asarray(distance, np.float64)[order],
        )


def mds(distances: np.ndarray) -> float:
    """Modality dissonance score of a video: the mean distance of its chunks.

    Paper, section 3.5: MDS = 1/n sum_t d_t over the n chunks of the video.

    Args:
      distances: `[n]`, n >= 1.
    """
    return float(np.mean(distances, dtype=np.float64))


def mds_by_video(video_id: np.ndarray, distance: np.ndarray) -> dict[str, float]:
    """MDS of each video, from arrays with an element per chunk; sorted by id."""
    ids, rows = np.unique(np.asarray(video_id).astype(str), return_inverse=True)
    means = np.bincount(rows, np.asarray(distance, np.float64)) / np.bincount(rows)
    return dict(zip(ids.tolist(), means.tolist(), strict=True))


def chunk_rows(video_id: np.ndarray, ids: np.ndarray, where: str) -> np.ndarray:
    """Row of each chunk's video in the table of videos, int64 `[m]`.

    Raises:
      InputError: A chunk's video is not in the table; `where` names the chunks.
    """
    row_of = {name: row for row, name in enumerate(ids)}
    try:
        return np.fromiter(
            map(row_of.__getitem__, video_id), np.int64, count=len(video_id)
        )
    except KeyError as e:
        raise InputError(
            f"{where}: the video_id {e.args[0]!r} is not in the table of videos"
        ) from None


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
                f"--labels is for scores with two columns, and {path} has labels of its"
                " own; leave it out"
            )
        videos = read_videos(path)
        return videos, read_chunks_beside(path, videos), []
    if not labels:
        raise InputError(
            f"{path} has two columns and does not say what the videos are; add"
            " --labels=manifest.csv, or another table with the columns"
            f" {','.join(_LABEL_COLUMNS)}"
        )
    videos, unknown = read_foreign(path, read_labels(labels))
    notes = [f"rows of {path} that are not in {labels}: {unknown}"] if unknown else []
    return videos, None, notes


def read_videos(path: os.PathLike | str) -> VideoScores:
    """Reads and checks a table of videos.

    Raises:
      InputError: A column is missing, a value is not allowed, a video_id is double,
        a score is not finite, or score and status do not go together; names file and
        line.
    """
    columns, lines = _read(path, _VIDEO_COLUMNS, _OPTIONAL_COLUMNS)
    attributes = _pop_attributes(columns)
    videos = VideoScores(**columns, attributes=attributes)
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
      path: A manifest, the videos.csv of a data set, or a table of videos.

    Returns:
      The videos, each with the status `NO_SCORE`.

    Raises:
      InputError: As `read_videos`.
    """
    columns, lines = _read(path, _LABEL_COLUMNS, _OPTIONAL_COLUMNS)
    attributes = _pop_attributes(columns)
    _check_unique(columns["video_id"], lines, path)
    count = len(lines)
    return VideoScores(
        **columns,
        status=_texts([NO_SCORE] * count),
        chunks=np.zeros(count, np.int64),
        mds=np.full(count, np.nan),
        attributes=attributes,
    )


def is_foreign(path: os.PathLike | str) -> bool:
    """Whether a file has but two columns: the scores of another detector."""
    return len(_header(path)) == 2


def read_foreign(
    path: os.PathLike | str, labels: VideoScores
) -> tuple[VideoScores, int]:
    """Reads the scores of another detector: two columns, `video,score`.

    Args:
      path: The file; a higher score means more likely fake.
      labels: What is known of the videos.

    Returns:
      The videos of `labels`, `ok` where the file has a score and `NO_SCORE` where it
      has none, and how many videos of the file are not among them.

    Raises:
      InputError: As `read_videos`, or no video of the file is among `labels`.
    """
    header = _header(path)
    if (
        len(header) != 2
        or header[0] not in _FOREIGN_IDS
        or header[1] not in _FOREIGN_SCORES
    ):
        raise InputError(
            f"{path}: the columns are {','.join(header)}, expected video,score"
        )
    columns, lines = _read(path, {header[0]: _as_names, header[1]: _as_floats})
    ids, score = columns.values()
    _check_unique(ids, lines, path)
    row_of = {video: row for row, video in enumerate(labels.video_id)}
    rows = np.array([row_of.get(video, -1) for video in ids])
    known = rows >= 0
    if not known.any():
        raise InputError(
            f"{path}: none of its videos is among those with a label, such as"
            f" {ids[0]!r} here and {labels.video_id[0]!r} there; the names must be the"
            " same"
        )
    mds = np.full(len(labels), np.nan)
    mds[rows[known]] = score[known]
    status = np.where(np.isnan(mds), NO_SCORE, spec.OK)
    return (
        dataclasses.replace(
            labels, mds=mds, status=_texts(status), chunks=np.zeros(len(labels), int)
        ),
        int((~known).sum()),
    )


def read_chunks(path: os.PathLike | str, videos: VideoScores) -> ChunkScores:
    """Reads a table of chunks and checks it against its table of videos.

    Raises:
      InputError: As `read_videos`; or a chunk is double, its video is not among
        `videos`, or the chunks of a video are not those its MDS was made of.
    """
    columns, lines = _read(path, _CHUNK_COLUMNS)
    chunks = ChunkScores(**columns)
    rows = chunk_rows(chunks.video_id, videos.video_id, str(path))
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
    sums = np.bincount(rows, chunks.distance, minlength=len(videos))
    means = sums / np.maximum(counts, 1)
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


def _select(table: Table, mask: np.ndarray) -> Table:
    def rows(column: Any) -> Any:
        if isinstance(column, Mapping):
            return {name: values[mask] for name, values in column.items()}
        return column[mask]

    names = (f.name for f in dataclasses.fields(table))
    return type(table)(**{name: rows(getattr(table, name)) for name in names})


def _tuples(values: Iterable[Iterable[manifest.Period]]) -> np.ndarray:
    """An array of tuples, not of their members."""
    values = [tuple(map(tuple, value)) for value in values]
    array = np.empty(len(values), object)
    for row, value in enumerate(values):
        array[row] = value
    return array


def _texts(values: Iterable[str]) -> np.ndarray:
    """One object per different text: ids come back a hundred times in chunks."""
    values = values.tolist() if isinstance(values, np.ndarray) else list(values)
    array = np.empty(len(values), object)
    array[:] = [sys.intern(str(value)) for value in values]
    return array


def _as_names(values: list[str]) -> np.ndarray:
    if "" in values:
        raise _ValueAt(values.index(""), "empty, expected a name")
    return _texts(values)


def _as_words(allowed: Iterable[str]) -> Callable[[list[str]], np.ndarray]:
    allowed = tuple(allowed)

    def parse(values: list[str]) -> np.ndarray:
        for wrong in set(values).difference(allowed):
            raise _ValueAt(
                values.index(wrong), f"{wrong!r}, expected one of {', '.join(allowed)}"
            )
        return _texts(values)

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
    return _tuples(known[value] for value in values)


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


_VIDEO_COLUMNS = {
    "video_id": _as_names,
    "label": _as_labels,
    "split": _as_words(spec.SPLITS),
    "group": _texts,
    "manipulation": _texts,
    "status": _as_words(spec.STATUSES),
    "chunks": _as_ints,
    "mds": _as_floats_or_empty,
}
_LABEL_COLUMNS = {
    name: _VIDEO_COLUMNS[name]
    for name in ("video_id", "label", "split", "group", "manipulation")
}
# Names of the two columns of another detector's file.
_FOREIGN_IDS = ("video", "video_id")
_FOREIGN_SCORES = ("score", "mds")
# `*`: every column whose name begins so.
_OPTIONAL_COLUMNS = {
    "fake_periods": _as_periods,
    "seconds": _as_floats_or_empty,
    f"{ATTRIBUTE_PREFIX}*": _texts,
}
_CHUNK_COLUMNS = {
    "video_id": _as_names,
    "track": _as_ints,
    "chunk": _as_ints,
    "start_seconds": _as_floats,
    "label": _as_labels,
    "distance": _as_floats,
}


def _read(
    path: os.PathLike | str,
    columns: dict[str, _Parser],
    optional: dict[str, _Parser] | None = None,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The columns by name and, for messages, the line of each row."""
    text = files.read_text(path, f"a table {','.join(columns)}", _MAKE_SCORES)
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        header = next(reader, [])
        missing = [name for name in columns if name not in header]
        if missing:
            raise InputError(
                f"{path}: the table lacks the columns {', '.join(missing)}; it has"
                f" {', '.join(header) or 'none'}. Expected: {','.join(columns)}"
            )
        double = [name for name in dict.fromkeys(header) if header.count(name) > 1]
        if double:
            raise InputError(
                f"{path}: the table has the columns {', '.join(double)} more than once"
            )
        parsers = columns | _matching(header, optional or {})
        parts: dict[str, list[np.ndarray]] = {name: [] for name in parsers}
        lines = []
        for block_lines, block in _blocks(reader, len(header), path):
            for name, parse in parsers.items():
                try:
                    parts[name].append(parse(block[header.index(name)]))
                except _ValueAt as e:
                    raise InputError(
                        f"{path}, line {block_lines[e.at]}: {name} is {e.message}"
                    ) from None
            lines.append(np.array(block_lines))
    except csv.Error as e:
        raise InputError(f"{path}, line {reader.line_num}: no CSV table: {e}") from e
    if not lines:
        raise InputError(f"{path}: the table has no rows, expected one or more")
    return (
        {name: np.concatenate(part) for name, part in parts.items()},
        np.concatenate(lines),
    )


def _header(path: os.PathLike | str) -> list[str]:
    text = files.read_text(path, f"a table {','.join(_VIDEO_COLUMNS)}", _MAKE_SCORES)
    return next(csv.reader(io.StringIO(text, newline="")), [])


def _matching(header: list[str], optional: dict[str, _Parser]) -> dict[str, _Parser]:
    found = {}
    for name in header:
        for pattern, parse in optional.items():
            if fnmatch.fnmatchcase(name, pattern):
                found[name] = parse
    return found


def _blocks(
    reader: Any, width: int, path: os.PathLike | str
) -> Iterator[tuple[list[int], list[list[str]]]]:
    """Line numbers and columns of some rows at a time; empty lines are passed over."""

    def numbered() -> Iterator[tuple[int, list[str]]]:
        for row in reader:
            if len(row) == width:
                yield reader.line_num, row
            elif row:
                raise InputError(
                    f"{path}, line {reader.line_num}: {len(row)} values, expected"
                    f" {width} as in the header"
                )

    rows = numbered()
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


def _write(path: os.PathLike | str, table: Table) -> None:
    columns = {f.name: getattr(table, f.name) for f in dataclasses.fields(table)}
    columns |= columns.pop("attributes", {})
    written = [_as_written(name, values) for name, values in columns.items()]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*written, strict=True))
    files.write_text(path, text.getvalue())


def _as_written(name: str, values: np.ndarray) -> list[Any]:
    if name == "label":
        return [spec.LABEL_WORDS[value] for value in values.tolist()]
    if name == "fake_periods":
        return [manifest.format_periods(value) for value in values]
    if np.issubdtype(values.dtype, np.floating):
        # Nine digits hold every float32 exactly.
        return ["" if value != value else f"{value:.9g}" for value in values.tolist()]
    return values.tolist()
