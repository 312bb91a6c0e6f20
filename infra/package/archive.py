"""Archive: a zip whose bytes its contents alone decide.

Not the machine's clock, time zone or umask, and not the order in which a disk lists its files. How
well they are squeezed is zlib's business: another version of that may give other bytes.
"""

import hashlib
import stat
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

_TIME = (1980, 1, 1, 0, 0, 0)
_MODE = stat.S_IFREG | 0o644
_UNIX = 3
_LEVEL = 6


def write(files: Mapping[str, Path], path: Path) -> None:
    """Write an archive of these files, by their names in it; one that is there is replaced."""
    part = path.with_name(f"{path.name}.part")
    with ZipFile(part, "w") as archive:
        for name, file in sorted(files.items()):
            archive.writestr(_entry(name), file.read_bytes(), ZIP_DEFLATED, _LEVEL)
    part.replace(path)


def _entry(name: str) -> ZipInfo:
    entry = ZipInfo(name, _TIME)
    entry.create_system, entry.external_attr = _UNIX, _MODE << 16
    return entry


def said_of(path: Path) -> str:
    """Tell in a line how large an archive is, and what its bytes hash to."""
    with ZipFile(path) as archive, path.open("rb") as file:
        entries = archive.infolist()
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    unpacked = sum(entry.file_size for entry in entries)
    sizes = f"{path.stat().st_size / 2**20:.1f} MiB, {unpacked / 2**20:.1f} MiB unpacked"
    return f"{path}: {sizes}, {len(entries):,} files, sha256:{digest}"
