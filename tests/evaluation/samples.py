"""Score tables to test with."""

import dataclasses

import numpy as np

from tfmds import spec
from tfmds.evaluation.scores import ChunkScores, VideoScores

MANIPULATIONS = ("", "", "audio_swap", "face_swap")


def tables(
    *, groups=5, splits=("validation", "test"), separation=0.6, seed=0, unscored=()
):
    """Videos and chunks: each group has two real and two fake videos of 3 chunks.

    `unscored` holds pairs of video_id and status.
    """
    rng = np.random.default_rng(seed)
    unscored = dict(unscored)
    videos, chunks = [], []
    for split in splits:
        for group in range(groups):
            for number, manipulation in enumerate(MANIPULATIONS):
                name = f"{split}/{group}-{number}.mp4"
                label = spec.FAKE if manipulation else spec.REAL
                status = unscored.get(name, spec.OK)
                videos.append((name, label, split, f"p{group}", manipulation, status))
                if status == spec.OK:
                    mean = 0.5 + separation * bool(manipulation) + 0.1 * rng.normal()
                    chunks += [
                        (name, 0, float(at), label, mean + 0.1 * rng.normal())
                        for at in range(3)
                    ]
    return from_rows(videos, chunks)


def from_rows(videos, chunks):
    names = ("video_id", "track", "start_seconds", "label", "distance")
    columns = zip(*chunks, strict=True)
    chunk_scores = ChunkScores.from_distances(**dict(zip(names, columns, strict=True)))
    names = ("video_id", "label", "split", "group", "manipulation", "status")
    columns = zip(*videos, strict=True)
    return (
        VideoScores.from_chunks(chunk_scores, **dict(zip(names, columns, strict=True))),
        chunk_scores,
    )


def partial_fakes(*, groups=6, hop=1.0, noise=0.05, splits=("validation", "test")):
    """Videos of 10 s: of each group one real, and one forged for 2 to 4 seconds."""
    rng = np.random.default_rng(0)
    videos, chunks, periods = [], [], []
    for split in splits:
        for group in range(groups):
            for label in (spec.REAL, spec.FAKE):
                name = f"{split}/{group}-{label}.mp4"
                start = round(float(rng.uniform(1, 5)), 1)
                forged = (start, round(start + float(rng.uniform(2, 4)), 1))
                period = (forged,) if label == spec.FAKE else ()
                manipulation = "lip_sync" if period else ""
                videos.append((name, label, split, f"p{group}", manipulation, spec.OK))
                periods.append(period)
                for at in np.arange(0, 9 + 1e-6, hop):
                    share = sum(max(0, min(e, at + 1) - max(s, at)) for s, e in period)
                    chunk_label = spec.FAKE if share > 0.25 else spec.REAL
                    distance = 0.5 + 0.6 * share + noise * rng.normal()
                    chunks.append((name, 0, float(at), chunk_label, distance))
    table, chunk_scores = from_rows(videos, chunks)
    order = {name: row for row, (name, *_) in enumerate(videos)}
    column = np.empty(len(table), object)
    for row, name in enumerate(table.video_id):
        column[row] = periods[order[name]]
    seconds = np.full(len(table), 10.0)
    table = dataclasses.replace(table, fake_periods=column, seconds=seconds)
    return table, chunk_scores
