package snapshot

import (
	"context"
	"time"

	"github.com/pgibex/pgibex/internal/pg"
)

// Progress is how far the copy of a table is.
type Progress struct {
	Chunks, Done int
	Rows, Bytes  int64
	Took         time.Duration // since the copy began, on the target's clock
}

// ETA is in how many seconds the copy will be done, if the chunks left take as long as those done did; nil while none is.
func (p Progress) ETA() *float64 {
	if p.Done == 0 || p.Took <= 0 {
		return nil
	}
	eta := p.Took.Seconds() / float64(p.Done) * float64(p.Chunks-p.Done)
	return &eta
}

// Progress reads how far the copies of all tables are, by number.
func (l *Loader) Progress(ctx context.Context, dst *pg.Conn) (map[int]Progress, error) {
	rows, err := dst.Query(ctx, l.Store.SQL(`SELECT c.number, count(*), count(done_at), coalesce(sum(rows), 0)::bigint, coalesce(sum(bytes), 0)::bigint,
			extract(epoch FROM max(done_at) - min(r.changed_at))::float8
		FROM {{schema}}.chunk c JOIN {{schema}}.relation r USING (number) GROUP BY c.number`))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	progress := map[int]Progress{}
	for rows.Next() {
		var number int
		var p Progress
		var seconds *float64
		if err := rows.Scan(&number, &p.Chunks, &p.Done, &p.Rows, &p.Bytes, &seconds); err != nil {
			return nil, err
		}
		if seconds != nil {
			p.Took = time.Duration(*seconds * float64(time.Second))
		}
		progress[number] = p
	}
	return progress, rows.Err()
}
