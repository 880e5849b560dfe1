"""Texts and tables as Windows, Excel and spreadsheets of any country write them."""

import codecs

import pytest

from tfmds.common import text_files
from tfmds.common.errors import InputError

TEXT = "video_id,path\nzoë,größe – 1.mp4\n"


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8", codecs.BOM_UTF8),
        ("utf-16-le", codecs.BOM_UTF16_LE),
        ("utf-16-be", codecs.BOM_UTF16_BE),
        ("utf-16-le", b""),
        ("utf-16-be", b""),
        ("utf-32-le", codecs.BOM_UTF32_LE),
        ("utf-32-be", codecs.BOM_UTF32_BE),
        ("cp1252", b""),
    ],
)
def test_a_text_is_the_same_in_every_encoding(tmp_path, encoding, mark):
    path = tmp_path / "text"
    path.write_bytes(mark + TEXT.encode(encoding))
    assert text_files.read_text(path, "a text", "") == TEXT


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"PK\x03\x04\x14\x00\x06\x00",
            "a workbook.*expected a table",
        ),
        (b"\x00\x00\x00\x18ftypmp42\x00\x00", "not a text file"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "not a text file"),
        # Another alphabet would become wrong names without a word.
        ("имя,видео.mp4".encode("cp1251"), "not a text file.*UTF-8"),
        ("名前,動画.mp4".encode("shift-jis"), "not a text file.*UTF-8"),
        (codecs.BOM_UTF16_LE + b"a", "not a text file"),
    ],
)
def test_what_is_no_text_is_one_message_with_a_hint(tmp_path, content, message):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        text_files.read_text(path, "a table", "")
    assert "Save it as text in UTF-8" in str(caught.value)


def read(tmp_path, text, numbers=()):
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode())
    return list(text_files.read_table(path, "a table", "").dicts(numbers))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", list(",;\t|"))
def test_the_separator_is_found(tmp_path, separator, end):
    rows = [["id", "note"], ["a", '"x, y; z"'], ["b", ""]]
    text = end.join(separator.join(row) for row in rows) + end
    assert read(tmp_path, text) == [
        (2, {"id": "a", "note": "x, y; z"}),
        (3, {"id": "b", "note": ""}),
    ]


def test_excels_line_about_the_separator_is_no_row(tmp_path):
    assert read(tmp_path, "sep=;\r\nid;n\r\na;1\r\n") == [(3, {"id": "a", "n": "1"})]


def test_a_decimal_comma_is_a_point_in_numbers_alone(tmp_path):
    text = 'id;mds;periods\n1,5;0,25;"1,5-3;3,25-4"\n'
    assert read(tmp_path, text, ("mds", "periods")) == [
        (2, {"id": "1,5", "mds": "0.25", "periods": "1.5-3;3.25-4"})
    ]
    # Between commas it may as well part thousands: it is left for the reader to refuse.
    assert read(tmp_path, 'id,mds\na,"1,234"\n', ("mds",))[0][1]["mds"] == "1,234"


def test_lines_and_cells_without_values_are_passed_over(tmp_path):
    assert read(tmp_path, "id,n\n,\n\na,1,,\n") == [(4, {"id": "a", "n": "1"})]


@pytest.mark.parametrize("row", ["a", "a,1,2"])
def test_a_row_of_another_width_is_named(tmp_path, row):
    with pytest.raises(InputError, match="line 2: . values, expected 2"):
        read(tmp_path, f"id,n\n{row}\n")


def test_missing_columns_are_named(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("id;n\n")
    with pytest.raises(InputError, match="lacks the columns mds; it has id, n"):
        text_files.read_table(path, "a table", "").need(("id", "mds"))
