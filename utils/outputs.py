"""What a run writes beside its result: measures, other shapes, the report, and the upload."""

import asyncio
from collections.abc import Sequence

from utils.config import RunConfig
from utils.dataset import SeedSet
from utils.results import evolved_records
from utils.run_folder import Folder, check_output
from utils.schema import Method
from utils.spool import Spool
from utils.summary import Summary


def check_outputs(config: RunConfig) -> None:
    """Say before anything costs what could not be written or uploaded in the end."""
    if config.export:
        from utils.export import export_path

        check_output(export_path(config.save_path, config.export), "--export")
    if config.push_to_hub:
        from utils.hub import check_push

        check_push(config.push_to_hub)


async def write_outputs(
    config: RunConfig, folder: Folder, seeds: SeedSet, rows: Spool, summary: Summary, methods: Sequence[Method]
) -> None:
    """Export, measure, report and upload, as the flags say. The result itself is safe by now."""
    if config.export:
        from utils.export import export_path, export_rows

        path = export_path(folder.result, config.export)
        export_rows(path, config.export, lambda: evolved_records(rows), lambda row_id: seeds.get([row_id])[0].extra)
    if not config.no_report:
        from utils.measures.run import measure_run
        from utils.report import write_report

        measures = measure_run(record for _, record in rows.items())
        folder.write("measures.json", measures.model_dump_json(indent=2) + "\n")
        write_report(folder.path, folder.result, config.lang)
    if config.push_to_hub and summary.evolved:
        await _upload(config, folder, rows, summary, methods)


async def _upload(config: RunConfig, folder: Folder, rows: Spool, summary: Summary, methods: Sequence[Method]) -> None:
    from utils.card import card, language_shares
    from utils.hub import check_push, push

    languages = language_shares(record["instruction"] for record in evolved_records(rows))
    text = card(summary, config, methods, languages)
    # In a thread, so that Ctrl-C is heard while the network is slow.
    await asyncio.to_thread(push, folder.result, config.push_to_hub, check_push(config.push_to_hub), text)
