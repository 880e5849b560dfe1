r"""Chooses the threshold above which a video is called fake.

    python -m tfmds.select_threshold --scores=scores.csv --split=validation \
      --criterion=equal_error_rate --output_dir=threshold
    python -m tfmds.select_threshold --model=RUN --data_dir=DATA --output_dir=threshold

--model is a run or an export, starter the model of the package; without --score the
threshold is one of the score that it was trained by.

Criteria: `equal_error_rate`, where as large a share of the reals is called fake as of
the fakes is missed; `midpoint` between the mean scores of reals and of fakes (the
paper's); `sweep` of 20 steps for the best balanced accuracy, the mean of the shares
judged rightly (the reproduction's); `youden`, the best balanced accuracy of all;
`target_fpr` and `target_recall`, where a share --target of the reals is called fake, or
of the fakes found. Writes threshold.json. The test split is refused.

Where the split has videos that are forged in a part, and chunks.csv, which has a row
for each second, lies beside the scores, the levels that make forged stretches of these
are chosen too; seconds that overlap (--hop=0.2) find the ends of a stretch better.

With --score=stretches and --mismatches real videos alone are enough: the fakes are
their mouths with another's voice for all or a part of the time. With --score=fused the
weights of the scores that are there are fitted first. Where these have columns of the
heads (visual, audio) and videos say which stream was forged, threshold.json says too
from where on each head takes its stream for forged (docs/streams.md).
"""

import dataclasses

from etils import epath

from tfmds.common import app, files
from tfmds.common.errors import InputError
from tfmds.evaluation import (
    fusion,
    localization,
    score_files,
    scores,
    threshold_choice,
    thresholds,
)
from tfmds.evaluation.config import SelectThresholdConfig
from tfmds.reporting import sentences
from tfmds.scoring import score_tables
from tfmds.scoring.config import ScoresConfig


def main(config: SelectThresholdConfig, source: ScoresConfig) -> None:
    """Reads or makes the scores, chooses, writes, and says what was chosen."""
    if source.scores and source.data_dir:
        raise InputError("--data_dir goes with --model; with --scores leave it out")
    judged = score_tables.Source.settle(source, takes_threshold=False)
    # Apart from the scores of an evaluation that goes to the same directory.
    folder = epath.Path(config.output_dir) / f"scores-{config.split}"
    path = judged.find_or_make([config.split], folder)
    videos, chunks, notes = score_files.read(path, source.labels)
    said = judged.notes_on(videos)
    fused = None
    if judged.score == scores.FUSED:
        fused = fusion.fit(videos, config.split, str(path))
        videos = fused.added_to(videos)
    threshold = threshold_choice.select(
        videos,
        config.split,
        config.criterion,
        score=judged.score,
        target=config.target,
        calibration_kind=config.calibration,
        scores_digest=files.digest(path),
        model_id=judged.model_id,
        seed=config.seed,
        where=str(path),
    )
    heads, why_none = threshold_choice.select_heads(
        videos, config.split, seed=config.seed, where=str(path)
    )
    all_notes = (*config.note, *threshold.notes, *(fused.notes if fused else ()))
    threshold = dataclasses.replace(
        threshold, notes=all_notes, fusion=fused, heads=heads
    )
    in_split = videos.select((videos.split == config.split) & videos.scored)
    if chunks is not None and localization.has_periods(in_split):
        localizer = localization.choose(
            videos, chunks.judged_by(judged.score), config.split
        )
        threshold = dataclasses.replace(threshold, localizer=localizer)
    written = epath.Path(config.output_dir) / thresholds.FILE
    thresholds.write(written, threshold)
    print(*sentences.thresholds(threshold), sep="\n")
    for note in (*said, *threshold.notes, *why_none, *notes):
        print(f"note: {note}")
    print(f"written: {written}")
    if source.model:
        words = f"--model={source.model}", f"--threshold={written}"
        print(f"Next: {app.command('tfmds.export', *words, '--output_dir=EXPORT')}")


if __name__ == "__main__":
    app.run(main)
