"""Fixtures for the fake hubs, tests/fakes/hub."""

import sys
from typing import Iterator

import pytest

from harness import ROOT

sys.path.insert(0, str(ROOT / "tests/fakes"))

from hub import Hub  # noqa: E402


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as one:
        yield one


def settings_of(hub: Hub) -> dict[str, str]:
    """The variables that lead every client of the hubs to the fake one."""
    return {"HF_ENDPOINT": hub.url, "MODELSCOPE_DOMAIN": hub.url, "BERTH_OLLAMA_REGISTRY": hub.url,
            "no_proxy": "127.0.0.1,localhost"}
