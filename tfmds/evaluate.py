r"""Says how well scores tell fake videos from real ones, and how surely.

scores.csv has a row a video with its scores, the higher the more likely fake; it comes
from --model or from an evaluation before. threshold.json, which
tfmds.select_threshold writes, says from which score on a video is called fake.

    python -m tfmds.evaluate --scores=scores.csv --threshold=threshold.json \
      --split=test --output_dir=evaluation

    python -m tfmds.evaluate --model=RUN --data_dir=DATA --threshold=threshold.json \
      --split=test --output_dir=evaluation

    python -m tfmds.evaluate --model=starter --data_dir=DATA --output_dir=evaluation

--model is a run, an export (its own threshold counts where none is named), or starter,
the model of the package.

Writes metrics.json and evaluation.png, and with --model also scores.csv and
chunks.csv, which has a row for each second (chunk). With --scores, a chunks.csv beside
the file is evaluated too. Where fewer than --min_coverage of the split's videos have a
score there is an error instead of figures; with --unscored=wrong such videos count as
wrong.

--report=DIR writes a page to send, with faces where --data_dir is given too.

Scores of another detector have two columns, video,score, where a higher score means
more likely fake. What the videos are comes from --labels: a manifest, the videos.csv of
a data set or a scores.csv:

    python -m tfmds.evaluate --scores=other.csv --labels=manifest.csv \
      --split=test --output_dir=evaluation

The results.csv of tfmds.detect is taken the same way.

The epochs of a training run are compared with tfmds.compare_epochs.
"""

import dataclasses

from tfmds.common import app, files
from tfmds.evaluation import evaluation, score_files, thresholds
from tfmds.evaluation.config import EvaluateConfig
from tfmds.reporting import tables
from tfmds.scoring import score_tables
from tfmds.scoring.config import ScoresConfig


def main(config: EvaluateConfig, source: ScoresConfig) -> None:
    """Reads or makes the scores, evaluates, writes and prints the result."""
    threshold = thresholds.read(config.threshold) if config.threshold else None
    # Scoring takes long: what cannot be judged is told before it.
    judged = score_tables.Source.settle(source, threshold)
    threshold = judged.threshold
    path = judged.find_or_make(config.splits, config.output_dir)
    videos, chunks, notes = score_files.read(path, source.labels)
    said = judged.notes_on(videos)
    if threshold is not None:
        videos = threshold.completed(videos, str(path))
    result = evaluation.evaluate(
        videos,
        chunks,
        split=config.split,
        score=judged.score,
        threshold=threshold,
        min_coverage=config.min_coverage,
        unscored=config.unscored,
        num_draws=config.draws,
        seed=config.seed,
        where=str(path),
    )
    result = dataclasses.replace(result, notes=(*said, *result.notes, *notes))
    # Matplotlib and the templates start slowly: bad input is told without them.
    from tfmds.reporting import result_files

    written = result_files.write_evaluation(
        result, config.output_dir, str(path), config.draws, config.seed
    )
    print(tables.render(result), end="")
    if config.report:
        mistakes = result_files.worst_mistakes(result)
        faces = score_tables.faces(source, config.splits, mistakes)
        rows = {
            "command": app.this_command(),
            "threshold": config.threshold
            and f"{config.threshold} ({files.digest(config.threshold)})",
            "model": (threshold and threshold.model_id) or judged.model_id,
            "intervals": f"{config.draws} draws of groups, seed {config.seed}",
        }
        written.append(
            result_files.write_evaluation_page(
                result, config.report, str(path), faces, rows
            )
        )
    print(f"written: {', '.join(map(str, written))}")


if __name__ == "__main__":
    app.run(main)
