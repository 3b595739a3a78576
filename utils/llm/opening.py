"""The two LLMs of a run, opened and closed."""

import asyncio
import logging
from typing import TYPE_CHECKING

from utils.config import RunConfig
from utils.llm.journaled import Booked, Endpoint, JournaledLLM, Recorder, ReplayEndpoint
from utils.llm.ledger import Ledger
from utils.llm.limits import Gate, Window
from utils.llm_config import OFFLINE_WEAK, LLMConfig

if TYPE_CHECKING:
    from utils.llm.batch import Rounds

log = logging.getLogger(__name__)

GRACE = 25.0  # seconds that calls in flight are given when a run stops early: they are paid for

Windows = dict[tuple[str, float | None, float | None], Window]  # by base_url, rpm and tpm


def open_llms(
    config: RunConfig, journal: Recorder, ledger: Ledger, rounds: "Rounds | None" = None
) -> tuple[JournaledLLM, JournaledLLM, JournaledLLM | None]:
    """Open the evol, the optimizer and the weak LLM of a run; those of one server at one rate share its window.

    With `rounds`, their requests go into batches.
    """
    gate = Gate(None if config.batch_size == "auto" else config.batch_size)
    windows: Windows = {}

    def opened(llm_config: LLMConfig, offline: str = "offline") -> JournaledLLM:
        if config.offline:  # rows must not claim a model that has not written them
            llm_config = llm_config.model_copy(update={"model": offline})
        endpoint = _endpoint(config, llm_config, gate, windows, ledger, journal, rounds)
        return JournaledLLM(endpoint, llm_config, journal, ledger, config.seed)

    weak = opened(config.weak_llm_config, OFFLINE_WEAK) if config.weak_llm_config else None
    return opened(config.evol_llm_config), opened(config.optim_llm_config), weak


def _endpoint(
    config: RunConfig,
    llm_config: LLMConfig,
    gate: Gate,
    windows: Windows,
    ledger: Ledger,
    journal: Recorder,
    rounds: "Rounds | None",
) -> Endpoint:
    if config.replay:
        return ReplayEndpoint()
    if config.offline:
        from utils.llm.offline import OfflineEndpoint

        return Booked(OfflineEndpoint(), llm_config, ledger)
    live = _live(config, llm_config, gate, windows, ledger, journal) if config.asks_live else None
    if live and not rounds:
        return live
    from utils.llm.batch import in_rounds

    assert rounds  # else there is no way to ask
    return in_rounds(live, config, llm_config, rounds, journal, ledger)


def _live(
    config: RunConfig, llm_config: LLMConfig, gate: Gate, windows: Windows, ledger: Ledger, journal: Recorder
) -> Endpoint:
    from utils.llm.endpoint import OpenAIEndpoint

    ceiling = None if config.batch_size == "auto" else config.batch_size
    rates = (llm_config.rpm, llm_config.tpm)
    own = [windows.setdefault((base_url, *rates), Window(ceiling, *rates)) for base_url in llm_config.base_urls]
    worked = journal.holds_answers_of(llm_config.model, llm_config.base_url)
    return OpenAIEndpoint(llm_config, gate, own, ledger, worked)


async def close_llms(*llms: JournaledLLM) -> None:
    """Wait up to GRACE seconds for the calls in flight, then close the connections."""
    if llms[0].in_flight:
        log.info("%d requests in flight are waited for, %g s at most", llms[0].in_flight, GRACE)
    await asyncio.gather(*(llm.drain(GRACE) for llm in llms))
    for llm in llms:
        await llm.close()
