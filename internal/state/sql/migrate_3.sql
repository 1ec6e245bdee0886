-- From layout 2 to 3: a table in quarantine has a remedy beside its reason, checks may be put off, and what sequences were last set to is
-- remembered. The target's tables are noted when the stream is next taken.
ALTER TABLE {{schema}}.relation ADD remedy text, ADD target_relid bigint;
ALTER TABLE {{schema}}.definition DROP CONSTRAINT definition_kind_check, ADD CONSTRAINT definition_kind_check CHECK (kind IN ('index', 'constraint', 'foreign key', 'check'));
ALTER TABLE {{schema}}.stream ADD sequences_at timestamptz, ADD relation_relid bigint;
CREATE TABLE {{schema}}.sequence (schema_name text NOT NULL, sequence_name text NOT NULL, last_value bigint, is_called boolean,
    setting_value bigint, setting_called boolean, reason text, remedy text, PRIMARY KEY (schema_name, sequence_name));
