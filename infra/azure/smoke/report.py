"""The report: what differs from what is promised, what was not checked, and all that was seen."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.table import Table

from infra.admin.output import Answer, table
from infra.azure.smoke.findings import Finding, Verdict

_SHOWN = ("check", "verdict", "seconds", "seen")


@dataclass(frozen=True, slots=True)
class Looked:
    """At which registry all was looked at, when it began, and in which repository."""

    login_server: str
    began: datetime
    repository: str


def report(looked: Looked, findings: Sequence[Finding]) -> Answer:
    """Say what was found; it is done where nothing differs."""
    differs = _only(findings, Verdict.DIFFERS)
    not_checked = _only(findings, Verdict.NOT_CHECKED)
    document = {
        "login_server": looked.login_server,
        "began": looked.began,
        "repository": looked.repository,
        "is_as_promised": not differs,
        "differs": [one.check for one in differs],
        "not_checked": [one.check for one in not_checked],
        "checks": findings,
    }
    shown: list[str | Table] = [table(Finding, findings, only=_SHOWN), ""]
    shown += [
        f"DIFFERS {one.check}\n    promised: {one.promised}\n    seen: {one.seen}"
        for one in differs
    ]
    shown += [f"NOT CHECKED {one.check}: {one.seen}" for one in not_checked]
    return Answer(document, [*shown, _summary(looked, findings)], is_done=not differs)


def _summary(looked: Looked, findings: Sequence[Finding]) -> str:
    counts = [f"{len(_only(findings, verdict))} {verdict}" for verdict in Verdict]
    return f"{looked.login_server}: {len(findings)} checks, {', '.join(counts)}"


def _only(findings: Iterable[Finding], verdict: Verdict) -> list[Finding]:
    return [one for one in findings if one.verdict is verdict]
