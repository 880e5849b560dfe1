"""Fixtures in the true layouts of the sets, with empty files."""

import json

import pytest

from pipelines import layouts
from tfmds.common.errors import InputError

FAKEAVCELEB = """source,target1,target2,method,category,type,race,gender,path,
id00076,-,-,real,A,RealVideo-RealAudio,African,men,00109.mp4,FakeAVCeleb/RealVideo-RealAudio/African/men/id00076
id00076,id00166,-,wav2lip,D,FakeVideo-FakeAudio,African,men,00109_w.mp4,FakeAVCeleb/FakeVideo-FakeAudio/African/men/id00076
id00166,-,-,rtvc,B,RealVideo-FakeAudio,African,men,00010_fake.mp4,FakeAVCeleb/RealVideo-FakeAudio/African/men/id00166
id00166,id00076,-,fsgan,C,FakeVideo-RealAudio,African,men,00010_f.mp4,FakeAVCeleb/FakeVideo-RealAudio/African/men/id00166
id00166,id00076,-,fsgan,C,FakeVideo-RealAudio,African,men,00010_f.mp4,FakeAVCeleb/FakeVideo-RealAudio/African/men/id00166
"""


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_fakeavceleb(tmp_path):
    (tmp_path / "meta_data.csv").write_text(FAKEAVCELEB)
    real = "RealVideo-RealAudio/African/men/id00076/00109.mp4"
    touch(tmp_path, real)
    listing = layouts.read("fakeavceleb", tmp_path)
    found = {v.path: v for v in listing.videos}
    assert len(found) == 4
    assert (found[real].label, found[real].group) == ("real", "id00076")
    assert real not in listing.missing
    assert len(listing.missing) == 3
    assert [v.label for v in listing.videos].count("fake") == 3
    voice = found["RealVideo-FakeAudio/African/men/id00166/00010_fake.mp4"]
    assert voice.manipulation == "audio_swap:rtvc"
    assert [reason for _, reason in listing.left_out] == ["in the table twice"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("source,", "person,", "lacks the columns source; it has person"),
        ("real,A,", "real,Z,", "line 2: the field category is 'Z'"),
        ("FakeAVCeleb/RealVideo-RealAudio", "../..", "line 2.*leaves its folder"),
    ],
)
def test_fakeavceleb_names_what_it_cannot_read(tmp_path, old, new, expected):
    (tmp_path / "meta_data.csv").write_text(FAKEAVCELEB.replace(old, new, 1))
    with pytest.raises(InputError, match=expected):
        layouts.read("fakeavceleb", tmp_path)


LAVDF = [
    {
        "file": "test/000000.mp4",
        "n_fakes": 1,
        "fake_periods": [[4.8, 5.1]],
        "duration": 8.6,
        "original": "train/000009.mp4",
        "modify_video": True,
        "modify_audio": True,
        "split": "train",
        "video_frames": 215,
        "audio_channels": 1,
    },
    {
        "file": "train/000009.mp4",
        "n_fakes": 0,
        "fake_periods": [],
        "original": None,
        "modify_video": False,
        "modify_audio": False,
        "split": "train",
    },
    {"file": "dev/000002.mp4", "fake_periods": [], "original": None, "split": "dev"},
]


@pytest.mark.parametrize("name", ["metadata.json", "metadata.min.json"])
def test_lavdf(tmp_path, name):
    (tmp_path / name).write_text(json.dumps(LAVDF))
    fake, real, other = layouts.read("lavdf", tmp_path).videos
    assert fake.label == "fake"
    assert fake.fake_periods == ((4.8, 5.1),)
    assert fake.manipulation == "video+audio"
    assert fake.group == real.group != other.group
    assert (real.label, real.split) == ("real", "train")
    assert other.split == "validation"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"split": "valid"}, "test/000000.mp4: the field split is 'valid'"),
        ({"file": None}, "entry 0: the field file is missing"),
        ({"fake_periods": [[1]]}, "field fake_periods"),
        ({"file": "../../x.mp4"}, "leaves its folder"),
    ],
)
def test_lavdf_names_what_it_cannot_read(tmp_path, change, expected):
    (tmp_path / "metadata.json").write_text(json.dumps([{**LAVDF[0], **change}]))
    with pytest.raises(InputError, match=expected):
        layouts.read("lavdf", tmp_path)


def test_avdeepfake1m(tmp_path):
    clip = "id00012/21Uxsk56VDQ/00001"
    real = {"file": f"{clip}/real.mp4", "original": None, "modify_type": "real"}
    fake = {
        "file": f"{clip}/fake_video_fake_audio.mp4",
        "original": f"{clip}/real.mp4",
        "split": "train",
        "modify_type": "both-modified",
        "fake_segments": [[1.0, 1.4]],
        "audio_fake_segments": [[1.0, 1.4]],
        "visual_fake_segments": [[1.0, 1.4]],
    }
    (tmp_path / "train_metadata.json").write_text(json.dumps([real, fake]))
    (tmp_path / "val_metadata.json").write_text(
        json.dumps([{**real, "file": "id2/x/00001/real.mp4"}])
    )
    touch(tmp_path, f"train/{clip}/real.mp4")
    listing = layouts.read("avdeepfake1m", tmp_path)
    first, second, third = listing.videos
    assert first.path == f"train/{clip}/real.mp4"
    assert first.path not in listing.missing
    assert first.group == second.group != third.group
    assert second.fake_periods == ((1.0, 1.4),)
    assert [v.split for v in listing.videos] == ["train", "train", "validation"]


def test_avdeepfake1m_names_what_it_cannot_read(tmp_path):
    entry = {"file": "a.mp4", "modify_type": "odd"}
    (tmp_path / "val_metadata.json").write_text(json.dumps([entry]))
    with pytest.raises(InputError, match="a.mp4: the field modify_type is 'odd'"):
        layouts.read("avdeepfake1m", tmp_path)


def test_deepfaketimit(tmp_path):
    touch(
        tmp_path,
        "higher_quality/fadg0/sa1-video-fram1.avi",
        "higher_quality/fadg0/sa1-video-fram1.wav",
        "lower_quality/fadg0/sa1-video-fram1.avi",
        "real/fadg0/sa1.avi",
    )
    listing = layouts.read("deepfaketimit", tmp_path)
    assert sorted((v.label, v.manipulation) for v in listing.videos) == [
        ("fake", "face_swap_hq"),
        ("fake", "face_swap_lq"),
        ("real", ""),
    ]
    assert {v.group for v in listing.videos} == {"fadg0"}
    assert len({v.video_id for v in listing.videos}) == 3
    assert not listing.left_out


@pytest.mark.parametrize(
    "layout", ["fakeavceleb", "lavdf", "avdeepfake1m", "deepfaketimit"]
)
def test_an_empty_folder_is_refused(tmp_path, layout):
    with pytest.raises(InputError, match=str(tmp_path)):
        layouts.read(layout, tmp_path)


def test_fakeavceleb_as_a_spreadsheet_of_another_country_writes_it(tmp_path):
    table = FAKEAVCELEB.replace(",", ";").replace("\n", "\r\n")
    (tmp_path / "meta_data.csv").write_bytes(table.encode("utf-8-sig"))
    semicolons = layouts.read("fakeavceleb", tmp_path)
    (tmp_path / "meta_data.csv").write_text(FAKEAVCELEB)
    assert semicolons == layouts.read("fakeavceleb", tmp_path)


def test_people_of_fakeavceleb_who_lent_a_face_are_told(tmp_path):
    table = tmp_path / "meta_data.csv"
    table.write_text(FAKEAVCELEB)
    (note,) = layouts.read("fakeavceleb", tmp_path).notes
    # The same video twice counts once.
    assert note.startswith("2 of 4 videos have face or voice of a second person")
    alone = [r for r in FAKEAVCELEB.splitlines(True) if ",-,-," in r or "source" in r]
    table.write_text("".join(alone))
    assert not layouts.read("fakeavceleb", tmp_path).notes


def forged(layout, folder):
    return {(v.manipulation, v.forged) for v in layouts.read(layout, folder).videos}


def test_each_set_says_which_stream_is_forged(tmp_path):
    folders = {name: tmp_path / name for name in ("fakeavceleb", "lavdf", "avd")}
    for folder in folders.values():
        folder.mkdir()
    (folders["fakeavceleb"] / "meta_data.csv").write_text(FAKEAVCELEB)
    assert forged("fakeavceleb", folders["fakeavceleb"]) == {
        ("", ""),
        ("audio_swap:rtvc", "sound"),
        ("face_swap:fsgan", "picture"),
        ("lip_sync+audio_swap:wav2lip", "both"),
    }
    entries = [
        {**LAVDF[0], "file": f"{picture}{sound}.mp4", "modify_video": picture,
         "modify_audio": sound, "fake_periods": [[0, 1]] if picture or sound else []}
        for picture in (True, False) for sound in (True, False)
    ]  # fmt: skip
    (folders["lavdf"] / "metadata.json").write_text(json.dumps(entries))
    assert forged("lavdf", folders["lavdf"]) == {
        ("", ""),
        ("video", "picture"),
        ("audio", "sound"),
        ("video+audio", "both"),
    }
    kinds = ("real", "visual_modified", "audio_modified", "both_modified")
    entries = [
        {"file": f"{kind}.mp4", "modify_type": kind, "fake_segments": [[0, 1]]}
        for kind in (*kinds, "both-modified")
    ]
    (folders["avd"] / "train_metadata.json").write_text(json.dumps(entries))
    assert forged("avdeepfake1m", folders["avd"]) == {
        ("", ""),
        ("video", "picture"),
        ("audio", "sound"),
        ("video+audio", "both"),
    }
    touch(tmp_path / "timit", "higher_quality/a/1-video-b.avi", "real/a/1.avi")
    assert forged("deepfaketimit", tmp_path / "timit") == {
        ("", ""),
        ("face_swap_hq", "picture"),
    }


def test_videos_on_disk_that_no_table_names_are_left_out_in_any_layout(tmp_path):
    avd, timit = tmp_path / "avd", tmp_path / "timit"
    for folder in (tmp_path / "lavdf", tmp_path / "fake", avd, timit):
        folder.mkdir()
        touch(folder, "elsewhere/stray.mp4", "elsewhere/notes.txt", ".hidden/x.mp4")
    (tmp_path / "lavdf" / "metadata.json").write_text(json.dumps(LAVDF))
    touch(tmp_path / "lavdf", *(fields["file"] for fields in LAVDF))
    (tmp_path / "fake" / "meta_data.csv").write_text(FAKEAVCELEB)
    entry = {"file": "a/real.mp4", "modify_type": "real"}
    (avd / "train_metadata.json").write_text(json.dumps([entry]))
    touch(timit, "higher_quality/fadg0/sa1-video-fram1.avi")
    for layout, folder, table in (
        ("lavdf", tmp_path / "lavdf", "metadata.json"),
        ("fakeavceleb", tmp_path / "fake", "meta_data.csv"),
        ("avdeepfake1m", avd, "train_metadata"),
        ("deepfaketimit", timit, "its folders"),
    ):
        # Links that lead back are not followed round and round.
        (folder / "elsewhere" / "above").symlink_to(folder)
        left_out = dict(layouts.read(layout, folder).left_out)
        reason = left_out.pop("elsewhere/stray.mp4")
        assert table in reason
        assert set(left_out.values()) <= {"in the table twice"}


def test_what_lavdf_calls_modified_is_fake_though_it_names_no_periods(tmp_path):
    changes = (
        {"modify_video": True, "modify_audio": False},
        {"modify_video": False, "modify_audio": True},
        {"modify_video": False, "modify_audio": False, "n_fakes": 1},
        {"modify_video": False, "modify_audio": False},
    )
    entries = [
        {**LAVDF[1], "file": f"train/{i}.mp4", **change}
        for i, change in enumerate(changes)
    ]
    (tmp_path / "metadata.json").write_text(json.dumps(entries))
    found = layouts.read("lavdf", tmp_path)
    assert [video.label for video in found.videos] == ["fake"] * 3 + ["real"]
    assert [video.forged for video in found.videos] == ["picture", "sound", "", ""]
    assert [video.fake_periods for video in found.videos] == [()] * 4
    (note,) = found.notes
    assert note.startswith("of 3 fakes the list has no fake_periods")


def test_avdeepfake1m_with_a_json_a_video(tmp_path):
    clip = "id06744/a/00011"
    for name, kind in (("real", "real"), ("fake", "audio_modified")):
        entry = tmp_path / "train_metadata" / clip / f"{name}.json"
        entry.parent.mkdir(parents=True, exist_ok=True)
        fields = {
            "file": f"{clip}/{name}.mp4",
            "original": None if kind == "real" else f"{clip}/real.mp4",
            "modify_type": kind,
            "fake_segments": [] if kind == "real" else [[1.0, 1.4]],
        }
        entry.write_text(json.dumps(fields))
    touch(tmp_path, f"train/{clip}/real.mp4")
    found = layouts.read("avdeepfake1m", tmp_path)
    fake, real = found.videos
    assert (fake.label, fake.fake_periods) == ("fake", ((1.0, 1.4),))
    assert (real.label, real.path) == ("real", f"train/{clip}/real.mp4")
    assert fake.group == real.group
    assert found.missing == [f"train/{clip}/fake.mp4"]
    (tmp_path / "train_metadata" / clip / "real.json").write_text("[]")
    with pytest.raises(InputError, match=r"real\.json: expected an object"):
        layouts.read("avdeepfake1m", tmp_path)


def test_fakeavceleb_saved_anew_on_windows(tmp_path):
    real = "RealVideo-RealAudio/African/men/id00076/00109.mp4"
    touch(tmp_path, real)
    table = FAKEAVCELEB.replace("/", "\\").replace("\n", "\r\n")
    numbered = "".join(
        f"{'' if i == 0 else i - 1},{line}{'Unnamed: 9' if i == 0 else ''}\n"
        for i, line in enumerate(FAKEAVCELEB.splitlines())
    )
    renamed = FAKEAVCELEB.replace("path,\n", "filename,path\n")
    for text in (table, numbered, renamed):
        (tmp_path / "meta_data.csv").write_bytes(text.encode())
        found = layouts.read("fakeavceleb", tmp_path)
        assert [video.path for video in found.videos][0] == real
        assert real not in found.missing
        assert len(found.videos) == 4
