"""Callbacks: Keras's, called between the steps of ``fit``, ``evaluate`` and ``predict``."""

from ranvier.callbacks.averages import SwapEMAWeights as SwapEMAWeights
from ranvier.callbacks.backup import BackupAndRestore as BackupAndRestore
from ranvier.callbacks.callback import Callback as Callback
from ranvier.callbacks.callback import CallbackList as CallbackList
from ranvier.callbacks.callback import History as History
from ranvier.callbacks.callback import LambdaCallback as LambdaCallback
from ranvier.callbacks.monitor import EarlyStopping as EarlyStopping
from ranvier.callbacks.monitor import ModelCheckpoint as ModelCheckpoint
from ranvier.callbacks.monitor import MonitorCallback as MonitorCallback
from ranvier.callbacks.monitor import ReduceLROnPlateau as ReduceLROnPlateau
from ranvier.callbacks.progress import ProgressBar as ProgressBar
from ranvier.callbacks.remote import RemoteMonitor as RemoteMonitor
from ranvier.callbacks.schedule import CSVLogger as CSVLogger
from ranvier.callbacks.schedule import LearningRateScheduler as LearningRateScheduler
from ranvier.callbacks.schedule import TerminateOnNaN as TerminateOnNaN
from ranvier.callbacks.tensorboard import TensorBoard as TensorBoard
