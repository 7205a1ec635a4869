"""Layer: building, weights, freezing, losses, training flag, errors, custom layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import ranvier as rv
from ranvier import layers


class Scale(layers.Layer):
    def __init__(self, factor: float = 2.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, input_shape: Any) -> None:
        self.w = self.add_weight((input_shape[-1],), initializer="ones", name="w", regularizer="l2")

    def call(self, x: Any) -> Any:
        return x * self.w * self.factor


class Block(layers.Layer):
    """Sublayers in attributes, lists and dicts."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first = layers.Dense(3)
        self.rest = [layers.Dense(3), {"last": layers.Dense(2)}]
        self.drop = layers.Dropout(0.5)

    def call(self, x: Any) -> Any:
        x = self.first(x)
        x = self.rest[0](x)
        return self.drop(self.rest[1]["last"](x))


def test_builds_on_first_call_and_knows_its_weights() -> None:
    layer = layers.Dense(3)
    assert not layer.built and layer.weights == []
    y = layer(np.ones((2, 4)))
    assert y.shape == (2, 3) and y.dtype == "float32"
    assert [w.path for w in layer.weights] == [f"{layer.name}/kernel", f"{layer.name}/bias"]
    assert [w.shape for w in layer.weights] == [(4, 3), (3,)]
    assert layer.count_params() == 15


def test_automatic_names_count() -> None:
    rv.config.clear_session()
    assert [layers.Dense(1).name, layers.Dense(1).name, layers.Conv2DTranspose(1, 1).name] == [
        "dense",
        "dense_1",
        "conv2d_transpose",
    ]
    assert layers.GlobalAveragePooling2D().name == "global_average_pooling2d"


def test_sublayers_everywhere_are_tracked_once() -> None:
    block = Block()
    block.again = block.first
    block(np.ones((2, 4)))
    assert len(block.weights) == 6
    assert [w.shape for w in block.weights] == [(4, 3), (3,), (3, 3), (3,), (3, 2), (2,)]
    block.rest.append(layers.Dense(1))
    block.rest[-1](np.ones((1, 2)))
    assert len(block.weights) == 8


def test_freezing_as_keras() -> None:
    block = Block()
    block(np.ones((2, 4)))
    block.trainable = False
    assert block.trainable_weights == [] and len(block.non_trainable_weights) == 6
    assert not block.first.trainable and not block.first.kernel.requires_grad
    block.trainable = True
    block.first.trainable = False
    assert len(block.trainable_weights) == 4
    normal = layers.BatchNormalization()
    normal(np.ones((2, 3)))
    assert [w.name for w in normal.trainable_weights] == ["gamma", "beta"]
    normal.trainable = False
    normal.trainable = True
    assert [w.name for w in normal.trainable_weights] == ["gamma", "beta"]


def test_frozen_before_building_stays_frozen() -> None:
    layer = layers.Dense(2, trainable=False)
    layer(np.ones((1, 3)))
    assert layer.trainable_weights == [] and not layer.kernel.requires_grad
    layer.trainable = True
    assert len(layer.trainable_weights) == 2


def test_frozen_batch_normalization_infers() -> None:
    layer = layers.BatchNormalization()
    layer(np.ones((2, 3)))
    layer.trainable = False
    before = layer.get_weights()
    layer(np.random.default_rng(0).standard_normal((4, 3)), training=True)
    for a, b in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_training_reaches_inner_layers() -> None:
    block = Block()
    x = np.ones((200, 4), np.float32)
    assert (block(x).numpy() != 0).all()
    assert (block(x, training=True).numpy() == 0).any()
    assert (rv.Sequential([block])(x, training=True).numpy() == 0).any()
    assert (rv.Sequential([block])(x).numpy() != 0).all()


def test_training_default_of_call() -> None:
    class Defaulted(layers.Layer):
        def call(self, x: Any, training: bool = True) -> Any:
            return x * (2.0 if training else 1.0)

    layer = Defaulted()
    assert layer([1.0]).item() == 2 and layer([1.0], training=False).item() == 1
    assert rv.Sequential([Defaulted()])(np.ones((1, 1)), training=False).item() == 1


def test_losses_of_regularizers_and_add_loss() -> None:
    class Penalised(layers.Layer):
        def call(self, x: Any) -> Any:
            self.add_loss(rv.ops.sum(x))
            return x

    model = rv.Sequential([rv.Input((2,)), Scale(), Penalised()])
    assert [loss.item() for loss in model.losses] == [pytest.approx(0.02)]
    for _ in range(3):
        model(np.ones((1, 2)))
    assert [loss.item() for loss in model.losses] == [pytest.approx(4.0), pytest.approx(0.02)]
    model.layers[0].trainable = False
    assert len(model.losses) == 1


def test_activity_regularizer() -> None:
    layer = layers.Dense(2, kernel_initializer="ones", activity_regularizer=rv.regularizers.L1(0.5))
    layer(np.ones((4, 3)))
    assert layer.losses[0].item() == pytest.approx(0.5 * 4 * 2 * 3 / 4)


def test_weights_in_and_out() -> None:
    layer = layers.Dense(2)
    layer.build((None, 3))
    values = [np.arange(6, dtype=np.float32).reshape(3, 2), np.array([1.0, 2.0], np.float32)]
    layer.set_weights(values)
    for a, b in zip(layer.get_weights(), values, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="has 2 weights, 1 arrays"):
        layer.set_weights(values[:1])
    with pytest.raises(ValueError, match=r"kernel' of layer .* has shape \(3, 2\), the array given has shape \(2, 3\)"):
        layer.set_weights([values[0].T, values[1]])
    np.testing.assert_array_equal(layer.get_weights()[0], values[0])


def test_messages_name_layer_expected_found_and_origin() -> None:
    layer = layers.Dense(2, name="head")
    layer(np.ones((1, 3)))
    with pytest.raises(ValueError, match=r"layer 'head' is incompatible.*axis -1.*value 3.*\(1, 4\)"):
        layer(np.ones((1, 4)))
    with pytest.raises(
        ValueError,
        match=r"layer 'conv' .*expected ndim=4, found ndim=2. Full shape received: \(None, 5\) \(the output of .*'mid'",
    ):
        layers.Conv2D(1, 1, name="conv")(layers.Dense(5, name="mid")(rv.Input((3,))))
    with pytest.raises(ValueError, match="axis -1 of the input must be known"):
        layers.Dense(2)(rv.Input((None,)))
    with pytest.raises(ValueError, match="the window is larger"):
        layers.Conv2D(1, 5)(rv.Input((3, 3, 1)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.Dense(0), "units must be a positive integer, got 0"),
        (lambda: layers.Dense(2.5), "units must be a positive integer, got 2.5"),
        (lambda: layers.Dense(output_dim=3, units=3), "'output_dim' is an old name, today: units"),
        (lambda: layers.Conv2D(4, 3, border_mode="same"), "today: padding"),
        (lambda: layers.LeakyReLU(alpha=0.1), "today: negative_slope"),
        (lambda: layers.Dropout(1.5), r"rate must be a number in \[0, 1\]"),
        (lambda: layers.Conv2D(4, 3, data_format="channels_first"), "only data_format='channels_last'"),
        (lambda: layers.Conv2D(4, 3, padding="full"), "padding must be 'valid' or 'same'"),
        (lambda: layers.Conv2D(4, 3, strides=2, dilation_rate=2), "not supported together"),
        (lambda: layers.Conv2D(4, 3, groups=3), "divisible by groups"),
        (lambda: layers.Dense(3, activation="rellu"), "activation: 'rellu'. Did you mean 'relu' .*Known: .*relu"),
        (lambda: layers.Dense(3, kernel_initializer="glorot"), "Unknown initializer: 'glorot'"),
        (lambda: layers.Dense(3, kernel_regularizer="l3"), "Unknown regularizer"),
        (lambda: layers.Dense(3, dtype="mixed_float8"), "dtype must be a dtype or a policy such as 'mixed_float16'"),
        (lambda: layers.Dense(3, kernal_initializer="zeros"), "Unrecognized keyword arguments"),
        (lambda: layers.Concatenate()([rv.Input((2, 3)), rv.Input((3, 3))]), "matching shapes except for axis -1"),
        (lambda: layers.Add()([rv.Input((2,)), rv.Input((3,))]), r"axis 1 has sizes \[2, 3\]"),
        (lambda: layers.Add()(rv.Input((2,))), "list of inputs"),
        (lambda: layers.Reshape((5,))(rv.Input((6,))), "6 elements, which do not fit"),
        (lambda: layers.BatchNormalization(axis=3)(rv.Input((4,))), "axis 3 is not an axis"),
        (lambda: rv.Input(5), r"a shape is a tuple such as \(5,\)"),
    ],
)
def test_bad_arguments(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_names_that_keras_dropped() -> None:
    with pytest.raises(AttributeError, match="use Conv2DTranspose"):
        layers.Deconvolution2D  # noqa: B018


def test_forgotten_super_init() -> None:
    class Forgetful(layers.Layer):
        def __init__(self) -> None:
            self.x = 1

    with pytest.raises(RuntimeError, match="forgot to call super"):
        Forgetful()(np.ones((1, 1)))


def test_custom_layer_is_traced_for_its_shape() -> None:
    class Pairs(layers.Layer):
        def call(self, x: Any) -> Any:
            return rv.ops.reshape(x, (x.shape[0] * 2, -1)), rv.ops.sum(x, axis=0)

    first, second = Pairs()(rv.Input((6,)))
    assert first.shape == (None, 3) and second.shape == (6,)


def test_custom_layer_with_several_inputs() -> None:
    class Mix(layers.Layer):
        def build(self, left_shape: Any, right_shape: Any) -> None:
            self.w = self.add_weight((left_shape[-1], right_shape[-1]))

        def call(self, left: Any, right: Any) -> Any:
            return rv.ops.matmul(left, self.w) * right

    a, b = rv.Input((2,)), rv.Input((3,))
    model = rv.Model([a, b], Mix()(a, right=b))
    assert model([np.ones((5, 2)), np.ones((5, 3))]).shape == (5, 3)
    assert [w.shape for w in model.weights] == [(2, 3)]


def test_simple_custom_layer_is_configured_without_help() -> None:
    layer = Scale(3.0, name="s")
    config = layer.get_config()
    assert config["factor"] == 3.0 and config["name"] == "s"
    assert Scale.from_config(config).factor == 3.0


def test_error_inside_call_names_the_layer() -> None:
    class Broken(layers.Layer):
        def call(self, x: Any) -> Any:
            raise ValueError("no")

    with pytest.raises(ValueError, match="no") as caught:
        Broken(name="b")(np.ones((1, 1)))
    assert "layer 'b'" in "".join(caught.value.__notes__)
    assert layers.Dropout(0.5)(np.ones((1, 1))).item() == 1  # the call's state was restored


def test_stateful_lstm_goes_on_where_it_ended() -> None:
    x = np.random.default_rng(0).standard_normal((2, 6, 3)).astype(np.float32)
    whole = layers.LSTM(4)
    expected = whole(x).numpy()
    parts = layers.LSTM(4, stateful=True)
    parts(x[:, :3])
    parts.set_weights(whole.get_weights())
    parts.reset_state()
    parts(x[:, :3])
    np.testing.assert_allclose(parts(x[:, 3:]).numpy(), expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="every batch must have the same size"):
        parts(x[:1, :3])


def test_steps_and_kernel_of_lstm_agree() -> None:
    x = np.random.default_rng(0).standard_normal((2, 5, 3))
    mask = np.array([[1, 1, 0, 1, 1], [0, 1, 1, 0, 1]], bool)
    fused = layers.LSTM(4, dtype="float64", return_sequences=True)
    fused(x)
    stepped = layers.LSTM(4, dtype="float64", return_sequences=True)
    stepped._needs_steps = lambda training: True
    stepped(x)
    stepped.set_weights(fused.get_weights())
    np.testing.assert_allclose(stepped(x, mask=mask).numpy(), fused(x, mask=mask).numpy(), rtol=1e-12, atol=1e-14)


def test_variable() -> None:
    v = rv.Variable([1.0, 2.0], name="v")
    assert v.value is v and v.requires_grad and v.dtype == "float32"
    v.assign([3.0, 4.0])
    v.assign_sub([1.0, 1.0])
    np.testing.assert_array_equal(v.numpy(), [2, 3])
    (gradient,) = rv.grad(rv.ops.sum(v * v), [v])
    np.testing.assert_array_equal(gradient.numpy(), [4, 6])
    v.trainable = False
    assert not v.requires_grad and not (v * 2.0).requires_grad
    with pytest.raises(ValueError, match=r"variable 'v' has shape \(2,\), the value has shape \(3,\)"):
        v.assign([1.0, 2.0, 3.0])
    assert rv.Variable(3, dtype="int64", trainable=False).dtype == "int64"


def test_spatial_dropout_drops_channels() -> None:
    y = layers.SpatialDropout2D(0.5, seed=1)(rv.ops.ones((4, 5, 5, 8)), training=True).numpy()
    assert ((y == 0).all((1, 2)) | (y == 2).all((1, 2))).all() and (y == 0).any() and (y == 2).any()


def test_dropout_seeds() -> None:
    x = rv.ops.ones((100,))
    draws = [layers.Dropout(0.5, seed=s)(x, training=True).tolist() for s in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]
    runs = []
    for _ in range(2):
        rv.utils.set_random_seed(5)
        layer = layers.Dropout(0.3)
        runs.append([layer(x, training=True).tolist() for _ in range(2)])
    assert runs[0] == runs[1] and runs[0][0] != runs[0][1]
    assert not layers.Dropout(1.0)(x, training=True).numpy().any()
