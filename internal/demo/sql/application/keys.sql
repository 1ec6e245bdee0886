-- A chain of key changes, and a key that is deleted and made again.
UPDATE "we""ird" SET "Key" = @session::int || '/chain', "va""lue" = E'\\.\n' || @pick::float8
 WHERE "Key" = (SELECT "Key" FROM "we""ird"
                 WHERE "Key" LIKE @session::int || '/%' AND "Key" NOT LIKE '%/again'
                 ORDER BY md5("Key" || @pick::float8) LIMIT 1);
UPDATE "we""ird" SET "Key" = @session::int || '/' || nextval('invoices') || E' \\ '' " 🐐'
 WHERE "Key" = @session::int || '/chain';
DELETE FROM "we""ird" WHERE "Key" = @session::int || '/again';
INSERT INTO "we""ird" VALUES (@session::int || '/again', NULL)
