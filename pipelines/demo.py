"""The whole job on drawn videos, in one command.

    python -m pipelines.demo --workdir=DIR

Draws a data set of talking heads with forgeries, preprocesses it, trains a small model,
chooses the threshold, evaluates on people never seen in training, exports, and judges
one real and one fake video of such people. Stopped or killed, the same command goes on.
"""

import pathlib
import shlex
import subprocess
import sys
import time

from absl import flags

import tfmds
from tfmds.common import app
from tfmds.common.errors import InputError
from tfmds.data.data_set import DataSet

_WORKDIR = flags.DEFINE_string("workdir", None, "Where everything goes.", required=True)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the data set and of the training.")
_NUM_IDENTITIES = flags.DEFINE_integer(
    "num_identities", 32, "Drawn people in the data set."
)

_FLAGFILE = pathlib.Path(tfmds.__file__).parent / "configs" / "demo.flags"


def main() -> None:
    """Runs the programs one after the other, each as a user would."""
    root = pathlib.Path(_WORKDIR.value)
    videos, data, run = root / "videos", root / "data", root / "run"
    results, export, report = root / "results", root / "export", root / "report"
    manifest = root / "manifest.csv"
    seed = f"--seed={_SEED.value}"
    steps = {
        "Drawing people": [
            "pipelines.synthesize",
            f"--output_dir={videos}",
            f"--num_identities={_NUM_IDENTITIES.value}",
            seed,
        ],
        "Listing the videos": [
            "pipelines.build_manifest",
            "--layout=dfdc",
            f"--input_dir={videos}",
            f"--output={manifest}",
            seed,
        ],
        "Finding faces and voices": [
            "pipelines.preprocess",
            f"--manifest={manifest}",
            f"--output_dir={data}",
            "--name=demo",
        ],
        "Training": [
            "tfmds.train",
            f"--flagfile={_FLAGFILE}",
            f"--data_dir={data}",
            f"--workdir={run}",
            seed,
        ],
        "Choosing the threshold on the validation split": [
            "tfmds.select_threshold",
            f"--model={run}",
            f"--data_dir={data}",
            "--split=validation",
            f"--output_dir={results / 'validation'}",
        ],
        "Evaluating on people never seen in training": [
            "tfmds.evaluate",
            f"--model={run}",
            f"--data_dir={data}",
            "--split=test",
            f"--threshold={results / 'validation' / 'threshold.json'}",
            f"--output_dir={results / 'test'}",
        ],
        "Exporting": [
            "tfmds.export",
            f"--model={run}",
            f"--threshold={results / 'validation' / 'threshold.json'}",
            f"--output_dir={export}",
        ],
    }
    began = time.monotonic()
    for number, (title, words) in enumerate(steps.items(), start=1):
        _run(f"[{number}/{len(steps) + 1}] {title}", words)
    real, fake = _examples(data, manifest.parent)
    _run(
        f"[{len(steps) + 1}/{len(steps) + 1}] Judging one real and one fake video",
        ["tfmds.detect", f"--model={export}", f"--report={report}", real, fake],
        # Exit code 1 says that a fake was found, as it should be here.
        expected=(0, 1),
    )
    minutes = (time.monotonic() - began) / 60
    print(f"\nDone in {minutes:.1f} minutes. Where to look next:")
    print(f"  metrics    {results / 'test' / 'metrics.json'} and the picture beside it")
    print(f"  reports    {report} (open the HTML pages in a browser)")
    print(f"  curves     tensorboard --logdir={run / 'logs'}")
    print(f"  your video python -m tfmds.detect --model={export} VIDEO")
    print(
        "The model knows drawn people only: its verdict on a real video means nothing."
    )


def _run(title: str, words: list[str], expected: tuple[int, ...] = (0,)) -> None:
    began = time.monotonic()
    print(f"\n{title}\n$ python -m {shlex.join(words)}", flush=True)
    code = subprocess.run([sys.executable, "-m", *words], check=False).returncode
    if code not in expected:
        raise InputError(
            f"the step above failed with exit code {code}; its message says why. The"
            " same command goes on from there"
        )
    print(f"({time.monotonic() - began:.0f} s)", flush=True)


def _examples(data: pathlib.Path, root: pathlib.Path) -> tuple[str, str]:
    """Paths of a real and of a fake test video of one person."""
    rows = [r.video for r in DataSet.load(data).videos() if r.status == "ok"]
    reals = {v.group: v for v in rows if v.split == "test" and v.label == "real"}
    for video in rows:
        if video.split == "test" and video.label == "fake" and video.group in reals:
            return str(root / reals[video.group].path), str(root / video.path)
    raise InputError(f"{data}: no person of the test split has a real and a fake video")


if __name__ == "__main__":
    app.run(main)
