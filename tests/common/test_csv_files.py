"""Tables are UTF-8 whatever files are called, and the names can be found again."""

import csv
import os
import random

import pytest

from tfmds.common import csv_files, text_files


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"clip.mp4", "clip.mp4"),
        ("größe 1.mp4".encode(), "größe 1.mp4"),
        (b"latin\xe9.mp4", r"latin\xe9.mp4"),
        (b"a\\b.mp4", r"a\b.mp4"),
        (b"C:\\x64\\a.mp4", r"C:\x64\a.mp4"),
        # As it stands it would be the third one.
        (rb"latin\xe9.mp4", r"latin\x5cxe9.mp4"),
        (b"\\\xff", r"\x5c\xff"),
    ],
)
def test_a_name_stands_as_text_from_which_it_is_made_again(name, text):
    name = os.fsdecode(name)
    assert csv_files.text_of(name) == text
    assert csv_files.name_of(text) == name


def test_no_two_names_stand_as_the_same_text():
    draw = random.Random(0)
    parts = [b"\\", b"x", b"e9", b"5c", b"80", b"\xe9", b"\xff", "é".encode(), b"a"]
    names = {
        os.fsdecode(b"".join(draw.choices(parts, k=draw.randrange(1, 8))))
        for _ in range(3000)
    }
    texts = {csv_files.text_of(name) for name in names}
    assert len(texts) == len(names)
    for text in texts:
        text.encode()
    assert {csv_files.name_of(text) for text in texts} == names


def test_a_table_is_read_as_it_was_written(tmp_path):
    rows = [
        {"path": "caf\udce9, the 1st.mp4", "score": 0.5, "note": 'a "b"\nc'},
        {"path": "größe.mp4", "score": None, "note": ""},
    ]
    path = tmp_path / "table.csv"
    csv_files.write(path, ("path", "score", "note"), rows)
    expected = [
        {"path": r"caf\xe9, the 1st.mp4", "score": "0.5", "note": 'a "b"\nc'},
        {"path": "größe.mp4", "score": "", "note": ""},
    ]
    with open(path, encoding="utf-8", newline="") as f:
        assert list(csv.DictReader(f)) == expected
    # As a spreadsheet saves it.
    for mark in (b"", b"\xef\xbb\xbf"):
        path.write_bytes(mark + path.read_bytes().removeprefix(mark))
        table = text_files.read_table(path, "a table", "")
        assert [row for _, row in table.dicts()] == expected
