package replicator

import (
	"context"
	"fmt"

	"github.com/pgibex/pgibex/apply"
	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/pg"
)

// checkTables looks at the selected tables that the stream does not have yet. Before a stream's first copy a
// problem of one refuses all; later such a table is left out with a warning, for the sake of the others.
func (r *Replicator) checkTables(ctx context.Context, s *sides) (problems []string, err error) {
	known := map[catalog.Name]bool{}
	if s.begun {
		relations, err := r.store.Relations(ctx, s.dst)
		if err != nil {
			return nil, err
		}
		for _, relation := range relations {
			known[relation.Name] = true
		}
	}
	var fit []*catalog.Table
	for _, t := range s.selected {
		if known[t.Name] {
			continue
		}
		found, err := r.checkTable(ctx, s, t)
		if err == nil && len(found) == 0 {
			found, err = r.checkFresh(ctx, s, t)
		}
		if err != nil {
			return nil, err
		}
		problems = append(problems, found...)
		if len(found) == 0 {
			fit = append(fit, t)
		}
	}
	if s.begun {
		for _, problem := range problems {
			s.warnings = append(s.warnings, "left out: "+problem)
		}
		problems = nil
	}
	s.selected = fit
	return problems, nil
}

// largeKeyless is the size in bytes from which the copy of a table without a key is worth a warning: it is read in one snapshot.
const largeKeyless = 1 << 30

func (r *Replicator) checkTable(ctx context.Context, s *sides, source *catalog.Table) (problems []string, err error) {
	if problem := catalog.Unreadable(source); problem != "" {
		return []string{problem}, nil
	}
	target := s.target.Tables[source.Name]
	if target == nil {
		return []string{fmt.Sprintf("%s: is missing on the target; create it there (pg_dump --schema-only of the source)", source.Name)}, nil
	}
	problems, warnings := catalog.Fit(source, target)
	if source.Key == nil {
		warnings = append(warnings, r.warnKeyless(source))
		if why, err := keylessSize(ctx, s.src, source); err != nil {
			return nil, err
		} else if why != "" {
			warnings = append(warnings, why)
		}
	}
	s.warnings = append(s.warnings, warnings...)
	if len(problems) > 0 {
		return problems, nil
	}
	for _, side := range []struct {
		conn *pg.Conn
		t    *catalog.Table
		why  string
	}{
		{s.src, source, "only its owner may make triggers that fire always"},
		{s.dst, target, "only its owner may drop and build its indexes"},
	} {
		var owner, user string
		var may, member bool
		err := side.conn.QueryRow(ctx, `SELECT pg_catalog.pg_get_userbyid(relowner), current_user, pg_catalog.pg_has_role(relowner, 'USAGE'), pg_catalog.pg_has_role(relowner, 'MEMBER')
			FROM pg_catalog.pg_class WHERE oid = $1`, side.t.OID).Scan(&owner, &user, &may, &member)
		if err != nil {
			return nil, err
		}
		switch {
		case may:
		case member: // a membership that has to be used by SET ROLE
			problems = append(problems, fmt.Sprintf("%s: on the %s role %s is a member of its owner %s and does not inherit its rights (%s); %s",
				source.Name, side.conn.Side, user, owner, side.why, inherit(side.conn.Version, owner, user)))
		default:
			problems = append(problems, fmt.Sprintf("%s: on the %s role %s has no rights of its owner %s (%s); GRANT %s TO %s",
				source.Name, side.conn.Side, user, owner, side.why, pg.Ident(owner), pg.Ident(user)))
		}
	}
	if len(problems) > 0 {
		return problems, nil
	}
	return nil, nil
}

// inherit is how a role comes to have the rights of those that it is a member of: since 16 each membership has an option of its own, and
// the role's attribute is only its default.
func inherit(version int, owner, user string) string {
	if version >= 160000 {
		return fmt.Sprintf("GRANT %s TO %s WITH INHERIT TRUE", pg.Ident(owner), pg.Ident(user))
	}
	return fmt.Sprintf("ALTER ROLE %s INHERIT", pg.Ident(user))
}

func (r *Replicator) warnKeyless(t *catalog.Table) string {
	text := fmt.Sprintf("%s has no primary key; whole rows of it are recorded, and deletes look through the whole table on the target", t.Name)
	if why := t.WhyKeyless(); why != "" {
		text += " (" + why + ")"
	}
	return text
}

func keylessSize(ctx context.Context, src *pg.Conn, t *catalog.Table) (warning string, err error) {
	var size int64
	if err := src.QueryRow(ctx, "SELECT pg_catalog.pg_table_size($1::oid)", t.OID).Scan(&size); err != nil || size < largeKeyless {
		return "", err
	}
	return fmt.Sprintf("%s has no key and %d MB: it is copied in one transaction, which keeps the source from vacuuming for that long", t.Name, size>>20), nil
}

// checkFresh makes sure, of a table that was never loaded, that the target has the key and nobody's rows. A table that is locked there is
// waited for, and where others stream already left out.
func (r *Replicator) checkFresh(ctx context.Context, s *sides, t *catalog.Table) (problems []string, err error) {
	target := s.target.Tables[t.Name]
	if keyless := catalog.Keyless(t, target); keyless != "" {
		return []string{keyless}, nil
	}
	told := ""
	for {
		filled, err := isFilled(ctx, s.dst, t.Name)
		switch {
		case err == nil && !filled:
			return nil, nil
		case err == nil:
			return []string{fmt.Sprintf("%s: is not empty on the target and was not loaded by this stream; TRUNCATE it there, or exclude it", t.Name)}, nil
		case !pg.Conflict(err) || ctx.Err() != nil:
			return nil, err
		}
		holders, err := apply.Holders(ctx, s.dst, r.config.Stream, []uint32{target.OID}, false)
		if err != nil {
			return nil, err
		}
		by := words(holders[target.OID])
		if s.begun {
			return []string{fmt.Sprintf("%s: is locked on the target by %s; once it is not: pgibex add %s", t.Name, by, t.Name)}, nil
		}
		if who := transactions(holders[target.OID]); who != told {
			told = who
			r.log.Warn("waiting for a table that is locked on the target", "table", t.Name.String(), "by", by)
		}
	}
}

// isFilled says whether a table of the target has rows; it does not wait long for its lock.
func isFilled(ctx context.Context, dst *pg.Conn, name catalog.Name) (filled bool, err error) {
	err = dst.InTx(ctx, pg.Begin, func(ctx context.Context) error {
		if err := dst.Run(ctx, "SET LOCAL lock_timeout = '1s'"); err != nil {
			return err
		}
		return dst.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM ONLY "+name.SQL()+")").Scan(&filled)
	})
	return filled, err
}
