-- From layout 2 to 3: a table in quarantine has a remedy beside its reason; checks may be put off.
ALTER TABLE {{schema}}.relation ADD remedy text;
ALTER TABLE {{schema}}.definition DROP CONSTRAINT definition_kind_check, ADD CONSTRAINT definition_kind_check CHECK (kind IN ('index', 'constraint', 'foreign key', 'check'));
