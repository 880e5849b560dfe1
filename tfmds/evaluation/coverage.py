"""Coverage: how many of the expected videos have a score, and why the others do not."""

import dataclasses
from typing import Any

import numpy as np

from tfmds import spec
from tfmds.common.errors import InputError
from tfmds.evaluation.scores import VideoScores

_NAMED = 5


@dataclasses.dataclass(frozen=True)
class Coverage:
    """How many videos of each class have each status.

    Attributes:
      counts: Videos by status, then by label; every status of `spec.STATUSES` and
        every label is there.
      unscored: The first few videos without a score, as `(video_id, status)`.
    """

    counts: dict[str, dict[str, int]]
    unscored: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, videos: VideoScores) -> "Coverage":
        """Counts a table of videos."""
        counts = {
            status: {
                word: int(((videos.status == status) & (videos.label == label)).sum())
                for word, label in spec.LABELS.items()
            }
            for status in dict.fromkeys((*spec.STATUSES, *videos.status))
        }
        rows = np.flatnonzero(~videos.scored)[:_NAMED]
        unscored = zip(videos.video_id[rows], videos.status[rows], strict=True)
        return cls(counts, tuple(unscored))

    @property
    def expected(self) -> int:
        """Videos in all."""
        return sum(sum(by_label.values()) for by_label in self.counts.values())

    @property
    def scored(self) -> int:
        """Videos with a score."""
        return sum(self.counts[spec.OK].values())

    @property
    def share(self) -> float:
        """Share of the videos that have a score."""
        return self.scored / self.expected

    def reasons(self) -> str:
        """The other statuses with their counts, such as `1 no_face, 2 no_audio`."""
        by_status = {
            status: sum(by_label.values()) for status, by_label in self.counts.items()
        }
        return ", ".join(
            f"{count} {status}"
            for status, count in by_status.items()
            if count and status != spec.OK
        )

    def check(self, min_coverage: float, where: str) -> None:
        """Raises InputError where too few videos have a score.

        Args:
          min_coverage: Share of the videos that must have one.
          where: Names the videos, for the error.
        """
        if self.scored == 0:
            raise InputError(
                f"{where}: none of the {self.expected} videos has a score"
                f" ({self.reasons()})"
            )
        if self.share >= min_coverage:
            return
        named = ", ".join(f"{name} ({status})" for name, status in self.unscored)
        more = self.expected - self.scored - len(self.unscored)
        raise InputError(
            f"{where}: {self.scored} of {self.expected} videos have a score"
            f" ({self.share:.1%}), expected at least {min_coverage:.1%}; figures on"
            f" the rest would flatter. Without a score: {self.reasons()}; {named}"
            f"{f' and {more} more' if more else ''}. Make scores for them, count them"
            " as wrong with --unscored=wrong, or allow it with --min_coverage."
        )

    def to_json(self) -> dict[str, Any]:
        """Counts in all, scored, and by status and class."""
        return {
            "expected": self.expected,
            "scored": self.scored,
            "share": self.share,
            "by_status": self.counts,
        }
