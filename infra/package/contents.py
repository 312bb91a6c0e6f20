"""Contents: which files the package holds, and what each is called in it.

The app's files are the ones that .funcignore does not leave out (a test compares), and of those
what is named here alone, of folders the modules: nothing that merely lies about is published. Of
the packages all but their tests, the launchers, and the installer's notes, which name this
machine's folders.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

APP = ("LICENSE", "function_app.py", "host.json", "requirements.txt", "functions", "shared")
"""What of the app's folder is taken."""

PACKAGES = ".python_packages/lib/site-packages"
"""Where the host of Azure Functions looks for packages."""

_LEFT_OUT = {"__pycache__", "tests"}
_NOTES = {"INSTALLER", "RECORD", "REQUESTED", "direct_url.json", "uv_cache.json"}


def contents(app: Path, packages: Path) -> Mapping[str, Path]:
    """Give the files by their names in the package, in order."""
    named = {
        **{path.relative_to(app).as_posix(): path for path in _app_files(app)},
        **{f"{PACKAGES}/{name}": path for name, path in _package_files(packages)},
    }
    return dict(sorted(named.items()))


def _app_files(app: Path) -> Iterator[Path]:
    for path in (app / name for name in APP):
        yield from (path,) if path.is_file() else filter(_is_taken, _files(path))


def _is_taken(path: Path) -> bool:
    return path.suffix == ".py"


def _package_files(packages: Path) -> Iterator[tuple[str, Path]]:
    for path in _files(packages):
        name = path.relative_to(packages)
        is_launcher = name.parts[0] == "bin"
        is_note = name.parts[0].endswith(".dist-info") and path.name in _NOTES
        if not (is_launcher or is_note or path.name.startswith(".")):
            yield name.as_posix(), path


def _files(folder: Path) -> Iterator[Path]:
    """Give the files of a folder, with those of the folders in it."""
    for path in folder.iterdir():
        if path.is_dir() and path.name not in _LEFT_OUT and not path.name.startswith("."):
            yield from _files(path)
        elif path.is_file():
            yield path
