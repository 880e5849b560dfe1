"""What a recipe learns of mouth and voice, judged on data that nobody trained on.

    python -m benchmarks.learning --experiment=talkers --clips=CLIPS --workdir=OUT

Three experiments:

talker    Real clips of the one person with most clips, two thirds to train on.
talkers   Real clips of people not trained on, cross-validated over people.
drawn     A data set of pipelines.demo, unseen people, fakes by another voice.

CLIPS is a folder of videos with INDEX.csv: columns file, label, group, and
voice_matches_picture, `yes` where the voice is known to be the mouth's. The first two
train without fakes; each test clip's mouth is scored with its own voice, with the
voices of the other test clips (swap), and with its own voice half a second earlier and
later (shift); figures are AUC over clips. People whose group begins with --family are
judged apart from the others. OUT keeps data sets and runs: killed, the same command
goes on.
"""

import csv
import dataclasses
import pathlib
from collections.abc import Iterator

import numpy as np
from sklearn.metrics import roc_auc_score

from benchmarks import clips
from benchmarks.starter import run
from tfmds.common import app
from tfmds.common.errors import InputError
from tfmds.common.flags import FILE, FOLDER, REQUIRED, setting
from tfmds.data import manifest as manifests
from tfmds.data.data_set import INFO_FILE, DataSet
from tfmds.evaluation import score_files
from tfmds.models import checkpoints
from tfmds.scoring import mismatches, scorer
from tfmds.scoring.mismatches import Track

# Chunks of a track that are looked at, at most: clips of all lengths count alike.
_MOST_CHUNKS = 20


@dataclasses.dataclass(frozen=True, kw_only=True)
class LearningConfig:
    """Which experiment, on what, and by which recipe."""

    experiment: str = setting(
        "talkers", "What to do, see above.", choices=("talker", "talkers", "drawn")
    )
    clips: str | None = setting(None, "Folder of real clips with INDEX.csv.")
    drawn: str | None = setting(None, "Data set of pipelines.demo, preprocessed.")
    workdir: str = setting(REQUIRED, "Data sets and runs.", writes=FOLDER)
    family: str = setting("grid_", "Beginning of the groups set apart.")
    folds: int = setting(3, "Of the people, for talkers.", low=1)
    config: str = setting("robust", "Name of a file in tfmds/configs.")
    train_flag: tuple[str, ...] = setting((), "More flags for training.", repeated=True)
    plot: str | None = setting(None, "Picture of the curves to write.", writes=FILE)

    def __post_init__(self) -> None:
        needed = "drawn" if self.experiment == "drawn" else "clips"
        if getattr(self, needed) is None:
            raise InputError(f"--experiment={self.experiment} needs --{needed}")


@dataclasses.dataclass(frozen=True)
class Result:
    """AUC after an epoch; `people` names the test set."""

    experiment: str
    config: str
    fold: int
    people: str
    clips: int
    step: int
    swap: float
    shift: float


def read_clips(folder: str) -> list[clips.Clip]:
    """Those that are real with the voice of the mouth."""
    return [clip for clip in clips.read(folder) if clip.has_own_voice]


def folds(config: LearningConfig) -> list[set[str]]:
    """The files to test on, fold by fold."""
    found = read_clips(config.clips)
    groups = [clip.group for clip in found]
    largest = max(set(groups), key=groups.count)
    if config.experiment == "talker":
        files = sorted(clip.name for clip in found if clip.group == largest)
        return [set(np.random.default_rng(0).permutation(files)[::3])]
    order = np.random.default_rng(0).permutation(sorted(set(groups) - {largest}))
    # People of the family and the others are dealt out evenly, each on its own.
    order = sorted(order, key=lambda group: group.startswith(config.family))
    parts = [set(order[k :: config.folds]) for k in range(config.folds)]
    return [{clip.name for clip in found if clip.group in part} for part in parts]


def make_data_set(config: LearningConfig, fold: int, test: set[str]) -> pathlib.Path:
    """Preprocesses the clips with this fold's split; once."""
    root = pathlib.Path(config.workdir) / f"{config.experiment}-{fold}"
    if (root / "data" / INFO_FILE).exists():
        return root / "data"
    found = read_clips(config.clips)
    if config.experiment == "talker":
        group = next(clip.group for clip in found if clip.name in test)
        found = [clip for clip in found if clip.group == group]
    videos = [
        clip.copied_to(root, "test" if clip.name in test else "train") for clip in found
    ]
    manifests.write_manifest(root / "manifest.csv", videos)
    run(
        "pipelines.preprocess",
        f"--manifest={root / 'manifest.csv'}",
        f"--output_dir={root / 'data'}",
        f"--name={config.experiment}{fold}",
    )
    return root / "data"


def train(config: LearningConfig, data: pathlib.Path, name: str) -> pathlib.Path:
    workdir = pathlib.Path(config.workdir) / f"{name}-{config.config}"
    run(
        "tfmds.train",
        f"--flagfile={config.config}.flags",
        f"--data_dir={data}",
        f"--workdir={workdir}",
        "--keep_epochs=1000",
        *config.train_flag,
    )
    return workdir


def auc(own: list[float], fake: list[float]) -> float:
    return roc_auc_score([0] * len(own) + [1] * len(fake), own + fake)


def judge(tracks: list[Track]) -> tuple[float, float]:
    """AUC of all swapped and of shifted voices against own ones."""
    own = [t.with_voice(t.heard) for t in tracks]
    swapped = [
        t.with_voice(other.heard) for t in tracks for other in tracks if other is not t
    ]
    shifted = [found for t in tracks for found in t.shifted()]
    own, swapped, shifted = (
        [float(distance.mean()) for _, distance in kind]
        for kind in (own, swapped, shifted)
    )
    return auc(own, swapped), auc(own, shifted)


def by_people(tracks: list[Track], family: str) -> dict[str, list[Track]]:
    """Tracks of the family and of the others, none longer than the longest counted."""
    found: dict[str, list[Track]] = {}
    for track in tracks:
        is_family = track.row.video.group.startswith(family)
        people = f"{family}*" if is_family else "others"
        parts = {
            name: getattr(track, name)[:_MOST_CHUNKS]
            for name in ("start_seconds", "seen", "heard")
        }
        found.setdefault(people, []).append(dataclasses.replace(track, **parts))
    return found


def judge_epochs(
    config: LearningConfig, workdir: pathlib.Path, data_dir: pathlib.Path, fold: int
) -> Iterator[Result]:
    """Results of every epoch's checkpoint of a run without fakes."""
    model, network, _ = checkpoints.load_model(workdir)
    data = DataSet.load(data_dir)
    for state in checkpoints.states(workdir):
        checkpoints.restore(workdir, model, state)
        found = by_people(mismatches.embed(model, network, data, "test"), config.family)
        for people, tracks in found.items():
            yield Result(
                config.experiment,
                config.config,
                fold,
                people,
                len(tracks),
                state.step,
                *judge(tracks),
            )


def judge_drawn(config: LearningConfig, workdir: pathlib.Path) -> Result:
    """The result of a run on drawn videos; `swap` is of the fakes by another voice."""
    output = workdir / "scores"
    scorer.score_data_set(workdir, config.drawn, ["test"], output)
    videos = score_files.read_videos(output / score_files.VIDEOS_FILE)
    chosen = {
        kind: [
            s for s, k in zip(videos.mds, videos.manipulation, strict=True) if k == kind
        ]
        for kind in ("", "audio_swap")
    }
    swap = auc(chosen[""], chosen["audio_swap"])
    step = checkpoints.latest_state(workdir).step
    clips = len(chosen["audio_swap"])
    return Result("drawn", config.config, 0, "drawn", clips, step, swap, np.nan)


def plot(results: list[Result], path: str) -> None:
    """AUC over steps: a panel for each kind of people, a line for each fold."""
    # Of the extra `docs`; whoever wants the table alone does not need it.
    from matplotlib import pyplot as plt

    people = sorted({r.people for r in results})
    figure, panels = plt.subplots(
        1, len(people), figsize=(5 * len(people), 3.5), squeeze=False, sharey=True
    )
    for panel, name in zip(panels[0], people, strict=True):
        for fold in sorted({r.fold for r in results}):
            rows = [r for r in results if (r.people, r.fold) == (name, fold)]
            steps = [r.step for r in rows]
            label = {"label": None} if fold else {}
            panel.plot(
                steps, [r.swap for r in rows], "C0-", **({"label": "swap"} | label)
            )
            panel.plot(
                steps, [r.shift for r in rows], "C1-", **({"label": "shift"} | label)
            )
        panel.set(title=name, xlabel="step", ylim=(0.45, 1.01))
        panel.grid(alpha=0.3)
    panels[0, 0].set_ylabel("AUC on clips not trained on")
    panels[0, 0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def main(config: LearningConfig) -> None:
    """Prints the last step of each run, writes all of them."""
    results: list[Result] = []
    if config.experiment == "drawn":
        results = [
            judge_drawn(config, train(config, pathlib.Path(config.drawn), "drawn"))
        ]
    else:
        for fold, test in enumerate(folds(config)):
            data = make_data_set(config, fold, test)
            workdir = train(config, data, f"{config.experiment}-{fold}")
            results += judge_epochs(config, workdir, data, fold)
    last = max(r.step for r in results)
    print("\n| experiment | config | fold | people | clips | step | swap | shift |")
    print("|---|---|---|---|---|---|---|---|")
    for r in sorted(results, key=lambda r: (r.people, r.fold)):
        if r.step == last:
            values = dataclasses.astuple(r)
            shown = (f"{x:.3f}" if isinstance(x, float) else x for x in values)
            print("|", " | ".join(map(str, shown)), "|")
    name = f"{config.experiment}-{config.config}.csv"
    with open(pathlib.Path(config.workdir) / name, "w", newline="") as f:
        writer = csv.writer(f)
        writer.writerow(field.name for field in dataclasses.fields(Result))
        writer.writerows(dataclasses.astuple(r) for r in results)
    if config.plot:
        plot(results, config.plot)


if __name__ == "__main__":
    app.run(main)
