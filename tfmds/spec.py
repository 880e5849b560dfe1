"""The numbers and words that all parts share."""

import dataclasses
import math
from typing import Any

from tfmds.common.errors import InputError

# Raised when files on disk change their meaning.
FORMAT_VERSION = 1

# A label in tables and flags is a word, in records and tensors a number: the paper's y.
REAL = 1
FAKE = 0
UNKNOWN = -1
LABELS = {"real": REAL, "fake": FAKE}
LABEL_WORDS = {REAL: "real", FAKE: "fake", UNKNOWN: ""}

# Which stream of a fake was forged, where it is known.
PICTURE = "picture"
SOUND = "sound"
BOTH = "both"
FORGED = (PICTURE, SOUND, BOTH)
# Manipulations of mismatches: a real picture with the voice of somebody else, and with
# its own from another moment.
VOICE = "voice_"
SWAP, SHIFT = f"{VOICE}swap", f"{VOICE}shift"
# Another's voice for a part of the time; some of the own voice cut out.
PART, SLIP = f"{VOICE}part", f"{VOICE}slip"
# The streams of the network, each with what it sees of a video.
STREAMS = {"visual": PICTURE, "audio": SOUND}
# By whose truth a head of the network was trained: its own stream's, or the video's.
OWN, VIDEO = "own", "video"

SPLITS = ("train", "validation", "test")

# What network a run is of.
TWO_STREAM, PICTURE_NETWORK = "two_stream", "picture"

# What became of a video.
OK = "ok"
NO_FACE = "no_face"
NO_AUDIO = "no_audio"
TOO_SHORT = "too_short"
DECODE_ERROR = "decode_error"
OVER_LIMIT = "over_limit"
STATUSES = (OK, NO_FACE, NO_AUDIO, TOO_SHORT, DECODE_ERROR, OVER_LIMIT)

# Mouths are compared with their voice at several lags (evaluation.alignment): seconds
# between the starts of two mouth chunks, of two voice chunks, and the largest lag.
MOUTH_HOP = 0.2
VOICE_HOP = 0.04
MAX_LAG = 2.0

# Files of these names are taken for videos where a folder is looked through.
VIDEO_SUFFIXES = (
    *(".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4"),
    *(".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".webm", ".wmv"),
)


@dataclasses.dataclass(frozen=True)
class ChunkSpec:
    """Shape and rate of one chunk (paper, section 3.1).

    Travels with every data set, checkpoint and export.
    """

    # Face crops a second.
    frame_rate: int = 30
    # Seconds of a chunk.
    seconds: int = 1
    # Side of a face crop in pixels.
    crop_size: int = 224
    # Sound samples a second, mono.
    sample_rate: int = 48_000
    # Cepstral coefficients of an MFCC frame.
    num_coefficients: int = 13
    # MFCC frames a second (one every 10 ms).
    mfcc_rate: int = 100
    # Samples of an MFCC window (25 ms).
    mfcc_window: int = 1_200

    @property
    def num_frames(self) -> int:
        """Face crops of a chunk: 30."""
        return self.frame_rate * self.seconds

    @property
    def num_mfcc_frames(self) -> int:
        """MFCC frames of a chunk: 99, the last window starts 20 ms before the end."""
        return self.mfcc_frames_in(self.num_frames)

    @property
    def mfcc_hop(self) -> int:
        """Samples between two MFCC frames: 480."""
        return self.sample_rate // self.mfcc_rate

    def mfcc_frames_in(self, num_frames: int) -> int:
        """MFCC frames that belong to `num_frames` face crops."""
        return num_frames * self.mfcc_rate // self.frame_rate - 1

    @property
    def frames_per_step(self) -> int:
        """Frames of the shortest time that is whole in frames and in MFCC: 3."""
        step = 1
        while step * self.mfcc_rate % self.frame_rate:
            step += 1
        return step

    def hop_frames(self, hop_seconds: float) -> int:
        """Frames from the start of one chunk to that of the next.

        Raises:
          InputError: Picture and sound have no step together there.
        """
        step = self.frames_per_step
        frames = round(hop_seconds * self.frame_rate)
        exact = abs(hop_seconds * self.frame_rate - frames) < 1e-6
        if not exact or frames <= 0 or frames % step:
            raise InputError(
                f"the hop is {hop_seconds:g} s, expected a multiple of"
                f" {step / self.frame_rate:g} s above 0: only there picture and sound"
                " have a step together"
            )
        return frames

    @property
    def has_lags(self) -> bool:
        """Whether `MOUTH_HOP` and `VOICE_HOP` are whole frames and MFCC frames."""
        wholes = (
            MOUTH_HOP * self.frame_rate / self.frames_per_step,
            VOICE_HOP * self.mfcc_rate,
        )
        return all(abs(x - round(x)) < 1e-6 for x in wholes)

    def to_json(self) -> dict[str, Any]:
        """The fields by name."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any], where: str) -> "ChunkSpec":
        """Reads what `to_json` wrote; `where` names the source in an error."""
        known = {f.name for f in dataclasses.fields(cls)}
        if not isinstance(fields, dict) or set(fields) != known:
            raise InputError(
                f"{where}: the chunk spec has the fields {sorted(fields)}, expected"
                f" {sorted(known)}; was it made by another version of tfmds?"
            )
        return cls(**fields)

    def check_same(self, other: "ChunkSpec", mine: str, others: str) -> None:
        """Raises InputError naming both values of each field that differs."""
        differing = [
            f"{name} is {value} in {mine} and {getattr(other, name)} in {others}"
            for name, value in self.to_json().items()
            if value != getattr(other, name)
        ]
        if differing:
            crops = self.crop_size != other.crop_size
            flag = f" (--crop_size={self.crop_size})" if crops else ""
            raise InputError(
                f"{mine} and {others} were made with different chunk specs:"
                f" {'; '.join(differing)}. Preprocess the videos again with the spec"
                f" of the model{flag}, or train a model on this data set."
            )


# What of a face crop the visual stream sees: (top, left, height, width) as shares of
# the crop. The paper takes all of it; the mouth alone suits small networks.
REGIONS = {
    "face": (0.0, 0.0, 1.0, 1.0),
    "mouth": (0.30, 0.25, 0.50, 0.50),
}


def region_window(side: int, region: str) -> tuple[int, int, int, int]:
    """A region of face crops of this side in pixels: top, left, height, width."""
    top, left, height, width = (round(side * share) for share in REGIONS[region])
    return top, left, height, width


@dataclasses.dataclass(frozen=True)
class ViewConfig:
    """How a chunk is shown to the model."""

    # Side of the pictures in pixels.
    image_size: int
    # Part of the face crop, a key of REGIONS.
    region: str = "face"

    @property
    def least_crop(self) -> int:
        """Side of the smallest face crop whose region has that many pixels."""
        return math.ceil(self.image_size / REGIONS[self.region][2])
