"""Kills processes of a run at random moments, and holds its end against a quiet run.

    python -m benchmarks.kills --workdir=OUT

Draws a few clips, makes a data set of them, trains on it, judges the clips and uploads
them to the service, undisturbed. Then does each of it again and again, while any
process of the program (it itself, a worker, one that reads videos) is killed at a
random moment; where that ended the program, the same command is given again, until
`--kills` were dealt out. A run that comes through is checked and begun anew: every
video has a row, and what it says, its records and its verdict are those of the quiet
run, but for a video whose reader was killed, of which the row says so; weights after
each epoch are those of the quiet run; the service judged each upload once; and what the
killed left behind has ended.
Exits with 1 where something differs.
"""

import collections
import contextlib
import dataclasses
import functools
import hashlib
import json
import math
import pathlib
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import psutil

from benchmarks import services
from tfmds.common import app
from tfmds.common.flags import FOLDER, REQUIRED, setting
from tfmds.data import data_set, manifest
from tfmds.detection import results

PARTS = ("preprocess", "train", "detect", "serve")
# What a process is, by a word of its command line.
_KINDS = {
    "isolation.serve": "reader",
    "sdk_worker_main": "worker",
    "serving.worker": "worker",
}
# What the row of a video says whose reader was killed.
_LOST = "was killed (SIGKILL)"
# A training that draws numbers wherever it can, and is repeatable.
_EPOCHS = 3
_TRAINING = (
    *("--width=0.0625", "--image_size=32", "--batch_tracks=2", "--chunks_per_track=2"),
    *("--sampling=random", "--augment", "--mismatch_weight=1", "--schedule=cosine"),
    *(f"--epochs={_EPOCHS}", f"--keep_epochs={_EPOCHS}", "--steps_per_epoch=20"),
    *("--checkpoint_seconds=0", "--deterministic"),
)
# Seconds in which those who lost the program that started them must have ended. A
# worker of Beam may be starting still, and then waits for it a minute or two.
_PATIENCE = 300
# Kills of the service for each set of uploads: a video that was at work in a third gets
# no other turn.
_KILLS_A_ROUND = 2

# The rows of a run by video: its status and reason, and what was made of it.
Rows = dict[str, tuple[str, str, object]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class KillsConfig:
    """What is killed, and how often."""

    workdir: str = setting(REQUIRED, "Clips, data sets and verdicts.", writes=FOLDER)
    parts: tuple[str, ...] = setting(PARTS, f"Some of {', '.join(PARTS)}.")
    kills: int = setting(20, "Processes that are killed of each program.", low=1)
    identities: int = setting(2, "People of the demo, some 5 clips each.", low=2)
    seed: int = setting(0, "Of the moments and of who is killed.")
    model: str | None = setting(None, "An exported model, the starter without.")


def start(*words: str) -> psutil.Popen:
    """Starts a program whose output nobody reads."""
    return psutil.Popen(
        [sys.executable, "-m", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def kind_of(process: psutil.Process) -> str:
    """What a process of a run is for; "" where it cannot be told, or has ended."""
    with contextlib.suppress(psutil.Error):
        program, *words = process.cmdline()
        # Beam starts its workers by a shell.
        if not program.endswith("sh"):
            line = " ".join(words)
            return next((kind for word, kind in _KINDS.items() if word in line), "")
    return ""


def family(program: psutil.Process) -> list[psutil.Process]:
    """All processes below one, none where it has ended."""
    with contextlib.suppress(psutil.Error):
        return program.children(recursive=True)
    return []


@dataclasses.dataclass
class Told:
    """What happened in the disturbed runs of a program.

    Attributes:
      killed: Processes by kind.
      wholes: Runs that came through.
      lost: Videos whose rows say that they were lost to a kill.
      faults: What should not have been.
      since: Readers killed since the last whole run.
    """

    killed: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    wholes: int = 0
    lost: int = 0
    faults: list[str] = dataclasses.field(default_factory=list)
    since: int = 0

    def kill_one(self, program: psutil.Process, chance: random.Random) -> str:
        """Kills a process of a run, each kind as often; returns what it was.

        Where it is the program, all others must end by themselves.
        """
        started = family(program)
        kinds = collections.defaultdict(list, program=[program])
        for process in started:
            if kind := kind_of(process):
                kinds[kind].append(process)
        kind = chance.choice(sorted(kinds))
        with contextlib.suppress(psutil.NoSuchProcess):
            chance.choice(kinds[kind]).kill()
        self.killed[kind] += 1
        self.since += kind == "reader"
        print(f"{self.killed.total()}: {kind}", flush=True)
        if kind == "program":
            program.wait()
            _, alive = psutil.wait_procs(started, _PATIENCE)
            for process in alive:
                self.faults.append(f"a {kind_of(process) or process.name()} lives on")
                process.kill()
        return kind

    def compare(self, found: Rows, expected: Rows) -> None:
        """Holds a run that came through against the undisturbed one."""
        self.wholes += 1
        lost = {v for v, row in found.items() if _LOST in row[1]}
        self.lost += len(lost)
        if found.keys() != expected.keys():
            self.faults.append(f"other videos: {found.keys() ^ expected.keys()}")
        self.faults += [
            f"{v}: {found[v][:2]}, undisturbed {expected[v][:2]}"
            for v in sorted(found.keys() & expected.keys() - lost)
            if found[v] != expected[v]
        ]
        if len(lost) > self.since:
            self.faults.append(f"{len(lost)} lost to {self.since} readers")
        self.since = 0


def disturb(
    command: Callable[[pathlib.Path], list[str]],
    read: Callable[[pathlib.Path], Rows],
    out: pathlib.Path,
    config: KillsConfig,
) -> Told:
    """Runs a program undisturbed, then again and again while it is killed.

    Args:
      command: Its words, for an output folder.
      read: What it made there; nothing where it did not come through.
      out: Where it goes.
      config: How often, and by which seed.
    """
    began = time.monotonic()
    shutil.rmtree(out, ignore_errors=True)
    quiet = out / "quiet"
    if start(*command(quiet)).wait() not in (0, 1, 3):
        raise RuntimeError(f"{command(quiet)} failed")
    lasts = time.monotonic() - began
    expected = read(quiet)
    chance = random.Random(config.seed)
    told = Told()
    folder = out / "killed"
    while True:
        program = start(*command(folder))
        while told.killed.total() < config.kills:
            # Often enough while it starts, and often enough when it is under way.
            end = time.monotonic() + chance.uniform(0, lasts)
            while program.poll() is None and time.monotonic() < end:
                time.sleep(0.05)
            if program.poll() is not None:
                break
            if told.kill_one(program, chance) == "program":
                break
        try:
            code = program.wait(20 * lasts + 120)
        except psutil.TimeoutExpired:
            told.faults.append("the program hangs")
            for process in (*family(program), program):
                process.kill()
            code = program.wait()
        found = read(folder) if code in (0, 1, 3) else {}
        if not found:
            continue
        told.compare(found, expected)
        if told.killed.total() >= config.kills:
            return told
        shutil.rmtree(folder)


def disturb_service(
    clips: Sequence[pathlib.Path], out: pathlib.Path, config: KillsConfig
) -> Told:
    """Has the service judge uploads undisturbed, then ever again while it is killed.

    Args:
      clips: What is uploaded, all before the first kill.
      out: Where the service keeps its jobs.
      config: How often, and by which seed.
    """
    shutil.rmtree(out, ignore_errors=True)
    chance = random.Random(config.seed)
    told = Told()
    began = time.monotonic()
    expected = _upload(clips, out / "quiet", config, told, chance, iter(()))
    lasts = time.monotonic() - began
    while (left := config.kills - told.killed.total()) > 0:
        moments = (chance.uniform(0, lasts) for _ in range(min(left, _KILLS_A_ROUND)))
        folder = out / "killed"
        told.compare(_upload(clips, folder, config, told, chance, moments), expected)
        shutil.rmtree(folder)
    return told


def _upload(
    clips: Sequence[pathlib.Path],
    folder: pathlib.Path,
    config: KillsConfig,
    told: Told,
    chance: random.Random,
    moments: Iterator[float],
) -> Rows:
    """What becomes of uploads, with a kill at so many seconds after the last."""
    words = [f"--data_dir={folder}", f"--uploads_per_minute={len(clips)}"]
    words += [f"--model={config.model}"] if config.model else []
    jobs: dict[str, str] = {}
    ends: dict[str, dict[str, Any]] = {}
    while True:
        with services.running(*words, stderr=subprocess.DEVNULL) as (client, process):
            services.wait_until_ready(client)
            for clip in () if jobs else clips:
                name, content = {"name": clip.name}, clip.read_bytes()
                answer = client.post("/v1/videos", params=name, content=content)
                jobs[answer.json()["id"]] = clip.name
            due = time.monotonic() + next(moments, math.inf)
            while process.poll() is None:
                for job, clip_name in jobs.items():
                    said = client.get(f"/v1/videos/{job}").json()
                    if said.get("state") in ("queued", "running"):
                        continue
                    if ends.setdefault(clip_name, said) != said:
                        told.faults.append(f"{clip_name} was judged again: {said}")
                if len(ends) == len(jobs):
                    return {name: _row_of_job(said) for name, said in ends.items()}
                if time.monotonic() >= due:
                    told.kill_one(psutil.Process(process.pid), chance)
                    due = time.monotonic() + next(moments, math.inf)
                time.sleep(0.2)


def _row_of_job(said: dict[str, Any]) -> tuple[str, str, object]:
    # A job that failed, or is lost, has an error and no result.
    if "result" not in said:
        return said.get("state", "lost"), said["error"], None
    fields = said["result"]
    return fields["status"], fields["reason"], _verdict(fields)


def _verdict(fields: dict[str, Any]) -> object:
    # What is computed together with others is rounded otherwise.
    mds = None if fields["mds"] is None else round(fields["mds"], 4)
    return fields["status"], fields["verdict"], mds, fields["seconds_scored"]


def rows_of_data_set(path: pathlib.Path) -> Rows:
    """Of a data set, with the records of each video; none where it is not whole."""
    if not (path / data_set.INFO_FILE).exists():
        return {}
    # Starts slowly, and --help needs none of it.
    import tensorflow as tf

    opened = data_set.DataSet.load(path)
    records = collections.defaultdict(list)
    for record in tf.data.TFRecordDataset(opened.shard_files(*opened.splits)):
        example = tf.train.Example.FromString(record.numpy())
        (name,) = example.features.feature["video_id"].bytes_list.value
        records[name.decode()].append(record.numpy())
    return {
        row.video.video_id: (row.status, row.reason, records[row.video.video_id])
        for row in opened.videos()
    }


def rows_of_training(path: pathlib.Path) -> Rows:
    """The weights after each epoch, none where the last was not reached."""
    # As in `rows_of_data_set`.
    from tfmds.models import checkpoints

    ends = checkpoints.epoch_ends(path)
    if len(ends) < _EPOCHS:
        return {}
    rows: Rows = {}
    for epoch, step in ends.items():
        model, _, _ = checkpoints.load_model(path, step)
        weights = b"".join(w.numpy().tobytes() for w in model.weights)
        rows[str(epoch)] = ("ok", "", hashlib.sha256(weights).hexdigest())
    return rows


def rows_of_verdicts(path: pathlib.Path) -> Rows:
    """Of what tfmds.detect wrote; none where it was not finished."""
    if not (path / results.TABLE_FILE).exists():
        return {}
    rows: Rows = {}
    for line in (path / results.RESULTS_FILE).read_text().splitlines():
        fields = json.loads(line)
        if fields["path"] in rows:
            raise RuntimeError(f"{fields['path']} has two rows")
        rows[fields["path"]] = (fields["status"], fields["reason"], _verdict(fields))
    return rows


def main(config: KillsConfig) -> int:
    """Prints what was killed and what came of it."""
    root = pathlib.Path(config.workdir)
    videos, listed = root / "videos", root / "manifest.csv"
    data = root / "preprocess" / "quiet"
    for words in (
        (
            *("pipelines.synthesize", f"--output_dir={videos}", "--seconds=3"),
            *(f"--num_identities={config.identities}", "--height=180"),
        ),
        (
            *("pipelines.build_manifest", "--layout=dfdc", f"--input_dir={videos}"),
            f"--output={listed}",
        ),
    ):
        if start(*words).wait():
            raise RuntimeError(f"{words} failed")
    count = len(manifest.read_manifest(listed))

    def preprocess(out: pathlib.Path) -> list[str]:
        words = [f"--manifest={listed}", f"--output_dir={out}", f"--num_shards={count}"]
        return ["pipelines.preprocess", *words, "--direct_num_workers=2"]

    def train(out: pathlib.Path) -> list[str]:
        return ["tfmds.train", f"--data_dir={data}", f"--workdir={out}", *_TRAINING]

    def detect(out: pathlib.Path) -> list[str]:
        model = [f"--model={config.model}"] if config.model else []
        words = [f"--output_dir={out}", "--num_workers=2", str(videos)]
        return ["tfmds.detect", *model, *words]

    parts = {
        name: functools.partial(disturb, command, read, root / name, config)
        for name, command, read in (
            ("preprocess", preprocess, rows_of_data_set),
            ("train", train, rows_of_training),
            ("detect", detect, rows_of_verdicts),
        )
    }
    clips = sorted(videos.rglob("*.mp4"))
    parts["serve"] = functools.partial(disturb_service, clips, root / "serve", config)
    lines = []
    faults = 0
    for name in config.parts:
        told = parts[name]()
        killed = ", ".join(f"{n} {kind}" for kind, n in sorted(told.killed.items()))
        said = "; ".join(told.faults) or "none"
        lines.append(f"| {name} | {killed} | {told.wholes} | {told.lost} | {said} |")
        print(lines[-1], flush=True)
        faults += len(told.faults)
    print("| program | killed | came through | videos lost to it | faults |")
    print("| --- | --- | --- | --- | --- |", *lines, sep="\n")
    return int(faults > 0)


if __name__ == "__main__":
    app.run(main)
