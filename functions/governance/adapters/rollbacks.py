"""Proof that a version could serve again: what AWS says of all that it would need."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governance.adapters.candidates import Candidates
from governance.adapters.clearances import Clearances
from governance.adapters.comparison import compare_if_possible
from governance.adapters.images import Images
from governance.adapters.registry import Registry
from governance.domain import clearance, deployments, images
from governance.domain.errors import AccessError, InvalidInputError, NotFoundError
from governance.domain.rollbacks import check, check_approved, check_cleared, check_unchanged


class Proof:
    """What is tried of a version that an endpoint might go back to; what fails is an answer."""

    def __init__(self, registry: Registry, candidates: Candidates) -> None:
        self._registry = registry
        self._candidates = candidates

    def checks(
        self, promotion: Mapping[str, Any], model_package_arn: str, account: str
    ) -> list[dict[str, Any]]:
        """[{name, proven, said}] for that version and the account that would serve it."""
        try:
            description = self._registry.describe(model_package_arn)
        except NotFoundError as error:
            return [check("version", str(error))]
        found = [check_approved(description)]
        again = {**promotion, "model_package_arn": model_package_arn}
        compared = compare_if_possible(again, description, self._candidates)
        if compared.get("problem"):
            return [*found, check("bytes", compared["problem"])]
        objects = compared["candidate"]["objects"]
        closed = Clearances().closed_to(clearance.loaded(objects), "Prod", account)
        return [
            *found,
            check_unchanged(compared["differences"], len(objects)),
            check_cleared(closed, account),
            *(_image(str(one["Image"])) for one in deployments.containers(description)),
        ]


def _image(uri: str) -> dict[str, Any]:
    """The image that the version names is where it was, by its digest."""
    try:
        image = images.parse(uri)
        if image is None:
            return check("image", "", f"{uri} is in no registry that can be asked")
        Images().manifest(image)
    except (NotFoundError, InvalidInputError, AccessError) as error:
        return check("image", str(error))
    return check("image", "", f"{uri} is there")
