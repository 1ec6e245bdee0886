package torture

import (
	"fmt"
	"math/rand/v2"
)

// onFixed is an operation on one of the tables that every run has.
func onFixed(r *rand.Rand) []step {
	operations := []func(*rand.Rand) []step{onLog, onTwin, onTwin, onInheritance, onOrders, onOrders, onOrders, onBlob, onBig, onSequence}
	return operations[r.IntN(len(operations))](r)
}

func onLog(r *rand.Rand) []step {
	switch r.IntN(4) {
	case 0:
		return sqls(fmt.Sprintf("DELETE FROM log WHERE what = 'l%d' AND at < now() - interval '20 s'", r.IntN(10)))
	case 1:
		return sqls(fmt.Sprintf("UPDATE log SET ratio = ratio + 1 WHERE ctid IN (SELECT ctid FROM log WHERE what = 'l%d' LIMIT 3)", r.IntN(10)))
	}
	return sqls(fmt.Sprintf("INSERT INTO log SELECT now(), 'l%d', %s FROM generate_series(1, %d)", r.IntN(10), floats[r.IntN(len(floats))], 1+r.IntN(5)))
}

// onTwin plays with rows of which there are several the same.
func onTwin(r *rand.Rand) []step {
	a := r.IntN(20)
	return [][]step{
		sqls(fmt.Sprintf("INSERT INTO twin SELECT %d, 'b%d' FROM generate_series(1, %d)", a, r.IntN(7), 1+r.IntN(4))),
		sqls(fmt.Sprintf("INSERT INTO twin VALUES (%d, NULL)", a)),
		sqls(fmt.Sprintf("DELETE FROM twin WHERE ctid IN (SELECT ctid FROM twin WHERE a = %d LIMIT %d)", a, 1+r.IntN(3))),
		sqls(fmt.Sprintf("UPDATE twin SET b = 'b%d' WHERE a = %d AND b = 'b%d'", r.IntN(7), a, r.IntN(7))),
		sqls(fmt.Sprintf("UPDATE twin SET a = %d WHERE ctid IN (SELECT ctid FROM twin WHERE a = %d LIMIT 1)", r.IntN(20), a)),
	}[r.IntN(5)]
}

func onInheritance(r *rand.Rand) []step {
	id := 1 + r.IntN(900)
	child := "base_" + string("ab"[r.IntN(2)])
	return [][]step{
		sqls(fmt.Sprintf("UPDATE base SET what = 'u%d' WHERE id %% 30 = %d", r.IntN(100), r.IntN(30))),
		sqls(fmt.Sprintf("DELETE FROM base WHERE id = %d", id)),
		sqls(fmt.Sprintf("INSERT INTO %s (id, what) SELECT %d, 'new' WHERE NOT EXISTS (SELECT 1 FROM base WHERE id = %d)", child, id, id)),
		sqls(fmt.Sprintf("INSERT INTO base SELECT %d, 'new' WHERE NOT EXISTS (SELECT 1 FROM base WHERE id = %d)", id, id)),
		sqls(fmt.Sprintf("UPDATE base SET id = id + 1 WHERE id = %d AND NOT EXISTS (SELECT 1 FROM base WHERE id = %d)", id, id+1)),
	}[r.IntN(5)]
}

func onOrders(r *rand.Rand) []step {
	c := 1 + r.IntN(500)
	switch r.IntN(9) {
	case 0:
		other := 501 + r.IntN(500)
		return sqls(fmt.Sprintf("UPDATE customer SET id = %d WHERE id = %d AND NOT EXISTS (SELECT 1 FROM customer WHERE id = %d)", other, c, other)) // cascades
	case 1:
		return sqls(fmt.Sprintf("DELETE FROM customer WHERE id = %d", 1+r.IntN(1000)))
	case 2:
		return sqls(fmt.Sprintf("INSERT INTO customer SELECT %d, 'again ' || nextval('codes') WHERE NOT EXISTS (SELECT 1 FROM customer WHERE id = %d)", c, c))
	case 3:
		return sqls(fmt.Sprintf(`DELETE FROM "Order" WHERE id IN (SELECT id FROM "Order" WHERE customer = %d LIMIT 2)`, c))
	case 4:
		return sqls(fmt.Sprintf(`INSERT INTO invoice ("order", total) SELECT id, 1.5 FROM "Order" WHERE customer = %d`, c))
	case 5:
		return sqls(fmt.Sprintf(`UPDATE line SET amount = amount + 1 WHERE "order" IN (SELECT id FROM "Order" WHERE customer = %d)`, c))
	}
	return sqls(
		fmt.Sprintf(`INSERT INTO "Order" (customer, note) SELECT id, %s FROM customer WHERE id = %d`, text(r), c),
		fmt.Sprintf(`INSERT INTO line SELECT %d, max(id), 9.99 FROM "Order" WHERE customer = %d HAVING max(id) IS NOT NULL AND NOT EXISTS (SELECT 1 FROM line WHERE "order" = (SELECT max(id) FROM "Order" WHERE customer = %d) AND number = %d)`,
			c%50, c, c, c%50))
}

func onBlob(r *rand.Rand) []step {
	id := 1 + r.IntN(40)
	switch r.IntN(4) {
	case 0:
		return sqls(fmt.Sprintf("DELETE FROM blob WHERE id = %d", id))
	case 1:
		return sqls(fmt.Sprintf("INSERT INTO blob SELECT %d, repeat(md5(random()::text), %d), NULL WHERE NOT EXISTS (SELECT 1 FROM blob WHERE id = %d)", id, 1000+r.IntN(4000), id))
	case 2:
		return sqls(fmt.Sprintf("UPDATE blob SET bytes = decode(repeat(md5(random()::text), %d), 'hex') WHERE id = %d", 100+r.IntN(6000), id))
	}
	other := 1 + r.IntN(40)
	return sqls(fmt.Sprintf("UPDATE blob SET id = %d WHERE id = %d AND NOT EXISTS (SELECT 1 FROM blob WHERE id = %d)", other, id, other))
}

func onBig(r *rand.Rand) []step {
	from := r.IntN(100000)
	return sqls(fmt.Sprintf("UPDATE big SET n = n + 1 WHERE id BETWEEN %d AND %d", from, from+r.IntN(500)))
}

func onSequence(r *rand.Rand) []step {
	if r.IntN(5) == 0 {
		return sqls(fmt.Sprintf("SELECT setval('odd', %d, %v)", 1+r.IntN(1000), r.IntN(2) == 0))
	}
	return sqls("SELECT nextval('odd')")
}

// bulk is a statement that changes very many rows.
func bulk(r *rand.Rand) []step {
	return sqls("SET LOCAL statement_timeout = '60s'", []string{
		"UPDATE big SET n = n + 1",
		fmt.Sprintf("UPDATE big SET note = note || '.' WHERE id %% 3 = %d", r.IntN(3)),
		fmt.Sprintf("DELETE FROM big WHERE id %% 50 = %d", r.IntN(50)),
		"INSERT INTO big SELECT g, 0, 'again' FROM generate_series(1, 100000) g WHERE NOT EXISTS (SELECT 1 FROM big WHERE id = g)",
		"INSERT INTO twin SELECT g % 20, 'b' || g % 7 FROM generate_series(1, 3000) g",
		fmt.Sprintf("DELETE FROM twin WHERE a %% 2 = %d", r.IntN(2)),
	}[r.IntN(6)])
}

// truncate empties some table, waiting no longer for it than an application with any sense would.
func truncate(r *rand.Rand, tables []*keyed) []step {
	statement := []string{
		"TRUNCATE log", "TRUNCATE twin", "TRUNCATE customer CASCADE", `TRUNCATE "Order" CASCADE`, "TRUNCATE base", "TRUNCATE ONLY base_a", "TRUNCATE line", "TRUNCATE blob",
		"TRUNCATE " + tables[r.IntN(len(tables))].name, "TRUNCATE " + tables[r.IntN(len(tables))].name,
	}[r.IntN(10)]
	steps := sqls("SET LOCAL statement_timeout = '1s'", statement, "SET LOCAL statement_timeout = '8s'")
	switch {
	case statement == "TRUNCATE customer CASCADE" || r.IntN(3) > 0:
		steps = append(steps, sqls("INSERT INTO customer SELECT g, 'anew ' || nextval('codes') FROM generate_series(1, 300) g WHERE NOT EXISTS (SELECT 1 FROM customer WHERE id = g)")...)
	default:
		steps = append(steps, onFixed(r)...)
	}
	return steps
}
