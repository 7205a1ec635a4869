"""A tensor's own deallocation: weak references, cycles, long chains, derived classes."""

import gc
import sys
import weakref

import pytest

import ranvier as rv


class Named(rv.Tensor):
    """With a __dict__, as classes that users derive have."""


@pytest.mark.parametrize("kind", [rv.Tensor, Named])
def test_weak_references_end_with_the_tensor(kind: type[rv.Tensor]) -> None:
    ended = []
    tensor = kind([1.0, 2.0])
    reference = weakref.ref(tensor, ended.append)
    assert reference() is tensor
    del tensor
    assert reference() is None
    assert ended == [reference]


@pytest.mark.parametrize("kind", [rv.Tensor, Named])
def test_a_cycle_through_a_mask_is_collected(kind: type[rv.Tensor]) -> None:
    tensor = kind([1.0])
    tensor.mask = tensor
    reference = weakref.ref(tensor)
    del tensor
    gc.collect()
    assert reference() is None


def test_a_tensor_has_no_mask_until_it_gets_one() -> None:
    tensor = rv.Tensor([1.0])
    with pytest.raises(AttributeError):
        _ = tensor.mask
    tensor.mask = None
    assert tensor.mask is None


def test_freeing_a_long_chain_does_not_recurse() -> None:
    y = rv.Tensor([1.0], requires_grad=True)
    for _ in range(100_000):
        y = y + 1.0
    assert float(y) == 100_001
    del y


def test_tensors_leave_no_references_to_their_class() -> None:
    x = rv.Tensor([[1.0]])
    before = sys.getrefcount(rv.Tensor), sys.getrefcount(Named)
    for _ in range(100):
        rv.ops.expand_dims(x, 0)
        Named([1.0])
    assert (sys.getrefcount(rv.Tensor), sys.getrefcount(Named)) == before
