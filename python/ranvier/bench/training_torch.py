"""The networks of ``ranvier bench train`` in PyTorch: modules, and a plain loop over shuffled batches."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ranvier.bench import torch

if TYPE_CHECKING:
    from ranvier.bench.training import Network

nn: Any = torch.nn


class Residual(nn.Module):  # type: ignore[misc]
    """Two normalised convolutions beside a shortcut."""

    def __init__(self, before: int, filters: int, stride: int) -> None:
        super().__init__()
        self.one = nn.Conv2d(before, filters, 3, stride, padding=1, bias=False)
        self.two = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        self.norm_one, self.norm_two = nn.BatchNorm2d(filters), nn.BatchNorm2d(filters)
        self.shortcut = nn.Identity() if stride == 1 else nn.Conv2d(before, filters, 1, stride, bias=False)

    def forward(self, x: Any) -> Any:
        y = torch.relu_(self.norm_one(self.one(x)))
        return torch.relu_(self.norm_two(self.two(y)) + self.shortcut(x))


class LastStep(nn.Module):  # type: ignore[misc]
    """An LSTM's last output."""

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(inputs, units, batch_first=True)

    def forward(self, x: Any) -> Any:
        return self.lstm(x)[0][:, -1]


def build(network: Network) -> Any:
    """The modules, which end in logits."""
    layers: list[Any] = []
    channels = network.inputs[-1]
    size = network.inputs[0]
    for kind, *sizes in network.layers:
        if kind == "flatten":
            layers.append(nn.Flatten())
            channels *= size**2
        elif kind == "dense":
            layers += [nn.Linear(channels, sizes[0]), nn.ReLU()]
        elif kind == "convolution":
            layers += [nn.Conv2d(channels, sizes[0], 3), nn.ReLU()]
            size -= 2
        elif kind == "pool":
            layers.append(nn.MaxPool2d(2))
            size //= 2
        elif kind == "normalized":
            layers += [nn.Conv2d(channels, sizes[0], 3, sizes[1], padding=1, bias=False)]
            layers += [nn.BatchNorm2d(sizes[0]), nn.ReLU()]
        elif kind == "residual":
            layers.append(Residual(channels, *sizes))
        elif kind == "average":
            layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        elif kind == "lstm":
            layers.append(LastStep(channels, sizes[0]))
        channels = sizes[0] if sizes else channels
    return nn.Sequential(*layers, nn.Linear(channels, network.outputs))


def optimizers(network: Network) -> dict[str, Callable[[Any], Any]]:
    """The flavours of the network's optimizer, by name: each makes one of parameters."""
    optim = torch.optim
    kind, options = {
        "rmsprop": (optim.RMSprop, {"lr": 1e-3, "alpha": 0.9, "eps": 1e-7}),
        "adam": (optim.Adam, {"lr": 1e-3, "eps": 1e-7}),
        "sgd": (optim.SGD, {"lr": 0.01, "momentum": 0.9}),
    }[network.optimizer]
    flavours = {"foreach": {"foreach": True}, "fused": {"fused": True}, "single": {"foreach": False}}
    flavours.pop("fused" if network.optimizer == "rmsprop" else "single")  # RMSprop has no fused form
    return {name: partial(kind, **options, **flavour) for name, flavour in flavours.items()}


def variants(network: Network, x: np.ndarray, y: np.ndarray) -> dict[str, Callable[[], None]]:
    """An epoch in each memory layout with each flavour of the optimizer."""
    images = torch.from_numpy(x)
    labels = torch.from_numpy(y).long() if network.outputs > 1 else torch.from_numpy(y).float()[:, None]
    loss_of = nn.CrossEntropyLoss() if network.outputs > 1 else nn.BCEWithLogitsLoss()
    layouts = {"": images}
    if len(network.inputs) == 3:
        nhwc = images.permute(0, 3, 1, 2)
        layouts = {"NCHW ": nhwc.contiguous(), "channels last ": nhwc}
    found = {}
    for layout, inputs in layouts.items():
        for flavour, make in optimizers(network).items():
            model = build(network)
            if layout == "channels last ":
                model = model.to(memory_format=torch.channels_last)
            found[layout + flavour] = epoch_of(model, make(model.parameters()), loss_of, inputs, labels, network.batch)
    return found


def epoch_of(model: Any, optimizer: Any, loss_of: Any, inputs: Any, labels: Any, batch: int) -> Callable[[], None]:
    """One pass over shuffled batches."""

    def epoch() -> None:
        for indices in torch.randperm(len(inputs)).split(batch):
            optimizer.zero_grad()
            loss_of(model(inputs[indices]), labels[indices]).backward()
            optimizer.step()

    return epoch
