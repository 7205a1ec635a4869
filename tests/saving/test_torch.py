"""PyTorch's weights in our layers, our ops in its autograd, and its functions in ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ranvier as rv

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
la = rv.layers
nn = torch.nn


def _value(module: Any, x: Any) -> Any:
    found = module.eval()(x)
    return found[0] if isinstance(found, tuple) else found


PAIRS: dict[str, tuple[Any, Any, tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(5, 3), lambda: la.Dense(3), (2, 5)),
    "linear without bias": (lambda: nn.Linear(5, 3, bias=False), lambda: la.Dense(3, use_bias=False), (2, 5)),
    "conv2d": (lambda: nn.Conv2d(3, 4, (2, 3)), lambda: la.Conv2D(4, (2, 3)), (2, 3, 7, 6)),
    "groups": (lambda: nn.Conv2d(4, 6, 3, groups=2), lambda: la.Conv2D(6, 3, groups=2), (2, 4, 7, 6)),
    "depthwise": (
        lambda: nn.Conv2d(3, 6, 3, groups=3), lambda: la.DepthwiseConv2D(3, depth_multiplier=2), (2, 3, 7, 6)
    ),
    "transposed": (
        lambda: nn.ConvTranspose2d(3, 4, 3, stride=2), lambda: la.Conv2DTranspose(4, 3, strides=2), (2, 3, 5, 6)
    ),
    "conv1d": (lambda: nn.Conv1d(3, 4, 3), lambda: la.Conv1D(4, 3), (2, 3, 7)),
    "batchnorm": (lambda: nn.BatchNorm2d(3), lambda: la.BatchNormalization(epsilon=1e-5), (2, 3, 7, 6)),
    "layernorm": (lambda: nn.LayerNorm(5), lambda: la.LayerNormalization(epsilon=1e-5), (2, 5)),
    "groupnorm": (lambda: nn.GroupNorm(2, 4), lambda: la.GroupNormalization(2, epsilon=1e-5), (2, 4, 5, 6)),
    "prelu": (lambda: nn.PReLU(3), lambda: la.PReLU(shared_axes=[1, 2]), (2, 3, 4, 5)),
    "lstm": (lambda: nn.LSTM(4, 3, batch_first=True), lambda: la.LSTM(3, return_sequences=True), (2, 5, 4)),
    "gru": (lambda: nn.GRU(4, 3, batch_first=True), lambda: la.GRU(3, return_sequences=True), (2, 5, 4)),
    "rnn": (lambda: nn.RNN(4, 3, batch_first=True), lambda: la.SimpleRNN(3, return_sequences=True), (2, 5, 4)),
}  # fmt: skip
FIRST = {"conv2d", "groups", "depthwise", "transposed", "conv1d", "batchnorm", "groupnorm", "prelu"}  # channels first


@pytest.mark.parametrize("name", list(PAIRS))
def test_layers(name: str) -> None:
    make, ours, shape = PAIRS[name]
    torch.manual_seed(0)
    module = make()
    for parameter in (*module.parameters(), *(b for b in module.buffers() if b.dtype == torch.float32)):
        parameter.data.uniform_(0.2, 1.0)
    x = torch.randn(*shape)
    moved = np.moveaxis(x.numpy(), 1, -1) if name in FIRST else x.numpy()
    model = rv.Sequential([rv.Input(moved.shape[1:]), ours()])
    rv.saving.load_torch_weights(model, module.state_dict(prefix="m."))
    expected = _value(module, x).detach().numpy()
    found = model(moved, training=False).numpy()
    np.testing.assert_allclose(np.moveaxis(found, -1, 1) if name in FIRST else found, expected, rtol=1e-5, atol=1e-5)


def network() -> Any:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 3 * 2, 5)
    )


def twin() -> Any:
    return rv.Sequential(
        [rv.Input((8, 6, 1)), la.Conv2D(4, 3), la.BatchNormalization(epsilon=1e-5), la.ReLU(), la.MaxPooling2D(2),
         la.Flatten(), la.Dense(5)]
    )  # fmt: skip


def test_a_network_from_memory_and_from_safetensors(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    torch.manual_seed(0)
    module, x = network().eval(), torch.randn(3, 1, 8, 6)
    save_file(module.state_dict(), tmp_path / "m.safetensors")
    for source in (module.state_dict(), tmp_path / "m.safetensors"):
        model = twin()
        rv.saving.load_torch_weights(model, source)
        found = model(x.permute(0, 2, 3, 1).numpy(), training=False).numpy()
        np.testing.assert_allclose(found, module(x).detach().numpy(), rtol=1e-5, atol=1e-5)
    before = model.get_weights()
    state = module.state_dict()
    for change, message in (
        (lambda s: s.pop("5.weight"), "module '5' does not fit layer 'dense"),
        (lambda s: s.update({"5.weight": torch.zeros(4, 24)}), "has weights of shapes"),
        (lambda s: s.update({"6.weight": torch.zeros(4, 24)}), "3 layers with weights, the state_dict 4 modules"),
    ):
        changed = dict(state)
        change(changed)
        with pytest.raises(ValueError, match=message):
            rv.saving.load_torch_weights(model, changed)
    (tmp_path / "bad.safetensors").write_bytes(b"x" * 50)
    with pytest.raises(ValueError, match=r"bad\.safetensors' cannot be read as safetensors"):
        rv.saving.load_torch_weights(model, tmp_path / "bad.safetensors")
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


class OurSoftplus(torch.autograd.Function):
    """``rv.ops`` inside PyTorch's tape; memory is shared by DLPack."""

    @staticmethod
    def forward(context: Any, x: Any) -> Any:
        context.x = rv.from_dlpack(x.detach().contiguous())
        context.x.requires_grad = True
        context.y = rv.ops.log(rv.ops.exp(context.x) + 1.0)
        return torch.from_dlpack(context.y.detach())

    @staticmethod
    def backward(context: Any, gradient: Any) -> Any:
        (found,) = rv.grad(context.y, [context.x], rv.from_dlpack(gradient.contiguous()))
        return torch.from_dlpack(found)


class TheirSoftplus(rv.autograd.Function):
    """A function of PyTorch inside our tape."""

    def forward(self, x: Any) -> Any:
        self.x = torch.from_dlpack(x).clone().requires_grad_()
        with torch.enable_grad():
            self.y = torch.nn.functional.softplus(self.x)
        return rv.from_dlpack(self.y.detach()).array

    def backward(self, gradient: Any) -> Any:
        (found,) = torch.autograd.grad(self.y, self.x, torch.from_dlpack(gradient))
        return rv.from_dlpack(found)


def test_our_ops_in_pytorchs_autograd() -> None:
    x = torch.randn(4, 3, requires_grad=True)
    (OurSoftplus.apply(x * 2) ** 2).sum().backward()
    found = x.grad.clone()
    x.grad = None
    (torch.nn.functional.softplus(x * 2) ** 2).sum().backward()
    torch.testing.assert_close(found, x.grad)


def test_pytorchs_functions_in_our_autograd() -> None:
    values = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    found = []
    for softplus in (TheirSoftplus.apply, lambda t: rv.ops.log(rv.ops.exp(t) + 1.0)):
        x = rv.Tensor(values, requires_grad=True)
        (softplus(x * 2.0) ** 2).sum().backward()
        found.append(x.grad.numpy())
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5, atol=1e-6)
