import pytest

from tfmds.common.errors import InputError
from tfmds.data import manifest
from tfmds.data.manifest import Video

VIDEOS = [
    Video("a", "a.mp4", "real", "train", "g1"),
    Video("b", "b.mp4", "fake", "train", "g1", "swap", ((0.0, 2.0),)),
    Video("zoë", "d.mp4", "fake", "test", "g3", "swap", ((1.5, 3.0), (3.2, 4.0))),
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
    assert manifest.read_manifest(path) == VIDEOS


def test_the_line_of_a_wrong_value_is_that_of_the_file(tmp_path):
    path = tmp_path / "manifest.csv"
    manifest.write_manifest(path, VIDEOS)
    path.write_text(path.read_text().replace("\nb,", "\n\nb,").replace("0-2", "2-0"))
    with pytest.raises(InputError, match="line 4: fake_periods is '2-0'"):
        manifest.read_manifest(path)
