"""What a run writes beside its result: measures, other shapes, the report, and the upload."""

import asyncio
from collections.abc import Sequence

from utils.config import RunConfig
from utils.results import Columns, evolved_records
from utils.run_folder import Folder, check_output
from utils.schema import Method
from utils.summary import Summary
from utils.tally import Finished


def check_outputs(config: RunConfig) -> None:
    """Say before anything costs what could not be written or uploaded in the end."""
    if config.export:
        from utils.export import export_path

        check_output(export_path(config.result, config.export), "--export")
    if config.push_to_hub:
        from utils.hub import check_push

        check_push(config.push_to_hub)


async def write_outputs(
    config: RunConfig,
    folder: Folder,
    finished: Finished,
    columns: Columns,
    summary: Summary,
    methods: Sequence[Method],
) -> None:
    """Export, measure, report and upload, as the flags say. The result itself, which has `columns`, is safe by now."""
    if config.export:
        from utils.export import export_path, export_rows

        export_rows(export_path(folder.result, config.export), config.export, finished.evolved, config.reasoning)
    if not config.no_report:
        from utils.measures.run import measure_run
        from utils.report import write_report

        measures = measure_run(record for _, record in finished.rows.items())
        folder.write("measures.json", measures.model_dump_json(indent=2) + "\n")
        write_report(folder.path, folder.result, config.lang, finished if config.in_partitions else None)
    if config.push_to_hub and summary.evolved:
        await _upload(config, folder, finished, columns, summary, methods)


async def _upload(
    config: RunConfig,
    folder: Folder,
    finished: Finished,
    columns: Columns,
    summary: Summary,
    methods: Sequence[Method],
) -> None:
    from utils.card import card, language_shares
    from utils.hub import check_push, push

    languages = language_shares(record["instruction"] for record in evolved_records(finished.rows))
    text = card(summary, config, methods, languages, columns=columns)
    # In a thread, so that Ctrl-C is heard while the network is slow.
    await asyncio.to_thread(push, folder.result, config.push_to_hub, check_push(config.push_to_hub), text)
