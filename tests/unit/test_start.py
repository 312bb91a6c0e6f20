from datetime import timedelta

import pytest

from shared.settings import SettingsInvalid
from shared.start import read_settings
from shared.storage import ages


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("GRACE_SECONDS", "399", r"REGISTRY_GRACE_SECONDS must be at least 400: "),
        ("ADMIN_PASSWORD", "p" * 1_025, r"REGISTRY_ADMIN_PASSWORD must have at most 1,024 chara"),
    ],
)
def test_settings_that_break_what_relies_on_them_end_the_start(
    environment: None, monkeypatch: pytest.MonkeyPatch, name: str, value: str, says: str
) -> None:
    assert read_settings()
    monkeypatch.setenv(f"REGISTRY_{name}", value)
    with pytest.raises(SettingsInvalid, match=says) as caught:
        read_settings()
    assert "\n" not in str(caught.value)
    assert value not in str(caught.value).replace("REGISTRY_", "")


@pytest.mark.parametrize("settings", [{"GRACE_SECONDS": "4"}], indirect=True)
def test_a_grace_period_is_held_to_how_late_calls_may_be(
    environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ages, "L", timedelta(seconds=1))
    assert read_settings().grace == timedelta(seconds=4)
