"""Callback: what may be done between the steps of fit, evaluate and predict; and the list that calls them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

Logs = Any  # a dict of names and floats; during an epoch one that is read from the device when it is looked at


class Callback:
    """Methods that ``fit``, ``evaluate`` and ``predict`` call; subclasses override what they need.

    ``self.model`` is the model, ``self.params`` a dict of ``verbose``, ``epochs`` and ``steps``. Set
    ``self.model.stop_training = True`` to end ``fit`` after this step. ``logs`` maps names to floats; looking at
    those of a batch waits for the device. Source: Keras ``callbacks.Callback``.

    >>> import ranvier as rv
    >>> class Announce(rv.callbacks.Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         print(epoch, sorted(logs))
    >>> Announce().on_epoch_end(0, {"loss": 0.5})
    0 ['loss']

    A callback that remembers something from epoch to epoch or batch to batch names it in ``state_names``, or overrides
    ``get_state`` and ``set_state``: then a training that is continued (``fit(..., resume=path)``) finds it again.
    """

    state_names: ClassVar[tuple[str, ...]] = ()  # attributes of numbers, texts and arrays

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}
        self._model: Any = None

    @property
    def model(self) -> Any:
        """The model that is being trained."""
        return getattr(self, "_model", None)

    def set_params(self, params: dict[str, Any]) -> None:
        """Called before training with ``verbose``, ``epochs`` and ``steps``."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Called before training with the model."""
        self._model = model

    def get_state(self) -> Any:
        """What this callback remembers (numbers, texts, arrays, lists and dicts of them), or None."""
        return {name: getattr(self, name) for name in self.state_names} or None

    def set_state(self, state: Any) -> None:
        """Called after ``on_train_begin`` of a training that goes on, with what ``get_state`` gave."""
        for name in self.state_names:
            setattr(self, name, state[name])

    def close(self) -> None:
        """Called last of all, also when training ends by an error or Ctrl-C: release files and screens."""

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None: ...
    def on_batch_end(self, batch: int, logs: Logs = None) -> None: ...
    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None: ...
    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None: ...

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self.on_batch_end(batch, logs=logs)

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None: ...
    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None: ...
    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None: ...
    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None: ...
    def on_train_begin(self, logs: Logs = None) -> None: ...
    def on_train_end(self, logs: Logs = None) -> None: ...
    def on_test_begin(self, logs: Logs = None) -> None: ...
    def on_test_end(self, logs: Logs = None) -> None: ...
    def on_predict_begin(self, logs: Logs = None) -> None: ...
    def on_predict_end(self, logs: Logs = None) -> None: ...


_HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_"))
# A hook that stands for another: a callback takes part in the first if it overrides either.
_ALSO = {"on_train_batch_begin": "on_batch_begin", "on_train_batch_end": "on_batch_end"}


def _overrides(callback: Callback, hook: str) -> bool:
    names = (hook, _ALSO[hook]) if hook in _ALSO else (hook,)
    base = vars(Callback)
    return any(name in vars(callback) or getattr(type(callback), name, None) is not base[name] for name in names)


def _not_a_callback(item: Any) -> str:
    """What to do with something that is no callback: a name is to be written as an object, a class to be called."""
    from ranvier import callbacks
    from ranvier._names import unknown

    classes = {name for name, value in vars(callbacks).items() if isinstance(value, type)} - {"CallbackList"}
    problem = f"callbacks must be Callback objects, not {item!r} ({type(item).__name__})"
    if isinstance(item, type) and issubclass(item, Callback):
        return f"{problem}; write {item.__name__}(...), with its arguments"
    if isinstance(item, str):
        hint = f"write rv.callbacks.{item}(...)" if item in classes else unknown("callback", item, classes)
        return f"{problem}; {hint}"
    return problem


class CallbackList(Callback):
    """Calls each of its callbacks, in order; per hook only those that do something there. Source: Keras."""

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ) -> None:
        super().__init__()
        given: Sequence[Any] = callbacks if isinstance(callbacks, (list, tuple)) else [callbacks] if callbacks else []
        for callback in given:
            if not isinstance(callback, Callback):
                raise TypeError(_not_a_callback(callback))
        self.callbacks: list[Callback] = list(given)
        from ranvier.callbacks.progress import ProgressBar

        if add_history and not any(isinstance(c, History) for c in self.callbacks):
            self.callbacks.append(History())
        if add_progbar and not any(isinstance(c, ProgressBar) for c in self.callbacks):
            self.callbacks.append(ProgressBar())
        self.at: tuple[str, int] | None = None  # the hook that is being called, and whose
        self.progress = next((c for c in self.callbacks if isinstance(c, ProgressBar)), None)
        if model is not None:
            self.set_model(model)
        self.set_params(params)
        for hook in _HOOKS:
            setattr(self, hook, self._caller(hook))

    def _caller(self, hook: str) -> Callable[..., None]:
        methods = [
            ((hook, place), getattr(callback, hook))
            for place, callback in enumerate(self.callbacks)
            if _overrides(callback, hook)
        ]

        def call(*args: Any, **kwargs: Any) -> None:
            for at, method in methods:
                self.at = at
                method(*args, **kwargs)
            self.at = None

        return call

    def finish(self, hook: str, places: list[int], *args: Any) -> None:
        """Calls a hook of some of the callbacks: the others were called by an earlier run."""
        for place in places:
            self.at = (hook, place)
            getattr(self.callbacks[place], hook)(*args)
        self.at = None

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params
        if params:
            for callback in self.callbacks:
                callback.set_params(params)

    def set_model(self, model: Any) -> None:
        super().set_model(model)
        for callback in self.callbacks:
            if isinstance(callback, History):
                model.history = callback
            callback.set_model(model)

    def close(self) -> None:
        for callback in self.callbacks:
            callback.close()


class History(Callback):
    """What ``fit`` returns: ``history`` maps each name to its values by epoch, ``epoch`` lists the epochs.

    Source: Keras ``callbacks.History``.
    """

    state_names = ("history", "epoch")

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Logs = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        self.model.history = self


class LambdaCallback(Callback):
    """A callback from functions, one per hook: ``LambdaCallback(on_epoch_end=lambda epoch, logs: ...)``.

    Raises TypeError for a name that is no hook. Source: Keras ``callbacks.LambdaCallback``.

    >>> import ranvier as rv
    >>> rv.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: print("epoch", epoch)).on_epoch_begin(3)
    epoch 3
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **kwargs: Callable[..., Any],
    ) -> None:
        super().__init__()
        given = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **kwargs,
        }
        for hook, function in given.items():
            if hook not in _HOOKS:
                raise TypeError(f"LambdaCallback: {hook!r} is no hook; hooks are {', '.join(_HOOKS)}")
            if function is not None:
                setattr(self, hook, _with_logs(hook, function))


def _with_logs(hook: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Keras calls the functions of trainings with ``logs`` alone and the others with an index and ``logs``."""
    if "batch" in hook or "epoch" in hook:
        return lambda index, logs=None: function(index, logs)
    return lambda logs=None: function(logs)
