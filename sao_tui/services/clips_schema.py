"""The tables of the clip index. All of it is a cache: another version means to begin again."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

VERSION = 6

OLDEST_SQLITE = (3, 34)
"""The first with an index of three letters."""

_TABLES = """
CREATE TABLE clips (
    id INTEGER PRIMARY KEY,
    num_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL,
    seconds REAL NOT NULL,
    sample_rate_hz INTEGER NOT NULL,
    num_channels INTEGER NOT NULL,
    format TEXT NOT NULL,
    relpath BLOB NOT NULL,
    folder BLOB NOT NULL,
    error TEXT NOT NULL,
    caption TEXT NOT NULL DEFAULT '',
    is_readable INTEGER NOT NULL,
    is_captioned INTEGER NOT NULL
);
CREATE UNIQUE INDEX clips_relpath ON clips (relpath);
CREATE TABLE texts (
    id INTEGER PRIMARY KEY,
    path TEXT NOT NULL,
    caption TEXT NOT NULL
);
CREATE TABLE folders (
    relpath BLOB PRIMARY KEY,
    digest BLOB NOT NULL,
    num_clips INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE analysis (
    clip_id INTEGER PRIMARY KEY,
    num_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    peak_dbfs REAL,
    loudness_lufs REAL,
    head_silence_seconds REAL,
    tail_silence_seconds REAL,
    dc_offset REAL,
    num_clipped INTEGER,
    is_silent INTEGER,
    channel_fault TEXT NOT NULL DEFAULT '',
    content_hash BLOB,
    fingerprint BLOB,
    bpm REAL,
    musical_key TEXT NOT NULL DEFAULT '',
    tags TEXT NOT NULL DEFAULT '{}',
    error TEXT NOT NULL DEFAULT ''
);
CREATE INDEX analysis_hash ON analysis (content_hash);
CREATE TABLE lint (
    clip_id INTEGER NOT NULL,
    rule TEXT NOT NULL,
    PRIMARY KEY (rule, clip_id)
) WITHOUT ROWID;
CREATE TABLE facts (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
"""
"""`texts` holds what words are looked up in, with upper and lower case made one.

`is_readable` (no error) and `is_captioned` are no generated columns: SQLite 3.40 takes no index for covering where
one of those occurs.
"""

_TRIGGERS = (
    """CREATE TRIGGER clip_gone AFTER DELETE ON clips BEGIN
        DELETE FROM texts WHERE id = old.id;
        DELETE FROM analysis WHERE clip_id = old.id;
        DELETE FROM lint WHERE clip_id = old.id;
    END""",
    """CREATE TRIGGER clip_changed AFTER UPDATE OF num_bytes, mtime_ns ON clips
    WHEN old.num_bytes <> new.num_bytes OR old.mtime_ns <> new.mtime_ns BEGIN
        DELETE FROM analysis WHERE clip_id = old.id;
    END""",
    # An analysis of what the file was before it changed may arrive after the change.
    """CREATE TRIGGER analysis_late AFTER INSERT ON analysis WHEN NOT EXISTS (
        SELECT 1 FROM clips WHERE id = new.clip_id AND num_bytes = new.num_bytes AND mtime_ns = new.mtime_ns
    ) BEGIN DELETE FROM analysis WHERE clip_id = new.clip_id; END""",
    """CREATE TRIGGER analysis_late_again AFTER UPDATE ON analysis WHEN NOT EXISTS (
        SELECT 1 FROM clips WHERE id = new.clip_id AND num_bytes = new.num_bytes AND mtime_ns = new.mtime_ns
    ) BEGIN DELETE FROM analysis WHERE clip_id = new.clip_id; END""",
)

WORDS_TABLE = "clip_words"
VOCABULARY_TABLE = "clip_vocabulary"
"""Of one connection: what is in the index of words."""
MAKE_VOCABULARY = f"CREATE VIRTUAL TABLE temp.{VOCABULARY_TABLE} USING fts5vocab (main, {WORDS_TABLE}, row)"
_WORDS = f"""
CREATE VIRTUAL TABLE {WORDS_TABLE} USING fts5 (
    words, content = '', detail = none, columnsize = 0, tokenize = 'trigram case_sensitive 1'
)
"""
_WORDS_SETTINGS = (("hashsize", 8 << 20), ("automerge", 0), ("crisismerge", 64))
"""Merging what was added only when there is much of it halves the cost of half a million clips."""
"""Which clips may hold a word: entries are only ever added, and what it finds is compared with `texts`."""

INDEXED = "(SELECT coalesce(max(CAST(value AS INTEGER)), 0) FROM facts WHERE name = 'words-indexed')"
"""SQL of the highest id whose texts are in the index of words, to be asked together with the rest."""

_LATE_INDEXES = (
    "CREATE INDEX IF NOT EXISTS clips_folder ON clips (folder, is_captioned)",
    "CREATE INDEX IF NOT EXISTS clips_numbers ON clips "
    "(seconds, sample_rate_hz, num_channels, num_bytes, format, is_readable, is_captioned)",
    "CREATE INDEX IF NOT EXISTS clips_uncaptioned ON clips (is_captioned) WHERE is_captioned = 0",
    "CREATE INDEX IF NOT EXISTS clips_unreadable ON clips (is_readable) WHERE is_readable = 0",
)
"""Made after the first scan: built at once they cost a fraction of what they cost row by row."""


def read_version(connection: sqlite3.Connection) -> int:
    """Return the version of the tables, 0 when there are none."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def make_tables(connection: sqlite3.Connection) -> None:
    """Make the tables unless another process has done so since we looked."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        if read_version(connection) == VERSION:
            return
        for kind, name in connection.execute(
            "SELECT type, name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' "
            "ORDER BY sql LIKE 'CREATE VIRTUAL%' DESC"
        ).fetchall():
            connection.execute(f'DROP {kind} IF EXISTS "{name}"')
        for statement in (*_TABLES.split(";"), *_TRIGGERS, _WORDS):
            connection.execute(statement)
        for name, value in _WORDS_SETTINGS:
            connection.execute(f"INSERT INTO {WORDS_TABLE} ({WORDS_TABLE}, rank) VALUES (?, ?)", [name, value])  # noqa: S608
        connection.execute(f"PRAGMA user_version = {VERSION}")


def make_late_indexes(connection: sqlite3.Connection) -> None:
    """Make the indexes that wait for the end of the first scan, unless they are there."""
    for statement in _LATE_INDEXES:
        connection.execute(statement)
