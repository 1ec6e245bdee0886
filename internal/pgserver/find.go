package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/jackc/pgx/v5"
)

// ErrNotFound is returned when a version is neither on this machine nor to be had.
var ErrNotFound = errors.New("no such PostgreSQL server")

// Find gives an installation of a major version ("9.2", "14"), downloading it if necessary. It
// looks, in this order, at the address in PGIBEX_PG92_DSN, the directory in PGIBEX_PG92_BIN, the
// usual places, the package cache, Maven, Docker. What the environment names is taken or refused,
// never passed over. The error wraps ErrNotFound when there is nothing, and says what to install.
func Find(ctx context.Context, version string) (Installation, error) {
	install, err := FindLocal(ctx, version)
	if !errors.Is(err, ErrNotFound) {
		return install, err
	}
	mavenErr := errors.New("no package for " + runtime.GOOS + "/" + runtime.GOARCH)
	if p, ok := packageFor(version); ok {
		if install, mavenErr = fromMaven(ctx, p); mavenErr == nil {
			return install, nil
		}
	}
	dockerErr := dockerAvailable(ctx)
	if dockerErr == nil {
		return dockerInstallation(version), nil
	}
	if ctx.Err() != nil {
		return Installation{}, fmt.Errorf("finding PostgreSQL %s: %w", version, ctx.Err())
	}
	return Installation{}, fmt.Errorf("%w: version %s: install Maven or start Docker, or name a directory with initdb and postgres in %s, "+
		"or the address of a running server in %s (Maven: %w; Docker: %w)",
		ErrNotFound, version, environmentName(version, "BIN"), environmentName(version, "DSN"), mavenErr, dockerErr)
}

// FindLocal is Find without downloads and without Docker: what is on this machine now.
func FindLocal(ctx context.Context, version string) (Installation, error) {
	if err := checkVersion(version); err != nil {
		return Installation{}, err
	}
	if name := environmentName(version, "DSN"); os.Getenv(name) != "" {
		return fromAddress(ctx, version, name, os.Getenv(name))
	}
	if name := environmentName(version, "BIN"); os.Getenv(name) != "" {
		install, err := probe(ctx, os.Getenv(name), "environment "+name, version)
		if err != nil {
			return Installation{}, fmt.Errorf("using %s: %w", name, err)
		}
		return install, nil
	}
	for _, dir := range usualPlaces(version) {
		if install, err := probe(ctx, dir, dir, version); err == nil {
			return install, nil
		}
	}
	if p, ok := packageFor(version); ok {
		return fromPackageCache(ctx, p)
	}
	return Installation{}, fmt.Errorf("%w: version %s is not on this machine", ErrNotFound, version)
}

func usualPlaces(version string) []string {
	return []string{
		"/usr/lib/postgresql/" + version + "/bin", // Debian
		"/usr/pgsql-" + version + "/bin",          // Red Hat, from the PGDG packages
		"/usr/local/pgsql-" + version + "/bin",
		"/opt/homebrew/opt/postgresql@" + version + "/bin",
		"/usr/local/opt/postgresql@" + version + "/bin",
	}
}

func fromAddress(ctx context.Context, version, name, dsn string) (Installation, error) {
	install := Installation{Origin: "address " + name, dsn: dsn}
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return Installation{}, fmt.Errorf("connecting to %s: %w", name, err)
	}
	defer closeConn(ctx, conn)
	if err := conn.QueryRow(ctx, "SELECT split_part(current_setting('server_version'), ' ', 1)").Scan(&install.Version); err != nil {
		return Installation{}, fmt.Errorf("asking %s for its version: %w", name, err)
	}
	if majorOf(install.Version) != version {
		return Installation{}, fmt.Errorf("%s is PostgreSQL %s, not %s", name, install.Version, version)
	}
	return install, nil
}

func fromPackageCache(ctx context.Context, p pkg) (Installation, error) {
	dir, err := p.cacheDir()
	if err != nil {
		return Installation{}, err
	}
	if !isDir(dir) {
		return Installation{}, fmt.Errorf("%w: version %s is not in the package cache", ErrNotFound, p.version)
	}
	return probe(ctx, filepath.Join(dir, "bin"), "package cache "+dir, majorOf(p.version))
}

func fromMaven(ctx context.Context, p pkg) (Installation, error) {
	if _, err := exec.LookPath("mvn"); err != nil {
		return Installation{}, errors.New("not installed")
	}
	dir, err := p.ensure(ctx)
	if err != nil {
		return Installation{}, err
	}
	return probe(ctx, filepath.Join(dir, "bin"), "Maven, "+p.jars[0].artifact, majorOf(p.version))
}
