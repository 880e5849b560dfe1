"""Makes the starter model that comes with the package, and measures it on strangers.

    python -m benchmarks.starter --clips=CLIPS --workdir=OUT --output_dir=tfmds/starter

CLIPS is a folder of videos with INDEX.csv: columns file, label, group, use, and
voice_matches_picture, `yes` where the voice is known to be the mouth's. Clips whose
`use` is `train` are learned from, but for the people of --watched, on whom training is
only watched; clips whose `use` is `judge` are strangers, on whom the threshold is
chosen and the model is judged. Step by step:

1. Copies as videos reach people (pipelines.vary), more of the people of whom there is
   little, and track records of all (pipelines.preprocess).
2. A short training with configs/robust.flags, and how far each recording is out of step
   by it (pipelines.estimate_offsets).
3. Training with configs/robust.flags, the offsets taken out.
4. The stretch scores of the strangers with their own voices and with others' for all or
   a part of the time (benchmarks.stretches), the threshold, the export.

OUT keeps what each step made: killed, the same command goes on.
"""

import collections
import dataclasses
import pathlib
import subprocess
import sys

from benchmarks import clips
from tfmds.common import app, flags
from tfmds.common.errors import InputError
from tfmds.common.flags import setting
from tfmds.data import manifest
from tfmds.data.data_set import INFO_FILE, DataSet
from tfmds.data.manifest import Video


@dataclasses.dataclass(frozen=True, kw_only=True)
class StarterConfig:
    """From what, where to, and what differs between people."""

    clips: str = setting(flags.REQUIRED, "Folder of clips with INDEX.csv.")
    workdir: str = setting(flags.REQUIRED, "What the steps make.", writes=flags.FOLDER)
    output_dir: str = setting(
        flags.REQUIRED, "Where the export goes.", writes=flags.FOLDER
    )
    watched: tuple[str, ...] = setting(
        (
            *("grid_b", "grid_s17", "grid_s30"),
            *("us_bobcasey", "us_nancypelosi", "us_rd_radio53"),
        ),
        "Groups that training is watched on and does not learn from.",
    )
    most_clips: int = setting(42, "Clips of one person at most.", low=1)
    family: str = setting(
        "grid_",
        "Beginning of the groups of one studio, of which there are many clips: two"
        " copies are made of each, five of the others.",
    )
    target_recall: float = setting(
        0.815, "Share of other voices that the threshold finds.", low=0, high=1
    )
    first_epochs: int = setting(
        8, "Length of the training that finds the offsets.", low=1
    )
    precision: str = setting("float32", "Of the training, see tfmds.train.")


_COPIES = {"family": 2, "others": 5}
_NOTE = (
    "this is the starter model that comes with tfmds. It finds voices that do not"
    " belong to the mouth, also on recordings of strangers; face swaps in step with"
    " their own voice and generated heads fit, and a verdict proves nothing by itself"
)


def run(program: str, *words: object) -> None:
    """Runs a program as a user would.

    Raises:
      InputError: It failed.
    """
    command = [sys.executable, "-m", program, *map(str, words)]
    print(f"\n{app.command(program, *words)}", flush=True)
    if subprocess.run(command).returncode:
        raise InputError(f"{program} failed, see above; the same command goes on")


def gather(config: StarterConfig, root: pathlib.Path) -> None:
    """Copies the clips to learn from beside `family.csv` and `others.csv`."""
    found = [
        clip
        for clip in clips.read(config.clips)
        if clip.has_own_voice and clip.row["use"] == "train"
    ]
    numbers = collections.Counter(clip.group for clip in found)
    seen: collections.Counter[str] = collections.Counter()
    videos: dict[str, list[Video]] = {name: [] for name in _COPIES}
    for clip in sorted(found, key=lambda clip: clip.name):
        group = clip.group
        seen[group] += 1
        # Of those with many clips every second or third, from first to last.
        if (seen[group] - 1) % -(-numbers[group] // config.most_clips):
            continue
        split = "validation" if group in config.watched else "train"
        part = "family" if group.startswith(config.family) else "others"
        videos[part].append(clip.copied_to(root, split))
    for name, of_part in videos.items():
        manifest.write_manifest(root / f"{name}.csv", of_part)


def make_data_set(config: StarterConfig, root: pathlib.Path) -> pathlib.Path:
    """Clips and copies as track records whose sound is known to be in step."""
    data = root / "data"
    if (data / INFO_FILE).exists():
        return data
    gather(config, root)
    videos: list[Video] = []
    for name, copies in _COPIES.items():
        varied = root / f"{name}_varied.csv"
        run(
            "pipelines.vary",
            f"--manifest={root / name}.csv",
            f"--output={varied}",
            f"--copies={copies}",
        )
        videos += manifest.read_manifest(varied)
    manifest.write_manifest(root / "manifest.csv", videos)
    preprocess(root / "manifest.csv", data)
    return data


def preprocess(table: pathlib.Path, data: pathlib.Path) -> None:
    """Makes the track records that the recipe takes."""
    run(
        "pipelines.preprocess",
        f"--manifest={table}",
        f"--output_dir={data}",
        "--name=starter",
        "--crop_size=112",
        "--max_record_seconds=5",
    )


def train(
    precision: str, data: pathlib.Path, workdir: pathlib.Path, *more: str
) -> None:
    """Trains with the recipe that users are given."""
    run(
        "tfmds.train",
        "--flagfile=robust.flags",
        f"--precision={precision}",
        f"--data_dir={data}",
        f"--workdir={workdir}",
        *more,
    )


def put_in_step(
    config: StarterConfig, data: pathlib.Path, workdir: pathlib.Path
) -> None:
    """Estimates the offsets by a model that learned from the recordings as they are."""
    if any(row.offset_seconds is not None for row in DataSet.load(data).videos()):
        return
    train(config.precision, data, workdir, f"--epochs={config.first_epochs}")
    run("pipelines.estimate_offsets", f"--data_dir={data}", f"--model={workdir}")


def main(config: StarterConfig) -> None:
    """Runs the steps one after the other."""
    root = pathlib.Path(config.workdir)
    data = make_data_set(config, root)
    put_in_step(config, data, root / "first_run")
    train(config.precision, data, root / "run")
    export_model(config, root / "run", root)


def export_model(
    config: StarterConfig, trained: pathlib.Path, root: pathlib.Path
) -> None:
    """Chooses the threshold on the strangers and exports."""
    judged, threshold = root / "strangers", root / "threshold"
    run(
        "benchmarks.stretches",
        f"--model={trained}",
        f"--clips={config.clips}",
        f"--workdir={judged}",
        "--scores_only",
    )
    run(
        "tfmds.select_threshold",
        f"--scores={judged / 'scores.csv'}",
        "--score=stretches",
        "--criterion=target_recall",
        f"--target={config.target_recall}",
        f"--note={_NOTE}",
        f"--output_dir={threshold}",
    )
    run(
        "tfmds.export",
        f"--model={trained}",
        f"--threshold={threshold / 'threshold.json'}",
        f"--output_dir={config.output_dir}",
    )


if __name__ == "__main__":
    app.run(main)
