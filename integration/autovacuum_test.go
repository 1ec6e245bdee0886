package integration

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/pgibex/pgibex/internal/pgserver"
	"github.com/pgibex/pgibex/internal/pgserver/pgtest"
)

// vacuumed is a table that an autovacuum takes minutes for, and begins once more a second after it was canceled.
const vacuumed = `CREATE TABLE big (id int PRIMARY KEY, v text) WITH (autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0,
		autovacuum_analyze_threshold = 2000000000, autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1, autovacuum_freeze_max_age = 100000000);
	CREATE TABLE other (id int PRIMARY KEY);`

const vacuuming = "EXISTS (SELECT 1 FROM pg_locks WHERE relation = 'big'::regclass AND mode = 'ShareUpdateExclusiveLock' AND granted)"

// behindVacuum does something that needs big's lock while an autovacuum has it, and the application writes to big. It returns how long a
// statement of the application took at most.
func (s *stream) behindVacuum(what string, within time.Duration, do func(context.Context) error) (longest time.Duration) {
	s.t.Helper()
	s.eventually("an autovacuum works on the table", 3*time.Minute, s.holds(s.sourceDSN, vacuuming))
	ctx, cancel := context.WithTimeout(s.t.Context(), within)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- do(ctx) }()
	app := s.session()
	for {
		start := time.Now()
		app.do("UPDATE big SET v = 'w' WHERE id = 1")
		longest = max(longest, time.Since(start))
		select {
		case err := <-done:
			if err != nil {
				s.t.Fatalf("%s behind an autovacuum: %v", what, err)
			}
			return longest
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// TestLocksBehindAnAutovacuum: the server cancels one for who waits deadlock_timeout, which is as long as capture.lock_wait.
func TestLocksBehindAnAutovacuum(t *testing.T) {
	t.Parallel()
	source := pgtest.Own(t, pgserver.SourceVersion, pgserver.WithSetting("autovacuum_naptime", "1s"))
	for role, texts := range map[string][]string{"postgres": nil, "plain": {"an autovacuum; waiting once more, longer than deadlock_timeout"}} {
		t.Run(role, func(t *testing.T) {
			s := newStreamOn(t, source, pgtest.Target(t), vacuumed)
			s.src("INSERT INTO big SELECT g, repeat('v', 500) FROM generate_series(1, 8000) g; UPDATE big SET v = v")
			if role == "plain" {
				s.plainRole(t)
			}
			// The application waits as long as we do. A second is for this machine.
			const bound = 3 * time.Second
			if longest := s.behindVacuum("install", 30*time.Second, func(ctx context.Context) error {
				_, err := s.replicator().Install(ctx)
				return err
			}); longest > bound {
				t.Errorf("install: the application waited for %s", longest)
			}
			for _, text := range texts {
				if !s.log.contains(text) {
					t.Errorf("the log does not say %q", text)
				}
			}
			s.catchUp()
			s.equal()
			if longest := s.behindVacuum("uninstall", 30*time.Second, func(ctx context.Context) error { return s.replicator().Uninstall(ctx, true) }); longest > bound {
				t.Errorf("uninstall: the application waited for %s", longest)
			}
			s.untouched()
		})
	}
}

// TestLocksBehindAnAutovacuumToPreventWraparound: it is called what it is, and the remedy works.
func TestLocksBehindAnAutovacuumToPreventWraparound(t *testing.T) {
	t.Parallel()
	s := newStreamOn(t, pgtest.Own(t, pgserver.SourceVersion, pgserver.WithSetting("autovacuum_naptime", "1s")), pgtest.Target(t), vacuumed)
	s.src("INSERT INTO big SELECT g, repeat('v', 500) FROM generate_series(1, 8000) g; UPDATE pg_class SET relfrozenxid = '4100000000' WHERE oid = 'big'::regclass")
	for _, role := range []struct{ name, text string }{
		{"superuser", "an autovacuum to prevent wraparound, which the server does not cancel for a lock"},
		{"plain", "a vacuum that the server does not cancel for a lock (to prevent wraparound, or a superuser's own)"},
	} {
		if role.name == "plain" {
			s.plainRole(t)
		}
		s.config.Stream = role.name
		s.eventually("an autovacuum works on the table", 3*time.Minute, s.holds(s.sourceDSN, vacuuming))
		done := make(chan error, 1)
		go func() {
			_, err := s.replicator().Install(t.Context())
			done <- err
		}()
		s.eventually("it is named", 60*time.Second, func() bool { return s.log.contains(role.text) && s.log.contains("pg_cancel_backend(") })
		s.eventually("it is canceled, and capture installed", 60*time.Second, func() bool {
			s.src("SELECT pg_cancel_backend(pid) FROM pg_locks WHERE relation = 'big'::regclass AND mode = 'ShareUpdateExclusiveLock' AND granted")
			select {
			case err := <-done:
				if err != nil {
					t.Fatal(err)
				}
				return true
			default:
				return false
			}
		})
	}
}

// plainRole has pgibex be a role of the source that is no superuser. The server is the test's own.
func (s *stream) plainRole(t *testing.T) {
	t.Helper()
	s.src("CREATE ROLE app_owner; CREATE ROLE plain LOGIN; GRANT app_owner TO plain; GRANT CREATE ON DATABASE " + one[string](s, s.sourceDSN, "SELECT current_database()::text") + " TO plain")
	for _, table := range s.tables() {
		s.src("ALTER TABLE " + table + " OWNER TO app_owner")
	}
	s.config.Source.DSN = with(t, s.sourceDSN, func(u *url.URL) { u.User = url.User("plain") })
}
