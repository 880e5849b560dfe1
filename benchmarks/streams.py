"""What asking each head about its own stream is worth, and blending faces.

    python -m benchmarks.streams --workdir=OUT [--clips=CLIPS --starter=STARTER]

Draws people (pipelines.synthesize) and trains three small networks on half of them,
alike but for what they are asked:

video    Each head whether anything is forged, as in the paper.
own      Each head whether its own stream is forged.
blended  The visual head alone on reals alone, half of them blended over themselves.

Prints, for people whom none has seen, the AUC of each kind of fake against reals by the
probability that the visual head, the audio head and the distance of mouth and voice
give, with the interval over people; and by how much `own` is above `video`, the same
people drawn for both. The weights are the last step's: nothing is chosen
by the people who are judged.

With CLIPS the blended one is also trained on real people: on STARTER, the workdir of
benchmarks.starter, whose data has the clips to learn from and copies of them. It is
judged on the clips of CLIPS (INDEX.csv as for benchmarks.starter) whose `use` is
`judge`, real or fake; --face_swaps says which of the fakes have a swapped face, the
others are generated. Then both are judged on both.

OUT keeps what each step made: killed, the same command goes on.
"""

import dataclasses
import pathlib
from collections.abc import Sequence

from benchmarks import clips, judging
from benchmarks.starter import run
from tfmds import spec
from tfmds.common import app, flags
from tfmds.common.errors import InputError
from tfmds.common.flags import setting
from tfmds.data import manifest
from tfmds.data.data_set import INFO_FILE
from tfmds.data.manifest import Video
from tfmds.evaluation.scores import MDS, VideoScores


@dataclasses.dataclass(frozen=True, kw_only=True)
class StreamsConfig:
    """On how many people, how long, and on which clips."""

    workdir: str = setting(flags.REQUIRED, "Data sets and runs.", writes=flags.FOLDER)
    people: int = setting(40, "People to draw.", low=4)
    epochs: int = setting(4, "Of 100 steps each.", low=1)
    precision: str = setting("mixed_bfloat16", "Of the training, see tfmds.train.")
    clips: str = setting("", "Folder of real clips with INDEX.csv; none without.")
    starter: str = setting("", "Workdir of benchmarks.starter, with its data.")
    face_swaps: tuple[str, ...] = setting(
        ("dfdc_", "ayhm23_"),
        "Beginnings of the files that are face swaps where they are fakes.",
    )


_RECIPE = (
    *("--width=0.25", "--image_size=112", "--region=face", "--standardize_mfcc"),
    *("--unit_embeddings", "--batch_tracks=8", "--chunks_per_track=2"),
    *("--sampling=random", "--steps_per_epoch=100", "--optimizer=adamw"),
    *("--weight_decay=1e-4", "--schedule=cosine", "--warmup_steps=20"),
    "--balance_classes",
)
_OF_REALS = (
    *("--stream_labels=own", "--self_blend=0.5"),
    *("--contrastive_weight=0", "--audio_weight=0"),
)
_CROP = "--crop_size=112"


def draw(config: StreamsConfig, root: pathlib.Path) -> pathlib.Path:
    """A data set of drawn people."""
    data, videos, table = root / "data", root / "videos", root / "manifest.csv"
    if not (data / INFO_FILE).exists():
        run(
            "pipelines.synthesize",
            f"--output_dir={videos}",
            f"--num_identities={config.people}",
            "--seed=5",
        )
        run(
            "pipelines.build_manifest",
            "--layout=dfdc",
            f"--input_dir={videos}",
            f"--output={table}",
            "--seed=5",
            "--split_fractions=0.5,0.2,0.3",
        )
        preprocess(table, data)
    return data


def reals_of(table: pathlib.Path, data: pathlib.Path) -> pathlib.Path:
    """A data set of the real videos to train on."""
    if not (data / INFO_FILE).exists():
        reals = [
            video
            for video in manifest.read_manifest(table)
            if video.label == "real" and video.split != "test"
        ]
        # Its paths are relative to its folder.
        chosen = table.with_name("reals.csv")
        manifest.write_manifest(chosen, reals)
        preprocess(chosen, data)
    return data


def judged_clips(config: StreamsConfig, root: pathlib.Path) -> pathlib.Path:
    """A data set of the real clips to judge, its fakes by what was done to them."""
    data = root / "data"
    if not (data / INFO_FILE).exists():
        folder = pathlib.Path(config.clips).resolve()
        judged = [c for c in clips.read(folder) if c.row["use"] == "judge"]
        root.mkdir(parents=True, exist_ok=True)
        link = root / "clips"
        if not link.exists():
            link.symlink_to(folder)
        videos = []
        for clip in judged:
            kind, label = "", clip.row["label"]
            if label == "fake":
                swap = clip.name.startswith(config.face_swaps)
                kind = "face_swap" if swap else "generated"
            path = link.name / clip.path.relative_to(folder)
            videos.append(
                Video(
                    video_id=clip.name,
                    path=str(path),
                    label=label,
                    split="test",
                    group=clip.group,
                    manipulation=kind,
                )
            )
        manifest.write_manifest(root / "manifest.csv", videos)
        preprocess(root / "manifest.csv", data)
    return data


def preprocess(table: pathlib.Path, data: pathlib.Path) -> None:
    """Makes track records."""
    run("pipelines.preprocess", f"--manifest={table}", f"--output_dir={data}", _CROP)


def train(
    config: StreamsConfig, data: pathlib.Path, workdir: pathlib.Path, *more: str
) -> pathlib.Path:
    """Trains, or goes on, or does nothing where all is done."""
    run(
        "tfmds.train",
        f"--data_dir={data}",
        f"--workdir={workdir}",
        f"--epochs={config.epochs}",
        f"--precision={config.precision}",
        *_RECIPE,
        *more,
    )
    return workdir


def score(
    workdir: pathlib.Path, data_dir: pathlib.Path, splits: Sequence[str]
) -> VideoScores:
    """Videos with a face and sound, and what the last step's weights say of them."""
    # What starts TensorFlow, after the flags were read.
    from tfmds.data import input_pipeline
    from tfmds.models import checkpoints
    from tfmds.scoring import scorer

    step = checkpoints.latest_state(workdir).step
    data, model, known = scorer.load(workdir, data_dir, step)
    shards = data.shard_files(*splits)
    heads = known.heads
    chunks = scorer.score_chunks(
        scorer.predictor(model),
        input_pipeline.scoring_dataset(shards, data.spec, known.config.view),
        heads=heads,
    )
    rows = [row for row in data.videos() if row.video.split in splits]
    videos = scorer.video_scores(rows, chunks)
    # One head alone: the distance was not trained.
    if set(heads) != set(spec.STREAMS):
        videos = dataclasses.replace(
            videos, scores={n: videos.scores[n] for n in heads}
        )
    return videos.select(videos.scored)


def show(
    title: str, judged: dict[str, judging.Judged], *against: dict[str, judging.Judged]
) -> None:
    """Prints the lines of one model, or by how much they are above another's."""
    for kind, one in judged.items():
        cells = [
            str(one.auc(name, *(other[kind] for other in against)))
            if name in one.values
            else "-"
            for name in (*spec.STREAMS, MDS)
        ]
        numbers = f"{one.fakes} / {one.reals}"
        print("|", " | ".join([title, kind, numbers, *cells]), "|", flush=True)


def main(config: StreamsConfig) -> None:
    """Makes what is missing, then prints the table."""
    if bool(config.clips) != bool(config.starter):
        raise InputError(
            "--clips judges what was learned on --starter: give both or neither"
        )
    root = pathlib.Path(config.workdir)
    drawn = draw(config, root / "drawn")
    reals = reals_of(root / "drawn" / "manifest.csv", root / "drawn" / "reals")
    runs = {
        "video": train(config, drawn, root / "video", "--stream_labels=video"),
        "own": train(config, drawn, root / "own", "--stream_labels=own"),
        "blended": train(config, reals, root / "blended", *_OF_REALS),
    }
    data_sets = {"drawn": (drawn, ("validation", "test"))}
    pairs = [(name, "drawn") for name in runs]
    if config.clips:
        data_sets["clips"] = (judged_clips(config, root / "clips"), ("test",))
        data = pathlib.Path(config.starter) / "data"
        of_clips = "blended, clips"
        runs[of_clips] = train(config, data, root / "blended_clips", *_OF_REALS)
        pairs += [("blended", "clips"), (of_clips, "drawn"), (of_clips, "clips")]
    print("\n| trained | judged | kind | fakes / reals | visual | audio | MDS |")
    print("|---|---|---|---|---|---|---|")
    found = {}
    for name, people in pairs:
        found[name, people] = judging.judge(score(runs[name], *data_sets[people]))
        show(f"{name} | {people}", found[name, people])
    show("own - video | drawn", found["own", "drawn"], found["video", "drawn"])


if __name__ == "__main__":
    app.run(main)
