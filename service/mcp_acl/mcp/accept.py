"""Which of MCP's two kinds of answer a client takes: JSON or an event stream (RFC 9110 §12.5.1). Knows no policy.

Ranges with the weight 0 are not acceptable, the most specific range counts, and preferences between the two do not: MCP leaves
the choice to the server.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream"

_OWS: Final = " \t"
_PLAIN_JSON: Final = re.compile(r"application/json[ \t]*(?:;[ \t]*charset=\"?utf-8\"?[ \t]*)?", re.IGNORECASE)


class Accepted(NamedTuple):
    """What a client takes."""

    json: bool
    event_stream: bool


def is_plain_json(content_type: str) -> bool:
    """Whether it is a type that no client can take for an event stream."""
    return _PLAIN_JSON.fullmatch(content_type.strip()) is not None


def accepted(headers: Mapping[str, Sequence[str]]) -> Accepted:
    """What the header `Accept` allows; without one, or where it allows neither: JSON. Header names are lower case."""
    ranges = dict(_ranges(",".join(headers.get("accept", ()))))
    found = Accepted(_allows(ranges, JSON), _allows(ranges, EVENT_STREAM))
    return found if any(found) else Accepted(json=True, event_stream=False)


def _ranges(text: str) -> Iterator[tuple[str, bool]]:
    """Each media range in lower case, and whether its weight is more than 0."""
    for one in text.split(","):
        media, *parameters = (part.strip(_OWS).lower() for part in one.split(";"))
        if media:
            yield media, not any(map(_is_zero, parameters))


def _is_zero(parameter: str) -> bool:
    name, _, value = parameter.partition("=")
    digits = value.strip(_OWS)
    return name.strip(_OWS) == "q" and digits != "" and set(digits) <= {"0", "."}


def _allows(ranges: Mapping[str, bool], media: str) -> bool:
    of_type = media.partition("/")[0] + "/*"
    return next((ranges[one] for one in (media, of_type, "*/*") if one in ranges), False)
