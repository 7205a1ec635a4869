"""What ``summary`` prints."""

from __future__ import annotations

from typing import Any

import pytest

import ranvier as rv
from ranvier import layers
from tests.models.course_models import s11, s21


class TestSummary:
    def text(self, model: Any, **options: Any) -> str:
        lines: list[str] = []
        model.summary(print_fn=lines.append, **options)
        return "\n".join(lines)

    def test_sequential(self) -> None:
        text = self.text(s21(), line_length=88)
        assert "Connected to" not in text
        assert "(None, 26, 26, 32)" in text and "18,496" in text
        assert "Total params: 93,322 (364.54 KB)" in text
        assert "Trainable params: 93,322" in text and "Non-trainable params: 0 (0.00 B)" in text
        assert len({len(line) for line in text.splitlines()[1:-3]}) == 1

    def test_branches_say_what_they_are_connected_to(self) -> None:
        x = rv.Input((4,), name="x")
        h = layers.Dense(4, name="h")(x)
        model = rv.Model(x, layers.Add(name="sum")([x, h]))
        text = self.text(model, line_length=108)
        assert "Connected to" in text and "x[0][0], h[0][0]" in text

    def test_frozen_and_nested(self) -> None:
        inner = s11()
        inner.trainable = False
        model = rv.Sequential([inner, layers.Dense(1)])
        text = self.text(model, expand_nested=True, show_trainable=True)
        assert "└ dense" in text and "Trainable params: 11 (44.00 B)" in text
        assert "Non-trainable params: 407,050 (1.55 MB)" in text

    def test_unbuilt_and_ranges(self) -> None:
        assert "0 (unbuilt)" in self.text(rv.Sequential([layers.Dense(3)]))
        text = self.text(s21(), layer_range=("max_pooling2d.*", "flatten.*"))
        assert "dense" not in text and "flatten" in text
        with pytest.raises(ValueError, match="does not match"):
            s21().summary(layer_range=("x", "y"))
