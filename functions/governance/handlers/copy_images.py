"""CopyImages: the candidate's container images where Central may use them, by digest."""

from __future__ import annotations

from typing import Any

from governance import contracts
from governance.adapters import policies
from governance.adapters.artifacts import Artifacts
from governance.adapters.directory import Directory
from governance.adapters.images import Images
from governance.adapters.sessions import Sessions
from governance.domain import images
from governance.entry import claim_of, entry_point
from governance.settings import Settings

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Copy each image, or make sure that it can be used where it is, as the tier's policy says.

    An image that takes longer than the function lives is gone on with by the next attempt.
    """
    request = contracts.request("copy_images", event)
    promotion = request["promotion"]
    project = Directory(settings.project_directory_table).project_of(promotion["model"])
    by_reference = policies.tier_of(project, Artifacts())["images_by_reference"]
    origin = Images(Sessions(settings, claim_of(request)).hub(promotion["account"]))
    handed_over = []
    for named in request["candidate"]["images"]:
        image = images.pinned(named["uri"], named["digest"])
        central = images.pinned(settings.images_repository_uri, image.digest)
        how = images.handoff(image, by_reference, central.region)
        to = central if how == images.COPIED else image
        if how == images.COPIED:
            Images().copy(image, to, origin, lambda: context.get_remaining_time_in_millis() / 1000)
        else:
            Images().manifest(image)
        handed_over.append({**named, "central_uri": to.uri, "handoff": how})
    return {"images": handed_over}
