"""The Bicep compiler, kept running: a start takes it a second, a file then a fraction of one.

`Bicep` asks it by JSON-RPC, on its standard streams. `Deployed` is what it says that a file of
parameters would deploy. What only Azure knows is left in it as an expression, `[reference(…)]`.
"""

import contextlib
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support import tools

FOLDER = Path(__file__).parents[2] / "infra" / "azure"
SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
TENANT = "00000000-0000-0000-0000-000000000001"

type Resource = Mapping[str, Any]


class Refused(Exception):
    """Why parameters are not deployed."""


class Bicep:
    """The compiler as a process of its own."""

    def __init__(self, **settings: str) -> None:
        kept = {name: os.environ[name] for name in ("HOME", "TMPDIR") if name in os.environ}  # noqa: TID251 - it unpacks itself below HOME
        self._process = subprocess.Popen(
            [tools.brought("bicep"), "jsonrpc", "--stdio"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=tools.environment(DOTNET_SYSTEM_GLOBALIZATION_INVARIANT="1", **kept, **settings),
        )
        self._asked = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def compile(self, file: Path) -> tuple[str, list[str]]:
        """Give a file's template, and what the compiler and its linter say of it."""
        way = "compileParams" if file.suffix == ".bicepparam" else "compile"
        more: dict[str, Any] = {"parameterOverrides": {}} if file.suffix == ".bicepparam" else {}
        answer = self._ask(way, {"path": str(file), **more})
        said = [f"{it['code']}: {it['message']}" for it in answer["diagnostics"]]
        return str(answer.get("contents") or answer.get("template") or ""), said

    def formatted(self, file: Path) -> str:
        """Give a file as it ought to look."""
        return str(self._ask("format", {"path": str(file)})["contents"])

    def deployed(self, file: Path) -> "Deployed":
        """Evaluate a file of parameters; raises Refused."""
        place = {"tenantId": TENANT, "subscriptionId": SUBSCRIPTION, "location": "westeurope"}
        asked = {"path": str(file), "metadata": place, "externalInputs": []}
        found = json.loads(self._ask("getSnapshot", asked)["snapshot"])
        assert not found["diagnostics"]
        return Deployed(tuple(found["predictedResources"]), found["outputs"])

    def varied(self, file: Path, **values: object) -> "Deployed":
        """Evaluate a file of parameters, some of which are others; raises Refused."""
        with _variation(file, values) as varied:
            return self.deployed(varied)

    def _ask(self, method: str, params: Mapping[str, Any]) -> Any:
        sent, received = self._process.stdin, self._process.stdout
        assert sent
        assert received
        self._asked += 1
        asked = {"jsonrpc": "2.0", "id": self._asked, "method": f"bicep/{method}", "params": params}
        body = json.dumps(asked).encode()
        sent.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        sent.flush()
        head = b"".join(iter(received.readline, b"\r\n"))
        length = re.search(rb"Content-Length: (\d+)", head)
        assert length, head
        answer = json.loads(received.read(int(length[1])))
        if "error" in answer:
            raise Refused(answer["error"]["data"]["message"])
        return answer["result"]


@contextlib.contextmanager
def _variation(file: Path, values: Mapping[str, object]) -> Iterator[Path]:
    """Write the file anew elsewhere; the template that it names stays where it is."""
    text = file.read_text()
    for name, value in values.items():
        given = f"param {name} = {_spelled(value)}\n"
        text, count = re.subn(rf"(?ms)^param {name} = .*?\n(?=param|var|//|\n|\Z)", given, text)
        text += "" if count else given
    with tempfile.TemporaryDirectory() as folder:
        varied = Path(folder) / file.name
        varied.write_text(moved(text, file.parent, varied.parent))
        yield varied


def moved(text: str, old: Path, new: Path) -> str:
    """Give the text of a file of parameters as it is in another folder."""
    (named,) = re.findall(r"(?m)^using '(.+)'$", text)
    place = os.path.relpath((old / named).resolve(), new.resolve())
    return text.replace(f"using '{named}'", f"using '{place}'")


def _spelled(value: object) -> str:
    """Spell a value as Bicep does."""
    match value:
        case bool() | int():
            return json.dumps(value)
        case str():
            return f"'{value}'"
        case Mapping():
            pairs = (f"{name}: {_spelled(each)}" for name, each in value.items())
            return "{ " + ", ".join(pairs) + " }"
        case Sequence():
            return "[" + ", ".join(map(_spelled, value)) + "]"
    return "null"


@dataclass(frozen=True, slots=True)
class Deployed:
    """What parameters would deploy."""

    resources: tuple[Resource, ...]
    outputs: Mapping[str, Any]

    def all(self, kind: str) -> list[Resource]:
        """Give the resources of a type, such as Microsoft.Web/sites."""
        return [it for it in self.resources if it["type"].lower() == kind.lower()]

    def one(self, kind: str) -> Resource:
        """Give the only resource of a type."""
        (found,) = self.all(kind)
        return found

    def properties(self, kind: str) -> Mapping[str, Any]:
        """Give the properties of the only resource of a type."""
        found: Mapping[str, Any] = self.one(kind)["properties"]
        return found

    @property
    def content(self) -> Resource:
        """The storage account of the registry."""
        return self._accounts()[0]

    @property
    def package(self) -> Resource:
        """The storage account of the function app's package."""
        return self._accounts()[1]

    def _accounts(self) -> tuple[Resource, Resource]:
        accounts = self.all("Microsoft.Storage/storageAccounts")
        package, content = sorted(accounts, key=lambda it: not it["name"].startswith("stpkg"))
        return content, package

    @property
    def function_settings(self) -> Mapping[str, str]:
        """What the function app is told."""
        return self.properties("Microsoft.Web/sites/config")

    @property
    def container_settings(self) -> Mapping[str, str]:
        """What the container is told."""
        (container,) = self.properties("Microsoft.App/containerApps")["template"]["containers"]
        return {it["name"]: it["value"] for it in container["env"]}


def plain(text: str) -> str:
    """Give a value as Azure might say it where it is an expression, else as it is."""
    if not text.startswith("["):
        return text
    told = {
        ".outputs.blobEndpoint.value]": "https://store.blob.core.windows.net/",
        ".outputs.queueEndpoint.value]": "https://store.queue.core.windows.net/",
        ".outputs.tableEndpoint.value]": "https://store.table.core.windows.net/",
        ".outputs.keyUri.value]": "https://vault.vault.azure.net/keys/master-key",
        ".outputs.clientId.value]": "00000000-0000-0000-0000-0000000000cc",
        ".outputs.connectionString.value]": "InstrumentationKey=0",
        ";Authorization=AAD'": "ClientId=0;Authorization=AAD",
        ".outputs.defaultDomain.value": "registry.example.azurecontainerapps.io",
        ".defaultHostName": "func.example.net",
    }
    return next(said for part, said in told.items() if part in text)
