"""How to train, and where and how a run runs."""

import dataclasses

from tfmds.common import flags
from tfmds.common.flags import setting
from tfmds.evaluation.scores import MDS, MEASURED
from tfmds.models.config import MISMATCH_FORMS
from tfmds.spec import OWN, STREAMS, VIDEO

OPTIMIZERS = ("adam", "adamw")
# The learning rate stays, or falls along a cosine to zero at the last step.
SCHEDULES = ("constant", "cosine")
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")

SINGLE = "single"
MIRRORED = "mirrored"
MULTI_WORKER = "multi_worker"
STRATEGIES = (SINGLE, MIRRORED, MULTI_WORKER)
# By whose truth the heads learn.
STREAM_LABELS = (OWN, VIDEO)


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """How to train; the defaults are the paper's."""

    epochs: int = setting(
        50, "Passes over the training split; a higher number trains a run longer."
    )
    steps_per_epoch: int = setting(
        0, "Batches of an epoch; 0 for as many as the chunks fill."
    )
    optimizer: str = setting(
        "adam",
        "adam adds the weight decay to the gradient, as the paper's code does.",
        choices=OPTIMIZERS,
    )
    learning_rate: float = setting(1e-3, "Highest learning rate.")
    weight_decay: float = setting(1e-5, "Weight decay.")
    schedule: str = setting(
        "constant", "Course of the learning rate.", choices=SCHEDULES
    )
    warmup_steps: int = setting(0, "Steps in which the learning rate rises from zero.")
    ema_momentum: float = setting(
        0.0,
        "Share that a moving average of the weights keeps at each step, 0 for none; the"
        " average takes the weights' place at the end of each epoch.",
        low=0.0,
        high=1.0,
    )
    # The weights of equation 4.
    contrastive_weight: float = setting(
        1.0,
        "Weight of the loss that draws mouth and voice together where they are real and"
        " apart where they are fake (contrastive, the paper's w1).",
    )
    visual_weight: float = setting(
        1.0,
        "Weight of the loss of the visual head, which tells fakes by the picture alone"
        " (cross-entropy, the paper's w2).",
    )
    audio_weight: float = setting(
        1.0,
        "Weight of the loss of the audio head, which tells fakes by the voice alone"
        " (cross-entropy, the paper's w3).",
    )
    # What stays the paper's without a word: runs from before it were trained so, and
    # most data sets do not say which stream was forged.
    stream_labels: str = setting(
        VIDEO,
        "What the visual and the audio head are asked: video, whether anything of the"
        " chunk is forged, as in the paper; or own, whether its own stream is, where"
        " that is known (column forged), and nothing where it is not"
        " (docs/streams.md).",
        choices=STREAM_LABELS,
    )
    mismatch_weight: float = setting(
        0.0,
        "Weight of the loss that tells a mouth's own voice from those of other chunks"
        " (mismatches), for which real videos are enough; 0 as in the paper.",
    )
    mismatch_form: str = setting(
        "softmax",
        "Which loss that is: a softmax over the batch's voices, or the contrastive loss"
        " over all its pairs.",
        choices=MISMATCH_FORMS,
    )
    margin: float = setting(
        0.99,
        "Distance beyond which a fake, or in the contrastive form a mismatch, costs"
        " nothing.",
    )
    temperature: float = setting(0.1, "Temperature of that softmax.")
    best_by: str = setting(
        MDS,
        "Score by which validation chooses the best checkpoint. With aligned reals are"
        " told from fakes and from real mouths with another video's voice; it takes"
        " five times as long to measure. With visual or audio that head is held"
        " against its own stream's truth. Where the recipe trains heads alone, no"
        " distance, a trained head chooses whatever is said here.",
        choices=MEASURED,
    )
    balance_classes: bool = setting(
        False, "Give real and fake chunks the same weight in sum."
    )
    precision: str = setting(
        "float32",
        "Number type of the computation; the mixed ones need a GPU or a processor that"
        " calculates in them.",
        choices=PRECISIONS,
    )
    start_from: str = setting(
        "",
        "Begin with the weights of this model, of the same network: a run of"
        " tfmds.train, an export, or starter, the model of the package.",
    )
    seed: int = setting(0, "Seed of weights, order and augmentation.")

    def __post_init__(self) -> None:
        flags.check(self)

    @property
    def trains_distance(self) -> bool:
        """Whether a term of the loss is made of the distance of mouth and voice."""
        return bool(self.contrastive_weight or self.mismatch_weight)

    @property
    def trained_heads(self) -> list[str]:
        """Streams whose heads are trained."""
        return [stream for stream in STREAMS if getattr(self, f"{stream}_weight")]

    @property
    def judged_by(self) -> str:
        """Score that chooses the best checkpoint, where it has an AUC."""
        heads = self.trained_heads
        if self.trains_distance or self.best_by in heads or not heads:
            return self.best_by
        return heads[0]


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Where and how a run runs. What is learned does not depend on it."""

    strategy: str = setting(
        SINGLE,
        "One device, all GPUs of this machine, or the machines of TF_CONFIG.",
        choices=STRATEGIES,
    )
    data_service_address: str = setting(
        "", "A tf.data service that makes the batches, such as grpc://host:5000."
    )
    checkpoint_seconds: float = setting(
        300.0,
        "Time from one checkpoint to the next within an epoch; 0 for one after every"
        " step.",
        low=0,
    )
    keep_epochs: int = setting(
        1, "Last epochs whose checkpoints are kept, besides the best one.", low=1
    )
    profile_steps: int = setting(
        0,
        "Show where the time of so many steps goes, from the eleventh on, in the"
        " Profile of TensorBoard (pip install tensorboard-plugin-profile); 0 for none.",
        low=0,
    )
    deterministic: bool = setting(
        False, "Use operations that give the same bits each time."
    )
