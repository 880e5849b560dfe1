"""What preprocessing costs, and how well tracks agree with looking at single frames.

    python -m benchmarks.preprocessing --clip=CLIP.mp4 --clips_dir=CLIPS --stride=10

Prints a table. For a clip: wall time, CPU seconds and where they go, memory of a worker
of Beam and of the process that reads its videos, on that clip and on a 4K video made
here, bytes stored a second of face. For a folder: the overlap of tracks with the faces
that the package mtcnn finds on each k-th frame alone (its own networks in TensorFlow,
all scales of a picture large enough for all wanted faces), faces that are in these
alone, and the CPU seconds that the tracks took; with --other=OLD_TREE the same of
another tree of this project, clip by clip in turn, and how far their tracks agree.
Needs the extra `test`.
"""

import contextlib
import dataclasses
import functools
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import psutil

from tests import media as make
from tfmds.common import app
from tfmds.common.flags import setting
from tfmds.data import data_set, manifest
from tfmds.preprocessing import (
    containers,
    crops,
    faces,
    isolation,
    media,
    orientation,
    shots,
    tracks,
)
from tfmds.preprocessing.config import PreprocessingConfig
from tfmds.preprocessing.picture import Picture
from tfmds.spec import ChunkSpec


@dataclasses.dataclass(frozen=True, kw_only=True)
class PreprocessingBenchmarkConfig:
    """Which recordings are read, and how often."""

    clip: str | None = setting(None, "A video to take the time of.")
    runs: int = setting(5, "How often; the quickest counts.", low=1)
    clips_dir: str | None = setting(None, "Clips to compare tracks on.")
    stride: int = setting(1, "The comparison looks at each k-th frame.", low=1)
    other: str | None = setting(None, "Another tree, to be compared with this.")


_OPTIONS = PreprocessingConfig()
# The smallest wanted face has so many pixels for the package, which finds 20.
_REFERENCE_FACE = 40
# Boxes that overlap by less are not of one face.
_SAME_FACE = 0.3


class Stopwatch:
    """CPU seconds by part of the work; a part within another is taken from that."""

    def __init__(self):
        self.seconds: Counter[str] = Counter()
        self._parts = ["the rest"]
        self._since = time.process_time()

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        # What the detector cuts out is part of the detection.
        name = "detection" if "detection" in self._parts else name
        self._turn()
        self._parts.append(name)
        yield
        self._turn()
        self._parts.pop()

    def _turn(self) -> None:
        now = time.process_time()
        self.seconds[self._parts[-1]] += now - self._since
        self._since = now

    def stop(self) -> None:
        self._turn()

    def timed(self, name: str, function: Callable) -> Callable:
        def call(*args, **kwargs):
            with self.part(name):
                return function(*args, **kwargs)

        return call

    def timed_steps(self, name: str, function: Callable) -> Callable:
        def call(*args, **kwargs):
            steps = function(*args, **kwargs)
            while True:
                with self.part(name):
                    step = next(steps, None)
                if step is None:
                    return
                yield step

        return call


def where_time_goes(clip: str) -> dict[str, float]:
    """CPU seconds by part of the work, in a process that has read the clip before."""
    watch = Stopwatch()
    parts = {
        "detection": (orientation.Upright, "find"),
        "cropping": (Picture, "crop"),
        "keeping what may be cropped": (Picture, "part"),
        "JPEG": (crops.TrackCrops, "_encode"),
        "MFCC": (crops, "mfcc"),
        "cuts": (shots, "_mark_first"),
    }
    with contextlib.ExitStack() as stack:

        def replace(owner, attribute, value):
            stack.callback(setattr, owner, attribute, getattr(owner, attribute))
            setattr(owner, attribute, value)

        for name, (owner, attribute) in parts.items():
            replace(owner, attribute, watch.timed(name, getattr(owner, attribute)))
        decoded = watch.timed_steps("decoding picture and sound", containers.decoded)
        replace(containers, "decoded", decoded)
        list(tracks.TrackReader(clip))
    watch.stop()
    return dict(watch.seconds.most_common())


def time_of(clip: str, runs: int) -> list[tuple[str, str]]:
    walls, cpus = [], []
    for _ in range(runs + 1):
        start, cpu = time.perf_counter(), _cpu_of_readers()
        reader = isolation.IsolatedTrackReader(clip)
        list(reader)
        walls.append(time.perf_counter() - start)
        cpus.append(_cpu_of_readers() - cpu)
    summary = reader.summary
    rows = [
        (f"`{os.path.basename(clip)}`", f"{summary.seconds:.1f} s, {summary.status}"),
        ("read in a process of its own, wall", f"{min(walls[1:]):.2f} s"),
        ("the same, CPU of that process", f"{min(cpus[1:]):.2f} s"),
        ("the first, with the start of that process", f"{walls[0]:.2f} s"),
    ]
    seconds = min((where_time_goes(clip) for _ in range(runs)), key=_total)
    rows.append(("read in this process, CPU", f"{_total(seconds):.2f} s"))
    rows += [(f"- {name}", f"{s:.2f} s") for name, s in seconds.items()]
    return rows


def _total(seconds: dict[str, float]) -> float:
    return sum(seconds.values())


def _cpu_of_readers() -> float:
    times = [child.cpu_times() for child in psutil.Process().children()]
    return sum(t.user + t.system for t in times)


def memory_of(clip: str, what: str) -> list[tuple[str, str]]:
    """Peaks in a run of the pipeline on one video, and what it stores."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        name = f"v{os.path.splitext(clip)[1]}"
        shutil.copy(clip, root / name)
        rows = [manifest.Video("v", name, "real", "train", "g")]
        manifest.write_manifest(root / "m.csv", rows)
        words = ["pipelines.preprocess", f"--manifest={root / 'm.csv'}"]
        words += [f"--output_dir={root / 'out'}", "--name=v", "--direct_num_workers=1"]
        run = psutil.Popen([sys.executable, "-m", *words], stdout=subprocess.DEVNULL)
        both, reader = _peaks(run)
        if run.returncode:
            raise RuntimeError(f"{clip}: preprocessing failed")
        found = data_set.DataSet.load(root / "out")
        stored = sum(path.stat().length for path in found.shards("train"))
        (row,) = found.videos()
    return [
        (f"worker of Beam and its reader, {what}", f"{both / 1e9:.2f} GB"),
        (f"- the reader alone, {what}", f"{reader / 1e9:.2f} GB"),
        (f"stored, {what}", f"{stored / row.chunks / 1e6:.2f} MB a second of face"),
    ]


def _peaks(run: psutil.Popen) -> tuple[int, int]:
    """Bytes (shared ones by share) of the worker with its reader, and of the reader."""
    both = reader = 0
    while run.poll() is None:
        readers, others = [], []
        for process in run.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                is_reader = "isolation" in " ".join(process.cmdline())
                size = process.memory_full_info().pss
                (readers if is_reader else others).append(size)
        both = max(both, sum(readers + others))
        reader = max(reader, sum(readers))
        time.sleep(0.1)
    return both, reader


def large_clip(folder: str) -> str:
    """Six seconds of 4K."""
    heads = [make.talking_head(3840, 2160, 700, mouth) for mouth in (0.0, 0.5, 1.0)]
    return make.write_video(
        pathlib.Path(folder) / "4k.mp4",
        (heads[i // 3 % 3] for i in range(180)),
        30,
        make.tone(6),
        options={"preset": "ultrafast"},
    )


# Run in the tree whose tracks are wanted.
_PRINT_TRACKS = """
import json, sys, time
from tfmds.preprocessing import tracks
# What it was called in earlier trees.
read = getattr(tracks, "read_tracks", tracks.TrackReader)
began = time.process_time()
found = [[s.start_seconds, s.boxes.tolist()] for s in read(sys.argv[1])]
print(json.dumps([found, time.process_time() - began]))
"""

# Boxes by frame.
Boxes = dict[int, list[np.ndarray]]


def boxes_of_tracks(clip: str, tree: str) -> tuple[Boxes, float]:
    """What the tracks of a tree of this project show, and CPU seconds to read them."""
    printed = subprocess.run(
        [sys.executable, "-c", _PRINT_TRACKS, os.path.abspath(clip)],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": tree},
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    segments, seconds = json.loads(printed)
    boxes: Boxes = {}
    for start, of_segment in segments:
        first = round(start * ChunkSpec().frame_rate)
        for i, box in enumerate(np.array(of_segment), first):
            boxes.setdefault(i, []).append(box)
    return boxes, seconds


@functools.cache
def _package() -> Any:
    # Loads TensorFlow.
    from mtcnn import MTCNN

    return MTCNN()


def faces_on_single_frames(clip: str, stride: int) -> list[faces.Track]:
    """Faces that should be followed, by the package on each `stride`-th frame."""
    tracker = faces.Tracker(_OPTIONS)
    found = []
    with media.Media(clip, ChunkSpec()) as opened:
        for i, (picture, is_cut) in enumerate(shots.mark_cuts(opened.pictures())):
            if is_cut:
                tracker.cut()
            if i % stride:
                continue
            image = picture.scaled(min(1, _REFERENCE_FACE / _OPTIONS.min_face_size))
            boxes = _package().detect_faces(
                image, output_type="numpy", box_format="xyxy", fit_to_image=False
            )
            boxes = boxes[boxes[:, 5] >= _OPTIONS.min_confidence]
            boxes = boxes[np.argsort(-boxes[:, 5])][:, 1:5]
            x, y = picture.width / image.shape[1], picture.height / image.shape[0]
            found += tracker.update(i, faces.without_doubles(boxes * [x, y, x, y]))
    return [
        track
        for track in found
        if track.frames[-1] - track.frames[0] + 1 >= _OPTIONS.min_track_frames
        and np.mean([faces.size_of(b) for b in track.boxes]) >= _OPTIONS.min_face_size
    ]


def _best_overlaps(boxes: list[np.ndarray], others: list[np.ndarray]) -> list[float]:
    return [max((faces.overlap(a, b) for b in others), default=0.0) for a in boxes]


@dataclasses.dataclass
class Agreement:
    """How far the tracks of a tree agree with something else, clip by clip."""

    overlaps: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    num_expected: int = 0
    lost_in: list[str] = dataclasses.field(default_factory=list)
    cpu_seconds: float = 0.0

    def add(self, name: str, expected: list[faces.Track], boxes: Boxes) -> None:
        """Counts what was made of the faces of a clip."""
        self.num_expected += len(expected)
        for track in expected:
            overlaps = [
                _best_overlaps([box], boxes.get(i, []))[0]
                for i, box in zip(track.frames, track.boxes, strict=True)
            ]
            if np.mean([x >= _OPTIONS.min_iou for x in overlaps]) < 0.5:
                self.lost_in.append(name)
            found = [x for x in overlaps if x >= _SAME_FACE]
            if found:
                self.overlaps.setdefault(name, []).extend(found)

    def rows(self) -> dict[str, str]:
        """Names and values of the table."""
        means = {name: float(np.mean(x)) for name, x in self.overlaps.items()}
        worst = min(means, key=lambda name: means[name])
        everything = np.concatenate(list(self.overlaps.values()))
        return {
            "clips, boxes compared": f"{len(means)}, {len(everything)}",
            "mean overlap (IoU) with single frames": f"{everything.mean():.3f}",
            "worst video": f"{means[worst]:.3f} ({worst})",
            f"of {self.num_expected} faces from {_OPTIONS.min_face_size} px on, lost": (
                f"{len(self.lost_in)} {', '.join(self.lost_in)}".strip()
            ),
            "CPU of reading": f"{self.cpu_seconds:.1f} s",
        }


def agreement(
    clips_dir: str, stride: int, trees: Sequence[str]
) -> list[tuple[str, ...]]:
    """A row for each figure with a column for each tree."""
    results = [Agreement() for _ in trees]
    common: list[float] = []
    alone = [0, 0]
    for path in sorted(pathlib.Path(clips_dir).iterdir()):
        expected = faces_on_single_frames(os.fspath(path), stride)
        of_trees = []
        for tree, result in zip(trees, results, strict=True):
            boxes, seconds = boxes_of_tracks(os.fspath(path), tree)
            result.add(path.name, expected, boxes)
            result.cpu_seconds += seconds
            of_trees.append(boxes)
        for a, b in itertools.pairwise(of_trees):
            for i in a.keys() | b.keys():
                pair = a.get(i, []), b.get(i, [])
                there = _best_overlaps(*pair)
                back = _best_overlaps(*pair[::-1])
                common += [x for x in there if x >= _SAME_FACE]
                alone[0] += sum(x < _SAME_FACE for x in there)
                alone[1] += sum(x < _SAME_FACE for x in back)
    columns = [result.rows() for result in results]
    rows = [(name, *(column[name] for column in columns)) for name in columns[0]]
    if common:
        rows += [
            ("overlap of both", f"{np.mean(common):.4f}", ""),
            (f"boxes of one alone, of {len(common)}", *map(str, alone)),
        ]
    return rows


def main(config: PreprocessingBenchmarkConfig) -> None:
    rows: list[tuple[str, ...]] = []
    trees = [os.getcwd(), *([os.path.abspath(config.other)] if config.other else [])]
    if config.clip:
        rows += time_of(config.clip, config.runs)
        rows += memory_of(config.clip, "this clip")
        with tempfile.TemporaryDirectory() as folder:
            rows += memory_of(large_clip(folder), "4K")
    if config.clips_dir:
        rows += agreement(config.clips_dir, config.stride, trees)
    width = max(map(len, rows), default=2)
    names = ["what", "measured", "other tree"][:width]
    print("|", " | ".join(names), "|\n|", " | ".join(["---"] * width), "|")
    for row in rows:
        print("|", " | ".join([*row, *[""] * (width - len(row))]), "|")


if __name__ == "__main__":
    app.run(main)
