"""Takes the steps of a job one after the other, and goes on where it was stopped."""

import pathlib
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from pipelines.reproduction.steps import Step
from tfmds.common import app, files, json_files
from tfmds.common.errors import InputError

# What was done with which words, and how long it took.
JOURNAL = "steps.json"


def run(
    root: pathlib.Path,
    steps: Sequence[Step],
    from_step: str | None = None,
    until: str | None = None,
) -> None:
    """Runs each step that was not done before with the same words, and all after it.

    Args:
      root: The folder of the job, with its journal.
      steps: All steps of the job.
      from_step: A step to take again, done or not.
      until: The last step to take, None for all.

    Raises:
      InputError: A step failed, or `from_step` needs one that was never taken.
    """
    with files.locked(root, lambda: _say(f"{root}: another process is at it; waiting")):
        journal = read(root)
        todo = _todo(steps, journal, from_step, until)
        for number, step in enumerate(steps, start=1):
            title = f"[{number}/{len(steps)}] {step.title}"
            if step not in todo:
                if step.name in journal and reaches(until, steps, step.name):
                    _say(f"\n{title}: done before")
                continue
            step.check()
            words = [*step.words, *step.more()]
            # From here on what it left before counts no longer.
            _forget(root, journal, steps[number - 1 :])
            began = time.monotonic()
            _say(f"\n{title}\n$ {app.command(*words)}")
            code = execute(words)
            if code not in step.expected:
                raise InputError(
                    f"the step {step.name} failed with exit code {code}; its message"
                    " above says why. The same command goes on from there, also with"
                    " the flag added that the message names"
                )
            seconds = time.monotonic() - began
            journal[step.name] = {"command": list(step.words), "seconds": seconds}
            files.write_json(root / JOURNAL, journal)
            _say(f"({seconds:.0f} s)")


def describe(
    root: pathlib.Path,
    steps: Sequence[Step],
    from_step: str | None,
    until: str | None,
    seconds: Callable[[Step], float],
) -> str:
    """What `run` would do, and how long that may take.

    Args:
      root: The folder of the job.
      steps: All steps of the job.
      from_step: As for `run`.
      until: As for `run`.
      seconds: How long a step may take.
    """
    todo = _todo(steps, read(root), from_step, until)
    lines = []
    for number, step in enumerate(steps, start=1):
        title = f"[{number}/{len(steps)}] {step.title}"
        if step in todo:
            lines += [
                f"{title}: some {duration(seconds(step))}",
                f"  $ {app.command(*step.words)}",
            ]
        else:
            lines.append(f"{title}: not to be done")
    total = duration(sum(map(seconds, todo)))
    return "\n".join([*lines, f"In all some {total}; nothing was done"])


def duration(seconds: float) -> str:
    """A length of time in words, such as `3 h`."""
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def execute(words: Sequence[str]) -> int:
    """Runs a program of ours; returns its exit code."""
    return subprocess.run(
        [sys.executable, "-m", *words],
        # Where it is a terminal the program shows how far it is.
        stderr=app.terminal(),
        check=False,
    ).returncode


def is_done(root: pathlib.Path, step: Step) -> bool:
    """Whether a step was taken with the same words, and what it left is there."""
    return _is_done(read(root), step)


def reaches(until: str | None, steps: Sequence[Step], name: str) -> bool:
    """Whether a step is not beyond the last one to take."""
    names = [step.name for step in steps]
    return until is None or names.index(name) <= names.index(until)


def _todo(
    steps: Sequence[Step], journal: dict, from_step: str | None, until: str | None
) -> list[Step]:
    todo: list[Step] = []
    for step in steps:
        if todo or not _is_done(journal, step) or step.name == from_step:
            todo.append(step)
    if from_step and todo[0].name != from_step:
        raise InputError(
            f"--from={from_step}: the step {todo[0].name} before it has not been taken"
            " with these flags; leave out --from"
        )
    return [step for step in todo if reaches(until, steps, step.name)]


def _is_done(journal: dict, step: Step) -> bool:
    words = journal.get(step.name, {}).get("command")
    return words == list(step.words) and step.leaves.exists()


def _forget(root: pathlib.Path, journal: dict, steps: Sequence[Step]) -> None:
    for step in steps:
        journal.pop(step.name, None)
    files.write_json(root / JOURNAL, journal)


def read(root: pathlib.Path) -> dict:
    """What was done, by step: its words and seconds; empty before the first."""
    path = root / JOURNAL
    if not path.is_file():
        return {}
    what, hint = "the journal of a job", "Delete it to begin anew."
    return json_files.convert(
        json_files.read(path, what, hint), dict, str(path), what, hint
    )


def _say(text: str) -> None:
    print(text, flush=True)
