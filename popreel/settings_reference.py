"""Render docs/settings.md from the settings classes: `python -m popreel.settings_reference`."""

from __future__ import annotations

from pathlib import Path

from cdn_router.settings import RouterSettings
from control_plane.settings import ControlPlaneSettings
from edge.delivery.settings import DeliverySettings
from edge.feed.settings import FeedSettings
from edge.settings import PopSettings
from foundation.settings import Settings, reference
from origin.settings import OriginSettings
from popreel.settings import PlatformSettings

CLASSES: tuple[type[Settings], ...] = (
    PlatformSettings,
    OriginSettings,
    PopSettings,
    FeedSettings,
    DeliverySettings,
    ControlPlaneSettings,
    RouterSettings,
)
DOCUMENT = Path(__file__).parent.parent / "docs" / "settings.md"


def render() -> str:
    """The text of docs/settings.md."""
    return reference(CLASSES)


if __name__ == "__main__":
    DOCUMENT.write_text(render())
