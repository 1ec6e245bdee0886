-- From layout 1 to 2: tables can be copied once more, several workers drain one table, the source's generation and its log are remembered.
ALTER TABLE {{schema}}.stream ADD source_generation bigint NOT NULL DEFAULT 0, ADD source_wal text;
ALTER TABLE {{schema}}.relation ADD resumable boolean NOT NULL DEFAULT false;
ALTER TABLE {{schema}}.relation ADD method text NOT NULL DEFAULT 'load' CHECK (method IN ('load', 'repair', 'replace'));
ALTER TABLE {{schema}}.chunk DROP CONSTRAINT chunk_kind_check, ADD CONSTRAINT chunk_kind_check CHECK (kind IN ('table', 'key', 'block', 'sweep')),
    DROP CONSTRAINT chunk_number_fkey;
ALTER TABLE {{schema}}.definition
    DROP CONSTRAINT definition_number_fkey;
ALTER TABLE {{schema}}.drain DROP CONSTRAINT drain_pkey, ADD PRIMARY KEY (number, segment, end_block),
    DROP CONSTRAINT drain_number_fkey;
