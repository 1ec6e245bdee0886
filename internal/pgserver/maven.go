package pgserver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// copyGoal fetches one artifact into a directory and needs no project file.
const copyGoal = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy"

// ensure has the package in the cache and gives its directory.
func (p pkg) ensure(ctx context.Context) (string, error) {
	dest, err := p.cacheDir()
	if err != nil {
		return "", err
	}
	err = makeOnce(ctx, dest, func(temp string) error {
		if err := checkEnterable(temp); err != nil {
			return err
		}
		for _, j := range p.jars {
			if err := j.fetch(ctx, temp); err != nil {
				return fmt.Errorf("getting PostgreSQL %s from %s: %w", p.version, j.artifact, err)
			}
		}
		return nil
	})
	return dest, err
}

// fetch downloads the jar, compares it with its pinned sum, and unpacks it into dest.
func (j jar) fetch(ctx context.Context, dest string) error {
	slog.InfoContext(ctx, "downloading a PostgreSQL server, once", "artifact", j.artifact)
	dir, err := os.MkdirTemp("", "pgibex-maven-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := mavenCopy(ctx, j.artifact, dir); err != nil {
		return err
	}
	parts := strings.Split(j.artifact, ":")
	file := filepath.Join(dir, parts[1]+"-"+parts[2]+".jar")
	sum, err := sumOf(file)
	if err != nil {
		return err
	}
	if sum != j.sha256 {
		return fmt.Errorf("the file that came has SHA-256 %s, expected %s: it is not used", sum, j.sha256)
	}
	return j.unpack(file, dest)
}

func mavenCopy(ctx context.Context, artifact, dir string) error {
	// -U: otherwise an artifact that once failed to come is not asked for again for a day.
	cmd := exec.CommandContext(ctx, "mvn", "-q", "-B", "-U", copyGoal, "-Dartifact="+artifact, "-DoutputDirectory="+dir)
	cmd.Dir = dir
	cmd.Env = os.Environ()
	if home := os.Getenv("HOME"); home != "" {
		// Java takes the home from the password file, where a service user may have none.
		cmd.Env = append(cmd.Env, "MAVEN_OPTS="+strings.TrimSpace(os.Getenv("MAVEN_OPTS")+" -Duser.home="+home))
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("mvn: %w: %s", err, firstError(string(out)))
	}
	return nil
}

// firstError gives the line in which Maven says what is wrong; it prints many more.
func firstError(out string) string {
	for line := range strings.Lines(out) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "[ERROR] "); ok {
			return text
		}
	}
	return strings.TrimSpace(out)
}

func sumOf(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
