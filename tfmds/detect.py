"""Tells which videos are fake.

    python -m tfmds.detect --report=REPORT clip.mp4

    python -m tfmds.detect --model=EXPORT --report=REPORT folder/ 'more/*.mov'

It judges by the model that comes with the package, or with --model by another. It looks
at each second in which a face is seen and a voice heard. With --output_dir a run over
many videos goes on where it was stopped. With --server faces and voices are sent to
TensorFlow Serving or tfmds.serve instead of loading a model.

A verdict is `real`, `fake`, `out_of_step` (mouth and voice fit, but the sound is early
or late by more than recordings are) or `cannot_tell` (too little of a mouth with its
voice). docs/alignment.md says what they are worth. A model that was trained to tell a
forged picture from a forged voice says too which looks forged (docs/streams.md).

Exit codes: 0 all judged and none called fake, 1 at least one called fake or out of
step, 2 bad input, 3 at least one could not be judged or told, 70 a fault of the
program.
"""

import io
import sys

from tfmds.common import app, provenance
from tfmds.common.errors import InputError
from tfmds.detection import inputs, judgement_json, results, session
from tfmds.detection.config import DetectConfig


def main(config: DetectConfig) -> int:
    """Judges every video, prints as it goes, returns the exit code."""
    # A file name may hold bytes that are no text; tables are UTF-8 everywhere.
    if isinstance(sys.stdout, io.TextIOWrapper):
        encoding = "utf-8" if config.csv else None
        sys.stdout.reconfigure(encoding=encoding, errors="surrogateescape")
    if not app.arguments() and not config.list:
        raise InputError(
            "no video was named; expected files or folders:"
            " python -m tfmds.detect --model=EXPORT VIDEO..."
        )
    load, info = session.find_model(config)
    info.spec.hop_frames(config.hop)
    paths, num_bad_inputs = inputs.find_all(app.arguments(), config.list)
    run = session.open_results(config, info)
    before = run.outcomes if run else {}
    outcomes = {path: before[path] for path in paths if path in before}
    todo = [path for path in paths if path not in outcomes]
    if outcomes:
        print(
            f"{len(outcomes)} of {len(paths)} are done already and not printed again;"
            f" they stand in {config.output_dir}, and the exit code is of all",
            file=sys.stderr,
        )
    report = None
    if config.report:
        # The templates and charts start slowly: bad input is told without them.
        from tfmds.reporting.video_report import VideoReport

        model = config.server or config.model or "that of the package"
        rows = {
            "command": app.this_command(),
            "model": f"{model} ({info.model_id})",
            "versions": provenance.versions("tensorflow", "onnxruntime", "mtcnn", "av"),
        }
        report = VideoReport(config.report, rows)
    for judgement in session.judge(todo, load, info, config):
        if report:
            report.add(judgement)
        if run:
            run.add(judgement)
        outcomes[judgement.path] = results.outcome(judgement_json.write(judgement))
    if run:
        print(f"Results: {run.write_table()}", file=sys.stderr)
    if report:
        listed = run.judgements(info) if run else None
        if index := report.write_index(listed):
            print(f"Report: {index}", file=sys.stderr)
    return results.exit_code(outcomes.values(), num_bad_inputs)


if __name__ == "__main__":
    app.run(main, takes_arguments=True)
