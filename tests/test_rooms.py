"""No op lacks a room, and ``ranvier where`` finds them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ranvier import cli, rooms

ROOT = Path(__file__).parent.parent

# Built from other ops in one expression: they have no kernel, so no declaration, binding, C++ or reference of their
# own. This list may only shrink.
COMPOSED: set[str] = {
    *("abs", "greater", "greater_equal", "logical_and", "logical_or", "sum_to_shape"),  # one other op, or sums
    *("all", "any", "norm", "std", "var"),  # from the reductions above them and elementwise ops
    *("expand_dims", "flip", "repeat", "reshape", "split", "squeeze", "stack", "tile"),  # views, slices, broadcasts
    "einsum",  # a matmul
    "layer_norm",  # a group_norm of rows
    *("global_avg_pool2d", "global_max_pool2d"),  # a window of the image's size
    *("crop_images", "extract_patches", "pad_images"),  # slices and padding
    *("gaussian_blur", "sobel_edges", "ssim"),  # convolutions of each channel
    *("rgb_to_grayscale", "rgb_to_hsv", "hsv_to_rgb"),  # elementwise
    *("elastic_transform", "map_coordinates", "perspective_transform"),  # gathered pixels, affine_transform
    "scale_and_translate",  # a resize along each axis
    *("arange", "full", "ones", "ones_like", "zeros", "zeros_like"),
}
KERNEL_ROOMS = {"declaration", "checks and binding", "C++ kernels", "CUDA kernels", "reference"}


@pytest.mark.parametrize("op", sorted(rooms.public_ops()))
def test_no_op_lacks_a_room(op: str) -> None:
    found = {place.room for place in rooms.find(op, ROOT)}
    expected = set(rooms.ROOMS) - (KERNEL_ROOMS if op in COMPOSED else set())
    assert expected <= found, f"{op} has no {', '.join(sorted(expected - found))}"


def test_composed_ops_are_ops() -> None:
    assert set(rooms.public_ops()) >= COMPOSED


def test_where_prints_places(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert cli.main(["where", "conv2d"]) == 0
    printed = capsys.readouterr().out
    for path in ("csrc/ops/conv2d.h", "csrc/ops/conv2d.cpp", "csrc/cpu/conv2d", "ops/conv2d", "reference/conv2d"):
        assert path in printed
    for line in printed.splitlines():
        path, number = line[20:].split()[0].rsplit(":", 1)
        assert (ROOT / path.strip()).is_file()
        assert int(number) >= 1


@pytest.mark.parametrize("op", ["gemm", "conv2d", "softmax", "batch_norm"])
def test_where_leads_to_the_ladder(op: str) -> None:
    assert {"ladder", "story of the ladder"} <= {place.room for place in rooms.find(op, ROOT)}


@pytest.mark.parametrize("op", ["gemm", "sum", "softmax", "transpose"])
def test_where_leads_to_the_ladder_of_a_gpu(op: str) -> None:
    assert "CUDA ladder" in {place.room for place in rooms.find(op, ROOT)}


def test_where_refuses_unknown_ops(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert cli.main(["where", "conv4d"]) == 1
    assert "no op is called 'conv4d'" in capsys.readouterr().err


def test_where_outside_a_checkout_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "__file__", str(tmp_path / "rooms.py"))
    with pytest.raises(FileNotFoundError, match="change into a checkout"):
        rooms.source_root(tmp_path)
