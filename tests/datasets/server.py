"""A web server for tests, and data sets whose sums are those of small files."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ranvier.datasets._files import FileDataset
from ranvier.datasets._folders import FolderDataset


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address of a server of a folder's files."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, directory=str(folder))

        def log_message(self, *args: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{running.server_port}"
        finally:
            running.shutdown()
            thread.join()


def with_sums_of(value: Any, contents: dict[str, bytes]) -> Any:
    """The data set (or whatever holds it) with the sums of ``contents`` by the names that files are stored under."""
    if isinstance(value, FolderDataset):
        return dataclasses.replace(value, sha256=hashlib.sha256(contents[value.archive]).hexdigest())
    if isinstance(value, FileDataset):
        return dataclasses.replace(value, files=tuple(with_sums_of(each, contents) for each in value.files))
    if isinstance(value, dict):
        return {key: with_sums_of(each, contents) for key, each in value.items()}
    if isinstance(value, tuple):
        return tuple(with_sums_of(each, contents) for each in value)
    if getattr(value, "stored", None) in contents:
        name = "md5" if hasattr(value, "md5") else "sha256"
        return dataclasses.replace(value, **{name: hashlib.new(name, contents[value.stored]).hexdigest()})
    return value
