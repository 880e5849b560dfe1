"""Where the scores of a judgement come from: a table, or a model that makes it."""

import dataclasses

from tfmds.common.errors import InputError
from tfmds.common.flags import setting
from tfmds.evaluation.scores import OF_DISTANCE, SCORES


@dataclasses.dataclass(frozen=True)
class ScoresConfig:
    """A table of scores, or what to make it with."""

    scores: str | None = setting(None, "Table of videos with their scores.")
    model: str | None = setting(
        None,
        "A run of tfmds.train or an export to score with; starter is the model of the"
        " package.",
    )
    data_dir: str | None = setting(
        None, "Data set to score with --model, or to show faces of."
    )
    labels: str | None = setting(
        None,
        "Table that says which videos are real, where --scores does not (video,score or"
        " the results.csv of tfmds.detect): a manifest, videos.csv, scores.csv, or any"
        " with a column label and one that names the videos.",
    )
    mismatches: bool = setting(
        False,
        "Take real videos only, and make fakes of them: the voice of another video, and"
        " the own voice half a second early or late; with --score=stretches another's"
        " voice for all and for parts of the time. For want of real fakes, which are"
        " harder; it needs videos of two people at least.",
    )
    score: str | None = setting(
        None,
        "What videos are judged by: mds, the mean distance of mouth and voice at the"
        " same time, as in the paper; aligned, how well they fit at the best lag,"
        " against other moments of the same video (docs/alignment.md); visual or audio,"
        " the mean probability of fake by that head of the network; or fused, these"
        " together (docs/streams.md). Without it that which the threshold is of, else"
        " that which the model was trained by, of a table mds.",
        choices=tuple(SCORES),
    )
    hop: float = setting(
        1.0,
        "Score a second every so many seconds, a multiple of 0.1; below 1 they overlap."
        " With --model.",
    )

    def __post_init__(self) -> None:
        if bool(self.scores) == bool(self.model) or (self.model and not self.data_dir):
            raise InputError(
                "expected either --scores=scores.csv or --model=RUN and --data_dir=DATA"
            )
        if self.scores and (self.mismatches or self.hop != 1.0):
            raise InputError(
                "--mismatches and --hop say how a model scores; with --scores leave"
                " them out"
            )
        if self.mismatches and self.score not in (None, *OF_DISTANCE):
            raise InputError(
                f"--score={self.score} with --mismatches: these are distances of mouths"
                f" and voices alone; expected {' or '.join(OF_DISTANCE)}"
            )
        if self.mismatches and self.hop != 1.0:
            raise InputError(
                f"--hop is {self.hop:g}, and chunks of --mismatches are always a second"
                " apart; leave out one of them"
            )

    @property
    def source(self) -> tuple[str, str]:
        """The model that makes the scores, and its data set; empty without one."""
        return self.model or "", self.data_dir or ""
