"""How chunks are drawn for training."""

import dataclasses

from tfmds.common import flags
from tfmds.common.flags import setting


@dataclasses.dataclass(frozen=True)
class BatchConfig:
    """How training chunks are drawn."""

    tracks: int = setting(
        8,
        "Tracks in a batch, which is what a step of training sees.",
        flag="batch_tracks",
    )
    chunks_per_track: int = setting(
        1,
        "Chunks of each track in a batch; batch_tracks times this is the batch size.",
    )
    sampling: str = setting(
        "grid",
        "Chunks at whole seconds, each once an epoch, or at random times.",
        choices=("grid", "random"),
    )
    shuffle_buffer: int = setting(
        256,
        "Chunks shuffled together, with random --sampling records of up to 10 s; the"
        " more, the better mixed.",
    )
    offset_jitter: float = setting(
        0.0,
        "Seconds by which the sound of a chunk at a random time is early or late at"
        " most.",
        low=0,
        high=0.5,
    )
    # See data/augmentation.py.
    augment: bool = setting(False, "Vary pictures and sound of each chunk at random.")
    # See data/self_blending.py.
    self_blend: float = setting(
        0.0,
        "Share of the real chunks whose face is blended over itself, for the visual"
        " head a forged picture (Shiohara and Yamasaki 2022).",
        low=0,
        high=1,
    )

    # See data/face_batches.py.
    fake_share: float = setting(
        0.5,
        "With --network=picture: share of a batch that is of faces labelled fake; the"
        " others are real ones, of which --self_blend makes some forged.",
        low=0,
        high=1,
    )

    def __post_init__(self) -> None:
        flags.check(self)

    @property
    def size(self) -> int:
        """Chunks in a batch."""
        return self.tracks * self.chunks_per_track
