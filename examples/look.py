"""A notebook over a finished workspace: three figures from its artifacts. `marimo edit examples/look.py`, or run it as it is."""

import marimo

app = marimo.App(width="medium")


@app.cell
def _():
    import os
    from pathlib import Path

    import altair as alt
    import marimo as mo
    import polars as pl

    from codetextbook import Store

    work = Path(os.environ.get("CODETEXTBOOK_WORK", "work"))
    newest = {artifact.stage: artifact for artifact in Store(work / "store").artifacts()}
    return alt, mo, newest, pl, work


@app.cell
def _(mo, newest, work):
    mo.md(f"# {work}: the newest of {len(newest)} stages\n\n" + ", ".join(f"`{name}`" for name in newest))
    return


@app.cell
def _(alt, newest, pl):
    scores = pl.from_arrow(newest["curate"].table("scores"))
    quality = (
        alt.Chart(scores.select("quality", "kept"), title="Predicted quality of every document")
        .mark_bar()
        .encode(alt.X("quality:Q", bin=alt.Bin(maxbins=20)), alt.Y("count()", title="documents"), alt.Color("kept:N"))
    )
    quality
    return (quality,)


@app.cell
def _(alt, newest, pl):
    from codetextbook.charts.written import modules

    programs = newest["exercises"].table("exercises").select(["prompt", "solution"]).to_pylist()
    names = [name for row in programs for name in modules(row["prompt"] + row["solution"])]
    counted = pl.DataFrame({"module": names}, schema={"module": pl.String}).group_by("module").len("exercises")
    imports = (
        alt.Chart(
            counted.sort("exercises", descending=True).head(20), title="What the exercises import (paper, Fig 3.1)"
        )
        .mark_bar()
        .encode(alt.X("exercises:Q"), alt.Y("module:N", sort="-x"))
    )
    imports
    return counted, imports


@app.cell
def _(alt, newest, pl):
    trained = pl.concat(
        pl.from_arrow(newest[stage].table("metrics")).with_columns(pl.lit(stage).alias("training"))
        for stage in ("pretrain", "finetune")
    )
    losses = (
        alt.Chart(trained.select("step", "loss", "training"), title="Loss, nats per token")
        .mark_line()
        .encode(alt.X("step:Q"), alt.Y("loss:Q", scale=alt.Scale(zero=False)), alt.Color("training:N"))
    )
    losses
    return (losses,)


if __name__ == "__main__":
    app.run()
