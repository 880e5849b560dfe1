"""Makes the pictures of the documentation, from the model and from demo data.

    python -m docs.make_pictures --data_dir=DEMO/data --report=REPORT/PAGE.html

Writes docs/two_stream.svg, docs/chunk.png and, by Chromium, docs/report.png, of a page
that tfmds.detect wrote of a video of drawn people. DEMO is
what pipelines.demo made: its people are drawn, so nobody's face is published.
"""

import os
import pathlib
import subprocess

import keras
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from absl import flags

from tfmds import spec
from tfmds.common import app
from tfmds.data import input_pipeline
from tfmds.data.data_set import DataSet
from tfmds.models.config import TwoStreamConfig
from tfmds.models.two_stream import two_stream
from tfmds.spec import ViewConfig

_DATA_DIR = flags.DEFINE_string("data_dir", None, "A demo data set.", required=True)
_REPORT = flags.DEFINE_string(
    "report", None, "A page that tfmds.detect wrote of a video of drawn people."
)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", str(pathlib.Path(__file__).parent), "Where the pictures go."
)

# What a box of the diagram stands for, and the layers whose names begin so.
_VISUAL = (
    ("frames", "30 face crops, RGB"),
    ("visual_stem", "convolution, pool"),
    ("visual_stage1", "residual stage 1"),
    ("visual_stage2", "residual stage 2"),
    ("visual_stage3", "residual stage 3"),
    ("visual_stage4", "residual stage 4"),
    ("visual_time_average", "average over time"),
    ("visual_dense", "dense"),
    ("visual_embedding", "visual embedding"),
)
_AUDIO = (
    ("mfcc", "MFCC of the same second"),
    ("audio_conv1", "convolution 1"),
    ("audio_conv2,audio_pool2", "convolution 2, pool"),
    ("audio_conv3", "convolution 3"),
    ("audio_conv4", "convolution 4"),
    ("audio_conv5,audio_pool5", "convolution 5, pool"),
    ("audio_conv6,audio_flatten", "convolution 6"),
    ("audio_dense", "dense"),
    ("audio_embedding", "audio embedding"),
)
_COLOURS = {"visual": "#dbe9f6", "audio": "#fde8cf", "both": "#e3f1df"}
_STEP = 1.0


def draw_network(path: pathlib.Path, config: TwoStreamConfig) -> None:
    """Both streams with the shapes and parameters that the built model has."""
    model = two_stream(config)
    figure, axes = plt.subplots(figsize=(9, 9.6))
    bottom = -_STEP * (len(_VISUAL) - 1)
    for x, stages, colour in ((0, _VISUAL, "visual"), (6, _AUDIO, "audio")):
        for row, (prefixes, words) in enumerate(stages):
            y = -_STEP * row
            _box(axes, x, y, words, _facts(model, prefixes.split(",")), colour)
            if row:
                _arrow(axes, (x, y + _STEP - 0.33), (x, y + 0.33))
    y = bottom - 1.3
    _box(axes, 3, y, "distance", "L2, one number a chunk", "both")
    for x, stream in ((0, "visual"), (6, "audio")):
        head = _facts(model, [f"{stream}_head", f"{stream}_logits"])
        _box(axes, x, y, f"{stream} head: real or fake", head, stream)
        _arrow(axes, (x, bottom - 0.33), (x, y + 0.33))
        _arrow(axes, (x, bottom - 0.33), (3, y + 0.33))
    total = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    axes.set_title(
        f"{config.backbone}, {config.image_size} pixels, width {config.width:g}:"
        f" {total:,} trainable parameters",
        fontsize=11,
    )
    axes.set(xlim=(-1.9, 7.9), ylim=(y - 0.5, 0.5))
    axes.axis("off")
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)


def draw_chunk(path: pathlib.Path, data_dir: str) -> None:
    """A second of a real demo video as the paper's network gets it."""
    data_set = DataSet.load(data_dir)
    view = ViewConfig(image_size=224)
    chunks = input_pipeline.scoring_dataset(
        [os.fspath(p) for p in data_set.shards("test")], data_set.spec, view, 1
    )
    chunk = next(c for c in chunks.as_numpy_iterator() if c["label"][0] == spec.REAL)
    rows = chunk["frames"][0, :, ::2, ::2].reshape(3, 10, 112, 112, 3)
    strip = np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0)
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(10, 5), height_ratios=(3, 1.6), layout="constrained"
    )
    above.imshow(strip)
    above.axis("off")
    above.set_title("frames: 30 face crops of 224 x 224 pixels", fontsize=10)
    mfcc = chunk["mfcc"][0]
    # The log energy has another scale than the cepstra.
    scaled = (mfcc - mfcc.mean(1, keepdims=True)) / (mfcc.std(1, keepdims=True) + 1e-6)
    below.imshow(scaled, aspect="auto", origin="lower", cmap="magma")
    below.set_title(
        "mfcc: 13 coefficients x 99 frames (each row scaled for the eye)", fontsize=10
    )
    below.set(xlabel="10 ms steps", ylabel="coefficient")
    figure.savefig(path, dpi=100, metadata={"Software": None})
    plt.close(figure)


def draw_report(path: pathlib.Path, page: str) -> None:
    """The head of a report page, as a browser shows it."""
    words = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    words += ["--window-size=900,1000", "--virtual-time-budget=4000"]
    url = pathlib.Path(page).resolve().as_uri()
    command = ["chromium", *words, f"--screenshot={path}", url]
    subprocess.run(command, check=True, capture_output=True)


def _facts(model: keras.Model, prefixes: list[str]) -> str:
    layers = [x for x in model.layers if x.name.startswith(tuple(prefixes))]
    output = layers[-1].output
    shape = " x ".join(str(n) for n in output.shape[1:])
    count = sum(
        int(np.prod(v.shape)) for layer in layers for v in layer.trainable_variables
    )
    return f"{shape}" + (f"   ({count:,})" if count else "")


def _box(axes, x: float, y: float, words: str, facts: str, colour: str) -> None:
    axes.text(
        x,
        y,
        f"{words}\n{facts}",
        ha="center",
        va="center",
        fontsize=9,
        bbox={
            "boxstyle": "round,pad=0.45",
            "facecolor": _COLOURS[colour],
            "edgecolor": "#555555",
        },
    )


def _arrow(axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": "#555555"})


def main() -> None:
    """Both pictures, the same for the same data set."""
    matplotlib.use("Agg")
    plt.rcParams.update({"svg.hashsalt": "tfmds", "svg.fonttype": "none"})
    output_dir = pathlib.Path(_OUTPUT_DIR.value)
    draw_network(output_dir / "two_stream.svg", TwoStreamConfig())
    draw_chunk(output_dir / "chunk.png", _DATA_DIR.value)
    if _REPORT.value:
        draw_report(output_dir / "report.png", _REPORT.value)


if __name__ == "__main__":
    app.run(main)
