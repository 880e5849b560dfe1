import os

import pytest

from tfmds.common import csv_files
from tfmds.common.errors import InputError
from tfmds.detection import inputs


def test_videos_of_a_folder_are_found_below_it_and_in_order(tmp_path):
    for name in ("b.mp4", "sub/a.MOV", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [os.path.relpath(p, tmp_path) for p in inputs.find_videos(str(tmp_path))]
    assert found == ["b.mp4", "sub/a.MOV"]


def test_a_pattern_finds_files_of_any_name(tmp_path):
    for name in ("b.mp4", "sub/a.dat", "c.txt", "[x].mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = inputs.find_videos(f"{tmp_path}/**/*.[dm]*")
    assert [os.path.basename(p) for p in found] == ["[x].mp4", "b.mp4", "a.dat"]
    # A file whose name looks like a pattern is that file.
    assert len(inputs.find_videos(str(tmp_path / "[x].mp4"))) == 1


def test_what_cannot_be_looked_at_is_named(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, message in (
        (tmp_path, "no videos in this folder"),
        (tmp_path / "missing.mp4", "no such file"),
        (tmp_path / "*.mp4", "no file meets this pattern"),
        (tmp_path / "pipe", "neither a file nor a folder"),
    ):
        with pytest.raises(InputError, match=message):
            inputs.find_videos(str(path))


def test_a_list_holds_a_path_in_each_line(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes(b"a b.mp4\n\ncaf\xe9.mp4\r\n")
    assert [os.fsencode(p) for p in inputs.read_list(str(path))] == [
        b"a b.mp4",
        b"caf\xe9.mp4",
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"\n \n", "is empty"), (b"\0\0\0 ftyp", "not a text"), (None, "cannot be read")],
)
def test_a_list_that_is_none_is_refused(tmp_path, content, message):
    path = tmp_path / "list.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        inputs.read_list(str(path))


def test_a_list_made_of_a_table_of_results_names_the_files_on_this_disk(tmp_path):
    name = os.fsencode(tmp_path) + b"/latin\xe9.mp4"
    with open(name, "wb"):
        pass
    path = tmp_path / "list.txt"
    path.write_text(csv_files.text_of(os.fsdecode(name)) + "\nnone\\xe9.mp4\n")
    assert [os.fsencode(p) for p in inputs.read_list(str(path))] == [
        name,
        rb"none\xe9.mp4",
    ]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_a_list_of_windows_names_the_files_on_this_disk(
    tmp_path, monkeypatch, encoding
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "zoë.mp4").touch()
    (tmp_path / "list.txt").write_bytes("zoë.mp4\r\nb.mp4\r\n".encode(encoding))
    assert inputs.read_list("list.txt") == ["zoë.mp4", "b.mp4"]


def test_what_a_folder_has_beside_videos_is_counted_in_a_line(tmp_path, capsys):
    for name in ("a.mp4", "b.txt", "c.txt", "d.JPG", "._a.mp4", "README"):
        (tmp_path / name).touch()
    assert inputs.find_videos(str(tmp_path)) == [str(tmp_path / "a.mp4")]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        f"note: {tmp_path}: 5 files are no videos and were passed over (2 .txt, 1 "
    )
    assert all(kind in line for kind in ("1 .jpg", "1 hidden", "1 without suffix"))


@pytest.mark.parametrize("address", ["https://x.org/a.mp4", "rtsp://x.org/a"])
def test_an_address_is_no_file_and_what_to_do_is_said(address):
    with pytest.raises(InputError, match="read from disk; download it"):
        inputs.find_videos(address)
