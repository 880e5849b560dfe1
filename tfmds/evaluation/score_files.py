"""Score files: `scores.csv`, a row per video, and `chunks.csv`, a row per chunk."""

import os
from collections.abc import Sequence

import numpy as np
from etils import epath

from tfmds import spec
from tfmds.common.errors import InputError
from tfmds.evaluation import score_columns, scores, unlabelled_scores, video_names
from tfmds.evaluation.scores import ChunkScores, VideoScores
from tfmds.evaluation.unlabelled_scores import UnlabelledScores
from tfmds.evaluation.video_names import Matches

VIDEOS_FILE = "scores.csv"
CHUNKS_FILE = "chunks.csv"
# An MDS may differ by so much from the mean of its distances: both were rounded.
_MDS_TOLERANCE = 1e-3


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
    score_columns.write(path, videos)


def write_chunks(path: os.PathLike | str, chunks: ChunkScores) -> None:
    """Writes the table of chunks as CSV, whole or not at all."""
    score_columns.write(path, chunks)


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
        **dict.fromkeys(scores.SCORES, score_columns.as_floats_or_empty),
        **score_columns.OPTIONAL_COLUMNS,
    }
    columns, lines = score_columns.read(path, score_columns.VIDEO_COLUMNS, optional)
    values = {name: columns.pop(name) for name in scores.SCORES if name in columns}
    attributes = _pop_attributes(columns)
    videos = VideoScores(**columns, scores=values, attributes=attributes)
    score_columns.check_unique(videos.video_id, lines, path)
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
    names = [name for name in video_names.COLUMNS if name in score_columns.header(path)]
    needed = {
        names[0] if names else "video_id": score_columns.as_names,
        "label": score_columns.as_labels,
    }
    columns, lines = score_columns.read(
        path, needed, {**score_columns.LABEL_COLUMNS, **score_columns.OPTIONAL_COLUMNS}
    )
    attributes = _pop_attributes(columns)
    ids, count = columns.pop(next(iter(needed))), len(lines)
    score_columns.check_unique(ids, lines, path)
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
    columns = score_columns.header(path)
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
    names = score_columns.header(path)
    if unlabelled_scores.is_of_detection(names):
        table = unlabelled_scores.read(path)
        score_columns.check_unique(
            np.asarray(table.names), np.asarray(table.lines), path
        )
        return table
    if (
        len(names) != 2
        or names[0] not in score_columns.FOREIGN_IDS
        or names[1] not in score_columns.FOREIGN_SCORES
    ):
        raise InputError(
            f"{path}: the columns are {','.join(names)}, expected video,score"
        )
    parsers: dict[str, score_columns.Parser] = {
        names[0]: score_columns.as_names,
        names[1]: score_columns.as_floats,
    }
    columns, lines = score_columns.read(path, parsers)
    ids, score = columns.values()
    score_columns.check_unique(ids, lines, path)
    return UnlabelledScores(ids.tolist(), lines.tolist(), {scores.MDS: score})


def read_chunks(path: os.PathLike | str, videos: VideoScores) -> ChunkScores:
    """Reads a table of chunks and checks it against its table of videos.

    Raises:
      InputError: As `read_videos`; or a chunk is double, its video is not among
        `videos`, or the chunks of a video are not those its MDS was made of.
    """
    columns, lines = score_columns.read(
        path, score_columns.CHUNK_COLUMNS, score_columns.OPTIONAL_CHUNK_COLUMNS
    )
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
    names = [
        name for name in columns if name.startswith(score_columns.ATTRIBUTE_PREFIX)
    ]
    return {name: columns.pop(name) for name in names}
