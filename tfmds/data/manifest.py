"""The manifest: the table of a data set, a row per video."""

import dataclasses
import os
from collections.abc import Iterable, Sequence

from etils import epath

from tfmds import spec
from tfmds.common import csv_files, text_files
from tfmds.common.errors import InputError

Period = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Video:
    """One row of a manifest.

    Attributes:
      video_id: Name that is unique in the manifest.
      path: Path of the file, relative to the manifest's folder.
      label: `real`, `fake`, or empty where it is not known (detection).
      split: `train`, `validation` or `test`.
      group: What must not be split: the source video or the person.
      manipulation: Free text, empty for real.
      fake_periods: Forged stretches in seconds; empty means the whole video where
        the label is fake.
      forged: Which stream is forged, one of `spec.FORGED`; empty where it is not known,
        and for real.
    """

    video_id: str
    path: str
    label: str = ""
    split: str = ""
    group: str = ""
    manipulation: str = ""
    fake_periods: tuple[Period, ...] = ()
    forged: str = ""


COLUMNS = tuple(f.name for f in dataclasses.fields(Video))
# Tables from before the others are read without them.
REQUIRED_COLUMNS = tuple(name for name in COLUMNS if name != "forged")


def parse_periods(text: str) -> tuple[Period, ...]:
    """Reads `start-end;start-end` in seconds; raises ValueError."""
    periods = []
    for part in filter(None, text.split(";")):
        start, end = (float(x) for x in part.split("-"))
        if not 0 <= start < end < float("inf"):
            raise ValueError(part)
        periods.append((start, end))
    return tuple(periods)


def format_periods(periods: Iterable[Period]) -> str:
    """The inverse of `parse_periods`, to a microsecond."""
    # None rounds to nothing: no periods mean that all of a fake is forged.
    return ";".join(
        f"{_seconds(start)}-{_seconds(max(end, start + 1e-6))}"
        for start, end in periods
    )


def _seconds(value: float) -> str:
    # Without an exponent, whose minus would part it.
    return f"{value:.6f}".rstrip("0").rstrip(".")


def write_manifest(path: os.PathLike | str, videos: Iterable[Video]) -> None:
    """Writes the table as CSV, whole or not at all.

    Raises:
      InputError: A name is no text; names it.
    """
    videos = list(videos)
    for video in videos:
        try:
            f"{video.video_id}{video.path}{video.group}".encode()
        except UnicodeEncodeError as e:
            raise InputError(
                f"the name of {video.path!r} is no UTF-8, and cannot be written into"
                f" {path}; rename the file"
            ) from e
    csv_files.write(
        path,
        COLUMNS,
        (
            dataclasses.asdict(video)
            | {"fake_periods": format_periods(video.fake_periods)}
            for video in videos
        ),
    )


def read_manifest(path: os.PathLike | str) -> list[Video]:
    """Reads and checks a manifest.

    Raises:
      InputError: A column is missing, a value is not allowed, a video_id is double,
        or a path leaves the manifest's folder; names the file and the row.
    """
    table = text_files.read_table(
        path, "a manifest", "Make one with python -m pipelines.build_manifest."
    )
    table.need(REQUIRED_COLUMNS)
    seen: dict[str, int] = {}
    videos = []
    for line, row in table.dicts(numbers=("fake_periods",)):
        where = f"{path}, line {line}"
        video = _video_from_row(row, where)
        if video.video_id in seen:
            raise InputError(
                f"{where}: the video_id {video.video_id!r} is already in line"
                f" {seen[video.video_id]}; each video needs a name of its own"
            )
        seen[video.video_id] = line
        videos.append(video)
    if not videos:
        raise InputError(f"{path}: the manifest has no rows, expected one per video")
    return videos


def resolve(manifest_path: os.PathLike | str, video: Video) -> epath.Path:
    """Full path of a video's file."""
    return epath.Path(manifest_path).parent / video.path


def _video_from_row(row: dict[str, str], where: str) -> Video:
    fields = {name: row.get(name, "").strip() for name in COLUMNS}
    for name in ("video_id", "path"):
        if not fields[name]:
            raise InputError(f"{where}: {name} is empty")
    _check_word(fields, "label", tuple(spec.LABELS), where)
    _check_word(fields, "split", spec.SPLITS, where)
    _check_word(fields, "forged", (*spec.FORGED, ""), where)
    check_inside(fields["path"], where)
    try:
        periods = parse_periods(fields.pop("fake_periods"))
    except ValueError as e:
        raise InputError(
            f"{where}: fake_periods is {row['fake_periods']!r}, expected"
            " start-end in seconds with ; between periods, such as 1.5-3;4-5.25"
        ) from e
    if periods and fields["label"] == "real":
        raise InputError(f"{where}: a real video has fake_periods")
    if fields["forged"] and fields["label"] == "real":
        raise InputError(f"{where}: a real video is forged={fields['forged']}")
    return Video(**fields, fake_periods=periods)


def _check_word(
    fields: dict[str, str], name: str, allowed: Sequence[str], where: str
) -> None:
    if fields[name] not in allowed:
        raise InputError(
            f"{where}: {name} is {fields[name]!r}, expected one of"
            f" {', '.join(word or 'nothing' for word in allowed)}"
        )


def check_inside(path: str, where: str) -> None:
    """Raises InputError where a relative path leaves its root."""
    depth = 0
    for part in path.replace(os.sep, "/").split("/"):
        depth += {"..": -1, ".": 0, "": 0}.get(part, 1)
        if depth < 0:
            break
    if depth < 1 or os.path.isabs(path):
        raise InputError(
            f"{where}: the path {path!r} leaves its folder; expected a path below it"
        )
