from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from benchmarks import streams
from tfmds.common.errors import InputError
from tfmds.data import manifest
from tfmds.data.manifest import Video

KINDS = ["", "", "", "face_swap", "face_swap", "lip_sync"] * 5


@pytest.fixture
def scored(monkeypatch):
    """Scores of six videos of each of five people."""
    rows = []
    for i, kind in enumerate(KINDS):
        label = "fake" if kind else "real"
        video = Video(f"v{i}", "", label, "test", f"p{i // 6}", manipulation=kind)
        rows.append(SimpleNamespace(video=video))
    rng = np.random.default_rng(0)
    found = {name: rng.uniform(size=len(rows)) for name in ("visual", "audio")}
    monkeypatch.setattr(streams, "score", lambda *_: (rows, found))
    return found


@pytest.mark.parametrize("kind", ["face_swap", "lip_sync"])
def test_each_kind_of_fake_is_judged_against_all_reals(scored, kind):
    judged = streams.judge("run", "data", ["test"])[kind]
    mask = np.array([k in ("", kind) for k in KINDS])
    assert (judged.fakes, judged.reals, judged.people) == (KINDS.count(kind), 15, 5)
    for name, values in scored.items():
        expected = roc_auc_score(np.array(KINDS)[mask] != "", values[mask])
        assert judged.values[name] == pytest.approx(expected)
        low, high = np.quantile(judged.draws[name], [0.025, 0.975])
        assert low < expected < high


def test_a_model_differs_from_itself_by_nothing_whoever_is_drawn(scored):
    first = streams.judge("run", "data", ["test"])["face_swap"]
    again = streams.judge("run", "data", ["test"])["face_swap"]
    assert first.cells(again) == "10 / 15 | 0.00 | 0.00"


def test_networks_of_reals_see_no_fakes_and_no_one_to_test(tmp_path, monkeypatch):
    videos = [
        Video(f"{split}{label}", "v.mp4", label, split)
        for split in ("train", "validation", "test")
        for label in ("real", "fake")
    ]
    manifest.write_manifest(tmp_path / "manifest.csv", videos)
    made = []
    monkeypatch.setattr(streams, "preprocess", lambda table, _: made.append(table))
    streams.reals_of(tmp_path / "manifest.csv", tmp_path / "data")
    names = [video.video_id for video in manifest.read_manifest(made[0])]
    assert names == ["trainreal", "validationreal"]


def test_clips_to_judge_need_what_was_learned_of_others(tmp_path):
    config = streams.StreamsConfig(workdir=str(tmp_path), clips=str(tmp_path))
    with pytest.raises(InputError, match="both or neither"):
        streams.main(config)
