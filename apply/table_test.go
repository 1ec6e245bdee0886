package apply

import (
	"bytes"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/golden"
	"github.com/pgibex/pgibex/internal/pg"
)

func column(number int16, name, kind string) catalog.Column {
	return catalog.Column{Number: number, Name: name, Type: kind, Base: kind, BaseType: kind, NotNull: true}
}

func table(key []int16, columns ...catalog.Column) *catalog.Table {
	t := &catalog.Table{Name: catalog.Name{Schema: "public", Relation: "t"}, Columns: columns}
	if key != nil {
		equal := make([]string, len(key))
		for i := range equal {
			equal[i] = "OPERATOR(pg_catalog.=)"
		}
		t.Uniques = []catalog.Unique{{Index: "t_pkey", Primary: true, Columns: key, Equal: equal, Valid: true}}
		t.Key = &t.Uniques[0]
	}
	return t
}

func TestStatements(t *testing.T) {
	identity := column(1, "id", "integer")
	identity.Identity = "a"
	for name, test := range map[string]*catalog.Table{
		"keyed":                    table([]int16{2, 1}, column(1, "a", "integer"), column(2, "b", "numeric"), column(3, "v", "text")),
		"all columns are key":      table([]int16{1, 2}, column(1, "a", "integer"), column(2, "b", "text")),
		"identity key":             table([]int16{1}, identity, column(2, "v", "text")),
		"identity besides the key": table([]int16{2}, identity, column(2, "v", "text")),
		"without a key":            table(nil, column(1, "a", "integer"), column(2, "b", "json")),
		"without key nor column":   table(nil),
	} {
		t.Run(name, func(t *testing.T) {
			s := NewTable(7, test, test)
			golden.Equal(t, strings.ReplaceAll(name, " ", "_")+".sql", strings.Join(append([]string{
				s.create, s.copyRows, s.copyGone, s.copyAll, "-- gone\n" + s.remove, "-- upsert\n" + s.upsert, "-- or replace\n" + s.remove2, s.insert, "-- net",
			}, s.net...), "\n\n")+"\n")
		})
	}
}

func TestEvict(t *testing.T) {
	s := NewTable(7, table([]int16{1}, column(1, "id", "integer")), table([]int16{1}, column(1, "id", "integer")))
	golden.Equal(t, "evict.sql", evictSQL(s, []string{"lower(email)", "shop"}, []string{"OPERATOR(pg_catalog.=)", "OPERATOR(pg_catalog.=)"}, "active")+"\n")
}

func TestRouter(t *testing.T) {
	var present bytes.Buffer
	r := &router{to: &present, keyFields: 2, log: pg.NewRowLog([]string{"a", "b", "v"}, 2)}
	for _, row := range []string{"t\t1\tx\\ty\trest\n", "f\t2\tz\t\\N\n", "t\t3\tw\t\\\\N\n"} {
		if _, err := r.Write([]byte(row)); err != nil {
			t.Fatal(err)
		}
	}
	if got := present.String(); got != "1\tx\\ty\trest\n3\tw\t\\\\N\n" {
		t.Errorf("present: %q", got)
	}
	if got := r.gone.String(); got != "2\tz\n" || r.goneRows != 1 {
		t.Errorf("gone: %q", got)
	}
	second := &pgconn.PgError{Code: "22001", Message: "too long", Where: `COPY t, line 2, column v: "…"`}
	if err := r.log.Locate(second); err == nil || err.Error() != "the target rejects the row (a, b)=(3, w), column v: too long (SQLSTATE 22001)" {
		t.Errorf("located: %v", err)
	}
	if _, err := r.Write([]byte("\n")); err == nil {
		t.Error("a row without a mark is taken")
	}
}
