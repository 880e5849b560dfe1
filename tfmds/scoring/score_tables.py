"""The table of scores that a user names or that a model makes, and faces of it."""

import dataclasses
import os
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from etils import epath

from tfmds.common.errors import InputError
from tfmds.evaluation import score_files, scores, unlabelled_scores
from tfmds.evaluation.scores import VideoScores
from tfmds.evaluation.thresholds import Threshold
from tfmds.scoring.config import ScoresConfig

if TYPE_CHECKING:
    from tfmds.exporting.networks import NetworkInfo


@dataclasses.dataclass(frozen=True)
class Source:
    """Where scores come from, and which of them videos are judged by.

    Attributes:
      config: The table, or the model and its data set.
      score: Which score, one of `scores.SCORES`.
      threshold: Where that is called fake; None where there is none.
      model: What is known of the model; None where a table was named.
      is_said: Whether the user said which score.
      notes: What the user did not say and was taken.
    """

    config: ScoresConfig
    score: str
    threshold: Threshold | None
    model: "NetworkInfo | None"
    is_said: bool
    notes: tuple[str, ...]

    @property
    def model_id(self) -> str:
        """Of the model, empty where none was named."""
        return self.model.model_id if self.model else ""

    @classmethod
    def settle(
        cls,
        config: ScoresConfig,
        threshold: Threshold | None = None,
        takes_threshold: bool = True,
    ) -> "Source":
        """Finds out by what videos are judged, where the user did not say.

        By that which the threshold is of; else by that which the model was trained by,
        or an export's threshold is of; detection's results by what they were judged
        by, another table by the MDS.

        Args:
          config: What the user says.
          threshold: That of the user.
          takes_threshold: Whether an export's own takes the place of none.

        Raises:
          InputError: The model cannot be used, the threshold is that of another model
            or another score, or it cannot be judged so.
        """
        if threshold is not None and config.score:
            threshold.check_score(config.score)
        model = None
        if config.model:
            # TensorFlow starts in seconds: only who scores waits for it.
            from tfmds.exporting import networks

            model = networks.describe(config.model)
        if model and threshold and threshold.model_id not in ("", model.model_id):
            raise InputError(
                f"the threshold was chosen for the model {threshold.model_id}, and"
                f" {config.model} is {model.model_id}; choose one for this model with"
                " python -m tfmds.select_threshold"
            )
        score, notes = config.score, []
        if score is None and threshold is not None:
            score = threshold.score
            notes.append(f"judged by the {scores.SCORES[score]}, as the threshold is")
        elif score is None and model is not None:
            score = model.judged_by
            why = (
                f"as the threshold of {config.model} is"
                if model.threshold
                else f"by which {config.model} was trained"
            )
            notes.append(
                f"judged by the {scores.SCORES[score]}, {why}; --score chooses another"
            )
        own = model.threshold if model else None
        if config.scores:
            own = unlabelled_scores.threshold_of(config.scores)
        if score is None:
            score = own.score if own else scores.MDS
            if own:
                notes.append(
                    f"judged by the {scores.SCORES[score]}, as {config.scores} is;"
                    " --score chooses another"
                )
        if takes_threshold and threshold is None and own and own.score == score:
            threshold = own
            notes.append(f"the threshold is that of {config.model or config.scores}")
        if takes_threshold and model and threshold is None and score == scores.FUSED:
            raise InputError(
                "--score=fused needs --threshold: the weights of the fused score are"
                " fitted by python -m tfmds.select_threshold --score=fused, and stand"
                " in the threshold.json that it writes"
            )
        settled = dataclasses.replace(config, score=score)
        return cls(settled, score, threshold, model, bool(config.score), tuple(notes))

    def notes_on(self, videos: VideoScores) -> list[str]:
        """What to say of how these videos of it are judged."""
        others = [
            f"the {scores.SCORES[name]} (--score={name})"
            for name in scores.SCORES
            if name in videos.scores and name != self.score
        ]
        if self.is_said or self.notes or not others:
            return list(self.notes)
        return [
            f"judged by the {scores.SCORES[self.score]}; the table has"
            f" {' and '.join(others)} too"
        ]

    def find_or_make(
        self, splits: Sequence[str], folder: os.PathLike | str
    ) -> epath.Path:
        """The table of scores; where a model is named, it is made.

        Args:
          splits: Which splits the model scores.
          folder: Where its scores go.

        Raises:
          InputError: The model or the data set cannot be used.
        """
        config = self.config
        if self.model is None:
            return epath.Path(config.scores or "")
        # As above.
        from tfmds.scoring import mismatches, scorer

        name, data_dir = config.source
        score = self.score
        scorer.warn_of_untrained(self.model, score)
        if self.threshold is not None and self.threshold.fusion is not None:
            # The costly one only where it has a weight.
            by_lags = {*self.threshold.made_of} & {*scores.OF_LAGS}
            score = scores.ALIGNED if by_lags else scores.MDS
        if config.mismatches:
            mismatches.score_data_set(name, data_dir, splits, folder, score=score)
        else:
            scorer.score_data_set(
                name, data_dir, splits, folder, hop_seconds=config.hop, score=score
            )
        return epath.Path(folder) / score_files.VIDEOS_FILE


def faces(
    config: ScoresConfig, splits: Sequence[str], video_ids: Collection[str]
) -> dict[str, dict[tuple[int, float], bytes]]:
    """Faces of some of the videos as `stored_faces.read` gives them.

    None where no data set is named.
    """
    if not config.data_dir or not video_ids:
        return {}
    # As above.
    from tfmds.data import stored_faces

    return stored_faces.read(config.data_dir, splits, video_ids)
