import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from benchmarks import streams
from tfmds import spec
from tfmds.common.errors import InputError
from tfmds.data import manifest
from tfmds.data.manifest import Video
from tfmds.evaluation.scores import VideoScores, texts

KINDS = ["", "", "", "face_swap", "face_swap", "lip_sync"] * 5


@pytest.fixture
def scored():
    """Six videos of each of five people."""
    count, rng = len(KINDS), np.random.default_rng(0)
    return VideoScores(
        video_id=texts([f"v{i}" for i in range(count)]),
        label=np.array([spec.FAKE if kind else spec.REAL for kind in KINDS], np.int8),
        split=texts(["test"] * count),
        group=texts([f"p{i // 6}" for i in range(count)]),
        manipulation=texts(KINDS),
        status=texts([spec.OK] * count),
        chunks=np.ones(count, np.int64),
        scores={name: rng.uniform(size=count) for name in ("visual", "mds")},
    )


@pytest.mark.parametrize("kind", ["face_swap", "lip_sync"])
def test_each_kind_of_fake_is_judged_against_all_reals(scored, kind):
    judged = streams.judge(scored)[kind]
    mask = np.array([k in ("", kind) for k in KINDS])
    assert (judged.fakes, judged.reals, judged.people) == (KINDS.count(kind), 15, 5)
    for name, values in scored.scores.items():
        expected = roc_auc_score(np.array(KINDS)[mask] != "", values[mask])
        assert judged.values[name] == pytest.approx(expected)
        low, high = np.quantile(judged.draws[name], [0.025, 0.975])
        assert low < expected < high


def test_a_model_differs_from_itself_by_nothing_whoever_is_drawn(scored):
    judged = streams.judge(scored)["face_swap"]
    assert judged.cells(judged) == "10 / 15 | 0.00 | - | 0.00"


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


def test_clips_to_judge_are_those_of_the_index_and_fakes_are_of_two_kinds(
    tmp_path, monkeypatch
):
    clips = tmp_path / "clips"
    (clips / "more").mkdir(parents=True)
    rows = ["file,label,group,use", "a.mp4,real,p1,judge", "b.mp4,real,p2,train"]
    rows += ["dfdc_x.mp4,fake,p3,judge", "talk.mp4,fake,p4,judge"]
    (clips / "INDEX.csv").write_text("\n".join(rows))
    for name in ("a.mp4", "b.mp4", "dfdc_x.mp4", "more/talk.mp4"):
        (clips / name).touch()
    monkeypatch.setattr(streams, "preprocess", lambda *_: None)
    config = streams.StreamsConfig(workdir=str(tmp_path), clips=str(clips))
    streams.judged_clips(config, tmp_path / "out")
    videos = manifest.read_manifest(tmp_path / "out" / "manifest.csv")
    kinds = {video.video_id: video.manipulation for video in videos}
    assert kinds == {"a.mp4": "", "dfdc_x.mp4": "face_swap", "talk.mp4": "generated"}
    assert all((tmp_path / "out" / video.path).exists() for video in videos)
