"""Every hand-written claim is put to the engine and to the oracle."""

from typing import Any

import pytest

from feed import Feed, Make


@pytest.fixture(params=["oracle", "engine"])
def make(request: pytest.FixtureRequest) -> Make:
    """Make a feed with the settings of `oracle.Rules`."""

    def made(**settings: Any) -> Feed:
        return Feed(request.param, **settings)

    return made
