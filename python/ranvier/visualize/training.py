"""How a training went, and what its model takes for what."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ranvier import metrics

_TRAIN, _VALIDATION = "#1f6fb4", "#d8541f"  # told apart by colour-blind readers too, and the second is dashed


def _new_figure(width: float, height: float) -> Any:
    """A figure that needs no screen. Raises ImportError that says what to install."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("pictures need matplotlib: pip install 'ranvier[plot]'") from error
    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Any, path: str | os.PathLike[str] | None) -> Any:
    if path is not None:
        figure.savefig(os.fspath(path))
    return figure


def _curves_of(history: Any) -> dict[str, list[float]]:
    curves = history if isinstance(history, dict) else getattr(history, "history", None)
    if not isinstance(curves, dict) or not curves:
        raise ValueError(f"history: expected the History that fit returned (or its dict), got {history!r}")
    return curves


# --- curves ---------------------------------------------------------------------------------------------


def history(history: Any, path: str | os.PathLike[str] | None = None) -> Any:
    """Curves of the loss and of each metric by epoch, training beside validation; returns the matplotlib figure.

    ``history`` is what ``fit`` returned; with ``path`` the picture is written there. Raises ValueError for a history
    without epochs, ImportError where matplotlib is missing.
    """
    curves = _curves_of(history)
    names = [name for name in curves if not name.startswith("val_")]
    figure = _new_figure(5.5 * len(names), 4)
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        _draw_curve(axes, curves, name)
    return _save(figure, path)


def _draw_curve(axes: Any, curves: dict[str, list[float]], name: str, title: str | None = None) -> None:
    epochs = np.arange(1, len(curves[name]) + 1)
    axes.plot(epochs, curves[name], "o-", color=_TRAIN, label="training", markersize=4)
    held_out = curves.get(f"val_{name}")
    if held_out:
        # With validation_freq there are fewer values than epochs; they belong to every k-th.
        places = epochs[len(epochs) // len(held_out) - 1 :: max(len(epochs) // len(held_out), 1)][: len(held_out)]
        axes.plot(places, held_out, "s--", color=_VALIDATION, label="validation", markersize=4)
    axes.set_title(title or f"{name.replace('_', ' ').capitalize()} by epoch")
    axes.set_xlabel("epoch")
    axes.set_ylabel(name.replace("_", " "))
    axes.xaxis.get_major_locator().set_params(integer=True)
    if len(epochs) == 1:
        axes.set_xlim(0, 2)  # a single point gets whole epochs on its axis too
    axes.grid(alpha=0.3)
    axes.legend()


# --- confusion ------------------------------------------------------------------------------------------


def confusion_matrix(
    y_true: Any,
    y_pred: Any,
    path: str | os.PathLike[str] | None = None,
    class_names: Sequence[str] | None = None,
    title: str = "Confusion matrix",
) -> Any:
    """How often each class was taken for each other; errors are shaded, counts written in; returns the figure.

    ``y_true`` and ``y_pred`` as for ``rv.metrics.confusion_matrix``: class indices, or rows of scores.
    """
    counts = metrics.confusion_matrix(y_true, y_pred)
    side = 2.5 + 0.45 * len(counts)
    figure = _new_figure(side, side)
    _draw_confusion(figure.subplots(), counts, class_names, title)
    return _save(figure, path)


def _draw_confusion(axes: Any, counts: np.ndarray, class_names: Sequence[str] | None, title: str) -> None:
    classes = len(counts)
    names = [str(c) for c in (class_names if class_names is not None else range(classes))]
    if len(names) != classes:
        raise ValueError(f"confusion_matrix: {len(names)} class_names for {classes} classes")
    # The diagonal outnumbers all errors: shading it would leave them all white.
    errors = counts * (1 - np.eye(classes, dtype=counts.dtype))
    axes.imshow(errors, cmap="Oranges", vmin=0, vmax=max(errors.max(), 1))
    for row, column in np.ndindex(*counts.shape):
        if counts[row, column]:
            dark = errors[row, column] > 0.6 * errors.max()
            colour = "#2a7a2a" if row == column else "white" if dark else "black"
            size = 9 if classes <= 12 else 6
            axes.text(column, row, f"{counts[row, column]}", ha="center", va="center", fontsize=size, color=colour)
    axes.set_xticks(range(classes), names)
    axes.set_yticks(range(classes), names)
    right = counts.trace() / max(counts.sum(), 1)
    axes.set_title(f"{title}: {right:.2%} right")
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")


# --- misread digits -------------------------------------------------------------------------------------


def misread_digits(
    images: Any,
    y_true: Any,
    y_pred: Any,
    path: str | os.PathLike[str] | None = None,
    count: int = 15,
    title: str = "First misread digits",
) -> Any:
    """The first ``count`` images whose prediction is wrong, each with its label and prediction; returns the figure.

    ``images`` is (N, H, W), (N, H, W, 1) or (N, H, W, 3); ``y_true`` and ``y_pred`` are class indices or scores.
    """
    wrong = _wrong(y_true, y_pred)[:count]
    columns = max(min(len(wrong), 5), 1)
    rows = -(-max(len(wrong), 1) // columns)
    figure = _new_figure(1.5 * columns + 0.4, 1.75 * rows + 0.6)
    _draw_misread(figure, images, y_true, y_pred, wrong, rows, columns, title)
    return _save(figure, path)


def _labels(y: Any) -> np.ndarray:
    values = np.asarray(y)
    return values.argmax(-1) if values.ndim > 1 and values.shape[-1] > 1 else values.reshape(len(values))


def _wrong(y_true: Any, y_pred: Any) -> np.ndarray:
    true, predicted = _labels(y_true), _labels(y_pred)
    if true.shape != predicted.shape:
        raise ValueError(f"misread_digits: {len(true)} labels but {len(predicted)} predictions")
    return np.flatnonzero(true != predicted)


def _draw_misread(
    figure: Any, images: Any, y_true: Any, y_pred: Any, wrong: np.ndarray, rows: int, columns: int, title: str
) -> None:
    figure.suptitle(title if len(wrong) else f"{title}: none")
    true, predicted = _labels(y_true), _labels(y_pred)
    for position, axes in enumerate(figure.subplots(rows, columns, squeeze=False).flat):
        axes.set_axis_off()
        if position < len(wrong):
            index = wrong[position]
            image = np.asarray(images[index])
            axes.imshow(image[..., 0] if image.shape[-1] == 1 else image, cmap="gray_r")
            axes.set_title(f"is {true[index]}, read as {predicted[index]}", fontsize=9)


# --- all of it ------------------------------------------------------------------------------------------


def quickstart_picture(
    results: Sequence[tuple[str, Any, Any]], images: Any, y_true: Any, path: str | os.PathLike[str] | None = None
) -> Any:
    """One picture for several trained models: a row each of loss curve, confusion matrix and first misread digits.

    ``results`` holds (name, history, predicted classes or scores) of each model on the same ``images``.
    """
    if not results:
        raise ValueError("quickstart_picture: there are no results to draw")
    figure = _new_figure(17, 5.6 * len(results))
    for row, (name, curves, predicted) in zip(
        figure.subfigures(len(results), 1, squeeze=False)[:, 0], results, strict=True
    ):
        title = name.replace("_", " ").capitalize()
        left, middle, right = row.subfigures(1, 3, width_ratios=(1, 1.05, 1.05))
        _draw_curve(left.subplots(), _curves_of(curves), "loss", f"{title}: loss by epoch")
        _draw_confusion(middle.subplots(), metrics.confusion_matrix(y_true, predicted), None, "Test digits")
        _draw_misread(right, images, y_true, predicted, _wrong(y_true, predicted)[:16], 4, 4, "First misread digits")
    return _save(figure, path)
