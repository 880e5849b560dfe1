"""Scores of videos that do not say what these are, and the results.csv of detection."""

import dataclasses
import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from tfmds import spec
from tfmds.common import text_files
from tfmds.common.errors import InputError
from tfmds.evaluation import scores, video_names
from tfmds.evaluation.scores import VideoScores
from tfmds.evaluation.thresholds import Threshold
from tfmds.evaluation.video_names import Matches

_NEEDED = ("path", "status", "score", "threshold", "seconds_total", "seconds_scored")
_NUMBERS = (*scores.SCORES, *_NEEDED[3:])
_HINT = "python -m tfmds.detect --output_dir=RESULTS writes it."


@dataclasses.dataclass(frozen=True)
class UnlabelledScores:
    """What a detector says of `n` videos.

    Attributes:
      names: Their files, as they were named.
      lines: The line of each row, for messages.
      scores: float64 `[n]` by name, NaN where there is none.
      status: What became of each, one of `spec.STATUSES`; `ok` where none is said.
      seconds: float64 `[n]`, length of the video, where it is known.
      chunks: int64 `[n]`, whole seconds that were looked at, where it is known.
      threshold: By which all were judged; None where it was not one for all.
    """

    names: Sequence[str]
    lines: Sequence[int]
    scores: Mapping[str, np.ndarray]
    status: Sequence[str] | None = None
    seconds: np.ndarray | None = None
    chunks: np.ndarray | None = None
    threshold: Threshold | None = None

    def labelled(
        self,
        labels: VideoScores,
        aliases: Sequence[Sequence[str]] | None,
        where: str,
    ) -> tuple[VideoScores, Matches]:
        """The videos of `labels` with their scores here, and how they were found.

        Args:
          labels: What is known of the videos; they are `NO_SCORE` where they are not
            here.
          aliases: All names of each of these, their ids where there are none.
          where: Names this table in an error.

        Raises:
          InputError: No video of the table is among `labels`.
        """
        ids = labels.video_id.tolist()
        found = video_names.match(self.names, aliases or [[video] for video in ids])
        here = found.rows >= 0
        if not here.any():
            raise InputError(
                f"{where}: none of its videos is among those with a label, such as"
                f" {self.names[0]!r} here and {ids[0]!r} there"
                + "".join(f"; {note}" for note in found.notes)
            )

        def placed(values: Any, empty: Any, kind: Any) -> np.ndarray:
            column = np.full(len(labels), empty, object)
            if values is not None:
                column[found.rows[here]] = np.asarray(values, object)[here]
            return column.astype(kind)

        seconds = placed(self.seconds, np.nan, np.float64)
        status = self.status or [spec.OK] * len(self.names)
        return (
            dataclasses.replace(
                labels,
                scores={
                    name: placed(values, np.nan, np.float64)
                    for name, values in self.scores.items()
                },
                status=placed(status, scores.NO_SCORE, object),
                chunks=placed(self.chunks, 0, np.int64),
                seconds=np.where(np.isnan(seconds), labels.seconds, seconds),
            ),
            found,
        )


def is_of_detection(columns: Collection[str]) -> bool:
    """Whether a table with these columns is the results.csv of detection."""
    return set(_NEEDED) <= set(columns)


def read(path: os.PathLike | str) -> UnlabelledScores:
    """Reads results.csv.

    Raises:
      InputError: It cannot be read, a value is not allowed, or it has no rows; names
        the line.
    """
    table = text_files.read_table(path, "the results.csv of tfmds.detect", _HINT)
    table.need(_NEEDED)
    rows = list(table.dicts(_NUMBERS))
    if not rows:
        raise InputError(f"{path}: the table has no rows, expected one or more")

    def numbers(name: str) -> np.ndarray:
        return np.array([_number(path, line, name, row[name]) for line, row in rows])

    for line, row in rows:
        if row["status"] not in spec.STATUSES:
            raise InputError(
                f"{path}, line {line}: status is {row['status']!r}, expected one of"
                f" {', '.join(spec.STATUSES)}"
            )
    values = {name: numbers(name) for name in scores.SCORES if name in table.columns}
    judged_by = {
        (row["score"], row["threshold"], row.get("model_id", ""))
        for _, row in rows
        if row["status"] == spec.OK
    }
    threshold = None
    if len(judged_by) == 1:
        score, value, model_id = judged_by.pop()
        # The weights of the fused score are not in the table.
        if score in scores.MEASURED and value:
            threshold = Threshold(float(value), score=score, model_id=model_id)
    return UnlabelledScores(
        names=[row["path"] for _, row in rows],
        lines=[line for line, _ in rows],
        status=[row["status"] for _, row in rows],
        scores={name: column for name, column in values.items() if _any(column)},
        seconds=numbers("seconds_total"),
        chunks=np.nan_to_num(numbers("seconds_scored")).round().astype(np.int64),
        threshold=threshold,
    )


def threshold_of(path: os.PathLike | str) -> Threshold | None:
    """By what the videos of results.csv were judged; None of any other table."""
    table = text_files.read_table(path, "a table of scores", _HINT)
    return read(path).threshold if is_of_detection(table.columns) else None


def _any(column: np.ndarray) -> bool:
    return not np.isnan(column).all()


def _number(path: os.PathLike | str, line: int, name: str, value: str) -> float:
    try:
        number = float(value) if value else np.nan
    except ValueError:
        number = np.inf
    if np.isinf(number):
        raise InputError(
            f"{path}, line {line}: {name} is {value!r}, expected a finite number"
        )
    return number
