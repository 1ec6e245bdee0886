-- What the target knows of a stream. {{schema}} is the stream's schema.
CREATE SCHEMA {{schema}};

CREATE TABLE {{schema}}.stream (
    singleton      boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    version        integer NOT NULL,             -- of this layout
    source_id      text NOT NULL,                -- the source's identity, as its own stream row has it
    source_generation bigint NOT NULL DEFAULT 0, -- the source's own, as last taken: one that has less was restored
    generation     bigint NOT NULL DEFAULT 0,    -- counts the daemons that took the stream; an older one may not write
    position       text,                         -- txid_snapshot of the source that the tables without a position of their own equal
    position_clock timestamptz,                  -- the source's clock when it was taken
    source_wal     text,                         -- how far the source's log went then: timeline:LSN
    relation_relid bigint,                       -- the OID of table relation here when its target_relid were noted: a restored dump has others
    sequences_at   timestamptz,                  -- the source's clock before its sequences were last read, of which those set are set
    updated_at     timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE {{schema}}.relation (
    number         integer PRIMARY KEY,          -- as on the source
    schema_name    text NOT NULL,
    table_name     text NOT NULL,
    state          text NOT NULL CHECK (state IN ('captured', 'copying', 'copied', 'streaming', 'quarantined')),
    reason         text,                         -- why quarantined, or, apart from the stream, what it waits for
    remedy         text,                         -- what mends it
    resumable      boolean NOT NULL DEFAULT false, -- in quarantine, but its deltas since its position are complete
    target_relid   bigint,                       -- OID of the target's table that has the rows, since its copy began
    method         text NOT NULL DEFAULT 'load' CHECK (method IN ('load', 'repair', 'replace')), -- how it is copied
    position       text,                         -- the table's own position; null: the stream's
    position_clock timestamptz,
    rows_estimated bigint NOT NULL DEFAULT 0,
    changed_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (schema_name, table_name)
);

-- The pieces of a table's initial copy. kind says what low (included) and high (excluded) count:
-- values of the key, or blocks of the heap, of the target's for a sweep; null is unbounded.
CREATE TABLE {{schema}}.chunk (
    number   integer NOT NULL,
    chunk    integer NOT NULL,
    kind     text NOT NULL CHECK (kind IN ('table', 'key', 'block', 'sweep')),
    low      bigint,
    high     bigint,
    filenode bigint,                             -- of the heap that the blocks are counted in: a rewrite moves the rows
    rows     bigint,
    bytes    bigint,
    done_at  timestamptz,
    PRIMARY KEY (number, chunk)
);

-- Indexes and constraints that were dropped for the copy, and checks put off for as long as the stream goes, until they are built again.
CREATE TABLE {{schema}}.definition (
    number     integer NOT NULL,
    name       text NOT NULL,
    kind       text NOT NULL CHECK (kind IN ('index', 'constraint', 'foreign key', 'check')),
    ordinal    integer NOT NULL,                 -- the order in which a table's are built
    table_sql  text NOT NULL,                    -- the table it belongs to, quoted
    statements text[] NOT NULL,
    failure    text,                             -- why the last try to build it failed
    PRIMARY KEY (table_sql, kind, name)
);

-- How far a long backlog of one table has been applied: ranges of blocks of its segments, each taken by one worker, up to the
-- end they had when the snapshot was taken that becomes the table's position when all of them are done.
CREATE TABLE {{schema}}.drain (
    number         integer NOT NULL,
    segment        integer NOT NULL,
    next_block     bigint NOT NULL,
    end_block      bigint NOT NULL,
    position       text NOT NULL,
    position_clock timestamptz NOT NULL,
    PRIMARY KEY (number, segment, end_block)
);

-- The sequences that the stream carries, by their names on the source.
CREATE TABLE {{schema}}.sequence (
    schema_name    text NOT NULL,
    sequence_name  text NOT NULL,
    last_value     bigint,                       -- where the source stood when the target was last set to it, or left as it stood
    is_called      boolean,
    setting_value  bigint,                       -- what the target is about to be set to, which no rollback undoes
    setting_called boolean,
    reason         text,                         -- why it is not set
    remedy         text,                         -- what mends it
    PRIMARY KEY (schema_name, sequence_name)
);
