"""The endpoint of one LLM whose requests go into batches: roles know nothing of it."""

from decimal import Decimal

from utils.llm.batch.records import Records
from utils.llm.batch.rounds import Outlet, Rounds
from utils.llm.journal import request_key
from utils.llm.journaled import Endpoint
from utils.llm_config import LLMConfig
from utils.schema import Completion, Request

MOST_TIMES_AGAIN = 3  # rounds that a request is asked for again in, after the first one has left it out


class BatchEndpoint:
    """Sends requests through `outlet` in rounds while these are gathered, else through `live`.

    With `falls_back` a request that `MOST_TIMES_AGAIN` rounds have left out is sent live, else it is `unavailable`.
    `live` None: there is no other way than batches.
    """

    def __init__(
        self,
        live: Endpoint | None,
        outlet: Outlet,
        rounds: Rounds,
        records: Records,
        config: LLMConfig,
        falls_back: bool,
    ) -> None:
        self._live = live
        self._outlet = outlet
        self._rounds = rounds
        self._records = records
        self._config = at_batch_prices(config)
        self._falls_back = falls_back

    async def send(self, request: Request) -> Completion:
        """Return one completion; its failure is `unavailable` when no round brought one. Raises as a live one does."""
        if self._live and not self._rounds.gathers:
            return await self._live.send(request)
        key = request_key(request)
        times = self._records.times(key)
        while times <= MOST_TIMES_AGAIN:
            completion = await self._rounds.ask(request, key, self._config, self._outlet)
            if completion is not None:
                return completion
            times = self._records.left_out(key)
        self._records.forgive(key)  # who asks in another run begins anew
        if not self._live or not self._falls_back:
            return Completion("", "unavailable")
        with self._rounds.going_on():
            return await self._live.send(request)

    def stop(self, why: Exception) -> None:
        if self._live:
            self._live.stop(why)
        self._rounds.stop(why)

    async def close(self) -> None:
        await self._rounds.close()
        if self._live:
            await self._live.close()


def at_batch_prices(config: LLMConfig) -> LLMConfig:
    """Return the llm-config with the prices of batches."""
    names = ("price_in", "price_out", "price_cached")
    prices: dict[str, Decimal | None] = {name: getattr(config, name) for name in names}
    return config.model_copy(
        update={name: None if price is None else price * config.price_batch for name, price in prices.items()}
    )
