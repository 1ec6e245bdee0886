package pgserver

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Installation is a PostgreSQL of one version, ready to be started.
type Installation struct {
	Version string // in full, as the server itself reports it: 9.2.2
	Origin  string // where it was found, for people
	BinDir  string // empty for an address and for a Docker image
	LibDir  string // of the same tree; empty where there is none

	dsn   string // of a server that runs already
	image string // of Docker
}

func (i Installation) String() string {
	return fmt.Sprintf("PostgreSQL %s (%s)", i.Version, i.Origin)
}

// Tool gives the path of a program that ships with the server: pgbench, pg_dump. Run it with Env.
func (i Installation) Tool(name string) (path string, ok bool) {
	if i.BinDir == "" {
		return "", false
	}
	path = filepath.Join(i.BinDir, name)
	return path, isExecutable(path)
}

// Env is the environment to run a Tool with: this process's own without what would lead libpq
// elsewhere, and the installation's libraries first.
func (i Installation) Env() []string {
	var env []string
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		switch {
		case strings.HasPrefix(name, "PG") && !strings.HasPrefix(name, "PGIBEX_"),
			strings.HasPrefix(name, "LC_"), name == "LANG", name == "LD_LIBRARY_PATH", name == "TZ":
		default:
			env = append(env, entry)
		}
	}
	env = append(env, "LC_ALL=C", "TZ=UTC")
	if i.LibDir != "" {
		env = append(env, "LD_LIBRARY_PATH="+i.LibDir)
	}
	return env
}

// probe asks the server binary for its version, as the user who will run it: so a directory which
// that user may not enter is noticed here.
func probe(ctx context.Context, binDir, origin, wanted string) (Installation, error) {
	install := Installation{Origin: origin, BinDir: binDir}
	if lib := filepath.Join(binDir, "..", "lib"); isDir(lib) {
		install.LibDir = lib
	}
	for _, name := range []string{"initdb", "postgres"} {
		if _, ok := install.Tool(name); !ok {
			return install, fmt.Errorf("%s has no %s", binDir, name)
		}
	}
	cmd := exec.CommandContext(ctx, filepath.Join(binDir, "postgres"), "--version")
	cmd.Env = install.Env()
	cmd.Dir = "/"
	if err := asServerUser(cmd); err != nil {
		return install, err
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return install, fmt.Errorf("asking %s for its version: %w: %s", cmd.Path, err, strings.TrimSpace(string(out)))
	}
	fields := strings.Fields(string(out)) // postgres (PostgreSQL) 14.20 (Debian …)
	if len(fields) < 3 {
		return install, fmt.Errorf("asking %s for its version: it says %q", cmd.Path, out)
	}
	install.Version = fields[2]
	if majorOf(install.Version) != wanted {
		return install, fmt.Errorf("%s is PostgreSQL %s, not %s", binDir, install.Version, wanted)
	}
	return install, nil
}

func isExecutable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
