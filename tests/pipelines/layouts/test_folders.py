import json

import pytest

from pipelines import layouts, manifests
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


# Sorted into folders one by one, as the reproduction's notebook does it.
ENTRIES = {
    "a.mp4": {"label": "REAL", "split": "train"},
    "b.mp4": {"label": "FAKE", "split": "train", "original": "a.mp4"},
    "c.mp4": {"label": "FAKE", "split": "train", "original": "a.mp4"},
    "d.mp4": {"label": "REAL", "split": "train"},
    "e.mp4": {"label": "FAKE", "split": "train", "original": "gone.mp4"},
    "f.mp4": {"label": "FAKE", "split": "train", "original": "gone.mp4"},
    "g.mp4": {"label": "FAKE", "split": "train", "original": "d.mp4"},
}
SORTED = (
    *("train/real/a.mp4", "train/fake/b.mp4", "test/fake/c.mp4", "test/real/d.mp4"),
    *("train/fake/e.mp4", "test/fake/f.mp4", "test/fake/g.mp4"),
)


@pytest.mark.parametrize("place", ["set", "set/train", ".", "train_sample_videos"])
def test_originals_are_the_groups_where_a_table_tells_them(tmp_path, place):
    touch(tmp_path / "set", *SORTED)
    (tmp_path / place).mkdir(exist_ok=True)
    (tmp_path / place / "metadata.json").write_text(json.dumps(ENTRIES))
    listing = layouts.read("folders", tmp_path / "set")
    group = {v.video_id: v.group for v in listing.videos}
    assert group["a"] == group["b"] == group["c"]
    assert group["e"] == group["f"]
    assert group["d"] == group["g"]
    assert len(set(group.values())) == 3
    assert "2 of 3 originals stand on both sides" in listing.notes[0]


def test_persons_and_originals_are_one_group_together(tmp_path):
    touch(tmp_path, "real/ann/a.mp4", "fake/b.mp4", "fake/ann/g.mp4", "real/d.mp4")
    (tmp_path / "metadata.json").write_text(json.dumps(ENTRIES))
    assert {v.group for v in layouts.read("folders", tmp_path).videos} == {"ann"}


def test_without_a_table_it_is_said_that_groups_are_not_known(tmp_path):
    touch(tmp_path / "set", "train/real/a.mp4", "train/fake/b.mp4", "test/fake/c.mp4")
    # Beside lies a table of something else, and one that is broken.
    touch(tmp_path, "other/metadata.json")
    (tmp_path / "metadata.json").write_text('{"z.mp4": {"original": "a.mp4"}}')
    videos, found = manifests.build("folders", tmp_path / "set", tmp_path / "m.csv")
    lines = manifests.warnings(videos, found)
    assert sum("groups are not known" in line for line in lines) == 1
    assert {v.group for v in videos} == {"a", "b", "c"}


def test_persons_in_folders_are_known_groups(tmp_path):
    touch(tmp_path, "real/ann/1.mp4", "fake/bob/2.mp4")
    assert layouts.read("folders", tmp_path).notes == []
