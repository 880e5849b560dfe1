"""What preprocessing lets its user choose."""

import dataclasses
from typing import Any

from tfmds.common import flags
from tfmds.common.errors import InputError
from tfmds.common.flags import setting

# What a still is of: a face cut to its edges, or one to be looked for.
STILLS = ("tight", "wide")
# All tracks of a video, the one with the largest face in the mean, or the one that
# covers most seconds; the earlier one among equals.
TRACKS = ("all", "largest", "longest")


@dataclasses.dataclass(frozen=True, kw_only=True)
class MediaTracks:
    """Which of several tracks of a file are read."""

    picture_track: int = setting(
        0,
        "Which of several tracks of pictures is read, from 1; 0: the file's default, or"
        " the first that moves.",
        low=0,
        high=1000,
    )
    sound_track: int = setting(
        0,
        "Which of several tracks of sound is read, from 1; 0: the file's default, or"
        " the first on which something is to be heard.",
        low=0,
        high=1000,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class MediaLimits:
    """What is not decoded, whatever a program does with videos."""

    # 8K has 35 million.
    max_pixels: int = setting(
        40_000_000,
        "Videos with larger pictures are not decoded; those of more than 10 million"
        " pixels are scaled down to that while they are read.",
        low=1,
        high=1_000_000_000,
    )


@dataclasses.dataclass(frozen=True)
class PreprocessingConfig(MediaTracks, MediaLimits):
    """How faces are found, followed and stored (defaults: paper, section 4).

    Raises:
      InputError: A value is out of its range.
    """

    max_record_seconds: int = setting(
        10, "Longer tracks are cut into records of this length.", low=1, high=3600
    )
    search_every: int = setting(
        24,
        "Whole pictures are searched for faces on every k-th frame, and more often"
        " where faces come and go.",
        low=1,
        high=60,
        flag=None,
    )
    # On the frames between, its box is interpolated.
    detect_every: int = setting(6, "Look for faces on each k-th frame.", low=1, high=60)
    search_face_size: int = setting(
        28,
        "Whole pictures are scaled so that the smallest wanted face keeps this many"
        " pixels; the detector finds faces from 20 on, and surely ones of half as many"
        " more.",
        low=20,
        high=400,
        flag=None,
    )
    min_confidence: float = setting(
        0.9, "Least confidence of the detector.", low=0, high=1
    )
    min_iou: float = setting(
        0.5, "Least overlap of two detections of one face.", low=0, high=1, flag=None
    )
    min_track_frames: int = setting(
        50, "Shorter tracks are dropped, in frames.", low=30, high=10_000, flag=None
    )
    max_missed_frames: int = setting(
        40,
        "A face missed on more frames than this ends its track.",
        low=0,
        high=300,
        flag=None,
    )
    # The larger side of its box.
    min_face_size: int = setting(
        50, "Least mean size of a face in pixels.", low=10, high=4000
    )
    smoothing_frames: int = setting(
        13,
        "Frames of the median that smooths the box, an odd number.",
        low=1,
        high=99,
        flag=None,
    )
    jpeg_quality: int = setting(90, "Quality of the stored crops.", low=1, high=100)
    max_bytes_per_second: int = setting(
        500_000,
        "Crops are stored at less quality where a second of them would take more.",
        low=10_000,
        high=10_000_000,
        flag=None,
    )
    # Some forgeries begin with silence, which alone would tell them.
    skip_leading_ms: int = setting(
        0,
        "Milliseconds left out at the beginning of each video.",
        low=0,
        high=3_600_000,
    )
    tracks: str = setting(
        "all",
        "Which faces of a video are kept: all; the one that is largest in the mean; the"
        " one in view for longest.",
        choices=TRACKS,
    )
    pictures: int = setting(
        0,
        "Stores so many pictures of each 10 s (max_record_seconds) of a track, and no"
        " sound, which then is not needed; stills are read too. 0: tracks with sound.",
        low=0,
        high=300,
        flag=None,
    )
    stills: str = setting(
        "tight",
        "With pictures: whether stills were cut to the face, or the face is to be"
        " looked for in them.",
        choices=STILLS,
        flag=None,
    )
    max_duration_seconds: int = setting(
        4 * 3600, "Longer videos are not decoded.", low=1, high=10_000_000
    )
    max_video_bytes: int = setting(
        20_000_000_000, "Larger files are not decoded.", low=1, high=10**15
    )
    max_tracks: int = setting(
        32,
        "Faces that are followed at the same time; of more the largest and longest.",
        low=1,
        high=1000,
    )
    video_timeout_seconds: int = setting(
        300,
        "A video that makes no headway for this long is given up.",
        low=1,
        high=1_000_000,
    )
    # At 1080p one needs some 900, of which 300 before it has a video.
    max_memory_mb: int = setting(
        0,
        "What the process that reads a video may allocate; 0: no limit.",
        low=0,
        high=1_000_000,
    )

    def __post_init__(self) -> None:
        flags.check(self)
        if self.smoothing_frames % 2 == 0:
            raise InputError(
                f"smoothing_frames is {self.smoothing_frames}, expected an odd number:"
                " the median is taken around a frame"
            )

    def to_json(self) -> dict[str, Any]:
        """The fields by name."""
        return dataclasses.asdict(self)
