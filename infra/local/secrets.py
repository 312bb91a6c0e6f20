"""What is kept in DATA beside the storage: the admin password and the master key, made once."""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from infra.devhost.settings import StartError

_FILE = "secrets.json"


@dataclass(frozen=True, slots=True)
class Secrets:
    """Two secrets that outlive a restart."""

    admin_password: str
    master_key: str


def keep(data: Path) -> Secrets:
    """Give the secrets kept in the folder; make the folder and the secrets on the first start."""
    path = data / _FILE
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _write(path, Secrets(secrets.token_hex(16), secrets.token_hex(32)))
        if not os.access(data, os.W_OK | os.X_OK):
            raise PermissionError(None, "Permission denied", str(data))
        return Secrets(**json.loads(path.read_text()))
    except OSError as error:
        raise StartError(f"DATA={data} cannot be used: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise StartError(f"{path} is damaged; without it logins and uploads are void") from error


def _write(path: Path, kept: Secrets) -> None:
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600)  # never readable by others, not even for a moment
    draft.write_text(json.dumps(asdict(kept)))
    draft.replace(path)
