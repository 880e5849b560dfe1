"""Makes the starter model that comes with the package, and says how good it is.

    python -m benchmarks.starter --clips=CLIPS --drawn_manifest=DEMO/manifest.csv \
        --workdir=OUT --output_dir=tfmds/starter

Trains with configs/robust.flags on the clips of the people whose group begins with
--family and on the drawn real videos. A third of the family's people, and the drawn
validation people, choose the best epoch and are not trained on. All other clips are
only scored: the threshold is chosen on them, since users' videos are rather like them,
and the two tables tell how well the people kept out, and they, are judged by it. CLIPS
and OUT are those of benchmarks.learning.
"""

import pathlib

from absl import flags

from benchmarks import learning
from tfmds.common import app
from tfmds.data import manifest as manifests

_DRAWN_MANIFEST = flags.DEFINE_string(
    "drawn_manifest", None, "Manifest of a drawn data set.", required=True
)
_NOTE = flags.DEFINE_multi_string("note", [], "What users should know.")
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Where the export goes.", required=True
)


def gather(root: pathlib.Path) -> dict[str, pathlib.Path]:
    """Copies the videos; answers a manifest of what to learn, and of what is not."""
    videos = {"data": [], "elsewhere": []}

    def add(name: str, source: pathlib.Path, split: str, group: str) -> None:
        videos[name].append(learning.copy_real(source, root, split, group))

    clips = pathlib.Path(flags.FLAGS.clips)
    files = {path.name: path for path in clips.rglob("*") if path.is_file()}
    kept_out = learning.folds()[0]
    for row in learning.read_clips():
        split = "validation" if row["file"] in kept_out else "train"
        if row["group"].startswith(flags.FLAGS.family):
            add("data", files[row["file"]], split, row["group"])
        else:
            add("elsewhere", files[row["file"]], "validation", row["group"])
    for video in manifests.read_manifest(_DRAWN_MANIFEST.value):
        if video.label == "real" and video.split != "test":
            path = manifests.resolve(_DRAWN_MANIFEST.value, video)
            add("data", pathlib.Path(path), video.split, f"drawn_{video.group}")
    for name, found in videos.items():
        manifests.write_manifest(root / f"{name}.csv", found)
    return {name: root / f"{name}.csv" for name in videos}


def main() -> None:
    root = pathlib.Path(flags.FLAGS.workdir) / "starter"
    workdir = root / "run"
    for name, manifest in gather(root).items():
        learning.run(
            "pipelines.preprocess",
            f"--manifest={manifest}",
            f"--output_dir={root / name}",
            "--name=starter",
        )
    config = pathlib.Path(app.__file__).parents[1] / "configs" / "robust.flags"
    learning.run(
        "tfmds.train",
        f"--flagfile={config}",
        f"--data_dir={root / 'data'}",
        f"--workdir={workdir}",
    )
    model, threshold = f"--model={workdir}", root / "threshold"
    learning.run(
        "tfmds.select_threshold",
        model,
        f"--data_dir={root / 'elsewhere'}",
        "--mismatches",
        f"--output_dir={threshold}",
        *(f"--note={note}" for note in _NOTE.value),
    )
    threshold = f"--threshold={threshold / 'threshold.json'}"
    for name in ("data", "elsewhere"):
        learning.run(
            "tfmds.evaluate",
            model,
            f"--data_dir={root / name}",
            threshold,
            "--mismatches",
            "--split=validation",
            f"--output_dir={root / 'results' / name}",
        )
    learning.run("tfmds.export", model, threshold, f"--output_dir={_OUTPUT_DIR.value}")


if __name__ == "__main__":
    app.run(main)
