from tfmds.detection import judging, remote
from tfmds.exporting import saved_model


def test_the_service_judges_as_the_model_it_serves(service, export_dir, clip):
    served = remote.connect(f"{service.url}/v1/models/mds")
    local = saved_model.load(export_dir)
    assert (served.spec, served.threshold) == (local.spec, local.threshold)
    judgement = judging.judge(served, clip)
    assert judgement.status == "ok"
    assert judgement.model_id == local.model_id
    expected = judging.judge(local, clip)
    assert len(judgement.chunks) == len(expected.chunks)
    for got, wanted in zip(judgement.chunks, expected.chunks, strict=True):
        assert abs(got.distance - wanted.distance) < 1e-4
