"""Endpoints as they are now: what every variant of them serves, asked of SageMaker itself.

The ledger says what was released. What an endpoint loads is said by the models of its config, and
that counts here: somebody may have made one by hand, and during a deployment there are two.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from cli.aws import calling, explain
from cli.errors import GovernError
from governance.adapters import errors

if TYPE_CHECKING:
    import boto3

Row = dict[str, Any]
ALARMS = "governed-path-"  # how the names of an endpoint's alarms begin; then comes its own
_ACCOUNTS_AT_ONCE = 8
_CANDIDATE = re.compile(r"/models/(?P<model>[^/]+)/(?P<candidate_id>[0-9a-f]{64})/")
_VERSION = re.compile(r":model-package/(?P<model>[^/]+)/(?P<version>\d+)$")


def in_accounts(
    observe: Callable[[str], boto3.Session], accounts: Iterable[str]
) -> tuple[list[Row], list[dict[str, str]]]:
    """(endpoints, problems) of these accounts, some at a time.

    `observe` gives a session of the observer role in an account. An endpoint is {endpoint_name,
    endpoint_arn, account, status, changed_at, config, reason, execution, variants, deployment,
    alarm}; a variant {variant, share (of the traffic, 0 to 1, None for a shadow), instances,
    shadow, incoming, model_package_arn, model, version, candidate_id}; `deployment` {config, since,
    shifted, doing} while one is under way: the part of the traffic that what comes in has, 0 to 1,
    and what SageMaker is at; `alarm` {name, since} the last that is on. A problem {account,
    problem} says where nobody could look.
    """
    chosen = sorted(set(accounts))
    with ThreadPoolExecutor(_ACCOUNTS_AT_ONCE) as pool:
        looked = list(pool.map(lambda account: _looked_at(observe, account), chosen))
    found = [row for rows, _ in looked for row in rows]
    return found, [problem for _, problems in looked for problem in problems]


def of_account(session: boto3.Session, account: str) -> list[Row]:
    """The endpoints of the session's account, by name. GovernError if AWS refuses."""
    sagemaker = session.client("sagemaker")
    with calling(f"list the endpoints of account {account}"):
        pages = sagemaker.get_paginator("list_endpoints").paginate()
        names = sorted(e["EndpointName"] for page in pages for e in page["Endpoints"])
    if not names:
        return []
    alarms = _alarms(session, account)
    models = _Models(sagemaker)
    found = [_endpoint(sagemaker, account, name, models) for name in names]
    rows = [row for row in found if row is not None]
    for row in rows:
        row["alarm"] = _last_alarm(alarms, row["endpoint_name"], names)
    return rows


def serves(row: Mapping[str, Any], candidates: Iterable[str], arns: Iterable[str]) -> bool:
    """True if a variant of the endpoint, also one that is on its way in or a shadow, is of one of
    these candidates or versions.
    """
    ids, versions = set(candidates), set(arns)
    return any(
        one["candidate_id"] in ids or one["model_package_arn"] in versions
        for one in row["variants"]
    )


def served_now(row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The variants that answer clients."""
    return [one for one in row["variants"] if not one["shadow"] and not one["incoming"]]


def is_ours(row: Mapping[str, Any]) -> bool:
    """True if it serves, or was tagged as serving, a version of Central."""
    return bool(row["execution"]) or any(one["model"] for one in row["variants"])


def _looked_at(
    observe: Callable[[str], boto3.Session], account: str
) -> tuple[list[Row], list[dict[str, str]]]:
    try:
        return of_account(observe(account), account), []
    except GovernError as error:
        return [], [{"account": account, "problem": error.message}]


class _Models:
    """What the models of configs are made from, each asked for once."""

    def __init__(self, sagemaker: Any) -> None:
        self._sagemaker = sagemaker
        self._known: dict[str, Row] = {}
        self._configs: dict[str, Row] = {}

    def of_config(self, name: str) -> Row:
        """{variant: what it serves} of the config; {} if the config is gone."""
        if name not in self._configs:
            self._configs[name] = self._read(name)
        return self._configs[name]

    def _read(self, name: str) -> Row:
        config = _described(
            lambda: self._sagemaker.describe_endpoint_config(EndpointConfigName=name), name
        )
        variants = [
            *((config or {}).get("ProductionVariants") or []),
            *((config or {}).get("ShadowProductionVariants") or []),
        ]
        return {
            one["VariantName"]: self._served(one["ModelName"])
            for one in variants
            if one.get("ModelName")
        }

    def _served(self, name: str) -> Row:
        if name not in self._known:
            model = _described(lambda: self._sagemaker.describe_model(ModelName=name), name) or {}
            containers = model.get("Containers") or [model.get("PrimaryContainer") or {}]
            self._known[name] = _version_of(containers)
        return self._known[name]


def _version_of(containers: Sequence[Mapping[str, Any]]) -> Row:
    """{model_package_arn, model, version, candidate_id}: by the package or by its bytes."""
    row: Row = dict.fromkeys(("model_package_arn", "model", "version", "candidate_id"))
    for container in containers:
        arn = str(container.get("ModelPackageName") or "")
        if named := _VERSION.search(arn):
            row |= {"model_package_arn": arn, "model": named["model"]}
            row["version"] = int(named["version"])
        source = (container.get("ModelDataSource") or {}).get("S3DataSource") or {}
        for uri in (container.get("ModelDataUrl"), source.get("S3Uri")):
            if placed := _CANDIDATE.search(str(uri or "")):
                row |= {"candidate_id": placed["candidate_id"], "model": placed["model"]}
    return row


def _endpoint(sagemaker: Any, account: str, name: str, models: _Models) -> Row | None:
    """The endpoint, or None if it was deleted since it was listed."""
    found = _described(lambda: sagemaker.describe_endpoint(EndpointName=name), name)
    if found is None:
        return None
    with calling(f"list the tags of endpoint {name}"):
        pages = sagemaker.get_paginator("list_tags").paginate(ResourceArn=found["EndpointArn"])
        tags = {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}
    pending = found.get("PendingDeploymentSummary")
    config = str(found.get("EndpointConfigName") or "")
    variants = _variants(found.get("ProductionVariants"), models.of_config(config), tags)
    variants += _variants(
        found.get("ShadowProductionVariants"), models.of_config(config), {}, shadow=True
    )
    if pending:
        coming = models.of_config(str(pending.get("EndpointConfigName")))
        # The first deployment has no other variants than those that it brings.
        first = found.get("EndpointStatus") == "Creating"
        if not (first and variants):
            arriving, said = pending.get("ProductionVariants"), tags if first else {}
            variants += _variants(arriving, coming, said, incoming=not first)
            shadows = pending.get("ShadowProductionVariants")
            variants += _variants(shadows, coming, {}, shadow=True, incoming=not first)
    _share_out(variants)
    return {
        "endpoint_name": name,
        "endpoint_arn": found["EndpointArn"],
        "account": account,
        "status": found["EndpointStatus"],
        "changed_at": _text(found.get("LastModifiedTime")),
        "config": config or None,
        "reason": found.get("FailureReason"),
        "execution": tags.get("execution"),
        "variants": variants,
        "deployment": pending
        and {
            "config": pending.get("EndpointConfigName"),
            "since": _text(pending.get("StartTime")),
            "shifted": sum(one["share"] or 0.0 for one in variants if one["incoming"]),
            "doing": _doing(pending.get("ProductionVariants") or []),
        },
        "alarm": None,
    }


def _variants(
    described: Sequence[Mapping[str, Any]] | None,
    served: Mapping[str, Row],
    tags: Mapping[str, str],
    *,
    shadow: bool = False,
    incoming: bool = False,
) -> list[Row]:
    rows = []
    for one in described or []:
        row = {
            "variant": one["VariantName"],
            "share": None if shadow else float(one.get("CurrentWeight") or 0),
            "instances": one.get("CurrentInstanceCount"),
            "shadow": shadow,
            "incoming": incoming,
            **(served.get(one["VariantName"]) or _version_of([])),
        }
        rows.append(_completed(row, tags))
    return rows


def _share_out(variants: Sequence[Row]) -> None:
    """Make weights shares of the traffic, which those that come in have a part of as well."""
    total = sum(one["share"] or 0.0 for one in variants)
    for one in variants:
        if one["share"] is not None:
            one["share"] = one["share"] / total if total else None


def _doing(pending: Sequence[Mapping[str, Any]]) -> str | None:
    """What SageMaker does with the first variant that comes in, as Baking; None if it says none."""
    said = [status["Status"] for one in pending for status in one.get("VariantStatus") or []]
    return said[0] if said else None


def _completed(row: Row, tags: Mapping[str, str]) -> Row:
    """A package's ARN does not say the candidate and its bytes do not say the version; the tags do,
    if they are about the same one.
    """
    said = str(tags.get("model-package-arn") or "")
    arn, candidate_id = row["model_package_arn"], row["candidate_id"]
    same = arn == said if arn else candidate_id and candidate_id == tags.get("candidate-id")
    named = _VERSION.search(said)
    if not same or not named:
        return row
    return {
        **row,
        "model_package_arn": said,
        "model": named["model"],
        "version": int(named["version"]),
        "candidate_id": candidate_id or tags.get("candidate-id"),
    }


def _alarms(session: boto3.Session, account: str) -> list[Mapping[str, Any]]:
    with calling(f"look at the alarms of account {account}"):
        pages = (
            session.client("cloudwatch")
            .get_paginator("describe_alarms")
            .paginate(AlarmNamePrefix=ALARMS, StateValue="ALARM", AlarmTypes=["MetricAlarm"])
        )
        return [alarm for page in pages for alarm in page["MetricAlarms"]]


def _last_alarm(
    alarms: Sequence[Mapping[str, Any]], endpoint: str, endpoints: Sequence[str]
) -> dict[str, Any] | None:
    """The alarm of this endpoint that went on last; one endpoint's name may begin another's."""

    def owner(alarm: Mapping[str, Any]) -> str:
        rest = str(alarm["AlarmName"]).removeprefix(ALARMS)
        return max((name for name in endpoints if rest.startswith(f"{name}-")), key=len, default="")

    own = [alarm for alarm in alarms if owner(alarm) == endpoint]
    if not own:
        return None
    last = max(own, key=lambda alarm: str(_since(alarm)))
    return {
        "name": str(last["AlarmName"]).removeprefix(f"{ALARMS}{endpoint}-"),
        "since": _since(last),
    }


def _since(alarm: Mapping[str, Any]) -> str | None:
    return _text(alarm.get("StateTransitionedTimestamp") or alarm.get("StateUpdatedTimestamp"))


def _described(describe: Callable[[], Mapping[str, Any]], name: str) -> Mapping[str, Any] | None:
    """What it describes, or None if it is gone by now."""
    try:
        return describe()
    except ClientError as error:
        if errors.is_absent(error):
            return None
        raise explain(error, f"describe {name}") from error


def _text(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None


def accounts_of(
    projects: Iterable[Mapping[str, Any]], stages: Sequence[str] = ("test", "prod")
) -> list[str]:
    """The accounts that the projects have for these stages, those that we deploy to by default."""
    return sorted({str(one["accounts"][stage]) for one in projects for stage in stages})
