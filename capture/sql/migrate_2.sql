-- From layout 1 to 2: capture can be stopped.
ALTER TABLE {{schema}}.captured ADD stopped text;
