"""The programs of the whole job, in order, each as a user would start it."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence

from tfmds.data import data_set
from tfmds.evaluation import thresholds

# The steps of the whole job; --from and --until take these words.
NAMES = (
    "manifest",
    "preprocess",
    "audit",
    "train",
    "threshold",
    "evaluate",
    "epochs",
    "export",
)


@dataclasses.dataclass(frozen=True)
class Step:
    """A program to run.

    Attributes:
      name: A word for it.
      title: What it does, for people.
      words: The program and its flags.
      leaves: A file or folder that is there once it is done.
      more: Words that are known only when the steps before are done.
      check: Called before it; raises InputError where it would be in vain.
      expected: Exit codes that are no failure.
    """

    name: str
    title: str
    words: Sequence[str]
    leaves: pathlib.Path
    more: Callable[[], Sequence[str]] = tuple
    check: Callable[[], None] = lambda: None
    expected: tuple[int, ...] = (0,)


@dataclasses.dataclass(frozen=True)
class Folders:
    """Where everything of a job lies."""

    root: pathlib.Path

    @property
    def videos(self) -> pathlib.Path:
        """The data set, or a link to it."""
        return self.root / "videos"

    @property
    def manifest(self) -> pathlib.Path:
        """The table of the videos."""
        return self.root / "manifest.csv"

    @property
    def data(self) -> pathlib.Path:
        """The track records."""
        return self.root / "data"

    @property
    def run(self) -> pathlib.Path:
        """The training run."""
        return self.root / "run"

    @property
    def threshold(self) -> pathlib.Path:
        """The threshold that was chosen on validation."""
        return self.root / "results" / "validation" / thresholds.FILE

    @property
    def test(self) -> pathlib.Path:
        """Scores and figures of the test split."""
        return self.root / "results" / "test"

    @property
    def epochs(self) -> pathlib.Path:
        """Figures of the run's epochs."""
        return self.root / "results" / "epochs"

    @property
    def report(self) -> pathlib.Path:
        """The page of the evaluation."""
        return self.root / "report"

    @property
    def export(self) -> pathlib.Path:
        """The exported model."""
        return self.root / "export"


@dataclasses.dataclass(frozen=True)
class Words:
    """Flags of the steps beyond those that say where things lie."""

    manifest: Sequence[str] = ()
    preprocess: Sequence[str] = ()
    train: Sequence[str] = ()
    threshold: Sequence[str] = ()
    evaluate: Sequence[str] = ()


def plan(
    folders: Folders,
    layout: str,
    words: Words,
    check_training: Callable[[], None] = lambda: None,
    name: str | None = None,
) -> list[Step]:
    """The steps from the videos to an exported model.

    Args:
      folders: Where everything goes; the videos are in or behind `folders.videos`.
      layout: How they are laid out.
      words: Further flags.
      check_training: Raises InputError where the data set makes training vain.
      name: Of the data set, the layout's by default.
    """
    model = (f"--model={folders.run}", f"--data_dir={folders.data}")
    threshold = f"--threshold={folders.threshold}"
    return [
        Step(
            "manifest",
            "Listing and splitting the videos",
            (
                "pipelines.build_manifest",
                f"--layout={layout}",
                f"--input_dir={folders.videos}",
                f"--output={folders.manifest}",
                *words.manifest,
            ),
            folders.manifest,
        ),
        Step(
            "preprocess",
            "Finding faces and voices",
            (
                "pipelines.preprocess",
                f"--manifest={folders.manifest}",
                f"--output_dir={folders.data}",
                f"--name={name or layout}",
                *words.preprocess,
            ),
            folders.data / data_set.INFO_FILE,
        ),
        Step(
            "audit",
            "Looking for what tells real from fake by itself",
            ("pipelines.inspect", f"--data_dir={folders.data}"),
            folders.data / "audit.html",
        ),
        Step(
            "train",
            "Training",
            (
                "tfmds.train",
                *words.train,
                f"--data_dir={folders.data}",
                f"--workdir={folders.run}",
            ),
            folders.run / "config.json",
            check=check_training,
        ),
        Step(
            "threshold",
            "Choosing the threshold on the validation split" + _of(words.threshold),
            (
                "tfmds.select_threshold",
                *model,
                "--split=validation",
                f"--output_dir={folders.threshold.parent}",
                *words.threshold,
            ),
            folders.threshold,
        ),
        Step(
            "evaluate",
            "Evaluating on the test split" + _of(words.evaluate),
            (
                "tfmds.evaluate",
                *model,
                "--split=test",
                threshold,
                f"--output_dir={folders.test}",
                f"--report={folders.report}",
                *words.evaluate,
            ),
            folders.test / "metrics.json",
        ),
        Step(
            "epochs",
            "Comparing the epochs",
            (
                "tfmds.compare_epochs",
                f"--run={folders.run}",
                f"--output_dir={folders.epochs}",
            ),
            folders.epochs / "epochs.json",
        ),
        Step(
            "export",
            "Exporting",
            (
                "tfmds.export",
                f"--model={folders.run}",
                threshold,
                f"--output_dir={folders.export}",
            ),
            folders.export,
        ),
    ]


def _of(words: Sequence[str]) -> str:
    told = ": real videos against mismatched voices, in place of fakes"
    return told if "--mismatches" in words else ""
