"""Files from the net: cached, checked against a hash, there whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import tarfile
import urllib.parse
import zipfile
from pathlib import Path
from typing import Any

from ranvier.datasets._files import CHUNK_BYTES, parts_of


def _hasher(algorithm: str, expected: str) -> Any:
    if algorithm not in ("auto", "sha256", "md5"):
        raise ValueError(f"get_file: hash_algorithm must be 'auto', 'sha256' or 'md5', got {algorithm!r}")
    md5 = algorithm == "md5" or (algorithm == "auto" and len(expected) != 64)
    return hashlib.md5() if md5 else hashlib.sha256()


def hash_of(path: Path, algorithm: str, expected: str) -> str:
    """A file's hash in hex, by ``algorithm``; "auto": SHA-256 if ``expected`` has its length, else MD5."""
    found = _hasher(algorithm, expected)
    with open(path, "rb") as file:
        while part := file.read(CHUNK_BYTES):
            found.update(part)
    return str(found.hexdigest())


def _download(origin: str, target: Path) -> None:
    """The bytes at a URL, streamed into ``target``. Raises OSError where they end too early."""
    with open(target, "xb") as file:
        for part in parts_of(origin):
            file.write(part)
        file.flush()
        os.fsync(file.fileno())


def _inside(folder: Path, name: str) -> bool:
    return (folder / name).resolve().is_relative_to(folder.resolve())


def _extract(archive: Path, folder: Path, archive_format: Any) -> bool:
    """Unpacks an archive to ``folder``, which appears whole or not at all; nothing may land outside it."""
    formats = ["tar", "zip"] if archive_format == "auto" else archive_format
    formats = [formats] if isinstance(formats, str) else list(formats or [])
    unknown = [f for f in formats if f not in ("tar", "zip")]
    if unknown:
        raise ValueError(f"get_file: archive_format must be 'auto', 'tar', 'zip' or None, got {unknown[0]!r}")
    temporary = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.tmp")
    try:
        if "tar" in formats and tarfile.is_tarfile(archive):
            with tarfile.open(archive) as tar:
                tar.extractall(temporary, filter="data")
        elif "zip" in formats and zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as packed:
                outside = [name for name in packed.namelist() if not _inside(temporary, name)]
                if outside:
                    raise ValueError(f"get_file: {archive} would write outside its folder: {outside[0]!r}")
                packed.extractall(temporary)
        else:
            return False
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(temporary, folder)
        return True
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _names(fname: str | None, origin: str, packed: bool) -> tuple[str, str]:
    """The names of the downloaded file and of the folder it is unpacked to, as Keras chooses them."""
    name = fname or os.path.basename(urllib.parse.urlsplit(origin).path)
    if not name:
        raise ValueError(f"get_file: {origin!r} names no file; give fname")
    if os.sep in name or name in (".", ".."):
        raise ValueError(f"get_file: fname must be a name without a path, got {name!r}; use cache_dir and cache_subdir")
    if not packed:
        return name, name
    if fname and "." in name:
        return name, f"{name[: name.find('.')]}_extracted"
    return f"{name}_archive", name


def get_file(
    fname: str | None = None,
    origin: str | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: Any = "auto",
    cache_dir: Any = None,
    force_download: bool = False,
) -> str:
    """The path of a file from ``origin``, downloaded once into ``cache_dir/cache_subdir``.

    ``cache_dir`` is RANVIER_HOME or ~/.cache/ranvier. ``file_hash`` (SHA-256 or MD5 in hex) is checked on a file found
    there and on a new one, which takes its place only when it is whole and right. ``extract``: a tar or zip archive is
    unpacked beside it, and the folder's path is returned. Raises ValueError for a wrong hash, OSError where the
    download fails. Source: Keras ``utils.get_file``.
    """
    if origin is None:
        raise ValueError("get_file: origin, the URL of the file, is missing")
    if file_hash is None and md5_hash is not None:
        file_hash, hash_algorithm = md5_hash, "md5"
    home = cache_dir or os.environ.get("RANVIER_HOME") or Path.home() / ".cache" / "ranvier"
    folder = Path(home).expanduser() / cache_subdir
    folder.mkdir(parents=True, exist_ok=True)
    name, unpacked = _names(os.fspath(fname) if fname else None, origin, extract or untar)
    target = folder / name
    there = target.is_file() and not force_download
    if there and file_hash is not None and hash_of(target, hash_algorithm, file_hash) != file_hash.lower():
        there = False  # incomplete or outdated
    if not there:
        _fetch(origin, target, file_hash, hash_algorithm)
    if not (extract or untar):
        return str(target)
    if (not there or not (folder / unpacked).is_dir()) and not _extract(
        target, folder / unpacked, "tar" if untar else archive_format
    ):
        raise ValueError(f"get_file: {target} is no {'tar' if untar else 'tar or zip'} archive")
    return str(folder / unpacked)


def _fetch(origin: str, target: Path, file_hash: str | None, algorithm: str) -> None:
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        try:
            _download(origin, temporary)
        except OSError as error:
            raise OSError(f"get_file: {origin} could not be downloaded: {error}") from error
        if file_hash is not None:
            found = hash_of(temporary, algorithm, file_hash)
            if found != file_hash.lower():
                raise ValueError(f"get_file: {origin} has the wrong content: hash {found}, expected {file_hash}")
        os.replace(temporary, target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
