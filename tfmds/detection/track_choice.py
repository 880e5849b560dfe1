"""Which faces of a video are scored."""

import dataclasses
import math
from collections.abc import Sequence

from tfmds.common.errors import InputError
from tfmds.judgement.seen import JudgedChunk, SkippedTrack

_ALL, _LARGEST = "all", "largest"

Chunks = list[JudgedChunk]


@dataclasses.dataclass(frozen=True)
class TrackChoice:
    """Which faces are scored; by default all.

    Attributes:
      largest: Only those that are the largest in view most of their time: not the
        portrait on the wall, not the passer-by.
      numbers: Only tracks of these numbers, from 0; None for any.
    """

    largest: bool = False
    numbers: frozenset[int] | None = None

    @classmethod
    def parse(cls, text: str) -> "TrackChoice":
        """Reads `all`, `largest`, or numbers from 1 as a report shows them: `1,3`.

        Raises:
          InputError: It is none of these.
        """
        if text in (_ALL, _LARGEST):
            return cls(largest=text == _LARGEST)
        parts = [part.strip() for part in text.split(",")]
        if not all(part.isdecimal() and int(part) for part in parts):
            raise InputError(
                f"--tracks={text}: expected all, largest, or numbers of faces as the"
                " report shows them, such as 1,3"
            )
        return cls(numbers=frozenset(int(part) - 1 for part in parts))

    def may_take(self, track: int) -> bool:
        """Whether a track may be scored, as far as its number tells."""
        return self.numbers is None or track in self.numbers

    def part(
        self, chunks: Sequence[JudgedChunk], seconds: float
    ) -> tuple[Chunks, Chunks]:
        """Parts chunks that count from those that do not, when all are known.

        Args:
          chunks: Of all tracks that may be taken.
          seconds: Length of a chunk.
        """
        if not self.largest:
            return list(chunks), []
        largest: dict[int, float] = {}
        for chunk in chunks:
            end = chunk.start_seconds + seconds
            for second in range(int(chunk.start_seconds), math.ceil(end)):
                largest[second] = max(largest.get(second, 0), chunk.face_size)
        leads: dict[int, list[bool]] = {}
        for chunk in chunks:
            second = int(chunk.start_seconds + seconds / 2)
            leads.setdefault(chunk.track, []).append(chunk.face_size >= largest[second])
        kept = {track for track, lead in leads.items() if 2 * sum(lead) >= len(lead)}
        return (
            [chunk for chunk in chunks if chunk.track in kept],
            [chunk for chunk in chunks if chunk.track not in kept],
        )

    def skipped(
        self, chunks: Sequence[JudgedChunk], seconds: float
    ) -> tuple[SkippedTrack, ...]:
        """What is said of the tracks whose chunks do not count, by their numbers."""
        reason = "a larger face was in view" if self.largest else "it was not chosen"
        spans: dict[int, tuple[float, float]] = {}
        for chunk in chunks:
            end = chunk.start_seconds + seconds
            first, last = spans.get(chunk.track, (chunk.start_seconds, end))
            spans[chunk.track] = min(first, chunk.start_seconds), max(last, end)
        return tuple(
            SkippedTrack(start, end, f"face {track + 1}, {reason} (--tracks)")
            for track, (start, end) in sorted(spans.items())
        )
