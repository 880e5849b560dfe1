"""How long the steps may take, by the number of clips: an order of magnitude."""

import dataclasses
import os

from pipelines.reproduction.steps import Step
from tfmds.data.config import BatchConfig
from tfmds.evaluation import scores
from tfmds.models.config import TwoStreamConfig
from tfmds.training.config import TrainingConfig

# Measured on two cores (BUILD_NOTES.md, `benchmarks.preprocessing` and `speed`):
# seconds of one core for ten seconds of 1080p, and for a chunk by a network of a given
# number of pixels and width, in float32.
_CLIP = 4.0
_TRAINING = (0.015, 7.6e-5)
_INFERENCE = (0.007, 2.0e-5)
_START = 15.0
# Times as much as the same by the mean distance alone.
_ALIGNED = 5
# Of a clip of ten seconds with one face.
CHUNKS_OF_A_CLIP = 9


@dataclasses.dataclass(frozen=True)
class Size:
    """How much there is to do.

    Attributes:
      clips: Videos by split.
      chunks: Chunks by split, known or reckoned.
    """

    clips: dict[str, int]
    chunks: dict[str, int]

    @classmethod
    def of_clips(cls, clips: dict[str, int]) -> "Size":
        """Reckons with clips of ten seconds."""
        return cls(clips, {s: n * CHUNKS_OF_A_CLIP for s, n in clips.items()})


def seconds(
    step: Step,
    size: Size,
    model: TwoStreamConfig,
    batch: BatchConfig,
    training: TrainingConfig,
) -> float:
    """Seconds that a step may take on this machine's processors.

    Args:
      step: The step.
      size: What the data set holds.
      model: The network.
      batch: How chunks are drawn.
      training: For how long it is trained.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2
    network = model.width**2 * model.image_size**2

    def chunks(number: float, cost: tuple[float, float]) -> float:
        return number * (cost[0] + cost[1] * network) / cores

    # Lags cost more.
    times = _ALIGNED if training.judged_by == scores.ALIGNED else 1
    validation = size.chunks.get("validation", 0) * times
    work = 0.0
    if step.name == "preprocess":
        work = sum(size.clips.values()) * _CLIP / cores
    elif step.name == "train":
        learned = size.chunks.get("train", 0)
        if training.steps_per_epoch:
            learned = training.steps_per_epoch * batch.size
        epoch = chunks(learned, _TRAINING) + chunks(validation, _INFERENCE)
        work = training.epochs * epoch
    elif step.name == "threshold":
        work = chunks(validation, _INFERENCE)
    elif step.name == "evaluate":
        work = chunks(size.chunks.get("test", 0) * times, _INFERENCE)
    return _START + work
