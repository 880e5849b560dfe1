"""Chooses the threshold above which a video is called fake.

    python -m tfmds.select_threshold --scores=scores.csv --split=validation \
      --criterion=equal_error_rate --output_dir=threshold

    python -m tfmds.select_threshold --model=RUN --data_dir=DATA --output_dir=threshold

Criteria: `midpoint` between the mean MDS of reals and of fakes (the paper's); `sweep`
of 20 steps for the best balanced accuracy (the reproduction's); `youden`, the best
balanced accuracy of all; `equal_error_rate`; `target_fpr` and `target_recall` with
--target. Writes threshold.json. The test split is refused.

Where the split has videos that are forged in a part, and chunks.csv lies beside the
scores, the levels that make fake periods of chunk distances are chosen too. Chunks that
overlap (--hop=0.2) find the ends of a period better and take longer to score.
"""

import dataclasses

from absl import flags
from etils import epath

from tfmds import spec
from tfmds.common import app, files
from tfmds.common.errors import InputError
from tfmds.evaluation import (
    calibration,
    criteria,
    localization,
    score_files,
    thresholds,
)

_SCORES = flags.DEFINE_string("scores", None, "Table of videos with their MDS.")
_MODEL = flags.DEFINE_string("model", None, "A run of tfmds.train to score with.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Data set to score with --model.")
_LABELS = flags.DEFINE_string(
    "labels", None, "What the videos are, where --scores has two columns only."
)
_SPLIT = flags.DEFINE_enum(
    "split", "validation", spec.SPLITS, "Split to choose on; test is refused."
)
_CRITERION = flags.DEFINE_enum(
    "criterion",
    criteria.DEFAULT_CRITERION,
    tuple(criteria.CRITERIA),
    "How to choose.",
)
_TARGET = flags.DEFINE_float(
    "target", None, "Rate that target_fpr and target_recall aim at.", 0, 1
)
_CALIBRATION = flags.DEFINE_enum(
    "calibration",
    calibration.LOGISTIC,
    calibration.KINDS,
    "How to fit the probability of being fake; isotonic wants a thousand videos.",
)
_NOTE = flags.DEFINE_multi_string(
    "note",
    [],
    "What users of the threshold should know; it goes with it into exports, verdicts"
    " and reports.",
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Where threshold.json goes.", required=True
)
_MISMATCHES = flags.DEFINE_bool(
    "mismatches",
    False,
    "Take real videos only, and make fakes of them: the voice of another video, and"
    " the own voice half a second early or late. The easy kind; for want of others.",
)
_HOP = flags.DEFINE_float(
    "hop", 1.0, "Seconds from one chunk to the next, a multiple of 0.1; with --model."
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the bootstrap.")


def main() -> None:
    """Reads or makes the scores, chooses, writes, and says what was chosen."""
    output_dir = epath.Path(_OUTPUT_DIR.value)
    thresholds.refuse_test(_SPLIT.value, "--split")
    path, model_id = _scores(output_dir)
    videos, chunks, notes = score_files.read(path, _LABELS.value)
    threshold = thresholds.select(
        videos,
        _SPLIT.value,
        _CRITERION.value,
        target=_TARGET.value,
        calibration_kind=_CALIBRATION.value,
        scores_digest=files.digest(path),
        model_id=model_id,
        seed=_SEED.value,
        where=str(path),
    )
    all_notes = (*_NOTE.value, *threshold.notes)
    threshold = dataclasses.replace(threshold, notes=all_notes)
    in_split = videos.select((videos.split == _SPLIT.value) & videos.scored)
    if chunks is not None and localization.has_periods(in_split):
        localizer = localization.choose(videos, chunks, _SPLIT.value)
        threshold = dataclasses.replace(threshold, localizer=localizer)
    thresholds.write(output_dir / thresholds.FILE, threshold)
    print(threshold.summary)
    if threshold.localizer is not None:
        print(threshold.localizer.summary)
    for note in (*threshold.notes, *notes):
        print(f"note: {note}")
    print(f"written: {output_dir / thresholds.FILE}")


def _scores(output_dir: epath.Path) -> tuple[epath.Path, str]:
    given = tuple(bool(f.value) for f in (_SCORES, _MODEL, _DATA_DIR))
    if given not in ((True, False, False), (False, True, True)):
        raise InputError(
            "expected either --scores=scores.csv or --model=RUN and --data_dir=DATA"
        )
    if _SCORES.value:
        return epath.Path(_SCORES.value), ""
    # TensorFlow starts in seconds: only who scores waits for it.
    from tfmds.scoring import scorer

    # Apart from the scores of an evaluation that goes to the same directory.
    folder = output_dir / f"scores-{_SPLIT.value}"
    splits = [_SPLIT.value]
    if _MISMATCHES.value:
        from tfmds.scoring import mismatches

        mismatches.score_data_set(_MODEL.value, _DATA_DIR.value, splits, folder)
    else:
        scorer.score_data_set(
            _MODEL.value, _DATA_DIR.value, splits, folder, hop_seconds=_HOP.value
        )
    return folder / score_files.VIDEOS_FILE, scorer.model_id(_MODEL.value)


if __name__ == "__main__":
    app.run(main)
