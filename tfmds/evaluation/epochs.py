"""The epochs of a training run compared: how many were worth it."""

import dataclasses
import os
import re
from collections.abc import Collection, Mapping
from typing import Any

from etils import epath

from tfmds import spec
from tfmds.common.errors import InputError
from tfmds.evaluation import evaluation, score_files, scores
from tfmds.evaluation.bootstrap import Estimate
from tfmds.evaluation.evaluation import VIDEOS, Evaluation

# Where a run keeps the scores of its validation split.
FOLDER = "validation"
_FILE = re.compile(r"epoch-(\d+)\.csv")


@dataclasses.dataclass(frozen=True)
class Epochs:
    """Evaluations of one split after several epochs of a run.

    Attributes:
      split: Which split.
      by_epoch: The evaluation after each epoch, epochs ascending from 1.
    """

    split: str
    by_epoch: Mapping[int, Evaluation]

    def auc(self, epoch: int) -> Estimate:
        """AUC of the videos after an epoch."""
        return self.by_epoch[epoch].estimates[f"{VIDEOS}/auc"]

    @property
    def best(self) -> int | None:
        """The epoch with the highest AUC, the earliest of equals."""
        values = {e: self.auc(e).value for e in self.by_epoch}
        known = {e: value for e, value in values.items() if value is not None}
        return max(known, key=known.__getitem__) if known else None

    @property
    def enough(self) -> int | None:
        """The first epoch whose interval holds the AUC of the best one."""
        best = self.best
        highest = None if best is None else self.auc(best).value
        if highest is None:
            return None
        return next(
            e
            for e in self.by_epoch
            if e == best or ((bounds := self.auc(e).interval) and bounds[1] >= highest)
        )

    @property
    def summary(self) -> str:
        """The result in a sentence."""
        best, enough = self.best, self.enough
        if best is None or enough is None:
            reason = self.auc(next(iter(self.by_epoch))).reason
            return f"no AUC of any epoch on the {self.split} split: {reason}"
        of = self.by_epoch[best]
        first = (
            f"the AUC on {len(of.sample.score)} {self.split} videos of {of.groups}"
            f" groups is highest after epoch {best}: {self.auc(best)}"
        )
        if enough == best:
            return f"{first}; no earlier epoch comes near it"
        return (
            f"{first}; after epoch {enough} its interval reaches that already:"
            f" {self.auc(enough)}"
        )

    def to_json(self) -> dict[str, Any]:
        """The figures of all epochs."""
        return {
            "format_version": spec.FORMAT_VERSION,
            "summary": self.summary,
            "split": self.split,
            "best_epoch": self.best,
            "epochs": [
                {
                    "epoch": epoch,
                    "metrics": {n: e.to_json() for n, e in result.estimates.items()},
                }
                for epoch, result in self.by_epoch.items()
            ],
        }


def file_name(epoch: int) -> str:
    """Of the scores after an epoch, counted from 1."""
    return f"epoch-{epoch:04d}.csv"


def read(
    folder: os.PathLike | str,
    split: str,
    *,
    only: Collection[int] | None = None,
    score: str = scores.MDS,
    num_draws: int = 1000,
    seed: int = 0,
) -> Epochs:
    """Evaluates the files `epoch-0001.csv`, ... of a folder.

    Args:
      folder: RUN/validation of tfmds.train, or scores made from kept checkpoints.
      split: Which split they are of.
      only: Which epochs; the folder may hold others, of another run.
      score: Which score of the videos, one of `scores.MEASURED`.
      num_draws: Draws of the bootstrap over groups.
      seed: Of the bootstrap, the same groups for each epoch.

    Raises:
      InputError: There are no such files, or one cannot be read or lacks the score.
    """
    folder = epath.Path(folder)
    found = {}
    if folder.is_dir():
        for path in folder.iterdir():
            match = _FILE.fullmatch(path.name)
            if match and (only is None or int(match[1]) in only):
                found[int(match[1])] = path
    if not found:
        raise InputError(
            f"{folder}: there are no scores of epochs. Expected a --workdir of"
            " tfmds.train with a validation split that has ended an epoch"
        )
    return Epochs(
        split,
        {
            epoch: evaluation.evaluate(
                score_files.read_videos(found[epoch]),
                None,
                split=split,
                score=score,
                min_coverage=0,
                num_draws=num_draws,
                seed=seed,
                where=str(found[epoch]),
            )
            for epoch in sorted(found)
        },
    )
