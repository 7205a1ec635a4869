"""Layer: weights and a computation, the unit from which models are built."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any, ClassVar

import numpy as np

from ranvier import _tree, config, ops
from ranvier.autograd import NARROW, no_grad
from ranvier.layers.arguments import (
    KERAS_ONLY,
    input_shape_argument,
    plain_dtype,
    simple_arguments,
    unknown_arguments,
)
from ranvier.layers.input_spec import InputSpec, check_inputs
from ranvier.layers.masks import Masks, get_mask, set_mask
from ranvier.layers.precision import InPrecision
from ranvier.layers.signature import Signature, signature_of, signatures
from ranvier.layers.symbolic import KerasTensor, Node, is_symbolic
from ranvier.tensor import Tensor, array_of, as_tensor, wrap
from ranvier.variable import Variable


class _Calls(threading.local):
    """What the layers of one outermost call share: which layer that is, and whether it trains."""

    entry: Layer | None = None
    training: bool | None = None


_calls = _Calls()


_PLAIN = ["training"]  # options that hold no tensors


class Layer(InPrecision):
    """A computation with state. Subclasses define ``call``, ``build`` where they have weights, and ``get_config``.

    ``__call__`` converts its arguments to tensors of the dtype that the layer computes in (``dtype`` may be a policy,
    ``rv.mixed_precision``), checks them against ``input_spec``, builds the layer on first use, passes ``training`` down
    to the layers inside, and runs ``call``; on symbolic tensors it gives symbolic tensors. Source: Keras ``Layer``.

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
        {"_init_arguments", "inbound_nodes", "_losses", "_loss_holders", "optimizer", "_build_shapes"}
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
        dtype: Any = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        from ranvier import regularizers  # which needs ops, which need layers for symbolic tensors

        self.input_shape_argument = input_shape_argument(kwargs)
        self.autocast = bool(kwargs.pop("autocast", True))
        if kwargs:
            raise unknown_arguments(type(self), kwargs)
        if name is not None and not isinstance(name, str):
            raise ValueError(f"{type(self).__name__}: argument `name` must be a string, got {name!r}")
        self.name = name or config.auto_name(config.to_snake_case(type(self).__name__))
        self.dtype_policy = dtype
        self.built = False
        self.input_spec: Any = None
        self.supports_masking = False
        self.activity_regularizer: Any = regularizers.get(activity_regularizer)
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
        inputs = _tree.map_shapes(lambda shape: KerasTensor(shape, self.compute_dtype), input_shape)
        return _tree.map_structure(lambda t: t.shape, self.compute_output_spec(inputs))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The mask that the outputs carry; by default that of the inputs."""
        return previous_mask

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
            for v in own:
                if v.regularizer is not None and v.trainable:
                    regularized[id(v)] = v
        if not (regularized and self._trainable):
            return added
        return added + [v.regularizer(v) for v in regularized.values() if v.regularizer is not None]

    # --- calling -------------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if "inbound_nodes" not in self.__dict__:
            raise RuntimeError(
                f"In layer {type(self).__name__!r}, you forgot to call super().__init__() as the first statement of "
                "__init__()"
            )
        signature = signatures.get(type(self)) or signature_of(type(self))
        if (
            len(args) == 1 and isinstance(args[0], Tensor) and (not kwargs or list(kwargs) == _PLAIN)
        ):  # nearly every call
            if args[0].dtype != self.input_dtype:
                args = (self._convert_tensor(args[0]),)
        else:
            args, kwargs = tuple(self._convert(a) for a in args), {k: self._convert(v) for k, v in kwargs.items()}
            if len(args) > 1:
                args, kwargs = signature.options_by_name(args, kwargs)
            if is_symbolic((args, kwargs)):
                return self._call_symbolically(signature, args, kwargs)
        first = args[0] if args else next(iter(kwargs.values()), None)
        spec = self.input_spec
        if spec is not None and not (type(spec) is InputSpec and type(first) is Tensor and spec.problem(first) is None):
            check_inputs(spec, first, self.name)
        outer_entry, outer_training = _calls.entry, _calls.training
        if outer_entry is None:
            _calls.entry = self
            self._clear_losses()
        try:
            if not self.built:
                self._build_for(signature, args, kwargs)
            if outer_training is None or kwargs or signature.training:
                self._set_training(signature, kwargs)
            mask = self._set_mask(signature, args, kwargs) if Masks.exist else None
            outputs = self._call_casting(args, kwargs) if self._reads_cast else self.call(*args, **kwargs)
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
        if (self.autocast if floating else self.casts_integers and x.dtype != "bool") and x.dtype != self.input_dtype:
            converted = x.astype(self.input_dtype)
            if Masks.exist and get_mask(x) is not None:
                set_mask(converted, get_mask(x))
            return converted
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
            wants = self.autocast if values.dtype.kind == "f" else self.casts_integers and values.dtype.kind in "iu"
            return wrap(array_of(values, self.input_dtype if wants else None))
        if hasattr(x, "__dlpack__") and not isinstance(x, KerasTensor):
            return self._convert_tensor(as_tensor(np.asarray(x)))
        return x

    def _set_training(self, signature: Signature, kwargs: dict[str, Any]) -> None:
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

    def _build_for(self, signature: Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Builds from the first argument's shape, or where ``build`` names several, from ``<argument>_shape``."""
        given = dict(zip(signature.names, args, strict=False)) | kwargs
        shapes = {k: shapes_of(v) for k, v in given.items()}
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
            penalty = self.activity_regularizer(ops.cast(output, "float32") if output.dtype in NARROW else output)
            self.add_loss(penalty / output.shape[0] if output.ndim else penalty)

    # --- masks ---------------------------------------------------------------------------------------

    def _set_mask(self, signature: Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The mask of this call, passed or carried by the first argument; given to ``call`` if it takes one.

        A ``call`` of several tensors may have an argument ``<name>_mask`` for any of them.
        """
        first = args[0] if args else next(iter(kwargs.values()), None)
        if signature.argument_masks:
            given = dict(zip(signature.names, args, strict=False)) | kwargs
            for name, its_mask in signature.argument_masks:
                found = _tree.map_structure(get_mask, given.get(name))
                if len(given) > 1 and given.get(its_mask) is None and any(m is not None for m in _tree.flatten(found)):
                    kwargs[its_mask] = found
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

    def _call_symbolically(self, signature: Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
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
        given = _tree.flatten(first)[0].dtype
        dtype = given if self.keeps_dtype and not given.startswith(("float", "bfloat")) else self.compute_dtype
        shapes = self.compute_output_shape(shapes_of(first))
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
        base = {"name": self.name, "trainable": self._trainable, "dtype": self.dtype_policy.name}
        if self.activity_regularizer is not None:
            from ranvier.saving.registry import serialize_object

            base["activity_regularizer"] = serialize_object(self.activity_regularizer)
        own_init = not type(self).__init__.__module__.startswith("ranvier.")
        if own_init and type(self).get_config.__qualname__ in ("Layer.get_config", "Model.get_config"):
            return simple_arguments(self, base)
        return base

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A new layer from what ``get_config`` gave."""
        from ranvier.saving.registry import deserialize_values

        config = {k: v for k, v in config.items() if k not in KERAS_ONLY or v != KERAS_ONLY[k]}
        return cls(**deserialize_values({k: plain_dtype(v) if k == "dtype" else v for k, v in config.items()}))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


def shapes_of(value: Any) -> Any:
    """The shapes of the tensors in a structure, None for what is no tensor."""
    return _tree.map_structure(lambda t: tuple(t.shape) if hasattr(t, "shape") else None, value)


def _zeros_like(fills: tuple[int, int], leaf: Any) -> Any:
    if not isinstance(leaf, KerasTensor):
        return leaf
    shape = [fills[min(axis, 1)] if size is None else size for axis, size in enumerate(leaf.shape)]
    return Tensor(np.zeros(shape), dtype=leaf.dtype)
