"""Layer: weights and a computation, the unit from which models are built."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar

import numpy as np

from ranvier import _tree, config
from ranvier.autograd import no_grad
from ranvier.layers.input_spec import check_inputs
from ranvier.layers.symbolic import KerasTensor, Node, is_symbolic
from ranvier.tensor import Tensor, array_of, as_tensor, wrap
from ranvier.variable import Variable


class _Calls(threading.local):
    """What the layers of one outermost call share: which layer that is, and whether it trains."""

    entry: Layer | None = None
    training: bool | None = None


_calls = _Calls()


class _Signature:
    """What ``call`` and ``build`` of a class take, read once."""

    def __init__(self, layer_class: type[Layer]) -> None:
        parameters = list(inspect.signature(layer_class.call).parameters.values())[1:]
        takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters)
        self.names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        defaults = {p.name: p.default for p in parameters}
        self.training = "training" in defaults or takes_all
        self.training_default = defaults.get("training")
        self.mask = "mask" in defaults
        build = list(inspect.signature(layer_class.build).parameters.values())[1:]
        self.build_names = [p.name for p in build if p.kind is not p.VAR_KEYWORD]


_signatures: dict[type, _Signature] = {}


def _signature_of(layer_class: type[Layer]) -> _Signature:
    signature = _signatures.get(layer_class)
    if signature is None:
        signature = _signatures[layer_class] = _Signature(layer_class)
    return signature


class Layer:
    """A computation with state. Subclasses define ``call``, ``build`` where they have weights, and ``get_config``.

    ``__call__`` converts its arguments to tensors of the layer's dtype, checks them against ``input_spec``, builds
    the layer on first use, passes ``training`` down to the layers inside, and runs ``call``; on symbolic tensors
    it gives symbolic tensors. Source: Keras ``Layer``.

    >>> import ranvier as rv
    >>> class Scale(rv.layers.Layer):
    ...     def build(self, input_shape):
    ...         self.factor = self.add_weight((input_shape[-1],), initializer="ones", name="factor")
    ...     def call(self, x):
    ...         return x * self.factor
    >>> Scale()([[1.0, 2.0]]).numpy()
    array([[1., 2.]], dtype=float32)
    """

    casts_integers: ClassVar[bool] = False  # whether integer inputs become floats of the layer's dtype
    keeps_dtype: ClassVar[bool] = False  # whether outputs have the inputs' dtype, not the layer's
    _init_arguments: tuple[tuple[Any, ...], dict[str, Any]]
    renamed_arguments: ClassVar[dict[str, str]] = {}  # names of old Keras -> what to write today
    _not_scanned: ClassVar[frozenset[str]] = frozenset(
        {"_init_arguments", "inbound_nodes", "_losses", "_loss_holders", "optimizer"}
    )

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        instance = super().__new__(cls)
        instance._init_arguments = (args, kwargs)  # get_config of simple custom layers reads it
        return instance

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: str | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.input_shape_argument = _input_shape_argument(kwargs)
        kwargs.pop("autocast", None)
        if kwargs:
            raise _unknown_arguments(type(self), kwargs)
        if name is not None and not isinstance(name, str):
            raise ValueError(f"{type(self).__name__}: argument `name` must be a string, got {name!r}")
        self.name = name or config.auto_name(config.to_snake_case(type(self).__name__))
        self.dtype = _checked_dtype(type(self).__name__, dtype)
        self.built = False
        self.input_spec: Any = None
        self.supports_masking = False
        self.activity_regularizer = _regularizer(activity_regularizer)
        self.inbound_nodes: list[Node] = []
        self._trainable = bool(trainable)
        self._weights: list[Variable] = []
        self._losses: list[Tensor] = []
        self._loss_holders: list[Layer] = []

    # --- for subclasses to define --------------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Creates the weights, knowing the input's shape."""

    def call(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"Layer {type(self).__name__} does not define call()")

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of ``call``'s result; by default found by calling the layer on zeros."""
        inputs = _tree.map_shapes(lambda shape: KerasTensor(shape, self.dtype), input_shape)
        return _tree.map_structure(lambda t: t.shape, self.compute_output_spec(inputs))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The mask that the outputs carry; by default that of the inputs."""
        return previous_mask

    # --- weights -------------------------------------------------------------------------------------

    def add_weight(
        self,
        shape: Any = None,
        initializer: Any = None,
        dtype: str | None = None,
        trainable: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        name: str | None = None,
    ) -> Variable:
        """A new variable of this layer: ``initializer`` is a string, an Initializer or a function (glorot_uniform if
        None, zeros for integers)."""
        from ranvier import constraints, initializers

        dtype = dtype or self.dtype
        if initializer is None:
            initializer = "glorot_uniform" if dtype.startswith("float") else "zeros"
        variable = Variable(
            initializers.get(initializer),
            shape=() if shape is None else shape,
            dtype=dtype,
            trainable=trainable,
            name=name,
            regularizer=_regularizer(regularizer),
            constraint=constraints.get(constraint),
        )
        variable.path = f"{self.name}/{variable.name}"
        if not self._trainable:
            variable.trainable = False
        self._weights.append(variable)
        return variable

    def _scan(self) -> tuple[list[Variable], list[Layer]]:
        """The variables and the layers among this layer's attributes, in lists, tuples and dicts too, each once."""
        variables: dict[int, Variable] = {}
        layers: dict[int, Layer] = {}
        seen: set[int] = set()
        stack: list[Any] = [v for k, v in self.__dict__.items() if k not in self._not_scanned]
        stack.reverse()
        while stack:
            item = stack.pop()
            if isinstance(item, Variable):
                variables[id(item)] = item
            elif isinstance(item, Layer):
                layers[id(item)] = item
            elif isinstance(item, (list, tuple, dict)) and item and id(item) not in seen:
                seen.add(id(item))
                items: Any = item
                stack.extend(reversed(list(items.values() if isinstance(items, dict) else items)))
        return list(variables.values()), list(layers.values())

    def _sublayers(self) -> list[Layer]:
        return self._scan()[1]

    def _walk(self) -> Iterator[tuple[Layer, list[Variable]]]:
        """This layer and all inside it, each once and before what it holds, with their own variables."""
        seen: set[int] = set()
        stack: list[Layer] = [self]
        while stack:
            layer = stack.pop()
            if id(layer) not in seen:
                seen.add(id(layer))
                variables, layers = layer._scan()
                yield layer, variables
                stack.extend(reversed(layers))

    @property
    def weights(self) -> list[Variable]:
        """All variables, this layer's own first (trainable before not), then those of the layers inside."""
        unique: dict[int, Variable] = {}
        for _, own in self._walk():
            for trained in (True, False):
                unique.update((id(v), v) for v in own if v.trainable_by_nature is trained and id(v) not in unique)
        return list(unique.values())

    @property
    def variables(self) -> list[Variable]:
        return self.weights

    @property
    def trainable_weights(self) -> list[Variable]:
        """What optimizers change; nothing while ``trainable`` is False."""
        return [v for v in self.weights if v.trainable] if self._trainable else []

    @property
    def non_trainable_weights(self) -> list[Variable]:
        return [v for v in self.weights if not v.trainable] if self._trainable else self.weights

    @property
    def trainable_variables(self) -> list[Variable]:
        return self.trainable_weights

    @property
    def non_trainable_variables(self) -> list[Variable]:
        return self.non_trainable_weights

    @property
    def trainable(self) -> bool:
        """Whether the weights are trained; setting it sets it for all layers inside too (Keras's freezing)."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        variables, layers = self._scan()
        for variable in variables:
            variable.trainable = self._trainable and variable.trainable_by_nature
        for layer in layers:
            layer.trainable = value

    def get_weights(self) -> list[np.ndarray]:
        """Copies of the values of ``weights`` as NumPy arrays."""
        return [np.array(v.numpy()) for v in self.weights]

    def set_weights(self, weights: Any) -> None:
        """Sets the values of ``weights``. Raises ValueError for another number of arrays or other shapes."""
        own, weights = self.weights, list(weights)
        if len(own) != len(weights):
            raise ValueError(
                f"set_weights: layer {self.name!r} has {len(own)} weights, {len(weights)} arrays were given"
            )
        values = [v if isinstance(v, Tensor) else np.asarray(v) for v in weights]
        for variable, value in zip(own, values, strict=True):
            if variable.shape != tuple(value.shape):
                raise ValueError(
                    f"set_weights: weight {variable.path!r} of layer {self.name!r} has shape {variable.shape}, "
                    f"the array given has shape {tuple(value.shape)}"
                )
        for variable, value in zip(own, values, strict=True):
            variable.assign(value)

    def count_params(self) -> int:
        """How many numbers the weights hold. Raises ValueError before they exist."""
        if not self.built:
            raise ValueError(f"count_params: layer {self.name!r} isn't built, so the weights are not defined yet")
        return sum(v.size for v in self.weights)

    # --- losses --------------------------------------------------------------------------------------

    def add_loss(self, loss: Any) -> None:
        """Adds scalars to ``losses`` until the next outermost call of a layer; call it inside ``call``."""
        losses = [as_tensor(value) for value in _tree.flatten(loss)]
        for value in losses:
            if value.size != 1:
                raise ValueError(f"add_loss: expected scalars, got a tensor of shape {value.shape} in {self.name!r}")
        self._losses.extend(losses)
        (_calls.entry or self)._loss_holders.append(self)

    @property
    def losses(self) -> list[Tensor]:
        """What ``add_loss`` added in the last call, then the penalties of the trainable weights' regularizers."""
        added: list[Tensor] = []
        regularized: dict[int, Variable] = {}
        for layer, own in self._walk():
            added.extend(layer._losses)
            regularized.update((id(v), v) for v in own if v.regularizer is not None and v.trainable)
        penalties = [v.regularizer(v) for v in regularized.values() if v.regularizer is not None]
        return added + penalties if self._trainable else added

    # --- calling -------------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if "inbound_nodes" not in self.__dict__:
            raise RuntimeError(
                f"In layer {type(self).__name__!r}, you forgot to call super().__init__() as the first statement of "
                "__init__()"
            )
        signature = _signature_of(type(self))
        if len(args) == 1 and not kwargs and isinstance(args[0], Tensor):  # nearly every call
            if args[0].dtype != self.dtype:
                args = (self._convert_tensor(args[0]),)
        else:
            args, kwargs = tuple(self._convert(a) for a in args), {k: self._convert(v) for k, v in kwargs.items()}
            if is_symbolic((args, kwargs)):
                return self._call_symbolically(signature, args, kwargs)
        first = args[0] if args else next(iter(kwargs.values()), None)
        if self.input_spec is not None:
            check_inputs(self.input_spec, first, self.name)
        outer_entry, outer_training = _calls.entry, _calls.training
        if outer_entry is None:
            _calls.entry = self
            self._clear_losses()
        try:
            if not self.built:
                self._build_for(signature, args, kwargs)
            self._set_training(signature, kwargs)
            mask = self._set_mask(signature, first, kwargs) if _masks.exist else None
            outputs = self.call(*args, **kwargs)
            if self.activity_regularizer is not None:
                self._add_activity_loss(outputs)
            if mask is not None and self.supports_masking:
                self._pass_mask_on(first, outputs, mask)
            return outputs
        except (TypeError, ValueError) as error:
            error.add_note(f"in {type(self).__name__}.call() of layer {self.name!r}")
            raise
        finally:
            _calls.entry, _calls.training = outer_entry, outer_training

    def _convert_tensor(self, x: Tensor) -> Tensor:
        floating = x.dtype.startswith(("float", "bfloat"))
        if (floating or (self.casts_integers and x.dtype != "bool")) and x.dtype != self.dtype:
            return x.astype(self.dtype)
        return x

    def _convert(self, x: Any) -> Any:
        """Arrays, and lists of numbers, as tensors of the layer's dtype; structures item by item."""
        if isinstance(x, Tensor):
            return self._convert_tensor(x)
        if isinstance(x, (list, tuple)):
            leaves = _tree.flatten(x)
            if leaves and all(isinstance(v, (int, float)) for v in leaves) and not isinstance(x, tuple):
                return self._convert_tensor(as_tensor(x))
            return type(x)(self._convert(item) for item in x)
        if isinstance(x, dict):
            return {key: self._convert(item) for key, item in x.items()}
        if isinstance(x, (np.ndarray, np.generic)) or hasattr(x, "__array_interface__"):
            values = np.asarray(x)
            wants = values.dtype.kind == "f" or (self.casts_integers and values.dtype.kind in "iu")
            return wrap(array_of(values, self.dtype if wants else None))
        if hasattr(x, "__dlpack__") and not isinstance(x, KerasTensor):
            return self._convert_tensor(as_tensor(np.asarray(x)))
        return x

    def _set_training(self, signature: _Signature, kwargs: dict[str, Any]) -> None:
        """``training`` of this call: as passed, else as the layers around have it, else ``call``'s default."""
        training = kwargs.get("training")
        if training is None:
            training = _calls.training if _calls.training is not None else signature.training_default
        if training is not None:
            _calls.training = training
        if signature.training and training is not None:
            kwargs["training"] = training
        else:
            kwargs.pop("training", None)

    def _build_for(self, signature: _Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Builds from the first argument's shape, or where ``build`` names several, from ``<argument>_shape``."""
        given = dict(zip(signature.names, args, strict=False)) | kwargs
        shapes = {k: _shapes_of(v) for k, v in given.items()}
        names = signature.build_names
        if len(names) <= 1:
            self.build(next(iter(shapes.values()), None))
        else:
            wanted = {n: shapes.get(n.removesuffix("_shape")) for n in names}
            if names[0] == "input_shape" and wanted["input_shape"] is None:
                wanted["input_shape"] = next(iter(shapes.values()), None)
            self.build(**wanted)
        self.built = True

    def _clear_losses(self) -> None:
        if self._loss_holders:
            for layer in self._loss_holders:
                layer._losses.clear()
            self._loss_holders.clear()

    def _add_activity_loss(self, outputs: Any) -> None:
        for output in _tree.flatten(outputs):
            penalty = self.activity_regularizer(output)
            self.add_loss(penalty / output.shape[0] if output.ndim else penalty)

    # --- masks ---------------------------------------------------------------------------------------

    def _set_mask(self, signature: _Signature, first: Any, kwargs: dict[str, Any]) -> Any:
        """The mask of this call, passed or carried by the first argument; given to ``call`` if it takes one."""
        mask = kwargs.get("mask")
        if mask is None:
            mask = _tree.map_structure(get_mask, first)
            if all(m is None for m in _tree.flatten(mask)):
                return None
            if signature.mask:
                kwargs["mask"] = mask
        return mask

    def _pass_mask_on(self, inputs: Any, outputs: Any, mask: Any) -> None:
        for output, one in zip(_tree.flatten(outputs), _tree.flatten(self.compute_mask(inputs, mask)), strict=False):
            if one is not None and get_mask(output) is None:
                set_mask(output, one)

    # --- symbolic calls ------------------------------------------------------------------------------

    def _call_symbolically(self, signature: _Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        first = args[0] if args else next(iter(kwargs.values()))
        if self.input_spec is not None:
            check_inputs(self.input_spec, first, self.name)
        if not self.built:
            self._build_for(signature, args, kwargs)
            if self.input_spec is not None:  # building may have learnt what to expect
                check_inputs(self.input_spec, first, self.name)
        outputs = self.compute_output_spec(*args, **kwargs)
        Node(self, args, kwargs, outputs)
        return outputs

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Symbolic tensors like those that a call on these symbolic arguments gives, without a history."""
        if type(self).compute_output_shape is Layer.compute_output_shape:
            return self._trace(args, kwargs)
        first = args[0] if args else next(iter(kwargs.values()))
        dtype = _tree.flatten(first)[0].dtype if self.keeps_dtype else self.dtype
        shapes = self.compute_output_shape(_shapes_of(first))
        return _tree.map_shapes(lambda shape: KerasTensor(shape, dtype), shapes)

    def _trace(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Output shapes by calling the layer on zeros, twice: sizes that differ depend on what is not known."""
        seen = []
        outer, _calls.entry, _calls.training = (_calls.entry, _calls.training), None, False
        try:
            for fills in ((2, 40), (3, 61)):
                zeros = _tree.map_structure(partial(_zeros_like, fills), [args, kwargs])
                with no_grad():
                    seen.append(self(*zeros[0], **zeros[1]))
        finally:
            _calls.entry, _calls.training = outer
            self._clear_losses()
        leaves = [
            KerasTensor([a if a == b else None for a, b in zip(x.shape, y.shape, strict=True)], x.dtype)
            for x, y in zip(_tree.flatten(seen[0]), _tree.flatten(seen[1]), strict=True)
        ]
        return _tree.pack(seen[0], leaves)

    def _node(self, index: int = 0) -> Node:
        if not self.inbound_nodes:
            raise AttributeError(
                f"The layer {self.name!r} has never been called on a symbolic tensor and thus has no defined input or "
                "output. Use it in a Sequential that knows its input shape, or in a functional model"
            )
        return self.inbound_nodes[index]

    @property
    def input(self) -> Any:
        """The symbolic input of the layer's first use in a model."""
        node = self._node()
        first = node.args[0] if node.args else node.inputs
        return first

    @property
    def output(self) -> Any:
        """The symbolic output of the layer's first use in a model."""
        return self._node().outputs

    # --- configuration -------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """What ``from_config`` needs to make this layer anew, without its weights, as JSON values."""
        base = {"name": self.name, "trainable": self._trainable, "dtype": self.dtype}
        if self.activity_regularizer is not None:
            from ranvier.saving.registry import serialize_object

            base["activity_regularizer"] = serialize_object(self.activity_regularizer)
        own_init = not type(self).__init__.__module__.startswith("ranvier.")
        if own_init and type(self).get_config.__qualname__ in ("Layer.get_config", "Model.get_config"):
            return _simple_arguments(self, base)
        return base

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A new layer from what ``get_config`` gave."""
        from ranvier.saving.registry import deserialize_values

        config = {k: v for k, v in config.items() if k not in _keras_only or v != _keras_only[k]}
        return cls(**deserialize_values({k: plain_dtype(v) if k == "dtype" else v for k, v in config.items()}))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


# --- masks: which time steps of a sequence count ----------------------------------------------------------


class _Masks:
    exist = False  # no layer looks for masks before one was made


_masks = _Masks()


def set_mask(tensor: Tensor, mask: Any) -> None:
    """Attaches a mask (N, T) of bool to a sequence (N, T, ...)."""
    _masks.exist = True
    tensor.mask = mask


def get_mask(tensor: Any) -> Any:
    """The mask that a tensor carries, or None."""
    return getattr(tensor, "mask", None)


# --- arguments --------------------------------------------------------------------------------------------


def _shapes_of(value: Any) -> Any:
    return _tree.map_structure(lambda t: tuple(t.shape) if hasattr(t, "shape") else None, value)


def _zeros_like(fills: tuple[int, int], leaf: Any) -> Any:
    if not isinstance(leaf, KerasTensor):
        return leaf
    shape = [fills[min(axis, 1)] if size is None else size for axis, size in enumerate(leaf.shape)]
    return Tensor(np.zeros(shape, leaf.dtype))


def _regularizer(value: Any) -> Any:
    from ranvier import regularizers

    return regularizers.get(value)


def plain_dtype(dtype: Any) -> Any:
    """The name of a dtype that Keras may have written as a DTypePolicy."""
    return dtype.get("config", {}).get("name") if isinstance(dtype, dict) else dtype


def _checked_dtype(layer: str, dtype: Any) -> str:
    if dtype is None:
        return config.floatx()
    if dtype not in ("float32", "float64", "int32", "int64", "uint8", "bool"):
        raise ValueError(f"{layer}: dtype must be 'float32' or 'float64' (layers do not mix precisions), got {dtype!r}")
    return str(dtype)


def _input_shape_argument(kwargs: dict[str, Any]) -> tuple[int | None, ...] | None:
    """``input_shape=`` or ``input_dim=`` of the first layer of a Sequential, without the batch axis."""
    shape = kwargs.pop("input_shape", None)
    size = kwargs.pop("input_dim", None)
    if shape is not None:
        return tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    return (size,) if size is not None else None


_old_names = {
    "output_dim": "units",
    "nb_filter": "filters",
    "border_mode": "padding",
    "subsample": "strides",
    "init": "kernel_initializer",
    "W_regularizer": "kernel_regularizer",
    "b_regularizer": "bias_regularizer",
    "dim_ordering": "data_format",
    "batch_input_shape": "rv.Input(batch_shape=...)",
    "input_length": "nothing: the length is read from the input",
    "weights": "set_weights(...) after building",
}


_keras_only = {  # options that we lack, as Keras writes them where they are not used
    "quantization_config": None,
    "zero_output_for_mask": False,
    "renorm": False,
    "renorm_clipping": None,
    "renorm_momentum": 0.99,
    "sparse": False,
    "ragged": False,
    "optional": False,
}


def _unknown_arguments(layer_class: type[Layer], kwargs: dict[str, Any]) -> ValueError:
    names = {**_old_names, **layer_class.renamed_arguments}
    hints = "".join(f"; {k!r} is an old name, today: {names[k]}" for k in kwargs if k in names)
    return ValueError(f"Unrecognized keyword arguments passed to {layer_class.__name__}: {kwargs}{hints}")


def _simple_arguments(layer: Layer, base: dict[str, Any]) -> dict[str, Any]:
    """The arguments with which a custom layer without ``get_config`` was made, if JSON can hold them, and those of
    ``base`` that it takes."""
    from ranvier.saving.registry import serialize_object

    args, kwargs = layer._init_arguments
    bound = inspect.signature(type(layer).__init__).bind(layer, *args, **kwargs)
    bound.apply_defaults()
    values = dict(list(bound.arguments.items())[1:])
    takes_all = False
    for name, parameter in inspect.signature(type(layer).__init__).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            values.update(values.pop(name, {}))
            takes_all = True
        if parameter.kind is parameter.VAR_POSITIONAL and values.pop(name, ()):
            raise NotImplementedError(f"Layer {type(layer).__name__} takes *{name}: define get_config() to save it")
    try:
        values = {name: serialize_object(value) for name, value in values.items()}
    except (TypeError, ValueError) as error:
        raise NotImplementedError(
            f"Layer {type(layer).__name__} was made with arguments that cannot be saved ({error}): define get_config()"
        ) from None
    return {**values, **{name: value for name, value in base.items() if takes_all or name in values}}
