"""CheckReviewDeadlines: an emergency release is reviewed in time, or somebody hears of it."""

from __future__ import annotations

from typing import Any

from governance.adapters import clock
from governance.adapters.directory import Directory
from governance.adapters.ledger import Writer
from governance.domain import ledger, reviews
from governance.entry import entry_point
from governance.settings import Settings

# A review is due within days and recorded as overdue within the hour; this leaves time to repair.
_LOOK_BACK_SECONDS = 90 * 24 * 3600

settings = Settings.load()


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Record MandatoryReviewOverdue, once each, for every model that owes a review."""
    now, since = clock.now(), clock.now(later_by=-_LOOK_BACK_SECONDS)
    ours = Writer(settings)
    found = [
        review
        for model in Directory(settings.project_directory_table).models()
        for review in reviews.overdue(ours.recent(model, since), now)
    ]
    for review in found:
        request = reviews.overdue_request(review, "check_review_deadlines")
        ours.append(ledger.entry("MandatoryReviewOverdue", request, recorded_at=now))
    return {"overdue": [review["model_package_arn"] for review in found]}
