"""Rounds and their outlets, as the flags ask for them."""

from collections.abc import Callable

from utils.config import RunConfig
from utils.llm.batch.endpoint import BatchEndpoint
from utils.llm.batch.records import Records
from utils.llm.batch.rounds import Outlet, Rounds
from utils.llm.journal import Journal
from utils.llm.journaled import Endpoint, Recorder
from utils.llm.ledger import Ledger
from utils.llm_config import LLMConfig


def open_rounds(config: RunConfig, ledger: Ledger, show: Callable[[str], None]) -> Rounds | None:
    """Return the rounds of a run, which `show` is told of; None where its flags ask for no batches."""
    if not config.in_batches:
        return None
    ledger.by_the_limit = True
    return Rounds(ledger, config.batch_api == "all", config.cancel_batches, show)


def in_rounds(
    live: Endpoint | None, config: RunConfig, llm_config: LLMConfig, rounds: Rounds, journal: Recorder, ledger: Ledger
) -> BatchEndpoint:
    """Return the endpoint of an LLM whose requests go into `rounds`, and to `live` until these are gathered."""
    assert isinstance(journal, Journal)  # config.py: batches are for the local engine
    records = Records(journal)

    def make() -> Outlet:
        if config.batch_folder:
            from utils.llm.batch.folder import FolderOutlet

            return FolderOutlet(config.batch_folder, rounds, records, ledger)
        from utils.llm.batch.provider import ApiOutlet  # it loads openai

        worked = journal.holds_answers_of(llm_config.model, llm_config.base_url)
        return ApiOutlet(llm_config, place, rounds, records, ledger, worked)

    place = str(config.batch_folder or f"{llm_config.model} at {llm_config.base_urls[0]}")
    return BatchEndpoint(live, rounds.outlet(place, make), rounds, records, llm_config, config.falls_back)
