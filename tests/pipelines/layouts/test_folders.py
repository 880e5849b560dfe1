import pytest

from pipelines import layouts
from tfmds.common.errors import InputError


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_splits_and_labels_come_from_the_folders(tmp_path):
    touch(tmp_path, "train/real/a.mp4", "train/fake/b.AVI", "test/real/c.webm")
    touch(tmp_path, "val/fake/d.mov")
    listing = layouts.read("folders", tmp_path)
    assert {(v.path, v.split, v.label) for v in listing.videos} == {
        ("train/real/a.mp4", "train", "real"),
        ("train/fake/b.AVI", "train", "fake"),
        ("test/real/c.webm", "test", "real"),
        ("val/fake/d.mov", "validation", "fake"),
    }


def test_real_and_fake_alone_are_to_be_split(tmp_path):
    touch(tmp_path, "real/a.mp4", "fake/b.mp4")
    listing = layouts.read("folders", tmp_path)
    assert {v.split for v in listing.videos} == {""}


def test_a_folder_or_a_shared_name_is_the_group(tmp_path):
    touch(tmp_path, "real/ann/1.mp4", "fake/ann/2.mp4", "real/x.mp4", "fake/x.mp4")
    touch(tmp_path, "real/y.mp4")
    found = {v.path: v.group for v in layouts.read("folders", tmp_path).videos}
    assert found["real/ann/1.mp4"] == found["fake/ann/2.mp4"] == "ann"
    assert found["real/x.mp4"] == found["fake/x.mp4"] != found["real/y.mp4"]


def test_videos_of_the_same_name_keep_apart(tmp_path):
    touch(tmp_path, "train/real/x.mp4", "train/fake/x.mp4", "test/real/y.mp4")
    names = [v.video_id for v in layouts.read("folders", tmp_path).videos]
    assert len(set(names)) == 3
    assert not any("/" in name for name in names)


def test_other_files_are_left_out_and_said(tmp_path):
    touch(tmp_path, "real/a.mp4", "fake/b.mp4", "fake/notes.txt", "real/.hidden.mp4")
    listing = layouts.read("folders", tmp_path)
    assert len(listing.videos) == 2
    assert [path for path, _ in listing.left_out] == ["fake/notes.txt"]


def test_a_folder_without_videos_is_refused(tmp_path):
    touch(tmp_path, "real/readme.txt", "somewhere/a.mp4")
    with pytest.raises(InputError, match="no videos found; expected train/real"):
        layouts.read("folders", tmp_path)
