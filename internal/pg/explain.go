package pg

import (
	"context"
	"encoding/json"
	"fmt"
)

// plan is what EXPLAIN tells of a node.
type plan struct {
	Index string `json:"Index Name"`
	Plans []plan
}

func (p plan) indexes() (names []string) {
	if p.Index != "" {
		names = append(names, p.Index)
	}
	for _, inner := range p.Plans {
		names = append(names, inner.indexes()...)
	}
	return names
}

// IndexesOf names the indexes that a statement would be executed by, each as often as its plan has it.
func (c *Conn) IndexesOf(ctx context.Context, sql string) ([]string, error) {
	var text string
	if err := c.QueryRow(ctx, "EXPLAIN (FORMAT JSON) "+sql).Scan(&text); err != nil {
		return nil, err
	}
	var explained []struct{ Plan plan }
	if err := json.Unmarshal([]byte(text), &explained); err != nil {
		return nil, fmt.Errorf("read the plan of a statement: %w", err)
	}
	var names []string
	for _, e := range explained {
		names = append(names, e.Plan.indexes()...)
	}
	return names, nil
}
