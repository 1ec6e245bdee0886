package replicator

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pgibex/pgibex/capture"
	"github.com/pgibex/pgibex/internal/catalog"
	"github.com/pgibex/pgibex/internal/change"
	"github.com/pgibex/pgibex/internal/config"
	"github.com/pgibex/pgibex/internal/pg"
	"github.com/pgibex/pgibex/internal/sequence"
)

// sides is what a look at both databases found.
type sides struct {
	src, dst       *pg.Conn
	source, target *catalog.Catalog
	captured       []capture.Table
	drift          map[int]error    // of those, by number
	position       change.Position  // the stream's
	begun          bool             // the target holds state of the stream
	promoted       bool             // the source, since the stream's position; it has lost nothing of it
	selected       []*catalog.Table // what the configuration includes, by name
	warnings       []string
}

func (s *sides) close() {
	s.src.CloseNow()
	s.dst.CloseNow()
}

// RefusedError lists why a stream can not be carried between two databases as they are. Nothing was changed.
type RefusedError struct {
	Problems []string
	Config   bool // the configuration is what is wrong
}

func (e *RefusedError) Error() string { return strings.Join(e.Problems, "\n") }

// Lines are those of the text: a problem each.
func (e *RefusedError) Lines() []string { return e.Problems }

// Versions that work.
const (
	oldestSource = 90200
	oldestTarget = 90500
)

// look connects to both sides and refuses what can not work, before anything is changed.
func (r *Replicator) look(ctx context.Context) (*sides, error) {
	s := &sides{}
	if err := r.lookAt(ctx, s); err != nil {
		s.close()
		return nil, err
	}
	r.warn(s)
	return s, nil
}

// warn says what a look has found, each thing once.
func (r *Replicator) warn(s *sides) {
	for _, warning := range s.warnings {
		if !r.warned[warning] {
			r.warned[warning] = true
			r.log.Warn(warning)
		}
	}
}

func (r *Replicator) lookAt(ctx context.Context, s *sides) (err error) {
	if err := r.connect(ctx, s); err != nil {
		return err
	}
	if problems, err := r.checkServers(ctx, s); err != nil || len(problems) > 0 {
		return refuse(problems, err)
	}
	if err := s.load(ctx, r.capture); err != nil {
		return err
	}
	if problems, err := r.checkState(ctx, s); err != nil || len(problems) > 0 {
		return refuse(problems, err)
	}
	warnings, err := s.superusers(ctx)
	if err != nil {
		return err
	}
	s.warnings = append(s.warnings, warnings...)
	if err := r.selectTables(ctx, s); err != nil {
		return err
	}
	selected := s.selected
	problems, err := r.checkTables(ctx, s)
	if err == nil && !s.begun {
		var found []string
		found, err = s.checkSequences(ctx, r.wanted(among(selected)))
		problems = append(problems, found...)
	}
	if err != nil || len(problems) > 0 {
		return refuse(problems, err)
	}
	warnings, err = firing(ctx, s.dst, s.target, among(selected))
	s.warnings = append(s.warnings, warnings...)
	return err
}

func (r *Replicator) connect(ctx context.Context, s *sides) (err error) {
	if s.src, err = r.source.Connect(ctx, "source"); err == nil {
		s.dst, err = r.target.Connect(ctx, "target")
	}
	return err
}

// load reads the catalogs of both sides, what is captured, and which values the source's tables exclude.
func (s *sides) load(ctx context.Context, c *capture.Capture) error {
	if err := s.read(ctx, c); err != nil {
		return err
	}
	return s.source.LoadExclusives(ctx, s.src)
}

// read reads the catalogs of both sides, what is captured, and what others have done to that.
func (s *sides) read(ctx context.Context, c *capture.Capture) error {
	seen, err := c.Look(ctx, s.src)
	if err != nil {
		return err
	}
	s.source, s.captured, s.drift = seen.Catalog, seen.Tables, seen.Drift
	s.target, err = catalog.Look(ctx, s.dst)
	return err
}

func refuse(problems []string, err error) error {
	if err != nil || len(problems) == 0 {
		return err
	}
	return &RefusedError{Problems: problems}
}

// checkServers looks at the servers as such.
func (r *Replicator) checkServers(ctx context.Context, s *sides) (problems []string, err error) {
	if s.src.Version < oldestSource {
		problems = append(problems, fmt.Sprintf("source: PostgreSQL %s is older than 9.2, the oldest that works", versionText(s.src.Version)))
	}
	if s.dst.Version < oldestTarget {
		problems = append(problems, fmt.Sprintf("target: PostgreSQL %s is older than 9.5, the oldest that works", versionText(s.dst.Version)))
	}
	var blockSize int
	if err := s.src.QueryRow(ctx, "SELECT pg_catalog.current_setting('block_size')::int").Scan(&blockSize); err != nil {
		return nil, err
	}
	if blockSize != pg.BlockSize {
		problems = append(problems, fmt.Sprintf("source: it was built with blocks of %d bytes; pgibex reads runs of blocks of %d", blockSize, pg.BlockSize))
	}
	var identity [2]string
	for i, conn := range []*pg.Conn{s.src, s.dst} {
		var recovering, mayCreate bool
		var database, user string
		err := conn.QueryRow(ctx, `SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_database(), current_user,
				pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'),
				pg_catalog.pg_postmaster_start_time()::text || ' ' || d.oid || ' ' || pg_catalog.current_setting('port')
			FROM pg_catalog.pg_database d WHERE datname = pg_catalog.current_database()`).Scan(&recovering, &database, &user, &mayCreate, &identity[i])
		if err != nil {
			return nil, err
		}
		if recovering {
			problems = append(problems, fmt.Sprintf("%s: the server is in recovery, a standby; give the address of its primary", conn.Side))
		} else if !mayCreate {
			problems = append(problems, fmt.Sprintf("%s: role %s may not create a schema; GRANT CREATE ON DATABASE %s TO %s", conn.Side, user, pg.Ident(database), pg.Ident(user)))
		}
	}
	if identity[0] == identity[1] {
		return nil, &RefusedError{Config: true, Problems: []string{"source.dsn and target.dsn are the same database; give two"}}
	}
	return problems, nil
}

func versionText(number int) string {
	if number >= 100000 {
		return fmt.Sprintf("%d.%d", number/10000, number%10000)
	}
	return fmt.Sprintf("%d.%d.%d", number/10000, number/100%100, number%100)
}

// selectTables finds which tables the configuration includes, and says what it names that is none.
func (r *Replicator) selectTables(ctx context.Context, s *sides) error {
	var all []config.TableName
	for name, t := range s.source.Tables {
		all = append(all, config.TableName{Schema: name.Schema, Table: name.Relation})
		if t.Kind == catalog.Ordinary && r.config.Tables.Selects(name.Schema, name.Relation) {
			s.selected = append(s.selected, t)
		}
	}
	slices.SortFunc(s.selected, func(a, b *catalog.Table) int { return a.Name.Compare(b.Name) })
	// What of the tables is left out is known when they have been looked at.
	omitted, err := r.omitted(ctx, s.src, s.source, func(catalog.Name) bool { return true })
	if err != nil {
		return err
	}
	for _, o := range omitted {
		s.warnings = append(s.warnings, o.String())
	}
	if s.begun { // a table that was dropped is no reason to let the others down
		return nil
	}
	sequences, err := sequence.Load(ctx, s.src) // a free one may be named as well
	if err != nil {
		return err
	}
	for _, sequence := range sequences {
		all = append(all, config.TableName{Schema: sequence.Schema, Table: sequence.Relation})
	}
	if unmatched := config.Unmatched(r.config.Tables.Include, all); len(unmatched) > 0 {
		text := fmt.Sprintf("tables.include: %s matches no table of the source; patterns are schema.table with * and ?", strings.Join(unmatched, ", "))
		if near := config.Nearest(unmatched[0], all); len(near) > 0 {
			text += "; did you mean " + strings.Join(near, " or ") + "?"
		}
		return &RefusedError{Config: true, Problems: []string{text}}
	}
	if len(s.selected) == 0 {
		return &RefusedError{Config: true, Problems: []string{"tables: the source has no table that is included and not excluded"}}
	}
	return nil
}
