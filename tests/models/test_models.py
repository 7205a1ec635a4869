"""Sequential, functional and subclassed models: building, sharing, nesting, features, configurations."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import layers, ops
from tests.models.course_models import s11, s11_like, s21, s24, vgg16_base


def sizes(model: Any) -> list[Any]:
    return [layer.output.shape[1] for layer in model.layers]


class TestCurriculumW14W16:
    def test_s11(self) -> None:
        assert [layer.count_params() for layer in s11().layers] == [401_920, 5_130]
        assert s11().count_params() == 407_050

    def test_s21(self) -> None:
        model = s21()
        counts = [layer.count_params() for layer in model.layers]
        assert counts == [320, 0, 18_496, 0, 36_928, 0, 36_928, 650]
        assert model.count_params() == 93_322
        assert sizes(model) == [26, 13, 11, 5, 3, 576, 64, 10]

    def test_s22(self) -> None:
        model = rv.Sequential([rv.Input((28, 28, 1))] + [layers.Conv2D(f, 3) for f in (32, 64, 64)])
        assert model.count_params() == 55_744
        assert sizes(model) == [26, 24, 22]
        assert np.prod(model.output_shape[1:]) == 30_976

    def test_s24(self) -> None:
        assert s24().count_params() == 3_453_121
        assert sizes(s24())[:9] == [148, 74, 72, 36, 34, 17, 15, 7, 6272]

    def test_vgg16(self) -> None:
        base = vgg16_base()
        counts = [layer.count_params() for layer in base.layers if layer.weights]
        assert counts == [
            1792, 36928, 73856, 147584, 295168, 590080, 590080, 1180160, 2359808, 2359808, 2359808, 2359808, 2359808,
        ]  # fmt: skip
        assert base.count_params() == 14_714_688
        assert base.output_shape == (None, 4, 4, 512)
        pools = [layer.output.shape[1] for layer in base.layers if "pool" in layer.name]
        assert pools == [75, 37, 18, 9, 4]

    def test_head_and_freezing(self) -> None:
        base = vgg16_base()
        model = rv.Sequential()
        model.add(base)
        model.add(layers.Flatten())
        model.add(layers.Dense(256, activation="relu"))
        model.add(layers.Dense(1, activation="sigmoid"))
        assert [layer.count_params() for layer in model.layers[2:]] == [2_097_408, 257]
        assert model.count_params() == 16_812_353
        assert len(model.trainable_weights) == 30
        base.trainable = False
        assert len(model.trainable_weights) == 4
        assert sum(w.size for w in model.trainable_weights) == 2_097_665
        base.trainable = True
        trainable = False
        for layer in base.layers:
            trainable = trainable or layer.name == "block5_conv1"
            layer.trainable = trainable
        assert len(model.trainable_weights) == 10
        assert sum(w.size for w in model.trainable_weights) == 9_177_089


class TestSequential:
    def test_builds_on_first_call(self) -> None:
        model = rv.Sequential([layers.Dense(3), layers.Dense(2)])
        assert not model.built and model.weights == []
        with pytest.raises(AttributeError, match="no defined input"):
            model.input  # noqa: B018
        assert model(np.ones((5, 4))).shape == (5, 2)
        assert model.input_shape == (None, 4) and model.count_params() == 23

    def test_pop_and_add(self) -> None:
        model = s11()
        popped = model.pop()
        assert popped.units == 10 and model.output_shape == (None, 512)
        model.add(layers.Dense(7))
        assert model.output_shape == (None, 7) and model.count_params() == 401_920 + 513 * 7
        assert model(np.ones((1, 784))).shape == (1, 7)
        for _ in range(2):
            model.pop()
        with pytest.raises(ValueError, match="has no layers"):
            model.pop()

    def test_refuses(self) -> None:
        model = rv.Sequential([rv.Input((3,)), layers.Dense(2, name="a")])
        with pytest.raises(ValueError, match=r"unique names\. Name 'a'"):
            model.add(layers.Dense(2, name="a"))
        with pytest.raises(ValueError, match="Only instances of"):
            model.add("dense")
        with pytest.raises(ValueError, match="an Input cannot follow"):
            model.add(rv.Input((3,)))
        with pytest.raises(ValueError, match=r"expected shape=\(None, 3\), found shape=\(2, 4\)"):
            model(np.ones((2, 4)))
        with pytest.raises(ValueError, match="has no layers"):
            rv.Sequential().build((None, 3))
        with pytest.raises(ValueError, match="already been configured"):
            model.build((None, 7))

    def test_missing_channel_axis_is_added(self) -> None:
        assert s21()(np.zeros((2, 28, 28), np.uint8)).shape == (2, 10)

    def test_last_softmax_is_an_op_of_its_own(self) -> None:
        y = s11()(np.ones((1, 784)))
        assert type(y.node).__name__ == "Softmax"

    def test_intermediate_features(self) -> None:
        model = s21()
        features = rv.Model(model.input, [layer.output for layer in model.layers[:3]])
        found = features(np.random.default_rng(0).random((1, 28, 28, 1)))
        assert [f.shape for f in found] == [(1, 26, 26, 32), (1, 13, 13, 32), (1, 11, 11, 64)]
        assert features.weights[0] is model.weights[0]


class TestFunctional:
    def test_several_inputs_and_outputs(self) -> None:
        a, b = rv.Input((3,), name="a"), rv.Input((2,), name="b")
        h = layers.Concatenate()([layers.Dense(4)(a), b])
        model = rv.Model([a, b], {"x": layers.Dense(1)(h), "y": h})
        data = [np.ones((5, 3)), np.zeros((5, 2))]
        by_list, by_name = model(data), model({"b": data[1], "a": data[0]})
        assert {k: v.shape for k, v in by_list.items()} == {"x": (5, 1), "y": (5, 6)}
        np.testing.assert_array_equal(by_list["x"].numpy(), by_name["x"].numpy())
        with pytest.raises(ValueError, match="expects 2 input"):
            model(data[0])
        with pytest.raises(ValueError, match="missing data for input 'b'"):
            model({"a": data[0]})
        named = rv.Model({"left": a, "right": b}, h)
        np.testing.assert_array_equal(named({"right": data[1], "left": data[0]}).numpy(), by_list["y"].numpy())

    def test_shared_layer_has_one_set_of_weights(self) -> None:
        a, b = rv.Input((3,)), rv.Input((3,))
        shared = layers.Dense(2)
        model = rv.Model([a, b], layers.Subtract()([shared(a), shared(b)]))
        assert len(model.weights) == 2
        x = np.random.default_rng(0).standard_normal((4, 3))
        np.testing.assert_array_equal(model([x, x]).numpy(), np.zeros((4, 2)))

    def test_model_as_a_layer(self) -> None:
        inner = s11()
        x = rv.Input((784,))
        outer = rv.Model(x, layers.Dense(2)(inner(x) * 3))
        assert outer.count_params() == 407_050 + 22
        assert outer.layers[1] is inner
        image = np.random.default_rng(0).random((2, 784)).astype("float32")
        y = outer.layers[-1](inner(image) * 3.0).numpy()
        np.testing.assert_allclose(outer(image).numpy(), y, rtol=1e-6)

    def test_ops_and_operators_make_layers(self) -> None:
        x = rv.Input((4,))
        w = rv.Tensor(np.arange(8.0, dtype=np.float32).reshape(4, 2))
        y = ops.maximum(1.0 - (x @ w)[:, :1] / 2, 0.0) ** 2 + ops.sum(-x, axis=-1, keepdims=True)
        model = rv.Model(x, [y, ops.concatenate([x, x * x], axis=1), np.ones(4, np.float32) + x])
        v = np.random.default_rng(1).standard_normal((3, 4)).astype(np.float32)
        found = [t.numpy() for t in model(v)]
        np.testing.assert_allclose(
            found[0], np.maximum(1 - (v @ w.numpy())[:, :1] / 2, 0) ** 2 - v.sum(-1, keepdims=True), rtol=1e-5
        )
        np.testing.assert_array_equal(found[1], np.concatenate([v, v * v], 1))
        np.testing.assert_array_equal(found[2], 1 + v)
        again = rv.models.model_from_json(model.to_json())
        for one, other in zip(again(v), found, strict=True):
            np.testing.assert_array_equal(one.numpy(), other)

    def test_symbolic_tensors_have_no_values(self) -> None:
        x = rv.Input((4,))
        for attempt in (lambda: np.asarray(x), lambda: bool(x), lambda: len(x), lambda: list(x), lambda: x.numpy()):
            with pytest.raises(TypeError, match="symbolic"):
                attempt()
        with pytest.raises(ValueError):
            ops.reshape(x, (7, 7))  # an op's own complaint comes through

    def test_disconnected(self) -> None:
        a, b = rv.Input((3,)), rv.Input((3,))
        with pytest.raises(ValueError, match="disconnected"):
            rv.Model(a, a + b)
        with pytest.raises(ValueError, match="must be symbolic"):
            rv.Model(a, rv.ops.ones((1, 3)))
        with pytest.raises(ValueError, match="given twice"):
            rv.Model([a, a], a + 1)

    def test_part_of_a_model_from_an_inner_tensor(self) -> None:
        model = s21()
        head = rv.Model(model.layers[4].output, model.output)
        maps = rv.Model(model.input, model.layers[4].output)
        x = np.random.default_rng(0).random((2, 28, 28, 1)).astype("float32")
        np.testing.assert_allclose(head(maps(x)).numpy(), model(x).numpy(), rtol=1e-5, atol=1e-7)
        assert len(head.weights) == 4

    def test_gradient_of_a_score_with_respect_to_a_feature_map(self) -> None:
        """What Grad-CAM needs."""
        model = s21()
        both = rv.Model(model.input, [model.layers[4].output, model.output])
        maps, scores = both(np.random.default_rng(0).random((1, 28, 28, 1)))
        (gradient,) = rv.grad(scores[0, 3], [maps])
        assert gradient.shape == (1, 3, 3, 64) and np.abs(gradient.numpy()).max() > 0

    def test_deep_models_do_not_overflow_the_stack(self) -> None:
        x = inputs = rv.Input((1,))
        for _ in range(1500):
            x = layers.Identity()(x)
        assert rv.Model(inputs, x)(np.ones((1, 1))).item() == 1

    def test_values_are_let_go(self) -> None:
        x = inputs = rv.Input((8,))
        for _ in range(5):
            x = layers.Dense(8)(x)
        graph = rv.Model(inputs, x).graph
        assert sum(len(r) for r in graph._releases) == 5  # all but the output


class Subclassed(rv.Model):
    def __init__(self, units: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.hidden = layers.Dense(units, activation="relu")
        self.out = layers.Dense(2)
        self.drop = layers.Dropout(0.5)

    def call(self, x: Any, training: bool = False) -> Any:
        return self.out(self.drop(self.hidden(x), training=training))


class TestSubclass:
    def test_call_and_build(self) -> None:
        model = Subclassed()
        model.build((None, 4))
        assert model.count_params() == 23 and model.layers[0] is model.hidden
        assert model(np.ones((5, 4))).shape == (5, 2)
        with pytest.raises(AttributeError, match="no defined output"):
            model.output  # noqa: B018

    def test_inside_a_functional_model(self) -> None:
        x = rv.Input((4,))
        model = rv.Model(x, Subclassed()(x) + 1)
        assert model.count_params() == 23 and model.output_shape == (None, 2)

    def test_subclass_with_inputs_and_outputs(self) -> None:
        class Own(rv.Model):
            pass

        x = rv.Input((4,))
        model = Own(x, layers.Dense(2)(x))
        assert model.count_params() == 10 and model(np.ones((1, 4))).shape == (1, 2)

    def test_model_without_call(self) -> None:
        with pytest.raises(NotImplementedError, match="does not define call"):
            rv.Model()(np.ones((1, 1)))
        with pytest.raises(ValueError, match="pass both inputs and outputs"):
            rv.Model(rv.Input((1,)))

    def test_registered_subclass_round_trips(self) -> None:
        rv.saving.register_serializable("tests")(Subclassed)
        model = Subclassed(5)
        model.build((None, 4))
        twin = rv.models.model_from_json(model.to_json())
        assert isinstance(twin, Subclassed) and twin.units == 5


class TestConfiguration:
    @pytest.mark.parametrize("make", [s11, s21, s24])
    def test_sequential(self, make: Any) -> None:
        model = make()
        twin = rv.models.model_from_json(model.to_json())
        assert twin.to_json() == model.to_json()
        assert [w.shape for w in twin.weights] == [w.shape for w in model.weights]

    def test_functional(self) -> None:
        a, b = rv.Input((3,), name="a"), rv.Input((3,), name="b")
        shared = layers.Dense(4, kernel_regularizer=rv.regularizers.L1L2(0.1, 0.2), activation="elu")
        h = layers.Add()([shared(a), shared(b)])
        h = layers.Dropout(0.2)(h)
        out = s11_like()(h)
        model = rv.Model({"a": a, "b": b}, [out, h])
        twin = rv.Model.from_config(json.loads(json.dumps(model.get_config())))
        twin.set_weights(model.get_weights())
        data = {k: np.random.default_rng(i).standard_normal((5, 3)) for i, k in enumerate("ab")}
        for mine, other in zip(model(data), twin(data), strict=True):
            np.testing.assert_array_equal(mine.numpy(), other.numpy())
        assert len(twin.losses) == len(model.losses) == 1
        assert twin.get_config() == model.get_config()

    def test_clone(self) -> None:
        model = s11()
        twin = rv.models.clone_model(model)
        assert [w.shape for w in twin.weights] == [w.shape for w in model.weights]
        assert (twin.get_weights()[0] != model.get_weights()[0]).any()

    def test_unknown_classes_are_refused(self) -> None:
        config = json.loads(s11().to_json())
        config["config"]["layers"][1]["class_name"] = "Popen"
        config["config"]["layers"][1]["module"] = "subprocess"
        config["config"]["layers"][1]["registered_name"] = "Popen"
        with pytest.raises(ValueError, match="Could not locate 'Popen' of module 'subprocess'"):
            rv.models.model_from_config(config)

    def test_lambda_cannot_be_saved(self) -> None:
        model = rv.Sequential([rv.Input((1,)), layers.Lambda(lambda x: x)])
        with pytest.raises(NotImplementedError, match="Lambda"):
            model.to_json()


def test_whole_model_on_the_reference_device() -> None:
    x = np.random.default_rng(0).random((2, 28, 28, 1)).astype("float32")
    model = s21()
    expected = model(x).numpy()
    with rv.device("reference"):
        twin = s21()
        twin.set_weights(model.get_weights())
        np.testing.assert_allclose(twin(x).numpy(), expected, rtol=1e-4, atol=1e-6)


def test_seed_makes_weights_repeat() -> None:
    def weights(seed: int) -> list[np.ndarray]:
        rv.utils.set_random_seed(seed)
        return s11().get_weights()

    for a, b in zip(weights(1), weights(1), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (weights(1)[0] != weights(2)[0]).any()
