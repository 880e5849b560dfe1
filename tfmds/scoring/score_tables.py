"""The table of scores that a user names or that a model makes, and faces of it."""

import os
from collections.abc import Collection, Sequence

from etils import epath

from tfmds.common.errors import InputError
from tfmds.evaluation import score_files, scores
from tfmds.evaluation.thresholds import Threshold
from tfmds.scoring.config import ScoresConfig


def find_or_make(
    config: ScoresConfig,
    splits: Sequence[str],
    folder: os.PathLike | str,
    threshold: Threshold | None = None,
) -> tuple[epath.Path, str]:
    """The table of scores; where a model is named, it is made.

    Args:
      config: The table or the model.
      splits: Which splits the model scores.
      folder: Where its scores go.
      threshold: Must have been chosen for that model.

    Returns:
      Path of the table, and the model's id, empty where none was named.

    Raises:
      InputError: The model or the data set cannot be used, or the threshold is that
        of another model.
    """
    if config.scores:
        return epath.Path(config.scores), ""
    model, data_dir = config.source
    # TensorFlow starts in seconds: only who scores waits for it.
    from tfmds.models import checkpoints
    from tfmds.scoring import mismatches, scorer

    model_id = checkpoints.model_id(model)
    if threshold is not None and threshold.model_id not in ("", model_id):
        raise InputError(
            f"the threshold was chosen for the model {threshold.model_id}, and"
            f" {model} is {model_id}; choose one for this model with python -m"
            " tfmds.select_threshold"
        )
    score = config.score
    scorer.warn_of_untrained(model, score)
    if threshold is not None and threshold.fusion is not None:
        # The costly one only where it has a weight.
        is_aligned = scores.ALIGNED in threshold.made_of
        score = scores.ALIGNED if is_aligned else scores.MDS
    if config.mismatches:
        mismatches.score_data_set(model, data_dir, splits, folder, score=score)
    else:
        scorer.score_data_set(
            model,
            data_dir,
            splits,
            folder,
            hop_seconds=config.hop,
            score=score,
        )
    return epath.Path(folder) / score_files.VIDEOS_FILE, model_id


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
