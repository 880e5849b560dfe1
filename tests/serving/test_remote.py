import numpy as np

from tests import tracks
from tfmds.detection import judging, remote
from tfmds.exporting import loading


def test_the_service_judges_as_the_model_it_serves(service, export_dir, clip):
    served = remote.connect(f"{service.url}/v1/models/mds")
    local = loading.load(export_dir)
    assert (served.spec, served.threshold) == (local.spec, local.threshold)
    judgement = judging.judge(served, clip)
    assert judgement.status == "ok"
    assert judgement.model_id == local.model_id
    expected = judging.judge(local, clip)
    assert len(judgement.chunks) == len(expected.chunks)
    for got, wanted in zip(judgement.chunks, expected.chunks, strict=True):
        assert abs(got.distance - wanted.distance) < 1e-4


def test_the_service_gives_distances_by_lag(service, export_dir):
    served = remote.connect(f"{service.url}/v1/models/mds")
    local = loading.load(export_dir)
    records = [
        tracks.record(tracks.video("a"), num_frames=70, start_seconds=2.0, seed=5),
        tracks.record(tracks.video("b"), num_frames=40, seed=9),
    ]
    assert served.has_lags
    for got, wanted in zip(served.lags(records), local.lags(records), strict=True):
        np.testing.assert_allclose(got[0], wanted[0], atol=1e-5)
        # What there is not is not there in both.
        np.testing.assert_allclose(got[1], wanted[1], atol=1e-4)
