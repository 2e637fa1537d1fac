"""After a backup was restored: what was said since the backup is gone, and clients are to learn so."""

from __future__ import annotations

from typing import Any

from django.core.management import BaseCommand

from rooms.epochs import begin_epoch


class Command(BaseCommand):
    help = (
        "Begin a new epoch of every room's log. Run it once after each restore of a backup, before clients come back: "
        "cursors from before it are then refused with CURSOR_INVALID, and clients read the rooms again."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        rooms = begin_epoch()
        self.stdout.write(
            f"A new epoch has begun, in {rooms} room{'' if rooms == 1 else 's'}: older cursors are CURSOR_INVALID."
            " Running servers notice within a few seconds and send their clients away to read the rooms again."
        )
