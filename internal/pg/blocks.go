package pg

import "fmt"

// BlockSize is that of every server that was not built otherwise; a source that was is refused.
const BlockSize = 8192

// LinesPerBlock is how many line pointers a block may have, whatever the size of its rows: pruned ones stay and are used
// again. Each takes 4 bytes and the smallest row 24, behind a header of 24.
const LinesPerBlock = (BlockSize - 24) / (24 + 4)

// InBlocks is the condition on a table's ctid for a run of blocks, to excluded. Before 14 a comparison of ctid reads the whole
// table; a list of all that there may be does not.
func InBlocks(version int, ctid string, from, to int64) string {
	if version >= 140000 {
		return fmt.Sprintf("%s >= '(%d,0)' AND %s < '(%d,0)'", ctid, from, ctid, to)
	}
	// Each number is put into text once, not once a line: that would take as long as reading the rows does.
	return fmt.Sprintf(`%s = ANY (ARRAY(SELECT (block || line)::pg_catalog.tid
		FROM (SELECT '(' || b AS block FROM pg_catalog.generate_series(%d::bigint, %d::bigint) b OFFSET 0) b,
			(SELECT ',' || i || ')' AS line FROM pg_catalog.generate_series(1, %d) i OFFSET 0) l))`, ctid, from, to-1, LinesPerBlock)
}
