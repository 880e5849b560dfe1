"""Finds how far the training videos' sound is out of step, for training to take out.

    python -m pipelines.estimate_offsets --data_dir=DATA

What a model that was trained before finds goes into the column `offset_seconds` of
videos.csv, and `tfmds.train` moves each video's sound by it. Only clear offsets count.
Zero is put where people's offsets have their median, since most recordings are in step.
Train, estimate with what was trained, train again until it stands.
"""

import collections
import dataclasses
import os
from collections.abc import Mapping, Sequence

import numpy as np

from tfmds.common import app, flags
from tfmds.common.errors import InputError
from tfmds.common.flags import setting
from tfmds.data import data_set as data_sets
from tfmds.data.data_set import DataSet, VideoRow
from tfmds.evaluation.alignment import Alignment

SPLIT = "train"


@dataclasses.dataclass(frozen=True, kw_only=True)
class OffsetsConfig:
    """Of what, and by what."""

    data_dir: str = setting(flags.REQUIRED, "Data set made by pipelines.preprocess.")
    model: str | None = setting(
        None, "A run of tfmds.train or an export; starter, the package's, without."
    )


def with_offsets(
    rows: Sequence[VideoRow], found: Mapping[str, Alignment]
) -> tuple[list[VideoRow], float]:
    """The rows with the offsets of their videos, and where zero was put.

    Args:
      rows: Of videos.csv.
      found: Alignments by video_id. A video without a clear one gets no offset.

    Returns:
      The rows, and the median of each group's median offset in seconds, which was taken
      away from all; NaN where no offset is clear.
    """
    clear = {
        video_id: alignment.offset_seconds
        for video_id, alignment in found.items()
        if alignment.offset_seconds is not None and alignment.offset_is_clear
    }
    groups: dict[str, list[float]] = collections.defaultdict(list)
    for row in rows:
        if row.video.video_id in clear:
            groups[row.video.group].append(clear[row.video.video_id])
    medians = [float(np.median(offsets)) for offsets in groups.values()]
    zero = float(np.median(medians)) if medians else float("nan")
    offsets = {video_id: round(x - zero, 3) for video_id, x in clear.items()}
    return [
        dataclasses.replace(row, offset_seconds=offsets.get(row.video.video_id))
        for row in rows
    ], zero


def main(config: OffsetsConfig) -> None:
    """Rewrites videos.csv and tells how many offsets are clear."""
    from tfmds.exporting import networks
    from tfmds.scoring import lag_scores

    data_set = DataSet.load(config.data_dir)
    model, known = networks.load(config.model)
    name, spec = os.fspath(known.path), known.spec
    # Crops of any size are scaled to what the network takes.
    spec = dataclasses.replace(spec, crop_size=data_set.spec.crop_size)
    spec.check_same(data_set.spec, f"the model {name}", config.data_dir)
    shards = data_set.shard_files(SPLIT)
    measured = lag_scores.measure(model, known.config.view, data_set.spec, shards)
    found = {video: videos.whole for video, videos in measured.alignments.items()}
    rows, zero = with_offsets(data_set.videos(), found)
    offsets = [row.offset_seconds for row in rows if row.offset_seconds is not None]
    if not offsets:
        raise InputError(
            f"{config.data_dir}: no offset is clear in any of {len(found)} training"
            " videos; use another --model, or videos in which people speak longer"
        )
    data_sets.write_videos(data_set.path / data_sets.VIDEOS_FILE, rows)
    low, high = np.quantile(offsets, (0.1, 0.9))
    print(
        f"{len(offsets)} of {len(found)} training videos have a clear offset, most of"
        f" {low:+.2f} to {high:+.2f} s about {zero:+.2f}; --sampling=random removes it"
    )


if __name__ == "__main__":
    app.run(main)
