"""Bytecode: each module compiled once, here, and not at the start of every instance.

Loading the app from source takes more than twice as long. What the host unpacks has times of its
own, so the bytecode is never compared with its source.
"""

import importlib.util
import marshal
from collections.abc import Mapping
from pathlib import Path

_UNCHECKED = (1).to_bytes(4, "little")
_FORMAT = 2
"""The newer ones write down which objects this process happens to share: other bytes each time."""


def compiled(files: Mapping[str, Path], folder: Path) -> Mapping[str, Path]:
    """Compile the modules among these files into a folder; give the results, named beside them.

    A traceback names the file that a module was loaded from, whatever it is called here.
    """
    results = {}
    for name, path in files.items():
        if path.suffix == ".py":
            beside = importlib.util.cache_from_source(name, optimization="")
            results[beside] = folder / beside
            results[beside].parent.mkdir(parents=True, exist_ok=True)
            results[beside].write_bytes(_bytecode(path.read_bytes(), name))
    return results


def _bytecode(source: bytes, name: str) -> bytes:
    code = compile(source, name, "exec", dont_inherit=True)
    head = importlib.util.MAGIC_NUMBER + _UNCHECKED + importlib.util.source_hash(source)
    return head + marshal.dumps(code, _FORMAT)
