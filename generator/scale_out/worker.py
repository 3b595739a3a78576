"""What a worker does: groups of ten, with LLM clients of its own."""

import json
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import ray

from generator.scale_out.coordinator import Calls, SharedLedger, taken
from generator.scale_out.groups import SEEDS, Rows
from utils.errors import AutoEvolError, BudgetReached
from utils.ledger import Ledger
from utils.llm import Recorder
from utils.schema import SeedInstruction
from utils.storage import brief


@dataclass(frozen=True, slots=True)
class GroupWorker:
    """What an actor works with: `evolve` does one group of rows, `drain` lets calls under way come home."""

    evolve: Callable[[Sequence[SeedInstruction]], Awaitable[Rows]]
    drain: Callable[[], Awaitable[None]]


class Evolver:
    """One of the actors of Ray Data's pool. `build` opens its LLMs, given a journal and a ledger."""

    def __init__(self, build: Callable[[Recorder, Ledger], GroupWorker], coordinator: Any) -> None:
        variables, budgeted = ray.get(coordinator.enter.remote())
        os.environ.update(variables)
        self._calls = Calls(coordinator)
        self._ledger = SharedLedger(self._calls) if budgeted else Ledger()
        self._build = partial(build, self._calls, self._ledger)
        self._worker: GroupWorker | None = None

    async def __call__(self, row: dict[str, Any]) -> list[dict[str, str]]:
        """The row of a group that has come to its end; none where it has not, or not all of it."""
        group = row["group"]
        if not await self._calls("begin", group):
            return []
        try:
            self._worker = self._worker or self._build()  # in the loop of the calls, where connections belong
            rows = await self._worker.evolve(SEEDS.validate_python(json.loads(row["seeds"])))
        except AutoEvolError as exc:
            await self._calls("stop", exc, taken(self._ledger))
            if isinstance(exc, BudgetReached) and self._worker:
                await self._worker.drain()
                await self._calls("stop", exc, taken(self._ledger))
            return []
        except (Exception, SystemExit) as exc:  # Ray would take the latter for the wish to end the worker
            await self._calls("fail", brief(exc), taken(self._ledger))
            return []
        kinds = [kind for _, (kind, _) in rows]
        unfinished = rows if "unavailable" in kinds else None
        failed = len(kinds) - kinds.count("evolved")
        await self._calls("end", group, len(kinds), failed, taken(self._ledger), unfinished)
        return [] if unfinished else [{"group": group, "records": json.dumps(rows)}]
