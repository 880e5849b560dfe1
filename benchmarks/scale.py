"""How time, memory and files grow with the number of videos.

    python -m benchmarks.scale --workdir=OUT --parts=manifest,plan --sizes=7447,119154
    python -m benchmarks.scale --workdir=OUT --parts=clips --sizes=40,160,640,2560

Runs the programs as a user would on made-up data of growing size and prints a table for
each part. 119,154 videos in 50 parts are DFDC's training set. CPU seconds are of the
program with all processes that it started; they depend little on what else the machine
does. Memory is the most that its largest process had; a row whose CPU seconds a
thousand videos grow shows what is not linear.

manifest: pipelines.build_manifest on a tree like DFDC's, of empty files.
plan: pipelines.preprocess on that manifest where all but one shard are done, then once
    more on the whole data set.
empty: pipelines.preprocess on that manifest: what it costs beside the videos.
evaluate: tfmds.select_threshold, tfmds.evaluate with a report, and tfmds.compare on
    random scores with ten chunks a video.
detect: tfmds.detect that goes on where all but one video have results, with a report.
inspect: pipelines.inspect where so many videos are listed.
clips: pipelines.preprocess on a few clips of the demo under as many names.
"""

import dataclasses
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import psutil

from tfmds import spec
from tfmds.common import app, files, flags
from tfmds.common.errors import InputError
from tfmds.common.flags import setting
from tfmds.data import data_set, manifest
from tfmds.detection import judgement_json, results
from tfmds.evaluation import score_files
from tfmds.evaluation.scores import ChunkScores, VideoScores
from tfmds.exporting import export_info
from tfmds.judgement.judgement import VideoJudgement
from tfmds.judgement.seen import JudgedChunk

PARTS = ("manifest", "plan", "empty", "evaluate", "detect", "inspect", "clips")
_DFDC_PARTS = 50
_CHUNKS = 10


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScaleConfig:
    """What is measured, and at which sizes."""

    workdir: str = setting(
        flags.REQUIRED, "Made-up data, kept for the next time.", writes=flags.FOLDER
    )
    parts: tuple[str, ...] = setting(PARTS, f"Some of {', '.join(PARTS)}.")
    sizes: tuple[str, ...] = setting(
        ("1862", "7447", "29789", "119154"), "Numbers of videos."
    )

    def __post_init__(self) -> None:
        if unknown := set(self.parts) - set(PARTS):
            raise InputError(f"--parts={','.join(sorted(unknown))}: there are {PARTS}")
        if not all(size.isdigit() and int(size) >= 40 for size in self.sizes):
            raise InputError("--sizes: expected numbers of videos, 40 or more")


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a program took.

    Attributes:
      cpu: Seconds of all its processes.
      wall: Seconds.
      peaks: The most memory of each process in MB, that of the program first, the
        others from the largest.
      readers: Those of them that are of processes which read videos.
      output: What it printed.
    """

    cpu: float
    wall: float
    peaks: tuple[int, ...]
    readers: tuple[int, ...]
    output: str

    @property
    def workers(self) -> tuple[int, ...]:
        """Peaks of the processes below the program that read no videos themselves."""
        others = list(self.peaks[1:])
        for peak in self.readers:
            others.remove(peak)
        return tuple(others)


def run(
    program: str,
    *words: object,
    codes: tuple[int, ...] = (0,),
    own_stderr: bool = False,
) -> Cost:
    """Runs a program; its errors are part of its output unless `own_stderr`.

    Raises:
      InputError: It ended with none of `codes`.
    """
    peaks: dict[int, int] = {}
    readers: set[int] = set()
    begin = time.perf_counter()
    started = psutil.Popen(
        [sys.executable, "-m", program, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=None if own_stderr else subprocess.STDOUT,
        text=True,
    )
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.2):
            for pid, peak, is_reader in _peaks(started):
                peaks[pid] = max(peaks.get(pid, 0), peak)
                if is_reader:
                    readers.add(pid)

    before = os.times()
    watcher = threading.Thread(target=watch)
    watcher.start()
    output, _ = started.communicate()
    wall = time.perf_counter() - begin
    ended.set()
    watcher.join()
    after = os.times()
    if started.returncode not in codes:
        raise InputError(f"{app.command(program, *words)} failed:\n{output[-2000:]}")
    own = peaks.pop(started.pid, 0)
    return Cost(
        after.children_user + after.children_system
        - before.children_user - before.children_system,
        wall,
        (own, *sorted(peaks.values(), reverse=True)),
        tuple(sorted((peaks[pid] for pid in readers), reverse=True)),
        output,
    )  # fmt: skip


def _peaks(process: psutil.Process) -> Iterator[tuple[int, int, bool]]:
    """High-water marks of a process and those below it in MB, and who reads videos."""
    try:
        for one in (process, *process.children(recursive=True)):
            status = pathlib.Path(f"/proc/{one.pid}/status").read_text()
            if "VmHWM:" in status:
                peak = int(status.split("VmHWM:")[1].split()[0]) // 1000
                is_reader = "isolation.serve" in " ".join(one.cmdline())
                yield one.pid, peak, is_reader
    except (psutil.Error, OSError):
        return


class Rows:
    """A table that is printed row by row."""

    def __init__(self, *columns: str):
        print("\n| " + " | ".join(columns) + " |")
        print("| --- " * len(columns) + "|", flush=True)

    def add(self, *cells: object) -> None:
        """Prints a row."""
        print("| " + " | ".join(map(str, cells)) + " |", flush=True)

    def cost(self, what: str, size: int, cost: Cost, *more: object) -> None:
        """Prints a program's cost on so many videos."""
        self.add(
            what,
            f"{size:,}",
            f"{cost.cpu:.1f}",
            f"{1000 * cost.cpu / size:.2f}",
            f"{cost.wall:.1f}",
            *cost.peaks[:1],
            *more,
        )


def _of_each(peaks: Sequence[int]) -> str:
    """Without the small ones that only start or watch others."""
    return " ".join(str(peak) for peak in peaks if peak > 20)


_COSTS = ("program", "videos", "CPU s", "CPU s by 1,000", "wall s", "MB")


def size_of(path: pathlib.Path) -> str:
    """Size of a file in MB, for a table."""
    return f"{path.stat().st_size / 1e6:.1f}"


def make_tree(root: pathlib.Path, size: int) -> None:
    """Parts of empty files as DFDC has them: a sixth reals, each with its fakes."""
    rng = random.Random(size)
    per_part = -(-size // _DFDC_PARTS)
    for part in range(_DFDC_PARTS):
        folder = root / f"dfdc_train_part_{part}"
        folder.mkdir(parents=True)
        number = min(per_part, size - part * per_part)
        table: dict[str, dict[str, str]] = {}
        originals: list[str] = []
        for k in range(number):
            name = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=10)) + ".mp4"
            fields = {"label": "FAKE", "split": "train"}
            if k % 6 == 0:
                fields["label"] = "REAL"
                originals.append(name)
            else:
                fields["original"] = rng.choice(originals)
            table[name] = fields
            (folder / name).touch()
        files.write_json(folder / "metadata.json", table)


def tree(root: pathlib.Path, size: int) -> pathlib.Path:
    """A tree of that size, made where there is none."""
    folder = root / f"tree-{size}"
    if not folder.exists():
        with files.making_folder(folder) as partial:
            make_tree(pathlib.Path(partial), size)
    return folder


def build_manifest(root: pathlib.Path, size: int) -> tuple[pathlib.Path, Cost]:
    """The manifest of a tree, and what making it took."""
    folder = tree(root, size)
    output = folder / "manifest.csv"
    cost = run(
        "pipelines.build_manifest",
        "--layout=dfdc",
        f"--input_dir={folder}",
        f"--output={output}",
    )
    return output, cost


def measure_manifest(root: pathlib.Path, sizes: list[int]) -> None:
    """build_manifest on trees like DFDC's."""
    rows = Rows(*_COSTS, "manifest MB")
    for size in sizes:
        path, cost = build_manifest(root, size)
        rows.cost("build_manifest", size, cost, size_of(path))


def measure_plan(root: pathlib.Path, sizes: list[int]) -> None:
    """Preprocessing where hardly anything is left to do."""
    rows = Rows(*_COSTS, "shards")
    for size in sizes:
        path, _ = build_manifest(root, size)
        out = root / f"planned-{size}"
        shutil.rmtree(out, ignore_errors=True)
        words = (f"--manifest={path}", f"--output_dir={out}", "--direct_num_workers=1")
        count = pretend_done(path, out)
        # None of the empty files can be used, which it says at the end.
        cost = run("pipelines.preprocess", *words, codes=(2,))
        rows.cost("preprocess, one shard to do", size, cost, count)
        cost = run("pipelines.preprocess", *words, codes=(2,))
        rows.cost("preprocess, nothing to do", size, cost, count)


def pretend_done(path: pathlib.Path, out: pathlib.Path) -> int:
    """Leaves what a run leaves that was killed at its last shard; returns how many."""
    from pipelines import shards

    work = out / data_set.WORK_DIR
    work.mkdir(parents=True)
    plan = shards.plan(manifest.read_manifest(path), 0)
    row = {
        **{"status": spec.DECODE_ERROR, "reason": "an empty file"},
        **{"tracks": 0, "chunks": 0, "seconds": 0.0},
        "media": dataclasses.asdict(data_set.MediaFacts()),
    }
    for shard in plan[:-1]:
        name = data_set.shard_name("videos", shard.split, shard.index, shard.count)
        (out / name).touch()
        entry = {"file": name, "videos": len(shard.videos), "records": 0, "bytes": 0}
        rows = [row] * len(shard.videos)
        files.write_json(work / f"{name}.json", {"rows": rows, "shard": entry})
    return len(plan)


def measure_empty(root: pathlib.Path, sizes: list[int]) -> None:
    """Preprocessing of files in which there is nothing to read."""
    rows = Rows(*_COSTS, "workers MB", "readers MB", "files")
    for size in sizes:
        path, _ = build_manifest(root, size)
        out = root / f"empty-{size}"
        shutil.rmtree(out, ignore_errors=True)
        words = (f"--manifest={path}", f"--output_dir={out}")
        cost = run("pipelines.preprocess", *words, codes=(2,))
        rows.cost(
            *("preprocess, empty", size, cost),
            *(_of_each(cost.workers), _of_each(cost.readers)),
            len(list(out.iterdir())),
        )


def make_scores(folder: pathlib.Path, size: int, seed: int) -> pathlib.Path:
    """Random scores of videos; a sixth real, every tenth fake forged in a part."""
    rng = np.random.default_rng(seed)
    number = np.arange(size)
    real = number % 6 == 0
    ids = [f"video{k:07d}" for k in number]
    video = np.repeat(number, _CHUNKS)
    forged_part = ~real & (number % 10 == 1)
    chunks = ChunkScores(
        video_id=np.array(ids, object)[video],
        track=np.zeros(len(video), np.int64),
        chunk=np.tile(np.arange(_CHUNKS), size),
        start_seconds=np.tile(np.arange(_CHUNKS, dtype=float), size),
        label=real[video].astype(np.int8),
        distance=np.round(rng.normal(np.where(real, 1.0, 1.3)[video], 0.5), 6),
    )
    videos = VideoScores.from_chunks(
        chunks,
        video_id=ids,
        label=[*map(int, real)],
        split=["test" if k // 6 % 2 else "validation" for k in number],
        group=[f"group{k // 6 // 4}" for k in number],
        manipulation=["" if r else f"kind{k % 4}" for k, r in enumerate(real)],
        status=[spec.OK] * size,
        fake_periods=[((2.0, 5.0),) if part else () for part in forged_part],
        seconds=[float(_CHUNKS)] * size,
    )
    score_files.write(folder, videos, chunks)
    return folder / score_files.VIDEOS_FILE


def measure_evaluate(root: pathlib.Path, sizes: list[int]) -> None:
    """Score files of random numbers."""
    rows = Rows(*_COSTS, "page MB")
    for size in sizes:
        first = make_scores(root / f"scores-{size}", size, 0)
        second = make_scores(root / f"others-{size}", size, 1)
        out = root / f"evaluation-{size}"
        threshold = out / "threshold.json"
        cost = run(
            "tfmds.select_threshold",
            f"--scores={first}",
            "--split=validation",
            f"--output_dir={out}",
        )
        rows.cost("select_threshold", size, cost, "")
        cost = run(
            "tfmds.evaluate",
            f"--scores={first}",
            f"--threshold={threshold}",
            "--split=all",
            f"--output_dir={out}",
            f"--report={out}",
        )
        rows.cost("evaluate --report", size, cost, size_of(out / "index.html"))
        cost = run("tfmds.compare", first, second, "--split=all", f"--output_dir={out}")
        rows.cost("compare", size, cost, size_of(out / "comparison.html"))


def make_results(folder: pathlib.Path, size: int) -> pathlib.Path:
    """Empty videos, and results of all but the last as detect leaves them."""
    videos, out = folder / "videos", folder / "results"
    videos.mkdir(parents=True)
    info = export_info.read_info(export_info.find(None))
    made_by = {
        **{"model_id": info.model_id, "threshold": info.threshold.value},
        **{"hop": 1.0, "tracks": "all"},
    }
    rng = np.random.default_rng(0)
    out.mkdir()
    files.write_json(out / "run.json", made_by)
    with open(out / results.RESULTS_FILE, "w") as f:
        for k in range(size):
            path = videos / f"clip{k:06d}.mp4"
            path.touch()
            chunks = tuple(
                JudgedChunk(0, float(second), float(distance))
                for second, distance in enumerate(rng.normal(1, 0.3, _CHUNKS))
            )
            judgement = VideoJudgement(
                path=str(path),
                status=spec.OK,
                threshold=info.threshold,
                chunks=chunks,
                seconds_total=float(_CHUNKS),
                model_id=info.model_id,
            )
            if k < size - 1:
                f.write(json.dumps(judgement_json.write(judgement)) + "\n")
    return folder


def measure_detect(root: pathlib.Path, sizes: list[int]) -> None:
    """Detection that goes on where hardly anything is left to do."""
    rows = Rows(*_COSTS, "results.jsonl MB", "index.html MB")
    for size in sizes:
        folder = root / f"detect-{size}"
        if not folder.exists():
            with files.making_folder(folder) as partial:
                # Results name their videos by path.
                made = make_results(pathlib.Path(partial), size)
                lines = made / "results" / results.RESULTS_FILE
                text = lines.read_text().replace(str(partial), str(folder))
                lines.write_text(text)
        out, page = folder / "results", folder / "report"
        for more in ([], [f"--report={page}"]):
            words = (f"--output_dir={out}", *more, folder / "videos")
            cost = run("tfmds.detect", *words, codes=(3,))
            rows.cost(
                " ".join(["detect", *(w.split("=")[0] for w in more)]),
                size,
                cost,
                size_of(out / results.RESULTS_FILE),
                size_of(page / "index.html") if more and page.exists() else "",
            )


def measure_inspect(root: pathlib.Path, sizes: list[int]) -> None:
    """A data set of the demo's clips whose table is made longer."""
    rows = Rows(*_COSTS, "page MB")
    source = root / "data-40"
    if not source.exists():
        raise InputError("first --parts=clips --sizes=40")
    few = data_set.DataSet.load(source).videos()
    for size in sizes:
        folder = root / f"inspect-{size}"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(source, folder)
        listed = [
            dataclasses.replace(
                row, video=dataclasses.replace(row.video, video_id=f"video{k}")
            )
            for k in range(size)
            for row in [few[k % len(few)]]
        ]
        data_set.write_videos(folder / data_set.VIDEOS_FILE, listed)
        cost = run("pipelines.inspect", f"--data_dir={folder}")
        rows.cost("inspect", size, cost, size_of(folder / "audit.html"))


def measure_clips(root: pathlib.Path, sizes: list[int]) -> None:
    """Clips of the demo, each under many names in many folders."""
    rows = Rows(
        *("clips", "CPU s", "CPU s a clip", "wall s", "parent MB"),
        *("workers MB", "readers MB", "files", "shards", "chunks a clip"),
    )
    clips = root / "clips"
    if not clips.exists():
        run("pipelines.synthesize", f"--output_dir={clips}", "--num_identities=8")
    sources = sorted(clips.rglob("*.mp4"))
    for size in sizes:
        folder, out = root / f"named-{size}", root / f"data-{size}"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(out, ignore_errors=True)
        videos = []
        for k in range(size):
            name = f"{k // 64:03d}/clip{k:05d}.mp4"
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).hardlink_to(sources[k % len(sources)])
            split = spec.SPLITS[k // 64 % len(spec.SPLITS)]
            videos.append(
                manifest.Video(f"clip{k:05d}", name, "real", split, f"group{k % 64}")
            )
        manifest.write_manifest(folder / "manifest.csv", videos)
        cost = run(
            "pipelines.preprocess",
            f"--manifest={folder / 'manifest.csv'}",
            f"--output_dir={out}",
        )
        made = data_set.DataSet.load(out)
        chunks = sum(row.chunks for row in made.videos())
        rows.add(
            f"{size:,}",
            f"{cost.cpu:.0f}",
            f"{cost.cpu / size:.3f}",
            f"{cost.wall:.0f}",
            cost.peaks[0],
            _of_each(cost.workers),
            _of_each(cost.readers),
            sum(1 for path in out.rglob("*") if path.is_file()),
            sum(len(entry["shards"]) for entry in made.info["splits"].values()),
            f"{chunks / size:.2f}",
        )


MEASURES: Mapping[str, Callable[[pathlib.Path, list[int]], None]] = {
    "manifest": measure_manifest,
    "plan": measure_plan,
    "empty": measure_empty,
    "evaluate": measure_evaluate,
    "detect": measure_detect,
    "inspect": measure_inspect,
    "clips": measure_clips,
}


def main(config: ScaleConfig) -> None:
    """Measures part after part."""
    root = pathlib.Path(config.workdir).absolute()
    root.mkdir(parents=True, exist_ok=True)
    for part in config.parts:
        MEASURES[part](root, [int(size) for size in config.sizes])


if __name__ == "__main__":
    app.run(main)
