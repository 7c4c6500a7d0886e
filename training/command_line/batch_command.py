"""The command `batch`: a context for each row of a manifest, on this machine or on a cluster."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Annotated

import typer

from ...masking.wording import quoted
from ..files.atomic_file import write_atomically
from ..manifests.backbones import miniature, miniature_worker
from ..manifests.open_pool import local_pool, ray_pool
from ..manifests.plan import Model
from ..manifests.report import RowReport, as_csv, as_text, summary
from ..manifests.run import BatchFolders, BatchRun
from ..manifests.store import Store
from ..manifests.worker_process import WorkerCommand
from .anima_files import File, anima_files
from .batch_table import BatchTable
from .measuring import require_positive
from .output_folder import require_writable
from .stopping_signals import Stopped, stopped_by_signals

REPORT = ("report.csv", "report.txt")
CONTEXTS = "contexts"


def batch(
    manifest: Annotated[Path, typer.Argument(help="A CSV table; docs/batch.md says what its columns may be.")],
    output: Annotated[Path, typer.Option(help="Folder for the report; made if it is missing.")] = Path("output/batch"),
    store: Annotated[
        Path | None,
        typer.Option(help="Folder for the contexts, which other batches may share; contexts in --output without it."),
    ] = None,
    backbone: Annotated[
        str, typer.Option(help="miniature, the bundled model, or anima, which needs COMFYUI_DIR and three files.")
    ] = "miniature",
    model: File = None,
    clip: File = None,
    vae: File = None,
    processes: Annotated[
        int | None,
        typer.Option(help="Rows that are trained at the same time; one for each GPU without it, one on a processor."),
    ] = None,
    ray_address: Annotated[
        str | None, typer.Option(help="A Ray cluster to train on, such as auto; needs the extra [cluster].")
    ] = None,
    checkpoint_every: Annotated[
        int, typer.Option(help="Steps after which a row is saved each time, to go on from there.")
    ] = 50,
) -> None:
    """Train a context for each row of a table of pictures, masks, prompts and settings; what is there already is not
    trained again."""
    require_positive(processes=1 if processes is None else processes, checkpoint_every=checkpoint_every)
    if processes is not None and ray_address is not None:
        raise ValueError("--processes came with --ray-address, expected one of them: Ray places the rows itself")
    chosen, worker = chosen_backbone(backbone, {"model": model, "clip": clip, "vae": vae})
    rows = chosen.rows(manifest)
    require_writable(output, REPORT)
    kept = Store(require_writable(output / CONTEXTS if store is None else store).absolute())
    folders = BatchFolders(manifest.absolute().parent, kept, kept.prepare())
    stopped = None
    with BatchTable(len(rows)) as table:
        run = BatchRun(rows, folders, table)
        try:
            with stopped_by_signals():
                asked = run.plan(chosen, checkpoint_every)
                table.training(len(asked))
                if asked:
                    opened = (
                        local_pool(worker, processes, table.step)
                        if ray_address is None
                        else ray_pool(worker, ray_address, chosen.inside_comfyui)
                    )
                    with closing(opened) as pool:
                        run.train(pool, asked)
        except Stopped as signal:
            stopped = signal
    write_report(output, run.report())
    raise typer.Exit(stopped.exit_code if stopped else 0 if all(row.is_there for row in run.report()) else 1)


def chosen_backbone(name: str, files: Mapping[str, Path | None]) -> tuple[Model, WorkerCommand]:
    """Raises ValueError in one sentence for what does not go together or is not there."""
    if name not in ("miniature", "anima"):
        raise ValueError(f"backbone is {quoted(name, 60)}, expected one of: miniature, anima")
    anima = anima_files("--backbone anima", name == "anima", files)
    return (miniature(), miniature_worker()) if anima is None else (anima.described(), anima.worker())


def write_report(folder: Path, rows: list[RowReport]) -> None:
    """Raises OSError in one sentence."""
    write_atomically(folder / REPORT[0], as_csv(rows))
    write_atomically(folder / REPORT[1], (as_text(rows) + "\n").encode(errors="backslashreplace"))
    with suppress(OSError):  # after SIGHUP the terminal is gone
        typer.echo(f"{summary(rows)}; report: {folder / REPORT[0]}")
