import pytest

from benchmarks import streams
from tfmds.common.errors import InputError
from tfmds.data import manifest
from tfmds.data.manifest import Video


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
