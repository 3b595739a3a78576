"""What a run writes beside its result: measures, and the result in another shape."""

from utils.config import RunConfig
from utils.dataset import SeedSet
from utils.results import evolved_records
from utils.run_folder import Folder
from utils.spool import Spool


def write_outputs(config: RunConfig, folder: Folder, seeds: SeedSet, rows: Spool) -> None:
    """Measure the spooled rows and export them, as the flags say. The result itself is safe by now."""
    if not config.no_report:
        from utils.measures.run import measure_run

        measures = measure_run(record for _, record in rows.items())
        folder.write("measures.json", measures.model_dump_json(indent=2) + "\n")
    if config.export:
        from utils.export import export_path, export_rows

        path = export_path(folder.result, config.export)
        export_rows(path, config.export, lambda: evolved_records(rows), lambda row_id: seeds.get([row_id])[0].extra)
