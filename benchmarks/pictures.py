"""Learns from single faces whether they are forged, and judges on other sets.

    python -m benchmarks.pictures --workdir=OUT --dfdc=DFDC --celebdf=CELEBDF \
        --faceforensics=FF --portraits=PORTRAITS --clips=CLIPS [--mesonet=MESONET]

DFDC, CELEBDF and FF are folders of cut faces (layouts faces_dfdc, faces_celebdf,
faces_faceforensics; docs/data_sets.md), PORTRAITS one with real/ in which a file is a
person, CLIPS a folder of videos with INDEX.csv (columns file, label, group, use). Step
by step:

1. Faces of each set (pipelines.preprocess --pictures).
2. Training with configs/picture.flags on the parts of DFDC that are not judged by, on
   portraits, and on the clips whose `use` is `train`. With --model=EXPORT it is left
   out.
3. AUC on parts of DFDC kept out, by size of face and in pairs with the own original,
   and on Celeb-DF and FaceForensics++, which were never trained on, with the interval
   over groups. MESONET, a folder of weights, is judged on the same faces.
4. The clips whose `use` is `judge`, means over their pictures: how many real people are
   called forged by a threshold that was chosen on others.

The model learned from data for research only, and is for research only. OUT keeps what
each step made: killed, the same command goes on.
"""

import collections
import csv
import dataclasses
import pathlib
import random
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from benchmarks import clips, judging
from benchmarks.starter import run
from pipelines import layouts
from pipelines.layouts import splits
from tfmds import spec
from tfmds.common import app, flags
from tfmds.common.flags import setting
from tfmds.data import manifest
from tfmds.data.data_set import FACES, INFO_FILE, DataSet
from tfmds.data.manifest import Video
from tfmds.evaluation import scores
from tfmds.evaluation.scores import VideoScores


@dataclasses.dataclass(frozen=True, kw_only=True)
class PicturesConfig:
    """Where the faces are, how many are used, how long is trained."""

    workdir: str = setting(flags.REQUIRED, "What the steps make.", writes=flags.FOLDER)
    dfdc: str = setting(flags.REQUIRED, "Folder of faces of DFDC.")
    celebdf: str = setting(flags.REQUIRED, "Folder of faces of Celeb-DF.")
    faceforensics: str = setting(flags.REQUIRED, "Folder of faces of FaceForensics++.")
    portraits: str = setting(flags.REQUIRED, "Folder with real/, a person a picture.")
    clips: str = setting(flags.REQUIRED, "Folder of videos with INDEX.csv.")
    mesonet: str = setting("", "Folder of MesoNet's published weights; none without.")
    model: str = setting("", "An export to judge; without it one is trained.")
    fakes: int = setting(24_000, "Fakes of DFDC to learn from, at most.", low=1)
    judged: int = setting(1500, "Faces of each set and kind to judge by.", low=10)
    epochs: int = setting(4, "Of the training.", low=1)
    steps_per_epoch: int = setting(200, "Of the training.", low=1)


# Pictures of 10 s of a clip, and clips of one person to learn from, at most.
_PICTURES = 10
_CLIPS_A_PERSON = 6
# Larger sides of the boxes, in pixels, that DFDC is told by.
_SIZES = ((0, 100), (100, 200), (200, 10_000))
# Share of real people that may be called forged.
_FALSE_ALARMS = 0.03


def dfdc(config: PicturesConfig, folder: pathlib.Path) -> list[Video]:
    """All reals of DFDC and some of the fakes, split by parts."""
    found = splits.assign(layouts.read("faces_dfdc", folder).videos, (0.92, 0.08, 0), 0)
    rng = random.Random(0)
    most = {"train": (10**9, config.fakes), "validation": (500, 500)}
    chosen: list[Video] = []
    for split in spec.SPLITS:
        for label in spec.LABELS:
            of_class = [v for v in found if (v.split, v.label) == (split, label)]
            rng.shuffle(of_class)
            few = most.get(split, (config.judged, config.judged))
            chosen += of_class[: few[label == "fake"]]
    # As many of each.
    reals = sum(v.split == "test" and v.label == "real" for v in chosen)
    fakes = [v for v in chosen if v.split == "test" and v.label == "fake"]
    left_out = {v.video_id for v in fakes[reals:]}
    return [v for v in chosen if v.video_id not in left_out]


def some(layout: str) -> Callable[[PicturesConfig, pathlib.Path], list[Video]]:
    """Faces of a set that is judged by, as many of each kind as are asked for."""

    def read(config: PicturesConfig, folder: pathlib.Path) -> list[Video]:
        found = layouts.read(layout, folder).videos
        random.Random(0).shuffle(found)
        seen: collections.Counter[tuple[str, str]] = collections.Counter()
        chosen = []
        for video in found:
            seen[video.label, video.manipulation] += 1
            if seen[video.label, video.manipulation] <= config.judged:
                chosen.append(video)
        return chosen

    return read


def portraits(config: PicturesConfig, folder: pathlib.Path) -> list[Video]:
    """A real face a person, some of them for validation."""
    return splits.assign(layouts.read("faces", folder).videos, (0.9, 0.1, 0), 0)


def clips_to(use: str) -> Callable[[PicturesConfig, pathlib.Path], list[Video]]:
    """Real clips to learn from, or all clips to judge by."""

    def read(config: PicturesConfig, folder: pathlib.Path) -> list[Video]:
        seen: collections.Counter[str] = collections.Counter()
        chosen = []
        for clip in clips.read(folder):
            fake = clip.row["label"] == "fake"
            seen[clip.group] += 1
            enough = use == "train" and (fake or seen[clip.group] > _CLIPS_A_PERSON)
            if clip.row["use"] != use or enough:
                continue
            path = str(clip.path.relative_to(folder.resolve()))
            kind = clip.name.split("_")[0] if fake else ""
            chosen.append(
                Video(
                    video_id=clip.name,
                    path=path,
                    label=clip.row["label"],
                    split="train" if use == "train" else "test",
                    group=clip.group,
                    manipulation=kind,
                    forged=spec.PICTURE if fake else "",
                )
            )
        return chosen

    return read


def data(
    config: PicturesConfig,
    name: str,
    source: str,
    read: Callable[[PicturesConfig, pathlib.Path], list[Video]],
    *more: str,
) -> pathlib.Path:
    """A data set of faces of a folder."""
    root = pathlib.Path(config.workdir)
    made = root / name
    if not (made / INFO_FILE).exists():
        folder = pathlib.Path(source).resolve()
        # Paths of a manifest are relative to its folder, which is not the reader's.
        link = root / f"{name}_source"
        root.mkdir(parents=True, exist_ok=True)
        if not link.exists():
            link.symlink_to(folder)
        videos = [
            dataclasses.replace(v, path=f"{link.name}/{v.path}")
            for v in read(config, folder)
        ]
        table = root / f"{name}.csv"
        manifest.write_manifest(table, videos)
        run(
            "pipelines.preprocess",
            f"--manifest={table}",
            f"--output_dir={made}",
            f"--name={name}",
            f"--pictures={_PICTURES}",
            *more,
        )
    return made


def train(config: PicturesConfig) -> pathlib.Path:
    """A run on faces, and its export."""
    root = pathlib.Path(config.workdir)
    sets = [
        data(config, "dfdc", config.dfdc, dfdc),
        data(config, "portraits", config.portraits, portraits, "--stills=wide"),
        data(config, "learn", config.clips, clips_to("train")),
    ]
    export = root / "export"
    if not (export / "picture.json").exists():
        run(
            "tfmds.train",
            "--flagfile=picture.flags",
            f"--data_dir={sets[0]}",
            f"--more_data={','.join(map(str, sets[1:]))}",
            f"--workdir={root / 'run'}",
            f"--epochs={config.epochs}",
            f"--steps_per_epoch={config.steps_per_epoch}",
        )
        run("tfmds.export", f"--model={root / 'run'}", f"--output_dir={export}")
    return export


# From faces at a size to probabilities, by name; the size first.
Networks = dict[str, tuple[int, Callable[[np.ndarray], np.ndarray]]]


def networks(config: PicturesConfig, export: pathlib.Path) -> Networks:
    """The model, and MesoNet's where they are given."""
    # What starts TensorFlow, after the flags were read.
    from benchmarks import mesonet
    from tfmds.exporting import picture_model

    model = picture_model.load(export)
    found: Networks = {"picture": (model.info.image_size, model.fake_probability)}
    for kind in ("DF", "F2F") if config.mesonet else ():
        meso = mesonet.load(pathlib.Path(config.mesonet) / f"Meso4_{kind}.h5")
        found[f"Meso-4 {kind}"] = (
            mesonet.SIZE,
            lambda faces, meso=meso: mesonet.fake_probability(meso, faces),
        )
    return found


def score(path: pathlib.Path, judges: Networks) -> VideoScores:
    """The test split of a data set by each of the networks."""
    # As above.
    from tfmds.scoring import face_scores

    data_set = DataSet.load(path, FACES)
    by_name = {}
    for name, (size, predict) in judges.items():
        videos = face_scores.of_data_sets(predict, [data_set], ["test"], size)
        by_name[name] = videos.values(scores.MDS)
    videos = dataclasses.replace(videos, scores={scores.MDS: videos.mds, **by_name})
    videos = videos.select(videos.scored)
    return dataclasses.replace(videos, scores={n: videos.scores[n] for n in judges})


def show(title: str, videos: VideoScores, judges: Iterable[str]) -> None:
    """Prints AUC of each kind of fake against all reals."""
    for kind, one in judging.judge(videos).items():
        cells = [str(one.auc(name)) for name in judges]
        numbers = f"{one.fakes} / {one.reals}"
        print("|", " | ".join([title, kind, numbers, *cells]), "|", flush=True)


def show_dfdc(
    config: PicturesConfig, videos: VideoScores, judges: Sequence[str]
) -> None:
    """Prints DFDC by size of face, and fakes against their own originals."""
    with open(pathlib.Path(config.dfdc) / "metadata.csv", newline="") as f:
        rows = {r["videoname"].split(".")[0]: r for r in csv.DictReader(f)}
    of_each = [rows[name] for name in videos.video_id]
    side = np.array(
        [max(int(r["original_width"]), int(r["original_height"])) for r in of_each]
    )
    for low, high in _SIZES:
        part = videos.select((low <= side) & (side < high))
        last = (low, high) == _SIZES[-1]
        boxes = f"{low} px and more" if last else f"{low} to {high - 1} px"
        show(f"DFDC, boxes of {boxes}", part, judges)
    place = {name: k for k, name in enumerate(videos.video_id)}
    pairs = [
        (k, place[stem])
        for k, row in enumerate(of_each)
        if (stem := row["original"].split(".")[0]) in place
        and videos.label[k] == spec.FAKE
    ]
    cells = []
    for name in judges:
        fake, real = (videos.scores[name][[p[k] for p in pairs]] for k in (0, 1))
        cells.append(f"{np.mean(fake > real):.2f}")
    print(
        "|", " | ".join(["DFDC, own original", "higher", str(len(pairs)), *cells]), "|"
    )


def show_people(
    sets: dict[str, VideoScores], people: VideoScores, judges: Iterable[str]
) -> None:
    """Prints false alarms on real people by thresholds chosen on others, and finds."""
    reals = people.select(people.label == spec.REAL)
    groups = sorted(set(reals.group))
    random.Random(0).shuffle(groups)
    half = np.isin(reals.group.astype(str), groups[::2])
    for name in judges:
        called = np.zeros(len(reals), bool)
        for chosen_on in (half, ~half):
            level = threshold(reals.scores[name][chosen_on])
            called[~chosen_on] = reals.scores[name][~chosen_on] >= level
        cells = [name, f"{called.sum()} of {len(reals)}"]
        level = threshold(reals.scores[name])
        for videos in sets.values():
            for label in (spec.REAL, spec.FAKE):
                of_label = videos.scores[name][videos.label == label]
                cells.append(f"{np.mean(of_label >= level):.3f}")
        print("|", " | ".join(cells), "|", flush=True)


def threshold(reals: np.ndarray) -> float:
    """The lowest level that at most a share `_FALSE_ALARMS` of the reals reaches."""
    levels = np.sort(reals)[::-1]
    reached = int(_FALSE_ALARMS * len(levels))
    return float(np.nextafter(levels[reached], np.inf))


def main(config: PicturesConfig) -> None:
    """Makes what is missing, then prints the tables."""
    export = pathlib.Path(config.model) if config.model else train(config)
    judged = {
        "DFDC": data(config, "dfdc", config.dfdc, dfdc),
        "Celeb-DF": data(config, "celebdf", config.celebdf, some("faces_celebdf")),
        "FaceForensics++": data(
            config, "ff", config.faceforensics, some("faces_faceforensics")
        ),
        "clips": data(config, "judge", config.clips, clips_to("judge")),
    }
    judges = networks(config, export)
    names = list(judges)
    print("\n| judged | kind | fakes / reals |", " | ".join(names), "|")
    print("|---|---|---|" + "---|" * len(names), flush=True)
    found = {}
    for title, path in judged.items():
        found[title] = score(path, judges)
        show(title, found[title], names)
    show_dfdc(config, found["DFDC"], names)
    people = found.pop("clips")
    columns = [f"{title}, {word}" for title in found for word in ("real", "fake")]
    print("\n| network | real clips called forged |", " | ".join(columns), "|")
    print("|---|---|" + "---|" * len(columns))
    show_people(found, people, names)


if __name__ == "__main__":
    app.run(main)
