"""What preprocessing costs, and how well its tracks agree with looking at every frame.

    python -m benchmarks.preprocessing --clip=CLIP.mp4 --clips_dir=CLIPS --stride=5

Prints a table: wall time of one clip and where it goes; memory of a worker of Beam and
of the process that reads its videos, on that clip and on a 4K video made here; bytes
stored a second of face; for a folder of clips, the overlap of tracks with detections on
single frames, and the faces that are in these alone. Needs the extra `test`.
"""

import contextlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import psutil
from absl import flags

from tests import media as make
from tfmds.common import app
from tfmds.data import data_set, manifest
from tfmds.preprocessing import (
    crops,
    detector,
    faces,
    isolation,
    media,
    search,
    shots,
    streams,
    tracks,
)
from tfmds.preprocessing.config import PreprocessingConfig
from tfmds.preprocessing.picture import Picture
from tfmds.spec import ChunkSpec

_CLIP = flags.DEFINE_string("clip", None, "A video to take the time of.")
_RUNS = flags.DEFINE_integer("runs", 5, "How often; the quickest counts.")
_CLIPS_DIR = flags.DEFINE_string("clips_dir", None, "Clips to compare tracks on.")
_STRIDE = flags.DEFINE_integer(
    "stride", 1, "The comparison looks at each k-th frame.", lower_bound=1
)
_OPTIONS = PreprocessingConfig()


class Stopwatch:
    """Seconds by part of the work; a part within another is taken from that."""

    def __init__(self):
        self.seconds: Counter[str] = Counter()
        self._parts = ["the rest"]
        self._since = time.perf_counter()

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
        now = time.perf_counter()
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
    """Seconds by part of the work, in a process that has read the clip before."""
    watch = Stopwatch()
    parts = {
        "detection": (search.Search, "find"),
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
        decoded = watch.timed_steps("decoding picture and sound", streams.decoded)
        replace(streams, "decoded", decoded)
        list(tracks.read_tracks(clip))
    watch.stop()
    return dict(watch.seconds.most_common())


def time_of(clip: str, runs: int) -> list[tuple[str, str]]:
    walls, cpus = [], []
    for _ in range(runs + 1):
        start, cpu = time.perf_counter(), _cpu_of_readers()
        reader = isolation.read_tracks(clip)
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
    best = None
    for _ in range(runs):
        cpu = time.process_time()
        seconds = where_time_goes(clip)
        cpu = time.process_time() - cpu
        if best is None or sum(seconds.values()) < sum(best[0].values()):
            best = seconds, cpu
    seconds, cpu = best
    rows.append(("read in this process, wall", f"{sum(seconds.values()):.2f} s"))
    rows.append(("the same, CPU", f"{cpu:.2f} s"))
    rows += [(f"- {name}", f"{s:.2f} s") for name, s in seconds.items()]
    return rows


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


def agreement_on(clip: str, stride: int) -> tuple[list[float], int, int]:
    """Overlap of tracks with each detection, faces that should be found, those lost."""
    boxes: dict[int, list[np.ndarray]] = {}
    for segment in tracks.read_tracks(clip):
        first = round(segment.start_seconds * ChunkSpec().frame_rate)
        for i, box in enumerate(segment.boxes, first):
            boxes.setdefault(i, []).append(box)
    # The same rules on what every frame shows.
    searching = search.Search(detector.shared_detector(), _OPTIONS)
    tracker = faces.Tracker(_OPTIONS)
    expected, overlaps = [], []
    with media.Media(clip, ChunkSpec()) as opened:
        for i, (picture, is_cut) in enumerate(shots.mark_cuts(opened.pictures())):
            if is_cut:
                tracker.cut()
            if i % stride:
                continue
            found = searching._whole([0], 0, [picture])[0]
            expected += tracker.update(i, found)
            for box in found:
                best = max((faces.overlap(box, b) for b in boxes.get(i, [])), default=0)
                if best > 0:
                    overlaps.append(best)
    expected = [
        track
        for track in expected
        if track.frames[-1] - track.frames[0] + 1 >= _OPTIONS.min_track_frames
        and np.mean([faces.size_of(b) for b in track.boxes]) >= _OPTIONS.min_face_size
    ]
    lost = 0
    for track in expected:
        hits = [
            any(faces.overlap(box, b) >= _OPTIONS.min_iou for b in boxes.get(i, []))
            for i, box in zip(track.frames, track.boxes, strict=True)
        ]
        lost += np.mean(hits) < 0.5
    return overlaps, len(expected), lost


def agreement(clips_dir: str, stride: int) -> list[tuple[str, str]]:
    overlaps, num_expected, lost_in = {}, 0, {}
    for path in sorted(pathlib.Path(clips_dir).iterdir()):
        found, expected, lost = agreement_on(os.fspath(path), stride)
        num_expected += expected
        if found:
            overlaps[path.name] = found
        if lost:
            lost_in[path.name] = lost
    means = {name: float(np.mean(values)) for name, values in overlaps.items()}
    worst = min(means, key=means.get)
    everything = np.concatenate(list(overlaps.values()))
    return [
        ("clips, faces compared", f"{len(overlaps)}, {len(everything)}"),
        ("mean overlap (IoU)", f"{everything.mean():.3f}"),
        ("worst video", f"{means[worst]:.3f} ({worst})"),
        (
            f"of {num_expected} faces from {_OPTIONS.min_face_size} px on, lost",
            f"{sum(lost_in.values())} {', '.join(lost_in)}".strip(),
        ),
    ]


def main() -> None:
    rows = []
    if _CLIP.value:
        rows += time_of(_CLIP.value, _RUNS.value)
        rows += memory_of(_CLIP.value, "this clip")
        with tempfile.TemporaryDirectory() as folder:
            rows += memory_of(large_clip(folder), "4K")
    if _CLIPS_DIR.value:
        rows += agreement(_CLIPS_DIR.value, _STRIDE.value)
    print("| what | measured |\n| --- | --- |")
    for what, measured in rows:
        print(f"| {what} | {measured} |")


if __name__ == "__main__":
    app.run(main)
