"""The whole job on drawn videos, in one command.

    python -m pipelines.demo --workdir=DIR

Draws a data set of talking heads with forgeries, preprocesses it, trains a small model,
chooses the threshold, evaluates on people never seen in training, exports, and judges
one real and one fake video of such people. Stopped or killed, the same command goes on.
`pipelines.reproduce` is the same on one's own videos.
"""

import dataclasses
import pathlib
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
    from pipelines.reproduction import job, runner
    from pipelines.reproduction.steps import Folders, Step, Words, plan

    seed = f"--seed={config.seed}"
    folders = Folders(pathlib.Path(config.workdir))
    words = Words(manifest=[seed], train=["--flagfile=demo.flags", seed])
    pages = folders.root / "judged"
    steps = [
        Step(
            "draw",
            "Drawing people",
            (
                "pipelines.synthesize",
                f"--output_dir={folders.videos}",
                f"--num_identities={config.num_identities}",
                seed,
            ),
            folders.videos / "metadata.json",
        ),
        *plan(folders, "dfdc", words, name="demo"),
        Step(
            "judge",
            "Judging one real and one fake video",
            ("tfmds.detect", f"--model={folders.export}", f"--report={pages}"),
            pages,
            more=lambda: _examples(folders.data, folders.root),
            # 1 says that a fake was found, as it should be here.
            expected=(0, 1),
        ),
    ]
    began = time.monotonic()
    runner.run(folders.root, steps)
    print(f"\nDone in {(time.monotonic() - began) / 60:.1f} minutes.")
    print(job.where_to_look(folders))
    print(f"  judged     {pages} (open the HTML pages in a browser)")
    print(
        "The model knows drawn people only: its verdict on a real video means nothing."
    )


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
