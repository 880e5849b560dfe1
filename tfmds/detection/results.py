"""Results of many videos in a folder, so that a stopped run goes on.

`results.jsonl` grows by a line a video, which is there whole or not at all; of a video
that was judged again, since its file had changed, the last line counts. `results.csv`
is made of it at the end; `run.json` tells what made them.
"""

import errno
import fcntl
import json
import os
from collections.abc import Collection, Iterator
from typing import Any

from tfmds import spec
from tfmds.common import csv_files, files, json_files
from tfmds.common.errors import InputError
from tfmds.detection import judgement_json
from tfmds.evaluation.scores import FUSED, STRETCHES
from tfmds.exporting.export_info import ExportInfo
from tfmds.judgement import verdict
from tfmds.judgement.judgement import VideoJudgement

RESULTS_FILE = "results.jsonl"
TABLE_FILE = "results.csv"
_RUN_FILE = "run.json"
# Of a line: which file was judged.
_FILE = "file"
# Of streams that the model was trained to tell.
_OF_STREAMS = ("visual", "visual_looks_forged", "audio", "audio_looks_forged")
# Scores that not every model gives.
_OTHER_SCORES = (STRETCHES, *spec.STREAMS, FUSED)
COLUMNS = (
    *("path", "status", "reason", "verdict", "score", "mds", "aligned"),
    *("offset_seconds", "offset_is_clear", "threshold", "fake_probability"),
    *("is_borderline", "seconds_total", "seconds_scored", "suspicious_periods"),
    *("faces", "model_id"),
    *_OF_STREAMS,
    FUSED,
    *("stretches", "fake_periods", "explanation"),
)


class Results:
    """The folder of a run.

    Attributes:
      outcomes: What became of each finished video by its path, see `outcome`; none
        where its file, or what this path leads to, is another now.
    """

    def __init__(self, output_dir: str, run: dict[str, Any]):
        """Opens a folder, or makes it.

        Args:
          output_dir: The folder.
          run: What results depend on, as JSON values.

        Raises:
          InputError: It cannot be written to, holds results that were made
            otherwise, or another process writes there.
        """
        files.check_writable(output_dir, is_folder=True)
        os.makedirs(output_dir, exist_ok=True)
        self._path = os.path.join(output_dir, RESULTS_FILE)
        self._table = os.path.join(output_dir, TABLE_FILE)
        run_file = os.path.join(output_dir, _RUN_FILE)
        # Stays open, and locked.
        self._file = open(self._path, "ab")  # noqa: SIM115
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            raise InputError(
                f"{output_dir}: another tfmds.detect writes its results there"
            ) from e
        if os.path.exists(run_file):
            hint = "Choose another --output_dir."
            json_files.check_same(run_file, run, output_dir, "results", hint)
        else:
            files.write_json(run_file, run)
        self.outcomes: dict[str, str] = {}
        # Place of the last line of each file.
        self._last: dict[str, int] = {}
        end = 0
        for fields, length in self._lines():
            self._last[_name(fields)] = end
            file = _file(path := fields["path"])
            if fields.get(_FILE, file) == file:
                self.outcomes[path] = outcome(fields)
            elif _name(fields) == file[0]:
                self.outcomes.pop(path, None)
            end += length
        # A line that was begun and not finished.
        self._file.truncate(end)

    def add(self, judgement: VideoJudgement) -> None:
        """Keeps the judgement of a video.

        Raises:
          OSError: There is no room for it; nothing of it is left.
        """
        fields = judgement_json.write(judgement) | {_FILE: _file(judgement.path)}
        line = json.dumps(fields).encode() + b"\n"
        file = self._file.fileno()
        end = os.fstat(file).st_size
        try:
            # One call: a process that is killed leaves a part at most at the end.
            if os.write(file, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._path)
            os.fsync(file)
        except OSError:
            os.ftruncate(file, end)
            raise
        self._last[_name(fields)] = end
        self.outcomes[judgement.path] = outcome(fields)

    def read(self) -> Iterator[dict[str, Any]]:
        """All results in the order they were made, see `judgement_json.write`."""
        end = 0
        for fields, length in self._lines():
            if self._last[_name(fields)] == end:
                yield {name: value for name, value in fields.items() if name != _FILE}
            end += length

    def judgements(self, info: ExportInfo) -> Iterator[VideoJudgement]:
        """The same as judgements of the model that made them."""
        for fields in self.read():
            yield judgement_json.read(fields, info.threshold, info.spec.seconds)

    def write_table(self) -> str:
        """Writes all results as CSV and returns its path."""
        csv_files.write(self._table, COLUMNS, map(row, self.read()))
        return self._table

    def _lines(self) -> Iterator[tuple[dict[str, Any], int]]:
        """Whole lines, each with its length in bytes."""
        with open(self._path, "rb") as f:
            for number, line in enumerate(f, start=1):
                if not line.endswith(b"\n"):
                    return
                try:
                    fields = json.loads(line)
                    outcome(fields)
                except (KeyError, TypeError, ValueError) as e:
                    raise InputError(
                        f"{self._path}, line {number}: no result of tfmds.detect;"
                        " choose another --output_dir"
                    ) from e
                yield fields, len(line)


def _file(path: str) -> list[Any]:
    """What tells a file from others: absolute path, bytes, time of its last change."""
    absolute = os.path.abspath(path)
    try:
        found = os.stat(absolute)
    except OSError:
        return [absolute, None, None]
    return [absolute, found.st_size, found.st_mtime_ns]


def _name(fields: dict[str, Any]) -> str:
    """Which video a line is of: lines of before say no more than its path."""
    return fields[_FILE][0] if _FILE in fields else os.path.abspath(fields["path"])


def outcome(fields: dict[str, Any]) -> str:
    """The verdict, or the status where a video could not be used."""
    return fields["verdict"] if fields["status"] == spec.OK else fields["status"]


def exit_code(outcomes: Collection[str], num_bad_inputs: int) -> int:
    """What a script may want to know, the most pressing first.

    Args:
      outcomes: For each video, see `outcome`.
      num_bad_inputs: Inputs that were none.

    Returns:
      2 where an input was none, 3 where a video could not be judged or there was too
      little to tell, 1 where one was called fake or is out of step, else 0.
    """
    if num_bad_inputs:
        return 2
    if not set(outcomes) <= set(verdict.VERDICTS) - {verdict.CANNOT_TELL}:
        return 3
    return int(not {verdict.FAKE, verdict.OUT_OF_STEP}.isdisjoint(outcomes))


def row(fields: dict[str, Any]) -> dict[str, Any]:
    """A row of the table, from `judgement_json.write` gives."""
    periods = {
        name: ";".join(f"{s:g}-{e:g}" for s, e in fields[name] or ())
        for name in ("suspicious_periods", "fake_periods")
    }
    streams: dict[str, Any] = dict.fromkeys(_OF_STREAMS)
    # Older results do not have them.
    for stream, said in fields.get("streams", {}).items():
        streams[f"{stream}_looks_forged"] = said["looks_forged"]
    streams |= {name: fields.get(name) for name in _OTHER_SCORES}
    fields = {
        **fields, **streams, **periods,
        "faces": len(fields["tracks"]),
    }  # fmt: skip
    return {name: fields[name] for name in COLUMNS}
