"""The lines of output and error files, which may be shuffled, doubled, foreign, or no lines at all."""

import json
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from utils.errors import EndpointError
from utils.llm.batch.requests import key_of
from utils.llm.batch.rounds import Item
from utils.llm.faults import Border, Fault, FaultKind, Refused, Reply, error_codes, error_words
from utils.llm.ledger import estimated_tokens
from utils.llm.reply import read_completion
from utils.schema import Completion, Usage


@dataclass(slots=True)
class Reader:
    """Reads the lines of one batch, and answers the requests in `waiting`, which it takes out there.

    `answer` is given an item and its completion, `wasted` an item and the tokens of a reply of no use. `worked` says
    that this model has given a completion before: until then a refusal may be the whole batch's.
    """

    waiting: MutableMapping[bytes, Item]
    border: Border
    answer: Callable[[Item, Completion | None], None]
    wasted: Callable[[Item, Usage], None]
    worked: bool
    strange: int = 0  # lines of no request that still waits: unknown, doubled, unreadable
    fault: Exception | None = None  # the last one that a line told of
    _refusals: list[tuple[Item, Refused]] = field(default_factory=list)
    _in_vain: set[bytes] = field(default_factory=set)  # whose tokens are booked: a file cut off is read twice

    def take(self, line: bytes) -> None:
        """Read one line. A request whose line tells of a fault stays in `waiting`."""
        try:
            record = json.loads(line)
            key = key_of(record["custom_id"])
        except (ValueError, LookupError, TypeError, RecursionError):
            record = key = None
        item = self.waiting.get(key) if key else None
        if item is None:
            self.strange += bool(line.strip())
            return
        try:
            completion = self._completion(record, item)
        except Refused as refused:
            self._refuse(item, refused)
        except (Fault, EndpointError) as exc:
            self.fault = exc
            if isinstance(exc, Fault) and exc.usage != Usage() and item.key not in self._in_vain:
                self._in_vain.add(item.key)
                self.wasted(item, exc.usage)
        else:
            self.worked = True
            self._settle(item, completion)

    def end(self) -> None:
        """Answer what was refused. Raises EndpointError where that is all that ever came."""
        refusals, self._refusals = self._refusals, []
        if refusals and not self.worked and all(refused.reason == "rejected" for _, refused in refusals):
            raise EndpointError(
                f"{self.border.base_url} rejects every request ({refusals[0][1]}); check the llm-config"
            )
        for item, refused in refusals:
            self._settle(item, Completion("", refused.reason, said=refused.said))

    def _refuse(self, item: Item, refused: Refused) -> None:
        if self.worked:
            self._settle(item, Completion("", refused.reason, said=refused.said))
        else:
            self._refusals.append((item, refused))

    def _settle(self, item: Item, completion: Completion) -> None:
        if self.waiting.pop(item.key, None):
            self.answer(item, completion)

    def _completion(self, record: dict[str, Any], item: Item) -> Completion:
        """Return the completion in a line. Raises Fault, Refused or EndpointError where there is none to use."""
        response = record.get("response")
        response = response if isinstance(response, dict) else {}
        status, body = response.get("status_code", 200), response.get("body")
        error = record.get("error") or (body.get("error") if isinstance(body, dict) else None)
        if isinstance(body, dict) and status == 200 and not error:
            completion, _ = read_completion(json.dumps(body).encode(), estimated_tokens(item.request), self.border)
            return completion
        said = self.border.redacted(error_words(error or body) or "no answer")
        if not isinstance(status, int) or status == 200:  # expired, cancelled: never asked
            raise Fault(FaultKind.NOTHING, f"{self.border.base_url}: {said}")
        raise self.border.sort_reply(
            Reply(status, said, error_codes(error) if isinstance(error, dict) else frozenset())
        )
