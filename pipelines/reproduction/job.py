"""A job of one's own: what the flags make of its steps."""

import collections
import os
import pathlib
import shlex
from collections.abc import Sequence
from typing import Any

from pipelines.reproduction import estimates, figures, needs, runner, steps
from pipelines.reproduction.config import ReproduceConfig
from pipelines.reproduction.steps import Folders, Step, Words
from tfmds import spec
from tfmds.common import app, flags
from tfmds.common.errors import InputError
from tfmds.data.config import BatchConfig
from tfmds.data.data_set import INFO_FILE, DataSet
from tfmds.evaluation import evaluation
from tfmds.evaluation.coverage import Coverage
from tfmds.models.config import TwoStreamConfig
from tfmds.training.config import RunConfig, TrainingConfig


def words(
    config: ReproduceConfig,
    preprocessing: Sequence[Any],
    training: Sequence[Any],
    beam: Sequence[str] = (),
    counts: needs.Counts | None = None,
) -> Words:
    """The flags of each step.

    Args:
      config: What the job is told.
      preprocessing: Configurations of preprocessing.
      training: Configurations of network and training.
      beam: Flags of Apache Beam.
      counts: The videos, where they are known.
    """
    seed = next(c.seed for c in training if isinstance(c, TrainingConfig))
    network = next(c for c in training if isinstance(c, TwoStreamConfig))
    score = [f"--score={config.score}"] if config.score else []
    stand_ins = {
        split: ["--mismatches"]
        for split in spec.SPLITS
        if counts and needs.takes_mismatches(config, counts, split)
    }
    lists = [
        f"--{name}={value}"
        for name in ("train_list", "test_list", "audio_altered")
        if (value := getattr(config, name))
    ]
    target = [] if config.target is None else [f"--target={config.target:g}"]
    return Words(
        manifest=(
            f"--split_fractions={','.join(config.split_fractions)}",
            f"--seed={seed}",
            *lists,
        ),
        preprocess=(
            f"--crop_size={config.crop_size or network.view.least_crop}",
            *(word for c in preprocessing for word in flags.words(c)),
            *beam,
        ),
        train=tuple(word for c in training for word in flags.words(c)),
        threshold=(
            f"--criterion={config.criterion}",
            *target,
            *score,
            *stand_ins.get("validation", ()),
        ),
        evaluate=(
            *stand_ins.get("test", ()),
            f"--min_coverage={config.min_coverage:g}",
            f"--unscored={config.unscored}",
        ),
    )


def make(
    config: ReproduceConfig,
    preprocessing: Sequence[Any],
    model: TwoStreamConfig,
    batch: BatchConfig,
    training: TrainingConfig,
    run: RunConfig,
    beam: Sequence[str] = (),
) -> tuple[Folders, list[Step]]:
    """Where the job goes, and its steps.

    Raises:
      InputError: The videos cannot be read, or are not what the steps need.
    """
    folders = Folders(pathlib.Path(config.workdir))
    learning = [model, batch, training, run]

    def check(counts: needs.Counts, where: str) -> None:
        def reaches(step: str) -> bool:
            return runner.reaches(config.until, planned, step)

        needs.check(config, counts, batch, training, reaches, where)

    def check_usable() -> None:
        check_coverage(config, folders.data)
        rows = DataSet.load(folders.data).videos()
        usable = [row.video for row in rows if row.status == spec.OK]
        check(needs.count(usable), f"{folders.data}, videos that can be used")

    planned = steps.plan(
        folders, config.layout, words(config, preprocessing, learning, beam)
    )
    is_listed = runner.is_done(folders.root, planned[0])
    made = folders.manifest if is_listed else None
    counts = needs.listed(config, training.seed, made)
    check(counts, config.input_dir)
    told = words(config, preprocessing, learning, beam, counts)
    return folders, steps.plan(folders, config.layout, told, check_usable)


def place_videos(input_dir: os.PathLike | str, folders: Folders) -> None:
    """Links the data set into the job: the paths of a manifest never leave its folder.

    Raises:
      InputError: There is no such folder, the job lies in it, or has other videos.
    """
    source = pathlib.Path(input_dir)
    if not source.is_dir():
        raise InputError(f"{source}: there is no such folder (--input_dir)")
    if folders.root.resolve().is_relative_to(source.resolve()):
        raise InputError(
            f"--workdir={folders.root} lies in the folder of the videos, {source};"
            " choose one outside"
        )
    link = folders.videos
    if link.exists() and link.resolve() == source.resolve():
        return
    if os.path.lexists(link) and (not link.is_symlink() or link.exists()):
        raise InputError(
            f"{folders.root}: this job has other videos ({link.resolve()}, not"
            f" {source}). Choose another --workdir, or delete this one"
        )
    folders.root.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(source.resolve(), target_is_directory=True)


def check_coverage(config: ReproduceConfig, data_dir: pathlib.Path) -> None:
    """Says before training that evaluation would refuse the test split.

    Raises:
      InputError: Too few of its videos can be used.
    """
    if config.unscored != evaluation.LEAVE_OUT:
        return
    rows = [r for r in DataSet.load(data_dir).videos() if r.video.split == "test"]
    counts = collections.Counter((row.status, row.video.label) for row in rows)
    coverage = Coverage(
        {s: {word: counts[s, word] for word in spec.LABELS} for s in spec.STATUSES},
        tuple((r.video.video_id, r.status) for r in rows if r.status != spec.OK)[:5],
    )
    if rows:
        coverage.check(config.min_coverage, f"{data_dir}, the test split")


def size(config: ReproduceConfig, seed: int) -> estimates.Size:
    """How much there is to do: from the data set where it was made, else by clips."""
    data = pathlib.Path(config.workdir) / "data"
    if (data / INFO_FILE).is_file():
        info = DataSet.load(data).info["splits"]
        return estimates.Size(
            {split: entry["videos"] for split, entry in info.items()},
            {split: entry["chunks"] for split, entry in info.items()},
        )
    clips: collections.Counter[str] = collections.Counter()
    for (split, _), number in needs.listed(config, seed, None).items():
        clips[split] += number
    return estimates.Size.of_clips(dict(clips))


def describe(
    config: ReproduceConfig,
    todo: Sequence[Step],
    found: estimates.Size,
    model: TwoStreamConfig,
    batch: BatchConfig,
    training: TrainingConfig,
) -> str:
    """What would be done, and how long it may take."""
    told = ", ".join(f"{n} {split}" for split, n in found.clips.items())
    chunks = sum(found.chunks.values())
    return "\n".join(
        [
            f"{sum(found.clips.values())} videos ({told}), some {chunks} chunks. Times"
            " are for this machine's processors and clips of ten seconds; a GPU takes"
            " much less for training and scoring.",
            runner.describe(
                pathlib.Path(config.workdir),
                todo,
                config.from_step,
                config.until,
                lambda step: estimates.seconds(step, found, model, batch, training),
            ),
        ]
    )


def write_figures(config: ReproduceConfig, folders: Folders) -> str:
    """Writes the table beside the published figures, and returns it."""
    journal = runner.read(folders.root)
    return figures.write(
        folders,
        config.layout,
        bool(config.train_list or config.test_list),
        "--mismatches" in journal["evaluate"]["command"],
    )


def where_to_look(folders: Folders) -> str:
    """What a job leaves, for the terminal."""
    judge = app.command("tfmds.detect", f"--model={folders.export}", "VIDEO")
    curves = shlex.join(["tensorboard", f"--logdir={folders.run / 'logs'}"])
    return "\n".join(
        [
            "Where to look next:",
            f"  report     {folders.report / 'index.html'}",
            f"  metrics    {folders.test / 'metrics.json'} and what lies beside it",
            f"  epochs     {folders.epochs / 'epochs.html'}",
            f"  curves     {curves}",
            f"  your video {judge}",
        ]
    )
