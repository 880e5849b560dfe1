"""What each head is asked: the whole chunk's label, or that of its own stream."""

from collections.abc import Iterator, Mapping

from tfmds import spec
from tfmds.common.errors import InputError
from tfmds.data.data_set import DataSet
from tfmds.spec import OWN
from tfmds.training.config import TrainingConfig

# Training chunks (fake, real) by label of the batch, as far as that is known.
Counts = Mapping[str, tuple[float, float]]


def of_head(stream: str, stream_labels: str) -> str:
    """Which label of a batch the head of a stream learns."""
    return f"{stream}_label" if stream_labels == OWN else "label"


def chunk_counts(data_set: DataSet, self_blend: float = 0.0) -> Counts:
    """Training chunks of fake and of real videos, by label.

    Args:
      data_set: The data set.
      self_blend: Share of the real chunks that are blended, on average.

    Raises:
      InputError: There are none.
    """
    counts = {name: [0.0, 0.0] for name in ("label", *map(_own, spec.STREAMS))}
    for row in data_set.videos():
        if row.video.split != "train":
            continue
        label = spec.LABELS[row.video.label]
        counts["label"][label] += row.chunks
        for stream, part in spec.STREAMS.items():
            if label == spec.REAL or row.video.forged:
                is_forged = row.video.forged in (part, spec.BOTH)
                own = spec.FAKE if is_forged else spec.REAL
                counts[_own(stream)][own] += row.chunks
    if not sum(counts["label"]):
        raise InputError(
            f"{data_set.name}: the train split has no chunks; see the statuses in"
            " videos.csv"
        )
    blended = self_blend * counts["label"][spec.REAL]
    counts[_own("visual")][spec.FAKE] += blended
    counts[_own("visual")][spec.REAL] -= blended
    return {name: (both[0], both[1]) for name, both in counts.items()}


def check_own(recipe: TrainingConfig) -> None:
    """Makes sure that blended faces are asked for by their own label.

    Raises:
      InputError: They are not.
    """
    if recipe.stream_labels != OWN:
        raise InputError(
            "self_blend makes pictures that are forged with voices that are not, and"
            f" stream_labels is {recipe.stream_labels}: the visual head would learn"
            f" that they are real. Add --stream_labels={OWN}"
        )


def notes(recipe: TrainingConfig, counts: Counts) -> Iterator[str]:
    """What the heads cannot learn from this data set."""
    if recipe.stream_labels != OWN:
        return
    heads = recipe.trained_heads
    for stream in heads:
        fake, real = counts[_own(stream)]
        if not (fake and real):
            yield (
                f"the {stream} head sees {fake:.0f} forged and {real:.0f} own chunks of"
                f" its stream, and learns nothing from one kind: no fake says that its"
                f" {spec.STREAMS[stream]} is forged (column forged). Use"
                " --stream_labels=video, or leave the head out with"
                f" --{stream}_weight=0"
            )
    known = sum(counts[_own("visual")])
    unknown = sum(counts["label"]) - known
    if unknown > 0 and heads:
        yield (
            f"{unknown:.0f} of {sum(counts['label']):.0f} training chunks are of fakes"
            " that do not say which stream is forged (column forged): the heads learn"
            " nothing from them"
        )


def _own(stream: str) -> str:
    return of_head(stream, OWN)
