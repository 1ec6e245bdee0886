package apply

import (
	"context"
	_ "embed"
	"fmt"
	"slices"
	"time"

	"github.com/pgibex/pgibex/internal/pg"
)

//go:embed sql/holders.sql
var holdersSQL string

// Holder is a transaction of somebody else that keeps a table of the target, or may keep rows of it.
type Holder struct {
	Transaction string // as pg_locks names it
	Whole       bool   // the table, from everybody who would write to it
	Text        string // who it is and what it does
}

// Holders says, by table, who keeps the tables of these OIDs from being written to. Where the table itself is held, those who hold rows
// are left out. all asks for everybody with any lock: who keeps the tables from being altered. They are found in pg_locks, so that no
// table is touched.
func Holders(ctx context.Context, conn *pg.Conn, stream string, oids []uint32, all bool) (map[uint32][]Holder, error) {
	rows, err := conn.Query(ctx, holdersSQL, oids, "pgibex/"+stream+"/", all)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	holders := map[uint32][]Holder{}
	for rows.Next() {
		var table uint32
		var h Holder
		var pid int
		var owner, application, gid, lock, state, query string
		var seconds float64
		if err := rows.Scan(&table, &h.Transaction, &h.Whole, &pid, &owner, &application, &gid, &seconds, &lock, &state, &query); err != nil {
			return nil, err
		}
		h.Text = fmt.Sprintf("pid %d of %s (%s)", pid, owner, application)
		if gid != "" {
			h.Text = fmt.Sprintf("prepared transaction %q of %s", gid, owner)
		}
		if state != "" {
			h.Text += ", " + state
		}
		if seconds >= 0 {
			h.Text += ", in a transaction for " + time.Duration(seconds*float64(time.Second)).Round(time.Second).String()
		}
		h.Text += ", " + lock
		switch {
		case query == "<insufficient privilege>":
			h.Text += " (what it does is shown to a superuser or a member of pg_read_all_stats)"
		case query != "":
			h.Text += ": " + query
		}
		holders[table] = append(holders[table], h)
	}
	for table, list := range holders {
		if slices.ContainsFunc(list, func(h Holder) bool { return h.Whole }) {
			holders[table] = slices.DeleteFunc(list, func(h Holder) bool { return !h.Whole })
		}
	}
	return holders, rows.Err()
}
