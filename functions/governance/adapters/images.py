"""Container images: what a scan of theirs found, where the registry is one of ours."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from governance.adapters import errors, sessions

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecr.type_defs import ImageIdentifierTypeDef

_URI = re.compile(
    r"(?P<registry>\d{12})\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?/"
    r"(?P<repository>[^:@]+)(?::(?P<tag>[^@]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_FINISHED = {"COMPLETE", "ACTIVE"}  # ACTIVE: scanned, and scanned again as findings come up
_NOT_THERE = {"ScanNotFoundException", "ImageNotFoundException", "RepositoryNotFoundException"}


class Images:
    """ECR as the function's own role sees it; other accounts' repositories must let it look."""

    def scan(
        self, image: Mapping[str, Any], our_accounts: Collection[str]
    ) -> dict[str, str | int | None]:
        """{uri, registry, critical, scan} of an image {uri, digest}.

        `critical` is None unless a scan has finished; `scan` says in words how it stands. Only
        registries of `our_accounts` are asked: nobody else's would answer us.
        """
        uri = str(image.get("uri") or "")
        found = _URI.fullmatch(uri)
        if found is None:
            return _unknown(uri, None, "it is in no ECR registry, so it has no scan")
        registry = found["registry"]
        if registry not in our_accounts:
            why = f"registry {registry} is not one of ours, so its scans are not shown to us"
            return _unknown(uri, registry, why)
        digest = str(image.get("digest") or found["digest"] or "")
        wanted: ImageIdentifierTypeDef = (
            {"imageDigest": digest} if digest else {"imageTag": found["tag"] or "latest"}
        )
        ecr: ECRClient = sessions.own_client("ecr")
        try:
            answer = ecr.describe_image_scan_findings(
                registryId=registry, repositoryName=found["repository"], imageId=wanted
            )
        except ClientError as error:
            if errors.code_of(error) in _NOT_THERE:
                return _unknown(uri, registry, f"no scan was found ({errors.code_of(error)})")
            raise errors.translate(error, f"look at the scan of image {uri}") from error
        status = str(answer.get("imageScanStatus", {}).get("status"))
        if status not in _FINISHED:
            return _unknown(uri, registry, f"its scan is {status}")
        counts = answer.get("imageScanFindings", {}).get("findingSeverityCounts", {})
        return {
            "uri": uri,
            "registry": registry,
            "critical": int(counts.get("CRITICAL", 0)),
            "scan": f"its scan is {status}",
        }


def _unknown(uri: str, registry: str | None, why: str) -> dict[str, str | int | None]:
    return {"uri": uri, "registry": registry, "critical": None, "scan": why}
