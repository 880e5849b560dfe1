"""What the flags make of a job; end to end on drawn videos."""

import collections
import json
import shutil
import zipfile
from contextlib import nullcontext

import pytest
from sklearn.metrics import roc_auc_score

from pipelines import reproduce
from pipelines.preprocess import flags_of_beam
from pipelines.reproduction import estimates, figures, job, needs, runner
from pipelines.reproduction.config import ReproduceConfig
from pipelines.reproduction.steps import Folders, Words, plan
from tests.conftest import run_program
from tfmds import spec
from tfmds.common import app, flags
from tfmds.common.errors import InputError
from tfmds.data import data_set, manifest
from tfmds.data.config import BatchConfig
from tfmds.evaluation import score_files
from tfmds.exporting import export_info
from tfmds.judgement.verdict import VERDICTS
from tfmds.models.config import TwoStreamConfig
from tfmds.preprocessing.config import PreprocessingConfig
from tfmds.training.config import RunConfig, TrainingConfig

TINY = ("--width=0.125", "--image_size=32", "--epochs=2", "--steps_per_epoch=2",
        "--batch_tracks=2", "--crop_size=64", "--balance_classes",
        "--min_coverage=0.5", "--seed=3", "--direct_num_workers=1",
        "--direct_running_mode=in_memory")  # fmt: skip


def config(tmp_path, **fields):
    given = {"layout": "dfdc", "input_dir": f"{tmp_path}/in", "workdir": f"{tmp_path}"}
    return ReproduceConfig(**given | fields)


def test_flags_go_to_their_steps(tmp_path):
    words = job.words(
        config(
            tmp_path,
            train_list="t.txt",
            audio_altered="a.csv",
            criterion="sweep",
            unscored="wrong",
        ),
        [PreprocessingConfig(tracks="largest")],
        [
            TwoStreamConfig(keep_time=True),
            BatchConfig(tracks=4),
            TrainingConfig(seed=7, stream_labels="own"),
        ],
        ["--runner=DaskRunner"],
    )
    assert words == Words(
        manifest=(
            "--split_fractions=0.6,0.15,0.25",
            "--seed=7",
            "--train_list=t.txt",
            "--audio_altered=a.csv",
        ),
        preprocess=("--crop_size=224", "--tracks=largest", "--runner=DaskRunner"),
        train=("--keep_time", "--batch_tracks=4", "--stream_labels=own", "--seed=7"),
        threshold=("--criterion=sweep",),
        evaluate=("--min_coverage=0.99", "--unscored=wrong"),
    )


def test_face_crops_are_of_what_the_network_sees(tmp_path):
    def crop(**network):
        learning = [TwoStreamConfig(**network), TrainingConfig()]
        return job.words(config(tmp_path), [], learning).preprocess

    # paper.flags and robust.flags.
    assert crop() == ("--crop_size=224",)
    assert crop(image_size=56, region="mouth") == ("--crop_size=112",)


REALS = {("train", "real"): 5, ("validation", "real"): 2, ("test", "real"): 2}
FAKES = {(split, "fake"): 3 for split in spec.SPLITS}


@pytest.mark.parametrize(
    ("fields", "counts", "taken"),
    [
        ({}, REALS, ("validation", "test")),
        ({}, REALS | FAKES, ()),
        ({}, REALS | {("test", "fake"): 1}, ("validation",)),
        ({"mismatches": True}, REALS | FAKES, ("validation", "test")),
        ({"mismatches": False}, REALS, ()),
    ],
)
def test_mismatches_stand_in_where_there_are_real_videos_only(
    tmp_path, fields, counts, taken
):
    learning = [TwoStreamConfig(), TrainingConfig()]
    known = collections.Counter(counts)
    told = job.words(config(tmp_path, **fields), [], learning, counts=known)
    assert ("--mismatches" in told.threshold) == ("validation" in taken)
    assert ("--mismatches" in told.evaluate) == ("test" in taken)


ROBUST = {"mismatch_weight": 1.0, "contrastive_weight": 0.0, "best_by": "aligned"}


@pytest.mark.parametrize(
    ("fields", "counts", "recipe", "message"),
    [
        ({}, REALS, {}, r"0 fake videos; this recipe .*--flagfile=robust.flags"),
        ({"until": "audit"}, REALS, {}, None),
        ({}, REALS, ROBUST, None),
        ({}, FAKES, {}, "train split has 0 real .*--split_fractions"),
        ({}, FAKES | {("train", "real"): 1}, {}, "validation split has 0 real"),
        ({"mismatches": False}, REALS, ROBUST, "threshold needs both.*--mismatches"),
        ({}, {**REALS, ("test", "real"): 0}, ROBUST, "an evaluation needs some"),
        ({"score": "visual"}, REALS, ROBUST, "--score=mds"),
        ({}, REALS | FAKES, {}, None),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_done(
    tmp_path, fields, counts, recipe, message
):
    given = config(tmp_path, **fields)
    steps = plan(Folders(tmp_path), "folders", Words())
    told = pytest.raises(InputError, match=message) if message else nullcontext()
    with told:
        needs.check(
            given,
            collections.Counter(counts),
            BatchConfig(),
            TrainingConfig(**recipe),
            lambda step: runner.reaches(given.until, steps, step),
            "VIDEOS",
        )


def test_videos_are_linked_and_others_are_refused(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    folders = Folders(tmp_path / "job")
    for _ in range(2):
        job.place_videos(tmp_path / "one", folders)
    assert folders.videos.resolve() == tmp_path / "one"
    with pytest.raises(InputError, match="this job has other videos"):
        job.place_videos(tmp_path / "two", folders)
    with pytest.raises(InputError, match="no such folder"):
        job.place_videos(tmp_path / "three", folders)
    with pytest.raises(InputError, match="lies in the folder of the videos"):
        job.place_videos(tmp_path / "one", Folders(tmp_path / "one" / "job"))


def test_too_few_usable_test_videos_are_said_before_training(tmp_path):
    rows = [
        data_set.VideoRow(
            manifest.Video(f"v{k}", f"v{k}.mp4", "real", "test"),
            "ok" if k else "no_face", "", 1, 1, 2.0,
        )
        for k in range(4)
    ]  # fmt: skip
    data_set.write_videos(tmp_path / data_set.VIDEOS_FILE, rows)
    info = {"format_version": 1, "name": "x", "chunk_spec": {}, "splits": {}}
    made = data_set.spec.ChunkSpec().to_json()
    info |= {"format_version": data_set.spec.FORMAT_VERSION, "chunk_spec": made}
    (tmp_path / data_set.INFO_FILE).write_text(json.dumps(info))
    with pytest.raises(InputError, match=r"3 of 4 videos.*v0 \(no_face\)"):
        job.check_coverage(config(tmp_path), tmp_path)
    job.check_coverage(config(tmp_path, min_coverage=0.75), tmp_path)
    job.check_coverage(config(tmp_path, unscored="wrong"), tmp_path)


def test_estimates_follow_the_number_of_clips_and_the_network(tmp_path):
    steps = {s.name: s for s in plan(Folders(tmp_path), "dfdc", Words())}

    def seconds(name, clips, **model):
        size = estimates.Size.of_clips({"train": clips, "validation": clips})
        return estimates.seconds(
            steps[name], size, TwoStreamConfig(**model), BatchConfig(), TrainingConfig()
        )

    for name in ("preprocess", "train", "threshold"):
        one, two, three = (seconds(name, clips) for clips in (100, 200, 300))
        assert two - one == pytest.approx(three - two)
        assert two > one
    assert seconds("train", 100) > 10 * seconds("train", 100, image_size=56)


def test_the_papers_recipe_differs_from_the_paper_in_nothing(tmp_path):
    recipe = figures.recipe("paper.flags")
    of_field = {
        part: {
            name: recipe[flag]
            for name, flag in flags.names(kind).items()
            if flag in recipe
        }
        for part, kind in (("model", TwoStreamConfig), ("batch", BatchConfig),
                           ("recipe", TrainingConfig))
    }  # fmt: skip
    counts = {s: {"real": 1, "fake": n} for s, n in (("train", 15438), ("test", 3281))}
    told = figures.differences("dfdc", True, counts, of_field)
    assert all(line.startswith("protocol: ") for line in told)
    of_field["recipe"]["epochs"] = 5
    counts["test"]["fake"] = 3
    told = figures.differences("folders", False, counts, of_field)
    assert "network and training: --epochs=5, where its recipe has 50" in told
    assert sum(line.startswith("data: ") for line in told) == 2


def test_own_figures_stand_first_with_their_intervals():
    metrics = {
        "metrics": {
            "videos/auc": {"value": 0.75, "low": 0.6, "high": 0.9},
            "videos/balanced_accuracy": {"value": 0.7, "low": None, "high": None},
        }
    }
    rows = [*figures.own_figures(metrics, "dfdc"), *figures.PUBLISHED]
    lines = figures.table(rows).splitlines()
    assert lines[1].split()[:5] == ["this", "job", "dfdc", "0.75", "0.600-0.900"]
    assert "0.9055" in lines[3]
    assert len(lines) == 3 + len(figures.PUBLISHED)


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """Few drawn people: metadata.json beside the videos, as Kaggle's sample has it."""
    folder = tmp_path_factory.mktemp("drawn") / "train_sample_videos"
    done = run_program("pipelines.synthesize", f"--output_dir={folder}", "--seed=2",
                       "--num_identities=3", "--seconds=3", "--height=180",
                       "--reals_per_identity=1", "--num_workers=1")  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def as_sample(drawn, folder):
    shutil.copytree(drawn, folder)
    return "dfdc"


def as_sorted(drawn, folder):
    entries = json.loads((drawn / "metadata.json").read_text())
    people = sorted({fields["identity"] for fields in entries.values()})
    for name, fields in entries.items():
        split = "test" if fields["identity"] == people[0] else "train"
        place = folder / split / fields["label"].lower() / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(drawn / name, place)
    shutil.copy(drawn / "metadata.json", folder)
    return "folders"


def as_archives(drawn, folder):
    entries = json.loads((drawn / "metadata.json").read_text())
    folder.mkdir()
    for part in range(2):
        some = dict(list(entries.items())[part::2])
        with zipfile.ZipFile(folder / f"dfdc_train_part_0{part}.zip", "w") as packed:
            inner = f"dfdc_train_part_{part}"
            packed.writestr(f"{inner}/metadata.json", json.dumps(some))
            for name in some:
                packed.write(drawn / name, f"{inner}/{name}")
    return "dfdc"


def altered(drawn, folder):
    """A table as people made it for DFDC, of the fakes with a forged picture."""
    entries = json.loads((drawn / "metadata.json").read_text())
    rows = [
        f"{name},FAKE,,train,0"
        for name, fields in entries.items()
        if fields.get("forged") == "picture"
    ]
    path = folder / "audio_altered.csv"
    path.write_text("\n".join(["train_mp4,label,original,split,audio_altered", *rows]))
    return path


def reproduce_here(words, monkeypatch):
    """The program in this process; its steps need not import the libraries anew."""
    configs = flags.define(reproduce.main)
    _, beam = flags.parse(words, flags_of_beam)
    monkeypatch.setattr(app, "foreign_flags", lambda: beam)
    monkeypatch.setattr(runner, "execute", lambda step: run_program(*step).returncode)
    reproduce.main(**{name: made.read() for name, made in configs.items()})


@pytest.mark.slow(50)
@pytest.mark.usefixtures("own_flags")
@pytest.mark.parametrize(
    "lay_out",
    [
        as_sample,
        pytest.param(as_sorted, marks=pytest.mark.heavy),
        pytest.param(as_archives, marks=pytest.mark.heavy),
    ],
)
def test_from_videos_to_the_published_figures(
    drawn, tmp_path, lay_out, capsys, monkeypatch
):
    layout = lay_out(drawn, tmp_path / "in")
    folders = Folders(tmp_path / "job")
    words = ["pipelines.reproduce", f"--layout={layout}", *TINY,
             f"--input_dir={tmp_path / 'in'}", f"--workdir={folders.root}"]  # fmt: skip
    if lay_out is as_sample:
        sound_altered = str(altered(drawn, tmp_path))
        words += ["--stream_labels=own", f"--audio_altered={sound_altered}"]
        dry = config(tmp_path, workdir=str(folders.root), audio_altered=sound_altered,
                     dry_run=True)  # fmt: skip
        others = (PreprocessingConfig(), TwoStreamConfig(), BatchConfig(),
                  TrainingConfig(seed=3), RunConfig())  # fmt: skip
        reproduce.main(dry, *others)
        assert not folders.root.exists()
        assert "[8/8] Exporting: some" in capsys.readouterr().out
        done = run_program(*words, "--until=manifest")
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        assert not folders.data.exists()
    reproduce_here(words, monkeypatch)
    said = capsys.readouterr().out
    if lay_out is as_sample:
        assert "[1/8] Listing and splitting the videos: done before" in said
    for path in (folders.report / "index.html", folders.export / "1",
                 folders.epochs / "epochs.html"):  # fmt: skip
        assert path.exists()
    rows = {v.video_id for v in manifest.read_manifest(folders.manifest)}
    names = json.loads((drawn / "metadata.json").read_text())
    assert rows == {name.removesuffix(".mp4") for name in names}
    if layout == "dfdc":
        scored = score_files.read_videos(folders.test / "scores.csv")
        assert set(zip(scored.manipulation, scored.forged, strict=True)) == {
            ("", ""), ("face_swap", "picture"), ("lip_sync", "picture"),
            ("audio_swap", "sound"),
        }  # fmt: skip
    metrics = json.loads((folders.test / "metrics.json").read_text())["metrics"]
    if lay_out is as_sample:
        for stream, part in spec.STREAMS.items():
            known = metrics[f"{stream}/auc"]["value"]
            fake = scored.forged == part
            mine = scored.split == "test"
            value = scored.scores[stream][mine & scored.scored]
            expected = roc_auc_score(fake[mine & scored.scored], value)
            assert known == pytest.approx(expected)
            assert f"{stream}/manipulation=lip_sync/auc" in metrics
        info = export_info.read_info(folders.export / "1")
        assert info.told_streams == ("visual", "audio")
        video = next(drawn.glob("*.mp4"))
        judged = run_program("tfmds.detect", f"--model={folders.export}", video)
        assert judged.returncode in (0, 1), judged.stderr[-2000:]
        assert judged.stdout.splitlines()[1].split()[0] in VERDICTS
    table = json.loads((folders.test / figures.JSON_FILE).read_text())["figures"]
    assert table[0]["auc"] == metrics["videos/auc"]["value"]
    assert "Chugh et al. 2020" in said
    assert "--width=0.125, where its recipe has 1.0" in said
