"""Identity and permissions: SageMaker's keys, the role behind a session, the source identity.

Without an IAM namespace the emulator allows everything for a service it does not know.
"""

from __future__ import annotations

import contextvars
import inspect
import json
import re
import sys
from typing import Any
from urllib.parse import parse_qsl, unquote

from ministack.core import iam_actions, iam_evaluator
from ministack.services import kms, s3, sts

from local.sagemaker import iam as sagemaker_iam
from local.sagemaker import scaling
from local.seams.assertions import require, require_attributes, require_parameters, require_source

# The principal of a request to a bucket of another account, which the emulator takes for its root.
foreign_caller: contextvars.ContextVar[str] = contextvars.ContextVar("caller", default="")
_identity: contextvars.ContextVar[str] = contextvars.ContextVar("source identity", default="")
_SESSION = re.compile(r"arn:(aws[a-z-]*):sts::(\d{12}):assumed-role/([^/]+)/.+")
_VARIABLE = re.compile(r"\$\{([A-Za-z0-9:/_.@-]+)\}")
_ACCESS_KEY = re.compile(rb"<AccessKeyId>([^<]+)</AccessKeyId>")


def role_arn(principal_arn: str) -> str:
    """The role behind an assumed-role session, any other principal as it is."""
    session = _SESSION.fullmatch(principal_arn)
    return f"arn:{session[1]}:iam::{session[2]}:role/{session[3]}" if session else principal_arn


def install() -> None:
    """Teach the evaluator what it does not know."""
    _know_sagemaker()
    _know_conditional_writes()
    _know_policy_variables()
    _know_who_owns_and_asks()
    _remember_source_identity()


def _know_sagemaker() -> None:
    require("sagemaker" not in iam_actions.SERVICE_TO_IAM_NAMESPACE, "permissions", "no sagemaker")
    require_parameters(
        "permissions",
        iam_actions.extract_resource_arn,
        *("service", "method", "path", "headers", "body", "query_params", "region", "account_id"),
    )
    require_parameters(
        "permissions", iam_actions.request_tag_context, "service", "iam_action", "body", "params"
    )
    require_parameters(
        "permissions",
        iam_actions.extract_iam_action,
        *("service", "method", "path", "headers", "body", "query_params"),
    )
    require("sqs" in iam_evaluator._RESOURCE_POLICY_LOOKUPS, "permissions", "policy look-ups")
    require_parameters("permissions", kms._resolve_key, "key_id_or_arn")
    iam_actions.SERVICE_TO_IAM_NAMESPACE["sagemaker"] = "sagemaker"
    require(
        scaling.SERVICE not in iam_actions.SERVICE_TO_IAM_NAMESPACE,
        "permissions",
        "no application-autoscaling",
    )
    iam_actions.SERVICE_TO_IAM_NAMESPACE[scaling.SERVICE] = scaling.SERVICE
    iam_actions.extract_iam_action = _with_invocations(iam_actions.extract_iam_action)
    iam_actions.extract_resource_arn = _with_sagemaker_resources(iam_actions.extract_resource_arn)
    iam_actions.request_tag_context = _with_condition_keys(iam_actions.request_tag_context)
    # The look-up table names modules of the emulator's services.
    sys.modules["ministack.services.sagemaker"] = sagemaker_iam
    iam_evaluator._RESOURCE_POLICY_LOOKUPS["sagemaker"] = (
        "sagemaker",
        "package_group_policy_for_arn",
    )


def _with_invocations(action: Any) -> Any:
    def extract_iam_action(
        service: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query_params: Any,
    ) -> Any:
        if service == "sagemaker" and path.startswith("/endpoints/"):
            return "sagemaker:InvokeEndpoint"
        return action(service, method, path, headers, body, query_params)

    return extract_iam_action


def _with_sagemaker_resources(resource_arn: Any) -> Any:
    def extract_resource_arn(
        service: str,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        query_params: Any,
        region: str,
        account_id: str,
    ) -> Any:
        if service == scaling.SERVICE:
            operation = headers.get("x-amz-target", "").rpartition(".")[2]
            return scaling.resource_arn(operation, _json(body), account_id, region)
        if service != "sagemaker":
            arn = resource_arn(
                service, method, path, headers, body, query_params, region, account_id
            )
            if service == "kms":
                return _key_arn(arn)
            return _looked_at(headers, body, region, account_id) or arn
        if path.startswith("/endpoints/"):
            name = unquote(path.split("/")[2]).lower()
            return f"arn:aws:sagemaker:{region}:{account_id}:endpoint/{name}"
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        return sagemaker_iam.resource_arn(operation, _json(body), account_id, region)

    return extract_resource_arn


def _looked_at(headers: dict[str, str], body: bytes, region: str, account_id: str) -> str:
    """The resource of these calls as AWS has it; "" for any other call."""
    _, _, operation = headers.get("x-amz-target", "").rpartition(".")
    request = _json(body)
    if operation == "DescribeEventBus":
        name = str(request.get("Name") or "default").rpartition("/")[2]
        return f"arn:aws:events:{region}:{account_id}:event-bus/{name}"
    rule = request.get({"DescribeRule": "Name", "ListTargetsByRule": "Rule"}.get(operation, ""))
    if rule and request.get("EventBusName", "default") == "default":
        return f"arn:aws:events:{region}:{account_id}:rule/{rule}"
    names = request.get("AlarmNames", []) if operation == "DeleteAlarms" else []
    if len(names) == 1:
        return f"arn:aws:cloudwatch:{region}:{account_id}:alarm:{names[0]}"
    if operation == "DescribeRepositories" and not request.get("repositoryNames"):
        return f"arn:aws:ecr:{region}:{account_id}:repository/*"
    return ""


def _key_arn(arn: str) -> str:
    """AWS asks about the key that an alias stands for, not about the alias."""
    found = kms._resolve_key(arn) if ":alias/" in arn else None
    return str(found["Arn"]) if found else arn


def _with_condition_keys(tag_context: Any) -> Any:
    def request_tag_context(
        service: str, iam_action: str, body: bytes, params: Any
    ) -> dict[str, Any]:
        context: dict[str, Any] = dict(tag_context(service, iam_action, body, params))
        if service == "sagemaker":
            context.update(sagemaker_iam.condition_keys(iam_action.partition(":")[2], _json(body)))
        if service == scaling.SERVICE:
            context.update(scaling.condition_keys(_json(body)))
        if iam_action == "events:PutEvents":
            context.update(_put_events_keys(_json(body)))
        if iam_action == "cloudwatch:PutMetricData":
            context["cloudwatch:namespace"] = str(_json(body).get("Namespace", ""))
        return context

    return request_tag_context


def _put_events_keys(request: dict[str, Any]) -> dict[str, Any]:
    """EventBridge's condition keys; of several different values, all must satisfy the policy."""
    entries = request.get("Entries") or []
    keys = {}
    for key, member in (("events:source", "Source"), ("events:detail-type", "DetailType")):
        values = sorted({str(entry.get(member, "")) for entry in entries})
        keys[key] = values[0] if len(values) == 1 else " and ".join(values)
    return keys


def _know_conditional_writes() -> None:
    """s3:if-none-match and s3:if-match, with which a bucket policy demands conditional writes.

    And s3:RequestObjectTag, with which it says what tags a write may bring.
    """
    require_parameters(
        "permissions",
        iam_actions.s3_service_context,
        *("iam_action", "query_params", "path", "headers"),
    )
    original = iam_actions.s3_service_context

    def s3_service_context(
        iam_action: str,
        query_params: Any,
        path: str = "",
        headers: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        context: dict[str, Any] = dict(original(iam_action, query_params, path, headers))
        if iam_action == "s3:PutObject":
            for name in ("if-none-match", "if-match"):
                if name in (headers or {}):
                    context[f"s3:{name}"] = (headers or {})[name]
            for key, value in parse_qsl((headers or {}).get("x-amz-tagging", "")):
                context[f"s3:RequestObjectTag/{key}"] = value
        return context

    iam_actions.s3_service_context = s3_service_context


def _know_policy_variables() -> None:
    """${aws:PrincipalAccount} and the like in the values of conditions.

    A variable that nothing is known for matches nothing, as in AWS.
    """
    require_parameters("permissions", iam_evaluator._conditions_met, "conditions", "ctx")
    require("${" not in inspect.getsource(iam_evaluator), "permissions", "no policy variables")
    original = iam_evaluator._conditions_met

    def conditions_met(conditions: dict[str, Any], ctx: Any) -> Any:
        if "${" not in str(conditions):
            return original(conditions, ctx)
        return original(_filled(conditions, ctx), ctx)

    iam_evaluator._conditions_met = conditions_met


def _filled(value: Any, ctx: Any) -> Any:
    if isinstance(value, dict):
        return {key: _filled(entry, ctx) for key, entry in value.items()}
    if isinstance(value, list):
        return [_filled(entry, ctx) for entry in value]
    if not isinstance(value, str):
        return value

    def known(variable: re.Match[str]) -> str:
        found = iam_evaluator._resolve_condition_key(variable[1], ctx)
        return found if isinstance(found, str) and found else "\0"

    return _VARIABLE.sub(known, value)


def _know_who_owns_and_asks() -> None:
    """aws:PrincipalArn is the role, not its session; a bucket's account is its owner's.

    The gateway speaks HTTP on loopback, which nobody else hears: that counts as secure transport.
    """
    require_parameters("permissions", iam_evaluator._resolve_condition_key, "key", "ctx")
    require_parameters("permissions", s3._bucket_owner_account, "name")
    original = iam_evaluator._resolve_condition_key

    def resolve(key: str, ctx: Any) -> Any:
        name = key.lower()
        if name in ("aws:resourceaccount", "s3:resourceaccount"):
            bucket = ctx.resource_arn.partition(":s3:::")[2].partition("/")[0]
            owner = s3._bucket_owner_account(bucket) if bucket else None
            return owner or original(key, ctx)
        if name == "aws:securetransport":
            return "true"
        if name == "aws:principalarn":
            return role_arn(foreign_caller.get() or ctx.principal_arn)
        if name == "sts:sourceidentity":
            return _identity.get() or original(key, ctx)
        return original(key, ctx)

    iam_evaluator._resolve_condition_key = resolve


def _remember_source_identity() -> None:
    """AssumeRole sets and passes on a source identity; its trust policy must allow setting it."""
    require_source("permissions", sts.handle_request, 'if action == "AssumeRole":')
    require_attributes(
        "permissions", sts, "_sessions", "_caller_identity", "_error", "extract_access_key_id"
    )
    require_parameters(
        "permissions", iam_evaluator.evaluate_trust_policy, "trust_doc", "caller_arn", "ctx"
    )
    original = sts.handle_request

    async def handle(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Any:
        wanted = _requested_source_identity(body)
        caller = sts._sessions.get(sts.extract_access_key_id(headers, query) or "") or {}
        inherited = caller.get("SourceIdentity")
        if wanted and inherited and wanted != inherited:
            return sts._error(
                403, "AccessDenied", "the session's source identity cannot change", ns="sts"
            )
        identity = wanted or (inherited if _form(body).get("Action") == "AssumeRole" else "")
        if not identity:
            return await original(method, path, headers, body, query)
        token = _identity.set(identity)
        try:
            if not _may_set(body, headers, query):
                return sts._error(
                    403,
                    "AccessDenied",
                    "not authorized to perform: sts:SetSourceIdentity",
                    ns="sts",
                )
            answer = await original(method, path, headers, body, query)
        finally:
            _identity.reset(token)
        key = _ACCESS_KEY.search(answer[2])
        session = sts._sessions.get(key[1].decode()) if key else None
        if session is not None:
            session["SourceIdentity"] = identity
        return answer

    sts.handle_request = handle


def _requested_source_identity(body: bytes) -> str:
    values = _form(body)
    return values.get("SourceIdentity", "") if values.get("Action") == "AssumeRole" else ""


def _may_set(body: bytes, headers: dict[str, str], query: dict[str, Any]) -> bool:
    """Whether the role's trust policy lets the caller set, or bring along, a source identity."""
    from ministack.services import iam

    arn = _form(body).get("RoleArn", "")
    account = (arn.split(":") + [""] * 5)[4]
    role = iam._roles.get_scoped(account, None, arn.rpartition("/")[2])
    caller = sts._caller_identity(headers, query)
    if role is None or not isinstance(caller, dict):
        return True  # AssumeRole itself gives the better answer
    context = iam_evaluator.EvalContext(
        principal_arn=caller["userArn"],
        principal_type=caller["principalType"],
        principal_account=caller["accountId"],
        action="sts:SetSourceIdentity",
        resource_arn=arn,
        region="",
        principal_keys=caller.get("principalKeys", {}),
    )
    return bool(
        iam_evaluator.evaluate_trust_policy(
            role.get("AssumeRolePolicyDocument", "{}"), caller["userArn"], context
        )
    )


def _form(body: bytes) -> dict[str, str]:
    return dict(parse_qsl(body.decode("utf-8", "replace")))


def _json(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body or b"{}")
    except (ValueError, RecursionError):  # an endpoint's clients may send anything
        return {}
    return value if isinstance(value, dict) else {}
