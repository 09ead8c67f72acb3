"""Resources that a result holds or links to: those that the principal may not read are taken out, or the result is refused.

The rule: each is decided as reading its URI, before the call; one that is in doubt may not be read. What is kept leaves byte for byte.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from mcp_acl.domain import Reason, Request, RuleError
from mcp_acl.engine.reading import read_decision
from mcp_acl.mcp.links import blocks_of, is_array, is_object, may_link, uri_of_block, uri_of_contents
from mcp_acl.mcp.results import Members, read_list, read_members, watched, write_list, write_members
from mcp_acl.policy.index import View
from mcp_acl.policy.servers import LinkedResources
from mcp_acl.problems import MessageError

_MESSAGE: Final = watched("content")
_DOUBT: Final = "a resource without one readable URI"


@dataclass(slots=True)
class Links:
    """Filters the resources of one response to `request`, and keeps what it met on the way."""

    view: View
    request: Request
    hidden: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    errors: list[RuleError] = field(default_factory=list)

    def filtered(self, result: Members) -> dict[str, object]:
        """The members of a result to change. Raises MessageError if the result is to be refused."""
        treatment = self.view.linked_resources
        if treatment is LinkedResources.PASS:
            return {}
        changed: dict[str, object] = {}
        for name, read in _READERS.items():
            kept = read(self, result[name]) if name in result else None
            if kept is not None:
                changed[name] = write_list(kept)
        if changed and treatment is LinkedResources.DENY:
            raise MessageError("response", "it holds a resource that may not be read")
        return changed

    def _contents(self, contents: msgspec.Raw) -> list[msgspec.Raw] | None:
        return self._kept(read_list(contents), uri_of_contents) if is_array(contents) else None

    def _content(self, content: msgspec.Raw) -> list[msgspec.Raw] | None:
        return self._kept(blocks_of(content), uri_of_block) if may_link(bytes(content)) else None

    def _messages(self, messages: msgspec.Raw) -> list[msgspec.Raw] | None:
        """A message of which no block is left goes too."""
        if not is_array(messages) or not may_link(bytes(messages)):
            return None
        before = read_list(messages)
        after = [self._message(message) for message in before]
        kept = [message for message in after if message is not None]
        return None if all(one is two for one, two in zip(before, after, strict=True)) else kept

    def _message(self, message: msgspec.Raw) -> msgspec.Raw | None:
        if not is_object(message):
            return message
        try:
            members = read_members(message, "message", _MESSAGE)
        except MessageError:
            self.dropped.append(_DOUBT)
            return None
        kept = self._content(members["content"]) if "content" in members else None
        if kept is None:
            return message
        return msgspec.Raw(write_members({**members, "content": write_list(kept)})) if kept else None

    def _kept(
        self, entries: Sequence[msgspec.Raw], uri_of: Callable[[msgspec.Raw], str | None]
    ) -> list[msgspec.Raw] | None:
        """What of some entries stays, None if all of them do."""
        kept = [entry for entry in entries if self._stays(entry, uri_of)]
        return None if len(kept) == len(entries) else kept

    def _stays(self, entry: msgspec.Raw, uri_of: Callable[[msgspec.Raw], str | None]) -> bool:
        try:
            uri = uri_of(entry)
        except MessageError:
            self.dropped.append(_DOUBT)
            return False
        return uri is None or self._may_be_read(uri)

    def _may_be_read(self, uri: str) -> bool:
        """Whether it is what was asked for, or could be."""
        message = self.request.message
        if message.method == "resources/read" and message.params.get("uri") == uri:
            return True
        decision = read_decision(self.view, self.request, uri)
        self.errors += decision.errors
        if decision.reason is Reason.URI_NOT_CANONICAL:
            self.dropped.append(f"`{uri[:200]}`: {decision.message}")
        elif not decision.allowed:
            self.hidden.append(uri)
        return decision.allowed


_READERS: Final = {"contents": Links._contents, "content": Links._content, "messages": Links._messages}  # noqa: SLF001
"""How each member that holds resources is filtered."""
