package torture

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// step is one statement of a transaction.
type step struct {
	sql      string
	prepared *keyed // or the statement that the session keeps prepared for this table
	args     []any
	pause    time.Duration // after it
}

func sqls(statements ...string) []step {
	steps := make([]step, len(statements))
	for i, s := range statements {
		steps[i].sql = s
	}
	return steps
}

// slot is mostly any of the table's, now and then one of a few that everybody wants.
func (t *keyed) slot(r *rand.Rand) int {
	if r.IntN(8) == 0 {
		return 1 + r.IntN(15)
	}
	return 1 + r.IntN(t.slots)
}

// insert makes the row of a slot unless it is there; now and then it tries in any case.
func (t *keyed) insert(r *rand.Rand) []step {
	slot := t.slot(r)
	sql := fmt.Sprintf("INSERT INTO %s (%s, %s) SELECT %s, %s", t.name, t.keyColumns(), dataColumns, strings.Join(t.keys(r, strconv.Itoa(slot)), ", "), dataValues(r))
	if r.IntN(10) > 0 {
		sql += fmt.Sprintf(" WHERE NOT EXISTS (SELECT 1 FROM %s WHERE %s)", t.name, t.is(r, "", slot))
	}
	return sqls(sql)
}

// insertMany makes the rows of a run of slots where they are missing.
func (t *keyed) insertMany(r *rand.Rand, from, to int) string {
	keys := t.keys(r, "g")
	on := make([]string, len(keys))
	for i, key := range keys {
		on[i] = fmt.Sprintf("k%d = %s", i+1, key)
	}
	return fmt.Sprintf("INSERT INTO %s (%s, %s) SELECT %s, %s FROM generate_series(%d, %d) g WHERE NOT EXISTS (SELECT 1 FROM %s WHERE %s)",
		t.name, t.keyColumns(), dataColumns, strings.Join(keys, ", "), dataValues(r), from, to, t.name, strings.Join(on, " AND "))
}

func (t *keyed) update(r *rand.Rand) []step {
	set := []string{
		"n = n + 1", "note = " + text(r), "amount = amount * 1.01, ratio = random()", "live = NOT live", "at = clock_timestamp(), tags = tags || 'more'::text",
		"code = 'c' || nextval('codes')", "bin = decode(md5(random()::text), 'hex')", "span = NULL", "n = n", // the last changes nothing
	}
	return sqls(fmt.Sprintf("UPDATE %s SET %s WHERE %s", t.name, set[r.IntN(len(set))], t.is(r, "", t.slot(r))))
}

func (t *keyed) delete(r *rand.Rand) []step {
	return sqls(fmt.Sprintf("DELETE FROM %s WHERE %s", t.name, t.is(r, "", t.slot(r))))
}

func (t *keyed) move(r *rand.Rand, from, to int) string {
	return fmt.Sprintf("UPDATE %s SET %s WHERE %s AND NOT EXISTS (SELECT 1 FROM %s WHERE %s)", t.name, t.setKey(r, to), t.is(r, "", from), t.name, t.is(r, "", to))
}

// chain moves each of several rows to where the one before it was.
func (t *keyed) chain(r *rand.Rand) []step {
	free := t.slot(r)
	steps := sqls(fmt.Sprintf("DELETE FROM %s WHERE %s", t.name, t.is(r, "", free)))
	for range 1 + r.IntN(4) {
		from := t.slot(r)
		steps = append(steps, step{sql: t.move(r, from, free)})
		free = from
	}
	return steps
}

// swap has two rows change keys.
func (t *keyed) swap(r *rand.Rand) []step {
	a, b, aside := t.slot(r), t.slot(r), t.slots+1+r.IntN(1000)
	return sqls(t.move(r, a, aside), t.move(r, b, a), t.move(r, aside, b))
}

// respell writes the same key in another way, where its type has one.
func (t *keyed) respell(r *rand.Rand) []step {
	slot := t.slot(r)
	return sqls(fmt.Sprintf("UPDATE %s SET %s WHERE %s", t.name, t.setKey(r, slot), t.is(r, "", slot)))
}

// replace deletes a row and inserts it anew.
func (t *keyed) replace(r *rand.Rand) []step {
	slot := t.slot(r)
	return sqls(fmt.Sprintf("DELETE FROM %s WHERE %s", t.name, t.is(r, "", slot)), t.insertMany(r, slot, slot))
}

// swapOther has two rows change the values that must be unique beside the key.
func (t *keyed) swapOther(r *rand.Rand) []step {
	a, b := t.slot(r), t.slot(r)
	ia, ib := t.is(r, "a.", a), t.is(r, "b.", b)
	if t.secondary == uniqueDeferred || t.secondary == exclusionDeferred {
		return sqls(fmt.Sprintf("UPDATE %s a SET code = b.code, span = b.span FROM %s b WHERE (%s AND %s) OR (%s AND %s)",
			t.name, t.name, ia, ib, t.is(r, "a.", b), t.is(r, "b.", a)))
	}
	both := fmt.Sprintf("(%s) OR (%s)", t.is(r, "", a), t.is(r, "", b))
	return sqls(
		fmt.Sprintf("UPDATE %s SET note = code, code = code || '~', n = lower(span), span = NULL WHERE (%s) AND span IS NOT NULL", t.name, both),
		fmt.Sprintf("UPDATE %s a SET code = b.note, span = int4range(b.n, b.n + 4) FROM %s b WHERE %s AND %s AND b.code LIKE '%%~'", t.name, t.name, ia, ib),
		fmt.Sprintf("UPDATE %s b SET code = a.note, span = int4range(a.n, a.n + 4) FROM %s a WHERE %s AND %s AND b.code LIKE '%%~'", t.name, t.name, ib, ia))
}

// inherit gives a deleted row's unique value to another.
func (t *keyed) inherit(r *rand.Rand) []step {
	a, b := t.slot(r), t.slot(r)
	return sqls(fmt.Sprintf("WITH heir AS (DELETE FROM %s WHERE %s RETURNING code, span) UPDATE %s SET code = heir.code, span = heir.span FROM heir WHERE %s",
		t.name, t.is(r, "", a), t.name, t.is(r, t.name+".", b)))
}

func (t *keyed) some(r *rand.Rand) []step {
	from := t.slot(r)
	return [][]step{
		sqls(fmt.Sprintf("UPDATE %s SET n = (n + 1) %% 1000 WHERE n %% 20 = %d", t.name, r.IntN(20))),
		sqls(fmt.Sprintf("DELETE FROM %s WHERE n %% 40 = %d", t.name, r.IntN(40))),
		sqls(t.insertMany(r, from, from+r.IntN(300))),
		sqls(t.insertMany(r, from, from+r.IntN(300))),
		sqls(fmt.Sprintf("UPDATE %s SET code = code || 'x', live = true WHERE n %% 60 = %d", t.name, r.IntN(60))),
	}[r.IntN(5)]
}

// again uses the statement that the session keeps prepared.
func (t *keyed) again(r *rand.Rand) []step {
	return []step{{prepared: t, args: []any{int32(t.slot(r))}}}
}

// onKeyed is an operation on a keyed table.
func onKeyed(r *rand.Rand, tables []*keyed) []step {
	t := tables[r.IntN(len(tables))]
	operations := []func(*rand.Rand) []step{
		t.insert, t.insert, t.insert, t.update, t.update, t.update, t.delete, t.chain, t.swap, t.respell, t.replace, t.swapOther, t.inherit, t.some, t.again, t.again,
	}
	return operations[r.IntN(len(operations))](r)
}
