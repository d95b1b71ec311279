"""What runs here, and how it is replaced. For admins."""

from __future__ import annotations

import platform

from handlers.answers import Version
from handlers.base import BaseHandler, Refused
from starpod.version import __version__

HOW_TO_UPDATE = (
    "This gateway does not replace itself. Update it the way it was installed (`pip install --upgrade starpod`, or the newer image), "
    "then start it again."
)


class VersionHandler(BaseHandler):
    """`GET /api/system/version`. `latest` is null: a gateway calls no address that its admin did not name, so nobody is asked."""

    def get(self) -> None:
        body: Version = {
            "current": __version__,
            "latest": None,
            "update_available": False,
            "release_notes_url": None,
            "published_at": None,
            "platform": f"{platform.system()}-{platform.machine()}".lower(),
        }
        self.send_json(body)


class UpdateHandler(BaseHandler):
    """`POST /api/system/update`: 501, with what to do instead."""

    def post(self) -> None:
        raise Refused(501, HOW_TO_UPDATE)
