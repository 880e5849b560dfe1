"""The whole job on drawn videos, in one command.

    python -m pipelines.demo --workdir=DIR

Draws a data set of talking heads with forgeries, preprocesses it, trains a small model,
chooses the threshold, evaluates on people never seen in training, exports, and judges
one real and one fake video of such people. Stopped or killed, the same command goes on.
"""

import dataclasses
import pathlib
import shlex
import subprocess
import sys
import time

from tfmds.common import app
from tfmds.common.errors import InputError
from tfmds.common.flags import FOLDER, REQUIRED, setting
from tfmds.data.data_set import DataSet


@dataclasses.dataclass(frozen=True, kw_only=True)
class DemoConfig:
    """How large the demonstration is, and where it goes."""

    workdir: str = setting(REQUIRED, "Where everything goes.", writes=FOLDER)
    seed: int = setting(0, "Seed of the data set and of the training.")
    num_identities: int = setting(32, "Drawn people in the data set.")


def main(config: DemoConfig) -> None:
    """Runs the programs one after the other, each as a user would."""
    root = pathlib.Path(config.workdir)
    videos, data, run = root / "videos", root / "data", root / "run"
    results, export, report = root / "results", root / "export", root / "report"
    manifest = root / "manifest.csv"
    seed = f"--seed={config.seed}"
    steps = {
        "Drawing people": [
            "pipelines.synthesize",
            f"--output_dir={videos}",
            f"--num_identities={config.num_identities}",
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
            "--flagfile=demo.flags",
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
    curves = shlex.join(["tensorboard", f"--logdir={run / 'logs'}"])
    print(f"  curves     {curves}")
    judge = app.command("tfmds.detect", f"--model={export}", "VIDEO")
    print(f"  your video {judge}")
    print(
        "The model knows drawn people only: its verdict on a real video means nothing."
    )


def _run(title: str, words: list[str], expected: tuple[int, ...] = (0,)) -> None:
    began = time.monotonic()
    print(f"\n{title}\n$ {app.command(*words)}", flush=True)
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
