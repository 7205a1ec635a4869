"""Sequences of one length, and windows of time series."""

from ranvier.utils.sequences import pad_sequences as pad_sequences
from ranvier.utils.sequences import timeseries_dataset_from_array as timeseries_dataset_from_array

__all__ = ["pad_sequences", "timeseries_dataset_from_array"]
