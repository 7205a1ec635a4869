"""The tape: gradients of anything by anything, what is freed, what is refused, and what is never computed."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import ops
from ranvier.autograd import Function, is_recording


def leaf(*values: float) -> rv.Tensor:
    return rv.Tensor(np.array(values), requires_grad=True)


def test_backward_accumulates_into_leaves() -> None:
    x = leaf(1.0, 2.0)
    (x * x).sum().backward()
    (3.0 * x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [5.0, 7.0])


def test_a_tensor_used_twice_gets_both_gradients() -> None:
    x = leaf(3.0)
    y = x * x
    (y * y + y).sum().backward()  # x^4 + x^2
    np.testing.assert_array_equal(x.grad.numpy(), [4 * 27 + 6])


def test_grad_of_inner_tensors_and_several_outputs() -> None:
    x = leaf(2.0, 3.0)
    y = x * x
    z, w = (y * y).sum(), (5.0 * x).sum()
    dx, dy = rv.grad([z, w], [x, y], allow_unused=True)
    np.testing.assert_array_equal(dx.numpy(), 4 * np.array([2.0, 3.0]) ** 3 + 5)
    np.testing.assert_array_equal(dy.numpy(), 2 * np.array([4.0, 9.0]))


def test_grad_leaves_other_leaves_alone() -> None:
    x, w = leaf(2.0), leaf(3.0)
    rv.grad((x * w).sum(), x)
    assert x.grad is None
    assert w.grad is None


def test_no_gradient_is_computed_that_nobody_asked_for() -> None:
    asked: list[tuple[bool, ...]] = []

    class Spy(Function):
        def forward(self, a: Any, b: Any) -> Any:
            return self.kernels.softmax_forward(a, 0)

        def backward(self, dy: rv.Tensor) -> Any:
            asked.append(self.needs)
            return tuple(dy if need else None for need in self.needs)

    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    rv.grad(Spy.apply(x, w).sum(), w)
    rv.grad(Spy.apply(x.detach(), w).sum(), w)
    Spy.apply(x, w).sum().backward()
    assert asked == [(False, True), (False, True), (True, True)]


def test_unused_inputs_are_named_or_none() -> None:
    x, unused = leaf(1.0), leaf(1.0)
    with pytest.raises(ValueError, match="input 1"):
        rv.grad((x * x).sum(), [x, unused])
    assert rv.grad((x * x).sum(), [x, unused], allow_unused=True)[1] is None


def test_no_grad_records_nothing_and_enable_grad_does_again() -> None:
    x = leaf(1.0)
    with rv.no_grad():
        assert not (x * x).requires_grad
        with rv.enable_grad():
            assert (x * x).requires_grad
    assert (x * x).requires_grad


def test_the_mode_survives_an_exception() -> None:
    x = leaf(1.0)
    with pytest.raises(ZeroDivisionError), rv.no_grad():
        raise ZeroDivisionError
    assert (x * x).requires_grad


def test_saved_buffers_are_freed_unless_retained() -> None:
    x = leaf(2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    np.testing.assert_array_equal(x.grad.numpy(), [8.0])
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        y.backward()


def test_memory_of_a_graph_is_returned_without_the_garbage_collector() -> None:
    import gc

    gc.collect()
    gc.disable()
    try:
        x = rv.Tensor(np.ones((256, 256)), requires_grad=True)

        def step() -> int:
            rv.grad(ops.softmax(x * x).sum(), x)
            ops.softmax(x * x)  # a graph that nobody walks
            return rv.memory_stats()["in_use"]

        before = step()
        assert [step() for _ in range(5)] == [before] * 5
    finally:
        gc.enable()


@pytest.mark.parametrize("view", [lambda t: t, lambda t: t.reshape(-1)], ids=["itself", "view"])
def test_a_changed_saved_buffer_is_an_error_not_a_wrong_gradient(view: Any) -> None:
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    view(x.detach()).assign(np.array([5.0, 5.0]))
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()


def test_a_buffer_that_backward_does_not_need_may_change() -> None:
    x = leaf(1.0, 2.0)
    y = (x + 1.0).sum()
    x.assign(np.array([5.0, 5.0]))
    y.backward()
    np.testing.assert_array_equal(x.grad.numpy(), [1.0, 1.0])


def test_deep_graphs_do_not_exhaust_the_stack() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(20_000):
        y = y + x
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [20_001.0])
    del y  # freeing a long chain must not recurse either


def test_deep_graphs_that_nobody_walks_are_freed_without_recursion() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(20_000):
        y = y * x
    del y


def test_cycles_through_the_tape_are_collected() -> None:
    import gc
    import weakref

    x = leaf(2.0)
    y = x * x
    y.backward(np.ones(1), create_graph=True)  # x.grad depends on x, which holds it
    gone = weakref.ref(y)
    x.grad = x.grad * y
    del x, y
    gc.collect()
    assert gone() is None


class Split(Function):
    """Two outputs: x + x and x x."""

    seen: tuple[Any, ...] = ()

    def forward(self, x: Any) -> Any:
        self.save(x)
        return self.kernels.add_forward(x, x), self.kernels.multiply_forward(x, x)

    def backward(self, ds: Any, dp: Any) -> Any:
        type(self).seen = (ds, dp)
        (x,) = self.saved
        return (0.0 if ds is None else ds * 2.0) + (0.0 if dp is None else dp * x * 2.0)


class SplitNone(Split):
    takes_none = True


def test_outputs_that_nobody_used_have_zero_gradients_or_none() -> None:
    for op in (Split, SplitNone):
        x = leaf(3.0, 4.0)
        np.testing.assert_array_equal(rv.grad(op.apply(x)[1].sum(), x).numpy(), [6.0, 8.0])
        both = op.apply(x)
        np.testing.assert_array_equal(rv.grad((both[0] + both[1]).sum(), x).numpy(), [8.0, 10.0])
    np.testing.assert_array_equal(Split.seen[0].numpy(), [1.0, 1.0])
    rv.grad(Split.apply(x)[1].sum(), x)
    np.testing.assert_array_equal(Split.seen[0].numpy(), [0.0, 0.0])
    rv.grad(SplitNone.apply(x)[1].sum(), x)
    assert SplitNone.seen[0] is None


class Careless(Function):
    """Gives what it is told to from forward and backward."""

    given: Any = None

    def forward(self, x: Any, y: Any) -> Any:
        return "nonsense" if self.given == "forward" else self.kernels.add_forward(x, y)

    def backward(self, dy: rv.Tensor) -> Any:
        return self.given


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ((leaf(1.0),), ValueError, "careless: backward returned 1 gradients for 2 inputs"),
        ((1.0, None), TypeError, "careless: backward must return Tensors or None but returned float"),
        (
            (leaf(1.0, 2.0), None),
            ValueError,
            r"multiply must be float64 of shape \(1,\) but is float64 of shape \(2,\)",
        ),
        ("forward", TypeError, "careless: forward must return an Array or a tuple of them but returned str"),
    ],
    ids=["count", "kind", "shape", "forward"],
)
def test_what_a_function_returns_must_fit(given: Any, error: type[Exception], told: str) -> None:
    x = leaf(1.0)
    with pytest.raises(error, match=told):
        Careless.given = given
        Careless.apply(x * x, x).backward()


def test_the_tape_cannot_be_tampered_with() -> None:
    x = leaf(1.0)
    y = x * x
    for name, value in (("node", 5), ("index", 7)):
        with pytest.raises(AttributeError):
            setattr(y, name, value)
    with pytest.raises((TypeError, AttributeError)):
        rv.Tensor.__new__(rv.Tensor) + 1.0
    with pytest.raises(TypeError, match="Array"):
        y.array = "nonsense"  # type: ignore[assignment]


def test_gradients_given_must_fit() -> None:
    x = leaf(1.0, 2.0)
    with pytest.raises(ValueError, match="only a scalar"):
        (x * x).backward()
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        (x * x).backward(np.ones(3))
    (x * x).backward(np.array([1.0, 10.0]))
    np.testing.assert_array_equal(x.grad.numpy(), [2.0, 40.0])


def test_backward_of_a_constant_is_refused() -> None:
    with pytest.raises(RuntimeError, match="does not depend"):
        rv.Tensor([1.0]).backward()


def test_integers_have_no_gradient() -> None:
    with pytest.raises(TypeError, match="int32"):
        rv.Tensor([1, 2], requires_grad=True)


def test_create_graph_gives_higher_derivatives() -> None:
    x = leaf(2.0)
    d1 = rv.grad((x**4).sum(), x, create_graph=True)
    d2 = rv.grad(d1.sum(), x, create_graph=True)
    d3 = rv.grad(d2.sum(), x)
    np.testing.assert_allclose([d1.item(), d2.item(), d3.item()], [32.0, 48.0, 48.0])


def test_hessian_of_the_course_saddle() -> None:  # W11: L = (1 - w1 w2)^2 at 0
    h = rv.hessian(lambda w: (1 - w[0] * w[1]) ** 2, rv.Tensor(np.zeros(2))).numpy()
    np.testing.assert_array_equal(h, [[0, -2], [-2, 0]])
    np.testing.assert_allclose(np.linalg.eigvalsh(h), [-2, 2])


def test_gradcheck_catches_a_planted_fault() -> None:
    class Wrong(Function):
        def forward(self, x: Any) -> Any:
            self.save(x)
            return self.kernels.softmax_forward(x, 0)

        def backward(self, dy: rv.Tensor) -> rv.Tensor:
            return dy

    with pytest.raises(AssertionError, match="element"):
        rv.gradcheck(Wrong.apply, leaf(0.1, 0.7))
    assert rv.gradcheck(ops.softmax, leaf(0.1, 0.7))


def test_two_threads_have_modes_of_their_own() -> None:
    import threading

    seen = []
    with rv.no_grad():
        thread = threading.Thread(target=lambda: seen.append((leaf(1.0) * 2.0).requires_grad))
        thread.start()
        thread.join()
    assert seen == [True]


def test_devices_do_not_mix() -> None:
    with pytest.raises(rv.DeviceError, match=r"cpu.*reference|reference.*cpu"):
        rv.Tensor([1.0]) + rv.Tensor([1.0], device="reference")


def test_threads_do_not_share_the_mode_of_a_decorated_function() -> None:
    first_in, second_in, first_out = threading.Event(), threading.Event(), threading.Event()
    seen: dict[str, bool] = {}

    @rv.no_grad()
    def stay(entered: threading.Event, until: threading.Event) -> None:
        entered.set()
        until.wait(10)

    def record() -> None:
        stay(first_in, second_in)
        seen["record"] = is_recording()
        first_out.set()

    def do_not_record() -> None:
        first_in.wait(10)
        with rv.no_grad():
            stay(second_in, first_out)
            seen["do not"] = is_recording()

    threads = [threading.Thread(target=t) for t in (record, do_not_record)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {"record": True, "do not": False}


def test_the_code_of_the_page_on_the_tape_runs(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[1] / "docs" / "tape.md").read_text()
    for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(code, {})
    assert capsys.readouterr().out == "3.0 3.0\n"
