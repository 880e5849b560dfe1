"""What TensorBoard shows of a run: RUN/logs.

Scalars by step and by epoch, MDS histograms, precision-recall curves, hyperparameters,
and pictures: the evaluation, sample chunks, distances of mouths to voices.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from etils import epath
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar import summary as custom_scalars
from tensorboard.plugins.hparams import api as hparams
from tensorboard.plugins.pr_curve import summary as pr_curve

from tfmds.evaluation import metrics
from tfmds.evaluation.ranking import Sample
from tfmds.training.validation import SPLIT, Evaluated

LOGS = "logs"

# Points of the precision-recall curve.
_NUM_LEVELS = 101
# Steps of this process before the profiler starts: the first ones compile and fill.
_WARM_UP = 10


class Board:
    """Writes the summaries of a run.

    Args:
      workdir: The run.
      config: Its configuration; numbers, words and switches become hyperparameters.
      active: Whether anything is written; only one of several workers does.
      profile_steps: How many steps the profiler shows.
    """

    def __init__(
        self,
        workdir: os.PathLike | str,
        config: Mapping[str, Any],
        active: bool = True,
        profile_steps: int = 0,
    ):
        self._writer = tf.summary.create_noop_writer()
        self._steps = 0
        self._profiled = range(_WARM_UP, _WARM_UP + profile_steps if active else 0)
        if not active:
            return
        self._logs = str(epath.Path(workdir) / LOGS)
        self._writer = tf.summary.create_file_writer(self._logs)
        values = {
            f"{part}.{name}": value
            for part in ("model", "batch", "recipe")
            for name, value in config[part].items()
        }
        with self._writer.as_default(step=0):
            hparams.hparams_config(
                hparams=[hparams.HParam(name) for name in values],
                metrics=[
                    *(
                        hparams.Metric(f"{SPLIT}/{one.name}", display_name=one.title)
                        for one in _key_metrics()
                    ),
                    hparams.Metric("loss/total", display_name="loss"),
                ],
            )
            # A run is known by where it lies, so that equal settings stay apart.
            hparams.hparams(values, trial_id=os.path.abspath(workdir))
            _write(custom_scalars.pb(_layout()), step=0)

    @contextlib.contextmanager
    def step(self, number: int) -> Iterator[None]:
        """Around a step, which the profiler shows where it is its turn."""
        if self._profiled and self._steps == self._profiled.start:
            tf.profiler.experimental.start(self._logs)
        with tf.profiler.experimental.Trace("train", step_num=number, _r=1):
            yield
        self._steps += 1
        if self._profiled and self._steps == self._profiled.stop:
            tf.profiler.experimental.stop()

    def write_step(self, step: int, figures: Mapping[str, float]) -> None:
        """Scalars of a training step, by tag."""
        with self._writer.as_default(step=step):
            for tag, value in figures.items():
                tf.summary.scalar(tag, value)

    def write_epoch(self, step: int, result: Evaluated | None) -> None:
        """What validation found after the epoch that ended with `step`."""
        if result is not None:
            with self._writer.as_default(step=step):
                _write_result(step, result)

    def flush(self) -> None:
        """Brings to disk what was written so far."""
        self._writer.flush()


def _write_result(step: int, result: Evaluated) -> None:
    for tag, value in (result.figures() | result.bounds()).items():
        tf.summary.scalar(tag, value)
    sample = result.evaluation.sample
    for word, mask in (("real", ~sample.fake), ("fake", sample.fake)):
        if mask.any():
            tf.summary.histogram(f"mds/{word}", sample.score[mask])
    if sample.fake.any() and not sample.fake.all():
        _write(_precision_recall(sample), step)
    for tag, png in result.pictures():
        _write_picture(tag, png)


def _write(summary: Any, step: int) -> None:
    tf.summary.experimental.write_raw_pb(summary.SerializeToString(), step)


def _write_picture(tag: str, png: bytes) -> None:
    tf.summary.image(tag, tf.io.decode_png(png, channels=3)[None])


def _key_metrics() -> list[metrics.Metric]:
    """Those that validation has, without a threshold, and every table shows."""
    return [
        one
        for one in metrics.METRICS.values()
        if one.place == metrics.KEY and one.of == metrics.RANKING
    ]


def _layout() -> layout_pb2.Layout:
    margin = layout_pb2.MarginChartContent
    intervals = [
        layout_pb2.Chart(
            title=f"{one.title} with its 95 % interval",
            margin=margin(
                series=[
                    margin.Series(
                        value=f"{SPLIT}/{one.name}",
                        lower=f"{SPLIT}/{one.name}_low",
                        upper=f"{SPLIT}/{one.name}_high",
                    )
                ]
            ),
        )
        for one in _key_metrics()
    ]
    multiline = layout_pb2.MultilineChartContent
    return layout_pb2.Layout(
        category=[
            layout_pb2.Category(
                title="Run",
                chart=[
                    *intervals,
                    layout_pb2.Chart(
                        title="Mean MDS of real and of fake videos",
                        multiline=multiline(tag=[r"validation/mds_\w+"]),
                    ),
                    layout_pb2.Chart(
                        title="AUC of the heads, each against its own stream",
                        multiline=multiline(tag=[r"validation/(visual|audio)_auc$"]),
                    ),
                    layout_pb2.Chart(
                        title="Losses by term", multiline=multiline(tag=[r"loss/\w+"])
                    ),
                ],
            )
        ]
    )


def _precision_recall(sample: Sample) -> Any:
    """Counts at even steps of the MDS, as TensorBoard's plugin wants them."""
    levels = np.linspace(sample.score.min(), sample.score.max(), _NUM_LEVELS)
    called = sample.score[None] >= levels[:, None]
    tp = (called & sample.fake).sum(1)
    fp = (called & ~sample.fake).sum(1)
    fn = sample.fake.sum() - tp
    return pr_curve.raw_data_pb(
        "validation/precision_recall",
        tp,
        fp,
        (~sample.fake).sum() - fp,
        fn,
        # The highest level is a score, so something is always called fake.
        precision=tp / (tp + fp),
        recall=tp / (tp + fn),
        num_thresholds=_NUM_LEVELS,
        display_name="Precision over recall",
        description="Validation videos, thresholds at even steps of the MDS.",
    )
