"""Sets of cut faces, with empty files."""

import pytest

from pipelines import layouts
from tfmds.common.errors import InputError


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def by_path(listing):
    return {video.path: video for video in listing.videos}


TABLE = """file,label,group,split,manipulation
a/1.jpg,real,anna,train,
a/2.png,fake,anna,train,swap
b.jpg,fake,ben,test,
c.mp4,real,cy,,
"""


def test_a_table_names_faces(tmp_path):
    (tmp_path / "faces.csv").write_text(TABLE)
    touch(tmp_path, "a/1.jpg", "a/2.png")
    listing = layouts.read("faces", tmp_path)
    found = by_path(listing)
    assert [found[name].label for name in sorted(found)] == ["real", "fake", "fake"]
    fake = found["a/2.png"]
    assert (fake.group, fake.split) == ("anna", "train")
    assert (fake.manipulation, fake.forged) == ("swap", "picture")
    assert found["a/1.jpg"].forged == ""
    assert listing.missing == ["b.jpg"]
    assert listing.left_out == [("c.mp4", "not a picture")]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("manipulation", "method", "unknown columns method, expected file, label"),
        ("file,", "name,", "lacks the columns file"),
        ("1.jpg,real", "1.jpg,genuine", "line 2: the field label is 'genuine'"),
        ("anna,train,swap", "anna,dev,swap", "line 3: the field split is 'dev'"),
        ("fake,ben", "fake,", "line 4: the field group is missing"),
        ("b.jpg", "../b.jpg", "leaves its folder"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(tmp_path, old, new, expected):
    (tmp_path / "faces.csv").write_text(TABLE.replace(old, new, 1))
    with pytest.raises(InputError, match=expected):
        layouts.read("faces", tmp_path)


def test_folders_name_people_or_pictures(tmp_path):
    touch(tmp_path, "real/anna/1.jpg", "real/x.jpg", "fake/anna/2.jpg", "fake/note.txt")
    listing = layouts.read("faces", tmp_path)
    groups = {name: video.group for name, video in by_path(listing).items()}
    assert groups == {
        "real/anna/1.jpg": "anna",
        "real/x.jpg": "x",
        "fake/anna/2.jpg": "anna",
    }
    assert listing.left_out == [("fake/note.txt", "not a picture")]


def test_a_folder_without_faces_is_refused(tmp_path):
    (tmp_path / "real").mkdir()
    with pytest.raises(InputError, match="real/ and fake/ hold no pictures of faces"):
        layouts.read("faces", tmp_path)


def test_dfdc_is_split_by_its_parts(tmp_path):
    (tmp_path / "metadata.csv").write_text(
        "videoname,original_width,original_height,label,original\n"
        "aa.mp4,90,90,FAKE,bb.mp4\nbb.mp4,90,90,REAL,NaN\n"
        "cc.mp4,90,90,REAL,NaN\ndd.mp4,90,90,REAL,NaN\n"
    )
    (tmp_path / "dfdc-parts.csv").write_text("name,part\naa,7\nbb,7\ncc,10\n")
    touch(tmp_path, *(f"faces_224/{stem}.jpg" for stem in ("aa", "bb", "cc", "dd")))
    listing = layouts.read("faces_dfdc", tmp_path)
    found = {v.video_id: (v.label, v.group, v.split) for v in listing.videos}
    assert found == {
        "aa": ("fake", "part_07", ""),
        "bb": ("real", "part_07", ""),
        "cc": ("real", "part_10", "test"),
    }
    assert listing.left_out == [
        ("faces_224/dd.jpg", "its part is not in dfdc-parts.csv")
    ]
    (tmp_path / "dfdc-parts.csv").unlink()
    with pytest.raises(InputError, match="names the part"):
        layouts.read("faces_dfdc", tmp_path)


def test_celebdf_and_faceforensics_are_judged_by(tmp_path):
    celebdf, ff = tmp_path / "celebdf", tmp_path / "ff"
    touch(celebdf, "real/id3_0001_frame_2_face_0.jpg")
    touch(celebdf, "df/id3_id16_0001_frame_2_face_0.jpg")
    touch(ff, "image/train/youtube/roi_1.jpg", "image/test/FaceSwap/roi_1.jpg")
    for folder in ("train", "test"):
        for kind in ("youtube", "Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures"):
            (ff / "image" / folder / kind).mkdir(parents=True, exist_ok=True)
    found = layouts.read("faces_celebdf", celebdf).videos
    assert {(v.label, v.group, v.split) for v in found} == {
        ("real", "id3", "test"),
        ("fake", "id3", "test"),
    }
    found = layouts.read("faces_faceforensics", ff).videos
    assert {(v.label, v.manipulation, v.split) for v in found} == {
        ("real", "", "test"),
        ("fake", "FaceSwap", "test"),
    }
    assert len({v.video_id for v in found}) == 2
