import numpy as np
import pytest

from tfmds.common.errors import InputError
from tfmds.evaluation import calibration
from tfmds.evaluation.thresholds import Threshold


@pytest.mark.parametrize("kind", calibration.KINDS)
def test_probabilities_are_true_for_balanced_classes(kind):
    rng = np.random.default_rng(0)
    # For normals of equal width the true curve is logistic; the classes' shares differ.
    real, fake = rng.normal(0, 1, 4000), rng.normal(2, 1, 1000)
    curve = calibration.fit(real, fake, kind)
    at = np.linspace(-1, 3, 9)
    truth = 1 / (1 + np.exp(-(2 * at - 2)))
    np.testing.assert_allclose(curve(at), truth, atol=0.08)


@pytest.mark.parametrize("kind", calibration.KINDS)
@pytest.mark.parametrize("fake", [[2.0, 3.0], [1.0, 1.0], [0.0, -1.0], [1.0, 2.0]])
def test_the_curve_never_falls_and_stays_finite(kind, fake):
    curve = calibration.fit(np.array([0.0, 1.0, 1.0]), np.array(fake), kind)
    values = curve(np.array([-1e9, -1, 0, 0.5, 1, 2, 1e9]))
    assert np.isfinite(values).all()
    assert (np.diff(values) >= 0).all()
    assert ((values >= 0) & (values <= 1)).all()
    threshold = Threshold(1.0, calibration=curve)
    assert Threshold.from_json(threshold.to_json(), "x") == threshold


@pytest.mark.parametrize("fields", [{}, [], {"kind": "magic"}, {"kind": "isotonic"}])
def test_what_is_no_calibration_is_refused(fields):
    with pytest.raises(InputError, match=r"x: .*calibration"):
        Threshold.from_json({"value": 1, "calibration": fields}, "x")
