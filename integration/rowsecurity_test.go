package integration

import (
	"net/url"
	"strings"
	"testing"

	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/internal/pgserver/pgtest"
)

// TestRowSecurity: a role that a policy shows a part of the rows would copy a part and call it all. With row_security = off the server
// refuses the statement, and the table is set aside by name.
func TestRowSecurity(t *testing.T) {
	t.Parallel()
	server := pgtest.Target(t) // 9.2 has no row security
	s := newStreamOn(t, server, server, `CREATE TABLE masked (id int PRIMARY KEY, v text); CREATE TABLE open (id int PRIMARY KEY)`)
	s.src(pg.Fill(`INSERT INTO masked SELECT g, 'v' FROM generate_series(1, 10) g; INSERT INTO open VALUES (1);
		CREATE ROLE rls_owner; CREATE ROLE rls_pgibex LOGIN IN ROLE rls_owner; GRANT CREATE ON DATABASE {{database}} TO rls_pgibex;
		ALTER TABLE masked OWNER TO rls_owner; ALTER TABLE open OWNER TO rls_owner;
		ALTER TABLE masked ENABLE ROW LEVEL SECURITY; ALTER TABLE masked FORCE ROW LEVEL SECURITY; CREATE POLICY half ON masked USING (id % 2 = 0)`,
		"database", pg.Ident(one[string](s, s.sourceDSN, "SELECT current_database()::text"))))
	t.Cleanup(func() {
		s.cleanUp(s.sourceDSN, "DROP OWNED BY rls_pgibex, rls_owner CASCADE; DROP ROLE rls_pgibex, rls_owner")
	})
	s.config.Source.DSN = with(t, s.sourceDSN, func(u *url.URL) { u.User = url.User("rls_pgibex") })

	_, err := s.replicator().CatchUp(t.Context())
	if err == nil || !strings.Contains(err.Error(), "public.masked") {
		t.Errorf("catchup says %v", err)
	}
	s.quarantined("masked", "row-level security")
	if n := one[int](s, s.targetDSN, "SELECT count(*)::int FROM masked"); n != 0 {
		t.Errorf("%d rows came, which are not all", n)
	}
	s.equalTable("public.open")

	for side, server := range map[string]pg.Server{"source": {Side: pg.Source, DSN: s.sourceDSN}, "target": {Side: pg.Target, DSN: s.targetDSN}} {
		conn, err := server.Connect(t.Context(), "it")
		if err != nil {
			t.Fatal(err)
		}
		var value string
		if err := conn.QueryRow(t.Context(), "SHOW row_security").Scan(&value); err != nil || value != "off" {
			t.Errorf("%s: row_security is %s, %v", side, value, err)
		}
		conn.CloseNow()
	}
}
