"""Fuzzing of everything that reads files: ``python -m tests.saving.fuzz --inputs 200000``.

Each input is a file made from a good one by mutations that know its format: bytes flipped and cut, JSON changed inside
(with checksums made right again, so that what lies behind them is reached), parts of archives replaced. A loader must
give what it loads or a ValueError (or CorruptFileError) that names the file, within seconds, within a limit of memory.
With atheris (``pip install atheris``) the choice of inputs is guided by the coverage of our modules; without it they
are drawn from the seed alone. A crash, a hang or another error is printed with the input's number and kept.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import gzip
import io
import json
import mmap
import os
import random
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SECONDS = 20  # for one input
MEGABYTES = 600  # that one input may take beyond what the process has
_ODD: list[Any] = [
    0, 1, -1, 2, 7, 255, 1000, 2**31, 2**32 + 1, 2**62, 2**64, 10**30, 0.5, -1e308, float("nan"), float("inf"), "", "x",
    "../../etc/passwd", "/etc/passwd", "relu", "\u0000", "é" * 300, None, True, False, [], {}, [[]], [None], [0, 0],
    [None, 4], [None, 10**6, 10**6, 3], {"class_name": "Dense", "config": {}}, {"class_name": "__tuple__"},
    {"__tensor__": "x"}, {"class_name": "function", "module": "os", "config": "system"},
]  # fmt: skip


# --- good files ---------------------------------------------------------------------------------------------


def seeds() -> dict[str, list[bytes]]:
    """Good files of every kind, small ones."""
    import ranvier as rv

    la = rv.layers
    rv.utils.set_random_seed(0)
    plain = rv.Sequential([rv.Input((4,)), la.Dense(3, "relu"), la.Dropout(0.5), la.Dense(2, "softmax")])
    x = inputs = rv.Input((8, 8, 3))
    x = la.Add()([la.Conv2D(3, 3, padding="same")(x), la.BatchNormalization()(x)])
    x = rv.ops.mean(x * 2.0, axis=[1, 2])
    graph = rv.Model(inputs, la.Dense(2)(x))
    words = rv.Sequential([rv.Input((5,), dtype="int32"), la.Embedding(7, 3), la.Bidirectional(la.LSTM(2))])
    for model in (plain, graph, words):
        model.compile("adam", "mse", metrics=["mae"])
        model.optimizer.build(model.trainable_variables)
    found: dict[str, list[bytes]] = {"rv": [], "keras": [], "tree": [], "h5": []}
    with tempfile.TemporaryDirectory() as folder:
        for i, model in enumerate((plain, graph, words)):
            for kind, name in (("rv", f"{i}.rv"), ("keras", f"{i}.keras"), ("tree", f"{i}.weights.h5")):
                path = Path(folder, name)
                model.save_weights(path) if kind == "tree" else model.save(path)
                found[kind].append(path.read_bytes())
        x, y = np.zeros((6, 4), np.float32), np.zeros((6, 2), np.float32)
        rules = [rv.callbacks.ModelCheckpoint(Path(folder, "m.rv"), save_freq=2), rv.callbacks.EarlyStopping("loss")]
        plain.fit(x, y, batch_size=2, verbose=0, callbacks=rules)
        found["rv"].append(Path(folder, "m.rv").read_bytes())
        found["h5"] += [_layered(Path(folder, f"{kind}.h5"), plain, kind) for kind in ("S",) * 15 + ("O",)]
    found["idx"] = [gzip.compress(struct.pack(">IIII", 0x803, 2, 3, 4) + bytes(range(24)))]
    found["npz"] = [_npz()]
    found["image"] = _images()
    return found


def _layered(path: Path, model: Any, kind: str) -> bytes:
    import h5py

    texts = {"S": "S", "O": h5py.string_dtype()}  # of a fixed length, and of any

    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array([layer.name for layer in model.layers], texts[kind])
        for layer in model.layers:
            group = file.create_group(layer.name)
            group.attrs["weight_names"] = np.array([v.name for v in layer.weights], texts[kind])
            for v in layer.weights:
                group[v.name] = v.numpy()
    return path.read_bytes()


def _npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, x=np.arange(6.0).reshape(2, 3), y=np.arange(2))
    return buffer.getvalue()


def _images() -> list[bytes]:
    from PIL import Image

    picture = Image.fromarray((np.arange(12 * 10 * 3) % 251).astype(np.uint8).reshape(12, 10, 3))
    found = []
    for kind in ("png", "jpeg", "bmp", "gif", "tiff", "ppm", "webp"):
        buffer = io.BytesIO()
        with contextlib.suppress(Exception):
            picture.save(buffer, kind)
            found.append(buffer.getvalue())
    return found


# --- mutations ----------------------------------------------------------------------------------------------


def _bytes(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        place = rng.randrange(len(changed) + 1)
        what = rng.randrange(6)
        if what == 0:
            del changed[place:]
        elif what == 1:
            del changed[place : place + rng.randint(1, 64)]
        elif what == 2:
            changed[place:place] = rng.randbytes(rng.randint(1, 16))
        elif what == 3:
            changed[place : place + 8] = struct.pack(
                "<Q", rng.choice([0, 2**32 - 1, 2**63, 2**64 - 1, rng.getrandbits(40)])
            )
        elif place < len(changed):
            changed[place] = rng.randrange(256) if what == 4 else changed[place] ^ 1 << rng.randrange(8)
    return bytes(changed)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """(holder, key) of everything inside."""
    found, waiting = [], [value]
    while waiting:
        item = waiting.pop()
        keys = list(item) if isinstance(item, dict) else range(len(item)) if isinstance(item, list) else ()
        for key in keys:
            found.append((item, key))
            waiting.append(item[key])
    return found


def _json(value: Any, rng: random.Random, classes: list[str]) -> Any:
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        places = _places(value)
        if not places:
            return copy.deepcopy(rng.choice(_ODD))
        holder, key = rng.choice(places)
        named = [(h, k) for h, k in places if k == "class_name"]
        what = rng.randrange(7)
        if what == 0 and isinstance(holder, dict):
            del holder[key]
        elif what == 1 and named:
            holder, key = rng.choice(named)
            holder[key] = rng.choice(classes)
        elif what == 2:
            other, place = rng.choice(places)
            holder[key] = json.loads(json.dumps(other[place]))
        elif what == 3 and isinstance(holder[key], (int, float)) and not isinstance(holder[key], bool):
            holder[key] = rng.choice([holder[key] + 1, -holder[key], holder[key] * 10**6, float(holder[key])])
        elif what == 4 and isinstance(holder, list):
            holder.insert(key, json.loads(json.dumps(holder[key])))
        elif what == 5 and rng.random() < 0.05:
            holder[key] = json.loads("[" * 800 + "]" * 800) if rng.random() < 0.5 else "x" * 100_000
        else:
            holder[key] = copy.deepcopy(rng.choice(_ODD))
    return value


def _rv(data: bytes, rng: random.Random, classes: list[str]) -> bytes:
    length = struct.unpack("<Q", data[:8])[0]
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    if rng.random() < 0.25:
        return _bytes(data, rng)
    text = json.loads(header["__metadata__"]["ranvier"])
    if rng.random() < 0.8:
        text = _json(text, rng, classes)
    if rng.random() < 0.3:
        header = _json(header, rng, classes)
    if isinstance(header, dict) and isinstance(header.get("__metadata__"), dict):
        written = json.dumps(text)
        crc = f"{zlib.crc32(written.encode('utf-8', 'replace')):08x}"
        header["__metadata__"] |= {"ranvier": written, "ranvier_crc32": crc}
    head = json.dumps(header).encode()
    return struct.pack("<Q", len(head)) + head + body


def _keras(data: bytes, rng: random.Random, classes: list[str]) -> bytes:
    if rng.random() < 0.2:
        return _bytes(data, rng)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    if rng.random() < 0.75:
        parts["config.json"] = json.dumps(_json(json.loads(parts["config.json"]), rng, classes)).encode()
    else:
        name = rng.choice(list(parts))
        parts[name] = _bytes(parts[name], rng)
    if rng.random() < 0.03:
        parts["../escaped"] = b"x"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", rng.choice([zipfile.ZIP_STORED] * 3 + [zipfile.ZIP_DEFLATED])) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return buffer.getvalue()


def _gzipped(data: bytes, rng: random.Random) -> bytes:
    return _bytes(data, rng) if rng.random() < 0.4 else gzip.compress(_bytes(gzip.decompress(data), rng), 1)


# --- loading ------------------------------------------------------------------------------------------------


class Loaders:
    """What each kind of file is given to, and the errors that it may end with."""

    def __init__(self, folder: Path) -> None:
        import ranvier as rv
        from ranvier.datasets._files import CorruptFileError
        from ranvier.datasets._idx import IdxFile
        from ranvier.datasets._npz import read_npz

        self.rv = rv
        self.folder = folder
        self.good = seeds()
        self.kinds = list(self.good)
        self.classes = [n for n in dir(rv.layers) if n[0].isupper()] + ["Sequential", "Functional", "Adam", "SGD"]
        self.fine = (ValueError, CorruptFileError)
        la = rv.layers
        self.model = rv.Sequential([rv.Input((4,)), la.Dense(3, "relu"), la.Dropout(0.5), la.Dense(2, "softmax")])
        self.idx = IdxFile("train", (2, 3, 4), "0" * 64)
        self.read_npz = read_npz

    def make(self, kind: str, rng: random.Random) -> bytes:
        """A file of a kind, mutated."""
        data = rng.choice(self.good[kind])
        return self.mutated(kind, data, rng)

    def mutated(self, kind: str, data: bytes, rng: random.Random) -> bytes:
        """A file mutated by what is known of its kind; byte by byte where it has lost its structure."""
        structured = {"rv": _rv, "keras": _keras}.get(kind)
        try:
            if structured is not None:
                return structured(data, rng, self.classes)
            if kind == "idx":
                return _gzipped(data, rng)
        except Exception:  # also: nested deeper than JSON can be written
            pass
        return _bytes(data, rng)

    def load(self, kind: str, data: bytes) -> str:
        """Loads it; "loaded" or "refused". Anything else is raised."""
        suffix = {"rv": ".rv", "keras": ".keras", "tree": ".weights.h5", "h5": ".h5", "image": ".png"}.get(kind, "")
        path = self.folder / f"input{suffix}"
        path.write_bytes(data)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._load(kind, path, data)
        except self.fine as error:
            if kind != "npz" and "input" not in str(error):
                raise AssertionError(f"the error does not name the file: {error!r}") from error
            return "refused"
        return "loaded"

    def _load(self, kind: str, path: Path, data: bytes) -> None:
        rv = self.rv
        if kind in ("rv", "keras"):
            rv.models.load_model(path)
        elif kind in ("tree", "h5"):
            self.model.load_weights(path)
        elif kind == "idx":
            self.idx.parse(data, str(path))
        elif kind == "npz":
            self.read_npz(data, str(path), ("x", "y"))
        else:
            rv.utils.load_img(path, target_size=(8, 8))


def check(loaders: Loaders, number: int, seed: int) -> tuple[str, str]:
    """The kind of input ``number``, and what became of it."""
    rng = random.Random(f"{seed}/{number}")
    kind = loaders.kinds[number % len(loaders.kinds)]
    return kind, loaders.load(kind, loaders.make(kind, rng))


# --- the loop without coverage --------------------------------------------------------------------------------


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    size = pages * os.sysconf("SC_PAGE_SIZE") + (MEGABYTES << 20)
    resource.setrlimit(resource.RLIMIT_AS, (size, size))


def _worker(loaders: Loaders, first: int, last: int, seed: int, place: mmap.mmap, write: int) -> None:
    _limit_memory()
    counts: Counter[str] = Counter()
    for number in range(first, last):
        place[:8] = struct.pack("<q", number)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)  # of this process: a stopped machine is no hang
        try:
            kind, result = check(loaders, number, seed)
        except BaseException as error:
            lines = traceback.format_exception(error)
            os.write(write, json.dumps({"number": number, "error": "".join(lines)[-1500:]}).encode() + b"\n")
            continue
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        counts[f"{kind} {result}"] += 1
    os.write(write, json.dumps({"counts": counts}).encode() + b"\n")


def run(inputs: int, seed: int = 0, report: Callable[[str], Any] = print) -> tuple[Counter[str], list[str]]:
    """What became of so many inputs by kind, and what was found: errors that no loader may give, crashes, hangs."""
    counts: Counter[str] = Counter()
    found: list[str] = []
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        loaders = Loaders(Path(folder))
        place = mmap.mmap(-1, 8)
        number = 0
        while number < inputs:
            last = min(number + 5000, inputs)
            read, write = os.pipe()
            process = os.fork()
            if process == 0:
                os.close(read)
                status = 1
                try:
                    _worker(loaders, number, last, seed, place, write)
                    status = 0
                finally:
                    os._exit(status)
            os.close(write)
            with os.fdopen(read) as lines:
                for line in lines:
                    told = json.loads(line)
                    counts.update(told.get("counts", {}))
                    if "error" in told:
                        found.append(f"input {told['number']} (seed {seed}): {told['error']}")
                        report(found[-1])
            _, status = os.waitpid(process, 0)
            at = struct.unpack("<q", place[:8])[0]
            if status:
                kind = loaders.kinds[at % len(loaders.kinds)]
                found.append(f"input {at} (seed {seed}, {kind}): the process ended by signal {status & 127}")
                report(found[-1])
            number = at + 1 if status else last
        escaped = [p.name for p in Path(folder).parent.iterdir() if "escaped" in p.name]
        assert not escaped, f"an archive wrote outside its folder: {escaped}"
    return counts, found


# --- guided by coverage ---------------------------------------------------------------------------------------


def guided(inputs: int, corpus: str, seed: int) -> None:
    """With atheris: inputs are (kind, seed) with which a file is mutated, or files themselves, mutated by libFuzzer."""
    import atheris

    with atheris.instrument_imports(include=["ranvier.saving", "ranvier.models", "ranvier.layers", "ranvier.datasets"]):
        import ranvier  # noqa: F401
    folder = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    loaders = Loaders(folder)
    counts: Counter[str] = Counter()
    for i, kind in enumerate(loaders.kinds):
        for j, data in enumerate(loaders.good[kind]):
            Path(corpus, f"{kind}{j}").write_bytes(bytes([i]) + data)
    known: set[str] = set()
    begin = time.perf_counter()

    def one(data: bytes) -> None:
        if data:
            kind = loaders.kinds[data[0] % len(loaders.kinds)]
            try:
                counts[f"{kind} {loaders.load(kind, data[1:])}"] += 1
            except Exception as error:
                counts[f"{kind} FINDING"] += 1
                where = traceback.extract_tb(error.__traceback__)[-1]
                if (key := f"{type(error).__name__} at {where.filename}:{where.lineno}") not in known:
                    known.add(key)
                    Path(corpus, f"finding{len(known)}").write_bytes(data)
                    print("FINDING", kind, "".join(traceback.format_exception(error))[-1500:], flush=True)
            total = sum(counts.values())
            if total % 20_000 == 0:
                print(total, f"{time.perf_counter() - begin:.0f} s", dict(sorted(counts.items())), flush=True)

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        rng = random.Random(seed)
        first = data[0] % len(loaders.kinds) if data and rng.random() < 0.9 else rng.randrange(len(loaders.kinds))
        kind = loaders.kinds[first]
        same = bool(data) and data[0] % len(loaders.kinds) == first and rng.random() < 0.9
        changed = loaders.mutated(kind, data[1:], rng) if same else loaders.make(kind, rng)
        return (bytes([first]) + changed)[:most]

    arguments = [
        f"-runs={inputs}",
        f"-timeout={SECONDS}",
        f"-rss_limit_mb={MEGABYTES + 400}",
        "-max_len=60000",
        f"-seed={seed + 1}",
    ]
    atheris.Setup([sys.argv[0], *arguments, corpus], one, custom_mutator=mutate)
    atheris.Fuzz()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--guided", action="store_true", help="with atheris, by coverage")
    parser.add_argument("--corpus", help="a folder for the inputs that atheris finds worth keeping")
    args = parser.parse_args()
    if args.guided:
        guided(args.inputs, args.corpus or tempfile.mkdtemp(), args.seed)
        return
    begin = time.perf_counter()
    counts, found = run(args.inputs, args.seed)
    print(f"{sum(counts.values())} inputs in {time.perf_counter() - begin:.0f} s: {dict(sorted(counts.items()))}")
    print(f"{len(found)} findings")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
