package pgtest

import (
	"os"
	"path/filepath"
	"testing"
)

func TestSkipIsToldAtTheEnd(t *testing.T) {
	t.Run("lacking", func(t *testing.T) { Skip(t, "there is no\n  such thing") })
	mu.Lock()
	told := notes
	notes = nil // it is no test that anybody misses
	mu.Unlock()
	path := filepath.Join(t.TempDir(), "versions")
	t.Setenv(versionsVar, path)
	if err := report(told); err != nil {
		t.Fatal(err)
	}
	const want = "not tested: TestSkipIsToldAtTheEnd/lacking: there is no such thing\n"
	if text, err := os.ReadFile(path); err != nil || string(text) != want {
		t.Errorf("%q %v", text, err)
	}
}
