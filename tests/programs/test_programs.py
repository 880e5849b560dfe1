"""What several programs have in common, as a user runs them."""

import pytest

from tests.conftest import assert_refused, run_program
from tfmds.data import data_set, manifest


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
