"""Flags from dataclasses, and programs that say what is wrong before they work."""

import dataclasses
import importlib
import pathlib
import shlex
import typing

import pytest

from tests.conftest import assert_refused, run_program
from tfmds.common import app, files, flags
from tfmds.common.errors import InputError
from tfmds.common.flags import REQUIRED, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    name: str = setting(REQUIRED, "A name.")
    kind: str = setting("a", "One of two.", choices=("a", "b"))
    late: str = setting("x", "One of many.", choices=lambda: ("x", "y"))
    count: int = setting(2, "How many.", low=1, high=9, flag="how_many")
    share: float | None = setting(None, "A share.", low=0)
    fast: bool = setting(False, "Whether.")
    parts: tuple[str, ...] = setting(("p", "q"), "A list.")
    note: tuple[str, ...] = setting((), "More.", repeated=True)
    inner: int = setting(7, "Not for users.", low=1, flag=None)

    def __post_init__(self):
        flags.check(self)


@pytest.fixture
def parse(own_flags):
    """Reads words into a configuration, with flags of its own."""
    holder = flags.Flags(Config)

    def read(*words):
        assert flags.parse(["program", *words]) == ([], [])
        return holder.read()

    return read


def test_without_flags_the_defaults_of_the_dataclass_hold(parse):
    assert parse("--name=n") == Config(name="n")


def test_each_type_is_read_as_the_dataclass_states_it(parse):
    read = parse(
        "--name=ü b", "--kind=b", "--late=y", "--how_many=9", "--share=0.5", "--fast",
        "--parts=x,y", "--note=one", "--note=two, with a comma",
    )  # fmt: skip
    assert read == Config(
        name="ü b", kind="b", late="y", count=9, share=0.5, fast=True,
        parts=("x", "y"), note=("one", "two, with a comma"),
    )  # fmt: skip


def test_words_state_a_configuration_and_leave_defaults_out(parse):
    words = ["--name=a b", "--kind=b", "--how_many=3", "--fast", "--parts=r,s"]
    words += ["--note=x, y", "--note=z"]
    assert flags.words(parse(*words)) == words
    assert flags.words(Config(name="n")) == ["--name=n"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--name must have a value"),
        (["--name=n", "--kind=c"], "one of <a|b>"),
        (["--name=n", "--late=z"], "late is 'z', expected one of x, y"),
        (["--name=n", "--how_many=10"], r"\[1, 9\]"),
        (["--name=n", "--how_many=two"], "--how_many=two"),
        (["--name=n", "--share=-1"], "--share=-1"),
        (["--name=n", "--inner=1"], "Unknown command line flag 'inner'"),
        (["--name=n", "--flagfile"], "expected the name of a file"),
        (
            ["--name=n", "--flagfile=none.flags"],
            "demo.flags, paper.flags, picture.flags, robust",
        ),
    ],
)
def test_a_wrong_flag_is_an_error_of_input(parse, words, message):
    with pytest.raises(InputError, match=message):
        parse(*words)


@pytest.mark.usefixtures("parse")
def test_help_says_which_flags_are_required():
    said = flags.absl_flags.FLAGS.get_help()
    assert "--name: A name. Required." in said
    assert said.count("Required") == 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "c"}, "kind is 'c', expected one of a, b"),
        ({"count": 0}, "count is 0, expected a value from 1 to 9"),
        ({"share": -0.5}, "share is -0.5, expected at least 0"),
        ({"inner": 0}, "inner is 0, expected at least 1"),
    ],
)
def test_a_dataclass_made_by_hand_is_checked_alike(wrong, message):
    with pytest.raises(InputError, match=message):
        Config(name="n", **wrong)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_flagfiles_are_read_as_editors_write_them(parse, tmp_path, encoding):
    (tmp_path / "inner.flags").write_text("--how_many=3\n", encoding)
    (tmp_path / "run.flags").write_text(
        f"# A comment\n\n  --name=ü b  \n--flagfile={tmp_path / 'inner.flags'}\n",
        encoding,
    )
    read = parse(f"--flagfile={tmp_path / 'run.flags'}", "--kind=b")
    assert read == Config(name="ü b", kind="b", count=3)


def test_a_flagfile_that_names_itself_is_refused(parse, tmp_path):
    (tmp_path / "a.flags").write_text(f"--flagfile={tmp_path / 'a.flags'}\n")
    with pytest.raises(InputError, match="names itself"):
        parse("--flagfile", str(tmp_path / "a.flags"))


def test_recipes_are_found_by_name_and_a_file_here_comes_first(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    recipe = (flags.RECIPES / "robust.flags").read_text().splitlines()
    expected = [line for line in recipe if line.startswith("--")]
    assert flags.expand(["--flagfile=robust.flags"]) == expected
    assert flags.expand(["--", "--flagfile=robust.flags"])[1:] == [
        "--flagfile=robust.flags"
    ]
    pathlib.Path("robust.flags").write_text("--epochs=3\n")
    assert flags.expand(["--flagfile=robust.flags"]) == ["--epochs=3"]


def test_whether_output_can_be_written_is_found_out_without_a_trace(tmp_path):
    files.check_writable(tmp_path / "new" / "folder", is_folder=True)
    files.check_writable(tmp_path / "new" / "file.csv", is_folder=False)
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    for path, is_folder in (
        (tmp_path / "file", True),
        (tmp_path / "file" / "below", True),
        (tmp_path, False),
        (tmp_path / ("n" * 300), True),
        ("/proc/nowhere/folder", True),
    ):
        with pytest.raises(InputError, match="no (folder|file)"):
            files.check_writable(path, is_folder=is_folder)


# Every flag of every program that names output.
OUTPUTS = {
    "tfmds.train": ("workdir",),
    "tfmds.detect": ("output_dir", "report"),
    "tfmds.evaluate": ("output_dir", "report"),
    "tfmds.select_threshold": ("output_dir",),
    "tfmds.compare": ("output_dir",),
    "tfmds.compare_epochs": ("output_dir",),
    "tfmds.export": ("output_dir",),
    "tfmds.import_torch": ("output",),
    "tfmds.serve": ("data_dir",),
    "pipelines.synthesize": ("output_dir",),
    "pipelines.build_manifest": ("output",),
    "pipelines.preprocess": ("output_dir",),
    "pipelines.inspect": ("report",),
    "pipelines.demo": ("workdir",),
    "pipelines.reproduce": ("workdir",),
    "pipelines.vary": ("output",),
    # Rewrites a table of its input.
    "pipelines.estimate_offsets": (),
}
_REQUIRED = {
    "tfmds.train": ["--data_dir=none"],
    "tfmds.compare_epochs": ["--run=none"],
    "tfmds.export": ["--model=none", "--threshold=none"],
    "tfmds.import_torch": ["--checkpoint=none"],
    "pipelines.build_manifest": ["--layout=dfdc", "--input_dir=none"],
    "pipelines.preprocess": ["--manifest=none"],
    "pipelines.inspect": ["--data_dir=none"],
    "pipelines.reproduce": ["--layout=dfdc", "--input_dir=none"],
    "pipelines.vary": ["--manifest=none"],
}


@pytest.mark.parametrize(
    ("program", "flag"), [(p, f) for p, names in OUTPUTS.items() for f in names]
)
def test_every_program_tells_first_that_its_output_cannot_be_written(
    program, flag, tmp_path
):
    (tmp_path / "file").touch()
    words = [*_REQUIRED.get(program, []), f"--{flag}={tmp_path / 'file' / 'below'}"]
    if flag == "report" and "output_dir" in OUTPUTS[program]:
        words.append(f"--output_dir={tmp_path / 'out'}")
    done = run_program(program, *words)
    assert_refused(done, f"{tmp_path / 'file' / 'below'}: no ")
    assert len(done.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_no_program_writes_what_no_flag_declares():
    """The table above has all programs, and all their output flags."""
    root = pathlib.Path(__file__).parents[2]
    programs = {
        f"{path.parent.name}.{path.stem}"
        for folder in ("tfmds", "pipelines")
        for path in (root / folder).glob("*.py")
        if "app.run(" in path.read_text()
    }
    assert programs == set(OUTPUTS)
    for program, names in OUTPUTS.items():
        main = importlib.import_module(program).main
        found = {
            flag.name
            for config in typing.get_type_hints(main).values()
            if dataclasses.is_dataclass(config)
            for flag in dataclasses.fields(config)
            if flag.metadata and flag.metadata["tfmds.setting"].writes
        }
        assert found == set(names), program


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--help"], 0),
        (["--no_such_flag"], 2),
        (["--output_dir=/tmp", "--draws=0"], 2),
        ([], 2),
        (["--output_dir=/tmp", "unexpected"], 2),
        (["--output_dir=/tmp", "--mismatches", "--hop=0.2", "--model=x"], 2),
        (
            ["--output_dir=/tmp", "--mismatches", "--hop=0.2", "--model=x",
             "--data_dir=y"],
            2,
        ),
        (["--output_dir=/tmp", "--checkpoints=my run"], 2),
    ],
)  # fmt: skip
def test_flags_end_with_the_exit_code_of_bad_input(words, code):
    done = run_program("tfmds.evaluate", *words)
    assert done.returncode == code, done.stderr
    if code:
        assert done.stderr.startswith("error: ")
        assert len(done.stderr.splitlines()) == 1
    if "--checkpoints=my run" in words:
        command = done.stderr.split(": ", 2)[2]
        assert shlex.split(command)[:4] == [
            "python", "-m", "tfmds.compare_epochs", "--run=my run",
        ]  # fmt: skip


def test_commands_can_be_pasted():
    command = app.command("tfmds.detect", "--model=an export", "Zoë's clip.mp4")
    assert shlex.split(command)[3:] == ["--model=an export", "Zoë's clip.mp4"]


def test_the_environment_sets_flags_and_the_command_line_comes_first(
    own_flags, monkeypatch
):
    holder = flags.Flags(Config)
    monkeypatch.setenv("OURS_NAME", "there")
    monkeypatch.setenv("OURS_HOW_MANY", "3")
    monkeypatch.setenv("OURS_FAST", "true")
    monkeypatch.setenv("OURS_PARTS", "x,y")
    monkeypatch.setenv("OURS_UNKNOWN", "1")
    monkeypatch.setenv("OURS_INNER", "9")
    words = flags.in_environment("OURS_", [holder])
    flags.parse(["program", *words, "--how_many=4"])
    assert holder.read() == Config(name="there", count=4, fast=True, parts=("x", "y"))


def test_a_variable_that_no_flag_takes_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("TFMDS_PORT", "many")
    assert_refused(run_program("tfmds.serve", f"--data_dir={tmp_path}"), "port")
