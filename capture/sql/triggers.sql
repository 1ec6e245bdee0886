CREATE TRIGGER {{stream}}_insert AFTER INSERT ON {{table}} FOR EACH ROW
    WHEN ({{insert}}) EXECUTE PROCEDURE {{schema}}.never();
CREATE TRIGGER {{stream}}_update AFTER UPDATE ON {{table}} FOR EACH ROW
    WHEN ({{update}}) EXECUTE PROCEDURE {{schema}}.never();
CREATE TRIGGER {{stream}}_delete AFTER DELETE ON {{table}} FOR EACH ROW
    WHEN ({{delete}}) EXECUTE PROCEDURE {{schema}}.never();
CREATE TRIGGER {{stream}}_truncate AFTER TRUNCATE ON {{table}} FOR EACH STATEMENT
    EXECUTE PROCEDURE {{schema}}.truncated({{number}});
ALTER TABLE ONLY {{table}}
    ENABLE ALWAYS TRIGGER {{stream}}_insert,
    ENABLE ALWAYS TRIGGER {{stream}}_update,
    ENABLE ALWAYS TRIGGER {{stream}}_delete,
    ENABLE ALWAYS TRIGGER {{stream}}_truncate;
