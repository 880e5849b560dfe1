"""AUC of each kind of fake, and differences of two models on the same people."""

import dataclasses

import numpy as np

from tfmds import spec
from tfmds.evaluation import bootstrap, metrics, ranking
from tfmds.evaluation.scores import VideoScores


@dataclasses.dataclass(frozen=True)
class Judged:
    """AUC of one kind of fake against all reals.

    Attributes:
      fakes: How many.
      reals: How many.
      values: By score.
      draws: By score, `[d]`, of people drawn with replacement; the same people for
        the same videos.
      people: How many.
    """

    fakes: int
    reals: int
    values: dict[str, float]
    draws: dict[str, np.ndarray]
    people: int

    def auc(self, name: str, against: "Judged | None" = None) -> bootstrap.Estimate:
        """A score's AUC with its interval, or by how much it is above another's."""
        value, draws = self.values[name], self.draws[name]
        if against:
            value -= against.values[name]
            draws = draws - against.draws[name]
        return bootstrap.estimate(value, draws, self.people)


def judge(videos: VideoScores) -> dict[str, Judged]:
    """Each kind of fake among scored videos, by its name."""
    groups, _ = bootstrap.group_numbers(videos.group, videos.video_id)
    fake = videos.label == spec.FAKE
    judged = {}
    for kind in sorted(set(videos.manipulation[fake])):
        mask = ~fake | (videos.manipulation == kind)
        people, group = np.unique(groups[mask], return_inverse=True)
        drawn = bootstrap.Bootstrap.draw(len(people))
        values, draws = {}, {}
        for name, scores in videos.scores.items():
            sample = ranking.Sample(scores[mask], fake[mask], group)
            values[name] = float(metrics.auc(ranking.rank(sample)))
            parts = [metrics.auc(r) for r in drawn.rankings(sample, None)]
            draws[name] = np.concatenate(parts)
        fakes = int(fake[mask].sum())
        judged[kind] = Judged(fakes, int((~fake).sum()), values, draws, len(people))
    return judged
