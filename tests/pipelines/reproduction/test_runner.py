"""Stopping and going on, with programs that do nothing."""

import json
import pathlib

import pytest

from pipelines.reproduction import runner
from pipelines.reproduction.steps import Folders, Step, Words, plan
from tfmds.common.errors import InputError


@pytest.fixture
def ran(monkeypatch):
    """The programs that were started; each leaves what it should."""
    started = []

    def execute(words):
        started.append(words[0].rpartition(".")[2])
        if words[0] in failing:
            return 2
        for flag in ("--output=", "--output_dir=", "--workdir="):
            for word in words:
                if word.startswith(flag):
                    _leave(pathlib.Path(word.removeprefix(flag)))
        return 0

    failing = set()
    started_and_failing = (started, failing)
    monkeypatch.setattr(runner, "execute", execute)
    return started_and_failing


def _leave(path):
    if path.suffix:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        return
    path.mkdir(parents=True, exist_ok=True)
    for name in ("tfmds.json", "audit.html", "config.json", "threshold.json",
                 "metrics.json", "epochs.json"):  # fmt: skip
        (path / name).touch()


ALL = ["build_manifest", "preprocess", "inspect", "train", "select_threshold",
       "evaluate", "compare_epochs", "export"]  # fmt: skip


def job(root, **words):
    return plan(Folders(root), "folders", Words(**words))


def test_all_steps_are_taken_once_in_their_order(tmp_path, ran):
    started, _ = ran
    runner.run(tmp_path, job(tmp_path))
    assert started == ALL
    runner.run(tmp_path, job(tmp_path))
    assert started == ALL


@pytest.mark.parametrize("stopped", range(len(ALL)))
def test_stopped_at_any_step_the_same_command_goes_on_there(tmp_path, ran, stopped):
    started, failing = ran
    steps = job(tmp_path)
    failing.add(steps[stopped].words[0])
    with pytest.raises(InputError, match=f"step {steps[stopped].name} failed.*code 2"):
        runner.run(tmp_path, steps)
    assert started == ALL[: stopped + 1]
    failing.clear()
    started.clear()
    runner.run(tmp_path, steps)
    assert started == ALL[stopped:]


def test_another_flag_takes_its_step_and_those_after_it_again(tmp_path, ran):
    started, _ = ran
    runner.run(tmp_path, job(tmp_path))
    started.clear()
    runner.run(tmp_path, job(tmp_path, threshold=["--criterion=sweep"]))
    assert started == ALL[4:]
    # What was made with the flags before no longer counts, whenever it was stopped.
    started.clear()
    runner.run(tmp_path, job(tmp_path))
    assert started == ALL[4:]


def test_what_was_deleted_is_made_again(tmp_path, ran):
    started, _ = ran
    runner.run(tmp_path, job(tmp_path))
    started.clear()
    Folders(tmp_path).threshold.unlink()
    runner.run(tmp_path, job(tmp_path))
    assert started == ALL[4:]


def test_from_and_until_take_some_steps(tmp_path, ran):
    started, _ = ran
    with pytest.raises(InputError, match="the step manifest before it has not been"):
        runner.run(tmp_path, job(tmp_path), from_step="train")
    runner.run(tmp_path, job(tmp_path), until="audit")
    assert started == ALL[:3]
    started.clear()
    runner.run(tmp_path, job(tmp_path), from_step="preprocess", until="train")
    assert started == ALL[1:4]


def test_a_step_that_would_be_in_vain_is_not_begun(tmp_path, ran):
    started, _ = ran

    def refuse():
        raise InputError("too few faces")

    steps = plan(Folders(tmp_path), "folders", Words(), check_training=refuse)
    with pytest.raises(InputError, match="too few faces"):
        runner.run(tmp_path, steps)
    assert started == ALL[:3]


def test_words_that_are_known_late_and_exit_codes_that_are_no_failure(
    tmp_path, monkeypatch
):
    words = []
    monkeypatch.setattr(runner, "execute", lambda w: words.extend(w) or 1)
    step = Step("judge", "", ("p",), tmp_path, more=lambda: ["late"], expected=(0, 1))
    runner.run(tmp_path, [step])
    assert words == ["p", "late"]


def test_a_dry_run_tells_what_is_to_be_done_and_does_nothing(tmp_path, ran):
    started, _ = ran
    runner.run(tmp_path, job(tmp_path), until="audit")
    started.clear()
    text = runner.describe(tmp_path, job(tmp_path), None, "threshold", lambda _: 7200)
    assert started == []
    assert text.count("not to be done") == 6
    assert "[4/8] Training: some 2 h\n  $ python -m tfmds.train" in text
    assert text.endswith("In all some 4 h; nothing was done")


def test_a_damaged_journal_is_named(tmp_path):
    (tmp_path / runner.JOURNAL).write_text("{")
    with pytest.raises(InputError, match=r"steps\.json, line 1: .* the journal"):
        runner.run(tmp_path, job(tmp_path))


def test_the_journal_says_how_long_each_step_took(tmp_path, ran):
    runner.run(tmp_path, job(tmp_path), until="manifest")
    (entry,) = json.loads((tmp_path / runner.JOURNAL).read_text()).values()
    assert entry["seconds"] >= 0
    assert entry["command"][0] == "pipelines.build_manifest"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(59, "59 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (200_000, "2 days")],
)
def test_lengths_of_time(seconds, words):
    assert runner.duration(seconds) == words
