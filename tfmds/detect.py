"""Tells which videos are fake, by an exported model.

    python -m tfmds.detect --model=EXPORT --report=REPORT clip.mp4 folder/ 'more/*.mov'

With --output_dir a run over many videos goes on where it was stopped. With --server
chunks are sent to TensorFlow Serving or tfmds.serve instead of loading a model.

Exit codes: 0 all judged and none called fake, 1 at least one called fake, 2 bad input,
3 at least one could not be judged.
"""

import csv
import dataclasses
import importlib.metadata
import json
import os
import sys
from collections.abc import Collection, Iterator

from absl import flags
from tqdm import tqdm

from tfmds import spec
from tfmds.common import app, files
from tfmds.common.errors import InputError
from tfmds.detection import inputs, pool, results
from tfmds.detection.track_choice import TrackChoice
from tfmds.evaluation.judgement import VideoJudgement
from tfmds.exporting import export_info

_MODEL = flags.DEFINE_string(
    "model", None, "A folder that tfmds.export wrote; without it the package's own."
)
_SERVER = flags.DEFINE_string(
    "server",
    None,
    "Ask this model instead: http://host:8501/v1/models/mds. A token that it wants is"
    " taken from the environment variable TFMDS_TOKEN.",
)
_LIST = flags.DEFINE_string(
    "list", None, "A text file with the path of a video in each line; - is the input."
)
_JSON = flags.DEFINE_bool("json", False, "Print a JSON object a line, not a table.")
_CSV = flags.DEFINE_bool("csv", False, "Print CSV, not a table.")
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir",
    None,
    "Folder for results.jsonl and results.csv; what is finished there is not done"
    " again.",
)
_REPORT = flags.DEFINE_string(
    "report", None, "Folder for a page per video that a browser opens."
)
_TRACKS = flags.DEFINE_string(
    "tracks",
    "all",
    "Which faces are scored: all, largest (only who is the largest in view most of"
    " their time), or numbers as the report shows them, such as 1,3.",
)
_HOP = flags.DEFINE_float(
    "hop",
    1.0,
    "Seconds from one chunk to the next, a multiple of 0.1; below 1 they overlap.",
)
_NUM_WORKERS = flags.DEFINE_integer(
    "num_workers",
    0,
    "Videos that are judged at a time, a process each, some 1.5 GB of memory each; 0:"
    " one a core.",
    lower_bound=0,
)


def main() -> int:
    """Judges every video, prints as it goes, answers the exit code."""
    # A file name may hold bytes that are no text.
    sys.stdout.reconfigure(errors="surrogateescape")
    if _JSON.value and _CSV.value:
        raise InputError("--json and --csv exclude each other; choose one")
    if not app.arguments() and not _LIST.value:
        raise InputError(
            "no video was named; expected files or folders:"
            " python -m tfmds.detect --model=EXPORT VIDEO..."
        )
    if _REPORT.value:
        files.make_folder(_REPORT.value)
    setup, info = _setup()
    info.spec.hop_frames(_HOP.value)
    paths, num_bad_inputs = _paths()
    run = None
    if _OUTPUT_DIR.value:
        run = results.Results(
            _OUTPUT_DIR.value,
            {
                "model_id": info.model_id,
                "threshold": info.threshold.value,
                "hop": _HOP.value,
                "tracks": _TRACKS.value,
            },
        )
    finished = run.outcomes if run else {}
    outcomes = {path: finished[path] for path in paths if path in finished}
    todo = [path for path in paths if path not in outcomes]
    if outcomes:
        print(f"{len(outcomes)} of {len(paths)} are done already", file=sys.stderr)
    reported: list[VideoJudgement] = []
    provenance = _provenance(info)
    for judgement in _judge(todo, setup, info):
        if _REPORT.value:
            from tfmds.reporting import video_page

            video_page.write_video_page(_REPORT.value, judgement, provenance)
            reported.append(_without_faces(judgement))
        if run is not None:
            run.add(judgement)
        outcomes[judgement.path] = judgement.verdict or judgement.status
    if run is not None:
        print(f"Results: {run.write_table()}", file=sys.stderr)
        if _REPORT.value:
            reported = [
                VideoJudgement.from_json(fields, info.threshold, info.spec.seconds)
                for fields in run.read()
            ]
    if reported:
        from tfmds.reporting import video_page

        index = video_page.write_index_page(_REPORT.value, reported, provenance)
        print(f"Report: {index}", file=sys.stderr)
    return exit_code(outcomes.values(), num_bad_inputs)


def exit_code(outcomes: Collection[str], num_bad_inputs: int) -> int:
    """What a script may want to know, the most pressing first.

    Args:
      outcomes: `real`, `fake` or a status for each video.
      num_bad_inputs: Inputs that were none.

    Returns:
      2 where an input was none, 3 where a video could not be judged, 1 where one was
      called fake, else 0.
    """
    if num_bad_inputs:
        return 2
    if not set(outcomes) <= {"real", "fake"}:
        return 3
    return int("fake" in outcomes)


def _setup() -> tuple[pool.JudgingConfig, export_info.ExportInfo]:
    setup = pool.JudgingConfig(
        hop_seconds=_HOP.value, tracks=TrackChoice.parse(_TRACKS.value)
    )
    if not _SERVER.value:
        # TensorFlow starts slowly: a wrong command is answered without it.
        folder = export_info.find(_MODEL.value)
        return (
            dataclasses.replace(setup, model=os.fspath(folder)),
            export_info.read_info(folder),
        )
    if _MODEL.value:
        raise InputError("--model and --server exclude each other; choose one")
    from tfmds.detection import remote

    return dataclasses.replace(setup, server=_SERVER.value), remote.connect(
        _SERVER.value
    )


def _paths() -> tuple[list[str], int]:
    """All videos, each once, and how many inputs were none."""
    named = list(app.arguments())
    if _LIST.value:
        named += inputs.read_list(_LIST.value)
    paths: dict[str, None] = {}
    num_bad_inputs = 0
    for name in named:
        try:
            paths.update(dict.fromkeys(inputs.find_videos(name)))
        except InputError as e:
            print(f"error: {e}", file=sys.stderr)
            num_bad_inputs += 1
    return list(paths), num_bad_inputs


def _judge(
    paths: list[str], setup: pool.JudgingConfig, info: export_info.ExportInfo
) -> Iterator[VideoJudgement]:
    """Judges, and tells about it: a line a video, and a bar on a terminal."""
    if not paths:
        return
    for note in info.threshold.notes:
        print(f"note: {note}", file=sys.stderr)
    cores = len(os.sched_getaffinity(0))
    num_workers = min(_NUM_WORKERS.value or cores, len(paths))
    setup = dataclasses.replace(setup, num_threads=max(1, cores // num_workers))
    alone = len(paths) == 1
    if _CSV.value:
        writer = csv.DictWriter(sys.stdout, results.COLUMNS, lineterminator="\n")
        writer.writeheader()
    elif not _JSON.value:
        print(_HEADER, flush=True)
    with tqdm(
        total=None if alone else len(paths),
        unit="s" if alone else "video",
        disable=None,
        leave=not alone,
    ) as bar:

        def show(path: str, seconds: float, total: float, mds: float | None) -> None:
            if alone:
                bar.total = round(total) or None
                if mds is not None:
                    bar.set_postfix(mds=f"{mds:.3f}", refresh=False)
                bar.update(round(seconds) - bar.n)

        for judgement in pool.judge_all(
            paths, setup, info.threshold, num_workers, show
        ):
            with tqdm.external_write_mode():
                if _CSV.value:
                    writer.writerow(results.row(judgement.to_json()))
                elif _JSON.value:
                    print(json.dumps(judgement.to_json()))
                else:
                    print(_row(judgement))
                sys.stdout.flush()
            if not alone:
                bar.update()
            yield judgement


_HEADER = f"{'verdict':12} {'mds':>7} {'tau':>7} {'seconds':>11}  video"


def _row(judgement: VideoJudgement) -> str:
    """One line for people; what follows a video that is not ok is its reason."""
    # A name may hold what a terminal obeys.
    name = "".join(c if c.isprintable() else "?" for c in judgement.path)
    if judgement.status != spec.OK:
        return (
            f"{judgement.status:12} {'':7} {'':7} {'':11}  {name}: {judgement.reason}"
        )
    seconds = f"{judgement.seconds_scored:.0f} of {judgement.seconds_total:.1f}"
    row = (
        f"{judgement.verdict:12} {judgement.mds:7.3f} {judgement.threshold.value:7.3f}"
        f" {seconds:>11}  {name}"
    )
    if judgement.suspicious_periods:
        periods = ", ".join(f"{s:g}-{e:g}" for s, e in judgement.suspicious_periods)
        row += f" (suspicious seconds: {periods})"
    if len(judgement.tracks) > 1:
        faces = ", ".join(
            f"{track + 1}: {judgement.of_track(track).mds:.3f}"
            for track in judgement.tracks
        )
        row += f" (mds of faces {faces})"
    return row


def _without_faces(judgement: VideoJudgement) -> VideoJudgement:
    chunks = (dataclasses.replace(c, face_jpeg=b"") for c in judgement.chunks)
    return dataclasses.replace(judgement, chunks=tuple(chunks))


def _provenance(info: export_info.ExportInfo) -> dict[str, str]:
    packages = ("tfmds", "tensorflow", "mtcnn", "av")
    model = _SERVER.value or _MODEL.value or "that of the package"
    return {
        "command": f"python -m tfmds.detect {' '.join(sys.argv[1:])}",
        "model": f"{model} ({info.model_id})",
        "versions": ", ".join(
            f"{name} {importlib.metadata.version(name)}" for name in packages
        ),
    }


if __name__ == "__main__":
    app.run(main, takes_arguments=True)
