"""Keras's place for what it calls deprecated: ``rv.legacy.preprocessing`` is ``rv.preprocessing``."""

from ranvier import preprocessing as preprocessing

__all__ = ["preprocessing"]
