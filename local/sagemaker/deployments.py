"""Deployments: an endpoint comes into service, moves to another config, or fails, in its own time.

A deployment runs in a thread. A new fleet starts beside the old one; when all of it is healthy,
traffic moves in the steps of the deployment's policy, and after each the alarms are watched; then
the old one ends. If the new fleet cannot serve, or an alarm trips, the endpoint goes back to the
config that it had, and as on AWS only the config's name tells.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from local import clock
from local.sagemaker import alarms, events, traffic
from local.sagemaker.hosting import FLEET, HostingError, Plan, Replica
from local.sagemaker.outbox import OUTBOX
from local.sagemaker.store import STORE, Account, Record, now

_STARTS = 2  # at a time
_DRAIN_SECONDS = 10.0
_LOOK_SECONDS = 0.1  # between two looks at the alarms


class GoneError(Exception):
    """The endpoint is gone meanwhile; there is nothing left to deploy."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A config on its way into service: `variants` as DescribeEndpoint will show them."""

    owner: Account
    endpoint: Record
    config: Record
    variants: list[Record]
    shadows: list[Record]
    plans: list[Plan]
    deployment_config: Record | None
    started: float = field(default_factory=time.time)

    def begin(self, status: str) -> None:
        """Creating or Updating, and on in a thread. Called with the store locked."""
        pending = {
            "EndpointConfigName": self.config["EndpointConfigName"],
            "ProductionVariants": [_pending(variant) for variant in self.variants],
            "StartTime": now(),
        }
        if self.shadows:
            pending["ShadowProductionVariants"] = [_pending(variant) for variant in self.shadows]
        self.endpoint["PendingDeploymentSummary"] = pending
        change_status(self.owner, self.endpoint, status)
        self._report("Creating")
        in_background(self._run)

    def _run(self) -> None:
        replicas: dict[str, Replica] = {}
        try:
            replicas = _start_all(self.plans)
            self._stand_by(replicas)
            problem = self._move_traffic()
            if problem:
                self._roll_back(problem)
            else:
                self._finish()
        except HostingError as error:
            self._fail(str(error))
        except GoneError:
            _stop_all(replicas)

    def _stand_by(self, replicas: dict[str, Replica]) -> None:
        """The new fleet is healthy and has no traffic yet."""
        with STORE.lock:
            self._require_endpoint()
            new = {"replicas": replicas, "variants": self.variants, "share": 0.0}
            self.endpoint["new"] = {**new, "config": self.config, "shadows": self.shadows}
            for variant in self._pending_variants():
                variant["CurrentInstanceCount"] = variant.get("DesiredInstanceCount", 0)

    def _move_traffic(self) -> str | None:
        """Step by step; why it has to go back, None when the new fleet has all and is fine."""
        if not self.endpoint["replicas"]:
            self._turn_on(1.0)
            return None
        # Whoever wants the deployment stopped may have said so while the new fleet started.
        problem = self._tripped()
        instances = min((v.get("DesiredInstanceCount", 1) for v in self.variants), default=1)
        for step in traffic.steps(self.deployment_config, instances):
            if problem:
                return problem
            self._turn_on(step.share)
            problem = self._bake(step.bake)
        return problem

    def _turn_on(self, share: float) -> None:
        with STORE.lock:
            self._require_endpoint()
            self.endpoint["new"]["share"] = share
            for variants, part in (
                (self._pending_variants(), share),
                (self.endpoint["ProductionVariants"], 1.0 - share),
            ):
                for variant in variants:
                    variant["CurrentWeight"] = variant["DesiredWeight"] * part
            self._report("ActivatingTraffic")

    def _bake(self, seconds: int) -> str | None:
        """Watch the alarms for so long; why the deployment has to go back, if it has to."""
        until = time.monotonic() + clock.scaled(seconds)
        if seconds:
            with STORE.lock:
                self._require_endpoint()
                self._report("Baking")
        while True:
            problem = self._tripped()
            left = until - time.monotonic()
            if problem or left <= 0:
                return problem
            time.sleep(min(_LOOK_SECONDS, left))
            with STORE.lock:
                self._require_endpoint()

    def _tripped(self) -> str | None:
        names = traffic.alarm_names(self.deployment_config)
        name = alarms.tripped(self.owner, names, self.started)
        if name is None:
            return None
        return f"The deployment was rolled back because the CloudWatch alarm {name} is in ALARM."

    def _finish(self) -> None:
        """The old fleet ends, the new one is the endpoint's."""
        with STORE.lock:
            self._require_endpoint()
            new, old = self.endpoint.pop("new"), self.endpoint["replicas"]
            self.endpoint["replicas"] = new["replicas"]
            self._take_over("ProductionVariants", self.variants)
            self._take_over("ShadowProductionVariants", self.shadows)
            self.endpoint["config"] = self.config
        _drain_and_stop(old)
        with STORE.lock:
            if not _exists(self.owner, self.endpoint):
                return
            if old:
                self._report("Deleting")
            self.endpoint.pop("FailureReason", None)
            self.endpoint["EndpointConfigName"] = self.config["EndpointConfigName"]
            if self.deployment_config:
                self.endpoint["LastDeploymentConfig"] = self.deployment_config
            self._rest("InService")

    def _take_over(self, member: str, variants: list[Record]) -> None:
        if variants:
            self.endpoint[member] = variants
        else:
            self.endpoint.pop(member, None)

    def _roll_back(self, reason: str) -> None:
        """All traffic to the old fleet, the new one ends, InService with the old config."""
        with STORE.lock:
            self._require_endpoint()
            new = self.endpoint.pop("new")
            self._back_to_old(reason)
            self._report("ActivatingTraffic", reason)
        _drain_and_stop(new["replicas"])
        with STORE.lock:
            if _exists(self.owner, self.endpoint):
                self._report("Deleting", reason)
                self._rest("InService")

    def _back_to_old(self, reason: str) -> None:
        change_status(self.owner, self.endpoint, "RollingBack")
        for variant in self.endpoint["ProductionVariants"]:
            variant["CurrentWeight"] = variant["DesiredWeight"]
        for variant in self._pending_variants():
            variant["CurrentWeight"] = 0.0
        if self.deployment_config:
            self.endpoint["LastDeploymentConfig"] = self.deployment_config

    def _fail(self, reason: str) -> None:
        """The new fleet did not start: back to the old one, or Failed if there is none."""
        with STORE.lock:
            if not _exists(self.owner, self.endpoint):
                return
            if self.endpoint["replicas"]:
                self._back_to_old(reason)
                self._report("Deleting", reason)
                self._rest("InService")
            else:
                self.endpoint["FailureReason"] = reason
                self._rest("Failed")

    def _rest(self, status: str) -> None:
        self.endpoint.pop("PendingDeploymentSummary", None)
        for variant in self.endpoint["ProductionVariants"]:
            variant.pop("VariantStatus", None)
        change_status(self.owner, self.endpoint, status)

    def _pending_variants(self) -> list[Record]:
        pending: list[Record] = self.endpoint["PendingDeploymentSummary"]["ProductionVariants"]
        return pending

    def _require_endpoint(self) -> None:
        if not _exists(self.owner, self.endpoint):
            raise GoneError(self.endpoint["EndpointName"])

    def _report(self, status: str, message: str = "") -> None:
        """Show the status of the variants and put it on the bus."""
        shown = {"Status": status, "StartTime": now()}
        if message:
            shown["StatusMessage"] = message
        pending = self.endpoint["PendingDeploymentSummary"]
        for variant in [
            *self.endpoint["ProductionVariants"],
            *pending["ProductionVariants"],
            *pending.get("ShadowProductionVariants", []),
        ]:
            variant["VariantStatus"] = [shown]
        tags = self.owner.tags.get(self.endpoint["EndpointArn"], {})
        detail = events.endpoint_deployment_change(self.endpoint, tags)
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
            for variant in (
                *endpoint["ProductionVariants"],
                *endpoint.get("ShadowProductionVariants", []),
            ):
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


def _drain_and_stop(replicas: dict[str, Replica]) -> None:
    for replica in replicas.values():
        replica.drain(_DRAIN_SECONDS)
    _stop_all(replicas)


def _stop_all(replicas: dict[str, Replica]) -> None:
    for replica in replicas.values():
        FLEET.stop(replica)


def _pending(variant: Record) -> Record:
    return {**variant, "CurrentWeight": 0.0, "CurrentInstanceCount": 0}


def _put(owner: Account, endpoint: Record, kind: str, detail: Record) -> None:
    OUTBOX.put(owner.account, owner.region, kind, detail, [endpoint["EndpointArn"]])
