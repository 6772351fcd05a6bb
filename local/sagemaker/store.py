"""What the service holds, per account and region; an ARN leads to its owner's part."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from local.sagemaker.errors import invalid

Record = dict[str, Any]

# SageMaker writes these names in lower case into ARNs and does not tell them apart by case.
_LOWER_CASE = ("endpoint", "endpoint-config", "model")


@dataclass
class Account:
    """The resources of one account in one region, each kind by name or ARN."""

    account: str
    region: str
    groups: dict[str, Record] = field(default_factory=dict)
    packages: dict[str, Record] = field(default_factory=dict)
    models: dict[str, Record] = field(default_factory=dict)
    configs: dict[str, Record] = field(default_factory=dict)
    endpoints: dict[str, Record] = field(default_factory=dict)
    lineage: dict[str, Record] = field(default_factory=dict)
    associations: dict[tuple[str, str], Record] = field(default_factory=dict)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)
    # Application Auto Scaling's: by (resource, dimension), and that with the policy's name.
    scalable_targets: dict[tuple[str, str], Record] = field(default_factory=dict)
    scaling_policies: dict[tuple[str, str, str], Record] = field(default_factory=dict)

    def arn(self, kind: str, name: str) -> str:
        """The ARN of a resource of this account."""
        return arn_of(self.account, self.region, kind, name)


class Store:
    """Every account's resources. Hold `lock` while reading or changing them."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._accounts: dict[tuple[str, str], Account] = {}

    def of(self, account: str, region: str) -> Account:
        """The resources of an account in a region."""
        with self.lock:
            return self._accounts.setdefault((account, region), Account(account, region))

    def owner_of(self, arn: str) -> Account:
        """The resources of the account that an ARN names; ValidationException if it is no ARN."""
        parts = arn.split(":", 5)
        if len(parts) != 6 or parts[2] != "sagemaker":
            raise invalid(f"{arn!r} is not an ARN of SageMaker")
        return self.of(parts[4], parts[3])

    def clear(self) -> None:
        """Forget everything."""
        with self.lock:
            for account in self._accounts.values():
                account.endpoints.clear()  # deployments under way look here whether to go on
            self._accounts.clear()


STORE = Store()


def arn_of(account: str, region: str, kind: str, name: str) -> str:
    """The ARN of a resource by its name."""
    name = name.lower() if kind in _LOWER_CASE else name
    return f"arn:aws:sagemaker:{region}:{account}:{kind}/{name}"


class _Clock:
    """Epoch milliseconds, never the same twice: clients order by these times and compare them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def next(self) -> int:
        with self._lock:
            self._last = max(int(time.time() * 1000), self._last + 1)
            return self._last


_CLOCK = _Clock()


def now() -> float:
    """Epoch seconds, in milliseconds' precision, as SageMaker returns times; always later."""
    return _CLOCK.next() / 1000


def artifact_name(source: Record) -> str:
    """The name in an artifact's ARN: SageMaker knows an artifact by its source."""
    text = json.dumps(source, sort_keys=True)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
