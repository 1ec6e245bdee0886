package pgserver

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is started by the command docker: a stand-in notes how it is called.
func TestContainersAreOnLoopbackWithASecretPassword(t *testing.T) {
	dir := t.TempDir()
	calls := filepath.Join(dir, "calls")
	script := "#!/bin/sh\necho \"$@\" >> '" + calls + "'\necho \"env $POSTGRES_PASSWORD $POSTGRES_HOST_AUTH_METHOD\" >> '" + calls + "'\n"
	if err := os.WriteFile(filepath.Join(dir, "docker"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	c, err := newContainer(t.Context(), "postgres:9.2", newOptions(nil))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.create(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.stop(Immediate); err != nil {
		t.Fatal(err)
	}
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(calls)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	for i, want := range []string{"run --detach --name " + c.name + " --publish 127.0.0.1:", "env " + c.password + " ", "stop -t 0 " + c.name, "env  ", "rm --force --volumes " + c.name} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
			t.Errorf("call %d is not %q:\n%s", i, want, text)
		}
	}
	if len(c.password) < 20 || strings.Contains(lines[0], c.password) || strings.Contains(lines[0], "trust") {
		t.Errorf("password %q in %s", c.password, lines[0])
	}
}
