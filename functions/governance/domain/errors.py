"""The whole error vocabulary.

Lambda reports the bare class name and the state language knows no inheritance, so these five are
raised as they are and never subclassed. Messages say what, which id, what was expected and what
to do next; they hold no secrets.
"""

from __future__ import annotations


class TransientError(Exception):
    """It may work if tried again: throttled, a lost race, a service that did not answer."""


class InvalidInputError(Exception):
    """What we were given is not what it must be: an event, an object, a report, a request."""


class IntegrityError(Exception):
    """Bytes are not the bytes that were recorded."""


class AccessError(Exception):
    """A role, trust, bucket or key policy does not allow the call."""


class NotFoundError(Exception):
    """The thing that the request names does not exist."""
