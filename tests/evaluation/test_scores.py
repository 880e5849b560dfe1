import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluation import samples
from tfmds import spec
from tfmds.common.errors import InputError
from tfmds.evaluation import score_files, scores

HEADER = "video_id,label,split,group,manipulation,status,chunks,mds\n"
CHUNK_HEADER = "video_id,track,chunk,start_seconds,label,distance\n"
GOOD = "a,real,test,p,,ok,2,0.5\n"


def write(tmp_path, text, name="scores.csv"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_what_is_written_is_read_again(tmp_path):
    videos, chunks = samples.tables(unscored=[("test/0-1.mp4", spec.NO_FACE)])
    score_files.write(tmp_path, videos, chunks)
    again = score_files.read_videos(tmp_path / "scores.csv")
    for name in ("video_id", "label", "split", "group", "manipulation", "status"):
        assert (getattr(again, name) == getattr(videos, name)).all()
    np.testing.assert_allclose(again.mds, videos.mds, rtol=1e-8)
    chunks_again = score_files.read_chunks(tmp_path / "chunks.csv", again)
    np.testing.assert_allclose(chunks_again.distance, chunks.distance, rtol=1e-8)
    assert not list(tmp_path.glob(".*"))


@given(st.lists(st.text(min_size=1), min_size=1, max_size=5, unique=True))
def test_any_name_survives(tmp_path_factory, names):
    # A table has lines and UTF-8: neither halves of letters nor nulls.
    names = [n for n in names if n.isprintable()] or ['a,"b";<script>']
    videos, chunks = samples.from_rows(
        [(name, spec.REAL, "test", name, "", "ok") for name in names],
        [(name, 0, 0.0, spec.REAL, 0.25) for name in names],
    )
    folder = tmp_path_factory.mktemp("scores")
    score_files.write(folder, videos, chunks)
    again = score_files.read_videos(folder / "scores.csv")
    assert list(again.video_id) == list(again.group) == names
    assert len(score_files.read_chunks_beside(folder / "scores.csv", again)) == len(
        names
    )


def test_mds_is_the_mean_distance_of_a_video():
    videos, chunks = samples.tables()
    for name, value in zip(videos.video_id, videos.mds, strict=True):
        distances = chunks.distance[chunks.video_id == name]
        assert value == pytest.approx(sum(distances) / len(distances))


def test_chunks_are_numbered_by_time_in_each_track():
    chunks = scores.ChunkScores.from_distances(
        video_id=["b", "a", "a", "a", "b"],
        track=[0, 1, 0, 1, 0],
        start_seconds=[1, 7, 0, 6, 0],
        label=[1] * 5,
        distance=[0.1, 0.2, 0.3, 0.4, 0.5],
    )
    rows = zip(
        chunks.video_id, chunks.track, chunks.chunk, chunks.distance, strict=True
    )
    assert list(rows) == [
        ("a", 0, 0, 0.3),
        ("a", 1, 0, 0.4),
        ("a", 1, 1, 0.2),
        ("b", 0, 0, 0.5),
        ("b", 0, 1, 0.1),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lacks the columns"),
        ("video_id,score\na,1\n", "lacks the columns label, .*it has video_id, score"),
        (HEADER, "no rows"),
        (HEADER + GOOD + "b,REAL,test,p,,ok,2,0.5\n", "line 3: label is 'REAL'"),
        (HEADER + "\n" + GOOD + "b,,test,p,,ok,2,0.5\n", "line 4: label is ''"),
        (HEADER + "b,real,dev,p,,ok,2,0.5\n", "line 2: split is 'dev'"),
        (HEADER + "b,real,test,p,,fine,2,0.5\n", "line 2: status is 'fine'"),
        (HEADER + ",real,test,p,,ok,2,0.5\n", "line 2: video_id is empty"),
        (HEADER + GOOD + "b,real,test,p,,ok,2,nan\n", "line 3: mds is 'nan'"),
        (HEADER + GOOD + "b,real,test,p,,ok,2,inf\n", "line 3: mds is 'inf'"),
        (HEADER + GOOD + "b,real,test,p,,ok,2,high\n", "line 3: mds is 'high'"),
        (HEADER + "b,real,test,p,,ok,2.5,0.5\n", "line 2: chunks is '2.5'"),
        (HEADER + "b,real,test,p,,ok,2,\n", "line 2: the status is ok and mds is"),
        (HEADER + "b,real,test,p,,no_face,0,1\n", "line 2: mds is given"),
        (HEADER + GOOD + "b,real,test\n", "line 3: 3 values, expected 8"),
        (HEADER + GOOD + "b,fake,test,p,,ok,2,1\n" + GOOD, "line 4: .*'a' is already"),
    ],
)
def test_a_bad_table_is_refused_by_file_and_line(tmp_path, text, message):
    with pytest.raises(InputError, match=f"scores.csv.*{message}"):
        score_files.read_videos(write(tmp_path, text))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a,0,0,0,real,0.4\n", "'a' has 1 chunks"),
        ("a,0,0,0,real,0.4\na,0,1,1,real,0.9\n", "mean distance 0.65"),
        ("a,0,0,0,real,0.4\na,0,0,1,real,0.6\n", "line 3: chunk 0 of track 0"),
        ("b,0,0,0,real,0.4\na,0,1,1,real,0.6\n", "'b' is not in the table"),
        ("a,0,0,0,real,\n", "line 2: distance is ''"),
    ],
)
def test_chunks_of_another_run_are_refused(tmp_path, rows, message):
    videos = score_files.read_videos(write(tmp_path, HEADER + GOOD))
    path = write(tmp_path, CHUNK_HEADER + rows, "chunks.csv")
    with pytest.raises(InputError, match=f"chunks.csv.*{message}"):
        score_files.read_chunks(path, videos)


def test_files_that_are_no_tables_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        score_files.read_videos(tmp_path / "none.csv")
    with pytest.raises(InputError, match="is a directory"):
        score_files.read_videos(tmp_path)
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="UTF-8"):
        score_files.read_videos(tmp_path / "x.csv")


def test_a_table_from_a_spreadsheet_program_is_read(tmp_path):
    text = "\ufeffnote," + HEADER + "x," + GOOD
    videos = score_files.read_videos(write(tmp_path, text.replace("\n", "\r\n")))
    assert list(videos.video_id) == ["a"]
    assert videos.mds == 0.5


def test_status_and_chunks_must_go_together():
    with pytest.raises(InputError, match="'b' has the status ok and 0 scored chunks"):
        samples.from_rows(
            [("a", 1, "test", "", "", "ok"), ("b", 1, "test", "", "", "ok")],
            [("a", 0, 0.0, 1, 0.5)],
        )


@pytest.mark.parametrize(
    ("columns", "values", "message"),
    [
        ("fake_periods", "3-2", "line 2: fake_periods is '3-2'"),
        ("fake_periods", "1-2", "line 2: a real video has fake_periods"),
        ("seconds", "-1", "line 2: seconds is negative"),
        ("seconds", "inf", "line 2: seconds is 'inf'"),
        ("mds", "0.1", "the columns mds more than once"),
    ],
)
def test_bad_optional_columns_are_refused(tmp_path, columns, values, message):
    header, row = HEADER.strip(), GOOD.splitlines()[0]
    assert ",real," in row
    path = write(tmp_path, f"{header},{columns}\n{row},{values}\n")
    with pytest.raises(InputError, match=f"scores.csv.*{message}"):
        score_files.read_videos(path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_tables_are_read_as_spreadsheets_of_any_country_write_them(tmp_path, encoding):
    def save(name, text):
        text = text.replace(",", ";").replace(".", ",").replace("\n", "\r\n")
        (tmp_path / name).write_bytes(text.encode(encoding))
        return tmp_path / name

    path = save("scores.csv", HEADER + "zoë,real,test,p,,ok,2,0.5\n")
    save("chunks.csv", CHUNK_HEADER + "zoë,0,0,0.0,real,0.4\nzoë,0,1,1.0,real,0.6\n")
    videos, chunks, _ = score_files.read(path)
    assert list(videos.video_id) == ["zoë"]
    assert (list(videos.mds), list(chunks.distance)) == ([0.5], [0.4, 0.6])
    other = save("other.csv", "video,score\nzoë,0.25\n")
    labels = save(
        "labels.csv", "video_id,label,split,group,manipulation\nzoë,real,test,p,\n"
    )
    videos, _, _ = score_files.read(other, labels)
    assert list(videos.mds) == [0.25]


def test_which_stream_is_forged_goes_along_and_may_be_missing(tmp_path):
    header = HEADER.replace("\n", ",forged\n")
    path = write(tmp_path, header + "a,fake,test,p,x,ok,2,0.5,sound\n")
    videos = score_files.read_videos(path)
    assert list(videos.forged) == ["sound"]
    score_files.write_videos(tmp_path / "again.csv", videos)
    assert list(score_files.read_videos(tmp_path / "again.csv").forged) == ["sound"]
    path = write(tmp_path, HEADER + "a,fake,test,p,x,ok,2,0.5\n")
    assert list(score_files.read_videos(path).forged) == [""]
    path = write(tmp_path, header + "a,fake,test,p,x,ok,2,0.5,voice\n")
    with pytest.raises(InputError, match="line 2: forged is 'voice'"):
        score_files.read_videos(path)
