package torture

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/pgibex/pgibex/internal/pgserver"
	"github.com/pgibex/pgibex/internal/pgserver/pgtest"
)

// uninstallSchema has what a copy takes from the target and uninstall must give back: indexes, and a foreign key.
const uninstallSchema = `
	CREATE TABLE item (id int PRIMARY KEY, code text UNIQUE, n int);
	CREATE INDEX item_n ON item (n);
	CREATE TABLE part (id int PRIMARY KEY, item int REFERENCES item, v text);
	CREATE TABLE log (what text);`

const uninstallRows = `
	INSERT INTO item SELECT g, 'c' || g, g FROM generate_series(1, 300) g;
	INSERT INTO part SELECT g, g, 'p' FROM generate_series(1, 300) g;
	INSERT INTO log VALUES ('one'), ('one'), ('two');`

// between two of them so many statements are left out in an ordinary run.
const stride = 9

// TestUninstallAtEveryPoint interrupts it at one statement after the other, with a stream that was interrupted itself while it was
// copied. Run again it must remove everything, and the target must have its indexes and foreign keys.
func TestUninstallAtEveryPoint(t *testing.T) {
	if testing.Short() {
		t.Skip("needs servers; not with -short")
	}
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{t: t, dir: t.TempDir(), binary: path, counts: map[string]int{}, seed: number(t, "TORTURE_SEED") + 1}
	m.events, err = os.Create(filepath.Join(m.dir, "events.log"))
	m.must(err)
	t.Cleanup(func() { _ = m.events.Close() })
	m.source = newServer(t, m.dir, "source", pgserver.SourceVersion)
	m.target = newServer(t, m.dir, "target", pgserver.TargetVersion)
	for _, s := range []*server{m.source, m.target} {
		s.dsn = pgtest.Database(t, s.Server)
		m.must(s.run(t.Context(), "torture", uninstallSchema))
	}
	m.must(m.source.run(t.Context(), "torture", uninstallRows))
	m.config = filepath.Join(m.dir, "pgibex.yaml")
	m.must(os.WriteFile(m.config, fmt.Appendf(nil, "stream: %s\nsource: {dsn: %q}\ntarget: {dsn: %q}\n%s", stream, m.source.dsn, m.target.dsn, options(m.random(actorOptions))), 0o600))
	m.indexes, err = m.definitions(t.Context())
	m.must(err)

	r, step := m.random(actorLife), stride
	if number(t, "TORTURE_FAULTS") > 0 {
		step = 1
	}
	for point := 1 + r.IntN(step); !m.failed(); point += step {
		m.round = point
		if m.uninstalledAt(point, fmt.Sprintf("exit:%d:%d", r.Uint32(), 20+r.IntN(200))) {
			t.Logf("uninstall sends less than %d times", point)
			return
		}
	}
}

// uninstalledAt interrupts a copy somewhere, then uninstall at the point, and has it run again. It says whether uninstall was
// through before it reached the point, although all there can be was there to be removed.
func (m *machine) uninstalledAt(point int, fault string) (through bool) {
	ctx := m.t.Context()
	copied, out := m.call(ctx, fault, "catchup")
	if copied != 0 && copied != killed {
		m.hurt("catchup with %s: code %d:\n%s", fault, copied, out)
	}
	code, out := m.call(ctx, fmt.Sprintf("exit@%d", point), "uninstall", "--yes", "--force")
	if code != 0 && code != killed {
		m.hurt("uninstall interrupted at %d: code %d:\n%s", point, code, out)
	}
	if code != 0 {
		if code, out := m.call(ctx, "", "uninstall", "--yes", "--force"); code != 0 {
			m.hurt("uninstall after one that was interrupted at %d: code %d:\n%s", point, code, out)
		}
	}
	for _, s := range []*server{m.source, m.target} {
		if left, err := s.left(ctx); err != nil || len(left) > 0 {
			m.hurt("uninstall, interrupted at %d, is through, and on the %s there is still: %v %v", point, s.side, left, err)
		}
	}
	if copied != 0 { // half a copy need not satisfy foreign keys; where it does, they must be valid
		_ = m.target.run(ctx, "torture", "DELETE FROM part WHERE item NOT IN (SELECT id FROM item); ALTER TABLE part VALIDATE CONSTRAINT part_item_fkey")
	}
	now, err := m.definitions(ctx)
	if err != nil || !equalSets(now, m.indexes) {
		m.hurt("uninstall, interrupted at %d, has left the target with %v, not %v: %v", point, now, m.indexes, err)
	}
	m.must(m.target.run(ctx, "torture", "TRUNCATE item, part, log"))
	return code == 0 && copied == 0
}
