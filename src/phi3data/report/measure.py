"""A finished run → its profile: counts from facts, decisions and ledger; texts only for the few rows shown."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from phi3data import family
from phi3data.engine.database import connect, parquet
from phi3data.engine.given import AGAINST, GIVEN
from phi3data.report import examples
from phi3data.report.profile import (
    BalanceProfile,
    GroupCount,
    Histogram,
    LabelCount,
    Profile,
    ReasonCount,
    SourceProfile,
    Tally,
    TokenProfile,
)
from phi3data.report.verdict import judge
from phi3data.rules import title
from phi3data.sources.formats import FORMATS
from phi3data.sources.reader import Reader
from phi3data.sources.source import LABEL_COLUMNS
from phi3data.steps.split import SPLITS
from phi3data.version import VERSION

if TYPE_CHECKING:
    import duckdb

    from phi3data.engine.local import Run

# The order of the pipeline, which is the order of the waterfall.
STEPS = ("read", "clean", "missing", "check", "decontaminate", "length", "dedup", "split", "balance")
_UNEVEN = 0.1  # difference of shares between splits that is worth a warning
_BARS = 40  # bars of the histogram of tokens
_ROLES = {"s": "system", "u": "user", "a": "assistant", "t": "tool"}


def measure(run: Run) -> Profile:
    """Return the profile of a run whose outputs are complete."""
    with connect(run.work.folder("examine"), run.decided.bases, run.placed, run.work.folder("spill")) as db:
        decisions = parquet(run.work.folder("decide") / "decisions.parquet")
        copies = "UNION ALL SELECT rows.* FROM rows, range(1, times) WHERE times > 1"
        # One row per input row: its facts, and what was decided. `fate` is NULL for rows that were dropped. What is
        # asked of all rows is read once. `lines` has the rows that are written, as often as they are.
        db.execute(
            f"""
            CREATE VIEW whole AS
            SELECT facts.*, kept, place, kind, score, before, after,
                   CASE WHEN NOT dropped THEN coalesce(times, 1) END AS times,
                   CASE WHEN NOT dropped THEN CASE WHEN d.seq IS NULL THEN given ELSE split END END AS fate,
                   coalesce(d.step, facts.step) AS final_step, coalesce(code, reason) AS final_reason
            FROM facts LEFT JOIN {decisions} AS d USING (seq) WHERE given <> {AGAINST};
            CREATE TEMP TABLE rows AS
            SELECT seq, source, record, sub, label, roles, tokens, supervised, changes, reason, fate, times,
                   final_step, final_reason, CASE WHEN evidence LIKE '%"findings"%' THEN evidence END AS evidence
            FROM whole;
            CREATE VIEW lines AS SELECT * FROM rows WHERE fate IS NOT NULL
            {copies if run.decided.balanced else ""}
            """  # noqa: S608 (the only thing put in is a path of ours, quoted)
        )
        return _profile(run, db)


def tally(run: Run) -> Tally:
    """Return what a run whose outputs are complete did to how many rows."""
    with connect(run.work.folder("examine"), run.decided.bases, run.placed, run.work.folder("spill")) as db:
        decisions = parquet(run.work.folder("decide") / "decisions.parquet")
        # What examining said of rows, which is little, and what was decided are counted each for itself.
        db.execute(
            f"""
            CREATE TEMP TABLE going AS SELECT seq, step, code FROM {decisions} WHERE split IS NULL;
            CREATE TEMP TABLE told AS
            SELECT seq, source, given, dropped, step, reason FROM facts WHERE dropped OR changes IS NOT NULL;
            CREATE TEMP TABLE gone AS
            SELECT step, code, count(*) AS rows FROM going GROUP BY ALL
            UNION ALL SELECT step, reason, count(*) FROM told WHERE dropped AND given <> {AGAINST} GROUP BY ALL
            """  # noqa: S608 (the only thing put in is a path of ours, quoted)
        )
        [changed] = _row(
            db,
            f"SELECT count(*) FROM told ANTI JOIN going USING (seq) WHERE NOT dropped AND given <> {AGAINST}",  # noqa: S608
        )
        [dropped] = _row(db, "SELECT coalesce(sum(rows), 0)::BIGINT FROM gone")
        unread = db.execute(
            f"SELECT source, count(*) FROM told WHERE given = {AGAINST} AND step = 'read' GROUP BY 1 ORDER BY 1"  # noqa: S608
        ).fetchall()
        shards = zip(run.shards, run.summaries, strict=True)
        rows = sum(summary.rows for shard, summary in shards if run.given[shard.source] != AGAINST)
        return Tally(
            rows_in=rows,
            rows_kept=rows - dropped,
            rows_changed=changed,
            rows_dropped=dropped,
            rows_added=run.decided.balanced.added if run.decided.balanced else 0,
            dropped=_reasons(db, "SELECT step, code, rows FROM gone"),
            balance=_balance(run),
            unread={run.sources[number].name: count for number, count in unread},
        )


def _profile(run: Run, db: duckdb.DuckDBPyConnection) -> Profile:
    rows_in, kept, changed = _row(
        db, "SELECT count(*), count(fate), count(*) FILTER (fate IS NOT NULL AND changes IS NOT NULL) FROM rows"
    )
    tokens = _tokens(run, db)
    labels = _labels(db)
    outputs = {f"{name}.jsonl": sum(rows[n] for rows in run.decided.rows) for n, name in enumerate(SPLITS)}
    profile = Profile(
        version=VERSION,
        verdict="ready",
        headline="",
        warnings=[],
        rows_in=rows_in,
        rows_kept=kept,
        rows_changed=changed,
        rows_dropped=rows_in - kept,
        rows_added=run.decided.balanced.added if run.decided.balanced else 0,
        outputs={name: rows for name, rows in outputs.items() if rows or name == "train.jsonl"},
        sources=[_source(run, number, db) for number, place in enumerate(run.given) if place != AGAINST],
        dropped=_reasons(db, "SELECT final_step, final_reason, 1 FROM rows WHERE fate IS NULL"),
        changed=_reasons(
            db,
            "SELECT split_part(change, '/', 1), split_part(change, '/', 2), 1 "
            "FROM (SELECT unnest(changes) AS change FROM rows WHERE fate IS NOT NULL)",
        ),
        tokens=tokens,
        roles=_roles(db),
        turns=dict(db.execute("SELECT length(roles), count(*) FROM lines GROUP BY 1 ORDER BY 1").fetchall()),
        label_column=_label_column(run) if labels else "",
        labels=labels,
        balance=_balance(run),
        examples=examples.choose(run, db),
        seed=run.recipe.split.seed,
        target=run.recipe.target,
    )
    kept_with = db.execute(
        """SELECT finding->>'code' AS code, count(DISTINCT seq) FROM (
               SELECT seq, unnest(from_json(evidence->'findings', '["JSON"]')) AS finding
               FROM rows WHERE fate IS NOT NULL AND evidence IS NOT NULL)
           GROUP BY 1 ORDER BY 1"""
    ).fetchall()
    profile.warnings += [
        f"The shares of {name} differ by up to {share:.0%} between the splits: rows that ask the same stay together."
        for name, share in run.decided.deviation.items()
        if share > _UNEVEN
    ]
    if run.decided.found.conflicting and run.recipe.dedup.conflicts == "keep":
        rows = run.decided.found.conflicting
        profile.warnings.append(f"{rows:,} rows ask what another row asks and are answered otherwise (D804).")
    bad = db.execute("SELECT source, count(*) FROM rows WHERE final_reason = 'F102' GROUP BY 1").fetchall()
    given = [GIVEN[place] for place in (1, 2) if place in run.given]
    judge(profile, run.recipe, kept_with, {run.sources[number].name: count for number, count in bad}, given)
    return profile


def _row(db: duckdb.DuckDBPyConnection, query: str) -> Any:
    found = db.execute(query).fetchone()
    assert found is not None  # an aggregate always gives a row
    return found


def _reasons(db: duckdb.DuckDBPyConnection, query: str) -> list[ReasonCount]:
    found = db.execute(
        f"SELECT step, reason, sum(rows)::BIGINT FROM ({query}) AS t(step, reason, rows) GROUP BY 1, 2"  # noqa: S608 (ours)
    ).fetchall()
    found.sort(key=lambda row: (STEPS.index(row[0]), -row[2], row[1]))
    return [ReasonCount(step=step, reason=reason, title=title(reason), rows=rows) for step, reason, rows in found]


def _source(run: Run, number: int, db: duckdb.DuckDBPyConnection) -> SourceProfile:
    source = run.sources[number]
    used = {
        *FORMATS[source.format].fields,
        run.recipe.source.group_by,
        *Reader(source, run.recipe.source).label_columns,
    }
    rows = db.execute("SELECT count(*) FROM facts WHERE source = ?", [number]).fetchone()
    blank = sum(s.blank for s, shard in zip(run.summaries, run.shards, strict=True) if shard.source == number)
    return SourceProfile(
        path=source.name,
        container=source.container,
        format=source.format,
        bytes=_size(source.original or source.path),
        sha256=run.input_sha256[number],
        rows=rows[0] if rows else 0,
        blank_lines=blank,
        unused_columns=[column for column in source.columns if source.rename.get(column, column) not in used],
        notes=[*source.notes, *([f"given for {GIVEN[run.given[number]]}"] if run.given[number] else [])],
    )


def _size(path: str) -> int:
    item = Path(path)
    return sum(f.stat().st_size for f in item.rglob("*") if f.is_file()) if item.is_dir() else item.stat().st_size


def _tokens(run: Run, db: duckdb.DuckDBPyConnection) -> TokenProfile:
    model = family.model(run.recipe.model)
    limit = run.recipe.length.limit or model.context
    found = _row(
        db,
        f"""SELECT coalesce(sum(tokens), 0)::BIGINT, coalesce(sum(supervised), 0)::BIGINT, coalesce(min(tokens), 0),
                   coalesce(max(tokens), 0), quantile_disc(tokens, [0.5, 0.9, 0.99]),
                   count(*) FILTER (tokens > {limit})
            FROM lines""",  # noqa: S608 (a number)
    )
    p50, p90, p99 = found[4] or (0, 0, 0)
    width = _bar_width(found[3])
    bars = dict(
        db.execute(
            f"SELECT tokens // {width}, count(*) FROM lines WHERE tokens IS NOT NULL GROUP BY 1"  # noqa: S608 (a number)
        ).fetchall()
    )
    count = max(bars, default=0) + 1
    return TokenProfile(
        estimated=run.tokenizer.estimated,
        tokenizer=run.tokenizer.name,
        model=model.name,
        limit=limit,
        total=found[0],
        supervised=found[1],
        minimum=found[2],
        p50=p50,
        p90=p90,
        p99=p99,
        maximum=found[3],
        over_limit=found[5],
        histogram=Histogram(edges=[width * n for n in range(count + 1)], rows=[bars.get(n, 0) for n in range(count)]),
    )


def _bar_width(maximum: int) -> int:
    """Return a round width (1, 2 or 5 times a power of ten) that gives at most `_BARS` bars."""
    power = 1
    while True:
        for step in (1, 2, 5):
            if maximum < step * power * _BARS:
                return step * power
        power *= 10


def _roles(db: duckdb.DuckDBPyConnection) -> dict[str, int]:
    counts = ", ".join(
        f"coalesce(sum(length(roles) - length(replace(roles, '{letter}', ''))), 0)::BIGINT" for letter in _ROLES
    )
    found = _row(db, f"SELECT {counts} FROM lines")  # noqa: S608 (letters of ours)
    return {role: count for role, count in zip(_ROLES.values(), found, strict=True) if count}


def _labels(db: duckdb.DuckDBPyConnection) -> list[LabelCount]:
    found = db.execute(
        """SELECT label, count(*), coalesce(sum(times), 0)::BIGINT,
                  coalesce(sum(times) FILTER (fate = 0), 0)::BIGINT,
                  count(*) FILTER (fate = 1), count(*) FILTER (fate = 2)
           FROM rows WHERE label IS NOT NULL GROUP BY label ORDER BY count(*) DESC, label"""
    ).fetchall()
    names = ("label", "before", "after", "train", "validation", "test")
    return [LabelCount(**dict(zip(names, row, strict=True))) for row in found]


def _balance(run: Run) -> BalanceProfile | None:
    done = run.decided.balanced
    if done is None:
        return None
    told = done.balance
    return BalanceProfile(
        by=run.recipe.balance.by,
        groups=[
            GroupCount(group=one.name, before=one.before, after=one.after, added=one.repeated) for one in told.groups
        ],
        more=done.groups - len(told.groups),
        before=done.before,
        after=done.before - done.gone + done.added,
        gone=done.gone,
        added=done.added,
        entropy_before=round(told.entropy_before, 4),
        entropy_after=round(told.entropy_after, 4),
        effective_before=round(told.effective_before, 2),
        effective_after=round(told.effective_after, 2),
    )


def _label_column(run: Run) -> str:
    """Return the columns that labels were taken from, as far as the first rows of the sources tell."""
    found: dict[str, None] = {}
    for source in run.sources:
        named = {source.rename.get(column, column) for column in source.columns}
        columns = Reader(source, run.recipe.source).label_columns
        found.update(dict.fromkeys([name for name in columns if name in named][:1]))
    return ", ".join(found) or LABEL_COLUMNS[0]
