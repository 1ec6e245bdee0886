DROP TRIGGER IF EXISTS {{stream}}_insert ON {{table}};
DROP TRIGGER IF EXISTS {{stream}}_update ON {{table}};
DROP TRIGGER IF EXISTS {{stream}}_delete ON {{table}};
DROP TRIGGER IF EXISTS {{stream}}_truncate ON {{table}};
