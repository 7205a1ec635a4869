"""Batches from arrays, iterables and sequences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier.models import data


def batches(x: Any, y: Any = None, w: Any = None, **options: Any) -> data.Batches:
    return data.batches_of(x, y, w, device="cpu", floatx="float32", **options)


def values(source: data.Batches) -> list[list[Any]]:
    return [x.tolist() for x, _, _ in source]


def test_batches_of_32_and_the_last_short_one() -> None:
    source = batches(np.arange(70))
    assert [len(b) for b in values(source)] == [32, 32, 6]
    assert (source.steps, source.samples, source.seen) == (3, 70, 70)


def test_unshuffled_batches_share_the_arrays_memory() -> None:
    x = np.arange(8, dtype=np.float32)
    first, _, _ = next(iter(batches(x, batch_size=4)))
    assert np.shares_memory(first.numpy(), x)


def test_shuffled_epochs_hold_every_sample_once_with_its_label_and_weight() -> None:
    x = np.arange(50, dtype=np.float32)
    source = batches({"a": x[:, None], "b": [x * 2]}, [x + 1], x + 2, batch_size=8, shuffle=True)
    orders = []
    for _ in range(2):
        order = []
        for inputs, labels, weights in source:
            a = inputs["a"].numpy()[:, 0]
            np.testing.assert_array_equal(inputs["b"][0].numpy(), 2 * a)
            np.testing.assert_array_equal(labels[0].numpy(), a + 1)
            np.testing.assert_array_equal(weights[0].numpy(), a + 2)
            order += a.tolist()
        assert sorted(order) == x.tolist()
        orders.append(order)
    assert orders[0] != orders[1] and orders[0] != x.tolist()


def test_the_order_repeats_with_the_seed() -> None:
    def order() -> list[Any]:
        rv.utils.set_random_seed(7)
        source = batches(np.arange(40), batch_size=8, shuffle=True)
        return [values(source), values(source)]

    assert order() == order()


def test_shuffle_batch_moves_whole_batches() -> None:
    got = values(batches(np.arange(40), batch_size=8, shuffle="batch"))
    assert sorted(map(tuple, got)) == [tuple(range(i, i + 8)) for i in range(0, 40, 8)]


def test_fewer_steps_than_a_pass_go_on_where_they_stopped() -> None:
    source = batches(np.arange(10), batch_size=2, steps=2)
    assert [values(source) for _ in range(3)] == [[[0, 1], [2, 3]], [[4, 5], [6, 7]], [[8, 9], [0, 1]]]


def test_more_steps_than_a_pass_warn() -> None:
    with pytest.warns(UserWarning, match="ran out after 3 of 5 steps"):
        assert len(values(batches(np.arange(6), batch_size=2, steps=5))) == 3


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64", "bool", "float16", "float64", "int16", "uint32"])
def test_integers_keep_their_dtype_and_floats_become_the_models(dtype: str) -> None:
    ((x, _, _),) = batches(np.array([0, 1, 1], dtype))
    expected = {"float16": "float32", "float64": "float32", "int16": "int32", "uint32": "int64"}.get(dtype, dtype)
    assert (x.dtype, x.tolist()) == (expected, [0, 1, 1])


def test_arrays_of_any_kind() -> None:
    x = np.arange(12, dtype=np.float32).reshape(6, 2)
    for given in (x, rv.Tensor(x), x.tolist(), np.asfortranarray(x), x[::-1][::-1], x.astype(">f4")):
        np.testing.assert_array_equal(next(iter(batches(given)))[0].numpy(), x)


def test_a_generator_is_taken_to_its_end() -> None:
    def generate() -> Iterator[Any]:
        for i in range(3):
            yield np.full((2, 1), i), np.full(2, i)

    source = batches(generate())
    assert [(x.tolist(), y.tolist()) for x, y, _ in source] == [([[i], [i]], [i, i]) for i in range(3)]
    assert values(source) == []


def test_an_endless_generator_goes_on_from_epoch_to_epoch() -> None:
    def generate() -> Iterator[Any]:
        i = 0
        while True:
            yield np.array([i])
            i += 1

    source = batches(generate(), steps=2)
    source.first()
    assert [values(source) for _ in range(3)] == [[[0], [1]], [[2], [3]], [[4], [5]]]


def test_a_list_of_batches_in_an_iterable_starts_again() -> None:
    class Stored:
        def __iter__(self) -> Iterator[Any]:
            return iter([np.array([i]) for i in range(3)])

    assert [values(batches(Stored())) for _ in range(2)] == [[[0], [1], [2]]] * 2
    source = batches(Stored(), steps=2)
    assert [values(source) for _ in range(3)] == [[[0], [1]], [[2], [0]], [[1], [2]]]


def test_an_empty_iterable_gives_nothing_and_does_not_hang() -> None:
    class Empty:
        def __iter__(self) -> Iterator[Any]:
            return iter(())

    assert values(batches(Empty())) == []
    with pytest.warns(UserWarning, match="ran out after 0 of 3"):
        assert values(batches(Empty(), steps=3)) == []


class Tens(data.PyDataset):
    def __init__(self) -> None:
        self.calls: list[str] = []

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Any:
        return np.full((2, 1), 10 * index), np.zeros(2)

    def on_epoch_begin(self) -> None:
        self.calls.append("begin")

    def on_epoch_end(self) -> None:
        self.calls.append("end")


def test_a_sequence_is_indexed_and_told_of_epochs() -> None:
    dataset = Tens()
    source = batches(dataset)
    assert [x[0][0] for x in values(source)] == [0, 10, 20, 30]
    assert dataset.calls == ["begin", "end"]
    rv.utils.set_random_seed(3)
    orders = [[x[0][0] for x in values(batches(dataset, shuffle=True))] for _ in range(4)]
    assert all(sorted(order) == [0, 10, 20, 30] for order in orders)
    assert len(set(map(tuple, orders))) > 1


def test_a_pytorch_loader_gives_batches() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.arange(5.0), torch.arange(5)), 2)
    assert [(x.tolist(), y.dtype) for x, y, _ in batches(loader)] == [
        ([0, 1], "int64"),
        ([2, 3], "int64"),
        ([4], "int64"),
    ]


def test_class_weights() -> None:
    for y in (np.array([0, 1, 2]), np.array([[0], [1], [2]]), np.eye(3)):
        ((_, _, w),) = batches(np.zeros(3), y, class_weight={1: 5.0, 2: 0.5})
        assert w.tolist() == [1.0, 5.0, 0.5]


def test_one_weight_array_serves_all_outputs() -> None:
    ((_, _, w),) = batches(np.zeros(3), [np.zeros(3), np.ones(3)], np.array([1.0, 2.0, 3.0]))
    assert [each.tolist() for each in w] == [[1.0, 2.0, 3.0]] * 2


def test_validation_split_keeps_the_last_part() -> None:
    x = np.arange(10)
    (tx, ty, tw), (vx, vy, vw) = data.train_validation_split((x, {"a": x * 2}, None), 0.25)
    assert (tx.tolist(), vx.tolist(), ty["a"].tolist()) == ([0, 1, 2, 3, 4, 5, 6], [7, 8, 9], (2 * x[:7]).tolist())
    assert (vy["a"].tolist(), tw, vw) == ([14, 16, 18], None, None)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: batches(None), ValueError, "x is None"),
        (lambda: batches(np.zeros((0, 3))), ValueError, "there are no samples"),
        (lambda: batches(np.zeros(3), np.zeros(4)), ValueError, "same number of samples, these have x: 3, y: 4"),
        (lambda: batches(np.float32(3)), ValueError, "x must have an axis of samples"),
        (lambda: batches(np.array(["a", "b"])), TypeError, "x must hold numbers"),
        (lambda: batches([np.zeros(2), np.array([None, 1])]), TypeError, r"x\[1\] must hold numbers"),
        (lambda: batches(3.5), TypeError, "cannot take batches from float"),
        (lambda: batches(iter([]), np.zeros(3)), ValueError, "y must not be given when x is a list_iterator"),
        (lambda: batches(np.zeros(3), batch_size=0), ValueError, "batch_size must be a positive integer, not 0"),
        (lambda: batches(np.zeros(3), batch_size=2.5), ValueError, "batch_size must be a positive integer"),
        (lambda: batches(np.zeros(3), steps=-1), ValueError, "number of steps"),
        (lambda: batches(np.zeros(3), shuffle="rows"), ValueError, "shuffle must be"),
        (lambda: batches(np.zeros(3), np.zeros(3), np.ones(3), class_weight={0: 1.0}), ValueError, "together"),
        (lambda: batches(np.zeros(3), class_weight={0: 1.0}), ValueError, "class_weight needs"),
        (lambda: batches(np.zeros(2), [np.zeros(2)] * 2, np.ones((2, 2))), ValueError, "one array per output"),
        (lambda: values(batches(iter([(1, 2, 3, 4)]))), ValueError, "not a tuple of 4"),
        (lambda: values(batches(iter([(np.zeros(2), np.zeros(3))]))), ValueError, "x: 2, y: 3"),
        (lambda: data.train_validation_split((np.zeros(3), None, None), 1.5), ValueError, "between 0 and 1"),
        (lambda: data.train_validation_split((np.zeros(1), None, None), 0.5), ValueError, "leaves nothing"),
        (lambda: data.train_validation_split((iter([]), None, None), 0.5), ValueError, "needs arrays"),
    ],
)
def test_refusals(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()
