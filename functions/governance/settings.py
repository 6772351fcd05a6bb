"""What the deployment tells the functions. The only reader of the environment.

Every function gets every variable (template.yaml, Globals), so a handler loads its settings at
import: a missing variable then fails the cold start by name, not a promotion half way.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Settings:
    """The names of what the functions work with; each field is its variable in lower case."""

    claims_table: str
    project_directory_table: str
    candidates_table: str
    parts_table: str
    ledger_table: str
    ledger_heads_table: str
    endpoint_waits_table: str
    endpoint_locks_table: str
    confirmations_table: str
    artifacts_bucket: str
    evidence_bucket: str
    ledger_bucket: str
    images_repository_uri: str
    kms_key_arn: str
    ledger_key_arn: str
    event_bus_name: str
    registry_account_id: str
    registry_role_name: str
    lineage_role_name: str
    hub_role_name: str
    hub_external_id: str
    endpoint_execution_role_name: str

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read all variables; RuntimeError names every one that is missing or empty."""
        source = os.environ if environment is None else environment
        values = {field.name: source.get(field.name.upper(), "") for field in fields(cls)}
        missing = sorted(name.upper() for name, value in values.items() if not value)
        if missing:
            raise RuntimeError(
                f"environment variables not set: {', '.join(missing)}; "
                "template.yaml sets them for every function in Globals"
            )
        return cls(**values)
