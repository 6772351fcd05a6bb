"""Proof that a version could serve again: what AWS says of all that it would need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from governance.adapters import clearances, definitions
from governance.adapters.candidates import Candidates
from governance.adapters.comparison import Recorded, compare_if_possible
from governance.adapters.images import Images
from governance.adapters.ledger import Ledger
from governance.adapters.registry import Registry
from governance.adapters.sessions import Sessions
from governance.domain import clearance, deployments, images
from governance.domain.errors import (
    AccessError,
    IntegrityError,
    InvalidInputError,
    NotFoundError,
)
from governance.domain.rollbacks import (
    WANTED,
    check,
    check_approved,
    check_readable,
    check_unchanged,
)


class Proof:
    """What is tried of a version that an endpoint might go back to; what fails is an answer."""

    def __init__(
        self, taken: Sessions, registry: Registry, candidates: Candidates, ledger: Ledger
    ) -> None:
        self._sessions = taken
        self._registry = registry
        self._candidates = candidates
        self._ledger = ledger

    def checks(
        self,
        promotion: Mapping[str, Any],
        model_package_arn: str,
        account: str,
        definition: Mapping[str, str] | None,
    ) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
        """([{name, proven, said}], candidate) for that version and the account that would serve it.

        `definition` is the reference of what it was deployed by. The candidate is as `compare`
        returns it, None for a version that cannot be compared.
        """
        recorded = Recorded(self._ledger, promotion["model"], model_package_arn)
        try:
            description = self._registry.describe(model_package_arn)
        except NotFoundError as error:
            return [check("version", str(error))], None
        found = [check_approved(description)]
        again = {**promotion, "model_package_arn": model_package_arn}
        compared = compare_if_possible(again, description, self._candidates, recorded)
        if compared.get("problem"):
            return [*found, check("bytes", compared["problem"])], None
        candidate = compared["candidate"]
        objects = candidate["objects"]
        found += [
            check_unchanged(compared["differences"], len(objects)),
            self._readable(clearance.loaded(objects), account),
            *(_image(str(one["Image"])) for one in deployments.containers(description)),
            _definition(definition),
        ]
        return found, candidate

    def wanted(self, model_package_arn: str) -> str | None:
        """The version (a number) that a request for a rollback names, None if it names none."""
        metadata = self._registry.describe(model_package_arn).get("CustomerMetadataProperties", {})
        return metadata.get(WANTED) or None

    def _readable(self, loaded: Sequence[Mapping[str, Any]], account: str) -> dict[str, Any]:
        """The role that the account's endpoints run as reads what an endpoint would load."""
        try:
            session = self._sessions.endpoint(account)
        except AccessError as error:
            return check("readable", str(error))
        return check_readable(clearances.unreadable(session, loaded), account)


def _definition(reference: Mapping[str, str] | None) -> dict[str, Any]:
    """How it was deployed is still there to be read, and still a definition."""
    if reference is None:
        return check("definition", "nothing says how it was deployed")
    try:
        definitions.read(reference)
    except (NotFoundError, IntegrityError, InvalidInputError) as error:
        return check("definition", str(error))
    return check("definition", "", f"{reference['uri']} is there")


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
