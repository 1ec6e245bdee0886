-- From layout 2 to 3: a table in quarantine has a remedy beside its reason.
ALTER TABLE {{schema}}.relation ADD remedy text;
