import functools
import json

import pytest

from pipelines import layouts, manifests
from tests.conftest import assert_refused, run_program
from tfmds.common.errors import InputError
from tfmds.data import manifest


@pytest.fixture
def data_set(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    entries = {}
    for person in range(8):
        entries[f"r{person}.mp4"] = {"label": "REAL"}
        entries[f"f{person}.mp4"] = {"label": "FAKE", "original": f"r{person}.mp4"}
    (folder / "metadata.json").write_text(json.dumps(entries))
    for name in entries:
        (folder / name).touch()
    return folder


@pytest.mark.parametrize("below", [True, False])
def test_the_manifest_can_be_read_and_finds_its_videos(data_set, below):
    output = (data_set if below else data_set.parent) / "manifest.csv"
    rows, _ = manifests.build("dfdc", data_set, output)
    manifest.write_manifest(output, rows)
    videos = manifest.read_manifest(output)
    assert len(videos) == 16
    assert all(manifest.resolve(output, v).exists() for v in videos)
    assert {v.split for v in videos} == {"train", "validation", "test"}


def test_a_manifest_elsewhere_is_refused_with_a_place_for_it(data_set, tmp_path):
    elsewhere = tmp_path / "elsewhere" / "manifest.csv"
    with pytest.raises(InputError, match="set/manifest.csv"):
        manifests.build("dfdc", data_set, elsewhere)


def test_an_unknown_layout_names_the_known_ones(tmp_path):
    with pytest.raises(InputError, match="'ddfc', expected one of dfdc, folders"):
        layouts.read("ddfc", tmp_path)


@pytest.mark.parametrize("name", ["faceforensics", "FaceForensics++"])
def test_faceforensics_is_refused_with_the_reason(tmp_path, name):
    with pytest.raises(InputError, match="no sound"):
        layouts.read(name, tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match="nowhere.*no such folder"):
        layouts.read("dfdc", tmp_path / "nowhere")


run = functools.partial(run_program, "pipelines.build_manifest")


def test_the_program_prints_a_table_and_warnings(data_set):
    (data_set / "f3.mp4").unlink()
    output = data_set / "manifest.csv"
    done = run("--layout=dfdc", f"--input_dir={data_set}", f"--output={output}")
    assert done.returncode == 0, done.stderr
    assert len(manifest.read_manifest(output)) == 16
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()[:4]}
    assert rows["split"] == ["real", "fake", "groups"]
    assert sum(int(rows[s][0]) for s in ("train", "validation", "test")) == 8
    assert "1 listed files are not on disk" in done.stderr
    assert "f3.mp4" in done.stderr


def test_a_dry_run_tells_of_each_video_and_writes_nothing(data_set):
    (data_set / "stray.mp4").touch()
    output = data_set / "manifest.csv"
    flags = ["--layout=dfdc", f"--input_dir={data_set}", f"--output={output}"]
    dry = run(*flags, "--dry_run")
    assert dry.returncode == 0, dry.stderr
    assert not output.exists()
    assert "left out    stray.mp4: not in metadata.json, no label" in dry.stdout
    told = {
        (words[0], words[1], words[3])
        for words in map(str.split, dry.stdout.splitlines()[:16])
    }
    rows, _ = manifests.build("dfdc", data_set, output)
    assert told == {(v.split, v.label, v.path) for v in rows}


def test_lists_are_for_dfdc_only(data_set):
    with pytest.raises(InputError, match="--train_list"):
        manifests.build("folders", data_set, data_set / "m.csv", train_list="list.txt")


def test_the_program_warns_where_a_split_lacks_a_class(tmp_path):
    for name in ("train/real/a.mp4", "train/fake/b.mp4", "test/fake/c.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    videos, found = manifests.build("folders", tmp_path, tmp_path / "m.csv")
    lines = manifests.warnings(videos, found)
    assert any(line.startswith("test has no real video") for line in lines)


def test_a_group_that_the_data_set_itself_divides_is_warned_of(tmp_path):
    for name in ("train/real/ann/a.mp4", "train/fake/bob/b.mp4", "test/fake/ann/c.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    videos, found = manifests.build("folders", tmp_path, tmp_path / "m.csv")
    assert any("ann" in line for line in manifests.warnings(videos, found))


def test_bad_input_ends_the_program_with_one_message(tmp_path):
    (tmp_path / "metadata.json").write_text('{"a.mp4": {"label": "?"}}')
    done = run(
        "--layout=dfdc", f"--input_dir={tmp_path}", f"--output={tmp_path / 'm.csv'}"
    )
    assert_refused(done, "a.mp4: the field label is '?'")
    assert not (tmp_path / "m.csv").exists()


def test_a_data_set_of_which_hardly_a_video_is_there_is_refused(tmp_path):
    names = [f"test/{i:06}.mp4" for i in range(40)]
    entries = [{"file": name, "split": "test", "fake_periods": []} for name in names]
    (tmp_path / "metadata.json").write_text(json.dumps(entries))
    (tmp_path / "LAV-DF" / "test").mkdir(parents=True)
    for name in names:
        (tmp_path / "LAV-DF" / name).touch()
    output = tmp_path / "m.csv"
    words = ["--layout=lavdf", f"--input_dir={tmp_path}", f"--output={output}"]
    assert_refused(
        run(*words),
        "0 of the 40 videos that the data set lists are on disk; expected"
        " test/000000.mp4, and so on, below it. On disk is, for one,"
        " LAV-DF/test/000000.mp4",
    )
    assert not output.exists()
    # Of a part that is there the rest are rows all the same.
    (tmp_path / "LAV-DF" / "test").rename(tmp_path / "test")
    for name in names[2:]:
        (tmp_path / name).unlink()
    _, found = manifests.build("lavdf", tmp_path, output)
    assert len(found.missing) == 38
