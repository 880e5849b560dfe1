"""A data set on disk: shards of track records, `tfmds.json`, `videos.csv`."""

import dataclasses
import os
from collections.abc import Callable, Iterable
from typing import Any

from etils import epath

from tfmds import spec
from tfmds.common import csv_files, json_files, text_files
from tfmds.common.errors import InputError
from tfmds.data import manifest

INFO_FILE = "tfmds.json"
VIDEOS_FILE = "videos.csv"
# What its records are: tracks with their sound, or single faces.
TRACKS, FACES = "tracks", "faces"
# What a run has finished so far; gone when the data set is whole.
WORK_DIR = ".incomplete"


@dataclasses.dataclass(frozen=True)
class MediaFacts:
    """What a media file is; 0, "" or None where it does not tell.

    Attributes:
      bytes: Size of the file.
      width: Of the picture in pixels, as it is stored.
      height: The same.
      frame_rate: Pictures a second in the mean.
      video_codec: Name of the codec, such as `h264`.
      audio_codec: The same, such as `aac`.
      sample_rate: Sound samples a second.
      channels: Of the sound.
      leading_silence: Seconds until something is to be heard, 10 where it is more.
    """

    bytes: int = 0
    width: int = 0
    height: int = 0
    frame_rate: float = 0.0
    video_codec: str = ""
    audio_codec: str = ""
    sample_rate: int = 0
    channels: int = 0
    leading_silence: float | None = None


@dataclasses.dataclass(frozen=True)
class VideoRow:
    """A row of videos.csv.

    Attributes:
      video: The row of the manifest.
      status: What became of it, one of `spec.STATUSES`.
      reason: Why it is not usable, or what is to be known about it.
      tracks: Faces that were followed.
      chunks: Whole seconds of these faces in the records.
      seconds: Length of the picture that was looked at.
      media: What its file is.
      offset_seconds: How late its sound is, early where negative, as
        `pipelines.estimate_offsets` found it; None where it was not looked for.
    """

    video: manifest.Video
    status: str
    reason: str
    tracks: int
    chunks: int
    seconds: float
    media: MediaFacts = MediaFacts()
    offset_seconds: float | None = None


@dataclasses.dataclass(frozen=True)
class DataSet:
    """A data set that is whole.

    Attributes:
      path: Its directory.
      name: The name its shards begin with.
      spec: Shape and rate of its chunks.
      splits: The splits that have videos, in the order train, validation, test.
      info: Everything that tfmds.json states.
    """

    path: epath.Path
    name: str
    spec: spec.ChunkSpec
    splits: tuple[str, ...]
    info: dict[str, Any]

    @classmethod
    def load(
        cls, data_dir: os.PathLike | str, records: str | None = TRACKS
    ) -> "DataSet":
        """Opens the data set in a directory.

        Args:
          data_dir: The directory.
          records: What its records are to be, `TRACKS` or `FACES`; None for any.

        Raises:
          InputError: There is none, it is not whole, it has another format, or its
            records are others.
        """
        path = epath.Path(data_dir)
        file = path / INFO_FILE
        if not file.exists():
            if (path / WORK_DIR).exists():
                raise InputError(
                    f"{path}: this data set is not whole, its preprocessing still"
                    " runs or was stopped. Run the same preprocess command again"
                    " to finish it."
                )
            raise InputError(
                f"{path}: there is no data set here ({INFO_FILE} is missing). Make"
                " one with python -m pipelines.preprocess."
            )
        info = json_files.read_versioned(
            file,
            spec.FORMAT_VERSION,
            "the description of a data set",
            "Preprocess the videos again with python -m pipelines.preprocess, or use"
            " the tfmds that made it.",
            needed=("name", "chunk_spec", "splits"),
        )
        found = info.get("records", TRACKS)
        if records and found != records:
            pictures = "with" if records == FACES else "without"
            raise InputError(
                f"{path}: holds records of {found}, expected {records}; python -m"
                f" pipelines.preprocess makes these {pictures} --pictures"
            )
        return cls(
            path=path,
            name=info["name"],
            spec=spec.ChunkSpec.from_json(info["chunk_spec"], os.fspath(file)),
            splits=tuple(info["splits"]),
            info=info,
        )

    @property
    def records(self) -> str:
        """What its records are, `TRACKS` or `FACES`."""
        return str(self.info.get("records", TRACKS))

    def shard_files(self, *splits: str) -> list[str]:
        """The shards of these splits in their order, as TensorFlow takes them.

        Raises:
          InputError: As `shards`.
        """
        return [os.fspath(path) for split in splits for path in self.shards(split)]

    def shards(self, split: str) -> list[epath.Path]:
        """The files of a split, in order.

        Raises:
          InputError: There is no such split, or one of its files is missing or has
            not the size it was written with.
        """
        if split not in self.splits:
            raise InputError(
                f"{self.path}: the data set has no split {split!r}, only"
                f" {', '.join(self.splits)}"
            )
        entries = self.info["splits"][split]["shards"]
        paths = [self.path / entry["file"] for entry in entries]
        missing = [path.name for path in paths if not path.exists()]
        if missing:
            raise InputError(
                f"{self.path}: {len(missing)} of {len(paths)} shards of the split"
                f" {split} are missing, the first is {missing[0]}. Copy the data set"
                " again, or preprocess into an empty directory."
            )
        for path, entry in zip(paths, entries, strict=True):
            size = path.stat().length
            if size != entry.get("bytes", size):
                raise InputError(
                    f"{path}: has {size} bytes and was written with"
                    f" {entry['bytes']}. Copy the data set again; python -m"
                    f" pipelines.inspect --data_dir={self.path} --verify looks at all"
                    " of its shards."
                )
        return paths

    def videos(self) -> list[VideoRow]:
        """The rows of videos.csv: every video of the manifest, in its order."""
        return read_videos(self.path / VIDEOS_FILE)


def shard_name(name: str, split: str, index: int, count: int) -> str:
    """File name of a shard: `demo-train.tfrecord-00000-of-00012`."""
    return f"{name}-{split}.tfrecord-{index:05d}-of-{count:05d}"


OFFSET_COLUMN = "offset_seconds"
RESULT_COLUMNS = ("status", "reason", "tracks", "chunks", "seconds")
_MEDIA_COLUMNS = {field.name: field for field in dataclasses.fields(MediaFacts)}
_MEDIA_TYPES: dict[Any, Callable[[str], Any]] = {int: int, str: str}  # else float


def write_videos(path: os.PathLike | str, rows: Iterable[VideoRow]) -> None:
    """Writes videos.csv, whole or not at all."""
    columns = (*manifest.COLUMNS, *RESULT_COLUMNS, *_MEDIA_COLUMNS, OFFSET_COLUMN)
    csv_files.write(path, columns, map(_as_written, rows))


def _as_written(row: VideoRow) -> dict[str, Any]:
    periods = manifest.format_periods(row.video.fake_periods)
    return {
        **dataclasses.asdict(row.video),
        "fake_periods": periods,
        **{name: getattr(row, name) for name in (*RESULT_COLUMNS, OFFSET_COLUMN)},
        **dataclasses.asdict(row.media),
    }


def read_videos(path: os.PathLike | str) -> list[VideoRow]:
    """Reads videos.csv.

    Raises:
      InputError: It is missing or not such a table; names the file and the line.
    """
    table = text_files.read_table(
        path, "the table of a data set's videos", "Copy the data set again."
    )
    table.need((*manifest.REQUIRED_COLUMNS, *RESULT_COLUMNS))
    numbers = [
        *("fake_periods", "seconds", OFFSET_COLUMN),
        *(name for name, field in _MEDIA_COLUMNS.items() if field.type is not str),
    ]
    rows = []
    for line, row in table.dicts(numbers):
        try:
            rows.append(_video_row(row))
        except (ValueError, TypeError) as e:
            raise InputError(f"{path}, line {line}: cannot be read: {e}") from e
    return rows


def _video_row(row: dict[str, str]) -> VideoRow:
    texts = {
        name: row.get(name, "") for name in manifest.COLUMNS if name != "fake_periods"
    }
    periods = manifest.parse_periods(row["fake_periods"])
    return VideoRow(
        video=manifest.Video(**texts, fake_periods=periods),
        status=row["status"],
        reason=row["reason"],
        tracks=int(row["tracks"]),
        chunks=int(row["chunks"]),
        seconds=float(row["seconds"]),
        media=_media_facts(row),
        offset_seconds=float(row[OFFSET_COLUMN]) if row.get(OFFSET_COLUMN) else None,
    )


def _media_facts(row: dict[str, str]) -> MediaFacts:
    """Tables from before these columns have none of them."""
    return MediaFacts(
        **{
            name: _MEDIA_TYPES.get(field.type, float)(row[name])
            for name, field in _MEDIA_COLUMNS.items()
            if row.get(name)
        }
    )
