"""Images per second of ``ImageDataGenerator`` beside Keras's own: ``RANVIER_DATA=... python -m benchmarks.images``.

Photos of cats and dogs, resized to 150x150 in batches of 20; with the augmentation of the course's S25, and with
nothing but ``rescale``. Ours on 2 threads; Keras's in one thread, and with two workers that ask for batches.
Interleaved, medians.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ranvier as rv

BATCH, REPEATS = 20, 7
AUGMENTED = {
    "rotation_range": 40,
    "width_shift_range": 0.2,
    "height_shift_range": 0.2,
    "shear_range": 0.2,
    "zoom_range": 0.2,
    "horizontal_flip": True,
}


def flow(module: Any, folder: Path, options: dict[str, Any]) -> Any:
    """Batches without end from a folder."""
    generator = module.ImageDataGenerator(rescale=1 / 255, **options)
    return generator.flow_from_directory(folder, target_size=(150, 150), batch_size=BATCH, class_mode="binary", seed=1)


def per_second(batches: int, take: Callable[[], Any]) -> float:
    """Images a second of a call that makes so many batches."""
    start = time.perf_counter()
    take()
    return batches * BATCH / (time.perf_counter() - start)


def main() -> None:
    """Prints a line for each augmentation."""
    folder = Path(os.environ.get("RANVIER_DATA", "")) / "cats_dogs" / "train"
    if not folder.is_dir():
        sys.exit(f"{folder} is missing: set RANVIER_DATA to a folder with cats_dogs/train/<class>/*.jpg")
    os.environ.setdefault("KERAS_BACKEND", "torch")
    warnings.simplefilter("ignore")
    from keras.src.legacy.preprocessing import image as keras_image

    rv.set_num_threads(2)
    for name, options in (("augmented", AUGMENTED), ("rescaled only", {})):
        ours, theirs = flow(rv.preprocessing.image, folder, options), flow(keras_image, folder, options)
        with ThreadPoolExecutor(2) as workers:
            contenders: dict[str, Callable[[], float]] = {
                "Ranvier": lambda ours=ours: per_second(10, lambda: [next(ours) for _ in range(10)]),
                "Keras": lambda theirs=theirs: per_second(2, lambda: [next(theirs) for _ in range(2)]),
                "Keras, 2 workers": lambda theirs=theirs, workers=workers: per_second(
                    4, lambda: list(workers.map(theirs.__getitem__, range(4)))
                ),
            }
            rates: dict[str, list[float]] = {contender: [] for contender in contenders}
            for _ in range(REPEATS):
                for contender, rate in contenders.items():
                    rates[contender].append(rate())
        medians = {contender: statistics.median(values) for contender, values in rates.items()}
        best = max(medians["Keras"], medians["Keras, 2 workers"])
        shown = ", ".join(f"{contender} {median:.0f}" for contender, median in medians.items())
        print(f"{name:<14} {shown} images/s: {medians['Ranvier'] / best:.1f} x the best of Keras")


if __name__ == "__main__":
    main()
