package snapshot

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgibex/pgibex/internal/pg"
)

var (
	//go:embed sql/checks.sql
	checksSQL string
	//go:embed sql/domains.sql
	domainsSQL string
	//go:embed sql/owner.sql
	ownerSQL string
)

// A CHECK of the source holds there, for every row it was asked about when that row was written. On the target the same row may be
// rejected: the constraint was added NOT VALID and the row is older, or something beside the row decides (a function that reads another
// table or goes by search_path, the time, the user), and the target is asked at another moment, in another session and in another order.
// Such a constraint is put off, and comes back when nothing is written any more. What only the target has stays: it is meant.

// checkOf is a CHECK of the target's table.
type checkOf struct {
	dropped
	beyondRow bool // something else than the row decides
	validate  string
}

// mayReject says whether the constraint may reject a row that is in order on the source, which has it too. validated: on the source.
func (c checkOf) mayReject(validated bool) bool { return c.beyondRow || !validated }

// rejected says whether an error may be the constraint's.
func (c checkOf) rejected(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if ok && pgErr.Code == pg.CheckViolation && pgErr.ConstraintName != "" {
		return pgErr.ConstraintName == c.Name
	}
	if !ok || !c.beyondRow || pgErr.Code == pg.ValueTooLong { // of a column's type
		return false
	}
	// Its function may raise anything; of constraint violations only its own kind.
	return pgErr.Code == pg.CheckViolation || !strings.HasPrefix(pgErr.Code, "23")
}

// Relax puts off the CHECKs of a table that has rejected a row with that error, as far as the source has them too and a row of the source may
// break them. It returns their names; none if the row is at fault. wait bounds the wait for the table's lock.
func (l *Loader) Relax(ctx context.Context, src, dst *pg.Conn, t Table, cause error, wait time.Duration) (names []string, err error) {
	err = dst.InTx(ctx, pg.Begin, func(ctx context.Context) error {
		if err := l.Store.Hold(ctx, dst); err != nil {
			return err
		}
		if err := dst.Run(ctx, fmt.Sprintf("SET LOCAL lock_timeout = %d", wait.Milliseconds())); err != nil {
			return err
		}
		names, err = l.putOffChecks(ctx, src, dst, t, func(c checkOf) bool { return c.rejected(cause) })
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("put off the checks of %s: %w", t.Source.Name, err)
	}
	return names, nil
}

// putOffChecks drops those CHECKs that may reject what the source has, and keeps their definitions; they are to be validated where the
// source's are.
func (l *Loader) putOffChecks(ctx context.Context, src, dst *pg.Conn, t Table, concerned func(checkOf) bool) (names []string, err error) {
	rows, err := dst.Query(ctx, checksSQL, t.Target.SQL())
	if err != nil {
		return nil, err
	}
	checks, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c checkOf, err error) {
		err = row.Scan(&c.Kind, &c.Name, &c.TableSQL, &c.beyondRow, &c.dropped.drop, &c.Statements, &c.validate)
		return c, err
	})
	if err != nil || len(checks) == 0 {
		return nil, err
	}
	validated, err := sourceChecks(ctx, src, t)
	if err != nil {
		return nil, err
	}
	for _, c := range checks {
		valid, there := validated[c.Name]
		if !there || !c.mayReject(valid) || !concerned(c) {
			continue
		}
		if valid {
			c.Statements = append(c.Statements, c.validate)
		}
		c.Ordinal = lastOrdinal
		if err := l.drop(ctx, dst, t.Number, c.dropped); err != nil {
			return nil, err
		}
		names = append(names, c.Name)
	}
	return names, nil
}

// sourceChecks are the CHECKs of the source's table, and whether each is validated.
func sourceChecks(ctx context.Context, src *pg.Conn, t Table) (map[string]bool, error) {
	validated := map[string]bool{}
	err := src.Each(ctx, "SELECT conname, convalidated FROM pg_catalog.pg_constraint WHERE conrelid = $1 AND contype = 'c'", []any{t.Source.OID}, func(rows pgx.Rows) error {
		var name string
		var valid bool
		err := rows.Scan(&name, &valid)
		validated[name] = valid
		return err
	})
	return validated, err
}

// Checks reads which CHECKs are put off, or did not hold when they were validated: of one table, or (number 0) of all.
func (l *Loader) Checks(ctx context.Context, dst *pg.Conn, number int) ([]Definition, error) {
	return l.read(ctx, dst, "kind = 'check' AND ($1 = 0 OR number = $1) ORDER BY table_sql, name", number)
}

// DomainChecks are the functions that CHECKs of the domains of a table's columns call, each with its domain. A domain's cannot be put off: it
// is not the table's alone.
func (l *Loader) DomainChecks(ctx context.Context, dst *pg.Conn, t Table) ([]string, error) {
	rows, err := dst.Query(ctx, domainsSQL, t.Target.OID)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// PutOff says what is with a check that is not in place, or not as it should be.
func (d Definition) PutOff() string {
	if d.Failure != "" {
		return d.Failure
	}
	return fmt.Sprintf("check %s of %s is put off; pgibex catchup adds it when no daemon runs", d.Name, d.TableSQL)
}
