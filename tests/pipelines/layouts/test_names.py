"""No name in a data set's own tables, and no link, leads out of its folder."""

import json

import pytest

from pipelines import layouts
from tfmds.common.errors import InputError


def dfdc(root, name):
    (root / "metadata.json").write_text(json.dumps({name: {"label": "REAL"}}))


def fakeavceleb(root, name):
    folder, _, file = name.rpartition("/")
    (root / "meta_data.csv").write_text(
        "source,target1,target2,method,category,type,race,gender,path,\n"
        f"id1,-,-,real,A,RealVideo-RealAudio,African,men,{file},{folder}\n"
    )


def lavdf(root, name):
    entry = {"file": name, "fake_periods": [], "split": "train"}
    (root / "metadata.json").write_text(json.dumps([entry]))


def avdeepfake1m(root, name):
    entry = {"file": name, "modify_type": "real"}
    (root / "train_metadata.json").write_text(json.dumps([entry]))


TABLES = [dfdc, fakeavceleb, lavdf, avdeepfake1m]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    "name", ["../x.mp4", "a/../../../x.mp4", "/etc/x.mp4", "train/../../x.mp4", "a/.."]
)
def test_a_name_that_leads_out_is_refused(tmp_path, table, name):
    root = tmp_path / "set"
    root.mkdir()
    (tmp_path / "x.mp4").touch()
    table(root, name)
    if name.startswith("/") and table is fakeavceleb:
        # Its folders may be written with a slash: taken as one below the set's.
        (video,) = layouts.read(table.__name__, root).videos
        assert video.path == name[1:]
        return
    with pytest.raises(InputError, match="leaves its folder"):
        layouts.read(table.__name__, root)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_link_that_leads_out_is_refused(tmp_path, table, kind):
    root, outside = tmp_path / "set", tmp_path / "outside"
    (root / "train").mkdir(parents=True)
    outside.mkdir()
    (outside / "x.mp4").touch()
    link = root / "train" / ("a" if kind == "folder" else "x.mp4")
    link.symlink_to(outside if kind == "folder" else outside / "x.mp4")
    table(root, "train/a/x.mp4" if kind == "folder" else "train/x.mp4")
    with pytest.raises(InputError, match="link that leads out"):
        layouts.read(table.__name__, root)


@pytest.mark.parametrize(
    ("layout", "folder"),
    [("folders", "real"), ("deepfaketimit", "higher_quality")],
)
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_so_is_one_where_folders_are_the_table(tmp_path, layout, folder, kind):
    root, outside = tmp_path / "set", tmp_path / "outside"
    (root / folder / "ann").mkdir(parents=True)
    outside.mkdir()
    name = "sa1-video-bob.avi"
    (outside / name).touch()
    if kind == "file":
        (root / folder / "ann" / name).symlink_to(outside / name)
    else:
        (root / folder / "bob").symlink_to(outside)
    with pytest.raises(InputError, match="link that leads out"):
        layouts.read(layout, root)
