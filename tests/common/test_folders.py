import pytest

from tests import kills
from tfmds.common import files


def write(path, text: str) -> None:
    with files.making_folder(path) as folder:
        for name in ("a", "b"):
            (folder / name).write_text(text)


def read(path) -> set[str]:
    return {(path / name).read_text() for name in ("a", "b")}


@pytest.fixture(params=["in one step", "in two steps"])
def exchange(request, monkeypatch):
    """Whether the file system can exchange two names."""
    possible = request.param == "in one step"
    if not possible:
        monkeypatch.setattr(files, "_exchange", lambda *_: False)
    return possible


def test_a_folder_is_replaced_as_a_whole_wherever_it_is_stopped(
    tmp_path, monkeypatch, exchange
):
    steps = kills.Steps(monkeypatch)
    if exchange:
        steps.watch(files, "_exchange")
    write(tmp_path / "whole", "old")
    total = steps.run(lambda: write(tmp_path / "whole", "new"))
    assert total >= 8
    assert read(tmp_path / "whole") == {"new"}
    seen = set()
    for most in range(total):
        path = tmp_path / f"stopped{most}" / "x"
        write(path, "old")
        steps.run(lambda path=path: write(path, "new"), most=most)
        if exchange:
            assert read(path) in ({"old"}, {"new"})
        files.clear_removed(path.parent)
        (found,) = read(path)
        seen.add(found)
        write(path, "newest")
        assert read(path) == {"newest"}
        assert [p.name for p in path.parent.iterdir()] == ["x"]
    assert seen == {"old", "new"}


def test_half_a_removed_folder_has_no_name_and_is_cleared(tmp_path, monkeypatch):
    steps = kills.Steps(monkeypatch)
    write(tmp_path / "x", "old")
    total = steps.run(lambda: files.remove_folder(tmp_path / "x"))
    assert list(tmp_path.iterdir()) == []
    for most in range(total):
        write(tmp_path / "x", "old")
        write(tmp_path / ".x.removed-of-a-user", "mine")
        steps.run(lambda: files.remove_folder(tmp_path / "x"), most=most)
        if (tmp_path / "x").exists():
            assert read(tmp_path / "x") == {"old"}
            files.remove_folder(tmp_path / "x")
        files.clear_removed(tmp_path, "another")
        files.clear_removed(tmp_path)
        assert [p.name for p in tmp_path.iterdir()] == [".x.removed-of-a-user"]


def test_what_is_not_there_is_removed_already(tmp_path):
    files.remove_folder(tmp_path / "missing")
    files.clear_removed(tmp_path / "missing")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_filled_leaves_nothing(tmp_path):
    write(tmp_path / "x", "old")
    with pytest.raises(ZeroDivisionError), files.making_folder(tmp_path / "x"):
        raise ZeroDivisionError
    assert read(tmp_path / "x") == {"old"}
    assert [p.name for p in tmp_path.iterdir()] == ["x"]
