package replicator

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/config"
	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/internal/sequence"
)

// omission is something that the configuration includes, or names, and that the stream does not carry.
type omission struct {
	name, reason, remedy string
	rows                 bool // the target lacks rows because of it; of the others it is enough to warn
}

func (o omission) String() string { return o.name + " " + o.reason + "; " + o.remedy }

// omitted is all that the stream does not carry although the configuration includes it, and the patterns that have no effect. Every
// command that says so takes it from here.
func (r *Replicator) omitted(ctx context.Context, src *pg.Conn, source *catalog.Catalog, carried func(catalog.Name) bool) ([]omission, error) {
	sequences, err := sequence.Load(ctx, src)
	if err != nil {
		return nil, err
	}
	largeObjects, err := countLargeObjects(ctx, src)
	if err != nil {
		return nil, err
	}
	var all []omission
	for _, name := range r.leftOut(source, carried) {
		all = append(all, omission{name.String(), notReplicated, "create it on the target, then: pgibex add " + name.String(), true})
	}
	all = append(all, otherRelations(r.config.Tables, source)...)
	all = append(all, idlePatterns(r.config.Tables, source, sequences)...)
	if largeObjects != "" {
		all = append(all, omission{
			largeObjects, "of the source are not replicated",
			"bring them over at the switch (pg_dump --blobs), or ignore this where nothing refers to them", false,
		})
	}
	return all, nil
}

// manyLargeObjects are as many as are counted: there may be a hundred million, and what an operator has to know is that there are some.
const manyLargeObjects = 1000

// countLargeObjects says how many large objects the source has; "" for none.
func countLargeObjects(ctx context.Context, src *pg.Conn) (text string, err error) {
	var n int
	err = src.QueryRow(ctx, "SELECT count(*) FROM (SELECT 1 FROM pg_catalog.pg_largeobject_metadata LIMIT $1) o", manyLargeObjects+1).Scan(&n)
	switch {
	case err != nil || n == 0:
		return "", err
	case n > manyLargeObjects:
		return fmt.Sprintf("more than %d large objects", manyLargeObjects), nil
	}
	return fmt.Sprintf("%d large objects", n), nil
}

// notReplicated says what is with a table that is left out.
const notReplicated = "is included by the configuration and not replicated"

// leftOut are the tables of the source that the configuration includes and the stream does not carry, by name.
func (r *Replicator) leftOut(now *catalog.Catalog, carried func(catalog.Name) bool) (names []catalog.Name) {
	for name, t := range now.Tables {
		if t.Kind == catalog.Ordinary && !carried(name) && r.config.Tables.Selects(name.Schema, name.Relation) {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, catalog.Name.Compare)
	return names
}

// otherRelations are those that the configuration includes and that no trigger can follow. A partitioned table is not among them: its
// partitions are ordinary tables. Nor is a view that nobody asked for.
func otherRelations(tables config.Tables, source *catalog.Catalog) (all []omission) {
	for name, t := range source.Tables {
		if !tables.Selects(name.Schema, name.Relation) {
			continue
		}
		var remedy string
		switch t.Kind {
		case catalog.Ordinary, catalog.Partitioned:
			continue
		case catalog.View:
			if len(tables.Include) == 0 {
				continue
			}
			remedy = "its definition comes with the schema"
		case catalog.Materialized:
			remedy = "REFRESH MATERIALIZED VIEW " + name.SQL() + " on the target"
		default:
			remedy = "its rows are on another server, which the target must reach by itself"
		}
		all = append(all, omission{name.String(), fmt.Sprintf("is a %s and is left out", t.Kind), remedy, false})
	}
	slices.SortFunc(all, func(a, b omission) int { return strings.Compare(a.name, b.name) })
	return all
}

// idlePatterns are those that select no table. One that matches nothing at all is most likely misspelled; one of tables.include that
// matches only what has no triggers leaves out what it was written for.
func idlePatterns(tables config.Tables, source *catalog.Catalog, sequences []*sequence.Sequence) (all []omission) {
	var names []config.TableName
	for name, t := range source.Tables {
		if t.Kind == catalog.Ordinary {
			names = append(names, config.TableName{Schema: name.Schema, Table: name.Relation})
		}
	}
	for _, s := range sequences {
		names = append(names, config.TableName{Schema: s.Schema, Table: s.Relation})
	}
	for _, list := range []struct {
		key      string
		patterns []string
		rows     bool
	}{{"tables.include", tables.Include, true}, {"tables.exclude", tables.Exclude, false}} {
		for _, pattern := range config.Unmatched(list.patterns, names) {
			o := omission{name: list.key + ": " + pattern, reason: "matches no table of the source", remedy: "correct it, or take it out"}
			if near := config.Nearest(pattern, names); len(near) > 0 {
				o.remedy = "did you mean " + strings.Join(near, " or ") + "?"
			}
			if kind, name := matches(pattern, source); kind != "" {
				o.reason, o.rows = fmt.Sprintf("matches no table that can be replicated, only others, such as the %s %s", kind, name), list.rows
				o.remedy = "take it out"
				if kind == catalog.Partitioned {
					o.remedy = "name its partitions: they are tables of their own"
				}
			}
			all = append(all, o)
		}
	}
	return all
}

// matches finds a relation that is meant by a pattern, the first by name.
func matches(pattern string, source *catalog.Catalog) (kind catalog.Kind, first catalog.Name) {
	for name, t := range source.Tables {
		one := []config.TableName{{Schema: name.Schema, Table: name.Relation}}
		if len(config.Unmatched([]string{pattern}, one)) == 0 && (kind == "" || name.Compare(first) < 0) {
			kind, first = t.Kind, name
		}
	}
	return kind, first
}
