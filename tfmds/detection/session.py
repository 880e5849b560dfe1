"""A run of detection: the model that a user means, the videos it judges, results."""

import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tfmds.detection import pool, terminal
from tfmds.detection.config import DetectConfig
from tfmds.detection.results import Results
from tfmds.detection.track_choice import TrackChoice
from tfmds.exporting import export_info
from tfmds.exporting.export_info import ExportInfo
from tfmds.judgement.judgement import VideoJudgement
from tfmds.preprocessing.config import PreprocessingConfig
from tfmds.reporting import sentences

if TYPE_CHECKING:
    from tfmds.detection.judging import Model


def find_model(config: DetectConfig) -> tuple[Callable[[], "Model"], ExportInfo]:
    """What loads the model, and what is known of it before.

    Raises:
      InputError: There is no such model.
    """
    if config.server:
        # Only what judges is loaded, and none of it before the command is known to be
        # right: it starts slowly.
        from tfmds.detection import remote

        model = remote.connect(config.server)
        return lambda: model, model
    folder = export_info.find(config.model)

    def load() -> "Model":
        # Likewise.
        from tfmds.exporting import light_model

        if (model := light_model.load(folder)) is not None:
            return model
        # Likewise: TensorFlow starts where it is needed.
        from tfmds.exporting import loading

        return loading.load(folder)

    return load, export_info.read_info(folder)


def open_results(config: DetectConfig, info: ExportInfo) -> Results | None:
    """The folder of results, where one was named; what is in it goes on.

    Raises:
      InputError: It cannot be written to, or holds what was made otherwise.
    """
    if not config.output_dir:
        return None
    made_by = {
        "model_id": info.model_id,
        "threshold": info.threshold.value,
        "hop": config.hop,
        "tracks": config.tracks,
        # Left out where there is nothing: runs of before go on.
        **config.chosen_tracks,
        **{f"threshold of {s}": v for s, v in info.head_levels.items()},
    }
    return Results(config.output_dir, made_by)


def judge(
    paths: list[str],
    load: Callable[[], "Model"],
    info: ExportInfo,
    config: DetectConfig,
) -> Iterator[VideoJudgement]:
    """Judges videos, and prints each as it is finished and was dealt with.

    Args:
      paths: The videos; the model is not loaded where there are none.
      load: Loads the model.
      info: What is known of it.
      config: What the user chose.

    Yields:
      The judgement of each video, in the order in which they are finished.
    """
    if not paths:
        return
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
            options=PreprocessingConfig(
                max_pixels=config.max_pixels, **config.chosen_tracks
            ),
        ):
            # Kept before it is printed: who reads along may have gone.
            yield judgement
            shown.show(judgement)
    threshold = info.threshold
    notes = (sentences.legend(threshold), sentences.whole_only(threshold))
    for note in filter(None, (*notes, *threshold.notes)):
        print(f"note: {note}", file=sys.stderr)
