import hypothesis
import numpy as np
from hypothesis import strategies as st

from benchmarks import mesonet, pictures
from pipelines import layouts
from tfmds.evaluation import scores
from tfmds.evaluation.scores import VideoScores


def config(tmp_path, **changes):
    folders = ("dfdc", "celebdf", "faceforensics", "portraits", "clips")
    given = dict.fromkeys(folders, str(tmp_path)) | changes
    return pictures.PicturesConfig(workdir=str(tmp_path), **given)


def table(names, labels, values, groups=None, kind="dfdc"):
    """Scores of a network called `x`."""
    label = np.array(labels, np.int8)
    return VideoScores(
        video_id=scores.texts(names),
        label=label,
        split=scores.texts(["test"] * len(names)),
        group=scores.texts(groups or names),
        manipulation=scores.texts(kind if x == 0 else "" for x in labels),
        status=scores.texts(["ok"] * len(names)),
        chunks=np.ones(len(names), np.int64),
        scores={"x": np.array(values, float)},
    )


def dfdc_folder(tmp_path):
    """Two fakes and a real in each of ten parts."""
    (tmp_path / "faces_224").mkdir()
    rows = ["videoname,original_width,original_height,label,original"]
    parts = ["name,part"]
    for part in range(5, 15):
        real = f"r{part}"
        for name, label in ((real, "REAL"), (f"a{part}", "FAKE"), (f"b{part}", "FAKE")):
            side = 20 * part
            original = "" if label == "REAL" else f"{real}.mp4"
            rows.append(f"{name}.mp4,{side},{side},{label},{original}")
            parts.append(f"{name},{part}")
            (tmp_path / "faces_224" / f"{name}.jpg").touch()
    (tmp_path / "metadata.csv").write_text("\n".join(rows))
    (tmp_path / "dfdc-parts.csv").write_text("\n".join(parts))
    return tmp_path


def test_nobody_is_learned_from_who_is_judged_by(tmp_path):
    chosen = pictures.dfdc(config(tmp_path, fakes=7), dfdc_folder(tmp_path))
    by_split = {}
    for video in chosen:
        by_split.setdefault(video.split, []).append(video)
    assert {v.group for v in by_split["test"]} == {"part_10"}
    # As many fakes as reals to judge by, and no more to learn from than asked for.
    assert sorted(v.label for v in by_split["test"]) == ["fake", "real"]
    assert sum(v.label == "fake" for v in by_split["train"]) == 7
    groups = [{v.group for v in videos} for videos in by_split.values()]
    assert len(set.union(*groups)) == sum(map(len, groups)) == 10


def test_sets_to_judge_by_have_as_many_of_each_kind(tmp_path):
    for kind in ("youtube", "Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures"):
        for split in ("train", "test"):
            folder = tmp_path / "image" / split / kind
            folder.mkdir(parents=True)
            for k in range(12):
                (folder / f"roi_{k}.jpg").touch()
    read = pictures.some("faces_faceforensics")
    chosen = read(config(tmp_path, judged=10), tmp_path)
    kinds = [v.manipulation for v in chosen]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        **dict.fromkeys(("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures"), 10),
        "": 10,
    }
    assert set(chosen) < set(layouts.read("faces_faceforensics", tmp_path).videos)


def test_clips_are_learned_from_or_judged_by(tmp_path):
    rows = ["file,label,group,use"]
    rows += [f"t{k}.mp4,real,one,train" for k in range(9)]
    rows += ["u.mp4,real,two,train", "f.mp4,fake,two,train"]
    rows += ["j.mp4,real,three,judge", "vasa_1.mp4,fake,four,judge"]
    (tmp_path / "INDEX.csv").write_text("\n".join(rows))
    for row in rows[1:]:
        (tmp_path / row.split(",")[0]).touch()
    learn = pictures.clips_to("train")(config(tmp_path), tmp_path)
    # No fakes, and not too many of one person.
    assert {v.label for v in learn} == {"real"}
    assert [v.group for v in learn].count("one") == 6
    judge = pictures.clips_to("judge")(config(tmp_path), tmp_path)
    assert [(v.path, v.label, v.manipulation) for v in judge] == [
        ("j.mp4", "real", ""),
        ("vasa_1.mp4", "fake", "vasa"),
    ]


@hypothesis.given(
    st.lists(st.floats(0, 1, allow_subnormal=False), min_size=1, max_size=200)
)
def test_a_threshold_is_the_lowest_with_so_few_false_alarms(reals):
    reals = np.array(reals)
    level = pictures.threshold(reals)
    assert np.mean(reals >= level) <= 0.03
    below = reals[reals < level].max()
    assert np.mean(reals >= below) > 0.03


def test_a_person_is_not_judged_by_a_threshold_of_their_own(capsys, tmp_path):
    # The sixth of ten people looks forged in both of their clips.
    people = table(
        [f"c{k}" for k in range(20)],
        [1] * 20,
        [0.9 if k // 2 == 5 else 0.01 * k for k in range(20)],
        [f"p{k // 2}" for k in range(20)],
    )
    fakes = table(["a", "b", "c", "d"], [0, 0, 1, 1], [0.95, 0.5, 0.2, 0.1])
    pictures.show_people({"set": fakes}, people, ["x"])
    cells = [c.strip() for c in capsys.readouterr().out.strip("|\n ").split("|")]
    called = int(cells[1].split()[0])
    # By a threshold of all, these two set it and are not called forged.
    assert called >= 2
    # One of the two fakes lies above what all of the people reach.
    assert cells[2:] == ["0.000", "0.500"]


def test_dfdc_is_told_by_size_and_against_the_own_original(capsys, tmp_path):
    dfdc_folder(tmp_path)
    names = ["r5", "a5", "b5", "r12", "a12", "b12"]
    labels = [1, 0, 0, 1, 0, 0]
    # A part is a group.
    groups = ["5", "5", "5", "12", "12", "12"]
    found = table(names, labels, [0.3, 0.4, 0.2, 0.1, 0.6, 0.7], groups)
    pictures.show_dfdc(config(tmp_path), found, ["x"])
    lines = [
        [cell.strip() for cell in line.strip("| ").split("|")]
        for line in capsys.readouterr().out.splitlines()
    ]
    by_title = {line[0]: line for line in lines}
    # Boxes of part 5 have 100 pixels, those of part 12 have 240.
    assert by_title["DFDC, boxes of 100 to 199 px"][3].startswith("0.50")
    assert by_title["DFDC, boxes of 200 px and more"][3].startswith("1.00")
    assert by_title["DFDC, own original"][2:] == ["4", "0.75"]


def test_mesonet_is_read_from_its_weights(tmp_path):
    model = mesonet.network()
    path = tmp_path / "Meso4_DF.weights.h5"
    model.save_weights(path)
    again = mesonet.load(path)
    faces = np.random.default_rng(0).integers(0, 255, (2, 256, 256, 3), np.uint8)
    real = np.asarray(model(faces / np.float32(255), training=False))[:, 0]
    np.testing.assert_allclose(
        mesonet.fake_probability(again, faces), 1 - real, atol=1e-5
    )
    # 27,977 numbers that are trained, as the paper has it (section 3.1).
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == 27_977
