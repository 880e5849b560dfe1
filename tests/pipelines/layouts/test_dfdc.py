import json
import shutil
import zipfile

import hypothesis
import pytest
from etils import epath
from hypothesis import strategies as st

from pipelines import layouts, manifests
from pipelines.layouts import lists
from tfmds.common.errors import InputError


def make_part(folder, entries, missing=()):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metadata.json").write_text(json.dumps(entries))
    for name in entries:
        if name not in missing:
            (folder / name).touch()


def zip_part(archive, folder):
    """Packs a part as it is downloaded, and deletes the folder."""
    with zipfile.ZipFile(archive, "w") as packed:
        for path in sorted(folder.iterdir()):
            packed.write(path, f"{folder.name}/{path.name}")
    shutil.rmtree(folder)


def fake(original):
    return {"label": "FAKE", "split": "train", "original": original}


REAL = {"label": "REAL", "split": "train"}


def groups(listing):
    return {v.video_id: v.group for v in listing.videos}


def test_parts_are_read_together_and_one_folder_deeper(tmp_path):
    make_part(tmp_path / "dfdc_train_part_0", {"a.mp4": fake("b.mp4"), "b.mp4": REAL})
    nested = tmp_path / "dfdc_train_part_1" / "dfdc_train_part_1"
    make_part(nested, {"c.mp4": fake("b.mp4")})
    listing = layouts.read("dfdc", tmp_path)
    assert {v.path: v.label for v in listing.videos} == {
        "dfdc_train_part_0/a.mp4": "fake",
        "dfdc_train_part_0/b.mp4": "real",
        "dfdc_train_part_1/dfdc_train_part_1/c.mp4": "fake",
    }
    assert len(set(groups(listing).values())) == 1
    # "train" is said of every video of DFDC's training parts.
    assert {v.split for v in listing.videos} == {""}


def test_zipped_parts_are_read_as_they_are(tmp_path):
    whole, packed = tmp_path / "dfdc_train_part_0", tmp_path / "dfdc_train_part_1"
    make_part(whole, {"a.mp4": REAL})
    make_part(
        packed,
        {"b.mp4": fake("a.mp4"), "c.mp4": fake("a.mp4")},
        missing=["c.mp4"],
    )
    (packed / "stray.mp4").touch()
    zip_part(tmp_path / "dfdc_train_part_01.zip", packed)
    listing = layouts.read("dfdc", tmp_path)
    inner = "dfdc_train_part_01.zip/dfdc_train_part_1"
    assert {v.path: v.group for v in listing.videos} == {
        "dfdc_train_part_0/a.mp4": "a.mp4",
        f"{inner}/b.mp4": "a.mp4",
        f"{inner}/c.mp4": "a.mp4",
    }
    assert listing.missing == [f"{inner}/c.mp4"]
    assert [path for path, _ in listing.left_out] == [f"{inner}/stray.mp4"]


def test_an_archive_and_what_it_was_unpacked_to_are_one_part_too_many(tmp_path):
    for folder in ("one", "two"):
        make_part(tmp_path / folder, {"a.mp4": REAL})
    zip_part(tmp_path / "one.zip", tmp_path / "one")
    with pytest.raises(InputError, match=r"a\.mp4.*one\.zip.*twice"):
        layouts.read("dfdc", tmp_path)


@pytest.mark.parametrize("member", ["/abs/metadata.json", "../metadata.json"])
def test_a_folder_in_an_archive_does_not_lead_out_of_it(tmp_path, member):
    with zipfile.ZipFile(tmp_path / "part.zip", "w") as packed:
        packed.writestr(member, "{}")
    with pytest.raises(InputError, match=r"part\.zip.*leaves its folder"):
        layouts.read("dfdc", tmp_path)


def test_a_damaged_archive_is_named(tmp_path):
    (tmp_path / "part.zip").write_bytes(b"PK no archive")
    with pytest.raises(InputError, match=r"part\.zip.*cut short"):
        layouts.read("dfdc", tmp_path)


def with_lists(tmp_path, train, test):
    for name, names in (("train", train), ("test", test)):
        (tmp_path / f"{name}.txt").write_text("\n".join(names) + "\n")
    return manifests.build(
        "dfdc",
        tmp_path,
        tmp_path / "manifest.csv",
        train_list=tmp_path / "train.txt",
        test_list=tmp_path / "test.txt",
    )


def test_the_authors_lists_take_fakes_and_their_originals(tmp_path):
    make_part(
        tmp_path / "dfdc_train_part_3",
        {
            "a.mp4": REAL,
            "b.mp4": fake("a.mp4"),
            "c.mp4": fake("a.mp4"),
            "d.mp4": REAL,
            "e.mp4": fake("d.mp4"),
            "f.mp4": REAL,
        },
    )
    videos, found = with_lists(
        tmp_path,
        ["b.dfdc_train_part_03", "", "gone.dfdc_train_part_44"],
        ["e.mp4.dfdc_train_part_3"],
    )
    learning = {"train", "validation"}
    assert {v.video_id for v in videos if v.split in learning} == {"a", "b"}
    assert {v.video_id for v in videos if v.split == "test"} == {"d", "e"}
    assert dict(found.left_out) == {
        "dfdc_train_part_3/c.mp4": "a fake that is in neither list",
        "dfdc_train_part_3/f.mp4": "neither it nor a fake of it is in a list",
        "gone": "in --train_list but in no metadata.json",
    }


def test_lists_that_divide_the_fakes_of_one_original_do_not_divide_them_here(tmp_path):
    make_part(tmp_path, {"a.mp4": REAL, "b.mp4": fake("a.mp4"), "c.mp4": fake("a.mp4")})
    videos, found = with_lists(tmp_path, ["b"], ["c"])
    assert {v.video_id: v.split for v in videos} == {"a": "test", "c": "test"}
    assert found.left_out == [("b.mp4", "its original is that of a fake for the test")]


def test_a_list_of_something_else_is_refused_by_its_line(tmp_path):
    make_part(tmp_path, {"a.mp4": REAL})
    with pytest.raises(InputError, match=r"test\.txt, line 2: '\.\./x'"):
        with_lists(tmp_path, [], ["a", "../x"])
    with pytest.raises(InputError, match="none of the listed"):
        with_lists(tmp_path, ["b"], [])
    with pytest.raises(InputError, match=r"nowhere\.txt"):
        lists.read(tmp_path / "nowhere.txt")


def test_an_original_may_be_null_missing_or_elsewhere(tmp_path):
    entries = {
        "a.mp4": fake(None),
        "b.mp4": {"label": "FAKE"},
        "c.mp4": fake("elsewhere.mp4"),
        "d.mp4": fake("elsewhere.mp4"),
        "e.mp4": REAL,
    }
    make_part(tmp_path, entries)
    found = groups(layouts.read("dfdc", tmp_path))
    assert found["c"] == found["d"]
    assert len(set(found.values())) == 4


def test_fields_of_the_demo_data_set_are_taken(tmp_path):
    entries = {
        "a.mp4": {**REAL, "identity": "person_1"},
        "b.mp4": {
            **fake("a.mp4"),
            "identity": "person_1",
            "manipulation": "lip_sync",
            "fake_periods": [[0.5, 2]],
        },
        "c.mp4": {**REAL, "identity": "person_1"},
    }
    make_part(tmp_path, entries)
    a, b, c = layouts.read("dfdc", tmp_path).videos
    assert {a.group, b.group, c.group} == {"person_1"}
    assert b.manipulation == "lip_sync"
    assert b.fake_periods == ((0.5, 2.0),)


def test_files_that_are_not_there_are_kept_and_reported(tmp_path):
    make_part(tmp_path, {"a.mp4": REAL, "b.mp4": REAL}, missing=["b.mp4"])
    (tmp_path / "stray.mp4").touch()
    listing = layouts.read("dfdc", tmp_path)
    assert [v.path for v in listing.videos] == ["a.mp4", "b.mp4"]
    assert listing.missing == ["b.mp4"]
    assert listing.left_out[0][0] == "stray.mp4"


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"split": "train"}, "x.mp4.*label is missing"),
        ({"label": "DEEPFAKE"}, "x.mp4.*label is 'DEEPFAKE', expected.*REAL, FAKE"),
        ({"label": ["FAKE"]}, "x.mp4.*label is"),
        ({"label": "FAKE", "original": 7}, "x.mp4.*original is 7"),
        ({"label": "FAKE", "fake_periods": [[2, 1]]}, "x.mp4.*fake_periods"),
        ({"label": "FAKE", "fake_periods": 3}, "x.mp4.*fake_periods"),
        ({"label": "REAL", "fake_periods": [[0, 1]]}, "x.mp4.*REAL"),
        ("FAKE", "x.mp4.*expected an object"),
    ],
)
def test_a_bad_entry_is_refused_by_file_video_and_field(tmp_path, entry, expected):
    (tmp_path / "metadata.json").write_text(json.dumps({"x.mp4": entry}))
    with pytest.raises(InputError, match=f"metadata.json.*{expected}"):
        layouts.read("dfdc", tmp_path)


@pytest.mark.parametrize("name", ["../x.mp4", "/etc/x.mp4", "a/../../x.mp4"])
def test_a_name_that_leads_out_is_refused(tmp_path, name):
    (tmp_path / "metadata.json").write_text(json.dumps({name: REAL}))
    with pytest.raises(InputError, match="metadata.json.*leaves its folder"):
        layouts.read("dfdc", tmp_path)


def test_a_link_that_leads_out_is_refused(tmp_path):
    outside = tmp_path / "outside.mp4"
    outside.touch()
    make_part(tmp_path / "part", {"x.mp4": REAL}, missing=["x.mp4"])
    (tmp_path / "part" / "x.mp4").symlink_to(outside)
    with pytest.raises(InputError, match=r"x\.mp4.*link"):
        layouts.read("dfdc", tmp_path)


@pytest.mark.parametrize("text", ['{"a.mp4": ', "[]", '"a"'])
def test_a_damaged_metadata_file_is_named(tmp_path, text):
    (tmp_path / "metadata.json").write_text(text)
    with pytest.raises(InputError, match=r"metadata\.json"):
        layouts.read("dfdc", tmp_path)


def test_the_same_name_in_two_parts_is_refused(tmp_path):
    make_part(tmp_path / "one", {"a.mp4": REAL})
    make_part(tmp_path / "two", {"a.mp4": REAL})
    with pytest.raises(InputError, match=r"a\.mp4.*one.*twice"):
        layouts.read("dfdc", tmp_path)


def test_a_folder_without_metadata_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no metadata\.json.*dfdc_train_part_N"):
        layouts.read("dfdc", tmp_path)


@hypothesis.given(
    originals=st.lists(st.integers(0, 14), min_size=1, max_size=40),
    seed=st.integers(0, 5),
    listed=st.none() | st.tuples(*[st.lists(st.integers(0, 40), min_size=1)] * 2),
)
@hypothesis.settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
def test_a_video_its_original_and_its_fakes_are_never_divided(
    tmp_path, originals, seed, listed
):
    # Originals of originals, and originals that are not there, occur as well.
    entries = {
        f"v{n}.mp4": fake(f"v{original}.mp4") if original != n else REAL
        for n, original in enumerate(originals)
    }
    (tmp_path / "metadata.json").write_text(json.dumps(entries))
    listing = layouts.read("dfdc", epath.Path(tmp_path))
    if listed is not None:
        train, test = ([f"v{n}" for n in numbers] for numbers in listed)
        hypothesis.assume({*train, *test} & {v.video_id for v in listing.videos})
        listing = lists.apply(listing, train, test)
    videos = layouts.splits.assign(listing.videos, (0.6, 0.15, 0.25), seed)
    split = {v.path: v.split for v in videos}
    left_out = {path for path, _ in listing.left_out}
    assert set(split) | left_out >= set(entries)
    assert not set(split) & left_out
    by_original: dict[str, set[str]] = {}
    for name in split:
        original = entries[name].get("original", name)
        by_original.setdefault(original, set()).add(split[name])
        if original in split:
            by_original[original].add(split[original])
    assert all(len(found) == 1 for found in by_original.values())


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_tables_and_lists_that_windows_saved_again(tmp_path, encoding):
    part = tmp_path / "dfdc_train_part_0"
    make_part(part, {"a.mp4": fake("b.mp4"), "b.mp4": REAL})
    text = (part / "metadata.json").read_text()
    (part / "metadata.json").write_bytes(text.encode(encoding))
    (tmp_path / "train.txt").write_bytes("a.dfdc_train_part_0\r\n".encode(encoding))
    videos, _ = manifests.build(
        "dfdc", tmp_path, tmp_path / "m.csv", train_list=tmp_path / "train.txt"
    )
    assert {v.video_id: v.label for v in videos} == {"a": "fake", "b": "real"}


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_the_test_set_says_is_fake_and_the_validation_set_is_a_table(tmp_path):
    make_part(tmp_path / "train" / "dfdc_train_part_0", {"a.mp4": REAL})
    make_part(tmp_path / "test", {"b.mp4": {"is_fake": 1, "augmentations": {}}})
    touch(tmp_path, "validation/c.mp4", "validation/d.mp4")
    (tmp_path / "validation" / "labels.csv").write_text(
        "filename,label\nc.mp4,0\nd.mp4,1\n"
    )
    videos = layouts.read("dfdc", tmp_path).videos
    assert {(v.path, v.label, v.split) for v in videos} == {
        ("train/dfdc_train_part_0/a.mp4", "real", ""),
        ("test/b.mp4", "fake", "test"),
        ("validation/c.mp4", "real", "validation"),
        ("validation/d.mp4", "fake", "validation"),
    }


def test_the_test_set_alone_is_split_and_may_be_unpacked_otherwise(tmp_path):
    touch(tmp_path, "videos/a.mp4", "videos/b.mp4", "videos/stray.mp4")
    (tmp_path / "labels.csv").write_text("filename,label\na.mp4,1\nb.mp4,0\nc.mp4,0\n")
    listing = layouts.read("dfdc", tmp_path)
    found = {(v.path, v.label, v.split) for v in listing.videos}
    assert found == {
        ("videos/a.mp4", "fake", ""),
        ("videos/b.mp4", "real", ""),
        ("c.mp4", "real", ""),
    }
    assert listing.missing == ["c.mp4"]
    assert listing.left_out == [("videos/stray.mp4", "not in labels.csv, no label")]


@pytest.mark.parametrize("packed", [False, True])
def test_the_preview_states_splits_and_whose_picture_it_is(tmp_path, packed):
    entries = {
        "original_videos/12/12_A_1.mp4": {
            "label": "real", "set": "train", "target_id": "12", "swapped_id": None,
            "augmentations": [],
        },
        "method_A/12/12_34_A_1.mp4": {
            "label": "fake", "set": "train", "target_id": 12, "swapped_id": 34,
        },
        "method_B/34/34_56_B_2.mp4": {"label": "fake", "set": "test"},
    }  # fmt: skip
    folder = tmp_path / "dfdc_preview_set"
    touch(folder, *entries)
    (folder / "dataset.json").write_text(json.dumps(entries))
    if packed:
        with zipfile.ZipFile(tmp_path / "preview.zip", "w") as archive:
            for name in (*entries, "dataset.json"):
                archive.write(folder / name, f"dfdc_preview_set/{name}")
        shutil.rmtree(folder)
    listing = layouts.read("dfdc", tmp_path)
    assert listing.missing == listing.left_out == []
    assert [(v.label, v.split, v.group, v.manipulation) for v in listing.videos] == [
        ("real", "train", "12", ""),
        ("fake", "train", "12", "method_A"),
        ("fake", "test", "34", "method_B"),
    ]
    # Another layout of the same files that is widely used.
    if not packed:
        for name in entries:
            moved = folder / name.split("/")[0] / "videos" / name.rpartition("/")[2]
            moved.parent.mkdir(exist_ok=True)
            (folder / name).rename(moved)
        assert layouts.read("dfdc", tmp_path).missing == []


@pytest.mark.parametrize(
    ("table", "text", "expected"),
    [
        ("metadata.json", '{"a.mp4": {"is_fake": 2}}', "a.mp4.*is_fake is 2, expected"),
        ("labels.csv", "filename,label\na.mp4,0.5\n", "line 2: label is '0.5'"),
        ("labels.csv", "name,label\na.mp4,1\n", "lacks the columns filename"),
        ("dataset.json", '{"a.mp4": {"label": "fake"}}', "a.mp4.*field set is missing"),
    ],
)
def test_other_tables_are_checked_as_well(tmp_path, table, text, expected):
    (tmp_path / table).write_text(text)
    with pytest.raises(InputError, match=f"{table}.*{expected}"):
        layouts.read("dfdc", tmp_path)


def test_a_list_of_altered_sounds_says_which_stream_is_forged(tmp_path):
    entries = {"a.mp4": REAL, "b.mp4": fake("a.mp4"), "c.mp4": fake("a.mp4")}
    entries |= {"d.mp4": fake("a.mp4"), "e.mp4": {**fake("a.mp4"), "forged": "sound"}}
    make_part(tmp_path, entries)
    table = tmp_path / "metadata_audio_altered.csv"
    header = "train_mp4,label,original,split,audio_altered\n"
    rows = (
        "b.mp4,FAKE,a.mp4,train,True\nc.mp4,FAKE,a.mp4,train,0\na.mp4,REAL,,train,0\n"
    )
    table.write_text(header + rows)
    videos, _ = manifests.build(
        "dfdc", tmp_path, tmp_path / "m.csv", audio_altered=table
    )
    assert {v.video_id: v.forged for v in videos} == {
        "a": "", "b": "both", "c": "picture", "d": "", "e": "sound",
    }  # fmt: skip
    table.write_text(header + "b.mp4,FAKE,a.mp4,train,maybe\n")
    with pytest.raises(InputError, match="line 2: audio_altered is 'maybe'"):
        manifests.build("dfdc", tmp_path, tmp_path / "m.csv", audio_altered=table)
    with pytest.raises(InputError, match="audio_altered are DFDC's"):
        manifests.build("lavdf", tmp_path, tmp_path / "m.csv", audio_altered=table)


def test_a_real_video_is_not_forged(tmp_path):
    make_part(tmp_path, {"a.mp4": {**REAL, "forged": "sound"}})
    with pytest.raises(InputError, match="a.mp4: a REAL video has the field forged"):
        layouts.read("dfdc", tmp_path)


def test_the_csv_files_of_the_public_code_are_lists(tmp_path):
    entries = {"a.mp4": REAL, "b.mp4": fake("a.mp4"), "c.mp4": REAL, "d.mp4": REAL}
    make_part(tmp_path / "dfdc_train_part_0", {**entries, "e.mp4": fake("c.mp4")})
    chunk = "./train/pytmp/{1}/{0}/0000{2},./train/pytmp/{1}/{0}/0000{2}.wav,{1}"
    videos, _ = with_lists(
        tmp_path,
        [chunk.format("b", "fake", k) for k in range(3)]
        + [chunk.format("a", "real", 0)],
        [chunk.format("e", "fake", 1).replace("/", "\\")],
    )
    assert {v.video_id for v in videos if v.split == "test"} == {"c", "e"}
    assert {v.video_id for v in videos} == {"a", "b", "c", "e"}
