"""TensorBoard: curves, histograms and the model's summary in event files that TensorBoard opens."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from ranvier.callbacks.callback import Callback, Logs


class TensorBoard(Callback):
    """Writes what ``tensorboard --logdir logs`` shows, to ``log_dir/train`` and ``log_dir/validation``.

    Each epoch: ``epoch_loss`` and the metrics, validation's beside training's, and the learning rate. ``update_freq``
    an integer n (``"batch"`` is 1) adds ``batch_loss`` and so on every n steps; ``histogram_freq`` n adds histograms of
    all weights every n epochs; ``write_images`` shows kernels of 2 to 4 axes as pictures then; ``write_graph`` adds the
    model's summary as text; ``write_steps_per_second`` the speed. Needs ``pip install tensorboard``; raises
    ImportError without it, and ValueError for options that are not there (profiling, the projector). Source: Keras
    ``callbacks.TensorBoard``.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: int | str = "epoch",
        profile_batch: Any = 0,
        embeddings_freq: int = 0,
        embeddings_metadata: Any = None,
    ) -> None:
        super().__init__()
        if profile_batch:
            raise ValueError(
                f"TensorBoard: profile_batch must be 0, there is no profile to write; got {profile_batch!r}"
            )
        if embeddings_freq or embeddings_metadata:
            raise ValueError("TensorBoard: embeddings_freq and embeddings_metadata (the projector) are not supported")
        if update_freq not in ("epoch", "batch") and not (isinstance(update_freq, int) and update_freq > 0):
            raise ValueError(
                f"TensorBoard: update_freq must be 'epoch', 'batch' or a number of steps, got {update_freq!r}"
            )
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq = histogram_freq
        self.write_graph = write_graph
        self.write_images = write_images
        self.write_steps_per_second = write_steps_per_second
        self.update_freq = 1 if update_freq == "batch" else update_freq
        self._writers: dict[str, Any] = {}
        self._step = 0

    # --- events -------------------------------------------------------------------------------------------------

    def _write(self, part: str, step: int, values: list[Any]) -> None:
        """One event of several summary values, in the file of training or validation."""
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        if part not in self._writers:
            self._writers[part] = EventFileWriter(str(Path(self.log_dir) / part))
        summary = summary_pb2.Summary(value=values)
        self._writers[part].add_event(event_pb2.Event(wall_time=time.time(), step=step, summary=summary))

    def _scalars(self, part: str, step: int, values: dict[str, float]) -> None:
        from tensorboard.compat.proto import summary_pb2

        if values:
            found = [summary_pb2.Summary.Value(tag=tag, simple_value=float(v)) for tag, v in values.items()]
            self._write(part, step, found)

    def _text(self, step: int, tag: str, text: str) -> None:
        from tensorboard.compat.proto import summary_pb2, tensor_pb2, tensor_shape_pb2, types_pb2

        plugin = summary_pb2.SummaryMetadata.PluginData(plugin_name="text")
        shape = tensor_shape_pb2.TensorShapeProto(dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=1)])
        tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, tensor_shape=shape, string_val=[text.encode()])
        metadata = summary_pb2.SummaryMetadata(plugin_data=plugin)
        self._write("train", step, [summary_pb2.Summary.Value(tag=tag, tensor=tensor, metadata=metadata)])

    def _weights(self, epoch: int) -> None:
        from tensorboard.compat.proto import summary_pb2

        for weight in self.model.weights:
            array = weight.numpy()
            if array.size == 0:
                continue
            tag = f"{weight.path}/histogram"
            self._write("train", epoch, [summary_pb2.Summary.Value(tag=tag, histo=_histogram(array))])
            if self.write_images and 2 <= array.ndim <= 4:
                image = summary_pb2.Summary.Value(tag=f"{weight.path}/image", image=_picture(array))
                self._write("train", epoch, [image])

    # --- when ---------------------------------------------------------------------------------------------------

    def get_state(self) -> Any:
        return {"step": self._step}

    def set_state(self, state: Any) -> None:
        self._step = self._first = state["step"]
        self._began = time.perf_counter()

    def on_train_begin(self, logs: Logs = None) -> None:
        try:
            import tensorboard  # noqa: F401
        except ImportError as error:
            raise ImportError("callbacks.TensorBoard needs the tensorboard package: pip install tensorboard") from error
        self._step = 0
        if self.write_graph and self.model.built:
            lines: list[str] = []
            self.model.summary(print_fn=lines.append)
            self._text(0, "model", "\n".join(["```", *lines, "```"]))

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._began, self._first = time.perf_counter(), self._step

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._step += 1
        if self.update_freq != "epoch" and self._step % int(self.update_freq) == 0:
            self._scalars("train", self._step, {f"batch_{name}": value for name, value in (logs or {}).items()})

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        logs = logs or {}
        training = {f"epoch_{name}": value for name, value in logs.items() if not name.startswith("val_")}
        if hasattr(self.model.optimizer, "learning_rate"):  # a MultiOptimizer has several
            training["epoch_learning_rate"] = float(self.model.optimizer.learning_rate)
        if self.write_steps_per_second:
            training["epoch_steps_per_second"] = (self._step - self._first) / (time.perf_counter() - self._began)
        self._scalars("train", epoch, training)
        validation = {f"epoch_{name[4:]}": value for name, value in logs.items() if name.startswith("val_")}
        self._scalars("validation", epoch, validation)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            self._weights(epoch)

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}


def _histogram(array: np.ndarray, buckets: int = 30) -> Any:
    """TensorBoard's histogram: upper limits of the buckets, and how many values each has."""
    from tensorboard.compat.proto import summary_pb2

    values = array.astype(np.float64).ravel()
    finite = values[np.isfinite(values)]
    counts, edges = np.histogram(finite if finite.size else np.zeros(1), bins=buckets)
    return summary_pb2.HistogramProto(
        min=float(finite.min(initial=np.inf)) if finite.size else 0.0,
        max=float(finite.max(initial=-np.inf)) if finite.size else 0.0,
        num=float(values.size),
        sum=float(finite.sum()),
        sum_squares=float((finite**2).sum()),
        bucket_limit=edges[1:].tolist(),
        bucket=counts.tolist(),
    )


def _picture(array: np.ndarray) -> Any:
    """A matrix as a picture; a convolution's kernel as its channels' means, filter beside filter."""
    from io import BytesIO

    from PIL import Image
    from tensorboard.compat.proto import summary_pb2

    values = array.astype(np.float64)
    if values.ndim > 2:
        values = np.concatenate(list(np.moveaxis(values.reshape(*values.shape[:-2], -1), -1, 0)), -1)
        values = values.reshape(-1, values.shape[-1])
    low, high = values.min(), values.max()
    grey = ((values - low) / (high - low or 1.0) * 255).round().astype(np.uint8)
    file = BytesIO()
    Image.fromarray(grey).save(file, "PNG")
    return summary_pb2.Summary.Image(
        height=grey.shape[0], width=grey.shape[1], colorspace=1, encoded_image_string=file.getvalue()
    )
