-- The ledger, version 1. Hours are whole hours since 1970, UTC. No client is known here.

-- A list's entries of one category by one authority.
CREATE TABLE class (
    id        INTEGER PRIMARY KEY,
    list      TEXT NOT NULL,
    category  TEXT NOT NULL,
    authority TEXT NOT NULL,
    UNIQUE (list, category, authority)
);

CREATE TABLE entry (
    id       INTEGER PRIMARY KEY,
    class    INTEGER NOT NULL REFERENCES class (id),
    entry_id TEXT NOT NULL,
    action   TEXT NOT NULL,
    UNIQUE (class, entry_id, action)
);

-- Hits by entry; kept for a limited time.
CREATE TABLE hits (
    hour    INTEGER NOT NULL,
    entry   INTEGER NOT NULL REFERENCES entry (id),
    surface TEXT NOT NULL,
    hits    INTEGER NOT NULL,
    PRIMARY KEY (hour, entry, surface)
) WITHOUT ROWID;

-- The same hits without the entry; kept.
CREATE TABLE totals (
    hour    INTEGER NOT NULL,
    class   INTEGER NOT NULL REFERENCES class (id),
    surface TEXT NOT NULL,
    action  TEXT NOT NULL,
    hits    INTEGER NOT NULL,
    PRIMARY KEY (hour, class, surface, action)
) WITHOUT ROWID;

-- Which counters the slots belong to.
CREATE TABLE counters (
    id INTEGER NOT NULL
);

-- What each counter stood at when it was last settled.
CREATE TABLE slot (
    slot  INTEGER PRIMARY KEY,
    entry INTEGER NOT NULL REFERENCES entry (id),
    dns   INTEGER NOT NULL DEFAULT 0,
    http  INTEGER NOT NULL DEFAULT 0,
    tls   INTEGER NOT NULL DEFAULT 0
);

PRAGMA user_version = 1;
