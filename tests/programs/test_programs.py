"""The programs as a user runs them, from videos to a verdict."""

import json
import pathlib

import pytest

from tests.conftest import assert_refused, run_program
from tfmds.data import data_set, manifest


@pytest.fixture(scope="module")
def trained(demo_dir, tmp_path_factory):
    root = tmp_path_factory.mktemp("programs")
    flagfile = pathlib.Path(__file__).parents[2] / "tfmds" / "configs" / "demo.flags"
    done = run_program(
        "tfmds.train",
        f"--flagfile={flagfile}",
        "--epochs=1",
        "--steps_per_epoch=4",
        f"--data_dir={demo_dir / 'data'}",
        f"--workdir={root / 'run'}",
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return root


@pytest.mark.slow
def test_from_a_run_to_a_verdict(demo_dir, trained):
    model = [f"--model={trained / 'run'}", f"--data_dir={demo_dir / 'data'}"]
    steps = (
        ["tfmds.select_threshold", *model, "--split=validation"],
        ["tfmds.evaluate", *model, f"--threshold={trained / 'threshold.json'}"],
    )
    for words in steps:
        done = run_program(*words, f"--output_dir={trained}")
        assert done.returncode == 0, done.stderr[-2000:]
    metrics = json.loads((trained / "metrics.json").read_text())
    assert 0 <= metrics["metrics"]["videos/auc"]["value"] <= 1
    done = run_program(
        "tfmds.export",
        f"--model={trained / 'run'}",
        f"--threshold={trained / 'threshold.json'}",
        f"--output_dir={trained / 'export'}",
    )
    assert done.returncode == 0, done.stderr[-2000:]
    video = next(iter((demo_dir / "videos").glob("*.mp4")))
    done = run_program("tfmds.detect", f"--model={trained / 'export'}", str(video))
    assert done.returncode in (0, 1), done.stderr[-2000:]
    assert done.stdout.splitlines()[1].split()[0] in ("real", "fake")


def test_every_video_of_the_manifest_has_a_row(demo_dir):
    rows = data_set.DataSet.load(demo_dir / "data").videos()
    videos = manifest.read_manifest(demo_dir / "manifest.csv")
    assert [row.video for row in rows] == videos
    assert {row.status for row in rows} == {"ok"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["tfmds.evaluate", "--model={tmp}", "--data_dir={data}"], "not a model"),
        (["tfmds.train", "--data_dir={tmp}", "--workdir={tmp}/run"], "no data set"),
        (
            ["pipelines.preprocess", "--manifest={tmp}/none.csv", "--name=x"],
            "there is no such file, expected a manifest",
        ),
        (
            ["pipelines.build_manifest", "--layout=cinema", "--input_dir={tmp}"],
            "cinema",
        ),
    ],
)
def test_bad_input_gets_one_message(demo_dir, tmp_path, words, message):
    words = [w.format(tmp=tmp_path, data=demo_dir / "data") for w in words]
    if not words[0].endswith("train"):
        name = "output" if "manifest" in words[0] else "output_dir"
        words.append(f"--{name}={tmp_path / 'out'}")
    done = run_program(*words)
    assert_refused(done, message)
