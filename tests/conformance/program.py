"""python -m tests.conformance.program PATH: the public conformance program, against ours.

It runs once for each way of logging in, each time on new storage. Its exit code says little: what
it skips and what it cannot load count as no failure. So its reports are read: every API and every
data set has to pass, none may be missing, and all checks have to be made.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

from infra.devhost.storage import Azurite, StorageError
from tests.support.hosts import HostError, Registry, running, settings_of
from tests.support.tools import environment

RESULTS = Path(__file__).with_name("RESULTS.md")
FRONT_RESULTS = Path(__file__).with_name("RESULTS-front.md")
MISSING = (
    "PROGRAM= is to be the public conformance program: build the folder `conformance` of the"
    " repository opencontainers/distribution-spec (go build), and give its path"
)
APIS, DATA_SETS, CHECKS = 28, 24, 1032
SECONDS = 600

HOW = "make conformance PROGRAM=path"
BEHIND = """
The registry ran behind the HTTP path of Microsoft's Functions host (`functions-front`)."""

COMMON = {"OCI_VERSION": "dev", "OCI_DATA_SPARSE": "true", "OCI_TLS": "disabled"}
LENIENT = {
    "REGISTRY_SPARSE_MANIFESTS": "true",
    "REGISTRY_BLOB_REDIRECTS": "false",
    "REGISTRY_MOUNT_DISCOVERY": "caller",
}

# Of a challenge the program takes the last word that is `bearer` or `basic`, wherever it stands:
# so the names of the repositories make it choose Basic, where the challenge names them.
BASIC_NAMES = {"OCI_REPO1": "conformance/basic1", "OCI_REPO2": "conformance/basic2"}


@dataclass(frozen=True, slots=True)
class Run:
    """One run: how it logs in, and how many tokens it then asks for."""

    name: str
    tokens: range
    logs_in: bool = True
    settings: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)


RUNS = (
    Run("anonymous", range(1, 2), logs_in=False, settings={"REGISTRY_ANONYMOUS_ACCESS": "all"}),
    Run("Basic", range(2), options=BASIC_NAMES),
    Run("Bearer, a new token each time", range(1_000, 5_000), options={"OCI_CACHE_AUTH": "false"}),
    Run("Bearer, cached", range(1, 50), options={"OCI_CACHE_AUTH": "true"}),
    Run(
        "Bearer, cached; blobs by redirect",
        range(1, 50),
        settings={"REGISTRY_BLOB_REDIRECTS": "true"},
        options={"OCI_API_BLOBS_DIGEST_HEADER": "false"},
    ),
)


@dataclass(frozen=True, slots=True)
class Report:
    """What a run came to."""

    name: str
    apis: Mapping[str, str]
    data_sets: Mapping[str, str]
    checks: Mapping[str, int]
    not_passed: Sequence[str]
    tokens: int
    commit: str

    def faults(self, run: Run) -> list[str]:
        """Say what is not as it should be, a line for each."""
        statuses = {**self.apis, **self.data_sets}
        faults = [f"{name}: {status}" for name, status in statuses.items() if status != "Pass"]
        found = (len(self.apis), len(self.data_sets), self.checks["tests"])
        if found != (APIS, DATA_SETS, CHECKS):
            faults.append(
                "APIs, data sets, checks are {}, {}, {}".format(*found)
                + f" and should be {APIS}, {DATA_SETS}, {CHECKS}"
            )
        kinds = ("failures", "errors", "skipped", "disabled")
        faults += [f"{kind}: {self.checks[kind]}" for kind in kinds if self.checks[kind]]
        faults += self.not_passed
        if self.tokens not in run.tokens:
            faults.append(f"{self.tokens} tokens asked for, which is not this way of logging in")
        return faults

    def row(self) -> str:
        """Give the row of the table."""
        passed = [
            f"{sum(status == 'Pass' for status in statuses.values())} of {len(statuses)}"
            for statuses in (self.apis, self.data_sets)
        ]
        failed = self.checks["failures"] + self.checks["errors"]
        skipped = self.checks["skipped"] + self.checks["disabled"]
        good = self.checks["tests"] - failed - skipped
        cells = (self.name, *passed, good, failed, skipped)
        return "| " + " | ".join(map(str, cells)) + " |"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program in every way, write the table, and fail with what is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.program")
    parser.add_argument("program", type=Path, nargs="?", help="the built program")
    parser.add_argument("--commit", default="", help="the commit it was built of")
    parser.add_argument("--front", type=Path, help="Microsoft's HTTP path, before the registry")
    options = parser.parse_args(arguments)
    if options.program is None or not options.program.is_file():
        sys.exit(MISSING)
    try:
        reports = [report_of(run, options.program.resolve(), options.front) for run in RUNS]
    except (HostError, StorageError, OSError) as error:
        sys.exit(str(error))
    commit = options.commit or reports[0].commit
    if options.front:
        FRONT_RESULTS.write_text(table(reports, commit, f"{HOW} FRONT=path", BEHIND))
    else:
        RESULTS.write_text(table(reports, commit))
    faults = [
        f"{run.name}: {fault}"
        for run, report in zip(RUNS, reports, strict=True)
        for fault in report.faults(run)
    ]
    sys.exit("\n".join(faults) or None)


def report_of(run: Run, program: Path, front: Path | None = None) -> Report:
    """Run the program against a registry of its own, and read its reports."""
    with tempfile.TemporaryDirectory(prefix="conformance-") as folder, Azurite() as storage:
        results, log = Path(folder), Path(folder, "host.log")
        settings = settings_of(storage, **{**LENIENT, **run.settings})
        with running(settings, log, front) as (_, registry):
            finished = subprocess.run(
                [program],
                env=environment(**options_of(run, registry, results)),
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=SECONDS,
            )
        if not (results / "results.yaml").is_file():
            raise OSError(f"{run.name}: the program left no results:\n{finished.stdout[-2000:]}")
        report = read_report(run.name, results, log.read_text())
    sys.stdout.write(f"{report.row()}\n")
    sys.stdout.flush()
    return report


def options_of(run: Run, registry: Registry, results: Path) -> dict[str, str]:
    """Give the program's settings."""
    login = {"OCI_USERNAME": registry.user, "OCI_PASSWORD": registry.password}
    return {
        **COMMON,
        "OCI_REGISTRY": registry.login_server,
        "OCI_RESULTS_DIR": str(results),
        **(login if run.logs_in else {}),
        **run.options,
    }


def read_report(name: str, results: Path, log: str) -> Report:
    """Read the program's reports, and in the host's log how many tokens were issued."""
    sections = read_sections((results / "results.yaml").read_text())
    suite = ET.parse(results / "junit.xml").getroot()
    kinds = ("tests", "failures", "errors", "skipped", "disabled")
    return Report(
        name=name,
        apis=sections["apis"],
        data_sets=sections["data"],
        checks={kind: int(suite.get(kind, 0)) for kind in kinds},
        not_passed=[
            f"{case.get('name')}: {case.findtext('system-out')}"
            for case in suite.iter("testcase")
            if case.get("status") != "passed"
        ],
        tokens=len(re.findall(r"token_issue /oauth2/token 200 ", log)),
        commit=sections["config"].get("commit", "unknown"),
    )


def read_sections(text: str) -> dict[str, dict[str, str]]:
    """Read the sections of results.yaml, and the plain values in each."""
    sections: dict[str, dict[str, str]] = {}
    inside: dict[str, str] = {}
    for line in text.splitlines():
        if section := re.fullmatch(r"(\w+):", line):
            inside = sections.setdefault(section[1], {})
        elif value := re.fullmatch(r"  (\w[^:]*): (\S.*)", line):
            inside[value[1]] = value[2].strip('"')
    return sections


def table(reports: Sequence[Report], commit: str, how: str = HOW, where: str = "") -> str:
    """Write the page of the results."""
    rows = "\n".join(report.row() for report in reports)
    return f"""# The public conformance program

Written by `{how}` on {datetime.now(UTC):%Y-%m-%d}, with the folder
`conformance` of opencontainers/distribution-spec at commit `{commit}`.{where}

| logged in | APIs passed | data sets passed | checks passed | failed | skipped |
|---|---|---|---|---|---|
{rows}

The program asks for version `dev` of the specification and for sparse manifests; the registry has
`REGISTRY_SPARSE_MANIFESTS=true`, `REGISTRY_BLOB_REDIRECTS=false` and, as the program mounts from
repositories that its token does not name, `REGISTRY_MOUNT_DISCOVERY=caller`. It logs in with Basic
where
the names of the repositories hold that word, which it finds in the challenge. In the last row blobs
come by redirect, as they do unless told otherwise: the storage they come from cannot send
`Docker-Content-Digest`, so there the program is told not to ask for it on blobs.
"""


if __name__ == "__main__":
    main()
