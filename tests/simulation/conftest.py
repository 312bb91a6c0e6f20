"""Counts the runs, and tells at the end how many there were."""

import logging
from collections.abc import Callable, Iterator

import pytest
import pytest_socket

from tests.simulation import explorer
from tests.simulation.explorer import Report, Scenario


@pytest.fixture
def explore(record_property: Callable[[str, object], None]) -> Callable[..., Report]:
    """Explore a scenario, and keep the numbers in the test's properties."""

    def explore(scenario: Scenario, *, faults: bool = False) -> Report:
        report = explorer.explore(scenario, faults=faults)
        record_property("simulation", [report.runs, report.states, report.ends])
        return report

    return explore


@pytest.fixture(autouse=True)
def is_silent() -> Iterator[None]:
    """Let nobody write down what goes wrong here in thousands of ways."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(autouse=True)
def is_without_network() -> None:
    pytest_socket.disable_socket(allow_unix_socket=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    numbers = [
        value
        for report in terminalreporter.stats.get("passed", [])
        for name, value in report.user_properties
        if name == "simulation"
    ]
    if numbers:
        runs, states, ends = (sum(column) for column in zip(*numbers, strict=True))
        terminalreporter.write_line(
            f"simulation: {runs:,} runs of {len(numbers)} scenarios, {states:,} states checked, "
            f"{ends:,} ends repeated and collected"
        )
