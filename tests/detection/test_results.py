import csv
import json
import os

import pytest

from tfmds.common import csv_files
from tfmds.common.errors import InputError
from tfmds.detection import judgement_json, results
from tfmds.evaluation.thresholds import Threshold
from tfmds.judgement.judgement import VideoJudgement
from tfmds.judgement.seen import JudgedChunk

RUN = {"model_id": "m", "hop": 1.0}


def judged(path: str, *distances: float) -> VideoJudgement:
    return VideoJudgement(
        path,
        "ok" if distances else "no_face",
        Threshold(0.5),
        chunks=tuple(JudgedChunk(0, float(t), d) for t, d in enumerate(distances)),
        seconds_total=4.0,
    )


def close(run: results.Results) -> None:
    """As the end of its process does."""
    run._file.close()


def test_a_killed_run_goes_on_behind_its_last_whole_line(tmp_path):
    run = results.Results(str(tmp_path), RUN)
    run.add(judged("a.mp4", 0.1, 0.9, 0.8))
    run.add(judged("caf\udce9.mp4"))
    close(run)
    whole = (tmp_path / results.RESULTS_FILE).read_bytes()
    with open(tmp_path / results.RESULTS_FILE, "ab") as f:
        f.write(b'{"path": "c.mp4", "sta')

    run = results.Results(str(tmp_path), RUN)
    assert run.outcomes == {"a.mp4": "fake", "caf\udce9.mp4": "no_face"}
    assert (tmp_path / results.RESULTS_FILE).read_bytes() == whole
    run.add(judged("c.mp4", 0.2))
    assert [fields["path"] for fields in run.read()][2] == "c.mp4"
    run.write_table()
    with open(tmp_path / results.TABLE_FILE, encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    assert [row["verdict"] for row in rows] == ["fake", "cannot_tell", "real"]
    assert rows[0]["suspicious_periods"] == "1-3"
    assert rows[1]["path"] == r"caf\xe9.mp4"
    assert csv_files.name_of(rows[1]["path"]) == "caf\udce9.mp4"


def table(folder) -> list[tuple[str, str]]:
    with open(folder / results.TABLE_FILE) as f:
        return [(row["path"], row["verdict"]) for row in csv.DictReader(f)]


def test_a_file_that_is_another_now_is_judged_again(tmp_path, monkeypatch):
    for name in ("a", "b", "out"):
        (tmp_path / name).mkdir()
    out = str(tmp_path / "out")
    for name in ("a", "b"):
        (tmp_path / name / "clip.mp4").write_text(f"of {name}")
    monkeypatch.chdir(tmp_path / "a")
    run = results.Results(out, RUN)
    run.add(judged("clip.mp4", 0.1))
    close(run)

    monkeypatch.chdir(tmp_path / "b")
    run = results.Results(out, RUN)
    assert run.outcomes == {}
    run.add(judged("clip.mp4", 0.9))
    close(run)
    # The file of the other folder stays done, whatever is called like it here.
    monkeypatch.chdir(tmp_path / "a")
    run = results.Results(out, RUN)
    assert run.outcomes == {"clip.mp4": "real"}
    close(run)

    (tmp_path / "a" / "clip.mp4").write_text("another one")
    run = results.Results(out, RUN)
    assert run.outcomes == {}
    run.add(judged("clip.mp4"))
    run.write_table()
    close(run)
    assert results.Results(out, RUN).outcomes == {"clip.mp4": "no_face"}
    expected = [("clip.mp4", "fake"), ("clip.mp4", "cannot_tell")]
    assert table(tmp_path / "out") == expected


def test_lines_of_before_files_were_told_apart_count(tmp_path):
    line = json.dumps(judgement_json.write(judged("a.mp4", 0.9)))
    (tmp_path / results.RESULTS_FILE).write_text(line + "\n")
    assert results.Results(str(tmp_path), RUN).outcomes == {"a.mp4": "fake"}


def test_a_full_disk_leaves_no_half_result(tmp_path, monkeypatch):
    run = results.Results(str(tmp_path), RUN)
    run.add(judged("a.mp4", 0.1))
    whole = (tmp_path / results.RESULTS_FILE).read_bytes()
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:20]))
    with pytest.raises(OSError, match=r"No space left.*results\.jsonl"):
        run.add(judged("b.mp4", 0.1))
    monkeypatch.undo()
    assert (tmp_path / results.RESULTS_FILE).read_bytes() == whole
    run.add(judged("c.mp4", 0.9))
    close(run)
    kept = results.Results(str(tmp_path), RUN).outcomes
    assert kept == {"a.mp4": "real", "c.mp4": "fake"}


def test_results_are_read_back_as_they_were_said(tmp_path):
    judgement = judged("a.mp4", 0.1, 0.9)
    said = json.loads(json.dumps(judgement_json.write(judgement)))
    assert judgement_json.read(said, Threshold(0.5)) == judgement


def test_a_folder_of_another_run_is_refused(tmp_path):
    close(results.Results(str(tmp_path), RUN))
    with pytest.raises(InputError, match="hop was 1.0, now is 0.5"):
        results.Results(str(tmp_path), {**RUN, "hop": 0.5})
    with pytest.raises(InputError, match="sound_track was not set, now is 2"):
        results.Results(str(tmp_path), {**RUN, "sound_track": 2})
    with pytest.raises(InputError, match=r"hop was 1.0, now is not set\. Ch"):
        results.Results(str(tmp_path), {"model_id": "m"})


def test_two_processes_do_not_write_the_same_results(tmp_path):
    run = results.Results(str(tmp_path), RUN)
    with pytest.raises(InputError, match="another tfmds.detect"):
        results.Results(str(tmp_path), RUN)
    close(run)


def test_a_file_that_holds_no_results_is_not_touched(tmp_path):
    (tmp_path / results.RESULTS_FILE).write_text("my diary\n")
    with pytest.raises(InputError, match="line 1: no result"):
        results.Results(str(tmp_path), RUN)
    assert (tmp_path / results.RESULTS_FILE).read_text() == "my diary\n"
