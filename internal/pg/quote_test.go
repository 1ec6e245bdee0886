package pg

import (
	"context"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pgibex/pgibex/internal/pgserver/pgtest"
)

// FuzzIdent has the real server read back what Ident has quoted: as a name, and as the server's own quoting of it.
func FuzzIdent(f *testing.F) {
	for _, name := range []string{
		"a", "A", "select", `"`, `""`, `a"b`, `\`, `\"`, "'", "$1", "$$", "a.b", " ", "a b", "é", "界", "🐘", "e\u0301", "\t", "\n", "\x01", "{{schema}}", "%s", "--", "/*", `U&"\0061"`,
		strings.Repeat("n", 63), strings.Repeat("\"", 63), strings.Repeat("界", 21), strings.Repeat("n", 64), strings.Repeat("é", 32),
	} {
		f.Add(name)
	}
	var conns []*Conn
	if !testing.Short() {
		for side, dsn := range map[Side]string{Source: pgtest.Source(f).DSN(""), Target: pgtest.Target(f).DSN("")} {
			conn, err := Server{Side: side, DSN: dsn, Stream: "t"}.Connect(context.Background(), "fuzz")
			if err != nil {
				f.Fatal(err)
			}
			f.Cleanup(conn.CloseNow)
			conns = append(conns, conn)
		}
	}
	f.Fuzz(func(t *testing.T, name string) {
		if name == "" || len(name) > 63 || !utf8.ValidString(name) || strings.Contains(name, "\x00") {
			return // no catalog has it
		}
		quoted := Ident(name)
		if got, ok := unquoted(quoted); !ok || got != name {
			t.Fatalf("%q is quoted as %s", name, quoted)
		}
		for _, conn := range conns {
			ctx, cancel := context.WithTimeout(context.Background(), deadAfter)
			defer cancel()
			rows, err := conn.Query(ctx, "SELECT 1 AS "+quoted+", quote_ident("+Literal(name)+")")
			if err != nil {
				t.Fatalf("%s: %v", quoted, err)
			}
			if got := rows.FieldDescriptions()[0].Name; got != name {
				t.Errorf("the %s reads %s as %q", conn.Side, quoted, got)
			}
			var one int
			var own string
			for rows.Next() {
				if err := rows.Scan(&one, &own); err != nil {
					t.Error(err)
				}
			}
			if err := rows.Err(); err != nil {
				t.Errorf("%s: %v", quoted, err)
			}
			if own != name && own != quoted { // it leaves out quotes that are not needed
				t.Errorf("the %s quotes %q as %s, we as %s", conn.Side, name, own, quoted)
			}
		}
	})
}

// unquoted reads one quoted identifier as the server's scanner does.
func unquoted(text string) (name string, ok bool) {
	inner, found := strings.CutPrefix(text, `"`)
	if inner, ok = strings.CutSuffix(inner, `"`); !found || !ok {
		return "", false
	}
	name = strings.ReplaceAll(inner, `""`, "\x00")
	return strings.ReplaceAll(name, "\x00", `"`), !strings.Contains(name, `"`)
}

// FuzzKeyFields compares with the definition: fields are what tabs separate, and a row ends at its newline.
func FuzzKeyFields(f *testing.F) {
	for _, row := range []string{"1\ta\tb\n", "1\n", "\n", "", "\t\t\n", "a\\tb\tc\n", "\\N\t\\\\N\n", "1\ta", "\xe4\t\xff\n", "1\ta\n2\tb\n"} {
		for n := range 4 {
			f.Add([]byte(row), n)
		}
	}
	f.Fuzz(func(t *testing.T, row []byte, n int) {
		if n < 0 || n > 1600 {
			return
		}
		before := string(row)
		line, _, _ := strings.Cut(before, "\n")
		fields := strings.Split(line, "\t")
		want := strings.Join(fields[:min(n, len(fields))], "\t")
		got := string(KeyFields(row, n))
		if complete := len(fields) >= n && strings.Contains(before, "\n"); complete && got != want {
			t.Errorf("the first %d fields of %q are %q, got %q", n, before, want, got)
		}
		if !strings.HasPrefix(before, got) || string(row) != before {
			t.Errorf("%q is not the beginning of %q", got, before)
		}
		log := NewRowLog([]string{"a", "b"}, min(n, 2)) // must not fail, whatever comes
		log.Add(row)
		if text := DescribeKey([]string{"a"}, got); !utf8.ValidString(text) {
			t.Errorf("%q can not be stored", text)
		}
	})
}
