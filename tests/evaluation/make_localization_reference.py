"""Asks the evaluator of AV-Deepfake1M for its answers on random proposals.

    python3.11 -m venv /tmp/reference
    /tmp/reference/bin/pip install --no-deps avdeepfake1m==0.0.4 'numpy<2'
    /tmp/reference/bin/python tests/evaluation/make_localization_reference.py \
      tests/evaluation/localization_reference.json

The evaluator is a compiled module; the package around it wants torch and lightning,
so it is loaded on its own.
"""

import importlib.machinery
import importlib.util
import json
import pathlib
import sys
import tempfile

import numpy as np

AP_IOUS = [0.5, 0.75, 0.95]
AR_COUNTS = [50, 20, 10, 5]
AR_IOUS = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95]


def evaluator():
    package = importlib.util.find_spec("avdeepfake1m").submodule_search_locations[0]
    (path,) = pathlib.Path(package).glob("_evaluation*.so")
    loader = importlib.machinery.ExtensionFileLoader("_evaluation", str(path))
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_loader("_evaluation", loader)
    )
    loader.exec_module(module)
    return module


def random_case(rng, num_videos, most_proposals, jitter):
    """Periods and proposals (confidence, start, end) of each video."""
    videos = {}
    for number in range(num_videos):
        starts = np.sort(rng.uniform(0, 30, rng.randint(0, 4)))
        periods = [(s, s + rng.uniform(0.3, 4)) for s in starts]
        proposals = []
        for _ in range(rng.randint(1, most_proposals + 1)):
            if periods and rng.rand() < 0.7:
                start, end = periods[rng.randint(len(periods))]
                start, end = np.array([start, end]) + jitter * rng.randn(2)
            else:
                start = rng.uniform(0, 30)
                end = start + rng.uniform(0.3, 4)
            start, end = sorted((max(start, 0), max(end, 0)))
            proposals.append((rng.rand(), start, end + 0.01))
        videos[f"v{number}"] = {
            "periods": np.round(periods, 3).tolist(),
            "proposals": np.round(sorted(proposals, reverse=True), 4).tolist(),
        }
    return videos


def ask(module, videos):
    with tempfile.TemporaryDirectory() as folder:
        proposals, labels = (
            pathlib.Path(folder) / f"{name}.json" for name in ("proposals", "labels")
        )
        proposals.write_text(
            json.dumps({name: video["proposals"] for name, video in videos.items()})
        )
        labels.write_text(
            json.dumps(
                [
                    {"file": name, "fake_segments": video["periods"]}
                    for name, video in videos.items()
                ]
            )
        )
        paths = str(proposals), str(labels), "file", "fake_segments"
        answer = module.ap_ar_1d(*paths, 1, AP_IOUS, AR_COUNTS, AR_IOUS)
    # The thresholds come back as 32-bit numbers.
    return {
        "ap": {f"{iou:.4g}": value for iou, value in answer["ap"].items()},
        "ar": {str(count): value for count, value in answer["ar"].items()},
    }


def main(path):
    rng = np.random.RandomState(0)
    module = evaluator()
    sizes = (
        [(12, 6, 0.1), (12, 25, 0.3), (8, 60, 0.2), (20, 3, 0.02)]
        + [(3, 2, 0.05)] * 4
        + [(1, 3, 0.1)] * 4
    )
    cases = [random_case(rng, *size) for size in sizes]
    cases = [c for c in cases if any(video["periods"] for video in c.values())]
    answers = [{"videos": videos, "answer": ask(module, videos)} for videos in cases]
    rows = ",\n".join(json.dumps(answer) for answer in answers)
    pathlib.Path(path).write_text(f"[\n{rows}\n]\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
