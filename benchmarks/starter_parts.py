"""What each part of the starter's recipe, and each person, is worth on strangers.

    python -m benchmarks.starter_parts --clips=CLIPS --workdir=OUT [--part=NAME ...]

CLIPS and OUT are those of benchmarks.starter; what OUT lacks of its data set is made,
the offsets by the starter model. Trains once as it does and once for each part
without that part, or with another one, all for the same steps, and judges each on the
clips whose `use` is `judge`, as benchmarks.alignment does. Prints a table: AUC of the
aligned score of whole clips and of pieces of 4 s, swapped and shifted, and by how
much the pieces are above those of the recipe as it is, with intervals over people,
the same people drawn for both. Another seed moves figures, too: one row tells by how
much.

OUT/parts keeps what was made: killed, the same command goes on.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks import judging, starter
from benchmarks.starter import StarterConfig, run
from tfmds import spec
from tfmds.common import app, flags
from tfmds.common.errors import InputError
from tfmds.common.flags import setting
from tfmds.data import data_set as data_sets
from tfmds.data import manifest
from tfmds.data.data_set import INFO_FILE, DataSet, VideoRow
from tfmds.data.manifest import Video
from tfmds.evaluation.scores import ALIGNED

_PIECE_SECONDS = 4
# The fewest that training can be watched on.
_WATCHED = ("grid_s17", "us_bobcasey")
_DRAWN_PEOPLE = 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class PartsConfig:
    """Which parts, and for how long."""

    clips: str = setting(flags.REQUIRED, "Folder of clips with INDEX.csv.")
    workdir: str = setting(flags.REQUIRED, "Workdir of benchmarks.starter.")
    part: tuple[str, ...] = setting(
        (), "Names of rows, see PARTS; all without.", repeated=True
    )
    epochs: int = setting(4, "Of 100 steps each.", low=1)
    precision: str = setting("float32", "Of the training, see tfmds.train.")

    def __post_init__(self) -> None:
        names = [part.name for part in PARTS]
        for name in self.part:
            if name not in names:
                raise InputError(f"--part={name}: expected one of {', '.join(names)}")


Maker = Callable[[PartsConfig, pathlib.Path], pathlib.Path]


def of_starter(config: PartsConfig, **changes: Any) -> StarterConfig:
    """What makes a data set of the clips."""
    # The data sets are made, nothing is exported.
    return StarterConfig(
        clips=config.clips, workdir=config.workdir, output_dir=config.workdir, **changes
    )


def put_in_step(data: pathlib.Path) -> None:
    """Offsets by the starter model, where there are none."""
    if all(row.offset_seconds is None for row in DataSet.load(data).videos()):
        run("pipelines.estimate_offsets", f"--data_dir={data}")


def shipped(config: PartsConfig, root: pathlib.Path) -> pathlib.Path:
    """The data set of benchmarks.starter."""
    del root
    return pathlib.Path(config.workdir) / "data"


def remade(
    choose: Callable[[list[VideoRow], PartsConfig], Sequence[Video]],
    offsets: bool = True,
) -> Maker:
    """A data set of other videos; those of the shipped one keep their offsets."""

    def make(config: PartsConfig, root: pathlib.Path) -> pathlib.Path:
        data = root / "data"
        if (data / INFO_FILE).exists():
            return data
        rows = DataSet.load(shipped(config, root)).videos()
        # Beside the clips: paths are relative to the manifest.
        table = pathlib.Path(config.workdir) / f"parts-{root.name}.csv"
        manifest.write_manifest(table, choose(rows, config))
        # Whole with its offsets or not there.
        partial = root / "data_as_they_came"
        starter.preprocess(table, partial)
        found = {row.video.video_id: row.offset_seconds for row in rows}
        if offsets:
            data_sets.write_videos(
                partial / data_sets.VIDEOS_FILE,
                [
                    dataclasses.replace(
                        row, offset_seconds=found.get(row.video.video_id)
                    )
                    for row in DataSet.load(partial).videos()
                ],
            )
        partial.rename(data)
        return data

    return make


def all_videos(rows: list[VideoRow], config: PartsConfig) -> list[Video]:
    """Those of the shipped data set."""
    del config
    return [row.video for row in rows]


def no_copies(rows: list[VideoRow], config: PartsConfig) -> list[Video]:
    """Those that nobody re-encoded."""
    return [v for v in all_videos(rows, config) if v.path.startswith("clips/")]


def people(share: float) -> Callable[[list[VideoRow], PartsConfig], list[Video]]:
    """A share of the people of each family, more people containing fewer."""

    def choose(rows: list[VideoRow], config: PartsConfig) -> list[Video]:
        videos = all_videos(rows, config)
        groups = sorted({v.group for v in videos if v.split == "train"})
        order = np.random.default_rng(0).permutation(groups)
        chosen: list[str] = []
        for is_family in (True, False):
            family = [g for g in order if g.startswith("grid_") == is_family]
            chosen += family[: round(share * len(family))]
        return [v for v in videos if v.split != "train" or v.group in chosen]

    return choose


def with_drawn(rows: list[VideoRow], config: PartsConfig) -> list[Video]:
    """The shipped ones, and real videos of drawn people."""
    root = pathlib.Path(config.workdir)
    run(
        "pipelines.synthesize",
        f"--output_dir={root / 'drawn'}",
        f"--num_identities={_DRAWN_PEOPLE}",
        "--seed=9",
    )
    table = root / "drawn.csv"
    run(
        "pipelines.build_manifest",
        "--layout=dfdc",
        f"--input_dir={root / 'drawn'}",
        f"--output={table}",
    )
    drawn = [
        dataclasses.replace(video, split="train")
        for video in manifest.read_manifest(table)
        if video.label == "real"
    ]
    return [*all_videos(rows, config), *drawn]


def more_people(config: PartsConfig, root: pathlib.Path) -> pathlib.Path:
    """A data set in which next to nobody is kept apart to watch training."""
    data = starter.make_data_set(of_starter(config, watched=_WATCHED), root)
    put_in_step(data)
    return data


@dataclasses.dataclass(frozen=True)
class Part:
    """What is done otherwise.

    Attributes:
      name: Of the row.
      flags: Of the training, after those of the recipe.
      data: Makes the data set.
    """

    name: str
    flags: tuple[str, ...] = ()
    data: Maker = shipped

    @property
    def folder(self) -> str:
        """Its name as a folder's."""
        return self.name.replace(" ", "_")


AS_IT_IS = Part("as it is")
PARTS = (
    AS_IT_IS,
    Part("another seed", ("--seed=1",)),
    Part("26 people", data=more_people),
    Part("half of the people", data=remade(people(1 / 2))),
    Part("a quarter of the people", data=remade(people(1 / 4))),
    Part("width 0.31", ("--width=0.3125",)),
    Part("80 pixels", ("--image_size=80",)),
    Part("drawn people too", data=remade(with_drawn)),
    Part("offsets as they came", data=remade(all_videos, offsets=False)),
    Part("no copies", data=remade(no_copies)),
    Part("no augmentation", ("--noaugment",)),
    Part("no offset jitter", ("--offset_jitter=0",)),
    Part("one chunk of a track", ("--batch_tracks=40", "--chunks_per_track=1")),
    Part("no moving average", ("--ema_momentum=0",)),
)


def judge(
    config: PartsConfig, root: pathlib.Path
) -> dict[str, dict[str, judging.Judged]]:
    """Each kind of mismatch of whole clips and of pieces."""
    # What starts TensorFlow, after the flags were read.
    from benchmarks import alignment

    whole = alignment.cases(
        alignment.gather(
            alignment.AlignmentConfig(
                clips=config.clips,
                workdir=str(root / "strangers"),
                model=str(root / "run"),
            )
        )
    )
    sets = {
        "whole": whole,
        f"{_PIECE_SECONDS} s": alignment.pieces(whole, _PIECE_SECONDS),
    }
    found = {}
    for name, some in sets.items():
        videos = alignment.video_scores(some)
        known = np.isfinite(videos.scores[ALIGNED])
        found[name] = judging.judge(videos.select(known))
    return found


def cells(
    found: dict[str, dict[str, judging.Judged]],
    as_it_is: dict[str, dict[str, judging.Judged]],
) -> str:
    """A part's figures, and by how much those of pieces are above the recipe's."""
    pieces = f"{_PIECE_SECONDS} s"
    kinds = (spec.SWAP, spec.SHIFT)
    figures = [found[name][k].auc(ALIGNED) for name in ("whole", pieces) for k in kinds]
    above = [found[pieces][k].auc(ALIGNED, as_it_is[pieces][k]) for k in kinds]
    # Three digits: differences are small.
    values = [f"{figure.value:.3f}" for figure in figures]
    for difference in above:
        # The recipe itself has none: it differs from itself by nothing.
        interval = difference.interval
        span = f" [{interval[0]:+.3f}, {interval[1]:+.3f}]" if interval else ""
        values.append(f"{difference.value:+.3f}{span}")
    return " | ".join(values)


def main(config: PartsConfig) -> None:
    """Makes what is missing, then prints the table."""
    root = pathlib.Path(config.workdir)
    put_in_step(starter.make_data_set(of_starter(config), root))
    table = [
        "| part | whole: swap | shift | 4 s: swap | shift | above: swap | shift |",
        "|---|---|---|---|---|---|---|",
    ]
    as_it_is = None
    for part in PARTS:
        if part is not AS_IT_IS and config.part and part.name not in config.part:
            continue
        folder = root / "parts" / part.folder
        folder.mkdir(parents=True, exist_ok=True)
        data = part.data(config, folder)
        words = f"--epochs={config.epochs}", *part.flags
        starter.train(config.precision, data, folder / "run", *words)
        found = judge(config, folder)
        as_it_is = as_it_is or found
        table.append(f"| {part.name} | {cells(found, as_it_is)} |")
        print(table[-1], flush=True)
    print("", *table, sep="\n")


if __name__ == "__main__":
    app.run(main)
