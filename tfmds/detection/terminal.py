"""What the terminal shows of videos as they are judged."""

import json
import sys
from typing import Any

from tfmds import spec
from tfmds.common import csv_files, progress
from tfmds.detection import judgement_json, results
from tfmds.evaluation import scores
from tfmds.judgement.judgement import VideoJudgement
from tfmds.reporting import sentences

# How judgements are printed: a table for people, a JSON object a line, or CSV.
TABLE, JSON, CSV = "table", "json", "csv"


class Terminal:
    """Prints a line for each judged video, and shows how far the work is.

    Lines go to standard output; the bar goes to standard error, and only where that is
    a terminal.
    """

    def __init__(self, num_videos: int, form: str = TABLE):
        """Prints the head of the table.

        Args:
          num_videos: Videos to come; of a single one the bar shows the seconds.
          form: `TABLE`, `JSON` or `CSV`.
        """
        self._form = form
        self._is_alone = num_videos == 1
        self._csv = csv_files.Writer(sys.stdout, results.COLUMNS)
        if form == CSV:
            self._csv.header()
        elif form == TABLE:
            print(_HEADER, flush=True)
        self._bar = progress.bar(
            total=None if self._is_alone else num_videos,
            unit="s" if self._is_alone else "video",
            leave=not self._is_alone,
        )

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: Any) -> None:
        self._bar.close()

    def progress(
        self, path: str, seconds: float, total: float, mds: float | None
    ) -> None:
        """Shows how far a video is, see `pool.OnProgress`."""
        if self._is_alone:
            self._bar.total = round(total) or None
            if mds is not None:
                self._bar.set_postfix(mds=f"{mds:.3f}", refresh=False)
            self._bar.update(round(seconds) - self._bar.n)

    def show(self, judgement: VideoJudgement) -> None:
        """Prints the line of a video."""
        self._bar.clear()
        if self._form == CSV:
            self._csv.row(results.row(judgement_json.write(judgement)))
        elif self._form == JSON:
            print(json.dumps(judgement_json.write(judgement)))
        else:
            print(_row(judgement))
        sys.stdout.flush()
        if not self._is_alone:
            self._bar.update()
        self._bar.refresh()


_HEADER = f"{'verdict':12} {'score':>7} {'threshold':>9} {'seconds':>11}  video"


def _row(judgement: VideoJudgement) -> str:
    """One line for people; what follows a video that is not ok is its reason."""
    # A name may hold what a terminal obeys.
    name = "".join(c if c.isprintable() else "?" for c in judgement.path)
    if judgement.status != spec.OK:
        return (
            f"{judgement.status:12} {'':7} {'':9} {'':11}  {name}: {judgement.reason}"
        )
    seconds = f"{judgement.seconds_scored:.0f} of {judgement.seconds_total:.1f}"
    value = "" if judgement.value is None else f"{judgement.value:.3f}"
    row = (
        f"{judgement.verdict:12} {value:>7} {judgement.threshold.value:9.3f}"
        f" {seconds:>11}  {name}"
    )
    if judgement.is_borderline:
        row += ": borderline"
    if judgement.score in scores.OF_LAGS:
        row += f": {sentences.explanation(judgement)}"
    elif said := sentences.streams(judgement):
        row += f": {said}"
    # The sentence names them where stretches decide.
    if judgement.suspicious_periods and not judgement.by_stretches:
        periods = ", ".join(f"{s:g}-{e:g}" for s, e in judgement.suspicious_periods)
        row += f" (suspicious seconds: {periods})"
    if len(judgement.tracks) > 1:
        faces = ", ".join(
            f"{track + 1}: {_face(judgement, track)}" for track in judgement.tracks
        )
        row += f" ({judgement.score} of faces {faces})"
    if judgement.reason:
        row += f" (note: {judgement.reason})"
    return row


def _face(judgement: VideoJudgement, track: int) -> str:
    speaks = judgement.speaks(track)
    # How well a voice fits who does not speak would be read as a verdict.
    if speaks is False:
        return "not speaking"
    value = judgement.of_track(track).value
    return ("too short" if value is None else f"{value:.3f}") + ", speaks" * bool(
        speaks
    )
