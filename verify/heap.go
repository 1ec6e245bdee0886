package verify

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/pgibex/pgibex/internal/pg"
)

// compareIndex compares the source with itself: whether the index that changes are looked up by, mostly the key's, finds every row of the heap.
// Where it does not, no other comparison is worth anything.
func (j *job) compareIndex(ctx context.Context) error {
	source := j.table.source
	complete, known, err := source.Complete(ctx, j.source, longChunk)
	if err != nil || known && complete {
		return err
	}
	var blocks int64
	if err := j.source.QueryRow(ctx, "SELECT coalesce(pg_relation_size($1::oid) / $2::bigint, 0)", source.OID, pg.BlockSize).Scan(&blocks); err != nil {
		return err
	}
	var lost int
	var named []string
	for from, run := int64(0), int64(firstBlocks); from < blocks; {
		to := min(from+run, blocks)
		began := time.Now()
		found, err := source.Unindexed(ctx, j.source, from, to)
		if err != nil {
			return err
		}
		for _, u := range found[:min(len(found), lostNamed-len(named))] {
			named = append(named, source.describe(u.Key))
		}
		lost += len(found)
		from, run = to, min(adapt(run, time.Since(began)), maxBlocks)
	}
	if lost == 0 { // it has been built again meanwhile, or it was only not known
		return nil
	}
	if lost > len(named) {
		named = append(named, "…")
	}
	by, err := source.LookedUpBy(ctx, j.source)
	if err != nil {
		return err
	}
	return &skipError{contradiction(source, cmp.Or(by, source.Key.Index), lost, named)}
}

// lostNamed is how many rows are named that an index does not find.
const lostNamed = 10

func contradiction(s *side, index string, lost int, named []string) string {
	index = pg.Ident(s.Schema, index)
	return fmt.Sprintf("the source contradicts itself: its index %[1]s does not find %[2]d rows of the table, %[3]s; on the source: REINDEX INDEX %[1]s, then: pgibex resync %[4]s, and verify again",
		index, lost, strings.Join(named, ", "), s.Name)
}
