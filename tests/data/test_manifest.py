import pytest

from tfmds.common.errors import InputError
from tfmds.data import manifest
from tfmds.data.manifest import Video

VIDEOS = [
    Video("a", "a.mp4", "real", "train", "g1"),
    Video("b", "b.mp4", "fake", "train", "g1", "swap", ((0.0, 2.0),)),
    Video("zoë", "d.mp4", "fake", "test", "g3", "swap", ((1.5, 3.0), (3.2, 4.0))),
    Video("e", "e.mp4", "fake", "test", "g3", "swap", (), "sound"),
]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("separator", [",", "\t"])
def test_a_manifest_is_read_as_any_program_writes_it(tmp_path, separator, encoding):
    path = tmp_path / "manifest.csv"
    manifest.write_manifest(path, VIDEOS)
    text = path.read_text().replace(",", separator).replace("\n", "\r\n")
    path.write_bytes(text.encode(encoding))
    assert manifest.read_manifest(path) == VIDEOS


def test_semicolons_and_decimal_commas(tmp_path):
    path = tmp_path / "manifest.csv"
    path.write_text(
        "video_id;path;label;split;group;manipulation;fake_periods\n"
        "a;a.mp4;real;train;g1;;\n"
        "b;b.mp4;fake;train;g1;swap;0-2\n"
        'zoë;d.mp4;fake;test;g3;swap;"1,5-3;3,2-4"\n'
    )
    assert manifest.read_manifest(path) == VIDEOS[:3]


def test_the_line_of_a_wrong_value_is_that_of_the_file(tmp_path):
    path = tmp_path / "manifest.csv"
    manifest.write_manifest(path, VIDEOS)
    path.write_text(path.read_text().replace("\nb,", "\n\nb,").replace("0-2", "2-0"))
    with pytest.raises(InputError, match="line 4: fake_periods is '2-0'"):
        manifest.read_manifest(path)


def test_a_manifest_from_before_forged_is_read(tmp_path):
    path = tmp_path / "manifest.csv"
    manifest.write_manifest(path, VIDEOS[:3])
    lines = [line.rpartition(",")[0] for line in path.read_text().splitlines()]
    assert lines[0].endswith("fake_periods")
    path.write_text("\n".join(lines))
    assert manifest.read_manifest(path) == VIDEOS[:3]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,a.mp4,fake,test,g,,,voice", "forged is 'voice', expected one of picture"),
        ("a,a.mp4,real,test,g,,,sound", "line 2: a real video is forged=sound"),
    ],
)
def test_what_is_forged_is_checked(tmp_path, row, message):
    path = tmp_path / "manifest.csv"
    path.write_text(",".join(manifest.COLUMNS) + f"\n{row}\n")
    with pytest.raises(InputError, match=message):
        manifest.read_manifest(path)


def test_periods_of_any_size_are_read_back(tmp_path):
    periods = ((0.00002, 0.4), (12345.678901, 12345.7))
    video = Video("a", "a.mp4", "fake", "train", "g", "x", periods)
    nothing = Video("b", "b.mp4", "fake", "train", "g", "x", ((1.0, 1.0000001),))
    manifest.write_manifest(tmp_path / "m.csv", [video, nothing])
    read = manifest.read_manifest(tmp_path / "m.csv")
    assert read[0] == video
    assert read[1].fake_periods == ((1.0, 1.000001),)


def test_a_name_that_is_no_text_is_refused_and_nothing_is_written(tmp_path):
    video = Video("a", "caf\udce9.mp4", "real", "train", "g")
    with pytest.raises(InputError, match=r"caf.*is no UTF-8"):
        manifest.write_manifest(tmp_path / "m.csv", [video])
    assert not list(tmp_path.iterdir())
