"""Lineage: artifacts, actions, contexts and the associations between them."""

from __future__ import annotations

import uuid
from collections import deque
from typing import Any

from local.sagemaker import tags, tracking
from local.sagemaker.errors import invalid, not_found
from local.sagemaker.lookup import own_account_of
from local.sagemaker.requests import Request, epoch, pick, public
from local.sagemaker.store import Account, Record, artifact_name, now

_KINDS = {"Artifact": "artifact", "Action": "action", "Context": "context"}
_ENDS = ("SourceArn", "DestinationArn")
_DEEPEST = 10  # also what a query gets that names no depth
_LARGEST_PAGE = 50  # vertices, likewise
_MANDATORY = {"Artifact": "ArtifactArn", "Action": "ActionName", "Context": "ContextName"}


def create(request: Request) -> Record:
    """CreateArtifact, CreateAction and CreateContext.

    "There can be only one artifact with a unique SourceUri", the others are known by their name;
    ValidationException if it is known already.
    """
    kind = request.operation.removeprefix("Create")
    body, mine = request.body, request.mine
    if kind == "Artifact":
        name = artifact_name(body["Source"])
        known = tracking.artifact_of(mine, body["Source"]["SourceUri"])
    else:
        name, known = body[f"{kind}Name"], None
    arn = mine.arn(_KINDS[kind], name)
    if known or arn in mine.lineage:
        raise invalid(f"{kind} already exists: {known or arn}")
    tags.put(mine, arn, body.get("Tags"))
    given = {member: value for member, value in body.items() if member != "Tags"}
    mine.lineage[arn] = tracking.entity(kind, arn, request.caller.user_context(), given)
    return {f"{kind}Arn": arn}


def describe(request: Request) -> Record:
    """DescribeArtifact, DescribeAction and DescribeContext."""
    return public(_named(request, request.operation.removeprefix("Describe")))


def update(request: Request) -> Record:
    """UpdateArtifact, UpdateAction and UpdateContext; properties are merged."""
    kind, body = request.operation.removeprefix("Update"), request.body
    entity = _named(request, kind)
    removed = body.get("PropertiesToRemove", [])
    properties = {**entity.get("Properties", {}), **body.get("Properties", {})}
    entity["Properties"] = {k: v for k, v in properties.items() if k not in removed}
    entity.update(pick(body, ("Description", "Status", f"{kind}Name")))
    entity.update(LastModifiedTime=now(), LastModifiedBy=request.caller.user_context())
    return {f"{kind}Arn": entity[f"{kind}Arn"]}


def delete(request: Request) -> Record:
    """DeleteArtifact, DeleteAction and DeleteContext; ValidationException while associated."""
    kind, mine = request.operation.removeprefix("Delete"), request.mine
    arn = _named(request, kind)[f"{kind}Arn"]
    if any(arn in pair for pair in mine.associations):
        raise invalid(f"{kind} {arn} cannot be deleted because it has associations")
    del mine.lineage[arn]
    mine.tags.pop(arn, None)
    return {f"{kind}Arn": arn}


def list_entities(request: Request) -> Record:
    """ListArtifacts, ListActions and ListContexts, by source and type, newest first."""
    kind, body = request.operation.removeprefix("List").removesuffix("s"), request.body
    source, kind_of_it = body.get("SourceUri"), body.get(f"{kind}Type")
    found = request.filtered(
        entity
        for entity in list(request.mine.lineage.values())
        if entity["kind"] == kind
        and source in (None, entity["Source"]["SourceUri"])
        and kind_of_it in (None, entity.get(f"{kind}Type"))
    )
    members = ("Source", "Status", "CreationTime", "LastModifiedTime")
    named = (f"{kind}Arn", f"{kind}Name", f"{kind}Type")
    summaries = [
        pick(entity, (*named, *(m for m in members if m != "Status" or kind == "Action")))
        for entity in request.sorted(found, {"Name": f"{kind}Name"}, descending=True)
    ]
    return request.page(summaries, f"{kind}Summaries")


def add_association(request: Request) -> Record:
    """AddAssociation between two entities of the caller's account."""
    body, mine = request.body, request.mine
    pair = _pair(request)
    for arn in pair:
        if arn not in mine.lineage:
            raise not_found(f"{arn} does not exist")
    if pair in mine.associations:
        raise invalid(f"Association of {pair[0]} and {pair[1]} already exists")
    mine.associations[pair] = {
        **dict(zip(_ENDS, pair, strict=True)),
        "AssociationType": body.get("AssociationType", "AssociatedWith"),
        "CreationTime": now(),
        "CreatedBy": request.caller.user_context(),
    }
    return dict(zip(_ENDS, pair, strict=True))


def delete_association(request: Request) -> Record:
    """DeleteAssociation."""
    pair = _pair(request)
    if request.mine.associations.pop(pair, None) is None:
        raise not_found(f"Association of {pair[0]} and {pair[1]} does not exist")
    return dict(zip(_ENDS, pair, strict=True))


def list_associations(request: Request) -> Record:
    """ListAssociations by the ends, their types and the kind of association."""
    body, wanted = request.body, (*_ENDS, "SourceType", "DestinationType", "AssociationType")
    found = [
        association
        for association in map(_described(request.mine), request.mine.associations.values())
        if all(body.get(member) in (None, association.get(member)) for member in wanted)
    ]
    by = {member: member for member in wanted}
    ordered = request.sorted(request.filtered(found), by, descending=True)
    return request.page(ordered, "AssociationSummaries")


def query(request: Request) -> Record:
    """QueryLineage: a walk from the start, up, down or both ways, a page of vertices at a time.

    An edge comes with the page that shows the second of its ends; the last page has those whose
    ends the filters leave out.
    """
    body, mine = request.body, request.mine
    start = body.get("StartArns") or []
    unknown = sorted(set(start) - mine.lineage.keys())
    if unknown:
        raise not_found(f"{', '.join(unknown)} does not exist")
    depth, size = body.get("MaxDepth", _DEEPEST), body.get("MaxResults", _LARGEST_PAGE)
    if depth < 1 or size < 1:
        raise invalid("MaxDepth and MaxResults must be at least 1")
    if not start and not body.get("Filters"):
        raise invalid("Provide StartArns or Filters")
    if start:
        reached, pairs = _walk(mine, start, body.get("Direction", "Both"), depth)
    else:
        reached, pairs = list(mine.lineage), list(mine.associations)
    shown = [arn for arn in reached if _passes(mine.lineage[arn], body.get("Filters") or {})]
    answer = request.page([_vertex(mine.lineage[arn]) for arn in shown], "Vertices", size)
    position = {arn: number for number, arn in enumerate(shown)}
    begin, end = int(body.get("NextToken") or 0), answer.get("NextToken", len(shown))
    answer["Edges"] = [
        pick(mine.associations[pair], (*_ENDS, "AssociationType"))
        for pair in pairs
        if body.get("IncludeEdges", True)
        and begin <= max(position.get(arn, len(shown) - 1) for arn in pair) < int(end)
    ]
    return answer


def record_life_cycle(owner: Account, package: Record) -> None:
    """A change of ModelLifeCycle is also an Action, SageMaker's own history (facts 5.7)."""
    life_cycle = package["ModelLifeCycle"]
    version = package.get("ModelPackageVersion", 0)
    name = f"model-life-cycle-{version}-{uuid.uuid4().hex[:12]}"
    arn = owner.arn("action", name)
    changed, context = package["LastModifiedTime"], package["LastModifiedBy"]
    owner.tags[arn] = {}
    owner.lineage[arn] = {
        "ActionName": name,
        "ActionArn": arn,
        "ActionType": "ModelLifeCycle",
        "Source": {"SourceUri": package["ModelPackageArn"], "SourceType": "ARN"},
        "Status": "Completed",
        "Properties": {key: str(value) for key, value in life_cycle.items()},
        "CreationTime": changed,
        "CreatedBy": context,
        "LastModifiedTime": changed,
        "LastModifiedBy": context,
        "kind": "Action",
    }


def _named(request: Request, kind: str) -> Record:
    body, mine = request.body, request.mine
    given = body.get(_MANDATORY[kind])
    if given is None and body.get("Source"):
        given = mine.arn("artifact", artifact_name(body["Source"]))
    if given is None:
        raise invalid(f"Provide either ArtifactArn or Source to name the {kind}")
    arn = given if given.startswith("arn:") else mine.arn(_KINDS[kind], given)
    entity = own_account_of(request, arn).lineage.get(arn)
    if entity is None or entity["kind"] != kind:
        raise not_found(f"{kind} {given} does not exist")
    return entity


def _pair(request: Request) -> tuple[str, str]:
    return request.body["SourceArn"], request.body["DestinationArn"]


def _described(mine: Account) -> Any:
    """An association with the names and types of its ends."""

    def describe(association: Record) -> Record:
        described = dict(association)
        for end in ("Source", "Destination"):
            entity = mine.lineage[association[f"{end}Arn"]]
            for part in ("Type", "Name"):
                value = entity.get(f"{entity['kind']}{part}")
                if value:
                    described[f"{end}{part}"] = value
        return described

    return describe


def _walk(
    mine: Account, start: list[str], direction: str, depth: int
) -> tuple[list[str], list[tuple[str, str]]]:
    """(ARNs, associations) in the order in which they are reached."""
    reached: dict[str, None] = dict.fromkeys(start)
    pairs: dict[tuple[str, str], None] = {}
    queue = deque((arn, 0) for arn in reached)
    while queue:
        arn, distance = queue.popleft()
        if distance == depth:
            continue
        for pair, other in _neighbours(mine, arn, direction):
            pairs[pair] = None
            if other not in reached:
                reached[other] = None
                queue.append((other, distance + 1))
    return list(reached), list(pairs)


def _neighbours(mine: Account, arn: str, direction: str) -> list[tuple[tuple[str, str], str]]:
    found = []
    for source, destination in mine.associations:
        if direction != "Descendants" and destination == arn:
            found.append(((source, destination), source))
        if direction != "Ascendants" and source == arn:
            found.append(((source, destination), destination))
    return found


def _vertex(entity: Record) -> Record:
    kind = entity["kind"]
    vertex = {"Arn": entity[f"{kind}Arn"], "LineageType": kind}
    of_type = entity.get(f"{kind}Type")
    return {**vertex, "Type": of_type} if of_type else vertex


def _passes(entity: Record, filters: Record) -> bool:
    kind, properties = entity["kind"], entity.get("Properties", {})
    bounds = (
        ("CreatedAfter", "CreationTime", 1),
        ("CreatedBefore", "CreationTime", -1),
        ("ModifiedAfter", "LastModifiedTime", 1),
        ("ModifiedBefore", "LastModifiedTime", -1),
    )
    return (
        entity.get(f"{kind}Type") in (filters.get("Types") or [entity.get(f"{kind}Type")])
        and kind in (filters.get("LineageTypes") or [kind])
        and (filters.get("Properties") or {}).items() <= properties.items()
        and all(
            name not in filters or (entity[member] - epoch(filters[name])) * sign > 0
            for name, member, sign in bounds
        )
    )
