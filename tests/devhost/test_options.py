"""What `make run` is told, read without starting anything."""

from pathlib import Path

import pytest

from infra.devhost.settings import StartError
from infra.local.options import Options


@pytest.mark.parametrize("data", ["state", "tests/state", ".database", ".data/../state", "."])
def test_secrets_are_not_kept_in_what_is_published(tmp_path: Path, data: str) -> None:
    with pytest.raises(StartError, match="would be published with the app") as caught:
        Options.read({"DATA": str(tmp_path / data)}, tmp_path)
    assert "\n" not in str(caught.value)


def test_nor_by_another_name_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "app")
    with pytest.raises(StartError):
        Options.read({"DATA": str(tmp_path / "link" / "state")}, tmp_path / "app")


@pytest.mark.parametrize("data", [".data", ".data/one", "../state", "../app-state"])
def test_they_are_kept_anywhere_else(tmp_path: Path, data: str) -> None:
    app = tmp_path / "app"
    assert Options.read({"DATA": str(app / data)}, app).data == (app / data).resolve()


def test_the_usual_folder_is_good(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert Options.read({"DATA": ""}, tmp_path).data == tmp_path / ".data"
