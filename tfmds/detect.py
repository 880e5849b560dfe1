"""Tells which videos are fake, by an exported model.

    python -m tfmds.detect --model=EXPORT --report=REPORT clip.mp4 folder/ 'more/*.mov'

With --output_dir a run over many videos goes on where it was stopped. With --server
chunks are sent to TensorFlow Serving or tfmds.serve instead of loading a model.

A verdict is `real`, `fake`, `out_of_step` (mouth and voice fit, but the sound is early
or late by more than recordings are) or `cannot_tell` (too little of a mouth with its
voice). docs/alignment.md says what they are worth.

Exit codes: 0 all judged and none called fake, 1 at least one called fake or out of
step, 2 bad input, 3 at least one could not be judged or told.
"""

import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tfmds.common import app, provenance
from tfmds.common.errors import InputError
from tfmds.detection import inputs, pool, results, terminal
from tfmds.detection.config import DetectConfig
from tfmds.detection.track_choice import TrackChoice
from tfmds.evaluation.judgement import VideoJudgement
from tfmds.exporting import export_info
from tfmds.exporting.export_info import ExportInfo
from tfmds.preprocessing.config import PreprocessingConfig

if TYPE_CHECKING:
    from tfmds.detection.judging import Model


def main(config: DetectConfig) -> int:
    """Judges every video, prints as it goes, returns the exit code."""
    # A file name may hold bytes that are no text.
    sys.stdout.reconfigure(errors="surrogateescape")
    if not app.arguments() and not config.list:
        raise InputError(
            "no video was named; expected files or folders:"
            " python -m tfmds.detect --model=EXPORT VIDEO..."
        )
    load, info = _model(config)
    info.spec.hop_frames(config.hop)
    paths, num_bad_inputs = inputs.find_all(app.arguments(), config.list)
    run = config.output_dir and results.Results(
        config.output_dir,
        {
            "model_id": info.model_id,
            "threshold": info.threshold.value,
            "hop": config.hop,
            "tracks": config.tracks,
            # Left out where none was chosen: runs of before go on.
            **_chosen_tracks(config),
        },
    )
    finished = run.outcomes if run else {}
    outcomes = {path: finished[path] for path in paths if path in finished}
    todo = [path for path in paths if path not in outcomes]
    if outcomes:
        print(f"{len(outcomes)} of {len(paths)} are done already", file=sys.stderr)
    report = None
    if config.report:
        # The templates and charts start slowly: bad input is told without them.
        from tfmds.reporting.video_report import VideoReport

        model = config.server or config.model or "that of the package"
        rows = {
            "command": app.this_command(),
            "model": f"{model} ({info.model_id})",
            "versions": provenance.versions("tensorflow", "mtcnn", "av"),
        }
        report = VideoReport(config.report, rows)
    for judgement in _judge(todo, load, info, config) if todo else ():
        if report:
            report.add(judgement)
        if run:
            run.add(judgement)
        outcomes[judgement.path] = results.outcome(judgement.to_json())
    if run:
        print(f"Results: {run.write_table()}", file=sys.stderr)
    if report:
        listed = run and (
            VideoJudgement.from_json(fields, info.threshold, info.spec.seconds)
            for fields in run.read()
        )
        if index := report.write_index(listed):
            print(f"Report: {index}", file=sys.stderr)
    return results.exit_code(outcomes.values(), num_bad_inputs)


def _model(config: DetectConfig) -> tuple[Callable[[], "Model"], ExportInfo]:
    """What loads the model, and what is known of it before."""
    if config.server:
        from tfmds.detection import remote

        model = remote.connect(config.server)
        return lambda: model, model
    # TensorFlow starts slowly: a wrong command is told without it.
    folder = export_info.find(config.model)

    def load() -> "Model":
        from tfmds.exporting import saved_model

        return saved_model.load(folder)

    return load, export_info.read_info(folder)


def _chosen_tracks(config: DetectConfig) -> dict[str, int]:
    chosen = {
        "picture_track": config.picture_track,
        "sound_track": config.sound_track,
    }
    return {name: number for name, number in chosen.items() if number}


def _judge(
    paths: list[str],
    load: Callable[[], "Model"],
    info: ExportInfo,
    config: DetectConfig,
) -> Iterator[VideoJudgement]:
    for note in info.threshold.notes:
        print(f"note: {note}", file=sys.stderr)
    cores = len(os.sched_getaffinity(0))
    num_workers = min(config.num_workers or cores, len(paths))
    with terminal.Terminal(len(paths), config.form) as shown:
        for judgement in pool.judge_all(
            paths,
            load,
            num_workers,
            shown.progress,
            hop_seconds=config.hop,
            tracks=TrackChoice.parse(config.tracks),
            num_threads=max(1, cores // num_workers),
            options=PreprocessingConfig(**_chosen_tracks(config)),
        ):
            shown.show(judgement)
            yield judgement


if __name__ == "__main__":
    app.run(main, takes_arguments=True)
