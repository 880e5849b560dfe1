"""Segments that wait until it is known what becomes of their video."""

import dataclasses
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

import numpy as np

from tfmds import spec
from tfmds.data.records import TrackSegment
from tfmds.preprocessing import faces
from tfmds.preprocessing.config import PreprocessingConfig

# Bytes of segments that wait in memory; more of them wait in a temporary file.
_HELD_BYTES = 20_000_000


@dataclasses.dataclass(frozen=True)
class Stretch:
    """Where a segment lies, in its video and among those that are held."""

    track: int
    # Frames of the video.
    start: int
    length: int
    # Mean size of the face in pixels.
    size: float
    position: int
    num_bytes: int


class Held:
    """Segments that wait until it is known what becomes of their video.

    Attributes:
      stretches: What is held, in order.
    """

    def __init__(self, options: PreprocessingConfig, chunk_spec: spec.ChunkSpec):
        self._options = options
        self._spec = chunk_spec
        self._file = tempfile.SpooledTemporaryFile(_HELD_BYTES)  # noqa: SIM115
        self.stretches: list[Stretch] = []

    def __enter__(self) -> "Held":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, segments: Iterable[TrackSegment]) -> None:
        """Holds more of them."""
        for segment in segments:
            data = segment.to_bytes()
            start = segment.start_seconds - self._options.skip_leading_ms / 1000
            self.stretches.append(
                Stretch(
                    track=segment.track,
                    start=round(start * self._spec.frame_rate),
                    length=len(segment.frames),
                    size=float(np.mean([faces.size_of(box) for box in segment.boxes])),
                    position=self._file.tell(),
                    num_bytes=len(data),
                )
            )
            self._file.write(data)

    def choose(self) -> None:
        """Lets go of the tracks that the options do not want."""
        if self._options.tracks == "all" or not self.stretches:
            return
        lengths: Counter[int] = Counter()
        sizes: defaultdict[int, float] = defaultdict(float)
        for s in self.stretches:
            lengths[s.track] += s.length
            sizes[s.track] += s.length * s.size
        longest = self._options.tracks == "longest"
        chosen = min(
            lengths,
            key=lambda t: (-lengths[t] if longest else -sizes[t] / lengths[t], t),
        )
        self.stretches = [s for s in self.stretches if s.track == chosen]

    def packed(self) -> Iterator[bytes]:
        """What is held, in order, as `TrackSegment.to_bytes` makes it."""
        for stretch in self.stretches:
            self._file.seek(stretch.position)
            yield self._file.read(stretch.num_bytes)
