"""Deployments: an endpoint comes into service, moves to another config, or fails, in its own time.

A deployment runs in a thread. A new fleet starts beside the old one; traffic moves when all of it
is healthy; the old one ends. If the new fleet cannot serve, the endpoint goes back to the config
it had, and as on AWS only the config's name tells.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from local.sagemaker import events
from local.sagemaker.hosting import FLEET, HostingError, Plan, Replica
from local.sagemaker.outbox import OUTBOX
from local.sagemaker.store import STORE, Account, Record, now

_STARTS = 2  # at a time
_DRAIN_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Deployment:
    """A config on its way into service: `variants` as DescribeEndpoint will show them."""

    owner: Account
    endpoint: Record
    config: Record
    variants: list[Record]
    plans: list[Plan]
    deployment_config: Record | None

    def begin(self, status: str) -> None:
        """Creating or Updating, and on in a thread. Called with the store locked."""
        self.endpoint["PendingDeploymentSummary"] = {
            "EndpointConfigName": self.config["EndpointConfigName"],
            "ProductionVariants": [_pending(variant) for variant in self.variants],
            "StartTime": now(),
        }
        change_status(self.owner, self.endpoint, status)
        self._report("Creating")
        in_background(self._run)

    def _run(self) -> None:
        try:
            replicas = _start_all(self.plans)
        except HostingError as error:
            self._fail(str(error))
            return
        if not self._move_traffic(replicas):
            _stop_all(replicas)

    def _move_traffic(self, replicas: dict[str, Replica]) -> bool:
        """All at once; False if the endpoint is gone meanwhile."""
        with STORE.lock:
            if not _exists(self.owner, self.endpoint):
                return False
            old = self.endpoint["replicas"]
            self.endpoint["replicas"] = replicas
            self.endpoint["ProductionVariants"] = self.variants
            self._report("ActivatingTraffic")
        for replica in old.values():
            replica.drain(_DRAIN_SECONDS)
        _stop_all(old)
        with STORE.lock:
            if not _exists(self.owner, self.endpoint):
                return False
            if old:
                self._report("Deleting")
            self._finish()
        return True

    def _finish(self) -> None:
        for member in ("PendingDeploymentSummary", "FailureReason"):
            self.endpoint.pop(member, None)
        for variant in self.variants:
            variant.pop("VariantStatus", None)
        self.endpoint["EndpointConfigName"] = self.config["EndpointConfigName"]
        self.endpoint["config"] = self.config
        if self.deployment_config:
            self.endpoint["LastDeploymentConfig"] = self.deployment_config
        change_status(self.owner, self.endpoint, "InService")

    def _fail(self, reason: str) -> None:
        with STORE.lock:
            if not _exists(self.owner, self.endpoint):
                return
            self.endpoint.pop("PendingDeploymentSummary", None)
            if self.endpoint["replicas"]:
                change_status(self.owner, self.endpoint, "RollingBack")
                self._report("Deleting", reason)
                change_status(self.owner, self.endpoint, "InService")
            else:
                self.endpoint["FailureReason"] = reason
                change_status(self.owner, self.endpoint, "Failed")

    def _report(self, status: str, message: str = "") -> None:
        tags = self.owner.tags.get(self.endpoint["EndpointArn"], {})
        detail = events.endpoint_deployment_change(self.endpoint, tags, status, message)
        _put(self.owner, self.endpoint, events.DEPLOYMENT_CHANGE, detail)


def change_status(owner: Account, endpoint: Record, status: str) -> None:
    """Set the status and report it. Called with the store locked."""
    endpoint["EndpointStatus"] = status
    endpoint["LastModifiedTime"] = now()
    tags = owner.tags.get(endpoint["EndpointArn"], {})
    detail = events.endpoint_state_change(endpoint, tags)
    _put(owner, endpoint, events.ENDPOINT_CHANGE, detail)


def rescale(owner: Account, endpoint: Record) -> None:
    """Bring weights and counts to what is desired, then InService. Called with the store locked."""
    change_status(owner, endpoint, "Updating")

    def run() -> None:
        with STORE.lock:
            if not _exists(owner, endpoint):
                return
            for variant in endpoint["ProductionVariants"]:
                variant["CurrentWeight"] = variant["DesiredWeight"]
                if "DesiredInstanceCount" in variant:
                    variant["CurrentInstanceCount"] = variant["DesiredInstanceCount"]
            change_status(owner, endpoint, "InService")

    in_background(run)


def remove(owner: Account, endpoint: Record) -> None:
    """Deleting, then gone with its model servers. Called with the store locked."""
    change_status(owner, endpoint, "Deleting")

    def run() -> None:
        _stop_all(endpoint["replicas"])
        with STORE.lock:
            if _exists(owner, endpoint):
                del owner.endpoints[endpoint["EndpointName"].lower()]
                owner.tags.pop(endpoint["EndpointArn"], None)

    in_background(run)


def in_background(work: Callable[[], None]) -> None:
    """Run in a thread that does not keep the process alive."""
    threading.Thread(target=work, name="sagemaker-deployment", daemon=True).start()


def _exists(owner: Account, endpoint: Record) -> bool:
    return owner.endpoints.get(endpoint["EndpointName"].lower()) is endpoint


def _start_all(plans: list[Plan]) -> dict[str, Replica]:
    """Variant -> replica; HostingError, with none left running, if one of them fails."""
    with ThreadPoolExecutor(max_workers=_STARTS) as pool:
        starts = {plan.variant: pool.submit(FLEET.start, plan) for plan in plans}
    failures = [error for start in starts.values() if (error := start.exception())]
    if not failures:
        return {variant: start.result() for variant, start in starts.items()}
    _stop_all({v: s.result() for v, s in starts.items() if s.exception() is None})
    first = failures[0]
    if isinstance(first, HostingError):
        raise first
    raise HostingError(f"The embedded AWS could not start the model server: {first}") from first


def _stop_all(replicas: dict[str, Replica]) -> None:
    for replica in replicas.values():
        FLEET.stop(replica)


def _pending(variant: Record) -> Record:
    return {**variant, "CurrentWeight": 0.0, "CurrentInstanceCount": 0}


def _put(owner: Account, endpoint: Record, kind: str, detail: Record) -> None:
    OUTBOX.put(owner.account, owner.region, kind, detail, [endpoint["EndpointArn"]])
