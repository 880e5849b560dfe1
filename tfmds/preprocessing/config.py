"""What preprocessing lets its user choose."""

import dataclasses
from typing import Any

from tfmds.common.errors import InputError

# All tracks of a video, the one with the largest face in the mean, or the one that
# covers most seconds; the earlier one among equals.
TRACKS = ("all", "largest", "longest")


@dataclasses.dataclass(frozen=True)
class PreprocessingConfig:
    """How faces are found, followed and stored (defaults: paper, section 4).

    Raises:
      InputError: A value is out of its range.
    """

    # Longest stretch of a track in one record, in seconds.
    max_record_seconds: int = 10
    # Whole pictures are searched for faces on every k-th frame, and more often
    # where faces come and go.
    search_every: int = 24
    # A face that was found is looked for on every k-th frame; its box on the frames
    # between is interpolated.
    detect_every: int = 6
    # Whole pictures are scaled so that the smallest wanted face keeps this many
    # pixels; the detector finds faces from 20 on, and surely ones of half as many more.
    search_face_size: int = 28
    # Detections below this confidence are no faces.
    min_confidence: float = 0.9
    # Least overlap (IoU) of two detections of one face.
    min_iou: float = 0.5
    # Shorter tracks are dropped, in frames.
    min_track_frames: int = 50
    # A face missed on more frames than this ends its track.
    max_missed_frames: int = 40
    # Least mean size of a track's face, the larger side of its box in pixels.
    min_face_size: int = 50
    # Frames of the median that smooths the box, an odd number.
    smoothing_frames: int = 13
    # JPEG quality of a crop, from 1 to 100.
    jpeg_quality: int = 90
    # Crops are stored at less quality where a second of them would take more.
    max_bytes_per_second: int = 500_000
    # What is left out at the beginning of a video, in milliseconds: some forgeries
    # begin with silence, which alone would tell them.
    skip_leading_ms: int = 0
    # Which tracks of a video are kept: one of TRACKS.
    tracks: str = "all"
    # Videos beyond these are not decoded: pixels of a picture (4K has 9 million),
    # seconds, bytes of the file, tracks that go on at the same time.
    max_pixels: int = 10_000_000
    max_duration_seconds: int = 4 * 3600
    max_video_bytes: int = 20_000_000_000
    max_tracks: int = 32
    # A video is given up when its reading makes no headway for this long.
    video_timeout_seconds: int = 300
    # What a process that reads videos may allocate, 0 for no limit. At 1080p one
    # needs some 1300, of which 950 for the detector.
    max_memory_mb: int = 0

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise InputError(
                    f"the preprocessing option {name} is {value}, expected a value"
                    f" from {low:g} to {high:g}"
                )
        if self.tracks not in TRACKS:
            raise InputError(
                f"the preprocessing option tracks is {self.tracks!r}, expected one of"
                f" {', '.join(TRACKS)}"
            )
        if self.smoothing_frames % 2 == 0:
            raise InputError(
                "the preprocessing option smoothing_frames is"
                f" {self.smoothing_frames}, expected an odd number: the median is"
                " taken around a frame"
            )

    def to_json(self) -> dict[str, Any]:
        """The fields by name."""
        return dataclasses.asdict(self)


# The same by its former name.
Options = PreprocessingConfig

_RANGES = {
    "max_record_seconds": (1, 3600),
    "search_every": (1, 60),
    "detect_every": (1, 60),
    "search_face_size": (20, 400),
    "min_confidence": (0, 1),
    "min_iou": (0, 1),
    "min_track_frames": (30, 10_000),
    "max_missed_frames": (0, 300),
    "min_face_size": (10, 4_000),
    "smoothing_frames": (1, 99),
    "jpeg_quality": (1, 100),
    "max_bytes_per_second": (10_000, 10_000_000),
    "skip_leading_ms": (0, 3_600_000),
    "max_pixels": (1, 1_000_000_000),
    "max_duration_seconds": (1, 10_000_000),
    "max_video_bytes": (1, 10**15),
    "max_tracks": (1, 1_000),
    "video_timeout_seconds": (1, 1_000_000),
    "max_memory_mb": (0, 1_000_000),
}
