package snapshot

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/pg"
)

var (
	//go:embed sql/definitions.sql
	definitionsSQL string
	//go:embed sql/grant.sql
	grantSQL string
)

// The kinds of definitions.
const (
	Index      = "index"
	ForeignKey = "foreign key"
	Check      = "check"
)

// Definition is an index or constraint that was dropped for the copy, or a CHECK put off for longer.
type Definition struct {
	Number     int
	Kind, Name string
	TableSQL   string
	Statements []string
	Ordinal    int    // 0 primary key, 1 unique, 2 other index, 3 foreign key, 4 check
	Failure    string // why it could not be built
}

const lastOrdinal = 4

// Unique says whether the index belongs to a constraint or is unique.
func (d Definition) Unique() bool { return d.Ordinal < 2 }

// Dispensable says whether it is an index that could not be built for a reason of its own, and that the stream does without: what it
// needs has gone from the target since it was dropped for the copy, say. Rows that break a constraint are no such reason.
func (d Definition) Dispensable(err error) bool {
	return d.Kind == Index && !d.Unique() && pg.Rejected(err) && !strings.HasPrefix(pg.State(err), "23")
}

// lockTimeout bounds how long we wait for a lock on a table of the target, in front of its readers.
const lockTimeout = "SET LOCAL lock_timeout = '5s'"

// dropped is a definition that is in place, and the statement that drops it.
type dropped struct {
	Definition
	drop string
}

// putOff drops the indexes of a table and every foreign key from and to it, and keeps their definitions.
// What something else depends on stays.
func (l *Loader) putOff(ctx context.Context, dst *pg.Conn, t Table) error {
	if err := dst.Run(ctx, lockTimeout); err != nil {
		return err
	}
	rows, err := dst.Query(ctx, definitionsSQL, t.Target.SQL())
	if err != nil {
		return err
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (d dropped, err error) {
		err = row.Scan(&d.Kind, &d.Name, &d.TableSQL, &d.drop, &d.Statements, &d.Ordinal)
		return d, err
	})
	if err != nil {
		return err
	}
	for _, d := range all {
		if err := l.drop(ctx, dst, t.Number, d); err != nil {
			return err
		}
	}
	return nil
}

// drop keeps a definition and drops what it defines, unless something depends on that.
func (l *Loader) drop(ctx context.Context, dst *pg.Conn, number int, d dropped) error {
	err := dst.Run(ctx, "SAVEPOINT dropping; "+d.drop+"; RELEASE dropping")
	if pg.State(err) == pg.DependentObjects {
		return dst.Run(ctx, "ROLLBACK TO dropping")
	}
	if err != nil {
		return fmt.Errorf("drop %s %s: %w", d.Kind, d.Name, err)
	}
	_, err = dst.Exec(ctx, l.Store.SQL("INSERT INTO {{schema}}.definition (number, kind, name, ordinal, table_sql, statements) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (table_sql, kind, name) DO UPDATE SET number = EXCLUDED.number, ordinal = EXCLUDED.ordinal, statements = EXCLUDED.statements, failure = NULL"),
		number, d.Kind, d.Name, d.Ordinal, d.TableSQL, d.Statements)
	return err
}

// Definitions reads what is still to be built, in the order in which it is: the indexes of one table, or (number 0) all
// foreign keys but those that did not hold when they were tried.
func (l *Loader) Definitions(ctx context.Context, dst *pg.Conn, number int) ([]Definition, error) {
	return l.read(ctx, dst, `CASE WHEN $1 = 0 THEN kind = 'foreign key' AND failure IS NULL ELSE kind NOT IN ('foreign key', 'check') AND number = $1 END ORDER BY ordinal, name`, number)
}

// Failed reads which definitions could not be built, or do not hold. An index that another has built since is none of them.
func (l *Loader) Failed(ctx context.Context, dst *pg.Conn) ([]Definition, error) {
	return l.read(ctx, dst, "failure IS NOT NULL AND NOT (kind = 'index' AND "+indexThereSQL+") ORDER BY kind, table_sql, name")
}

// OwnerToGrant is the statement that gives our role what it lacks to alter the table of a definition; "" where it lacks nothing.
func (l *Loader) OwnerToGrant(ctx context.Context, dst *pg.Conn, d Definition) (grant string, err error) {
	err = dst.QueryRow(ctx, grantSQL, d.TableSQL).Scan(&grant)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return grant, err
}

// indexThereSQL says whether the table that a definition belongs to has an index of its name.
const indexThereSQL = `EXISTS (SELECT 1 FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
	JOIN pg_catalog.pg_class r ON r.oid = i.indrelid JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
	WHERE i.indisvalid AND x.relname = name AND pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(r.relname) = table_sql)`

func (l *Loader) read(ctx context.Context, dst *pg.Conn, where string, args ...any) ([]Definition, error) {
	rows, err := dst.Query(ctx, l.Store.SQL("SELECT number, kind, name, table_sql, statements, ordinal, coalesce(failure, '') FROM {{schema}}.definition WHERE "+where), args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (d Definition, err error) {
		err = row.Scan(&d.Number, &d.Kind, &d.Name, &d.TableSQL, &d.Statements, &d.Ordinal, &d.Failure)
		return d, err
	})
}

// Unbuilt says whether indexes of a table are still to be built; one that could not be does not count.
func (l *Loader) Unbuilt(ctx context.Context, dst *pg.Conn, name catalog.Name) (unbuilt bool, err error) {
	err = dst.QueryRow(ctx, l.Store.SQL(`SELECT EXISTS (SELECT 1 FROM {{schema}}.definition JOIN {{schema}}.relation USING (number)
		WHERE kind NOT IN ('foreign key', 'check') AND failure IS NULL AND schema_name = $1 AND table_name = $2)`), name.Schema, name.Relation).Scan(&unbuilt)
	return unbuilt, err
}

// Build builds an index, or a constraint with its index, and forgets its definition in the same transaction, which only who
// holds the stream may commit.
func (l *Loader) Build(ctx context.Context, dst *pg.Conn, d Definition) error {
	return l.build(ctx, dst, d, l.Store.Hold)
}

// BuildAside does so for a table that the stream leaves alone, whoever holds it.
func (l *Loader) BuildAside(ctx context.Context, dst *pg.Conn, d Definition) error {
	return l.build(ctx, dst, d, func(context.Context, *pg.Conn) error { return nil })
}

func (l *Loader) build(ctx context.Context, dst *pg.Conn, d Definition, hold func(context.Context, *pg.Conn) error) error {
	err := dst.InTx(ctx, pg.Begin, func(ctx context.Context) error {
		if err := hold(ctx, dst); err != nil {
			return err
		}
		if d.Failure != "" { // it may have been built by hand since
			var there bool
			err := dst.QueryRow(ctx, l.Store.SQL("SELECT EXISTS (SELECT 1 FROM {{schema}}.definition WHERE table_sql = $1 AND kind = $2 AND name = $3 AND "+indexThereSQL+")"),
				d.TableSQL, d.Kind, d.Name).Scan(&there)
			if err != nil {
				return err
			}
			if there {
				return l.Forget(ctx, dst, d)
			}
		}
		if err := dst.Run(ctx, strings.Join(d.Statements, ";\n")); err != nil {
			return err
		}
		return l.Forget(ctx, dst, d)
	})
	if err != nil {
		return fmt.Errorf("build %s %s of %s: %w", d.Kind, d.Name, d.TableSQL, pg.Detailed(err))
	}
	return nil
}

// AddConstraint makes a foreign key or CHECK that is not validated yet: a short lock on its tables, not to be asked for while a
// transaction of ours holds one of them. wait bounds the wait for it.
func (l *Loader) AddConstraint(ctx context.Context, dst *pg.Conn, d Definition, wait time.Duration) error {
	var there bool
	err := dst.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_constraint WHERE contype IN ('f', 'c') AND conname = $1 AND conrelid = $2::text::pg_catalog.regclass)",
		d.Name, d.TableSQL).Scan(&there)
	if err == nil && !there {
		var add []string
		for _, statement := range d.Statements {
			if !isValidation(statement) {
				add = append(add, statement)
			}
		}
		err = dst.InTx(ctx, pg.Begin, func(ctx context.Context) error {
			return dst.Run(ctx, fmt.Sprintf("SET LOCAL lock_timeout = %d;", wait.Milliseconds())+strings.Join(add, ";\n"))
		})
	}
	if err != nil {
		return fmt.Errorf("add %s %s of %s: %w", d.Kind, d.Name, d.TableSQL, err)
	}
	return nil
}

// ValidateConstraint checks every row against a constraint that AddConstraint made, with a lock that keeps nobody from writing, and
// forgets its definition.
func (l *Loader) ValidateConstraint(ctx context.Context, dst *pg.Conn, d Definition) error {
	err := l.validate(ctx, dst, d, "")
	if d.Kind == Check && pg.Rejected(err) && pg.State(err) != pg.CheckViolation { // its function may need the path that it was written for
		var session string
		if dst.QueryRow(ctx, ownerSQL, d.TableSQL).Scan(&session) == nil {
			err = l.validate(ctx, dst, d, session)
		}
	}
	if err == nil {
		return nil
	}
	return fmt.Errorf("validate %s %s of %s: %w", d.Kind, d.Name, d.TableSQL, pg.Detailed(err))
}

func (l *Loader) validate(ctx context.Context, dst *pg.Conn, d Definition, session string) error {
	return dst.InTx(ctx, pg.Begin, func(ctx context.Context) error {
		for _, statement := range d.Statements {
			if isValidation(statement) {
				if err := dst.Run(ctx, session+statement+"; RESET ROLE; SET LOCAL search_path = pg_catalog"); err != nil {
					return err
				}
			}
		}
		return l.Forget(ctx, dst, d)
	})
}

// Fail notes why a constraint could not be built or validated; a foreign key is left alone until ForgetFailures.
func (l *Loader) Fail(ctx context.Context, dst *pg.Conn, d Definition, cause error) error {
	_, err := dst.Exec(ctx, l.Store.SQL("UPDATE {{schema}}.definition SET failure = $1 WHERE table_sql = $2 AND kind = $3 AND name = $4"),
		cause.Error(), d.TableSQL, d.Kind, d.Name)
	return err
}

func isValidation(statement string) bool { return strings.Contains(statement, " VALIDATE CONSTRAINT ") }

// Forget removes a definition that is built, or whose table is no more.
func (l *Loader) Forget(ctx context.Context, dst *pg.Conn, d Definition) error {
	_, err := dst.Exec(ctx, l.Store.SQL("DELETE FROM {{schema}}.definition WHERE table_sql = $1 AND kind = $2 AND name = $3"), d.TableSQL, d.Kind, d.Name)
	return err
}

// HasTable says whether the table that a definition belongs to is there.
func (l *Loader) HasTable(ctx context.Context, dst *pg.Conn, d Definition) (there bool, err error) {
	err = dst.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
		WHERE pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname) = $1)`, d.TableSQL).Scan(&there)
	return there, err
}

// ForgetFailures lets foreign keys that did not hold be tried again.
func (l *Loader) ForgetFailures(ctx context.Context, dst *pg.Conn) error {
	return dst.Run(ctx, l.Store.SQL("UPDATE {{schema}}.definition SET failure = NULL WHERE kind = 'foreign key' AND failure IS NOT NULL"))
}
