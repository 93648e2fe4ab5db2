"""A failpoint is asked for by a setting, and only by one that means something."""

from __future__ import annotations

import pytest

from riverrun.errors import SettingsError
from riverrun.launch.failpoint import FAILPOINT, read_failpoint


@pytest.mark.parametrize("setting", ["nowhere:1", "after-commit", "after-commit:0", "after-commit:-1", ":1"])
def test_malformed_failpoint_is_refused(setting: str) -> None:
    """A setting that would end nothing is an error, not a test that proves nothing."""
    with pytest.raises(SettingsError, match=FAILPOINT):
        read_failpoint({FAILPOINT: setting})
