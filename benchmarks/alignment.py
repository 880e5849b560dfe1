"""What each part of the aligned score is worth, on clips of people.

    python -m benchmarks.alignment --clips=CLIPS --workdir=OUT [--model=EXPORT]

CLIPS is a folder of videos with INDEX.csv, as for benchmarks.learning. Each clip's
longest face is scored with its own voice, with the voices of five other people (swap),
and with its own voice half a second early and late (shift). Prints a table: AUC of swap
and shift, and in brackets the share of the swapped and of the shifted that is found
where one in ten of the own voices is called fake; for clips as they are, and for pieces
of 3 and 6 s. Writes OUT/scores.csv of the score as it is, for tfmds.select_threshold.
Embeddings are kept in OUT: killed, the same command goes on.
"""

import contextlib
import dataclasses
import functools
import pathlib
from collections.abc import Callable, Iterator
from unittest import mock

import numpy as np
import tensorflow as tf
from sklearn.metrics import roc_auc_score

from benchmarks import clips
from tfmds import spec
from tfmds.common import app
from tfmds.common.flags import FOLDER, REQUIRED, setting
from tfmds.data import decode
from tfmds.data.records import TrackSegment
from tfmds.evaluation import alignment, lag_evidence, score_files, scores
from tfmds.exporting import networks
from tfmds.models.two_stream import single_streams
from tfmds.preprocessing.tracks import TrackReader

_NUM_SWAPS = 5
_SHIFT = 0.5
_PIECES = (3, 6)
# Longest record of tfmds.detect.
_RECORD_SECONDS = 10
# Finer than the score's own hops: 0.1 s of mouths, 20 ms of voice.
_MOUTH_FRAMES, _VOICE_FRAMES = 3, 2
# Mouth chunks that are embedded at once.
_BATCH = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class AlignmentConfig:
    """Which clips, and by which model."""

    clips: str = setting(REQUIRED, "Folder of clips with INDEX.csv.")
    workdir: str = setting(REQUIRED, "Embeddings and scores.", writes=FOLDER)
    model: str | None = setting(
        None, "A run or an export; that of the package without."
    )
    skip: tuple[str, ...] = setting(
        ("grid_",), "Beginnings of groups left out.", repeated=True
    )
    use: str = setting(
        "judge", "What the column `use` of the clips says; empty for any."
    )
    scores_only: bool = setting(False, "Write scores, no table.")


def between(seconds: np.ndarray, start: float, end: float) -> slice:
    """Where times lie among ascending ones; a slice copies nothing."""
    first, stop = np.searchsorted(seconds, (start - 1e-6, end + 1e-6))
    return slice(first, stop)


@dataclasses.dataclass(frozen=True)
class Voiced:
    """A mouth and a voice: starts in seconds and embeddings of their chunks."""

    name: str
    group: str
    mouth_seconds: np.ndarray
    mouth: np.ndarray
    voice_seconds: np.ndarray
    voice: np.ndarray
    # Records by the hops they were taken at; a changed copy has none.
    records: dict = dataclasses.field(default_factory=dict, init=False, repr=False)

    @property
    def seconds(self) -> float:
        return float(self.mouth_seconds[-1] - self.mouth_seconds[0] + 1)

    def with_voice(self, other: "Voiced", shift: float = 0.0) -> "Voiced":
        """With the voice of another, or its own some seconds later."""
        begin, end = self.mouth_seconds[0], self.mouth_seconds[-1]
        seconds = other.voice_seconds - other.voice_seconds[0] + begin + shift
        kept = between(seconds, begin, end)
        return dataclasses.replace(
            self, voice_seconds=seconds[kept], voice=other.voice[kept]
        )

    def cut(self, start: float, seconds: float) -> "Voiced":
        """What of it lies in a piece."""
        mouth, voice = (
            between(t, start, start + seconds - 1)
            for t in (self.mouth_seconds, self.voice_seconds)
        )
        return dataclasses.replace(
            self,
            mouth_seconds=self.mouth_seconds[mouth],
            mouth=self.mouth[mouth],
            voice_seconds=self.voice_seconds[voice],
            voice=self.voice[voice],
        )


# The own voice, the voices of others, the own voice shifted.
Case = tuple[Voiced, list[Voiced], list[Voiced]]


def read_clips(config: AlignmentConfig) -> Iterator[tuple[pathlib.Path, str]]:
    """Real clips with the voice of the mouth, each with its person."""
    for clip in clips.read(config.clips):
        used = not config.use or clip.row.get("use", config.use) == config.use
        if clip.has_own_voice and used and not clip.group.startswith(config.skip):
            yield clip.path, clip.group


@functools.cache
def read_tracks(path: pathlib.Path, chunk_spec: spec.ChunkSpec) -> list[TrackSegment]:
    """The faces of a video; kept, since several models may look at them."""
    return list(TrackReader(path, chunk_spec=chunk_spec))


def embedder(path: str | None) -> Callable[[pathlib.Path, str], Voiced | None]:
    """Reads a video; gives its longest face, None where there is none."""
    model, known = networks.load(path)
    network, chunk_spec = known.config, known.spec
    see, hear = (tf.function(m, reduce_retracing=True) for m in single_streams(model))

    def embed(path: pathlib.Path, group: str) -> Voiced | None:
        tracks: dict[int, list] = {}
        for segment in read_tracks(path, chunk_spec):
            frames = np.concatenate(
                [
                    decode.decode_frames(tf.constant([jpeg]), chunk_spec, network.view)
                    for jpeg in segment.frames
                ]
            )
            starts = np.arange(0, len(frames) - 29, _MOUTH_FRAMES)
            mouth = [
                see(np.stack([frames[i : i + 30] for i in some]), training=False)
                for some in np.split(starts, range(_BATCH, len(starts), _BATCH))
            ]
            sounds = np.arange(0, len(segment.mfcc) - 98, _VOICE_FRAMES)
            voices = np.stack([segment.mfcc[i : i + 99].T for i in sounds])
            tracks.setdefault(segment.track, []).append(
                (
                    segment.start_seconds + starts / 30,
                    np.concatenate(mouth),
                    segment.start_seconds + sounds / 100,
                    np.asarray(hear(voices.astype(np.float32), training=False)),
                )
            )
        if not tracks:
            return None
        longest = max(tracks.values(), key=lambda parts: sum(len(p[0]) for p in parts))
        columns = map(np.concatenate, zip(*longest, strict=True))
        return Voiced(path.name, group, *columns)

    return embed


def gather(config: AlignmentConfig) -> list[Voiced]:
    """All clips, from the cache where they are there already."""
    cache = pathlib.Path(config.workdir) / "embeddings"
    cache.mkdir(parents=True, exist_ok=True)
    names = [f.name for f in dataclasses.fields(Voiced) if f.init][2:]
    found, embed = [], None
    for path, group in read_clips(config):
        file = cache / f"{path.name}.npz"
        if not file.exists():
            embed = embed or embedder(config.model)
            voiced = embed(path, group)
            columns = {n: getattr(voiced, n) for n in names} if voiced else {}
            np.savez(file, **columns)
        with np.load(file) as columns:
            if columns.files:
                found.append(Voiced(path.name, group, *(columns[n] for n in names)))
    return found


def cases(every: list[Voiced]) -> list[Case]:
    """Each clip with voices of others that are long enough, and shifted ones."""
    rng = np.random.default_rng(0)
    made = []
    for clip in every:
        others = [c for c in every if c.group != clip.group]
        long = [c for c in others if c.seconds > 0.9 * clip.seconds] or others
        chosen = rng.choice(len(long), min(_NUM_SWAPS, len(long)), replace=False)
        made.append(
            (
                clip,
                [clip.with_voice(long[i]) for i in chosen],
                [clip.with_voice(clip, shift) for shift in (-_SHIFT, _SHIFT)],
            )
        )
    return made


def pieces(whole: list[Case], seconds: float) -> list[Case]:
    """The beginning and the end of each that is long enough."""
    made = []
    for own, swaps, shifts in whole:
        if own.seconds < seconds:
            continue
        last = own.mouth_seconds[0] + own.seconds - seconds
        for start in sorted({own.mouth_seconds[0], np.floor(last * 10) / 10}):
            parts = [
                [voiced.cut(start, seconds) for voiced in some]
                for some in ([own], swaps, shifts)
            ]
            usable = [[v for v in some if len(v.voice) > 20] for some in parts]
            if usable[0]:
                made.append((usable[0][0], usable[1], usable[2]))
    return made


def on_grid(seconds: np.ndarray, hop: float) -> np.ndarray:
    """Which times are next to a multiple of the hop."""
    return np.abs(seconds - np.round(seconds / hop) * hop) < 0.0099


def records(voiced: Voiced) -> list[tuple[np.ndarray, np.ndarray]]:
    """Starts and distances by lag of its records, at the hops of the score."""
    hops = lag_evidence.MOUTH_HOP, lag_evidence.VOICE_HOP, lag_evidence.MAX_LAG
    # Most variants differ in what they make of the same distances.
    if hops in voiced.records:
        return voiced.records[hops]
    first = voiced.mouth_seconds[0]
    found = []
    for start in np.arange(0, voiced.seconds - 1 + 1e-6, _RECORD_SECONDS):
        part = voiced.cut(first + start, _RECORD_SECONDS)
        mouth = on_grid(part.mouth_seconds - first, lag_evidence.MOUTH_HOP)
        voice = on_grid(part.voice_seconds - first, lag_evidence.VOICE_HOP)
        if mouth.any() and voice.any():
            starts = part.mouth_seconds[mouth]
            distances = lag_evidence.distances_by_lag(
                starts,
                part.mouth[mouth],
                part.voice_seconds[voice],
                part.voice[voice],
            )
            found.append((starts, distances.astype(np.float32)))
    voiced.records[hops] = found
    return found


def align(voiced: Voiced) -> alignment.Alignment:
    """Its alignment, with the score as it is."""
    return alignment.align(
        stretch
        for starts, distances in records(voiced)
        for stretch in lag_evidence.sum_up(starts, distances)
    )


def aligned(voiced: Voiced) -> float:
    """NaN where there is too little."""
    found = align(voiced).aligned
    return np.nan if found is None else found


def mds(voiced: Voiced) -> float:
    """Mean distance at lag 0."""
    return smallest(voiced, [0.0])


def smallest(voiced: Voiced, lags: list[float]) -> float:
    """The smallest mean distance at some lags."""
    with np.errstate(invalid="ignore"):
        tables = [table for _, table in records(voiced)]
        means = np.nanmean(np.concatenate(tables), axis=0)
    return float(min(np.interp(lag, lag_evidence.lags(), means) for lag in lags))


@contextlib.contextmanager
def otherwise(**constants: float) -> Iterator[None]:
    """With other constants in the score."""
    with contextlib.ExitStack() as stack:
        for name, value in constants.items():
            stack.enter_context(mock.patch.object(alignment, name, value))
        yield


# What is tried: its name, the score, and constants of `alignment` that differ.
VARIANTS: list[tuple[str, Callable[[Voiced], float], dict[str, float]]] = [
    ("MDS", mds, {}),
    ("smallest at 0, 0.1 s", lambda v: smallest(v, [0.0, 0.1]), {}),
    ("**aligned**", aligned, {}),
    ("noise not measured", aligned, {"_NOISE_WEIGHT": 1e9}),
    ("noise measured only", aligned, {"_NOISE_WEIGHT": 1e-3}),
    ("tolerance 0.05 s", aligned, {"TOLERANCE": 0.05}),
    ("tolerance 0.2 s", aligned, {"TOLERANCE": 0.2}),
    ("no prior, lags -0.04 to 0.16", aligned, {"TOLERANCE": 99, "MAX_IN_STEP": 0.1}),
    ("no prior, lags -0.14 to 0.26", aligned, {"TOLERANCE": 99}),
    ("usual offset 0 s", aligned, {"USUAL_OFFSET": 0.0}),
    ("usual offset 0.1 s", aligned, {"USUAL_OFFSET": 0.1}),
    ("mismatches from 0.6 s", aligned, {"MISMATCH_LAG": 0.6}),
    ("a mouth every 0.1 s", aligned, {"MOUTH_HOP": 0.1, "VOICE_HOP": 0.02}),
    ("a mouth every 0.4 s", aligned, {"MOUTH_HOP": 0.4}),
    ("a voice every 0.02 s", aligned, {"VOICE_HOP": 0.02}),
    ("a voice every 0.1 s", aligned, {"VOICE_HOP": 0.1}),
    ("lags up to 3 s", aligned, {"MAX_LAG": 3.0}),
]


def judge(
    some: list[Case], score: Callable[[Voiced], float]
) -> tuple[list[float], ...]:
    """Scores of own voices, swaps and shifts."""
    parts = (
        [score(own) for own, _, _ in some],
        [score(v) for _, swaps, _ in some for v in swaps],
        [score(v) for _, _, shifts in some for v in shifts],
    )
    return tuple([x for x in part if not np.isnan(x)] for part in parts)


def figures(own: list[float], swap: list[float], shift: list[float]) -> str:
    """AUC and recall of both kinds."""
    tau = np.quantile(own, 0.9)
    found = [
        (
            roc_auc_score([0] * len(own) + [1] * len(fake), own + fake),
            np.mean(np.array(fake) > tau),
        )
        for fake in (swap, shift)
    ]
    areas, recalls = zip(*found, strict=True)
    return f"{areas[0]:.3f} / {areas[1]:.3f} ({recalls[0]:.2f} / {recalls[1]:.2f})"


def video_scores(some: list[Case]) -> scores.VideoScores:
    """The score as it is, as a table of videos."""
    rows = []
    for own, swaps, shifts in some:
        kinds = [("", [own]), (spec.SWAP, swaps), (spec.SHIFT, shifts)]
        for kind, some in kinds:
            for number, voiced in enumerate(some):
                name = f"{own.name}+{kind}{number}" if kind else own.name
                rows.append((name, own.group, kind, voiced, align(voiced)))
    names, groups, kinds, voiced, found = zip(*rows, strict=True)
    labels = [spec.FAKE if kind else spec.REAL for kind in kinds]
    return scores.VideoScores(
        video_id=scores.texts(names),
        label=np.array(labels, np.int8),
        split=scores.texts(["validation"] * len(rows)),
        group=scores.texts(groups),
        manipulation=scores.texts(kinds),
        status=scores.texts([spec.OK] * len(rows)),
        chunks=np.array([int(v.seconds) for v in voiced]),
        scores={
            scores.MDS: np.array([mds(v) for v in voiced]),
            scores.ALIGNED: np.array(
                [np.nan if a.aligned is None else a.aligned for a in found]
            ),
        },
        seconds=np.array([v.seconds for v in voiced]),
    )


def main(config: AlignmentConfig) -> None:
    """Prints the table, writes the scores."""
    whole = cases(gather(config))
    path = pathlib.Path(config.workdir) / score_files.VIDEOS_FILE
    score_files.write_videos(path, video_scores(whole))
    if config.scores_only:
        return
    sets = {"whole clips": whole} | {f"{s} s": pieces(whole, s) for s in _PIECES}
    print(f"| score | {' | '.join(f'{n} ({len(s)})' for n, s in sets.items())} |")
    print("| --- " * (len(sets) + 1) + "|")
    for name, score, constants in VARIANTS:
        with otherwise(**constants):
            cells = [figures(*judge(some, score)) for some in sets.values()]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    app.run(main)
