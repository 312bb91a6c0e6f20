"""The figures that the READMEs tell, held against host.json, the parameters and the host."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from infra.devhost.settings import StartError, body_limit
from infra.host.settings import Surroundings
from tests.support.app import ROOT
from tests.support.bicep import FOLDER, Bicep, Deployed


def page(file: Path) -> str:
    """Read a page, with letters alone for what stands between two figures."""
    return file.read_text().replace("\N{MULTIPLICATION SIGN}", "x")


AZURE = page(FOLDER / "README.md")
PROJECT = page(ROOT / "README.md")
MIB = 1 << 20
GIB = 1 << 30


def told(pattern: str, text: str = AZURE) -> list[int]:
    """Read the figures of the only place that says this."""
    (found,) = re.findall(pattern, " ".join(text.split()))
    figures = found if isinstance(found, tuple) else (found,)
    return [int(figure.replace(",", "")) for figure in figures]


def defaults() -> dict[str, str]:
    """Give the defaults of the parameters, as main.bicep has them."""
    text = (FOLDER / "main.bicep").read_text()
    found = re.findall(r"^param (\w+) \S+(?: = (.*))?$", text, re.MULTILINE)
    return dict(found)


def bounds(name: str) -> list[int]:
    """Give the bounds or choices of a parameter."""
    text = (FOLDER / "main.bicep").read_text()
    (before,) = re.findall(rf"((?:^@.*\n)+)^param {name} ", text, re.MULTILINE)
    return [int(figure) for figure in re.findall(r"\b\d+\b", re.sub(r"@desc.*", "", before))]


def rows() -> list[tuple[str, str]]:
    """Give the parameters of the README's table, each with the default that it tells."""
    table = AZURE.partition("| azd | parameter | default |")[2].partition("\n\n")[0]
    found: list[tuple[str, str]] = []
    for line in table.splitlines()[2:]:
        names, default = (cell.strip() for cell in line.strip("| ").split(" | ", 2)[1:])
        each = re.findall(r"`(\w+)`", names)
        found += zip(each, default.split(", ") if len(each) > 1 else [default], strict=True)
    return found


@pytest.mark.parametrize(("name", "said"), rows())
def test_the_table_tells_the_defaults(name: str, said: str) -> None:
    first = re.split(r"[;:]| \(|, ", said)[0].strip("`").replace("who deploys", "[]")

    assert defaults()[name] in (("''", "") if first == "none" else (first, f"'{first}'"))


def test_the_table_has_every_parameter_that_may_be_left_out() -> None:
    may_be_left_out = {name for name, value in defaults().items() if value} | {"subnets"}

    assert {name for name, _ in rows()} == may_be_left_out


def test_the_table_of_memory_is_the_rule(bicep: Bicep) -> None:
    table = AZURE.partition("| `instanceMemoryMB` | `bodyLimitMiB` x `concurrentRequests` |")[2]
    found = dict(re.findall(r"^\| (\d+) \| (.*) \|$", table, re.MULTILINE))
    sizes = {size: re.findall(r"(\d+) x (\d+)", cell) for size, cell in found.items()}

    assert sizes.keys() == {"2048", "4096"}
    for size, pairs in sizes.items():
        for limit, requests in pairs:
            assert 4 * int(limit) * int(requests) * 2 == int(size)
    by_default = (defaults()["bodyLimitMiB"], defaults()["concurrentRequests"])
    assert sizes[defaults()["instanceMemoryMB"]][0] == by_default
    assert f"{' x '.join(by_default)} (the default)" in found["2048"]


def test_the_project_tells_the_same_rule() -> None:
    smaller, larger = re.findall(
        r"(?<=\()(\d+ MiB x \d+) on 2,048 MB; (\d+ MiB x \d+ or \d+ MiB x \d+) on 4,096 MB", PROJECT
    )[0]
    for pairs, size in ((smaller, 2048), (larger, 4096)):
        for limit, requests in re.findall(r"(\d+) MiB x (\d+)", pairs):
            assert 8 * int(limit) * int(requests) == size


def test_the_largest_layer_on_functions_is_the_limit_of_bodies() -> None:
    limit = int(defaults()["bodyLimitMiB"])

    assert told(r"largest layer \| (\d+) MiB with every client") == [limit]
    assert told(r"on Functions, for layers up to (\d+) MiB", PROJECT) == [limit]
    assert told(r"--limit (\d+)MiB") == [limit]


def test_the_platforms_own_limit_is_the_one_that_the_dev_host_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT", raising=False)

    assert told(r"the platform's own: (\d+) MiB") == [body_limit() // MIB]
    assert told(r"the host's, (\d+) \|", PROJECT) == [body_limit()]


def test_a_request_to_the_container_takes_as_long_as_is_told() -> None:
    minutes, most = int(defaults()["requestMinutes"]), bounds("requestMinutes")[1]

    assert told(r"\| a request of (\d+) s \| `container`") == [minutes * 60]
    assert told(r"\| `requestMinutes` \| (\d+); more, up to (\d+), is premium") == [minutes, most]
    size, for_minutes, speed = told(r"a layer of (\d+) GiB in (\d+) minutes is (\d+) Mbit/s")
    assert for_minutes == minutes
    assert round(size * GIB * 8 / (minutes * 60) / 1e6) == speed


def test_the_functions_host_lets_work_run_as_long_as_the_longest_request() -> None:
    host = json.loads((ROOT / "host.json").read_text())

    assert host["functionTimeout"] == f"00:{bounds('requestMinutes')[1]}:00"


def test_a_replica_that_ends_gives_its_requests_what_is_told(
    bicep: Bicep, examples: Mapping[str, Deployed]
) -> None:
    usual = Surroundings.read(examples["container-public"].container_settings)
    premium = Surroundings.read(examples["container-private"].container_settings)

    assert told(r"gives its requests (\d+) s, with premium ingress up to (\d+) s") == [
        usual.serving_seconds,
        premium.serving_seconds,
    ]
    template = examples["container-private"].properties("Microsoft.App/containerApps")["template"]
    assert template["terminationGracePeriodSeconds"] == 600  # "kills after ten minutes"


def test_the_settings_of_the_host_are_what_is_told() -> None:
    (default,) = told(r"`REGISTRY_DRAIN_SECONDS` \| `(\d+)` \|", PROJECT)
    least, most = told(r"it has ended after SIGTERM, (\d+) to (\d+) \|", PROJECT)

    assert Surroundings.read({}).drain_seconds == default
    for seconds in (least, most):
        given = {"REGISTRY_DRAIN_SECONDS": str(seconds)}
        assert Surroundings.read(given).drain_seconds == seconds
    for seconds in (least - 1, most + 1):
        with pytest.raises(StartError):
            Surroundings.read({"REGISTRY_DRAIN_SECONDS": str(seconds)})


def test_a_deleted_vault_comes_back_as_long_as_is_told(examples: Mapping[str, Deployed]) -> None:
    vault = examples["functions-public"].properties("Microsoft.KeyVault/vaults")

    assert told(r"Key Vault stays recoverable for (\d+) days") == [
        vault["softDeleteRetentionInDays"]
    ]


def test_events_are_tried_as_long_as_is_told(examples: Mapping[str, Deployed]) -> None:
    subscription = examples["functions-public"].properties(
        "Microsoft.EventGrid/systemTopics/eventSubscriptions"
    )
    assert "what is not told within a day is found by the scrub" in AZURE
    assert subscription["retryPolicy"]["eventTimeToLiveInMinutes"] == 24 * 60


def test_proxies_are_as_wide_as_is_told(bicep: Bicep) -> None:
    four, six = told(r"by networks of at most a /(\d+) \(IPv6: a /(\d+)\)")
    file = FOLDER / "examples/container-public.bicepparam"

    assert bicep.varied(file, trustedProxies=f"10.0.0.0/{four}, fd00::/{six}").resources
