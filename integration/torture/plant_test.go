package torture

import (
	"context"
	"fmt"
	"regexp"
	"strings"
)

// verify asks pgibex itself, first as things are, then with differences planted on the target.
func (m *machine) verify(ctx context.Context, equal bool) {
	code, out := m.call(ctx, "", "verify")
	if equal != (code == 0) {
		m.hurt("the judge says that both sides are equal: %v; pgibex verify ends with code %d:\n%s", equal, code, out)
		return
	}
	if !equal {
		return
	}
	r := m.random(actorJudge<<32 + uint64(m.round))
	t := m.schema.keyed[r.IntN(len(m.schema.keyed))]
	key, err := ask[string](ctx, m.target, fmt.Sprintf("SELECT coalesce((SELECT (%s)::text FROM %s ORDER BY md5(t::text) LIMIT 1), '')", rowOf(t), t.name+" t"))
	if err != nil || key == "" {
		m.event("judge: nothing to plant a difference in: %v", err)
		return
	}
	kinds := []string{"changed", "missing", "extra"}
	kind := kinds[r.IntN(len(kinds))]
	plant := map[string]string{
		"changed": "UPDATE %[1]s SET n = n + 1 WHERE (%[2]s)::text = %[3]s",
		"missing": "DELETE FROM %[1]s WHERE (%[2]s)::text = %[3]s",
		"extra":   "INSERT INTO %[1]s (%[4]s, n) SELECT %[5]s, 1",
	}[kind]
	extra := strings.Join(t.keys(r, "987654"), ", ")
	const before = "SET session_replication_role = replica; CREATE SCHEMA judge; CREATE TABLE judge.saved AS SELECT * FROM ONLY %[1]s WHERE (%[2]s)::text = %[3]s; "
	const after = "SET session_replication_role = replica; DELETE FROM %[1]s t USING judge.saved s WHERE (%[6]s) = (%[7]s); DELETE FROM %[1]s WHERE (%[4]s) = (%[5]s); " +
		"INSERT INTO %[1]s SELECT * FROM judge.saved; DROP SCHEMA judge CASCADE"
	values := []any{t.name, rowOf(t), literal(key), t.keyColumns(), extra, prefixed("t.", t), prefixed("s.", t)}
	m.must(m.target.run(ctx, "torture/judge", expand(before+plant, values)))
	code, out = m.call(ctx, "", "verify", "public."+t.name)
	m.event("judge: planted %s in %s %s; verify: code %d: %s", kind, t.name, key, code, strings.ReplaceAll(out, "\n", " | "))
	if code != 1 || !strings.Contains(out, t.name) || strings.Contains(out, " 0 differ") {
		m.hurt("a difference was planted (%s in %s, key %s); pgibex verify ends with code %d:\n%s", kind, t.name, key, code, out)
	} else if kind != "extra" && !names(out, key) {
		m.hurt("a difference was planted (%s in %s, key %s); pgibex verify does not name the key:\n%s", kind, t.name, key, out)
	}
	m.must(m.target.run(ctx, "torture/judge", expand(after, values)))
}

// expand fills in what a template uses of the values: Sprintf complains of those left over.
func expand(template string, values []any) string {
	for i, value := range values {
		template = strings.ReplaceAll(template, fmt.Sprintf("%%[%d]s", i+1), fmt.Sprint(value))
	}
	return template
}

func rowOf(t *keyed) string { return "ROW(" + t.keyColumns() + ")" }

func prefixed(prefix string, t *keyed) string {
	return prefix + strings.ReplaceAll(t.keyColumns(), ", ", ", "+prefix)
}

func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

var word = regexp.MustCompile(`[0-9A-Za-z]+`)

// names says whether a text has every word of a key.
func names(out, key string) bool {
	for _, w := range word.FindAllString(key, -1) {
		if !strings.Contains(out, w) {
			return false
		}
	}
	return true
}
