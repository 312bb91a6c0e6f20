"""python -m infra.package: the zip that Azure Functions runs, and the same unpacked."""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path
from zipfile import ZipFile

from infra.package import archive, bytecode, wheels
from infra.package.contents import contents

_REPOSITORY = Path(__file__).parents[2]
_NAME = "registry"


def main() -> None:
    """Write registry.zip, and the folder registry with its contents."""
    parser = argparse.ArgumentParser(prog="python -m infra.package", description=__doc__)
    parser.add_argument("--app", type=Path, default=_REPOSITORY, help="the app's folder")
    parser.add_argument("--out", type=Path, default=Path("build"), help="where to write it")
    given = parser.parse_args()
    try:
        print(archive.said_of(package(given.app.resolve(), given.out)))
    except wheels.WheelsMissing as error:
        sys.exit(f"package: {error}")


def package(app: Path, out: Path) -> Path:
    """Write the package of the app into a folder, and give its path; raises WheelsMissing."""
    out.mkdir(parents=True, exist_ok=True)
    path, unpacked = out / f"{_NAME}.zip", out / _NAME
    with tempfile.TemporaryDirectory() as given:
        packages, cache = Path(given, "packages"), Path(given, "bytecode")
        wheels.bring(app / "requirements.txt", packages)
        files = contents(app, packages)
        archive.write({**files, **bytecode.compiled(files, cache)}, path)
    shutil.rmtree(unpacked, ignore_errors=True)
    with ZipFile(path) as written:
        written.extractall(unpacked)
    return path


if __name__ == "__main__":
    main()
