import pytest

from tfmds.training import strategies


@pytest.mark.parametrize(
    ("precision", "flags", "slow"),
    [
        ("mixed_bfloat16", "fma avx512f avx512_vnni", True),
        ("mixed_bfloat16", "fma avx512f avx512_bf16", False),
        ("mixed_bfloat16", "fma amx_tile amx_bf16", False),
        ("mixed_float16", "fma avx512f amx_bf16", True),
        ("float32", "fma", False),
    ],
)
def test_imitated_arithmetic_is_told(tmp_path, precision, flags, slow):
    cpus = tmp_path / "cpuinfo"
    cpus.write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    said = strategies.why_slow(precision, cpus)
    assert bool(said) is slow
    if slow:
        assert f"--precision={precision}" in said
        assert "float32" in said


def test_nothing_is_claimed_of_unknown_processors(tmp_path):
    assert strategies.why_slow("mixed_bfloat16", tmp_path / "none") is None
