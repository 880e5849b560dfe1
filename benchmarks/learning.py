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
import shutil
import subprocess
import sys

import numpy as np
from absl import flags
from sklearn.metrics import roc_auc_score

from tfmds.common import app
from tfmds.data import manifest as manifests
from tfmds.data.data_set import INFO_FILE, DataSet
from tfmds.evaluation import score_files
from tfmds.models import checkpoints
from tfmds.scoring import mismatches, scorer
from tfmds.scoring.mismatches import Track

_EXPERIMENT = flags.DEFINE_enum(
    "experiment", "talkers", ("talker", "talkers", "drawn"), "What to do, see above."
)
_CLIPS = flags.DEFINE_string("clips", None, "Folder of real clips with INDEX.csv.")
_DRAWN = flags.DEFINE_string("drawn", None, "Data set of pipelines.demo, preprocessed.")
_WORKDIR = flags.DEFINE_string("workdir", None, "Data sets and runs.", required=True)
_FAMILY = flags.DEFINE_string("family", "grid_", "Beginning of the groups set apart.")
_FOLDS = flags.DEFINE_integer("folds", 3, "Of the people, for talkers.")
_CONFIG = flags.DEFINE_string("config", "robust", "Name of a file in tfmds/configs.")
_TRAIN_FLAGS = flags.DEFINE_multi_string("train_flag", [], "More flags for training.")
_PLOT = flags.DEFINE_string("plot", None, "Picture of the curves to write.")

# Chunks of a track that are looked at, at most: clips of all lengths count alike.
_MOST_CHUNKS = 20


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


def read_clips() -> list[dict[str, str]]:
    """Rows of INDEX.csv that are real with the voice of the mouth."""
    with open(pathlib.Path(_CLIPS.value) / "INDEX.csv", newline="") as f:
        return [
            row
            for row in csv.DictReader(f)
            if row["label"] == "real" and row["voice_matches_picture"] == "yes"
        ]


def folds() -> list[set[str]]:
    """The files to test on, fold by fold."""
    rows = read_clips()
    groups = [row["group"] for row in rows]
    largest = max(set(groups), key=groups.count)
    if _EXPERIMENT.value == "talker":
        files = sorted(row["file"] for row in rows if row["group"] == largest)
        return [set(np.random.default_rng(0).permutation(files)[::3])]
    order = np.random.default_rng(0).permutation(sorted(set(groups) - {largest}))
    # People of the family and the others are dealt out evenly, each on its own.
    order = sorted(order, key=lambda group: group.startswith(_FAMILY.value))
    parts = [set(order[k :: _FOLDS.value]) for k in range(_FOLDS.value)]
    return [{row["file"] for row in rows if row["group"] in part} for part in parts]


def copy_real(
    source: pathlib.Path, root: pathlib.Path, split: str, group: str
) -> manifests.Video:
    """The row of a real video whose copy lies beside the manifest in `root`."""
    target = root / "clips" / source.name
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        shutil.copy(source, target)
    path = f"clips/{source.name}"
    return manifests.Video(source.name, path, "real", split, group)


def make_data_set(fold: int, test: set[str]) -> pathlib.Path:
    """Preprocesses the clips with this fold's split; once."""
    root = pathlib.Path(_WORKDIR.value) / f"{_EXPERIMENT.value}-{fold}"
    if (root / "data" / INFO_FILE).exists():
        return root / "data"
    clips = pathlib.Path(_CLIPS.value).resolve()
    rows = read_clips()
    if _EXPERIMENT.value == "talker":
        group = next(row["group"] for row in rows if row["file"] in test)
        rows = [row for row in rows if row["group"] == group]
    files = {path.name: path for path in clips.rglob("*") if path.is_file()}
    videos = []
    for row in rows:
        split = "test" if row["file"] in test else "train"
        videos.append(copy_real(files[row["file"]], root, split, row["group"]))
    manifests.write_manifest(root / "manifest.csv", videos)
    run(
        "pipelines.preprocess",
        f"--manifest={root / 'manifest.csv'}",
        f"--output_dir={root / 'data'}",
        f"--name={_EXPERIMENT.value}{fold}",
    )
    return root / "data"


def run(*words: str) -> None:
    done = subprocess.run([sys.executable, "-m", *words], check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} failed")


def train(data: pathlib.Path, name: str) -> pathlib.Path:
    workdir = pathlib.Path(_WORKDIR.value) / f"{name}-{_CONFIG.value}"
    config = pathlib.Path(scorer.__file__).parents[1] / "configs" / _CONFIG.value
    run(
        "tfmds.train",
        f"--flagfile={config}.flags",
        f"--data_dir={data}",
        f"--workdir={workdir}",
        "--keep_epochs=1000",
        *_TRAIN_FLAGS.value,
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


def by_people(tracks: list[Track]) -> dict[str, list[Track]]:
    """Tracks of the family and of the others, none longer than the longest counted."""
    found: dict[str, list[Track]] = {}
    for track in tracks:
        family = track.row.video.group.startswith(_FAMILY.value)
        people = f"{_FAMILY.value}*" if family else "others"
        parts = {
            name: getattr(track, name)[:_MOST_CHUNKS]
            for name in ("start_seconds", "seen", "heard")
        }
        found.setdefault(people, []).append(dataclasses.replace(track, **parts))
    return found


def judge_epochs(workdir: pathlib.Path, data_dir: pathlib.Path, fold: int):
    """Results of every epoch's checkpoint of a run without fakes."""
    model, config, _ = checkpoints.load_model(workdir)
    data = DataSet.load(data_dir)
    for state in checkpoints.states(workdir):
        checkpoints.restore(workdir, model, state)
        found = by_people(mismatches.embed(model, config, data, "test"))
        for people, tracks in found.items():
            yield Result(
                _EXPERIMENT.value,
                _CONFIG.value,
                fold,
                people,
                len(tracks),
                state.step,
                *judge(tracks),
            )


def judge_drawn(workdir: pathlib.Path) -> Result:
    """The result of a run on drawn videos; `swap` is of the fakes by another voice."""
    output = workdir / "scores"
    scorer.score_data_set(workdir, _DRAWN.value, ["test"], output)
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
    return Result("drawn", _CONFIG.value, 0, "drawn", clips, step, swap, np.nan)


def plot(results: list[Result]) -> None:
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
    figure.savefig(_PLOT.value, dpi=110)


def main() -> None:
    results: list[Result] = []
    if _EXPERIMENT.value == "drawn":
        results = [judge_drawn(train(pathlib.Path(_DRAWN.value), "drawn"))]
    else:
        for fold, test in enumerate(folds()):
            data = make_data_set(fold, test)
            workdir = train(data, f"{_EXPERIMENT.value}-{fold}")
            results += judge_epochs(workdir, data, fold)
    last = max(r.step for r in results)
    print("\n| experiment | config | fold | people | clips | step | swap | shift |")
    print("|---|---|---|---|---|---|---|---|")
    for r in sorted(results, key=lambda r: (r.people, r.fold)):
        if r.step == last:
            values = dataclasses.astuple(r)
            shown = (f"{x:.3f}" if isinstance(x, float) else x for x in values)
            print("|", " | ".join(map(str, shown)), "|")
    name = f"{_EXPERIMENT.value}-{_CONFIG.value}.csv"
    with open(pathlib.Path(_WORKDIR.value) / name, "w", newline="") as f:
        writer = csv.writer(f)
        writer.writerow(field.name for field in dataclasses.fields(Result))
        writer.writerows(dataclasses.astuple(r) for r in results)
    if _PLOT.value:
        plot(results)


if __name__ == "__main__":
    app.run(main)
