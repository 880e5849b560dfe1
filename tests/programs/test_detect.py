"""The program as a user runs it."""

import csv
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import assert_refused, run_program
from tests.faults import faulty  # noqa: F401
from tfmds.detection import pool
from tfmds.exporting import loading
from tfmds.judgement.verdict import VERDICTS
from tfmds.preprocessing import processes
from tfmds.preprocessing.config import PreprocessingConfig


def detect(*words: object) -> subprocess.CompletedProcess:
    return run_program("tfmds.detect", *map(str, words))


@pytest.fixture(scope="module")
def folder(clip, tmp_path_factory) -> pathlib.Path:
    """Three videos and two files that are none."""
    path = tmp_path_factory.mktemp("folder")
    for name in ("a.mp4", "b.mp4", "sub/c.mp4"):
        (path / name).parent.mkdir(exist_ok=True)
        shutil.copy(clip, path / name)
    (path / "<script>alert(1)<script>.mp4").write_text("no video")
    (path / "empty.mp4").touch()
    return path


@pytest.mark.slow
def test_a_folder_is_judged_once_and_a_killed_run_goes_on(export_dir, folder, tmp_path):
    out, report = tmp_path / "out", tmp_path / "report"
    words = [f"--model={export_dir}", f"--output_dir={out}", f"--report={report}"]
    lines = out / "results.jsonl"
    command = [sys.executable, "-m", "tfmds.detect", *words, str(folder)]
    process = subprocess.Popen([*command, "--num_workers=1"], stdout=subprocess.PIPE)
    end = time.monotonic() + 100
    while not (lines.exists() and lines.read_bytes()):
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    before = len(lines.read_text().splitlines())

    listed = tmp_path / "list.txt"
    listed.write_text(f"{folder}/*.mp4\n{folder / 'sub'}\n{tmp_path}/none.mp4\n")
    done = detect(*words, "--json", f"--list={listed}")
    # One bad input among good ones is told, and does not keep them from being judged.
    assert_refused(done, "none.mp4: there is no such file")
    assert f"{before} of 5 are done already" in done.stderr
    assert len(done.stdout.splitlines()) == 5 - before
    with open(out / "results.csv") as f:
        rows = {os.path.relpath(row["path"], folder): row for row in csv.DictReader(f)}
    assert len(rows) == 5
    assert rows["empty.mp4"]["status"] == "decode_error"
    assert rows["sub/c.mp4"]["verdict"] in ("real", "fake")
    assert rows["sub/c.mp4"]["mds"] == rows["a.mp4"]["mds"]
    pages = sorted(report.iterdir())
    assert len(pages) == 6
    assert all("<script>alert" not in page.read_text() for page in pages)
    # Nothing is left to do, and the outcome is told again.
    assert detect(*words, folder).returncode == 3


@pytest.mark.slow
@pytest.mark.usefixtures("faulty")
def test_a_process_that_dies_or_hangs_costs_its_video_only(
    export_dir, folder, tmp_path
):
    shutil.copy(folder / "a.mp4", tmp_path / "hangs.mp4")
    paths = [str(folder / "a.mp4"), str(folder / "b.mp4"), str(tmp_path / "hangs.mp4")]

    def crash(path: str, *_) -> None:
        if path == paths[0]:
            for process in processes._busy:
                process.kill()

    died, good, hung = pool.judge_all(
        paths,
        lambda: loading.load(export_dir),
        1,
        crash,
        options=PreprocessingConfig(video_timeout_seconds=10),
    )
    assert (died.path, died.status) == (paths[0], "decode_error")
    assert "SIGKILL" in died.reason
    assert good.status == "ok", good.reason
    assert (hung.path, hung.status) == (paths[2], "over_limit")
    assert "no headway" in hung.reason


@pytest.mark.slow
def test_without_a_model_the_starter_judges_and_says_how_far_to_trust_it(clip):
    command = [sys.executable, "-m", "tfmds.detect", str(clip)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode in (0, 1, 3), done.stdout
    # As a terminal shows it: what is to be known stands below what it is of.
    header, row, *notes = done.stdout.splitlines()
    assert header.split() == ["verdict", "score", "threshold", "seconds", "video"]
    assert row.split()[0] in VERDICTS
    assert all(note.startswith("note: ") for note in notes)
    assert "The lower the score, the more like a real recording" in notes[0]
    assert "starter model" in notes[1]
    assert "proves nothing" in notes[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no video was named"),
        (["--model={tmp}", "{clip}"], "not an exported model"),
        (["--model={export}", "--tracks=0", "{clip}"], "--tracks=0: expected all"),
        (["--model={export}", "--hop=0.25", "{clip}"], "a multiple of 0.1 s"),
        (["--model={export}", "--json", "--csv", "{clip}"], "exclude each other"),
        (["--model={export}", "--list={clip}"], "expected the path of a video"),
        (["--model={export}", "{tmp}"], "no videos in this folder"),
        (["--model={export}", "--report={clip}", "{clip}"], "no folder to write to"),
        (["--model={export}", "--output_dir={clip}", "{clip}"], "no folder to write"),
        (["--model={export}", "{tmp}/none.mp4"], "no such file"),
        (["--server=localhost:8501", "{clip}"], "not the address of a model"),
        (["--server=http://127.0.0.1:9/v1/models/mds", "{clip}"], "does not answer"),
    ],
    ids=str,
)
def test_bad_input_gets_one_sentence(export_dir, clip, tmp_path, words, message):
    places = {"tmp": tmp_path, "export": export_dir, "clip": clip}
    done = detect(*(word.format(**places) for word in words))
    assert_refused(done, message)
    assert len(done.stderr.strip().splitlines()) == 1
    assert not done.stdout
